package verify

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"

	"filippo.io/mldsa"
)

// Constants of Part 2 of public areas.
const (
	algRSA     = 0x0001
	algECC     = 0x0023
	algNull    = 0x0010
	algECDAA   = 0x001a
	algRSAES   = 0x0015
	rsaDefault = 65537 // what an exponent of 0 stands for
)

// curves are those of TPM_ECC_CURVE that a quote can be checked on here.
var curves = map[uint16]elliptic.Curve{3: elliptic.P256(), 4: elliptic.P384(), 5: elliptic.P521()}

// isPublic2B reports whether b begins as a TPM2B_PUBLIC of an asymmetric key.
func isPublic2B(b []byte) bool { return len(b) > 4 && isPublic(b[2:]) && !isPublic(b) }

// isPublic reports whether b begins as a TPMT_PUBLIC of an asymmetric key: type
// and nameAlg.
func isPublic(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	kind, name := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	return (kind == algRSA || kind == algECC || kind == algMLDSA) && (name == algNull || bankByAlgID(name) != 0)
}

// parsePublic2B reads a TPM2B_PUBLIC.
func parsePublic2B(b []byte) (crypto.PublicKey, error) {
	if len(b) < 2 {
		return nil, &AttestError{Structure: "TPM2B_PUBLIC", Item: "size", Err: fmt.Errorf("%d bytes, there are 2", len(b))}
	}
	if n := int(binary.BigEndian.Uint16(b)); n != len(b)-2 {
		return nil, &AttestError{Structure: "TPM2B_PUBLIC", Item: "size", Err: fmt.Errorf("%d bytes, but %d follow", n, len(b)-2)}
	}
	return parsePublic("TPMT_PUBLIC", b[2:])
}

// parsePublic reads a TPMT_PUBLIC (Part 2, section "TPMT_PUBLIC"). The error is
// an AttestError.
func parsePublic(structure string, b []byte) (crypto.PublicKey, error) {
	d := &attestDecoder{structure: structure, b: b}
	kind := d.uint16("type")
	d.uint16("nameAlg")
	d.uint32("objectAttributes")
	d.sized("authPolicy", digestMax)
	if kind == algMLDSA {
		return d.mldsa()
	}
	if d.symmetric(); kind == algECC {
		return d.ecc()
	}
	return d.rsa()
}

func (d *attestDecoder) mldsa() (crypto.PublicKey, error) {
	id := d.uint16("parameterSet")
	set, ok := mldsaSets[id]
	if !ok {
		d.fail(2, fmt.Errorf("TPMI_MLDSA_PARAMETER_SET 0x%04x; there are 1 to 3", id))
	}
	d.yesNo("allowExternalMu")
	encoded := d.sized("unique", mldsa.MLDSA87PublicKeySize)
	if err := d.end(); err != nil {
		return nil, err
	}
	key, err := mldsa.NewPublicKey(set, encoded)
	if err != nil {
		return nil, &AttestError{Structure: d.structure, Offset: d.at - len(encoded), Item: "unique", Err: fmt.Errorf("it is no key of %s: %w", set, err)}
	}
	return key, nil
}

// symmetric reads a TPMT_SYM_DEF_OBJECT, which a key that signs has not got.
func (d *attestDecoder) symmetric() {
	if d.uint16("symmetric algorithm") != algNull {
		d.uint16("symmetric keyBits")
		d.uint16("symmetric mode")
	}
}

// scheme reads a TPMT_RSA_SCHEME or TPMT_ECC_SCHEME.
func (d *attestDecoder) scheme() {
	switch d.uint16("scheme") {
	case algNull, algRSAES:
	case algECDAA:
		d.uint16("scheme hash")
		d.uint16("scheme count")
	default:
		d.uint16("scheme hash")
	}
}

func (d *attestDecoder) rsa() (crypto.PublicKey, error) {
	d.scheme()
	bits := int(d.uint16("keyBits"))
	exponent := d.uint32("exponent")
	if exponent == 0 {
		exponent = rsaDefault
	}
	modulus := d.sized("modulus", rsaMax)
	if err := d.end(); err != nil {
		return nil, err
	}
	n := new(big.Int).SetBytes(modulus)
	if n.BitLen() != bits || n.Bit(0) == 0 {
		return nil, &AttestError{Structure: d.structure, Offset: d.at - len(modulus), Item: "modulus", Err: fmt.Errorf("it is none of %d bits", bits)}
	}
	if exponent < 3 || exponent%2 == 0 || exponent > 1<<31-1 {
		return nil, &AttestError{Structure: d.structure, Offset: d.at - len(modulus) - 2 - 4, Item: "exponent", Err: fmt.Errorf("%d", exponent)}
	}
	return &rsa.PublicKey{N: n, E: int(exponent)}, nil
}

func (d *attestDecoder) ecc() (crypto.PublicKey, error) {
	d.scheme()
	id := d.uint16("curveID")
	curve, ok := curves[id]
	if !ok {
		d.fail(2, fmt.Errorf("TPM_ECC_CURVE 0x%04x; taken are NIST's P-256 (3), P-384 (4) and P-521 (5)", id))
	}
	if d.uint16("kdf") != algNull {
		d.uint16("kdf hash")
	}
	x, y := d.sized("x", eccMax), d.sized("y", eccMax)
	if err := d.end(); err != nil {
		return nil, err
	}
	// SEC 1, with the zeros in front that a TPM may leave out.
	size := (curve.Params().BitSize + 7) / 8
	if len(x) > size || len(y) > size {
		return nil, &AttestError{Structure: d.structure, Offset: d.at, Item: "point", Err: fmt.Errorf("longer than the %d bytes of the curve", size)}
	}
	point := make([]byte, 1+2*size)
	point[0] = 4
	copy(point[1+size-len(x):], x)
	copy(point[1+2*size-len(y):], y)
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	if err != nil {
		return nil, &AttestError{Structure: d.structure, Offset: d.at, Item: "point", Err: errors.New("it is not on the curve")}
	}
	return key, nil
}
