package faults

import (
	"errors"
	"fmt"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// Lockout has somebody else fail to authorize before the command comes to the TPM, until
// dictionary attack protection locks the TPM: TPM_RC_LOCKOUT for all that it protects,
// until time or the lockout authorization ends it (TPM 2.0 Library Part 1, section
// "Dictionary Attack Protection", rev 1.59). It does so on any TPM, a chip too, and
// outlives a reset.
type Lockout struct{}

var lockoutKind = Kind{
	Word: "lockout", Group: Inside,
	Doc: "Before the command, somebody else fails to authorize so often that the TPM is in dictionary attack lockout: TPM_RC_LOCKOUT for each object and NV index that is protected, " +
		"until TPM2_DictionaryAttackLockReset, or as much time has passed as the TPM says. It is real, on a chip of --backend too, and outlives resets.",
	Example: "NV_Read#2: lockout",
	parse:   func(string) (Fault, error) { return Lockout{}, nil },
}

// maxTries bounds the failures: no chip is known that allows more.
const maxTries = 256

func (Lockout) kind() *Kind    { return &lockoutKind }
func (Lockout) String() string { return "lockout" }

func (Lockout) apply(x *exchange) ([]byte, error) {
	tries, err := x.lockOut()
	switch {
	case err != nil:
		x.decision.Detail = fmt.Sprintf("%d failed authorizations, then %v", tries, err)
	case tries == 0:
		x.decision.Detail = "the TPM was in lockout"
	default:
		x.decision.Detail = fmt.Sprintf("%d failed authorizations, and the TPM is in lockout", tries)
	}
	return x.next()
}

// lockOut has authorizations of a sealed object fail until the TPM is in lockout. It
// returns how many have.
func (x *exchange) lockOut() (tries int, err error) {
	permanent, err := x.ask(0).Property(x.ctx, wire.PTPermanent)
	if err != nil || wire.PermanentAttributes(permanent)&wire.PermanentInLockout != 0 {
		return 0, err
	}
	auth := x.bytes(16)
	object, err := x.seal(auth)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, x.ask(0).Flush(x.ctx, object)) }()
	auth[0] ^= 1
	for range maxTries {
		_, err := x.order(transport.TagSessions, wire.CCUnseal, u32(uint32(object)), password(auth))
		switch {
		case errors.Is(err, wire.RCAuthFail):
			tries++
		case errors.Is(err, wire.RCLockout):
			return tries, nil
		case !errors.Is(err, wire.RCRetry): // with that the reference begins, once
			return tries, fmt.Errorf("by TPM2_Unseal: %w", err)
		}
	}
	return tries, errNoLockout
}

// errNoLockout is why a TPM cannot be locked out.
var errNoLockout = errors.New("the TPM is not in lockout: its recoveryTime is 0, or it allows more")
