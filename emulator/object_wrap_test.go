package emulator

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

var aes128 = wire.SymDef{Alg: wire.AlgAES, KeyBits: 128, Mode: wire.AlgCFB}

// storageKey is a storage key with a seed, for what needs no more of it.
func storageKey(alg wire.AlgID, sym wire.SymDef, attributes wire.ObjectAttributes, seed string) *object {
	return &object{Object: &state.Object{Kind: state.ObjectLoaded},
		public: wire.Public{NameAlg: alg, Attributes: wire.ObjectRestricted | wire.ObjectDecrypt | attributes,
			Parms: wire.PublicParms{Type: wire.AlgSymCipher, Sym: sym}},
		sensitive: wire.Sensitive{Type: wire.AlgSymCipher, Seed: []byte(seed)},
	}
}

// digestName is the Name with the digest of some text.
func digestName(alg wire.AlgID, of string) []byte {
	return crypt.Digest(alg, []byte{byte(alg >> 8), byte(alg)}, []byte(of))
}

// Data objects that the reference implementation has sealed below primaries of
// known seeds can be opened, as crypt/testdata/primaries.json has them.
func TestPrivateAreaOfTheReference(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile("crypt/testdata/primaries.json")
	require.NoError(t, err)
	var list []struct {
		Name, Template, Data, PrimarySeed, Public string
		Child                                     *struct{ Name, Private string }
	}
	require.NoError(t, json.Unmarshal(b, &list))
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(s)
		require.NoError(t, err)
		return b
	}
	in, opened := newInside(t), 0
	for _, g := range list {
		if g.Child == nil {
			continue
		}
		opened++
		var parent object
		parent.Object = &state.Object{Kind: state.ObjectLoaded}
		r := wire.NewReader(unhex(g.Public), in.algs.Selectors())
		r.Public(&parent.public, false)
		require.Equal(t, wire.RCSuccess, r.RC())
		gen := crypt.NewPrimaryGenerator(unhex(g.PrimarySeed), digestName(wire.AlgSHA256, string(unhex(g.Template))), unhex(g.Data))
		if parent.public.Parms.Type == wire.AlgRSA {
			_, err = crypt.GenerateRSA(gen, 2048, crypt.RSAOptions{})
		} else {
			_, _, err = parent.curve().GenerateKey(gen)
		}
		require.NoError(t, err)
		parent.sensitive.Seed = make([]byte, 32)
		gen.Read(parent.sensitive.Seed)

		s, rc := in.unwrapSensitive(&parent, unhex(g.Child.Name), unhex(g.Child.Private))
		require.Equal(t, wire.RCSuccess, rc, g.Name)
		assert.Equal(t, wire.AlgKeyedHash, s.Type)
		assert.Empty(t, s.Auth, "its padding is gone")
		assert.Equal(t, "sealed below a primary", string(s.Data))
	}
	assert.Equal(t, 2, opened)
}

func TestPrivateArea(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	for name, tc := range map[string]struct {
		parent *object
		alg    wire.AlgID // of the child's Name
		s      wire.Sensitive
		size   int // integrity, initial value, size, type, three sizes and values
	}{
		"data":           {storageKey(wire.AlgSHA256, aes128, 0, "seed"), wire.AlgSHA1, wire.Sensitive{Type: wire.AlgKeyedHash, Auth: []byte("auth"), Data: []byte("data")}, 34 + 18 + 4 + 2 + 20 + 2 + 2 + 4},
		"longest auth":   {storageKey(wire.AlgSHA1, aes128, 0, "seed"), wire.AlgSHA256, wire.Sensitive{Type: wire.AlgSymCipher, Auth: bytes.Repeat([]byte{'a'}, 32), Seed: []byte("seed"), Data: make([]byte, 16)}, 22 + 18 + 4 + 2 + 32 + 2 + 4 + 2 + 16},
		"AES-256":        {storageKey(wire.AlgSHA384, wire.SymDef{Alg: wire.AlgAES, KeyBits: 256, Mode: wire.AlgCFB}, 0, ""), wire.AlgSHA256, wire.Sensitive{Type: wire.AlgECC, Data: make([]byte, 32)}, 50 + 18 + 4 + 2 + 32 + 2 + 2 + 32},
		"too long":       {storageKey(wire.AlgSHA256, aes128, 0, "seed"), wire.AlgSHA1, wire.Sensitive{Type: wire.AlgKeyedHash, Auth: append([]byte("a"), make([]byte, 20)...)}, 34 + 18 + 4 + 2 + 21 + 2 + 2},
		"RSA":            {storageKey(wire.AlgSHA256, aes128, wire.ObjectFixedTPM, "seed"), wire.AlgSHA1, wire.Sensitive{Type: wire.AlgRSA, Data: make([]byte, wire.MaxRSAPrime)}, 34 + 18 + 4 + 2 + 20 + 2 + 2 + 256},
		"RSA, all parts": {storageKey(wire.AlgSHA256, aes128, 0, "seed"), wire.AlgSHA1, wire.Sensitive{Type: wire.AlgRSA, Data: make([]byte, wire.MaxRSAPrivate)}, 34 + 18 + 4 + 2 + 20 + 2 + 2 + 1280},
	} {
		name2 := digestName(tc.alg, name)
		private := in.wrapSensitive(tc.parent, name2, &tc.s)
		assert.Len(t, private, tc.size, name)
		assert.LessOrEqual(t, len(private), wire.MaxPrivate)
		assert.NotEqual(t, private, in.wrapSensitive(tc.parent, name2, &tc.s), "%s: the initial value is random", name)
		got, rc := in.unwrapSensitive(tc.parent, name2, private)
		require.Equal(t, wire.RCSuccess, rc, name)
		if len(tc.s.Seed) == 0 {
			got.Seed = tc.s.Seed
		}
		if len(tc.s.Data) == 0 {
			got.Data = tc.s.Data
		}
		if len(tc.s.Auth) == 0 {
			got.Auth = tc.s.Auth
		}
		assert.Equal(t, tc.s, got, name)
	}
}

