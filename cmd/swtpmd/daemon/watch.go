package daemon

import (
	"context"
	"log/slog"
	"sync"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/transport"
)

// watchedTPM is a TPM that says in the log when its failure mode begins, and
// why: its clients get TPM_RC_FAILURE and nothing else. Everything but that is
// the TPM itself.
type watchedTPM struct {
	*emulator.TPM
	log *slog.Logger

	mu   sync.Mutex
	said error // the failure that the log has
}

// Send looks for the cause where the answer is TPM_RC_FAILURE.
func (w *watchedTPM) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	response, err := w.TPM.Send(ctx, locality, command)
	if err == nil && transport.ResponseCode(response) == transport.RCFailure {
		w.look()
	}
	return response, err
}

// Init leaves failure mode, or begins it where there is no entropy.
func (w *watchedTPM) Init() error {
	err := w.TPM.Init()
	w.look()
	return err
}

// PowerOff leaves failure mode.
func (w *watchedTPM) PowerOff() error {
	err := w.TPM.PowerOff()
	w.look()
	return err
}

// look compares what the TPM says with what the log has.
func (w *watchedTPM) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	failure := w.Failure()
	if failure != nil && w.said == nil {
		w.log.Error("the TPM is in failure mode until the guest is reset", "cause", failure)
	}
	w.said = failure
}

// failed is the failure that the log has. Unlike Failure it does not wait for a
// command in execution.
func (w *watchedTPM) failed() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.said
}

// WatchedStore says in the log when state cannot be written any more, and when
// it can again.
type WatchedStore struct {
	state.Store
	directory *state.Directory
	Dir       string
	Log       *slog.Logger
	close     func() error

	// refused says that Writable, failed that Commit was the last to fail.
	refused, failed bool
}

// Unwrap returns the store that is watched.
func (w *WatchedStore) Unwrap() state.Store { return w.Store }

// Writable is asked once for every command.
func (w *WatchedStore) Writable() error {
	err := w.Store.Writable()
	switch {
	case err != nil && !w.refused:
		w.Log.Warn("state cannot be written: commands that change it answer TPM_RC_NV_UNAVAILABLE", "dir", w.Dir, "cause", err)
	case err == nil && w.refused:
		w.Log.Info("state can be written again", "dir", w.Dir)
	}
	w.refused = err != nil
	return err
}

// Commit puts the TPM in failure mode if it fails.
func (w *WatchedStore) Commit(blob []byte) error {
	err := w.Store.Commit(blob)
	switch {
	case err != nil && !w.failed:
		w.Log.Warn("state was not written: what the last command changed is lost", "dir", w.Dir, "cause", err)
	case err == nil && w.failed:
		w.Log.Info("state can be written again", "dir", w.Dir)
	}
	w.failed = err != nil
	return err
}
