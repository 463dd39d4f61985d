package lab

import (
	"fmt"
	"strings"
	"time"
)

// SetupError reports that something a boot needs could not be had.
type SetupError struct {
	What string // what was wanted, such as "qemu-system-x86_64"
	Hint string // what the reader can do about it
	Err  error
}

func (e *SetupError) Error() string {
	text := "cannot get " + e.What
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.Hint != "" {
		text += " (" + e.Hint + ")"
	}
	return text
}

func (e *SetupError) Unwrap() error { return e.Err }

// BootError reports that a boot was started and sent no report.
type BootError struct {
	Stage   string        // what Run waited for
	After   time.Duration // since QEMU was started
	Console []string      // the last lines of the guest's console
	QEMU    string        // QEMU's standard error
	Daemon  string        // the TPM's standard error
	Hint    string        // what the reader can do about it
	Err     error
}

func (e *BootError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "no verdict after %.1f s, while waiting for %s: %v", e.After.Seconds(), e.Stage, e.Err)
	for _, part := range []struct{ name, text string }{
		{"QEMU", e.QEMU}, {"the TPM", e.Daemon}, {"the console, last lines", strings.Join(e.Console, "\n")}, {"hint", e.Hint},
	} {
		if text := strings.TrimSpace(part.text); text != "" {
			fmt.Fprintf(&b, "\n%s:\n  %s", part.name, strings.ReplaceAll(text, "\n", "\n  "))
		}
	}
	return b.String()
}

func (e *BootError) Unwrap() error { return e.Err }
