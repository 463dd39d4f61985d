//go:build cgo && linux

package reference

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Simulator is the TCG reference code in a process of its own. Methods may be
// called from several goroutines.
//
// NV memory is plain memory and always available; physical presence is always
// asserted; commands cannot be canceled. A process that ends gives an
// *EndedError, until Manufacture or ManufactureWith start another one.
type Simulator struct {
	mu      sync.Mutex
	worker  *worker
	powered bool
	closed  bool
	message []byte
	// patience is how long an answer may take.
	patience time.Duration
}

// OpenSimulator gives a simulator as it leaves the factory: with power, before
// TPM2_Startup.
func OpenSimulator() (*Simulator, error) {
	s := &Simulator{powered: true, message: make([]byte, maxMessage), patience: patience}
	return s, s.Manufacture()
}

// Close ends the process.
func (s *Simulator) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed, s.powered = true, false
	return s.worker.stop()
}

// Manufacture forgets all state, new seeds included, and powers the TPM on. A
// process that has ended is started again.
func (s *Simulator) Manufacture() error { return s.manufacture(requestManufacture) }

// ManufactureWith is Manufacture with given seeds.
func (s *Simulator) ManufactureWith(seeds Seeds) error {
	return s.manufacture(requestManufactureWith, seeds.Endorsement[:], seeds.Storage[:], seeds.Platform[:])
}

func (s *Simulator) manufacture(r request, payload ...[]byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if s.worker == nil || s.worker.ended != nil {
		w, err := startWorker()
		if err != nil {
			return err
		}
		s.worker = w
	}
	_, err := s.ask(r, payload...)
	s.powered = err == nil
	return err
}

// Send implements transport.Device. Localities other than 0 give a
// *LocalityError.
func (s *Simulator) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if locality != 0 {
		return nil, &LocalityError{Locality: locality}
	}
	var size [4]byte
	binary.BigEndian.PutUint32(size[:], uint32(len(command)))
	return s.ready(requestSend, size[:], command[:min(len(command), maxMessage-1-len(size))])
}

// Init implements transport.Power: power lost and restored, and _TPM_Init.
func (s *Simulator) Init() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	_, err := s.ask(requestInit)
	s.powered = err == nil
	return err
}

// PowerOff implements transport.Power. The process stays.
func (s *Simulator) PowerOff() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.powered = false
	return nil
}

// Powered implements transport.Power.
func (s *Simulator) Powered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.powered
}

// HashStart implements transport.HashSequence.
func (s *Simulator) HashStart() error {
	_, err := s.ready(requestHashStart)
	return err
}

// HashData implements transport.HashSequence. Long data goes out in pieces, which
// makes no difference to the measurement.
func (s *Simulator) HashData(data []byte) error {
	for first := true; first || len(data) > 0; first = false {
		n := min(len(data), maxMessage-1)
		if _, err := s.ready(requestHashData, data[:n]); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// HashEnd implements transport.HashSequence.
func (s *Simulator) HashEnd() error {
	_, err := s.ready(requestHashEnd)
	return err
}

// ready is ask for what a TPM with power can do.
func (s *Simulator) ready(r request, payload ...[]byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return nil, ErrClosed
	case !s.powered:
		return nil, ErrNoPower
	}
	return s.ask(r, payload...)
}

// ask sends a request and waits for the answer; the caller holds s.mu.
func (s *Simulator) ask(r request, payload ...[]byte) ([]byte, error) {
	message := append(s.message[:0], byte(r))
	for _, p := range payload {
		message = append(message, p...)
	}
	answer, err := s.worker.exchange(message, s.message, s.patience)
	switch {
	case err != nil:
		return nil, err
	case answer[0] == answerError:
		return nil, fmt.Errorf("reference: %s", answer[1:])
	}
	return bytes.Clone(answer[1:]), nil
}

// worker is the process in which the reference code runs.
type worker struct {
	process *exec.Cmd
	stderr  *firstBytes
	socket  int
	timeout time.Duration // that the socket has
	ended   *EndedError   // why it is of no use any more
}

// startWorker runs this program again, as a worker.
func startWorker() (*worker, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("reference: socketpair: %w", err)
	}
	theirs := os.NewFile(uintptr(fds[1]), "simulator worker")
	defer theirs.Close()
	w := &worker{process: exec.Command(program), stderr: &firstBytes{limit: 1 << 10}, socket: fds[0]}
	w.process.Env = append(os.Environ(), workerVariable+"=1")
	w.process.ExtraFiles = []*os.File{theirs}
	w.process.Stderr = w.stderr
	_, err = w.process.StdinPipe() // open as long as this process lives
	if err = errors.Join(err, w.process.Start()); err != nil {
		return nil, errors.Join(fmt.Errorf("reference: start a worker: %w", err), syscall.Close(w.socket))
	}
	return w, nil
}

// exchange sends a message and reads the answer into buffer. The calls block the
// thread: an answer takes less time than to be told of it by the runtime.
func (w *worker) exchange(message, buffer []byte, patience time.Duration) ([]byte, error) {
	if w.ended != nil {
		return nil, w.ended
	}
	if err := w.wait(patience); err != nil {
		return nil, err
	}
	_, err := ignoringEINTR(func() (int, error) { return syscall.Write(w.socket, message) })
	n := 0
	if err == nil {
		n, err = ignoringEINTR(func() (int, error) { return syscall.Read(w.socket, buffer) })
	}
	if err != nil || n == 0 {
		return nil, w.gone(err)
	}
	return buffer[:n], nil
}

// wait sets how long the socket waits.
func (w *worker) wait(patience time.Duration) error {
	if w.timeout == patience {
		return nil
	}
	limit := syscall.NsecToTimeval(patience.Nanoseconds())
	for _, option := range []int{syscall.SO_RCVTIMEO, syscall.SO_SNDTIMEO} {
		if err := syscall.SetsockoptTimeval(w.socket, syscall.SOL_SOCKET, option, &limit); err != nil {
			return fmt.Errorf("reference: %w", err)
		}
	}
	w.timeout = patience
	return nil
}

// gone buries a process that does not answer: err is what its socket gave, nil if
// the process has closed it.
func (w *worker) gone(err error) error {
	w.ended = &EndedError{TPM: "simulator"}
	if errors.Is(err, syscall.EAGAIN) {
		w.ended.Patience = w.timeout
		_ = w.process.Process.Kill() // one that has just ended needs none
	}
	_ = syscall.Close(w.socket) // nothing more can be done about it
	_ = w.process.Wait()        // the state says it
	w.ended.Status = w.process.ProcessState.String()
	w.ended.Said = w.stderr.firstLine()
	return w.ended
}

// stop ends the process.
func (w *worker) stop() error {
	if w == nil || w.ended != nil {
		return nil
	}
	err := syscall.Close(w.socket)
	timer := time.AfterFunc(patience, func() { _ = w.process.Process.Kill() })
	defer timer.Stop()
	if waited := w.process.Wait(); waited != nil {
		err = errors.Join(err, fmt.Errorf("reference: the simulator's process: %w: %s", waited, w.stderr.firstLine()))
	}
	w.ended = &EndedError{TPM: "simulator", Status: "closed"}
	return err
}
