package emulator

import (
	"fmt"
)

// Codes of the faults that lead to failure mode, in the data that
// TPM2_GetTestResult returns. They are stable.
const (
	failEntropy  = 1 // Platform.Entropy failed
	failStore    = 2 // Store.Commit failed
	failSelfTest = 3 // an algorithm gave a wrong known answer
	failCounter  = 4 // a counter that must not wrap would have
	failContext  = 5 // a saved context is wrong, though this TPM has signed it
	failOwner    = 6 // whoever runs the TPM has called Fail
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

// Failure returns why the TPM is in failure mode (Part 1, section "Failure Mode"), a
// [*FailureError], or nil if it is not. Only Init leaves failure mode.
func (t *TPM) Failure() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failure
}

// Fail puts a TPM with power in failure mode, for a reason that whoever runs it knows. A
// command in execution ends first.
func (t *TPM) Fail(cause error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.powered.Load() {
		t.fail(failOwner, cause)
	}
}

// fail enters failure mode. The first reason stays.
func (t *TPM) fail(code uint32, err error) {
	if t.failure == nil {
		t.failure = &FailureError{Code: code, Err: err}
		t.s.Volatile.FailureCode = code
	}
}
