package boot

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/internal/clip"
)

// Bounds of a platform file.
const (
	maxLine  = 4096
	maxItems = 20_000 // directives
)

// PlatformError says what is wrong with a platform, and in which line of its
// file.
type PlatformError struct {
	// File is the file's name, empty for a platform that was not read from
	// one; Line counts from 1, 0 if no line is at fault.
	File string
	Line int
	// Item is the part that is wrong: "initcall init_tis", "key suplier", …
	Item string
	// Reason says why and what would be taken.
	Reason string
	Err    error // the cause, if there is another error
}

func (e *PlatformError) Error() string {
	where := e.File
	if where == "" {
		where = "platform"
	}
	if e.Line > 0 {
		where += ":" + strconv.Itoa(e.Line)
	}
	text := where + ": " + e.Item
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *PlatformError) Unwrap() error { return e.Err }

// ParsePlatform reads a platform file and checks that the platform is possible
// (Validate). name is the file's, for messages. The format is described in the
// package's documentation. Errors are of type *PlatformError.
func ParsePlatform(name string, file io.Reader) (*Platform, error) {
	p := &parser{platform: &Platform{source: name, lines: make(map[string]int)}}
	p.platform.setDefaults()
	scanner := bufio.NewScanner(file)
	scanner.Buffer(make([]byte, 0, maxLine), maxLine)
	for scanner.Scan() {
		p.line++
		if err := p.directive(scanner.Text()); err != nil {
			return nil, err
		}
	}
	if err := scanner.Err(); err != nil {
		if errors.Is(err, bufio.ErrTooLong) {
			err = fmt.Errorf("the line is longer than %d bytes", maxLine)
		}
		return nil, &PlatformError{File: name, Line: p.line + 1, Item: "cannot be read", Err: err}
	}
	if err := p.platform.Validate(); err != nil {
		return nil, err
	}
	return p.platform, nil
}

// setDefaults sets what a platform file need not say.
func (p *Platform) setDefaults() {
	p.Kernel.Start = 10 * time.Millisecond
	p.Kernel.Access = 300 * time.Microsecond
	p.Kernel.Jitter = 5
}

type parser struct {
	platform *Platform
	line     int
	items    int
	seen     map[string]bool
	block    *[]Access // what exec, map, read, load and wait are added to
}

func (p *parser) fail(item, format string, args ...any) error {
	return &PlatformError{File: p.platform.source, Line: p.line, Item: item, Reason: fmt.Sprintf(format, args...)}
}

