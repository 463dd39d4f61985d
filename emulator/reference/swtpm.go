//go:build linux

package reference

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// Control channel commands of swtpm, as its manual page swtpm_ioctls(3) and
// include/swtpm/tpm_ioctl.h number them.
const (
	swtpmInit        = 0x02
	swtpmShutdown    = 0x03
	swtpmSetLocality = 0x05
	swtpmHashStart   = 0x06
	swtpmHashData    = 0x07
	swtpmHashEnd     = 0x08
	swtpmStop        = 0x0e
	swtpmSetDataFD   = 0x10
)

// swtpmState is the file in which swtpm keeps the permanent state of a TPM 2.
const swtpmState = "tpm2-00.permall"

// maxHashData is the most bytes HashData passes on in one control message.
const maxHashData = 4096

// SWTPM is a process of the swtpm program. Methods may be called from several
// goroutines.
type SWTPM struct {
	program string
	mu      sync.Mutex
	process *exec.Cmd
	exited  chan error
	stderr  *firstBytes
	control *net.UnixConn
	data    *net.UnixConn
	state   string
	// unused is the permanent state of a TPM before its first TPM2_Startup.
	unused   []byte
	locality uint8
	powered  bool
	// patience is how long an answer may take.
	patience time.Duration
	// lost is why the data channel is of no use any more: an answer may still
	// be on its way that belongs to an earlier command.
	lost error
}

// StartSWTPM runs program (found through PATH, usually "swtpm") with an empty
// state in a directory below dir, and powers the TPM on: it is as it leaves
// the factory, before TPM2_Startup. The process is reached through inherited
// sockets, so nothing is left but the state directory, which Close
// removes.
func StartSWTPM(program, dir string) (*SWTPM, error) {
	state, err := os.MkdirTemp(dir, "swtpm-")
	if err != nil {
		return nil, fmt.Errorf("reference: %w", err)
	}
	s := &SWTPM{program: program, state: state, stderr: &firstBytes{limit: 1 << 10}, exited: make(chan error, 1), patience: patience}
	if err := s.start(program); err != nil {
		return nil, errors.Join(err, os.RemoveAll(state))
	}
	if err := errors.Join(s.attach(), s.Init()); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// revive starts the process again if it has ended, which the code of a TPM that
// is tested may have made it do, or if its data channel is of no use any more.
func (s *SWTPM) revive() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return ErrClosed
	}
	if s.lost != nil {
		_ = s.process.Process.Kill() // a process that died already needs none
		<-s.exited
	} else {
		select {
		case <-s.exited:
		default:
			return nil
		}
	}
	err := errors.Join(s.control.Close(), s.data.Close())
	s.lost, s.locality = nil, 0
	s.stderr.kept = nil
	return errors.Join(err, s.start(s.program), s.attach())
}

func (s *SWTPM) start(program string) error {
	control, childControl, err := socketPair("control")
	if err != nil {
		return err
	}
	s.control = control
	s.process = exec.Command(program, "socket", "--tpm2", "--tpmstate", "dir="+s.state, "--ctrl", "type=unixio,clientfd=3")
	s.process.ExtraFiles = []*os.File{childControl}
	s.process.Stderr = s.stderr
	err = errors.Join(s.process.Start(), childControl.Close())
	if err != nil {
		return errors.Join(fmt.Errorf("reference: start %s (package swtpm): %w", program, err), control.Close())
	}
	go func() { s.exited <- s.process.Wait() }()
	return nil
}

// attach hands the process its end of the data channel over the control
// channel, as QEMU does.
func (s *SWTPM) attach() error {
	data, childData, err := socketPair("data")
	if err != nil {
		return err
	}
	defer childData.Close()
	s.data = data
	message := binary.BigEndian.AppendUint32(nil, swtpmSetDataFD)
	if _, _, err := s.control.WriteMsgUnix(message, syscall.UnixRights(int(childData.Fd())), nil); err != nil {
		return s.broken("control channel", err)
	}
	result, err := s.result()
	if err == nil && result != 0 {
		err = fmt.Errorf("reference: swtpm answered %#x to SET_DATAFD", result)
	}
	return err
}

// socketPair gives our end and the child's.
func socketPair(name string) (*net.UnixConn, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("reference: socketpair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "swtpm "+name), os.NewFile(uintptr(fds[1]), "swtpm child "+name)
	defer ours.Close() // FileConn works on a duplicate
	connection, err := net.FileConn(ours)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("reference: %w", err), theirs.Close())
	}
	return connection.(*net.UnixConn), theirs, nil
}

// Close ends the process and removes its state.
func (s *SWTPM) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil
	}
	s.powered = false
	var err error
	if s.data != nil { // first, so that a process that waits there goes on
		err = s.data.Close()
	}
	_, _ = s.ask(swtpmShutdown, nil) // a process that died already is closed too
	err = errors.Join(err, s.control.Close())
	select {
	case <-s.exited:
	case <-time.After(patience):
		err = errors.Join(err, s.process.Process.Kill())
		<-s.exited
	}
	s.process = nil
	return errors.Join(err, os.RemoveAll(s.state))
}

// ask sends one control command and gives its result code.
func (s *SWTPM) ask(code uint32, payload []byte) (uint32, error) {
	if s.process == nil {
		return 0, ErrClosed
	}
	deadline := time.Now().Add(s.patience)
	if err := s.control.SetDeadline(deadline); err != nil {
		return 0, fmt.Errorf("reference: swtpm control channel: %w", err)
	}
	if _, err := s.control.Write(append(binary.BigEndian.AppendUint32(nil, code), payload...)); err != nil {
		return 0, s.broken("control channel", err)
	}
	return s.result()
}

