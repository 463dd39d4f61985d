package version185

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"encoding/asn1"
	"hash"
	"math/big"
	"slices"

	"filippo.io/mldsa"
	"filippo.io/mldsa/mldsacrypto"
	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/curve448"
	"github.com/swtpmd/swtpmd/conformance/differential/lattice"
	"github.com/swtpmd/swtpmd/conformance/differential/signature"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// key is an object and what is known of it.
type key struct {
	template
	auth []byte
	// private is the sensitive part of a key that was made outside of the TPM, nil of one
	// that the TPM has made. seed is its seedValue.
	private, seed []byte
	// publicOnly reports whether the TPM has the public area alone.
	publicOnly bool
	// hierarchy is a TPM_RH; external is set for what TPM2_LoadExternal has loaded.
	hierarchy uint32
	external  bool
}

// stripped is an authorization value as it counts.
func stripped(auth []byte) []byte { return bytes.TrimRight(auth, "\x00") }

// parent reports whether an object can have children.
func (k *key) parent() bool { return k.storage() && !k.publicOnly && k.asymmetric() }

// signing reports whether it is a key that signs.
func (k *key) signing() bool { return k.has(wire.ObjectSign) }

// ownScheme is the scheme in which the key signs: that of a key that has no scheme field
// is its type.
func (k *key) ownScheme() scheme {
	switch {
	case k.mldsa():
		return scheme{k.kind, k.scheme.hash}
	case k.scheme.alg == wire.AlgHashEdDSA:
		return scheme{wire.AlgHashEdDSA, wire.HashEdDSAHash(k.curve)}
	}
	return k.scheme
}

// fieldSize is the size in bytes of the coordinates and scalars of a curve.
func fieldSize(id tpm2.TPMECCCurve) int { return (signature.Curve(id).Params().BitSize + 7) / 8 }

// privateSize is the size in bytes of the sensitive part.
func (p *template) privateSize() int {
	switch {
	case p.kind == wire.AlgMLKEM:
		return lattice.SeedSize
	case p.kind == tpm2.TPMAlgECC && p.eddsa() && p.curve == wire.Curve448:
		return curve448.KeySize
	case p.kind == tpm2.TPMAlgECC && p.curve == wire.Curve448:
		return curve448.ExchangeSize
	case p.kind == tpm2.TPMAlgECC && !p.montgomery():
		return fieldSize(p.curve)
	case p.kind == tpm2.TPMAlgRSA:
		return int(p.bits) / 16
	}
	return 32
}

// publicOf is unique of a sensitive part, with the seedValue of a keyed hash.
func (p *template) publicOf(private, seed []byte) [][]byte {
	switch {
	case p.kind == wire.AlgMLKEM:
		return [][]byte{lattice.NewMLKEM(p.set).Public(private)}
	case p.mldsa():
		k, err := mldsa.NewPrivateKey(signature.Parameters(p.set), private)
		if err != nil {
			panic(err) // the size is right
		}
		return [][]byte{k.PublicKey().Bytes()}
	case p.eddsa() && p.curve == wire.Curve448:
		return [][]byte{curve448.Public(private), nil}
	case p.eddsa():
		return [][]byte{ed25519.NewKeyFromSeed(private).Public().(ed25519.PublicKey), nil}
	case p.kind == tpm2.TPMAlgECC:
		point, ok := signature.Exchange(p.curve).Public(private)
		if !ok {
			panic("no private key") // drawn below the order
		}
		if p.montgomery() {
			return [][]byte{point, nil}
		}
		half := (len(point) - 1) / 2
		return [][]byte{point[1 : 1+half], point[1+half:]}
	case p.kind == tpm2.TPMAlgRSA:
		return [][]byte{conversation.KeyNamed("rsa").RSA.N.Bytes()}
	}
	return [][]byte{wire.Digest(p.nameAlg, seed, private)}
}

// externalMu has the library sign µ.
type externalMu struct{}

func (externalMu) HashFunc() crypto.Hash { return mldsacrypto.MLDSAMu }

// hashMessage returns what a sequence signs for a message: its digest; the message itself for
// EdDSA, µ for ML-DSA, the HMAC for an HMAC key that is known.
func (k *key) hashMessage(context, message []byte) []byte {
	switch s := k.ownScheme(); s.alg {
	case wire.AlgEdDSA:
		return message
	case wire.AlgMLDSA:
		return lattice.Mu(k.unique[0], context, message)
	case tpm2.TPMAlgHMAC:
		if k.private == nil {
			return nil
		}
		return hmacOf(s.hash, k.private, message)
	default:
		return wire.Digest(s.hash, message)
	}
}

