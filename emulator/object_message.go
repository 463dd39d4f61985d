package emulator

import (
	"errors"
	"hash"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// A message is what a sign or verify sequence keeps of its message: a hash, µ of ML-DSA,
// or an HMAC with the key. finish gives it, and the message goes on unchanged.
type message interface {
	Write(p []byte) (int, error)
	finish() []byte
	marshal() []byte // without the octet that tells the kind
	kind() byte
}

// The first octet of the state of a message.
const (
	messageHash = 0
	messageMu   = 1
	messageHMAC = 2

	messageWhole   = 3
	messageEd25519 = 4
	messageEd448   = 5
)

type hashMessage struct {
	hash.Hash
	alg wire.AlgID
}

func (m hashMessage) finish() []byte { return m.Sum(nil) }
func (m hashMessage) kind() byte     { return messageHash }
func (m hashMessage) marshal() []byte {
	return append([]byte{byte(m.alg >> 8), byte(m.alg)}, crypt.MarshalHash(m.Hash)...)
}

type muMessage struct{ *crypt.MLDSAMu }

func (m muMessage) finish() []byte { return m.Sum(nil) }
func (m muMessage) kind() byte     { return messageMu }
func (m muMessage) marshal() []byte {
	b, _ := m.MarshalBinary() // the error is always nil
	return b
}

type hmacMessage struct{ *crypt.HMACState }

func (m hmacMessage) finish() []byte { return m.Finish(nil) }
func (m hmacMessage) kind() byte     { return messageHMAC }
func (m hmacMessage) marshal() []byte {
	b, _ := m.MarshalBinary() // the error is always nil
	return b
}

// A wholeMessage is one that EdDSA signs: it hashes it twice, and so needs all of it in the
// last command of the sequence. No state has any of it.
type wholeMessage struct{ data []byte }

func (m *wholeMessage) Write(p []byte) (int, error) {
	m.data = append(m.data, p...)
	return len(p), nil
}
func (m *wholeMessage) finish() []byte { return m.data }
func (m *wholeMessage) kind() byte     { return messageWhole }
func (m *wholeMessage) marshal() []byte {
	return append([]byte{byte(wire.AlgEdDSA >> 8), byte(wire.AlgEdDSA)}, m.data...)
}

// An eddsaMessage is one whose EdDSA signature of a curve is verified, and has no digest.
type eddsaMessage struct {
	crypt.EdDSAVerification
	curve *crypt.MontgomeryCurve
}

func newEdDSAMessage(curve *crypt.MontgomeryCurve, public, hint []byte) (eddsaMessage, error) {
	v, err := curve.NewEdDSAVerification(public, hint)
	return eddsaMessage{v, curve}, err
}

func restoreEdDSAMessage(id wire.Curve, state []byte) (eddsaMessage, error) {
	curve := crypt.MontgomeryCurveOf(id)
	v, err := curve.RestoreEdDSAVerification(state)
	return eddsaMessage{v, curve}, err
}

func (m eddsaMessage) finish() []byte { return nil }
func (m eddsaMessage) kind() byte {
	if m.curve.ID == wire.CurveCurve448 {
		return messageEd448
	}
	return messageEd25519
}
func (m eddsaMessage) marshal() []byte {
	b, _ := m.MarshalBinary() // the error is always nil
	return b
}

// oneShot reports whether the message of a sequence has to come in one piece.
func oneShot(o *state.Object) bool { return len(o.Message) > 0 && o.Message[0] == messageWhole }

// startMessage begins a message to be signed in a scheme of a key; with a hint, one whose
// signature is verified. The code it fails with is bare.
func startMessage(key *object, scheme wire.Scheme, context, hint []byte) (message, wire.RC) {
	switch scheme.Alg {
	case wire.AlgEdDSA:
		if len(hint) == 0 {
			return &wholeMessage{}, wire.RCSuccess
		}
		m, err := newEdDSAMessage(key.eddsaCurve(), key.public.Point.X, hint)
		if err != nil {
			return nil, rcOf(err)
		}
		return m, wire.RCSuccess
	case wire.AlgMLDSA:
		mu, rc := key.newMu(context)
		if rc != wire.RCSuccess {
			return nil, rc
		}
		return muMessage{mu}, wire.RCSuccess
	case wire.AlgHMAC:
		return hmacMessage{crypt.NewHMAC(scheme.Hash, key.sensitive.Data)}, wire.RCSuccess
	}
	m := hashMessage{crypt.NewHash(scheme.Hash), scheme.Hash}
	if scheme.Alg == wire.AlgSM2 {
		curve := key.curve()
		q, err := curve.DecodePoint(key.public.Point.X, key.public.Point.Y)
		if err != nil {
			return nil, rcOf(err)
		}
		m.Write(curve.SM2Identity(scheme.Hash, q, context))
	}
	return m, wire.RCSuccess
}

// saveMessage puts a message into the state.
func saveMessage(o *state.Object, m message) { o.Message = append([]byte{m.kind()}, m.marshal()...) }

// restoreMessage takes a message out of the state.
func restoreMessage(o *state.Object) (message, error) {
	if len(o.Message) < 3 {
		return nil, errors.New("a signature sequence has no message")
	}
	b := o.Message[1:]
	switch o.Message[0] {
	case messageHash:
		alg := wire.AlgID(b[0])<<8 | wire.AlgID(b[1])
		h, err := crypt.UnmarshalHash(alg, b[2:])
		return hashMessage{h, alg}, err
	case messageMu:
		mu := new(crypt.MLDSAMu)
		return muMessage{mu}, mu.UnmarshalBinary(b)
	case messageWhole:
		if wire.AlgID(b[0])<<8|wire.AlgID(b[1]) != wire.AlgEdDSA {
			break
		}
		return &wholeMessage{slices.Clone(b[2:])}, nil
	case messageEd25519:
		return restoreEdDSAMessage(wire.CurveCurve25519, b)
	case messageEd448:
		return restoreEdDSAMessage(wire.CurveCurve448, b)
	case messageHMAC:
		h, err := crypt.UnmarshalHMAC(b)
		return hmacMessage{h}, err
	}
	return nil, errors.New("a signature sequence has a message of an unknown kind")
}

// largestMessages has a state of each kind of message with each hash.
func largestMessages(algs *crypt.Registry) (all [][]byte) {
	add := func(m message) {
		var o state.Object
		saveMessage(&o, m)
		all = append(all, o.Message)
	}
	for _, alg := range algs.Hashes() {
		add(hashMessage{crypt.NewHash(alg), alg})
		add(hmacMessage{crypt.NewHMAC(alg, nil)})
	}
	if mu, err := crypt.NewMLDSAMu(nil, nil); err == nil {
		add(muMessage{mu})
	}
	if algs.Selectors().Has(wire.AlgEdDSA, wire.RoleSigScheme) {
		for _, id := range algs.Curves() {
			curve := crypt.MontgomeryCurveOf(id)
			if curve == nil {
				continue
			}
			public, err := curve.EdDSAPublic(make([]byte, curve.SigningSize()))
			if err == nil {
				m, _ := newEdDSAMessage(curve, public, make([]byte, curve.SigningSize())) // the key is one
				add(m)
			}
		}
	}
	return all
}

// soundSignature reports whether a sign or verify sequence is one of a TPM with the
// algorithms of this one.
func (t *TPM) soundSignature(o *state.Object) bool {
	m, err := restoreMessage(o)
	if err != nil {
		return false
	}
	if h, ok := m.(hashMessage); ok && t.algs.DigestSize(h.alg) == 0 {
		return false
	}
	if whole, ok := m.(*wholeMessage); ok && len(whole.data) != 0 {
		return false
	}
	if len(o.Ticket) != 0 {
		if _, err := crypt.UnmarshalHMAC(o.Ticket); err != nil {
			return false
		}
	}
	return true
}
