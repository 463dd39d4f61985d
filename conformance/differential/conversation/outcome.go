package conversation

import (
	"bytes"
	"encoding/hex"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Outcome is the result of a step.
type Outcome struct {
	// Response is the answer to a command.
	Response []byte
	// Err is the error of a command without an answer, or of another action. Only its
	// presence is compared: its text is that of the transport.
	Err error
	// Problem describes what the caller found wrong in the answer: an HMAC, a
	// signature, a name. Empty if nothing is wrong, or nothing could be checked.
	Problem string
	// Sent is the command that this device received, before HMACs and encryption.
	Sent []byte

	// Plain is Response with its first parameter decrypted.
	Plain []byte
	// Inputs and History are equal for two devices if everything is equal that the
	// answer can depend on: in this step, and in all steps so far.
	Inputs, History uint64
	// OnSequence reports whether a handle of the command is a sequence object.
	OnSequence bool
	// Garbled reports whether the device took the first parameter for encrypted
	// and decrypted it to random bytes; Opaque reports whether the caller cannot
	// decrypt the first parameter of the answer.
	Garbled, Opaque bool
}

// Code returns the response code, 0xffffffff for no answer.
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

// Same reports whether two outcomes are equal byte by byte.
func (o Outcome) Same(other Outcome) bool {
	return (o.Err == nil) == (other.Err == nil) && o.Problem == other.Problem && bytes.Equal(o.Response, other.Response)
}
