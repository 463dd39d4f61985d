package wire_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// sized is n octets as a TPM2B.
func sized(n int) []byte { return append(u16s(uint16(n)), digest(n)...) }

// Each refusal is of the first thing that is wrong: what follows is missing.
func TestStructureRefusals(t *testing.T) {
	t.Parallel()
	head := u16s(8, 0xB, 0, 0x40) // KEYEDHASH, SHA-256, userWithAuth
	for _, tc := range []struct {
		structure, name string
		b               []byte
		want            wire.RC
	}{
		{"TPMT_PUBLIC", "type", u16s(0xB), wire.RCType},
		{"TPMT_PUBLIC", "no nameAlg", u16s(8, null), wire.RCHash},
		{"TPMT_PUBLIC", "nameAlg", u16s(8, 0xC), wire.RCHash},
		{"TPMT_PUBLIC+", "nameAlg", u16s(8, 0xC), wire.RCHash},
		{"TPMT_PUBLIC", "policy", slices.Concat(head, sized(65)), wire.RCSize},
		{"TPMT_PUBLIC", "parameters", slices.Concat(head, u16s(0, 0x14)), wire.RCValue},
		{"TPMT_PUBLIC", "digest", slices.Concat(head, u16s(0, null), sized(65)), wire.RCSize},
		{"TPMT_PUBLIC", "modulus", slices.Concat(u16s(1), head[2:], u16s(0, null, null, 2048, 0, 0), sized(513)), wire.RCSize},
		{"TPMT_PUBLIC", "x", slices.Concat(u16s(0x23), head[2:], u16s(0, null, null, 3, null), sized(81)), wire.RCSize},
		{"TPMT_PUBLIC", "y", slices.Concat(u16s(0x23), head[2:], u16s(0, null, null, 3, null, 0), sized(81)), wire.RCSize},
		{"TPM2B_PUBLIC", "empty", u16s(0), wire.RCSize},
		{"TPM2B_PUBLIC", "type before size", u16s(2, 0xB), wire.RCType},
		{"template of a derived object", "no nameAlg", u16s(8, null), wire.RCHash},
		{"template of a derived object", "label", slices.Concat(head, u16s(0, null), sized(33)), wire.RCSize},
		{"template of a derived object", "context", slices.Concat(head, u16s(0, null, 0), sized(33)), wire.RCSize},
		{"TPM2B_TEMPLATE", "too long", sized(wire.MaxTemplate + 1), wire.RCSize},
		{"TPMT_SENSITIVE", "type", u16s(4), wire.RCType},
		{"TPMT_SENSITIVE", "authorization value", slices.Concat(u16s(1), sized(65)), wire.RCSize},
		{"TPMT_SENSITIVE", "seed", slices.Concat(u16s(1, 0), sized(65)), wire.RCSize},
		{"TPMT_SENSITIVE", "RSA key", slices.Concat(u16s(1, 0, 0), sized(1281)), wire.RCSize},
		{"TPMT_SENSITIVE", "scalar", slices.Concat(u16s(0x23, 0, 0), sized(81)), wire.RCSize},
		{"TPMT_SENSITIVE", "data", slices.Concat(u16s(8, 0, 0), sized(129)), wire.RCSize},
		{"TPMT_SENSITIVE", "key", slices.Concat(u16s(0x25, 0, 0), sized(33)), wire.RCSize},
		{"TPM2B_SENSITIVE", "type", u16s(2, 4), wire.RCType},
		{"TPM2B_SENSITIVE_CREATE", "empty", u16s(0), wire.RCSize},
		{"TPM2B_SENSITIVE_CREATE", "authorization value", slices.Concat(u16s(69), sized(65), u16s(0)), wire.RCSize},
		{"TPM2B_SENSITIVE_CREATE", "data", slices.Concat(u16s(133, 0), sized(129)), wire.RCSize},
		{"TPM2B_ECC_POINT", "empty", u16s(0), wire.RCSize},
		{"TPM2B_ECC_POINT", "x", slices.Concat(u16s(85), sized(81), u16s(0)), wire.RCSize},
		{"TPMT_SYM_DEF", "null", u16s(null), wire.RCSymmetric},
		{"TPMT_SYM_DEF+", "cipher", u16s(3), wire.RCSymmetric},
		{"TPMT_SYM_DEF", "bits", u16s(6, 256), wire.RCValue},
		{"TPMT_SYM_DEF", "mode", u16s(6, 128, 0x42), wire.RCMode},
		{"TPMT_SYM_DEF", "hash of XOR", u16s(0xA, null), wire.RCHash},
		{"TPMT_SYM_DEF_OBJECT", "XOR", u16s(0xA, 0xB), wire.RCSymmetric},
		{"TPMT_SYM_DEF_OBJECT", "null", u16s(null), wire.RCSymmetric},
		{"TPMT_SIG_SCHEME", "null", u16s(null), wire.RCScheme},
		{"TPMT_SIG_SCHEME+", "decryption", u16s(0x15), wire.RCScheme},
		{"TPMT_SIG_SCHEME", "hash", u16s(0x14, null), wire.RCHash},
		{"TPMT_SIG_SCHEME", "hash of HMAC", u16s(5, 0xC), wire.RCHash},
		{"TPMT_RSA_DECRYPT", "null", u16s(null), wire.RCValue},
		{"TPMT_RSA_DECRYPT+", "signature", u16s(0x14), wire.RCValue},
		{"TPMT_RSA_DECRYPT", "hash", u16s(0x17, null), wire.RCHash},
		{"TPMT_KDF_SCHEME+", "kdf", u16s(0x20), wire.RCKDF},
		{"TPMT_KDF_SCHEME+", "hash", u16s(0x22, 0), wire.RCHash},
		{"TPMT_SIGNATURE", "null", u16s(null), wire.RCScheme},
		{"TPMT_SIGNATURE+", "scheme", u16s(0x17), wire.RCScheme},
		{"TPMT_SIGNATURE", "hash", u16s(0x14, 0xC), wire.RCHash},
		{"TPMT_SIGNATURE", "rsa", slices.Concat(u16s(0x14, 0xB), sized(513)), wire.RCSize},
		{"TPMT_SIGNATURE", "hash of ECDSA", u16s(0x18, null), wire.RCHash},
		{"TPMT_SIGNATURE", "r", slices.Concat(u16s(0x18, 0xB), sized(81)), wire.RCSize},
		{"TPMT_SIGNATURE", "s", slices.Concat(u16s(0x18, 0xB, 0), sized(81)), wire.RCSize},
		{"TPMT_SIGNATURE", "hash of HMAC", u16s(5, null), wire.RCHash},
		{"TPMT_TK_AUTH", "tag", u16s(0x8022), wire.RCTag},
		{"TPMT_TK_AUTH", "hierarchy", u16s(0x8023, 0x4000, 0x000A), wire.RCValue},
		{"TPMT_TK_AUTH", "hierarchy of a firmware", u16s(0x8023, 0x4000, 0x0140), wire.RCValue},
		{"TPMT_TK_AUTH", "digest", slices.Concat(u16s(0x8023, 0x4000, 7), sized(65)), wire.RCSize},
		{"TPMS_CONTEXT", "another transient", u16s(0, 0, 0, 1, 0x8000, 3), wire.RCValue},
		{"TPMS_CONTEXT", "persistent", u16s(0, 0, 0, 1, 0x8100, 0), wire.RCValue},
		{"TPMS_CONTEXT", "NV index", u16s(0, 0, 0, 1, 0x0100, 0), wire.RCValue},
		{"TPMS_CONTEXT", "hierarchy", u16s(0, 0, 0, 1, 0x8000, 0, 0x4000, 9), wire.RCValue},
		{"TPMS_CONTEXT", "blob", slices.Concat(u16s(0, 0, 0, 1, 0x8000, 0, 0x4000, 7), sized(wire.MaxContextBlob+1)), wire.RCSize},
		{"TPML_DIGEST", "one", u16s(0, 1, 0), wire.RCSize},
		{"TPML_DIGEST", "none", u16s(0, 0), wire.RCSize},
		{"TPML_DIGEST", "nine", u16s(0, 9), wire.RCSize},
		{"TPML_DIGEST", "very many", u16s(0xFFFF, 0xFFFF), wire.RCSize},
		{"TPML_DIGEST", "digest", slices.Concat(u16s(0, 2), sized(65)), wire.RCSize},
		{"TPM2B_OPERAND", "too long", sized(65), wire.RCSize},
		{"TPM_EO", "one more", u16s(0xC), wire.RCValue},
		{"TPMI_ALG_CIPHER_MODE", "null", u16s(null), wire.RCMode},
		{"TPMI_ALG_CIPHER_MODE+", "CMAC", u16s(0x3F), wire.RCMode},
		{"TPMI_ALG_MAC_SCHEME", "null", u16s(null), wire.RCSymmetric},
		{"TPMI_ALG_MAC_SCHEME+", "HMAC", u16s(5), wire.RCSymmetric},
		{"TPMI_ECC_KEY_EXCHANGE", "null", u16s(null), wire.RCScheme},
		{"TPMI_ECC_KEY_EXCHANGE", "signature", u16s(0x18), wire.RCScheme},
		{"TPMI_ECC_CURVE", "none", u16s(0), wire.RCCurve},
		{"TPMI_ECC_CURVE", "another", u16s(4), wire.RCCurve},
	} {
		_, r := recode(tc.structure, tc.b)
		assert.Equal(t, tc.want, r.RC(), "%s: %s", tc.structure, tc.name)
	}
}

