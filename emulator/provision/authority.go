package provision

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha256" // the hashes of signature
	_ "crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"io"
	"math/big"
	"time"
)

// An Authority signs certificates: with an ECDSA, RSA or Ed25519 key.
type Authority struct {
	Certificate *x509.Certificate
	Key         crypto.Signer
}

// forever is the notAfter of a certificate that does not expire (RFC 5280, section
// 4.1.2.5).
var forever = time.Date(9999, time.December, 31, 23, 59, 59, 0, time.UTC)

// NewAuthority makes an authority of a key: with a certificate that it has signed
// itself, valid from now on.
func NewAuthority(name string, key crypto.Signer, entropy io.Reader, now time.Time) (*Authority, error) {
	serial, err := newSerial(entropy)
	if err != nil {
		return nil, err
	}
	// Its key identifier is that of RFC 7093, section 2, method 1, from the library.
	template := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: now.UTC(), NotAfter: forever,
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(nil, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	certificate, err := x509.ParseCertificate(der)
	return &Authority{certificate, key}, err
}

// NewAuthorityKey draws a P-256 key. The standard library would not take the entropy.
func NewAuthorityKey(entropy io.Reader) (*ecdsa.PrivateKey, error) {
	order := elliptic.P256().Params().N
	var b [32]byte
	for {
		if _, err := io.ReadFull(entropy, b[:]); err != nil {
			return nil, fmt.Errorf("entropy for a key: %w", err)
		}
		if d := new(big.Int).SetBytes(b[:]); d.Sign() > 0 && d.Cmp(order) < 0 {
			return ecdsa.ParseRawPrivateKey(elliptic.P256(), b[:])
		}
	}
}

// newSerial draws a serial number of 16 octets, which is positive.
func newSerial(entropy io.Reader) (*big.Int, error) {
	var b [16]byte
	if _, err := io.ReadFull(entropy, b[:]); err != nil {
		return nil, fmt.Errorf("entropy for a serial number: %w", err)
	}
	b[0] = b[0]&0x7F | 0x40
	return new(big.Int).SetBytes(b[:]), nil
}

// KeyError is a key with which an Authority cannot sign.
type KeyError struct{ Key any }

func (e *KeyError) Error() string {
	return fmt.Sprintf("a key of type %T cannot sign certificates: take an ECDSA, RSA or Ed25519 key", e.Key)
}

// MismatchError is an Authority whose certificate is not that of its key, or is no
// authority's.
type MismatchError struct{ Reason string }

func (e *MismatchError) Error() string { return "the authority's certificate: " + e.Reason }

// Check reports whether the authority can sign certificates that others verify with
// its certificate.
func (a *Authority) Check() error {
	public, ok := a.Key.Public().(interface{ Equal(crypto.PublicKey) bool })
	switch {
	case !ok:
		return &KeyError{a.Key}
	case !public.Equal(a.Certificate.PublicKey):
		return &MismatchError{"it has another key than the private one"}
	case !a.Certificate.IsCA:
		return &MismatchError{"it is not one of a certificate authority (basicConstraints)"}
	case a.Certificate.KeyUsage != 0 && a.Certificate.KeyUsage&x509.KeyUsageCertSign == 0:
		return &MismatchError{"its key must not sign certificates (keyUsage)"}
	}
	_, _, err := a.signature()
	return err
}

// certify makes a certificate.
func (a *Authority) certify(template *x509.Certificate, public crypto.PublicKey) ([]byte, error) {
	// Without a random source the signature of the same bytes is always the same
	// (RFC 6979).
	return x509.CreateCertificate(nil, template, a.Certificate, public, a.Key)
}

var (
	oidECDSAWithSHA256 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}
	oidECDSAWithSHA384 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 3}
	oidECDSAWithSHA512 = asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 4}
	oidSHA256WithRSA   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
	oidEd25519         = asn1.ObjectIdentifier{1, 3, 101, 112}
)

// signature returns the algorithm with which the authority signs what the standard
// library has no form for.
func (a *Authority) signature() (algorithm pkix.AlgorithmIdentifier, hash crypto.Hash, err error) {
	switch key := a.Key.Public().(type) {
	case *ecdsa.PublicKey:
		switch bits := key.Curve.Params().BitSize; {
		case bits <= 256:
			return pkix.AlgorithmIdentifier{Algorithm: oidECDSAWithSHA256}, crypto.SHA256, nil
		case bits <= 384:
			return pkix.AlgorithmIdentifier{Algorithm: oidECDSAWithSHA384}, crypto.SHA384, nil
		}
		return pkix.AlgorithmIdentifier{Algorithm: oidECDSAWithSHA512}, crypto.SHA512, nil
	case *rsa.PublicKey:
		return pkix.AlgorithmIdentifier{Algorithm: oidSHA256WithRSA, Parameters: asn1.NullRawValue}, crypto.SHA256, nil
	case ed25519.PublicKey:
		return pkix.AlgorithmIdentifier{Algorithm: oidEd25519}, 0, nil
	}
	return algorithm, 0, &KeyError{a.Key}
}

// sign signs bytes as the algorithm of signature says.
func (a *Authority) sign(signed []byte) ([]byte, error) {
	_, hash, err := a.signature()
	if err != nil {
		return nil, err
	}
	if hash != 0 {
		h := hash.New()
		h.Write(signed)
		signed = h.Sum(nil)
	}
	return a.Key.Sign(nil, signed, hash)
}
