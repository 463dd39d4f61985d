package emulator

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Context Management".

// Values of savedHandle for what is no session (Part 2, section
// "TPMS_CONTEXT").
const (
	savedObject   = wire.TransientFirst
	savedSequence = wire.TransientFirst + 1
	savedStClear  = wire.TransientFirst + 2
)

// Sizes of the parts of a TPMS_CONTEXT_DATA in bytes, and of the initial value
// with which it is encrypted.
const (
	contextFingerprint = 8 // a copy of the sequence number
	contextIV          = 16
)

// flushContext is TPM2_FlushContext. Its handle is a parameter, so that what is
// not loaded is TPM_RC_HANDLE of parameter 1.
func (t *TPM) flushContext(c *call) wire.RC {
	h := c.handle(HandleContext)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if h.Type() != wire.HTTransient {
		a := t.activeSession(h)
		if *a == (state.ActiveSession{}) {
			return c.badParam(1, wire.RCHandle)
		}
		if a.Slot == 0 && t.resumable() { // the shutdown has saved that it can be loaded
			if rc := t.changeOrderly(); rc != wire.RCSuccess {
				return rc
			}
		}
		t.endSession(a, h)
		return wire.RCSuccess
	}
	if t.object(h) == nil {
		return c.badParam(1, wire.RCHandle)
	}
	t.flushObject(h)
	return wire.RCSuccess
}

// contextSave is TPM2_ContextSave. An object stays loaded, a session does not.
func (t *TPM) contextSave(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if rc := t.orderlyChangeable(); rc != wire.RCSuccess {
		return rc
	}
	e := &c.entities[0]
	ctx := wire.Context{Hierarchy: wire.RHNull}
	var body []byte
	if e.object != nil {
		ctx, body = t.saveObject(e.object)
	} else {
		if t.gapReached(t.oldestSaved()) {
			return wire.RCContextGap
		}
		ctx.SavedHandle = e.handle
		ctx.Sequence, body = t.saveSession(e.session)
	}
	t.protectContext(&ctx, body)
	c.out.Context(&ctx)
	t.withdrawShutdown()
	return wire.RCSuccess
}

// saveObject numbers the context of an object.
func (t *TPM) saveObject(o *object) (wire.Context, []byte) {
	t.s.Reset.ObjectContextID++
	ctx := wire.Context{Sequence: t.s.Reset.ObjectContextID, SavedHandle: savedSequence, Hierarchy: wire.RHNull}
	if o.loaded() {
		ctx.SavedHandle, ctx.Hierarchy = savedObject, o.Hierarchy
		if o.Flags&state.ObjectUntilRestart != 0 {
			ctx.SavedHandle = savedStClear
		}
	}
	return ctx, state.AppendObject(nil, o.Object)
}

// saveSession takes a session out of its slot and numbers its context. Numbers
// that end in those of a loaded session's slot are left out, as the reference
// does, where one table holds both.
func (t *TPM) saveSession(s *state.Session) (uint64, []byte) {
	a, r := t.activeSession(s.Handle), &t.s.Reset
	body := state.AppendSession(nil, s)
	*s = state.Session{}
	*a = state.ActiveSession{Context: r.ContextCounter}
	r.ContextCounter++
	if uint16(r.ContextCounter) == 0 {
		r.ContextCounter += uint64(t.config.Limits.LoadedSessions) + 1
	}
	return a.Context, body
}

// contextLoad is TPM2_ContextLoad.
func (t *TPM) contextLoad(c *call) wire.RC {
	ctx := c.context()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	body, rc := t.openContext(c, &ctx)
	if rc != wire.RCSuccess {
		return rc
	}
	if ctx.SavedHandle.Type() != wire.HTTransient {
		return t.loadSession(c, &ctx, body)
	}
	if !t.hierarchyEnabled(ctx.Hierarchy) {
		return c.badParam(1, wire.RCHierarchy)
	}
	s, err := state.DecodeObject(body)
	if err != nil {
		return t.badContext(err)
	}
	i := t.freeSlot()
	if i == none {
		return wire.RCObjectMemory
	}
	if !t.soundSequences([]state.Object{*s}) || !t.fillSlot(i, s) {
		return c.badParam(1, wire.RCIntegrity) // saved by this TPM with another Config
	}
	c.rhandle = wire.TransientFirst + wire.Handle(i)
	return wire.RCSuccess
}

// context takes a TPMS_CONTEXT. Windows Server 2019 fills it up with zeros to
// the size of TPM_PT_MAX_OBJECT_CONTEXT.
func (c *call) context() wire.Context {
	var ctx wire.Context
	r := c.next()
	size := r.Len()
	r.Context(&ctx)
	if h := ctx.SavedHandle; h.Type() != wire.HTTransient && h.Index() >= c.t.config.Limits.ActiveSessions {
		r.Fail(wire.RCValue)
	}
	if uint64(size) == uint64(c.t.config.Limits.ObjectContext) && !slices.ContainsFunc(r.Rest(), func(b byte) bool { return b != 0 }) {
		r.Bytes(r.Len())
	}
	return ctx
}

