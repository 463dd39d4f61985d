package wire_test

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// recoders decode one structure each and encode what they got.
var recoders = map[string]func(r *wire.Reader, w *wire.Writer){
	"TPMT_PUBLIC":   func(r *wire.Reader, w *wire.Writer) { var p wire.Public; r.Public(&p, false); w.Public(&p) },
	"TPMT_PUBLIC+":  func(r *wire.Reader, w *wire.Writer) { var p wire.Public; r.Public(&p, true); w.Public(&p) },
	"TPM2B_PUBLIC":  func(r *wire.Reader, w *wire.Writer) { var p wire.Public; r.SizedPublic(&p, false); w.SizedPublic(&p) },
	"TPM2B_PUBLIC+": func(r *wire.Reader, w *wire.Writer) { var p wire.Public; r.SizedPublic(&p, true); w.SizedPublic(&p) },
	"TPMT_PUBLIC moved": func(r *wire.Reader, w *wire.Writer) {
		var p wire.Public
		var area wire.Writer
		r.Public(&p, true)
		area.Public(&p)
		p.Alias(area.Data())
		w.Public(&p)
	},
	"TPMT_SENSITIVE moved": func(r *wire.Reader, w *wire.Writer) {
		var s wire.Sensitive
		var area wire.Writer
		r.Sensitive(&s)
		area.Sensitive(&s)
		s.Alias(area.Data())
		w.Sensitive(&s)
	},
	"template of a derived object": func(r *wire.Reader, w *wire.Writer) {
		var p wire.Public
		var d wire.Derive
		r.DeriveTemplate(&p, &d)
		w.DeriveTemplate(&p, &d)
	},
	"TPM2B_TEMPLATE": func(r *wire.Reader, w *wire.Writer) { w.Sized(r.Template()) },
	"TPMT_SENSITIVE": func(r *wire.Reader, w *wire.Writer) { var s wire.Sensitive; r.Sensitive(&s); w.Sensitive(&s) },
	"TPM2B_SENSITIVE": func(r *wire.Reader, w *wire.Writer) {
		var s wire.Sensitive
		if r.SizedSensitive(&s) {
			w.SizedSensitive(&s)
		} else {
			w.U16(0)
		}
	},
	"TPM2B_SENSITIVE_CREATE": func(r *wire.Reader, w *wire.Writer) {
		var s wire.SensitiveCreate
		r.SensitiveCreate(&s)
		w.U16(uint16(2 + len(s.Auth) + 2 + len(s.Data)))
		w.Sized(s.Auth)
		w.Sized(s.Data)
	},
	"TPMS_ECC_POINT":       func(r *wire.Reader, w *wire.Writer) { var p wire.ECPoint; r.Point(&p); w.Point(&p) },
	"TPM2B_ECC_POINT":      func(r *wire.Reader, w *wire.Writer) { var p wire.ECPoint; r.SizedPoint(&p); w.SizedPoint(&p) },
	"TPMT_SYM_DEF":         func(r *wire.Reader, w *wire.Writer) { s := r.SymDef(false); w.SymDef(&s) },
	"TPMT_SYM_DEF+":        func(r *wire.Reader, w *wire.Writer) { s := r.SymDef(true); w.SymDef(&s) },
	"TPMT_SYM_DEF_OBJECT":  func(r *wire.Reader, w *wire.Writer) { s := r.SymDefObject(false); w.SymDef(&s) },
	"TPMT_SYM_DEF_OBJECT+": func(r *wire.Reader, w *wire.Writer) { s := r.SymDefObject(true); w.SymDef(&s) },
	"TPMT_SIG_SCHEME":      func(r *wire.Reader, w *wire.Writer) { s := r.SigScheme(false); w.Scheme(&s) },
	"TPMT_SIG_SCHEME+":     func(r *wire.Reader, w *wire.Writer) { s := r.SigScheme(true); w.Scheme(&s) },
	"TPMT_RSA_DECRYPT":     func(r *wire.Reader, w *wire.Writer) { s := r.RSADecrypt(false); w.Scheme(&s) },
	"TPMT_RSA_DECRYPT+":    func(r *wire.Reader, w *wire.Writer) { s := r.RSADecrypt(true); w.Scheme(&s) },
	"TPMT_KDF_SCHEME+":     func(r *wire.Reader, w *wire.Writer) { s := r.KDFScheme(); w.Scheme(&s) },
	"TPMT_SIGNATURE":       func(r *wire.Reader, w *wire.Writer) { var s wire.Signature; r.Signature(&s, false); w.Signature(&s) },
	"TPMT_SIGNATURE+":      func(r *wire.Reader, w *wire.Writer) { var s wire.Signature; r.Signature(&s, true); w.Signature(&s) },
	"TPMT_TK_AUTH": func(r *wire.Reader, w *wire.Writer) {
		var tk wire.Ticket
		r.Ticket(&tk, wire.STAuthSigned, wire.STAuthSecret)
		w.Ticket(&tk)
	},
	"TPMS_CONTEXT": func(r *wire.Reader, w *wire.Writer) { var c wire.Context; r.Context(&c); w.Context(&c) },
	"TPML_DIGEST": func(r *wire.Reader, w *wire.Writer) {
		list := r.DigestList(nil, 2, 8)
		w.U32(uint32(len(list)))
		for _, d := range list {
			w.Sized(d)
		}
	},
	"TPM2B_OPERAND":         func(r *wire.Reader, w *wire.Writer) { w.Sized(r.Operand()) },
	"TPM_EO":                func(r *wire.Reader, w *wire.Writer) { w.U16(uint16(r.EO())) },
	"TPMI_ALG_CIPHER_MODE":  func(r *wire.Reader, w *wire.Writer) { w.U16(uint16(r.CipherMode(false))) },
	"TPMI_ALG_CIPHER_MODE+": func(r *wire.Reader, w *wire.Writer) { w.U16(uint16(r.CipherMode(true))) },
	"TPMI_ALG_MAC_SCHEME":   func(r *wire.Reader, w *wire.Writer) { w.U16(uint16(r.MACScheme(false))) },
	"TPMI_ALG_MAC_SCHEME+":  func(r *wire.Reader, w *wire.Writer) { w.U16(uint16(r.MACScheme(true))) },
	"TPMI_ECC_KEY_EXCHANGE": func(r *wire.Reader, w *wire.Writer) { w.U16(uint16(r.ECCKeyExchange())) },
	"TPMI_ECC_CURVE":        func(r *wire.Reader, w *wire.Writer) { w.U16(uint16(r.Curve())) },
}