// words splits a line at blanks. Double quotes keep blanks together and vanish;
// a # that begins a word begins a comment.
func (p *parser) words(line string) (words []string, err error) {
	var word strings.Builder
	quoted, inWord := false, false
	for _, c := range line {
		switch {
		case c == '"':
			quoted, inWord = !quoted, true
		case !quoted && (c == ' ' || c == '\t' || c == '\r'):
			if inWord {
				words = append(words, word.String())
				word.Reset()
			}
			inWord = false
		case c == '#' && !inWord && !quoted:
			return words, nil
		case c < ' ' || c == 0x7f || c == 0xfffd:
			return nil, p.fail("line", "it has a character that is no text: %q", c)
		default:
			word.WriteRune(c)
			inWord = true
		}
	}
	if quoted {
		return nil, p.fail("line", "a quotation mark is not closed")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

func (p *parser) directive(line string) error {
	words, err := p.words(line)
	if err != nil || len(words) == 0 {
		return err
	}
	name := words[0]
	row, ok := directives[name]
	switch {
	case !ok:
		return p.fail(fmt.Sprintf("directive %q", clip.String(name)), "there is no such directive")
	case row.block && p.block == nil:
		return p.fail("directive "+name, "it belongs below a helper or userspace line")
	case row.once && p.seen[name]:
		return p.fail("directive "+name, "it comes a second time")
	case p.items == maxItems:
		return p.fail("directive "+name, "a platform has at most %d", maxItems)
	case p.items == 0 && name != "platform":
		return p.fail("directive "+name, "a file begins with its platform line")
	}
	p.items++
	if row.once {
		if p.seen == nil {
			p.seen = make(map[string]bool)
		}
		p.seen[name] = true
	}
	if !row.block {
		p.block = nil
	}
	a, err := p.arguments(name, row.plain, words[1:])
	if err != nil {
		return err
	}
	if err := row.read(p, a); err != nil {
		return err
	}
	return a.done()
}

// args are the words of a directive: first the plain ones, then key=value.
type args struct {
	p     *parser
	name  string
	plain []string
	keys  []string
	value map[string]string
	err   error
}

func (p *parser) arguments(name string, plain int, words []string) (*args, error) {
	if len(words) < plain {
		return nil, p.fail("directive "+name, "it needs %d words before its keys", plain)
	}
	a := &args{p: p, name: name, plain: words[:plain], value: make(map[string]string)}
	for i, w := range a.plain {
		if w == "" {
			return nil, p.fail("directive "+name, "word %d is empty", i+1)
		}
	}
	for _, word := range words[plain:] {
		key, value, ok := strings.Cut(word, "=")
		if !ok && !flagKeys[key] {
			return nil, p.fail(fmt.Sprintf("%s: word %q", name, clip.String(word)), "it is no key=value")
		}
		if !ok {
			value = "yes"
		}
		if _, twice := a.value[key]; twice {
			return nil, p.fail(fmt.Sprintf("%s: key %q", name, clip.String(key)), "it comes twice")
		}
		a.value[key] = value
		a.keys = append(a.keys, key)
	}
	return a, nil
}

// flagKeys may stand without =yes.
var flagKeys = map[string]bool{
	"async": true, "module": true, "startup": true, "disk": true,
	"ima": true, "ima-late-sync": true, "deferred-probe": true,
}

// take returns the value of a key and strikes it out.
func (a *args) take(key string) (value string, ok bool) {
	value, ok = a.value[key]
	delete(a.value, key)
	return value, ok
}

func (a *args) fail(key, format string, args ...any) {
	if a.err == nil {
		a.err = a.p.fail(a.name+": key "+key, format, args...)
	}
}

// done returns the first error, or says which key nobody has asked for.
func (a *args) done() error {
	if a.err != nil {
		return a.err
	}
	for _, key := range a.keys {
		if _, left := a.value[key]; left {
			return a.p.fail(fmt.Sprintf("%s: key %q", a.name, clip.String(key)), "there is no such key")
		}
	}
	return nil
}

func (a *args) text(key string, to *string) {
	if v, ok := a.take(key); ok {
		*to = v
	}
}

func (a *args) list(key string, to *[]string) {
	v, ok := a.take(key)
	if !ok {
		return
	}
	for word := range strings.SplitSeq(v, ",") {
		if word == "" {
			a.fail(key, "an entry of the list is empty")
			return
		}
		*to = append(*to, word)
	}
}

func (a *args) flag(key string, to *bool) {
	v, ok := a.take(key)
	switch {
	case !ok:
	case v == "yes":
		*to = true
	case v == "no":
		*to = false
	default:
		a.fail(key, "%q is neither yes nor no", clip.String(v))
	}
}

// notFlag is flag for a field that stores the opposite.
func (a *args) notFlag(key string, to *bool) {
	yes := !*to
	a.flag(key, &yes)
	*to = !yes
}

func (a *args) duration(key string, to *time.Duration) {
	if v, ok := a.take(key); ok {
		*to = a.parseDuration(key, v)
	}
}

func (a *args) parseDuration(key, v string) time.Duration {
	d, err := time.ParseDuration(v)
	switch {
	case err != nil:
		a.fail(key, "%q is no duration such as 20ms or 1.5s", clip.String(v))
	case d < 0:
		a.fail(key, "a duration cannot be negative")
	case d > MaxBoot:
		a.fail(key, "%v is longer than a boot, which has %v", d, MaxBoot)
	}
	return d
}

func (a *args) number(key string, base, min, max int, to *int) {
	v, ok := a.take(key)
	if !ok {
		return
	}
	n, err := strconv.ParseInt(v, base, 64)
	if err != nil || n < int64(min) || n > int64(max) {
		a.fail(key, "%q is no number from %d to %d", clip.String(v), min, max)
		return
	}
	*to = int(n)
}

func (a *args) hash(key, v string) ima.HashAlgo {
	h, err := ima.ParseHashAlgo(v)
	if err != nil {
		a.fail(key, "%v", err)
	}
	return h
}

func (a *args) digest(key, v string) (d ima.FileDigest) {
	algo, text, ok := strings.Cut(v, ":")
	if !ok {
		a.fail(key, "%q is no digest such as sha256:00ab…", clip.String(v))
		return d
	}
	d.Algo = a.hash(key, algo)
	if err := d.Sum.UnmarshalText([]byte(text)); err != nil || len(d.Sum) != d.Algo.Size() {
		a.fail(key, "a digest of %s has %d hex digits", algo, 2*d.Algo.Size())
	}
	return d
}

// mark remembers where something stands; of things that come twice, the second.
func (p *parser) mark(item string) { p.platform.lines[item] = p.line }
