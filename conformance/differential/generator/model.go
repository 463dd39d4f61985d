package generator

import (
	"bytes"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// model is the state that the generator expects of the reference.
type model struct {
	// auths are the authorization values of hierarchies and of PCRs; PCRs of
	// the one authorization group share an entry.
	auths map[uint32][]byte
	// objects are the live sequence objects and keys, oldest first.
	objects []object
	// clockSet reports whether the clock has been set since power was applied, and so
	// is far from zero.
	clockSet bool
	// sessions are the live sessions, indices the defined NV indices.
	sessions []session
	indices  []index
	// past has the last successes of each command, newest last.
	past map[tpm2.TPMCC][]result
	// origins tells what is in a private blob.
	origins map[string]origin
	// contexts has the objects in saved contexts.
	contexts map[string]object
}

func newModel() model {
	return model{
		auths: map[uint32][]byte{}, past: map[tpm2.TPMCC][]result{},
		origins: map[string]origin{}, contexts: map[string]object{},
	}
}

// result is a command that succeeded.
type result struct {
	// id is that of the step, for holes.
	id       int
	command  conformance.Packet
	response conformance.Response
}

// origin describes an object that is not loaded.
type origin struct {
	auth []byte
	// data is the content of a sealed object.
	data []byte
	// public is its TPM2B_PUBLIC.
	public area
}

type session struct {
	handle uint32
	id     int
	// kind is a TPM_SE: 0 HMAC, 1 policy, 3 trial.
	kind byte
	// hash is the session's algorithm.
	hash tpm2.TPMAlgID
	// symmetric reports whether parameters can be encrypted.
	symmetric bool
	// keyed sessions are bound or salted: their HMACs have a key.
	keyed bool
	// saved sessions have to be loaded before they can be used.
	saved bool
}

type index struct {
	handle     uint32
	auth       []byte
	attributes uint32
	size       int
	policy     []byte
	// platform reports whether the platform defined it, written whether it has a value.
	platform, written bool
	// locked and readLocked say that it is so until the next TPM Reset or
	// Restart, contents is all that an ordinary index was written with last, nil
	// if that is not known, and allows a command that its policy allows.
	locked, readLocked bool
	contents           []byte
	allows             tpm2.TPMCC
}

type object struct {
	handle uint32
	// id is that of the step which gave a transient handle.
	id   int
	auth []byte
	// key is an object with a name, as opposed to a sequence.
	key       bool
	public    wire.Public
	hierarchy uint32
	parent    uint32
	// name is its Name as a TPM2B_NAME.
	name area
	// private reports whether the sensitive area is loaded.
	private bool
	origin  origin
	// event sequences have no digest algorithm.
	event bool
}

// pcrAuthGroup is where the model keeps the value of the PCRs 20 to 22, which
// are the only ones with an authorization value in the references.
const pcrAuthGroup = 20

// maxPast is how many successes of a command are remembered.
const maxPast = 6

func (m *model) remember(r result) {
	code := tpm2.TPMCC(r.command.Code)
	past := m.past[code]
	if len(past) == maxPast {
		copy(past, past[1:])
		past = past[:maxPast-1]
	}
	m.past[code] = append(past, r)
}

// restarted forgets what a loss of power takes away.
func (m *model) restarted() {
	m.objects = slices.DeleteFunc(m.objects, func(o object) bool { return o.handle>>24 == 0x80 })
	for i := range m.sessions {
		m.sessions[i].saved = true // those that were not are gone, and show it
	}
	for i := range m.indices {
		n := &m.indices[i]
		n.locked, n.readLocked = false, false
		if n.attributes&(wire.NVOrderly|wire.NVClearStClear) != 0 {
			n.written, n.contents = false, nil
		}
	}
	m.clockSet = false
}

func (m *model) forget(handle uint32) {
	m.sessions = slices.DeleteFunc(m.sessions, func(s session) bool { return s.handle == handle })
	m.objects = slices.DeleteFunc(m.objects, func(o object) bool { return o.handle == handle })
}

func (m *model) object(handle uint32) *object {
	for i := range m.objects {
		if m.objects[i].handle == handle {
			return &m.objects[i]
		}
	}
	return nil
}

func (m *model) session(handle uint32) *session {
	for i := range m.sessions {
		if m.sessions[i].handle == handle {
			return &m.sessions[i]
		}
	}
	return nil
}

func (m *model) index(handle uint32) *index {
	for i := range m.indices {
		if m.indices[i].handle == handle {
			return &m.indices[i]
		}
	}
	return nil
}

// idOf gives the step that a transient object or a session is from, 0 if the
// handle is of something else.
func (m *model) idOf(handle uint32) int {
	switch handle >> 24 {
	case 0x80:
		if o := m.object(handle); o != nil {
			return o.id
		}
	case 0x02, 0x03:
		if s := m.session(handle); s != nil {
			return s.id
		}
	}
	return 0
}

// auth gives the authorization value the model has for a handle.
func (m *model) auth(handle uint32) []byte {
	if o := m.object(handle); o != nil {
		return o.auth
	}
	if n := m.index(handle); n != nil {
		return n.auth
	}
	if handle >= pcrAuthGroup && handle <= 22 {
		handle = pcrAuthGroup
	}
	return m.auths[handle]
}

// policyOf gives the authPolicy of an object or index.
func (m *model) policyOf(handle uint32) []byte {
	if o := m.object(handle); o != nil && o.key {
		return o.public.Policy
	}
	if n := m.index(handle); n != nil {
		return n.policy
	}
	return nil
}

// endSessions forgets the sessions that a command ended.
func (m *model) endSessions(command []byte, response conformance.Response) {
	area, ok := wire.Sessions(command)
	if !ok || len(area) != len(response.Sessions) {
		return
	}
	for i, s := range area {
		if response.Sessions[i].Attributes&conformance.ContinueSession == 0 {
			m.forget(s.Handle)
		}
	}
}

// add takes a new object into the model.
func (m *model) add(r result, public []byte, o object) {
	area, ok := wire.ParsePublic(bytes.Clone(public))
	if !ok {
		return
	}
	m.forget(r.response.Handle)
	o.handle, o.id, o.key, o.public = r.response.Handle, r.id, true, area
	o.name = fieldOf(r, nameFields[tpm2.TPMCC(r.command.Code)], wire.Sized(area.Name()))
	if p := m.object(o.parent); p != nil {
		o.hierarchy = p.hierarchy
	} else if o.parent>>24 == 0x40 {
		o.hierarchy = o.parent
	}
	m.objects = append(m.objects, o)
}

// nameFields are where answers have the Name of a new object.
var nameFields = map[tpm2.TPMCC]int{
	tpm2.TPMCCCreatePrimary: 5, tpm2.TPMCCCreateLoaded: 3, tpm2.TPMCCLoad: 1, tpm2.TPMCCLoadExternal: 1,
}

// fieldOf is the hole for a field of an answer, with what the reference has.
func fieldOf(r result, field int, value []byte) area {
	return holeIn(value, conversation.Hole{Kind: conversation.HoleField, Step: r.id, Field: field})
}

// authAndData takes a TPM2B_SENSITIVE_CREATE apart.
func authAndData(parameters []byte) (auth, data []byte) {
	c := &wire.Cursor{Rest: (&wire.Cursor{Rest: parameters}).Sized()}
	return bytes.TrimRight(bytes.Clone(c.Sized()), "\x00"), bytes.Clone(c.Sized())
}