// recode gives what the recoder of a structure makes of b, and what is left.
func recode(structure string, b []byte) (out []byte, r wire.Reader) {
	r = wire.NewReader(b, algs())
	var w wire.Writer
	recoders[structure](&r, &w)
	return w.Data(), r
}

// digest is n octets that are not zero, each another one than those next to it.
func digest(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i%255) + 1
	}
	return b
}

// theirPublics are TPMT_PUBLICs as go-tpm makes them, one of each type and the
// well-known templates.
func theirPublics() map[string]tpm2.TPMTPublic {
	hmac := tpm2.TPMTPublic{Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA1,
		ObjectAttributes: tpm2.TPMAObject{SignEncrypt: true, UserWithAuth: true, NoDA: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{Scheme: tpm2.TPMTKeyedHashScheme{
			Scheme:  tpm2.TPMAlgHMAC,
			Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgHMAC, &tpm2.TPMSSchemeHMAC{HashAlg: tpm2.TPMAlgSHA256})}}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BDigest{Buffer: digest(20)})}
	cipher := tpm2.TPMTPublic{Type: tpm2.TPMAlgSymCipher, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{Decrypt: true, FixedTPM: true, FirmwareLimited: true, X509Sign: true},
		AuthPolicy:       tpm2.TPM2BDigest{Buffer: digest(32)},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgSymCipher, &tpm2.TPMSSymCipherParms{Sym: tpm2.TPMTSymDefObject{
			Algorithm: tpm2.TPMAlgAES,
			KeyBits:   tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(128)),
			Mode:      tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB)}}),
		Unique: tpm2.NewTPMUPublicID(tpm2.TPMAlgSymCipher, &tpm2.TPM2BDigest{Buffer: digest(32)})}
	rsa := tpm2.RSAEKTemplate
	rsa.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgRSA, &tpm2.TPM2BPublicKeyRSA{Buffer: digest(256)})
	ecc := tpm2.ECCEKTemplate
	ecc.Unique = tpm2.NewTPMUPublicID(tpm2.TPMAlgECC, &tpm2.TPMSECCPoint{X: tpm2.TPM2BECCParameter{Buffer: digest(31)}, Y: tpm2.TPM2BECCParameter{Buffer: digest(32)}})
	return map[string]tpm2.TPMTPublic{"keyedhash": hmac, "symcipher": cipher, "rsa": rsa, "ecc": ecc, "ecc srk": tpm2.ECCSRKTemplate,
		"ecc ek": tpm2.ECCEKTemplate, "rsa srk": tpm2.RSASRKTemplate}
}

