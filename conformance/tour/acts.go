package tour

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// act is a kind of line that runs no program.
type act struct {
	usage       string
	least, most int // arguments; most < 0 is any number
	// looks reports whether it is a check, which fails if a tool did wrong.
	looks bool
	do    func(r *run, ctx context.Context, arguments []string) error
}

var acts = map[string]act{
	"prints":  {"TEXT…: the last program printed this, blanks aside", 1, -1, true, (*run).prints},
	"silent":  {"TEXT…: it did not print this", 1, -1, true, (*run).silent},
	"same":    {"FILE FILE: they have the same content", 2, 2, true, (*run).same},
	"differs": {"FILE FILE: they have not", 2, 2, true, (*run).differs},
	"is":      {"FILE HEX: this is the content", 2, 2, true, (*run).is},
	"has":     {"FILE HEX…: these stand somewhere in the content", 2, -1, true, (*run).has},
	"zeros":   {"FILE N: it is N zero bytes", 2, 2, true, (*run).zeros},
	"more":    {"FILE FILE N: as a number the first is N more than the other", 3, 3, true, (*run).more},
	"size":    {"FILE N: the content has N bytes", 2, 2, true, (*run).size},
	"write":   {"FILE TEXT: makes a file of a text, without a newline", 2, 2, false, (*run).write},
	"bytes":   {"FILE HEX: makes a file of bytes", 2, 2, false, (*run).bytes},
	"join":    {"FILE FILE…: makes the first of the others, one after the other", 2, -1, false, (*run).join},
	"slice":   {"FILE FILE FROM [TO]: makes the first of a part of the other", 3, 4, false, (*run).slice},
	"flip":    {"FILE N: changes a bit of byte N", 2, 2, false, (*run).flip},
	"let":     {"NAME REGEXP: keeps what the group found in the last output; it must be there", 2, 2, true, (*run).let},
	"reset":   {": power is lost and comes back (_TPM_Init)", 0, 0, false, (*run).reset},
}

func (r *run) path(name string) string { return filepath.Join(r.dir, name) }

func (r *run) read(name string) ([]byte, error) { return os.ReadFile(r.path(name)) }

// blanks makes one blank of any number.
func blanks(text string) string { return strings.Join(strings.Fields(text), " ") }

// printed gives the last output, and of the texts those that are in it and those
// that are not.
func (r *run) printed(texts []string) (out string, there, missing []string, err error) {
	content, err := r.read("stdout")
	if err != nil {
		return "", nil, nil, err
	}
	for _, text := range texts {
		if strings.Contains(blanks(string(content)), blanks(text)) {
			there = append(there, text)
		} else {
			missing = append(missing, text)
		}
	}
	return string(content), there, missing, nil
}

func (r *run) prints(_ context.Context, texts []string) error {
	out, _, missing, err := r.printed(texts)
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("not printed: %q; it printed:\n%s", missing, beginning(out))
	}
	return err
}

func (r *run) silent(_ context.Context, texts []string) error {
	out, there, _, err := r.printed(texts)
	if err == nil && len(there) > 0 {
		err = fmt.Errorf("printed: %q; it printed:\n%s", there, beginning(out))
	}
	return err
}

func (r *run) both(names []string) (a, b []byte, err error) {
	a, errA := r.read(names[0])
	b, errB := r.read(names[1])
	return a, b, errors.Join(errA, errB)
}

func (r *run) same(_ context.Context, names []string) error {
	a, b, err := r.both(names)
	if err == nil && !bytes.Equal(a, b) {
		err = fmt.Errorf("they differ: %s and %s", excerpt(a), excerpt(b))
	}
	return err
}

func (r *run) differs(_ context.Context, names []string) error {
	a, b, err := r.both(names)
	if err == nil && bytes.Equal(a, b) {
		err = fmt.Errorf("both are %s", excerpt(a))
	}
	return err
}

func (r *run) is(_ context.Context, arguments []string) error {
	got, err := r.read(arguments[0])
	if err == nil && !strings.EqualFold(hex.EncodeToString(got), arguments[1]) {
		err = fmt.Errorf("it is %s", excerpt(got))
	}
	return err
}

