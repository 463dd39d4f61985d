package verify

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/asn1"
	"encoding/binary"
	"encoding/pem"
	"errors"
	"fmt"

	mldsax509 "filippo.io/mldsa/x509"
)

// KeyFileError says why a file has no public key.
type KeyFileError struct {
	// Form is the form in which the file was read, such as "PEM CERTIFICATE" or
	// "TPM2B_PUBLIC"; empty if it has none of the forms.
	Form string
	Err  error
}

func (e *KeyFileError) Error() string {
	if e.Form == "" {
		return e.Err.Error()
	}
	return e.Form + ": " + e.Err.Error()
}

func (e *KeyFileError) Unwrap() error { return e.Err }

// ErrNoKeyForm reports that a file has none of the forms of a key.
var ErrNoKeyForm = errors.New("no public key: neither PEM, DER, TPM2B_PUBLIC nor TPMT_PUBLIC")

// keyFileMax bounds a file of a key, in bytes; certificates have some thousand.
const keyFileMax = 1 << 20

// ParseKey reads the public key that a quote was signed with. The form is found
// out:
//
//   - PEM or DER of a public key (SubjectPublicKeyInfo, or PKCS #1) or of a
//     certificate
//   - TPM2B_PUBLIC or TPMT_PUBLIC, as "tpm2_createak -u" and "tpm2_readpublic -o"
//     write them
//   - PEM or DER of a TPM's key ("TSS2 PRIVATE KEY"), whose private part is for
//     one TPM only, and which has the public one beside it
//
// The result is an *rsa.PublicKey, an *ecdsa.PublicKey or a *[mldsa.PublicKey], the
// error a KeyFileError. Whether a quote can be signed with the key is not asked.
//
// [mldsa.PublicKey]: https://pkg.go.dev/filippo.io/mldsa#PublicKey
func ParseKey(b []byte) (crypto.PublicKey, error) {
	if len(b) > keyFileMax {
		return nil, &KeyFileError{"", fmt.Errorf("%d bytes, a key has at most %d", len(b), keyFileMax)}
	}
	if bytes.Contains(b, []byte("-----BEGIN ")) {
		return parsePEM(b)
	}
	for _, form := range keyForms {
		if form.is(b) {
			key, err := form.parse(b)
			if err != nil {
				return nil, &KeyFileError{form.name, err}
			}
			return key, nil
		}
	}
	return nil, &KeyFileError{"", ErrNoKeyForm}
}

// keyForm is a form of a key that is not PEM.
type keyForm struct {
	name string
	// is reports whether a file is of this form, sound or damaged.
	is    func([]byte) bool
	parse func([]byte) (crypto.PublicKey, error)
}

// keyForms are the binary forms, and files of tpm2-tools that are often named in
// place of one.
var keyForms = []keyForm{
	{"TPM2B_PUBLIC", isPublic2B, func(b []byte) (crypto.PublicKey, error) { return parsePublic2B(b) }},
	{"TPMT_PUBLIC", isPublic, func(b []byte) (crypto.PublicKey, error) { return parsePublic("TPMT_PUBLIC", b) }},
	{"DER", func(b []byte) bool { return len(b) > 1 && b[0] == 0x30 }, parseDER},
	{"context of an object", func(b []byte) bool { return len(b) >= 4 && binary.BigEndian.Uint32(b) == contextMagic },
		refuse("it has no public key that can be read; tpm2_readpublic -c FILE -o OUT writes it")},
	{"name of an object", func(b []byte) bool {
		return len(b) > 2 && bankByAlgID(binary.BigEndian.Uint16(b)).Available() && len(b) == 2+bankByAlgID(binary.BigEndian.Uint16(b)).Size()
	},
		refuse("it is a digest of the public area; tpm2_readpublic -o OUT writes the area")},
}

// contextMagic begins a context that tpm2-tools have saved (lib/files.c).
const contextMagic = 0xbadcc0de

func refuse(why string) func([]byte) (crypto.PublicKey, error) {
	return func([]byte) (crypto.PublicKey, error) { return nil, errors.New(why) }
}

// pemForms are the types of PEM blocks that have a public key.
var pemForms = map[string]func([]byte) (crypto.PublicKey, error){
	"PUBLIC KEY":          x509PKIX,
	"RSA PUBLIC KEY":      func(b []byte) (crypto.PublicKey, error) { return x509.ParsePKCS1PublicKey(b) },
	"CERTIFICATE":         parseCertificate,
	"X509 CERTIFICATE":    parseCertificate,
	"TSS2 PRIVATE KEY":    parseTSS2,
	"PRIVATE KEY":         refuse("a private key; a quote is checked with the public one"),
	"EC PRIVATE KEY":      refuse("a private key; a quote is checked with the public one"),
	"RSA PRIVATE KEY":     refuse("a private key; a quote is checked with the public one"),
	"CERTIFICATE REQUEST": refuse("nobody has signed it yet; a certificate, or the key alone, is taken"),
}

// parsePEM reads the first block that can have a key; others, such as curve
// parameters, are passed over.
func parsePEM(b []byte) (crypto.PublicKey, error) {
	for rest := b; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, &KeyFileError{"PEM", errors.New("no block of a public key, certificate or TPM's key can be read")}
		}
		parse, ok := pemForms[block.Type]
		if !ok {
			continue
		}
		key, err := parse(block.Bytes)
		if err != nil {
			return nil, &KeyFileError{"PEM " + block.Type, err}
		}
		return key, nil
	}
}

func x509PKIX(b []byte) (crypto.PublicKey, error) { return mldsax509.ParsePKIXPublicKey(b) }

func parseCertificate(b []byte) (crypto.PublicKey, error) {
	certificate, err := x509.ParseCertificate(b)
	if err != nil {
		return nil, err
	}
	if certificate.PublicKey == nil { // a kind that crypto/x509 does not have
		return x509PKIX(certificate.RawSubjectPublicKeyInfo)
	}
	return certificate.PublicKey, nil
}

// parseDER reads what PEM would have named. The error is that of the form which
// is the likeliest.
func parseDER(b []byte) (crypto.PublicKey, error) {
	var first error
	for _, parse := range []func([]byte) (crypto.PublicKey, error){x509PKIX, parseCertificate, pemForms["RSA PUBLIC KEY"], parseTSS2} {
		key, err := parse(b)
		if err == nil {
			return key, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, fmt.Errorf("no public key, certificate or TPM's key: %w", first)
}

// tss2Key is a TPMKey ("ASN.1 Specification for TPM 2.0 Key Files", the format of
// OpenSSL's engines and providers for TPMs). What is optional is not looked at.
type tss2Key struct {
	Type        asn1.ObjectIdentifier
	EmptyAuth   asn1.RawValue `asn1:"optional,tag:0"`
	Policy      asn1.RawValue `asn1:"optional,tag:1"`
	Secret      asn1.RawValue `asn1:"optional,tag:2"`
	AuthPolicy  asn1.RawValue `asn1:"optional,tag:3"`
	Description asn1.RawValue `asn1:"optional,tag:4"`
	RSAParent   asn1.RawValue `asn1:"optional,tag:5"`
	Parent      int64
	Public      []byte
	Private     []byte
}

func parseTSS2(b []byte) (crypto.PublicKey, error) {
	var key tss2Key
	rest, err := asn1.Unmarshal(b, &key)
	switch {
	case err != nil:
		return nil, err
	case len(rest) > 0:
		return nil, fmt.Errorf("%d bytes follow", len(rest))
	}
	return parsePublic2B(key.Public)
}
