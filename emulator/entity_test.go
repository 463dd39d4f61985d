package emulator_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// A command looks up each of its handles once. Besides those of the handle area
// there are handles among the parameters, and sessions: one that authorizes is
// looked up when it is used and once more when it ends with the command. An NV index
// that authorizes its own use is two handles and one lookup.
func TestHandlesAreLookedUpOnce(t *testing.T) {
	t.Parallel()
	more := map[string]int{
		"FlushContext": 1, "EvictControl": 1, "NV_DefineSpace": 1, "NV_DefineSpace2": 1,
		"Duplicate": 1, "NV_ChangeAuth": 2, "NV_UndefineSpaceSpecial": 2, // by policy sessions
	}
	area := map[wire.CC]int{}
	for _, c := range emulator.Commands() {
		area[c.Code] = len(c.Handles)
	}
	for _, p := range packets() {
		if p.bytes == nil {
			continue
		}
		tpm := p.fresh(t)
		require.Equal(t, wire.RCSuccess, send(t, tpm, p.bytes), p.name)
		want := area[p.code] + more[p.name]
		if area[p.code] > 1 && p.bytes[10] == byte(wire.HTNVIndex) && bytes.Equal(p.bytes[10:14], p.bytes[14:18]) {
			want--
		}
		assert.Equal(t, want, tpm.Lookups(), p.name)
	}
}

// The commands that a boot and its users send most, with what a session adds.
func TestLookupsOfSessions(t *testing.T) {
	t.Parallel()
	p := withSealed(t, pcrPolicy(10, nullSHA256))
	p.assert(t, assertTrue(wire.CCPolicyPCR, noParam, et.Selection(wire.AlgSHA256, 10)))
	require.Equal(t, wire.RCSuccess, p.unseal(t))
	assert.Equal(t, 2, p.Lookups(), "Unseal by a policy session that goes on: object and session")

	tpm := et.New(t)
	s := startClient(t, tpm, wire.SEHMAC, wire.RHNull, "")
	saveContext(t, tpm, s.handle)
	assert.Equal(t, 2, tpm.Lookups(), "ContextSave of a session: the session, and its entry in the table of active ones")
}
