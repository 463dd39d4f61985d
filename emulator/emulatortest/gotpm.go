package emulatortest

import (
	"context"
	"io"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/swtpmd/swtpmd/emulator/state"
)

// Sender is a TPM that commands are sent to: what New makes, an *emulator.TPM, or
// one of the two wrapped by faults.Wrap. A transport.Device is the same.
type Sender interface {
	Send(ctx context.Context, locality uint8, command []byte) (response []byte, err error)
}

// ErrNoTPM is what a Client or a Channel answers that has not been given a TPM.
const ErrNoTPM state.Error = "emulatortest: no TPM to send to; set the field TPM, or begin with New(t).Client()"

// Client lets Go clients that use google/go-tpm talk to a TPM, at one locality:
// it is a go-tpm transport.TPM.
//
//	late, err := faults.Wrap(emulatortest.New(t), plan)
//	tpm := emulatortest.Client{TPM: late}
type Client struct {
	TPM      Sender
	Locality uint8
}

var _ transport.TPM = Client{}

// Send is transport.TPM.Send.
func (c Client) Send(command []byte) ([]byte, error) {
	if c.TPM == nil {
		return nil, ErrNoTPM
	}
	return c.TPM.Send(context.Background(), c.Locality, command)
}

// Channel is the client's TPM as a file.
func (c Client) Channel() *Channel { return &Channel{TPM: c} }

// Client is the TPM at locality 0 as google/go-tpm wants it.
func (t *TPM) Client() Client { return Client{TPM: t.TPM} }

// Channel is a TPM as a file: one Write is a command, what is read then is its
// response. This is what clients of go-tpm's legacy packages want, such as
// go-tpm-tools/client. With MeasurementLog it is go-attestation's
// attest.CommandChannelTPM20 as well.
//
// As with a file, a Channel has one user at a time.
type Channel struct {
	transport.TPM // such as a Client
	// Log is the event log of the firmware, in the TCG's binary format.
	Log []byte

	response []byte
}

// Channel is the TPM at locality 0 as a file.
func (t *TPM) Channel() *Channel { return t.Client().Channel() }

// Write executes a command. The response to an earlier one is gone, read or not.
func (c *Channel) Write(command []byte) (int, error) {
	if c.TPM == nil {
		return 0, ErrNoTPM
	}
	response, err := c.Send(command)
	c.response = response
	if err != nil {
		return 0, err
	}
	return len(command), nil
}

// Read gives what is left of the response, and io.EOF when nothing is.
func (c *Channel) Read(p []byte) (int, error) {
	if len(c.response) == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	n := copy(p, c.response)
	c.response = c.response[n:]
	return n, nil
}

// Close does nothing: the TPM is its test's.
func (c *Channel) Close() error { return nil }

// MeasurementLog gives Log.
func (c *Channel) MeasurementLog() ([]byte, error) { return c.Log, nil }
