package fleet

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// defaultSettle is how long a started TPM that nobody uses waits until it is stored.
const defaultSettle = time.Second

// settling has what a TPM may store later: its file, if the fleet made the TPM by itself, and
// what _TPM_Init and TPM2_Startup have committed. It is stored before the answer to any other
// command. A TPM whose process is killed before that has not been started; nothing that
// depends on its seeds or counters has been answered.
//
// So a thousand guests that start at the same time do not wait until a thousand directories
// are on the disk.
type settling struct {
	unsettled atomic.Bool // there is something to store
	storage   *storage    // nil for a TPM that ends with the fleet
	tell      func()      // has the fleet settle the TPM after a time

	mu sync.Mutex
	// file writes the TPM's file; nil: that is written, or not to be.
	file func() error
}

// add has the TPM settled later.
func (s *settling) add() {
	if !s.unsettled.Swap(true) && s.tell != nil {
		s.tell()
	}
}

// later has the storage put commits off until what it returns is called.
func (s *settling) later() (end func()) {
	if s.storage == nil {
		return func() {}
	}
	s.storage.later.Add(1)
	return func() { s.storage.later.Add(-1) }
}

// settle stores what is to be stored.
func (s *settling) settle() error {
	if !s.unsettled.Load() {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file != nil {
		if err := s.file(); err != nil {
			return err
		}
		s.file = nil
	}
	if s.storage == nil {
		s.unsettled.Store(false)
		return nil
	}
	return s.storage.settle(func() { s.unsettled.Store(false) })
}

// unwritten reports whether the TPM's file is to be written.
func (s *settling) unwritten() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file != nil
}

// leave leaves the TPM's file to others.
func (s *settling) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.file = nil
}

// send has the TPM execute a command, after what is to be stored before it.
func (s *settling) send(ctx context.Context, tpm *emulator.TPM, locality uint8, command []byte) ([]byte, error) {
	if code, _ := transport.CommandCode(command); code == uint32(wire.CCStartup) {
		defer s.later()()
		return tpm.Send(ctx, locality, command)
	}
	if s.unsettled.Load() && s.settle() != nil {
		return tpm.Send(ctx, locality, command) // the store says what it cannot
	}
	response, err := tpm.Send(ctx, locality, command)
	if s.unsettled.Load() {
		// _TPM_Init has come in between, and what the command has committed may be
		// among what is put off.
		if failure := s.settle(); failure != nil {
			tpm.Fail(failure)
			return transport.AppendResponse(nil, transport.RCFailure), nil
		}
	}
	return response, err
}

// unsettled are the TPMs of a fleet that are to be settled.
type unsettled struct {
	after time.Duration
	came  chan struct{} // has room for one

	mu   sync.Mutex
	tpms []*tpm
}

func (u *unsettled) add(t *tpm) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.tpms = append(u.tpms, t)
	select {
	case u.came <- struct{}{}:
	default:
	}
}

func (u *unsettled) take() []*tpm {
	u.mu.Lock()
	defer u.mu.Unlock()
	tpms := u.tpms
	u.tpms = nil
	return tpms
}

// settleLater settles TPMs that nobody uses.
func (f *Fleet) settleLater() {
	for {
		select {
		case <-f.stop:
			return
		case <-f.unsettled.came:
		}
		wait := time.NewTimer(f.unsettled.after)
		select {
		case <-f.stop:
			wait.Stop()
			return
		case <-wait.C:
		}
		for _, t := range f.unsettled.take() {
			select {
			case <-f.stop:
				return
			default:
			}
			if err := t.engine.settling.settle(); err != nil {
				t.log.Warn("the TPM is not stored yet", "cause", err)
			}
		}
	}
}
