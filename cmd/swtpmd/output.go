package main

import (
	"fmt"
	"os"
	"strconv"
)

// output is a file by name or an inherited descriptor.
type output struct {
	file string
	fd   int // -1 for none
}

// name is what messages call it.
func (o *output) name() string {
	if o.fd >= 0 {
		return fmt.Sprintf("descriptor %d", o.fd)
	}
	return o.file
}

// set reads file= or fd=, of which there must be one.
func (o *output) set(option string, w words) (err error) {
	o.file = w["file"]
	if o.fd, err = w.number(option, "fd", maxDescriptor); err != nil {
		return err
	}
	if (o.file == "") == (o.fd < 0) {
		return &wordError{option, "", "it needs either file= or fd="}
	}
	return nil
}

// writePID writes the number of this process and returns what takes it away again.
func (o *output) writePID() (remove func(), err error) {
	pid := strconv.Itoa(os.Getpid()) + "\n"
	switch {
	case o.file != "":
		if err := os.WriteFile(o.file, []byte(pid), 0o644); err != nil {
			return nil, fmt.Errorf("--pid: %w", err)
		}
		return func() { os.Remove(o.file) }, nil
	case o.fd >= 0:
		file := os.NewFile(uintptr(o.fd), "--pid fd")
		if _, err := file.WriteString(pid); err != nil {
			return nil, fmt.Errorf("--pid: %w", err)
		}
		return func() {}, file.Close()
	}
	return func() {}, nil
}
