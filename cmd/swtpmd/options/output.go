package options

import (
	"fmt"
	"os"
	"strconv"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/words"
)

// Output is a file by name or an inherited descriptor.
type Output struct {
	File string
	FD   int // -1 for none
}

// Name is what messages call it.
func (o *Output) Name() string {
	if o.FD >= 0 {
		return fmt.Sprintf("descriptor %d", o.FD)
	}
	return o.File
}

// set reads file= or fd=, of which there must be one.
func (o *Output) set(option string, w words.Values) (err error) {
	o.File = w["file"]
	if o.FD, err = w.Number(option, "fd", words.MaxDescriptor); err != nil {
		return err
	}
	if (o.File == "") == (o.FD < 0) {
		return words.Wrong(option, "", "it needs either file= or fd=")
	}
	return nil
}

// WritePID writes the number of this process and returns what takes it away again.
func (o *Output) WritePID() (remove func(), err error) {
	pid := strconv.Itoa(os.Getpid()) + "\n"
	switch {
	case o.File != "":
		if err := os.WriteFile(o.File, []byte(pid), 0o644); err != nil {
			return nil, fmt.Errorf("--pid: %w", err)
		}
		return func() { os.Remove(o.File) }, nil
	case o.FD >= 0:
		file := os.NewFile(uintptr(o.FD), "--pid fd")
		if _, err := file.WriteString(pid); err != nil {
			return nil, fmt.Errorf("--pid: %w", err)
		}
		return func() {}, file.Close()
	}
	return func() {}, nil
}
