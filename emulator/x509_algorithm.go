package emulator

import (
	"encoding/asn1"
	"math/big"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// The algorithms of TPM keys as X.509 certificates name them (RFC 3279, RFC 4055,
// RFC 5480, RFC 5758; for SHA-3 RFC 9688 and NIST's arc).

type oid = asn1.ObjectIdentifier

// Identifiers of keys and schemes.
var (
	oidRSA    = oid{1, 2, 840, 113549, 1, 1, 1}
	oidMGF1   = oid{1, 2, 840, 113549, 1, 1, 8}
	oidRSAPSS = oid{1, 2, 840, 113549, 1, 1, 10}
	oidECC    = oid{1, 2, 840, 10045, 2, 1}
)

// hashOIDs are the identifiers of a hash, and of RSASSA and ECDSA with it.
var hashOIDs = map[wire.AlgID]struct{ hash, rsassa, ecdsa oid }{
	wire.AlgSHA1:     {oid{1, 3, 14, 3, 2, 26}, oid{1, 2, 840, 113549, 1, 1, 5}, oid{1, 2, 840, 10045, 4, 1}},
	wire.AlgSHA256:   {nistHash(1), oid{1, 2, 840, 113549, 1, 1, 11}, oid{1, 2, 840, 10045, 4, 3, 2}},
	wire.AlgSHA384:   {nistHash(2), oid{1, 2, 840, 113549, 1, 1, 12}, oid{1, 2, 840, 10045, 4, 3, 3}},
	wire.AlgSHA512:   {nistHash(3), oid{1, 2, 840, 113549, 1, 1, 13}, oid{1, 2, 840, 10045, 4, 3, 4}},
	wire.AlgSHA3_256: {nistHash(8), nistSignature(14), nistSignature(10)},
	wire.AlgSHA3_384: {nistHash(9), nistSignature(15), nistSignature(11)},
	wire.AlgSHA3_512: {nistHash(10), nistSignature(16), nistSignature(12)},
}

func nistHash(n int) oid      { return oid{2, 16, 840, 1, 101, 3, 4, 2, n} }
func nistSignature(n int) oid { return oid{2, 16, 840, 1, 101, 3, 4, 3, n} }

// curveOIDs are the identifiers of curves. The BN curves have none.
var curveOIDs = map[wire.Curve]oid{
	wire.CurveNISTP192: {1, 2, 840, 10045, 3, 1, 1},
	wire.CurveNISTP224: {1, 3, 132, 0, 33},
	wire.CurveNISTP256: {1, 2, 840, 10045, 3, 1, 7},
	wire.CurveNISTP384: {1, 3, 132, 0, 34},
	wire.CurveNISTP521: {1, 3, 132, 0, 35},
	wire.CurveSM2P256:  {1, 2, 156, 10197, 1, 301},
}

// algorithmIdentifier encodes an AlgorithmIdentifier with parameters that are
// encoded, nil for none.
func algorithmIdentifier(id oid, parameters []byte) []byte {
	return derSequence(derOf(id), parameters)
}

// publicKeyInfo encodes the SubjectPublicKeyInfo of a key, false for one that has
// none.
func (o *object) publicKeyInfo() ([]byte, bool) {
	p := &o.public
	switch p.Parms.Type {
	case wire.AlgRSA:
		k, rc := o.rsaPublic()
		if rc != wire.RCSuccess {
			return nil, false
		}
		key := derSequence(derOf(k.N), derOf(int64(k.E)))
		return derSequence(algorithmIdentifier(oidRSA, asn1.NullBytes), bitString(key)), true
	case wire.AlgECC:
		id, ok := curveOIDs[p.Parms.Curve]
		if !ok {
			return nil, false
		}
		curve := o.curve()
		size := curve.FieldSize()
		q := crypt.Point{X: new(big.Int).SetBytes(p.Point.X), Y: new(big.Int).SetBytes(p.Point.Y)}
		if !curve.OnCurve(q) {
			return nil, false // nobody looks at the point of a key without nameAlg when it is loaded
		}
		point := make([]byte, 1+2*size) // uncompressed (SEC 1, section 2.3.3)
		point[0] = 4
		q.X.FillBytes(point[1 : 1+size])
		q.Y.FillBytes(point[1+size:])
		return derSequence(algorithmIdentifier(oidECC, derOf(id)), bitString(point)), true
	}
	return nil, false
}

// bitString encodes a BIT STRING of whole octets.
func bitString(b []byte) []byte { return derOf(asn1.BitString{Bytes: b, BitLength: 8 * len(b)}) }

// signatureAlgorithm encodes the AlgorithmIdentifier of what a key signs in a
// scheme, false if there is none.
func signatureAlgorithm(p *wire.Public, scheme wire.Scheme) ([]byte, bool) {
	ids, ok := hashOIDs[scheme.Hash]
	if !ok {
		return nil, false
	}
	switch scheme.Alg {
	case wire.AlgRSASSA:
		return algorithmIdentifier(ids.rsassa, asn1.NullBytes), true
	case wire.AlgRSAPSS:
		return algorithmIdentifier(oidRSAPSS, pssParameters(scheme.Hash, ids.hash, len(p.Unique))), true
	case wire.AlgECDSA:
		return algorithmIdentifier(ids.ecdsa, nil), true
	}
	return nil, false
}

// pssParameters encodes RSASSA-PSS-params for a modulus of size bytes (RFC 4055,
// section 3.1). What is the default must not be encoded: all that belongs to
// SHA-1.
func pssParameters(alg wire.AlgID, id oid, size int) []byte {
	var hash, mgf, salt []byte
	if alg != wire.AlgSHA1 {
		identifier := algorithmIdentifier(id, asn1.NullBytes)
		hash = derExplicit(0, identifier)
		mgf = derExplicit(1, algorithmIdentifier(oidMGF1, identifier))
	}
	if n := crypt.PSSSaltSize(crypt.HashSize(alg), size); n != 20 {
		salt = derExplicit(2, derOf(n))
	}
	return derSequence(hash, mgf, salt)
}
