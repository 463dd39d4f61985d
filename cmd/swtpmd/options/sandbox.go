package options

import (
	"errors"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/words"
)

// SandboxMode is the word of --sandbox. The zero value is what stands without
// one: as much as the kernel has.
type SandboxMode string

// The words of --sandbox.
const (
	SandboxOff      SandboxMode = "off"
	SandboxLandlock SandboxMode = "landlock"
	SandboxFull     SandboxMode = "full"
	// SandboxSeccomp is no word of --sandbox but what a kernel without Landlock
	// has.
	SandboxSeccomp SandboxMode = "seccomp"
)

// SandboxWords are --sandbox, and swtpm's --seccomp.
type SandboxWords struct {
	Mode      SandboxMode
	NoSeccomp bool // --seccomp=action=none
}

// set reads the value of --sandbox.
func (w *SandboxWords) set(text string) error {
	switch mode := SandboxMode(text); mode {
	case SandboxOff, SandboxLandlock, SandboxFull:
		w.Mode = mode
		return nil
	}
	return errors.New("it is off, landlock or full")
}

// setSeccomp is swtpm's option for its own filter: none switches it off, and the
// other actions do not change what this one does.
func (w *SandboxWords) setSeccomp(text string) error {
	values, err := words.Parse("seccomp", text, "action")
	if err != nil {
		return err
	}
	switch action := values["action"]; action {
	case "none", "log", "kill":
		w.NoSeccomp = action == "none"
		return nil
	default:
		return words.Wrong("seccomp", text, "it is action=kill, action=log or action=none")
	}
}
