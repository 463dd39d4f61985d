package emulator

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// A TPM is made, gets power and loses it, and takes commands.

// New makes a TPM without power. A Config that makes no TPM is a [*ConfigError].
func New(p Platform, c Config) (*TPM, error) {
	t := new(TPM)
	if err := t.build(p, c); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *TPM) build(p Platform, c Config) error {
	c = c.withDefaults()
	algs, err := c.check()
	if err != nil {
		return err
	}
	t.config = c
	codes := c.Commands
	if codes == nil {
		codes = defaultCommands(c.hasVersion185())
	}
	t.algs, t.commands = algs, newCommandSet(codes)
	t.contextHash, t.contextBits = algs.LargestHash(), slices.Max(algs.KeyBits(wire.AlgAES))
	t.furnish(p)
	return nil
}

// furnish gives a TPM with a Config its platform and the size of its buffers.
func (t *TPM) furnish(p Platform) {
	t.platform = p.withDefaults()
	size := t.config.Limits.Buffer
	t.size, t.nextSize = size, size
}

// Another makes a TPM of the same Config without power. The two know nothing of each
// other, but share the tables that were made of the Config: it takes less time and memory
// than New.
func (t *TPM) Another(p Platform) *TPM {
	t.ready()
	a := &TPM{config: t.config, algs: t.algs, commands: t.commands, contextHash: t.contextHash, contextBits: t.contextBits}
	a.furnish(p)
	return a
}

// ready makes a TPM of the zero value. Everything that works without power begins
// with it.
func (t *TPM) ready() {
	t.once.Do(func() {
		if t.commands != nil {
			return
		}
		if err := t.build(Platform{}, Config{}); err != nil {
			panic("internal error: the default Config makes no TPM: " + err.Error())
		}
	})
}

// Init is _TPM_Init: it applies power, or resets a TPM that has power (Part 1,
// section "_TPM_Init"). What the Store holds is loaded, a TPM with an empty
// Store is manufactured and committed, if the Store can be written now, and
// everything volatile is gone. The first command must
// then be TPM2_Startup.
//
// A Store that cannot be read, or holds no state of a TPM, is an error and
// leaves the TPM without power; nothing is overwritten. The state of another
// kind of TPM is refused with a [*StateError]. Entropy that fails puts the TPM in
// failure mode, which is no error here: see [TPM.Failure].
func (t *TPM) Init() error {
	t.ready()
	t.resets.Add(1)
	t.Cancel()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.powered.Store(false)
	t.forget()
	for _, s := range t.around {
		s.PowerOn()
	}
	defer t.leave()
	blob, err := t.platform.Store.Load()
	if err != nil {
		return fmt.Errorf("load TPM state: %w", err)
	}
	if len(blob) > 0 {
		s, err := state.Decode(blob)
		if err != nil {
			return fmt.Errorf("load TPM state: %w", err)
		}
		if err := t.adopt(s); err != nil {
			return err
		}
		s.Volatile = state.Volatile{}
		t.s = *s
	}
	t.size = t.nextSize
	t.powered.Store(true)
	t.at, t.fraction = t.platform.Clock.Now(), 0
	v := &t.s.Volatile
	v.Objects = make([]state.Object, t.config.Limits.Transient)
	v.ExclusiveSession = wire.RHUnassigned
	t.decodeObjects() // adopt has seen that it can
	t.allocateBanks()
	if !t.seedDRBG() {
		return nil
	}
	if len(blob) == 0 {
		t.manufacture()
		// A TPM that was made is there, whatever the first command will be.
		t.commitSignal()
	}
	return nil
}

// PowerOff takes the power away: what is not in the Store is lost. It is
// idempotent and does not fail.
func (t *TPM) PowerOff() error {
	t.resets.Add(1)
	t.Cancel()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.powered.Store(false)
	t.forget()
	return nil
}

// forget leaves nothing of what a power cycle, or another TPM, has left.
func (t *TPM) forget() {
	t.s, t.failure, t.changes = state.State{}, nil, changes{}
	t.encoder = state.Encoder{}
}

// Powered reports whether the TPM has power. It does not wait for a command in
// execution.
func (t *TPM) Powered() bool { return t.powered.Load() }

