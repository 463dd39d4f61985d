package wire_test

import (
	"bytes"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// algs are selectors with every role: two hashes, RSA, ECC, KEYEDHASH,
// SYMCIPHER.
func algs() *wire.Selectors {
	return wire.NewSelectors([]wire.Selector{
		{Alg: wire.AlgSHA1, Roles: wire.RoleHash | wire.RoleMACScheme, DigestSize: 20},
		{Alg: wire.AlgSHA256, Roles: wire.RoleHash | wire.RoleMACScheme, DigestSize: 32},
		{Alg: wire.AlgRSA, Roles: wire.RolePublic, KeyBits: []uint16{2048}},
		{Alg: wire.AlgECC, Roles: wire.RolePublic},
		{Alg: wire.AlgKeyedHash, Roles: wire.RolePublic},
		{Alg: wire.AlgSymCipher, Roles: wire.RolePublic},
		{Alg: wire.AlgAES, Roles: wire.RoleSymmetricObject | wire.RoleSymmetric, KeyBits: []uint16{128}},
		{Alg: wire.AlgCFB, Roles: wire.RoleSymmetricMode | wire.RoleCipherMode},
		{Alg: wire.AlgCMAC, Roles: wire.RoleSymmetricMode | wire.RoleMACScheme},
		{Alg: wire.AlgRSASSA, Roles: wire.RoleRSAScheme | wire.RoleSigScheme},
		{Alg: wire.AlgRSAES, Roles: wire.RoleRSAScheme | wire.RoleRSADecrypt},
		{Alg: wire.AlgOAEP, Roles: wire.RoleRSAScheme | wire.RoleRSADecrypt},
		{Alg: wire.AlgECDSA, Roles: wire.RoleECCScheme | wire.RoleSigScheme},
		{Alg: wire.AlgECDAA, Roles: wire.RoleECCScheme | wire.RoleSigScheme},
		{Alg: wire.AlgECDH, Roles: wire.RoleECCScheme | wire.RoleECCKeyExchange},
		{Alg: wire.AlgHMAC, Roles: wire.RoleKeyedHashScheme | wire.RoleSigScheme},
		{Alg: wire.AlgXOR, Roles: wire.RoleKeyedHashScheme | wire.RoleSymmetric},
		{Alg: wire.AlgKDF1_SP800_108, Roles: wire.RoleKDF},
	}, []wire.Curve{wire.CurveNISTP256})
}

func TestReaderSticks(t *testing.T) {
	t.Parallel()
	r := wire.NewReader([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, nil)
	assert.EqualValues(t, 1, r.U8())
	assert.EqualValues(t, 0x0203, r.U16())
	assert.EqualValues(t, 0x04050607, r.U32())
	assert.EqualValues(t, 0x08090A0B0C0D0E0F, r.U64())
	assert.Zero(t, r.Len())
	assert.Equal(t, wire.RCSuccess, r.RC())
	assert.Zero(t, r.U8())
	assert.Equal(t, wire.RCInsufficient, r.RC())
	r.Fail(wire.RCValue)
	assert.Equal(t, wire.RCInsufficient, r.RC(), "the first failure stays")
}

func TestReaderShort(t *testing.T) {
	t.Parallel()
	for n := range 8 {
		r := wire.NewReader(make([]byte, n), nil)
		assert.Zero(t, r.U64())
		assert.Equal(t, wire.RCInsufficient, r.RC())
		assert.Equal(t, n, r.Len(), "nothing is taken")
	}
}

func TestReaderLimits(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		in   []byte
		read func(r *wire.Reader)
		want wire.RC
	}{
		{"sized", []byte{0, 2, 1, 2}, func(r *wire.Reader) { r.Sized(2) }, wire.RCSuccess},
		{"sized too large", []byte{0, 3, 1, 2, 3}, func(r *wire.Reader) { r.Sized(2) }, wire.RCSize},
		{"sized cut", []byte{0, 2, 1}, func(r *wire.Reader) { r.Sized(2) }, wire.RCInsufficient},
		{"sized without size", []byte{0}, func(r *wire.Reader) { r.Sized(2) }, wire.RCInsufficient},
		{"count", []byte{0, 0, 0, 2}, func(r *wire.Reader) { r.Count(2) }, wire.RCSuccess},
		{"count too large", []byte{0, 0, 0, 3}, func(r *wire.Reader) { r.Count(2) }, wire.RCSize},
		{"count huge", []byte{0xFF, 0xFF, 0xFF, 0xFF}, func(r *wire.Reader) { r.Count(2) }, wire.RCSize},
		{"no", []byte{0}, func(r *wire.Reader) { r.YesNo() }, wire.RCSuccess},
		{"neither yes nor no", []byte{2}, func(r *wire.Reader) { r.YesNo() }, wire.RCValue},
		{"hash", []byte{0, 0xB}, func(r *wire.Reader) { r.HashAlg(false) }, wire.RCSuccess},
		{"no hash", []byte{0, 1}, func(r *wire.Reader) { r.HashAlg(false) }, wire.RCHash},
		{"large hash", []byte{1, 0xB}, func(r *wire.Reader) { r.HashAlg(false) }, wire.RCHash},
		{"null hash", []byte{0, 0x10}, func(r *wire.Reader) { r.HashAlg(false) }, wire.RCHash},
		{"null hash allowed", []byte{0, 0x10}, func(r *wire.Reader) { r.HashAlg(true) }, wire.RCSuccess},
		{"negative", nil, func(r *wire.Reader) { r.Bytes(-1) }, wire.RCInsufficient},
	} {
		r := wire.NewReader(tc.in, algs())
		tc.read(&r)
		assert.Equal(t, tc.want, r.RC(), tc.name)
	}
}

func TestNilSelectorsAcceptNothing(t *testing.T) {
	t.Parallel()
	var s *wire.Selectors
	assert.False(t, s.Has(wire.AlgSHA1, wire.RoleHash))
	assert.Zero(t, s.DigestSize(wire.AlgSHA1))
	assert.Zero(t, s.HashCount())
	assert.False(t, s.HasKeyBits(wire.AlgRSA, 2048))
	assert.False(t, s.HasCurve(wire.CurveNISTP256))
}

// What go-tpm encodes must decode, and encode to the same bytes again.
func TestRoundTripWithGoTPM(t *testing.T) {
	t.Parallel()
	selections := tpm2.Marshal(tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{
		{Hash: tpm2.TPMAlgSHA1, PCRSelect: tpm2.PCClientCompatible.PCRs(0, 8, 23)},
		{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(7)}}})
	var sel wire.PCRSelections
	r := wire.NewReader(selections, algs())
	r.PCRSelections(&sel)
	require.Equal(t, wire.RCSuccess, r.RC())
	require.Zero(t, r.Len())
	assert.True(t, sel.List[0].Select.Has(8))
	assert.False(t, sel.List[0].Select.Has(9))
	var w wire.Writer
	w.PCRSelections(sel.Slice())
	assert.Equal(t, selections, w.Data())

	digests := tpm2.Marshal(tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{
		{HashAlg: tpm2.TPMAlgSHA256, Digest: bytes.Repeat([]byte{1}, 32)},
		{HashAlg: tpm2.TPMAlgSHA1, Digest: bytes.Repeat([]byte{2}, 20)}}})
	var dig wire.DigestValues
	r = wire.NewReader(digests, algs())
	r.DigestValues(&dig)
	require.Equal(t, wire.RCSuccess, r.RC())
	require.Zero(t, r.Len())
	w = wire.Writer{}
	w.DigestValues(dig.Slice())
	assert.Equal(t, digests, w.Data())

	auth := tpm2.Marshal(tpm2.TPMSAuthCommand{Handle: tpm2.TPMRSPW, Nonce: tpm2.TPM2BNonce{Buffer: []byte{1}},
		Attributes: tpm2.TPMASession{ContinueSession: true, Audit: true}, Authorization: tpm2.TPM2BData{Buffer: []byte("pw")}})
	var a wire.AuthCommand
	r = wire.NewReader(auth, nil)
	r.AuthCommand(&a, 64)
	require.Equal(t, wire.RCSuccess, r.RC())
	assert.Equal(t, wire.SessionContinue|wire.SessionAudit, a.Attributes)
	w = wire.Writer{}
	w.AuthCommand(&a)
	assert.Equal(t, auth, w.Data())

	var tk wire.Writer
	tk.Ticket(&wire.Ticket{Tag: wire.STHashCheck, Hierarchy: wire.RHOwner, Digest: []byte("abc")})
	theirs, err := tpm2.Unmarshal[tpm2.TPMTTKHashCheck](tk.Data())
	require.NoError(t, err)
	assert.Equal(t, "abc", string(theirs.Digest.Buffer))

	var ti wire.Writer
	ti.TimeInfo(&wire.TimeInfo{Time: 1, Clock: wire.ClockInfo{Clock: 2, ResetCount: 3, RestartCount: 4, Safe: true}})
	info, err := tpm2.Unmarshal[tpm2.TPMSTimeInfo](ti.Data())
	require.NoError(t, err)
	assert.Equal(t, &tpm2.TPMSTimeInfo{Time: 1, ClockInfo: tpm2.TPMSClockInfo{Clock: 2, ResetCount: 3, RestartCount: 4, Safe: true}}, info)
}

