package conversation

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// caller is the caller's side of a conversation with one device. A script has
// nothing in it that only one device knows: the caller fills its holes, makes
// the HMACs, encrypts and decrypts parameters, and checks of an answer what can
// be checked without another TPM.
type caller struct {
	sessions map[uint32]*liveSession
	entities map[uint32]*entity
	// answers are those of the steps with an ID, for the holes.
	answers map[int]answer
	// saved has what is in the contexts that TPM2_ContextSave gave.
	saved map[string]*entity
	// seeds stand for the primary seeds of the hierarchies: they are equal to
	// those of another caller if the seeds are known to be.
	seeds map[uint32]uint64
	// proofs stands for the proof values, which no other device has.
	proofs uint64
	// history stands for all that was sent.
	history uint64
}

// answer is a success of the device.
type answer struct {
	code     uint32
	response conformance.Response
}

// entity is an object, a sequence or an NV index.
type entity struct {
	// name is the Name that goes into cpHash.
	name []byte
	// id stands for the content. Two entities on two devices that have the same
	// answer the same.
	id uint64
	// public is that of an object, qualified its Qualified Name.
	public    wire.Public
	qualified []byte
	// hierarchy the object is in, a TPM_RH.
	hierarchy uint32
	// index is the TPMS_NV_PUBLIC of an NV index.
	index []byte
}

// newCaller begins a conversation. known reports whether both devices of a
// campaign have the same primary seeds.
func newCaller(known bool) *caller {
	c := &caller{
		sessions: map[uint32]*liveSession{}, entities: map[uint32]*entity{}, answers: map[int]answer{},
		saved: map[string]*entity{}, seeds: map[uint32]uint64{}, proofs: rand.Uint64(),
	}
	for _, hierarchy := range []tpm2.TPMHandle{tpm2.TPMRHOwner, tpm2.TPMRHEndorsement, tpm2.TPMRHPlatform, tpm2.TPMRHNull} {
		c.seeds[uint32(hierarchy)] = uint64(hierarchy)
		if !known || hierarchy == tpm2.TPMRHNull {
			c.reseed(hierarchy)
		}
	}
	return c
}

// reseed gives a hierarchy a seed that no other device has.
func (c *caller) reseed(hierarchy tpm2.TPMHandle) { c.seeds[uint32(hierarchy)] = rand.Uint64() }

// exchange is one command and what is known of it.
type exchange struct {
	step *Step
	code uint32
	// sent is the command before HMACs and encryption, wire what the device got.
	sent, wire []byte
	// command is sent taken apart, area the authorization area in wire, if
	// sound says so.
	sound   bool
	command conformance.Packet
	auths   int
	area    []conformance.Session
	// included says of each session whether the authValue went into its key.
	included [maxSecrets]bool
	// inputs stands for all that the answer may depend on.
	inputs uint64
	// garbled reports whether the device decrypts a first parameter that is not encrypted.
	garbled bool
	// audit is the digest of the session in the last place of the handle area.
	audit []byte
}

// prepare makes the bytes a device is to get.
func (c *caller) prepare(step *Step) *exchange {
	x := &exchange{step: step, sent: step.Data}
	if len(step.Holes) > 0 {
		x.sent = c.render(step)
	}
	x.wire = x.sent
	var ok bool
	if x.code, ok = conformance.CommandCode(x.sent); ok {
		x.command, x.sound = wire.ParseCommand(x.sent)
	}
	if command, known := conformance.Lookup(x.code); known {
		x.auths = command.Auths
	}
	if x.sound && wire.Number(x.sent[:2]) == uint32(conformance.Sessions) {
		if step.Action == SendHMAC {
			x.wire = bytes.Clone(x.sent)
		}
		x.area, x.sound = wire.Sessions(x.wire)
		if step.Action == SendHMAC {
			c.protect(x)
		}
	}
	if x.sound && len(x.command.Handles) > 0 {
		if s := c.sessions[x.command.Handles[len(x.command.Handles)-1]]; s != nil {
			x.audit = s.audit
		}
	}
	x.inputs = c.inputs(x)
	if _, s, _ := c.sessionWith(x, wire.AttributeDecrypt); s != nil && step.Action == Send {
		// The device decrypts what nobody has encrypted.
		x.garbled, x.inputs = true, rand.Uint64()
	}
	c.history = mix(c.history, x.inputs)
	return x
}

