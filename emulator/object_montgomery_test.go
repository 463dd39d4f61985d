package emulator_test

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha512"
	"encoding/hex"
	"hash"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/cloudflare/circl/dh/x448"
	"github.com/cloudflare/circl/sign/ed448"
	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

var ecdh256 = hashScheme(wire.AlgECDH, wire.AlgSHA256)

// montgomeryCurve is a curve of RFC 7748, with the arithmetic of libraries.
type montgomeryCurve struct {
	name              string
	id                wire.Curve
	signing, exchange int // sizes of keys in octets
	hash              wire.AlgID
	dhkem             wire.AlgID // hash of HKDF
	order             string     // of the base point, little-endian

	public  func(private []byte) []byte // of a key that signs
	sign    func(private, message []byte) []byte
	signPh  func(private, message []byte) []byte
	verify  func(public, message, signature []byte) bool
	check   func(public, message, signature []byte) bool // with the hash
	point   func(private []byte) []byte
	agree   func(private, point []byte) []byte
	low     []string // points that share zero with everybody
	refused []string // as public keys that sign: no points, or second encodings of points
}

var curve25519 = &montgomeryCurve{
	name: "25519", id: wire.CurveCurve25519, signing: 32, exchange: 32, hash: wire.AlgSHA512, dhkem: wire.AlgSHA256,
	order:  "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010",
	public: func(private []byte) []byte { return ed25519.NewKeyFromSeed(private)[32:] },
	sign:   func(private, message []byte) []byte { return ed25519.Sign(ed25519.NewKeyFromSeed(private), message) },
	signPh: func(private, message []byte) []byte {
		digest := sha512.Sum512(message)
		s, err := ed25519.NewKeyFromSeed(private).Sign(nil, digest[:], crypto.SHA512)
		if err != nil {
			panic(err)
		}
		return s
	},
	verify: func(public, message, signature []byte) bool { return ed25519.Verify(public, message, signature) },
	check: func(public, message, signature []byte) bool {
		digest := sha512.Sum512(message)
		return ed25519.VerifyWithOptions(public, digest[:], signature, &ed25519.Options{Hash: crypto.SHA512}) == nil
	},
	point: func(private []byte) []byte { return libraryX25519(private).PublicKey().Bytes() },
	agree: func(private, point []byte) []byte {
		peer, err := ecdh.X25519().NewPublicKey(point)
		if err != nil {
			panic(err)
		}
		z, err := libraryX25519(private).ECDH(peer)
		if err != nil {
			panic(err)
		}
		return z
	},
	low: []string{ // RFC 7748, section 6.1; the third and fourth in a second encoding
		"0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	},
	refused: []string{
		"0200000000000000000000000000000000000000000000000000000000000000", // no point
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", // 1 and the prime
		"0100000000000000000000000000000000000000000000000000000000000080", // minus zero
	},
}

func libraryX25519(private []byte) *ecdh.PrivateKey {
	k, err := ecdh.X25519().NewPrivateKey(private)
	if err != nil {
		panic(err)
	}
	return k
}

var curve448 = &montgomeryCurve{
	name: "448", id: wire.CurveCurve448, signing: 57, exchange: 56, hash: wire.AlgSHAKE256_512, dhkem: wire.AlgSHA512,
	order: "f34458ab92c27823558fc58d72c26c219036d6ae49db4ec4e923ca7cffffffffffffffffffffffffffffffffffffffffffffffffffffff3f00",
	public: func(private []byte) []byte {
		return ed448.NewKeyFromSeed(private).Public().(ed448.PublicKey)
	},
	sign: func(private, message []byte) []byte { return ed448.Sign(ed448.NewKeyFromSeed(private), message, "") },
	signPh: func(private, message []byte) []byte {
		return ed448.SignPh(ed448.NewKeyFromSeed(private), message, "")
	},
	verify: func(public, message, signature []byte) bool { return ed448.Verify(public, message, signature, "") },
	check:  func(public, message, signature []byte) bool { return ed448.VerifyPh(public, message, signature, "") },
	point: func(private []byte) []byte {
		var public x448.Key
		secret := x448.Key(private)
		x448.KeyGen(&public, &secret)
		return public[:]
	},
	agree: func(private, point []byte) []byte {
		var z x448.Key
		secret, peer := x448.Key(private), x448.Key(point)
		if !x448.Shared(&z, &secret, &peer) {
			panic("a point of low order")
		}
		return z[:]
	},
	low: []string{ // 0, 1 and -1, and then 0 and 1 in a second encoding
		zeros(56),
		"01" + zeros(55),
		"fe" + ones(27) + "fe" + ones(27),
		ones(28) + "fe" + ones(27),
		zeros(28) + ones(28),
	},
	refused: []string{
		"02" + zeros(56),                  // no point
		zeros(28) + ones(28) + "00",       // 1 and the prime
		"01" + zeros(55) + "80",           // minus zero
		"01" + zeros(55) + "40",           // a bit that no point has
		ones(28) + "fe" + ones(27) + "80", // the prime, and a sign
	},
}

func zeros(n int) string { return strings.Repeat("00", n) }
func ones(n int) string  { return strings.Repeat("ff", n) }

var montgomeryCurves = []*montgomeryCurve{curve25519, curve448}

// signingPrivate and exchangePrivate are the sensitive parts of the keys of the curve in
// tests.
func (c *montgomeryCurve) signingPrivate() []byte  { return bytes.Repeat([]byte{0x25}, c.signing) }
func (c *montgomeryCurve) exchangePrivate() []byte { return bytes.Repeat([]byte{0x25}, c.exchange) }

// key is a key of the curve, whose public part a library makes.
func (c *montgomeryCurve) key(a wire.ObjectAttributes, scheme wire.AlgID) testKey {
	private := c.exchangePrivate()
	x := c.point(private)
	if scheme == wire.AlgEdDSA || scheme == wire.AlgHashEdDSA {
		private = c.signingPrivate()
		x = c.public(private)
	}
	s := hashScheme(scheme, wire.AlgNull)
	if scheme == wire.AlgECDH {
		s.Hash = wire.AlgSHA256
	}
	return testKey{
		wire.Public{NameAlg: wire.AlgSHA256, Attributes: a, Point: wire.ECPoint{X: x},
			Parms: wire.PublicParms{Type: wire.AlgECC, Sym: noSym, Scheme: s, Curve: c.id, KDF: noScheme}},
		wire.Sensitive{Type: wire.AlgECC, Data: private},
	}
}

func (c *montgomeryCurve) eddsaKey(a wire.ObjectAttributes) testKey { return c.key(a, wire.AlgEdDSA) }
func (c *montgomeryCurve) hashEdDSAKey(a wire.ObjectAttributes) testKey {
	return c.key(a, wire.AlgHashEdDSA)
}
func (c *montgomeryCurve) exchangeKey() testKey { return c.key(openKey, wire.AlgECDH) }

// storage is a storage key with AES-128.
func (c *montgomeryCurve) storage() testKey {
	return change(withSeed(c.key(storeKey, wire.AlgNull)), func(k *testKey) { k.public.Parms.Sym = aes128CFB })
}

// private25519 is the sensitive part of the keys of curve 25519 in tests.
var private25519 = curve25519.signingPrivate()

func eddsaKey(a wire.ObjectAttributes) testKey     { return curve25519.eddsaKey(a) }
func hashEdDSAKey(a wire.ObjectAttributes) testKey { return curve25519.hashEdDSAKey(a) }
func x25519Key() testKey                           { return curve25519.exchangeKey() }
func x25519Storage() testKey                       { return curve25519.storage() }

// dhkemKey is a key for DHKEM.
func dhkemKey(k testKey, hash wire.AlgID) testKey {
	return change(k, func(k *testKey) {
		k.public.Parms.Scheme = hashScheme(wire.AlgECDH, wire.AlgSHA256)
		k.public.Parms.KDF = hashScheme(wire.AlgHKDF, hash)
	})
}

// keys are keys of the curve of each kind.
func (c *montgomeryCurve) keys() map[string]testKey {
	return map[string]testKey{"EdDSA": c.eddsaKey(signKey), "HashEdDSA": c.hashEdDSAKey(signKey), "exchange": c.exchangeKey(),
		"restricted EdDSA": c.eddsaKey(signKey | wire.ObjectRestricted), "storage": c.storage(), "DHKEM": dhkemKey(c.exchangeKey(), c.dhkem)}
}

// signed reports whether a library takes a signature for that of a message.
func (c *montgomeryCurve) signed(p *wire.Public, message []byte, s *wire.Signature) bool {
	if s.Alg != p.Parms.Scheme.Alg {
		return false
	}
	if s.Alg == wire.AlgHashEdDSA {
		return c.check(p.Point.X, message, s.Bytes)
	}
	return c.verify(p.Point.X, message, s.Bytes)
}

// eachCurve runs a test with each curve of RFC 7748.
func eachCurve(t *testing.T, f func(t *testing.T, c *montgomeryCurve)) {
	t.Helper()
	for _, c := range montgomeryCurves {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f(t, c)
		})
	}
}

