package emulator_test

import (
	"bytes"
	"encoding/binary"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// operations are the comparisons of TPM_EO on numbers.
var operations = map[wire.EO]func(a, b *big.Int, signed int) bool{
	wire.EOEq:         func(a, b *big.Int, _ int) bool { return a.Cmp(b) == 0 },
	wire.EONeq:        func(a, b *big.Int, _ int) bool { return a.Cmp(b) != 0 },
	wire.EOSignedGT:   func(_, _ *big.Int, signed int) bool { return signed > 0 },
	wire.EOUnsignedGT: func(a, b *big.Int, _ int) bool { return a.Cmp(b) > 0 },
	wire.EOSignedLT:   func(_, _ *big.Int, signed int) bool { return signed < 0 },
	wire.EOUnsignedLT: func(a, b *big.Int, _ int) bool { return a.Cmp(b) < 0 },
	wire.EOSignedGE:   func(_, _ *big.Int, signed int) bool { return signed >= 0 },
	wire.EOUnsignedGE: func(a, b *big.Int, _ int) bool { return a.Cmp(b) >= 0 },
	wire.EOSignedLE:   func(_, _ *big.Int, signed int) bool { return signed <= 0 },
	wire.EOUnsignedLE: func(a, b *big.Int, _ int) bool { return a.Cmp(b) <= 0 },
	wire.EOBitSet:     func(a, b *big.Int, _ int) bool { return new(big.Int).And(a, b).Cmp(b) == 0 },
	wire.EOBitClear:   func(a, b *big.Int, _ int) bool { return new(big.Int).And(a, b).Sign() == 0 },
}

// twos is the number that octets are in two's complement.
func twos(b []byte) *big.Int {
	n := new(big.Int).SetBytes(b)
	if len(b) != 0 && b[0]&0x80 != 0 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	return n
}

// Every comparison of TPM2_PolicyNV, on numbers of all sizes, is that of the same
// big.Ints.
func TestPolicyComparisons(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	require.Equal(t, wire.RCSuccess, send(t, tpm, defined(0)))
	require.Equal(t, wire.RCSuccess, send(t, tpm, startSession(wire.SEPolicy)))
	random := rand.New(rand.NewPCG(1, 2))
	octet := func() byte { return []byte{0, 1, 0x7F, 0x80, 0xFE, 0xFF}[random.IntN(6)] }
	require.Len(t, operations, int(wire.EOBitClear)+1)
	for range 300 {
		value, operand := make([]byte, 8), make([]byte, random.IntN(9))
		for i := range value {
			value[i] = octet()
		}
		require.Equal(t, wire.RCSuccess, send(t, tpm, nvWrite(nvFirst, nvFirst, nil, value, 0)))
		offset := random.IntN(9 - len(operand))
		a := value[offset:][:len(operand)]
		for i := range operand {
			operand[i] = octet()
			if random.IntN(3) != 0 {
				operand[i] = a[i]
			}
		}
		signed := twos(a).Cmp(twos(operand))
		for op, holds := range operations {
			want := wire.RCPolicy
			if holds(new(big.Int).SetBytes(a), new(big.Int).SetBytes(operand), signed) {
				want = wire.RCSuccess
			}
			command := et.Command(wire.CCPolicyNV, handles{nvFirst, nvFirst, policySession}, et.NoAuth(), compare(operand, uint16(offset), op))
			require.Equal(t, want, send(t, tpm, command), "%x %v %x", a, op, operand)
		}
	}
}

// TPM2_PolicyCounterTimer compares with what TPM2_ReadClock answers.
func TestPolicyCounterTimer(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	tpm.Clock.Advance(1234 * time.Millisecond)
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	tpm.Clock.Advance(5678 * time.Millisecond)
	require.Equal(t, wire.RCSuccess, send(t, tpm, startSession(wire.SEPolicy)))
	info := et.Parameters(tpm.Execute(0, et.Command(wire.CCReadClock, nil, nil)), false)
	require.Len(t, info, 25)
	require.EqualValues(t, 5678, binary.BigEndian.Uint64(info), "Time")
	for offset := range info {
		for end := offset; end <= len(info); end++ {
			command := assertTrue(wire.CCPolicyCounterTimer, compare(info[offset:end], uint16(offset), wire.EOEq))
			require.Equal(t, wire.RCSuccess, send(t, tpm, command), "%d to %d", offset, end)
		}
	}
	later := binary.BigEndian.AppendUint64(nil, 5679)
	until := assertTrue(wire.CCPolicyCounterTimer, compare(later, 0, wire.EOUnsignedLT))
	assert.Equal(t, wire.RCSuccess, send(t, tpm, until))
	tpm.Clock.Advance(time.Millisecond)
	assert.Equal(t, wire.RCPolicy, send(t, tpm, until))
}

// TPM2_PolicyCapability compares with the entry that TPM2_GetCapability lists for
// a property, of every capability that has properties of its own.
func TestPolicyCapability(t *testing.T) {
	t.Parallel()
	p := newPolicyTest(t, wire.AlgSHA256)
	p.start(t, wire.SEPolicy)
	require.Equal(t, wire.RCSuccess, send(t, p.TPM, startSession(wire.SEHMAC)))
	require.Equal(t, wire.RCSuccess, send(t, p.TPM, et.Command(wire.CCSetCommandCodeAuditStatus, handles{wire.RHOwner}, et.NoAuth(),
		et.U16(uint16(wire.AlgNull)), et.U32(1), et.U32(uint32(wire.CCNVRead)), et.U32(0))))
	for name, tc := range map[string]struct {
		id      wire.Cap
		is, not uint32
		size    int // of an entry
	}{
		"algorithm":        {wire.CapAlgs, uint32(wire.AlgSHA256), 0x7FFF, 6},
		"algorithm modulo": {wire.CapAlgs, uint32(wire.AlgSHA256), 0x10000 + uint32(wire.AlgSHA256), 6},
		"object":           {wire.CapHandles, uint32(object), uint32(object + 1), 4},
		"index":            {wire.CapHandles, uint32(nvFirst), uint32(nvFirst - 1), 4},
		"PCR":              {wire.CapHandles, 23, 24, 4},
		"permanent":        {wire.CapHandles, uint32(wire.RHOwner), uint32(wire.RHOwner + 1), 4},
		"session":          {wire.CapHandles, uint32(hmacSession + 1), uint32(hmacSession + 2), 4},
		"command":          {wire.CapCommands, uint32(wire.CCNVRead), uint32(wire.CCFieldUpgradeStart), 4},
		"command modulo":   {wire.CapCommands, uint32(wire.CCNVRead), 1<<16 | uint32(wire.CCNVRead), 4},
		"presence":         {wire.CapPPCommands, uint32(wire.CCPPCommands), uint32(wire.CCNVRead), 4},
		"audit":            {wire.CapAuditCommands, uint32(wire.CCNVRead), uint32(wire.CCNVReadLock), 4},
		"property":         {wire.CapTPMProperties, 0x100, 0x1FF, 8},
		"last property":    {wire.CapTPMProperties, uint32(wire.PTLockoutRecovery), 0xFFFFFFFF, 8},
		"PCR property":     {wire.CapPCRProperties, uint32(wire.PTPCRSave), 0x15, 8},
		"curve":            {wire.CapECCCurves, uint32(wire.CurveNISTP256), 0x7F, 2},
		"policy":           {wire.CapAuthPolicies, uint32(wire.RHPlatform), uint32(wire.RHNull), 6},
	} {
		policy := func(property uint32, operand []byte, offset uint16, op wire.EO) wire.RC {
			return send(t, p.TPM, assertTrue(wire.CCPolicyCapability, compare(operand, offset, op), et.U32(uint32(tc.id)), et.U32(property)))
		}
		entry := bytes.Clone(et.Parameters(p.Execute(0, getCapability(tc.id, tc.is, 1)), false)[9:])
		require.Len(t, entry, tc.size, name)
		assert.Equal(t, wire.RCSuccess, policy(tc.is, entry, 0, wire.EOEq), name)
		assert.Equal(t, wire.RCPolicy, policy(tc.is, entry, 0, wire.EONeq), name)
		assert.Equal(t, wire.RCSuccess, policy(tc.is, entry[1:], 1, wire.EOEq), name)
		assert.Equal(t, wire.RCSize.Parameter(1), policy(tc.is, append(entry, 0), 0, wire.EOEq), name)
		assert.Equal(t, wire.RCPolicy, policy(tc.not, entry, 0, wire.EOEq), name)
		assert.Equal(t, wire.RCSuccess, policy(tc.not, entry, 0, wire.EONeq), name)
	}
	rsp := p.Execute(0, assertTrue(wire.CCPolicyCapability, compare(nil, 0, wire.EOEq), et.U32(0), et.U32(uint32(wire.AlgRSA))))
	assert.Len(t, rsp, 10, "the response has no parameters")
}

// A session that is saved is no loaded one.
func TestPolicyCapabilityOfSavedSession(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	require.Equal(t, wire.RCSuccess, send(t, tpm, startSession(wire.SEPolicy)))
	require.Equal(t, wire.RCSuccess, send(t, tpm, startSession(wire.SEHMAC)))
	has := func(h wire.Handle) wire.RC {
		return send(t, tpm, assertTrue(wire.CCPolicyCapability, compare(et.U32(uint32(h)), 0, wire.EOEq), et.U32(uint32(wire.CapHandles)), et.U32(uint32(h))))
	}
	const loaded, saved = wire.HMACFirst + 1, wire.PolicyFirst + 1 // TPM_HT_LOADED_SESSION, TPM_HT_SAVED_SESSION
	assert.Equal(t, wire.RCSuccess, has(loaded))
	assert.Equal(t, wire.RCPolicy, has(saved))
	require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCContextSave, handles{hmacSession + 1}, nil)))
	assert.Equal(t, wire.RCPolicy, has(loaded))
	assert.Equal(t, wire.RCSuccess, has(saved))
}
