package emulator

import (
	"fmt"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Codes of the faults that lead to failure mode, in the data that
// TPM2_GetTestResult returns. They are stable.
const (
	failEntropy  = 1 // Platform.Entropy failed
	failStore    = 2 // Store.Commit failed
	failSelfTest = 3 // an algorithm gave a wrong known answer
	failCounter  = 4 // a counter that must not wrap would have
	failContext  = 5 // a saved context is wrong, though this TPM has signed it
)

// FailureError says why a TPM is in failure mode.
type FailureError struct {
	Code uint32 // what TPM2_GetTestResult returns in the last four data octets
	Err  error
}

// Error names the cause and the remedy.
func (e *FailureError) Error() string {
	return fmt.Sprintf("TPM in failure mode, code %d: %v: only Init leaves it", e.Code, e.Err)
}

// Unwrap gives the cause.
func (e *FailureError) Unwrap() error { return e.Err }

// Failure is the reason, a *FailureError, why the TPM is in failure mode (Part
// 1, section "Failure Mode"), nil if it is not. Only Init leaves failure mode.
func (t *TPM) Failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failure
}

// fail enters failure mode. The first reason stays.
func (t *TPM) fail(code uint32, err error) {
	if t.failure == nil {
		t.failure = &FailureError{Code: code, Err: err}
		t.s.Volatile.FailureCode = code
	}
}

// executeInFailure answers the two commands that failure mode leaves: Part 3,
// sections "TPM2_GetTestResult" and "TPM2_GetCapability", without sessions and
// of exactly the right size. Everything else is TPM_RC_FAILURE.
func (t *TPM) executeInFailure(command []byte) []byte {
	r := wire.NewReader(command, nil)
	tag, size, code := wire.ST(r.U16()), r.U32(), wire.CC(r.U32())
	if r.RC() != wire.RCSuccess || tag != wire.STNoSessions || uint64(size) != uint64(len(command)) {
		return t.errorResponse(wire.RCFailure)
	}
	w := wire.NewWriter(t.out[:responseHeader])
	switch {
	case code == wire.CCGetTestResult && r.Len() == 0:
		w.Sized([]byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(t.s.Volatile.FailureCode)})
		w.U32(uint32(wire.RCFailure))
	case code == wire.CCGetCapability && r.Len() == 12 && wire.Cap(r.U32()) == wire.CapTPMProperties:
		t.failureProperty(&w, wire.PT(r.U32()), r.U32())
	default:
		return t.errorResponse(wire.RCFailure)
	}
	return finishResponse(&w, wire.STNoSessions)
}

// failureProperty gives at most one of the properties that tell the maker: the
// first one from pt on.
func (t *TPM) failureProperty(w *wire.Writer, pt wire.PT, count uint32) {
	pt = max(pt, wire.PTManufacturer)
	if pt > wire.PTFirmwareVersion2 {
		count = 0
	}
	w.YesNo(pt < wire.PTFirmwareVersion2)
	w.U32(uint32(wire.CapTPMProperties))
	w.U32(min(count, 1))
	if count > 0 {
		value, _ := t.property(pt)
		w.U32(uint32(pt))
		w.U32(value)
	}
}
