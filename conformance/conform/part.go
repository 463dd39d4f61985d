package conform

import (
	"encoding/binary"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Part is a piece of a command: bytes, or what stands for the bytes that only one TPM
// has.
type Part interface {
	// Append appends the bytes of the part.
	Append(b []byte, s *State) ([]byte, error)
}

// Raw are bytes as they are.
type Raw []byte

// Append implements Part.
func (r Raw) Append(b []byte, _ *State) ([]byte, error) { return append(b, r...), nil }

// U8 is a byte.
func U8(v uint8) Raw { return Raw{v} }

// U16 is an integer of 2 bytes, big-endian as all are.
func U16[T ~uint16](v T) Raw { return binary.BigEndian.AppendUint16(nil, uint16(v)) }

// U32 is an integer of 4 bytes.
func U32[T ~uint32](v T) Raw { return binary.BigEndian.AppendUint32(nil, uint32(v)) }

// U64 is an integer of 8 bytes.
func U64(v uint64) Raw { return binary.BigEndian.AppendUint64(nil, v) }

// Sized is a TPM2B of the parts in it.
type Sized []Part

// Append implements Part.
func (p Sized) Append(b []byte, s *State) ([]byte, error) {
	at := len(b)
	b, err := Join(p).Append(append(b, 0, 0), s)
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-2))
	return b, nil
}

// Bytes is a TPM2B of bytes.
func Bytes(b []byte) Raw { return conformance.AppendSized(nil, b) }

// Text is a TPM2B of the bytes of a text.
func Text(text string) Raw { return Bytes([]byte(text)) }

// Join is one part after the other.
type Join []Part

// Append implements Part.
func (p Join) Append(b []byte, s *State) ([]byte, error) {
	var err error
	for _, part := range p {
		if b, err = part.Append(b, s); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// Handle is the handle in the answer to the step with a label, or of a fixture.
type Handle string

// Append implements Part.
func (h Handle) Append(b []byte, s *State) ([]byte, error) {
	handle, err := s.Handle(string(h))
	return binary.BigEndian.AppendUint32(b, handle), err
}

// Index is the handle of the NV index with a number in the suite's own range.
type Index uint32

// Append implements Part.
func (n Index) Append(b []byte, _ *State) ([]byte, error) {
	return binary.BigEndian.AppendUint32(b, n.Handle()), nil
}

// Handle returns the handle.
func (n Index) Handle() uint32 { return firstIndex + uint32(n) }

// Persistent is the handle of the persistent object with a number in the suite's own
// range of those that the owner may make.
type Persistent uint32

// Append implements Part.
func (n Persistent) Append(b []byte, _ *State) ([]byte, error) {
	return binary.BigEndian.AppendUint32(b, n.Handle()), nil
}

// Handle returns the handle.
func (n Persistent) Handle() uint32 { return firstPersistent + uint32(n) }

// The ranges of handles that the suite makes indices and persistent objects in: of those
// for the owner (TCG Registry of Reserved TPM 2.0 Handles and Localities).
const (
	firstIndex      = 0x0180c0f0
	lastIndex       = 0x0180c0ff
	firstPersistent = 0x8100c0f0
	lastPersistent  = 0x8100c0ff
)

// Field is a field of the answer to the step with a label, with its size where it has
// one: the parameters count from 1.
type Field struct {
	Of string
	N  int
}

// Append implements Part.
func (f Field) Append(b []byte, s *State) ([]byte, error) {
	value, err := s.Field(f.Of, f.N)
	return append(b, value...), err
}

// Name is a TPM2B_NAME of the object, index or session that a handle is of.
type Name struct{ Of Part }

// Append implements Part.
func (n Name) Append(b []byte, s *State) ([]byte, error) {
	handle, err := n.Of.Append(nil, s)
	if err != nil {
		return nil, err
	}
	return conformance.AppendSized(b, s.player.Name(wire.Number(handle))), nil
}

// Nonce is a TPM2B_NONCE of a session: its nonceTPM.
type Nonce struct{ Of Part }

// Append implements Part.
func (n Nonce) Append(b []byte, s *State) ([]byte, error) {
	handle, err := n.Of.Append(nil, s)
	if err != nil {
		return nil, err
	}
	nonce, ok := s.player.Nonce(wire.Number(handle))
	if !ok {
		return nil, fmt.Errorf("no session has the handle %x", handle)
	}
	return conformance.AppendSized(b, nonce), nil
}

// Policy is a TPM2B_DIGEST: the policyDigest of a session as the client has computed it.
type Policy struct{ Of Part }

// Append implements Part.
func (p Policy) Append(b []byte, s *State) ([]byte, error) {
	handle, err := p.Of.Append(nil, s)
	if err != nil {
		return nil, err
	}
	_, digest := s.player.Policy(wire.Number(handle))
	if digest == nil {
		return nil, fmt.Errorf("the policyDigest of %x is not known", handle)
	}
	return conformance.AppendSized(b, digest), nil
}

// Salt is a TPM2B_ENCRYPTED_SECRET: the text, encrypted to the key in the first handle
// of the command, TPM2_StartAuthSession.
type Salt string

// Append implements Part.
func (t Salt) Append(b []byte, s *State) ([]byte, error) {
	s.holes = append(s.holes, conversation.Hole{At: len(b), Len: 2, Kind: conversation.HoleSalt, Text: []byte(t)})
	return append(b, 0, 0), nil
}

// Computed is a part that needs a computation.
type Computed func(s *State) ([]byte, error)

// Append implements Part.
func (f Computed) Append(b []byte, s *State) ([]byte, error) {
	value, err := f(s)
	return append(b, value...), err
}

// Permanent returns the part for a permanent handle or a PCR.
func Permanent(h tpm2.TPMHandle) Raw { return U32(h) }
