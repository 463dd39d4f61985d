package conversation

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"math/rand/v2"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/curve448"
	"github.com/swtpmd/swtpmd/conformance/differential/kdf"
	"github.com/swtpmd/swtpmd/conformance/differential/lattice"
	"github.com/swtpmd/swtpmd/conformance/differential/signature"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// ShareSecret encrypts a salt to the public key of a TPM as a
// TPM2B_ENCRYPTED_SECRET (TPM 2.0 Library Part 1, section "Secret Sharing").
// For an ECC key the salt is the result of the exchange, and the bytes given
// are the caller's private key, for one of ML-KEM they are what is random: only saltOf
// knows the salt in all cases.
func ShareSecret(public *wire.Public, salt []byte) ([]byte, bool) {
	if public.Kind == tpm2.TPMAlgRSA {
		hash, ok := wire.Hashes[public.NameAlg]
		if !ok {
			return nil, false
		}
		// What is drawn has to be the same when a script is played again.
		drawn := rand.NewChaCha8(sha256.Sum256(salt))
		secret, err := rsa.EncryptOAEP(hash.New(), drawn, public.RSAKey(), salt, []byte("SECRET\x00"))
		return wire.Sized(secret), err == nil
	}
	_, secret, ok := LabeledSecret(public, "SECRET", salt)
	return wire.Sized(secret), ok
}

// saltOf is the salt that a TPM gets from shareSecret.
func saltOf(public *wire.Public, salt []byte) []byte {
	if public.Kind == tpm2.TPMAlgRSA {
		return salt
	}
	seed, _, _ := LabeledSecret(public, "SECRET", salt)
	return seed
}

// LabeledSecret makes a seed, and the contents of the TPM2B_ENCRYPTED_SECRET that carries it to
// an ECC or ML-KEM key; from decides what is random. The label has no zero at its
// end (version 185, Part 1, sections on Labeled KEM).
func LabeledSecret(public *wire.Public, label string, from []byte) (seed, secret []byte, ok bool) {
	hash, known := wire.Hashes[public.NameAlg]
	if !known {
		return nil, nil, false
	}
	if public.Kind == wire.AlgMLKEM {
		random := sha256.Sum256(from)
		shared, ciphertext := lattice.NewMLKEM(public.Set).Encapsulate(public.Unique[0], random[:])
		return kdf.A(hash, shared, label, ciphertext, public.Unique[0], hash.Size()*8), ciphertext, true
	}
	private, key, ok := ephemeral(public, from)
	if !ok {
		return nil, nil, false
	}
	x, y := coordinates(public.Curve, key)
	z, ok := agree(private, public, public.Unique)
	if !ok {
		return nil, nil, false
	}
	peer, _ := coordinatesOf(public)
	return kdf.E(hash, z, label, x, peer, hash.Size()*8), append(wire.Sized(x), wire.Sized(y)...), true
}

// RecoverSecret is the seed of a secret that was sent to an ECC or ML-KEM key, with its
// sensitive part: the other side of [LabeledSecret].
func RecoverSecret(public *wire.Public, sensitive []byte, label string, secret []byte) ([]byte, bool) {
	hash, known := wire.Hashes[public.NameAlg]
	if !known {
		return nil, false
	}
	if public.Kind == wire.AlgMLKEM {
		kem := lattice.NewMLKEM(public.Set)
		if len(secret) != kem.CiphertextSize() {
			return nil, false
		}
		shared := kem.Decapsulate(sensitive, secret)
		return kdf.A(hash, shared, label, secret, public.Unique[0], hash.Size()*8), true
	}
	in := &wire.Cursor{Rest: secret}
	point := [][]byte{in.Sized(), in.Sized()}
	if !in.Done() {
		return nil, false
	}
	z, ok := agree(sensitive, public, point)
	if !ok {
		return nil, false
	}
	x, _ := coordinatesOf(public)
	return kdf.E(hash, z, label, point[0], x, hash.Size()*8), true
}