// render fills the holes of a step.
func (c *caller) render(step *Step) []byte {
	out := make([]byte, 0, len(step.Data)+512)
	done := 0
	for _, h := range step.Holes {
		out = append(out, step.Data[done:h.At]...)
		done = h.At + h.Len
		if value, ok := c.value(h, out); ok {
			out = append(out, h.fill(value)...)
		} else {
			out = append(out, step.Data[h.At:done]...)
		}
	}
	out = append(out, step.Data[done:]...)
	if len(out) >= 6 { // the size field is as wrong as it was
		size := binary.BigEndian.Uint32(out[2:]) + uint32(len(out)-len(step.Data))
		binary.BigEndian.PutUint32(out[2:], size)
	}
	return out
}

// value gives the bytes for a hole; before are the bytes of the command before it.
func (c *caller) value(h Hole, before []byte) ([]byte, bool) {
	switch h.Kind {
	case HoleField:
		return c.answers[h.Step].field(h.Field)
	case HoleNonce:
		session := c.sessions[wire.HandleIn(before, -1)]
		if session == nil {
			return nil, false
		}
		return wire.Sized(session.nonceTPM), true
	case HoleSalt:
		key := c.entities[wire.HandleIn(before, 0)]
		if key == nil {
			return nil, false
		}
		return ShareSecret(&key.public, h.Text)
	}
	return c.signPolicy(string(h.Text), before)
}

// field gives the handle of an answer, or one of its parameters as laid out.
func (a answer) field(n int) ([]byte, bool) {
	switch {
	case a.code == 0:
		return nil, false
	case n == 0:
		return wire.U32(a.response.Handle), a.response.HasHandle
	}
	fields, ok := wire.LayoutOf(a.code).Split(a.response.Parameters)
	if !ok || n > len(fields) {
		return nil, false
	}
	return fields[n-1], true
}

// nameOf is the Name of whatever a handle is of (TPM 2.0 Library Part 1,
// section "Names").
func (c *caller) nameOf(handle uint32) []byte {
	switch handle >> 24 {
	case 0x01, 0x80, 0x81:
		if e := c.entities[handle]; e != nil {
			return e.name
		}
		return nil
	}
	return wire.U32(handle)
}

// onSequence reports whether a handle of the command is that of a sequence.
func (c *caller) onSequence(x *exchange) bool {
	return slices.ContainsFunc(x.command.Handles, func(h uint32) bool {
		e := c.entities[h]
		return e != nil && h>>24 == 0x80 && e.public.Kind == 0
	})
}

// restarted forgets what a loss of power takes away. The caller cannot tell
// which attributes NV indices lose at the next TPM2_Startup, so it forgets them.
func (c *caller) restarted() {
	for handle := range c.entities {
		if handle>>24 != 0x81 {
			delete(c.entities, handle)
		}
	}
	c.reseed(tpm2.TPMRHNull)
}

// seen is a response as the caller reads it.
type seen struct {
	// plain is the response with its first parameter decrypted.
	plain []byte
	// problem describes what is wrong with the response, "" if nothing is.
	problem string
	// opaque reports whether the first parameter cannot be decrypted.
	opaque bool
}

// observe takes the response to a command in.
func (c *caller) observe(x *exchange, raw []byte) seen {
	response, err := conformance.ParseResponse(x.code, raw)
	if err != nil || response.Code != 0 || !x.sound {
		return seen{plain: raw}
	}
	s := seen{plain: raw}
	if len(x.area) > 0 {
		s.problem = c.checkSessions(x, response)
		s.plain, response, s.opaque = c.decrypted(x, raw, response)
	}
	if s.problem == "" && !x.garbled && !s.opaque {
		s.problem = c.verify(x, response)
	}
	if !s.opaque {
		c.learn(x, response)
	}
	if x.step.ID > 0 {
		c.answers[x.step.ID] = answer{code: x.code, response: response}
	}
	return s
}
