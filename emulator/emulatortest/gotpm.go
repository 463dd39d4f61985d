package emulatortest

import (
	"context"

	"github.com/google/go-tpm/tpm2/transport"

	"github.com/swtpmd/swtpmd/emulator"
)

// Client lets Go clients that use google/go-tpm talk to a TPM, at one locality:
// it is a go-tpm transport.TPM.
type Client struct {
	TPM      *emulator.TPM
	Locality uint8
}

var _ transport.TPM = Client{}

// Send is transport.TPM.Send.
func (c Client) Send(command []byte) ([]byte, error) {
	return c.TPM.Send(context.Background(), c.Locality, command)
}

// Client is the TPM at locality 0 as google/go-tpm wants it.
func (t *TPM) Client() Client { return Client{TPM: t.TPM} }
