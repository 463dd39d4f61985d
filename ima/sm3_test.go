package ima

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The two examples of GB/T 32905-2016, appendix A, and lengths around the block.
func TestSM3(t *testing.T) {
	t.Parallel()
	sum := func(parts ...[]byte) string {
		h := newSM3()
		for _, p := range parts {
			_, _ = h.Write(p)
		}
		return hex.EncodeToString(h.Sum(nil))
	}
	assert.Equal(t, "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0", sum([]byte("abc")))
	assert.Equal(t, "debe9ff92275b8a138604889c18e5a4d6fdb70e5387e5765293dcba39c0c5732", sum(bytes.Repeat([]byte("abcd"), 16)))
	assert.Equal(t, "1ab21d8355cfa17f8e61194831e81a8f22bec8c728fefb747ed035eb5082aa2b", sum())
	for n := range 3 * sm3Block {
		text := bytes.Repeat([]byte{'x'}, n)
		assert.Equal(t, sum(text), sum(text[:n/3], text[n/3:]), "%d bytes", n)
	}
}
