package conversation

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Action is the kind of a [Step].
type Action uint8

// The actions. Their names in a transcript are the String forms.
const (
	// Send sends Data as a command at Locality.
	Send Action = iota
	// Init is _TPM_Init: power on, or off and on again.
	Init
	// PowerOff takes the power away.
	PowerOff
	// HashStart is _TPM_Hash_Start.
	HashStart
	// HashData is _TPM_Hash_Data with Data.
	HashData
	// HashEnd is _TPM_Hash_End.
	HashEnd
	// SendHMAC is Send with the HMACs of the sessions in Secrets filled in.
	SendHMAC
)

var actionNames = [...]string{"send", "init", "power-off", "hash-start", "hash-data", "hash-end", "send-hmac"}

func (a Action) String() string {
	if int(a) < len(actionNames) {
		return actionNames[a]
	}
	return fmt.Sprintf("Action(%d)", uint8(a))
}

// Step is one thing done to a device.
type Step struct {
	// ID is the number by which holes of later steps refer to this one; 0 if none
	// does.
	ID       int
	Action   Action
	Locality uint8
	// Data is the command without the bytes that differ from device to device:
	// Holes has those, in the order of their places.
	Data  []byte
	Holes []Hole
	// Secrets are for SendHMAC: the sessions whose HMACs the player makes. Data has
	// as many bytes in their place.
	Secrets []Secret
	// Note is the generator's remark on a step, one line.
	Note string
}

// Script is a list of steps, to be played on a device fresh from the factory:
// with power, before TPM2_Startup.
type Script []Step

// String returns the step as a line of a transcript:
//
//	7: send 0 8001… # CreatePrimary
//	send-hmac 0 8002…{7.0}… 1=736563726574
//	hash-data 6162
//	init
func (s Step) String() string { return s.line(s.ID > 0) }

func (s Step) line(labelled bool) string {
	var b strings.Builder
	if labelled {
		fmt.Fprintf(&b, "%d: ", s.ID)
	}
	b.WriteString(s.Action.String())
	switch s.Action {
	case Send:
		fmt.Fprintf(&b, " %d %s", s.Locality, s.text())
	case SendHMAC:
		fmt.Fprintf(&b, " %d %s ", s.Locality, s.text())
		for i, secret := range s.Secrets {
			if i > 0 {
				b.WriteByte(',')
			}
			fmt.Fprintf(&b, "%d=%x", secret.Session, secret.Auth)
		}
		if len(s.Secrets) == 0 {
			b.WriteByte('-')
		}
	case HashData:
		b.WriteString(" " + wire.Hex(s.Data))
	}
	if note := s.remark(); note != "" {
		b.WriteString(" # " + note)
	}
	return b.String()
}

// text writes the command with its holes.
func (s Step) text() string {
	if len(s.Holes) == 0 {
		return wire.Hex(s.Data)
	}
	var b strings.Builder
	done := 0
	for _, h := range s.Holes {
		b.WriteString(hex.EncodeToString(s.Data[done:h.At]) + h.String())
		done = h.At + h.Len
	}
	b.WriteString(hex.EncodeToString(s.Data[done:]))
	return b.String()
}

// IsCommand reports whether the step sends a command.
func (s Step) IsCommand() bool { return s.Action == Send || s.Action == SendHMAC }

// remark is the note, preceded by the name of the command.
func (s Step) remark() string {
	name := ""
	if code, ok := conformance.CommandCode(s.Data); s.IsCommand() && ok {
		name = conformance.CommandName(code)
	}
	return strings.TrimSpace(name + " " + strings.ReplaceAll(s.Note, "\n", " "))
}

// String returns the script as a transcript, one step a line. Steps that others
// refer to have their ID in front.
func (s Script) String() string {
	referred := s.referred()
	var b strings.Builder
	for _, step := range s {
		b.WriteString(step.line(step.ID > 0 && referred[step.ID]))
		b.WriteByte('\n')
	}
	return b.String()
}

// referred are the IDs of the steps whose answers are in holes.
func (s Script) referred() map[int]bool {
	referred := map[int]bool{}
	for _, step := range s {
		for _, h := range step.Holes {
			referred[h.Step] = true
		}
	}
	return referred
}

// Limits of a transcript read back.
const (
	maxSteps    = 1 << 16
	maxStepLine = 1 << 20
)

// SyntaxError is a line of a transcript that cannot be read.
type SyntaxError struct {
	// Line counts from 1.
	Line int
	// Problem describes what was found and what is expected.
	Problem string
}

func (e *SyntaxError) Error() string {
	return fmt.Sprintf("transcript line %d: %s", e.Line, e.Problem)
}

