package wire_test

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// algs185 are selectors with what version 185 of the library has added.
func algs185() *wire.Selectors {
	return wire.NewSelectors([]wire.Selector{
		{Alg: wire.AlgSHA1, Roles: wire.RoleHash, DigestSize: 20},
		{Alg: wire.AlgSHA256, Roles: wire.RoleHash | wire.RoleHashMLDSA, DigestSize: 32},
		{Alg: wire.AlgAES, Roles: wire.RoleSymmetricObject, KeyBits: []uint16{128}},
		{Alg: wire.AlgCFB, Roles: wire.RoleSymmetricMode},
		{Alg: wire.AlgECC, Roles: wire.RolePublic},
		{Alg: wire.AlgKeyedHash, Roles: wire.RolePublic},
		{Alg: wire.AlgXOR, Roles: wire.RoleKeyedHashScheme},
		{Alg: wire.AlgECDH, Roles: wire.RoleECCScheme},
		{Alg: wire.AlgHKDF, Roles: wire.RoleKDF},
		{Alg: wire.AlgEdDSA, Roles: wire.RoleECCScheme | wire.RoleSigScheme},
		{Alg: wire.AlgHashEdDSA, Roles: wire.RoleECCScheme | wire.RoleSigScheme},
		{Alg: wire.AlgMLKEM, Roles: wire.RolePublic, ParameterSets: []uint16{1, 3}},
		{Alg: wire.AlgMLDSA, Roles: wire.RolePublic | wire.RoleSigScheme, ParameterSets: []uint16{1, 2}, ExternalMu: true},
		{Alg: wire.AlgHashMLDSA, Roles: wire.RolePublic | wire.RoleSigScheme, ParameterSets: []uint16{1, 3}},
	}, []wire.Curve{wire.CurveCurve25519})
}

// recoders185 are recoders with those of the structures that came with version
// 185.
func recoders185() map[string]func(r *wire.Reader, w *wire.Writer) {
	all := maps.Clone(recoders)
	all["TPMT_PUBLIC_PARMS"] = func(r *wire.Reader, w *wire.Writer) {
		var p wire.PublicParms
		r.PublicParms(&p)
		w.PublicParms(&p)
	}
	all["TPMT_TK_VERIFIED"] = func(r *wire.Reader, w *wire.Writer) {
		var tk wire.Ticket
		r.Ticket(&tk, wire.STVerified, wire.STMessageVerified, wire.STDigestVerified)
		w.Ticket(&tk)
	}
	all["TPM2B_ENCRYPTED_SECRET"] = func(r *wire.Reader, w *wire.Writer) { w.Sized(r.EncryptedSecret()) }
	all["TPM2B_KEM_CIPHERTEXT"] = func(r *wire.Reader, w *wire.Writer) { w.Sized(r.KEMCiphertext()) }
	all["TPM2B_SIGNATURE_CTX"] = func(r *wire.Reader, w *wire.Writer) { w.Sized(r.SignatureContext()) }
	all["TPM2B_SIGNATURE_HINT"] = func(r *wire.Reader, w *wire.Writer) { w.Sized(r.SignatureHint()) }
	return all
}

// tpm2b is b with its size in front.
func tpm2b(b []byte) []byte { return append(u16s(uint16(len(b))), b...) }

// keys185 are the TPMU_PUBLIC_PARMS with their type, and the sizes of unique and
// of the sensitive part.
var keys185 = []struct {
	parms             []byte
	public, sensitive int
}{
	{u16s(0xA0, 6, 128, 0x43, 3), 1568, 64}, // ML-KEM-1024 storage key
	{u16s(0xA0, null, 1), 800, 64},
	{append(u16s(0xA1, 2), 0), 1952, 32},
	{append(u16s(0xA1, 1), 1), 1312, 32}, // with allowExternalMu
	{u16s(0xA2, 3, 0xB), 2592, 32},
}

