package crypt

import (
	"crypto/sha3"
	"crypto/subtle"
	"io"
	"slices"

	"github.com/cloudflare/circl/pke/kyber/kyber1024"
	"github.com/cloudflare/circl/pke/kyber/kyber512"
	"github.com/cloudflare/circl/pke/kyber/kyber768"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// ML-KEM, FIPS 203. K-PKE is that of github.com/cloudflare/circl: the standard library does
// not have ML-KEM-512, takes the random number of an encapsulation from nobody, and takes
// longer. Tests hold the parameter sets that it has to it.

// mlkemParameters are the functions of a parameter set.
type mlkemParameters struct {
	set      wire.MLKEMParameterSet
	generate func(seed []byte) (kpkePublic, kpkePrivate) // from 32 bytes
	decode   func(encoded []byte) (kpkePublic, error)    // of the right size
}

// kpkePublic is a public key of K-PKE with its matrix. Arguments have the sizes that they
// need.
type kpkePublic interface {
	Pack(encoded []byte)
	EncryptTo(ciphertext, m, random []byte)
}

// kpkePrivate is a private key of K-PKE.
type kpkePrivate interface{ DecryptTo(m, ciphertext []byte) }

var mlkemSets = [...]mlkemParameters{
	{wire.MLKEM512,
		func(seed []byte) (kpkePublic, kpkePrivate) { return kyber512.NewKeyFromSeedMLKEM(seed) },
		func(encoded []byte) (kpkePublic, error) {
			k := new(kyber512.PublicKey)
			return k, k.UnpackMLKEM(encoded)
		}},
	{wire.MLKEM768,
		func(seed []byte) (kpkePublic, kpkePrivate) { return kyber768.NewKeyFromSeedMLKEM(seed) },
		func(encoded []byte) (kpkePublic, error) {
			k := new(kyber768.PublicKey)
			return k, k.UnpackMLKEM(encoded)
		}},
	{wire.MLKEM1024,
		func(seed []byte) (kpkePublic, kpkePrivate) { return kyber1024.NewKeyFromSeedMLKEM(seed) },
		func(encoded []byte) (kpkePublic, error) {
			k := new(kyber1024.PublicKey)
			return k, k.UnpackMLKEM(encoded)
		}},
}

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
	key     kpkePublic
	encoded []byte
	digest  [32]byte // H(ek)
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
	key, err := p.decode(public)
	if err != nil {
		return nil, refuse(op, wire.RCValue, "a coefficient is not below the modulus")
	}
	return &MLKEMPublicKey{p, key, slices.Clone(public), sha3.Sum256(public)}, nil
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
	ciphertext = make([]byte, k.p.set.CiphertextSize())
	k.key.EncryptTo(ciphertext, m[:], g[32:])
	return g[:32], ciphertext, nil
}

// derive gives the shared secret and the random number that belong to m.
func (k *MLKEMPublicKey) derive(m *[32]byte) []byte {
	var in [64]byte
	copy(in[copy(in[:], m[:]):], k.digest[:])
	g := sha3.Sum512(in[:])
	return g[:]
}

// MLKEMKey is a private key that is ready to decapsulate. It is not changed once made
// and may be shared.
type MLKEMKey struct {
	MLKEMPublicKey
	private kpkePrivate
	z       [32]byte // what stands for the secret of a bad ciphertext
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
	k := new(MLKEMKey)
	k.p = p
	k.key, k.private = p.generate(seed[:32])
	copy(k.z[:], seed[32:])
	k.encoded = make([]byte, set.PublicSize())
	k.key.Pack(k.encoded)
	k.digest = sha3.Sum256(k.encoded)
	return k, nil
}

// Decapsulate finds the shared secret of a ciphertext (FIPS 203, algorithm 18). It refuses
// only another size, with TPM_RC_SIZE: a ciphertext that is not of Encapsulate gives a
// secret that depends on it and on the key, in the same time.
func (k *MLKEMKey) Decapsulate(ciphertext []byte) (shared []byte, err error) {
	if n := k.p.set.CiphertextSize(); len(ciphertext) != n {
		return nil, refuse("ML-KEM decapsulation", wire.RCSize, "a ciphertext of %d bytes where %v has %d", len(ciphertext), k.p.set, n)
	}
	var m [32]byte
	k.private.DecryptTo(m[:], ciphertext)
	g := k.derive(&m)
	again := make([]byte, len(ciphertext))
	k.key.EncryptTo(again, m[:], g[32:])
	shared = make([]byte, wire.MLKEMShared)
	x := sha3.NewSHAKE256()
	shakeInto(x, k.z[:], ciphertext)
	x.Read(shared)
	subtle.ConstantTimeCopy(subtle.ConstantTimeCompare(ciphertext, again), shared, g[:32])
	return shared, nil
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