func TestListErrors(t *testing.T) {
	t.Parallel()
	sel := func(b ...byte) wire.RC {
		r := wire.NewReader(b, algs())
		var l wire.PCRSelections
		r.PCRSelections(&l)
		if r.RC() != wire.RCSuccess {
			assert.Zero(t, l.Count, "nothing is left of a list that does not decode")
		}
		return r.RC()
	}
	assert.Equal(t, wire.RCSuccess, sel(0, 0, 0, 1, 0, 0xB, 3, 1, 2, 3))
	assert.Equal(t, wire.RCSize, sel(0, 0, 0, 3))
	assert.Equal(t, wire.RCHash, sel(0, 0, 0, 1, 0, 0xC, 3, 1, 2, 3))
	assert.Equal(t, wire.RCValue, sel(0, 0, 0, 1, 0, 0xB, 2, 1, 2, 3))
	assert.Equal(t, wire.RCValue, sel(0, 0, 0, 1, 0, 0xB, 4, 1, 2, 3, 4))
	assert.Equal(t, wire.RCInsufficient, sel(0, 0, 0, 1, 0, 0xB, 3, 1, 2))

	dig := func(b ...byte) wire.RC {
		r := wire.NewReader(b, algs())
		var l wire.DigestValues
		r.DigestValues(&l)
		return r.RC()
	}
	assert.Equal(t, wire.RCSuccess, dig(0, 0, 0, 0))
	assert.Equal(t, wire.RCSize, dig(0, 0, 0, 3))
	assert.Equal(t, wire.RCHash, dig(0, 0, 0, 1, 0, 0x10))
	assert.Equal(t, wire.RCInsufficient, dig(0, 0, 0, 1, 0, 4, 1))
}

func TestAuthCommandErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		a    wire.AuthCommand
		want wire.RC
	}{
		{"password", wire.AuthCommand{Session: wire.RSPW}, wire.RCSuccess},
		{"last session", wire.AuthCommand{Session: 0x0200003F}, wire.RCSuccess},
		{"last policy session", wire.AuthCommand{Session: 0x0300003F}, wire.RCSuccess},
		{"one too far", wire.AuthCommand{Session: 0x02000040}, wire.RCValue},
		{"null", wire.AuthCommand{Session: wire.RHNull}, wire.RCValue},
		{"object", wire.AuthCommand{Session: 0x80000000}, wire.RCValue},
		{"nonce", wire.AuthCommand{Session: wire.RSPW, Nonce: make([]byte, 65)}, wire.RCSize},
		{"reserved 3", wire.AuthCommand{Session: wire.RSPW, Attributes: 8}, wire.RCReservedBits},
		{"reserved 4", wire.AuthCommand{Session: wire.RSPW, Attributes: 16}, wire.RCReservedBits},
		{"hmac", wire.AuthCommand{Session: wire.RSPW, HMAC: make([]byte, 65)}, wire.RCSize},
	} {
		var w wire.Writer
		w.AuthCommand(&tc.a)
		r := wire.NewReader(w.Data(), nil)
		var a wire.AuthCommand
		r.AuthCommand(&a, 64)
		assert.Equal(t, tc.want, r.RC(), tc.name)
	}
}

func TestLocalityBit(t *testing.T) {
	t.Parallel()
	assert.EqualValues(t, 1, wire.LocalityBit(0))
	assert.EqualValues(t, 16, wire.LocalityBit(4))
	assert.Zero(t, wire.LocalityBit(5))
	assert.Zero(t, wire.LocalityBit(wire.LocalityExtended))
}