// theirSensitives are TPMT_SENSITIVEs as go-tpm makes them, one of each type.
func theirSensitives() map[string]tpm2.TPMTSensitive {
	all := map[string]tpm2.TPMTSensitive{
		"rsa": {SensitiveType: tpm2.TPMAlgRSA,
			Sensitive: tpm2.NewTPMUSensitiveComposite(tpm2.TPMAlgRSA, &tpm2.TPM2BPrivateKeyRSA{Buffer: digest(256)})},
		"ecc": {SensitiveType: tpm2.TPMAlgECC,
			Sensitive: tpm2.NewTPMUSensitiveComposite(tpm2.TPMAlgECC, &tpm2.TPM2BECCParameter{Buffer: digest(80)})},
		"keyedhash": {SensitiveType: tpm2.TPMAlgKeyedHash,
			Sensitive: tpm2.NewTPMUSensitiveComposite(tpm2.TPMAlgKeyedHash, &tpm2.TPM2BSensitiveData{Buffer: digest(128)})},
		"symcipher": {SensitiveType: tpm2.TPMAlgSymCipher,
			Sensitive: tpm2.NewTPMUSensitiveComposite(tpm2.TPMAlgSymCipher, &tpm2.TPM2BSymKey{Buffer: digest(32)})},
	}
	for name, s := range all {
		s.AuthValue.Buffer, s.SeedValue.Buffer = []byte("pw"), digest(32)
		all[name] = s
	}
	return all
}

// theirSignatures are TPMT_SIGNATUREs as go-tpm makes them.
func theirSignatures() map[string]tpm2.TPMTSignature {
	rsa := &tpm2.TPMSSignatureRSA{Hash: tpm2.TPMAlgSHA256, Sig: tpm2.TPM2BPublicKeyRSA{Buffer: digest(512)}}
	ecc := &tpm2.TPMSSignatureECC{Hash: tpm2.TPMAlgSHA1, SignatureR: tpm2.TPM2BECCParameter{Buffer: digest(80)},
		SignatureS: tpm2.TPM2BECCParameter{Buffer: digest(31)}}
	return map[string]tpm2.TPMTSignature{
		"rsassa": {SigAlg: tpm2.TPMAlgRSASSA, Signature: tpm2.NewTPMUSignature(tpm2.TPMAlgRSASSA, rsa)},
		"ecdsa":  {SigAlg: tpm2.TPMAlgECDSA, Signature: tpm2.NewTPMUSignature(tpm2.TPMAlgECDSA, ecc)},
		"ecdaa":  {SigAlg: tpm2.TPMAlgECDAA, Signature: tpm2.NewTPMUSignature(tpm2.TPMAlgECDAA, ecc)},
		"hmac": {SigAlg: tpm2.TPMAlgHMAC, Signature: tpm2.NewTPMUSignature(tpm2.TPMAlgHMAC,
			&tpm2.TPMTHA{HashAlg: tpm2.TPMAlgSHA256, Digest: digest(32)})},
	}
}

