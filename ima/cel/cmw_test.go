package cel_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/cel"
)

// head is the head of a CBOR item of a major type.
func head(major byte, n int) []byte {
	return []byte{major<<5 | 26, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}
}

// shortHead is head for numbers below 24.
func shortHead(major byte, n int) []byte { return []byte{major<<5 | byte(n)} }

// bstr is a byte string of more than 65,535 bytes or any other.
func bstr(b []byte) []byte {
	switch n := len(b); {
	case n < 24:
		return append(shortHead(2, n), b...)
	case n < 1<<8:
		return append([]byte{0x58, byte(n)}, b...)
	case n < 1<<16:
		return append([]byte{0x59, byte(n >> 8), byte(n)}, b...)
	}
	return append(head(2, len(b)), b...)
}

// tstr is a text string of fewer than 24 bytes.
func tstr(s string) []byte { return append(shortHead(3, len(s)), s...) }

func join(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

// jsonCMW is a record of CMW with the value b.
func jsonCMW(b []byte, rest string) string {
	return `["application/x-cel", "` + base64.RawURLEncoding.EncodeToString(b) + `"` + rest + `]`
}

// A log is found in each form of a wrapper, whatever else is in it.
func TestLogsInWrappers(t *testing.T) {
	t.Parallel()
	records := readList(t, realLists[0])
	other := []byte("this is no log")
	for _, encoding := range encodings {
		log := write(t, encoding, firmware(), records)
		firmwareOnly, imaOnly := write(t, encoding, firmware(), nil), write(t, encoding, nil, records)
		for name, file := range map[string][]byte{
			"JSON record":           []byte(jsonCMW(log, "")),
			"JSON, indicator":       []byte(" " + jsonCMW(log, " , 4 ") + "\n"),
			"JSON, base64":          []byte(`["a/b","` + base64.StdEncoding.EncodeToString(log) + `"]`),
			"JSON collection":       []byte(`{"__cmwc_t":"tag:example.com,2026:x","a":` + jsonCMW(other, "") + `,"b":` + jsonCMW(log, ",4") + `}`),
			"JSON nested":           []byte(`{"a":{"b":` + jsonCMW(other, "") + `,"c":{"d":` + jsonCMW(log, "") + `}},"e":` + jsonCMW(other, ",1") + `}`),
			"JSON, two logs":        []byte(`{"firmware":` + jsonCMW(firmwareOnly, "") + `,"ima":` + jsonCMW(imaOnly, "") + `}`),
			"CBOR record":           join(shortHead(4, 2), tstr("application/cel"), bstr(log)),
			"CBOR, indicator":       join(shortHead(4, 3), []byte{0x19, 0x75, 0x31}, bstr(log), shortHead(0, 4)),
			"CBOR tag":              join([]byte{0xda, 0x63, 0x74, 0x76, 0x32}, bstr(log)),
			"CBOR collection":       join(shortHead(5, 3), tstr("__cmwc_t"), tstr("1.2.3"), shortHead(0, 1), shortHead(4, 2), tstr("a/b"), bstr(other), shortHead(1, 3), []byte{0xda, 0x63, 0x74, 0x76, 0x32}, bstr(log)),
			"CBOR nested, two logs": join(shortHead(5, 2), tstr("a"), shortHead(5, 1), tstr("b"), shortHead(4, 2), tstr("a/b"), bstr(firmwareOnly), tstr("c"), shortHead(4, 2), tstr("a/b"), bstr(imaOnly)),
		} {
			require.True(t, cel.Starts(file[:min(len(file), cel.HeadSize)]), "%s %s", encoding, name)
			for _, source := range []io.Reader{bytes.NewReader(file), iotest.OneByteReader(bytes.NewReader(file))} {
				list, err := cel.Open(source, ima.Format{})
				require.NoError(t, err, name)
				got, err := ima.ReadAll(list)
				require.NoError(t, err, "%s in %s", encoding, name)
				require.Len(t, got, len(records), name)
				assert.Equal(t, records[3].Data(), got[3].Data())
				assert.NotNil(t, list.EventLog())
				assert.Equal(t, encoding.String(), list.Form())
			}
		}
	}
}

// Wrappers that are broken, or hold no log, are told.
func TestBrokenWrappers(t *testing.T) {
	t.Parallel()
	log := write(t, cel.TLV, nil, readList(t, realLists[0])[:2])
	text := jsonCMW(log, ",4")
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"no log":               {[]byte(jsonCMW([]byte("no log"), "")), "none of its values"},
		"empty collection":     {[]byte(`{"__cmwc_t":"x"}`), "none of its values"},
		"base64":               {[]byte(strings.Replace(text, `"AAAA`, `"AA*A`, 1)), "none of its values"},
		"blank in base64":      {[]byte(strings.Replace(text, `AAAA"`, `A=AA"`, 1)), "base64"},
		"escape in base64":     {[]byte(text[:len(text)-8] + `\u0041"]`), "is no character of base64url"},
		"cut off in base64":    {[]byte(text[:len(text)-8]), "unexpected EOF"},
		"cut off after it":     {[]byte(text[:len(text)-1]), "unexpected EOF"},
		"rest":                 {[]byte(text + "x"), "follows it"},
		"indicator":            {[]byte(jsonCMW(log, `,"x"`)), "instead of a number"},
		"deep":                 {[]byte(strings.Repeat(`{"a":`, 9) + text + strings.Repeat("}", 9)), "nested more than"},
		"CBOR cut off":         {join(shortHead(4, 2), tstr("a/b"), bstr(log)[:40]), "unexpected EOF"},
		"CBOR rest":            {join(shortHead(4, 2), tstr("a/b"), bstr(log), []byte{1}), "follows it"},
		"CBOR value of a list": {join(shortHead(4, 2), tstr("a/b"), []byte{0x80}), "major type 4 instead of 2"},
		"CBOR huge":            {join(shortHead(4, 2), tstr("a/b"), unhex(t, "5b ffffffffffffffff")), "bytes"},
	} {
		list, err := cel.Open(bytes.NewReader(c.file), ima.Format{})
		if err == nil {
			_, err = ima.ReadAll(list)
		}
		var at *ima.ListError
		require.ErrorAs(t, err, &at, name)
		if name != "base64" {
			assert.ErrorContains(t, err, c.says, name)
		}
	}
}

func FuzzWrapper(f *testing.F) {
	log := write(f, cel.CBOR, firmware(), readList(f, realLists[0])[:2])
	f.Add([]byte(jsonCMW(log, ",4")))
	f.Add([]byte(`{"__cmwc_t":"x","a":` + jsonCMW(log, "") + `}`))
	f.Add(join(shortHead(4, 2), tstr("a/b"), bstr(log)))
	f.Add(join(shortHead(5, 2), tstr("a"), []byte{0xda, 0x63, 0x74, 0x76, 0x32}, bstr(log), shortHead(0, 1), shortHead(4, 2), tstr("a/b"), bstr(log)))
	f.Fuzz(func(t *testing.T, file []byte) {
		list, err := cel.Open(bytes.NewReader(file), ima.Format{MaxData: 1 << 20})
		var at *ima.ListError
		if err == nil {
			_, err = ima.ReadAll(list)
		}
		if err != nil && !errors.As(err, &at) {
			t.Fatal(err)
		}
	})
}
