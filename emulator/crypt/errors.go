package crypt

import (
	"fmt"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Error says why an operation refused its input. Nothing was changed and
// nothing was computed from it.
type Error struct {
	Op   string  // the operation, such as "OAEP decoding"
	Code wire.RC // the response code of Part 3 for it, without handle, session or parameter number
	Why  string  // what is wrong and what would be right
}

// Error names the operation, the reason and the response code.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s (%v)", e.Op, e.Why, e.Code) }

func refuse(op string, code wire.RC, format string, args ...any) *Error {
	return &Error{Op: op, Code: code, Why: fmt.Sprintf(format, args...)}
}
