package emulator

import (
	"crypto/cipher"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// What leaves the TPM encrypted (Part 1, chapter "Protected Storage"): the
// private area of a child, a duplicate, a credential. All have the same outer
// wrapper, an integrity value in front of what the symmetric algorithm of a
// storage key has encrypted, with keys from a seed.

// Labels of the keys of the outer wrapper.
const (
	labelStorage   = "STORAGE"
	labelIntegrity = "INTEGRITY"
)

// outerWrapper is what protects a secret outside of the TPM: the algorithms of
// a storage key, a seed, and the Name of what is protected, to which the secret
// is bound.
type outerWrapper struct {
	alg  wire.AlgID  // nameAlg of the storage key
	sym  wire.SymDef // its symmetric algorithm
	seed []byte
	name []byte
	// iv says that there is an initial value in front of what is encrypted. What
	// is encrypted with a seed that is used once has none.
	iv bool
	// integrityKey is the key of the integrity value, nil if it has yet to be
	// derived.
	integrityKey []byte
}

// childWrapper protects a child of a storage key.
func childWrapper(parent *object, name []byte) outerWrapper {
	o := outerWrapper{alg: parent.public.NameAlg, sym: parent.public.Parms.Sym, seed: parent.sensitive.Seed, name: name, iv: true}
	if parent.integrityKey == nil {
		parent.integrityKey = o.deriveIntegrityKey()
	}
	o.integrityKey = parent.integrityKey
	return o
}

// seedWrapper protects what is sent to a storage key, of which the public area
// is enough.
func seedWrapper(key *object, name, seed []byte) outerWrapper {
	return outerWrapper{alg: key.public.NameAlg, sym: key.public.Parms.Sym, seed: seed, name: name}
}

// block is the cipher, with a key that is bound to the Name.
func (o *outerWrapper) block() cipher.Block {
	return objectCipher(o.sym, crypt.KDFa(o.alg, o.seed, labelStorage, o.name, nil, int(o.sym.KeyBits)))
}

// integrity appends the HMAC over what is encrypted and the Name.
func (o *outerWrapper) integrity(dst, protected []byte) []byte {
	key := o.integrityKey
	if key == nil {
		key = o.deriveIntegrityKey()
	}
	return crypt.AppendHMAC(o.alg, dst, key, protected, o.name)
}

// deriveIntegrityKey derives a key that does not depend on the Name.
func (o *outerWrapper) deriveIntegrityKey() []byte {
	return crypt.KDFa(o.alg, o.seed, labelIntegrity, nil, nil, crypt.HashSize(o.alg)*8)
}

// objectCipher is the cipher of a TPMT_SYM_DEF_OBJECT that was decoded and is
// not NULL, with a key of its size.
func objectCipher(sym wire.SymDef, key []byte) cipher.Block {
	b, err := crypt.NewBlockCipher(sym.Alg, key)
	if err != nil {
		panic("internal error: a key has a cipher that cannot be used: " + err.Error())
	}
	return b
}

// cryptCFB encrypts or decrypts data in place in CFB mode, whatever the mode
// that an object names. Without iv the initial value is zero.
func cryptCFB(mode blockMode, block cipher.Block, iv, data []byte) {
	var space [maxBlock]byte
	chain := space[:block.BlockSize()]
	copy(chain, iv)
	if err := mode(block, wire.AlgCFB, chain, data); err != nil {
		panic("internal error: CFB mode refuses its input: " + err.Error())
	}
}

// maxBlock is the largest block of a cipher in bytes (MAX_SYM_BLOCK_SIZE).
const maxBlock = 16

// wrap encrypts plain, and puts the integrity value in front.
func (t *TPM) wrap(o *outerWrapper, plain []byte) []byte {
	block, digest := o.block(), crypt.HashSize(o.alg)
	w := wire.NewWriter(make([]byte, 0, 2+digest+2+maxBlock+len(plain)))
	var space [wire.MaxDigest]byte
	w.Sized(space[:digest])
	var iv []byte
	if o.iv {
		var b [maxBlock]byte
		iv = b[:block.BlockSize()]
		t.drbg().Read(iv)
		w.Sized(iv)
	}
	start := w.Len()
	w.Bytes(plain)
	b := w.Data()
	cryptCFB(crypt.Encrypt, block, iv, b[start:])
	copy(b[2:], o.integrity(space[:0], b[2+digest:]))
	return b
}

// unwrap is the inverse of wrap. The result is a copy. The codes it fails with
// are bare: TPM_RC_INSUFFICIENT and TPM_RC_SIZE for what is cut or too long,
// TPM_RC_INTEGRITY for what was not wrapped so, TPM_RC_VALUE for an initial
// value of another size than a block.
func (t *TPM) unwrap(o *outerWrapper, wrapped []byte) ([]byte, wire.RC) {
	r := wire.NewReader(wrapped, t.algs.Selectors())
	integrity := r.Digest()
	if rc := r.RC(); rc != wire.RCSuccess {
		return nil, rc
	}
	var space [wire.MaxDigest]byte
	if !equalSecret(integrity, o.integrity(space[:0], r.Rest())) {
		return nil, wire.RCIntegrity
	}
	block := o.block()
	var iv []byte
	if o.iv {
		iv = r.Sized(maxBlock)
		if rc := r.RC(); rc != wire.RCSuccess {
			return nil, rc
		}
		if len(iv) != block.BlockSize() {
			return nil, wire.RCValue
		}
	}
	plain := append([]byte(nil), r.Rest()...)
	cryptCFB(crypt.Decrypt, block, iv, plain)
	return plain, wire.RCSuccess
}

// marshalSensitive is the TPM2B_SENSITIVE that is to be wrapped. Its
// authorization value is padded to the size of a digest, so that its length
// shows nowhere (Part 1, section "Authorization Size Convention").
func marshalSensitive(s *wire.Sensitive, nameAlg wire.AlgID) []byte {
	padded := *s
	if n := crypt.HashSize(nameAlg); len(s.Auth) < n {
		padded.Auth = append(make([]byte, 0, n), s.Auth...)[:n]
	}
	w := wire.NewWriter(make([]byte, 0, 2+wire.MaxSensitive))
	w.SizedSensitive(&padded)
	return w.Data()
}

// unpadAuth undoes the padding of marshalSensitive. A value that is longer than
// a digest stays as it is: whoever checks the size has to see it.
func unpadAuth(s *wire.Sensitive, nameAlg wire.AlgID) {
	if len(s.Auth) <= crypt.HashSize(nameAlg) {
		s.Auth = stripZeros(s.Auth)
	}
}

// nameAlgOf is the algorithm of the Name of an object, which starts with it.
func nameAlgOf(name []byte) wire.AlgID { return wire.AlgID(name[0])<<8 | wire.AlgID(name[1]) }

// wrapSensitive makes the private area of a child: the contents of the
// TPM2B_PRIVATE with which parent, a storage key, lets it be loaded. The Name of
// the child must not be empty.
func (t *TPM) wrapSensitive(parent *object, name []byte, s *wire.Sensitive) []byte {
	o := childWrapper(parent, name)
	return t.wrap(&o, marshalSensitive(s, nameAlgOf(name)))
}

// unwrapSensitive is the inverse of wrapSensitive. The result is a copy. The
// codes it fails with are those of unwrap, and TPM_RC_SENSITIVE for anything but
// a sensitive area in the wrapper; they are bare.
//
// Of an RSA key below a fixedTPM parent the reference and libtpms keep
// wire.RSAParts, of which the first is the prime. The others are dropped. Below
// other parents, where a TPM writes the prime alone, they are left to whoever
// checks the size of the key.
func (t *TPM) unwrapSensitive(parent *object, name, private []byte) (wire.Sensitive, wire.RC) {
	o := childWrapper(parent, name)
	plain, rc := t.unwrap(&o, private)
	if rc != wire.RCSuccess {
		return wire.Sensitive{}, rc
	}
	s, rc := t.decodeSensitive(plain)
	if rc != wire.RCSuccess {
		if len(plain) >= 2 {
			rc = wire.RCSensitive
		}
		return wire.Sensitive{}, rc
	}
	if s.Type == wire.AlgRSA && len(s.Data) > wire.MaxRSAPrime && len(s.Data)%wire.RSAParts == 0 && parent.has(wire.ObjectFixedTPM) {
		s.Data = s.Data[:len(s.Data)/wire.RSAParts]
	}
	unpadAuth(&s, nameAlgOf(name))
	return s, wire.RCSuccess
}

// decodeSensitive decodes a TPM2B_SENSITIVE with nothing after it.
func (t *TPM) decodeSensitive(b []byte) (wire.Sensitive, wire.RC) {
	var s wire.Sensitive
	r := wire.NewReader(b, t.algs.Selectors())
	if int(r.U16()) != r.Len() {
		r.Fail(wire.RCSize)
	}
	r.Sensitive(&s)
	if r.Len() != 0 {
		r.Fail(wire.RCSize)
	}
	return s, r.RC()
}