// theirSchemes are the parts that name algorithms, as go-tpm makes them.
func theirSchemes() map[string][]tpm2.Marshallable {
	hash := tpm2.TPMSSchemeHash{HashAlg: tpm2.TPMAlgSHA256}
	sign := func(alg tpm2.TPMAlgID) tpm2.Marshallable {
		return tpm2.TPMTSigScheme{Scheme: alg, Details: tpm2.NewTPMUSigScheme(alg, &hash)}
	}
	aes := tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgAES,
		KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(128)),
		Mode:    tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB)}
	xor := tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgXOR, KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgXOR, tpm2.TPMAlgSHA1)}
	daa := tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgECDAA,
		Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgECDAA, &tpm2.TPMSSchemeECDAA{HashAlg: tpm2.TPMAlgSHA1, Count: 7})}
	hmac := tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgHMAC,
		Details: tpm2.NewTPMUSigScheme(tpm2.TPMAlgHMAC, &tpm2.TPMSSchemeHMAC{HashAlg: tpm2.TPMAlgSHA1})}
	oaep := tpm2.TPMTRSADecrypt{Scheme: tpm2.TPMAlgOAEP,
		Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgOAEP, &tpm2.TPMSEncSchemeOAEP{HashAlg: tpm2.TPMAlgSHA256})}
	kdf := tpm2.TPMTKDFScheme{Scheme: tpm2.TPMAlgKDF1SP800108, Details: tpm2.NewTPMUKDFScheme(tpm2.TPMAlgKDF1SP800108,
		&tpm2.TPMSKDFSchemeKDF1SP800108{HashAlg: tpm2.TPMAlgSHA1})}
	return map[string][]tpm2.Marshallable{
		"TPMT_SYM_DEF":         {aes, xor},
		"TPMT_SYM_DEF+":        {aes, xor, tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull}},
		"TPMT_SYM_DEF_OBJECT":  {aes},
		"TPMT_SYM_DEF_OBJECT+": {aes, tpm2.TPMTSymDefObject{Algorithm: tpm2.TPMAlgNull}},
		"TPMT_SIG_SCHEME":      {sign(tpm2.TPMAlgRSASSA), sign(tpm2.TPMAlgECDSA), daa, hmac},
		"TPMT_SIG_SCHEME+":     {hmac, tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}},
		"TPMT_RSA_DECRYPT":     {oaep, tpm2.TPMTRSADecrypt{Scheme: tpm2.TPMAlgRSAES}},
		"TPMT_RSA_DECRYPT+":    {oaep, tpm2.TPMTRSADecrypt{Scheme: tpm2.TPMAlgNull}},
		"TPMT_KDF_SCHEME+":     {kdf, tpm2.TPMTKDFScheme{Scheme: tpm2.TPMAlgNull}},
	}
}

