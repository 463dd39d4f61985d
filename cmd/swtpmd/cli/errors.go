package cli

import "fmt"

// UsageError refuses a command line.
type UsageError struct {
	Err  error
	Hint string // the remedy, may be empty
}

// Usage returns a *UsageError.
func Usage(err error, hint string) error { return &UsageError{Err: err, Hint: hint} }

func (e *UsageError) Error() string { return e.Err.Error() }

// Unwrap returns Err.
func (e *UsageError) Unwrap() error { return e.Err }

// ExitError is the exit code of a command that has said all there is to say.
type ExitError struct {
	Code int
}

func (e *ExitError) Error() string { return fmt.Sprintf("exit code %d", e.Code) }
