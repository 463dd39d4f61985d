package crypt

import (
	"math/big"
	"runtime"

	"filippo.io/bigmod"

	"github.com/swtpmd/swtpmd/emulator/crypt/internal/montgomery"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// defaultExponent is what an exponent of 0 in TPMS_RSA_PARMS means.
const defaultExponent = 65537

// RSAPublicKey is the public part of an RSA key. It is not changed once made.
type RSAPublicKey struct {
	N *big.Int
	E uint32

	// N for the fastest that there is: package montgomery, bigmod, or math/big if both
	// are nil.
	assembled *montgomery.Modulus
	fast      *bigmod.Modulus
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
	return newRSAPublicKey(new(big.Int).SetBytes(modulus), exponent), nil
}

func newRSAPublicKey(n *big.Int, e uint32) *RSAPublicKey {
	k := &RSAPublicKey{N: n, E: e, assembled: montgomery.New(n)}
	if k.assembled == nil && unrolled(n) {
		k.fast = newModulus(n)
	}
	return k
}

// unrolled reports whether bigmod has code of its own for numbers of the size of n.
// Exponentiation takes it four fifths of the time of math/big then and up to
// twice as long otherwise.
func unrolled(n *big.Int) bool {
	switch (n.BitLen() + 63) / 64 {
	case 1024 / 64, 1536 / 64, 2048 / 64:
		return true
	}
	return false
}

// newModulus prepares for computing modulo n, an odd number above 1.
func newModulus(n *big.Int) *bigmod.Modulus {
	m, err := bigmod.NewModulus(n.Bytes())
	if err != nil {
		panic("internal error: a modulus below 2")
	}
	return m
}

// residue makes a number of x, which must be below m.
func residue(x *big.Int, m *bigmod.Modulus) *bigmod.Nat {
	r, err := bigmod.NewNat().SetBytes(x.FillBytes(make([]byte, m.Size())), m)
	if err != nil {
		panic("internal error: a number is not below its modulus")
	}
	return r
}

// Size is the size of the modulus, of signatures and cipher texts in bytes.
func (k *RSAPublicKey) Size() int { return (k.N.BitLen() + 7) / 8 }

// Modulus gives the modulus as the unique field has it.
func (k *RSAPublicKey) Modulus() []byte { return k.N.FillBytes(make([]byte, k.Size())) }

// apply is the public operation (RFC 8017, section 5.1.1, RSAEP) on a number
// below N. The result is as long as the modulus.
func (k *RSAPublicKey) apply(m *big.Int) []byte {
	if a := k.assembled; a != nil {
		return montgomery.Bytes(a.ExpVarTime(montgomery.Words(m, a.Size()), uint(k.E)))
	}
	if k.fast != nil {
		x := residue(m, k.fast)
		return x.ExpShortVarTime(x, uint(k.E), k.fast).Bytes(k.fast)
	}
	x := new(big.Int).Exp(m, new(big.Int).SetUint64(uint64(k.E)), k.N)
	return x.FillBytes(make([]byte, k.Size()))
}

// Encrypt is the public operation without padding, TPM_ALG_NULL of
// TPM2_RSA_Encrypt: m is a big-endian number, with or without leading zeros. A
// number that is not below the modulus is refused with TPM_RC_VALUE.
func (k *RSAPublicKey) Encrypt(m []byte) ([]byte, error) {
	n := new(big.Int).SetBytes(m)
	if n.Cmp(k.N) >= 0 {
		return nil, refuse("RSA encryption", wire.RCValue, "the number is not below the modulus")
	}
	return k.apply(n), nil
}

// RSAPrivateKey is an RSA key with both parts and what its private operation
// needs. It is not changed once made and may be shared.
type RSAPrivateKey struct {
	RSAPublicKey
	P, Q *big.Int // P is the one that a sensitive area holds

	p, q rsaHalf
	qi   *bigmod.Nat // 1/Q modulo P
	crt  *rsaFast    // nil if a number has a size that it is not for
}

// rsaHalf is the half of the private operation that goes on modulo one prime.
type rsaHalf struct {
	prime   *big.Int
	modulus *bigmod.Modulus // prime
	d       []byte          // 1/E modulo prime-1, big-endian
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
	k := newRSAPrivateKey(public, p, q)
	if k == nil {
		return nil, refuse(op, wire.RCBinding, "the factors do not permit a private exponent for %d", public.E)
	}
	return k, nil
}

// newRSAPrivateKey gives nil if an inverse does not exist.
func newRSAPrivateKey(public *RSAPublicKey, p, q *big.Int) *RSAPrivateKey {
	e := new(big.Int).SetUint64(uint64(public.E))
	k := &RSAPrivateKey{RSAPublicKey: *public, P: p, Q: q, p: newRSAHalf(e, p), q: newRSAHalf(e, q)}
	qi := new(big.Int).ModInverse(q, p)
	if k.p.d == nil || k.q.d == nil || qi == nil {
		return nil
	}
	k.qi = residue(qi, k.p.modulus)
	k.crt = newRSAFast(k, qi)
	return k
}

// newRSAHalf gives one without d if there is none.
func newRSAHalf(e, prime *big.Int) rsaHalf {
	one := big.NewInt(1)
	if prime.Cmp(one) <= 0 {
		return rsaHalf{}
	}
	d := new(big.Int).ModInverse(e, new(big.Int).Sub(prime, one))
	if d == nil {
		return rsaHalf{}
	}
	return rsaHalf{prime: prime, modulus: newModulus(prime), d: d.Bytes()}
}

// exp gives c to the power of the private exponent.
func (h *rsaHalf) exp(c *big.Int) *bigmod.Nat {
	x := residue(new(big.Int).Mod(c, h.prime), h.modulus)
	return x.Exp(x, h.d, h.modulus)
}

// Prime gives P as a sensitive area has it: half as long as the modulus.
func (k *RSAPrivateKey) Prime() []byte { return k.P.FillBytes(make([]byte, (k.Size()+1)/2)) }

// Decrypt is the private operation without padding (RFC 8017, section 5.1.2,
// RSADP), TPM_ALG_NULL of TPM2_RSA_Decrypt. The result is as long as the
// modulus. A number that is not below the modulus is refused with TPM_RC_SIZE.
//
// The exponentiations take a time that depends on the size of the key alone,
// which is why there is no blinding. Before a result of the fast code leaves, the
// public operation has led it back to c.
func (k *RSAPrivateKey) Decrypt(c []byte) ([]byte, error) {
	n := new(big.Int).SetBytes(c)
	if n.Cmp(k.N) >= 0 {
		return nil, refuse("RSA decryption", wire.RCSize, "the number is not below the modulus")
	}
	return k.exp(n).FillBytes(make([]byte, k.Size())), nil
}

// exp is the private operation.
func (k *RSAPrivateKey) exp(c *big.Int) *big.Int {
	if k.crt != nil {
		if z, ok := k.crt.exp(c); ok {
			return z
		}
	}
	return k.expPortable(c)
}

// both calls two functions, at once if there are processors for them.
func both(f, g func()) {
	if runtime.GOMAXPROCS(0) == 1 {
		f()
		g()
		return
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		g()
	}()
	f()
	<-done
}

// expPortable is the private operation with the Chinese remainder theorem.
func (k *RSAPrivateKey) expPortable(c *big.Int) *big.Int {
	var m1, m2 *bigmod.Nat
	both(func() { m1 = k.p.exp(c) }, func() { m2 = k.q.exp(c) })
	h := m1.Sub(bigmod.NewNat().Mod(m2, k.p.modulus), k.p.modulus)
	h.Mul(k.qi, k.p.modulus)
	z := new(big.Int).SetBytes(h.Bytes(k.p.modulus))
	return z.Mul(z, k.Q).Add(z, new(big.Int).SetBytes(m2.Bytes(k.q.modulus)))
}
