package emulator_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func init() { packetLists = append(packetLists, readOnlyPackets) }

func readOnlyPackets() []packet {
	return []packet{{name: "ReadOnlyControl", code: wire.CCReadOnlyControl, bytes: readOnly(1)}}
}

// readOnly is TPM2_ReadOnlyControl.
func readOnly(on uint8) []byte {
	return et.Command(wire.CCReadOnlyControl, handles{wire.RHPlatform}, et.NoAuth(), et.U8(on))
}

func isReadOnly(tb testing.TB, tpm *et.TPM) bool {
	tb.Helper()
	return property(tb, tpm, wire.PTStartupClear)&uint32(wire.StartupClearReadOnly) != 0
}

// In read-only mode no command is executed that the table says is refused, and
// every other one is, but for those that change an index.
func TestReadOnlyMode(t *testing.T) {
	t.Parallel()
	table := map[wire.CC]emulator.Command{}
	for _, c := range emulator.Commands() {
		table[c.Code] = c
	}
	changesIndex := map[wire.CC]bool{wire.CCNVWrite: true, wire.CCNVExtend: true, wire.CCNVSetBits: true, wire.CCNVWriteLock: true, wire.CCNVReadLock: true}
	refused := 0
	for _, p := range packets() {
		if p.bytes == nil {
			continue
		}
		tpm := p.fresh(t)
		changeState(t, tpm, func(s *state.State) { s.Clear.ReadOnly = true })
		want := wire.RCSuccess
		if table[p.code].RefusedInReadOnlyMode || changesIndex[p.code] {
			want = wire.RCReadOnly
			refused++
		}
		assert.Equal(t, want, send(t, tpm, p.bytes), p.name)
		if table[p.code].RefusedInReadOnlyMode {
			assert.Equal(t, want, send(t, tpm, et.Command(p.code, nil, nil)), "%s: before anything but its code is looked at", p.name)
		}
	}
	assert.Greater(t, refused, 25)
}

// Read-only mode ends by command, and with a startup that is no TPM Resume.
func TestReadOnlyControl(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	lock := et.Command(wire.CCNVGlobalWriteLock, handles{wire.RHOwner}, et.NoAuth())
	assert.False(t, isReadOnly(t, tpm))
	succeed(t, tpm, lock, readOnly(0), readOnly(1), readOnly(1))
	assert.True(t, isReadOnly(t, tpm))
	assert.Equal(t, wire.RCReadOnly, send(t, tpm, lock))
	succeed(t, tpm, readOnly(0), lock)

	for name, tc := range map[string]struct {
		shutdown, startup wire.SU
		kept              bool
	}{"TPM Resume": {wire.SUState, wire.SUState, true}, "TPM Restart": {wire.SUState, wire.SUClear, false}, "TPM Reset": {wire.SUClear, wire.SUClear, false}} {
		succeed(t, tpm, readOnly(1))
		require.Equal(t, wire.RCSuccess, tpm.Shutdown(tc.shutdown), name)
		require.NoError(t, tpm.Init())
		assert.Equal(t, wire.RCInitialize, send(t, tpm, lock), "%s: of what is refused, the first reason", name)
		require.Equal(t, wire.RCSuccess, tpm.Startup(0, tc.startup), name)
		assert.Equal(t, tc.kept, isReadOnly(t, tpm), name)
		succeed(t, tpm, readOnly(0))
	}
}

func TestReadOnlyControlRefuses(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	assert.Equal(t, wire.RCValue.Parameter(1), send(t, tpm, readOnly(2)))
	assert.Equal(t, wire.RCValue.Handle(1), send(t, tpm, et.Command(wire.CCReadOnlyControl, handles{wire.RHOwner}, et.NoAuth(), et.U8(1))))
	assert.Equal(t, wire.RCBadAuth.Session(1), send(t, tpm, et.Command(wire.CCReadOnlyControl, handles{wire.RHPlatform}, [][]byte{pw}, et.U8(1))))
	// What changes makes a shutdown undone, for which NV is needed.
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	tpm.Store.SetWritable(state.ErrRateLimited)
	assert.Equal(t, wire.RCNVRate, send(t, tpm, readOnly(1)))
	assert.Equal(t, wire.RCSuccess, send(t, tpm, readOnly(0)), "as it is")
	assert.False(t, isReadOnly(t, tpm))
	tpm.Store.SetWritable(nil)
	succeed(t, tpm, readOnly(1))
	require.NoError(t, tpm.Init())
	assert.Equal(t, wire.RCValue.Parameter(1), tpm.Startup(0, wire.SUState), "the shutdown is undone")
}

