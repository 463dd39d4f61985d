package emulator_test

import (
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func init() { packetLists = append(packetLists, auditPackets) }

func auditPackets() []packet {
	return []packet{
		{name: "SetCommandCodeAuditStatus", code: wire.CCSetCommandCodeAuditStatus, bytes: setAudit(wire.AlgNull, []wire.CC{wire.CCGetRandom}, []wire.CC{wire.CCHash})},
	}
}

// setAudit is TPM2_SetCommandCodeAuditStatus.
func setAudit(alg wire.AlgID, set, clear []wire.CC) []byte {
	var w wire.Writer
	w.U16(uint16(alg))
	for _, list := range [][]wire.CC{set, clear} {
		w.U32(uint32(len(list)))
		for _, code := range list {
			w.U32(uint32(code))
		}
	}
	return et.Command(wire.CCSetCommandCodeAuditStatus, handles{wire.RHOwner}, et.NoAuth(), w.Data())
}

// audited lists the commands under audit.
func audited(t *testing.T, tpm *et.TPM) []wire.CC {
	t.Helper()
	r := wire.NewReader(et.Parameters(tpm.Execute(0, getCapability(wire.CapAuditCommands, 0, 100)), false), nil)
	r.Bytes(1 + 4)
	var list []wire.CC
	for range r.U32() {
		list = append(list, wire.CC(r.U32()))
	}
	return list
}

func TestSetCommandCodeAuditStatus(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	assert.Equal(t, []wire.CC{wire.CCSetCommandCodeAuditStatus}, audited(t, tpm))
	require.Equal(t, wire.RCSuccess, send(t, tpm, setAudit(wire.AlgNull, []wire.CC{wire.CCHash, wire.CCShutdown, 0x1FF, wire.CCGetRandom}, nil)))
	assert.Equal(t, []wire.CC{wire.CCSetCommandCodeAuditStatus, wire.CCGetRandom, wire.CCHash}, audited(t, tpm))
	require.Equal(t, wire.RCSuccess, send(t, tpm, setAudit(wire.AlgSHA512, nil, []wire.CC{wire.CCHash, wire.CCSetCommandCodeAuditStatus})), "the hash in force")
	assert.Equal(t, []wire.CC{wire.CCSetCommandCodeAuditStatus, wire.CCGetRandom}, audited(t, tpm))
	assert.Equal(t, wire.RCValue.Parameter(1), send(t, tpm, setAudit(wire.AlgSHA256, []wire.CC{wire.CCHash}, nil)), "either the hash or the list")
	assert.Equal(t, wire.RCHash.Parameter(1), send(t, tpm, setAudit(wire.AlgRSA, nil, nil)))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	assert.Equal(t, []wire.CC{wire.CCSetCommandCodeAuditStatus, wire.CCGetRandom}, audited(t, tpm), "it is persistent")
}

// The counter rises with the first command that is audited after the digest was
// reported or begun anew.
func TestAuditCounter(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	counter := func() uint32 { return property(t, tpm, wire.PTAuditCounter1) }
	random := et.Command(wire.CCGetRandom, nil, nil, et.U16(1))
	require.Equal(t, wire.RCSuccess, send(t, tpm, setAudit(wire.AlgNull, []wire.CC{wire.CCGetRandom}, nil)))
	assert.EqualValues(t, 1, counter())
	send(t, tpm, random)
	assert.EqualValues(t, 1, counter())
	require.Equal(t, wire.RCSuccess, send(t, tpm, setAudit(wire.AlgSHA256, nil, nil)))
	assert.EqualValues(t, 1, counter(), "the command that chooses the hash is not audited")
	send(t, tpm, random)
	send(t, tpm, random)
	assert.EqualValues(t, 2, counter())
	tpm.Store.SetWritable(state.ErrUnavailable)
	assert.Equal(t, wire.RCSuccess, send(t, tpm, random), "a digest that has begun needs no NV")
	require.NoError(t, tpm.Init())
	tpm.Store.SetWritable(nil)
	require.Equal(t, wire.RCSuccess, tpm.Startup(0, wire.SUClear))
	tpm.Store.SetWritable(state.ErrUnavailable)
	assert.Equal(t, wire.RCNVUnavailable, send(t, tpm, random), "the counter could not be written")
}

// The digest is extended with the hashes of command and response.
func TestCommandAuditDigest(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	require.Equal(t, wire.RCSuccess, send(t, tpm, setAudit(wire.AlgNull, []wire.CC{wire.CCGetRandom}, nil)))
	require.Equal(t, wire.RCSuccess, send(t, tpm, setAudit(wire.AlgSHA256, nil, nil)))
	want := make([]byte, sha256.Size)
	for range 2 {
		command := et.Command(wire.CCGetRandom, nil, nil, et.U16(8))
		rsp := tpm.Execute(0, command)
		cp, rp := sha256.Sum256(command[6:]), sha256.Sum256(append(et.U32(0), append(command[6:10:10], rsp[10:]...)...))
		sum := sha256.Sum256(append(append(want, cp[:]...), rp[:]...))
		want = sum[:]
	}
	snapshot, err := tpm.Snapshot()
	require.NoError(t, err)
	s, err := state.Decode(snapshot)
	require.NoError(t, err)
	assert.Equal(t, want, s.Reset.CommandAuditDigest.Bytes())
}

// After a shutdown an audited command needs NV: it takes the mark away, without
// which the digest would be what the shutdown has saved.
func TestAuditAfterShutdownNeedsNV(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	succeed(t, tpm, setAudit(wire.AlgNull, []wire.CC{wire.CCGetRandom}, nil))
	random := et.Command(wire.CCGetRandom, nil, nil, et.U16(8))
	succeed(t, tpm, random)
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	before := snapshotOf(t, tpm).Reset.CommandAuditDigest
	tpm.Store.SetWritable(state.ErrUnavailable)
	assert.Equal(t, wire.RCNVUnavailable, send(t, tpm, random))
	tpm.Store.SetWritable(nil)
	assert.Equal(t, before, snapshotOf(t, tpm).Reset.CommandAuditDigest)
	succeed(t, tpm, random)
	assert.Equal(t, wire.RCValue.Parameter(1), tpm.Restart(wire.SUState))
}
