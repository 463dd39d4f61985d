package emulator_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// What tests of signatures have in common: keys that no command makes of known
// material, and the verification of signatures by the standard library, or by
// arithmetic of their own where that has none.

// attestKey are the attributes of a restricted signing key, as a TPM makes it.
const attestKey = signKey | wire.ObjectRestricted | wire.ObjectFixedTPM | wire.ObjectFixedParent | wire.ObjectSensitiveDataOrigin

// Schemes with SHA-256.
var (
	ecdsa256 = hashScheme(wire.AlgECDSA, wire.AlgSHA256)
	ecdaa256 = hashScheme(wire.AlgECDAA, wire.AlgSHA256)
	hmac256  = hashScheme(wire.AlgHMAC, wire.AlgSHA256)
	ssa256   = hashScheme(wire.AlgRSASSA, wire.AlgSHA256)
)

// place puts a key into the first free slot as a primary object of a hierarchy,
// and gives its handle. No command does that with key material from outside.
func place(tb testing.TB, tpm *et.TPM, k testKey, hierarchy wire.Handle) wire.Handle {
	tb.Helper()
	s := snapshotOf(tb, tpm)
	slot := slices.IndexFunc(s.Volatile.Objects, func(o state.Object) bool { return o.Kind == state.ObjectNone })
	require.GreaterOrEqual(tb, slot, 0, "no slot is free")
	var w wire.Writer
	w.Sensitive(&k.sensitive)
	s.Volatile.Objects[slot] = state.Object{Kind: state.ObjectLoaded, Flags: state.ObjectPrimary, Hierarchy: hierarchy,
		Public: k.publicArea(), Sensitive: w.Data(), Name: k.name(), QualifiedName: k.qualifiedName(hierarchy)}
	require.NoError(tb, tpm.Restore(s.EncodeSnapshot(nil)))
	return wire.TransientFirst + wire.Handle(slot)
}

// snapshotOf is the state of a TPM.
func snapshotOf(tb testing.TB, tpm *et.TPM) *state.State {
	tb.Helper()
	b, err := tpm.Snapshot()
	require.NoError(tb, err)
	s, err := state.Decode(b)
	require.NoError(tb, err)
	return s
}

// qualifiedName is that of a primary object.
func (k testKey) qualifiedName(hierarchy wire.Handle) []byte {
	alg := k.public.NameAlg
	return crypt.Digest(alg, et.U16(uint16(alg)), append(et.U32(uint32(hierarchy)), k.name()...))
}

// stdHash is the hash of the standard library.
var stdHash = map[wire.AlgID]crypto.Hash{
	wire.AlgSHA1: crypto.SHA1, wire.AlgSHA256: crypto.SHA256, wire.AlgSHA384: crypto.SHA384, wire.AlgSHA512: crypto.SHA512,
}

// hashOf is the digest of data by the standard library.
func hashOf(alg wire.AlgID, data ...[]byte) []byte {
	h := stdHash[alg].New()
	for _, b := range data {
		h.Write(b)
	}
	return h.Sum(nil)
}

// signed reports whether a signature is that of a digest by a key.
func signed(k testKey, digest []byte, s *wire.Signature) bool {
	switch s.Alg {
	case wire.AlgRSASSA:
		return rsa.VerifyPKCS1v15(k.rsaPublic(), stdHash[s.Hash], digest, s.RSA) == nil
	case wire.AlgRSAPSS:
		options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		return rsa.VerifyPSS(k.rsaPublic(), stdHash[s.Hash], digest, s.RSA, options) == nil
	case wire.AlgECDSA:
		public, ok := k.publicKey().(*ecdsa.PublicKey)
		return ok && ecdsa.Verify(public, digest, new(big.Int).SetBytes(s.R), new(big.Int).SetBytes(s.S))
	case wire.AlgECSchnorr:
		return p256.schnorr(k.public.Point, s, digest)
	case wire.AlgHMAC:
		m := hmac.New(stdHash[s.Hash].New, k.sensitive.Data)
		m.Write(digest)
		return bytes.Equal(m.Sum(nil), s.HMAC)
	}
	return false
}

func (k testKey) rsaPublic() *rsa.PublicKey {
	e := int(k.public.Parms.Exponent)
	if e == 0 {
		e = 65537
	}
	return &rsa.PublicKey{N: new(big.Int).SetBytes(k.public.Unique), E: e}
}

// publicKey is the public key in the form of the standard library, nil if that
// does not have such keys.
func (k testKey) publicKey() crypto.PublicKey {
	if k.public.Parms.Type == wire.AlgRSA {
		return k.rsaPublic()
	}
	curve := map[wire.Curve]elliptic.Curve{wire.CurveNISTP224: elliptic.P224(), wire.CurveNISTP256: elliptic.P256(),
		wire.CurveNISTP384: elliptic.P384(), wire.CurveNISTP521: elliptic.P521()}[k.public.Parms.Curve]
	if curve == nil {
		return nil
	}
	p := k.public.Point
	public, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, p.X, p.Y))
	if err != nil {
		return nil
	}
	return public
}

