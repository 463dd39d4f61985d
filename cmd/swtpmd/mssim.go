package main

import (
	"context"
	"errors"
	"flag"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/transport/mssim"
)

// newMSSIM defines the flags of swtpmd mssim.
func newMSSIM(f *flag.FlagSet, sandboxes *daemon.Sandboxes) cli.Run {
	set := &options.Set{Simulator: &options.SimulatorWords{Port: mssim.DefaultPort, Announce: daemon.AnnounceMSSIM}}
	set.Define(f, options.InMSSIM)
	return func(ctx context.Context, args []string, s cli.Streams) error {
		if err := cli.Unexpected("swtpmd mssim", args); err != nil {
			return err
		}
		w := set.Simulator
		if w.Unix != "" && w.Bind != "" {
			return cli.Usage(errors.New("--unix and --bind exclude each other"), "the TPM is at a unix socket or at TCP ports")
		}
		if err := set.Check(); err != nil {
			return err
		}
		return daemon.Run(ctx, set, nil, s, sandboxes, true)
	}
}

const mssimHelp = `Usage: swtpmd mssim [flags]

Serves a TPM 2.0 by the protocol of the TCG's simulator: to tcti-mssim of tpm2-tss, to
IBM's TSS, go-tpm and wolfTPM. There are two ports, one for commands, and the one after
it for the platform. The TPM has power once a client says POWER_ON there, as tcti-mssim
does. Clients that speak swtpm's protocols, such as tcti-swtpm, are served on the same
two ports. When it is ready it prints on stdout what to paste into a shell.

Linked to a name of a simulator, tpm_server or tpm2-simulator, the program takes that
one's command line: see tpm_server -h and tpm2-simulator -h.

Ports:
  --port=N, -p           the command port (default 2321); the platform port is N+1; 0 is
                         any pair that is free
  --bind=ADDRESS         where to listen (default: 127.0.0.1 and ::1, which no other
                         machine reaches); 0.0.0.0 is every address of IPv4
  --unix=PATH            unix sockets instead: PATH for commands, PATH.ctrl for the
                         platform (mssim:path=PATH where tcti-mssim knows path=)

` + deferHelp + `The clock of a boot starts at POWER_ON, and RESET begins the next boot.

` + cli.FaultsHelp + `
State, and the kind of TPM:
  --state=DIR            keep the TPM in this directory; without it the TPM is a new one
                         that ends with the daemon
  --tpmstate=WORDS       the same with more to say: see swtpmd --help
  --profile=P            one of those that swtpmd --profiles names, or a file

Other:
  --flags=WORDS          startup-clear, startup-state: the TPM has power and
                         TPM2_Startup before the first client; not-need-init: power
  --dir=DIR              directory for the sockets of the daemon (default: a private one,
                         removed at the end)
  --admin=PATH           status and steering (default DIR/admin.sock)
  --json                 the ready line as JSON
  --log=WORDS, --pid=WORDS, --daemon, -d, --sandbox=MODE, --core-dumps
                         see swtpmd --help
  --help

` + cli.LevelsHelp + `
Examples:
  # a TPM for tpm2-tools, which tcti-mssim gives power
  swtpmd mssim -d --pid=file=/tmp/mssim.pid --flags=startup-clear
  tpm2_getrandom -T mssim:host=localhost,port=2321 --hex 8
  kill $(cat /tmp/mssim.pid)
  # the TPM answers TPM_RC_FAILURE until 1.2 s after POWER_ON
  swtpmd mssim --defer-from=firmware --defer-until=late_sync --timeline=builtin

Exit codes: 0 ended as asked, by STOP on one of the ports too; 1 failed, stderr says why;
2 the command line is wrong and nothing was started.
`