func hmacOf(alg tpm2.TPMAlgID, key, message []byte) []byte {
	known, ok := wire.Hashes[alg]
	if !ok {
		return nil
	}
	mac := hmac.New(func() hash.Hash { return known.New() }, key)
	mac.Write(message)
	return mac.Sum(nil)
}

// sign signs what hashMessage gives, as a TPMT_SIGNATURE; nil for a key that is not known,
// and for a scheme with which the caller does not sign.
func (k *key) sign(context, last []byte) []byte {
	s := k.ownScheme()
	if k.private == nil {
		return nil
	}
	switch s.alg {
	case wire.AlgMLDSA:
		return slices.Concat(wire.U16(uint16(s.alg)), wire.Sized(k.signMu(last)))
	case wire.AlgHashMLDSA:
		mu := signature.HashMLDSAMu(k.area(), context, last)
		return slices.Concat(wire.U16(uint16(s.alg)), wire.U16(uint16(s.hash)), wire.Sized(k.signMu(mu)))
	case wire.AlgEdDSA, wire.AlgHashEdDSA:
		return slices.Concat(wire.U16(uint16(s.alg)), wire.Sized(k.signEdDSA(last)))
	case tpm2.TPMAlgECDSA:
		return k.signECDSA(s, last)
	case tpm2.TPMAlgRSASSA:
		b, err := rsa.SignPKCS1v15(nil, conversation.KeyNamed("rsa").RSA, wire.Hashes[s.hash], last)
		if err != nil {
			return nil
		}
		return slices.Concat(s.bytes(), wire.Sized(b))
	case tpm2.TPMAlgHMAC:
		return slices.Concat(s.bytes(), last)
	}
	return nil
}

func (k *key) signMu(mu []byte) []byte {
	library, err := mldsa.NewPrivateKey(signature.Parameters(k.set), k.private)
	if err != nil {
		panic(err) // the size is right
	}
	signature, err := library.SignDeterministic(mu, externalMu{})
	if err != nil {
		panic(err) // µ has its size
	}
	return signature
}

// signEdDSA signs a message, or the digest of one with HashEdDSA.
func (k *key) signEdDSA(last []byte) []byte {
	prehashed := k.scheme.alg == wire.AlgHashEdDSA
	switch {
	case k.curve == wire.Curve448 && prehashed:
		return curve448.Ed448ph.Sign(k.private, last)
	case k.curve == wire.Curve448:
		return curve448.Ed448.Sign(k.private, last)
	case !prehashed:
		return ed25519.Sign(ed25519.NewKeyFromSeed(k.private), last)
	}
	signature, err := ed25519.NewKeyFromSeed(k.private).Sign(nil, last, crypto.SHA512)
	if err != nil {
		panic(err) // the digest has its size
	}
	return signature
}

// hintSize is the size in bytes of the hint that the key's signatures have, 0 of another
// scheme than EdDSA.
func (k *key) hintSize() int {
	switch {
	case k.ownScheme().alg != wire.AlgEdDSA:
		return 0
	case k.curve == wire.Curve448:
		return curve448.KeySize
	}
	return ed25519.PublicKeySize
}

// hintOf is R of a TPMT_SIGNATURE of the key's; nil of another scheme than EdDSA.
func (k *key) hintOf(signature []byte) []byte { return signature[4 : 4+k.hintSize()] }

// signECDSA signs as RFC 6979 says, so that a script can be played again.
func (k *key) signECDSA(s scheme, digest []byte) []byte {
	library, err := ecdsa.ParseRawPrivateKey(signature.Curve(k.curve), k.private)
	if err != nil {
		return nil
	}
	encoded, err := library.Sign(nil, digest, wire.Hashes[s.hash])
	var rs struct{ R, S *big.Int }
	if _, errRS := asn1.Unmarshal(encoded, &rs); err != nil || errRS != nil {
		return nil
	}
	size := k.privateSize()
	return slices.Concat(s.bytes(), wire.Sized(rs.R.FillBytes(make([]byte, size))), wire.Sized(rs.S.FillBytes(make([]byte, size))))
}

// signed reports whether a signature of the TPM is that of a message, or with isDigest of
// what hashMessage gives. Whether an HMAC is right nobody can tell without the key.
func (k *key) signed(context, message []byte, isDigest bool, s wire.Signature) bool {
	own := k.ownScheme()
	if s.Scheme != own.alg || s.Scheme != wire.AlgMLDSA && s.Scheme != wire.AlgEdDSA && s.Scheme != wire.AlgHashEdDSA && s.Hash != own.hash {
		return false
	}
	switch {
	case own.alg == tpm2.TPMAlgHMAC:
		return k.private == nil || hmac.Equal(k.hashMessage(nil, message), s.Parts[0])
	case isDigest:
		return signature.OfDigest(k.area(), context, message, s)
	}
	return signature.OfMessage(k.area(), context, message, s)
}
