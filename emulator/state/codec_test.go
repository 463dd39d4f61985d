package state_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"reflect"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// sample is a state in which every field differs from zero.
func sample() *state.State {
	s := &state.State{}
	n := byte(0)
	next := func() byte { n++; return n }
	b := func(p *state.TPM2B) { p.Set(bytes.Repeat([]byte{next()}, 20)) }
	p := &s.Persistent
	for _, x := range []*state.TPM2B{&p.EPSeed, &p.SPSeed, &p.PPSeed, &p.EHProof, &p.SHProof, &p.PHProof,
		&p.OwnerAuth, &p.EndorsementAuth, &p.LockoutAuth, &s.Reset.NullProof, &s.Reset.NullSeed,
		&s.Clear.PlatformAuth, &s.Clear.PCRAuth[0]} {
		b(x)
	}
	for _, x := range []*state.Policy{&p.OwnerPolicy, &p.EndorsementPolicy, &p.LockoutPolicy, &p.PCRPolicy[0], &s.Clear.PlatformPolicy} {
		x.Alg = wire.AlgSHA256
		b(&x.Digest)
	}
	p.DisableClear, p.Shutdown, p.ShutdownHCRTM, p.ShutdownLocality = true, state.ShutdownState, true, 3
	p.TotalResetCount, p.ResetCount = 1<<40, 7
	p.Allocation.Count = 1
	p.Allocation.List[0] = wire.PCRSelection{Hash: wire.AlgSHA256, Size: 3, Select: wire.AllPCRs()}
	p.FailedTries, p.MaxTries, p.RecoveryTime, p.LockoutRecovery, p.LockoutAuthEnabled = 1, 2, 3, 4, true
	p.AuditCounter, p.Established = 5, true
	p.PPCommands, p.DAUsed = state.CommandBits{1, 2, 19: 3}, true
	s.Orderly = state.Orderly{Clock: 1, Safe: true, Time: 2, SelfHealTimer: -3, LockoutTimer: 4}
	s.Reset.ClearCount, s.Reset.RestartCount, s.Reset.ObjectContextID, s.Reset.PCRUpdateCounter = 1, 2, 3, 4
	s.Clear.ShEnable, s.Clear.EhEnable, s.Clear.PhEnableNV = true, true, true
	pcrs := state.PCRs{Count: 2}
	pcrs.Banks[0] = state.NewBank(wire.AlgSHA1, 20, wire.PCRSelect{1, 2, 3})
	pcrs.Banks[1] = state.NewBank(wire.AlgSHA512, 64, wire.AllPCRs())
	copy(pcrs.Banks[1].Value(15), "fifteen")
	s.Clear.PCRs = pcrs.Saved()
	copy(pcrs.Banks[1].Value(23), "twenty-three")
	v := &s.Volatile
	v.Started, v.HCRTM, v.StartupLocality, v.PreviousShutdown = true, true, 3, state.ShutdownClear
	v.PhEnable, v.Reconfigured, v.Time, v.RateAdjust = true, true, 9, -2
	v.DRBG = state.DRBG{Key: [32]byte{1}, V: [16]byte{2}, Reseeds: 3}
	v.PCRs = pcrs
	v.Objects = make([]state.Object, 3)
	o := &v.Objects[1]
	*o = state.Object{Kind: state.ObjectEventSequence, FirstBlock: true, TicketSafe: true}
	b(&o.Auth)
	o.Hashes = []state.HashState{{Alg: wire.AlgSHA1, Size: 3, Buf: [224]byte{1, 2, 3}}}
	v.DRTMSlot, v.DAPending, v.SelfTested = 1, true, []wire.AlgID{wire.AlgSHA1}
	v.ExclusiveSession, v.FailureCode = wire.RHUnassigned, 3
	v.Objects[0] = state.Object{Kind: state.ObjectMACSequence, MAC: []byte{0, 1, 2}}
	v.Objects[2] = loadedObject(wire.RHOwner)
	v.Sessions = make([]state.Session, 3)
	x := &v.Sessions[1]
	*x = state.Session{Handle: wire.PolicyFirst + 1, Flags: state.SessionPolicy | state.SessionNVWritten, AuthHash: wire.AlgSHA256,
		Symmetric:   wire.SymDef{Alg: wire.AlgAES, KeyBits: 128, Mode: wire.AlgCFB},
		CommandCode: wire.CCNVRead, Locality: 3, PCRCounter: 4, Start: 5, Timeout: 6, Epoch: 7}
	for _, d := range []*state.TPM2B{&x.Key, &x.NonceTPM, &x.Bound, &x.Digest, &x.Hash, &s.Reset.CommandAuditDigest, &s.Reset.CommitNonce} {
		b(d)
	}
	v.Sessions[2] = state.Session{Handle: wire.HMACFirst, Symmetric: wire.SymDef{Alg: wire.AlgXOR, Hash: wire.AlgSHA1}}
	v.TimeEpoch, v.Fraction, v.BufferSize, s.Clear.ReadOnly = 8, 9, 4096, true
	s.Reset.ContextCounter = 70000
	s.Reset.ActiveSessions = []state.ActiveSession{{Slot: 3}, {Slot: 2}, {Context: 69999}, {}}
	s.Reset.CommitCounter, s.Reset.CommitArray = 11, [16]uint8{1, 15: 2}
	p.AuditAlg, p.AuditCommands, p.AlgorithmSet = wire.AlgSHA384, state.CommandBits{3: 4}, 5
	s.Objects.List = []state.PersistentObject{
		{Handle: wire.PersistentFirst, Object: loadedObject(wire.RHOwner)},
		{Handle: wire.PlatformPersist, Object: loadedObject(wire.RHPlatform)},
	}
	return s
}

