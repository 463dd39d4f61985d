package initcall

import (
	"errors"
	"fmt"
	"strings"

	"github.com/swtpmd/swtpmd/faults/initcall/internal/rsp"
)

// begin takes a kernel that starts.
func (a *attached) begin(boot int, at stopAt) error {
	if err := a.forget(); err != nil {
		return err
	}
	counts, newBoot := a.starts()
	if !counts {
		a.doubt(at, "no reset came before this kernel")
		return nil
	}
	steps, banner, err := a.recognize()
	var wrong *WrongKernelError
	switch {
	case errors.As(err, &wrong):
		if a.Refused != nil {
			a.Refused(err)
		}
		return nil
	case err != nil:
		return err
	}
	if a.Found != nil {
		a.Found(banner)
	}
	if newBoot {
		a.clock.NewBoot("another kernel has come to " + at.name)
		boot = a.clock.Now().Boot
	}
	a.boot, a.steps = boot, steps
	a.advance(at)
	return a.armNext()
}

// maxBanner bounds what is read of a kernel's banner, in bytes.
const maxBanner = 256

// recognize makes sure that the kernel is the map's, and gives the places to
// stop at.
func (a *attached) recognize() (steps []stopAt, banner string, err error) {
	text, err := a.memory(a.kernel.banner.start, maxBanner)
	if err != nil {
		return nil, "", err
	}
	banner = printable(text)
	if !strings.HasPrefix(banner, "Linux version ") {
		return nil, "", &WrongKernelError{Reason: fmt.Sprintf("there is no banner at %#x", a.kernel.banner.start)}
	}
	table, err := a.memory(a.kernel.table[0].address, a.kernel.size())
	var functions []uint64
	if err == nil {
		functions, err = a.kernel.functions(table)
	}
	var wrong *WrongKernelError
	if errors.As(err, &wrong) {
		wrong.Banner = banner
	}
	if err != nil {
		return nil, "", err
	}
	seen := make(map[uint64]bool)
	for i, e := range a.kernel.table {
		// One that is called at two levels shows the first.
		if !seen[functions[i]] {
			steps = append(steps, stopAt{e.level, e.function, functions[i]})
		}
		seen[functions[i]] = true
	}
	return append(steps, stopAt{Userspace, a.kernel.init.name, a.kernel.init.start}), banner, nil
}

// memory reads the kernel's memory. What is not there is another kernel's.
func (a *attached) memory(address uint64, n int) ([]byte, error) {
	data, err := a.conn.Memory(address, n)
	var refused *rsp.RefusedError
	if errors.As(err, &refused) {
		return nil, &WrongKernelError{Reason: fmt.Sprintf("it has no memory at %#x", address)}
	}
	return data, err
}

// printable returns a C string of the kernel's up to its end, or the end of its
// first line.
func printable(text []byte) string {
	s, _, _ := strings.Cut(string(text), "\x00")
	s, _, _ = strings.Cut(s, "\n")
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// maxCommandLine is the longest of the kernels' COMMAND_LINE_SIZE, in bytes.
const maxCommandLine = 4096

// leaveOut leaves out the initcalls that the kernel's command line does
// (init/main.c: initcall_blacklist). It may be read from the first initcall on.
func (a *attached) leaveOut() error {
	if a.kernel.commandLine.name == "" {
		return nil
	}
	pointer, err := a.memory(a.kernel.commandLine.start, 8)
	if err != nil {
		return err
	}
	// The text ends anywhere before memory that is not there.
	var line []byte
	for address := littleEndian(pointer); len(line) < maxCommandLine; {
		data, err := a.conn.Memory(address+uint64(len(line)), commandLinePart)
		var refused *rsp.RefusedError
		if errors.As(err, &refused) {
			break
		}
		if err != nil {
			return err
		}
		line = append(line, data...)
		if strings.IndexByte(string(data), 0) >= 0 {
			break
		}
	}
	text, _, _ := strings.Cut(string(line), "\x00")
	gone := make(map[string]bool)
	for _, word := range strings.Fields(text) {
		if names, ok := strings.CutPrefix(word, "initcall_blacklist="); ok {
			for name := range strings.SplitSeq(names, ",") {
				gone[name] = true
			}
		}
	}
	kept := a.steps[:0]
	for _, s := range a.steps {
		if !gone[s.name] || s.level == Userspace {
			kept = append(kept, s)
		} else if err := a.disarm(s); err != nil {
			return err
		}
	}
	a.steps = kept
	return nil
}

// commandLinePart is how much of it is read at once, in bytes.
const commandLinePart = 64
