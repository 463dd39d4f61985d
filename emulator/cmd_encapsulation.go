package emulator

import (
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
	k, rc := key.mlkemPublic()
	if rc != wire.RCSuccess {
		return c.badHandle(1, wire.RCKey)
	}
	shared, ciphertext, err := k.Encapsulate(t.drbg())
	if err != nil {
		return rcOf(err)
	}
	c.out.Sized(shared)
	c.out.Sized(ciphertext)
	return wire.RCSuccess
}

// encapsulates reports whether an object is a key that secrets can be encapsulated to.
func (o *object) encapsulates() bool { return o.loaded() && o.public.Parms.Type == wire.AlgMLKEM }

// decapsulate is TPM2_Decapsulate. A ciphertext of the right size always gives a secret:
// who has sent something else gets one that nobody knows (FIPS 203, implicit rejection).
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
