package emulator

import (
	"bytes"
	"math/big"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Keys of TPM_ECC_CURVE_25519 and TPM_ECC_CURVE_448 (version 185; Part 1, annex "ECC",
// sections on EdDSA and on Montgomery curves). The scheme says which of two forms of the
// curve, in different coordinates, a key is of: EdDSA and HashEdDSA sign with Ed25519 and
// Ed448 (RFC 8032), all other keys agree on secrets with X25519 and X448 (RFC 7748). x is a
// little-endian string of the size that the RFCs have, y is empty; the sensitive part is
// the string that the RFCs make the scalar from.

// montgomery is the curve of a key, nil for another kind of curve or key.
func montgomery(p *wire.PublicParms) *crypt.MontgomeryCurve {
	if p.Type != wire.AlgECC {
		return nil
	}
	return crypt.MontgomeryCurveOf(p.Curve)
}

// isEdDSA reports whether a scheme is one of the two of EdDSA.
func isEdDSA(alg wire.AlgID) bool { return alg == wire.AlgEdDSA || alg == wire.AlgHashEdDSA }

// schemeFitsCurve reports whether the scheme of an ECC key is one of its curve (Part 2,
// table of TPMS_ECC_PARMS): on curves 25519 and 448 only EdDSA and ECDH, of which all keys
// but storage keys must name one; EdDSA on no other.
func schemeFitsCurve(p *wire.Public) bool {
	scheme := p.Parms.Scheme.Alg
	if montgomery(&p.Parms) == nil {
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

// checkCurveParms refuses parameters that no attributes of a key go with: TPM_RC_SCHEME
// for a scheme of another curve, TPM_RC_KDF for HKDF with a hash or scheme that DHKEM does
// not have.
func checkCurveParms(p *wire.PublicParms) wire.RC {
	key := wire.Public{Parms: *p, Attributes: wire.ObjectDecrypt}
	scheme := p.Scheme.Alg
	switch {
	case p.Type != wire.AlgECC:
	case montgomery(p) != nil && scheme != wire.AlgNull && scheme != wire.AlgECDH && !isEdDSA(scheme):
		return wire.RCScheme
	case montgomery(p) == nil && isEdDSA(scheme):
		return wire.RCScheme
	case p.KDF.Alg == wire.AlgHKDF && !isDHKEM(&key):
		return wire.RCKDF
	}
	return wire.RCSuccess
}

// montgomeryKeySize is the size in bytes of both parts of a key of a curve.
func montgomeryKeySize(m *crypt.MontgomeryCurve, p *wire.PublicParms) int {
	if isEdDSA(p.Scheme.Alg) {
		return m.SigningSize()
	}
	return m.ExchangeSize()
}

// montgomeryPublic is the public key that belongs to a private one.
func montgomeryPublic(m *crypt.MontgomeryCurve, p *wire.PublicParms, private []byte) ([]byte, error) {
	if isEdDSA(p.Scheme.Alg) {
		return m.EdDSAPublic(private)
	}
	return m.ExchangePublic(private)
}

// makeMontgomeryKey makes the private key with one Read of the generator, and the point.
func makeMontgomeryKey(m *crypt.MontgomeryCurve, o *creation, s *wire.Sensitive) wire.RC {
	s.Data = make([]byte, montgomeryKeySize(m, &o.public.Parms))
	if _, err := o.gen.Read(s.Data); err != nil {
		return rcOf(err)
	}
	if isEdDSA(o.public.Parms.Scheme.Alg) {
		k, err := m.NewEdDSAKey(s.Data)
		if err != nil {
			return rcOf(err)
		}
		o.public.Point, o.eddsa = wire.ECPoint{X: k.Public()}, k
		return wire.RCSuccess
	}
	x, err := m.ExchangePublic(s.Data)
	if err != nil {
		return rcOf(err)
	}
	o.public.Point = wire.ECPoint{X: x}
	return wire.RCSuccess
}

// checkMontgomeryKey is checkECCKey for a key of a curve of theirs. A point in another form
// is no point (version 185, Part 1, section "Public Points").
func (c *call) checkMontgomeryKey(m *crypt.MontgomeryCurve, p *wire.Public, s *wire.Sensitive, public int) wire.RC {
	if s == nil {
		if len(p.Point.X) != montgomeryKeySize(m, &p.Parms) || len(p.Point.Y) != 0 {
			return c.badParam(public, wire.RCECCPoint)
		}
		check := m.CheckExchange
		if isEdDSA(p.Parms.Scheme.Alg) {
			check = m.CheckEdDSA
		}
		if check(p.Point.X) != nil && p.NameAlg != wire.AlgNull {
			return c.badParam(public, wire.RCECCPoint)
		}
		return wire.RCSuccess
	}
	made, err := montgomeryPublic(m, &p.Parms, s.Data)
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

// agreeMontgomery is the secret of a private key and somebody else's point:
// TPM_RC_ECC_POINT for what is none, and for one of low order.
func agreeMontgomery(m *crypt.MontgomeryCurve, private []byte, p *wire.ECPoint) ([]byte, wire.RC) {
	if len(p.Y) != 0 {
		return nil, wire.RCECCPoint
	}
	z, err := m.Exchange(private, p.X)
	if err != nil {
		return nil, rcOf(err)
	}
	return z, wire.RCSuccess
}

// ephemeralMontgomery makes an ephemeral key and the secret that it shares with a key: false
// for one that shares none, and then nothing was drawn.
func (t *TPM) ephemeralMontgomery(m *crypt.MontgomeryCurve, key *object) (z, public []byte, ok bool) {
	p := &key.public
	if isEdDSA(p.Parms.Scheme.Alg) || m.CheckExchange(p.Point.X) != nil {
		return nil, nil, false
	}
	private := make([]byte, m.ExchangeSize())
	t.drbg().Read(private)
	public, err := m.ExchangePublic(private)
	if err != nil {
		return nil, nil, false
	}
	z, err = m.Exchange(private, p.Point.X)
	return z, public, err == nil
}

// encryptMontgomerySecret is encryptSecret for a key of a curve.
func (t *TPM) encryptMontgomerySecret(m *crypt.MontgomeryCurve, key *object, label string) (seed, secret []byte, rc wire.RC) {
	z, public, ok := t.ephemeralMontgomery(m, key)
	if !ok {
		return nil, nil, wire.RCKey
	}
	var w wire.Writer
	w.Point(&wire.ECPoint{X: public})
	alg := key.public.NameAlg
	return crypt.KDFe(alg, z, label, public, key.public.Point.X, crypt.HashSize(alg)*8), w.Data(), wire.RCSuccess
}

// montgomeryKeyGen is TPM2_ECDH_KeyGen with a key of a curve, which must not be one that
// signs: its point has other coordinates.
func (t *TPM) montgomeryKeyGen(m *crypt.MontgomeryCurve, c *call, key *object) wire.RC {
	z, public, ok := t.ephemeralMontgomery(m, key)
	if !ok {
		return c.badHandle(1, wire.RCKey)
	}
	c.out.SizedPoint(&wire.ECPoint{X: z})
	c.out.SizedPoint(&wire.ECPoint{X: public})
	return wire.RCSuccess
}

// montgomeryZGen is TPM2_ECDH_ZGen with a key of a curve.
func montgomeryZGen(m *crypt.MontgomeryCurve, c *call, key *object, in *wire.ECPoint) wire.RC {
	z, rc := agreeMontgomery(m, key.sensitive.Data, in)
	if rc != wire.RCSuccess {
		return c.badParam(1, rc)
	}
	c.out.SizedPoint(&wire.ECPoint{X: z})
	return wire.RCSuccess
}

// eddsaCurve is the curve of a key that signs with EdDSA.
func (o *object) eddsaCurve() *crypt.MontgomeryCurve {
	return crypt.MontgomeryCurveOf(o.public.Parms.Curve)
}

// eddsaInput is what the scheme of an EdDSA key signs of a message: itself, or its digest.
func (o *object) eddsaInput(message []byte) []byte {
	if o.messageAlg() == wire.AlgHashEdDSA {
		return crypt.Digest(o.eddsaCurve().Hash, nil, message)
	}
	return message
}

// signEdDSA signs what eddsaInput gives with a key that has its sensitive area. There is
// nothing random in it.
func (o *object) signEdDSA(input []byte) (wire.Signature, wire.RC) {
	s := wire.Signature{Alg: o.messageAlg(), Hash: wire.AlgNull}
	if o.eddsa == nil {
		k, err := o.eddsaCurve().NewEdDSAKey(o.sensitive.Data)
		if err != nil {
			return s, rcOf(err)
		}
		o.eddsa = k
	}
	if s.Alg == wire.AlgEdDSA {
		s.Bytes = o.eddsa.Sign(input)
		return s, wire.RCSuccess
	}
	var err error
	if s.Bytes, err = o.eddsa.SignPrehashed(input); err != nil {
		return s, rcOf(err)
	}
	return s, wire.RCSuccess
}

// verifyEdDSA is verifyMu for EdDSA, with what eddsaInput gives. A point that is none, of a
// key without a Name, verifies nothing.
func (o *object) verifyEdDSA(input []byte, s *wire.Signature) wire.RC {
	if s.Alg != o.messageAlg() {
		return wire.RCScheme
	}
	if o.eddsaOpen == nil {
		k, err := o.eddsaCurve().NewEdDSAPublicKey(o.public.Point.X)
		if err != nil {
			return wire.RCSignature
		}
		o.eddsaOpen = k
	}
	verify := o.eddsaOpen.Verify
	if s.Alg == wire.AlgHashEdDSA {
		verify = o.eddsaOpen.VerifyPrehashed
	}
	if !verify(input, s.Bytes) {
		return wire.RCSignature
	}
	return wire.RCSuccess
}

// montgomeryDetail has the answer of TPM2_ECC_Parameters: the numbers of RFC 7748, sections
// 4.1 and 4.2, for B·y² = x³ + A·x² + x, big-endian as those of other curves.
func montgomeryDetail(m *crypt.MontgomeryCurve) *wire.ECCDetail {
	number := func(n *big.Int) []byte { return n.FillBytes(make([]byte, m.ExchangeSize())) }
	power := func(n uint) *big.Int { return new(big.Int).Lsh(big.NewInt(1), n) }
	decimal := func(digits string) *big.Int {
		n, _ := new(big.Int).SetString(digits, 10)
		return n
	}
	d := &wire.ECCDetail{CurveID: m.ID, KeySize: uint16(8 * m.ExchangeSize()), B: number(big.NewInt(1)),
		KDF: wire.Scheme{Alg: wire.AlgNull, Hash: wire.AlgNull}, Sign: wire.Scheme{Alg: wire.AlgNull, Hash: wire.AlgNull}}
	if m.ID == wire.CurveCurve25519 {
		p := power(255)
		d.P = number(p.Sub(p, big.NewInt(19)))
		d.A, d.Gx = number(big.NewInt(486662)), number(big.NewInt(9))
		d.Gy = number(decimal("14781619447589544791020593568409986887264606134616475288964881837755586237401"))
		order := decimal("27742317777372353535851937790883648493")
		d.N, d.H = number(order.Add(order, power(252))), []byte{8}
		return d
	}
	p := power(448)
	d.P = number(p.Sub(p, power(224)).Sub(p, big.NewInt(1)))
	d.A, d.Gx = number(big.NewInt(156326)), number(big.NewInt(5))
	d.Gy = number(decimal("355293926785568175264127502063783334808976399387714271831880898435169088786967410002932673765864550910142774147268105838985595290606362"))
	order := decimal("13818066809895115352007386748515426880336692474882178609894547503885")
	d.N, d.H = number(order.Sub(power(446), order)), []byte{4}
	return d
}
