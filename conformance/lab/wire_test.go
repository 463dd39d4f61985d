package lab

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// encodeReport writes a report as guest.sh does.
func encodeReport(label string, items Items) string {
	var b strings.Builder
	fmt.Fprintf(&b, "report %s\n", label)
	for _, name := range slices.Sorted(maps.Keys(items)) {
		b.WriteString(encodeItem(name, items[name]))
	}
	fmt.Fprintf(&b, "end %d\n", len(items))
	return b.String()
}

func encodeItem(name string, content []byte) string {
	sum := sha256.Sum256(content)
	text := fmt.Sprintf("item %s %d %s\n", name, len(content), hex.EncodeToString(sum[:]))
	for rest := base64.StdEncoding.EncodeToString(content); rest != ""; {
		n := min(76, len(rest)) // busybox base64 breaks lines there
		text += rest[:n] + "\n"
		rest = rest[n:]
	}
	return text + ".\n"
}

func TestReportComesAsItWasSent(t *testing.T) {
	t.Parallel()
	for name, items := range map[string]Items{
		"empty":            {},
		"empty item":       {"pcrs": {}},
		"binary":           {"ima-binary": {0, 10, '\n', 0xff, '.'}, "dmesg": []byte("[ 1.0] ima: x\n")},
		"looks like marks": {"a": []byte(".\nend 1\nitem b 0 x\n")},
		"many lines":       {"list": bytes.Repeat([]byte("0123456789\n"), 10000)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := NewWire(strings.NewReader("hello 1 6.1.0-56-amd64\n" + encodeReport("init", items) + "done collect 0\n"))
			release, err := w.Hello()
			require.NoError(t, err)
			assert.Equal(t, "6.1.0-56-amd64", release)
			got, err := w.Report("init")
			require.NoError(t, err)
			require.Len(t, got, len(items))
			for item, content := range items {
				assert.True(t, bytes.Equal(content, got[item]), item)
			}
			status, err := w.Done("collect")
			require.NoError(t, err)
			assert.Zero(t, status)
		})
	}
}

func TestBadReportsAreRefused(t *testing.T) {
	t.Parallel()
	good := encodeItem("a", []byte("content"))
	many := "report init\n"
	for i := range mostItems + 1 {
		many += encodeItem(fmt.Sprint("item", i), nil)
	}
	for name, c := range map[string]struct{ sent, says string }{
		"another label":   {"report await\nend 0\n", `"await"`},
		"no report":       {"done collect 0\n", "a line \"report\" was due"},
		"wrong count":     {"report init\n" + good + "end 2\n", "2 items announced, 1 came"},
		"item twice":      {"report init\n" + good + good, "came twice"},
		"too many":        {many, "more than 64 items"},
		"not an item":     {"report init\nitem a 7\n", "no item"},
		"no name":         {"report init\nitem  7 x\n", "no item"},
		"negative size":   {"report init\nitem a -1 x\n", "size -1"},
		"huge size":       {"report init\nitem a 16777217 x\n", "beyond 16777216"},
		"no size":         {"report init\nitem a x x\n", "size x"},
		"wrong hash":      {"report init\n" + strings.Replace(good, "Y29", "Y28", 1), "SHA-256"},
		"shorter":         {"report init\n" + strings.Replace(good, "item a 7", "item a 8", 1), "7 bytes came, 8 were announced"},
		"longer":          {"report init\n" + strings.Replace(good, "item a 7", "item a 1", 1), "more than the 1 bytes announced"},
		"not base64":      {"report init\nitem a 3 x\n!!!!\n.\n", "not base64"},
		"line too long":   {"report init\nitem a 9000 x\n" + strings.Repeat("A", longestLine+1), "longer than 4096"},
		"kernel message":  {"report init\n[    1.0] ima: x\n", "no item"},
		"ends in a line":  {"report in", "unexpected EOF"},
		"ends in content": {"report init\nitem a 3 x\n", "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			items, err := NewWire(strings.NewReader(c.sent)).Report("init")
			require.Error(t, err)
			assert.Contains(t, err.Error(), c.says)
			assert.Nil(t, items)
		})
	}
}

func TestAllContentsTogetherAreBounded(t *testing.T) {
	t.Parallel()
	// Two items of the full size pass, the third has no room left.
	w := &Wire{}
	_, err := w.item([]string{"item", "c", "1", "x"}, Items{}, 0)
	assert.ErrorContains(t, err, "beyond 0")
}

func TestHelloAndDoneAreStrict(t *testing.T) {
	t.Parallel()
	for _, line := range []string{"hello 2 6.1\n", "hello 1\n", "hello 1 6.1 more\n", "login: \n"} {
		_, err := NewWire(strings.NewReader(line)).Hello()
		var wrong *WireError
		assert.ErrorAs(t, err, &wrong, line)
	}
	for _, line := range []string{"done await 0\n", "done bind x\n", "done bind 256\n", "done bind -1\n", "done bind\n"} {
		_, err := NewWire(strings.NewReader(line)).Done("bind")
		var wrong *WireError
		assert.ErrorAs(t, err, &wrong, line)
	}
	_, err := NewWire(strings.NewReader("")).Done("bind")
	assert.ErrorIs(t, err, io.EOF)
}

func FuzzReport(f *testing.F) {
	f.Add([]byte(encodeReport("init", Items{"pcrs": []byte("x"), "dmesg": nil})))
	f.Add([]byte("report init\nitem a 16777216 x\n"))
	f.Add([]byte("report init\nend 0\n"))
	f.Fuzz(func(t *testing.T, sent []byte) {
		items, err := NewWire(bytes.NewReader(sent)).Report("init")
		if err != nil {
			require.Nil(t, items)
			return
		}
		again, err := NewWire(strings.NewReader(encodeReport("init", items))).Report("init")
		require.NoError(t, err)
		require.Equal(t, len(items), len(again))
		for name, content := range items {
			require.True(t, bytes.Equal(content, again[name]))
		}
	})
}