// ReadScript reads a transcript. Empty lines and lines that begin with # are
// skipped, and so are the IDs of steps that no hole refers to. The error is a
// *SyntaxError or comes from r.
func ReadScript(r io.Reader) (Script, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxStepLine)
	var script Script
	for n := 1; lines.Scan(); n++ {
		text, _, _ := strings.Cut(lines.Text(), "#")
		fields := strings.Fields(text)
		if len(fields) == 0 {
			continue
		}
		step, err := parseStep(fields)
		if err != nil {
			return nil, &SyntaxError{Line: n, Problem: err.Error()}
		}
		if len(script) == maxSteps {
			return nil, &SyntaxError{Line: n, Problem: fmt.Sprintf("more than %d steps", maxSteps)}
		}
		script = append(script, step)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read transcript: %w", err)
	}
	referred := script.referred()
	for i := range script {
		if !referred[script[i].ID] {
			script[i].ID = 0
		}
	}
	return script, nil
}

func parseStep(fields []string) (Step, error) {
	var step Step
	if id, ok := strings.CutSuffix(fields[0], ":"); ok {
		n, err := strconv.ParseUint(id, 10, 31)
		if err != nil || n == 0 || len(fields) == 1 {
			return Step{}, fmt.Errorf("%q is not the number of a step", fields[0])
		}
		step.ID, fields = int(n), fields[1:]
	}
	for action, name := range actionNames {
		if fields[0] == name {
			step.Action = Action(action)
			return step.parseArguments(fields[1:])
		}
	}
	return Step{}, fmt.Errorf("unknown step %q; want one of %s", fields[0], strings.Join(actionNames[:], ", "))
}

func (s Step) parseArguments(arguments []string) (Step, error) {
	want := map[Action]int{Send: 2, SendHMAC: 3, HashData: 1}[s.Action]
	if len(arguments) != want {
		return Step{}, fmt.Errorf("%s takes %d arguments, not %d", s.Action, want, len(arguments))
	}
	var err error
	if s.Action == SendHMAC {
		if s.Secrets, err = parseSecrets(arguments[2]); err != nil {
			return Step{}, err
		}
	}
	if s.IsCommand() {
		locality, err := strconv.ParseUint(arguments[0], 10, 8)
		if err != nil {
			return Step{}, fmt.Errorf("locality %q is not a number up to 255", arguments[0])
		}
		s.Locality = uint8(locality)
		arguments = arguments[1:]
	}
	if len(arguments) > 0 && arguments[0] != "-" {
		if err := s.parseData(arguments[0]); err != nil {
			return Step{}, err
		}
	}
	return s, nil
}

// parseData reads hexadecimal digits, and holes where the step is a command.
func (s *Step) parseData(text string) error {
	for text != "" {
		digits, rest, open := strings.Cut(text, "{")
		data, err := hex.DecodeString(digits)
		if err != nil {
			return fmt.Errorf("%q is not hexadecimal", digits)
		}
		s.Data = append(s.Data, data...)
		if !open {
			return nil
		}
		inside, after, closed := strings.Cut(rest, "}")
		if !closed || !s.IsCommand() {
			return fmt.Errorf("%q: a hole needs a closing brace, and only commands have holes", "{"+rest)
		}
		h, err := parseHole(inside)
		if err != nil {
			return err
		}
		h.At, h.Len = len(s.Data), h.Placeholder()
		s.Data, s.Holes = append(s.Data, make([]byte, h.Len)...), append(s.Holes, h)
		text = after
	}
	return nil
}

// maxSecrets is more sessions than any command has.
const maxSecrets = 16

func parseSecrets(text string) ([]Secret, error) {
	if text == "-" {
		return nil, nil
	}
	var secrets []Secret
	for part := range strings.SplitSeq(text, ",") {
		number, auth, ok := strings.Cut(part, "=")
		session, err := strconv.ParseUint(number, 10, 8)
		value, errAuth := hex.DecodeString(auth)
		if !ok || err != nil || errAuth != nil || session == 0 || len(secrets) == maxSecrets {
			return nil, fmt.Errorf("%q is not a list of at most %d session=value, the session by its number from 1 on, the value hexadecimal", text, maxSecrets)
		}
		secrets = append(secrets, Secret{Session: int(session), Auth: value})
	}
	return secrets, nil
}

// Command returns the command of the step, if it is known and has all its handles.
func (s Step) Command() (conformance.Packet, bool) {
	if !s.IsCommand() || len(s.Data) < conformance.HeaderSize {
		return conformance.Packet{}, false
	}
	return wire.ParseCommand(s.Data)
}
