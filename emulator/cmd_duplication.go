package emulator

import (
	"bytes"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Duplication Commands" (Part 1, section "Duplication"). A
// duplicate is a sensitive area with up to two wrappers: the inner one with a
// key that both ends know, the outer one with a seed for the new parent.

// innerWrapper is the inner wrapper of a duplicate: a hash of the sensitive area
// and the Name in front of it, all encrypted. Without an algorithm there is
// none.
type innerWrapper struct {
	sym wire.SymDef
	key []byte
}

// keySize is the size in bytes of the key, 0 without wrapper.
func (n *innerWrapper) keySize() int {
	if n.sym.Alg == wire.AlgNull {
		return 0
	}
	return int(n.sym.KeyBits+7) / 8
}

// wrap puts the wrapper around the sensitive area of the object with the Name.
func (n *innerWrapper) wrap(name, sensitive []byte) []byte {
	if n.sym.Alg == wire.AlgNull {
		return sensitive
	}
	w := wire.NewWriter(make([]byte, 0, 2+wire.MaxDigest+len(sensitive)))
	w.Sized(innerIntegrity(name, sensitive))
	w.Bytes(sensitive)
	b := w.Data()
	cryptCFB(crypt.Encrypt, objectCipher(n.sym, n.key), nil, b)
	return b
}

// unwrap is the inverse of wrap. What it is given stays as it is: it may be the
// command, which is hashed later. The codes it fails with are bare.
func (n *innerWrapper) unwrap(t *TPM, name, wrapped []byte) ([]byte, wire.RC) {
	if n.sym.Alg == wire.AlgNull {
		return wrapped, wire.RCSuccess
	}
	plain := bytes.Clone(wrapped)
	cryptCFB(crypt.Decrypt, objectCipher(n.sym, n.key), nil, plain)
	r := wire.NewReader(plain, t.algs.Selectors())
	integrity := r.Digest()
	if rc := r.RC(); rc != wire.RCSuccess {
		return nil, rc
	}
	if !equalSecret(integrity, innerIntegrity(name, r.Rest())) {
		return nil, wire.RCIntegrity
	}
	return r.Rest(), wire.RCSuccess
}

// innerIntegrity is the digest over a sensitive area and the Name, with the
// nameAlg of the object (Part 1, section "Inner Duplication Wrapper").
func innerIntegrity(name, sensitive []byte) []byte {
	b := append(append(make([]byte, 0, len(sensitive)+len(name)), sensitive...), name...)
	return crypt.Digest(nameAlgOf(name), nil, b)
}

// duplicate is TPM2_Duplicate.
func (t *TPM) duplicate(c *call) wire.RC {
	inner := innerWrapper{key: c.data()}
	inner.sym = c.next().SymDefObject(true)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	o, newParent := c.entities[0].object, c.entities[1].object
	if rc := c.checkDuplicate(o, newParent, &inner); rc != wire.RCSuccess {
		return rc
	}
	var seed, secret []byte
	if newParent != nil {
		var rc wire.RC
		if seed, secret, rc = t.encryptSecret(newParent, labelDuplicate); rc != wire.RCSuccess {
			return rc
		}
	}
	var made []byte
	if len(inner.key) == 0 {
		made = make([]byte, inner.keySize())
		t.drbg().Read(made)
		inner.key = made
	}
	duplicate := inner.wrap(o.Name, marshalSensitive(&o.sensitive, o.public.NameAlg))
	if newParent != nil {
		outer := seedWrapper(newParent, o.Name, seed)
		duplicate = t.wrap(&outer, duplicate)
	}
	c.out.Sized(made)
	c.out.Sized(duplicate)
	c.out.Sized(secret)
	return wire.RCSuccess
}

// checkDuplicate checks whether an object can be duplicated so. Without
// newParent it is to have no outer wrapper. That the object has a nameAlg need
// not be checked: without one it has no policy which a session could fulfill.
func (c *call) checkDuplicate(o, newParent *object, inner *innerWrapper) wire.RC {
	switch {
	case o.has(wire.ObjectFixedParent):
		return c.badHandle(1, wire.RCAttributes)
	case newParent != nil && !newParent.storageKey():
		return c.badHandle(2, wire.RCType)
	}
	if o.has(wire.ObjectEncryptedDuplication) {
		if inner.sym.Alg == wire.AlgNull {
			return c.badParam(2, wire.RCSymmetric)
		}
		if newParent == nil {
			return c.badHandle(2, wire.RCHierarchy)
		}
	}
	if len(inner.key) != 0 && len(inner.key) != inner.keySize() {
		return c.badParam(1, wire.RCSize)
	}
	return wire.RCSuccess
}

// rewrap is TPM2_Rewrap: another outer wrapper in place of the one that a
// duplicate has, or none. What is in it does not come to light.
func (t *TPM) rewrap(c *call) wire.RC {
	duplicate := c.sized(wire.MaxPrivate)
	name := c.sized(wire.MaxName)
	secret := c.next().EncryptedSecret()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	oldParent, newParent := c.entities[0].object, c.entities[1].object
	if (oldParent == nil) != (len(secret) == 0) {
		return c.badHandle(1, wire.RCHandle)
	}
	if oldParent != nil {
		if !oldParent.storageKey() {
			return c.badHandle(1, wire.RCType)
		}
		seed, rc := t.decryptSecret(oldParent, labelDuplicate, secret)
		if rc != wire.RCSuccess {
			return c.badParam(3, wire.RCValue)
		}
		outer := seedWrapper(oldParent, name, seed)
		if duplicate, rc = t.unwrap(&outer, duplicate); rc != wire.RCSuccess {
			return c.badParam(1, rc)
		}
	}
	secret = nil
	if newParent != nil {
		var rc wire.RC
		if duplicate, secret, rc = t.rewrapFor(c, newParent, name, duplicate); rc != wire.RCSuccess {
			return rc
		}
	}
	c.out.Sized(duplicate)
	c.out.Sized(secret)
	return wire.RCSuccess
}

// rewrapFor puts the outer wrapper for a new parent around a duplicate.
func (t *TPM) rewrapFor(c *call, newParent *object, name, duplicate []byte) (wrapped, secret []byte, rc wire.RC) {
	if !newParent.storageKey() {
		return nil, nil, c.badHandle(2, wire.RCType)
	}
	if len(duplicate)+2+crypt.HashSize(newParent.public.NameAlg) > wire.MaxPrivate {
		return nil, nil, c.badParam(1, wire.RCValue)
	}
	seed, secret, rc := t.encryptSecret(newParent, labelDuplicate)
	if rc != wire.RCSuccess {
		return nil, nil, rc
	}
	outer := seedWrapper(newParent, name, seed)
	return t.wrap(&outer, duplicate), secret, wire.RCSuccess
}

// importObject is TPM2_Import: a duplicate becomes the private area of a child.
func (t *TPM) importObject(c *call) wire.RC {
	inner := innerWrapper{key: c.data()}
	var public wire.Public
	c.next().SizedPublic(&public, false)
	duplicate := c.sized(wire.MaxPrivate)
	secret := c.next().EncryptedSecret()
	inner.sym = c.next().SymDefObject(true)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	parent := c.entities[0].object
	if rc := c.checkImport(parent, &public, &inner, secret); rc != wire.RCSuccess {
		return rc
	}
	name := t.publicName(&public)
	if len(secret) != 0 {
		seed, rc := t.decryptSecret(parent, labelDuplicate, secret)
		if rc != wire.RCSuccess {
			return c.badParam(4, rc)
		}
		outer := seedWrapper(parent, name, seed)
		if duplicate, rc = t.unwrap(&outer, duplicate); rc != wire.RCSuccess {
			return c.badParam(3, rc)
		}
	}
	plain, rc := inner.unwrap(t, name, duplicate)
	if rc != wire.RCSuccess {
		return c.badParam(3, rc)
	}
	s, rc := t.decodeSensitive(plain)
	if rc != wire.RCSuccess {
		return c.badParam(3, rc)
	}
	// What a fixedTPM parent protects is not checked again when it is loaded.
	if parent.has(wire.ObjectFixedTPM) {
		if rc := c.checkLoad(nil, &public, &s, 2, 3); rc != wire.RCSuccess {
			return rc
		}
	}
	c.out.Sized(t.wrapSensitive(parent, name, &s))
	return wire.RCSuccess
}

// checkImport checks what can be told of an import before anything is
// decrypted. What a TPM does not let out unwrapped it does not take so either.
func (c *call) checkImport(parent *object, public *wire.Public, inner *innerWrapper, secret []byte) wire.RC {
	encrypted := public.Attributes&wire.ObjectEncryptedDuplication != 0
	switch {
	case public.Attributes&(wire.ObjectFixedTPM|wire.ObjectFixedParent) != 0:
		return c.badParam(2, wire.RCAttributes)
	case !parent.isStorageParent():
		return c.badHandle(1, wire.RCType)
	case len(inner.key) != inner.keySize():
		return c.badParam(1, wire.RCSize)
	case encrypted && inner.sym.Alg == wire.AlgNull:
		return c.badParam(1, wire.RCAttributes)
	case len(secret) != 0 && !parent.asymmetric():
		return c.badHandle(1, wire.RCType) // it cannot be sent a secret
	case encrypted && len(secret) == 0:
		return c.badParam(4, wire.RCAttributes)
	}
	return wire.RCSuccess
}
