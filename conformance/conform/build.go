package conform

import (
	"encoding/binary"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Ask returns a case.
func Ask(s Section, name string, steps ...Step) Case {
	return Case{Name: name, Section: s, Steps: steps}
}

// Harming returns the case with the harm that it does.
func (c Case) Harming(h Harm) Case {
	c.Harm |= h
	return c
}

// Needing returns the case with what it needs.
func (c Case) Needing(n Needs) Case {
	c.Needs = n
	return c
}

// Then returns the case with steps that put back what it changes.
func (c Case) Then(after ...Step) Case {
	c.After = after
	return c
}

// Do returns the step that sends a command, which has to succeed.
func Do(command tpm2.TPMCC, handles ...Part) Step { return Step{Command: command, Handles: handles} }

// Reset is _TPM_Init.
func Reset() Step { return Step{Action: conversation.Init} }

// With returns the step with parameters.
func (s Step) With(parameters ...Part) Step {
	s.Parameters = parameters
	return s
}

// Named returns the step with a label.
func (s Step) Named(label string) Step {
	s.As = label
	return s
}

// By returns the step with an authorization area.
func (s Step) By(auths ...Auth) Step {
	s.Auths = auths
	if auths == nil {
		s.Unauthorized = true
	}
	return s
}

// At returns the step at a locality.
func (s Step) At(locality uint8) Step {
	s.Locality = locality
	return s
}

// Giving returns the step with the authorization value that it gives what it makes.
func (s Step) Giving(secret string) Step {
	s.Secret = []byte(secret)
	return s
}

// Fails returns the step with the response codes of which one is right.
func (s Step) Fails(want ...tpm2.TPMRC) Step {
	s.Want = want
	return s
}

// Checked returns the step with checks.
func (s Step) Checked(checks ...Check) Step {
	s.Checks = checks
	return s
}

// Edited returns the step with something wrong in its bytes.
func (s Step) Edited(edit func([]byte) []byte) Step {
	s.Edit = edit
	return s
}

// Password is an authorization with a password.
func Password(text string) Auth { return Auth{Password: []byte(text)} }

// Own is an authorization with the password that the entity has.
func Own() Auth { return Auth{Default: true} }

// nonceCaller is the same in all cases: what it protects from is not asked here.
var nonceCaller = []byte("conform's nonce!")

// In is an authorization by an HMAC session, with the value that the entity has. The
// session goes on, and has the attributes besides.
func In(session Part, attributes byte) Auth {
	return Auth{Session: session, Nonce: nonceCaller, Attributes: conformance.ContinueSession | attributes, Default: true, Keyed: true}
}

// InPolicy is an authorization by a policy session that asks for no value.
func InPolicy(session Part) Auth {
	return Auth{Session: session, Attributes: conformance.ContinueSession}
}

// Once returns the authorization with a session that ends with the command.
func (a Auth) Once() Auth {
	a.Attributes &^= conformance.ContinueSession
	return a
}

// Knowing returns the authorization with another value than the one that the entity has.
func (a Auth) Knowing(value string) Auth {
	a.Default, a.Password = false, []byte(value)
	return a
}

// Start returns the step that starts a session, not salted and not bound, with SHA-256.
func Start(kind byte) Step {
	return Do(tpm2.TPMCCStartAuthSession, Permanent(tpm2.TPMRHNull), Permanent(tpm2.TPMRHNull)).
		With(Bytes(nonceCaller), Bytes(nil), U8(kind), U16(tpm2.TPMAlgNull), U16(tpm2.TPMAlgSHA256))
}

// StartCipher is Start of a session that can encrypt parameters with AES-128 CFB.
func StartCipher(kind byte) Step {
	return Do(tpm2.TPMCCStartAuthSession, Permanent(tpm2.TPMRHNull), Permanent(tpm2.TPMRHNull)).
		With(Bytes(nonceCaller), Bytes(nil), U8(kind), U16(tpm2.TPMAlgAES), U16(uint16(128)), U16(tpm2.TPMAlgCFB), U16(tpm2.TPMAlgSHA256))
}

// Flush returns the step that takes away the object or the session with a label.
func Flush(label string) Step { return Do(tpm2.TPMCCFlushContext).With(Handle(label)) }

// Define returns the step that defines an NV index.
func Define(by tpm2.TPMHandle, n Index, attributes uint32, size uint16) Step {
	return DefineWith(by, n, attributes, size, nil)
}

// DefineWith is Define with a policy.
func DefineWith(by tpm2.TPMHandle, n Index, attributes uint32, size uint16, policy Part) Step {
	if policy == nil {
		policy = Bytes(nil)
	}
	public := Sized{n, U16(tpm2.TPMAlgSHA256), U32(attributes), policy, U16(size)}
	return Do(tpm2.TPMCCNVDefineSpace, Permanent(by)).With(Bytes(nil), public)
}

// Resize puts the right size into a command's header.
func Resize(command []byte) []byte {
	if len(command) >= 6 {
		binary.BigEndian.PutUint32(command[2:], uint32(len(command)))
	}
	return command
}

// CutTo leaves the first n bytes of a command, or all but the last -n, with the right
// size in the header.
func CutTo(n int) func([]byte) []byte {
	return func(command []byte) []byte {
		if n < 0 {
			return Resize(command[:max(len(command)+n, 0)])
		}
		return Resize(command[:min(n, len(command))])
	}
}

// Extra appends bytes to a command, with the right size in the header.
func Extra(extra ...byte) func([]byte) []byte {
	return func(command []byte) []byte { return Resize(append(command, extra...)) }
}

// Tagged replaces the tag.
func Tagged(tag uint16) func([]byte) []byte {
	return func(command []byte) []byte {
		binary.BigEndian.PutUint16(command, tag)
		return command
	}
}

// Parsed returns a cursor on the parameters of the answer.
func (a *Answer) Parsed() *wire.Cursor { return &wire.Cursor{Rest: a.Parameters} }
