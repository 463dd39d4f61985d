package daemon

import (
	"errors"

	"github.com/swtpmd/swtpmd/emulator/state"
)

// keptStorage is the state directory as the control channel sees it.
type keptStorage struct{ *state.Directory }

// errChanged is why a lock that comes late is not taken.
const errChanged = state.Error("another TPM has written the state since it was loaded: INIT has to load it again")

// Lock takes the lock, and gives it back if loaded state is not that of the directory
// any more.
func (k keptStorage) Lock(loaded bool) error {
	if err := k.Directory.Lock(); err != nil || !loaded {
		return err
	}
	changed, err := k.Changed()
	if err == nil && changed {
		err = errChanged
	}
	if err != nil {
		return errors.Join(err, k.Unlock())
	}
	return nil
}
