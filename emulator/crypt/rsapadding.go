package crypt

import (
	"bytes"
	"crypto/subtle"
	"io"
	"math/big"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// digestInfo is the DER encoding of a DigestInfo up to the digest itself (RFC
// 8017, section 9.2, note 1; for SHA-3 the identifiers of NIST's hash arc).
var digestInfo = map[wire.AlgID][]byte{
	wire.AlgSHA1:     {0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2B, 0x0E, 0x03, 0x02, 0x1A, 0x05, 0x00, 0x04, 0x14},
	wire.AlgSHA256:   nistDigestInfo(1, 32),
	wire.AlgSHA384:   nistDigestInfo(2, 48),
	wire.AlgSHA512:   nistDigestInfo(3, 64),
	wire.AlgSHA3_256: nistDigestInfo(8, 32),
	wire.AlgSHA3_384: nistDigestInfo(9, 48),
	wire.AlgSHA3_512: nistDigestInfo(10, 64),
}

func nistDigestInfo(hash, size byte) []byte {
	return []byte{0x30, 17 + size, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, hash, 0x05, 0x00, 0x04, size}
}

// padSSA gives EMSA-PKCS1-v1_5 of a digest (RFC 8017, section 9.2). A hash that
// is not supported is refused with TPM_RC_SCHEME, a digest of another size with
// TPM_RC_VALUE, a modulus that is too small with TPM_RC_SIZE.
func padSSA(hash wire.AlgID, digest []byte, size int) ([]byte, error) {
	const op = "RSASSA"
	info := digestInfo[hash]
	if info == nil {
		return nil, refuse(op, wire.RCScheme, "%v is no supported hash", hash)
	}
	if len(digest) != HashSize(hash) {
		return nil, refuse(op, wire.RCValue, "%d bytes are no digest of %v", len(digest), hash)
	}
	fill := size - len(info) - len(digest) - 3
	if fill < 8 {
		return nil, refuse(op, wire.RCSize, "a modulus of %d bytes has no room for a digest of %v", size, hash)
	}
	em := append(make([]byte, 0, size), 0, 1)
	em = append(em, bytes.Repeat([]byte{0xFF}, fill)...)
	em = append(append(em, 0), info...)
	return append(em, digest...), nil
}

// PSSSaltSize is the size of the salt for a modulus of size bytes: that of the
// digest, or what fits (Part 1, annex "RSAPSS").
func PSSSaltSize(hashSize, size int) int { return max(0, min(hashSize, size-hashSize-2)) }

// pssHash is H(0^8 | digest | salt).
func pssHash(hash wire.AlgID, digest, salt []byte) []byte {
	in := append(make([]byte, 8, 8+len(digest)+len(salt)), digest...)
	return Digest(hash, nil, append(in, salt...))
}

// padPSS gives EMSA-PSS of a digest (RFC 8017, section 9.1.1) with a salt from
// gen, for a modulus of size bytes and eight bits each. A hash that is not
// supported is refused with TPM_RC_SCHEME, a modulus that is too small with
// TPM_RC_SIZE.
func padPSS(gen io.Reader, hash wire.AlgID, digest []byte, size int) ([]byte, error) {
	const op = "RSAPSS"
	h := HashSize(hash)
	if h == 0 {
		return nil, refuse(op, wire.RCScheme, "%v is no supported hash", hash)
	}
	if size < h+2 {
		return nil, refuse(op, wire.RCSize, "a modulus of %d bytes has no room for a digest of %v", size, hash)
	}
	salt := make([]byte, PSSSaltSize(h, size))
	if _, err := io.ReadFull(gen, salt); err != nil {
		return nil, err
	}
	em := make([]byte, size)
	db := em[:size-h-1]
	db[len(db)-len(salt)-1] = 1
	copy(db[len(db)-len(salt):], salt)
	copy(em[len(db):], pssHash(hash, digest, salt))
	MGF1(hash, db, em[len(db):size-1])
	em[0] &= 0x7F
	em[size-1] = 0xBC
	return em, nil
}

// checkPSS reports whether em is EMSA-PSS of a digest (RFC 8017, section 9.1.2),
// with a salt of any size. It uses em up.
func checkPSS(hash wire.AlgID, digest, em []byte) bool {
	h := HashSize(hash)
	if h == 0 || len(em) < h+2 || em[0]&0x80 != 0 || em[len(em)-1] != 0xBC {
		return false
	}
	db, mh := em[:len(em)-h-1], em[len(em)-h-1:len(em)-1]
	MGF1(hash, db, mh)
	db[0] &= 0x7F
	salt := bytes.TrimLeft(db, "\x00")
	if len(salt) == 0 || salt[0] != 1 {
		return false
	}
	return bytes.Equal(mh, pssHash(hash, digest, salt[1:]))
}

// padES gives EME-PKCS1-v1_5 of a message (RFC 8017, section 7.2.1) with fill
// from gen, where zeros become 0x55. A message that leaves no room is refused
// with TPM_RC_VALUE.
func padES(gen io.Reader, message []byte, size int) ([]byte, error) {
	fill := size - len(message) - 3
	if fill < 8 {
		return nil, refuse("RSAES", wire.RCValue, "a message of %d bytes; the modulus of %d has room for %d", len(message), size, size-11)
	}
	em := make([]byte, size)
	em[1] = 2
	random := em[2 : 2+fill]
	if _, err := io.ReadFull(gen, random); err != nil {
		return nil, err
	}
	for i, b := range random {
		if b == 0 {
			random[i] = 0x55
		}
	}
	copy(em[3+fill:], message)
	return em, nil
}

// unpadES gives the message of padES, TPM_RC_VALUE for anything else.
func unpadES(em []byte) ([]byte, error) {
	if len(em) >= 11 && em[0] == 0 && em[1] == 2 {
		if fill := bytes.IndexByte(em[2:], 0); fill >= 8 {
			return em[2+fill+1:], nil
		}
	}
	return nil, refuse("RSAES", wire.RCValue, "the padding is not that of PKCS #1")
}

// padOAEP gives EME-OAEP of a message (RFC 8017, section 7.1.1), where the label
// is what the command gave, its final zero included. A modulus too small for the
// hash or a hash that is not supported is refused with TPM_RC_HASH, a message
// that leaves no room with TPM_RC_VALUE.
func padOAEP(gen io.Reader, hash wire.AlgID, label, message []byte, size int) ([]byte, error) {
	const op = "OAEP"
	h := HashSize(hash)
	if h == 0 || size < 2*h+2 {
		return nil, refuse(op, wire.RCHash, "%v and a modulus of %d bytes do not go together", hash, size)
	}
	if room := size - 2*h - 2; len(message) > room {
		return nil, refuse(op, wire.RCValue, "a message of %d bytes; the modulus of %d has room for %d", len(message), size, room)
	}
	em := make([]byte, size)
	seed, db := em[1:1+h], em[1+h:]
	if _, err := io.ReadFull(gen, seed); err != nil {
		return nil, err
	}
	copy(db, Digest(hash, nil, label))
	db[len(db)-len(message)-1] = 1
	copy(db[len(db)-len(message):], message)
	MGF1(hash, db, seed)
	MGF1(hash, seed, db)
	return em, nil
}

// unpadOAEP gives the message of padOAEP, TPM_RC_VALUE for anything else. It
// uses em up.
func unpadOAEP(hash wire.AlgID, label, em []byte) ([]byte, error) {
	bad := refuse("OAEP", wire.RCValue, "the padding is not that of OAEP with this hash and label")
	h := HashSize(hash)
	if h == 0 || len(em) < 2*h+2 {
		return nil, bad
	}
	seed, db := em[1:1+h], em[1+h:]
	MGF1(hash, seed, db)
	MGF1(hash, db, seed)
	ok := subtle.ConstantTimeCompare(db[:h], Digest(hash, nil, label)) & subtle.ConstantTimeByteEq(em[0], 0)
	message := bytes.TrimLeft(db[h:], "\x00")
	if ok != 1 || len(message) == 0 || message[0] != 1 {
		return nil, bad
	}
	return message[1:], nil
}

// EncryptRSA pads and encrypts a message with a scheme of TPMT_RSA_DECRYPT: NULL
// takes a number, see Encrypt; RSAES and OAEP draw their random bytes from gen.
// The label is for OAEP alone. Refusals are those of the padding; another scheme
// gives TPM_RC_SCHEME.
func EncryptRSA(gen io.Reader, k *RSAPublicKey, scheme wire.Scheme, label, message []byte) ([]byte, error) {
	em := message
	var err error
	switch scheme.Alg {
	case wire.AlgNull:
	case wire.AlgRSAES:
		em, err = padES(gen, message, k.Size())
	case wire.AlgOAEP:
		em, err = padOAEP(gen, scheme.Hash, label, message, k.Size())
	default:
		err = refuse("RSA encryption", wire.RCScheme, "%v is no scheme to encrypt with", scheme.Alg)
	}
	if err != nil {
		return nil, err
	}
	return k.Encrypt(em)
}

// DecryptRSA is the inverse of EncryptRSA. A cipher text that is not as long as
// the modulus or not below it is refused with TPM_RC_SIZE, wrong padding with
// TPM_RC_VALUE, another scheme with TPM_RC_SCHEME.
func DecryptRSA(k *RSAPrivateKey, scheme wire.Scheme, label, c []byte) ([]byte, error) {
	const op = "RSA decryption"
	switch scheme.Alg {
	case wire.AlgNull, wire.AlgRSAES, wire.AlgOAEP:
	default:
		return nil, refuse(op, wire.RCScheme, "%v is no scheme to decrypt with", scheme.Alg)
	}
	if len(c) != k.Size() {
		return nil, refuse(op, wire.RCSize, "a cipher text of %d bytes for a modulus of %d", len(c), k.Size())
	}
	em, err := k.Decrypt(c)
	if err != nil {
		return nil, err
	}
	switch scheme.Alg {
	case wire.AlgRSAES:
		return unpadES(em)
	case wire.AlgOAEP:
		return unpadOAEP(scheme.Hash, label, em)
	}
	return em, nil
}

// SignRSA signs a digest with RSASSA or RSAPSS, whose salt is drawn from gen and
// is as long as the digest or as fits. Refusals are those of the padding;
// another scheme gives TPM_RC_SCHEME.
func SignRSA(gen io.Reader, k *RSAPrivateKey, scheme wire.Scheme, digest []byte) ([]byte, error) {
	var em []byte
	var err error
	switch scheme.Alg {
	case wire.AlgRSASSA:
		em, err = padSSA(scheme.Hash, digest, k.Size())
	case wire.AlgRSAPSS:
		em, err = padPSS(gen, scheme.Hash, digest, k.Size())
	default:
		err = refuse("RSA signature", wire.RCScheme, "%v is no scheme to sign with", scheme.Alg)
	}
	if err != nil {
		return nil, err
	}
	return k.Decrypt(em)
}

// VerifyRSA reports whether a signature is that of a digest, with RSASSA or RSAPSS.
func VerifyRSA(k *RSAPublicKey, scheme wire.Scheme, digest, signature []byte) bool {
	if len(signature) != k.Size() {
		return false
	}
	s := new(big.Int).SetBytes(signature)
	if s.Cmp(k.N) >= 0 {
		return false
	}
	em := k.apply(s)
	switch scheme.Alg {
	case wire.AlgRSASSA:
		want, err := padSSA(scheme.Hash, digest, k.Size())
		return err == nil && bytes.Equal(em, want)
	case wire.AlgRSAPSS:
		return checkPSS(scheme.Hash, digest, em)
	}
	return false
}