// Keys are made as primary objects, below parents, and loaded, saved and evicted.
func TestMontgomeryKeysAreMade(t *testing.T) {
	t.Parallel()
	eachCurve(t, func(t *testing.T, c *montgomeryCurve) {
		for name, k := range c.keys() {
			template := k.template(made)
			tpm := v185(t)
			for _, parent := range []testKey{eccStorage(), c.storage()} {
				h := load(t, tpm, createPrimary(wire.RHOwner, parent.template(made), "", ""))
				created := tpm.Execute(0, create(h, template, "pw", ""))
				require.Equal(t, wire.RCSuccess, et.ResponseCode(created), name)
				child := load(t, tpm, loadChild(h, created))
				one, _ := publicOf(t, tpm, child)
				assert.Len(t, one.Point.X, len(k.public.Point.X), name)
				assert.Empty(t, one.Point.Y, name)
				assert.Equal(t, template.public.Parms, one.Parms, name)
				flush(t, tpm, child)
				both := load(t, tpm, createLoaded(h, template.publicArea(), "pw", ""))
				two, _ := publicOf(t, tpm, both)
				assert.NotEqual(t, one.Point, two.Point, name)
				saved := saveContext(t, tpm, both)
				flush(t, tpm, both)
				rc, again := loadContext(tpm, saved)
				require.Equal(t, wire.RCSuccess, rc, name)
				three, _ := publicOf(t, tpm, again)
				assert.Equal(t, two, three, name)
				flush(t, tpm, again)
				flush(t, tpm, h)
			}
		}
	})
}

// Primary keys of the curves stay the same for ever, and so do those of a derivation
// parent.
func TestMontgomeryPrimariesStayTheSame(t *testing.T) {
	t.Parallel()
	golden := map[string]map[string]string{ // the first octets of the points of the owner's and of the endorsement key
		"25519": {
			"EdDSA":            "2fc7c6372987e54f24593c16c044712e",
			"HashEdDSA":        "d703bab9d3b0f862ef72a9d462694a58",
			"exchange":         "68a7adcb3203206409680da08caefb5f",
			"restricted EdDSA": "a8874d1118e9b259036ee1b6cd231ffc",
			"storage":          "e38d0fa2f41bf7f23ec23ca4d4c9bfd7",
			"DHKEM":            "871a2f1bde5b2f55485e8720c5b3b41f",
		},
		"448": {
			"EdDSA":            "f989661ff153361cb0bee716cf7218ff",
			"HashEdDSA":        "359b8d0a246098d42de783db532bb6a5",
			"exchange":         "9101473ad7eccbcc2a55910749aa6cec",
			"restricted EdDSA": "ab22253f29a8e39d147ef4193a077872",
			"storage":          "cb701606a7bd247718d818593435e18d",
			"DHKEM":            "f3026999de4f1f495d5a3b3169d4eb95",
		},
	}
	eachCurve(t, func(t *testing.T, c *montgomeryCurve) {
		for name, k := range c.keys() {
			tpm := et.New(t, et.WithConfig(v185Config(t)), et.WithSeed(185))
			var points []byte
			for _, hierarchy := range []wire.Handle{wire.RHOwner, wire.RHEndorsement} {
				h := load(t, tpm, createPrimary(hierarchy, k.template(made), "", ""))
				p, first := publicOf(t, tpm, h)
				points = append(points, p.Point.X[:8]...)
				flush(t, tpm, h)
				_, again := publicOf(t, tpm, load(t, tpm, createPrimary(hierarchy, k.template(made), "", "")))
				assert.Equal(t, first, again, name)
				_, other := publicOf(t, tpm, load(t, tpm, createPrimary(hierarchy, k.template(made), "", "personal")))
				assert.NotEqual(t, first, other, name)
				flush(t, tpm, object)
				flush(t, tpm, object+1)
			}
			assert.Equal(t, golden[c.name][name], hex.EncodeToString(points), name)
		}
		tpm := v185(t, derivationParent())
		for _, k := range []testKey{c.eddsaKey(signKey), c.exchangeKey()} {
			template := deriveTemplate(k.template(wire.ObjectFixedParent), []byte("label"), []byte("context"))
			first, _ := publicOf(t, tpm, load(t, tpm, createLoaded(object, template, "", "")))
			again, _ := publicOf(t, tpm, load(t, tpm, createLoaded(object, template, "", "")))
			assert.Equal(t, first.Point, again.Point)
			flush(t, tpm, object+1)
			flush(t, tpm, object+2)
		}
	})
}

// What keys of the curves cannot be, and what EdDSA and DHKEM cannot be of.
func TestMontgomeryTemplatesRefused(t *testing.T) {
	t.Parallel()
	eachCurve(t, testMontgomeryTemplatesRefused)
}

