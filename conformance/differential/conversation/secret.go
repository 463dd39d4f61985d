package conversation

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"math/big"
	"math/rand/v2"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// ShareSecret encrypts a salt to the public key of a TPM as a
// TPM2B_ENCRYPTED_SECRET (TPM 2.0 Library Part 1, section "Secret Sharing").
// For an ECC key the salt is the result of the exchange, and the bytes given
// are the caller's private key: only saltOf knows the salt in both cases.
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
	private, ok := ephemeral(public, salt)
	if !ok {
		return nil, false
	}
	point := private.PublicKey().Bytes()
	half := (len(point) - 1) / 2
	return wire.Sized(append(wire.Sized(point[1:1+half]), wire.Sized(point[1+half:])...)), true
}

// saltOf is the salt that a TPM gets from shareSecret.
func saltOf(public *wire.Public, salt []byte) []byte {
	if public.Kind == tpm2.TPMAlgRSA {
		return salt
	}
	hash, known := wire.Hashes[public.NameAlg]
	private, ok := ephemeral(public, salt)
	if !ok || !known {
		return nil
	}
	peer, err := private.Curve().NewPublicKey(public.Point())
	if err != nil {
		return nil
	}
	z, err := private.ECDH(peer)
	if err != nil {
		return nil
	}
	half := (len(private.PublicKey().Bytes()) - 1) / 2
	return kdfE(hash, z, "SECRET", private.PublicKey().Bytes()[1:1+half], public.Point()[1:1+half], hash.Size()*8)
}

// ephemeral makes a private key on the curve of a public area from any bytes.
func ephemeral(p *wire.Public, from []byte) (*ecdh.PrivateKey, bool) {
	var curve ecdh.Curve
	size := 0
	switch p.Curve {
	case tpm2.TPMECCNistP256:
		curve, size = ecdh.P256(), 32
	case tpm2.TPMECCNistP384:
		curve, size = ecdh.P384(), 48
	default:
		return nil, false
	}
	sum := sha256.Sum256(from)
	scalar := make([]byte, size)
	copy(scalar[size-31:], sum[:31]) // below the order
	private, err := curve.NewPrivateKey(scalar)
	return private, err == nil
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
