package version185

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Truncations sends each of the eight commands with keys of all styles, parameter sets,
// hashes and curves, cut to every length and lengthened by one byte and two. Of the
// lengths it does the given share, drawn from the seed: 1 is all. The error is as that of
// [Play].
func Truncations(ctx context.Context, target *conversation.Target, seed uint64, share float64) (Tally, error) {
	t, err := newTalk(ctx, target, seed)
	if err != nil {
		return Tally{}, err
	}
	t.startup()
	for _, p := range t.variants() {
		if !p.kem() && !p.has(wire.ObjectSign) {
			continue
		}
		p.attributes &^= wire.ObjectRestricted
		p.cipher = noCipher
		k := t.known(p)
		k.external = true
		t.external(k, k.sensitive(nil), 0)
		for _, h := range t.loaded() {
			t.cutAll(h, k, share)
		}
		for _, h := range t.loaded() {
			t.flush(h)
		}
		if t.err != nil {
			break
		}
	}
	return t.tally, t.err
}

// cutAll cuts the commands that a key is for.
func (t *talk) cutAll(h uint32, k *key, share float64) {
	empty := wire.Sized(nil)
	if k.kem() {
		t.cut(wire.CCEncapsulate, []uint32{h}, share)
		_, ciphertext := k.encapsulateTo(t.source)
		t.cut(wire.CCDecapsulate, []uint32{h}, share, wire.Sized(ciphertext))
		return
	}
	context := empty
	if k.mldsa() {
		context = wire.Sized(t.bytes(5))
	}
	if size, refused := t.digestOf(h); refused == 0 {
		digest, with := t.bytes(size), context
		if k.kind == wire.AlgMLDSA {
			with = empty
		}
		t.cut(wire.CCSignDigest, []uint32{h}, share, with, wire.Sized(digest), nullTicket())
		if signature := k.sign(with[2:], digest); signature != nil {
			t.cut(wire.CCVerifyDigestSignature, []uint32{h}, share, with, wire.Sized(digest), signature)
		}
	}
	if started, ok := t.cut(wire.CCSignSequenceStart, []uint32{h}, share, wire.Sized([]byte("pw")), context); ok {
		t.sequences[started] = &sequence{auth: []byte("pw"), key: k.identity(), scheme: k.ownScheme(), context: context[2:]}
		if _, ok := t.cut(wire.CCSignSequenceComplete, []uint32{started, h}, share, wire.Sized(t.bytes(20))); ok {
			delete(t.sequences, started)
		}
	}
	signature := k.sign(context[2:], k.hashMessage(context[2:], nil))
	if signature == nil {
		return
	}
	hint := wire.Sized(k.hintOf(signature))
	started, ok := t.cut(wire.CCVerifySequenceStart, []uint32{h}, share, wire.Sized([]byte("pw")), hint, context)
	if !ok {
		return
	}
	t.sequences[started] = &sequence{verify: true, auth: []byte("pw"), key: k.identity(), scheme: k.ownScheme(), context: context[2:]}
	if _, ok := t.cut(wire.CCVerifySequenceComplete, []uint32{started, h}, share, signature); ok {
		delete(t.sequences, started)
	}
}

// cut sends a command that succeeds, with its parameters one by one, at every other length
// first and then whole. It gives the handle in the answer to that.
func (t *talk) cut(code tpm2.TPMCC, handles []uint32, share float64, parameters ...[]byte) (handle uint32, ok bool) {
	command, _ := conformance.Lookup(uint32(code))
	packet := conformance.Packet{Code: uint32(code), Handles: handles, Parameters: slices.Concat(parameters...)}
	for i := range command.Auths {
		auth, _ := t.authorizationOf(handles[i], i, command)
		packet.Sessions = append(packet.Sessions, conformance.Password(auth))
	}
	whole := packet.Bytes()
	for n := conformance.HeaderSize; n <= len(whole)+2; n++ {
		near := n < 60 || n > len(whole)-3
		if n == len(whole) || !near && !t.chance(share) {
			continue
		}
		b := append(slices.Clone(whole), 0, 0)[:n]
		binary.BigEndian.PutUint32(b[2:], uint32(n))
		t.play(conversation.Step{Action: conversation.Send, Data: b}, cutCode(n, len(whole), handles, command.Auths, parameters))
	}
	a, ok := t.play(conversation.Step{Action: conversation.Send, Data: whole}, 0)
	return a.handle, ok
}

// cutCode is the code for the first n bytes of a command (Part 3, chapter "Command
// Processing"): the handle, the authorization area or the parameter that is not whole.
func cutCode(n, whole int, handles []uint32, auths int, parameters [][]byte) uint32 {
	if n > whole {
		return uint32(tpm2.TPMRCSize)
	}
	at := conformance.HeaderSize
	for i := range handles {
		if at += 4; n < at {
			return handle(tpm2.TPMRCInsufficient, i+1)
		}
	}
	rest := len(slices.Concat(parameters...))
	if auths > 0 {
		switch {
		case n < at+4:
			return uint32(tpm2.TPMRCInsufficient)
		case n < whole-rest:
			return uint32(tpm2.TPMRCSize) // authorizationSize is more than there is
		}
	}
	at = whole - rest
	for i, p := range parameters {
		if at += len(p); n < at {
			return parameter(tpm2.TPMRCInsufficient, i+1)
		}
	}
	return 0
}
