package emulator

import (
	"bytes"
	"math/big"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Keys of TPM_ECC_CURVE_25519 (version 185; Part 1, annex "ECC", sections on EdDSA and
// on Montgomery curves). The scheme says which of two curves in different coordinates a
// key is of: EdDSA and HashEdDSA sign with Ed25519 (RFC 8032), all other keys agree on
// secrets with X25519 (RFC 7748). x is a string of 32 bytes, little-endian, y is empty;
// the sensitive part is the 32 bytes that the RFCs make the scalar from.

// hashOfEd25519 is what HashEdDSA hashes messages with on this curve (RFC 8032, section
// 5.1, Ed25519ph).
const hashOfEd25519 = wire.AlgSHA512

// onCurve25519 reports whether parameters are those of a key of the curve.
func onCurve25519(p *wire.PublicParms) bool {
	return p.Type == wire.AlgECC && p.Curve == wire.CurveCurve25519
}

// isEdDSA reports whether a scheme is one of the two of EdDSA.
func isEdDSA(alg wire.AlgID) bool { return alg == wire.AlgEdDSA || alg == wire.AlgHashEdDSA }

// schemeFitsCurve reports whether the scheme of an ECC key is one of its curve (Part 2,
// table of TPMS_ECC_PARMS): on curve 25519 only EdDSA and ECDH, of which all keys but
// storage keys must name one; EdDSA on no other.
func schemeFitsCurve(p *wire.Public) bool {
	scheme := p.Parms.Scheme.Alg
	if !onCurve25519(&p.Parms) {
		return !isEdDSA(scheme)
	}
	switch p.Attributes & (wire.ObjectSignEncrypt | wire.ObjectDecrypt) {
	case wire.ObjectSignEncrypt:
		return isEdDSA(scheme)
	case wire.ObjectDecrypt:
		return scheme == wire.AlgECDH || storesChildren(p)
	}
	return false
}

// check25519Parms refuses parameters that no attributes of a key go with: TPM_RC_SCHEME
// for a scheme of another curve, TPM_RC_KDF for HKDF with a hash or scheme that DHKEM does
// not have.
func check25519Parms(p *wire.PublicParms) wire.RC {
	key := wire.Public{Parms: *p, Attributes: wire.ObjectDecrypt}
	scheme := p.Scheme.Alg
	switch {
	case p.Type != wire.AlgECC:
	case onCurve25519(p) && scheme != wire.AlgNull && scheme != wire.AlgECDH && !isEdDSA(scheme):
		return wire.RCScheme
	case !onCurve25519(p) && isEdDSA(scheme):
		return wire.RCScheme
	case p.KDF.Alg == wire.AlgHKDF && !isDHKEM(&key):
		return wire.RCKDF
	}
	return wire.RCSuccess
}

// public25519 is the public key that belongs to a private one.
func public25519(p *wire.PublicParms, private []byte) ([]byte, error) {
	if isEdDSA(p.Scheme.Alg) {
		return crypt.Ed25519Public(private)
	}
	return crypt.X25519Public(private)
}

// make25519Key makes the private key with one Read of the generator, and the point.
func make25519Key(o *creation, s *wire.Sensitive) wire.RC {
	s.Data = make([]byte, crypt.Curve25519Key)
	if _, err := o.gen.Read(s.Data); err != nil {
		return rcOf(err)
	}
	x, err := public25519(&o.public.Parms, s.Data)
	if err != nil {
		return rcOf(err)
	}
	o.public.Point = wire.ECPoint{X: x}
	return wire.RCSuccess
}

// check25519Key is checkECCKey for the curve. A point in another form is no point (version
// 185, Part 1, section "Public Points").
func (c *call) check25519Key(p *wire.Public, s *wire.Sensitive, public int) wire.RC {
	if s == nil {
		if len(p.Point.X) != crypt.Curve25519Key || len(p.Point.Y) != 0 {
			return c.badParam(public, wire.RCECCPoint)
		}
		check := crypt.CheckX25519
		if isEdDSA(p.Parms.Scheme.Alg) {
			check = crypt.CheckEd25519
		}
		if check(p.Point.X) != nil && p.NameAlg != wire.AlgNull {
			return c.badParam(public, wire.RCECCPoint)
		}
		return wire.RCSuccess
	}
	made, err := public25519(&p.Parms, s.Data)
	switch {
	case err != nil:
		return wire.RCKeySize
	case p.NameAlg == wire.AlgNull: // the public point is not used
		return wire.RCSuccess
	case !bytes.Equal(p.Point.X, made) || len(p.Point.Y) != 0:
		return wire.RCBinding
	}
	return wire.RCSuccess
}

// agree25519 is the secret of a private key and somebody else's point: TPM_RC_ECC_POINT
// for what is none, and for one of low order.
func agree25519(private []byte, p *wire.ECPoint) ([]byte, wire.RC) {
	if len(p.Y) != 0 {
		return nil, wire.RCECCPoint
	}
	z, err := crypt.X25519(private, p.X)
	if err != nil {
		return nil, rcOf(err)
	}
	return z, wire.RCSuccess
}

// ephemeral25519 makes an ephemeral key and the secret that it shares with a key: false
// for one that shares none, and then nothing was drawn.
func (t *TPM) ephemeral25519(key *object) (z, public []byte, ok bool) {
	p := &key.public
	if isEdDSA(p.Parms.Scheme.Alg) || crypt.CheckX25519(p.Point.X) != nil {
		return nil, nil, false
	}
	private := make([]byte, crypt.Curve25519Key)
	t.drbg().Read(private)
	public, err := crypt.X25519Public(private)
	if err != nil {
		return nil, nil, false
	}
	z, err = crypt.X25519(private, p.Point.X)
	return z, public, err == nil
}

// encrypt25519Secret is encryptSecret for a key of the curve.
func (t *TPM) encrypt25519Secret(key *object, label string) (seed, secret []byte, rc wire.RC) {
	z, public, ok := t.ephemeral25519(key)
	if !ok {
		return nil, nil, wire.RCKey
	}
	var w wire.Writer
	w.Point(&wire.ECPoint{X: public})
	alg := key.public.NameAlg
	return crypt.KDFe(alg, z, label, public, key.public.Point.X, crypt.HashSize(alg)*8), w.Data(), wire.RCSuccess
}

// x25519KeyGen is TPM2_ECDH_KeyGen with a key of the curve, which must not be one that
// signs: its point has other coordinates.
func (t *TPM) x25519KeyGen(c *call, key *object) wire.RC {
	z, public, ok := t.ephemeral25519(key)
	if !ok {
		return c.badHandle(1, wire.RCKey)
	}
	c.out.SizedPoint(&wire.ECPoint{X: z})
	c.out.SizedPoint(&wire.ECPoint{X: public})
	return wire.RCSuccess
}

// x25519ZGen is TPM2_ECDH_ZGen with a key of the curve.
func x25519ZGen(c *call, key *object, in *wire.ECPoint) wire.RC {
	z, rc := agree25519(key.sensitive.Data, in)
	if rc != wire.RCSuccess {
		return c.badParam(1, rc)
	}
	c.out.SizedPoint(&wire.ECPoint{X: z})
	return wire.RCSuccess
}

// eddsaInput is what a scheme of EdDSA signs of a message: itself, or its digest.
func eddsaInput(alg wire.AlgID, message []byte) []byte {
	if alg == wire.AlgHashEdDSA {
		return crypt.Digest(hashOfEd25519, nil, message)
	}
	return message
}

// signEdDSA signs what eddsaInput gives with a key that has its sensitive area. There is
// nothing random in it.
func (o *object) signEdDSA(input []byte) (wire.Signature, wire.RC) {
	s := wire.Signature{Alg: o.messageAlg(), Hash: wire.AlgNull}
	if o.ed25519 == nil {
		k, err := crypt.NewEd25519Key(o.sensitive.Data)
		if err != nil {
			return s, rcOf(err)
		}
		o.ed25519 = k
	}
	if s.Alg == wire.AlgEdDSA {
		s.Bytes = o.ed25519.Sign(input)
		return s, wire.RCSuccess
	}
	var err error
	if s.Bytes, err = o.ed25519.SignPrehashed(input); err != nil {
		return s, rcOf(err)
	}
	return s, wire.RCSuccess
}

// verifyEdDSA is verifyMu for EdDSA, with what eddsaInput gives.
func (o *object) verifyEdDSA(input []byte, s *wire.Signature) wire.RC {
	if s.Alg != o.messageAlg() {
		return wire.RCScheme
	}
	verify := crypt.VerifyEd25519
	if s.Alg == wire.AlgHashEdDSA {
		verify = crypt.VerifyEd25519ph
	}
	if !verify(o.public.Point.X, input, s.Bytes) {
		return wire.RCSignature
	}
	return wire.RCSuccess
}

// curve25519Detail has the answer of TPM2_ECC_Parameters: the numbers of RFC 7748,
// section 4.1, for B·y² = x³ + A·x² + x, big-endian as those of other curves.
func curve25519Detail() *wire.ECCDetail {
	number := func(n *big.Int) []byte { return n.FillBytes(make([]byte, crypt.Curve25519Key)) }
	p := new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 255), big.NewInt(19))
	y, _ := new(big.Int).SetString("14781619447589544791020593568409986887264606134616475288964881837755586237401", 10)
	order, _ := new(big.Int).SetString("27742317777372353535851937790883648493", 10)
	order.Add(order, new(big.Int).Lsh(big.NewInt(1), 252))
	none := wire.Scheme{Alg: wire.AlgNull, Hash: wire.AlgNull}
	return &wire.ECCDetail{
		CurveID: wire.CurveCurve25519, KeySize: 8 * crypt.Curve25519Key, KDF: none, Sign: none,
		P: number(p), A: number(big.NewInt(486662)), B: number(big.NewInt(1)),
		Gx: number(big.NewInt(9)), Gy: number(y), N: number(order), H: []byte{8},
	}
}
