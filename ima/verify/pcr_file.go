package verify

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/swtpmd/swtpmd/ima"
)

// PCRFileError says where a file of PCR values is wrong, in the form that it was
// read as.
type PCRFileError struct {
	// Form is the form in words, such as "serialized PCR values of tpm2-tools".
	Form string
	// Line is the number of the line in a text, from 1; otherwise 0, and
	// Offset is where the item begins, in bytes.
	Line   int
	Offset int64
	Item   string // such as "digest 3"
	Err    error
}

func (e *PCRFileError) Error() string {
	switch {
	case e.Line > 0:
		return fmt.Sprintf("%s, line %d: %s: %v", e.Form, e.Line, e.Item, e.Err)
	case e.Offset == 0:
		return fmt.Sprintf("%s: %s: %v", e.Form, e.Item, e.Err)
	}
	return fmt.Sprintf("%s, byte %d: %s: %v", e.Form, e.Offset, e.Item, e.Err)
}

func (e *PCRFileError) Unwrap() error { return e.Err }

// The forms in words.
const (
	pcrFormAny        = "PCR values"
	pcrFormJSON       = "PCR values in JSON"
	pcrFormText       = "PCR values as text"
	pcrFormSerialized = "serialized PCR values of tpm2-tools"
	pcrFormValues     = "PCR values alone"
	pcrFormSysfs      = "PCR values in sysfs"
)

// ErrNoPCRForm reports that a file of PCR values has none of the forms.
var ErrNoPCRForm = errors.New("it is neither JSON, nor text of tpm2_pcrread, nor a file of tpm2_quote -o or tpm2_pcrread -o")

// ErrSelectionWanted reports that PCR values were written one after the other,
// without saying of which PCRs they are.
var ErrSelectionWanted = errors.New("a selection, such as sha256:0,1,10, has to name the PCRs")

// pcrFileMax bounds a file of PCR values, in bytes. 24 values in each bank that
// there is need some twenty thousand as text.
const pcrFileMax = 1 << 20

// ParsePCRs reads PCR values. The form is found out:
//
//   - JSON, bank to index to hex: {"sha256": {"0": "…", "10": "…"}}
//   - the text that tpm2_pcrread, tpm2_quote and "swtpmd ctl pcrs" print, or lines
//     of "grep . /sys/class/tpm/tpm0/pcr-sha256/*"
//   - the file of "tpm2_quote -o" and "tpm2_pcrread -F serialized -o"
//   - the digests alone, one after the other, as "tpm2_pcrread -o" and
//     "tpm2_quote -F values -o" write them. Which PCRs they are of is not in the
//     file: selection says it, the one that was asked for, or that of the quote.
//
// Hex may begin with 0x; banks may be spelled as the kernel, tpm2-tools or the
// TCG spell them (ParseBank). The error is a PCRFileError.
func ParsePCRs(b []byte, selection []Selection) (ima.PCRs, error) {
	fail := func(err error) (ima.PCRs, error) {
		return nil, &PCRFileError{Form: pcrFormAny, Item: "file", Err: err}
	}
	switch text := bytes.TrimLeft(b, " \t\r\n"); {
	case len(b) > pcrFileMax:
		return fail(fmt.Errorf("%d bytes, there can be %d", len(b), pcrFileMax))
	case len(text) == 0:
		return fail(fmt.Errorf("it is empty: %w", io.ErrUnexpectedEOF))
	case text[0] == '{' && isText(b):
		return parsePCRJSON(b)
	case isText(b):
		return parsePCRText(b)
	case isSerialized(b):
		return parseSerialized(b)
	case len(selection) > 0:
		return parseValues(b, selection)
	case len(b) >= ima.SHA1.Size() && len(b)%4 == 0: // as digests of all hashes have
		return fail(fmt.Errorf("%w; if its %d bytes are digests alone, %w", ErrNoPCRForm, len(b), ErrSelectionWanted))
	}
	return fail(ErrNoPCRForm)
}

