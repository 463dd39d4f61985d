package conversation

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

// Two equal edits past the end of a shorter value must not undo one another.
func TestEditsOfAShorterValue(t *testing.T) {
	t.Parallel()
	h := Hole{}
	h.Edits = append(h.Edits, Edit{At: 346, Xor: 0x24}, Edit{At: 347, Xor: 0x24})
	value := make([]byte, 300)
	filled := h.fill(value)
	assert.Equal(t, value[:292], filled[:292], "they are at its end")
	assert.NotEqual(t, value, filled)
	assert.Equal(t, make([]byte, 300), value, "the value stays as it is")
}
