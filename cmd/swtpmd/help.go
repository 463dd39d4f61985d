package main

import (
	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
)

const deferHelp = `The TPM that comes late:
  --defer-until=LEVEL    the TPM is unavailable until the guest's kernel reaches LEVEL
  --defer-from=LEVEL     beginning at LEVEL (default kernel: firmware still finds the
                         TPM; firmware: it is absent from power-on)
  --while-deferred=WAY   fail (default, TPM_RC_FAILURE), initialize, retry, testing,
                         or hold: no answer until the TPM is there
  --hold-max=DURATION    the longest that hold keeps a command (default 1m0s; 2s with
                         --migration or --migration-key, as QEMU waits for it)
  --defer-boots=N        only in the guest's first N boots (default 0: in every boot)
  --console=SOURCE       where the guest's kernel says how far it is: unix:PATH (a QEMU
                         serial chardev), file:PATH (a growing file), - (stdin)
  --console-log=FILE     keep what was read there in FILE, byte for byte; with it the
                         console is followed without a deferral too
  --timeline=FILE        go by the time since power-on instead: a level and a time a line,
                         such as "late 900ms"; builtin is a measured boot
  --levels=gdb[:unix:PATH]
                         ask QEMU's gdbstub where the kernel is, which no process of the
                         guest can forge; needs --system-map
  --system-map=FILE      the symbols of the guest's kernel, which boots with nokaslr
  --marker=LEVEL=FUNC    FUNC is called first at LEVEL; may be repeated
  --trust-console        believe each line of the console at once: nobody forges there
  --follow-kexec         a kernel that the guest starts by kexec begins a new boot
`

