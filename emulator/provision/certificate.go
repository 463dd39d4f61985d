package provision

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"math/big"
	"time"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Identity is what certificates say of the TPM and of the machine that it is in.
type Identity struct {
	// Manufacturer, Model and Version are those of the TPM: the manufacturer and the
	// version are "id:" and eight hexadecimal digits (EK profile, section 3.2).
	Manufacturer, Model, Version string
	Specification                Specification
	// Name is the common name of the subject. Without one the subject is empty, as
	// EK profile, section 3.2, has it.
	Name string
	// Platform is what the machine is.
	Platform Platform
}

// Specification is the library specification of the TPM, such as 2.0, 0 and 164.
type Specification struct {
	Family          string
	Level, Revision int
}

// Platform is the machine that a TPM is in.
type Platform struct{ Manufacturer, Model, Version, Serial string }

// Object identifiers of TCG (2.23.133) and of X.509.
var (
	oidTPMManufacturer  = asn1.ObjectIdentifier{2, 23, 133, 2, 1}
	oidTPMModel         = asn1.ObjectIdentifier{2, 23, 133, 2, 2}
	oidTPMVersion       = asn1.ObjectIdentifier{2, 23, 133, 2, 3}
	oidTPMSpecification = asn1.ObjectIdentifier{2, 23, 133, 2, 16}
	oidHardwareTPM      = asn1.ObjectIdentifier{2, 23, 133, 1, 2}          // TPM 2.0 as a hwType
	oidEKCertificate    = asn1.ObjectIdentifier{2, 23, 133, 8, 1}          // tcg-kp-EKCertificate
	oidAIKCertificate   = asn1.ObjectIdentifier{2, 23, 133, 8, 3}          // tcg-kp-AIKCertificate
	oidTPMResidency     = asn1.ObjectIdentifier{2, 23, 133, 11, 1, 1}      // tcg-cap-verifiedTPMResidency
	oidTPMFixed         = asn1.ObjectIdentifier{2, 23, 133, 11, 1, 2}      // tcg-cap-verifiedTPMFixed
	oidTPMRestricted    = asn1.ObjectIdentifier{2, 23, 133, 11, 1, 3}      // tcg-cap-verifiedTPMRestricted
	oidHardwareModule   = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 8, 4} // id-on-hardwareModuleName

	oidSubjectDirectoryAttributes = asn1.ObjectIdentifier{2, 5, 29, 9}
	oidSubjectAltName             = asn1.ObjectIdentifier{2, 5, 29, 17}
)

// utf8String is a value of the type that TCG's attributes have.
func utf8String(text string) asn1.RawValue {
	return asn1.RawValue{Tag: asn1.TagUTF8String, Bytes: []byte(text)}
}

// attribute is an attribute of a name, which stands in a set of its own.
func attribute(oid asn1.ObjectIdentifier, text string) pkix.RelativeDistinguishedNameSET {
	return pkix.RelativeDistinguishedNameSET{{Type: oid, Value: utf8String(text)}}
}

// directoryName is a GeneralName of a directory name, [4] EXPLICIT Name.
func directoryName(name pkix.RDNSequence) (asn1.RawValue, error) {
	der, err := asn1.Marshal(name)
	return rawName(der), err
}

// alternativeName is a subjectAltName of one GeneralName, critical where the subject
// is empty (RFC 5280, section 4.2.1.6).
func alternativeName(name asn1.RawValue, critical bool) (pkix.Extension, error) {
	der, err := asn1.Marshal([]asn1.RawValue{name})
	return pkix.Extension{Id: oidSubjectAltName, Critical: critical, Value: der}, err
}

// tpm is the directory name of the TPM (EK profile, section 3.2).
func (id *Identity) tpm() pkix.RDNSequence {
	return pkix.RDNSequence{
		attribute(oidTPMManufacturer, id.Manufacturer),
		attribute(oidTPMModel, id.Model),
		attribute(oidTPMVersion, id.Version),
	}
}

// subject is the subject of a certificate.
func (id *Identity) subject() pkix.Name { return pkix.Name{CommonName: id.Name} }

// specification is the subjectDirectoryAttributes with the TPM's specification (EK
// profile, section 3.2).
func (id *Identity) specification() (pkix.Extension, error) {
	type specification struct {
		Family          asn1.RawValue
		Level, Revision int
	}
	type attribute struct {
		Type   asn1.ObjectIdentifier
		Values []specification `asn1:"set"`
	}
	s := &id.Specification
	der, err := asn1.Marshal([]attribute{{oidTPMSpecification, []specification{{utf8String(s.Family), s.Level, s.Revision}}}})
	return pkix.Extension{Id: oidSubjectDirectoryAttributes, Value: der}, err
}

// endorsement returns the certificate of an endorsement key (EK profile, section 3.2).
// A short one lacks what may be left out.
func (a *Authority) endorsement(id *Identity, public crypto.PublicKey, serial *big.Int, now time.Time, short bool) ([]byte, error) {
	t := template(id, serial, now)
	t.UnknownExtKeyUsage = []asn1.ObjectIdentifier{oidEKCertificate}
	t.KeyUsage = x509.KeyUsageKeyAgreement
	if _, ok := public.(*rsa.PublicKey); ok {
		t.KeyUsage = x509.KeyUsageKeyEncipherment
	}
	if err := id.name(t); err != nil {
		return nil, err
	}
	if !short {
		specification, err := id.specification()
		if err != nil {
			return nil, err
		}
		t.ExtraExtensions = append(t.ExtraExtensions, specification)
	}
	return a.certify(t, public)
}