// Part 2, section "TPMA_OBJECT": the bits that have a name decode.
func TestObjectReservedBits(t *testing.T) {
	t.Parallel()
	for bit := range 32 {
		attributes := uint32(1) << bit
		b := slices.Concat(u16s(8, 0xB, uint16(attributes>>16), uint16(attributes)), u16s(0, null, 0))
		_, r := recode("TPMT_PUBLIC", b)
		want := wire.RCReservedBits
		switch bit {
		case 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 16, 17, 18, 19:
			want = wire.RCSuccess
		}
		assert.Equal(t, want, r.RC(), "bit %d", bit)
	}
}

// Only a list that decodes adds to the digests there are.
func TestDigestListAppends(t *testing.T) {
	t.Parallel()
	one := [][]byte{{1}}
	r := wire.NewReader(slices.Concat(u16s(0, 2), sized(1), sized(2)), nil)
	assert.Equal(t, [][]byte{{1}, digest(1), digest(2)}, r.DigestList(one, 2, 8))
	assert.Equal(t, wire.RCSuccess, r.RC())
	r = wire.NewReader(slices.Concat(u16s(0, 2), sized(1)), nil)
	assert.Equal(t, one, r.DigestList(one, 2, 8))
	assert.Equal(t, wire.RCInsufficient, r.RC())
}

