package version185

import (
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// mostSessions is how many HMAC sessions a conversation has at once; the profile loads one
// more, which is for policies.
const mostSessions = 2

// startSalted starts an HMAC session with a salt for any key. What it is salted with shows
// in the commands that it authorizes and encrypts, which the player checks (Part 3, section
// "TPM2_StartAuthSession").
func (t *talk) startSalted() {
	if len(t.sessions) == mostSessions {
		t.endSession(pick(t.source, t.sessions...))
	}
	h := t.anyHandle(t.handlesOf(func(k *key) bool { return k.asymmetric() && k.has(wire.ObjectDecrypt) && !k.publicOnly }))
	k := t.keys[h]
	alg := pick(t.source, tpm2.TPMAlgSHA256, tpm2.TPMAlgSHA384)
	salt := t.bytes(16)
	code := uint32(0)
	sendable := k != nil
	if sendable {
		_, sendable = conversation.ShareSecret(k.area(), salt)
	}
	switch {
	case k == nil || !k.asymmetric():
		code = handle(tpm2.TPMRCKey, 1)
	case !sendable: // the salt stays empty
		code = parameter(tpm2.TPMRCValue, 2)
	case k.publicOnly:
		code = handle(tpm2.TPMRCHandle, 1)
	case !k.has(wire.ObjectDecrypt):
		code = handle(tpm2.TPMRCAttributes, 1)
	}
	packet := conformance.Packet{Code: uint32(tpm2.TPMCCStartAuthSession), Handles: []uint32{h, uint32(tpm2.TPMRHNull)}}
	nonce := wire.Sized(t.bytes(16))
	encrypted := []byte{0, 0} // filled by the player
	wrong := code == 0 && t.chance(0.1)
	if wrong {
		encrypted = wire.Sized(t.bytes(pick(t.source, 1, 31, 767, 1089, 1568)))
		if k.kind != wire.AlgMLKEM || len(encrypted)-2 == k.ciphertextSize() {
			wrong, encrypted = false, []byte{0, 0} // it might be a salt
		} else {
			code = parameter(tpm2.TPMRCValue, 2)
		}
	}
	packet.Parameters = slices.Concat(nonce, encrypted, []byte{wire.SessionHMAC}, aes128.append(nil), wire.U16(uint16(alg)))
	step := conversation.Step{Action: conversation.Send, Data: packet.Bytes()}
	if !wrong {
		at := conformance.HeaderSize + 2*4 + len(nonce)
		step.Holes = []conversation.Hole{{At: at, Len: 2, Kind: conversation.HoleSalt, Text: salt}}
	}
	a, ok := t.play(step, first(t.missing(packet.Handles), code))
	if ok {
		t.sessions = append(t.sessions, &hmacSession{handle: a.handle, digest: wire.DigestSize(alg)})
	}
}

func (t *talk) endSession(s *hmacSession) {
	if _, ok := t.send(tpm2.TPMCCFlushContext, nil, wire.U32(s.handle), 0); ok {
		t.sessions = slices.DeleteFunc(t.sessions, func(other *hmacSession) bool { return other == s })
	}
}

// startPolicy starts a policy session, for a command unless it is 0, and gives its handle.
func (t *talk) startPolicy(alg tpm2.TPMAlgID, command uint32) uint32 {
	null := uint32(tpm2.TPMRHNull)
	parameters := slices.Concat(wire.Sized(t.bytes(16)), wire.Sized(nil), []byte{wire.SessionPolicy}, noCipher.append(nil), wire.U16(uint16(alg)))
	a, ok := t.send(tpm2.TPMCCStartAuthSession, []uint32{null, null}, parameters, 0)
	if !ok || command == 0 {
		return a.handle
	}
	t.send(tpm2.TPMCCPolicyCommandCode, []uint32{a.handle}, wire.U32(command), 0)
	return a.handle
}

func (t *talk) endPolicy(s uint32) { t.send(tpm2.TPMCCFlushContext, nil, wire.U32(s), 0) }
