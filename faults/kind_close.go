package faults

import "github.com/swtpmd/swtpmd/transport"

// HangUp closes the connection of the sender in place of an answer. The error of Send is
// transport.ErrHangUp.
type HangUp struct {
	// Before keeps the command from the TPM, which executes it otherwise.
	Before bool
}

// Closed is the outcome of a HangUp.
const Closed Outcome = "closed" // the connection was closed in place of an answer

var closeKind = Kind{
	Word: "close", Value: "[before]", Group: Bytes,
	Doc: "The TPM executes the command, and the connection is closed in place of an answer; with before the command does not come to the TPM. " +
		"A vTPM proxy and CUSE have no connection: their client gets TPM_RC_FAILURE.",
	Example: "PCR_Extend#2: close=before",
	Dangerous: "QEMU 7.2 does not connect again: each later command of the guest fails until QEMU is started anew; " +
		"go-tpm and tpm2-tss give their caller the error of the connection",
	parse: func(value string) (Fault, error) {
		before, err := parseBefore(value)
		return HangUp{before}, err
	},
}

func (HangUp) kind() *Kind { return &closeKind }

func (h HangUp) String() string {
	if h.Before {
		return "close=before"
	}
	return "close"
}

func (h HangUp) apply(x *exchange) ([]byte, error) {
	if !h.Before {
		if response, err := x.next(); x.gone(err) {
			return response, err
		}
	}
	x.decision.Outcome = Closed
	return nil, transport.ErrHangUp
}
