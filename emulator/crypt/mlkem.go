package crypt

import (
	"crypto/sha3"
	"crypto/subtle"
	"io"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/crypt/internal/keccak"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// ML-KEM, FIPS 203. The standard library does not have ML-KEM-512, takes the random number
// of an encapsulation from nobody, and takes longer for a key. Tests hold all parameter sets
// that it has to it.

// mlkemParameters are those of FIPS 203, table 2.
type mlkemParameters struct {
	set    wire.MLKEMParameterSet
	k      int  // polynomials of a vector
	eta1   int  // bound of the private key and of what blinds it
	du, dv uint // bits that a ciphertext has of a coefficient
}

var mlkemSets = [...]mlkemParameters{
	{wire.MLKEM512, 2, 3, 10, 4},
	{wire.MLKEM768, 3, 2, 10, 4},
	{wire.MLKEM1024, 4, 2, 11, 5},
}

const (
	mlkemMaxK = 4
	mlkemEta2 = 2
)

// mlkemSet finds the parameters of a set; an unknown one is refused with
// TPM_RC_PARMS.
func mlkemSet(op string, set wire.MLKEMParameterSet) (*mlkemParameters, error) {
	if !set.Known() {
		return nil, refuse(op, wire.RCParms, "there is no parameter set 0x%04x: choose 1 to 3", uint16(set))
	}
	return &mlkemSets[set-1], nil
}

// MLKEMPublicKey is a public key that is ready to encapsulate: its matrix is expanded.
// It is not changed once made and may be shared.
type MLKEMPublicKey struct {
	p       *mlkemParameters
	encoded []byte
	digest  [32]byte // H(ek)
	matrix  []kemPoly
	t       []kemPoly // in the NTT domain
}

// NewMLKEMPublicKey decodes a public key and checks it (FIPS 203, section 7.2). It refuses
// an unknown set with TPM_RC_PARMS, another size with TPM_RC_SIZE, and numbers that are
// not below the modulus with TPM_RC_VALUE.
func NewMLKEMPublicKey(set wire.MLKEMParameterSet, public []byte) (*MLKEMPublicKey, error) {
	const op = "ML-KEM public key"
	p, err := mlkemSet(op, set)
	switch {
	case err != nil:
		return nil, err
	case len(public) != set.PublicSize():
		return nil, refuse(op, wire.RCSize, "%d bytes where %v has %d", len(public), set, set.PublicSize())
	}
	k := &MLKEMPublicKey{p: p, encoded: slices.Clone(public), t: make([]kemPoly, p.k)}
	rest := k.encoded
	for i := range k.t {
		ok := false
		if rest, ok = k.t[i].unpack(rest, 12); !ok {
			return nil, refuse(op, wire.RCValue, "a coefficient is not below %d", kemQ)
		}
	}
	k.digest = sha3.Sum256(k.encoded)
	k.matrix = p.expandMatrix(rest)
	return k, nil
}

// expandMatrix draws the k·k polynomials of the matrix in the NTT domain, row by row.
func (p *mlkemParameters) expandMatrix(rho []byte) []kemPoly {
	matrix := make([]kemPoly, p.k*p.k)
	if keccak.Available {
		drawFours(keccak.Rate128, rho, matrix, func(i int) [2]byte { return [2]byte{byte(i % p.k), byte(i / p.k)} }, (*kemPoly).takeUniform)
		return matrix
	}
	x := sha3.NewSHAKE128()
	for i := range matrix {
		matrix[i].drawUniform(x, rho, byte(i%p.k), byte(i/p.k))
	}
	return matrix
}

// Public is the encoded key, as unique has it. It must not be changed.
func (k *MLKEMPublicKey) Public() []byte { return k.encoded }

// Set is the parameter set of the key.
func (k *MLKEMPublicKey) Set() wire.MLKEMParameterSet { return k.p.set }

// Encapsulate makes a shared secret of 32 bytes and the ciphertext from which the owner of
// the key finds it (FIPS 203, algorithm 17). It reads 32 bytes of entropy, and fails only
// with it; equal bytes give equal results.
func (k *MLKEMPublicKey) Encapsulate(entropy io.Reader) (shared, ciphertext []byte, err error) {
	var m [32]byte
	if _, err := io.ReadFull(entropy, m[:]); err != nil {
		return nil, nil, err
	}
	g := k.derive(&m)
	return g[:32], k.encrypt(&m, g[32:]), nil
}

// derive gives the shared secret and the random number that belong to m.
func (k *MLKEMPublicKey) derive(m *[32]byte) []byte {
	var in [64]byte
	copy(in[copy(in[:], m[:]):], k.digest[:])
	g := sha3.Sum512(in[:])
	return g[:]
}

// encrypt is K-PKE.Encrypt of FIPS 203, algorithm 14.
func (k *MLKEMPublicKey) encrypt(m *[32]byte, random []byte) []byte {
	p, x := k.p, sha3.NewSHAKE256()
	var small [2*mlkemMaxK + 1]kemPoly
	y, e := small[:p.k], small[p.k:2*p.k+1]
	if p.eta1 == mlkemEta2 {
		drawSmalls(x, random, 0, mlkemEta2, small[:2*p.k+1])
	} else {
		drawSmalls(x, random, 0, p.eta1, y)
		drawSmalls(x, random, byte(p.k), mlkemEta2, e)
	}
	for i := range y {
		y[i].ntt()
	}
	var u kemPoly
	ciphertext := make([]byte, 0, p.set.CiphertextSize())
	for i := range y {
		u.dot(k.matrix[i:], p.k, y)
		u.inverseNTT()
		u.add(&e[i])
		ciphertext = u.pack(ciphertext, p.du)
	}
	u.dot(k.t, 1, y)
	u.inverseNTT()
	u.add(&e[p.k])
	e[p.k].unpack(m[:], 1)
	u.add(&e[p.k])
	return u.pack(ciphertext, p.dv)
}

// MLKEMKey is a private key that is ready to decapsulate. It is not changed once made
// and may be shared.
type MLKEMKey struct {
	MLKEMPublicKey
	z []byte    // what stands for the secret of a bad ciphertext
	s []kemPoly // in the NTT domain
}

// NewMLKEMKey makes a key from its seed of 64 bytes, d | z of FIPS 203, algorithm 16. It
// refuses an unknown set with TPM_RC_PARMS, another size with TPM_RC_SIZE.
func NewMLKEMKey(set wire.MLKEMParameterSet, seed []byte) (*MLKEMKey, error) {
	const op = "ML-KEM key"
	p, err := mlkemSet(op, set)
	switch {
	case err != nil:
		return nil, err
	case len(seed) != wire.MLKEMSeed:
		return nil, refuse(op, wire.RCSize, "a seed of %d bytes where it has %d", len(seed), wire.MLKEMSeed)
	}
	return p.generate(seed), nil
}

// Decapsulate finds the shared secret of a ciphertext (FIPS 203, algorithm 18). It refuses
// only another size, with TPM_RC_SIZE: a ciphertext that is not of Encapsulate gives a
// secret that depends on it and on the key, in the same time.
func (k *MLKEMKey) Decapsulate(ciphertext []byte) (shared []byte, err error) {
	if n := k.p.set.CiphertextSize(); len(ciphertext) != n {
		return nil, refuse("ML-KEM decapsulation", wire.RCSize, "a ciphertext of %d bytes where %v has %d", len(ciphertext), k.p.set, n)
	}
	return k.decapsulate(ciphertext), nil
}

// MLKEMPublic gives the public key that belongs to a seed, see [NewMLKEMKey].
func MLKEMPublic(set wire.MLKEMParameterSet, seed []byte) ([]byte, error) {
	k, err := NewMLKEMKey(set, seed)
	if err != nil {
		return nil, err
	}
	return k.Public(), nil
}

// MLKEMEncapsulate encapsulates to a public key, see [NewMLKEMPublicKey] and
// [MLKEMPublicKey.Encapsulate].
func MLKEMEncapsulate(set wire.MLKEMParameterSet, public []byte, entropy io.Reader) (shared, ciphertext []byte, err error) {
	k, err := NewMLKEMPublicKey(set, public)
	if err != nil {
		return nil, nil, err
	}
	return k.Encapsulate(entropy)
}

// MLKEMDecapsulate decapsulates with the key of a seed, see [NewMLKEMKey] and
// [MLKEMKey.Decapsulate].
func MLKEMDecapsulate(set wire.MLKEMParameterSet, seed, ciphertext []byte) (shared []byte, err error) {
	k, err := NewMLKEMKey(set, seed)
	if err != nil {
		return nil, err
	}
	return k.Decapsulate(ciphertext)
}

// generate is ML-KEM.KeyGen_internal of FIPS 203, algorithm 16.
func (p *mlkemParameters) generate(seed []byte) *MLKEMKey {
	g := sha3.Sum512(append(slices.Clone(seed[:32]), byte(p.k)))
	rho, sigma := g[:32], g[32:]
	small := make([]kemPoly, 2*p.k)
	k := &MLKEMKey{z: slices.Clone(seed[32:]), s: small[:p.k:p.k]}
	e := small[p.k:]
	k.p, k.matrix, k.t = p, p.expandMatrix(rho), make([]kemPoly, p.k)
	drawSmalls(sha3.NewSHAKE256(), sigma, 0, p.eta1, small)
	for i := range small {
		small[i].ntt()
	}
	k.encoded = make([]byte, 0, p.set.PublicSize())
	for i := range k.t {
		t := &k.t[i]
		t.dot(k.matrix[i*p.k:], 1, k.s)
		t.toMontgomery()
		t.add(&e[i])
		t.reduce()
		k.encoded = t.pack(k.encoded, 12)
	}
	k.encoded = append(k.encoded, rho...)
	k.digest = sha3.Sum256(k.encoded)
	return k
}

// decapsulate is ML-KEM.Decaps_internal of FIPS 203, algorithm 18, for a ciphertext of
// the right size. It takes the same time for all of them.
func (k *MLKEMKey) decapsulate(ciphertext []byte) (shared []byte) {
	m := k.decrypt(ciphertext)
	g := k.derive(m)
	again := k.encrypt(m, g[32:])
	shared = make([]byte, wire.MLKEMShared)
	x := sha3.NewSHAKE256()
	shakeInto(x, k.z, ciphertext)
	x.Read(shared)
	subtle.ConstantTimeCopy(subtle.ConstantTimeCompare(ciphertext, again), shared, g[:32])
	return shared
}

// decrypt is K-PKE.Decrypt of FIPS 203, algorithm 15.
func (k *MLKEMKey) decrypt(ciphertext []byte) *[32]byte {
	p := k.p
	var vector [mlkemMaxK]kemPoly
	u := vector[:p.k]
	for i := range u {
		ciphertext, _ = u[i].unpack(ciphertext, p.du)
		u[i].ntt()
	}
	var v, w kemPoly
	v.unpack(ciphertext, p.dv)
	w.dot(k.s, 1, u)
	w.inverseNTT()
	for i := range v {
		v[i] -= w[i]
	}
	return (*[32]byte)(v.pack(make([]byte, 0, 32), 1))
}
