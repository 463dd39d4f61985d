package emulator_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// A TPM of the full Config is the one of the Config; all that is offered makes a TPM,
// and nothing that is needed can be left out.
func TestConfigLists(t *testing.T) {
	t.Parallel()
	full := emulator.Config{}.Full()
	assert.NotEmpty(t, full.Commands)
	assert.Equal(t, []uint16{1024, 2048, 3072}, full.RSABits)
	assert.Equal(t, full, full.Full())
	assert.Equal(t, []wire.CC{wire.CCGetCapability}, emulator.Config{Commands: []wire.CC{wire.CCGetCapability}}.Full().Commands)

	offered := emulator.Offered()
	_, err := emulator.New(emulator.Platform{}, offered)
	require.NoError(t, err)
	assert.Contains(t, offered.RSABits, uint16(4096))

	needed := emulator.Needed()
	assert.NotEmpty(t, needed.Algorithms)
	for _, alg := range needed.Algorithms {
		c := emulator.Offered()
		c.Algorithms = slices.DeleteFunc(c.Algorithms, func(a wire.AlgID) bool { return a == alg })
		_, err := emulator.New(emulator.Platform{}, c)
		assert.Error(t, err, alg)
	}
	assert.NotEmpty(t, needed.Commands)
	for _, code := range needed.Commands {
		c := emulator.Offered()
		c.Commands = slices.DeleteFunc(c.Commands, func(a wire.CC) bool { return a == code })
		_, err := emulator.New(emulator.Platform{}, c)
		assert.Error(t, err, code)
	}
}
