package provision

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"math/big"
	"time"
)

// Object identifiers of platform certificates (Platform profile).
var (
	oidPlatformSpecification   = asn1.ObjectIdentifier{2, 23, 133, 2, 17}
	oidCredentialSpecification = asn1.ObjectIdentifier{2, 23, 133, 2, 23}
	oidCredentialType          = asn1.ObjectIdentifier{2, 23, 133, 2, 25}
	oidPlatformManufacturer    = asn1.ObjectIdentifier{2, 23, 133, 5, 1, 1}
	oidPlatformModel           = asn1.ObjectIdentifier{2, 23, 133, 5, 1, 4}
	oidPlatformVersion         = asn1.ObjectIdentifier{2, 23, 133, 5, 1, 5}
	oidPlatformSerial          = asn1.ObjectIdentifier{2, 23, 133, 5, 1, 6}
	oidPlatformCertificate     = asn1.ObjectIdentifier{2, 23, 133, 8, 2} // tcg-kp-PlatformAttributeCertificate

	oidAuthorityKeyIdentifier = asn1.ObjectIdentifier{2, 5, 29, 35}
)

// The structures of RFC 5755, section 4.1, as far as they are used.
type (
	attributeCertificate struct {
		Info      attributeInfo
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	attributeInfo struct {
		Version    int // v2 is 1
		Holder     holder
		Issuer     issuer `asn1:"tag:0"`
		Algorithm  pkix.AlgorithmIdentifier
		Serial     *big.Int
		Validity   attributeValidity
		Attributes []platformAttribute
		Extensions []pkix.Extension
	}
	holder struct {
		Certificate issuerSerial `asn1:"tag:0"`
	}
	issuerSerial struct {
		Issuer []asn1.RawValue // GeneralNames
		Serial *big.Int
	}
	issuer struct {
		Name []asn1.RawValue // GeneralNames
	}
	attributeValidity struct {
		NotBefore, NotAfter time.Time `asn1:"generalized"`
	}
	platformAttribute struct {
		Type   asn1.ObjectIdentifier
		Values []asn1.RawValue `asn1:"set"`
	}
)

// platform returns the platform certificate of the machine whose TPM has the
// endorsement certificate: an attribute certificate of it (Platform profile, section
// 3.2).
func (a *Authority) platform(id *Identity, endorsement *x509.Certificate, serial *big.Int, now time.Time) ([]byte, error) {
	algorithm, _, err := a.signature()
	if err != nil {
		return nil, err
	}
	info := attributeInfo{
		Version: 1, Holder: holder{issuerSerial{[]asn1.RawValue{rawName(endorsement.RawIssuer)}, endorsement.SerialNumber}},
		Issuer: issuer{[]asn1.RawValue{rawName(a.Certificate.RawSubject)}}, Algorithm: algorithm, Serial: serial,
		Validity: attributeValidity{now.UTC().Truncate(time.Second), forever},
	}
	if info.Attributes, err = platformAttributes(); err != nil {
		return nil, err
	}
	if info.Extensions, err = a.platformExtensions(id); err != nil {
		return nil, err
	}
	signed, err := asn1.Marshal(info)
	if err != nil {
		return nil, err
	}
	signature, err := a.sign(signed)
	if err != nil {
		return nil, err
	}
	return asn1.Marshal(attributeCertificate{info, algorithm, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}})
}

// rawName is a GeneralName of an encoded Name.
func rawName(name []byte) asn1.RawValue {
	return asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 4, IsCompound: true, Bytes: name}
}

// platformAttributes are the attributes of Platform profile, section 3.2: the
// specifications of platform and certificate, and the kind of certificate.
func platformAttributes() ([]platformAttribute, error) {
	type version struct{ Major, Minor, Revision int }
	var list []platformAttribute
	for _, a := range []struct {
		oid   asn1.ObjectIdentifier
		value any
	}{
		// PC Client Platform Firmware Profile 1.05; the class is that of a PC Client.
		{oidPlatformSpecification, struct {
			Version version
			Class   []byte
		}{version{1, 5, 23}, []byte{0, 0, 0, 1}}},
		{oidCredentialSpecification, version{1, 1, 19}},
		{oidCredentialType, struct{ Type asn1.ObjectIdentifier }{oidPlatformCertificate}},
	} {
		der, err := asn1.Marshal(a.value)
		if err != nil {
			return nil, err
		}
		list = append(list, platformAttribute{a.oid, []asn1.RawValue{{FullBytes: der}}})
	}
	return list, nil
}

// platformExtensions name the machine and the authority's key.
func (a *Authority) platformExtensions(id *Identity) ([]pkix.Extension, error) {
	p := &id.Platform
	names := pkix.RDNSequence{
		attribute(oidPlatformManufacturer, p.Manufacturer),
		attribute(oidPlatformModel, p.Model),
		attribute(oidPlatformVersion, p.Version),
	}
	if p.Serial != "" {
		names = append(names, attribute(oidPlatformSerial, p.Serial))
	}
	name, err := directoryName(names)
	if err != nil {
		return nil, err
	}
	machine, err := alternativeName(name, false)
	if err != nil {
		return nil, err
	}
	list := []pkix.Extension{machine}
	if len(a.Certificate.SubjectKeyId) > 0 {
		der, err := asn1.Marshal(struct {
			ID []byte `asn1:"tag:0"`
		}{a.Certificate.SubjectKeyId})
		if err != nil {
			return nil, err
		}
		list = append(list, pkix.Extension{Id: oidAuthorityKeyIdentifier, Value: der})
	}
	return list, nil
}
