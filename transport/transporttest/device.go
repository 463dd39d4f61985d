// Package transporttest holds what tests of transports need: a Device that
// answers as it is told and remembers what it was asked, and peers that
// behave badly.
package transporttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/swtpmd/swtpmd/transport"
)

// Call is one thing a TPM was asked to do.
type Call struct {
	// Name is "send", "init", "poweroff", "hash start", "hash data",
	// "hash end", "cancel", "reset established", "set buffer size", "save
	// state" or "load state".
	Name     string
	Locality uint8  // of "send" and "reset established"
	Data     []byte // the command of "send", the bytes of "hash data", both parts of "load state"
	Probe    bool   // of "send": the transport itself asked
	Size     uint32 // of "set buffer size"
}

// ErrNoPower is the error of Send and the hash sequence without power.
var ErrNoPower = errors.New("the test TPM has no power")

// ErrLocality is the error of ResetTPMEstablished at a locality other than 3 and 4.
var ErrLocality = errors.New("locality must be 3 or 4")

// TPM is a transport.Device with all the optional interfaces. It has no
// power at first. Its methods may be called from several goroutines.
type TPM struct {
	// Answer, if set, answers commands; otherwise each is answered by
	// TPM_RC_SUCCESS without parameters. It is called without locks held.
	// The context ends at Cancel, Init and PowerOff too; Canceled tells
	// which.
	Answer func(ctx context.Context, locality uint8, command []byte) ([]byte, error)
	// Fail, if set, is asked for an error before each call named as in Call.
	Fail func(name string) error
	// Permanent and Volatile are what SaveState gives.
	Permanent, Volatile []byte

	mu          sync.Mutex
	powered     bool
	established bool
	size        uint32
	calls       []Call
	stops       map[int]context.CancelCauseFunc
	next        int
}

// Limits of the buffer sizes that the TPM takes, in bytes: those of libtpms.
const (
	MinBuffer = 2808
	MaxBuffer = transport.DefaultMaxCommand
)

// ErrCanceled is the context's cause after Cancel.
var ErrCanceled = errors.New("canceled")

// Calls returns what the TPM was asked so far.
func (d *TPM) Calls() []Call {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.calls)
}

// Names returns the names of the calls so far.
func (d *TPM) Names() []string {
	var names []string
	for _, c := range d.Calls() {
		names = append(names, c.Name)
	}
	return names
}

func (d *TPM) record(c Call) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.calls = append(d.calls, c)
	if d.Fail == nil {
		return nil
	}
	return d.Fail(c.Name)
}

// Send implements transport.Device.
func (d *TPM) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	err := d.record(Call{Name: "send", Locality: locality, Data: bytes.Clone(command), Probe: transport.IsProbe(ctx)})
	if err != nil {
		return nil, err
	}
	ctx, done, err := d.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	if d.Answer != nil {
		return d.Answer(ctx, locality, command)
	}
	return transport.AppendResponse(nil, transport.RCSuccess), nil
}

func (d *TPM) begin(ctx context.Context) (context.Context, func(), error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.powered {
		return nil, nil, ErrNoPower
	}
	ctx, stop := context.WithCancelCause(ctx)
	if d.stops == nil {
		d.stops = make(map[int]context.CancelCauseFunc)
	}
	id := d.next
	d.next++
	d.stops[id] = stop
	return ctx, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		delete(d.stops, id)
		stop(nil)
	}, nil
}

// interrupt ends the contexts of the commands in execution.
func (d *TPM) interrupt(cause error) {
	for _, stop := range d.stops {
		stop(cause)
	}
}

// Init implements transport.Power.
func (d *TPM) Init() error { return d.power("init", true) }

// PowerOff implements transport.Power.
func (d *TPM) PowerOff() error { return d.power("poweroff", false) }

func (d *TPM) power(name string, on bool) error {
	if err := d.record(Call{Name: name}); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.interrupt(ErrNoPower)
	d.powered = on
	return nil
}

// Powered implements transport.Power.
func (d *TPM) Powered() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.powered
}

// HashStart implements transport.HashSequence.
func (d *TPM) HashStart() error {
	if err := d.record(Call{Name: "hash start"}); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.established = true
	return nil
}

// HashData implements transport.HashSequence.
func (d *TPM) HashData(data []byte) error {
	return d.record(Call{Name: "hash data", Data: bytes.Clone(data)})
}

// HashEnd implements transport.HashSequence.
func (d *TPM) HashEnd() error { return d.record(Call{Name: "hash end"}) }

// Cancel implements transport.Canceler.
func (d *TPM) Cancel() {
	_ = d.record(Call{Name: "cancel"})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.interrupt(ErrCanceled)
}

// TPMEstablished implements transport.Established.
func (d *TPM) TPMEstablished() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.established
}

// ResetTPMEstablished implements transport.Established.
func (d *TPM) ResetTPMEstablished(locality uint8) error {
	if err := d.record(Call{Name: "reset established", Locality: locality}); err != nil {
		return err
	}
	if locality != 3 && locality != 4 {
		return fmt.Errorf("locality %d: %w", locality, ErrLocality)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.established = false
	return nil
}

// BufferSize implements transport.BufferSize.
func (d *TPM) BufferSize() (size, least, most uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.size == 0 {
		return MaxBuffer, MinBuffer, MaxBuffer
	}
	return d.size, MinBuffer, MaxBuffer
}

// SetBufferSize implements transport.BufferSize.
func (d *TPM) SetBufferSize(size uint32) (uint32, error) {
	if err := d.record(Call{Name: "set buffer size", Size: size}); err != nil {
		return 0, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.size = min(max(size, MinBuffer), MaxBuffer)
	return d.size, nil
}

// SaveState implements transport.Migratable.
func (d *TPM) SaveState() (permanent, volatile []byte, err error) {
	return d.Permanent, d.Volatile, d.record(Call{Name: "save state"})
}

// LoadState implements transport.Migratable.
func (d *TPM) LoadState(permanent, volatile []byte) error {
	return d.record(Call{Name: "load state", Data: append(bytes.Clone(permanent), volatile...)})
}

// Plain is a Device without any optional interface.
type Plain func(ctx context.Context, locality uint8, command []byte) ([]byte, error)

// Send implements transport.Device.
func (p Plain) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	return p(ctx, locality, command)
}