// structures185 are well-formed structures by the name of the recoder.
func structures185() map[string][][]byte {
	all := map[string][][]byte{
		"TPMT_PUBLIC_PARMS": {
			u16s(0x23, null, 0x60, 0x40, null), // EdDSA
			u16s(0x23, null, 0x61, 0x40, null),
			u16s(0x23, null, 0x19, 0xB, 0x40, 0x1F, 0xB), // DHKEM
		},
		"TPMT_SIG_SCHEME": {u16s(0x60), u16s(0x61), u16s(0xA1), u16s(0xA2)},
		"TPMT_SIGNATURE": {
			append(u16s(0x60), sized(64)...),
			append(u16s(0x61), sized(114)...),
			append(u16s(0xA1), sized(4627)...),
			append(u16s(0xA2, 0xB), sized(4627)...),
		},
		"TPMT_TK_VERIFIED": {
			slices.Concat(u16s(0x8022, 0x4000, 1), sized(32)),
			slices.Concat(u16s(0x8026, 0x4000, 1), sized(32)),
			slices.Concat(u16s(0x8027, 0x4000, 1, 0xB), sized(32)),
			slices.Concat(u16s(0x8027, 0x4000, 7, null), tpm2b(nil)),
			slices.Concat(u16s(0x8027, 0x4000, 7, 4), tpm2b(nil)),
		},
		"TPM2B_ENCRYPTED_SECRET": {sized(1568)},
		"TPM2B_KEM_CIPHERTEXT":   {sized(1568)},
		"TPM2B_SIGNATURE_CTX":    {tpm2b(nil), sized(255)},
		"TPM2B_SIGNATURE_HINT":   {tpm2b(nil), sized(57)},
	}
	for _, k := range keys185 {
		all["TPMT_PUBLIC_PARMS"] = append(all["TPMT_PUBLIC_PARMS"], k.parms)
		for _, unique := range []int{0, k.public} {
			area := slices.Concat(k.parms[:2], u16s(0xB, 6, 0x72), sized(32), k.parms[2:], tpm2b(digest(unique)))
			all["TPMT_PUBLIC"] = append(all["TPMT_PUBLIC"], area)
			all["TPMT_PUBLIC moved"] = append(all["TPMT_PUBLIC moved"], area)
			all["TPM2B_PUBLIC"] = append(all["TPM2B_PUBLIC"], tpm2b(area))
			all["TPM2B_TEMPLATE"] = append(all["TPM2B_TEMPLATE"], tpm2b(area))
		}
		sensitive := slices.Concat(k.parms[:2], tpm2b([]byte("pw")), sized(32), tpm2b(digest(k.sensitive)))
		all["TPMT_SENSITIVE"] = append(all["TPMT_SENSITIVE"], sensitive)
		all["TPMT_SENSITIVE moved"] = append(all["TPMT_SENSITIVE moved"], sensitive)
		all["TPM2B_SENSITIVE"] = append(all["TPM2B_SENSITIVE"], tpm2b(sensitive))
	}
	return all
}

// What decodes encodes to the same bytes; cut anywhere it is too short. A TPM
// without the algorithms takes none of it.
func TestStructuresOf185RoundTrip(t *testing.T) {
	t.Parallel()
	with, without := algs185(), algs()
	recode := func(s *wire.Selectors, structure string, b []byte) ([]byte, wire.Reader) {
		r := wire.NewReader(b, s)
		var w wire.Writer
		recoders185()[structure](&r, &w)
		return w.Data(), r
	}
	for structure, list := range structures185() {
		for _, b := range list {
			out, r := recode(with, structure, append(slices.Clip(b), 0xEE))
			require.Equal(t, wire.RCSuccess, r.RC(), "%s %x", structure, b)
			assert.Equal(t, []byte{0xEE}, r.Rest(), structure)
			assert.Equal(t, b, out, structure)
			for n := range b {
				if n > 100 && n < len(b)-100 {
					continue // within what is one string
				}
				_, r := recode(with, structure, b[:n])
				assert.Equal(t, wire.RCInsufficient, r.RC(), "%s cut to %d", structure, n)
			}
			switch structure {
			case "TPM2B_ENCRYPTED_SECRET", "TPM2B_KEM_CIPHERTEXT":
				_, r = recode(without, structure, b)
				assert.Equal(t, wire.RCSize, r.RC(), structure)
			case "TPMT_PUBLIC_PARMS", "TPMT_PUBLIC", "TPMT_SIGNATURE", "TPMT_SIG_SCHEME", "TPMT_SENSITIVE":
				_, r = recode(without, structure, b)
				assert.NotEqual(t, wire.RCSuccess, r.RC(), "%s %x", structure, b)
			}
		}
	}
}

