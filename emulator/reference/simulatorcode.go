//go:build cgo && linux

package reference

// #include <stdbool.h>
// #include <stdint.h>
// #include <stdlib.h>
//
// // Functions of the reference code that its Go package does not export. They are
// // weak: the linker adds the objects that define them after it has linked this file.
// // linked reports whether it has found them.
// __attribute__((weak)) void _plat__Reset(bool manufacture);
// __attribute__((weak)) void _plat__RunCommand(uint32_t size, unsigned char *command,
//                                              uint32_t *responseSize, unsigned char **response);
// __attribute__((weak)) void _TPM_Hash_Start(void);
// __attribute__((weak)) void _TPM_Hash_Data(uint32_t size, unsigned char *data);
// __attribute__((weak)) void _TPM_Hash_End(void);
// // gp is the persistent data in RAM; sync_seeds writes its seeds to NV memory.
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
	"crypto/aes"
	"encoding/binary"
	"errors"
	"fmt"
	"unsafe"

	"github.com/google/go-tpm-tools/simulator"
)

// The reference code is built for commands and responses of at most 4,096
// bytes (MAX_COMMAND_SIZE, MAX_RESPONSE_SIZE). A longer command is handed over
// all the same: the code refuses it for its size field before it copies anything.
const maxResponse = 4096

// simulatorCode is the TCG reference code in this process. It keeps its state in
// C globals, so a process has one. It has one user, who gives it power first. It does
// not protect the process from the code: Simulator runs it in a process of its own.
type simulatorCode struct {
	library *simulator.Simulator
	// in and out are memory of C for a command, zero after it, and a response.
	in, out unsafe.Pointer
}

func openSimulatorCode() (*simulatorCode, error) {
	library, err := simulator.Get()
	if err != nil {
		return nil, fmt.Errorf("reference: open the simulator: %w", err)
	}
	if !bool(C.linked()) {
		return nil, errors.Join(errors.New("reference: the simulator library no longer has the entry points used here; pin go-tpm-tools v0.4.11"), library.Close())
	}
	s := &simulatorCode{library: library, in: C.calloc(1, maxDecrypted), out: C.malloc(maxResponse)}
	return s, s.manufacture()
}

// close gives the code free.
func (s *simulatorCode) close() error {
	// The library says goodbye with TPM2_Shutdown, which only a started TPM
	// accepts; ManufactureReset would need one too.
	C.reset(true)
	_, _ = s.execute([]byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0}, 12)
	err := s.library.Close()
	C.free(s.in)
	C.free(s.out)
	return err
}

// persistentPrefix is less than the persistent data has, in bytes, and enough
// to find the seeds in: before them are three policies and three authorization
// values.
const persistentPrefix = 1024

// manufactureWith is manufacture with given seeds.
func (s *simulatorCode) manufactureWith(seeds Seeds) error {
	if err := s.manufacture(); err != nil {
		return err
	}
	data := unsafe.Slice((*byte)(C.persistent()), persistentPrefix)
	if err := replaceSeeds(data, [2]byte{SeedSize, 0}, seeds); err != nil {
		return err
	}
	C.syncSeeds() // or they would be gone with the next _TPM_Init
	return nil
}

// manufacture makes the TPM as good as new. Manufacturing alone leaves some persistent variables as they were in RAM, which commands
// have to set back first: TPM2_Clear the reset count, TPM2_SetAlgorithmSet the
// algorithm set.
func (s *simulatorCode) manufacture() error {
	C.reset(true)
	for _, command := range [][]byte{
		{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x44, 0, 0}, // Startup(CLEAR)
		{0x80, 0x02, 0, 0, 0, 27, 0, 0, 0x01, 0x26, 0x40, 0, 0, 0x0c, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0},
		{0x80, 0x02, 0, 0, 0, 31, 0, 0, 0x01, 0x3f, 0x40, 0, 0, 0x0c, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0},
	} {
		response, err := s.execute(command, len(command))
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

// maxDecrypted is more than the largest command and the largest TPM2B together.
const maxDecrypted = 1 << 17

// execute runs a command of size bytes; command holds the bytes that the code reads.
// They are copied, because the reference code decrypts parameters in place. The
// memory after them is always zero, so that equal commands get equal responses.
func (s *simulatorCode) execute(command []byte, size int) ([]byte, error) {
	in := unsafe.Slice((*byte)(s.in), maxDecrypted)
	copied := copy(in, command)
	n := C.execute(C.uint32_t(size), (*C.uchar)(s.in), maxResponse, (*C.uchar)(s.out))
	clear(in[:copied])
	if after := in[copied:min(copied+aes.BlockSize, len(in))]; bytes.Count(after, []byte{0}) != len(after) {
		clear(in)
	}
	if n == 0 || n > maxResponse {
		return nil, fmt.Errorf("the simulator gave a response of %d bytes", uint32(n))
	}
	return unsafe.Slice((*byte)(s.out), int(n)), nil
}

// init is power lost and restored, and _TPM_Init.
func (s *simulatorCode) init() { C.reset(false) }

func (s *simulatorCode) hashStart() { C.hashStart() }

func (s *simulatorCode) hashData(data []byte) {
	in := C.CBytes(append(data[:len(data):len(data)], 0))
	defer C.free(in)
	C.hashData(C.uint32_t(len(data)), (*C.uchar)(in))
}

func (s *simulatorCode) hashEnd() { C.hashEnd() }
