package emulator_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func init() { packetLists = append(packetLists, contextPackets) }

func contextPackets() []packet {
	return []packet{
		{name: "ContextSave", code: wire.CCContextSave, bytes: et.Command(wire.CCContextSave, handles{seq}, nil), sequence: wire.AlgSHA256},
		{name: "ContextLoad", code: wire.CCContextLoad}, // its context is that of one TPM: TestContexts
	}
}

// saveContext gives the TPMS_CONTEXT of what is behind a handle.
func saveContext(t *testing.T, tpm *et.TPM, h wire.Handle) []byte {
	t.Helper()
	rsp := tpm.Execute(0, et.Command(wire.CCContextSave, handles{h}, nil))
	require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp))
	return et.Parameters(rsp, false)
}

// loadContext loads one.
func loadContext(tpm *et.TPM, ctx []byte) (wire.RC, wire.Handle) {
	rsp := tpm.Execute(0, et.Command(wire.CCContextLoad, nil, nil, ctx))
	return et.ResponseCode(rsp), et.ResponseHandle(rsp)
}

func flush(t *testing.T, tpm *et.TPM, h wire.Handle) {
	t.Helper()
	require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(h)))))
}

// A sequence goes on where it was saved, as often as its context is loaded, in
// any slot.
func TestSequenceContext(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	h := loadSequence(t, tpm, wire.AlgSHA256)
	update := func(h wire.Handle, data string) {
		require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCSequenceUpdate, handles{h}, [][]byte{pw}, et.Sized([]byte(data)))))
	}
	complete := func(h wire.Handle) []byte {
		rsp := tpm.Execute(0, et.Command(wire.CCSequenceComplete, handles{h}, [][]byte{pw}, et.Sized([]byte("c")), et.U32(uint32(wire.RHNull))))
		require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp))
		return et.Parameters(rsp, false)[2:34]
	}
	update(h, "ab")
	ctx := saveContext(t, tpm, h)
	assert.Equal(t, []byte{0, 0, 0, 0, 0, 0, 0, 1, 0x80, 0, 0, 1, 0x40, 0, 0, 7}, ctx[:16], "sequence number, savedHandle, hierarchy")
	update(h, "other")
	for range 2 {
		rc, again := loadContext(tpm, ctx)
		require.Equal(t, wire.RCSuccess, rc)
		assert.NotEqual(t, h, again)
		assert.Equal(t, []byte("\xba\x78\x16\xbf"), complete(again)[:4], "SHA-256 of abc")
	}
	assert.EqualValues(t, 2, saveContext(t, tpm, h)[7])
}

func TestContextLoadRefuses(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	ctx := saveContext(t, tpm, loadSequence(t, tpm, wire.AlgNull))
	change := func(at int, with ...byte) []byte {
		c := bytes.Clone(ctx)
		copy(c[at:], with)
		return c
	}
	integrity := wire.RCIntegrity.Parameter(1)
	for name, tc := range map[string]struct {
		ctx  []byte
		want wire.RC
	}{
		"sequence number": {change(7, 9), integrity},
		"saved handle":    {change(11, 0), integrity},
		"hierarchy":       {change(15, 1), integrity},
		"integrity":       {change(20, ^ctx[20]), integrity},
		"body":            {change(len(ctx)-1, ^ctx[len(ctx)-1]), integrity},
		"other handle":    {change(8, 0x81), wire.RCValue.Parameter(1)},
		"no such slot":    {change(8, 2, 0, 0, 64), wire.RCValue.Parameter(1)},
		"no hierarchy":    {change(12, 0x40, 0, 0, 0xA), wire.RCValue.Parameter(1)},
		"empty blob":      {append(bytes.Clone(ctx[:16]), 0, 0), wire.RCInsufficient},
		"short integrity": {append(bytes.Clone(ctx[:16]), 0, 3, 0, 1, 0), wire.RCSize.Parameter(1)},
		"long integrity":  {append(bytes.Clone(ctx[:16]), 0, 2, 0, 65), wire.RCSize},
		"no body":         {append(bytes.Clone(ctx[:16]), append([]byte{0, 66, 0, 64}, make([]byte, 64)...)...), wire.RCSize.Parameter(1)},
		"trailing":        {append(bytes.Clone(ctx), 0), wire.RCSize},
	} {
		rc, _ := loadContext(tpm, tc.ctx)
		assert.Equal(t, tc.want, rc, name)
	}
	for range 2 {
		rc, _ := loadContext(tpm, ctx)
		require.Equal(t, wire.RCSuccess, rc)
	}
	rc, _ := loadContext(tpm, ctx)
	assert.Equal(t, wire.RCObjectMemory, rc)
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	rc, _ = loadContext(tpm, ctx)
	assert.Equal(t, integrity, rc, "a TPM Reset ends the life of all contexts")
}

