package faults_test

import (
	"math/bits"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
)

func TestFlip(t *testing.T) {
	t.Parallel()
	testChange(t, "flip=9.0,10.7", "80010000000e0000000121b2c3d4", "9.0,10.7 flipped")
	testChange(t, "flip=0.3,2000.1", "88010000000e00000000a1b2c3d4", "0.3 flipped")
	testChange(t, "flip=14.0", fourBytes, "")
	refused(t, "flip", []string{"0", "-1", "1025", "9.8", "9.", ".1", "4096.0", "9.0,", "9.0,9.0", "x"},
		faults.Flip{}, faults.Flip{Random: 1, Bits: []faults.Bit{{Byte: 1}}}, faults.Flip{Bits: []faults.Bit{{Byte: -1}}})
}

// Bits that are drawn are so many, and the same for the same seed.
func TestFlipDraws(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int{"*: flip=5": 5, "*: flip=1000": 8 * len(fourBytes) / 2} {
		var runs [2]string
		for i := range runs {
			send, _, journal := dangerous(t, text)
			response, err := send()
			require.NoError(t, err)
			n := 0
			for i, b := range unhex(response) {
				n += bits.OnesCount8(b ^ unhex(fourBytes)[i])
			}
			assert.Equal(t, want, n, text)
			outcome, detail := journal.last()
			assert.Equal(t, faults.Changed, outcome)
			runs[i] = response + detail
		}
		assert.Equal(t, runs[0], runs[1], text)
	}
}