// loadedObject is an object with something in every field.
func loadedObject(hierarchy wire.Handle) state.Object {
	return state.Object{Kind: state.ObjectLoaded, Flags: state.ObjectPrimary, Hierarchy: hierarchy,
		Public: []byte{1, 2}, Sensitive: []byte{3}, Name: []byte{4, 5}, QualifiedName: []byte{6}}
}

func TestSnapshotRoundTrip(t *testing.T) {
	t.Parallel()
	want := sample()
	b := want.EncodeSnapshot([]byte("front"))
	require.Equal(t, "front", string(b[:5]))
	got, err := state.Decode(b[5:])
	require.NoError(t, err)
	assert.True(t, reflect.DeepEqual(want, got))
	assert.Equal(t, b[5:], got.EncodeSnapshot(nil))
}

func TestStoreEncodingLeavesOutVolatile(t *testing.T) {
	t.Parallel()
	s := sample()
	got, err := state.Decode(s.Encode(nil))
	require.NoError(t, err)
	assert.Equal(t, s.Persistent, got.Persistent)
	assert.Equal(t, s.Orderly, got.Orderly)
	assert.Equal(t, s.Reset, got.Reset)
	assert.Equal(t, s.Clear, got.Clear)
	assert.Equal(t, s.Objects, got.Objects)
	assert.Equal(t, state.Volatile{}, got.Volatile)
}

func TestDecodeRefusesDamage(t *testing.T) {
	t.Parallel()
	b := sample().Encode(nil)
	for i := range b {
		c := bytes.Clone(b)
		c[i] ^= 0x40
		s, err := state.Decode(c)
		var bad *state.FormatError
		require.ErrorAs(t, err, &bad, "octet %d", i)
		require.Nil(t, s)
	}
	for n := range b {
		_, err := state.Decode(b[:n])
		require.Error(t, err, "%d octets", n)
	}
	_, err := state.Decode(make([]byte, state.MaxSize+1))
	require.Error(t, err)
}

// reseal gives changed bytes a right checksum.
func reseal(b []byte) []byte {
	body := b[:len(b)-sha256.Size]
	sum := sha256.Sum256(body)
	return append(bytes.Clone(body), sum[:]...)
}

// With the checksum out of the way the decoder itself must cope, and what it
// accepts must have one encoding only.
func TestDecodeResealedDamage(t *testing.T) {
	t.Parallel()
	b := withIndices().EncodeSnapshot(nil)
	rnd := rand.New(rand.NewPCG(1, 2))
	accepted := 0
	for range 4000 {
		c := bytes.Clone(b)
		c[rnd.IntN(len(c)-sha256.Size)] = byte(rnd.Uint32())
		c = reseal(c)
		if s, err := state.Decode(c); err == nil {
			accepted++
			if len(s.Unknown) == 0 {
				require.True(t, bytes.Equal(c, s.EncodeSnapshot(nil)))
			}
		}
	}
	assert.NotZero(t, accepted)
}

