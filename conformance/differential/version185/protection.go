package version185

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"slices"

	"github.com/swtpmd/swtpmd/conformance/differential/kdf"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Credentials and duplicates (Part 1, sections "Credential Protection", "Outer Duplication
// Wrapper" and "Inner Duplication Wrapper").

// protect encrypts what is for a storage key, with a seed that it was sent, and binds it to
// a Name.
func (p *template) protect(seed, name, plain []byte) []byte {
	encrypted := bytes.Clone(plain)
	kdf.CFB(p.block(seed, name), make([]byte, aes.BlockSize), encrypted, false)
	return append(wire.Sized(p.integrity(seed, name, encrypted)), encrypted...)
}

// open is the inverse of protect.
func (p *template) open(seed, name, protected []byte) ([]byte, bool) {
	in := &wire.Cursor{Rest: protected}
	integrity := in.Sized()
	if in.Bad || !hmac.Equal(integrity, p.integrity(seed, name, in.Rest)) {
		return nil, false
	}
	plain := bytes.Clone(in.Rest)
	kdf.CFB(p.block(seed, name), make([]byte, aes.BlockSize), plain, true)
	return plain, true
}

func (p *template) block(seed, name []byte) cipher.Block {
	block, err := aes.NewCipher(kdf.A(wire.Hashes[p.nameAlg], seed, "STORAGE", name, nil, int(p.cipher.bits)))
	if err != nil {
		panic(err) // the template has a size of AES
	}
	return block
}

func (p *template) integrity(seed, name, encrypted []byte) []byte {
	hash := wire.Hashes[p.nameAlg]
	mac := hmac.New(hash.New, kdf.A(hash, seed, "INTEGRITY", nil, nil, hash.Size()*8))
	mac.Write(encrypted)
	mac.Write(name)
	return mac.Sum(nil)
}

// inner puts the inner wrapper around the sensitive area of a key.
func (k *key) inner(symmetricKey, sensitive []byte) []byte {
	b := append(wire.Sized(wire.Digest(k.nameAlg, sensitive, k.name())), sensitive...)
	block, err := aes.NewCipher(symmetricKey)
	if err != nil {
		panic(err) // 16 bytes
	}
	kdf.CFB(block, make([]byte, aes.BlockSize), b, false)
	return b
}

// innerOpened is the inverse of inner.
func (k *key) innerOpened(symmetricKey, wrapped []byte) ([]byte, bool) {
	plain := bytes.Clone(wrapped)
	block, err := aes.NewCipher(symmetricKey)
	if err != nil {
		return nil, false
	}
	kdf.CFB(block, make([]byte, aes.BlockSize), plain, true)
	in := &wire.Cursor{Rest: plain}
	digest := in.Sized()
	return in.Rest, !in.Bad && bytes.Equal(digest, wire.Digest(k.nameAlg, in.Rest, k.name()))
}

// fits reports whether a TPM2B_SENSITIVE is that of a key: its authorization value, filled
// up with zeros or not, and a private part that gives the public one.
func (k *key) fits(sized []byte) bool {
	outer := &wire.Cursor{Rest: sized}
	in := &wire.Cursor{Rest: outer.Sized()}
	kind, auth, seed, private := in.Alg(), in.Sized(), in.Sized(), in.Sized()
	if !outer.Done() || !in.Done() || kind != k.kind || !bytes.Equal(stripped(auth), k.auth) || len(private) != k.privateSize() {
		return false
	}
	return slices.EqualFunc(k.unique, k.publicOf(private, seed), bytes.Equal)
}