// template is what all certificates of keys have.
func template(id *Identity, serial *big.Int, now time.Time) *x509.Certificate {
	return &x509.Certificate{SerialNumber: serial, Subject: id.subject(), NotBefore: now.UTC(), NotAfter: forever, BasicConstraintsValid: true}
}

// name names the TPM in a certificate.
func (id *Identity) name(t *x509.Certificate) error {
	name, err := directoryName(id.tpm())
	if err != nil {
		return err
	}
	extension, err := alternativeName(name, id.Name == "")
	t.ExtraExtensions = append(t.ExtraExtensions, extension)
	return err
}

// attestation returns the certificate of an attestation key.
func (a *Authority) attestation(id *Identity, public crypto.PublicKey, serial *big.Int, now time.Time) ([]byte, error) {
	t := template(id, serial, now)
	t.UnknownExtKeyUsage = []asn1.ObjectIdentifier{oidAIKCertificate}
	t.KeyUsage = x509.KeyUsageDigitalSignature
	if err := id.name(t); err != nil {
		return nil, err
	}
	return a.certify(t, public)
}

// device returns the certificate of an IAK or IDevID, as DevID has it. The name of
// the device is a hardwareModuleName (RFC 4108, section 5), whose serial number is
// that of the machine.
func (a *Authority) device(kind Kind, id *Identity, public crypto.PublicKey, serial *big.Int, now time.Time) ([]byte, error) {
	t := template(id, serial, now)
	t.Subject.SerialNumber = id.Platform.Serial
	t.KeyUsage = x509.KeyUsageDigitalSignature
	policies := []asn1.ObjectIdentifier{oidTPMResidency, oidTPMFixed}
	if kind == IAK {
		t.UnknownExtKeyUsage = []asn1.ObjectIdentifier{oidAIKCertificate}
		policies = append(policies, oidTPMRestricted)
	}
	for _, policy := range policies {
		p, err := x509.ParseOID(policy.String())
		if err != nil {
			return nil, err
		}
		t.Policies = append(t.Policies, p)
	}
	type hardwareModuleName struct {
		Type   asn1.ObjectIdentifier
		Serial []byte
	}
	type otherName struct {
		Type  asn1.ObjectIdentifier
		Value hardwareModuleName `asn1:"explicit,tag:0"`
	}
	der, err := asn1.MarshalWithParams(otherName{oidHardwareModule, hardwareModuleName{oidHardwareTPM, []byte(id.Platform.Serial)}}, "tag:0")
	if err != nil {
		return nil, err
	}
	name, err := alternativeName(asn1.RawValue{FullBytes: der}, t.Subject.CommonName == "" && t.Subject.SerialNumber == "")
	if err != nil {
		return nil, err
	}
	t.ExtraExtensions = append(t.ExtraExtensions, name)
	return a.certify(t, public)
}

// PublicError is a public area that is not one of the template.
type PublicError struct {
	Key    string
	Reason string
}

func (e *PublicError) Error() string {
	return fmt.Sprintf("%s: the TPM has made a key that is not the template's: %s", e.Key, e.Reason)
}

var curves = map[wire.Curve]elliptic.Curve{
	wire.CurveNISTP256: elliptic.P256(), wire.CurveNISTP384: elliptic.P384(), wire.CurveNISTP521: elliptic.P521(),
}

// publicKey returns the key in a TPMT_PUBLIC that a TPM has made from the template of
// k: all but its last part, unique, is the template's.
func (k *Key) publicKey(area []byte) (crypto.PublicKey, error) {
	fail := func(reason string) (crypto.PublicKey, error) { return nil, &PublicError{k.String(), reason} }
	bare := k.public
	bare.Unique, bare.Point = nil, wire.ECPoint{}
	w := wire.NewWriter(nil)
	w.Public(&bare)
	unique := 2 // octets of an empty one
	if bare.Parms.Type == wire.AlgECC {
		unique = 4
	}
	head := w.Data()[:w.Len()-unique]
	if len(area) < len(head) || string(area[:len(head)]) != string(head) {
		return fail("its parameters are others")
	}
	r := wire.NewReader(area[len(head):], nil)
	if bare.Parms.Type == wire.AlgRSA {
		modulus := r.Sized(wire.MaxRSAKey)
		if r.RC() != wire.RCSuccess || r.Len() != 0 || len(modulus) != int(bare.Parms.KeyBits/8) {
			return fail("its modulus has another size")
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: 65537}, nil
	}
	x, y := r.Sized(wire.MaxECCKey), r.Sized(wire.MaxECCKey)
	if r.RC() != wire.RCSuccess || r.Len() != 0 {
		return fail("its point has another size")
	}
	curve := curves[bare.Parms.Curve]
	size := (curve.Params().BitSize + 7) / 8
	if len(x) > size || len(y) > size {
		return fail("its point has another size")
	}
	point := make([]byte, 1+2*size)
	point[0] = 4
	copy(point[1+size-len(x):], x)
	copy(point[1+2*size-len(y):], y)
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return fail(err.Error())
	}
	return key, nil
}
