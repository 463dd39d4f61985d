package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/sandbox"
)

// Sandboxes are the two that the system may have, as package sandbox has them.
type Sandboxes struct {
	Landlock func(sandbox.Reach) (version int, err error)
	Seccomp  func(sandbox.Reach) error
}

// ErrShared is why a daemon that is part of another process is not confined: that
// would be confined with it, for good.
var ErrShared = errors.New("swtpmd runs as a part of another process")

// confine takes from the process what it has no use for while it serves, and returns
// what is in force. All that the command line names is open by now. reachOf returns
// what stays within reach.
func (b *Sandboxes) confine(w *options.SandboxWords, reachOf func() (sandbox.Reach, error), log *slog.Logger) (options.SandboxMode, error) {
	mode := w.Mode
	switch {
	case mode == options.SandboxOff, b == nil && mode == "":
		return confined(log, 0, false, nil), nil
	case b == nil:
		return "", fmt.Errorf("--sandbox=%s: %w", mode, ErrShared)
	}
	// The first local time reads the time zone's file.
	_, _ = time.Now().Zone()
	reach, err := reachOf()
	if err != nil {
		return "", fmt.Errorf("--sandbox: %w", err)
	}
	version, missing := b.Landlock(reach)
	if missing != nil && mode != "" {
		return "", fmt.Errorf("--sandbox=%s: %w; say --sandbox=off to run without", mode, missing)
	}
	if mode == options.SandboxLandlock || mode == "" && w.NoSeccomp {
		return confined(log, version, false, missing), nil
	}
	err = b.Seccomp(reach)
	if err != nil && mode != "" {
		return "", fmt.Errorf("--sandbox=%s: %w; say --sandbox=landlock to run without", mode, err)
	}
	return confined(log, version, err == nil, errors.Join(missing, err)), nil
}

// confined logs and returns what is in force. landlock is Landlock's version, 0
// without it. missing is why the kernel does not have more.
func confined(log *slog.Logger, landlock int, seccomp bool, missing error) options.SandboxMode {
	mode := options.SandboxOff
	switch {
	case landlock != 0 && seccomp:
		mode = options.SandboxFull
	case landlock != 0:
		mode = options.SandboxLandlock
	case seccomp:
		mode = options.SandboxSeccomp
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
