package daemon

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// Ready is what the daemon tells when every socket accepts.
type Ready struct {
	Ready   bool   `json:"ready"`
	PID     int    `json:"pid"`
	Dir     string `json:"dir"`
	Control string `json:"ctrl,omitempty"`
	Data    string `json:"data,omitempty"`
	Console string `json:"console,omitempty"`
	GDB     string `json:"gdb,omitempty"`
	Admin   string `json:"admin"`
	// TCTI is the TPM of swtpmd mssim in the words of tpm2-tss, Command and Platform
	// are its ports.
	TCTI     string `json:"tcti,omitempty"`
	Command  string `json:"command,omitempty"`
	Platform string `json:"platform,omitempty"`
	State    string `json:"state,omitempty"`   // absent for memory
	Profile  string `json:"profile,omitempty"` // absent without --profile
	Backend  string `json:"backend,omitempty"` // absent for swtpmd's own TPM
	// QEMU are the options to paste, Append the words for the guest's
	// kernel command line.
	QEMU   []string `json:"qemu,omitempty"`
	Append string   `json:"append,omitempty"`
}

// kernelWords make a kernel say how far it is.
const kernelWords = "initcall_debug ignore_loglevel"

// newReady returns what a daemon with these settings tells.
func newReady(set *options.Set) Ready {
	r := Ready{Ready: true, PID: os.Getpid(), Dir: set.Dir, Admin: set.Admin, State: set.State.Dir, Profile: set.Profile.Name()}
	if set.Backend != nil {
		r.Backend = set.Backend.String()
	}
	for _, e := range set.Control {
		if r.Control == "" && e.Network == "unix" {
			r.Control = e.Address
		}
	}
	for _, e := range set.Data {
		if r.Data == "" && e.Network != "" {
			r.Data = e.Address
		}
	}
	if r.Control != "" {
		r.QEMU = []string{
			"-chardev", "socket,id=swtpmd,path=" + comma(r.Control),
			"-tpmdev", "emulator,id=tpm0,chardev=swtpmd",
			"-device", "tpm-tis,tpmdev=tpm0",
		}
	}
	if path, ok := strings.CutPrefix(set.Console, "unix:"); ok {
		r.Console = path
		r.QEMU = append(r.QEMU,
			"-chardev", "socket,id=console,path="+comma(path),
			"-serial", "chardev:console")
	}
	if path, ok := strings.CutPrefix(set.Console, "file:"); ok {
		// No logfile= of another chardev: that has bytes twice
		// (findings/qemu-logfile-doubles-bytes.sh).
		r.QEMU = append(r.QEMU,
			"-chardev", "file,id=console,path="+comma(path),
			"-serial", "chardev:console")
	}
	if set.GDB.Path != "" {
		r.GDB = set.GDB.Path
		// The guest waits until there are breakpoints.
		r.QEMU = append(r.QEMU,
			"-chardev", "socket,id=gdb,path="+comma(r.GDB),
			"-gdb", "chardev:gdb", "-S")
		r.Append = "nokaslr"
	}
	if set.Console != "" {
		r.Append = "console=ttyS0 " + kernelWords
	}
	return r
}

// comma doubles commas, as QEMU wants them in option values.
func comma(path string) string { return strings.ReplaceAll(path, ",", ",,") }

// tellReady prints what to paste into QEMU's command line, and the command that asks
// the daemon. All of it runs as it is pasted: the options come first, because a
// comment before or between them would end the command that they belong to.
func tellReady(out io.Writer, set *options.Set) error {
	if set.Simulator != nil {
		return set.Simulator.Announce(out, set)
	}
	r := newReady(set)
	if set.JSON {
		return json.NewEncoder(out).Encode(r)
	}
	var text strings.Builder
	options := r.QEMU
	if r.Append != "" {
		options = append(slices.Clip(options), "-append", r.Append)
	}
	for i, option := range options {
		switch {
		case i == 0:
		case strings.HasPrefix(option, "-"):
			text.WriteString(" \\\n")
		default:
			text.WriteString(" ")
		}
		text.WriteString(shellQuote(option))
	}
	if len(options) > 0 {
		text.WriteString("\n")
	}
	if len(options) > 0 {
		text.WriteString("# These options are for qemu-system-x86_64.\n")
	}
	if r.Append != "" {
		text.WriteString("# -append needs -kernel; without it the guest's boot loader gives its kernel the words.\n")
	}
	ask := "the daemon"
	if set.Deferral.Until != initcall.Firmware {
		ask = fmt.Sprintf("whether the TPM is there (it comes at %s)", set.Deferral.Until)
	}
	fmt.Fprintf(&text, "# Ask %s:\nswtpmd ctl --admin %s status\n", ask, shellQuote(r.Admin))
	_, err := io.WriteString(out, text.String())
	return err
}

// shellQuote makes text one word for a shell.
func shellQuote(text string) string {
	if text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_@%+=:,./-") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