// Every bit of a private area is protected, and so are the Name and the parent.
func TestPrivateAreaIsBound(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	parent, name := storageKey(wire.AlgSHA256, aes128, 0, "seed"), digestName(wire.AlgSHA256, "child")
	private := in.wrapSensitive(parent, name, &wire.Sensitive{Type: wire.AlgKeyedHash, Data: []byte("data")})
	refused := func(parent *object, name, private []byte) wire.RC {
		before := bytes.Clone(private)
		_, rc := in.unwrapSensitive(parent, name, private)
		assert.Equal(t, before, private, "the input stays as it is")
		return rc
	}
	for i := 2; i < len(private); i++ {
		damaged := bytes.Clone(private)
		damaged[i] ^= 1 << (i % 8)
		require.Equal(t, wire.RCIntegrity, refused(parent, name, damaged), i)
	}
	for n := range len(private) {
		want := wire.RCIntegrity
		if n < 34 {
			want = wire.RCInsufficient
		}
		require.Equal(t, want, refused(parent, name, private[:n]), n)
	}
	assert.Equal(t, wire.RCSize, refused(parent, name, append([]byte{0, 65}, make([]byte, 65)...)))
	assert.Equal(t, wire.RCIntegrity, refused(parent, name, append([]byte{0, 0}, private[34:]...)), "an empty integrity value")
	assert.Equal(t, wire.RCIntegrity, refused(parent, digestName(wire.AlgSHA256, "another"), private))
	assert.Equal(t, wire.RCIntegrity, refused(storageKey(wire.AlgSHA256, aes128, 0, "another"), name, private))
	assert.Equal(t, wire.RCSuccess, refused(parent, name, private))
}

// What is wrong within a private area whose integrity is right.
func TestPrivateAreaContents(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	parent, name := storageKey(wire.AlgSHA256, aes128, 0, "seed"), digestName(wire.AlgSHA256, "child")
	o := childWrapper(parent, name)
	sealed := func(protected []byte) []byte {
		return append(append([]byte{0, 32}, o.integrity(nil, protected)...), protected...)
	}
	for text, tc := range map[string]struct {
		private []byte
		want    wire.RC
	}{
		"no initial value":       {sealed(nil), wire.RCInsufficient},
		"short initial value":    {sealed(append([]byte{0, 15}, make([]byte, 64)...)), wire.RCValue},
		"long initial value":     {sealed(append([]byte{0, 17}, make([]byte, 64)...)), wire.RCSize},
		"cut initial value":      {sealed(append([]byte{0, 16}, make([]byte, 15)...)), wire.RCInsufficient},
		"no size":                {in.wrap(&o, nil), wire.RCInsufficient},
		"half a size":            {in.wrap(&o, []byte{0}), wire.RCInsufficient},
		"empty":                  {in.wrap(&o, []byte{0, 0}), wire.RCSensitive},
		"size too small":         {in.wrap(&o, []byte{0, 7, 0, 8, 0, 0, 0, 0, 0, 0}), wire.RCSensitive},
		"size too large":         {in.wrap(&o, []byte{0, 9, 0, 8, 0, 0, 0, 0, 0, 0}), wire.RCSensitive},
		"no such type":           {in.wrap(&o, []byte{0, 8, 0, 9, 0, 0, 0, 0, 0, 0}), wire.RCSensitive},
		"cut":                    {in.wrap(&o, []byte{0, 7, 0, 8, 0, 0, 0, 0, 0}), wire.RCSensitive},
		"trailing":               {in.wrap(&o, []byte{0, 9, 0, 8, 0, 0, 0, 0, 0, 0, 0}), wire.RCSensitive},
		"a symmetric key of 33":  {in.wrap(&o, append([]byte{0, 41, 0, 0x25, 0, 0, 0, 0, 0, 33}, make([]byte, 33)...)), wire.RCSensitive},
		"the smallest there can": {in.wrap(&o, []byte{0, 8, 0, 8, 0, 0, 0, 0, 0, 0}), wire.RCSuccess},
	} {
		s, rc := in.unwrapSensitive(parent, name, tc.private)
		assert.Equal(t, tc.want, rc, text)
		if rc != wire.RCSuccess {
			assert.Equal(t, wire.Sensitive{}, s, text)
		}
	}
}