func testMontgomeryTemplatesRefused(t *testing.T, curve *montgomeryCurve) {
	scheme := func(k testKey, s wire.Scheme) testKey {
		return change(k, func(k *testKey) { k.public.Parms.Scheme = s })
	}
	kdf := func(k testKey, s wire.Scheme) testKey { return change(k, func(k *testKey) { k.public.Parms.KDF = s }) }
	attributes := func(k testKey, a wire.ObjectAttributes) testKey {
		return change(k, func(k *testKey) { k.public.Attributes = a })
	}
	p256 := scheme(eccECDH(), ecdh256)
	for name, c := range map[string]struct {
		k    testKey
		want wire.RC
	}{
		"no scheme to sign in":        {scheme(curve.eddsaKey(signKey), noScheme), wire.RCScheme},
		"ECDSA":                       {scheme(curve.eddsaKey(signKey), ecdsa256), wire.RCScheme},
		"SM2":                         {scheme(curve.eddsaKey(signKey), hashScheme(wire.AlgSM2, wire.AlgSHA256)), wire.RCScheme},
		"EdDSA that decrypts":         {attributes(curve.eddsaKey(0), openKey), wire.RCScheme},
		"EdDSA of P-256":              {scheme(eccSigning(), hashScheme(wire.AlgEdDSA, wire.AlgNull)), wire.RCScheme},
		"HashEdDSA of P-256":          {scheme(eccSigning(), hashScheme(wire.AlgHashEdDSA, wire.AlgNull)), wire.RCScheme},
		"no scheme to exchange in":    {scheme(curve.exchangeKey(), noScheme), wire.RCScheme},
		"ECMQV":                       {scheme(curve.exchangeKey(), hashScheme(wire.AlgECMQV, wire.AlgSHA256)), wire.RCScheme},
		"a storage key with ECDH":     {scheme(curve.storage(), ecdh256), wire.RCScheme},
		"sign and decrypt":            {attributes(scheme(curve.exchangeKey(), noScheme), signKey|openKey), wire.RCScheme},
		"exchange with a cipher":      {change(curve.exchangeKey(), func(k *testKey) { k.public.Parms.Sym = aes128CFB }), wire.RCSymmetric},
		"another curve's DHKEM":       {dhkemKey(curve.exchangeKey(), wire.AlgSHA256^wire.AlgSHA512^curve.dhkem), wire.RCKDF},
		"storage without one":         {change(curve.storage(), func(k *testKey) { k.public.Parms.Sym = noSym }), wire.RCSymmetric},
		"EdDSA with a KDF":            {kdf(curve.eddsaKey(signKey), hashScheme(wire.AlgHKDF, wire.AlgSHA256)), wire.RCKDF},
		"storage with a KDF":          {kdf(curve.storage(), hashScheme(wire.AlgHKDF, wire.AlgSHA256)), wire.RCKDF},
		"DHKEM with another hash":     {dhkemKey(curve.exchangeKey(), wire.AlgSHA384), wire.RCKDF},
		"DHKEM of P-256 with SHA-384": {dhkemKey(p256, wire.AlgSHA384), wire.RCKDF},
		"DHKEM without ECDH":          {kdf(eccECDH(), hashScheme(wire.AlgHKDF, wire.AlgSHA256)), wire.RCKDF},
		"another KDF":                 {kdf(curve.exchangeKey(), hashScheme(wire.AlgKDF2, wire.AlgSHA256)), wire.RCKDF},
		"coordinate that is too long": {change(curve.eddsaKey(signKey), func(k *testKey) { k.public.Point.X = make([]byte, 81) }), wire.RCSize},
		"somebody else's secret":      {attributes(curve.eddsaKey(0), signKey|wire.ObjectFixedTPM|wire.ObjectFixedParent), wire.RCAttributes},
	} {
		k := c.k
		if name != "coordinate that is too long" {
			k = k.template(made)
		}
		if name == "somebody else's secret" {
			k.public.Attributes &^= wire.ObjectSensitiveDataOrigin
		}
		tpm := v185(t)
		assert.Equal(t, c.want.Parameter(2), send(t, tpm, createPrimary(wire.RHOwner, k, "", "")), name)
		h := load(t, tpm, storagePrimary())
		assert.Equal(t, c.want.Parameter(2), send(t, tpm, create(h, k, "", "")), name)
	}
}

// Keys from outside are loaded if they are whole.
func TestMontgomeryLoadExternal(t *testing.T) {
	t.Parallel()
	eachCurve(t, func(t *testing.T, c *montgomeryCurve) {
		for name, k := range c.keys() {
			tpm := v185(t)
			load(t, tpm, loadExternalPublic(k, wire.RHOwner))
			if k.public.Attributes&wire.ObjectRestricted != 0 {
				continue // not with both areas
			}
			h := load(t, tpm, loadExternal(k))
			_, keyName := publicOf(t, tpm, h)
			assert.Equal(t, k.name(), keyName, name)
			for what, x := range map[string]struct {
				change func(*testKey)
				want   wire.RC // with both areas
				public wire.RC // with the public one
			}{
				"short point":      {func(k *testKey) { k.public.Point.X = k.public.Point.X[1:] }, wire.RCBinding, wire.RCECCPoint.Parameter(2)},
				"long point":       {func(k *testKey) { k.public.Point.X = append([]byte{0}, k.public.Point.X...) }, wire.RCBinding, wire.RCECCPoint.Parameter(2)},
				"no point":         {func(k *testKey) { k.public.Point.X = nil }, wire.RCBinding, wire.RCECCPoint.Parameter(2)},
				"two coordinates":  {func(k *testKey) { k.public.Point.Y = k.public.Point.X }, wire.RCBinding, wire.RCECCPoint.Parameter(2)},
				"another's secret": {func(k *testKey) { k.sensitive.Data = make([]byte, len(k.sensitive.Data)) }, wire.RCBinding, wire.RCSuccess},
				"short secret":     {func(k *testKey) { k.sensitive.Data = k.sensitive.Data[1:] }, wire.RCKeySize, wire.RCSuccess},
				"long secret":      {func(k *testKey) { k.sensitive.Data = append(k.sensitive.Data, 0) }, wire.RCKeySize, wire.RCSuccess},
				"no secret":        {func(k *testKey) { k.sensitive.Data = nil }, wire.RCKeySize, wire.RCSuccess},
			} {
				bad, tpm := change(k, x.change), v185(t)
				assert.Equal(t, x.want, send(t, tpm, loadExternal(bad)), "%s: %s", name, what)
				assert.Equal(t, x.public, send(t, tpm, loadExternalPublic(bad, wire.RHNull)), "%s: %s", name, what)
			}
		}
		point := func(k testKey, x string) testKey {
			return change(k, func(k *testKey) {
				b, err := hex.DecodeString(x)
				require.NoError(t, err)
				k.public.Point.X = b
			})
		}
		ecPoint := wire.RCECCPoint.Parameter(2)
		for _, x := range c.low {
			assert.Equal(t, ecPoint, send(t, v185(t), loadExternalPublic(point(c.exchangeKey(), x), wire.RHNull)), x)
		}
		for _, x := range c.refused {
			for _, k := range []testKey{c.eddsaKey(signKey), c.hashEdDSAKey(signKey)} {
				assert.Equal(t, ecPoint, send(t, v185(t), loadExternalPublic(point(k, x), wire.RHNull)), x)
			}
		}
	})
}

// The point of a key without a Name is not looked at.
func TestMontgomeryKeysWithoutAName(t *testing.T) {
	t.Parallel()
	eachCurve(t, func(t *testing.T, c *montgomeryCurve) {
		refused, err := hex.DecodeString(c.refused[0])
		require.NoError(t, err)
		k := change(c.eddsaKey(signKey), func(k *testKey) { k.public.NameAlg, k.public.Point.X = wire.AlgNull, refused })
		tpm := v185(t)
		load(t, tpm, loadExternal(k))
		load(t, tpm, loadExternalPublic(k, wire.RHNull))
	})
}

// signature is a signature of a library's.
func (c *montgomeryCurve) signature(alg wire.AlgID, message []byte) wire.Signature {
	sign := c.sign
	if alg == wire.AlgHashEdDSA {
		sign = c.signPh
	}
	return wire.Signature{Alg: alg, Hash: wire.AlgNull, Bytes: sign(c.signingPrivate(), message)}
}

