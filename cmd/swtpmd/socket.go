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
	set := new(settings)
	set.define(f)
	tpm2 := f.Bool("tpm2", false, "")
	capabilities := f.Bool("print-capabilities", false, "")
	states := f.Bool("print-states", false, "")
	return func(ctx context.Context, args []string, s cli.Streams) error {
		set.state.fromEnvironment()
		switch {
		case *capabilities:
			return printCapabilities(s.Out)
		case len(args) > 0:
			return cli.Unexpected("swtpmd socket", args)
		case !*tpm2:
			return cli.Usage(errors.New("a TPM 1.2 was asked for, and there is only a TPM 2.0"), "add --tpm2")
		case *states:
			return printStates(s.Out, set.state.dir)
		case len(set.control) == 0 && len(set.data) == 0:
			return cli.Usage(errors.New("nothing to listen on"), "add --ctrl, --server, --port or --fd")
		case set.dir != "" || set.json:
			return cli.Usage(errors.New("--dir and --json are for swtpmd without the word socket"), "name each socket, with --ctrl, --server and --admin")
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
		if err := set.checkPaths(); err != nil {
			return err
		}
		return start(ctx, set, s, sandboxes, false)
	}
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
