package crypt

import (
	"crypto/sha512"
	"math/big"
	"runtime"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// defaultExponent is what an exponent of 0 in TPMS_RSA_PARMS means.
const defaultExponent = 65537

// RSAPublicKey is the public part of an RSA key. It is not changed once made.
type RSAPublicKey struct {
	N *big.Int
	E uint32
}

// NewRSAPublicKey makes a public key from the unique field and the exponent of
// a public area; the exponent 0 means 65,537. An even modulus or one of less
// than 512 or more than 4,096 bits is refused with TPM_RC_KEY, an exponent that
// is even or 1 with TPM_RC_RANGE.
func NewRSAPublicKey(modulus []byte, exponent uint32) (*RSAPublicKey, error) {
	const op = "RSA public key"
	if exponent == 0 {
		exponent = defaultExponent
	}
	if exponent%2 == 0 || exponent == 1 {
		return nil, refuse(op, wire.RCRange, "the exponent %d is not odd and above 1", exponent)
	}
	if len(modulus) < 64 || len(modulus) > 512 || modulus[0]&0x80 == 0 || modulus[len(modulus)-1]&1 == 0 {
		return nil, refuse(op, wire.RCKey, "a modulus of %d bytes; it must be odd, have 64 to 512 bytes and start with a set bit", len(modulus))
	}
	return &RSAPublicKey{N: new(big.Int).SetBytes(modulus), E: exponent}, nil
}

// Size is the size of the modulus, of signatures and cipher texts in bytes.
func (k *RSAPublicKey) Size() int { return (k.N.BitLen() + 7) / 8 }

// Modulus gives the modulus as the unique field has it.
func (k *RSAPublicKey) Modulus() []byte { return k.N.FillBytes(make([]byte, k.Size())) }

// apply is the public operation (RFC 8017, section 5.1.1, RSAEP).
func (k *RSAPublicKey) apply(m *big.Int) *big.Int {
	return new(big.Int).Exp(m, new(big.Int).SetUint64(uint64(k.E)), k.N)
}

// Encrypt is the public operation without padding, TPM_ALG_NULL of
// TPM2_RSA_Encrypt: m is a big-endian number, with or without leading zeros. A
// number that is not below the modulus is refused with TPM_RC_VALUE.
func (k *RSAPublicKey) Encrypt(m []byte) ([]byte, error) {
	n := new(big.Int).SetBytes(m)
	if n.Cmp(k.N) >= 0 {
		return nil, refuse("RSA encryption", wire.RCValue, "the number is not below the modulus")
	}
	return k.apply(n).FillBytes(make([]byte, k.Size())), nil
}

// RSAPrivateKey is an RSA key with both parts and what its private operation
// needs. It is not changed once made and may be shared.
type RSAPrivateKey struct {
	RSAPublicKey
	P, Q       *big.Int // P is the one that a sensitive area holds
	dp, dq, qi *big.Int // 1/E modulo P-1 and Q-1, 1/Q modulo P
	blind      [48]byte // secret that blinding numbers are made from
}

// NewRSAPrivateKey makes a private key from its public part and the prime of a
// sensitive area. A number that is not a factor of the modulus of half its size,
// or that does not permit to compute the private exponents, is refused with
// TPM_RC_BINDING. That it is prime is not tested.
func NewRSAPrivateKey(public *RSAPublicKey, prime []byte) (*RSAPrivateKey, error) {
	const op = "RSA private key"
	if 2*len(prime) != public.Size() {
		return nil, refuse(op, wire.RCBinding, "a prime of %d bytes for a modulus of %d", len(prime), public.Size())
	}
	p := new(big.Int).SetBytes(prime)
	if p.Sign() == 0 {
		return nil, refuse(op, wire.RCBinding, "the prime is 0")
	}
	q, rest := new(big.Int).QuoRem(public.N, p, new(big.Int))
	if rest.Sign() != 0 {
		return nil, refuse(op, wire.RCBinding, "the prime is not a factor of the modulus")
	}
	k := newRSAPrivateKey(public.E, p, q)
	if k == nil {
		return nil, refuse(op, wire.RCBinding, "the factors do not permit a private exponent for %d", public.E)
	}
	return k, nil
}

// newRSAPrivateKey gives nil if an inverse does not exist.
func newRSAPrivateKey(e uint32, p, q *big.Int) *RSAPrivateKey {
	one, exp := big.NewInt(1), new(big.Int).SetUint64(uint64(e))
	k := &RSAPrivateKey{RSAPublicKey: RSAPublicKey{N: new(big.Int).Mul(p, q), E: e}, P: p, Q: q}
	if p.Cmp(one) <= 0 || q.Cmp(one) <= 0 {
		return nil
	}
	k.dp = new(big.Int).ModInverse(exp, new(big.Int).Sub(p, one))
	k.dq = new(big.Int).ModInverse(exp, new(big.Int).Sub(q, one))
	k.qi = new(big.Int).ModInverse(q, p)
	if k.dp == nil || k.dq == nil || k.qi == nil {
		return nil
	}
	k.blind = sha512.Sum384(p.Bytes())
	return k
}

// Prime gives P as a sensitive area has it: half as long as the modulus.
func (k *RSAPrivateKey) Prime() []byte { return k.P.FillBytes(make([]byte, (k.Size()+1)/2)) }

// Decrypt is the private operation without padding (RFC 8017, section 5.1.2,
// RSADP), TPM_ALG_NULL of TPM2_RSA_Decrypt. The result is as long as the
// modulus. A number that is not below the modulus is refused with TPM_RC_SIZE.
//
// The number is blinded, so that its course in time, which is that of math/big,
// tells little about the key to who chose the number.
func (k *RSAPrivateKey) Decrypt(c []byte) ([]byte, error) {
	n := new(big.Int).SetBytes(c)
	if n.Cmp(k.N) >= 0 {
		return nil, refuse("RSA decryption", wire.RCSize, "the number is not below the modulus")
	}
	out := make([]byte, k.Size())
	if r, inverse := k.blinding(c); r != nil {
		n.Mul(n, k.apply(r)).Mod(n, k.N)
		n = k.exp(n)
		n.Mul(n, inverse).Mod(n, k.N)
		return n.FillBytes(out), nil
	}
	return k.exp(n).FillBytes(out), nil
}

// blinding gives a number and its inverse modulo N. Who does not know the key
// cannot tell it from a random one; nil for one number that has no inverse,
// which factors N.
func (k *RSAPrivateKey) blinding(c []byte) (r, inverse *big.Int) {
	seed := [DRBGSeedSize]byte(AppendHMAC(wire.AlgSHA384, nil, k.blind[:], c))
	var gen DRBGState
	gen.Instantiate(&seed)
	b := make([]byte, k.Size())
	gen.Read(b)
	r = new(big.Int).SetBytes(b)
	r.Mod(r, k.N)
	if inverse = new(big.Int).ModInverse(r, k.N); inverse == nil {
		return nil, nil
	}
	return r, inverse
}

// exp is the private operation with the Chinese remainder theorem, its two
// halves at once if there are processors for them.
func (k *RSAPrivateKey) exp(c *big.Int) *big.Int {
	m1, m2 := new(big.Int), new(big.Int)
	half := func() { m2.Exp(m2.Mod(c, k.Q), k.dq, k.Q) }
	if runtime.GOMAXPROCS(0) > 1 {
		done := make(chan struct{})
		go func() {
			defer close(done)
			half()
		}()
		m1.Exp(m1.Mod(c, k.P), k.dp, k.P)
		<-done
	} else {
		half()
		m1.Exp(m1.Mod(c, k.P), k.dp, k.P)
	}
	m1.Sub(m1, m2).Mul(m1, k.qi).Mod(m1, k.P)
	return m1.Mul(m1, k.Q).Add(m1, m2)
}
