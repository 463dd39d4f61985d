package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
)

// newSocket defines the flags of swtpmd socket, swtpm's own command line.
func newSocket(f *flag.FlagSet, sandboxes *sandboxes) cli.Run {
	i := newImitation(f, inSocket)
	return func(ctx context.Context, args []string, s cli.Streams) error {
		if done, err := i.answer(args, s.Out); done || err != nil {
			return err
		}
		set := i.set
		if len(set.control) == 0 && len(set.data) == 0 {
			return cli.Usage(errors.New("nothing to listen on"), "add --ctrl, --server, --port or --fd")
		}
		if err := i.check(); err != nil {
			return err
		}
		return start(ctx, set, s, sandboxes, false)
	}
}

// imitation is what the commands have in common that take swtpm's own command line.
type imitation struct {
	set                        *settings
	name                       string // of the command, such as "swtpmd socket"
	tpm2, capabilities, states bool
}

// newImitation defines the flags of command c.
func newImitation(f *flag.FlagSet, c command) *imitation {
	i := &imitation{set: new(settings), name: f.Name()}
	i.set.define(f, c)
	f.BoolVar(&i.tpm2, "tpm2", false, "")
	f.BoolVar(&i.capabilities, "print-capabilities", false, "")
	f.BoolVar(&i.states, "print-states", false, "")
	return i
}

// answer prints what the command line asks for instead of a TPM; done reports whether
// it does. Then a command line that asks for none is refused unless --tpm2 is there.
func (i *imitation) answer(args []string, out io.Writer) (done bool, err error) {
	i.set.state.fromEnvironment()
	switch {
	case i.capabilities:
		return true, printCapabilities(out)
	case len(args) > 0:
		return true, cli.Unexpected(i.name, args)
	case !i.tpm2:
		return true, cli.Usage(errors.New("a TPM 1.2 was asked for, and there is only a TPM 2.0"), "add --tpm2")
	case i.states:
		return true, printStates(out, i.set.state.dir)
	}
	return false, nil
}

// check finds what no single option can see.
func (i *imitation) check() error {
	set := i.set
	switch {
	case set.dir != "" || set.json:
		return cli.Usage(errors.New("--dir and --json are for swtpmd without the word "+strings.TrimPrefix(i.name, "swtpmd ")), "name each socket, with --ctrl, --server and --admin")
	case set.consoleLog != "" && set.console == "":
		return cli.Usage(errors.New("--console-log without a console"), "add --console=unix:PATH (or file:PATH, -)")
	case set.gdb.wanted && set.gdb.path == "":
		return cli.Usage(errors.New("--levels=gdb without a socket"), "say --levels=gdb:unix:PATH")
	case needsConsole(set):
		return cli.Usage(errors.New("nothing says how far the guest's kernel is"), "add --console=unix:PATH (or file:PATH, -), --levels=gdb:unix:PATH, or --timeline=builtin")
	}
	if err := set.check(); err != nil {
		return err
	}
	return set.checkPaths()
}

func needsConsole(set *settings) bool {
	return len(set.deferral.Rules()) > 0 && set.console == "" && set.timeline == "" && !set.gdb.wanted && set.admin == ""
}

// features are the words of swtpm's --print-capabilities that hold here
// (swtpm(8), "--print-capabilities").
var features = []string{
	"tpm-2.0",
	"tpm-send-command-header",
	"flags-opt-startup",
	"flags-opt-disable-auto-shutdown",
	"ctrl-opt-terminate",
	"cmdarg-print-states",
	"nvram-backend-dir",
	"tpmstate-opt-lock",
	"tpmstate-dir-backend-opt-fsync",
}

// printCapabilities prints what libvirt asks swtpm for.
func printCapabilities(out io.Writer) error {
	return json.NewEncoder(out).Encode(struct {
		Type     string   `json:"type"`
		Features []string `json:"features"`
		Version  string   `json:"version"`
	}{"swtpm", features, strings.TrimPrefix(release, "v")})
}

// storedState is a part of a TPM's state in the words of swtpm's --print-states.
type storedState struct {
	Name string `json:"name"`
	Size int64  `json:"size"`
}

// printStates prints what is stored in the directory, for swtpm_setup, which
// asks before it makes a TPM there (swtpm(8), "--print-states"). The state file
// is what swtpm calls permall. It is looked at from outside, without the lock:
// the directory may be a running TPM's.
func printStates(out io.Writer, dir string) error {
	if dir == "" {
		return cli.Usage(errors.New("--print-states without a directory to look into"), "add --tpmstate=dir=DIR")
	}
	states := []storedState{}
	// swtpmd makes a directory that is not there, so that one holds no state.
	info, err := os.Stat(filepath.Join(dir, stateFile))
	switch {
	case err == nil:
		states = append(states, storedState{"permall", info.Size()})
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("--print-states: %w", err)
	}
	return json.NewEncoder(out).Encode(struct {
		Type   string        `json:"type"`
		States []storedState `json:"states"`
	}{"swtpm", states})
}
