//go:build cgo && linux

package reference

// #include <stdbool.h>
// #include <stdint.h>
// #include <stdlib.h>
//
// // Entry points of the reference code that the Go package around it does not
// // export. Weak, because the objects that define them are linked only at the
// // very end; initialised says whether they were.
// __attribute__((weak)) void _plat__Reset(bool manufacture);
// __attribute__((weak)) void _plat__RunCommand(uint32_t size, unsigned char *command,
//                                              uint32_t *responseSize, unsigned char **response);
// __attribute__((weak)) void _TPM_Hash_Start(void);
// __attribute__((weak)) void _TPM_Hash_Data(uint32_t size, unsigned char *data);
// __attribute__((weak)) void _TPM_Hash_End(void);
// // The persistent data in RAM, and what writes its seeds to NV memory.
// __attribute__((weak)) extern unsigned char gp[];
// __attribute__((weak)) void sync_seeds(void);
//
// static bool linked(void) {
//     return _plat__Reset && _plat__RunCommand && _TPM_Hash_Start && _TPM_Hash_Data && _TPM_Hash_End &&
//            gp && sync_seeds;
// }
//
// static uint32_t execute(uint32_t size, unsigned char *command, uint32_t max, unsigned char *response) {
//     unsigned char *out = response;
//     uint32_t n = max;
//     _plat__RunCommand(size, command, &n, &out);
//     return out == response ? n : 0;
// }
// static void reset(bool manufacture) { _plat__Reset(manufacture); }
// static void hashStart(void) { _TPM_Hash_Start(); }
// static void hashData(uint32_t size, unsigned char *data) { _TPM_Hash_Data(size, data); }
// static void hashEnd(void) { _TPM_Hash_End(); }
// static unsigned char *persistent(void) { return gp; }
// static void syncSeeds(void) { sync_seeds(); }
import "C"

import (
	"bytes"
	"context"
	"crypto/aes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"unsafe"

	"github.com/google/go-tpm-tools/simulator"
)

// The reference code is built for commands and responses of at most 4,096
// bytes (MAX_COMMAND_SIZE, MAX_RESPONSE_SIZE). A longer command is handed over
// all the same: it is refused by its size field before anything is copied.
const (
	maxResponse = 4096
	maxSignal   = 1 << 20
)

// Simulator is the TCG reference code in this process.
//
// The code keeps its state in C globals, so OpenSimulator waits until the
// simulator opened before it has been closed. Methods may be called from
// several goroutines.
//
// NV memory is plain memory and always available; physical presence is always
// asserted; commands cannot be cancelled.
type Simulator struct {
	mu      sync.Mutex
	library *simulator.Simulator
	powered bool
	// in and out are memory of C for a command, zero behind it, and a response.
	in, out unsafe.Pointer
}

// OpenSimulator gives a simulator as it leaves the factory: with power, before
// TPM2_Startup. It blocks while another one is open in this process.
func OpenSimulator() (*Simulator, error) {
	library, err := simulator.Get()
	if err != nil {
		return nil, fmt.Errorf("reference: open the simulator: %w", err)
	}
	if !bool(C.linked()) {
		return nil, errors.Join(errors.New("reference: the simulator library no longer has the entry points used here; pin go-tpm-tools v0.4.11"), library.Close())
	}
	s := &Simulator{library: library, in: C.calloc(1, maxDecrypted), out: C.malloc(maxResponse)}
	return s, s.Manufacture()
}

// Close gives the simulator free for the next OpenSimulator.
func (s *Simulator) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.library == nil {
		return nil
	}
	// The library says goodbye with TPM2_Shutdown, which only a started TPM
	// accepts; ManufactureReset would need one too.
	C.reset(true)
	s.execute([]byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0})
	err := s.library.Close()
	s.library, s.powered = nil, false
	C.free(s.in)
	C.free(s.out)
	return err
}

// Manufacture forgets all state, new seeds included, and powers the TPM on.
func (s *Simulator) Manufacture() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.library == nil {
		return ErrClosed
	}
	s.powered = true
	return s.forget()
}