// A message is signed in one piece with EdDSA and in any with HashEdDSA, and what a
// library signs is verified in pieces; a state is put aside in the middle.
func TestEdDSASequences(t *testing.T) {
	t.Parallel()
	eachCurve(t, func(t *testing.T, c *montgomeryCurve) {
		message := bytes.Repeat([]byte("a message of 32 octets, and more"), 32)
		for name, k := range map[string]testKey{"EdDSA": c.eddsaKey(signKey), "HashEdDSA": c.hashEdDSAKey(signKey)} {
			alg := k.public.Parms.Scheme.Alg
			tpm := v185(t)
			key := place(t, tpm, k, wire.RHOwner)
			sequence := load(t, tpm, signSequenceStart(key, pw, nil))
			saved := saveContext(t, tpm, sequence)
			flush(t, tpm, sequence)
			rc, sequence := loadContext(tpm, saved)
			require.Equal(t, wire.RCSuccess, rc, name)
			last := message
			if alg == wire.AlgHashEdDSA {
				succeed(t, tpm, sequenceUpdate(sequence, pw, message[:100]))
				last = message[100:]
			} else {
				for _, piece := range [][]byte{nil, message[:100]} {
					assert.Equal(t, wire.RCOneShotSignature.Handle(1), send(t, tpm, sequenceUpdate(sequence, pw, piece)))
				}
			}
			s := signatureFrom(t, tpm, signSequenceComplete(sequence, key, pw, last))
			assert.True(t, c.signed(&k.public, message, &s), name)
			assert.Equal(t, c.signature(alg, message).Bytes, s.Bytes, "%s: there is nothing random in it", name)

			hint := []byte(nil)
			if alg == wire.AlgEdDSA {
				hint = s.Bytes[:c.signing]
			}
			for _, size := range []int{0, 31, 32, 33, 56, 57} {
				wrong := make([]byte, size)
				if alg == wire.AlgEdDSA && size != c.signing || alg == wire.AlgHashEdDSA && len(wrong) != 0 {
					assert.Equal(t, wire.RCSize.Parameter(2), send(t, tpm, verifySequenceStart(key, pw, wrong, nil)), name)
				}
			}
			assert.Equal(t, wire.RCSize.Parameter(2), send(t, tpm, signSequenceStart(key, pw, []byte("c"))), "there is no context")
			assert.Equal(t, wire.RCSize.Parameter(3), send(t, tpm, verifySequenceStart(key, pw, hint, []byte("c"))))
			verify := func(message, hint []byte) wire.Handle {
				h := load(t, tpm, verifySequenceStart(key, pw, hint, nil))
				succeed(t, tpm, sequenceUpdate(h, pw, message[:1]))
				saved := saveContext(t, tpm, h)
				assert.LessOrEqual(t, len(saved), int(property(t, tpm, wire.PTMaxObjectContext)))
				flush(t, tpm, h)
				rc, h := loadContext(tpm, saved)
				require.Equal(t, wire.RCSuccess, rc)
				for at := 1; at < len(message); at += 1000 {
					succeed(t, tpm, sequenceUpdate(h, pw, message[at:min(at+1000, len(message))]))
				}
				return h
			}
			long := bytes.Repeat(message, 3)
			theirs := c.signature(alg, long)
			if alg == wire.AlgEdDSA {
				hint = theirs.Bytes[:c.signing]
			}
			h := verify(long, hint)
			bad := theirs
			for _, at := range []int{0, c.signing - 2, c.signing, 2*c.signing - 2} {
				bad.Bytes = bytes.Clone(theirs.Bytes)
				bad.Bytes[at] ^= 1
				assert.Equal(t, wire.RCSignature.Parameter(1), send(t, tpm, verifySequenceComplete(h, key, pw, &bad)), "%s: octet %d", name, at)
			}
			for _, b := range [][]byte{nil, theirs.Bytes[1:], append(bytes.Clone(theirs.Bytes[:2*c.signing-1]), 0xFF), c.plusOrder(theirs.Bytes)} {
				bad.Bytes = b
				assert.Equal(t, wire.RCSignature.Parameter(1), send(t, tpm, verifySequenceComplete(h, key, pw, &bad)), name)
			}
			bad.Bytes = append(bytes.Clone(theirs.Bytes), 0)
			tooLong := wire.RCSignature
			if len(bad.Bytes) > wire.MaxEdDSA {
				tooLong = wire.RCSize
			}
			assert.Equal(t, tooLong.Parameter(1), send(t, tpm, verifySequenceComplete(h, key, pw, &bad)), name)
			for _, other := range []wire.Signature{
				{Alg: wire.AlgEdDSA ^ wire.AlgHashEdDSA ^ alg, Bytes: theirs.Bytes},
				{Alg: wire.AlgECDSA, Hash: wire.AlgSHA512, R: theirs.Bytes[:c.signing], S: theirs.Bytes[c.signing:]},
			} {
				assert.Equal(t, wire.RCScheme.Parameter(1), send(t, tpm, verifySequenceComplete(h, key, pw, &other)), name)
			}
			ticket := verifiedTicketOf(t, tpm, verifySequenceComplete(h, key, pw, &theirs))
			assert.Equal(t, wire.STMessageVerified, ticket.Tag)
			assert.NotEmpty(t, ticket.Digest)
			h = verify(append([]byte{1}, long...), hint)
			assert.Equal(t, wire.RCSignature.Parameter(1), send(t, tpm, verifySequenceComplete(h, key, pw, &theirs)), name)
		}
	})
}

// plusOrder is a signature with the order of the group added to S.
func (c *montgomeryCurve) plusOrder(signature []byte) []byte {
	order, err := hex.DecodeString(c.order)
	if err != nil {
		panic(err)
	}
	bad, carry := bytes.Clone(signature), 0
	for i := range order {
		carry += int(bad[c.signing+i]) + int(order[i])
		bad[c.signing+i] = byte(carry)
		carry >>= 8
	}
	return bad
}

// A restricted key signs no message that looks like a structure of the TPM.
func TestRestrictedEdDSA(t *testing.T) {
	t.Parallel()
	eachCurve(t, func(t *testing.T, c *montgomeryCurve) {
		tpm := v185(t)
		k := c.eddsaKey(attestKey)
		key := place(t, tpm, k, wire.RHOwner)
		h := load(t, tpm, signSequenceStart(key, nil, nil))
		assert.Equal(t, wire.RCValue.Parameter(1), send(t, tpm, signSequenceComplete(h, key, nil, append(et.U32(wire.GeneratedValue), 1))))
		s := signatureFrom(t, tpm, signSequenceComplete(h, key, nil, []byte("\xffTC")))
		assert.True(t, c.signed(&k.public, []byte("\xffTC"), &s))
	})
}

