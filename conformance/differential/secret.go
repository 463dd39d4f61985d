package differential

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

	"github.com/swtpmd/swtpmd/conformance"
)

// shareSecret encrypts a salt to the public key of a TPM as a
// TPM2B_ENCRYPTED_SECRET (TPM 2.0 Library Part 1, section "Secret Sharing").
// For an ECC key the salt is what comes of the exchange, and the bytes given
// are the caller's private key: so the salt of a step is known beforehand only
// for RSA, and saltOf gives it for both.
func shareSecret(public *publicArea, salt []byte) ([]byte, bool) {
	if public.kind == tpm2.TPMAlgRSA {
		hash, ok := sessionHashes[public.nameAlg]
		if !ok {
			return nil, false
		}
		// What is drawn has to be the same when a script is played again.
		drawn := rand.NewChaCha8(sha256.Sum256(salt))
		secret, err := rsa.EncryptOAEP(hash.New(), drawn, public.rsaKey(), salt, []byte("SECRET\x00"))
		return sized(secret), err == nil
	}
	private, ok := public.ephemeral(salt)
	if !ok {
		return nil, false
	}
	point := private.PublicKey().Bytes()
	half := (len(point) - 1) / 2
	return sized(append(sized(point[1:1+half]), sized(point[1+half:])...)), true
}

// saltOf is the salt that a TPM gets from shareSecret.
func saltOf(public *publicArea, salt []byte) []byte {
	if public.kind == tpm2.TPMAlgRSA {
		return salt
	}
	hash, known := sessionHashes[public.nameAlg]
	private, ok := public.ephemeral(salt)
	if !ok || !known {
		return nil
	}
	peer, err := private.Curve().NewPublicKey(public.point())
	if err != nil {
		return nil
	}
	z, err := private.ECDH(peer)
	if err != nil {
		return nil
	}
	half := (len(private.PublicKey().Bytes()) - 1) / 2
	return kdfE(hash, z, "SECRET", private.PublicKey().Bytes()[1:1+half], public.point()[1:1+half], hash.Size()*8)
}

// ephemeral makes a private key on the curve of a public area from any bytes.
func (p *publicArea) ephemeral(from []byte) (*ecdh.PrivateKey, bool) {
	var curve ecdh.Curve
	size := 0
	switch p.curve {
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

// point is the public point of an ECC key, uncompressed.
func (p *publicArea) point() []byte {
	if len(p.unique) != 2 {
		return nil
	}
	size := curveSizes[p.curve]
	if len(p.unique[0]) > size || len(p.unique[1]) > size {
		return nil
	}
	point := make([]byte, 1+2*size)
	point[0] = 4
	copy(point[1+size-len(p.unique[0]):], p.unique[0])
	copy(point[1+2*size-len(p.unique[1]):], p.unique[1])
	return point
}

// curveSizes are the sizes of coordinates in bytes.
var curveSizes = map[tpm2.TPMECCCurve]int{
	tpm2.TPMECCNistP192: 24, tpm2.TPMECCNistP224: 28, tpm2.TPMECCNistP256: 32, tpm2.TPMECCNistP384: 48, tpm2.TPMECCNistP521: 66,
	tpm2.TPMECCBNP256: 32, tpm2.TPMECCBNP638: 80, tpm2.TPMECCSM2P256: 32,
}

// rsaKey is the public key of an RSA object; exponents other than the default
// are not made here.
func (p *publicArea) rsaKey() *rsa.PublicKey {
	return &rsa.PublicKey{N: new(big.Int).SetBytes(p.unique[0]), E: rsaExponent}
}

// signPolicy makes the signature for TPM2_PolicySigned: before has all of the
// command but it.
func (c *caller) signPolicy(name string, before []byte) ([]byte, bool) {
	k := keyNamed(name)
	command, ok := takeApart(before)
	if k == nil || !ok {
		return nil, false
	}
	p := &cursor{rest: command.Parameters}
	nonce, cpHash, ref, expiration := p.sized(), p.sized(), p.sized(), p.take(4)
	if p.bad {
		return nil, false
	}
	return k.sign(bytes.Join([][]byte{nonce, expiration, cpHash, ref}, nil))
}

// sign signs with SHA-256, by RSASSA or ECDSA, as a TPMT_SIGNATURE.
func (k *key) sign(message []byte) ([]byte, bool) {
	digest := sha256.Sum256(message)
	if k.rsa != nil {
		s, err := rsa.SignPKCS1v15(nil, k.rsa, crypto.SHA256, digest[:])
		return k.signature(s, nil), err == nil
	}
	if k.ecc == nil {
		return nil, false
	}
	encoded, err := k.ecc.Sign(nil, digest[:], crypto.SHA256) // as RFC 6979 says
	var rs struct{ R, S *big.Int }
	if _, errRS := asn1.Unmarshal(encoded, &rs); err != nil || errRS != nil {
		return nil, false
	}
	size := len(k.secret)
	return k.signature(rs.R.FillBytes(make([]byte, size)), rs.S.FillBytes(make([]byte, size))), true
}

// signature lays a TPMT_SIGNATURE of the key out; there is no s for RSA, and r
// may be of half the size.
func (k *key) signature(r, s []byte) []byte {
	if k.rsa != nil {
		whole := make([]byte, k.rsa.Size())
		copy(whole, r)
		return bytes.Join([][]byte{u16(uint16(tpm2.TPMAlgRSASSA)), u16(uint16(tpm2.TPMAlgSHA256)), sized(whole)}, nil)
	}
	return bytes.Join([][]byte{u16(uint16(tpm2.TPMAlgECDSA)), u16(uint16(tpm2.TPMAlgSHA256)), sized(r), sized(s)}, nil)
}

// sized is the bytes as a TPM2B.
func sized(b []byte) []byte { return conformance.AppendSized(nil, b) }
