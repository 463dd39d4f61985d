package mssim

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/swtpmd/swtpmd/transport"
)

// ErrNoPower is the error of a command that a TPM without power does not answer.
var ErrNoPower = errors.New("the TPM simulator has no power: Init applies it")

// TPM is the TPM of a server with a command port and a platform port: transport.Device,
// Power, HashSequence, Canceler, CancelSignal, Presence, NVAvailability and FailureTest.
// Its methods may be called from several goroutines; requests on a port are sent one after
// the other, those on one port independent of the other.
//
// After any error but ErrNoPower and an *AckError, ctx's included, the connection to the
// port is closed, and every request on it a *BrokenError.
type TPM struct {
	command, platform *link

	power   sync.Mutex // held while the power is switched
	powered bool       // mu is held
	mu      sync.Mutex
	// running counts the commands that wait for their response, canceling that
	// Cancel has asserted the signal for them.
	running   int
	canceling bool
}

var _ interface {
	transport.Device
	transport.Power
	transport.HashSequence
	transport.Canceler
	transport.CancelSignal
	transport.Presence
	transport.NVAvailability
	transport.FailureTest
} = (*TPM)(nil)

// NewTPM returns the TPM at the other end of connections to both ports, which it takes
// over. It asks with a TPM2_ReadClock whether the TPM has power; on error both
// connections are closed.
func NewTPM(ctx context.Context, command, platform net.Conn) (*TPM, error) {
	c, err := newLink(command)
	if err != nil {
		return nil, errors.Join(err, platform.Close())
	}
	p, err := newLink(platform)
	if err != nil {
		return nil, errors.Join(err, c.conn.Close())
	}
	d := &TPM{command: c, platform: p}
	const readClock = 0x181 // TPM_CC_ReadClock
	if _, err := d.Send(ctx, 0, transport.NewCommand(transport.TagNoSessions, readClock)); err != nil && !errors.Is(err, ErrNoPower) {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// Close ends the session on both ports. It leaves the TPM as it is. A request in progress
// fails.
func (d *TPM) Close() error { return errors.Join(d.platform.close(), d.command.close()) }

// Send implements transport.Device. A TPM without power is ErrNoPower.
func (d *TPM) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	return d.Exchange(ctx, nil, locality, command)
}

// Exchange is Send, and appends the response to dst. With room in dst and a ctx that
// cannot be done it does not allocate.
func (d *TPM) Exchange(ctx context.Context, dst []byte, locality uint8, command []byte) ([]byte, error) {
	d.begin()
	empty := false
	err := d.command.exchange(ctx, CmdSendCommand,
		func(b []byte) []byte {
			b = append(b, locality)
			b = binary.BigEndian.AppendUint32(b, uint32(len(command)))
			return append(b, command...)
		},
		func() error {
			n, err := d.command.word()
			if err != nil {
				return err
			}
			if n > maxResponse {
				return fmt.Errorf("response of %d bytes: more than %d are not taken", n, maxResponse)
			}
			response, err := d.command.next(int(n))
			dst, empty = append(dst, response...), n == 0
			return err
		})
	return dst, d.end(empty, err)
}

// begin counts a command that is sent.
func (d *TPM) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running++
}

// end counts a command that is answered, and takes a cancel signal back that was for it.
func (d *TPM) end(empty bool, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.running--
	if d.canceling && d.running == 0 {
		d.canceling = false
		err = errors.Join(err, d.signal(CmdCancelOff))
	}
	if err == nil {
		d.powered = !empty
		if empty {
			err = ErrNoPower
		}
	}
	return err
}

// Signal sends a request of the platform port that has no payload, and waits for its
// acknowledgment.
func (d *TPM) Signal(ctx context.Context, code Code) error {
	return d.platform.exchange(ctx, code, nil, nil)
}

func (d *TPM) signal(code Code) error {
	ctx, cancel := context.WithTimeout(context.Background(), signalTime)
	defer cancel()
	return d.Signal(ctx, code)
}

// Init implements transport.Power: it takes the power, if there is any, and applies it.
func (d *TPM) Init() error { return d.setPower(true, CmdPowerOff, CmdPowerOn, CmdNVOn) }

// PowerOff implements transport.Power.
func (d *TPM) PowerOff() error { return d.setPower(false, CmdPowerOff) }

func (d *TPM) setPower(on bool, requests ...Code) error {
	d.power.Lock()
	defer d.power.Unlock()
	for _, code := range requests {
		if err := d.signal(code); err != nil {
			return err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.powered = on
	return nil
}

// Powered implements transport.Power. It knows of Init and PowerOff, and of the last
// command, and not of what others have done on the platform port since.
func (d *TPM) Powered() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.powered
}

// Cancel implements transport.Canceler: it asserts the cancel signal until the commands
// that wait for a response have one.
func (d *TPM) Cancel() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.running > 0 && !d.canceling {
		d.canceling = d.signal(CmdCancelOn) == nil
	}
}

// SetCancel implements transport.CancelSignal.
func (d *TPM) SetCancel(asserted bool) { _ = d.signal(either(asserted, CmdCancelOn, CmdCancelOff)) }

// SetPresence implements transport.Presence.
func (d *TPM) SetPresence(asserted bool) {
	_ = d.signal(either(asserted, CmdPresenceOn, CmdPresenceOff))
}

// SetNVAvailable implements transport.NVAvailability. A server takes it with power only.
func (d *TPM) SetNVAvailable(available bool) {
	_ = d.signal(either(available, CmdNVOn, CmdNVOff))
}

// FailNextSelfTest implements transport.FailureTest.
func (d *TPM) FailNextSelfTest() { _ = d.signal(CmdTestFailureMode) }

func either(first bool, a, b Code) Code {
	if first {
		return a
	}
	return b
}

// HashStart implements transport.HashSequence. A TPM without power ignores the signals.
func (d *TPM) HashStart() error { return d.hash(CmdHashStart, nil) }

// HashData implements transport.HashSequence.
func (d *TPM) HashData(data []byte) error {
	for first := true; first || len(data) > 0; first = false {
		piece := data[:min(maxLength, len(data))]
		data = data[len(piece):]
		err := d.hash(CmdHashData, func(b []byte) []byte {
			b = binary.BigEndian.AppendUint32(b, uint32(len(piece)))
			return append(b, piece...)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// HashEnd implements transport.HashSequence.
func (d *TPM) HashEnd() error { return d.hash(CmdHashEnd, nil) }

func (d *TPM) hash(code Code, request func([]byte) []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), signalTime)
	defer cancel()
	return d.command.exchange(ctx, code, request, nil)
}

// Handshake sends the client's version of the protocol, and returns the server's and the
// flags of its platform.
func (d *TPM) Handshake(ctx context.Context) (version uint32, flags Endpoint, err error) {
	err = d.command.exchange(ctx, CmdRemoteHandshake,
		func(b []byte) []byte { return binary.BigEndian.AppendUint32(b, serverVersion) },
		func() error {
			var errVersion, errFlags error
			version, errVersion = d.command.word()
			var word uint32
			if errVersion == nil {
				word, errFlags = d.command.word()
			}
			flags = Endpoint(word)
			return errors.Join(errVersion, errFlags)
		})
	return version, flags, err
}

// Stop ends the server, which does not acknowledge it, and closes both connections.
func (d *TPM) Stop() error {
	d.platform.mu.Lock()
	_, err := d.platform.conn.Write(binary.BigEndian.AppendUint32(nil, uint32(CmdStop)))
	d.platform.mu.Unlock()
	return errors.Join(err, d.platform.conn.Close(), d.command.conn.Close())
}
