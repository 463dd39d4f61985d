package verify

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"

	"github.com/swtpmd/swtpmd/ima"
)

// addPCR adds a value that a text gives.
func addPCR(pcrs ima.PCRs, bank ima.HashAlgo, pcr int, digits string) error {
	digits = strings.TrimSpace(digits)
	if len(digits) > 2 && (digits[:2] == "0x" || digits[:2] == "0X") {
		digits = digits[2:]
	}
	value, err := hex.DecodeString(digits)
	switch _, twice := pcrs[bank][pcr]; {
	case err != nil:
		return fmt.Errorf("%q is no value in hex: %w", shown(digits), err)
	case len(value) != bank.Size():
		return &PCRValueError{Bank: bank, PCR: pcr, Size: len(value)}
	case twice:
		return fmt.Errorf("%s PCR %d comes twice", bank, pcr)
	}
	if pcrs[bank] == nil {
		pcrs[bank] = make(map[int]ima.Hex)
	}
	pcrs[bank][pcr] = value
	return nil
}

// The lines of a text. tpm2_pcrread prints banks, and values below them; so do
// tpm2_quote and tpm2_checkquote, with the quote around them. A line of grep
// names the file in sysfs that it is of. One of "swtpmd ctl pcrs" has bank, index
// and value.
var (
	lineHeading = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^([A-Za-z0-9_-]+)[ \t]*:$`) })
	lineValue   = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^([0-9]{1,9})[ \t]*:[ \t]*((?:0[xX])?[0-9A-Fa-f]+)$`)
	})
	lineSysfs = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?:.*/)?(pcr-[A-Za-z0-9_-]+)/([0-9]{1,9}):[ \t]*((?:0[xX])?[0-9A-Fa-f]+)$`)
	})
	lineCtl = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^([A-Za-z0-9_-]+)[ \t]+([0-9]{1,9})[ \t]+([0-9A-Fa-f]+)$`)
	})
	lineAround = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?:quoted|sig|calcDigest):[ \t]*[0-9A-Fa-f]*$|^alg:[ \t]*[A-Za-z0-9_]+$`)
	})
)

// parsePCRText reads lines.
func parsePCRText(b []byte) (ima.PCRs, error) {
	t := &pcrText{pcrs: ima.PCRs{}}
	for line := range bytes.Lines(b) {
		t.line++
		if err := t.read(string(bytes.TrimSpace(line))); err != nil {
			return nil, t.fail(err)
		}
	}
	if !t.values {
		t.line, t.item = max(t.line, 1), "end"
		return nil, t.fail(fmt.Errorf("there is no value: %w", io.ErrUnexpectedEOF))
	}
	return t.pcrs, nil
}

// pcrText is a text of PCR values as far as it was read.
type pcrText struct {
	pcrs   ima.PCRs
	bank   ima.HashAlgo // of the values that follow
	line   int
	item   string
	values bool
}

func (t *pcrText) fail(err error) error {
	return &PCRFileError{Form: pcrFormText, Line: t.line, Item: t.item, Err: err}
}

// read reads a line.
func (t *pcrText) read(line string) (err error) {
	t.item = "line"
	if line == "" || line == "---" || line[0] == '#' || lineAround().MatchString(line) {
		return nil
	}
	m := lineSysfs().FindStringSubmatch(line)
	if m == nil {
		m = lineCtl().FindStringSubmatch(line)
	}
	if m != nil {
		t.item = "bank"
		if t.bank, err = ParseBank(m[1]); err != nil {
			return err
		}
		return t.value(m[2], m[3])
	}
	if m := lineValue().FindStringSubmatch(line); m != nil {
		if t.bank == 0 {
			t.item = "PCR " + m[1]
			return errors.New("no line before it names a bank, as sha256: does")
		}
		return t.value(m[1], m[2])
	}
	if m := lineHeading().FindStringSubmatch(line); m != nil {
		t.item = "bank"
		t.bank = 0
		if m[1] == "pcrs" || m[1] == "signature" {
			return nil
		}
		t.bank, err = ParseBank(m[1])
		return err
	}
	if t.line == 1 || !t.values {
		return fmt.Errorf("%q: %w", shown(line), ErrNoPCRForm)
	}
	return fmt.Errorf("%q is neither a bank nor an index and a value", shown(line))
}

func (t *pcrText) value(index, digits string) error {
	t.item = "PCR " + index
	pcr, err := parseIndex(index)
	if err != nil {
		return err
	}
	t.values = true
	return addPCR(t.pcrs, t.bank, pcr, digits)
}

// parsePCRJSON reads an object of banks, each an object of indices with a
// string of hex.
func parsePCRJSON(b []byte) (ima.PCRs, error) {
	j := &pcrJSON{d: json.NewDecoder(bytes.NewReader(b)), pcrs: ima.PCRs{}, item: "object of banks"}
	err := j.object(j.bank)
	if err == nil {
		j.item = "end"
		if _, err = j.d.Token(); err == io.EOF {
			return j.pcrs, nil
		}
		err = errors.New("something follows the object")
	}
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return nil, &PCRFileError{Form: pcrFormJSON, Offset: j.d.InputOffset(), Item: j.item, Err: err}
}

// pcrJSON reads JSON token by token: encoding/json passes over keys that come
// twice.
type pcrJSON struct {
	d    *json.Decoder
	pcrs ima.PCRs
	item string
	algo ima.HashAlgo
}

// object reads an object, and what each key stands for with member.
func (j *pcrJSON) object(member func(key string) error) error {
	if token, err := j.d.Token(); err != nil {
		return err
	} else if token != json.Delim('{') {
		return fmt.Errorf("%v where an object begins with {", token)
	}
	for j.d.More() {
		key, err := j.d.Token()
		if err != nil {
			return err
		}
		// A key of an object is a string.
		if err := member(key.(string)); err != nil {
			return err
		}
	}
	_, err := j.d.Token()
	return err
}

func (j *pcrJSON) bank(name string) (err error) {
	j.item = "bank"
	if j.algo, err = ParseBank(name); err != nil {
		return err
	}
	if _, twice := j.pcrs[j.algo]; twice {
		return fmt.Errorf("bank %s comes twice", j.algo)
	}
	j.pcrs[j.algo] = make(map[int]ima.Hex)
	return j.object(j.value)
}

func (j *pcrJSON) value(index string) error {
	j.item = fmt.Sprintf("%s PCR %s", j.algo, shown(index))
	pcr, err := parseIndex(index)
	if err != nil {
		return err
	}
	token, err := j.d.Token()
	if err != nil {
		return err
	}
	text, ok := token.(string)
	if !ok {
		return fmt.Errorf("%v where a string of hex digits belongs", token)
	}
	return addPCR(j.pcrs, j.algo, pcr, text)
}