// theirs are well-formed structures as go-tpm makes them, by the name of the
// recoder.
func theirs() map[string][][]byte {
	all := make(map[string][][]byte)
	add := func(structure string, m tpm2.Marshallable) {
		all[structure] = append(all[structure], tpm2.Marshal(m))
	}
	number := func(structure string, n uint16) { all[structure] = append(all[structure], u16s(n)) }
	for _, p := range theirPublics() {
		add("TPMT_PUBLIC", p)
		add("TPMT_PUBLIC+", p)
		add("TPMT_PUBLIC moved", p)
		add("TPM2B_PUBLIC", tpm2.New2B(p))
		add("TPM2B_TEMPLATE", tpm2.New2BTemplate(&p))
		p.NameAlg = tpm2.TPMAlgNull
		add("TPM2B_PUBLIC+", tpm2.New2B(p))
		add("template of a derived object", tpm2.TPMTTemplate{Type: p.Type, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: p.ObjectAttributes, Parameters: p.Parameters,
			Unique: tpm2.TPMSDerive{Label: tpm2.TPM2BLabel{Buffer: digest(32)}, Context: tpm2.TPM2BLabel{Buffer: digest(1)}}})
	}
	for _, s := range theirSensitives() {
		add("TPMT_SENSITIVE", s)
		add("TPMT_SENSITIVE moved", s)
		add("TPM2B_SENSITIVE", tpm2.New2B(s))
	}
	for _, s := range theirSignatures() {
		add("TPMT_SIGNATURE", s)
		add("TPMT_SIGNATURE+", s)
	}
	add("TPMT_SIGNATURE+", tpm2.TPMTSignature{SigAlg: tpm2.TPMAlgNull})
	for structure, list := range theirSchemes() {
		for _, m := range list {
			add(structure, m)
		}
	}
	add("TPM2B_SENSITIVE_CREATE", tpm2.TPM2BSensitiveCreate{})
	add("TPM2B_SENSITIVE_CREATE", tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
		UserAuth: tpm2.TPM2BAuth{Buffer: digest(32)},
		Data:     tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: digest(128)})}})
	point := tpm2.TPMSECCPoint{X: tpm2.TPM2BECCParameter{Buffer: digest(80)}, Y: tpm2.TPM2BECCParameter{Buffer: digest(1)}}
	add("TPMS_ECC_POINT", point)
	add("TPM2B_ECC_POINT", tpm2.New2B(point))
	add("TPMT_TK_AUTH", tpm2.TPMTTKAuth{Tag: tpm2.TPMSTAuthSigned, Hierarchy: tpm2.TPMRHOwner, Digest: tpm2.TPM2BDigest{Buffer: digest(32)}})
	add("TPMT_TK_AUTH", tpm2.TPMTTKAuth{Tag: tpm2.TPMSTAuthSecret, Hierarchy: tpm2.TPMRHNull})
	for _, h := range []tpm2.TPMHandle{0x80000000, 0x80000002, 0x02000001, 0x03FFFFFF} {
		add("TPMS_CONTEXT", tpm2.TPMSContext{Sequence: 1 << 40, SavedHandle: h, Hierarchy: tpm2.TPMRHPlatform,
			ContextBlob: tpm2.TPM2BContextData{Buffer: digest(wire.MaxContextBlob)}})
	}
	two := tpm2.TPMLDigest{Digests: []tpm2.TPM2BDigest{{Buffer: digest(32)}, {}}}
	add("TPML_DIGEST", two)
	add("TPML_DIGEST", tpm2.TPMLDigest{Digests: slices.Repeat(two.Digests, 4)})
	add("TPM2B_OPERAND", tpm2.TPM2BOperand{Buffer: digest(64)})
	number("TPM_EO", uint16(tpm2.TPMEOBitClear))
	number("TPMI_ALG_CIPHER_MODE", uint16(tpm2.TPMAlgCFB))
	number("TPMI_ALG_CIPHER_MODE+", uint16(tpm2.TPMAlgNull))
	number("TPMI_ALG_MAC_SCHEME", uint16(tpm2.TPMAlgCMAC))
	number("TPMI_ALG_MAC_SCHEME", uint16(tpm2.TPMAlgSHA256))
	number("TPMI_ALG_MAC_SCHEME+", uint16(tpm2.TPMAlgNull))
	number("TPMI_ECC_KEY_EXCHANGE", uint16(tpm2.TPMAlgECDH))
	number("TPMI_ECC_CURVE", uint16(tpm2.TPMECCNistP256))
	return all
}