// isText reports whether b begins with text; a byte further on that no text has
// is damage.
func isText(b []byte) bool {
	const enough = 64
	b = b[:min(len(b), enough)]
	return !bytes.ContainsFunc(b, func(r rune) bool {
		return r < ' ' && r != '\n' && r != '\r' && r != '\t' || r >= 0x7f
	})
}

// A serialized file holds structures of tpm2-tss as they lie in memory,
// little-endian: a TPML_PCR_SELECTION, the number of TPML_DIGEST that follow,
// and these (tpm2-tools, lib/pcr.c). All have room for their largest number.
const (
	serializedBanks   = 16
	serializedBank    = 2 + 1 + 4 + 1 // hash, sizeofSelect, pcrSelect, padding
	serializedSelects = 4 + serializedBanks*serializedBank
	serializedDigests = 8
	serializedDigest  = 2 + digestMax
	serializedList    = 4 + serializedDigests*serializedDigest
	serializedHeader  = serializedSelects + 4
	serializedLists   = serializedBanks * 32 / serializedDigests
)

// isSerialized reports whether b begins as a serialized file does; it may be
// damaged further on.
func isSerialized(b []byte) bool {
	if len(b) < 4+serializedBank {
		return false
	}
	count := binary.LittleEndian.Uint32(b)
	return count > 0 && count <= serializedBanks && bankByAlgID(binary.LittleEndian.Uint16(b[4:])) != 0 && b[6] <= selectMax
}

func parseSerialized(b []byte) (ima.PCRs, error) {
	d := &serializedDecoder{b: b}
	selection, err := d.selection()
	if err != nil {
		return nil, err
	}
	digests, err := d.digests()
	if err != nil {
		return nil, err
	}
	return assignPCRs(selection, func(i int, bank ima.HashAlgo) ([]byte, error) {
		if i == len(digests) {
			return nil, d.fail(serializedHeader, "digests", fmt.Errorf("there are %d, the selection has more PCRs: did the TPM have all of its banks?", i))
		}
		if size := len(digests[i].value); size != bank.Size() {
			return nil, d.fail(digests[i].offset, fmt.Sprintf("digest %d", i+1), fmt.Errorf("%d bytes, one of %s has %d", size, bank, bank.Size()))
		}
		return digests[i].value, nil
	}, func(n int) error {
		if n == len(digests) {
			return nil
		}
		return d.fail(serializedHeader, "digests", fmt.Errorf("there are %d, the selection has %d PCRs", len(digests), n))
	})
}

// assignPCRs returns the PCRs of a selection their values, in its order. end is
// told how many there were.
func assignPCRs(selection []Selection, value func(i int, bank ima.HashAlgo) ([]byte, error), end func(n int) error) (ima.PCRs, error) {
	pcrs := ima.PCRs{}
	n := 0
	for _, s := range selection {
		for _, pcr := range s.PCRs {
			v, err := value(n, s.Bank)
			if err != nil {
				return nil, err
			}
			if pcrs[s.Bank] == nil {
				pcrs[s.Bank] = make(map[int]ima.Hex)
			}
			pcrs[s.Bank][pcr] = bytes.Clone(v)
			n++
		}
	}
	if err := end(n); err != nil {
		return nil, err
	}
	return pcrs, nil
}

// serializedDecoder reads a serialized file. Offsets are constants of the form.
type serializedDecoder struct{ b []byte }

func (d *serializedDecoder) fail(offset int, item string, err error) error {
	return &PCRFileError{Form: pcrFormSerialized, Offset: int64(offset), Item: item, Err: err}
}

