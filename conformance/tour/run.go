package tour

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Target is the TPM that the tour goes through. Everything in it is lost: the
// tour clears it, more than once, and changes its seeds.
type Target struct {
	// TCTI is the TPM in the words of tpm2-tools, such as
	// "swtpm:path=/run/tpm.sock".
	TCTI string
	// Reset turns the TPM off and on (_TPM_Init). If it is nil, the steps that need it
	// are left out.
	Reset func(context.Context) error
}

// Result is the result of a step.
type Result struct {
	Chapter string        `json:"chapter"`
	Tools   []string      `json:"tools"`
	Proves  string        `json:"proves"`
	Outcome Outcome       `json:"outcome"`
	Took    time.Duration `json:"took_ns"`
	// Reason describes what failed, with the output of the program.
	Reason string `json:"reason,omitempty"`
}

// Outcome is the outcome of a step.
type Outcome string

// The outcomes.
const (
	OK      Outcome = "ok"
	Failed  Outcome = "failed"
	LeftOut Outcome = "left out"
)

// patience bounds one program; making RSA keys takes seconds on slow machines.
const patience = 2 * time.Minute

// run is a chapter on its way.
type run struct {
	target Target
	dir    string
	names  map[string]string
}

// Run runs a chapter in a new directory below dir, or below the default directory
// for temporary files if dir is empty, and calls report with the result of every step. The error tells
// what kept it from going on, which no step is to blame for.
func (c Chapter) Run(ctx context.Context, target Target, dir string, report func(Result)) error {
	dir, err := os.MkdirTemp(dir, "tour-")
	if err != nil {
		return err
	}
	r := &run{target: target, dir: dir, names: map[string]string{}}
	err = r.chapter(ctx, c, report)
	return errors.Join(err, os.RemoveAll(dir))
}