// agree is the x coordinate of the secret of a private key and a point of the curve of a
// public area.
func agree(private []byte, public *wire.Public, point [][]byte) ([]byte, bool) {
	curve := signature.Exchange(public.Curve)
	if curve == nil {
		return nil, false
	}
	encoded := point[0]
	if !signature.Montgomery(public.Curve) {
		p := *public
		p.Unique = point
		encoded = p.Point()
	}
	return curve.Secret(private, encoded)
}

// coordinates are those of a public key, filled up in front; of curves 25519 and 448 it has
// no y.
func coordinates(id tpm2.TPMECCCurve, key []byte) (x, y []byte) {
	if signature.Montgomery(id) {
		return key, nil
	}
	half := (len(key) - 1) / 2
	return key[1 : 1+half], key[1+half:]
}

// coordinatesOf are the coordinates in a public area, filled up in front.
func coordinatesOf(public *wire.Public) (x, y []byte) {
	if signature.Montgomery(public.Curve) {
		return public.Unique[0], nil
	}
	return coordinates(public.Curve, public.Point())
}

// ephemeral makes a private key on the curve of a public area from any bytes, with its
// public key.
func ephemeral(p *wire.Public, from []byte) (private, key []byte, ok bool) {
	curve := signature.Exchange(p.Curve)
	if curve == nil {
		return nil, nil, false
	}
	size := map[tpm2.TPMECCCurve]int{tpm2.TPMECCNistP384: 48, tpm2.TPMECCNistP521: 66, wire.Curve448: curve448.ExchangeSize}[p.Curve]
	size = max(size, 32)
	sum := sha256.Sum256(from)
	private = make([]byte, size)
	copy(private[size-31:], sum[:31]) // below the order
	key, ok = curve.Public(private)
	return private, key, ok
}

// signPolicy makes the signature for TPM2_PolicySigned: before has all of the
// command but it.
func (c *caller) signPolicy(name string, before []byte) ([]byte, bool) {
	k := KeyNamed(name)
	command, ok := wire.ParseCommand(before)
	if k == nil || !ok {
		return nil, false
	}
	p := &wire.Cursor{Rest: command.Parameters}
	nonce, cpHash, ref, expiration := p.Sized(), p.Sized(), p.Sized(), p.Take(4)
	if p.Bad {
		return nil, false
	}
	return k.Sign(bytes.Join([][]byte{nonce, expiration, cpHash, ref}, nil))
}

// Sign signs with SHA-256, by RSASSA or ECDSA, as a TPMT_SIGNATURE.
func (k *Key) Sign(message []byte) ([]byte, bool) {
	digest := sha256.Sum256(message)
	if k.RSA != nil {
		s, err := rsa.SignPKCS1v15(nil, k.RSA, crypto.SHA256, digest[:])
		return k.Signature(s, nil), err == nil
	}
	if k.ecc == nil {
		return nil, false
	}
	encoded, err := k.ecc.Sign(nil, digest[:], crypto.SHA256) // as RFC 6979 says
	var rs struct{ R, S *big.Int }
	if _, errRS := asn1.Unmarshal(encoded, &rs); err != nil || errRS != nil {
		return nil, false
	}
	size := len(k.Secret)
	return k.Signature(rs.R.FillBytes(make([]byte, size)), rs.S.FillBytes(make([]byte, size))), true
}

// Signature lays out a TPMT_SIGNATURE of the key, with SHA-256. RSA has no s, and r
// may have half its size.
func (k *Key) Signature(r, s []byte) []byte {
	if k.RSA != nil {
		whole := make([]byte, k.RSA.Size())
		copy(whole, r)
		return bytes.Join([][]byte{wire.U16(uint16(tpm2.TPMAlgRSASSA)), wire.U16(uint16(tpm2.TPMAlgSHA256)), wire.Sized(whole)}, nil)
	}
	return bytes.Join([][]byte{wire.U16(uint16(tpm2.TPMAlgECDSA)), wire.U16(uint16(tpm2.TPMAlgSHA256)), wire.Sized(r), wire.Sized(s)}, nil)
}
