// Package assembly is for the commands that generate assembly with avo: it makes the file's
// text, and has the main function that writes it.
package assembly

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/mmcloughlin/avo/build"
	"github.com/mmcloughlin/avo/pass"
	"github.com/mmcloughlin/avo/printer"
)

// File is a file of assembly for amd64 that a command of scripts/tools generates.
type File struct {
	Package string // of the file, and the name of the command
	Name    string // such as ring_amd64.s
	// Functions write the functions.
	Functions []func(*build.Context)
}

// Text returns the file's text.
func (f *File) Text() ([]byte, error) {
	c := build.NewContext()
	c.ConstraintExpr("amd64,!purego")
	for _, function := range f.Functions {
		function(c)
	}
	file, err := c.Result()
	if err != nil {
		return nil, err
	}
	if err := pass.Compile.Execute(file); err != nil {
		return nil, err
	}
	return printer.NewGoAsm(printer.Config{Name: "scripts/tools/" + f.Package, Pkg: f.Package}).Print(file)
}

// Main is the main function of the command: it writes the file into the folder that is its
// only argument.
func (f *File) Main() {
	if len(os.Args) != 2 {
		fmt.Fprintf(os.Stderr, "usage: %s FOLDER\n", f.Package)
		os.Exit(2)
	}
	text, err := f.Text()
	if err == nil {
		err = os.WriteFile(filepath.Join(os.Args[1], f.Name), text, 0o644)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", f.Package, err)
		os.Exit(1)
	}
}