const daemonHelp = `Usage: swtpmd [flags]
       swtpmd socket --tpm2 [flags]    swtpm's own command line
       swtpmd chardev [flags]          a TPM for the kernel that runs here
       swtpmd mssim [flags]            by the protocol of the TCG's simulator
       swtpmd fleet --dir=DIR [flags]  many TPMs in one process
       swtpmd cuse -n NAME [flags]     a TPM at /dev/NAME
       swtpmd ctl COMMAND              ask or steer a running daemon
       swtpmd plan check FILE...       look for errors in plans of faults, or explain them
       swtpmd replay FILE --to=URL     send a capture to a TPM, and compare
       swtpmd boot [flags]             simulate a boot with a TPM that comes late
       swtpmd matrix [flags]           simulate every platform with every strategy
       swtpmd campaign -- COMMAND      run a command under many fault plans from seeds
       swtpmd shrink PLAN -- COMMAND   make a failing fault plan smaller
       swtpmd verify [flags] LIST      say what may be concluded from a list
       swtpmd measure [flags] PATH...  measure files into a TPM, as IMA does
       swtpmd conform --target=URL     ask a TPM what the specification says
       swtpmd commands [flags]         list the commands of the TPM
       swtpmd setup [flags]            make a TPM with keys and certificates
       swtpmd import [flags]           take over the TPM of a swtpm
       swtpmd man [COMMAND]            print a manual page
       swtpmd completion SHELL         print what a shell needs to complete commands

Runs a software TPM 2.0 for a QEMU guest, and for any number of other clients
beside it, until it is interrupted. When it is ready it prints on stdout what to
paste into QEMU's command line. Without --state the TPM is a new one that ends
with it.

` + deferHelp + `
` + cli.FaultsHelp + `
Sockets:
  --dir=DIR              directory for them (default: a private one, removed at the end)
  --ctrl=WORDS           swtpm's control channel: type=unixio,path=P[,mode=][,terminate],
                         type=tcp,port=N[,bindaddr=], fd=N, clientfd=N; may be repeated
  --server=WORDS         raw TPM commands, same words and disconnect; may be repeated
  --admin=PATH           status and steering (default DIR/admin.sock)

State:
  --state=DIR            keep the TPM in this directory, which is made if it is not
                         there; one daemon only can use it at a time
  --tpmstate=WORDS       the same with more to say: dir=D or backend-uri=dir://D
                         [,mode=0600][,lock=false][,fsync=false]
  --migration=WORDS      incoming: another daemon still has the directory, and gives it
                         away when the guest comes here; release-lock-outgoing: give it
                         away when the guest's state has been fetched. For a file system
                         that two hosts share
  --key=WORDS            encrypt it: file=F or fd=N [,format=hex|binary], or a passphrase,
                         pwdfile=F or pwdfd=N [,kdf=pbkdf2|sha512]; and
                         [,mode=aes-cbc|aes-256-cbc][,remove]
  --migration-key=WORDS  the same for state that QEMU takes along
` + observeHelp + `
The kind of TPM:
  --profile=P            one of those that swtpmd --profiles names, or a file with a
                         slash or a dot in its name; without it the TPM is like swtpm
  --print-profile        print the profile as a file, to start your own from
  --profiles             list the profiles that come with the program

Other:
  --json                 the ready line as JSON
  --log=WORDS            file=F or fd=N [,level=N][,prefix=P][,truncate][,secrets];
                         level 0 is silent, 1 (default) says what is decided, 5 every
                         command, with secrets its bytes and those of the response;
                         SIGHUP opens F, --console-log, --pcap and --trace anew, for
                         logrotate. With none of them it ends a daemon in the
                         foreground, as does a terminal that is closed
  --pid=WORDS            file=F or fd=N
  --flags=WORDS          not-need-init, startup-clear, startup-state, startup-none;
                         auto-shutdown: send TPM2_Shutdown before the TPM loses its
                         power, if that was not the last command, as swtpmd socket does
  --locality=WORDS       reject-locality-4, allow-set-locality
  --terminate, -t        end when the data connection closes
  --daemon, -d           go to the background once ready, and speak by --log only
  --sandbox=MODE         full: open, run and connect nothing but what these flags name
                         (Landlock), and make no other calls (seccomp); landlock: the
                         first alone; off. What is asked for and cannot be had is
                         refused; without the flag it is what the kernel has
  --busy-poll=TIME       look for the client's next command for this long before the
                         thread sleeps (default 200us; off; at most 10ms): on a second
                         processor that is up to twice the commands a second, and takes
                         processor time only as long as it finds commands
  --remember-keys=N      compute each of N RSA primary keys once (default 64): the same
                         template and seed give the same key; off. A change of a seed,
                         as by TPM2_Clear, forgets them
  --runas=USER[:GROUP]   become this user before any file is opened; takes root
  --chroot=DIR           make DIR the root directory before that; paths are below it
  --core-dumps           let the system write this process's memory, which has the
                         TPM's secrets, to a file if it crashes; and let others of
                         this user debug it
  --version              print the version and the revision; as JSON with --json
  --help                 print this help

` + cli.LevelsHelp + `
Examples:
  # the guest's IMA finds no TPM: it looks at late, the TPM comes at late_sync
  swtpmd --defer-until=late_sync
  # the TPM does not answer before the deferred probes have been tried again
  swtpmd --defer-until=userspace --while-deferred=hold --console=file:boot.log
  # the same by the kernel's own code: nothing that the guest prints counts
  swtpmd --defer-until=late_sync --levels=gdb --system-map=System.map
  # keep the console of a boot on time for swtpmd boot --from-console
  swtpmd --console-log=boot.log
  # a TPM for tpm2-tools, the same one tomorrow: it listens when swtpmd -d returns
  swtpmd -d --dir=/tmp/tpm --pid=file=/tmp/tpm/pid --state=$HOME/tpm --flags=startup-clear
  tpm2_pcrread -T swtpm:path=/tmp/tpm/tpm.sock
  kill $(cat /tmp/tpm/pid)
  # what the tools do with a TPM of the kernel that is late, for Wireshark
  swtpmd --backend=/dev/tpmrm0 --defer-until=late --defer-from=firmware --pcap=late.pcapng
  # a TPM with room for software that has no resource manager
  swtpmd --profile=roomy
  # a kind of TPM of your own
  swtpmd --print-profile >mine.profile && $EDITOR mine.profile
  swtpmd --profile=./mine.profile

Exit codes: 0 ended as asked; 1 failed, stderr says why; 2 the command line is
wrong and nothing was started.
`

