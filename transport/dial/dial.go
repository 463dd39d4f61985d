// Package dial reaches a TPM by a text, as users of tpm2-tss write it (a TCTI's name
// and its configuration) or as a URL:
//
//	unix:PATH, unix:///PATH           TPM commands over a unix socket
//	tcp:HOST:PORT, tcp://HOST:PORT    the same over TCP
//	…?single                          of those in the form of a URL: a connection
//	                                  for each command, for a server that closes it
//	                                  after a response, as swtpm --port does
//	swtpm:path=PATH, swtpm:///PATH    swtpm with sockets at PATH and PATH.ctrl
//	swtpm:host=HOST,port=PORT, swtpm://HOST:PORT
//	                                  swtpm at PORT, its control channel at PORT+1;
//	                                  localhost and 2321 where they are left out
//	swtpm:ctrl=PATH                   swtpm with a control channel alone, as QEMU
//	                                  and libvirt start it
//	mssim:path=PATH, mssim:///PATH, mssim:host=HOST,port=PORT, mssim://HOST:PORT
//	                                  the TCG's simulator, its platform port at PATH.ctrl
//	                                  or PORT+1; the same where they are left out
//	device:PATH, device:///PATH, /dev/…
//	                                  a TPM of the kernel; without a path the first
//	                                  of /dev/tpmrm0 and /dev/tpm0 that is there
//
// What can be done to the TPM besides sending commands depends on the protocol: it is
// asked for with transport.As.
package dial

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"strings"
	"syscall"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/mssim"
	"github.com/swtpmd/swtpmd/transport/raw"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// TPM is a TPM that was reached.
type TPM interface {
	transport.Device
	io.Closer
}

// Error is a TPM that cannot be reached.
type Error struct {
	Address string
	Err     error
}

func (e *Error) Error() string {
	hint := ""
	switch {
	case errors.Is(e.Err, syscall.EBUSY):
		hint = "; another process has it open: /dev/tpmrm0 takes more than one"
	case strings.HasPrefix(e.Address, "device:") && errors.Is(e.Err, fs.ErrNotExist):
		hint = "; the kernel has no TPM there"
	case errors.Is(e.Err, syscall.ECONNREFUSED), errors.Is(e.Err, fs.ErrNotExist):
		hint = "; nothing listens there, or not yet"
	case errors.Is(e.Err, context.DeadlineExceeded):
		hint = "; it does not answer: swtpm serves one client at a time on each channel"
	case errors.Is(e.Err, fs.ErrPermission):
		hint = "; this user may not open it"
	}
	return fmt.Sprintf("TPM at %s: %v%s", e.Address, e.Err, hint)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Dial reaches the TPM at an address. The error is an *AddressError or an *Error.
func Dial(ctx context.Context, address string) (TPM, error) {
	a, err := Parse(address)
	if err != nil {
		return nil, err
	}
	return a.Dial(ctx)
}

// Dial reaches the TPM. The error is an *Error.
func (a Address) Dial(ctx context.Context) (TPM, error) {
	tpm, err := dialers[a.Protocol](ctx, a)
	if err != nil {
		return nil, &Error{Address: a.String(), Err: err}
	}
	return tpm, nil
}

// DialAlone is Dial for the only client that a TPM has until Close. To swtpm's data channel
// Dial makes a connection for each command, as tcti-swtpm does, because swtpm serves one
// connection at a time and others would wait. DialAlone keeps one, which takes less time. It
// sends TPM2_GetCapability twice to learn whether the server keeps it, too: one that closes
// it after a response gets a connection for each command.
func (a Address) DialAlone(ctx context.Context) (TPM, error) {
	if a.Protocol != Swtpm || a.Data == "" {
		return a.Dial(ctx)
	}
	tpm, err := dialSwtpmBy(ctx, a, lasting)
	if err != nil {
		return nil, &Error{Address: a.String(), Err: err}
	}
	return tpm, nil
}

// reached returns a TPM, and none beside an error.
func reached[T TPM](tpm T, err error) (TPM, error) {
	if err != nil {
		return nil, err
	}
	return tpm, nil
}

// dialers has one for each protocol.
var dialers = map[Protocol]func(context.Context, Address) (TPM, error){
	Raw:    dialRaw,
	Swtpm:  dialSwtpm,
	Mssim:  dialMssim,
	Device: dialDevice,
}

func dialRaw(ctx context.Context, a Address) (TPM, error) {
	if a.Single {
		data, err := listens(ctx, a.Network, a.Data)
		return reached(raw.Single{Network: a.Network, Address: data}, err)
	}
	k := &kept{network: a.Network, address: a.Data}
	_, err := k.connection(ctx)
	return reached(k, err)
}

func dialSwtpm(ctx context.Context, a Address) (TPM, error) {
	if a.Data == "" {
		return reached(swtpm.Dial(ctx, a.Control))
	}
	return dialSwtpmBy(ctx, a, single)
}

// dialSwtpmBy reaches a swtpm with two sockets; reach makes its data channel.
func dialSwtpmBy(ctx context.Context, a Address, reach func(context.Context, Address) (swtpm.Data, error)) (TPM, error) {
	control, err := dialControl(ctx, a)
	if err != nil {
		return nil, fmt.Errorf("control channel: %w", err)
	}
	data, err := reach(ctx, a)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("data channel: %w", err), control.Close())
	}
	return reached(swtpm.NewTPM(ctx, control, data))
}

// single is a data channel with a connection for each command.
func single(ctx context.Context, a Address) (swtpm.Data, error) {
	data, err := listens(ctx, a.Network, a.Data)
	return raw.Single{Network: a.Network, Address: data}, err
}

// dialControl connects to swtpm's control channel, and again when the connection is lost.
func dialControl(ctx context.Context, a Address) (*swtpm.Client, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, a.Network, a.Control)
	if err != nil {
		return nil, err
	}
	address := resolve(conn, a.Control)
	control := swtpm.NewClient(conn)
	control.Redial(func(ctx context.Context) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, a.Network, address)
	})
	return control, nil
}

func dialMssim(ctx context.Context, a Address) (TPM, error) {
	return reached(mssim.Dial(ctx, a.Network, a.Data))
}

// listens connects once, to find out whether anybody takes connections, and returns the
// address with a host's name resolved.
func listens(ctx context.Context, network, address string) (resolved string, err error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
	if err != nil {
		return "", err
	}
	return resolve(conn, address), conn.Close()
}

// resolve returns the address at the other end of a connection to an address. A process
// that has given up reading files cannot look names up any more.
func resolve(conn net.Conn, address string) string {
	if at, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		return at.String()
	}
	return address
}

// kernelDevices are the nodes that are tried without a path, in tcti-device's order.
var kernelDevices = []string{"/dev/tpmrm0", "/dev/tpm0"}

func dialDevice(_ context.Context, a Address) (TPM, error) {
	if a.Data != "" {
		return reached(transport.OpenDeviceNode(a.Data))
	}
	var failed []error
	for _, path := range kernelDevices {
		node, err := transport.OpenDeviceNode(path)
		if err == nil {
			return node, nil
		}
		failed = append(failed, err)
	}
	return nil, errors.Join(failed...)
}
