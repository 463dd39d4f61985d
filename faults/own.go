package faults

import (
	"context"
	"errors"
	"fmt"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/ask"
)

// Some faults send commands of their own, as others do that share the TPM with the client.
// No rule decides about these. They come to no handle that is the client's, and use no
// session of its.

// own is the device below the layer for what a fault itself sends on the occasion of a
// command.
type own struct {
	x        *exchange
	locality uint8
}

// Send sends at the locality of o: package ask knows none but 0.
func (o own) Send(_ context.Context, _ uint8, command []byte) ([]byte, error) {
	return o.x.send(o.locality, command)
}

// ask returns the TPM for questions of a fault's own.
func (x *exchange) ask(locality uint8) ask.TPM { return ask.TPM{Device: own{x, locality}} }

// order sends a command of a fault's own, and returns its response without the header.
func (x *exchange) order(tag uint16, code wire.CC, pieces ...[]byte) ([]byte, error) {
	response, err := x.send(0, transport.NewCommand(tag, uint32(code), pieces...))
	if err != nil {
		return nil, err
	}
	h, ok := transport.ParseHeader(response)
	switch {
	case !ok:
		return nil, errNoResponse
	case h.Code != transport.RCSuccess:
		return nil, wire.RC(h.Code)
	}
	return response[transport.HeaderSize:], nil
}

// errNoResponse is why what a TPM has answered cannot be read.
var errNoResponse = errors.New("the answer of the TPM is no response")

// password is the authorization area of a command with one session, a password.
func password(auth []byte) []byte {
	w := wire.NewWriter(nil)
	w.AuthCommand(&wire.AuthCommand{Session: wire.RSPW, HMAC: auth})
	return append(u32(uint32(w.Len())), w.Data()...)
}

func u32(v uint32) []byte { return []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)} }

// seal creates a sealed octet in the null hierarchy, whose authValue is always empty: the
// one object that anybody can have of any TPM. It is a KEYEDHASH object without noDA, so
// that dictionary attack protection counts who fails to name its auth.
func (x *exchange) seal(auth []byte) (wire.Handle, error) {
	sensitive, public := wire.NewWriter(nil), wire.NewWriter(nil)
	sensitive.Sized(auth)
	sensitive.Sized([]byte{0})
	public.U16(uint16(wire.AlgKeyedHash))
	public.U16(uint16(wire.AlgSHA256))
	public.U32(uint32(wire.ObjectFixedTPM | wire.ObjectFixedParent | wire.ObjectUserWithAuth))
	public.Sized(nil) // authPolicy
	public.U16(uint16(wire.AlgNull))
	public.Sized(nil) // unique
	parameters := wire.NewWriter(nil)
	parameters.Sized(sensitive.Data())
	parameters.Sized(public.Data())
	parameters.Sized(nil) // outsideInfo
	parameters.U32(0)     // creationPCR
	response, err := x.order(transport.TagSessions, wire.CCCreatePrimary, u32(uint32(wire.RHNull)), password(nil), parameters.Data())
	if err == nil && len(response) < 4 {
		err = errNoResponse
	}
	if err != nil {
		return 0, fmt.Errorf("TPM2_CreatePrimary: %w", err)
	}
	s := scan{b: response}
	return wire.Handle(s.u32()), nil
}

// bytes returns so many bytes of chance.
func (x *exchange) bytes(n int) []byte {
	chance := x.random()
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(chance.Uint32())
	}
	return b
}
