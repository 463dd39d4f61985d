package faults

import (
	"errors"
	"time"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// SelfTesting is a TPM whose self-tests go on for a time: commands are answered TPM_RC_TESTING,
// but for TPM2_GetTestResult and TPM2_GetCapability without sessions.
type SelfTesting struct {
	For time.Duration // from the command that began it on
}

var testingKind = Kind{
	Word: "testing", Value: "TIME", Group: Answers,
	Doc: "From this command on and for TIME each is answered TPM_RC_TESTING, but for GetCapability and GetTestResult, " +
		"which says the same. Init and power-off end it before.",
	Example: "SelfTest: testing=1.5s",
	parse: func(value string) (Fault, error) {
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return nil, errTesting
		}
		return SelfTesting{d}, nil
	},
}

var errTesting = errors.New("the self-tests take a time above 0, such as 1.5s")

func (SelfTesting) kind() *Kind      { return &testingKind }
func (s SelfTesting) String() string { return "testing=" + s.For.String() }

func (s SelfTesting) check(*Plan, *Rule) string {
	if s.For <= 0 {
		return errTesting.Error()
	}
	return ""
}

func (s SelfTesting) apply(x *exchange) ([]byte, error) {
	x.begin(s.For, 0)
	return x.onlyTests(uint32(wire.RCTesting))
}
