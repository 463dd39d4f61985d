package emulator

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Hash/HMAC/Event Sequences", and TPM2_Hash of chapter
// "Symmetric Primitives".

// hash is TPM2_Hash.
func (t *TPM) hash(c *call) wire.RC {
	data := c.buffer()
	alg := c.hashAlg(false)
	hierarchy := c.handle(HandleHierarchy)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	var b [wire.MaxDigest]byte
	digest := crypt.Digest(alg, b[:0], data)
	c.out.Sized(digest)
	t.hashCheckTicket(c, hierarchy, alg, digest, !generatedByTPM(data))
	return wire.RCSuccess
}

// generatedSize is the size in bytes of TPM_GENERATED_VALUE.
const generatedSize = 4

// generatedByTPM reports whether a message that starts with first can be mistaken
// for a structure made by the TPM.
func generatedByTPM(first []byte) bool {
	var generated [generatedSize]byte
	binary.BigEndian.PutUint32(generated[:], wire.GeneratedValue)
	return bytes.HasPrefix(first, generated[:])
}

// hashSequenceStart is TPM2_HashSequenceStart: with TPM_ALG_NULL it starts an
// event sequence, which hashes for all PCR banks.
func (t *TPM) hashSequenceStart(c *call) wire.RC {
	auth := c.auth()
	alg := c.hashAlg(true)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	var sequence state.Object
	sequence.Auth.Set(auth)
	if alg == wire.AlgNull {
		sequence.Kind = state.ObjectEventSequence
		t.startHashes(&sequence, t.bankAlgs())
	} else {
		sequence.Kind = state.ObjectHashSequence
		t.startHashes(&sequence, []wire.AlgID{alg})
	}
	h, o := t.takeSlot(&sequence)
	if o == nil {
		return wire.RCObjectMemory
	}
	c.rhandle = h
	return wire.RCSuccess
}

// sequenceUpdate is TPM2_SequenceUpdate.
func (t *TPM) sequenceUpdate(c *call) wire.RC {
	data := c.buffer()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	o := c.entities[0].object
	switch o.Kind {
	case state.ObjectHashSequence, state.ObjectEventSequence:
		t.updateHashes(o.Object, data)
	case state.ObjectMACSequence:
		saveMAC(o.Object, updateMAC(o.Object, data))
	case state.ObjectSignSequence, state.ObjectVerifySequence:
		if oneShot(o.Object) {
			return c.badHandle(1, wire.RCOneShotSignature)
		}
		updateSignature(o.Object, data)
	default:
		return c.badHandle(1, wire.RCMode)
	}
	return wire.RCSuccess
}

// sequenceComplete is TPM2_SequenceComplete. The sequence object is gone after
// it.
func (t *TPM) sequenceComplete(c *call) wire.RC {
	data := c.buffer()
	hierarchy := c.handle(HandleHierarchy)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	o := c.entities[0].object
	switch o.Kind {
	case state.ObjectHashSequence:
	case state.ObjectMACSequence:
		var space [wire.MaxDigest]byte
		c.out.Sized(updateMAC(o.Object, data).Finish(space[:0]))
		c.out.Ticket(&wire.Ticket{Tag: wire.STHashCheck, Hierarchy: wire.RHNull})
		c.completed = c.entities[0].handle
		return wire.RCSuccess
	default:
		return c.badHandle(1, wire.RCMode)
	}
	t.updateHashes(o.Object, data)
	alg := o.Hashes[0].Alg
	digest := finishHash(&o.Hashes[0], nil)
	c.out.Sized(digest)
	t.hashCheckTicket(c, hierarchy, alg, digest, o.TicketSafe)
	c.completed = c.entities[0].handle
	return wire.RCSuccess
}

// eventSequenceComplete is TPM2_EventSequenceComplete. The sequence object is
// gone after it.
func (t *TPM) eventSequenceComplete(c *call) wire.RC {
	data := c.buffer()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	pcr := c.entities[0].handle
	o := c.entities[1].object
	if o.Kind != state.ObjectEventSequence {
		return c.badHandle(2, wire.RCMode)
	}
	if pcr != wire.RHNull {
		if rc := t.mayExtend(c, pcr); rc != wire.RCSuccess {
			return rc
		}
	}
	t.updateHashes(o.Object, data)
	digests := c.digestSpace[:0]
	c.digests.Count = 0
	for i := range o.Hashes {
		at := len(digests)
		digests = finishHash(&o.Hashes[i], digests)
		c.addDigest(o.Hashes[i].Alg, digests[at:])
	}
	t.eventDigests(c, pcr)
	c.completed = c.entities[1].handle
	return wire.RCSuccess
}

// bankAlgs are the algorithms of the implemented PCR banks, in their order.
func (t *TPM) bankAlgs() []wire.AlgID {
	algs := make([]wire.AlgID, len(t.config.Banks))
	for i, b := range t.config.Banks {
		algs[i] = b.Alg
	}
	return algs
}

// startHashes gives a sequence object its hashes.
func (t *TPM) startHashes(o *state.Object, algs []wire.AlgID) {
	o.Hashes = make([]state.HashState, len(algs))
	for i, alg := range algs {
		o.Hashes[i].Alg = alg
		saveHash(&o.Hashes[i], crypt.NewHash(alg))
	}
}

// updateHashes adds data to all hashes of a sequence object. The first block
// decides whether there can be a ticket; it must be long enough to tell (Part
// 3, section "TPM2_SequenceUpdate").
func (t *TPM) updateHashes(o *state.Object, data []byte) {
	if !o.FirstBlock {
		o.FirstBlock = true
		o.TicketSafe = len(data) >= generatedSize && !generatedByTPM(data)
	}
	for i := range o.Hashes {
		h := restoreHash(&o.Hashes[i])
		h.Write(data)
		saveHash(&o.Hashes[i], h)
	}
}

// finishHash appends the digest.
func finishHash(s *state.HashState, dst []byte) []byte { return restoreHash(s).Sum(dst) }

// saveHash puts a running hash into the state.
func saveHash(s *state.HashState, h hash.Hash) {
	b := crypt.MarshalHash(h)
	if len(b) > len(s.Buf) {
		panic(fmt.Sprintf("internal error: the state of a %v hash has %d bytes", s.Alg, len(b)))
	}
	s.Size = uint8(copy(s.Buf[:], b))
	clear(s.Buf[s.Size:])
}

// restoreHash takes a running hash out of the state, where only saveHash puts
// it.
func restoreHash(s *state.HashState) hash.Hash {
	h, err := crypt.UnmarshalHash(s.Alg, s.Buf[:s.Size])
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return h
}
