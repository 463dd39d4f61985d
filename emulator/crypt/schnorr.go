package crypt

import (
	"encoding/binary"
	"io"
	"math/big"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// schnorrDigest is H(x | digest) cut to the size of the order: the leftmost
// octets (Part 1, annex "EC Schnorr").
func (c *Curve) schnorrDigest(hash wire.AlgID, x *big.Int, digest []byte) *big.Int {
	in := append(x.FillBytes(make([]byte, c.FieldSize())), digest...)
	h := Digest(hash, nil, in)
	return new(big.Int).SetBytes(h[:min(len(h), c.OrderSize())])
}

// schnorrS is k + r·d modulo the order, the second half of all signatures that
// follow Schnorr.
func (c *Curve) schnorrS(k, r, d *big.Int) *big.Int {
	s := new(big.Int).Mul(r, d)
	return s.Add(s, k).Mod(s, c.N)
}

// SignECSchnorr signs a digest with the private key d (Part 1, annex "EC
// Schnorr"); hash is the one of the scheme. The ephemeral key is drawn from gen
// like any key. A number r that is not below the order, which no verifier would
// take, is drawn again. A hash that is not supported is refused with
// TPM_RC_SCHEME.
func (c *Curve) SignECSchnorr(gen io.Reader, d *big.Int, hash wire.AlgID, digest []byte) (r, s *big.Int, err error) {
	const op = "ECSCHNORR"
	if HashSize(hash) == 0 {
		return nil, nil, refuse(op, wire.RCScheme, "%v is no supported hash", hash)
	}
	for range maxTries {
		k, point, err := c.GenerateKey(gen)
		if err != nil {
			return nil, nil, err
		}
		r = c.schnorrDigest(hash, point.X, digest)
		s = c.schnorrS(k, r, d)
		if c.ValidScalar(r) && s.Sign() != 0 {
			return r, s, nil
		}
	}
	return nil, nil, refuse(op, wire.RCNoResult, "no random number gives a signature")
}

// VerifyECSchnorr reports whether (r, s) is the signature of a digest by the owner
// of q.
func (c *Curve) VerifyECSchnorr(q Point, hash wire.AlgID, digest []byte, r, s *big.Int) bool {
	if HashSize(hash) == 0 || !c.ValidScalar(r) || !c.ValidScalar(s) || !c.OnCurve(q) {
		return false
	}
	e := c.Add(c.BaseMult(s), c.Neg(c.Mult(q, r)))
	return !e.Infinity() && c.schnorrDigest(hash, e.X, digest).Cmp(r) == 0
}

// SignECDAA signs a digest with the private key d and the committed number r,
// which CommitNumber gives (Part 1, annex "ECDAA"). It returns the nonce, padded
// to OrderSize, and s. A hash that is not supported is refused with
// TPM_RC_SCHEME.
func (c *Curve) SignECDAA(gen io.Reader, d, r *big.Int, hash wire.AlgID, digest []byte) (nonce []byte, s *big.Int, err error) {
	const op = "ECDAA"
	if HashSize(hash) == 0 {
		return nil, nil, refuse(op, wire.RCScheme, "%v is no supported hash", hash)
	}
	for range maxTries {
		k, err := c.GenerateScalar(gen)
		if err != nil {
			return nil, nil, err
		}
		nonce = c.EncodeScalar(k)
		t := new(big.Int).SetBytes(Digest(hash, nil, append(nonce[:len(nonce):len(nonce)], digest...)))
		s = c.schnorrS(r, t, d)
		if s.Sign() != 0 && t.Mod(t, c.N).Sign() != 0 {
			return nonce, s, nil
		}
	}
	return nil, nil, refuse(op, wire.RCNoResult, "no random number gives a signature")
}

// CommitNumber gives the number r of a commitment (Part 1, annex "TPM2_Commit()
// Algorithm"): from KDFa with the TPM's secret nonce, the label "ECDAA Commit",
// the name of the key (nil for TPM2_EC_Ephemeral) and the value that the commit
// counter had. A secret and a counter always give the same number, so nothing
// but the counter needs to be kept between TPM2_Commit and the signature.
func (c *Curve) CommitNumber(hash wire.AlgID, secret, name []byte, counter uint64) (*big.Int, error) {
	const op = "commit"
	if HashSize(hash) == 0 {
		return nil, refuse(op, wire.RCHash, "%v is no supported hash", hash)
	}
	size := c.OrderSize()
	cntr := binary.BigEndian.AppendUint64(nil, counter)
	n := c.EncodeScalar(c.N)
	for block, try := uint32(1), 0; try < maxTries; try++ {
		var stream []byte
		for len(stream) < size {
			stream = kdfaBlock(hash, stream, secret, "ECDAA Commit", name, cntr, block, uint32(size)*8)
			block++
		}
		if r := new(big.Int).SetBytes(maskTop(stream[:size], n[0])); c.ValidScalar(r) && r.BitLen() > c.N.BitLen()/2 {
			return r, nil
		}
	}
	return nil, refuse(op, wire.RCNoResult, "no block gives a number below the order")
}

// maskTop clears the bits above the highest one of top in the first octet of b,
// so that a number below an order that does not fill its octets, such as that of
// P-521, is found soon.
func maskTop(b []byte, top byte) []byte {
	mask := byte(0xFF)
	for mask>>1 >= top {
		mask >>= 1
	}
	b[0] &= mask
	return b
}

// Commit computes the points of TPM2_Commit (Part 3, section "TPM2_Commit"):
// K = [d]B and L = [r]B if B is given, E = [r]M if M is given, E = [r]G if
// neither is. A point that is not given is the zero Point. Both must be on the
// curve. A product at infinity is refused with TPM_RC_NO_RESULT.
func (c *Curve) Commit(d, r *big.Int, m, b Point) (k, l, e Point, err error) {
	const op = "commit"
	if !b.Infinity() {
		k, l = c.Mult(b, d), c.Mult(b, r)
		if k.Infinity() || l.Infinity() {
			return Point{}, Point{}, Point{}, refuse(op, wire.RCNoResult, "K or L is the point at infinity")
		}
	}
	switch {
	case !m.Infinity():
		e = c.Mult(m, r)
	case b.Infinity():
		e = c.BaseMult(r)
	default:
		return k, l, e, nil
	}
	if e.Infinity() {
		return Point{}, Point{}, Point{}, refuse(op, wire.RCNoResult, "E is the point at infinity")
	}
	return k, l, e, nil
}