const socketHelp = `Usage: swtpmd socket --tpm2 [flags]

Takes swtpm's own words, so that what starts swtpm can start swtpmd. Nothing is
printed on stdout, and no socket is opened that was not asked for.

swtpm's flags:
  --tpm2                 required: there is no TPM 1.2 here
  --ctrl=WORDS           type=unixio,path=P[,mode=][,uid=][,gid=][,terminate],
                         type=tcp,port=N[,bindaddr=][,ifname=], fd=N, clientfd=N
  --server=WORDS         raw TPM commands, same words and disconnect
  --port=N, -p           --server type=tcp,disconnect,port=N
  --fd=N, -f             a connection that exists already; ends the daemon with it
  --tpmstate=WORDS       dir=D or backend-uri=dir://D [,mode=0600][,lock=false]
                         [,fsync=false][,backup]: keep the TPM in this directory; or
                         backend-uri=file://F [,mode=0600][,lock]: in this file; fsync
                         is on unless disabled, and so is lock for a directory;
                         without a directory it is $TPM_PATH, and without that the TPM
                         is a new one that ends with the daemon
  --flags=WORDS          not-need-init, startup-clear, startup-state, startup-none;
                         disable-auto-shutdown: no TPM2_Shutdown before INIT, STOP,
                         SHUTDOWN and the end but what a client sends
  --migration=WORDS      incoming, release-lock-outgoing: the lock of a state directory
                         that two hosts share goes with the guest
  --locality=WORDS       reject-locality-4, allow-set-locality
  --log=WORDS            file=F or fd=N [,level=N][,prefix=P][,truncate][,secrets];
                         SIGHUP opens F anew
  --pid=WORDS            file=F or fd=N
  --terminate, -t        end when the data connection closes
  --daemon, -d           go to the background once ready, and speak by --log only
  --sandbox=MODE         full: open, run and connect nothing but what these flags name
                         (Landlock), and make no other calls (seccomp); landlock: the
                         first alone; off. What is asked for and cannot be had is
                         refused; without the flag it is what the kernel has
  --core-dumps           let the system write this process's memory, which has the
                         TPM's secrets, to a file if it crashes; and let others of
                         this user debug it
  --seccomp=action=WORD  none: no seccomp filter; kill and log change nothing
  --runas=USER[:GROUP]   become this user before any file is opened; takes root
  --chroot=DIR, -R       make DIR the root directory before that; paths are below it
  --key=WORDS            encrypt the state that is kept: file=F or fd=N [,format=hex|binary],
                         or pwdfile=F or pwdfd=N [,kdf=pbkdf2|sha512]; and
                         [,mode=aes-cbc|aes-256-cbc][,remove]; needed to read it again
  --migration-key=WORDS  the same for state that is handed over
  --version-like=V       the swtpm to imitate, 0.7 or 0.10 (default)
  --version              its version, as swtpm --version prints it
  --print-capabilities   what libvirt asks for, as JSON on stdout
  --print-states         what --tpmstate's directory holds, for swtpm_setup, as JSON:
                         permall and its size; needs no lock and starts nothing
  --print-profiles       the profiles, in swtpm's JSON
  --print-info=N         the text of GET_INFO for the flags N; with --tpmstate the TPM is
                         started for it, and made if there is none
  --profile=WORDS        at the first start: name=P, file=F, fd=N or profile=JSON
                         [,remove-disabled=check]; P is one of swtpmd --profiles, or
                         default-v1, null or custom of libtpms; later starts have it

` + deferHelp + `  --admin=PATH           the admin socket for swtpmd ctl

` + cli.FaultsHelp + observeHelp + `
` + cli.LevelsHelp + `
Examples:
  swtpm_setup --tpm2 --tpm "$(command -v swtpmd) socket" --tpm-state /tmp/t --create-ek-cert
  swtpmd socket --tpm2 --tpmstate dir=/tmp/t --ctrl type=unixio,path=/tmp/t/ctrl --terminate
  swtpmd socket --tpm2 --server type=tcp,port=2321 --ctrl type=tcp,port=2322 \
      --flags startup-clear
  swtpmd socket --tpm2 --ctrl type=unixio,path=/tmp/ctrl --defer-until=late_sync \
      --console=unix:/tmp/console

Exit codes: 0 ended as asked; 1 failed, stderr says why; 2 the command line is
wrong and nothing was started.
`
