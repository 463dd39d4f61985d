package setup

const help = `Usage: swtpmd setup --state=DIR [flags]

Makes a new TPM in a state directory, with what a TPM leaves the factory with:
endorsement keys, their certificates, PCR banks. swtpmd --state=DIR then runs it.

  --state=DIR            the directory, which is made if it is not there
  --profile=P            the kind of TPM, as swtpmd --help has it
  --key=WORDS            encrypt the state, in swtpm's words: file=F or pwdfile=F
                         [,mode=aes-256-cbc] and those of swtpmd socket --help
  --ek=ALGORITHMS        endorsement keys: rsa2048, ecc-p256, ecc-p384, ecc-p521,
                         rsa3072, rsa4096, rsa2048-high, ecc-p256-high, with commas;
                         none; default rsa2048,ecc-p384, or what the profile has of
                         rsa2048 and ecc-p384, ecc-p256
  --ak[=ALGORITHMS]      attestation keys: ecc-p256, rsa2048; the indices are those
                         where go-tpm-tools looks for the keys of Google's virtual TPM
  --iak[=ALGORITHMS]     the initial attestation key: ecc-p384, ecc-p256, ecc-p521,
                         rsa2048, rsa3072 or rsa4096
  --idevid[=ALGORITHMS]  the initial device identity, the same algorithms
  --platform-cert        a platform certificate too
  --platform-manufacturer=TEXT, --platform-model=TEXT, --platform-version=TEXT,
  --platform-serial=TEXT what certificates say of the machine
  --name=TEXT            the subject's common name, such as that of the machine;
                         without one the subject is empty
  --ca=DIR               the authority that signs: signkey.pem and issuercert.pem, as
                         swtpm_localca names them; what is not there is made; default
                         ca in the state directory
  --certs=DIR            write the certificates to files too, DER
  --lock-nvram           lock the NV indices of certificates against writing
  --templates            write the templates of endorsement keys to NV too
  --ek-nonce=HEX         make the endorsement keys of the low range with a nonce, and
                         write it to NV
  --pcr-banks=BANKS      sha1, sha256, sha384, sha512, sha3-256, sha3-384, sha3-512,
                         with commas: the others get no PCRs
  --not-overwrite        a TPM that is there stays, and that is a success
  --overwrite            a TPM that is there is replaced, and gone
  --reconfigure          of a TPM that is there only the PCR banks change
  --seed=TEXT            the same TPM, keys and certificates for the same text (for
                         tests: whoever knows it has the TPM); with --not-before the
                         same bytes
  --not-before=TIME      when certificates begin, such as 2026-01-31T12:00:00Z
  --json                 print handles, indices, fingerprints and files as JSON

The TPM comes into the directory whole or not at all, whenever the program is ended.
docs/setup.md has the templates, handles and indices, and their sources.

Examples:
  swtpmd setup --state=tpm
  swtpmd setup --state=tpm --overwrite --ek=rsa2048,ecc-p384 --ak --platform-cert --json
  openssl x509 -inform DER -noout -text -in certs/ek-rsa2048.crt   # after --certs=certs

Exit codes: 0; 1 it failed, and the directory is as before; 2 usage.
`
