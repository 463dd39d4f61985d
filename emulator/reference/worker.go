//go:build cgo && linux

package reference

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"syscall"
)

// The reference code runs in a process of its own: the same program again, which
// becomes a worker before its main function, so that neither tests nor programs
// have to do anything for it. Requests and answers are messages on a socket.

// workerVariable makes a process the worker; workerSocket is the descriptor of the
// socket that it inherits.
const (
	workerVariable = "SWTPMD_REFERENCE_WORKER"
	workerSocket   = 3
)

// request is the first byte of a request; what follows it is said beside it.
type request byte

const (
	requestSend            request = iota // size of the command, 4 bytes, and the command as far as it matters
	requestInit                           // nothing
	requestManufacture                    // nothing
	requestManufactureWith                // three seeds
	requestHashStart                      // nothing
	requestHashData                       // data
	requestHashEnd                        // nothing
)

// The first byte of an answer.
const (
	answerDone  = 0 // and a response, of requestSend
	answerError = 1 // and its text
)

// maxMessage is the size in bytes of the largest message. A longer command is cut:
// it is refused by its size field before anything else of it is looked at.
const maxMessage = 1 << 16

func init() {
	if os.Getenv(workerVariable) == "" {
		return
	}
	if err := checkSocket(workerSocket); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	go func() {
		_, _ = os.Stdin.Read(make([]byte, 1))
		os.Exit(1) // whoever has started this process has gone, and the code may be at work for ever
	}()
	if err := serve(workerSocket); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// checkSocket refuses a descriptor that cannot be the socket of a worker.
func checkSocket(socket int) error {
	kind, err := syscall.GetsockoptInt(socket, syscall.SOL_SOCKET, syscall.SO_TYPE)
	if err != nil || kind != syscall.SOCK_SEQPACKET {
		return fmt.Errorf("reference: descriptor %d is no socket of a simulator: unset %s", socket, workerVariable)
	}
	return nil
}

// serve answers requests until the other end of the socket is closed.
func serve(socket int) error {
	code, err := openSimulatorCode()
	if err != nil {
		return err
	}
	in, out := make([]byte, maxMessage), make([]byte, 0, maxMessage)
	for {
		n, err := ignoringEINTR(func() (int, error) { return syscall.Read(socket, in) })
		if err != nil {
			return fmt.Errorf("reference: worker: %w", err)
		}
		if n == 0 {
			return code.close()
		}
		response, err := code.answer(request(in[0]), in[1:n])
		out = append(out[:0], answerDone)
		if err != nil {
			out, response = append(out[:0], answerError), []byte(err.Error())
		}
		out = append(out, response...)
		if _, err := ignoringEINTR(func() (int, error) { return syscall.Write(socket, out) }); err != nil {
			return fmt.Errorf("reference: worker: %w", err)
		}
	}
}

// answer carries out a request.
func (s *simulatorCode) answer(r request, payload []byte) ([]byte, error) {
	switch r {
	case requestSend:
		return s.execute(payload[4:], int(binary.BigEndian.Uint32(payload)))
	case requestInit:
		s.init()
	case requestManufacture:
		return nil, s.manufacture()
	case requestManufactureWith:
		var seeds Seeds
		for i, seed := range [...]*[SeedSize]byte{&seeds.Endorsement, &seeds.Storage, &seeds.Platform} {
			copy(seed[:], payload[i*SeedSize:])
		}
		return nil, s.manufactureWith(seeds)
	case requestHashStart:
		s.hashStart()
	case requestHashData:
		s.hashData(payload)
	case requestHashEnd:
		s.hashEnd()
	}
	return nil, nil
}

func ignoringEINTR(call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if !errors.Is(err, syscall.EINTR) {
			return n, err
		}
	}
}
