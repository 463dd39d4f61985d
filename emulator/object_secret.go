package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// The secrets of new objects (Part 1, chapter "Object Creation"). Codes are bare,
// as the reference has them.

// lineage is whose primary keys are made. The lineages differ in a few RSA keys
// of 3,072 bits and more.
const lineage = crypt.LineageLibtpms

// makeOrdinary is makeObject with the random numbers of the TPM. A creation that
// fails takes none.
func (t *TPM) makeOrdinary(o *creation) (wire.Sensitive, wire.RC) {
	gen := *t.drbg()
	o.gen = &gen
	s, rc := t.makeObject(o)
	if rc == wire.RCSuccess {
		*t.drbg() = gen
	}
	return s, rc
}

// makeObject makes the sensitive area of an object, and sets unique in its public
// area. It takes the key from the generator and then the seed value, which has
// the size of a digest.
func (t *TPM) makeObject(o *creation) (wire.Sensitive, wire.RC) {
	p := &o.public
	s := wire.Sensitive{Type: p.Parms.Type, Auth: o.auth}
	if p.Attributes&wire.ObjectSensitiveDataOrigin != 0 {
		o.data = nil // it has served for the generator
	}
	if rc := t.makeKey(o, &s); rc != wire.RCSuccess {
		return s, rc
	}
	symmetric, parent := symmetricType(p.Parms.Type), storesChildren(p)
	if o.single && !symmetric && !parent {
		return s, wire.RCSuccess // there is no use for a seed value
	}
	for _, proof := range o.proofs {
		o.gen.(*crypt.DRBGState).Stir(proof)
	}
	s.Seed = make([]byte, crypt.HashSize(p.NameAlg))
	if _, err := o.gen.Read(s.Seed); err != nil {
		return s, rcOf(err)
	}
	if symmetric {
		p.Unique = symmetricUnique(p, &s)
	} else if !parent {
		s.Seed = nil
	}
	return s, wire.RCSuccess
}

// makeKey makes the secret of an object, and the unique of an asymmetric one.
func (t *TPM) makeKey(o *creation, s *wire.Sensitive) wire.RC {
	p := &o.public
	switch p.Parms.Type {
	case wire.AlgRSA:
		return t.makeRSAKey(o, s)
	case wire.AlgECC:
		if m := montgomery(&p.Parms); m != nil {
			return makeMontgomeryKey(m, o, s)
		}
		curve := crypt.CurveOf(p.Parms.Curve)
		d, q, err := curve.GenerateKey(o.gen)
		if err != nil {
			return rcOf(err)
		}
		p.Point.X, p.Point.Y = curve.EncodePoint(q)
		s.Data = curve.EncodeScalar(d)
		return wire.RCSuccess
	case wire.AlgMLKEM, wire.AlgMLDSA, wire.AlgHashMLDSA:
		return makeLatticeKey(o, s)
	}
	if len(o.data) != 0 {
		s.Data = o.data
		return checkCreatorSecret(p, len(o.data))
	}
	s.Data = make([]byte, generatedSecret(p))
	if _, err := o.gen.Read(s.Data); err != nil {
		return rcOf(err)
	}
	return wire.RCSuccess
}

// makeRSAKey makes an RSA key, which takes long.
func (t *TPM) makeRSAKey(o *creation, s *wire.Sensitive) wire.RC {
	p := &o.public
	var err error
	p.Unique, s.Data, err = o.known.Make(o.gen.(*crypt.DRBGState), int(p.Parms.KeyBits),
		crypt.RSAOptions{Exponent: p.Parms.Exponent, Lineage: lineage, Canceled: t.canceled})
	if err != nil {
		return rcOf(err)
	}
	return wire.RCSuccess
}

// secretHash is the hash that limits the secret of a KEYEDHASH object: that of
// its scheme, and without one nameAlg.
func secretHash(p *wire.Public) wire.AlgID {
	if p.Parms.Scheme.Alg == wire.AlgNull {
		return p.NameAlg
	}
	return p.Parms.Scheme.Hash
}

// checkCreatorSecret checks the size in bytes of a secret that the creator of an
// object brings: TPM_RC_KEY_SIZE for a SYMCIPHER key of another size than the
// template says, TPM_RC_SIZE for the key of an HMAC that is longer than a block
// of its hash. Sealed data are of any size that decodes.
func checkCreatorSecret(p *wire.Public, n int) wire.RC {
	switch {
	case p.Parms.Type == wire.AlgSymCipher:
		if n != int(p.Parms.Sym.KeyBits)/8 {
			return wire.RCKeySize
		}
	case p.Attributes&(wire.ObjectSignEncrypt|wire.ObjectDecrypt) == 0:
	case n > crypt.BlockSize(secretHash(p)):
		return wire.RCSize
	}
	return wire.RCSuccess
}

// generatedSecret is the size in bytes of a secret that the TPM makes: that of
// the key, or of a digest.
func generatedSecret(p *wire.Public) int {
	if p.Parms.Type == wire.AlgSymCipher {
		return int(p.Parms.Sym.KeyBits) / 8
	}
	return crypt.HashSize(secretHash(p))
}
