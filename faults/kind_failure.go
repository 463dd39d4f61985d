package faults

import (
	"encoding/binary"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// Failure puts the TPM in failure mode until Init or power-off (TPM 2.0 Library Part 1, section
// "Failure Mode", rev 1.59), as far as commands tell: each is answered TPM_RC_FAILURE, but for
// TPM2_GetTestResult and TPM2_GetCapability without sessions. The TPM itself goes on, and
// sees those two.
type Failure struct{}

var failureKind = Kind{
	Word: "failure", Group: Answers,
	Doc: "From this command on until Init or power-off each is answered TPM_RC_FAILURE, but for GetCapability and GetTestResult, " +
		"which says that the self-test failed.",
	Example: "PCR_Extend#3: failure",
	parse:   func(string) (Fault, error) { return Failure{}, nil },
}

func (Failure) kind() *Kind    { return &failureKind }
func (Failure) String() string { return "failure" }

func (Failure) apply(x *exchange) ([]byte, error) {
	x.begin(0, 0)
	return x.onlyTests(uint32(wire.RCFailure))
}

// onlyTests answers every command with a code, but for those with which a client asks what
// is the matter. TPM2_GetTestResult has the code as its result.
func (x *exchange) onlyTests(code uint32) ([]byte, error) {
	h, ok := transport.ParseHeader(x.command)
	switch {
	case !ok || h.Tag != transport.TagNoSessions:
	case wire.CC(h.Code) == wire.CCGetCapability:
		return x.next()
	case wire.CC(h.Code) == wire.CCGetTestResult:
		return x.change(func(response []byte) ([]byte, string) {
			const result = 4 // TPM_RC testResult, the last parameter
			if transport.ResponseCode(response) != transport.RCSuccess || len(response) < transport.HeaderSize+result {
				return response, ""
			}
			binary.BigEndian.PutUint32(response[len(response)-result:], code)
			return response, "testResult " + wire.RC(code).String()
		})
	}
	return x.answer(code)
}
