package cli

import (
	"flag"
	"fmt"

	"github.com/swtpmd/swtpmd/ima/cel"
	"github.com/swtpmd/swtpmd/ima/evidence"
)

// ListFormat is --format: the form in which a measurement list is written besides
// the kernel's own.
type ListFormat struct{ encoding cel.Encoding }

// Define defines --format.
func (f *ListFormat) Define(flags *flag.FlagSet) { flags.TextVar(f, "format", ListFormat{}, "") }

// Write writes the files of securityfs into a directory, with the log that the
// format asks for.
func (f *ListFormat) Write(dir string, files evidence.Securityfs) error {
	lists, err := evidence.WriteLists(dir, files)
	if err != nil || f.encoding == 0 {
		return err
	}
	if err := lists.WriteLog(dir, f.encoding); err != nil {
		return fmt.Errorf("--format=%s: %w", f.encoding, err)
	}
	return nil
}

// UnmarshalText takes kernel, cel-tlv, cel-json or cel-cbor.
func (f *ListFormat) UnmarshalText(text []byte) error {
	if string(text) == "kernel" {
		f.encoding = 0
		return nil
	}
	return f.encoding.UnmarshalText(text)
}

// MarshalText returns the word for the format.
func (f ListFormat) MarshalText() ([]byte, error) {
	if f.encoding == 0 {
		return []byte("kernel"), nil
	}
	return f.encoding.MarshalText()
}
