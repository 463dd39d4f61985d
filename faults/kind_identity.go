package faults

import (
	"encoding/binary"
	"math/rand/v2"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// Identity makes the null hierarchy that of another TPM, as if one had been put in the place of
// the chip while the machine slept: until Init or power-off the primary objects that are
// created under TPM_RH_NULL are others than before, and contexts of the null hierarchy that
// were saved before do not load. PCRs and all else stay, as with an attacker who has
// replayed them.
//
// The TPM is asked for other objects: the template has another unique. That changes the
// Name (TPM 2.0 Library Part 1, section "Primary Object Creation", rev 1.59) and nothing
// else in the public area. power=cycle,startup=clear is the other way to a new null hierarchy,
// which takes the PCRs along.
type Identity struct{}

var identityKind = Kind{
	Word: "identity", Group: Answers,
	Doc: "From this command on until Init or power-off the null hierarchy is that of another TPM: its primary objects have other Names, " +
		"and its contexts that were saved before are refused (TPM_RC_INTEGRITY). A command with an HMAC session is left as it is. " +
		"Linux since 6.10 switches the TPM off when the Name of its null primary changes (drivers/char/tpm/tpm2-sessions.c).",
	Example: "name=resumed GetRandom#5: identity",
	parse:   func(string) (Fault, error) { return Identity{}, nil },
}

// otherTPM is what an Identity remembers.
type otherTPM struct {
	unique [32]byte
	// oldest is the sequence number of the first context that was saved by the other TPM.
	oldest uint64
	saved  bool
}

func (Identity) kind() *Kind    { return &identityKind }
func (Identity) String() string { return "identity" }

func (Identity) apply(x *exchange) ([]byte, error) {
	x.beginWith(0, 0, func() {
		random := x.random()
		remember(x, func(o *otherTPM) { *o = newOtherTPM(random) })
	})
	code, _ := transport.CommandCode(x.command)
	switch wire.CC(code) {
	case wire.CCCreatePrimary:
		return x.createAnother()
	case wire.CCContextLoad:
		if x.savedBefore() {
			return x.answer(uint32(wire.RCIntegrity.Parameter(1)))
		}
	case wire.CCContextSave:
		response, err := x.next()
		x.noteSaved(response)
		return response, err
	}
	return x.next()
}

func newOtherTPM(random *rand.Rand) (o otherTPM) {
	for i := range o.unique {
		o.unique[i] = byte(random.Uint32())
	}
	return o
}

// createAnother sends TPM2_CreatePrimary on, for another object if it is for the null
// hierarchy.
func (x *exchange) createAnother() ([]byte, error) {
	var unique [32]byte
	remember(x, func(o *otherTPM) { unique = o.unique })
	another, ok := withUnique(x.command, unique[:])
	if !ok {
		return x.next()
	}
	given := x.command
	x.command = another
	defer func() { x.command = given }()
	response, err := x.next()
	if !x.gone(err) {
		x.decision.Outcome, x.decision.Detail = Changed, "another unique in the template"
	}
	return response, err
}

// withUnique returns TPM2_CreatePrimary with another unique in its template; ok is false if
// the command is not for the null hierarchy, not authorized by passwords alone or not well
// formed.
func withUnique(command, unique []byte) (another []byte, ok bool) {
	const hierarchy = uint32(wire.RHNull)
	sessions, parameters, ok := commandSessions(command)
	if h, has := handle(command, 0); !ok || !has || h != hierarchy {
		return nil, false
	}
	for _, s := range sessions {
		if wire.Handle(s.handle) != wire.RSPW {
			return nil, false
		}
	}
	s := scan{b: command, at: parameters}
	s.sized() // inSensitive
	if s.bad {
		return nil, false
	}
	var public wire.Public
	r := wire.NewReader(command[s.at:], crypt.Complete().Selectors())
	r.SizedPublic(&public, true)
	if r.RC() != wire.RCSuccess {
		return nil, false
	}
	if public.Parms.Type == wire.AlgECC {
		public.Point = wire.ECPoint{X: unique, Y: public.Point.Y}
	} else {
		public.Unique = unique
	}
	w := wire.NewWriter(append([]byte(nil), command[:s.at]...))
	w.SizedPublic(&public)
	w.Bytes(r.Rest())
	another = w.Data()
	transport.SetSize(another)
	return another, true
}

// A TPMS_CONTEXT begins with the sequence number, the saved handle and the hierarchy.
const contextHead = 8 + 4 + 4

// nullContext returns the sequence number of the saved context of an object in the null
// hierarchy; ok is false if it is none.
func nullContext(context []byte) (sequence uint64, ok bool) {
	if len(context) < contextHead {
		return 0, false
	}
	saved, hierarchy := wire.Handle(binary.BigEndian.Uint32(context[8:])), wire.Handle(binary.BigEndian.Uint32(context[12:]))
	return binary.BigEndian.Uint64(context), saved.Type() == wire.HTTransient && hierarchy == wire.RHNull
}

// savedBefore reports whether the command loads a context that the other TPM has not saved.
func (x *exchange) savedBefore() (before bool) {
	if len(x.command) < transport.HeaderSize {
		return false
	}
	sequence, ok := nullContext(x.command[transport.HeaderSize:])
	if !ok {
		return false
	}
	remember(x, func(o *otherTPM) { before = !o.saved || sequence < o.oldest })
	return before
}

// noteSaved takes notice of a context that the other TPM has saved.
func (x *exchange) noteSaved(response []byte) {
	if transport.ResponseCode(response) != transport.RCSuccess || len(response) < transport.HeaderSize+contextHead {
		return
	}
	if sequence, ok := nullContext(response[transport.HeaderSize:]); ok {
		remember(x, func(o *otherTPM) {
			if !o.saved {
				o.oldest, o.saved = sequence, true
			}
		})
	}
}
