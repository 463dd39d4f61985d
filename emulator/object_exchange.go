package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Secrets that are exchanged with an asymmetric key (Part 1, annexes "RSA",
// section "RSA Secret Sharing", "ECC", section "ECC Secret Sharing", and of version 185
// "ML-KEM"): what version 185 calls a Labeled KEM, for salts, credentials and
// duplicates.

// Labels of what a secret is for. RSA counts the zero at the end; the key
// derivation adds it.
const (
	labelSecret    = "SECRET"
	labelDuplicate = "DUPLICATE"
	labelIdentity  = "IDENTITY"
)

// asymmetric reports whether a loaded object is an asymmetric key.
func (o *object) asymmetric() bool { return o.loaded() && !symmetricType(o.public.Parms.Type) }

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

// decryptSecret recovers a secret that was encrypted to an asymmetric key that
// decrypts and whose sensitive area is there. The code it fails with is bare.
func (t *TPM) decryptSecret(key *object, label string, secret []byte) ([]byte, wire.RC) {
	switch key.public.Parms.Type {
	case wire.AlgRSA:
		return t.decryptRSASecret(key, label, secret)
	case wire.AlgMLKEM:
		return decapsulateSecret(key, label, secret)
	}
	r := wire.NewReader(secret, t.algs.Selectors())
	var p wire.ECPoint
	r.Point(&p)
	if rc := r.RC(); rc != wire.RCSuccess {
		return nil, rc
	}
	alg := key.public.NameAlg
	if m := montgomery(&key.public.Parms); m != nil {
		z, rc := agreeMontgomery(m, key.sensitive.Data, &p)
		if rc != wire.RCSuccess {
			return nil, rc
		}
		return crypt.KDFe(alg, z, label, p.X, key.public.Point.X, t.algs.DigestSize(alg)*8), wire.RCSuccess
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

// encryptSecret draws a secret as long as the digests of the key's nameAlg, and
// encrypts it to the key, of which the public area is enough: seed is what both
// sides derive keys from, secret the contents of a TPM2B_ENCRYPTED_SECRET. The
// code it fails with is bare; then nothing was drawn.
func (t *TPM) encryptSecret(key *object, label string) (seed, secret []byte, rc wire.RC) {
	if !key.has(wire.ObjectDecrypt) {
		return nil, nil, wire.RCAttributes
	}
	switch key.public.Parms.Type {
	case wire.AlgRSA:
		return t.encryptRSASecret(key, label)
	case wire.AlgMLKEM:
		return t.encapsulateSecret(key, label)
	}
	if m := montgomery(&key.public.Parms); m != nil {
		return t.encryptMontgomerySecret(m, key, label)
	}
	curve := key.curve()
	q, err := curve.DecodePoint(key.public.Point.X, key.public.Point.Y)
	if err != nil {
		return nil, nil, wire.RCKey
	}
	d, p, err := curve.GenerateKey(t.drbg())
	if err != nil {
		return nil, nil, rcOf(err)
	}
	z, err := curve.ECDH(d, q)
	if err != nil {
		return nil, nil, rcOf(err)
	}
	var point wire.ECPoint
	point.X, point.Y = curve.EncodePoint(p)
	var w wire.Writer
	w.Point(&point)
	alg := key.public.NameAlg
	return crypt.KDFe(alg, z, label, point.X, key.public.Point.X, crypt.HashSize(alg)*8), w.Data(), wire.RCSuccess
}

// encryptRSASecret is encryptSecret for an RSA key. Whatever the scheme of the
// key, it is OAEP with the nameAlg, as the reference has it: a storage key has
// no scheme.
func (t *TPM) encryptRSASecret(key *object, label string) (seed, secret []byte, rc wire.RC) {
	k, rc := key.rsaPublic()
	if rc != wire.RCSuccess {
		return nil, nil, rc
	}
	alg := key.public.NameAlg
	n := crypt.HashSize(alg)
	switch { // room for OAEP, before anything is drawn
	case k.Size() < 2*n+2:
		return nil, nil, wire.RCHash
	case k.Size() < 3*n+2:
		return nil, nil, wire.RCValue
	}
	seed = make([]byte, n)
	t.drbg().Read(seed)
	scheme := wire.Scheme{Alg: wire.AlgOAEP, Hash: alg, KDF: wire.AlgNull}
	secret, err := crypt.EncryptRSA(t.drbg(), k, scheme, append([]byte(label), 0), seed)
	if err != nil {
		return nil, nil, rcOf(err)
	}
	return seed, secret, wire.RCSuccess
}

// encapsulateSecret is encryptSecret for an ML-KEM key: secret is a ciphertext.
func (t *TPM) encapsulateSecret(key *object, label string) (seed, secret []byte, rc wire.RC) {
	k, rc := key.mlkemPublic()
	if rc != wire.RCSuccess {
		return nil, nil, wire.RCKey
	}
	shared, secret, err := k.Encapsulate(t.drbg())
	if err != nil {
		return nil, nil, rcOf(err)
	}
	return labeledSecret(key, label, shared, secret), secret, wire.RCSuccess
}

// decapsulateSecret is decryptSecret for an ML-KEM key: TPM_RC_SIZE for what is not as
// long as its ciphertexts. Any other secret gives some seed, of which only what it
// protects tells whether it is the right one.
func decapsulateSecret(key *object, label string, secret []byte) ([]byte, wire.RC) {
	k, rc := key.mlkemKey()
	if rc != wire.RCSuccess {
		return nil, rc
	}
	shared, err := k.Decapsulate(secret)
	if err != nil {
		return nil, wire.RCSize
	}
	return labeledSecret(key, label, shared, secret), wire.RCSuccess
}

// labeledSecret is the seed that comes of a shared secret of ML-KEM and its ciphertext
// (version 185, Part 1, section "Labeled KEM").
func labeledSecret(key *object, label string, shared, ciphertext []byte) []byte {
	alg := key.public.NameAlg
	return crypt.KDFa(alg, shared, label, ciphertext, key.public.Unique, crypt.HashSize(alg)*8)
}
