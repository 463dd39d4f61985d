package transport

// The signals of a platform that a simulator has knobs for, besides those in
// device.go.

// CancelSignal is implemented by a Canceler whose signal can stay asserted, as it does
// on the platform interface of the TCG reference code (Platform/include/Platform_fp.h:
// _plat__SetCancel): then every command that can be canceled is, those that come later
// too. A client that cancels over a connection of its own needs that: the cancel may
// arrive before the command.
type CancelSignal interface {
	SetCancel(asserted bool)
}

// Presence is implemented by a Device with a signal of physical presence (TPM 2.0
// Library Part 1, section "Physical Presence"). It is not asserted at first, and
// Init and PowerOff leave it as it is.
type Presence interface {
	SetPresence(asserted bool)
}

// NVAvailability is implemented by a Device whose nonvolatile memory can be taken away
// from it. It then answers TPM_RC_NV_UNAVAILABLE to commands that change what is stored.
// The memory is available at first, and Init and PowerOff leave it as it is.
type NVAvailability interface {
	SetNVAvailable(available bool)
}

// FailureTest is implemented by a Device that can be put in failure mode (TPM 2.0
// Library Part 1, section "Failure Mode").
type FailureTest interface {
	// FailNextSelfTest makes the next self-test fail, which Init undoes.
	FailNextSelfTest()
}
