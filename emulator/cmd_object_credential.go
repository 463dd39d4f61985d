package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Object Commands": credentials (Part 1, section "Credential
// Protection").

// storageKey reports whether an object is an asymmetric key that protects others
// and can be sent secrets. The public area is enough for it.
func (o *object) storageKey() bool {
	return o.asymmetric() && o.has(wire.ObjectRestricted|wire.ObjectDecrypt) && !o.has(wire.ObjectSignEncrypt) &&
		o.public.NameAlg != wire.AlgNull && o.public.Parms.Sym.Alg != wire.AlgNull
}

// makeCredential is TPM2_MakeCredential: a credential for the TPM that has the
// private part of the key, and for the object with the Name. It needs nothing
// that only this TPM knows.
func (t *TPM) makeCredential(c *call) wire.RC {
	credential := c.digest()
	name := c.sized(wire.MaxName)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	key := c.entities[0].object
	if !key.storageKey() {
		return c.badHandle(1, wire.RCType)
	}
	if len(credential) > t.algs.DigestSize(key.public.NameAlg) {
		return c.badParam(1, wire.RCSize)
	}
	seed, secret, rc := t.encryptSecret(key, labelIdentity)
	if rc != wire.RCSuccess {
		return rc
	}
	w := wire.NewWriter(make([]byte, 0, 2+wire.MaxDigest))
	w.Sized(credential)
	o := seedWrapper(key, name, seed)
	c.out.Sized(t.wrap(&o, w.Data()))
	c.out.Sized(secret)
	return wire.RCSuccess
}

// activateCredential is TPM2_ActivateCredential: what is in a credential for the
// object of the first handle.
func (t *TPM) activateCredential(c *call) wire.RC {
	blob := c.sized(wire.MaxIDObject)
	secret := c.next().EncryptedSecret()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	object, key := c.entities[0].object, c.entities[1].object
	if !key.storageKey() {
		return c.badHandle(2, wire.RCType)
	}
	seed, rc := t.decryptSecret(key, labelIdentity, secret)
	if rc != wire.RCSuccess {
		return c.badParam(2, rc)
	}
	o := seedWrapper(key, object.Name, seed)
	plain, rc := t.unwrap(&o, blob)
	if rc != wire.RCSuccess {
		return c.badParam(1, rc)
	}
	r := wire.NewReader(plain, t.algs.Selectors())
	credential := r.Digest()
	if r.Len() != 0 {
		r.Fail(wire.RCSize)
	}
	if rc := r.RC(); rc != wire.RCSuccess {
		return c.badParam(1, rc)
	}
	c.out.Sized(credential)
	return wire.RCSuccess
}
