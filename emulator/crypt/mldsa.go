package crypt

import (
	"crypto/sha3"
	"crypto/subtle"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/crypt/internal/keccak"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// ML-DSA, FIPS 204. A TPM signs with random bytes of its own generator and
// verifies what it has only µ of; libraries give out neither.

// mldsaParameters are those of FIPS 204, table 1, with what follows from them.
type mldsaParameters struct {
	set        wire.MLDSAParameterSet
	k, l       int   // rows and columns of the matrix
	eta        int32 // bound of the coefficients of the private key
	gamma1Bits uint  // log2 of gamma1, the bound of the mask
	gamma2     int32 // range of what rounding drops
	tau        int   // ones of a challenge
	omega      int   // ones that a hint has at most
	challenge  int   // bytes of the hash of a commitment: lambda/4
	roundBits  uint  // of a rounded coefficient
}

var mldsaSets = [...]mldsaParameters{
	{wire.MLDSA44, 4, 4, 2, 17, dsaGamma44, 39, 80, 32, 6},
	{wire.MLDSA65, 6, 5, 4, 19, dsaGamma65, 49, 55, 48, 4},
	{wire.MLDSA87, 8, 7, 2, 19, dsaGamma65, 60, 75, 64, 4},
}

func (p *mldsaParameters) beta() int32   { return int32(p.tau) * p.eta }
func (p *mldsaParameters) gamma1() int32 { return 1 << p.gamma1Bits }

// mldsaSet finds the parameters of a set; an unknown one is refused with
// TPM_RC_PARMS.
func mldsaSet(op string, set wire.MLDSAParameterSet) (*mldsaParameters, error) {
	if !set.Known() {
		return nil, refuse(op, wire.RCParms, "there is no parameter set 0x%04x: choose 1 to 3", uint16(set))
	}
	return &mldsaSets[set-1], nil
}

// dsaBits is what a coefficient of a public key takes.
const dsaBits = 10

// dsaTrSize is the size in bytes of the digest of a public key.
const dsaTrSize = 64

// MLDSAPublicKey is a public key that is ready to verify: its matrix is expanded,
// which takes most of the time of a verification. It is not changed once made and
// may be shared.
type MLDSAPublicKey struct {
	p       *mldsaParameters
	encoded []byte
	digest  [dsaTrSize]byte // tr of FIPS 204
	matrix  []dsaPoly       // k·l polynomials in the NTT domain, row by row
	t1      []dsaPoly       // t1·2^13 in the NTT domain
}

// NewMLDSAPublicKey decodes a public key. Every string of the right size is one. It
// refuses an unknown set with TPM_RC_PARMS, another size with TPM_RC_SIZE.
func NewMLDSAPublicKey(set wire.MLDSAParameterSet, public []byte) (*MLDSAPublicKey, error) {
	const op = "ML-DSA public key"
	p, err := mldsaSet(op, set)
	switch {
	case err != nil:
		return nil, err
	case len(public) != set.PublicSize():
		return nil, refuse(op, wire.RCSize, "%d bytes where %v has %d", len(public), set, set.PublicSize())
	}
	k := &MLDSAPublicKey{p: p, encoded: slices.Clone(public), matrix: p.expandMatrix(public[:32]), t1: make([]dsaPoly, p.k)}
	k.digest = mldsaDigest(k.encoded)
	rest := k.encoded[32:]
	for i := range k.t1 {
		var packed dsaPacked
		rest = packed.take(rest, dsaBits)
		k.t1[i].unpack(&packed, dsaBits)
		k.t1[i].prepareT1()
	}
	return k, nil
}

// prepareT1 makes t1·2^13 in the NTT domain of t1.
func (p *dsaPoly) prepareT1() {
	for i := range p {
		p[i] <<= dsaD
	}
	p.ntt()
}

// expandMatrix is ExpandA of FIPS 204, algorithm 32.
func (p *mldsaParameters) expandMatrix(rho []byte) []dsaPoly {
	matrix := make([]dsaPoly, p.k*p.l)
	if keccak.Available {
		drawFours(keccak.Rate128, rho, matrix, func(i int) [2]byte { return [2]byte{byte(i % p.l), byte(i / p.l)} }, (*dsaPoly).takeUniform)
		return matrix
	}
	x := sha3.NewSHAKE128()
	for i := range matrix {
		matrix[i].drawUniform(x, rho, byte(i%p.l), byte(i/p.l))
	}
	return matrix
}

// Public is the encoded key, as unique has it. It must not be changed.
func (k *MLDSAPublicKey) Public() []byte { return k.encoded }

// Set is the parameter set of the key.
func (k *MLDSAPublicKey) Set() wire.MLDSAParameterSet { return k.p.set }

// MLDSAKey is a private key that is ready to sign: what follows from its seed is
// expanded, which takes about as long as a signature. It is not changed once made
// and may be shared. It takes up to 100 kB.
type MLDSAKey struct {
	MLDSAPublicKey
	secret     [32]byte  // K of FIPS 204
	s1, s2, t0 []dsaPoly // in the NTT domain
}

// NewMLDSAKey makes a key from its seed of 32 bytes, ξ of FIPS 204, algorithm 6. It
// refuses an unknown set with TPM_RC_PARMS, another size with TPM_RC_SIZE.
func NewMLDSAKey(set wire.MLDSAParameterSet, seed []byte) (*MLDSAKey, error) {
	const op = "ML-DSA key"
	p, err := mldsaSet(op, set)
	switch {
	case err != nil:
		return nil, err
	case len(seed) != wire.MLDSASeed:
		return nil, refuse(op, wire.RCSize, "a seed of %d bytes where it has %d", len(seed), wire.MLDSASeed)
	}
	small := make([]dsaPoly, p.l+p.k)
	k := &MLDSAKey{s1: small[:p.l:p.l], s2: small[p.l:], t0: make([]dsaPoly, p.k)}
	k.p, k.t1 = p, make([]dsaPoly, p.k)
	var rho [32]byte
	var masks [64]byte
	x := sha3.NewSHAKE256()
	shakeInto(x, seed, []byte{byte(p.k), byte(p.l)})
	x.Read(rho[:])
	x.Read(masks[:])
	x.Read(k.secret[:])
	k.matrix = p.expandMatrix(rho[:])
	p.drawSmalls(x, masks[:], small)
	k.compute(rho[:])
	return k, nil
}

// drawSmalls is ExpandS of FIPS 204, algorithm 33. x is a SHAKE256.
func (p *mldsaParameters) drawSmalls(x *sha3.SHAKE, seed []byte, small []dsaPoly) {
	if keccak.Available {
		drawFours(keccak.Rate256, seed, small, func(i int) [2]byte { return [2]byte{byte(i)} }, func(s *dsaPoly, n int, block []byte) int {
			return s.takeSmall(n, block, p.eta)
		})
		return
	}
	for i := range small {
		small[i].drawSmall(x, seed, uint16(i), p.eta)
	}
}

// compute sets t0 and t1 and the encoded public key with its digest, and transforms the private one.
func (k *MLDSAKey) compute(rho []byte) {
	for i := range k.s1 {
		k.s1[i].ntt()
	}
	k.encoded = append(make([]byte, 0, k.p.set.PublicSize()), rho...)
	for i := range k.t1 {
		var t dsaPoly
		t.dot(k.row(i), k.s1)
		t.inverseNTT()
		t.add(&k.s2[i])
		t.canonical()
		t.split(&k.t1[i], &k.t0[i])
		k.encoded = k.t1[i].pack(k.encoded, dsaBits)
		k.t1[i].prepareT1()
		k.t0[i].ntt()
		k.s2[i].ntt()
	}
	k.digest = mldsaDigest(k.encoded)
}

func (k *MLDSAPublicKey) row(i int) []dsaPoly { return k.matrix[i*k.p.l : (i+1)*k.p.l] }

// MLDSAPublic gives the public key that belongs to a seed, see [NewMLDSAKey].
func MLDSAPublic(set wire.MLDSAParameterSet, seed []byte) ([]byte, error) {
	k, err := NewMLDSAKey(set, seed)
	if err != nil {
		return nil, err
	}
	return k.Public(), nil
}

// MLDSASignMu signs µ with the key of a seed, see [MLDSAKey.SignMu].
func MLDSASignMu(set wire.MLDSAParameterSet, seed, mu, random []byte) ([]byte, error) {
	k, err := NewMLDSAKey(set, seed)
	if err != nil {
		return nil, err
	}
	return k.SignMu(mu, random)
}

// MLDSAVerifyMu reports whether a signature of µ is by the owner of a public key,
// see [MLDSAPublicKey.VerifyMu]. A key that is none verifies nothing.
func MLDSAVerifyMu(set wire.MLDSAParameterSet, public, mu, signature []byte) bool {
	k, err := NewMLDSAPublicKey(set, public)
	return err == nil && k.VerifyMu(mu, signature)
}

// VerifyMu reports whether a signature of µ, which [MLDSAMu] computes, is by the owner of
// the key (FIPS 204, algorithm 8 from its line 8 on). It refuses another size of µ or of
// the signature, and a signature whose hint is not in its one encoding.
func (k *MLDSAPublicKey) VerifyMu(mu, signature []byte) bool {
	p := k.p
	if len(mu) != wire.MLDSAMu || len(signature) != p.set.SignatureSize() {
		return false
	}
	var hints dsaHints
	commitment, rest := signature[:p.challenge], signature[p.challenge:]
	z := make([]dsaPoly, p.l)
	for i := range z {
		var packed dsaPacked
		rest = packed.take(rest, p.gamma1Bits+1)
		z[i].unpackBelow(&packed, p.gamma1(), p.gamma1Bits+1)
		if !z[i].within(p.gamma1() - p.beta()) {
			return false
		}
		z[i].ntt()
	}
	if !hints.decode(rest, p.k, p.omega) {
		return false
	}
	x := sha3.NewSHAKE256()
	var c dsaPoly
	c.drawChallenge(x, commitment, p.tau)
	c.ntt()
	rounded := make([]byte, 0, p.roundedSize())
	for i := range k.t1 {
		var w, t, high dsaPoly
		w.dot(k.row(i), z)
		t.multiply(&c, &k.t1[i])
		w.subtract(&t)
		w.reduce()
		w.inverseNTT()
		w.canonical()
		w.use(hints[i], &high, p.gamma2)
		rounded = high.pack(rounded, p.roundBits)
	}
	shakeInto(x, mu, rounded)
	var want [64]byte
	x.Read(want[:p.challenge])
	return subtle.ConstantTimeCompare(want[:p.challenge], commitment) == 1
}

// roundedSize is the size in bytes of an encoded commitment.
func (p *mldsaParameters) roundedSize() int { return p.k * dsaN * int(p.roundBits) / 8 }