// A ticket has one of the tags asked for and no other.
func TestTicketTags(t *testing.T) {
	t.Parallel()
	read := func(tag wire.ST, tags ...wire.ST) wire.RC {
		r := wire.NewReader(u16s(uint16(tag), 0x4000, 7, 0), nil)
		var tk wire.Ticket
		r.Ticket(&tk, tags...)
		return r.RC()
	}
	all := []wire.ST{wire.STCreation, wire.STVerified, wire.STAuthSecret, wire.STHashCheck, wire.STAuthSigned}
	for _, tag := range all {
		for _, want := range all {
			if tag == want {
				assert.Equal(t, wire.RCSuccess, read(tag, want))
			} else {
				assert.Equal(t, wire.RCTag, read(tag, want))
			}
		}
	}
	assert.Equal(t, wire.RCTag, read(0), "an absent tag is none of no tags")
}

// An absent TPM2B_SENSITIVE leaves nothing of what was there before.
func TestAbsentSensitive(t *testing.T) {
	t.Parallel()
	s := wire.Sensitive{Type: wire.AlgRSA, Auth: []byte("pw")}
	r := wire.NewReader(u16s(0), algs())
	assert.False(t, r.SizedSensitive(&s))
	assert.Equal(t, wire.RCSuccess, r.RC())
	assert.Equal(t, wire.Sensitive{}, s)
}