func TestStructuresOf185Refused(t *testing.T) {
	t.Parallel()
	mldsa := func(unique int) []byte {
		return slices.Concat(u16s(0xA1, 0xB, 6, 0x72, 0, 1), []byte{0}, tpm2b(digest(unique)))
	}
	for _, tc := range []struct {
		structure string
		b         []byte
		want      wire.RC
	}{
		{"TPMT_PUBLIC_PARMS", u16s(0xA0, null, 2), wire.RCParms},
		{"TPMT_PUBLIC_PARMS", u16s(0xA0, null, 0), wire.RCParms},
		{"TPMT_PUBLIC_PARMS", u16s(0xA0, null, 0xFFFF), wire.RCParms},
		{"TPMT_PUBLIC_PARMS", u16s(0xA0, 0xA, 0xB), wire.RCSymmetric},
		{"TPMT_PUBLIC_PARMS", u16s(0xA0, 6, 256), wire.RCValue},
		{"TPMT_PUBLIC_PARMS", u16s(0xA0, 6, 128, 0x44), wire.RCMode},
		{"TPMT_PUBLIC_PARMS", append(u16s(0xA1, 3), 0), wire.RCParms},
		{"TPMT_PUBLIC_PARMS", append(u16s(0xA1, 1), 2), wire.RCValue},
		{"TPMT_PUBLIC_PARMS", u16s(0xA2, 2, 0xB), wire.RCParms},
		{"TPMT_PUBLIC_PARMS", u16s(0xA2, 1, null), wire.RCHash},
		{"TPMT_PUBLIC_PARMS", u16s(0xA2, 1, 4), wire.RCHash}, // SHA-1 has no name in FIPS 204
		{"TPMT_PUBLIC_PARMS", u16s(0x23, null, 0x60, 0x41), wire.RCCurve},
		{"TPMT_PUBLIC_PARMS", u16s(0x23, null, 0xA1), wire.RCScheme},
		{"TPMT_PUBLIC_PARMS", u16s(0x23, null, 0x19, 0xB, 0x40, 0x1F, 0), wire.RCHash},
		{"TPMT_PUBLIC_PARMS", u16s(8, 0xA, 0xB, 0x1F), wire.RCKDF}, // XOR with HKDF
		{"TPMT_PUBLIC", mldsa(2592), wire.RCSuccess},
		{"TPMT_PUBLIC", mldsa(2593), wire.RCSize},
		{"TPMT_SENSITIVE", slices.Concat(u16s(0xA0, 0, 0), sized(63)), wire.RCSize},
		{"TPMT_SENSITIVE", slices.Concat(u16s(0xA0, 0, 0), sized(65)), wire.RCSize},
		{"TPMT_SENSITIVE", slices.Concat(u16s(0xA1, 0, 0), sized(31)), wire.RCSize},
		{"TPMT_SENSITIVE", slices.Concat(u16s(0xA2, 0, 0), sized(33)), wire.RCSize},
		{"TPMT_SIGNATURE", append(u16s(0xA1), sized(4628)...), wire.RCSize},
		{"TPMT_SIGNATURE", append(u16s(0xA2, 4), sized(10)...), wire.RCHash},
		{"TPMT_SIGNATURE", append(u16s(0x60), sized(115)...), wire.RCSize},
		{"TPMT_TK_VERIFIED", u16s(0x8024, 0x4000, 1, 0), wire.RCTag},
		{"TPMT_TK_VERIFIED", u16s(0x8027, 0x4000, 1, null, 0), wire.RCHash},
		{"TPMT_TK_VERIFIED", u16s(0x8027, 0x4000, 7, 0, 0), wire.RCHash},
		{"TPM2B_ENCRYPTED_SECRET", sized(1569), wire.RCSize},
		{"TPM2B_KEM_CIPHERTEXT", sized(1569), wire.RCSize},
		{"TPM2B_SIGNATURE_CTX", sized(256), wire.RCSize},
		{"TPM2B_SIGNATURE_HINT", sized(58), wire.RCSize},
	} {
		r := wire.NewReader(tc.b, algs185())
		var w wire.Writer
		recoders185()[tc.structure](&r, &w)
		assert.Equal(t, tc.want, r.RC(), "%s %x", tc.structure, tc.b[:min(len(tc.b), 20)])
	}
}

// A TPM that has only some parameter sets takes no string that only others have.
func TestParameterSetsBoundStrings(t *testing.T) {
	t.Parallel()
	small := wire.NewSelectors([]wire.Selector{{Alg: wire.AlgMLKEM, ParameterSets: []uint16{1}}, {Alg: wire.AlgMLDSA, ParameterSets: []uint16{1}}}, nil)
	assert.Equal(t, 768, small.MaxEncryptedSecret())
	assert.Equal(t, 512, algs().MaxEncryptedSecret())
	var none *wire.Selectors
	assert.Equal(t, 512, none.MaxEncryptedSecret())
	assert.False(t, none.ExternalMu())
	assert.Equal(t, 1312-512, small.MaxTemplate()-algs().MaxTemplate(), "the public key of ML-DSA-44 in place of a modulus")
}

// FuzzStructuresOf185 says that what decodes encodes to the bytes it came from.
func FuzzStructuresOf185(f *testing.F) {
	for _, list := range structures185() {
		for _, b := range list {
			f.Add(b)
		}
	}
	all, s := recoders185(), algs185()
	f.Fuzz(func(t *testing.T, b []byte) {
		for structure, recode := range all {
			r := wire.NewReader(b, s)
			var w wire.Writer
			recode(&r, &w)
			if r.RC() == wire.RCSuccess {
				require.True(t, bytes.Equal(b[:len(b)-r.Len()], w.Data()), "%s %x is %x", structure, b, w.Data())
			}
		}
	})
}
