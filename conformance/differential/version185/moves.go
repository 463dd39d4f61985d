package version185

import (
	"context"

	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
)

// Play draws a conversation of at least that many commands from a seed, and has it with a
// fresh device of the target, which is a TPM with everything of version 185: the profile
// v185 of the emulator. The error is a [*Finding], or why the device does not answer.
func Play(ctx context.Context, target *conversation.Target, seed uint64, packets int) (Tally, error) {
	t, err := newTalk(ctx, target, seed)
	if err != nil {
		return Tally{}, err
	}
	t.startup()
	for t.err == nil && t.tally.Packets < packets {
		t.move()
	}
	return t.tally, t.err
}

// A move is a command, or a few that belong together.
type move struct {
	weight int
	do     func(*talk)
}

var moves = []move{
	{6, (*talk).createPrimary},
	{6, (*talk).loadExternal},
	{5, (*talk).createChild},
	{8, func(t *talk) { t.encapsulate(t.anyKEM()) }},
	{4, func(t *talk) { t.decapsulateAnything(t.anyKEM()) }},
	{6, func(t *talk) { t.signDigest(t.anyHandle(t.digestSigners(isWhole))) }},
	{6, func(t *talk) { t.verifyDigest(t.anyHandle(t.digestSigners(isKnown))) }},
	{9, func(t *talk) { t.signMessage(t.anyHandle(t.signers(isWhole))) }},
	{9, func(t *talk) { t.verifyMessage(t.anyHandle(t.signers(isKnown))) }},
	{5, (*talk).updateSequence},
	{6, (*talk).completeSome},
	{4, (*talk).saveContext},
	{4, (*talk).loadContext},
	{2, (*talk).readPublic},
	{2, (*talk).testParms},
	{4, (*talk).startSalted},
	{3, (*talk).makeCredential},
	{4, (*talk).activateCredential},
	{4, (*talk).importKey},
	{4, (*talk).duplicate},
	{3, (*talk).rewrap},
	{4, (*talk).quote},
	{3, (*talk).certify},
	{2, (*talk).getTime},
	{2, (*talk).signOld},
	{2, (*talk).verifyOld},
	{3, (*talk).policySigned},
	{4, (*talk).policyAuthorize},
}

// move makes a move by weight.
func (t *talk) move() {
	total := 0
	for _, m := range moves {
		total += m.weight
	}
	at := t.IntN(total)
	for _, m := range moves {
		if at -= m.weight; at < 0 {
			m.do(t)
			return
		}
	}
}
