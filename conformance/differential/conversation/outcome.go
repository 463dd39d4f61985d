package conversation

import (
	"bytes"
	"encoding/hex"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Outcome is what became of a step.
type Outcome struct {
	// Response of a Send that was answered.
	Response []byte
	// Err of a Send that was not answered, or of any other action. Errors are
	// compared by presence: their texts are the transport's.
	Err error
	// Problem says what is wrong with the answer to the caller of a session:
	// an HMAC, a signature, a name. Empty if nothing is, or nothing was to be
	// checked.
	Problem string
	// Sent is the command as this device got it, but for HMACs and encryption.
	Sent []byte

	// Plain is Response with its first parameter decrypted.
	Plain []byte
	// Inputs and history are equal for two devices if all that the answer may
	// depend on is, of this step and of all before it.
	Inputs, History uint64
	// OnSequence says that a handle is that of a sequence.
	OnSequence bool
	// Garbled says that the device has taken the first parameter for encrypted
	// and it was not, so that what it has got is random; opaque that the caller
	// cannot decrypt the first parameter of the answer.
	Garbled, Opaque bool
}

// Code gives the response code, 0xffffffff for no answer.
func (o Outcome) Code() uint32 {
	if code, ok := conformance.ResponseCode(o.Response); ok && o.Err == nil {
		return code
	}
	return 0xffffffff
}

func (o Outcome) String() string {
	if o.Err != nil {
		return "error: " + o.Err.Error()
	}
	if code, ok := conformance.ResponseCode(o.Response); ok && code != 0 {
		return hex.EncodeToString(o.Response) + " " + conformance.Describe(code)
	}
	return wire.Hex(o.Response)
}

// Same says whether two outcomes are equal to the last byte.
func (o Outcome) Same(other Outcome) bool {
	return (o.Err == nil) == (other.Err == nil) && o.Problem == other.Problem && bytes.Equal(o.Response, other.Response)
}
