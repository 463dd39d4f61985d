// Package transport holds the seam every TPM in this module is reached
// through, and what all wire protocols share.
//
// A Device takes the bytes of one TPM 2.0 command and gives back the bytes of
// its response. The emulator is a Device, a fault layer wraps a Device in a
// Device, a connection to somebody else's TPM is a Device, and the servers in
// the packages below this one (swtpm, …) are given a Device to serve.
//
// What a platform can do to a TPM besides sending commands (take its power,
// feed its DRTM hash sequence, cancel a command) is asked for with As, because
// not every Device can do it: a /dev/tpmrm0 has no power switch.
package transport

import (
	"context"
	"time"
)

// Device executes TPM 2.0 commands.
//
// Send executes one command at the given locality (0 to 4, or 32 to 255 for
// the extended ones) and returns the whole response, big-endian bytes as in
// TPM 2.0 Library Part 1, section "Command/Response Structure" (rev 1.59). The
// response belongs to the caller and stays valid after the next Send. Send
// does not keep command.
//
// A TPM that refuses a command says so in the response; err is for the cases
// in which there is no TPM to answer: no power, a broken connection, ctx done.
//
// Send may be called from several goroutines; commands are executed one after
// the other.
type Device interface {
	Send(ctx context.Context, locality uint8, command []byte) (response []byte, err error)
}

// Power is implemented by a Device whose power can be switched.
type Power interface {
	// Init applies power, or resets a device that has power already: the
	// _TPM_Init signal of TPM 2.0 Library Part 1, section "_TPM_Init".
	// Persistent state survives, and so does nothing else. A command in
	// execution ends first, canceled where it can be.
	Init() error
	// PowerOff takes the power away. It is idempotent. A Device without
	// power answers no command until the next Init.
	PowerOff() error
	// Powered reports whether the device has power. It does not wait for a
	// command in execution: a server asks before it cancels one.
	Powered() bool
}

// HashSequence is implemented by a Device that takes the _TPM_Hash_Start,
// _TPM_Hash_Data and _TPM_Hash_End signals of locality 4 (TPM 2.0 Library
// Part 3, section "_TPM_Hash_Start" and following): an H-CRTM measurement into
// PCR 0 before TPM2_Startup, a DRTM measurement into PCR 17 after it.
type HashSequence interface {
	HashStart() error
	HashData(data []byte) error
	HashEnd() error
}

// Canceler is implemented by a Device that can be asked to give up the command
// in execution, which then answers TPM_RC_CANCELED. A command that is finished
// first wins. With no command in execution Cancel does nothing.
type Canceler interface {
	Cancel()
}

// Established is implemented by a Device that keeps the tpmEstablished flag of
// the PC Client Platform TPM Profile (section "tpmEstablished").
type Established interface {
	// TPMEstablished is true once a DRTM hash sequence has been started.
	TPMEstablished() bool
	// ResetTPMEstablished clears the flag; only localities 3 and 4 may.
	ResetTPMEstablished(locality uint8) error
}

// BufferSize is implemented by a Device whose command and response buffers can
// be made smaller, as a CRB interface with its 3,968 bytes needs it.
type BufferSize interface {
	// BufferSize gives the size in force and the limits, in bytes.
	BufferSize() (size, min, max uint32)
	// SetBufferSize clamps size to the limits and returns what is in force
	// from the next Init on. Only a device without power takes it.
	SetBufferSize(size uint32) (uint32, error)
}

// Migratable is implemented by a Device whose state can be moved to another one,
// as a virtual machine does that moves to another host.
type Migratable interface {
	// SaveState gives the state of a Device with power, in a form of its own, as
	// it is between two commands: what survives the loss of power, and what
	// does not. The Device goes on.
	SaveState() (permanent, volatile []byte, err error)
	// LoadState makes the Device one of which the state was saved. Without
	// volatile, which only a Device without power takes, that shows with the
	// next Init; with it, which needs power, the Device goes on at once where
	// the other one was. State that it cannot take changes nothing.
	LoadState(permanent, volatile []byte) error
}

// Unwrapper is implemented by a Device that wraps another one.
type Unwrapper interface {
	Unwrap() Device
}

// As finds the first device in the chain of wrappers around d, d itself
// included, that implements T (one of the interfaces above).
func As[T any](d Device) (T, bool) {
	for d != nil {
		if t, ok := d.(T); ok {
			return t, true
		}
		u, ok := d.(Unwrapper)
		if !ok {
			break
		}
		d = u.Unwrap()
	}
	var zero T
	return zero, false
}

type probeKey struct{}

// WithProbe marks the command sent with the returned context as a transport
// client's own question whether a TPM is there at all, such as the ReadClock
// that QEMU sends once on a new data connection and gives one second. Fault
// layers let it pass: it is not the guest that asks.
func WithProbe(ctx context.Context) context.Context {
	return context.WithValue(ctx, probeKey{}, true)
}

// IsProbe reports whether ctx came from WithProbe.
func IsProbe(ctx context.Context) bool {
	is, _ := ctx.Value(probeKey{}).(bool)
	return is
}

type clientKey struct{}

// The names that the servers below this package give to the senders of commands.
const (
	ClientData    = "data"    // swtpm's data channel, or swtpmd's socket for raw commands
	ClientPassed  = "passed"  // a descriptor that came over swtpm's control channel: QEMU
	ClientMSSIM   = "mssim"   // the command port of the simulator's protocol
	ClientRaw     = "raw"     // a server of package raw
	ClientChardev = "chardev" // the kernel's driver, or another writer of a character device
	ClientCUSE    = "cuse"    // a device of package cuse
)

// WithClient gives the command sent with the returned context the name of its sender,
// for layers that treat senders unlike, such as fault rules.
func WithClient(ctx context.Context, name string) context.Context {
	return context.WithValue(ctx, clientKey{}, name)
}

// ClientOf returns the name of WithClient, empty if there is none.
func ClientOf(ctx context.Context) string {
	name, _ := ctx.Value(clientKey{}).(string)
	return name
}

// Wait waits until released is closed, or longest has passed, and reports whether
// it was released.
type Wait func(released <-chan struct{}, longest time.Duration) bool

type waitKey struct{}

// WithWait has a Device that holds back the command sent with the returned
// context wait by calling wait, in place of waiting in real time. It is for a
// sender that lives in a time of its own, as a simulated kernel does, and must
// let that time go on while its command is held.
func WithWait(ctx context.Context, wait Wait) context.Context {
	return context.WithValue(ctx, waitKey{}, wait)
}

// WaitOf returns the Wait of WithWait, nil if there is none.
func WaitOf(ctx context.Context) Wait {
	wait, _ := ctx.Value(waitKey{}).(Wait)
	return wait
}