// Windows Server fills a TPMS_CONTEXT up with zeros.
func TestPaddedContext(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	ctx := saveContext(t, tpm, loadSequence(t, tpm, wire.AlgSHA1))
	size := int(property(t, tpm, wire.PTMaxObjectContext))
	padded := append(ctx, make([]byte, size-len(ctx))...)
	rc, _ := loadContext(tpm, padded)
	assert.Equal(t, wire.RCSuccess, rc)
	rc, _ = loadContext(tpm, padded[:size-1])
	assert.Equal(t, wire.RCSize, rc)
	padded[size-1] = 1
	rc, _ = loadContext(tpm, padded)
	assert.Equal(t, wire.RCSize, rc)
}

// A session is gone from its slot when it is saved, and comes back once for
// every time it was saved.
func TestSessionContext(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	require.Equal(t, wire.RCSuccess, send(t, tpm, startSession(wire.SEPolicy)))
	first := saveContext(t, tpm, policySession)
	assert.Equal(t, []byte{0, 0, 0, 0, 0, 0, 0, 4, 3, 0, 0, 0, 0x40, 0, 0, 7}, first[:16])
	restart := et.Command(wire.CCPolicyRestart, handles{policySession}, nil)
	assert.Equal(t, wire.RCReferenceH0, send(t, tpm, restart))
	assert.EqualValues(t, 0, property(t, tpm, wire.PTHRLoaded))
	assert.EqualValues(t, 1, property(t, tpm, wire.PTHRActive))
	saved := et.Parameters(tpm.Execute(0, getCapability(wire.CapHandles, uint32(wire.PolicyFirst), 10)), false)
	assert.Equal(t, []byte{0, 0, 0, 0, 1, 0, 0, 0, 1, 2, 0, 0, 0}, saved)
	rc, h := loadContext(tpm, first)
	require.Equal(t, wire.RCSuccess, rc)
	assert.Equal(t, policySession, h)
	assert.Equal(t, wire.RCSuccess, send(t, tpm, restart))
	rc, _ = loadContext(tpm, first)
	assert.Equal(t, wire.RCHandle.Parameter(1), rc, "once only")
	second := saveContext(t, tpm, policySession)
	rc, _ = loadContext(tpm, first)
	assert.Equal(t, wire.RCHandle.Parameter(1), rc, "an old one")
	flush(t, tpm, policySession)
	rc, _ = loadContext(tpm, second)
	assert.Equal(t, wire.RCHandle.Parameter(1), rc, "flushed while it was saved")
}

// Saved sessions outlast everything but a TPM Reset; loaded ones do not.
func TestSessionContextOverPower(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		shutdown, startup wire.SU
		want              wire.RC
	}{
		{wire.SUState, wire.SUState, wire.RCSuccess},
		{wire.SUState, wire.SUClear, wire.RCSuccess},
		{wire.SUClear, wire.SUClear, wire.RCIntegrity.Parameter(1)},
	} {
		tpm := et.New(t)
		for range 2 {
			require.Equal(t, wire.RCSuccess, send(t, tpm, startSession(wire.SEHMAC)))
		}
		ctx := saveContext(t, tpm, hmacSession)
		require.Equal(t, wire.RCSuccess, tpm.Shutdown(tc.shutdown))
		require.Equal(t, wire.RCSuccess, tpm.Restart(tc.startup))
		assert.EqualValues(t, 0, property(t, tpm, wire.PTHRLoaded))
		rc, _ := loadContext(tpm, ctx)
		assert.Equal(t, tc.want, rc)
	}
}

// When the oldest context would be ambiguous nothing else can be saved, and the
// last slot is kept for it.
func TestContextGap(t *testing.T) {
	t.Parallel()
	tpm := et.New(t, et.Unchecked())
	require.Equal(t, wire.RCSuccess, send(t, tpm, startSession(wire.SEHMAC)))
	require.Equal(t, wire.RCSuccess, send(t, tpm, startSession(wire.SEHMAC)))
	oldest := saveContext(t, tpm, hmacSession)
	save := et.Command(wire.CCContextSave, handles{hmacSession + 1}, nil)
	saves := 0
	for {
		rsp := tpm.Execute(0, save)
		if rc := et.ResponseCode(rsp); rc != wire.RCSuccess {
			require.Equal(t, wire.RCContextGap, rc)
			break
		}
		saves++
		require.Less(t, saves, 1<<16)
		rc, _ := loadContext(tpm, et.Parameters(rsp, false))
		require.Equal(t, wire.RCSuccess, rc)
	}
	assert.Equal(t, 1<<16-1-4, saves, "the numbers that stand for slots are left out")
	require.Equal(t, wire.RCSuccess, send(t, tpm, startSession(wire.SEHMAC)))
	assert.Equal(t, wire.RCContextGap, send(t, tpm, startSession(wire.SEHMAC)), "with the last slot")
	rc, _ := loadContext(tpm, oldest)
	require.Equal(t, wire.RCSuccess, rc)
	flush(t, tpm, hmacSession+2)
	assert.Equal(t, wire.RCSuccess, send(t, tpm, save))
}

