package emulator

import (
	"fmt"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Limits are the sizes and counts of a TPM.
type Limits struct {
	Buffer         uint32 // bytes of the command and of the response buffer
	InputBuffer    uint32 // bytes of a TPM2B_MAX_BUFFER
	Transient      uint32 // slots for transient objects and sequences
	Persistent     uint32 // persistent objects
	LoadedSessions uint32
	ActiveSessions uint32
	NVIndexSize    uint32 // bytes
	NVBuffer       uint32 // bytes of a TPM2B_MAX_NV_BUFFER
	// NVMemory are the bytes for NV indices, 152 for each besides its data, and
	// for persistent objects, 2,000 for each.
	NVMemory uint32
	// NVOrderlyMemory are the bytes for the data of orderly NV indices, which
	// are not in NVMemory, and 12 for each.
	NVOrderlyMemory uint32
	ObjectContext   uint32 // bytes of the largest TPMS_CONTEXT of an object
	SessionContext  uint32 // bytes of the largest TPMS_CONTEXT of a session
}

// Limits of SetBufferSize as swtpm has them: a response must have room for the
// largest saved context, and no transport has more. A Config with a smaller
// buffer has only that.
const (
	minBuffer = 2808
	maxBuffer = 4096
)

// maxNVMemory bounds both kinds of NV memory in bytes, so that the state of a
// TPM with all of it in use stays below state.MaxSize, with fewer indices than
// state.MaxNVIndices.
const maxNVMemory = 1 << 18

// minSlots is what one command may need: three handles of objects, three
// sessions.
const minSlots = 3

// DefaultLimits are those of swtpm 0.7.1.
func DefaultLimits() Limits {
	return Limits{
		Buffer: maxBuffer, InputBuffer: 1024, Transient: 3, Persistent: 7,
		LoadedSessions: 3, ActiveSessions: 64, NVIndexSize: 2048, NVBuffer: 1024,
		NVMemory: 1 << 17, NVOrderlyMemory: 512,
		ObjectContext: 2048, SessionContext: 404,
	}
}

// smallestBuffer is the least that SetBufferSize takes.
func (l *Limits) smallestBuffer() uint32 { return min(minBuffer, l.Buffer) }

// frameSize is what a command or a response has in bytes besides its largest
// parameter: header, three handles, the size of the authorisation area and three
// sessions with nonces and HMACs, and the two sizes of TPM2_NV_Write.
func frameSize(digest int) uint32 {
	return uint32(10 + 3*4 + 4 + 3*(4+2+digest+1+2+digest) + 4)
}

// check refuses limits that are out of bounds, or that banks and algorithms do
// not fit in.
func (l *Limits) check(banks []Bank, algs *crypt.Registry) error {
	digest := algs.Selectors().LargestDigest()
	frame := frameSize(digest)
	object, session := contextSizes(banks, algs)
	for _, b := range []struct {
		field           string
		value, min, max uint32
	}{
		{"Buffer", l.Buffer, max(frame+maxCapBuffer, object+responseHeader), maxBuffer},
		{"InputBuffer", l.InputBuffer, wire.MaxDigest, l.Buffer - frame},
		{"Transient", l.Transient, minSlots, state.MaxObjects},
		{"Persistent", l.Persistent, 0, state.MaxPersistentObjects},
		{"LoadedSessions", l.LoadedSessions, minSlots, state.MaxLoadedSessions},
		{"ActiveSessions", l.ActiveSessions, l.LoadedSessions, state.MaxActiveSessions},
		{"NVIndexSize", l.NVIndexSize, wire.MaxDigest, 0xFFFF},
		{"NVBuffer", l.NVBuffer, wire.MaxDigest, l.Buffer - frame},
		{"NVMemory", l.NVMemory, l.Persistent * persistentSize, maxNVMemory},
		{"NVOrderlyMemory", l.NVOrderlyMemory, 0, maxNVMemory},
		{"ObjectContext", l.ObjectContext, object, l.Buffer - responseHeader},
		{"SessionContext", l.SessionContext, session, l.Buffer - responseHeader},
	} {
		if b.value < b.min || b.value > b.max {
			hint := fmt.Sprintf("%d to %d", b.min, b.max)
			if b.value == 0 {
				hint += "; change a copy of DefaultLimits, where one limit is set all are"
			}
			return &ConfigError{Field: "Limits." + b.field, Value: b.value, Hint: hint}
		}
	}
	return nil
}

// contextSizes gives the bytes of the largest TPMS_CONTEXT of an object and of a
// session.
func contextSizes(banks []Bank, algs *crypt.Registry) (object, session uint32) {
	digest := algs.Selectors().LargestDigest()
	frame := 8 + 4 + 4 + 2 + // TPMS_CONTEXT with the size of its blob
		2 + crypt.HashSize(algs.LargestHash()) + contextFingerprint
	var full state.TPM2B
	full.Set(make([]byte, digest))

	objects := []state.Object{{Kind: state.ObjectLoaded, Public: make([]byte, publicSize(digest, algs)),
		Sensitive: make([]byte, sensitiveSize(digest, algs)), Name: make([]byte, 2+digest), QualifiedName: make([]byte, 2+digest)}}
	events := state.Object{Kind: state.ObjectEventSequence, Auth: full}
	for i, b := range banks {
		events.HashCount++
		events.Hashes[i].Size = uint8(len(crypt.MarshalHash(crypt.NewHash(b.Alg))))
	}
	objects = append(objects, events)
	for _, alg := range algs.Hashes() {
		mac, _ := crypt.NewHMAC(alg, nil).MarshalBinary() // the error is always nil
		objects = append(objects, state.Object{Kind: state.ObjectMACSequence, Auth: full, MAC: append([]byte{0}, mac...)})
	}
	size := 0
	for i := range objects {
		size = max(size, len(state.AppendObject(nil, &objects[i])))
	}
	// Bound is an HMAC session's, Hash a policy session's.
	s := state.Session{Key: full, NonceTPM: full, Digest: full, Hash: full}
	return uint32(frame + size), uint32(frame + len(state.AppendSession(nil, &s)))
}

// publicSize is the size in bytes of the largest TPMT_PUBLIC: type, nameAlg,
// attributes, policy, and parameters and unique field of an RSA or ECC key.
func publicSize(digest int, algs *crypt.Registry) int {
	head := 2 + 2 + 4 + 2 + digest
	rsa := 3*2 + 2*2 + 2 + 4 + 2 + largestBits(algs, wire.AlgRSA)/8
	ecc := 3*2 + 2*2 + 2 + 2 + 2*2 + 2*(2+largestField(algs))
	return head + max(rsa, ecc, 3*2+2+digest)
}

// sensitiveSize is the size in bytes of the largest TPMT_SENSITIVE: type,
// authValue, seedValue, and a prime, a scalar, sealed data or a symmetric key.
func sensitiveSize(digest int, algs *crypt.Registry) int {
	return 2 + 2*(2+digest) + 2 + max(largestBits(algs, wire.AlgRSA)/16, largestField(algs), wire.MaxSymData)
}

func largestBits(algs *crypt.Registry, alg wire.AlgID) int {
	largest := uint16(0)
	for _, bits := range algs.KeyBits(alg) {
		largest = max(largest, bits)
	}
	return int(largest)
}

func largestField(algs *crypt.Registry) int {
	largest := 0
	for _, curve := range algs.Curves() {
		largest = max(largest, crypt.CurveOf(curve).FieldSize())
	}
	return largest
}