func (r *run) has(_ context.Context, arguments []string) error {
	content, err := r.read(arguments[0])
	if err != nil {
		return err
	}
	for _, part := range arguments[1:] {
		wanted, err := hex.DecodeString(part)
		if err != nil {
			return err
		}
		if !bytes.Contains(content, wanted) {
			return fmt.Errorf("%s is not in %x", part, content)
		}
	}
	return nil
}

func (r *run) more(_ context.Context, arguments []string) error {
	a, b, err := r.both(arguments)
	if err != nil {
		return err
	}
	difference := new(big.Int).Sub(new(big.Int).SetBytes(a), new(big.Int).SetBytes(b))
	if difference.String() != arguments[2] {
		return fmt.Errorf("it is %s more: %s and %s", difference, excerpt(a), excerpt(b))
	}
	return nil
}

func (r *run) zeros(ctx context.Context, arguments []string) error {
	n, err := strconv.Atoi(arguments[1])
	if err != nil {
		return err
	}
	return r.is(ctx, []string{arguments[0], strings.Repeat("00", n)})
}

func (r *run) size(_ context.Context, arguments []string) error {
	got, err := r.read(arguments[0])
	if err == nil && strconv.Itoa(len(got)) != arguments[1] {
		err = fmt.Errorf("it has %d bytes: %s", len(got), excerpt(got))
	}
	return err
}

func (r *run) write(_ context.Context, arguments []string) error {
	return os.WriteFile(r.path(arguments[0]), []byte(arguments[1]), 0o600)
}

func (r *run) bytes(_ context.Context, arguments []string) error {
	content, err := hex.DecodeString(arguments[1])
	if err != nil {
		return err
	}
	return os.WriteFile(r.path(arguments[0]), content, 0o600)
}

func (r *run) join(_ context.Context, names []string) error {
	var all []byte
	for _, name := range names[1:] {
		content, err := r.read(name)
		if err != nil {
			return err
		}
		all = append(all, content...)
	}
	return os.WriteFile(r.path(names[0]), all, 0o600)
}

func (r *run) slice(_ context.Context, arguments []string) error {
	content, err := r.read(arguments[1])
	if err != nil {
		return err
	}
	from, errFrom := strconv.Atoi(arguments[2])
	to, errTo := len(content), error(nil)
	if len(arguments) > 3 {
		to, errTo = strconv.Atoi(arguments[3])
	}
	if err := errors.Join(errFrom, errTo); err != nil {
		return err
	}
	if from < 0 || to < from || to > len(content) {
		return fmt.Errorf("it has %d bytes only", len(content))
	}
	return os.WriteFile(r.path(arguments[0]), content[from:to], 0o600)
}

func (r *run) flip(_ context.Context, arguments []string) error {
	content, err := r.read(arguments[0])
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(arguments[1])
	if err != nil {
		return err
	}
	if n < 0 || n >= len(content) {
		return fmt.Errorf("it has %d bytes only", len(content))
	}
	content[n] ^= 1
	return os.WriteFile(r.path(arguments[0]), content, 0o600)
}

func (r *run) let(_ context.Context, arguments []string) error {
	pattern, err := regexp.Compile(arguments[1])
	if err != nil {
		return err
	}
	out, err := r.read("stdout")
	if err != nil {
		return err
	}
	found := pattern.FindSubmatch(out)
	if len(found) != 2 {
		return fmt.Errorf("not found; it printed:\n%s", beginning(string(out)))
	}
	r.names[arguments[0]] = string(found[1])
	return nil
}

func (r *run) reset(ctx context.Context, _ []string) error { return r.target.Reset(ctx) }

// beginning is an output for a message: lists of capabilities have hundreds of
// lines.
func beginning(out string) string {
	const most = 800
	if len(out) <= most {
		return out
	}
	return fmt.Sprintf("%s…\n(%d bytes)", strings.ToValidUTF8(out[:most], ""), len(out))
}

// excerpt is a file for a message: in full as long as it is short.
func excerpt(content []byte) string {
	const most = 80
	if len(content) <= most {
		return fmt.Sprintf("%x", content)
	}
	return fmt.Sprintf("%x… (%d bytes)", content[:most], len(content))
}
