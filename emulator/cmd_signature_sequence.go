package emulator

import (
	"encoding/binary"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Sequences that sign a message and verify the signature of one (version 185; Part 3,
// TPM2_SignSequenceStart to TPM2_VerifySequenceComplete).

// signSequenceStart is TPM2_SignSequenceStart.
func (t *TPM) signSequenceStart(c *call) wire.RC {
	auth := c.auth()
	context := c.next().SignatureContext()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	key := c.entities[0].object
	scheme, rc := ownScheme(key)
	switch {
	case rc != wire.RCSuccess:
		return c.badHandle(1, rc)
	case scheme.Alg == wire.AlgHMAC && (key.publicOnly() || key.has(wire.ObjectRestricted)):
		return c.badHandle(1, wire.RCKey) // a restricted one has no ticket to show
	case key.has(wire.ObjectX509Sign):
		return c.badHandle(1, wire.RCAttributes)
	case !contextFits(scheme.Alg, context):
		return c.badParam(2, wire.RCSize)
	}
	return t.startSignature(c, state.ObjectSignSequence, scheme, auth, context, nil)
}

// verifySequenceStart is TPM2_VerifySequenceStart. EdDSA needs a hint, the first half of the
// signature: it is hashed before the message.
func (t *TPM) verifySequenceStart(c *call) wire.RC {
	auth := c.auth()
	hint := c.next().SignatureHint()
	context := c.next().SignatureContext()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	key := c.entities[0].object
	scheme, rc := ownScheme(key)
	switch {
	case rc != wire.RCSuccess:
		return c.badHandle(1, rc)
	case scheme.Alg == wire.AlgHMAC && key.publicOnly():
		return c.badHandle(1, wire.RCKey)
	case scheme.Alg == wire.AlgECDAA:
		return c.badHandle(1, wire.RCScheme) // no TPM verifies it
	case len(hint) != hintSize(key, scheme.Alg):
		return c.badParam(2, wire.RCSize)
	case !contextFits(scheme.Alg, context):
		return c.badParam(3, wire.RCSize)
	}
	return t.startSignature(c, state.ObjectVerifySequence, scheme, auth, context, hint)
}

// hintSize is the size in bytes of what must be known of a signature before its message.
func hintSize(key *object, alg wire.AlgID) int {
	if alg == wire.AlgEdDSA {
		return key.eddsaCurve().SigningSize()
	}
	return 0
}

// ownScheme is the scheme in which a key signs messages: its own, or its type for a key
// that has no scheme field. The code is bare: TPM_RC_KEY for what is no signing key,
// TPM_RC_SCHEME for one without a scheme.
func ownScheme(key *object) (wire.Scheme, wire.RC) {
	switch {
	case !key.loaded() || !key.signing():
		return wire.Scheme{}, wire.RCKey
	case key.public.Parms.Type == wire.AlgHashMLDSA:
		return wire.Scheme{Alg: wire.AlgHashMLDSA, Hash: key.public.Parms.Hash}, wire.RCSuccess
	case key.public.Parms.Type == wire.AlgMLDSA:
		return wire.Scheme{Alg: wire.AlgMLDSA, Hash: wire.AlgNull}, wire.RCSuccess
	case key.public.Parms.Scheme.Alg == wire.AlgNull:
		return wire.Scheme{}, wire.RCScheme
	case key.public.Parms.Scheme.Alg == wire.AlgHashEdDSA:
		return wire.Scheme{Alg: wire.AlgHashEdDSA, Hash: key.eddsaCurve().Hash}, wire.RCSuccess
	}
	return key.public.Parms.Scheme, wire.RCSuccess
}

// contextFits reports whether a scheme can have a context for a message (Part 3, table
// of signature contexts): any for ML-DSA, the identity of the signer for SM2, the counter
// of the commitment for ECDAA, and none for the others.
func contextFits(alg wire.AlgID, context []byte) bool {
	switch alg {
	case wire.AlgMLDSA, wire.AlgHashMLDSA, wire.AlgSM2:
		return true
	case wire.AlgECDAA:
		return len(context) == ecdaaContext
	}
	return len(context) == 0
}

// ecdaaContext is the size in bytes of a counter of TPM2_Commit.
const ecdaaContext = 2

// keyIdentity tells a key from all others: its Name, or the digest of its public area if
// it has none.
func keyIdentity(o *object) []byte {
	if len(o.Name) != 0 {
		return o.Name
	}
	return crypt.Digest(wire.AlgSHA256, nil, o.Public)
}

// startSignature makes the sequence object of the first handle's key.
func (t *TPM) startSignature(c *call, kind state.ObjectKind, scheme wire.Scheme, auth, context, hint []byte) wire.RC {
	key := c.entities[0].object
	running, rc := startMessage(key, scheme, context, hint)
	if rc != wire.RCSuccess {
		return c.badHandle(1, rc)
	}
	sequence := state.Object{Kind: kind, Hierarchy: key.Hierarchy, Key: slices.Clone(keyIdentity(key)), Context: slices.Clone(context)}
	sequence.Auth.Set(auth)
	saveMessage(&sequence, running)
	if kind == state.ObjectVerifySequence && key.Hierarchy != wire.RHNull && len(key.Name) != 0 {
		ticket := crypt.NewHMAC(t.contextHash, t.proof(key.Hierarchy))
		ticket.Write(binary.BigEndian.AppendUint16(nil, uint16(wire.STMessageVerified)))
		saveTicket(&sequence, ticket)
	}
	h, o := t.takeSlot(&sequence)
	if o == nil {
		return wire.RCObjectMemory
	}
	c.rhandle = h
	return wire.RCSuccess
}

// updateSignature adds data to a sign or verify sequence.
func updateSignature(o *state.Object, data []byte) {
	m, err := restoreMessage(o)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	m.Write(data)
	saveMessage(o, m)
	o.FirstBlock = true
	o.First = append(o.First, data[:min(len(data), generatedSize-len(o.First))]...)
	if len(o.Ticket) != 0 {
		ticket := restoreTicket(o)
		ticket.Write(data)
		saveTicket(o, ticket)
	}
}

func saveTicket(o *state.Object, ticket *crypt.HMACState) { o.Ticket, _ = ticket.MarshalBinary() }

func restoreTicket(o *state.Object) *crypt.HMACState {
	ticket, err := crypt.UnmarshalHMAC(o.Ticket)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return ticket
}

// sequenceOf checks that the first handle is a sequence of a kind, and the second the key
// that it was started with, loaded again or not.
func (c *call) sequenceOf(kind state.ObjectKind) (sequence, key *object, rc wire.RC) {
	sequence, key = c.entities[0].object, c.entities[1].object
	switch {
	case sequence.Kind != kind:
		return nil, nil, c.badHandle(1, wire.RCMode)
	case !key.loaded() || !slices.Equal(keyIdentity(key), sequence.Key):
		return nil, nil, c.badHandle(2, wire.RCSignContextKey)
	}
	return sequence, key, wire.RCSuccess
}

// signSequenceComplete is TPM2_SignSequenceComplete. The sequence object is gone after a
// signature, and stays otherwise.
func (t *TPM) signSequenceComplete(c *call) wire.RC {
	data := c.buffer()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	sequence, key, rc := c.sequenceOf(state.ObjectSignSequence)
	if rc != wire.RCSuccess {
		return rc
	}
	if key.has(wire.ObjectX509Sign) {
		return c.badHandle(2, wire.RCAttributes)
	}
	scheme, rc := ownScheme(key)
	if rc != wire.RCSuccess {
		return c.badHandle(2, rc)
	}
	whole := sequence.copied()
	updateSignature(&whole, data)
	if key.has(wire.ObjectRestricted) && generatedByTPM(whole.First) {
		return c.badParam(1, wire.RCValue)
	}
	m, err := restoreMessage(&whole)
	if err != nil {
		return rcOf(err)
	}
	s, rc := t.signFinal(c, key, scheme, m.finish(), whole.Context)
	if rc != wire.RCSuccess {
		return rc
	}
	c.out.Signature(&s)
	c.completed = c.entities[0].handle
	return wire.RCSuccess
}

// copied is a sequence object that can be updated without the other.
func (o *object) copied() state.Object {
	whole := *o.Object
	whole.First = slices.Clone(o.First)
	return whole
}

// signFinal signs, in the scheme of the key, what a message has come to: its digest, µ or
// HMAC. The code it fails with is bare.
func (t *TPM) signFinal(c *call, key *object, scheme wire.Scheme, last, context []byte) (wire.Signature, wire.RC) {
	switch scheme.Alg {
	case wire.AlgHMAC:
		return wire.Signature{Alg: scheme.Alg, Hash: scheme.Hash, HMAC: last}, wire.RCSuccess
	case wire.AlgMLDSA:
		return t.signMu(key, last)
	case wire.AlgHashMLDSA:
		mu, rc := key.muOf(context, last)
		if rc != wire.RCSuccess {
			return wire.Signature{}, rc
		}
		return t.signMu(key, mu)
	case wire.AlgEdDSA, wire.AlgHashEdDSA:
		return key.signEdDSA(last)
	case wire.AlgECDAA:
		scheme.Count = binary.BigEndian.Uint16(context)
	}
	return t.signDigest(c, key, scheme, last)
}

// verifySequenceComplete is TPM2_VerifySequenceComplete. The sequence object is gone after
// a signature that holds.
func (t *TPM) verifySequenceComplete(c *call) wire.RC {
	var s wire.Signature
	c.next().Signature(&s, false)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	sequence, key, rc := c.sequenceOf(state.ObjectVerifySequence)
	if rc != wire.RCSuccess {
		return rc
	}
	scheme, rc := ownScheme(key)
	if rc != wire.RCSuccess {
		return c.badHandle(2, rc)
	}
	m, err := restoreMessage(sequence.Object)
	if err != nil {
		return rcOf(err)
	}
	if rc := t.verifySequence(key, scheme, m, sequence.Context, &s); rc != wire.RCSuccess {
		return c.badParam(1, rc)
	}
	ticket := nullTicket(wire.STMessageVerified)
	if len(sequence.Ticket) != 0 {
		hmac := restoreTicket(sequence.Object)
		hmac.Write(key.Name)
		ticket.Hierarchy, ticket.Digest = sequence.Hierarchy, hmac.Finish(nil)
	}
	c.out.Ticket(&ticket)
	c.completed = c.entities[0].handle
	return wire.RCSuccess
}

// verifySequence reports whether a signature is that of the message of a sequence.
func (t *TPM) verifySequence(key *object, scheme wire.Scheme, m message, context []byte, s *wire.Signature) wire.RC {
	v, ok := m.(eddsaMessage)
	switch {
	case !ok:
		return t.verifyFinal(key, scheme, m.finish(), context, s)
	case s.Alg != wire.AlgEdDSA:
		return wire.RCScheme
	case !v.Verify(s.Bytes):
		return wire.RCSignature
	}
	return wire.RCSuccess
}

// verifyFinal reports whether a signature is that of a message: last is its digest, µ or
// HMAC.
func (t *TPM) verifyFinal(key *object, scheme wire.Scheme, last, context []byte, s *wire.Signature) wire.RC {
	named := scheme.Alg != wire.AlgMLDSA && scheme.Alg != wire.AlgHashEdDSA // the signature names a hash
	if s.Alg != scheme.Alg || named && s.Hash != scheme.Hash {
		return wire.RCScheme
	}
	switch scheme.Alg {
	case wire.AlgHMAC:
		if !equalSecret(s.HMAC, last) {
			return wire.RCSignature
		}
		return wire.RCSuccess
	case wire.AlgMLDSA:
		return key.verifyMu(last, s)
	case wire.AlgHashMLDSA:
		mu, rc := key.muOf(context, last)
		if rc != wire.RCSuccess {
			return rc
		}
		return key.verifyMu(mu, s)
	case wire.AlgHashEdDSA:
		return key.verifyEdDSA(last, s)
	}
	return t.verify(key, last, s)
}