// Digests are of HashEdDSA only, and TPM2_Sign is of neither.
func TestEdDSAOfDigests(t *testing.T) {
	t.Parallel()
	eachCurve(t, func(t *testing.T, c *montgomeryCurve) {
		message := []byte("a message")
		digest := crypt.Digest(c.hash, nil, message)
		k := c.hashEdDSAKey(signKey)
		tpm := v185(t)
		key := place(t, tpm, k, wire.RHOwner)
		s := signatureFrom(t, tpm, signDigest(key, nil, digest, noTicket))
		assert.True(t, c.signed(&k.public, message, &s))
		ticket := verifiedTicketOf(t, tpm, verifyDigest(key, nil, digest, &s))
		assert.Equal(t, c.hash, ticket.Hash)
		assert.NotEmpty(t, ticket.Digest)
		for _, wrong := range [][]byte{nil, digest[1:]} {
			assert.Equal(t, wire.RCSize.Parameter(2), send(t, tpm, signDigest(key, nil, wrong, noTicket)))
			assert.Equal(t, wire.RCSize.Parameter(2), send(t, tpm, verifyDigest(key, nil, wrong, &s)))
		}
		assert.Equal(t, wire.RCSize.Parameter(1), send(t, tpm, signDigest(key, []byte{1}, digest, noTicket)))
		bad := s
		bad.Bytes = c.plusOrder(s.Bytes)
		assert.Equal(t, wire.RCSignature.Parameter(3), send(t, tpm, verifyDigest(key, nil, digest, &bad)))
		bad.Alg = wire.AlgEdDSA
		assert.Equal(t, wire.RCScheme.Parameter(3), send(t, tpm, verifyDigest(key, nil, digest, &bad)))

		restricted := place(t, tpm, c.hashEdDSAKey(attestKey), wire.RHOwner)
		assert.Equal(t, wire.RCTicket.Parameter(3), send(t, tpm, signDigest(restricted, nil, digest, noTicket)))
		pure := place(t, tpm, c.eddsaKey(signKey), wire.RHOwner)
		assert.Equal(t, wire.RCScheme.Handle(1), send(t, tpm, signDigest(pure, nil, digest, noTicket)))
		assert.Equal(t, wire.RCScheme.Handle(1), send(t, tpm, verifyDigest(pure, nil, digest, &s)))
		for _, h := range []wire.Handle{key, pure} {
			for _, asked := range []wire.Scheme{noScheme, hashScheme(wire.AlgEdDSA, wire.AlgNull), ecdsa256} {
				assert.Equal(t, wire.RCScheme.Handle(1), send(t, tpm, et.Command(wire.CCSign, handles{h}, et.NoAuth(), et.Sized(digest), schemeOf(asked), noTicket)))
			}
			assert.Equal(t, wire.RCScheme.Handle(1), send(t, tpm, et.Command(wire.CCVerifySignature, handles{h}, nil, et.Sized(digest), signatureOf(s))))
		}
	})
}

// All attestations are signed with these keys, and a library verifies them.
func TestEdDSAAttestations(t *testing.T) {
	t.Parallel()
	eachCurve(t, func(t *testing.T, c *montgomeryCurve) {
		nonce := []byte("a nonce of the verifier's")
		for _, a := range attestings {
			for name, k := range map[string]testKey{"EdDSA": c.eddsaKey(attestKey), "HashEdDSA": c.hashEdDSAKey(attestKey)} {
				what := a.name + " with " + name
				tpm := attestable185(t, k)
				assert.Equal(t, wire.RCScheme.Parameter(a.scheme), send(t, tpm, a.command(t, tpm, key, nonce, ecdsa256)), what)
				for _, asked := range []wire.Scheme{noScheme, hashScheme(k.public.Parms.Scheme.Alg, wire.AlgNull)} {
					r := reportOf(t, tpm, a.command(t, tpm, key, nonce, asked))
					assert.True(t, c.signed(&k.public, r.raw, r.signature), what)
					assert.Equal(t, nonce, r.ExtraData.Buffer, what)
					if a.name == "GetCommandAuditDigest" {
						break // the digest is empty now
					}
				}
			}
		}
		tpm := attestable185(t, change(c.eddsaKey(attestKey), func(k *testKey) { k.public.NameAlg = wire.AlgSHA384 }))
		quote := attested(t, reportOf(t, tpm, attestingNamed("Quote").command(t, tpm, key, nil, noScheme)).Attested.Quote)
		assert.Equal(t, hashOf(wire.AlgSHA384, readPCR(t, tpm, wire.AlgSHA256, 0), readPCR(t, tpm, wire.AlgSHA256, 10)), quote.PCRDigest.Buffer)
	})
}

// A policy is signed with EdDSA, and approved by a message that it has signed.
func TestPoliciesWithEdDSA(t *testing.T) {
	t.Parallel()
	eachCurve(t, func(t *testing.T, c *montgomeryCurve) {
		ref := []byte("ref")
		for _, k := range []testKey{c.eddsaKey(signKey), c.hashEdDSAKey(signKey)} {
			alg := k.public.Parms.Scheme.Alg
			policySigned := func(s wire.Signature) []byte {
				return et.Command(wire.CCPolicySigned, handles{object, policySession}, nil, et.Sized(nil), et.Sized(nil), et.Sized(ref), et.U32(0), signatureOf(s))
			}
			tpm := v185(t)
			s := c.signature(alg, slices.Concat(et.U32(0), ref))
			succeed(t, tpm, loadExternalPublic(k, wire.RHOwner), startSession(wire.SEPolicy), policySigned(s))
			digest := answer(t, tpm, et.Command(wire.CCPolicyGetDigest, handles{policySession}, nil))
			want := sha(sha(make([]byte, 32), et.U32(uint32(wire.CCPolicySigned)), k.name()), ref)
			assert.Equal(t, want, digest.Digest())
			s.Bytes[0] ^= 1
			assert.Equal(t, wire.RCSignature.Parameter(5), send(t, tpm, policySigned(s)))
			s.Alg = wire.AlgMLDSA
			assert.Equal(t, wire.RCScheme.Parameter(5), send(t, tpm, policySigned(s)))

			tpm = v185(t)
			key := place(t, tpm, k, wire.RHOwner)
			approved := make([]byte, 32)
			message := slices.Concat(approved, ref)
			theirs := c.signature(alg, message)
			hint := theirs.Bytes[:c.signing]
			if alg == wire.AlgHashEdDSA {
				hint = nil
			}
			h := load(t, tpm, verifySequenceStart(key, nil, hint, nil))
			succeed(t, tpm, sequenceUpdate(h, nil, message))
			ticket := verifiedTicketOf(t, tpm, verifySequenceComplete(h, key, nil, &theirs))
			succeed(t, tpm, startSession(wire.SEPolicy))
			assert.Equal(t, wire.RCSuccess, send(t, tpm, assertTrue(wire.CCPolicyAuthorize, et.Sized(approved), et.Sized(ref), et.Sized(k.name()), ticketOf(ticket))))
		}
		// A key that agrees on secrets signs nothing.
		tpm := v185(t)
		succeed(t, tpm, loadExternalPublic(c.exchangeKey(), wire.RHOwner), startSession(wire.SEPolicy))
		for _, s := range []wire.Signature{c.signature(wire.AlgEdDSA, nil), {Alg: wire.AlgECDSA, Hash: wire.AlgSHA256, R: []byte{1}, S: []byte{1}}} {
			assert.Equal(t, wire.RCScheme.Parameter(5), send(t, tpm, et.Command(wire.CCPolicySigned, handles{object, policySession}, nil,
				et.Sized(nil), et.Sized(nil), et.Sized(ref), et.U32(0), signatureOf(s))))
		}
	})
}

func pointOf(x []byte) []byte {
	var w wire.Writer
	w.SizedPoint(&wire.ECPoint{X: x})
	return w.Data()
}

