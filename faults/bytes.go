package faults

import (
	"errors"
	"fmt"
	"strconv"
)

// Changed is the outcome of a command that was executed and whose response was changed.
const Changed Outcome = "changed"

// change has the command answered by what comes after and its response changed. What
// returns the response and in words what was done to it, empty if nothing was.
func (x *exchange) change(what func(response []byte) ([]byte, string)) ([]byte, error) {
	response, err := x.next()
	if x.gone(err) {
		return response, err
	}
	changed, detail := what(response)
	if detail == "" {
		return response, nil
	}
	x.decision.Outcome, x.decision.Detail = Changed, detail
	return changed, nil
}

// gone reports, of a command that went on and came back with err, whether there is no
// response of the TPM that a fault could change: an error, or a reset or cancel that
// overtook the command.
func (x *exchange) gone(err error) bool {
	return err != nil || x.decision.Outcome == Canceled || x.decision.Outcome == Reset
}

// maxBytes bounds the numbers of bytes in a fault.
const maxBytes = 4096

// parseBytes reads a number of bytes.
func parseBytes(value string) (n int, err error) {
	n, ok := number(value)
	if !ok || n > maxBytes {
		return 0, errBytes
	}
	return n, nil
}

var errBytes = errors.New("that is not a number of bytes from 1 to " + strconv.Itoa(maxBytes))

// checkBytes returns why n is no number of bytes, empty if it is.
func checkBytes(n int) string {
	if n < 1 || n > maxBytes {
		return fmt.Sprintf("%d: %s", n, errBytes)
	}
	return ""
}

// parseBefore reads the word before, or nothing.
func parseBefore(value string) (before bool, err error) {
	if value != "" && value != "before" {
		return false, errors.New("the only word that may follow is before")
	}
	return value != "", nil
}
