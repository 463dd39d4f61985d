package fleet

import (
	"errors"
	"fmt"
)

// Why a request is refused.
var (
	ErrTaken  = errors.New("the name is taken: remove that TPM first, or choose another name")
	ErrNone   = errors.New("there is no TPM of this name")
	ErrInUse  = errors.New("clients are connected: ask once more, or with force, and they lose their TPM")
	ErrClosed = errors.New("the fleet has ended")
	ErrName   = errors.New("a name has up to 64 letters, digits, - and _, and begins with a letter or a digit")
)

// Error says which TPM a request is refused for.
type Error struct {
	Name string
	Err  error // one of those above, a *ConfigError, a *LimitError, or what the system said
}

// Error names the TPM.
func (e *Error) Error() string { return fmt.Sprintf("TPM %q: %v", e.Name, e.Err) }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// InUseError says that a directory is another fleet's.
type InUseError struct {
	Dir string
	PID int // of the process that has it, 0 if that is not known
}

// Error names the directory, and the process if it is known.
func (e *InUseError) Error() string {
	by := "another fleet"
	if e.PID != 0 {
		by = fmt.Sprintf("the fleet of process %d", e.PID)
	}
	return fmt.Sprintf("%s is in use by %s: stop that one, or take another directory", e.Dir, by)
}

// LimitError says that there may be no descriptors for one more TPM and its clients.
type LimitError struct {
	TPMs  int    // that there are
	Needs int    // descriptors that all of them and one more may take
	Limit uint64 // of the process
}

// Error names the limit and what to raise.
func (e *LimitError) Error() string {
	return fmt.Sprintf("%d TPMs may take %d open files, and this process may have %d (RLIMIT_NOFILE): raise that with ulimit -n, or LimitNOFILE= of the service; the %d TPMs that there are go on",
		e.TPMs+1, e.Needs, e.Limit, e.TPMs)
}