// TPM2_ECDH_KeyGen and TPM2_ECDH_ZGen agree with a library; the commands for
// curves with two coordinates refuse the curve.
func TestECDHWithMontgomeryCurves(t *testing.T) {
	t.Parallel()
	eachCurve(t, func(t *testing.T, c *montgomeryCurve) {
		tpm := v185(t, c.exchangeKey(), c.eddsaKey(signKey))
		r := answer(t, tpm, et.Command(wire.CCECDHKeyGen, handles{object}, nil))
		var z, public wire.ECPoint
		r.SizedPoint(&z)
		r.SizedPoint(&public)
		require.Equal(t, wire.RCSuccess, r.RC())
		peer := bytes.Clone(public.X)
		want := c.agree(c.exchangePrivate(), peer)
		assert.Equal(t, wire.ECPoint{X: want, Y: []byte{}}, z)
		assert.Empty(t, public.Y)

		zgen := func(h wire.Handle, point []byte) []byte {
			return et.Command(wire.CCECDHZGen, handles{h}, et.NoAuth(), point)
		}
		var again wire.ECPoint
		r = answer(t, tpm, zgen(object, pointOf(peer)))
		r.SizedPoint(&again)
		assert.Equal(t, want, again.X)
		for _, x := range c.low {
			b, err := hex.DecodeString(x)
			require.NoError(t, err)
			assert.Equal(t, wire.RCECCPoint.Parameter(1), send(t, tpm, zgen(object, pointOf(b))), x)
		}
		var two wire.Writer
		two.SizedPoint(&wire.ECPoint{X: peer, Y: peer})
		for _, point := range [][]byte{pointOf(peer[1:]), pointOf(append(bytes.Clone(peer), 0)), pointOf(nil), two.Data()} {
			assert.Equal(t, wire.RCECCPoint.Parameter(1), send(t, tpm, zgen(object, point)))
		}
		assert.Equal(t, wire.RCAttributes.Handle(1), send(t, tpm, zgen(object+1, pointOf(peer))))
		assert.Equal(t, wire.RCKey.Handle(1), send(t, tpm, et.Command(wire.CCECDHKeyGen, handles{object + 1}, nil)))
		assert.Equal(t, wire.RCCurve.Parameter(1), send(t, tpm, et.Command(wire.CCECEphemeral, nil, nil, et.U16(uint16(c.id)))))
		assert.Equal(t, wire.RCKey.Handle(1), send(t, tpm, et.Command(wire.CCZGen2Phase, handles{object}, et.NoAuth(),
			pointOf(peer), pointOf(peer), et.U16(uint16(wire.AlgECDH)), et.U16(0))))
		assert.Equal(t, wire.RCKey.Handle(1), send(t, tpm, et.Command(wire.CCECCEncrypt, handles{object}, nil, et.Sized([]byte("data")), et.U16(uint16(wire.AlgKDF2)), et.U16(uint16(wire.AlgSHA256)))))
		assert.Equal(t, wire.RCKey.Handle(1), send(t, tpm, et.Command(wire.CCECCDecrypt, handles{object}, et.NoAuth(), pointOf(peer), et.Sized([]byte("data")), et.Sized(nil),
			et.U16(uint16(wire.AlgKDF2)), et.U16(uint16(wire.AlgSHA256)))))
	})
}

// seed is the seed of a labeled KEM with the storage key.
func (c *montgomeryCurve) seed(label string, z, ephemeral []byte) []byte {
	return tpm2.KDFe(crypto.SHA256, z, label, ephemeral, c.storage().public.Point.X, 256)
}

// exchanged is a seed and the secret that tells it to the storage key.
func (c *montgomeryCurve) exchanged(label string) (seed, secret []byte) {
	private := bytes.Repeat([]byte{9}, c.exchange)
	ephemeral := c.point(private)
	z := c.agree(private, c.storage().public.Point.X)
	return c.seed(label, z, ephemeral), slices.Concat(et.Sized(ephemeral), et.Sized(nil))
}

// openExchanged is the seed that a secret tells to the storage key.
func (c *montgomeryCurve) openExchanged(t *testing.T, label string, secret []byte) []byte {
	t.Helper()
	require.Len(t, secret, 2+c.exchange+2)
	require.Equal(t, et.U16(uint16(c.exchange)), secret[:2])
	require.Equal(t, []byte{0, 0}, secret[2+c.exchange:])
	ephemeral := secret[2 : 2+c.exchange]
	return c.seed(label, c.agree(c.exchangePrivate(), ephemeral), ephemeral)
}

// Credentials, duplicates and salts go to a storage key of the curves, and from one.
func TestSecretsForMontgomeryKeys(t *testing.T) {
	t.Parallel()
	eachCurve(t, func(t *testing.T, c *montgomeryCurve) {
		k, ak := c.storage(), c.eddsaKey(attestKey)
		tpm := v185(t)
		succeed(t, tpm, loadExternalPublic(k, wire.RHOwner))
		out := sizedList(t, et.Parameters(tpm.Execute(0, makeCredential(credential, ak.name())), false), 2)
		assert.Equal(t, et.Sized(credential), openOuter(t, c.openExchanged(t, "IDENTITY", out[1]), ak.name(), out[0]))

		tpm = v185(t, ak, k)
		seed, secret := c.exchanged("IDENTITY")
		blob := closeOuter(t, seed, ak.name(), et.Sized(credential))
		r := answer(t, tpm, activateCredential(blob, secret))
		assert.Equal(t, credential, r.Digest())
		zero := slices.Concat(et.Sized(make([]byte, c.exchange)), et.Sized(nil))
		assert.NotEqual(t, wire.RCSuccess, send(t, tpm, activateCredential(blob, zero)), "of low order")

		for name, child := range map[string]testKey{"EdDSA": c.eddsaKey(signKey), "HMAC": hmacKey(), "exchange": c.exchangeKey()} {
			tpm := v185(t, duplicable(child), k)
			succeed(t, tpm, mayDuplicate()...)
			out := sizedList(t, et.Parameters(tpm.Execute(0, duplicate(object+1, nil, noSym)), false), 3)
			assert.Equal(t, padded(duplicable(child)), openOuter(t, c.openExchanged(t, "DUPLICATE", out[2]), duplicable(child).name(), out[1]), name)

			seed, secret := c.exchanged("DUPLICATE")
			blob := closeOuter(t, seed, child.name(), child.sensitiveParameter())
			tpm = v185(t, k)
			r := answer(t, tpm, importBlob(nil, child, blob, secret, noSym))
			private := r.Sized(wire.MaxPrivate)
			h := load(t, tpm, et.Command(wire.CCLoad, handles{object}, et.NoAuth(), et.Sized(private), child.publicParameter()))
			_, loadedName := publicOf(t, tpm, h)
			assert.Equal(t, child.name(), loadedName, name)
		}

		tpm = v185(t, k)
		salt, secret := c.exchanged("SECRET")
		succeed(t, tpm, saltedWith(secret, wire.RHNull))
		session := snapshotOf(t, tpm).Volatile.Sessions[0]
		assert.Equal(t, tpm2.KDFa(crypto.SHA256, salt, "ATH", session.NonceTPM.Bytes(), make([]byte, 16), 256), session.Key.Bytes())
		two := slices.Concat(et.Sized(make([]byte, c.exchange)), et.Sized([]byte{1}))
		for _, bad := range [][]byte{zero, two, secret[:20], slices.Concat(et.Sized(make([]byte, c.exchange-1)), et.Sized(nil))} {
			assert.Equal(t, wire.RCValue.Parameter(2), send(t, tpm, saltedWith(bad, wire.RHNull)))
		}
		assert.Equal(t, wire.RCAttributes.Handle(1), send(t, v185(t, c.eddsaKey(signKey)), saltedWith(secret, wire.RHNull)))
	})
}

