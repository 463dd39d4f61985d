package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Secrets that are exchanged with an asymmetric key (Part 1, annexes "RSA",
// section "RSA Secret Sharing", and "ECC", section "ECC Secret Sharing").

// Labels of what a secret is for. RSA counts the zero at the end; the key
// derivation adds it.
const (
	labelSecret    = "SECRET"
	labelDuplicate = "DUPLICATE"
	labelIdentity  = "IDENTITY"
)

// asymmetric says whether a loaded object is an RSA or ECC key.
func (o *object) asymmetric() bool {
	return o.loaded() && (o.public.Parms.Type == wire.AlgRSA || o.public.Parms.Type == wire.AlgECC)
}

// oaepScheme is the scheme in which an RSA key takes a secret: its own if that
// is OAEP, or with no scheme OAEP with its nameAlg; false for any other.
func oaepScheme(p *wire.Public) (wire.Scheme, bool) {
	switch p.Parms.Scheme.Alg {
	case wire.AlgOAEP:
		return p.Parms.Scheme, true
	case wire.AlgNull:
		return wire.Scheme{Alg: wire.AlgOAEP, Hash: p.NameAlg, KDF: wire.AlgNull}, p.NameAlg != wire.AlgNull
	}
	return wire.Scheme{}, false
}

// decryptSecret recovers a secret that was encrypted to an asymmetric key whose
// sensitive area is there. The code it fails with is bare.
func (t *TPM) decryptSecret(key *object, label string, secret []byte) ([]byte, wire.RC) {
	if key.public.Parms.Type == wire.AlgRSA {
		return t.decryptRSASecret(key, label, secret)
	}
	r := wire.NewReader(secret, t.algs.Selectors())
	var p wire.ECPoint
	r.Point(&p)
	if rc := r.RC(); rc != wire.RCSuccess {
		return nil, rc
	}
	curve := crypt.CurveOf(key.public.Parms.Curve)
	q, err := curve.DecodePoint(p.X, p.Y)
	if err != nil {
		return nil, rcOf(err)
	}
	z, err := curve.ECDH(key.scalar(), q)
	if err != nil {
		return nil, rcOf(err)
	}
	alg := key.public.NameAlg
	return crypt.KDFe(alg, z, label, p.X, key.public.Point.X, t.algs.DigestSize(alg)*8), wire.RCSuccess
}

func (t *TPM) decryptRSASecret(key *object, label string, secret []byte) ([]byte, wire.RC) {
	scheme, ok := oaepScheme(&key.public)
	if !ok {
		return nil, wire.RCScheme
	}
	k, rc := key.rsaKey()
	if rc != wire.RCSuccess {
		return nil, rc
	}
	b, err := crypt.DecryptRSA(k, scheme, append([]byte(label), 0), secret)
	if err != nil {
		return nil, rcOf(err)
	}
	if len(b) > t.algs.DigestSize(scheme.Hash) {
		return nil, wire.RCValue
	}
	return b, wire.RCSuccess
}