// The reference keeps five numbers of an RSA key below a fixedTPM parent.
func TestPrivateAreaWithRSAParts(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	name := digestName(wire.AlgSHA256, "child")
	parts := append(bytes.Repeat([]byte{1}, 128), make([]byte, 4*128)...)
	for _, tc := range []struct {
		attributes wire.ObjectAttributes
		want       []byte
	}{{wire.ObjectFixedTPM, parts[:128]}, {0, parts}} {
		parent := storageKey(wire.AlgSHA256, aes128, tc.attributes, "seed")
		s, rc := in.unwrapSensitive(parent, name, in.wrapSensitive(parent, name, &wire.Sensitive{Type: wire.AlgRSA, Data: parts}))
		require.Equal(t, wire.RCSuccess, rc)
		assert.Equal(t, tc.want, s.Data)
	}
}

// What encryptSecret makes decryptSecret opens, for the same label only.
func TestSecrets(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	for name, key := range map[string]*object{"RSA": rsaStorageKey(t, in, 1024), "ECC": eccStorageKey(t, in, wire.CurveNISTP256), "P-384": eccStorageKey(t, in, wire.CurveNISTP384)} {
		seed, secret, rc := in.encryptSecret(key, labelIdentity)
		require.Equal(t, wire.RCSuccess, rc, name)
		assert.Len(t, seed, 32, name)
		assert.LessOrEqual(t, len(secret), wire.MaxEncryptedSecret, name)
		got, rc := in.decryptSecret(key, labelIdentity, secret)
		assert.Equal(t, wire.RCSuccess, rc, name)
		assert.Equal(t, seed, got, name)
		got, rc = in.decryptSecret(key, labelDuplicate, secret)
		assert.False(t, rc == wire.RCSuccess && bytes.Equal(seed, got), name)
		again, _, _ := in.encryptSecret(key, labelIdentity)
		assert.NotEqual(t, seed, again, name)
	}
}

func TestSecretsRefuse(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	changed := func(o *object, change func(*wire.Public)) *object { change(&o.public); return o }
	for name, tc := range map[string]struct {
		key  *object
		want wire.RC
	}{
		"no decryption":       {changed(eccStorageKey(t, in, wire.CurveNISTP256), func(p *wire.Public) { p.Attributes &^= wire.ObjectDecrypt }), wire.RCAttributes},
		"not on the curve":    {changed(eccStorageKey(t, in, wire.CurveNISTP256), func(p *wire.Public) { p.Point.X[31] ^= 1 }), wire.RCKey},
		"no modulus":          {changed(rsaStorageKey(t, in, 1024), func(p *wire.Public) { p.Unique[127] &^= 1 }), wire.RCKey},
		"no room for SHA-512": {changed(rsaStorageKey(t, in, 1024), func(p *wire.Public) { p.NameAlg = wire.AlgSHA512 }), wire.RCHash},
	} {
		before := *in.drbg()
		_, _, rc := in.encryptSecret(tc.key, labelIdentity)
		assert.Equal(t, tc.want, rc, name)
		assert.Equal(t, before, *in.drbg(), "%s: nothing was drawn", name)
	}
}

func rsaStorageKey(t *testing.T, in *inside, bits int) *object {
	t.Helper()
	k, err := crypt.GenerateRSA(in.drbg(), bits, crypt.RSAOptions{})
	require.NoError(t, err)
	o := storageKey(wire.AlgSHA256, aes128, 0, "seed")
	o.public.Parms.Type, o.public.Parms.KeyBits, o.public.Unique = wire.AlgRSA, uint16(bits), k.Modulus()
	o.public.Parms.Scheme.Alg = wire.AlgNull
	o.sensitive.Type, o.sensitive.Data = wire.AlgRSA, k.Prime()
	return o
}

func eccStorageKey(t *testing.T, in *inside, id wire.Curve) *object {
	t.Helper()
	o := storageKey(wire.AlgSHA256, aes128, 0, "seed")
	o.public.Parms.Type, o.public.Parms.Curve = wire.AlgECC, id
	curve := crypt.CurveOf(id)
	d, q, err := curve.GenerateKey(in.drbg())
	require.NoError(t, err)
	o.public.Point.X, o.public.Point.Y = curve.EncodePoint(q)
	o.sensitive.Type, o.sensitive.Data = wire.AlgECC, curve.EncodeScalar(d)
	return o
}
