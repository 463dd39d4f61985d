package attest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"strings"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport/ask"
)

// AttestationKey is a kind of key with which a TPM signs a quote. Its text is the name
// in the comment.
type AttestationKey uint8

// The kinds of attestation keys. Those of ML-DSA need a TPM of version 185 of the
// library.
const (
	ECCP256 AttestationKey = iota // ecc-p256: ECDSA with SHA-256
	RSA2048                       // rsa2048: RSASSA with SHA-256
	MLDSA44                       // ml-dsa-44
	MLDSA65                       // ml-dsa-65
	MLDSA87                       // ml-dsa-87
)

// noScheme is TPM_ALG_NULL in place of an algorithm.
var noScheme = wire.Scheme{Alg: wire.AlgNull, Hash: wire.AlgNull}

// kinds are the kinds with what is theirs of a public area (TPM 2.0 Library Part 2,
// section "TPMT_PUBLIC").
var kinds = [...]struct {
	name  string
	parms wire.PublicParms
}{
	ECCP256: {"ecc-p256", wire.PublicParms{
		Type: wire.AlgECC, Sym: wire.SymDef{Alg: wire.AlgNull}, Curve: wire.CurveNISTP256, KDF: noScheme,
		Scheme: wire.Scheme{Alg: wire.AlgECDSA, Hash: wire.AlgSHA256},
	}},
	RSA2048: {"rsa2048", wire.PublicParms{
		Type: wire.AlgRSA, Sym: wire.SymDef{Alg: wire.AlgNull}, KeyBits: 2048,
		Scheme: wire.Scheme{Alg: wire.AlgRSASSA, Hash: wire.AlgSHA256},
	}},
	MLDSA44: {"ml-dsa-44", wire.PublicParms{Type: wire.AlgMLDSA, MLDSA: wire.MLDSA44}},
	MLDSA65: {"ml-dsa-65", wire.PublicParms{Type: wire.AlgMLDSA, MLDSA: wire.MLDSA65}},
	MLDSA87: {"ml-dsa-87", wire.PublicParms{Type: wire.AlgMLDSA, MLDSA: wire.MLDSA87}},
}

// KeyNameError reports that no kind of attestation key has a name.
type KeyNameError struct{ Name string }

func (e *KeyNameError) Error() string {
	var names []string
	for _, kind := range kinds {
		names = append(names, kind.name)
	}
	return fmt.Sprintf("no attestation key is %.32q; there are %s", e.Name, strings.Join(names, ", "))
}

// KeyUnsupportedError reports that a TPM does not have a kind of attestation key. Err
// wraps the wire.RC with which the TPM refuses it.
type KeyUnsupportedError struct {
	Key AttestationKey
	Err error
}

func (e *KeyUnsupportedError) Error() string {
	return fmt.Sprintf("the TPM has no attestation key %s: %v", e.Key, e.Err)
}

func (e *KeyUnsupportedError) Unwrap() error { return e.Err }

func (k AttestationKey) String() string {
	if int(k) < len(kinds) {
		return kinds[k].name
	}
	return fmt.Sprintf("AttestationKey(%d)", uint8(k))
}

// MarshalText returns the name.
func (k AttestationKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads a name; the error is a *KeyNameError.
func (k *AttestationKey) UnmarshalText(text []byte) error {
	for i, kind := range kinds {
		if kind.name == string(text) {
			*k = AttestationKey(i)
			return nil
		}
	}
	return &KeyNameError{string(text)}
}

// CheckKey asks the TPM whether it has a kind of key, without making one
// (TPM2_TestParms). If the TPM refuses it, the error is a *KeyUnsupportedError.
func (t *TPM) CheckKey(kind AttestationKey) error {
	if int(kind) >= len(kinds) {
		return &KeyNameError{kind.String()}
	}
	w := wire.NewWriter(nil)
	w.PublicParms(&kinds[kind].parms)
	err := t.tpm.TestParms(t.ctx, w.Data())
	var rc wire.RC
	if errors.As(err, &rc) {
		return &KeyUnsupportedError{kind, err}
	}
	return err
}

// template is the public area from which the TPM makes the key: a restricted one.
func (k AttestationKey) template() *wire.Public {
	return &wire.Public{
		NameAlg: wire.AlgSHA256,
		// Its authValue is empty: there is nothing to guess, and a TPM need not
		// write down that it was used.
		Attributes: wire.ObjectFixedTPM | wire.ObjectFixedParent | wire.ObjectSensitiveDataOrigin | wire.ObjectUserWithAuth |
			wire.ObjectRestricted | wire.ObjectSignEncrypt | wire.ObjectNoDA,
		Parms: kinds[k].parms,
	}
}

// publicPEM returns the key in a TPMT_PUBLIC that the TPM has made of the template.
func (k AttestationKey) publicPEM(area []byte) ([]byte, error) {
	w := wire.NewWriter(nil)
	w.Public(k.template())
	unique := 2 // the empty unique at the template's end
	if k == ECCP256 {
		unique += 2 // a point has two coordinates
	}
	r := wire.NewReader(area, nil)
	r.Bytes(w.Len() - unique)
	der, err := k.subjectPublicKeyInfo(&r)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// subjectPublicKeyInfo reads unique and returns the key as X.509 writes it.
func (k AttestationKey) subjectPublicKeyInfo(r *wire.Reader) ([]byte, error) {
	set := kinds[k].parms.MLDSA
	size := max(set.PublicSize(), int(kinds[k].parms.KeyBits)/8) // of unique, but for a point
	var point wire.ECPoint
	var unique []byte
	if k == ECCP256 {
		r.Point(&point)
	} else {
		unique = r.Sized(size)
	}
	if r.RC() != wire.RCSuccess || r.Len() != 0 || len(unique) != size {
		return nil, &ask.ResponseError{Command: "TPM2_CreatePrimary", Reason: "the public area is that of no key " + k.String()}
	}
	switch k {
	case ECCP256:
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), uncompressed(&point, 32))
		if err != nil {
			return nil, err
		}
		return x509.MarshalPKIXPublicKey(key)
	case RSA2048:
		return x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: new(big.Int).SetBytes(unique), E: 65537})
	}
	return asn1.Marshal(struct {
		Algorithm pkix.AlgorithmIdentifier
		Key       asn1.BitString
	}{pkix.AlgorithmIdentifier{Algorithm: mldsaOID(set)}, asn1.BitString{Bytes: unique, BitLength: 8 * len(unique)}})
}

// mldsaOID is the object identifier of a parameter set (NIST's Computer Security
// Objects Register, sigAlgs 17 to 19; RFC 9881, section 2).
func mldsaOID(set wire.MLDSAParameterSet) asn1.ObjectIdentifier {
	const mldsa44 = 17
	return asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 3, mldsa44 + int(set-wire.MLDSA44)}
}

// uncompressed is the point as SEC 1 writes it: 4, x, y, each of size bytes. A
// TPM may leave out zeros at the front.
func uncompressed(point *wire.ECPoint, size int) []byte {
	out := make([]byte, 1+2*size)
	out[0] = 4
	copy(out[1+size-min(size, len(point.X)):], point.X)
	copy(out[1+2*size-min(size, len(point.Y)):], point.Y)
	return out
}
