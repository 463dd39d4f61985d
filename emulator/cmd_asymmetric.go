package emulator

import (
	"math/big"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Asymmetric Primitives".

// decrypts reports whether a key decrypts what anybody has made: a restricted one
// decrypts only what the TPM knows the structure of.
func (o *object) decrypts() bool {
	return o.has(wire.ObjectDecrypt) && !o.has(wire.ObjectRestricted)
}

// encryptScheme chooses between the scheme of an RSA key and the one that was
// asked for; false if they contradict each other.
func encryptScheme(p *wire.Public, asked wire.Scheme) (wire.Scheme, bool) {
	own := p.Parms.Scheme
	switch {
	case own.Alg == wire.AlgNull:
		return asked, true
	case asked.Alg == wire.AlgNull:
		return own, true
	}
	return asked, own.Alg == asked.Alg && own.Hash == asked.Hash
}

// rsaInput takes the parameters that TPM2_RSA_Encrypt and TPM2_RSA_Decrypt have
// in common, and checks them for a key. A label ends with a zero.
func (t *TPM) rsaInput(c *call, permitted func(*object) bool) (o *object, data []byte, scheme wire.Scheme, label []byte, rc wire.RC) {
	data = c.sized(wire.MaxRSAKey)
	asked := c.next().RSADecrypt(true)
	label = c.data()
	if rc = c.done(); rc != wire.RCSuccess {
		return
	}
	o = c.entities[0].object
	ok := true
	switch {
	case !o.loaded() || o.public.Parms.Type != wire.AlgRSA:
		rc = c.badHandle(1, wire.RCKey)
	case !permitted(o):
		rc = c.badHandle(1, wire.RCAttributes)
	case len(label) != 0 && label[len(label)-1] != 0:
		rc = c.badParam(3, wire.RCValue)
	default:
		if scheme, ok = encryptScheme(&o.public, asked); !ok {
			rc = c.badParam(2, wire.RCScheme)
		}
	}
	return
}

// rsaEncrypt is TPM2_RSA_Encrypt.
func (t *TPM) rsaEncrypt(c *call) wire.RC {
	o, message, scheme, label, rc := t.rsaInput(c, func(o *object) bool { return o.has(wire.ObjectDecrypt) })
	if rc != wire.RCSuccess {
		return rc
	}
	k, rc := o.rsaPublic()
	if rc != wire.RCSuccess {
		return rc
	}
	data, err := crypt.EncryptRSA(t.drbg(), k, scheme, label, message)
	if err != nil {
		return rcOf(err)
	}
	c.out.Sized(data)
	return wire.RCSuccess
}

// rsaDecrypt is TPM2_RSA_Decrypt.
func (t *TPM) rsaDecrypt(c *call) wire.RC {
	o, data, scheme, label, rc := t.rsaInput(c, (*object).decrypts)
	if rc != wire.RCSuccess {
		return rc
	}
	k, rc := o.rsaKey()
	if rc != wire.RCSuccess {
		return rc
	}
	message, err := crypt.DecryptRSA(k, scheme, label, data)
	if err != nil {
		return rcOf(err)
	}
	c.out.Sized(message)
	return wire.RCSuccess
}

// eccKey reports whether an object is an ECC key.
func (o *object) eccKey() bool { return o.loaded() && o.public.Parms.Type == wire.AlgECC }

// hasPoints reports whether an object is an ECC key of a curve with points of two
// coordinates, which all are but 25519 and 448.
func (o *object) hasPoints() bool { return o.eccKey() && o.curve() != nil }

// point appends a TPM2B_ECC_POINT. The zero Point, which was not computed, has
// empty coordinates.
func (c *call) point(curve *crypt.Curve, p crypt.Point) {
	x, y := curve.EncodePoint(p)
	c.out.SizedPoint(&wire.ECPoint{X: x, Y: y})
}

// ecdhKeyGen is TPM2_ECDH_KeyGen.
func (t *TPM) ecdhKeyGen(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	o := c.entities[0].object
	if !o.eccKey() {
		return c.badHandle(1, wire.RCKey)
	}
	if m := montgomery(&o.public.Parms); m != nil {
		return t.montgomeryKeyGen(m, c, o)
	}
	curve := o.curve()
	q, err := curve.DecodePoint(o.public.Point.X, o.public.Point.Y)
	if err != nil {
		return c.badHandle(1, wire.RCKey)
	}
	d, public, err := curve.GenerateKey(t.drbg())
	if err != nil {
		return rcOf(err)
	}
	c.point(curve, curve.Mult(q, d))
	c.point(curve, public)
	return wire.RCSuccess
}

// ecdhZGen is TPM2_ECDH_ZGen.
func (t *TPM) ecdhZGen(c *call) wire.RC {
	var in wire.ECPoint
	c.next().SizedPoint(&in)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	o := c.entities[0].object
	switch {
	case !o.eccKey():
		return c.badHandle(1, wire.RCKey)
	case !o.decrypts():
		return c.badHandle(1, wire.RCAttributes)
	}
	if own := o.public.Parms.Scheme.Alg; own != wire.AlgECDH && own != wire.AlgNull {
		return c.badHandle(1, wire.RCScheme)
	}
	if m := montgomery(&o.public.Parms); m != nil {
		return montgomeryZGen(m, c, o, &in)
	}
	curve := o.curve()
	q, err := curve.DecodePoint(in.X, in.Y)
	if err != nil {
		return c.badParam(1, rcOf(err))
	}
	z := curve.Mult(q, o.scalar())
	if z.X == nil {
		return c.badParam(1, wire.RCNoResult)
	}
	c.point(curve, z)
	return wire.RCSuccess
}

// eccKDF is the KDF that goes with a curve, as the reference has it: the hash
// is as strong as the curve, or that of its country, which this TPM lacks as
// libtpms does.
func eccKDF(curve *crypt.Curve) wire.Scheme {
	s := wire.Scheme{Alg: wire.AlgKDF1_SP800_56A, Hash: wire.AlgSHA256}
	switch curve.ID {
	case wire.CurveNISTP384:
		s.Hash = wire.AlgSHA384
	case wire.CurveNISTP521:
		s.Hash = wire.AlgSHA512
	case wire.CurveSM2P256:
		s.Hash = wire.AlgSM3_256
	case wire.CurveBNP256, wire.CurveBNP638:
		s = wire.Scheme{Alg: wire.AlgNull, Hash: wire.AlgNull}
	}
	return s
}

// eccParameters is TPM2_ECC_Parameters. Numbers are as long as the prime or the
// order, zeros in front included, which Windows demands.
func (t *TPM) eccParameters(c *call) wire.RC {
	id := c.next().Curve()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if m := crypt.MontgomeryCurveOf(id); m != nil {
		c.out.ECCDetail(montgomeryDetail(m))
		return wire.RCSuccess
	}
	curve := crypt.CurveOf(id)
	field := func(n *big.Int) []byte { return n.FillBytes(make([]byte, curve.FieldSize())) }
	c.out.ECCDetail(&wire.ECCDetail{
		CurveID: id, KeySize: uint16(curve.Bits), KDF: eccKDF(curve), Sign: wire.Scheme{Alg: wire.AlgNull, Hash: wire.AlgNull},
		P: field(curve.P), A: field(curve.A), B: field(curve.B), Gx: field(curve.Gx), Gy: field(curve.Gy),
		N: curve.N.FillBytes(make([]byte, curve.OrderSize())), H: []byte{byte(curve.H)},
	})
	return wire.RCSuccess
}

// zgen2Phase is TPM2_ZGen_2Phase. The number that TPM2_EC_Ephemeral has
// committed to is used up.
func (t *TPM) zgen2Phase(c *call) wire.RC {
	var static, ephemeral wire.ECPoint
	c.next().SizedPoint(&static)
	c.next().SizedPoint(&ephemeral)
	scheme := c.next().ECCKeyExchange()
	count := c.u16()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	o := c.entities[0].object
	switch {
	case !o.hasPoints():
		return c.badHandle(1, wire.RCKey)
	case !o.decrypts():
		return c.badHandle(1, wire.RCAttributes)
	}
	if own := o.public.Parms.Scheme.Alg; own != wire.AlgNull && own != scheme {
		return c.badParam(3, wire.RCScheme)
	}
	curve := o.curve()
	qs, err := curve.DecodePoint(static.X, static.Y)
	if err != nil {
		return c.badParam(1, wire.RCECCPoint)
	}
	qe, err := curve.DecodePoint(ephemeral.X, ephemeral.Y)
	if err != nil {
		return c.badParam(2, wire.RCECCPoint)
	}
	r, ok := t.commitNumber(curve, nil, count)
	if !ok {
		return c.badParam(4, wire.RCValue)
	}
	z1, z2, err := curve.ZGen2Phase(scheme, o.scalar(), r, qs, qe)
	if err != nil {
		if rc := rcOf(err); rc != wire.RCScheme {
			return rc
		}
		return c.badParam(3, wire.RCScheme)
	}
	if rc := t.changeOrderly(); rc != wire.RCSuccess {
		return rc
	}
	c.point(curve, z1)
	c.point(curve, z2)
	t.endCommit(count)
	return wire.RCSuccess
}

// eciesScheme chooses between the KDF of an ECC key and the one that was asked
// for; false if they contradict each other, or are none.
func eciesScheme(p *wire.Public, asked wire.Scheme) (wire.Scheme, bool) {
	own := p.Parms.KDF
	switch {
	case asked.Alg == wire.AlgNull:
		asked = own
	case own.Alg != wire.AlgNull && (own.Alg != asked.Alg || own.Hash != asked.Hash):
		return asked, false
	}
	return asked, asked.Alg != wire.AlgNull
}

// eccEncrypt is TPM2_ECC_Encrypt (rev 1.83).
func (t *TPM) eccEncrypt(c *call) wire.RC {
	data := c.buffer()
	asked := c.next().KDFScheme()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	o := c.entities[0].object
	if !o.hasPoints() {
		return c.badHandle(1, wire.RCKey)
	}
	scheme, ok := eciesScheme(&o.public, asked)
	switch {
	case !ok:
		return c.badParam(2, wire.RCScheme)
	case scheme.Alg != wire.AlgKDF2:
		return wire.RCScheme
	}
	curve := o.curve()
	q, err := curve.DecodePoint(o.public.Point.X, o.public.Point.Y)
	if err != nil {
		return wire.RCNoResult
	}
	c1, c2, c3, err := curve.Encrypt(t.drbg(), q, scheme.Hash, data)
	if err != nil {
		return rcOf(err)
	}
	c.point(curve, c1)
	c.out.Sized(c2)
	c.out.Sized(c3)
	return wire.RCSuccess
}

// eccDecrypt is TPM2_ECC_Decrypt (rev 1.83).
func (t *TPM) eccDecrypt(c *call) wire.RC {
	var c1 wire.ECPoint
	c.next().SizedPoint(&c1)
	c2 := c.buffer()
	c3 := c.digest()
	asked := c.next().KDFScheme()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	o := c.entities[0].object
	switch {
	case !o.hasPoints():
		return c.badHandle(1, wire.RCKey)
	case !o.decrypts():
		return c.badHandle(1, wire.RCAttributes)
	}
	scheme, ok := eciesScheme(&o.public, asked)
	switch {
	case !ok:
		return c.badParam(4, wire.RCScheme)
	case scheme.Alg != wire.AlgKDF2:
		return wire.RCScheme
	}
	curve := o.curve()
	p, err := curve.DecodePoint(c1.X, c1.Y)
	if err != nil {
		return c.badParam(1, rcOf(err))
	}
	data, err := curve.Decrypt(o.scalar(), p, scheme.Hash, c2, c3)
	if err != nil {
		return rcOf(err)
	}
	c.out.Sized(data)
	return wire.RCSuccess
}
