package verify_test

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// A list of somebody else's must not control the terminal that shows a verdict
// on it.
func TestRenderedListControlsNoTerminal(t *testing.T) {
	t.Parallel()
	version := entry(t, "kernel_version", func(e *ima.EventData) { e.Buf = []byte("7.3\x1b[2J\n\u202e") })
	binary, err := aggregateOf(t, fresh(t), ima.SHA256).AppendBinary(nil)
	require.NoError(t, err)
	binary, err = version.AppendBinary(binary)
	require.NoError(t, err)
	bad := bytes.Replace(binary, []byte("ima-ng"), []byte("im\x1b\x07\x9bg"), 1)
	for _, list := range [][]byte{binary, bad} {
		reader, err := ima.NewBinaryReader(bytes.NewReader(list), ima.Format{})
		require.NoError(t, err)
		v, _ := verify.Verify(verify.Evidence{List: reader, PCRs: fresh(t)})
		var text bytes.Buffer
		require.NoError(t, v.Render(&text))
		for _, name := range verify.PolicyNames() {
			p, err := verify.PolicyByName(name)
			require.NoError(t, err)
			result := p.Appraise(v)
			require.NoError(t, result.Render(&text))
		}
		assert.True(t, utf8.Valid(text.Bytes()))
		assert.NotContains(t, text.String(), "\u202e")
		for line := range strings.Lines(text.String()) {
			assert.False(t, strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\x1b\x07\n\r\u009b"), "%q", line)
			assert.LessOrEqual(t, utf8.RuneCountInString(line), 81, line)
		}
	}
}

func TestRenderResult(t *testing.T) {
	t.Parallel()
	strict, err := verify.PolicyByName("strict")
	require.NoError(t, err)
	v := verdict(t, verify.Evidence{List: open(t, readFile(t, "debian-6.1-exec.bin")), PCRs: readPCRs(t, "debian-6.1-exec.pcrs.json"), Vouched: true})
	result := strict.Appraise(v)
	var text bytes.Buffer
	require.NoError(t, result.Render(&text))
	for _, want := range []string{
		"strict: cannot-tell\n",
		"cannot-tell no on-time-bound, no denied-bound\n",
		"cannot-tell timing-unknown: record 1\n",
	} {
		assert.Contains(t, text.String(), want)
	}
}

func TestRenderReplacesControlCharacters(t *testing.T) {
	t.Parallel()
	v := verify.Verdict{Findings: []verify.Finding{{Code: verify.ListUnreadable, Text: "A \x1b[2J\u202eword"}}}
	var text bytes.Buffer
	require.NoError(t, v.Render(&text))
	assert.Contains(t, text.String(), "A \ufffd[2J\ufffdword\n")
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestRenderToABrokenWriter(t *testing.T) {
	t.Parallel()
	assert.True(t, errors.Is(new(verify.Verdict).Render(brokenWriter{}), os.ErrClosed))
	assert.True(t, errors.Is(new(verify.Result).Render(brokenWriter{}), os.ErrClosed))
}
