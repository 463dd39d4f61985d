package journal

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

// Bounds of a journal that is read.
const (
	maxLine    = 1 << 20   // bytes
	maxJournal = 256 << 20 // bytes
	maxDepth   = 64        // commands that are kept back at the same time
)

// Error reports why a journal cannot be read or repeated.
type Error struct {
	Line int // from 1
	Err  error
}

func (e *Error) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// Difference is the first line of a run that is not that of its journal.
type Difference struct {
	Line     int    `json:"line"` // of the journal, from 1
	Journal  string `json:"journal"`
	Repeated string `json:"repeated"`
}

// Repeated is what came of a replay.
type Repeated struct {
	Commands  int `json:"commands"`
	Decisions int `json:"decisions"`
	// Difference is nil if all bytes are the same.
	Difference *Difference `json:"difference,omitempty"`
}

// file is a journal that was read.
type file struct {
	header Header
	texts  [][]byte // with the header's
	lines  []Line   // with an empty one for the header
}

// decode decodes a line strictly.
func decode(text []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("the line goes on after its JSON object")
	}
	return nil
}

// read reads a journal.
func read(in io.Reader) (*file, error) {
	var f file
	scanner := bufio.NewScanner(io.LimitReader(in, maxJournal+1))
	scanner.Buffer(nil, maxLine)
	size := 0
	for scanner.Scan() {
		text := bytes.Clone(scanner.Bytes())
		at := len(f.texts) + 1
		if size += len(text) + 1; size > maxJournal {
			return nil, &Error{at, fmt.Errorf("the journal has more than %d bytes", maxJournal)}
		}
		var line Line
		var err error
		if at == 1 {
			err = decode(text, &f.header)
		} else {
			err = decode(text, &line)
		}
		switch {
		case err != nil:
		case at == 1 && f.header.Format != Format:
			err = fmt.Errorf("the journal has form %d, and this program reads form %d", f.header.Format, Format)
		case line.Lost > 0:
			err = errLost
		case line.Other != "":
			err = fmt.Errorf("%s: that cannot be repeated", line.Other)
		}
		if err != nil {
			return nil, &Error{at, err}
		}
		f.texts, f.lines = append(f.texts, text), append(f.lines, line)
	}
	if err := scanner.Err(); err != nil {
		return nil, &Error{len(f.texts) + 1, err}
	}
	if len(f.texts) == 0 {
		return nil, &Error{1, io.ErrUnexpectedEOF}
	}
	return &f, nil
}

var (
	errNoCommands = errors.New("the journal has no commands to repeat: write it with --journal-commands")
	errNoSeed     = errors.New("the bytes of the TPM cannot be had again: write the journal of one with --tpm-seed=N")
)

// Replay has the same rules decide about the same commands as in a journal, before a TPM
// that is new, and compares each line that comes of it with the journal, byte for byte. NewTPM
// makes that TPM: of the profile of the header, with Entropy of its seed, and with the
// clock. The error is an *Error for a journal that cannot be repeated.
//
// It waits for nothing: where a command was held or delayed, what let it go in the journal
// does so again.
func Replay(ctx context.Context, in io.Reader, newTPM func(Header, *Ticks) (transport.Device, error)) (*Repeated, error) {
	f, err := read(in)
	if err != nil {
		return nil, err
	}
	switch {
	case f.header.TPMSeed == nil:
		return nil, &Error{1, errNoSeed}
	case !f.header.Commands:
		return nil, &Error{1, errNoCommands}
	}
	p := &player{file: f, ctx: ctx, at: 1, clock: new(initcall.Clock)}
	ticks := new(Ticks)
	tpm, err := newTPM(f.header, ticks)
	if err == nil {
		err = p.build(tpm, ticks)
	}
	if err != nil {
		return nil, &Error{1, err}
	}
	for p.at < len(f.lines) && p.difference == nil {
		if err := p.step(); err != nil {
			return nil, &Error{p.at, err}
		}
	}
	if p.difference == nil && p.written < len(f.texts) {
		p.difference = &Difference{Line: p.written + 1, Journal: string(f.texts[p.written])}
	}
	return &Repeated{Commands: p.commands, Decisions: p.decisions, Difference: p.difference}, nil
}

// player repeats a run. It is used by one goroutine: a command that is held goes on with
// the lines that follow it.
type player struct {
	*file
	ctx   context.Context
	at    int // index of the line that comes next
	clock *initcall.Clock
	layer *faults.Layer
	to    *Writer
	front transport.Device
	own   transport.Device

	depth               int // commands that are kept back at the same time
	written             int // lines that are the same
	commands, decisions int
	difference          *Difference
}