// dhkemSecret is ExtractAndExpand of RFC 9180, section 4.1.
func dhkemSecret(t *testing.T, id byte, newHash func() hash.Hash, z, ciphertext, recipient []byte, size int) []byte {
	t.Helper()
	suite := "HPKE-v1KEM\x00" + string(id)
	prk, err := hkdf.Extract(newHash, append([]byte(suite+"eae_prk"), z...), nil)
	require.NoError(t, err)
	info := "\x00" + string(byte(size)) + suite + "shared_secret" + string(ciphertext) + string(recipient)
	shared, err := hkdf.Expand(newHash, prk, info, size)
	require.NoError(t, err)
	return shared
}

// dhkemCurve is a curve of DHKEM, with the arithmetic of libraries.
type dhkemCurve struct {
	curve     wire.Curve
	hash      wire.AlgID
	id        byte
	size      int // of a shared secret
	private   []byte
	recipient []byte // the public key in the form of RFC 9180
	agree     func(t *testing.T, public []byte) []byte
}

// dhkemCurves are the curves of DHKEM, by name.
func dhkemCurves(t *testing.T) map[string]dhkemCurve {
	t.Helper()
	all := make(map[string]dhkemCurve)
	for name, c := range map[string]struct {
		curve wire.Curve
		lib   ecdh.Curve
		hash  wire.AlgID
		id    byte
		size  int
	}{
		"P-256": {wire.CurveNISTP256, ecdh.P256(), wire.AlgSHA256, 0x10, 32},
		"P-384": {wire.CurveNISTP384, ecdh.P384(), wire.AlgSHA384, 0x11, 48},
		"P-521": {wire.CurveNISTP521, ecdh.P521(), wire.AlgSHA512, 0x12, 64},
	} {
		private, err := c.lib.NewPrivateKey(append(make([]byte, crypt.FieldSize(c.curve)-32), private25519...))
		require.NoError(t, err, name)
		all[name] = dhkemCurve{c.curve, c.hash, c.id, c.size, private.Bytes(), private.PublicKey().Bytes(), func(t *testing.T, public []byte) []byte {
			peer, err := c.lib.NewPublicKey(public)
			require.NoError(t, err, name)
			z, err := private.ECDH(peer)
			require.NoError(t, err)
			return z
		}}
	}
	for id, c := range map[byte]*montgomeryCurve{0x20: curve25519, 0x21: curve448} {
		private := c.exchangePrivate()
		all["X"+c.name] = dhkemCurve{c.id, c.dhkem, id, crypt.HashSize(c.dhkem), private, c.point(private), func(_ *testing.T, public []byte) []byte {
			return c.agree(private, public)
		}}
	}
	return all
}

// A secret that is encapsulated in the TPM is the one that RFC 9180 has, and the reverse,
// for each curve.
func TestDHKEM(t *testing.T) {
	t.Parallel()
	for name, c := range dhkemCurves(t) {
		recipient := c.recipient
		k := dhkemKey(change(x25519Key(), func(k *testKey) {
			k.public.Parms.Curve = c.curve
			k.sensitive.Data = c.private
			k.public.Point.X = recipient
			if n := len(recipient) / 2; crypt.CurveOf(c.curve) != nil {
				k.public.Point = wire.ECPoint{X: recipient[1 : 1+n], Y: recipient[1+n:]}
			}
		}), c.hash)
		tpm := v185(t)
		load(t, tpm, loadExternalPublic(k, wire.RHOwner))
		load(t, tpm, loadExternal(k))
		r := answer(t, tpm, et.Command(wire.CCEncapsulate, handles{object}, nil))
		shared, ciphertext := bytes.Clone(r.Sized(64)), bytes.Clone(r.Sized(200))
		require.Equal(t, wire.RCSuccess, r.RC())
		require.Len(t, ciphertext, len(recipient))
		z := c.agree(t, ciphertext)
		newHash := stdHash[c.hash].New
		assert.Equal(t, dhkemSecret(t, c.id, newHash, z, ciphertext, recipient, c.size), shared, name)

		decapsulate := func(h wire.Handle, ciphertext []byte) []byte {
			return et.Command(wire.CCDecapsulate, handles{h}, et.NoAuth(), et.Sized(ciphertext))
		}
		r = answer(t, tpm, decapsulate(object+1, ciphertext))
		assert.Equal(t, shared, r.Sized(64), name)
		for _, wrong := range [][]byte{nil, ciphertext[1:], append(bytes.Clone(ciphertext), 0)} {
			assert.Equal(t, wire.RCSize.Parameter(1), send(t, tpm, decapsulate(object+1, wrong)), name)
		}
		bad := make([]byte, len(ciphertext)) // of low order, or none
		assert.Equal(t, wire.RCECCPoint.Parameter(1), send(t, tpm, decapsulate(object+1, bad)), name)
		assert.NotEqual(t, wire.RCSuccess, send(t, tpm, decapsulate(object, ciphertext)), "only the public part is there")
	}
	// Keys that are none for DHKEM.
	plain := x25519Key()
	for _, k := range []testKey{plain, eddsaKey(signKey), eccECDH(), x25519Storage(), curve448.exchangeKey(), curve448.eddsaKey(signKey), curve448.storage()} {
		tpm := v185(t, k)
		assert.Equal(t, wire.RCKey.Handle(1), send(t, tpm, et.Command(wire.CCEncapsulate, handles{object}, nil)))
		assert.Equal(t, wire.RCKey.Handle(1), send(t, tpm, et.Command(wire.CCDecapsulate, handles{object}, et.NoAuth(), et.Sized(make([]byte, 32)))))
	}
	// Each time it is another secret.
	tpm := v185(t, dhkemKey(plain, wire.AlgSHA256))
	first := tpm.Execute(0, et.Command(wire.CCEncapsulate, handles{object}, nil))
	assert.NotEqual(t, first, tpm.Execute(0, et.Command(wire.CCEncapsulate, handles{object}, nil)))
}

// The capabilities of the profile, and combinations of parameters.
func TestCapabilitiesOfMontgomeryCurves(t *testing.T) {
	t.Parallel()
	tpm := v185(t)
	curves, _ := list(t, tpm, wire.CapECCCurves, 0x40, 10, 2)
	assert.Equal(t, [][]byte{{0, 0x40}, {0, 0x41}}, curves)
	for _, want := range [][]byte{{0, 0x60, 0, 0, 1, 1}, {0, 0x61, 0, 0, 1, 1}, {0, 0x1F, 0, 0, 4, 4}, {0, 0x2C, 0, 0, 0, 4}, {0, 0x2D, 0, 0, 0, 4}, {0, 0x2E, 0, 0, 0, 4}} {
		algs, _ := list(t, tpm, wire.CapAlgs, uint32(want[1]), 1, 6)
		assert.Equal(t, [][]byte{want}, algs)
	}
	old := et.New(t)
	for _, c := range montgomeryCurves {
		testParms := func(k testKey) []byte {
			var w wire.Writer
			w.PublicParms(&k.public.Parms)
			return et.Command(wire.CCTestParms, nil, nil, w.Data())
		}
		for name, k := range c.keys() {
			assert.Equal(t, wire.RCSuccess, send(t, tpm, testParms(k)), "%s: %s", c.name, name)
			assert.Equal(t, wire.RCScheme.Parameter(1), send(t, tpm, testParms(change(k, func(k *testKey) { k.public.Parms.Scheme = ecdsa256 }))), "%s: %s", c.name, name)
			assert.NotEqual(t, wire.RCSuccess, send(t, old, loadExternalPublic(k, wire.RHNull)), "the default has none: %s", name)
		}
		p256 := change(c.eddsaKey(signKey), func(k *testKey) { k.public.Parms.Curve = wire.CurveNISTP256 })
		assert.Equal(t, wire.RCScheme.Parameter(1), send(t, tpm, testParms(p256)))
		assert.Equal(t, wire.RCKDF.Parameter(1), send(t, tpm, testParms(dhkemKey(c.exchangeKey(), wire.AlgSHA384))))
		assert.Equal(t, wire.RCCurve.Parameter(1), send(t, old, et.Command(wire.CCECCParameters, nil, nil, et.U16(uint16(c.id)))))
	}
}