// rsaPrivate is the key of all RSA keys of tests.
func rsaPrivate() *rsa.PrivateKey {
	k, one := rsaKey2048(), big.NewInt(1)
	phi := new(big.Int).Mul(new(big.Int).Sub(k.P, one), new(big.Int).Sub(k.Q, one))
	private := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: k.N, E: int(k.E)}, Primes: []*big.Int{k.P, k.Q},
		D: new(big.Int).ModInverse(big.NewInt(int64(k.E)), phi)}
	private.Precompute()
	return private
}

// plane is a curve y² = x³ + ax + b over the integers modulo p, with a base point
// of order n.
type plane struct{ p, a, n, gx, gy *big.Int }

// p256 are the constants of NIST P-256 (SP 800-186, section 3.2.1.3), bn256 those
// of BN P-256 (TCG Algorithm Registry, table "BN_P256").
var (
	p256 = plane{
		number("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"), big.NewInt(-3),
		number("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
		number("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
		number("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")}
	bn256 = plane{
		number("fffffffffffcf0cd46e5f25eee71a49f0cdc65fb12980a82d3292ddbaed33013"), big.NewInt(0),
		number("fffffffffffcf0cd46e5f25eee71a49e0cdc65fb1299921af62d536cd10b500d"), big.NewInt(1), big.NewInt(2)}
)

// number is a hexadecimal one.
func number(hex string) *big.Int {
	n, ok := new(big.Int).SetString(hex, 16)
	if !ok {
		panic(hex)
	}
	return n
}

// point has affine coordinates; nil is the point at infinity.
type point struct{ x, y *big.Int }

// add gives p + q.
func (c plane) add(p, q *point) *point {
	if p == nil {
		return q
	}
	if q == nil {
		return p
	}
	over, under := new(big.Int).Sub(q.y, p.y), new(big.Int).Sub(q.x, p.x)
	if under.Sign() == 0 {
		if p.y.Cmp(q.y) != 0 {
			return nil
		}
		over.Mul(p.x, p.x).Mul(over, big.NewInt(3)).Add(over, c.a)
		under.Lsh(p.y, 1)
	}
	slope := over.Mul(over, new(big.Int).ModInverse(under.Mod(under, c.p), c.p))
	x := new(big.Int).Mul(slope, slope)
	x.Sub(x, p.x).Sub(x, q.x).Mod(x, c.p)
	y := new(big.Int).Sub(p.x, x)
	y.Mul(y, slope).Sub(y, p.y).Mod(y, c.p)
	return &point{x, y}
}

// multiply gives [k]p.
func (c plane) multiply(k *big.Int, p *point) *point {
	var sum *point
	for i := k.BitLen() - 1; i >= 0; i-- {
		sum = c.add(sum, sum)
		if k.Bit(i) != 0 {
			sum = c.add(sum, p)
		}
	}
	return sum
}

// combine gives [k]G - [r]Q, on which all signatures after Schnorr rest.
func (c plane) combine(k, r *big.Int, q wire.ECPoint) *point {
	minus := new(big.Int).Sub(c.n, new(big.Int).Mod(r, c.n))
	return c.add(c.multiply(k, &point{c.gx, c.gy}), c.multiply(minus, &point{new(big.Int).SetBytes(q.X), new(big.Int).SetBytes(q.Y)}))
}

// schnorr reports whether r is H(x of [s]G - [r]Q | digest), cut to the size of the
// order (Part 1, annex "EC Schnorr").
func (c plane) schnorr(q wire.ECPoint, s *wire.Signature, digest []byte) bool {
	r := new(big.Int).SetBytes(s.R)
	e := c.combine(new(big.Int).SetBytes(s.S), r, q)
	h := hashOf(s.Hash, e.x.FillBytes(make([]byte, 32)), digest)
	return new(big.Int).SetBytes(h[:min(len(h), 32)]).Cmp(r) == 0
}

// commitment is [r]G of an ECDAA signature with r: [s]G - [H(nonce | digest)]Q
// (Part 1, annex "ECDAA").
func (c plane) commitment(q wire.ECPoint, s *wire.Signature, digest []byte) wire.ECPoint {
	e := c.combine(new(big.Int).SetBytes(s.S), new(big.Int).SetBytes(hashOf(s.Hash, s.R, digest)), q)
	return wire.ECPoint{X: e.x.FillBytes(make([]byte, 32)), Y: e.y.FillBytes(make([]byte, 32))}
}

// onBN256 is the key on BN P-256 with the same private part.
func (k testKey) onBN256() testKey {
	q := bn256.multiply(k.scalar(), &point{bn256.gx, bn256.gy})
	k.public.Parms.Curve = wire.CurveBNP256
	k.public.Point = wire.ECPoint{X: q.x.FillBytes(make([]byte, 32)), Y: q.y.FillBytes(make([]byte, 32))}
	return k
}