// persistentPrefix is less than the persistent data has, in bytes, and enough
// to find the seeds in: before them are three policies and three authorization
// values.
const persistentPrefix = 1024

// ManufactureWith is Manufacture with given seeds.
func (s *Simulator) ManufactureWith(seeds Seeds) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.library == nil {
		return ErrClosed
	}
	s.powered = true
	if err := s.forget(); err != nil {
		return err
	}
	data := unsafe.Slice((*byte)(C.persistent()), persistentPrefix)
	if err := replaceSeeds(data, [2]byte{SeedSize, 0}, seeds); err != nil {
		return err
	}
	C.syncSeeds() // or they would be gone with the next _TPM_Init
	return nil
}

// forget makes the TPM as good as new; the caller holds s.mu. Manufacturing
// alone leaves some persistent variables as they were in RAM, which commands
// have to set back first: TPM2_Clear the reset count, TPM2_SetAlgorithmSet the
// algorithm set.
func (s *Simulator) forget() error {
	C.reset(true)
	for _, command := range [][]byte{
		{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0}, // Startup(CLEAR)
		{0x80, 0x02, 0, 0, 0, 27, 0, 0, 0x01, 0x26, 0x40, 0, 0, 0x0c, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0},
		{0x80, 0x02, 0, 0, 0, 31, 0, 0, 0x01, 0x3f, 0x40, 0, 0, 0x0c, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		response, err := s.execute(command)
		if err != nil {
			return err
		}
		if code := binary.BigEndian.Uint32(response[6:]); code != 0 {
			return fmt.Errorf("reference: the simulator answered %#x to command %x while it was manufactured", code, command)
		}
	}
	C.reset(true)
	return nil
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
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return nil, err
	}
	return s.execute(command)
}

// ready says why the TPM cannot answer; the caller holds s.mu.
func (s *Simulator) ready() error {
	switch {
	case s.library == nil:
		return ErrClosed
	case !s.powered:
		return ErrNoPower
	}
	return nil
}

// maxDecrypted is more than a TPM2B can say it has, behind the largest command.
const maxDecrypted = 1 << 17

// execute runs one command; the caller holds s.mu. The command is copied,
// because the reference code decrypts parameters in place, and as many bytes as
// the size of the first parameter says, also behind the end of a cut command.
func (s *Simulator) execute(command []byte) ([]byte, error) {
	in := unsafe.Slice((*byte)(s.in), maxDecrypted)
	size := copy(in, command)
	n := C.execute(C.uint32_t(len(command)), (*C.uchar)(s.in), maxResponse, (*C.uchar)(s.out))
	clear(in[:size])
	if behind := in[size:min(size+aes.BlockSize, len(in))]; bytes.Count(behind, []byte{0}) != len(behind) {
		clear(in) // decrypted, from the first byte behind the command on
	}
	if n == 0 || n > maxResponse {
		return nil, fmt.Errorf("reference: the simulator gave a response of %d bytes", uint32(n))
	}
	return C.GoBytes(s.out, C.int(n)), nil
}

// Init implements transport.Power: power lost and restored, and _TPM_Init.
func (s *Simulator) Init() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.library == nil {
		return ErrClosed
	}
	C.reset(false)
	s.powered = true
	return nil
}

// PowerOff implements transport.Power.
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
	return s.signal(func() { C.hashStart() })
}

// HashData implements transport.HashSequence.
func (s *Simulator) HashData(data []byte) error {
	if len(data) > maxSignal {
		return fmt.Errorf("reference: _TPM_Hash_Data with %d bytes; at most %d are taken at once", len(data), maxSignal)
	}
	return s.signal(func() {
		in := C.CBytes(append(data[:len(data):len(data)], 0))
		defer C.free(in)
		C.hashData(C.uint32_t(len(data)), (*C.uchar)(unsafe.Pointer(in)))
	})
}

// HashEnd implements transport.HashSequence.
func (s *Simulator) HashEnd() error {
	return s.signal(func() { C.hashEnd() })
}

func (s *Simulator) signal(send func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.ready(); err != nil {
		return err
	}
	send()
	return nil
}
