package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/transport/mssim"
)

// A link to swtpmd, or a copy, with the name of a simulator takes that one's command
// line.

// simulatorState is the file in which simulators keep a TPM, in the working directory.
const simulatorState = "NVChip"

// Files in which tpm2-simulator tells the ports that it has picked.
const (
	commandPortFile  = "command.port"
	platformPortFile = "platform.port"
)

// simulators are the programs whose names swtpmd answers to.
func simulators(sandboxes *sandboxes) map[string]cli.Command {
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
func runNamed(ctx context.Context, program string, args []string, s cli.Streams, sandboxes *sandboxes) int {
	name := strings.TrimSuffix(filepath.Base(program), ".exe")
	if c, ok := simulators(sandboxes)[name]; ok {
		return cli.Single(ctx, name, c, args, s)
	}
	return run(ctx, args, s, sandboxes)
}

// newSimulator returns the settings of a simulator: the TPM has no power at first, and its
// state is in the working directory.
func newSimulator() *settings {
	set := &settings{simulator: &simulatorWords{port: mssim.DefaultPort, announce: announceSimulator}}
	set.pid.fd, set.log.fd, set.log.level = -1, -1, -1
	set.state = stateWords{dir: ".", name: simulatorState, mode: defaultStateMode}
	return set
}

// newTPMServer defines the flags of IBM's tpm_server.
func newTPMServer(f *flag.FlagSet, sandboxes *sandboxes) cli.Run {
	set := newSimulator()
	f.Func("port", "", set.setSimulatorPort)
	f.BoolVar(&set.state.anew, "rm", false, "")
	return func(ctx context.Context, args []string, s cli.Streams) error {
		if err := cli.Unexpected("tpm_server", args); err != nil {
			return err
		}
		return start(ctx, set, s, sandboxes, false)
	}
}

// newTPM2Simulator defines the flags of the reference code's simulator, and of the
// package of it for Ubuntu.
func newTPM2Simulator(f *flag.FlagSet, sandboxes *sandboxes) cli.Run {
	set := newSimulator()
	ephemeral := f.Bool("e", false, "")
	for _, name := range []string{"m", "manufacture"} {
		f.BoolVar(&set.state.anew, name, false, "")
	}
	for _, name := range []string{"p", "pick_ports"} {
		f.BoolVar(&set.simulator.pick, name, false, "")
	}
	return func(ctx context.Context, args []string, s cli.Streams) error {
		if len(args) > 1 {
			return cli.Unexpected("tpm2-simulator", args[1:])
		}
		if len(args) == 1 {
			if err := set.setSimulatorPort(args[0]); err != nil || set.simulator.port == 0 {
				return cli.Usage(fmt.Errorf("%q is no port from 1 to 65534", args[0]), "the platform port is one higher; see tpm2-simulator -h")
			}
		}
		if *ephemeral {
			set.state = stateWords{}
		}
		return start(ctx, set, s, sandboxes, false)
	}
}

// listenPicked opens the first pair of ports from w.port on that is free, and tells it in
// files of the working directory.
func (w *simulatorWords) listenPicked(ctx context.Context, hosts []string) error {
	for port := w.port; ; port += 2 {
		ports, err := mssim.ListenTCP(ctx, port, hosts...)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return err
		}
		w.ports = ports
		break
	}
	for name, port := range map[string]int{commandPortFile: w.ports.Port(), platformPortFile: w.ports.Port() + 1} {
		if err := os.WriteFile(name, []byte(strconv.Itoa(port)+"\n"), 0o644); err != nil {
			return errors.Join(fmt.Errorf("--pick_ports: %w", err), w.ports.Close())
		}
	}
	return nil
}

// announceSimulator writes what simulators write when they listen.
func announceSimulator(out io.Writer, set *settings) error {
	port := set.simulator.ports.Port()
	_, err := fmt.Fprintf(out, "TPM command server listening on port %d\nPlatform server listening on port %d\n", port, port+1)
	return err
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
