package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// TPM2_Encapsulate and TPM2_Decapsulate (version 185; Part 3, chapter "Asymmetric
// Primitives").

// encapsulate is TPM2_Encapsulate. The public area of a key is enough, and its attributes
// are not looked at.
func (t *TPM) encapsulate(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	key := c.entities[0].object
	if !key.encapsulates() {
		return c.badHandle(1, wire.RCKey)
	}
	shared, ciphertext, rc := t.encapsulateTo(key)
	if rc != wire.RCSuccess {
		return c.badHandle(1, rc)
	}
	c.out.Sized(shared)
	c.out.Sized(ciphertext)
	return wire.RCSuccess
}

// encapsulateTo makes a secret and its ciphertext for a key that encapsulates. The code it
// fails with is bare and belongs to the key; then nothing was drawn.
func (t *TPM) encapsulateTo(key *object) (shared, ciphertext []byte, rc wire.RC) {
	var err error
	if p := &key.public; p.Parms.Type == wire.AlgECC {
		k, notOne := crypt.NewDHKEM(p.Parms.Curve, p.Parms.KDF.Hash)
		if notOne != nil {
			return nil, nil, rcOf(notOne)
		}
		shared, ciphertext, err = k.Encapsulate(t.drbg(), p.Point.X, p.Point.Y)
	} else {
		k, rc := key.mlkemPublic()
		if rc != wire.RCSuccess {
			return nil, nil, wire.RCKey
		}
		shared, ciphertext, err = k.Encapsulate(t.drbg())
	}
	if err != nil {
		return nil, nil, rcOf(err)
	}
	return shared, ciphertext, wire.RCSuccess
}

// encapsulates reports whether an object is a key that secrets can be encapsulated to: one
// of ML-KEM, or an ECC key for DHKEM.
func (o *object) encapsulates() bool {
	return o.loaded() && (o.public.Parms.Type == wire.AlgMLKEM || isDHKEM(&o.public))
}

// isDHKEM reports whether a key is one for DHKEM: an unrestricted key for ECDH, with HKDF
// and the hash that RFC 9180 has for its curve (version 185, Part 1, section on DHKEM).
func isDHKEM(p *wire.Public) bool {
	const uses = wire.ObjectSignEncrypt | wire.ObjectDecrypt | wire.ObjectRestricted
	if p.Parms.Type != wire.AlgECC || p.Parms.KDF.Alg != wire.AlgHKDF {
		return false
	}
	_, err := crypt.NewDHKEM(p.Parms.Curve, p.Parms.KDF.Hash)
	return err == nil && p.Parms.Scheme.Alg == wire.AlgECDH && p.Attributes&uses == wire.ObjectDecrypt
}

// decapsulate is TPM2_Decapsulate. A ciphertext of ML-KEM of the right size always gives a
// secret: who has sent something else gets one that nobody knows (FIPS 203, implicit
// rejection). One of DHKEM is a point.
func (t *TPM) decapsulate(c *call) wire.RC {
	ciphertext := c.next().KEMCiphertext()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	key := c.entities[0].object
	switch {
	case !key.encapsulates():
		return c.badHandle(1, wire.RCKey)
	case key.has(wire.ObjectRestricted) || !key.has(wire.ObjectDecrypt):
		return c.badHandle(1, wire.RCAttributes)
	case key.public.Parms.Type == wire.AlgECC:
		return decapsulatePoint(c, key, ciphertext)
	case len(ciphertext) != key.public.Parms.MLKEM.CiphertextSize():
		return c.badParam(1, wire.RCSize)
	}
	k, rc := key.mlkemKey()
	if rc != wire.RCSuccess {
		return rc
	}
	shared, err := k.Decapsulate(ciphertext)
	if err != nil {
		return rcOf(err)
	}
	c.out.Sized(shared)
	return wire.RCSuccess
}

// decapsulatePoint is TPM2_Decapsulate with a key for DHKEM.
func decapsulatePoint(c *call, key *object, ciphertext []byte) wire.RC {
	k, err := crypt.NewDHKEM(key.public.Parms.Curve, key.public.Parms.KDF.Hash)
	if err != nil {
		return c.badHandle(1, rcOf(err))
	}
	if len(ciphertext) != k.CiphertextSize() {
		return c.badParam(1, wire.RCSize)
	}
	shared, err := k.Decapsulate(key.sensitive.Data, ciphertext)
	if err != nil {
		if rc := rcOf(err); rc != wire.RCECCPoint {
			return rc
		}
		return c.badParam(1, wire.RCECCPoint)
	}
	c.out.Sized(shared)
	return wire.RCSuccess
}