func TestDecodeFrame(t *testing.T) {
	t.Parallel()
	good := sample().Encode(nil)
	section := func(tag, version uint16, n uint32, data ...byte) []byte {
		b := binary.BigEndian.AppendUint16(nil, tag)
		b = binary.BigEndian.AppendUint16(b, version)
		b = binary.BigEndian.AppendUint32(b, n)
		return append(b, data...)
	}
	frame := func(version, count uint16, sections ...[]byte) []byte {
		b := []byte("swtpmdST")
		b = binary.BigEndian.AppendUint16(b, version)
		b = binary.BigEndian.AppendUint16(b, count)
		for _, s := range sections {
			b = append(b, s...)
		}
		return reseal(append(b, make([]byte, sha256.Size)...))
	}
	orderly := make([]byte, 8+1+8+8+8)
	zero := (&state.State{}).Encode(nil)
	zero = zero[12 : len(zero)-sha256.Size]
	take := func() []byte {
		n := 8 + binary.BigEndian.Uint32(zero[4:])
		s := zero[:n]
		zero = zero[n:]
		return s
	}
	persistent, clock, reset, cleared := take(), take(), take(), take()
	for name, tc := range map[string]struct {
		b  []byte
		ok bool
	}{
		"empty":               {nil, false},
		"other magic":         {append([]byte("X"), good[1:]...), false},
		"sections":            {frame(1, 4, persistent, clock, reset, cleared), true},
		"in wrong order":      {frame(1, 4, clock, persistent, reset, cleared), false},
		"one missing":         {frame(1, 3, persistent, clock, reset), false},
		"tag 0":               {frame(1, 5, section(0, 1, 0), persistent, clock, reset, cleared), false},
		"newer format":        {frame(2, 0), false},
		"too many sections":   {frame(1, 65), false},
		"missing section":     {frame(1, 1), false},
		"newer section":       {frame(1, 4, persistent, section(2, 2, 33, orderly...), reset, cleared), false},
		"short field":         {frame(1, 4, persistent, section(2, 1, 32, orderly[:32]...), reset, cleared), false},
		"long section":        {frame(1, 4, persistent, section(2, 1, 34, append(orderly, 0)...), reset, cleared), false},
		"length beyond end":   {frame(1, 2, persistent, section(2, 1, 34, orderly...)), false},
		"huge length":         {frame(1, 2, persistent, section(2, 1, 0xFFFFFFFF, orderly...)), false},
		"section twice":       {frame(1, 5, persistent, clock, clock, reset, cleared), false},
		"behind last section": {frame(1, 4, persistent, clock, reset, cleared, []byte{0}), false},
		"unknown section":     {frame(1, 5, persistent, clock, reset, cleared, section(99, 7, 2, 1, 2)), true},
	} {
		s, err := state.Decode(tc.b)
		if !tc.ok {
			var bad *state.FormatError
			assert.ErrorAs(t, err, &bad, name)
			assert.Nil(t, s, name)
			continue
		}
		assert.NoError(t, err, name)
	}
}

func TestUnknownSectionsAreKept(t *testing.T) {
	t.Parallel()
	s := sample()
	s.Unknown = []state.Section{{Tag: 99, Version: 7, Data: []byte("newer")}}
	got, err := state.Decode(s.Encode(nil))
	require.NoError(t, err)
	assert.Equal(t, s.Unknown, got.Unknown)
	assert.Equal(t, s.Encode(nil), got.Encode(nil))
}

func TestTPM2B(t *testing.T) {
	t.Parallel()
	var b state.TPM2B
	b.Set(bytes.Repeat([]byte{1}, 64))
	b.Set([]byte{2})
	assert.Equal(t, state.TPM2B{Size: 1, Buf: [64]byte{2}}, b, "old octets are gone")
	assert.Equal(t, []byte{2}, b.Bytes())
}

func TestMemory(t *testing.T) {
	t.Parallel()
	var m state.Memory
	b, err := m.Load()
	require.NoError(t, err)
	require.Empty(t, b)
	require.NoError(t, m.Writable())
	blob := []byte("one")
	require.NoError(t, m.Commit(blob))
	blob[0] = 'X'
	b, _ = m.Load()
	assert.Equal(t, "one", string(b), "Commit does not keep the blob")
	b[0] = 'X'
	b, _ = m.Load()
	assert.Equal(t, "one", string(b), "what Load gives belongs to the caller")
}

func FuzzDecode(f *testing.F) {
	f.Add(sample().Encode(nil))
	f.Add(sample().EncodeSnapshot(nil))
	f.Add(withIndices().EncodeSnapshot(nil))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		// The checksum would stop the fuzzer at the door.
		if len(b) >= sha256.Size {
			b = reseal(b)
		}
		s, err := state.Decode(b)
		if err != nil {
			require.Nil(t, s)
			return
		}
		first := s.EncodeSnapshot(nil)
		again, err := state.Decode(first)
		require.NoError(t, err)
		require.True(t, bytes.Equal(first, again.EncodeSnapshot(nil)))
	})
}
