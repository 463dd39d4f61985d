package crypt

import (
	"crypto/mlkem"
	"crypto/sha3"
	"crypto/subtle"
	"io"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// ML-KEM, FIPS 203. Keys of ML-KEM-768 and -1024 are those of the standard library,
// which does not have ML-KEM-512 and takes the random number of an encapsulation from
// nobody: both are made here.

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
	matrix, x := make([]kemPoly, p.k*p.k), sha3.NewSHAKE128()
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
	var vector [mlkemMaxK]kemPoly
	y := vector[:p.k]
	for i := range y {
		y[i].drawSmall(x, random, byte(i), p.eta1)
		y[i].ntt()
	}
	var u, e kemPoly
	ciphertext := make([]byte, 0, p.set.CiphertextSize())
	for i := range y {
		u.dot(k.matrix[i:], p.k, y)
		u.inverseNTT()
		e.drawSmall(x, random, byte(p.k+i), mlkemEta2)
		u.add(&e)
		ciphertext = u.pack(ciphertext, p.du)
	}
	u.dot(k.t, 1, y)
	u.inverseNTT()
	e.drawSmall(x, random, byte(2*p.k), mlkemEta2)
	u.add(&e)
	e.unpack(m[:], 1)
	u.add(&e)
	return u.pack(ciphertext, p.dv)
}

// MLKEMKey is a private key that is ready to decapsulate. It is not changed once made
// and may be shared.
type MLKEMKey struct {
	set    wire.MLKEMParameterSet
	public []byte
	key    interface {
		Decapsulate(ciphertext []byte) (sharedKey []byte, err error)
	}
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
	switch set {
	case wire.MLKEM768:
		key, err := mlkem.NewDecapsulationKey768(seed)
		if err != nil {
			return nil, err
		}
		return &MLKEMKey{set, key.EncapsulationKey().Bytes(), key}, nil
	case wire.MLKEM1024:
		key, err := mlkem.NewDecapsulationKey1024(seed)
		if err != nil {
			return nil, err
		}
		return &MLKEMKey{set, key.EncapsulationKey().Bytes(), key}, nil
	}
	key := p.generate(seed)
	return &MLKEMKey{set, key.encoded, key}, nil
}

// Public is the encoded public key, as unique has it. It must not be changed.
func (k *MLKEMKey) Public() []byte { return k.public }

// Set is the parameter set of the key.
func (k *MLKEMKey) Set() wire.MLKEMParameterSet { return k.set }

// Decapsulate finds the shared secret of a ciphertext (FIPS 203, algorithm 18). It refuses
// only another size, with TPM_RC_SIZE: a ciphertext that is not of Encapsulate gives a
// secret that depends on it and on the key, in the same time.
func (k *MLKEMKey) Decapsulate(ciphertext []byte) (shared []byte, err error) {
	if n := k.set.CiphertextSize(); len(ciphertext) != n {
		return nil, refuse("ML-KEM decapsulation", wire.RCSize, "a ciphertext of %d bytes where %v has %d", len(ciphertext), k.set, n)
	}
	return k.key.Decapsulate(ciphertext)
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

// mlkemPrivateKey is a private key made here.
type mlkemPrivateKey struct {
	MLKEMPublicKey
	z []byte    // what stands for the secret of a bad ciphertext
	s []kemPoly // in the NTT domain
}

// generate is ML-KEM.KeyGen_internal of FIPS 203, algorithm 16.
func (p *mlkemParameters) generate(seed []byte) *mlkemPrivateKey {
	g := sha3.Sum512(append(slices.Clone(seed[:32]), byte(p.k)))
	rho, sigma := g[:32], g[32:]
	k := &mlkemPrivateKey{z: slices.Clone(seed[32:]), s: make([]kemPoly, p.k)}
	k.p, k.matrix, k.t = p, p.expandMatrix(rho), make([]kemPoly, p.k)
	x := sha3.NewSHAKE256()
	for i := range k.s {
		k.s[i].drawSmall(x, sigma, byte(i), p.eta1)
		k.s[i].ntt()
	}
	k.encoded = make([]byte, 0, p.set.PublicSize())
	for i := range k.t {
		t := &k.t[i]
		t.dot(k.matrix[i*p.k:], 1, k.s)
		t.toMontgomery()
		var e kemPoly
		e.drawSmall(x, sigma, byte(p.k+i), p.eta1)
		e.ntt()
		t.add(&e)
		t.reduce()
		k.encoded = t.pack(k.encoded, 12)
	}
	k.encoded = append(k.encoded, rho...)
	k.digest = sha3.Sum256(k.encoded)
	return k
}

// Decapsulate is ML-KEM.Decaps_internal of FIPS 203, algorithm 18, for a ciphertext of
// the right size. It takes the same time for all of them.
func (k *mlkemPrivateKey) Decapsulate(ciphertext []byte) (shared []byte, err error) {
	m := k.decrypt(ciphertext)
	g := k.derive(m)
	again := k.encrypt(m, g[32:])
	shared = make([]byte, wire.MLKEMShared)
	x := sha3.NewSHAKE256()
	shakeInto(x, k.z, ciphertext)
	x.Read(shared)
	subtle.ConstantTimeCopy(subtle.ConstantTimeCompare(ciphertext, again), shared, g[:32])
	return shared, nil
}

// decrypt is K-PKE.Decrypt of FIPS 203, algorithm 15.
func (k *mlkemPrivateKey) decrypt(ciphertext []byte) *[32]byte {
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
