package conform

import (
	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/transport"
)

// Step is one thing done to a TPM, and what has to come of it.
type Step struct {
	// As is the label by which later steps of the case refer to the answer.
	As string
	// Action is conversation.Send for a command, which is the zero value, or one of
	// the actions of a platform.
	Action   conversation.Action
	Locality uint8
	Command  tpm2.TPMCC
	Handles  []Part
	// Auths is the authorization area. Nil stands for a password for each handle that
	// needs one: the authorization value of a hierarchy that the user has named, or
	// the Secret of the step that made the entity.
	Auths []Auth
	// Unauthorized leaves the authorization area out.
	Unauthorized bool
	Parameters   []Part
	// Edit changes the bytes of the command, which are complete but for HMACs.
	Edit func(command []byte) []byte
	// Data is what HashData feeds.
	Data []byte
	// Secret is the authorization value of what the step makes, or changes to.
	Secret []byte
	// Want are the response codes of which one is right; none stands for success.
	Want []tpm2.TPMRC
	// Checks look at a success.
	Checks []Check
	// Client asks with go-tpm instead of sending Command.
	Client func(*Client) error
	// Repeat sends the same command so many times more, until one fails.
	Repeat int
}

// Auth is an entry of the authorization area.
type Auth struct {
	// Session is the handle of a session; nil stands for TPM_RS_PW.
	Session Part
	// Nonce is nonceCaller.
	Nonce      []byte
	Attributes byte
	// Password is what the field hmac has, unless Keyed or Default is set.
	Password []byte
	// Default puts the authorization value of the handle into the field.
	Default bool
	// Keyed has the HMAC computed, with Password as authorization value, or with that
	// of the handle if Default is set.
	Keyed bool
}

// Check looks at the answer to a command.
type Check struct {
	// Says is what has to hold.
	Says string
	// Test returns what does not hold.
	Test func(*Answer) error
}

// Answer is a success of a command.
type Answer struct {
	conformance.Response
	// Command is the code of the command.
	Command uint32
	// Raw is the whole response, with the first parameter decrypted.
	Raw []byte
	// State has the answers of the steps before, and this one.
	State *State
}

// Client is a TPM by way of go-tpm. It implements transport.TPM of that module.
type Client struct {
	*State
	// Device is the TPM itself, for what a platform can do to it.
	Device transport.Device
	send   func(command []byte) ([]byte, error)
}

// Send sends a command as it is.
func (c *Client) Send(command []byte) ([]byte, error) { return c.send(command) }

// ParameterRC returns a response code about a parameter, which counts from 1.
func ParameterRC(n int, rc tpm2.TPMRC) tpm2.TPMRC { return rc | 0x40 | tpm2.TPMRC(n)<<8 }

// HandleRC returns a response code about a handle, which counts from 1.
func HandleRC(n int, rc tpm2.TPMRC) tpm2.TPMRC { return rc | tpm2.TPMRC(n)<<8 }

// SessionRC returns a response code about a session, which counts from 1.
func SessionRC(n int, rc tpm2.TPMRC) tpm2.TPMRC { return rc | 0x800 | tpm2.TPMRC(n)<<8 }

// name is the step in reports.
func (s *Step) name() string {
	switch {
	case s.Client != nil:
		return "go-tpm"
	case s.Action != conversation.Send:
		return s.Action.String()
	}
	return "TPM2_" + conformance.CommandName(uint32(s.Command))
}