// TPM2_ECC_Parameters has the numbers of RFC 7748, sections 4.1 and 4.2: the base point is
// one of y² = x³ + A·x² + x.
func TestParametersOfMontgomeryCurves(t *testing.T) {
	t.Parallel()
	for _, want := range []struct {
		curve               *montgomeryCurve
		p, a, gx, gy, order string
		cofactor            byte
	}{
		{curve25519, "7f" + ones(30) + "ed", "076d06", "09", "20ae19a1b8a086b4e01edd2c7748d14c923d4d7e6d7c61b229e9c5a27eced3d9",
			"1000000000000000000000000000000014def9dea2f79cd65812631a5cf5d3ed", 8},
		{curve448, ones(27) + "fe" + ones(28), "0262a6", "05",
			"7d235d1295f5b1f66c98ab6e58326fcecbae5d34f55545d060f75dc28df3f6edb8027e2346430d211312c4b150677af76fd7223d457b5b1a",
			"3f" + ones(27) + "7cca23e9c44edb49aed63690216cc2728dc58f552378c292ab5844f3", 4},
	} {
		size := want.curve.exchange
		r := answer(t, v185(t), et.Command(wire.CCECCParameters, nil, nil, et.U16(uint16(want.curve.id))))
		assert.Equal(t, []uint16{uint16(want.curve.id), uint16(8 * size), 0x10, 0x10}, []uint16{r.U16(), r.U16(), r.U16(), r.U16()})
		padded := func(digits string) string { return zeros(size-len(digits)/2) + digits }
		n := make(map[string]*big.Int)
		for _, x := range []struct{ name, digits string }{{"p", want.p}, {"a", want.a}, {"b", "01"}, {"x", want.gx}, {"y", want.gy}, {"n", want.order}} {
			b := r.Sized(size)
			assert.Equal(t, padded(x.digits), hex.EncodeToString(b), x.name)
			n[x.name] = new(big.Int).SetBytes(b)
		}
		assert.Equal(t, []byte{want.cofactor}, r.Sized(1))
		assert.Zero(t, r.Len())
		right := new(big.Int).Add(n["x"], n["a"])
		right.Mul(right, n["x"]).Add(right, n["b"]).Mul(right, n["x"]).Mod(right, n["p"])
		left := new(big.Int).Mul(n["y"], n["y"])
		assert.Equal(t, left.Mod(left, n["p"]), right)
		assert.True(t, n["p"].ProbablyPrime(20))
		assert.True(t, n["n"].ProbablyPrime(20))
	}
}

// A profile picks among the curves and schemes.
func TestProfileWithMontgomeryCurves(t *testing.T) {
	t.Parallel()
	const rest = "profile mine\nspecification revision=185\nalgorithms ECC ECDH KDF1_SP800_56A HMAC KEYEDHASH KDF1_SP800_108 AES CFB SHA256\nbank SHA256\n"
	eachCurve(t, func(t *testing.T, c *montgomeryCurve) {
		curve := "curves CURVE_" + c.name + "\n"
		parsed, err := emulator.ParseProfile("mine", []byte(rest+"algorithms EDDSA\n"+curve))
		require.NoError(t, err)
		mine := et.New(t, et.WithConfig(parsed.Config))
		assert.Equal(t, wire.RCSuccess, send(t, mine, loadExternal(c.eddsaKey(signKey))))
		assert.Equal(t, wire.RCScheme.Parameter(2), send(t, mine, loadExternalPublic(c.hashEdDSAKey(signKey), wire.RHNull)))
		for _, other := range montgomeryCurves {
			if other != c {
				assert.Equal(t, wire.RCCurve.Parameter(2), send(t, mine, loadExternal(other.eddsaKey(signKey))))
			}
		}
		hashed := rest + "algorithms HASH_EDDSA\n" + curve
		parsed, err = emulator.ParseProfile("mine", []byte(hashed+"algorithms "+c.hash.String()+"\n"))
		require.NoError(t, err)
		mine = et.New(t, et.WithConfig(parsed.Config))
		assert.Equal(t, wire.RCSuccess, send(t, mine, loadExternal(c.hashEdDSAKey(signKey))))
		_, err = emulator.ParseProfile("mine", []byte(hashed))
		require.ErrorContains(t, err, c.hash.String())
	})
}

// SHAKE256 is a hash like others: of data, of Names, of HMAC keys; not of what has no
// number for it.
func TestSHAKE256OfCommands(t *testing.T) {
	t.Parallel()
	const shake = "483366601360a8771c6863080cc4114d8db44530f8f1e1ee4f94ea37e78b5739" + // of "abc"
		"d5a15bef186a5386c75744c0527e1faa9f8726e462a12a4feb06bd8801e751e4"
	tpm := v185(t)
	for alg, size := range map[wire.AlgID]int{wire.AlgSHAKE256_192: 24, wire.AlgSHAKE256_256: 32, wire.AlgSHAKE256_512: 64} {
		r := answer(t, tpm, et.Command(wire.CCHash, nil, nil, et.Sized([]byte("abc")), et.U16(uint16(alg)), et.U32(uint32(wire.RHNull))))
		assert.Equal(t, shake[:2*size], hex.EncodeToString(r.Digest()), alg)
		k := change(eccStorage(), func(k *testKey) { k.public.NameAlg = alg })
		h := load(t, tpm, createPrimary(wire.RHOwner, k.template(made), "", ""))
		child := load(t, tpm, createLoaded(h, change(hmacKey(), func(k *testKey) {
			k.public.NameAlg = alg
			k.public.Parms.Scheme.Hash = alg
		}).template(made).publicArea(), "", ""))
		_, name := publicOf(t, tpm, child)
		assert.Len(t, name, 2+size)
		s := signatureFrom(t, tpm, signSequenceComplete(load(t, tpm, signSequenceStart(child, nil, nil)), child, nil, []byte("abc")))
		assert.Len(t, s.HMAC, size)
		flush(t, tpm, child)
		flush(t, tpm, h)
	}
	rsa := v185(t, rsaKey(signKey, noSym, hashScheme(wire.AlgRSASSA, wire.AlgSHAKE256_256)))
	assert.Equal(t, wire.RCScheme, send(t, rsa, signDigest(object, nil, digest256, noTicket)), "it has no DigestInfo")
	for _, alg := range []wire.AlgID{wire.AlgSHAKE256_192, wire.AlgSHAKE256_256} {
		k := mldsaKey(wire.MLDSA44, wire.AlgSHA256, signKey)
		k.public.Parms.Hash = alg
		assert.Equal(t, wire.RCHash.Parameter(2), send(t, tpm, loadExternalPublic(k, wire.RHNull)))
	}
}
