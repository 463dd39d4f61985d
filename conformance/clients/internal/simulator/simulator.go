// Package simulator takes the place of github.com/google/go-tpm-tools/simulator
// when the tests of its users are run: the same functions, with the
// emulator below them. A process may have any number of them open.
package simulator

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand"

	"github.com/google/go-tpm/legacy/tpm2"

	"github.com/swtpmd/swtpmd/emulator"
)

// Simulator is a TPM: a command is written, its response read.
type Simulator struct {
	tpm    *emulator.TPM
	seed   *int64
	buf    bytes.Buffer
	closed bool
}

// ErrUsingClosedSimulator is the error of a closed simulator.
var ErrUsingClosedSimulator = errors.New("attempting to use a closed simulator")

// Get makes a new TPM and starts it.
func Get() (*Simulator, error) {
	s := &Simulator{}
	return s, s.manufacture()
}

// GetWithFixedSeedInsecure makes a TPM that is the same for the same seed.
func GetWithFixedSeedInsecure(seed int64) (*Simulator, error) {
	s := &Simulator{seed: &seed}
	return s, s.manufacture()
}

func (s *Simulator) manufacture() error {
	var platform emulator.Platform
	if s.seed != nil {
		platform.Entropy = rand.New(rand.NewSource(*s.seed))
	}
	var err error
	s.tpm, err = emulator.New(platform, emulator.Config{CheckErrors: true})
	if err != nil {
		return err
	}
	return s.on()
}

// Reset is a reset of the machine.
func (s *Simulator) Reset() error {
	if s.closed {
		return ErrUsingClosedSimulator
	}
	return errors.Join(s.off(), s.on())
}

// ManufactureReset makes the TPM a new one.
func (s *Simulator) ManufactureReset() error {
	if s.closed {
		return ErrUsingClosedSimulator
	}
	return errors.Join(s.off(), s.manufacture())
}

// Write executes a command.
func (s *Simulator) Write(command []byte) (int, error) {
	if s.closed {
		return 0, ErrUsingClosedSimulator
	}
	response, err := s.tpm.Send(context.Background(), 0, command)
	if err != nil {
		return 0, err
	}
	s.buf.Write(response)
	return len(command), nil
}

// Read gives the response.
func (s *Simulator) Read(response []byte) (int, error) {
	if s.closed {
		return 0, ErrUsingClosedSimulator
	}
	return s.buf.Read(response)
}

// Close shuts the TPM down.
func (s *Simulator) Close() error {
	if s.closed {
		return ErrUsingClosedSimulator
	}
	err := s.off()
	s.closed = true
	return err
}

// IsClosed reports whether Close has been called.
func (s *Simulator) IsClosed() bool { return s.closed }

func (s *Simulator) on() error {
	if err := s.tpm.Init(); err != nil {
		return err
	}
	if err := tpm2.Startup(s, tpm2.StartupClear); err != nil {
		return fmt.Errorf("startup: %w", err)
	}
	return nil
}

func (s *Simulator) off() error {
	if err := tpm2.Shutdown(s, tpm2.StartupClear); err != nil {
		return fmt.Errorf("shutdown: %w", err)
	}
	return nil
}
