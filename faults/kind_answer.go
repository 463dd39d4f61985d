package faults

import (
	"errors"
	"strconv"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// Answer is a response code (TPM_RC, 32 bits) to answer with, in a response without
// parameters. The TPM does not see the command.
type Answer uint32

var answerKind = Kind{
	Word: "rc", Value: "CODE", Group: Answers, Ends: true,
	Doc:     "The response code CODE is answered, by its name (TPM_RC_RETRY, RETRY) or number (0x922); the TPM does not see the command.",
	Example: "PCR_Extend#3: rc=TPM_RC_FAILURE",
	parse:   parseAnswer,
}

func parseAnswer(value string) (Fault, error) {
	if rc, ok := wire.RCByName(value); ok {
		if rc == wire.RCSuccess {
			return nil, errSuccess
		}
		return Answer(rc), nil
	}
	code, err := strconv.ParseUint(value, 0, 32)
	if err != nil {
		return nil, errors.New("the code is neither a name of TPM 2.0 Library Part 2, section \"TPM_RC\", nor a number of 32 bits")
	}
	if code == 0 {
		return nil, errSuccess
	}
	return Answer(code), nil
}

var errSuccess = errors.New("TPM_RC_SUCCESS without parameters is not an answer to every command; change bytes of the TPM's own answer instead")

func (Answer) kind() *Kind { return &answerKind }

func (a Answer) String() string {
	rc := wire.RC(a)
	if named, ok := wire.RCByName(rc.String()); ok && named == rc {
		return "rc=" + rc.String()
	}
	return "rc=0x" + strconv.FormatUint(uint64(a), 16)
}

func (a Answer) apply(x *exchange) ([]byte, error) { return x.answer(uint32(a)) }

// answer decides that the command is answered with a response code.
func (x *exchange) answer(code uint32) ([]byte, error) {
	x.decision.Outcome, x.decision.Code = Answered, code
	return transport.AppendResponse(nil, code), nil
}
