package emulator

import (
	"bytes"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// What must hold of the public area of an object, and between it and the
// sensitive area (Part 2, section "TPMA_OBJECT" and chapter "Key/Object Complex";
// Part 3, chapter "Object Commands"). Codes are bare unless said otherwise.

// checkCreation checks a template for an object with the given parent, nil for a
// primary object, and so many bytes of data from its creator.
func (t *TPM) checkCreation(parent *object, p *wire.Public, data int) wire.RC {
	origin := p.Attributes&wire.ObjectSensitiveDataOrigin != 0
	switch {
	case !origin && data == 0:
		return wire.RCAttributes // there would be no data
	case origin && data != 0 && parent != nil:
		return wire.RCAttributes // a primary object takes it for its derivation
	case !origin && !symmetricType(p.Parms.Type):
		return wire.RCAttributes // nobody but a TPM makes asymmetric keys
	case origin && p.Parms.Type == wire.AlgKeyedHash && p.Attributes&(wire.ObjectSignEncrypt|wire.ObjectDecrypt) == 0:
		return wire.RCAttributes // sealed data are somebody's
	case !origin && p.Attributes&wire.ObjectRestricted != 0 && p.Attributes&(wire.ObjectFixedParent|wire.ObjectFixedTPM) != 0:
		return wire.RCAttributes // a parent that is known outside cannot be tied to a TPM
	}
	return t.checkPublic(parent, p)
}

// storesChildren reports whether the attributes of an object are those of a parent.
func storesChildren(p *wire.Public) bool {
	const parent = wire.ObjectRestricted | wire.ObjectDecrypt
	return p.Attributes&parent == parent
}

// symmetricType reports whether objects of a type have a hash of their secret for
// unique.
func symmetricType(alg wire.AlgID) bool { return alg == wire.AlgKeyedHash || alg == wire.AlgSymCipher }

// checkPublic checks the public area of an object with both areas and the given
// parent, nil for a primary or external object.
func (t *TPM) checkPublic(parent *object, p *wire.Public) wire.RC {
	switch {
	case p.NameAlg == wire.AlgNull:
		return wire.RCHash
	case len(p.AuthPolicy) != 0 && len(p.AuthPolicy) != crypt.HashSize(p.NameAlg):
		return wire.RCSize
	}
	if !attributesCoherent(p) || !attributesFit(parent, p.Attributes) || !t.x509SignFits(p) {
		return wire.RCAttributes
	}
	return checkScheme(parent, p)
}

// attributesCoherent reports whether the attributes of an object go together.
func attributesCoherent(p *wire.Public) bool {
	a := p.Attributes
	sign, decrypt := a&wire.ObjectSignEncrypt != 0, a&wire.ObjectDecrypt != 0
	switch {
	case sign == decrypt && a&wire.ObjectRestricted != 0:
		return false
	case !sign && !decrypt && p.Parms.Type != wire.AlgKeyedHash:
		return false // only sealed data do neither
	case a&wire.ObjectFixedTPM != 0 && a&wire.ObjectEncryptedDuplication != 0:
		return false // it is never duplicated
	case a&(wire.ObjectFirmwareLimited|wire.ObjectSVNLimited) != 0:
		return false // there are no such hierarchies here
	}
	return true
}

// x509SignFits reports whether an object can have the attribute x509sign that it has: from
// version 185 on only an asymmetric key that signs. Before, it means nothing to other
// objects, as in the C engines.
func (t *TPM) x509SignFits(p *wire.Public) bool {
	return p.Attributes&wire.ObjectX509Sign == 0 || !t.config.hasVersion185() ||
		p.Attributes&wire.ObjectSignEncrypt != 0 && !symmetricType(p.Parms.Type)
}

// attributesFit reports whether an object with attributes a can be below a parent.
// A primary object is below a seed, which is as good as a parent with fixedTPM.
func attributesFit(parent *object, a wire.ObjectAttributes) bool {
	fixedTPM, fixedParent := a&wire.ObjectFixedTPM != 0, a&wire.ObjectFixedParent != 0
	if parent == nil {
		return fixedParent == fixedTPM
	}
	pa := parent.public.Attributes
	if pa&wire.ObjectFixedTPM != 0 {
		if fixedParent != fixedTPM {
			return false
		}
	} else if fixedTPM || (a^pa)&wire.ObjectEncryptedDuplication != 0 {
		return false
	}
	return fixedParent || !parent.isDerivationParent() // there is no private area that could go
}

// checkScheme checks the algorithms in a public area against its attributes.
func checkScheme(parent *object, p *wire.Public) wire.RC {
	var rc wire.RC
	switch p.Parms.Type {
	case wire.AlgSymCipher:
		rc = checkCipherMode(p)
	case wire.AlgKeyedHash:
		return checkKeyedHashScheme(p) // which has no block cipher
	case wire.AlgMLKEM, wire.AlgMLDSA, wire.AlgHashMLDSA:
		rc = checkLatticeScheme(p)
	default:
		rc = checkAsymmetricScheme(p)
	}
	if rc != wire.RCSuccess || !storesChildren(p) {
		return rc
	}
	return checkProtection(parent, p)
}

// checkCipherMode checks the mode of a SYMCIPHER key: one that decrypts must not
// be for CMAC.
func checkCipherMode(p *wire.Public) wire.RC {
	if p.Attributes&wire.ObjectDecrypt != 0 && p.Parms.Sym.Mode == wire.AlgCMAC {
		return wire.RCScheme
	}
	return wire.RCSuccess
}

// checkKeyedHashScheme checks the scheme of a KEYEDHASH object: HMAC for what
// signs, XOR for what decrypts, none for what does both or neither. Children are
// derived with KDF1_SP800_108, which is the only KDF there is for that.
func checkKeyedHashScheme(p *wire.Public) wire.RC {
	want := wire.AlgNull
	switch p.Attributes & (wire.ObjectSignEncrypt | wire.ObjectDecrypt) {
	case wire.ObjectSignEncrypt:
		want = wire.AlgHMAC
	case wire.ObjectDecrypt:
		want = wire.AlgXOR
	}
	if p.Parms.Scheme.Alg != want {
		return wire.RCScheme
	}
	if want == wire.AlgXOR && p.Attributes&wire.ObjectRestricted != 0 && p.Parms.Scheme.KDF != wire.AlgKDF1_SP800_108 {
		return wire.RCScheme
	}
	return wire.RCSuccess
}

// checkAsymmetricScheme checks the scheme of an RSA or ECC key: one that signs
// if the key does, which for a restricted key there must be, one that decrypts
// if that is what the key does, and none for a parent and for a key that does
// both. Only a parent has a block cipher.
func checkAsymmetricScheme(p *wire.Public) wire.RC {
	if p.Parms.Type == wire.AlgECC && !schemeFitsCurve(p) {
		return wire.RCScheme
	}
	restricted, scheme := p.Attributes&wire.ObjectRestricted != 0, p.Parms.Scheme.Alg
	ok := scheme == wire.AlgNull
	switch p.Attributes & (wire.ObjectSignEncrypt | wire.ObjectDecrypt) {
	case wire.ObjectSignEncrypt:
		ok = ok && !restricted || signs(scheme)
	case wire.ObjectDecrypt:
		ok = ok || !restricted && decrypts(scheme)
	}
	switch {
	case !ok:
		return wire.RCScheme
	case !storesChildren(p) && p.Parms.Sym.Alg != wire.AlgNull:
		return wire.RCSymmetric
	case p.Parms.Type == wire.AlgECC && p.Parms.KDF.Alg != wire.AlgNull && !isDHKEM(p):
		return wire.RCKDF // there is no use for one
	}
	return wire.RCSuccess
}

// signs reports whether a scheme that a key of some type can have is for signing.
func signs(scheme wire.AlgID) bool {
	switch scheme {
	case wire.AlgRSASSA, wire.AlgRSAPSS, wire.AlgECDSA, wire.AlgECDAA, wire.AlgECSchnorr, wire.AlgSM2, wire.AlgEdDSA, wire.AlgHashEdDSA:
		return true
	}
	return false
}

// decrypts reports whether a scheme that a key of some type can have is for
// decryption or key exchange.
func decrypts(scheme wire.AlgID) bool {
	switch scheme {
	case wire.AlgRSAES, wire.AlgOAEP, wire.AlgECDH, wire.AlgECMQV, wire.AlgSM2:
		return true
	}
	return false
}

// checkProtection checks the algorithms with which a storage parent protects
// its children. They must be those of its own parent unless it can be
// duplicated (Part 1, section "Storage Keys").
//
// Whether the mode is CFB, which is used whatever it says, is not checked: the
// reference does not either, so as not to refuse what Windows asks for.
func checkProtection(parent *object, p *wire.Public) wire.RC {
	switch {
	case p.Parms.Sym.Alg == wire.AlgNull:
		return wire.RCSymmetric
	case parent == nil || p.Attributes&wire.ObjectFixedParent == 0:
		return wire.RCSuccess
	case p.NameAlg != parent.public.NameAlg:
		return wire.RCHash
	case p.Parms.Sym != parent.public.Parms.Sym:
		return wire.RCSymmetric
	}
	return wire.RCSuccess
}

// authFits reports whether an authorization value without zeros at its end is not
// longer than the digests of nameAlg, or any that can be without one (Part 1,
// section "Authorization Values").
func authFits(nameAlg wire.AlgID, auth []byte) bool {
	return nameAlg == wire.AlgNull || len(auth) <= crypt.HashSize(nameAlg)
}

// checkLoad checks an object that comes from outside, parameter public for its
// public area and parameter private for its sensitive area, which may be nil:
// first each, then that they belong together. An object that was protected by a
// parent with fixedTPM was made or checked by this TPM. The codes have their
// numbers; the reference gives none to those that are about both parameters.
func (c *call) checkLoad(parent *object, p *wire.Public, s *wire.Sensitive, public, private int) wire.RC {
	if s == nil || p.NameAlg == wire.AlgNull {
		if !c.t.x509SignFits(p) {
			return c.badParam(public, wire.RCAttributes)
		}
		if rc := checkScheme(nil, p); rc != wire.RCSuccess {
			return c.badParam(public, rc)
		}
	} else {
		if len(s.Seed) > crypt.HashSize(p.NameAlg) {
			return c.badParam(private, wire.RCKeySize)
		}
		if rc := c.t.checkPublic(parent, p); rc != wire.RCSuccess {
			return c.badParam(public, rc)
		}
	}
	if parent != nil && parent.has(wire.ObjectFixedTPM) {
		return wire.RCSuccess
	}
	return c.checkKey(p, s, public, private)
}

// checkKey checks unique and the secret of an object, and that they belong
// together.
func (c *call) checkKey(p *wire.Public, s *wire.Sensitive, public, private int) wire.RC {
	digest := crypt.HashSize(p.NameAlg) // 0 for none
	if s != nil {
		if s.Type != p.Parms.Type {
			return c.badParam(private, wire.RCType)
		}
		if digest > 0 && len(s.Auth) > digest {
			return c.badParam(private, wire.RCSize)
		}
	}
	var rc wire.RC
	switch {
	case p.Parms.Type == wire.AlgRSA:
		rc = c.checkRSAKey(p, s, public, private)
	case p.Parms.Type == wire.AlgECC:
		rc = c.checkECCKey(p, s, public)
	case isLattice(p.Parms.Type):
		rc = c.checkLatticeKey(p, s, public)
	case s != nil:
		rc = c.checkSymmetricKey(p, s, private)
	case len(p.Unique) != digest:
		rc = c.badParam(public, wire.RCKey)
	}
	if rc != wire.RCSuccess || s == nil || digest == 0 {
		return rc
	}
	if storesChildren(p) && (len(s.Seed) < digest/2 || len(s.Seed) > digest) {
		return c.badParam(private, wire.RCSize) // its children would be protected too weakly
	}
	return wire.RCSuccess
}

// minExponent is the smallest public exponent of a key that is loaded. The
// reference makes larger ones only.
const minExponent = 7

func (c *call) checkRSAKey(p *wire.Public, s *wire.Sensitive, public, private int) wire.RC {
	size := int(p.Parms.KeyBits) / 8
	switch {
	case len(p.Unique) != size || p.Unique[0]&0x80 == 0:
		return c.badParam(public, wire.RCKey)
	case p.Parms.Exponent != 0 && p.Parms.Exponent < minExponent:
		return c.badParam(public, wire.RCValue)
	case s == nil:
		return wire.RCSuccess
	case 2*len(s.Data) != size || s.Data[0]&0x80 == 0:
		return c.badParam(private, wire.RCKeySize)
	}
	k, err := crypt.NewRSAPublicKey(p.Unique, p.Parms.Exponent)
	if err == nil {
		_, err = crypt.NewRSAPrivateKey(k, s.Data)
	}
	if err != nil {
		return wire.RCBinding
	}
	return wire.RCSuccess
}

func (c *call) checkECCKey(p *wire.Public, s *wire.Sensitive, public int) wire.RC {
	if m := montgomery(&p.Parms); m != nil {
		return c.checkMontgomeryKey(m, p, s, public)
	}
	curve := crypt.CurveOf(p.Parms.Curve)
	if s == nil {
		if len(p.Point.X) != curve.FieldSize() || len(p.Point.Y) != curve.FieldSize() {
			return c.badParam(public, wire.RCKey)
		}
		if _, err := curve.DecodePoint(p.Point.X, p.Point.Y); err != nil && p.NameAlg != wire.AlgNull {
			return c.badParam(public, wire.RCECCPoint)
		}
		return wire.RCSuccess
	}
	d := scalarOf(s)
	if !curve.ValidScalar(d) {
		return wire.RCKeySize
	}
	if p.NameAlg == wire.AlgNull {
		return wire.RCSuccess // the public point is not used
	}
	q := curve.BaseMult(d)
	if !sameNumber(p.Point.X, q.X) || !sameNumber(p.Point.Y, q.Y) {
		return wire.RCBinding
	}
	return wire.RCSuccess
}

func (c *call) checkSymmetricKey(p *wire.Public, s *wire.Sensitive, private int) wire.RC {
	if !secretFits(p, len(s.Data)) {
		return c.badParam(private, wire.RCKeySize)
	}
	if p.NameAlg == wire.AlgNull {
		return wire.RCSuccess
	}
	if len(s.Seed) != crypt.HashSize(p.NameAlg) {
		return c.badParam(private, wire.RCKeySize)
	}
	if !bytes.Equal(p.Unique, symmetricUnique(p, s)) {
		return wire.RCBinding
	}
	return wire.RCSuccess
}

// secretFits reports whether an object can have a secret of so many bytes: a
// SYMCIPHER key the size that it names, a KEYEDHASH object a block of the hash of
// its scheme, and without one as much as can be sealed.
func secretFits(p *wire.Public, n int) bool {
	switch {
	case p.Parms.Type == wire.AlgSymCipher:
		return n == int(p.Parms.Sym.KeyBits)/8
	case p.Parms.Scheme.Alg == wire.AlgNull:
		return n <= wire.MaxSymData
	}
	return n <= crypt.BlockSize(p.Parms.Scheme.Hash)
}

// symmetricUnique is what the unique of a KEYEDHASH or SYMCIPHER object must be:
// a hash of its obfuscation value and secret, for a parent an HMAC (Part 1,
// sections "Public Area of Symmetric Objects" and "Derivation Parents").
func symmetricUnique(p *wire.Public, s *wire.Sensitive) []byte {
	if storesChildren(p) {
		return crypt.HMAC(p.NameAlg, s.Seed, s.Data)
	}
	return crypt.Digest(p.NameAlg, nil, append(append(make([]byte, 0, len(s.Seed)+len(s.Data)), s.Seed...), s.Data...))
}
