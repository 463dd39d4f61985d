package emulator

import (
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Error is a constant error of this package.
type Error string

// Error is the text.
func (e Error) Error() string { return string(e) }

const (
	// ErrNoPower is returned by everything that needs power.
	ErrNoPower Error = "the TPM has no power: call Init first"
	// ErrReset is returned by Send for a command that came before a reset and
	// had not begun by then.
	ErrReset Error = "the TPM was reset before the command started"
	// ErrPowered is returned by SetBufferSize while the TPM has power.
	ErrPowered Error = "the TPM has power: call PowerOff first"
	// ErrLocality is returned by ResetTPMEstablished.
	ErrLocality Error = "tpmEstablished can be reset by localities 3 and 4 only"
)

// NotStartedError is returned by Send when its context was done before the
// command started. The TPM has not seen the command.
type NotStartedError struct{ Err error }

// Error gives the context's reason.
func (e *NotStartedError) Error() string { return fmt.Sprintf("TPM command not started: %v", e.Err) }

// Unwrap gives the context's error.
func (e *NotStartedError) Unwrap() error { return e.Err }

// TPM is a software TPM 2.0. Make it with New and give it power with Init; the
// zero value is what New makes of a zero Platform and a zero Config. Its methods
// may be called from several goroutines; commands run one after the other. Any
// number of TPMs run in a process without knowing of each other.
type TPM struct {
	once     sync.Once // for the zero value
	platform Platform
	config   Config
	algs     *crypt.Registry
	commands *commandSet
	around   []Surrounding // between the TPM and the platform, the outermost last
	// contextHash is the hash of tickets and saved contexts, and contextBits the
	// size of the AES keys of the latter: TPM_PT_CONTEXT_HASH and _SYM_SIZE.
	contextHash wire.AlgID
	contextBits uint16

	// powered is read without mu: whoever wants to cancel the command in
	// execution, or to take its power, asks for it first.
	powered atomic.Bool
	// resets counts what ends all commands that have come: Init and PowerOff.
	resets atomic.Uint64

	mu       sync.Mutex
	size     uint32 // bytes of the command and response buffers
	nextSize uint32 // what SetBufferSize asked for, from the next Init on
	s        state.State
	failure  error // why the TPM is in failure mode; nil if it is not

	at       time.Duration // Platform.Clock up to which Time has come
	fraction time.Duration // scaled time not yet in Time, below a millisecond
	now      time.Duration // Platform.Clock of this command
	changes  changes       // of the state, and whether the Store can have them

	// Decoded objects: those in the slots of the state, and the persistent ones
	// in the order of the state. A free slot is nil.
	slots, persistent []*object

	call    call   // the command in execution; here so that it is never allocated
	room    *room  // of the command in execution, nil between two commands
	out     []byte // room for the response
	plain   []byte // room for parameters with the first one decrypted
	hashing []byte // room for what is hashed: of cpHash, rpHash, Names, PCRs
	encoder state.Encoder

	started  atomic.Uint64 // number of the last command that has started
	toCancel atomic.Uint64 // number of the command that is to give up
	// canceling is the cancel signal, on which every command gives up.
	canceling atomic.Bool
}

// canceled reports whether the command in execution was asked to give up.
func (t *TPM) canceled() bool {
	return t.toCancel.Load() == t.started.Load() || t.canceling.Load()
}

// drbg is the generator on its state.
func (t *TPM) drbg() *crypt.DRBGState { return (*crypt.DRBGState)(&t.s.Volatile.DRBG) }

// random fills b, a seed or a proof, with n random bytes.
func (t *TPM) random(b *state.TPM2B, n int) {
	*b = state.TPM2B{Size: uint8(n)}
	t.drbg().Read(b.Bytes())
}

// randomU64 is a random number.
func (t *TPM) randomU64() uint64 {
	var b [8]byte
	t.drbg().Read(b[:])
	return binary.BigEndian.Uint64(b[:])
}
