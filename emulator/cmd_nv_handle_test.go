package emulator_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// External and permanent NV indices came with TPM2_NV_DefineSpace2 (rev 1.83).
func TestNVHandlesOfLaterRevisionsAreNone(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	for _, handle := range []wire.Handle{0x11000000, 0x12000000} {
		c := et.Command(wire.CCNVReadPublic, []wire.Handle{handle}, nil)
		assert.Equal(t, wire.RCValue.Handle(1), et.ResponseCode(tpm.Execute(0, c)), "%#x", handle)
	}
	c := et.Command(wire.CCNVReadPublic, []wire.Handle{0x01000000}, nil)
	assert.Equal(t, wire.RCHandle.Handle(1), et.ResponseCode(tpm.Execute(0, c)), "one that is not defined")
}
