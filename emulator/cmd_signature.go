package emulator

import (
	"math/big"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Signing and Signature Verification".

// signing reports whether a key can sign: no key, that of TPM_RH_NULL, can sign
// nothing, which is what it is asked to do.
func (o *object) signing() bool {
	return o == nil || o.has(wire.ObjectSignEncrypt) && o.public.Parms.Type != wire.AlgSymCipher
}

// anonymous reports whether a scheme keeps the signer unknown (Part 1, section
// "Anonymous Signing"), and so needs a commitment for each signature.
func anonymous(alg wire.AlgID) bool { return alg == wire.AlgECDAA }

// signScheme chooses between the scheme of a key and the one that was asked for;
// false if they contradict each other, or are none for the key. Without a key
// there is none.
func (t *TPM) signScheme(key *object, asked wire.Scheme) (wire.Scheme, bool) {
	if key == nil {
		return wire.Scheme{Alg: wire.AlgNull, Hash: wire.AlgNull}, true
	}
	if alg := key.messageAlg(); alg != wire.AlgNull { // which has no hash
		return wire.Scheme{Alg: alg, Hash: wire.AlgNull, KDF: wire.AlgNull}, asked.Alg == wire.AlgNull || asked.Alg == alg
	}
	own := key.public.Parms.Scheme
	switch {
	case own.Alg == wire.AlgNull:
	case asked.Alg == wire.AlgNull:
		if anonymous(own.Alg) {
			return asked, false // the commitment is not named
		}
		asked = own
	case own.Alg != asked.Alg || own.Hash != asked.Hash:
		return asked, false
	}
	return asked, t.signsWith(key.public.Parms.Type, asked)
}

// signsWith reports whether a scheme is one of a type of keys, with a hash.
func (t *TPM) signsWith(keyType wire.AlgID, s wire.Scheme) bool {
	if t.algs.DigestSize(s.Hash) == 0 {
		return false
	}
	switch s.Alg {
	case wire.AlgRSASSA, wire.AlgRSAPSS:
		return keyType == wire.AlgRSA
	case wire.AlgECDSA, wire.AlgECDAA, wire.AlgSM2, wire.AlgECSchnorr:
		return keyType == wire.AlgECC
	case wire.AlgHMAC:
		return keyType == wire.AlgKeyedHash
	}
	return false
}

// sign is TPM2_Sign. A restricted key signs only what the TPM has hashed itself,
// for which there is a ticket.
func (t *TPM) sign(c *call) wire.RC {
	digest := c.digest()
	asked := c.next().SigScheme(true)
	var ticket wire.Ticket
	c.next().Ticket(&ticket, wire.STHashCheck)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	key := c.entities[0].object
	if !key.signing() {
		return c.badHandle(1, wire.RCKey)
	}
	if key.has(wire.ObjectX509Sign) {
		return c.badHandle(1, wire.RCAttributes)
	}
	if key.signsMessages() {
		return c.badHandle(1, wire.RCScheme) // for TPM2_SignDigest and TPM2_SignSequenceStart
	}
	scheme, ok := t.signScheme(key, asked)
	if !ok {
		return c.badParam(2, wire.RCScheme)
	}
	if len(ticket.Digest) != 0 || key.has(wire.ObjectRestricted) {
		if !t.hashCheckHolds(&ticket, scheme.Hash, digest) {
			return c.badParam(3, wire.RCTicket)
		}
	} else if len(digest) != t.algs.DigestSize(scheme.Hash) {
		return c.badParam(1, wire.RCSize)
	}
	s, rc := t.signDigest(c, key, scheme, digest)
	if rc != wire.RCSuccess {
		return rc
	}
	c.out.Signature(&s)
	return wire.RCSuccess
}

// signDigest signs with a key that has its sensitive area, in a scheme that
// signScheme has chosen; without a key the signature is the NULL one. The code it
// fails with is bare.
func (t *TPM) signDigest(c *call, key *object, scheme wire.Scheme, digest []byte) (wire.Signature, wire.RC) {
	s := wire.Signature{Alg: scheme.Alg, Hash: scheme.Hash}
	if key == nil {
		return s, wire.RCSuccess
	}
	switch key.public.Parms.Type {
	case wire.AlgRSA:
		k, rc := key.rsaKey()
		if rc != wire.RCSuccess {
			return s, rc
		}
		sig, err := crypt.SignRSA(t.drbg(), k, scheme, digest)
		if err != nil {
			return s, rcOf(err)
		}
		s.RSA = sig
		return s, wire.RCSuccess
	case wire.AlgECC:
		return t.signECC(c, key, scheme, digest)
	}
	s.HMAC = crypt.HMAC(scheme.Hash, key.sensitive.Data, digest)
	return s, wire.RCSuccess
}

// signECC signs with an ECC key. ECDAA uses up a commitment, which must not be
// there again after a restart because TPM2_Shutdown has saved it: two signatures
// with one number give the key away.
func (t *TPM) signECC(c *call, key *object, scheme wire.Scheme, digest []byte) (wire.Signature, wire.RC) {
	s := wire.Signature{Alg: scheme.Alg, Hash: scheme.Hash}
	curve, d := key.curve(), key.scalar()
	if curve == nil {
		return s, wire.RCScheme
	}
	var a, b *big.Int
	var err error
	switch scheme.Alg {
	case wire.AlgECDSA:
		a, b, err = curve.SignECDSA(t.drbg(), d, digest)
	case wire.AlgECSchnorr:
		a, b, err = curve.SignECSchnorr(t.drbg(), d, scheme.Hash, digest)
	case wire.AlgSM2:
		a, b, err = curve.SignSM2(t.drbg(), d, digest)
	case wire.AlgECDAA:
		r, ok := t.commitNumber(curve, key.Name, scheme.Count)
		if !ok {
			return s, wire.RCValue
		}
		if rc := t.orderlyChangeable(); rc != wire.RCSuccess {
			return s, rc
		}
		s.R, b, err = curve.SignECDAA(t.drbg(), d, r, scheme.Hash, digest)
		if err == nil {
			t.endCommit(scheme.Count)
			t.withdrawShutdown()
		}
	}
	if err != nil {
		return s, rcOf(err)
	}
	if a != nil {
		s.R = curve.EncodeScalar(a)
	}
	s.S = curve.EncodeScalar(b)
	return s, wire.RCSuccess
}

// verifySignature is TPM2_VerifySignature.
func (t *TPM) verifySignature(c *call) wire.RC {
	digest := c.digest()
	var s wire.Signature
	c.next().Signature(&s, false)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	key := c.entities[0].object
	if !key.has(wire.ObjectSignEncrypt) {
		return c.badHandle(1, wire.RCAttributes)
	}
	if key.signsMessages() {
		return c.badHandle(1, wire.RCScheme)
	}
	if rc := t.verify(key, digest, &s); rc != wire.RCSuccess {
		return c.badParam(2, rc)
	}
	ticket := t.verifiedTicket(wire.STVerified, key.Hierarchy, digest, key.Name, 0)
	c.out.Ticket(&ticket)
	return wire.RCSuccess
}

// verify reports whether a signature is that of a digest with a key, of which only
// an HMAC key needs its sensitive area: TPM_RC_SIGNATURE if it is not,
// TPM_RC_SCHEME if it cannot be one, TPM_RC_HANDLE without the sensitive area.
func (t *TPM) verify(key *object, digest []byte, s *wire.Signature) wire.RC {
	own := key.public.Parms.Scheme
	valid := false
	switch key.public.Parms.Type {
	case wire.AlgRSA:
		if s.Alg != wire.AlgRSASSA && s.Alg != wire.AlgRSAPSS {
			return wire.RCScheme
		}
		k, rc := key.rsaPublic()
		if rc != wire.RCSuccess {
			return wire.RCSignature
		}
		valid = crypt.VerifyRSA(k, wire.Scheme{Alg: s.Alg, Hash: s.Hash}, digest, s.RSA)
	case wire.AlgECC:
		return verifyECC(key, digest, s)
	case wire.AlgKeyedHash:
		switch {
		case key.publicOnly():
			return wire.RCHandle
		case s.Alg != wire.AlgHMAC:
			return wire.RCScheme
		case own.Alg != wire.AlgNull && (own.Alg != s.Alg || own.Hash != s.Hash):
			return wire.RCSignature
		}
		valid = equalSecret(s.HMAC, crypt.HMAC(s.Hash, key.sensitive.Data, digest))
	default:
		return wire.RCScheme
	}
	if !valid {
		return wire.RCSignature
	}
	return wire.RCSuccess
}

func verifyECC(key *object, digest []byte, s *wire.Signature) wire.RC {
	curve := key.curve()
	if curve == nil {
		return wire.RCScheme // it signs messages, or nothing
	}
	q, err := curve.DecodePoint(key.public.Point.X, key.public.Point.Y)
	if err != nil {
		return rcOf(err)
	}
	r, b := new(big.Int).SetBytes(s.R), new(big.Int).SetBytes(s.S)
	valid := false
	switch s.Alg {
	case wire.AlgECDSA:
		valid = curve.VerifyECDSA(q, digest, r, b)
	case wire.AlgECSchnorr:
		valid = curve.VerifyECSchnorr(q, s.Hash, digest, r, b)
	case wire.AlgSM2:
		valid = curve.VerifySM2(q, digest, r, b)
	default:
		return wire.RCScheme
	}
	if !valid {
		return wire.RCSignature
	}
	return wire.RCSuccess
}
