package crypt

import (
	"crypto/subtle"
	"encoding/binary"
	"io"
	"math/big"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// KDF2 fills dst with bytes derived from z: H(z | counter) with a counter of four
// bytes from 1 (ISO/IEC 18033-2, section 6.2.3). An algorithm that is no
// supported hash leaves dst as it is.
func KDF2(alg wire.AlgID, dst, z []byte) {
	if HashSize(alg) == 0 {
		return
	}
	var sum [wire.MaxDigest]byte
	for counter := uint32(1); len(dst) > 0; counter++ {
		in := binary.BigEndian.AppendUint32(append([]byte(nil), z...), counter)
		dst = dst[copy(dst, Digest(alg, sum[:0], in)):]
	}
}

// Encrypt encrypts data to the owner of q, as TPM2_ECC_Encrypt does with
// TPM_ALG_KDF2 (Part 1, annex "ECC Encryption"): c1 is an ephemeral public key
// drawn from gen, c2 the data combined with bytes from KDF2, c3 a digest of the
// data between the coordinates of the secret point. It fails only with gen.
func (c *Curve) Encrypt(gen io.Reader, q Point, hash wire.AlgID, data []byte) (c1 Point, c2, c3 []byte, err error) {
	d, c1, err := c.GenerateKey(gen)
	if err != nil {
		return Point{}, nil, nil, err
	}
	c2, c3 = c.seal(c.Mult(q, d), hash, data, true)
	return c1, c2, c3, nil
}

// Decrypt is the inverse of Encrypt. A digest that is not that of the data is
// refused with TPM_RC_VALUE, a secret point at infinity with TPM_RC_NO_RESULT.
func (c *Curve) Decrypt(d *big.Int, c1 Point, hash wire.AlgID, c2, c3 []byte) ([]byte, error) {
	const op = "ECC decryption"
	p := c.Mult(c1, d)
	if p.X == nil {
		return nil, refuse(op, wire.RCNoResult, "the secret point is at infinity")
	}
	data, digest := c.seal(p, hash, c2, false)
	if subtle.ConstantTimeCompare(digest, c3) != 1 {
		return nil, refuse(op, wire.RCValue, "the digest is not that of the data")
	}
	return data, nil
}

// seal combines in with bytes derived from a secret point, and gives the digest
// of the plain text, which in is or becomes.
func (c *Curve) seal(p Point, hash wire.AlgID, in []byte, plain bool) (out, digest []byte) {
	x, y := c.EncodePoint(p)
	out = make([]byte, len(in))
	KDF2(hash, out, append(append([]byte(nil), x...), y...))
	subtle.XORBytes(out, out, in)
	text := out
	if plain {
		text = in
	}
	b := append(append(append([]byte(nil), x...), text...), y...)
	return out, Digest(hash, nil, b)
}