// result reads the answer to a control command: every one used here is the
// result code alone.
func (s *SWTPM) result() (uint32, error) {
	var result [4]byte
	if _, err := io.ReadFull(s.control, result[:]); err != nil {
		return 0, s.broken("control channel", err)
	}
	return binary.BigEndian.Uint32(result[:]), nil
}

// broken says what a channel's error means: a process that has ended, one that
// does not answer, or another one. The channels are of no use any more.
func (s *SWTPM) broken(where string, err error) error {
	s.lost = s.explain(where, err)
	return s.lost
}

func (s *SWTPM) explain(where string, err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &EndedError{TPM: "swtpm", Patience: s.patience} // by revive
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET):
		select {
		case status := <-s.exited:
			s.exited <- status
			return &EndedError{TPM: "swtpm", Status: s.process.ProcessState.String(), Said: s.stderr.firstLine()}
		case <-time.After(s.patience):
		}
	}
	return fmt.Errorf("reference: swtpm %s: %w", where, err)
}

// must is ask for commands that have to succeed.
func (s *SWTPM) must(name string, code uint32, payload []byte) error {
	result, err := s.ask(code, payload)
	if err == nil && result != 0 {
		err = fmt.Errorf("reference: swtpm answered %#x to %s", result, name)
	}
	return err
}

// Manufacture forgets all state, new seeds included, and powers the TPM on. A
// process that has ended is started again.
func (s *SWTPM) Manufacture() error {
	if err := s.revive(); err != nil {
		return err
	}
	if err := s.PowerOff(); err != nil {
		return err
	}
	if err := os.Remove(filepath.Join(s.state, swtpmState)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("reference: %w", err)
	}
	return s.Init()
}

// ManufactureWith is Manufacture with given seeds. They are put into the state
// of a TPM that has not been used yet, which is the same for every TPM but for
// its secrets.
func (s *SWTPM) ManufactureWith(seeds Seeds) error {
	if s.unused == nil {
		if err := s.Manufacture(); err != nil {
			return err
		}
		unused, err := os.ReadFile(filepath.Join(s.state, swtpmState))
		if err != nil {
			return fmt.Errorf("reference: state of a new swtpm: %w", err)
		}
		s.unused = unused
	}
	if err := errors.Join(s.revive(), replaceSeeds(s.unused, [2]byte{0, SeedSize}, seeds)); err != nil {
		return err
	}
	if err := s.PowerOff(); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(s.state, swtpmState), s.unused, 0o600); err != nil {
		return fmt.Errorf("reference: %w", err)
	}
	return s.Init()
}

// Init implements transport.Power.
func (s *SWTPM) Init() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.must("INIT", swtpmInit, make([]byte, 4))
	s.powered = err == nil
	return err
}

// PowerOff implements transport.Power. The process stays.
func (s *SWTPM) PowerOff() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.powered = false
	return s.must("STOP", swtpmStop, nil)
}

// Powered implements transport.Power.
func (s *SWTPM) Powered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.powered
}

// Send implements transport.Device for localities 0 to 4; swtpm refuses the
// others, which gives an error.
func (s *SWTPM) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.powered {
		return nil, ErrNoPower
	}
	if locality != s.locality {
		if err := s.must("SET_LOCALITY", swtpmSetLocality, []byte{locality}); err != nil {
			return nil, err
		}
		s.locality = locality
	}
	if s.lost != nil {
		return nil, s.lost
	}
	if err := s.data.SetDeadline(time.Now().Add(s.patience)); err != nil {
		return nil, fmt.Errorf("reference: swtpm data channel: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.data.SetDeadline(time.Unix(1, 0)) }) // a closed connection fails by itself
	response, err := s.exchange(command)
	if !stop() && err != nil {
		err = fmt.Errorf("reference: swtpm: %w", ctx.Err())
	}
	s.lost = err
	return response, err
}

// exchange writes a command and reads one response. swtpm takes whatever one
// read gives it for one command, whatever its size field says.
func (s *SWTPM) exchange(command []byte) ([]byte, error) {
	if _, err := s.data.Write(command); err != nil {
		return nil, s.broken("data channel", err)
	}
	response := make([]byte, 10, 512)
	if _, err := io.ReadFull(s.data, response); err != nil {
		return nil, s.broken("data channel", err)
	}
	size := binary.BigEndian.Uint32(response[2:])
	if size < 10 || size > 8192 {
		return nil, fmt.Errorf("reference: swtpm announced a response of %d bytes", size)
	}
	response = append(response, make([]byte, size-10)...)
	if _, err := io.ReadFull(s.data, response[10:]); err != nil {
		return nil, s.broken("data channel", err)
	}
	return response, nil
}

// HashStart implements transport.HashSequence.
func (s *SWTPM) HashStart() error { return s.signal("HASH_START", swtpmHashStart, nil) }

// HashData implements transport.HashSequence. Long data goes out in pieces,
// which makes no difference to the measurement.
func (s *SWTPM) HashData(data []byte) error {
	for first := true; first || len(data) > 0; first = false {
		n := min(len(data), maxHashData)
		payload := append(binary.BigEndian.AppendUint32(nil, uint32(n)), data[:n]...)
		if err := s.signal("HASH_DATA", swtpmHashData, payload); err != nil {
			return err
		}
		data = data[n:]
	}
	return nil
}

// HashEnd implements transport.HashSequence.
func (s *SWTPM) HashEnd() error { return s.signal("HASH_END", swtpmHashEnd, nil) }

func (s *SWTPM) signal(name string, code uint32, payload []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.powered {
		return ErrNoPower
	}
	return s.must(name, code, payload)
}