// Contexts keep to the sizes that clients reserve for them: three objects and
// the sessions of Linux's resource manager share a page.
func TestContextSizes(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	l := emulator.DefaultLimits()
	start := et.Command(wire.CCStartAuthSession, handles{wire.RHNull, wire.RHOwner}, nil, et.Sized(make([]byte, 64)), et.Sized(nil),
		et.U8(0), et.U16(uint16(wire.AlgNull)), et.U16(uint16(wire.AlgSHA512)))
	require.Equal(t, wire.RCSuccess, send(t, tpm, start))
	assert.LessOrEqual(t, len(saveContext(t, tpm, hmacSession)), int(l.SessionContext))
	sequence := saveContext(t, tpm, loadSequence(t, tpm, wire.AlgNull))
	assert.LessOrEqual(t, len(sequence), int(l.ObjectContext))
	assert.EqualValues(t, len(sequence), 18+binary.BigEndian.Uint16(sequence[16:]))
}

// Linux keeps the contexts of three objects in one page of 4,096 bytes
// (drivers/char/tpm/tpm2-space.c), and a loaded object goes on as it was.
func TestObjectContext(t *testing.T) {
	t.Parallel()
	for name, k := range externalKeys() {
		tpm := et.New(t)
		h := load(t, tpm, loadExternal(k))
		public := et.Command(wire.CCReadPublic, handles{h}, nil)
		want := tpm.Execute(0, public)
		ctx := saveContext(t, tpm, h)
		assert.LessOrEqual(t, 3*len(ctx), 4096, name)
		flush(t, tpm, h)
		rc, again := loadContext(tpm, ctx)
		require.Equal(t, wire.RCSuccess, rc, name)
		assert.Equal(t, want, tpm.Execute(0, et.Command(wire.CCReadPublic, handles{again}, nil)), name)
	}
}

// A saved session that is flushed after a shutdown stays so: the shutdown has
// saved that it can be loaded, and does not hold any more.
func TestFlushSavedAfterShutdown(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	s := startClient(t, tpm, wire.SEHMAC, wire.RHNull, "")
	ctx := saveContext(t, tpm, s.handle)
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	flush := et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(s.handle)))
	tpm.Store.SetWritable(state.ErrUnavailable)
	assert.Equal(t, wire.RCNVUnavailable, send(t, tpm, flush))
	tpm.Store.SetWritable(nil)
	succeed(t, tpm, flush)
	require.Equal(t, wire.RCValue.Parameter(1), tpm.Restart(wire.SUState))
	require.Equal(t, wire.RCSuccess, tpm.Startup(0, wire.SUClear))
	rc, _ := loadContext(tpm, ctx)
	assert.NotEqual(t, wire.RCSuccess, rc)

	// After the other kind there is nothing to be undone.
	s = startClient(t, tpm, wire.SEHMAC, wire.RHNull, "")
	saveContext(t, tpm, s.handle)
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUClear))
	tpm.Store.SetWritable(state.ErrUnavailable)
	succeed(t, tpm, flush)
}

// What is refused after a shutdown leaves it as it is.
func TestRefusedContextsLeaveShutdown(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	s := startClient(t, tpm, wire.SEHMAC, wire.RHNull, "")
	ctx := saveContext(t, tpm, s.handle)
	rc, _ := loadContext(tpm, ctx)
	require.Equal(t, wire.RCSuccess, rc)
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	rc, _ = loadContext(tpm, ctx)
	require.Equal(t, wire.RCHandle.Parameter(1), rc, "it has been loaded")
	assert.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUState))
}