// build puts the rules in front of the TPM.
func (p *player) build(tpm transport.Device, ticks *Ticks) error {
	plan := faults.Plan{Clock: p.clock, Seed: p.header.Seed, Dangerous: p.header.Dangerous}
	for _, text := range p.header.Rules {
		rule, err := faults.ParseRule(text)
		if err != nil {
			return fmt.Errorf("rule %q: %w", text, err)
		}
		plan.Rules = append(plan.Rules, rule)
	}
	p.to = NewWriter(p, p.header)
	plan.Time, plan.Journal = ticks.Time, p.to.Decided
	device, err := faults.Wrap(tpm, plan)
	if err != nil {
		return err
	}
	p.layer, _ = faults.Of(device)
	p.front, p.own = p.to.Device(device), p.to.Own(tpm)
	p.clock.Subscribe(p.to.Reached)
	return nil
}

// Write compares a line that comes of the run with that of the journal.
func (p *player) Write(text []byte) (int, error) {
	n := len(text)
	text = bytes.TrimSuffix(text, []byte("\n"))
	if p.difference != nil {
		return n, nil
	}
	d := Difference{Line: p.written + 1, Repeated: string(text)}
	if p.written < len(p.texts) {
		if bytes.Equal(text, p.texts[p.written]) {
			if p.lines[p.written].Decision != nil {
				p.decisions++
			}
			p.written++
			return n, nil
		}
		d.Journal = string(p.texts[p.written])
	}
	p.difference = &d
	return n, nil
}

// step does what the next line says was done. Lines of what came of it are passed over.
func (p *player) step() error {
	line := &p.lines[p.at]
	p.at++
	switch {
	case line.Command != nil:
		return p.send(line.Command)
	case line.Level != nil:
		return p.move(line.Level)
	case line.Rules != nil:
		return p.change(line.Rules)
	case line.Power == powerInit || line.Power == powerOff:
		power, ok := transport.As[transport.Power](p.front)
		if !ok {
			return errors.New("the TPM has no switch")
		}
		if line.Power == powerInit {
			return power.Init()
		}
		return power.PowerOff()
	case line.Power != "":
		return fmt.Errorf("nobody can do %q to power", line.Power)
	}
	return nil
}

func (p *player) send(c *Command) error {
	command, err := hex.DecodeString(c.Bytes)
	if err != nil {
		return err
	}
	ctx := transport.WithWait(p.ctx, p.wait)
	if c.Client != "" {
		ctx = transport.WithClient(ctx, c.Client)
	}
	if c.Probe {
		ctx = transport.WithProbe(ctx)
	}
	device := p.front
	if c.Own {
		device = p.own
	}
	if p.depth == maxDepth {
		return fmt.Errorf("more than %d commands are kept back at the same time", maxDepth)
	}
	p.commands++
	p.depth++
	defer func() { p.depth-- }()
	// What goes wrong is in the line of the answer.
	_, _ = device.Send(ctx, c.Locality, command)
	return p.ctx.Err()
}

// wait stands for the time in which a command is kept back: it does what the journal says
// was done meanwhile.
func (p *player) wait(released <-chan struct{}, _ time.Duration) bool {
	for p.difference == nil && p.at < len(p.lines) {
		select {
		case <-released:
			return true
		default:
		}
		line := &p.lines[p.at]
		switch {
		case p.at < p.written:
			p.at++ // it has come already: that the command is held, or of what was done since
		case line.Decision != nil || line.Answer != nil:
			return false // it came of the time that has passed
		default:
			if err := p.step(); err != nil {
				p.difference = &Difference{Line: p.at, Journal: string(p.texts[p.at-1]), Repeated: err.Error()}
			}
		}
	}
	select {
	case <-released:
		return true
	default:
		return false
	}
}

// move moves the clock.
func (p *player) move(to *Level) error {
	switch {
	case to.Level != initcall.Firmware:
		return p.clock.Advance(to.Level, initcall.NoTime, "journal")
	case to.Boot <= 1:
		p.clock.PowerOn("journal")
	default:
		p.clock.NewBoot("journal")
	}
	return nil
}

// change changes the rules.
func (p *player) change(c *Change) (err error) {
	var rules []faults.Rule
	for _, text := range c.Rules {
		switch c.Change {
		case "added":
			var rule faults.Rule
			rule, err = faults.ParseRule(text)
			rules = append(rules, rule)
		case "removed":
			err = p.layer.Remove(text)
		case "enabled", "disabled":
			err = p.layer.Enable(text, c.Change == "enabled")
		default:
			err = fmt.Errorf("rules cannot be %q", c.Change)
		}
		if err != nil {
			return err
		}
	}
	if err := p.layer.Add(rules...); err != nil {
		return err
	}
	p.to.Changed(c.Change, c.Rules)
	return nil
}