// loadSession puts a session that was saved into a slot. Every context of a
// session can be loaded once.
func (t *TPM) loadSession(c *call, ctx *wire.Context, body []byte) wire.RC {
	if rc := t.orderlyChangeable(); rc != wire.RCSuccess {
		return rc
	}
	a := t.activeSession(ctx.SavedHandle)
	if a.Context == 0 || a.Context != ctx.Sequence {
		return c.badParam(1, wire.RCHandle)
	}
	slot, free := t.freeSession()
	oldest := t.oldestSaved()
	switch {
	case free == 0:
		return wire.RCSessionMemory
	case free == 1 && t.gapReached(oldest) && oldest != int(ctx.SavedHandle.Index()):
		return wire.RCContextGap
	}
	s, err := state.DecodeSession(body, ctx.SavedHandle)
	if err != nil {
		return t.badContext(err)
	}
	if !t.soundSessions([]state.Session{*s}) {
		return c.badParam(1, wire.RCIntegrity)
	}
	t.withdrawShutdown()
	t.s.Volatile.Sessions[slot] = *s
	*a = state.ActiveSession{Slot: uint8(slot + 1)}
	c.rhandle = ctx.SavedHandle
	return wire.RCSuccess
}

// protectContext encrypts the body of a context, with the sequence number in
// front, and signs it (Part 1, section "Context Integrity Protection").
func (t *TPM) protectContext(ctx *wire.Context, body []byte) {
	w := wire.NewWriter(nil)
	w.Sized(make([]byte, crypt.HashSize(t.contextHash)))
	integrity := w.Len()
	w.U64(ctx.Sequence)
	w.Bytes(body)
	ctx.Blob = w.Data()
	t.cryptContext(ctx, ctx.Blob[integrity:], crypt.Encrypt)
	copy(ctx.Blob[2:], t.contextIntegrity(ctx, ctx.Blob[integrity:]))
}

// openContext checks a context and decrypts its body.
func (t *TPM) openContext(c *call, ctx *wire.Context) ([]byte, wire.RC) {
	r := wire.NewReader(ctx.Blob, nil)
	integrity := r.Sized(wire.MaxDigest)
	switch {
	case r.RC() != wire.RCSuccess:
		return nil, r.RC()
	case len(integrity) != crypt.HashSize(t.contextHash), r.Len() < contextFingerprint:
		return nil, c.badParam(1, wire.RCSize)
	case !equalSecret(integrity, t.contextIntegrity(ctx, r.Rest())):
		return nil, c.badParam(1, wire.RCIntegrity)
	}
	body := slices.Clone(r.Rest())
	t.cryptContext(ctx, body, crypt.Decrypt)
	if binary.BigEndian.Uint64(body) != ctx.Sequence {
		return nil, t.badContext(errors.New("the sequence number in it is another"))
	}
	return body[contextFingerprint:], wire.RCSuccess
}

// badContext enters failure mode: only this TPM can have signed the context, and
// yet it is wrong.
func (t *TPM) badContext(err error) wire.RC {
	t.fail(failContext, err)
	return wire.RCFailure
}

// contextIntegrity is the HMAC of a context whose encrypted part is given. The
// count of resets ends the life of all contexts with a TPM Reset, the clear
// count that of objects with stClear with a TPM Restart too. A TPM that would
// decrypt with keys of another size does not get as far.
func (t *TPM) contextIntegrity(ctx *wire.Context, encrypted []byte) []byte {
	var space [8 + 4 + 8 + 4 + 2]byte
	w := wire.NewWriter(space[:0])
	w.U64(t.s.Persistent.TotalResetCount)
	if ctx.SavedHandle == savedStClear {
		w.U32(t.s.Reset.ClearCount)
	}
	w.U64(ctx.Sequence)
	w.U32(uint32(ctx.SavedHandle))
	w.U16(t.contextBits)
	return crypt.HMAC(t.contextHash, t.proof(ctx.Hierarchy), w.Data(), encrypted)
}

// cryptContext encrypts or decrypts in place with a key of the hierarchy that
// is different for every context.
func (t *TPM) cryptContext(ctx *wire.Context, data []byte, mode blockMode) {
	sequence := binary.BigEndian.AppendUint64(nil, ctx.Sequence)
	handle := binary.BigEndian.AppendUint32(nil, uint32(ctx.SavedHandle))
	size := int(t.contextBits) / 8
	k := crypt.KDFa(t.contextHash, t.proof(ctx.Hierarchy), "CONTEXT", sequence, handle, (size+contextIV)*8)
	b, err := crypt.NewBlockCipher(wire.AlgAES, k[:size])
	if err == nil {
		err = mode(b, wire.AlgCFB, k[size:], data)
	}
	if err != nil {
		panic("internal error: AES refuses a context: " + err.Error())
	}
}