// What was saved with another Config has an algorithm that is not there any more.
func TestContextsOfAnotherConfig(t *testing.T) {
	t.Parallel()
	banks := []emulator.Bank{{Alg: wire.AlgSHA256}, {Alg: wire.AlgSHA384}}
	policy := et.Command(wire.CCStartAuthSession, handles{wire.RHNull, wire.RHNull}, nil, et.Sized(make([]byte, 16)), et.Sized(nil),
		et.U8(uint8(wire.SEPolicy)), et.U16(uint16(wire.AlgNull)), et.U16(uint16(wire.AlgSHA384)))
	p256 := eccSigning()
	p256.public.Parms.Scheme = ecdsa256
	p384 := emulator.Config{Banks: banks[:1], Curves: []wire.Curve{wire.CurveNISTP384}}
	smaller := emulator.Config{Banks: banks[:1], Algorithms: without(emulator.DefaultAlgorithms(), wire.AlgSHA384)}
	aes256 := emulator.Config{Banks: banks, AESBits: []uint16{256}}
	for name, tc := range map[string]struct {
		load   func(tpm *et.TPM) wire.Handle
		config emulator.Config
	}{
		"key":            {func(tpm *et.TPM) wire.Handle { return load(t, tpm, loadExternal(p256)) }, p384},
		"hash sequence":  {func(tpm *et.TPM) wire.Handle { return loadSequence(t, tpm, wire.AlgSHA384) }, smaller},
		"event sequence": {func(tpm *et.TPM) wire.Handle { return loadSequence(t, tpm, wire.AlgNull) }, smaller},
		"session":        {func(tpm *et.TPM) wire.Handle { return load(t, tpm, policy) }, smaller},
		"HMAC sequence": {func(tpm *et.TPM) wire.Handle {
			return load(t, tpm, et.Command(wire.CCHMACStart, handles{load(t, tpm, extHMAC(noScheme, bothUses))}, et.NoAuth(), et.Sized(nil), et.U16(uint16(wire.AlgSHA384))))
		}, smaller},
		"CMAC sequence": {func(tpm *et.TPM) wire.Handle {
			key := load(t, tpm, extAES(wire.AlgCMAC, wire.ObjectSignEncrypt))
			return load(t, tpm, et.Command(wire.CCHMACStart, handles{key}, et.NoAuth(), et.Sized(nil), et.U16(uint16(wire.AlgNull))))
		}, aes256},
		"context key": {func(tpm *et.TPM) wire.Handle { return load(t, tpm, startSession(wire.SEHMAC)) }, emulator.Config{Banks: banks, AESBits: []uint16{128}}},
		"event sequence of other banks": {func(tpm *et.TPM) wire.Handle { return loadSequence(t, tpm, wire.AlgNull) },
			emulator.Config{Banks: []emulator.Bank{{Alg: wire.AlgSHA384}, {Alg: wire.AlgSHA256}}}},
	} {
		store := &et.Store{}
		tpm := et.New(t, et.WithStore(store), et.WithConfig(emulator.Config{Banks: banks}))
		succeed(t, tpm, setAudit(wire.AlgSHA256, nil, nil))
		ctx := saveContext(t, tpm, tc.load(tpm))
		require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
		require.NoError(t, tpm.PowerOff())
		other := et.New(t, et.WithStore(store), et.WithoutStartup(), et.WithConfig(tc.config))
		require.Equal(t, wire.RCSuccess, other.Startup(0, wire.SUState))
		rc, _ := loadContext(other, ctx)
		assert.Equal(t, wire.RCIntegrity.Parameter(1), rc, name)
		whole, err := other.Snapshot()
		require.NoError(t, err)
		assert.NoError(t, other.Restore(whole), name)
	}
}

// The numbers of session contexts do not begin anew with another number of
// sessions: an old context must not pass for a new one.
func TestContextNumbersGoOn(t *testing.T) {
	t.Parallel()
	store := &et.Store{}
	tpm := et.New(t, et.WithStore(store))
	save := func(tpm *et.TPM) []byte { return saveContext(t, tpm, load(t, tpm, startSession(wire.SEPolicy))) }
	old := save(tpm)
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
	require.NoError(t, tpm.PowerOff())
	more := emulator.DefaultLimits()
	more.ActiveSessions++
	other := et.New(t, et.WithStore(store), et.WithConfig(emulator.Config{Limits: more}), et.WithoutStartup())
	require.Equal(t, wire.RCSuccess, other.Startup(0, wire.SUState))
	save(other)
	rc, _ := loadContext(other, old)
	assert.NotEqual(t, wire.RCSuccess, rc)
}

// TPM2_Clear does not bring back what a TPM Restart has ended.
func TestStClearContextAfterClear(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	restart := func() {
		require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
		require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	}
	restart()
	ctx := saveContext(t, tpm, load(t, tpm, createPrimary(wire.RHPlatform, eccStorage().template(made|wire.ObjectStClear), "", "")))
	restart()
	rc, _ := loadContext(tpm, ctx)
	require.Equal(t, wire.RCIntegrity.Parameter(1), rc)
	succeed(t, tpm, et.Command(wire.CCClear, handles{wire.RHPlatform}, et.NoAuth()))
	restart()
	rc, _ = loadContext(tpm, ctx)
	assert.Equal(t, wire.RCIntegrity.Parameter(1), rc)
}
