package main

import (
	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
)

const deviceDeferHelp = `The TPM that comes late:
  --defer-for=DURATION   the TPM is unavailable so long after its power-on, such as 30s
  --defer-until=LEVEL    or until LEVEL is reached, by --timeline or by swtpmd ctl advance
  --defer-from=LEVEL     beginning at LEVEL (default firmware: from power-on)
  --while-deferred=WAY   fail (default, TPM_RC_FAILURE), initialize, retry, testing, hold:
                         no answer until the TPM is there, or absent: there is no device
                         until then. Where the kernel's driver gives up meanwhile, it
                         gets a new device when the TPM comes
  --hold-max=DURATION    the longest that hold keeps a command (default 1m0s)
  --defer-boots=N        only in the first N boots (default 0: in every boot)
  --timeline=FILE        a level and the time since power-on a line, such as "late 900ms"
  --admin=PATH           a socket for swtpmd ctl: status, and advance
`

const deviceStateHelp = `State, log and others, as swtpmd --help and swtpmd socket --help have them:
  --state=DIR            keep the TPM in this directory
  --tpmstate=WORDS       the same in swtpm's words; without either $TPM_PATH, or memory
  --profile=P            the kind of TPM
  --log=WORDS, --pid=WORDS, --sandbox=MODE, --seccomp=action=WORD, --core-dumps
  --locality=WORDS       reject-locality-4, allow-set-locality
  --tpm2                 for swtpm's command lines: there is no other TPM here
  --print-capabilities, --print-states
`

const chardevHelp = `Usage: swtpmd chardev --vtpm-proxy [flags]
       swtpmd chardev --chardev=PATH [flags]

Makes a TPM for the kernel that runs here: /dev/tpmN, and above it the kernel's own
driver, resource manager (/dev/tpmrmN), random numbers and sysfs. The TPM is there as
long as swtpmd is. Or serves the TPM commands that come from a device. The words are
those of swtpm chardev.

  --vtpm-proxy           make a TPM with the kernel's module tpm_vtpm_proxy, and print
                         its name: "New TPM device: /dev/tpm0 (major/minor = 10/224)".
                         It takes CAP_SYS_ADMIN and the right to open /dev/vtpmx
  --chardev=PATH, -c     a device at which TPM commands arrive, such as a virtio port
  --fd=N, -f             the same, opened by who starts swtpmd; or the serving end of a
                         vTPM proxy, which then takes no rights
  --ctrl=WORDS           swtpm's control channel, as in swtpmd socket --help
  --flags=WORDS          not-need-init, startup-clear, startup-state, startup-none. The
                         default is startup-clear with --vtpm-proxy and without --ctrl;
                         otherwise the TPM waits for INIT
  --daemon, -d           go to the background once ready, and speak by --log only
  --json                 print the device as JSON

` + deviceDeferHelp + `
` + cli.FaultsHelp + `
` + deviceStateHelp + `
` + cli.LevelsHelp + `
Examples:
  modprobe tpm_vtpm_proxy
  # a TPM for this kernel, the same one tomorrow
  swtpmd chardev --vtpm-proxy -d --pid=file=/run/swtpmd.pid --state=/var/lib/swtpmd
  # the kernel has no TPM for 30 seconds
  swtpmd chardev --vtpm-proxy --defer-for=30s --while-deferred=absent
  # its driver finds one that fails, and another one when you say so
  swtpmd chardev --vtpm-proxy -d --pid=file=/run/swtpmd.pid --admin=/run/swtpmd.sock \
      --defer-until=userspace
  swtpmd ctl --admin /run/swtpmd.sock advance userspace

Exit codes: 0 ended as asked, or the device's other end has gone; 1 failed, stderr says
why; 2 the command line is wrong and nothing was started.
`

const cuseHelp = `Usage: swtpmd cuse -n NAME [flags]

Makes the device /dev/NAME, whose driver is swtpmd: a write is a TPM command, reads are
its response, and swtpm's control requests are ioctls, as swtpm_ioctl /dev/NAME sends
them. The kernel's own TPM driver has no part in it: swtpmd chardev --vtpm-proxy is for
that. The words are those of swtpm cuse.

  --name=NAME, -n        the name below /dev
  --maj=N, -M            the device's major number (default: the kernel chooses)
  --min=N, -m            its minor number
  --flags=WORDS          not-need-init, startup-clear, startup-state, startup-none;
                         otherwise the TPM waits for INIT (swtpm_ioctl -i /dev/NAME)
  --json                 print the device as JSON

` + deviceDeferHelp + `
` + cli.FaultsHelp + `
` + deviceStateHelp + `
` + cli.LevelsHelp + `
It takes the kernel's module cuse, and root or the permission to read and write
/dev/cuse.

Examples:
  modprobe cuse
  swtpmd cuse -n vtpm0 --flags=startup-clear --state=/var/lib/swtpmd
  tpm2_getrandom --hex -T device:/dev/vtpm0 8
  # the device comes after 30 seconds
  swtpmd cuse -n vtpm0 --flags=startup-clear --defer-for=30s --while-deferred=absent

Exit codes: 0 ended as asked; 1 failed, stderr says why; 2 the command line is wrong and
nothing was started.
`
