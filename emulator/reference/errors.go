package reference

import (
	"errors"
	"fmt"
)

// Errors of the references.
var (
	// ErrNoPower is answered to whatever needs a powered TPM.
	ErrNoPower = errors.New("reference: the TPM has no power; call Init first")
	// ErrClosed is answered after Close.
	ErrClosed = errors.New("reference: the TPM is closed")
	// ErrNoSimulator is answered by OpenSimulator in a build without the
	// simulator: it needs cgo, the OpenSSL headers, and Linux.
	ErrNoSimulator = errors.New("reference: built without the simulator; build with CGO_ENABLED=1 on Linux")
)

// LocalityError says that a reference cannot receive commands at a locality.
type LocalityError struct {
	Locality uint8
}

func (e *LocalityError) Error() string {
	return fmt.Sprintf("reference: locality %d cannot be set on the simulator, which always sees 0; compare with swtpm instead", e.Locality)
}
