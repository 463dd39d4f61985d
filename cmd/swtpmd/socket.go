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
)

// runSocket is swtpm's own command line: swtpm socket.
func runSocket(ctx context.Context, args []string, s streams) error {
	f := flag.NewFlagSet("swtpmd socket", flag.ContinueOnError)
	var set settings
	set.define(f)
	tpm2 := f.Bool("tpm2", false, "")
	capabilities := f.Bool("print-capabilities", false, "")
	states := f.Bool("print-states", false, "")
	if err := parse(f, args, s, socketHelp); err != nil {
		return err
	}
	set.state.fromEnvironment()
	switch {
	case *capabilities:
		return printCapabilities(s.out)
	case f.NArg() > 0:
		return &usageError{fmt.Errorf("unexpected argument %q", f.Arg(0)), "see swtpmd socket --help"}
	case !*tpm2:
		return &usageError{errors.New("a TPM 1.2 was asked for, and there is only a TPM 2.0"), "add --tpm2"}
	case *states:
		return printStates(s.out, set.state.dir)
	case len(set.control) == 0 && len(set.data) == 0:
		return &usageError{errors.New("nothing to listen on"), "add --ctrl, --server, --port or --fd"}
	case set.dir != "" || set.json:
		return &usageError{errors.New("--dir and --json are for swtpmd without the word socket"), "name each socket, with --ctrl, --server and --admin"}
	case set.consoleLog != "" && set.console == "":
		return &usageError{errors.New("--console-log without a console"), "add --console=unix:PATH (or file:PATH, -)"}
	case needsConsole(&set):
		return &usageError{errors.New("nothing says how far the guest's kernel is"), "add --console=unix:PATH (or file:PATH, -), or --timeline=builtin"}
	}
	if err := set.check(); err != nil {
		return err
	}
	if err := set.checkPaths(); err != nil {
		return err
	}
	return start(ctx, &set, s, false)
}

func needsConsole(set *settings) bool {
	return len(set.deferral.rules()) > 0 && set.console == "" && set.timeline == "" && set.admin == ""
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
		return &usageError{errors.New("--print-states without a directory to look into"), "add --tpmstate=dir=DIR"}
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
