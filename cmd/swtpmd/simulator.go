package main

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/transport/mssim"
)

// A link to swtpmd, or a copy, with the name of a simulator takes that one's command
// line.

// simulatorState is the file in which simulators keep a TPM, in the working directory.
const simulatorState = "NVChip"

// simulators are the programs whose names swtpmd answers to.
func simulators(sandboxes *daemon.Sandboxes) map[string]cli.Command {
	return map[string]cli.Command{
		"tpm_server": {
			Help: tpmServerHelp, Args: cli.ArgsAfterFlags,
			New: func(f *flag.FlagSet) cli.Run { return newTPMServer(f, sandboxes) },
		},
		"tpm2-simulator": {
			Help: tpm2SimulatorHelp, Args: cli.ArgsAmongFlags,
			New: func(f *flag.FlagSet) cli.Run { return newTPM2Simulator(f, sandboxes) },
		},
	}
}

// runNamed runs what the program's name asks for.
func runNamed(ctx context.Context, program string, args []string, s cli.Streams, sandboxes *daemon.Sandboxes) int {
	name := strings.TrimSuffix(filepath.Base(program), ".exe")
	if c, ok := simulators(sandboxes)[name]; ok {
		return cli.Single(ctx, name, c, args, s)
	}
	return run(ctx, args, s, sandboxes)
}

// newSimulator returns the settings of a simulator: the TPM has no power at first, and its
// State is in the working directory.
func newSimulator() *options.Set {
	set := &options.Set{Simulator: &options.SimulatorWords{Port: mssim.DefaultPort, Announce: daemon.AnnounceSimulator}}
	set.NameNone()
	set.State = options.StateWords{Dir: ".", Name: simulatorState, Mode: options.DefaultStateMode}
	return set
}

// newTPMServer defines the flags of IBM's tpm_server.
func newTPMServer(f *flag.FlagSet, sandboxes *daemon.Sandboxes) cli.Run {
	set := newSimulator()
	f.Func("port", "", set.SetSimulatorPort)
	f.BoolVar(&set.State.Anew, "rm", false, "")
	return func(ctx context.Context, args []string, s cli.Streams) error {
		if err := cli.Unexpected("tpm_server", args); err != nil {
			return err
		}
		return daemon.Run(ctx, set, nil, s, sandboxes, false)
	}
}

// newTPM2Simulator defines the flags of the reference code's simulator, and of the
// package of it for Ubuntu.
func newTPM2Simulator(f *flag.FlagSet, sandboxes *daemon.Sandboxes) cli.Run {
	set := newSimulator()
	ephemeral := f.Bool("e", false, "")
	for _, name := range []string{"m", "manufacture"} {
		f.BoolVar(&set.State.Anew, name, false, "")
	}
	for _, name := range []string{"p", "pick_ports"} {
		f.BoolVar(&set.Simulator.Pick, name, false, "")
	}
	return func(ctx context.Context, args []string, s cli.Streams) error {
		if len(args) > 1 {
			return cli.Unexpected("tpm2-simulator", args[1:])
		}
		if len(args) == 1 {
			if err := set.SetSimulatorPort(args[0]); err != nil || set.Simulator.Port == 0 {
				return cli.Usage(fmt.Errorf("%q is no port from 1 to 65534", args[0]), "the platform port is one higher; see tpm2-simulator -h")
			}
		}
		if *ephemeral {
			set.State = options.StateWords{}
		}
		return daemon.Run(ctx, set, nil, s, sandboxes, false)
	}
}

const tpmServerHelp = `Usage: tpm_server [-port N] [-rm] [-h]

swtpmd by the name of IBM's TPM simulator: a TPM 2.0 by the protocol of the TCG's
simulator, on this machine's own addresses. It has power once a client says POWER_ON on
the platform port. Its state is in the file NVChip of the working directory: without that
file the TPM is a new one.

  -port N    the command port (default 2321); the platform port is N+1
  -rm        make a new TPM, in the place of that in NVChip
  -h         print this

Example:
  ln -s "$(command -v swtpmd)" tpm_server
  ./tpm_server -port 2321

Exit codes: 0 ended by SIGTERM, SIGINT or STOP; 1 failed, stderr says why; 2 the command
line is wrong. "swtpmd mssim --help" tells of deferral and more.
`

const tpm2SimulatorHelp = `Usage: tpm2-simulator [PORT] [-m | --manufacture] [-p | --pick_ports] [-e] [-h]

swtpmd by the name of the TCG's TPM simulator: a TPM 2.0 by the protocol of that, on this
machine's own addresses. It has power once a client says POWER_ON on the platform port.
Its state is in the file NVChip of the working directory: without that file the TPM is a
new one.

  PORT               the command port (default 2321); the platform port is one higher
  -m, --manufacture  make a new TPM, in the place of that in NVChip
  -p, --pick_ports   take the first pair of ports from PORT on that is free, and write
                     it to the files command.port and platform.port
  -e                 keep the TPM in memory
  -h                 print this

Example:
  ln -s "$(command -v swtpmd)" tpm2-simulator
  ./tpm2-simulator 2321 -m

Exit codes: 0 ended by SIGTERM, SIGINT or STOP; 1 failed, stderr says why; 2 the command
line is wrong. "swtpmd mssim --help" tells of deferral and more.
`