// What go-tpm encodes must decode, and encode to the same bytes again; cut
// anywhere it is too short, which no size field in it can hide.
func TestStructuresRoundTrip(t *testing.T) {
	t.Parallel()
	all := theirs()
	assert.ElementsMatch(t, slices.Collect(maps.Keys(recoders)), slices.Collect(maps.Keys(all)))
	for structure, list := range all {
		for _, b := range list {
			out, r := recode(structure, append(slices.Clip(b), 0xEE))
			require.Equal(t, wire.RCSuccess, r.RC(), "%s %x", structure, b)
			assert.Equal(t, []byte{0xEE}, r.Rest(), structure)
			assert.Equal(t, b, out, structure)
			for n := range b {
				_, r := recode(structure, b[:n])
				assert.Equal(t, wire.RCInsufficient, r.RC(), "%s cut to %d of %x", structure, n, b)
			}
		}
	}
}

// A TPM2B around a structure has exactly the size of what is in it.
func TestStructuresOfAnotherSize(t *testing.T) {
	t.Parallel()
	all := theirs()
	for _, structure := range []string{"TPM2B_PUBLIC", "TPM2B_PUBLIC+", "TPM2B_SENSITIVE", "TPM2B_SENSITIVE_CREATE", "TPM2B_ECC_POINT"} {
		for _, b := range all[structure] {
			size := uint16(b[0])<<8 | uint16(b[1])
			for _, wrong := range []uint16{1, size - 1, size + 1, 0xFFFF} {
				changed := slices.Concat(u16s(wrong), b[2:], []byte{0})
				_, r := recode(structure, changed)
				assert.Equal(t, wire.RCSize, r.RC(), "%s of %d, not %d", structure, wrong, size)
			}
		}
	}
}

// FuzzStructures says that what decodes encodes to the bytes it came from.
func FuzzStructures(f *testing.F) {
	for _, list := range theirs() {
		for _, b := range list {
			f.Add(b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for structure := range recoders {
			out, r := recode(structure, b)
			if r.RC() == wire.RCSuccess {
				require.True(t, bytes.Equal(b[:len(b)-r.Len()], out), "%s %x is %x", structure, b, out)
			}
		}
	})
}

// publicArea is the TPM2B_PUBLIC of an RSA endorsement key, and what reads it.
func publicArea() (area []byte, decode func() wire.RC) {
	area = tpm2.Marshal(tpm2.New2B(theirPublics()["rsa"]))
	s := algs()
	return area, func() wire.RC {
		var p wire.Public
		r := wire.NewReader(area, s)
		r.SizedPublic(&p, false)
		return r.RC()
	}
}

func TestPublicAllocatesNothing(t *testing.T) {
	_, decode := publicArea()
	require.Equal(t, wire.RCSuccess, decode())
	assert.Zero(t, testing.AllocsPerRun(100, func() { decode() }))
}

func BenchmarkPublic(b *testing.B) {
	area, decode := publicArea()
	b.ReportAllocs()
	b.SetBytes(int64(len(area)))
	for b.Loop() {
		if rc := decode(); rc != wire.RCSuccess {
			b.Fatal(rc)
		}
	}
}

// What is made to alias an area changes with it, and with nothing else.
func TestAlias(t *testing.T) {
	t.Parallel()
	all := theirs()
	for _, b := range all["TPMT_PUBLIC"] {
		var p wire.Public
		r := wire.NewReader(b, algs())
		r.Public(&p, false)
		p.Alias(make([]byte, len(b)))
		for _, s := range [][]byte{p.AuthPolicy, p.Unique, p.Point.X, p.Point.Y} {
			assert.Equal(t, make([]byte, len(s)), append([]byte{}, s...), "%x", b)
			assert.Equal(t, len(s), cap(s), "what is behind it is not its own")
		}
	}
	for _, b := range all["TPMT_SENSITIVE"] {
		var s wire.Sensitive
		r := wire.NewReader(b, algs())
		r.Sensitive(&s)
		s.Alias(make([]byte, len(b)))
		for _, s := range [][]byte{s.Auth, s.Seed, s.Data} {
			assert.Equal(t, make([]byte, len(s)), append([]byte{}, s...), "%x", b)
			assert.Equal(t, len(s), cap(s), "what is behind it is not its own")
		}
	}
}