func (d *serializedDecoder) selection() ([]Selection, error) {
	if len(d.b) < serializedHeader {
		return nil, d.fail(len(d.b), "selection", io.ErrUnexpectedEOF)
	}
	var list []Selection
	for i := range int(binary.LittleEndian.Uint32(d.b)) {
		at := 4 + i*serializedBank
		row := d.b[at : at+serializedBank]
		s := Selection{AlgID: binary.LittleEndian.Uint16(row)}
		s.Bank = bankByAlgID(s.AlgID)
		item := fmt.Sprintf("bank %d of the selection", i+1)
		switch {
		case s.Bank == 0:
			return nil, d.fail(at, item, fmt.Errorf("TPM_ALG_ID 0x%04x is not known here", s.AlgID))
		case row[2] > selectMax:
			return nil, d.fail(at+2, item, fmt.Errorf("%d bytes of PCRs, there can be %d", row[2], selectMax))
		}
		s.PCRs = selected(row[3 : 3+row[2]])
		if err := checkSelection(list, &s); err != nil {
			return nil, d.fail(at, item, err)
		}
		list = append(list, s)
	}
	return list, nil
}

// serializedValue is a TPM2B_DIGEST.
type serializedValue struct {
	offset int
	value  []byte
}

func (d *serializedDecoder) digests() ([]serializedValue, error) {
	lists := binary.LittleEndian.Uint32(d.b[serializedSelects:])
	if lists > serializedLists {
		return nil, d.fail(serializedSelects, "number of digest lists", fmt.Errorf("%d, there can be %d", lists, serializedLists))
	}
	if want := serializedHeader + int(lists)*serializedList; len(d.b) < want {
		return nil, d.fail(len(d.b), "digests", fmt.Errorf("the file ends, with %d lists it has %d bytes: %w", lists, want, io.ErrUnexpectedEOF))
	} else if len(d.b) > want {
		return nil, d.fail(want, "end", fmt.Errorf("%d bytes follow", len(d.b)-want))
	}
	var digests []serializedValue
	for at := serializedHeader; at < len(d.b); at += serializedList {
		n := binary.LittleEndian.Uint32(d.b[at:])
		if n > serializedDigests {
			return nil, d.fail(at, "number of digests", fmt.Errorf("%d in a list, there can be %d", n, serializedDigests))
		}
		for i := range int(n) {
			from := at + 4 + i*serializedDigest
			size := int(binary.LittleEndian.Uint16(d.b[from:]))
			if size > digestMax {
				return nil, d.fail(from, fmt.Sprintf("digest %d", len(digests)+1), fmt.Errorf("%d bytes, there can be %d", size, digestMax))
			}
			digests = append(digests, serializedValue{from, d.b[from+2 : from+2+size]})
		}
	}
	return digests, nil
}

// selected lists the PCRs of a bit map.
func selected(bits []byte) []int {
	pcrs := []int{}
	for i, b := range bits {
		for bit := range 8 {
			if b>>bit&1 != 0 {
				pcrs = append(pcrs, 8*i+bit)
			}
		}
	}
	return pcrs
}

// checkSelection refuses a bank that is in the list already, and PCRs that no
// TPM has.
func checkSelection(list []Selection, s *Selection) error {
	for _, other := range list {
		if other.Bank == s.Bank {
			return fmt.Errorf("bank %s comes twice", s.Bank)
		}
	}
	for _, pcr := range s.PCRs {
		if pcr >= numPCRs {
			return fmt.Errorf("PCR %d; a TPM has PCR 0 to %d", pcr, numPCRs-1)
		}
	}
	return nil
}

// parseValues reads the digests of a selection, one after the other.
func parseValues(b []byte, selection []Selection) (ima.PCRs, error) {
	at := 0
	return assignPCRs(selection, func(i int, bank ima.HashAlgo) ([]byte, error) {
		if bank == 0 || bank.Size() > len(b)-at {
			return nil, &PCRFileError{Form: pcrFormValues, Offset: int64(at), Item: fmt.Sprintf("digest %d", i+1), Err: io.ErrUnexpectedEOF}
		}
		at += bank.Size()
		return b[at-bank.Size() : at], nil
	}, func(n int) error {
		if at == len(b) {
			return nil
		}
		return &PCRFileError{Form: pcrFormValues, Offset: int64(at), Item: "end", Err: fmt.Errorf("%d bytes follow the values of the %d PCRs selected (%s)", len(b)-at, n, SelectionText(selection))}
	})
}