func (r *run) chapter(ctx context.Context, c Chapter, report func(Result)) error {
	if err := r.prepare(ctx); err != nil {
		return fmt.Errorf("tour: before chapter %s: %w", c.Name, err)
	}
	for _, step := range c.Steps {
		result := Result{Chapter: c.Name, Tools: step.Tools, Proves: step.Proves, Outcome: OK}
		begun := time.Now()
		switch err := r.step(ctx, step); {
		case errors.Is(err, errLeftOut):
			result.Outcome = LeftOut
		case err != nil:
			result.Outcome, result.Reason = Failed, err.Error()
		}
		result.Took = time.Since(begun)
		report(result)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

// prepare makes an end of what an earlier chapter has left, failed or not.
func (r *run) prepare(ctx context.Context) error {
	if r.target.Reset != nil {
		if err := r.target.Reset(ctx); err != nil {
			return err
		}
	}
	for _, prepare := range []string{
		"tpm2_startup -c", "tpm2_flushcontext -t", "tpm2_flushcontext -l", "tpm2_flushcontext -s", "tpm2_clear -c p",
	} {
		if err := r.tool(ctx, manner{}, strings.Fields(prepare)); err != nil {
			return err
		}
	}
	return nil
}

var errLeftOut = errors.New("tour: needs a reset")

func (r *run) step(ctx context.Context, s Step) error {
	if s.Resets && r.target.Reset == nil {
		return errLeftOut
	}
	for _, l := range s.lines {
		if err := r.line(ctx, l); err != nil {
			return fmt.Errorf("%s:%d: %s: %w", l.file, l.number, strings.Join(l.words, " "), err)
		}
	}
	return nil
}

func (r *run) line(ctx context.Context, l line) error {
	words, err := r.expand(l.words)
	if err != nil {
		return err
	}
	m, words := manners(words)
	if !isProgram(words) {
		return acts[words[0]].do(r, ctx, words[1:])
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	switch {
	case m.fails != "":
		err = r.refused(ctx, m, words)
	case m.eventually:
		err = r.repeat(ctx, m, words)
	default:
		err = r.tool(ctx, m, words)
	}
	if m.keep {
		return err
	}
	return errors.Join(err, r.flush(ctx, words, err != nil || m.fails != ""))
}

// flush removes the transient objects that a tool has left, and if it
// failed the session that it had opened for itself.
func (r *run) flush(ctx context.Context, words []string, failed bool) error {
	if !strings.HasPrefix(words[0], "tpm2_") {
		return nil
	}
	_, err := r.execute(ctx, manner{}, []string{"tpm2_flushcontext", "-t"})
	if failed {
		_, sessions := r.execute(ctx, manner{}, []string{"tpm2_flushcontext", "-l"})
		err = errors.Join(err, sessions)
	}
	return err
}

// toolError is a program that failed.
type toolError struct {
	status error
	said   string
}

func (e *toolError) Error() string {
	return fmt.Sprintf("%v\n%s", e.status, strings.TrimSpace(e.said))
}

// execute runs a program and gives what it printed. A *toolError is one that
// ran and failed.
func (r *run) execute(ctx context.Context, m manner, words []string) ([]byte, error) {
	command := exec.CommandContext(ctx, words[0], words[1:]...)
	command.Dir = r.dir
	command.Env = append(os.Environ(), "TPM2TOOLS_TCTI="+r.target.TCTI, "LC_ALL=C")
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	if m.from != "" {
		input, err := r.read(m.from)
		if err != nil {
			return nil, err
		}
		command.Stdin = bytes.NewReader(input)
	}
	err := command.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return out.Bytes(), &toolError{err, said.String()}
	}
	return out.Bytes(), err
}

// tool runs a program that has to succeed, and keeps what it printed.
func (r *run) tool(ctx context.Context, m manner, words []string) error {
	out, err := r.execute(ctx, m, words)
	return errors.Join(err, os.WriteFile(r.path("stdout"), out, 0o600))
}

// refused runs a program that has to fail, with m.fails in what it says.
func (r *run) refused(ctx context.Context, m manner, words []string) error {
	err := r.tool(ctx, m, words)
	var failed *toolError
	switch {
	case err == nil:
		return errors.New("it succeeded")
	case errors.As(err, &failed) && says(failed.said, m.fails):
		return nil
	default:
		return err
	}
}

// says looks for a text in what a program said, or for a response code, which
// programs write with zeros in front or without.
func says(said, want string) bool {
	code, ok := strings.CutPrefix(want, "0x")
	if !ok {
		return strings.Contains(said, want)
	}
	found, err := regexp.MatchString(`(?i)\b0x0*`+strings.TrimLeft(code, "0")+`\b`, said)
	return err == nil && found
}

// repeat runs a program until it succeeds. The TPM's clock is real time, and
// there is no event to wait for.
func (r *run) repeat(ctx context.Context, m manner, words []string) error {
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for {
		err := r.tool(ctx, m, words)
		var failed *toolError
		if !errors.As(err, &failed) {
			return err
		}
		if broken := r.flush(ctx, words, true); broken != nil {
			return errors.Join(err, broken)
		}
		select {
		case <-ctx.Done():
			return err
		case <-again.C:
		}
	}
}

var names = regexp.MustCompile(`\{(hex:|HEX:|size:)?([A-Za-z0-9_.-]+)\}`)

// expand puts names and files into the words.
func (r *run) expand(words []string) ([]string, error) {
	var missing error
	expanded := make([]string, len(words))
	for i, word := range words {
		expanded[i] = names.ReplaceAllStringFunc(word, func(match string) string {
			parts := names.FindStringSubmatch(match)
			if parts[1] == "" {
				value, ok := r.names[parts[2]]
				if !ok {
					return match
				}
				return value
			}
			content, err := r.read(parts[2])
			missing = errors.Join(missing, err)
			switch parts[1] {
			case "size:":
				return strconv.Itoa(len(content))
			case "HEX:":
				return strings.ToUpper(hex.EncodeToString(content))
			}
			return hex.EncodeToString(content)
		})
	}
	return expanded, missing
}
