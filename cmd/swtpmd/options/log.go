package options

import (
	"fmt"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/words"
)

// swtpm's log levels that matter here: 0 is silence, from 5 on it shows what
// the TPM does.
const (
	LogSilent = 0
	LogTrace  = 5
)

// LogWords is --log.
type LogWords struct {
	Output
	Level    int // -1 where the command line says none
	Prefix   string
	Truncate bool
	Secrets  bool // level 5 shows the bytes of commands and responses
}

// set reads the value of --log.
func (l *LogWords) set(text string) error {
	w, err := words.Parse("log", text, "file", "fd", "level", "prefix", "truncate", "secrets")
	if err != nil {
		return err
	}
	if l.Level, err = w.Number("log", "level", 100); err != nil {
		return err
	}
	if l.Truncate, err = w.Yes("log", "truncate"); err != nil {
		return err
	}
	if l.Secrets, err = w.Yes("log", "secrets"); err != nil {
		return err
	}
	if l.Secrets && l.Level < LogTrace {
		return words.Wrong("log", "secrets", fmt.Sprintf("it shows the bytes of commands, which takes level=%d", LogTrace))
	}
	l.Prefix = w["prefix"]
	if _, ok := w["file"]; !ok && w["fd"] == "" {
		l.FD = 2
		return nil
	}
	return l.Output.set("log", w)
}
