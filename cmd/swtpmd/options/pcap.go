package options

import (
	"errors"
	"io/fs"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/words"
)

// PcapWords is --pcap.
type PcapWords struct {
	Output
	Mode      fs.FileMode
	Truncate  bool
	Checksums bool
}

// DefaultPcapMode are the permissions of a new capture. swtpm's default lets the group
// read the authorizations in it.
const DefaultPcapMode = 0o600

// set reads the value of --pcap: swtpm's words, or a file's name.
func (p *PcapWords) set(text string) error {
	if !strings.Contains(text, "file=") && !strings.Contains(text, "fd=") {
		if text == "" {
			return words.Wrong("pcap", text, "it needs a file")
		}
		*p = PcapWords{Output: Output{File: text, FD: -1}, Mode: DefaultPcapMode}
		return nil
	}
	w, err := words.Parse("pcap", text, "file", "fd", "truncate", "mode", "checksums")
	if err != nil {
		return err
	}
	mode, err := w.Mode("pcap", "mode", DefaultPcapMode)
	if err != nil {
		return err
	}
	p.Mode = fs.FileMode(mode)
	if p.Truncate, err = w.Yes("pcap", "truncate"); err != nil {
		return err
	}
	if p.Checksums, err = w.Yes("pcap", "checksums"); err != nil {
		return err
	}
	return p.Output.set("pcap", w)
}

// checkCapture refuses what cannot be written together.
func (s *Set) checkCapture() error {
	if s.Trace == "-" && s.Daemonize {
		return cli.Usage(errors.New("--trace=- is for a daemon in the foreground: stdout goes with --daemon"), "name a file")
	}
	return nil
}
