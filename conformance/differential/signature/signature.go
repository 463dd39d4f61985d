// Package signature verifies what a TPM has signed, with the standard library, filippo.io/mldsa
// and packages lattice and curve448.
package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"math/big"

	"filippo.io/mldsa"
	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/curve448"
	"github.com/swtpmd/swtpmd/conformance/differential/lattice"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Parameters returns the library's parameter set of a key of ML-DSA or HashML-DSA, by the
// number that the TPM 2.0 Library has for it: 1, 2 or 3.
func Parameters(set uint16) mldsa.Parameters {
	return [...]mldsa.Parameters{mldsa.MLDSA44(), mldsa.MLDSA65(), mldsa.MLDSA87()}[set-1]
}

// hashIdentifiers are the last byte of the object identifiers 2.16.840.1.101.3.4.2.x
// (FIPS 204, section 5.4).
var hashIdentifiers = map[tpm2.TPMAlgID]byte{
	tpm2.TPMAlgSHA256: 1, tpm2.TPMAlgSHA384: 2, tpm2.TPMAlgSHA512: 3,
	tpm2.TPMAlgSHA3256: 8, tpm2.TPMAlgSHA3384: 9, tpm2.TPMAlgSHA3512: 10, wire.AlgSHAKE256x512: 12,
}

// HashMLDSAMu returns µ of a digest with a HashML-DSA key and a context.
func HashMLDSAMu(p *wire.Public, context, digest []byte) []byte {
	oid := []byte{6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, hashIdentifiers[p.SchemeHash]}
	return lattice.HashMu(p.Unique[0], context, oid, digest)
}

// OfMessage reports whether a signature is that of a message, with a context that the
// scheme may have. The scheme is the signature's, the key one that can have it; HMACs are
// not verified.
func OfMessage(p *wire.Public, context, message []byte, s wire.Signature) bool {
	switch s.Scheme {
	case wire.AlgMLDSA:
		k, err := mldsa.NewPublicKey(Parameters(p.Set), p.Unique[0])
		return err == nil && mldsa.Verify(k, message, s.Parts[0], &mldsa.Options{Context: string(context)}) == nil
	case wire.AlgEdDSA:
		if p.Curve == wire.Curve448 {
			return curve448.Ed448.Verify(p.Unique[0], message, s.Parts[0])
		}
		return len(p.Unique[0]) == ed25519.PublicKeySize && ed25519.Verify(p.Unique[0], message, s.Parts[0])
	case wire.AlgHashEdDSA:
		return OfDigest(p, context, wire.Digest(wire.HashEdDSAHash(p.Curve), message), s)
	}
	return OfDigest(p, context, wire.Digest(s.Hash, message), s)
}

// OfDigest is [OfMessage] for a digest, or for µ with a key of ML-DSA.
func OfDigest(p *wire.Public, context, digest []byte, s wire.Signature) bool {
	hash := wire.Hashes[s.Hash]
	switch s.Scheme {
	case wire.AlgMLDSA:
		return lattice.NewMLDSA(p.Set).VerifyMu(p.Unique[0], digest, s.Parts[0])
	case wire.AlgHashMLDSA:
		return lattice.NewMLDSA(p.Set).VerifyMu(p.Unique[0], HashMLDSAMu(p, context, digest), s.Parts[0])
	case wire.AlgHashEdDSA:
		if p.Curve == wire.Curve448 {
			return curve448.Ed448ph.Verify(p.Unique[0], digest, s.Parts[0])
		}
		return len(p.Unique[0]) == ed25519.PublicKeySize &&
			ed25519.VerifyWithOptions(p.Unique[0], digest, s.Parts[0], &ed25519.Options{Hash: crypto.SHA512}) == nil
	case tpm2.TPMAlgRSASSA:
		return rsa.VerifyPKCS1v15(p.RSAKey(), hash, digest, s.Parts[0]) == nil
	case tpm2.TPMAlgRSAPSS:
		return rsa.VerifyPSS(p.RSAKey(), hash, digest, s.Parts[0], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto}) == nil
	case tpm2.TPMAlgECDSA:
		key, err := ecdsa.ParseUncompressedPublicKey(Curve(p.Curve), p.Point())
		return err == nil && ecdsa.Verify(key, digest, new(big.Int).SetBytes(s.Parts[0]), new(big.Int).SetBytes(s.Parts[1]))
	}
	return false
}

// Curve returns a curve of the standard library, nil for one that it has not.
func Curve(id tpm2.TPMECCCurve) elliptic.Curve {
	switch id {
	case tpm2.TPMECCNistP224:
		return elliptic.P224()
	case tpm2.TPMECCNistP256:
		return elliptic.P256()
	case tpm2.TPMECCNistP384:
		return elliptic.P384()
	case tpm2.TPMECCNistP521:
		return elliptic.P521()
	}
	return nil
}
