package crypt

import (
	"bytes"
	"io"
	"math/big"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// The key pairs of RFC 5903, section 8.1, on P-256: i and r with their x
// coordinates.
const (
	exampleI  = "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433"
	exampleIX = "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c3772581180"
	exampleIY = "5271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f58389e0577b8990bb3"
	exampleR  = "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53"
	exampleRX = "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf63"
	exampleRY = "56fbf3ca366cc23e8157854c13c58d6aac23f046ada30f8353e74f33039872ab"
)

// The private key of RFC 6979, appendix A.2.5, and the ephemeral key for the
// message "sample" with SHA-256.
const (
	exampleD = "c9afa9d845ba75166b5c215767b1d6934e50c3db36e89b127b8a622b120f6721"
	exampleK = "a6e3c57dd01abe90086538398355dd4c3b17aa873382b0f24d6129493d8aad60"
)

// drawing is a source that makes GenerateScalar draw k.
func (c *Curve) drawing(k *big.Int) io.Reader {
	return bytes.NewReader(new(big.Int).Sub(k, big.NewInt(1)).FillBytes(make([]byte, c.OrderSize()+8)))
}

// testECC has the public keys of RFC 5903, section 8.1, and on every curve what
// the order of its base point says: N-1 times it is its negative.
func testECC() ([]answer, error) {
	c := CurveOf(wire.CurveNISTP256)
	ix, iy := c.EncodePoint(c.BaseMult(constant(exampleI)))
	rx, ry := c.EncodePoint(c.Mult(c.Base(), constant(exampleR)))
	list := []answer{
		{"public key", append(ix, iy...), octets(exampleIX + exampleIY)},
		{"product", append(rx, ry...), octets(exampleRX + exampleRY)},
	}
	for _, c := range curves {
		p := c.Mult(c.Base(), new(big.Int).Sub(c.N, big.NewInt(1)))
		list = append(list, holds("order of a base point", p.Equal(c.Neg(c.Base())) && c.Add(p, c.Base()).Infinity()))
	}
	return list, nil
}

// testECDH has the example of RFC 5903, section 8.1.
func testECDH() ([]answer, error) {
	c := CurveOf(wire.CurveNISTP256)
	q, err := c.DecodePoint(octets(exampleRX), octets(exampleRY))
	if err != nil {
		return nil, err
	}
	z, err := c.ECDH(constant(exampleI), q)
	if err != nil {
		return nil, err
	}
	return []answer{{"shared secret", z, octets("d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de")}}, nil
}

// signature compares both parts of a signature.
func (c *Curve) signature(r, s *big.Int, want string) answer {
	return answer{"signature", append(c.EncodeScalar(r), c.EncodeScalar(s)...), octets(want)}
}

// testECDSA has the example of RFC 6979, appendix A.2.5, with the ephemeral key
// given there.
func testECDSA() ([]answer, error) {
	c, d := CurveOf(wire.CurveNISTP256), constant(exampleD)
	digest := Digest(wire.AlgSHA256, nil, []byte("sample"))
	r, s, err := c.SignECDSA(c.drawing(constant(exampleK)), d, digest)
	if err != nil {
		return nil, err
	}
	q := c.BaseMult(d)
	return []answer{
		c.signature(r, s, "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"+
			"f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"),
		holds("verification", c.VerifyECDSA(q, digest, r, s)),
		holds("verification of another digest", !c.VerifyECDSA(q, digest[1:], r, s)),
	}, nil
}

// testECSchnorr has the example of ISO/IEC 14888-3 for EC-SDSA-opt on P-256 with
// SHA-256, which is the scheme of the TCG with the message in the place of the
// digest.
func testECSchnorr() ([]answer, error) {
	c := CurveOf(wire.CurveNISTP256)
	d := constant("5202a3d8acaf6909d12c9a774cd886f9fba61137ffd3e8e76aed363fb47ac492")
	k := constant("de7e0e5e663f24183414b7c72f24546b81e9e5f410bebf26f3ca5fa82f5192c8")
	message := []byte("abc")
	r, s, err := c.SignECSchnorr(c.drawing(k), d, wire.AlgSHA256, message)
	if err != nil {
		return nil, err
	}
	q := c.BaseMult(d)
	return []answer{
		c.signature(r, s, "d7fb8135d8ea45e8fb3c9059f146e2630ef4bd51c4006a92edb4c8b0849963fb"+
			"b46d1525379e02e232d97928265b7254ea2ed97813454388c1a08f62dccd70b3"),
		holds("verification", c.VerifyECSchnorr(q, wire.AlgSHA256, message, r, s)),
		holds("verification of another digest", !c.VerifyECSchnorr(q, wire.AlgSHA256, message[1:], r, s)),
	}, nil
}

// testECDAA has no standard to go by: s is what the equation of Part 1, annex
// "ECDAA", gives with another program, for the keys of RFC 6979 (private key) and
// RFC 5903 (i as commitment, r as nonce). It holds the signature against the
// public key as a verifier does.
func testECDAA() ([]answer, error) {
	c, d, commitment := CurveOf(wire.CurveNISTP256), constant(exampleD), constant(exampleI)
	digest := Digest(wire.AlgSHA256, nil, []byte("sample"))
	nonce, s, err := c.SignECDAA(c.drawing(constant(exampleR)), d, commitment, wire.AlgSHA256, digest)
	if err != nil {
		return nil, err
	}
	t := new(big.Int).SetBytes(Digest(wire.AlgSHA256, nil, append(octets(exampleR), digest...)))
	e := c.Add(c.BaseMult(s), c.Neg(c.Mult(c.BaseMult(d), t)))
	x, y := c.EncodePoint(e)
	return []answer{
		{"nonce", nonce, octets(exampleR)},
		{"signature", c.EncodeScalar(s), octets("7fd3adcab5fa59af3b68bc8201032f3b4f8a5037c1c5265b21acc46bb2fbc111")},
		{"commitment", append(x, y...), octets(exampleIX + exampleIY)},
	}, nil
}

// testSM2 has the example of GB/T 32918.5, annex A, with the digest and the
// ephemeral key given there.
func testSM2() ([]answer, error) {
	c := CurveOf(wire.CurveSM2P256)
	d := constant("3945208f7b2144b13f36e38ac6d39f95889393692860b51a42fb81ef4df7c5b8")
	k := constant("59276e27d506861a16680f3ad9c02dccef3cc1fa3cdbe4ce6d54b80deac1bc21")
	digest := octets("f0b43e94ba45accaace692ed534382eb17e6ab5a19ce7b31f4486fdfc0d28640")
	r, s, err := c.SignSM2(c.drawing(k), d, digest)
	if err != nil {
		return nil, err
	}
	q := c.BaseMult(d)
	return []answer{
		c.signature(r, s, "f5a03b0648d2c4630eeac513e1bb81a15944da3827d5b74143ac7eaceee720b3"+
			"b1b6aa29df212fd8763182bc0d421ca1bb9038fd1f7f42d4840b69c485bbc1aa"),
		holds("verification", c.VerifySM2(q, digest, r, s)),
		holds("verification of another digest", !c.VerifySM2(q, digest[1:], r, s)),
	}, nil
}

// testECMQV has no example at hand: the x coordinate is what the equation of NIST
// SP 800-56A, section 5.7.2.3.1, gives with another program, for the private keys
// of RFC 6979 and RFC 5903.
func testECMQV() ([]answer, error) {
	c := CurveOf(wire.CurveNISTP256)
	ours, _, err := c.ZGen2Phase(wire.AlgECMQV, constant(exampleD), constant(exampleI), c.BaseMult(constant(exampleR)), c.BaseMult(constant(exampleK)))
	if err != nil {
		return nil, err
	}
	theirs, _, err := c.ZGen2Phase(wire.AlgECMQV, constant(exampleR), constant(exampleK), c.BaseMult(constant(exampleD)), c.BaseMult(constant(exampleI)))
	if err != nil {
		return nil, err
	}
	x, _ := c.EncodePoint(ours)
	return []answer{
		{"shared secret", x, octets("2d1716251f78a537ca6e64da1964e2a2748e8145340112c2c2cd15e305921d41")},
		holds("agreement", ours.Equal(theirs)),
	}, nil
}