// Send executes one command at the given locality (0 to 4, or 32 to 255) and
// returns the response, which belongs to the caller. It does not keep command.
//
// A TPM with power always answers. Send fails only with [ErrNoPower], with [ErrReset]
// if Init or PowerOff is called while the command waits for another one, or with a
// [*NotStartedError] if ctx is done before the command starts. ctx does not interrupt
// a command that has started; see [TPM.Cancel].
func (t *TPM) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	return t.send(ctx, t.resets.Load(), locality, command)
}

// send is Send of a command that came when resets was came.
func (t *TPM) send(ctx context.Context, came uint64, locality uint8, command []byte) ([]byte, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, &NotStartedError{err}
	}
	if !t.powered.Load() {
		return nil, ErrNoPower
	}
	t.started.Add(1)
	// After it is counted: a reset from here on finds the command to cancel.
	if t.resets.Load() != came {
		return nil, ErrReset
	}
	t.enter(ctx)
	t.takeRoom()
	response := t.execute(locality, command)
	response = append(make([]byte, 0, len(response)), response...)
	t.giveRoom()
	t.leave()
	return response, nil
}

// Cancel asks the command in execution to give up, which it does at its next
// convenient moment with TPM_RC_CANCELED. One that is finished first wins.
// With no command in execution Cancel does nothing.
func (t *TPM) Cancel() { t.toCancel.Store(t.started.Load()) }

// SetCancel asserts the cancel signal or takes it back. While it is asserted, each
// command gives up as after [TPM.Cancel], those that come later too.
func (t *TPM) SetCancel(asserted bool) { t.canceling.Store(asserted) }

// BufferSize returns the size of the command and response buffers in force and
// the limits of SetBufferSize, in bytes.
func (t *TPM) BufferSize() (size, min, max uint32) {
	t.ready()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.nextSize, t.config.Limits.smallestBuffer(), t.config.Limits.Buffer
}

// SetBufferSize makes the command and response buffers smaller, as a CRB
// interface needs it. It clamps size to the limits of [TPM.BufferSize] and returns the
// size that is in force from the next Init on. With power it fails with [ErrPowered].
func (t *TPM) SetBufferSize(size uint32) (uint32, error) {
	t.ready()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.powered.Load() {
		return t.nextSize, ErrPowered
	}
	t.nextSize = max(t.config.Limits.smallestBuffer(), min(size, t.config.Limits.Buffer))
	return t.nextSize, nil
}

// TPMEstablished is the tpmEstablished flag of the PC Client Platform TPM
// Profile: true from the first _TPM_Hash_Start until it is reset. It is false
// without power.
func (t *TPM) TPMEstablished() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.s.Persistent.Established
}

// ResetTPMEstablished clears the flag. It fails with ErrLocality for any
// locality but 3 and 4, and with ErrNoPower.
func (t *TPM) ResetTPMEstablished(locality uint8) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case !t.powered.Load():
		return ErrNoPower
	case locality != 3 && locality != 4:
		return ErrLocality
	case t.s.Persistent.Established:
		t.changePersistent().Established = false
		t.commitSignal()
	}
	return nil
}

// seedDRBG instantiates the generator; false means failure mode.
func (t *TPM) seedDRBG() bool {
	var seed [crypt.DRBGSeedSize]byte
	if _, err := io.ReadFull(t.platform.Entropy, seed[:]); err != nil {
		t.fail(failEntropy, fmt.Errorf("read entropy: %w", err))
		return false
	}
	t.drbg().Instantiate(&seed)
	return true
}

// Surround puts s between the TPM and its Platform, from the next command or
// _TPM_Init on. Who is put there last is asked first.
func (t *TPM) Surround(s Surrounding) {
	t.ready()
	t.mu.Lock()
	defer t.mu.Unlock()
	p := &t.platform
	p.Entropy, p.Clock, p.Store = s.Entropy(p.Entropy), clockFunc(s.Clock(p.Clock.Now)), s.Store(tornStore{p.Store})
	t.around = append(t.around, s)
}

// enter tells those around the TPM that a command begins.
func (t *TPM) enter(ctx context.Context) {
	for _, s := range t.around {
		s.Begin(ctx)
	}
}

// leave tells those around the TPM that a command, or _TPM_Init, is over.
func (t *TPM) leave() {
	for _, s := range t.around {
		s.End()
	}
}
