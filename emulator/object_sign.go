package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Signatures of version 185 that are of a message, of which they hash the public key or
// the context too: they are not of a digest that TPM2_Sign could be given.

// signsMessages reports whether a key signs and verifies messages, not digests.
func (o *object) signsMessages() bool { return o.messageAlg() != wire.AlgNull }

// messageAlg is the algorithm with which a key signs messages: its type for ML-DSA, its
// scheme for EdDSA; TPM_ALG_NULL for one that signs digests, or nothing.
func (o *object) messageAlg() wire.AlgID {
	switch {
	case !o.loaded():
	case isMLDSA(o.public.Parms.Type):
		return o.public.Parms.Type
	case o.public.Parms.Type == wire.AlgECC && isEdDSA(o.public.Parms.Scheme.Alg):
		return o.public.Parms.Scheme.Alg
	}
	return wire.AlgNull
}

// messageSignature is the size in bytes of the TPMT_SIGNATURE of a key that signs messages.
func (o *object) messageSignature() int {
	switch o.messageAlg() {
	case wire.AlgMLDSA:
		return 2 + 2 + o.public.Parms.MLDSA.SignatureSize()
	case wire.AlgHashMLDSA:
		return 2 + 2 + 2 + o.public.Parms.MLDSA.SignatureSize()
	}
	return 2 + 2 + o.eddsaCurve().SignatureSize()
}

// randomSignature is the size in bytes of the random number of an ML-DSA signature.
const randomSignature = 32

// messageMu is µ of a message with an empty context.
func (o *object) messageMu(message []byte) ([]byte, wire.RC) {
	signed := message
	if o.public.Parms.Type == wire.AlgHashMLDSA {
		signed = crypt.Digest(o.public.Parms.Hash, nil, message)
	}
	return o.muOf(nil, signed)
}

// muOf is µ of a message with an ML-DSA key, of a digest with a HashML-DSA key.
func (o *object) muOf(context, signed []byte) ([]byte, wire.RC) {
	mu, rc := o.newMu(context)
	if rc != wire.RCSuccess {
		return nil, rc
	}
	mu.Write(signed)
	return mu.Sum(nil), wire.RCSuccess
}

// signMessage signs a message, with an empty context, with a key that signs messages
// and has its sensitive area. The code it fails with is bare, and then nothing was
// drawn.
func (t *TPM) signMessage(key *object, message []byte) (wire.Signature, wire.RC) {
	if isEdDSA(key.messageAlg()) {
		return key.signEdDSA(key.eddsaInput(message))
	}
	mu, rc := key.messageMu(message)
	if rc != wire.RCSuccess {
		return wire.Signature{}, rc
	}
	return t.signMu(key, mu)
}

// signMu signs µ with an ML-DSA key that has its sensitive area. It draws the random
// number of the signature from the generator of the TPM, so that equal seeds give equal
// signatures. The code it fails with is bare, and then nothing was drawn.
func (t *TPM) signMu(key *object, mu []byte) (wire.Signature, wire.RC) {
	s := wire.Signature{Alg: key.public.Parms.Type, Hash: wire.AlgNull}
	if s.Alg == wire.AlgHashMLDSA {
		s.Hash = key.public.Parms.Hash
	}
	k, rc := key.mldsaKey()
	if rc != wire.RCSuccess {
		return s, rc
	}
	gen := *t.drbg()
	var random [randomSignature]byte
	gen.Read(random[:])
	signature, err := k.SignMu(mu, random[:])
	if err != nil {
		return s, rcOf(err)
	}
	*t.drbg() = gen
	s.Bytes = signature
	return s, wire.RCSuccess
}

// verifyMessage reports whether a signature is that of a message with a key of any
// type; a context is empty. The codes are those of verify.
func (t *TPM) verifyMessage(key *object, message []byte, s *wire.Signature) wire.RC {
	if !key.signsMessages() {
		if t.algs.DigestSize(s.Hash) == 0 {
			return wire.RCScheme // of another kind of key
		}
		return t.verify(key, crypt.Digest(s.Hash, nil, message), s)
	}
	if isEdDSA(key.messageAlg()) {
		return key.verifyEdDSA(key.eddsaInput(message), s)
	}
	mu, rc := key.messageMu(message)
	if rc != wire.RCSuccess {
		return rc
	}
	return key.verifyMu(mu, s)
}

// verifyMu reports whether a signature is that of µ with an ML-DSA key, of which the
// public area is enough: TPM_RC_SIGNATURE if it is not, TPM_RC_SCHEME if it cannot be
// one.
func (o *object) verifyMu(mu []byte, s *wire.Signature) wire.RC {
	p := &o.public.Parms
	if s.Alg != p.Type || p.Type == wire.AlgHashMLDSA && s.Hash != p.Hash {
		return wire.RCScheme
	}
	k, rc := o.mldsaPublic()
	if rc != wire.RCSuccess {
		return rc
	}
	if !k.VerifyMu(mu, s.Bytes) {
		return wire.RCSignature
	}
	return wire.RCSuccess
}
