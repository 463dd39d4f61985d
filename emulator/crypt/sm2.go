package crypt

import (
	"io"
	"math/big"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// SignSM2 signs a digest with the private key d (GB/T 32918.2; Part 1, annex
// "SM2"). The digest is taken as a number, whatever its size; who signs has mixed
// the identity into it. The ephemeral key is drawn from gen like any key.
func (c *Curve) SignSM2(gen io.Reader, d *big.Int, digest []byte) (r, s *big.Int, err error) {
	const op = "SM2"
	inverse := new(big.Int).ModInverse(new(big.Int).Add(d, big.NewInt(1)), c.N)
	if inverse == nil {
		return nil, nil, refuse(op, wire.RCNoResult, "the private key is one less than the order")
	}
	e := new(big.Int).SetBytes(digest)
	for range maxTries {
		k, point, err := c.GenerateKey(gen)
		if err != nil {
			return nil, nil, err
		}
		r = new(big.Int).Add(e, point.X)
		r.Mod(r, c.N)
		if r.Sign() == 0 || new(big.Int).Add(r, k).Cmp(c.N) == 0 {
			continue
		}
		s = new(big.Int).Mul(r, d)
		s.Sub(k, s).Mul(s, inverse).Mod(s, c.N)
		if s.Sign() != 0 {
			return r, s, nil
		}
	}
	return nil, nil, refuse(op, wire.RCNoResult, "no random number gives a signature")
}

// SM2Identity returns Z, which is hashed before a message: it ties the signature to the
// identity of the signer, at most 8,191 octets, the curve and the public key (GB/T 32918.2,
// section 5.5). The hash must be supported.
func (c *Curve) SM2Identity(hash wire.AlgID, q Point, id []byte) []byte {
	size := (c.Bits + 7) / 8
	b := append([]byte{byte(len(id) * 8 >> 8), byte(len(id) * 8)}, id...)
	for _, v := range []*big.Int{c.A, c.B, c.Gx, c.Gy, q.X, q.Y} {
		b = append(b, v.FillBytes(make([]byte, size))...)
	}
	return Digest(hash, nil, b)
}

// VerifySM2 reports whether (r, s) is the signature of a digest by the owner of q.
func (c *Curve) VerifySM2(q Point, digest []byte, r, s *big.Int) bool {
	if !c.ValidScalar(r) || !c.ValidScalar(s) || !c.OnCurve(q) {
		return false
	}
	t := new(big.Int).Add(r, s)
	if t.Mod(t, c.N).Sign() == 0 {
		return false
	}
	p := c.Add(c.BaseMult(s), c.Mult(q, t))
	if p.Infinity() {
		return false
	}
	e := new(big.Int).SetBytes(digest)
	return e.Add(e, p.X).Mod(e, c.N).Cmp(r) == 0
}