// An index that neither outlives the power nor a restart may change.
func TestReadOnlyModeAndIndices(t *testing.T) {
	t.Parallel()
	const locks = wire.NVWriteStClear | wire.NVReadStClear
	commands := map[wire.NT][]byte{
		wire.NTOrdinary: nvWrite(nvFirst, nvFirst, nil, make([]byte, 8), 0),
		wire.NTBits:     nvDo(wire.CCNVSetBits, nvFirst, et.U64(1)),
		wire.NTExtend:   nvDo(wire.CCNVExtend, nvFirst, et.Sized([]byte("x"))),
	}
	for attributes, want := range map[wire.NVAttributes]wire.RC{
		0: wire.RCReadOnly, wire.NVOrderly: wire.RCReadOnly, wire.NVClearStClear: wire.RCReadOnly, wire.NVOrderly | wire.NVClearStClear: wire.RCSuccess,
	} {
		for nt, command := range commands {
			p := nvPublic{attributes: nvUsable | locks | attributes | nt.Attributes()}
			if nt == wire.NTExtend {
				p.size = 32
			}
			tpm := et.New(t)
			succeed(t, tpm, define(wire.RHOwner, p, nil), readOnly(1))
			for _, c := range [][]byte{command, nvDo(wire.CCNVWriteLock, nvFirst), nvDo(wire.CCNVReadLock, nvFirst)} {
				assert.Equal(t, want, send(t, tpm, c), "%v %#x", nt, attributes)
			}
		}
	}
	// It is refused before what else is wrong, and after the authorization.
	tpm := et.New(t)
	succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: wire.NVOwnerRead | wire.NVOwnerWrite | wire.NVNoDA}, pw), readOnly(1))
	assert.Equal(t, wire.RCReadOnly, send(t, tpm, nvWrite(wire.RHPlatform, nvFirst, nil, make([]byte, 9), 9)))
	assert.Equal(t, wire.RCReadOnly, send(t, tpm, et.Command(wire.CCNVWriteLock, handles{wire.RHPlatform, nvFirst}, et.NoAuth())))
	assert.Equal(t, wire.RCReadOnly, send(t, tpm, et.Command(wire.CCNVReadLock, handles{wire.RHPlatform, nvFirst}, et.NoAuth())))
	assert.Equal(t, wire.RCAuthUnavailable.Session(1), send(t, tpm, nvWrite(nvFirst, nvFirst, pw, make([]byte, 8), 0)))
}

// A PIN index is no secret for a policy in read-only mode: its count would
// change.
func TestReadOnlyModeAndPINs(t *testing.T) {
	t.Parallel()
	for _, nt := range []wire.NT{wire.NTOrdinary, wire.NTPinFail, wire.NTPinPass} {
		tpm := et.New(t)
		succeed(t, tpm, defined(nt), nvWrite(wire.RHOwner, nvFirst, nil, []byte{0, 0, 0, 0, 0, 0, 0, 9}, 0), startSession(wire.SEPolicy))
		secret := et.Command(wire.CCPolicySecret, handles{nvFirst, policySession}, et.NoAuth(), et.Sized(nil), et.Sized(nil), et.Sized(nil), et.U32(0))
		succeed(t, tpm, secret, readOnly(1))
		want := wire.RCReadOnly
		if nt == wire.NTOrdinary {
			want = wire.RCSuccess
		}
		assert.Equal(t, want, send(t, tpm, secret), nt)
	}
}
