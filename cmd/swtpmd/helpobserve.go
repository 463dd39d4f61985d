package main

import ()

const observeHelp = `
What passes between the TPM and its clients (docs/capture.md):
  --pcap=FILE            every command and response as pcapng, for Wireshark, or for
                         swtpmd replay; or file=F or fd=N [,truncate][,mode=0600]
                         [,checksums]. It has the authorizations that are sent
  --journal=FILE         each decision of a fault rule as a line of JSON, without times:
                         the same seed and commands give the same bytes (docs/faults.md)
  --journal-commands     commands and answers in the journal too, for swtpmd replay. They
                         have the authorizations that are sent
  --tpm-seed=N           draw the TPM's random numbers and keys from N, and let its clock
                         go on by 1 ms with each command: a run can be repeated. It has no
                         secrets then
  --trace=FILE           a line for each command, with names in it; - is stdout
  --backend=URL          serve another TPM: unix:PATH, tcp:HOST:PORT, swtpm:path=PATH,
                         swtpm:host=HOST,port=PORT, swtpm:ctrl=PATH, mssim:host=HOST,port=PORT,
                         mssim:path=PATH, /dev/tpm0, /dev/tpmrm0, or the same as URLs
`
