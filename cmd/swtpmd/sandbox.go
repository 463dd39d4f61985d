package main

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/sandbox"
)

// sandboxMode is the word of --sandbox. The zero value is what stands without
// one: as much as the kernel has.
type sandboxMode string

const (
	sandboxOff      sandboxMode = "off"
	sandboxLandlock sandboxMode = "landlock"
	sandboxFull     sandboxMode = "full"
	// sandboxSeccomp is no word of --sandbox but what a kernel without Landlock
	// has.
	sandboxSeccomp sandboxMode = "seccomp"
)

// sandboxWords are --sandbox, and swtpm's --seccomp.
type sandboxWords struct {
	mode      sandboxMode
	noSeccomp bool // --seccomp=action=none
}

// set reads the value of --sandbox.
func (w *sandboxWords) set(text string) error {
	switch mode := sandboxMode(text); mode {
	case sandboxOff, sandboxLandlock, sandboxFull:
		w.mode = mode
		return nil
	}
	return errors.New("it is off, landlock or full")
}

// setSeccomp is swtpm's option for its own filter: none switches it off, and the
// other actions do not change what this one does.
func (w *sandboxWords) setSeccomp(text string) error {
	values, err := parseWords("seccomp", text, "action")
	if err != nil {
		return err
	}
	switch action := values["action"]; action {
	case "none", "log", "kill":
		w.noSeccomp = action == "none"
		return nil
	default:
		return &wordError{"seccomp", text, "it is action=kill, action=log or action=none"}
	}
}

// sandboxes are the two that the system may have, as package sandbox has them.
type sandboxes struct {
	landlock func(sandbox.Reach) (version int, err error)
	seccomp  func(sandbox.Reach) error
}

// errShared is why a daemon that is part of another process is not confined: that
// would be confined with it, for good.
var errShared = errors.New("swtpmd runs as a part of another process")

// confine takes from the process what it has no use for while it serves, and returns
// what is in force. All that the command line names is open by now. reachOf returns
// what stays within reach.
func (b *sandboxes) confine(w *sandboxWords, reachOf func() (sandbox.Reach, error), log *slog.Logger) (sandboxMode, error) {
	mode := w.mode
	switch {
	case mode == sandboxOff, b == nil && mode == "":
		return confined(log, 0, false, nil), nil
	case b == nil:
		return "", fmt.Errorf("--sandbox=%s: %w", mode, errShared)
	}
	// The first local time reads the time zone's file.
	_, _ = time.Now().Zone()
	reach, err := reachOf()
	if err != nil {
		return "", fmt.Errorf("--sandbox: %w", err)
	}
	version, missing := b.landlock(reach)
	if missing != nil && mode != "" {
		return "", fmt.Errorf("--sandbox=%s: %w; say --sandbox=off to run without", mode, missing)
	}
	if mode == sandboxLandlock || mode == "" && w.noSeccomp {
		return confined(log, version, false, missing), nil
	}
	err = b.seccomp(reach)
	if err != nil && mode != "" {
		return "", fmt.Errorf("--sandbox=%s: %w; say --sandbox=landlock to run without", mode, err)
	}
	return confined(log, version, err == nil, errors.Join(missing, err)), nil
}

// confined logs and returns what is in force. landlock is Landlock's version, 0
// without it. missing is why the kernel does not have more.
func confined(log *slog.Logger, landlock int, seccomp bool, missing error) sandboxMode {
	mode := sandboxOff
	switch {
	case landlock != 0 && seccomp:
		mode = sandboxFull
	case landlock != 0:
		mode = sandboxLandlock
	case seccomp:
		mode = sandboxSeccomp
	}
	attributes := []any{"sandbox", string(mode)}
	if landlock != 0 {
		attributes = append(attributes, "landlock", landlock)
	}
	if missing != nil {
		attributes = append(attributes, "cause", strings.ReplaceAll(missing.Error(), "\n", "; "))
		log.Warn("the kernel has no more of a sandbox", attributes...)
		return mode
	}
	log.Info("confined", attributes...)
	return mode
}
