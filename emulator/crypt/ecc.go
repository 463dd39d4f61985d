package crypt

import (
	"io"
	"math/big"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// maxTries bounds the draws of numbers that are out of range with a chance of
// less than one half. More than this many mean that the source is broken.
const maxTries = 128

// GenerateScalar draws a private key from gen: one request of eight bytes more
// than the order has, reduced modulo N-1, plus 1 (FIPS 186-4, appendix B.4.1;
// Part 1, annex "ECC Key Generation"). It fails only with gen.
func (c *Curve) GenerateScalar(gen io.Reader) (*big.Int, error) {
	b := make([]byte, c.OrderSize()+8)
	if _, err := io.ReadFull(gen, b); err != nil {
		return nil, err
	}
	one := big.NewInt(1)
	d := new(big.Int).SetBytes(b)
	d.Mod(d, new(big.Int).Sub(c.N, one))
	return d.Add(d, one), nil
}

// GenerateKey draws a key pair from gen. It fails only with gen.
func (c *Curve) GenerateKey(gen io.Reader) (d *big.Int, q Point, err error) {
	if d, err = c.GenerateScalar(gen); err != nil {
		return nil, Point{}, err
	}
	return d, c.BaseMult(d), nil
}

// ECDH gives the x coordinate of [d]q, padded to FieldSize, as KDFe takes it.
// That q is on the curve was checked when it was decoded. A product at infinity
// is refused with TPM_RC_NO_RESULT.
func (c *Curve) ECDH(d *big.Int, q Point) ([]byte, error) {
	z := c.Mult(q, d)
	if z.Infinity() {
		return nil, refuse("ECDH", wire.RCNoResult, "the product is the point at infinity")
	}
	x, _ := c.EncodePoint(z)
	return x, nil
}

// truncate makes a number of the leftmost bits of digest, as many as the order
// has (FIPS 186-4, section 6.4).
func (c *Curve) truncate(digest []byte) *big.Int {
	if n := c.OrderSize(); len(digest) > n {
		digest = digest[:n]
	}
	e := new(big.Int).SetBytes(digest)
	if over := 8*len(digest) - c.N.BitLen(); over > 0 {
		e.Rsh(e, uint(over))
	}
	return e
}

// SignECDSA signs a digest with the private key d (Part 1, annex "ECDSA"). The
// ephemeral key is drawn from gen like any key, so that the same state of gen
// gives the same signature. It fails only with gen.
func (c *Curve) SignECDSA(gen io.Reader, d *big.Int, digest []byte) (r, s *big.Int, err error) {
	e := c.truncate(digest)
	for range maxTries {
		k, point, err := c.GenerateKey(gen)
		if err != nil {
			return nil, nil, err
		}
		r = new(big.Int).Mod(point.X, c.N)
		s = new(big.Int).Mul(r, d)
		s.Add(s, e).Mul(s, new(big.Int).ModInverse(k, c.N)).Mod(s, c.N)
		if r.Sign() != 0 && s.Sign() != 0 {
			return r, s, nil
		}
	}
	return nil, nil, refuse("ECDSA", wire.RCNoResult, "no random number gives a signature")
}

// VerifyECDSA reports whether (r, s) is the signature of a digest by the owner of q.
func (c *Curve) VerifyECDSA(q Point, digest []byte, r, s *big.Int) bool {
	if !c.ValidScalar(r) || !c.ValidScalar(s) || !c.OnCurve(q) {
		return false
	}
	w := new(big.Int).ModInverse(s, c.N)
	u1 := new(big.Int).Mul(c.truncate(digest), w)
	u2 := new(big.Int).Mul(r, w)
	p := c.Add(c.BaseMult(u1), c.Mult(q, u2))
	return !p.Infinity() && new(big.Int).Mod(p.X, c.N).Cmp(r) == 0
}
