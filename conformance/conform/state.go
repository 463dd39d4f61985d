package conform

import (
	"bytes"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// State has what the client knows of a TPM while a case runs.
type State struct {
	player   *conversation.Player
	Features *Features
	// steps are the numbers of the steps that have a label, in the case and of fixtures.
	steps, fixtures map[string]int
	// auths are authorization values by handle.
	auths map[uint32][]byte
	// holes are those of the command that is made.
	holes []conversation.Hole
	// Kept is for checks that compare with what another one has seen.
	Kept map[string][]byte
}

func (s *State) step(label string) (int, error) {
	steps := s.steps
	if label != "" && label[0] == '@' {
		steps = s.fixtures
	}
	id, ok := steps[label]
	if !ok {
		return 0, fmt.Errorf("no step before has the label %q", label)
	}
	return id, nil
}

// Handle returns the handle that the step with a label was answered.
func (s *State) Handle(label string) (uint32, error) {
	value, err := s.Field(label, 0)
	return wire.Number(value), err
}

// Field returns a parameter of the answer to the step with a label, from 1 on, with its
// size where it has one.
func (s *State) Field(label string, n int) ([]byte, error) {
	id, err := s.step(label)
	if err != nil {
		return nil, err
	}
	value, ok := s.player.Field(id, n)
	if !ok {
		return nil, fmt.Errorf("the answer to the step %q has no field %d", label, n)
	}
	return value, nil
}

// Auth returns the authorization value of a handle.
func (s *State) Auth(handle uint32) []byte { return s.auths[handle] }

// Name returns the Name of what a handle is of.
func (s *State) Name(handle uint32) []byte { return s.player.Name(handle) }

// Public returns the public area of the object with a label.
func (s *State) Public(label string) (*wire.Public, error) {
	handle, err := s.Handle(label)
	if err != nil {
		return nil, err
	}
	public, ok := s.player.Public(handle)
	if !ok {
		return nil, fmt.Errorf("the public area of %q is not known", label)
	}
	return public, nil
}

// build makes the step to be played.
func (s *State) build(step *Step, id int) (conversation.Step, error) {
	made := conversation.Step{Action: step.Action, Locality: step.Locality, Data: step.Data}
	if step.As != "" {
		made.ID = id
	}
	if step.Action != conversation.Send {
		return made, nil
	}
	packet, secrets, err := s.areas(step)
	if err != nil {
		return made, err
	}
	s.holes = s.holes[:0]
	if packet.Parameters, err = Join(step.Parameters).Append(nil, s); err != nil {
		return made, err
	}
	made.Data = packet.Bytes()
	for _, h := range s.holes {
		h.At += len(made.Data) - len(packet.Parameters)
		made.Holes = append(made.Holes, h)
	}
	if len(secrets) > 0 {
		made.Action, made.Secrets = conversation.SendHMAC, secrets
	}
	if step.Edit != nil {
		made.Data = step.Edit(made.Data)
	}
	return made, nil
}

// areas makes the handle and the authorization area.
func (s *State) areas(step *Step) (packet conformance.Packet, secrets []conversation.Secret, err error) {
	packet.Code = uint32(step.Command)
	for _, part := range step.Handles {
		handle, err := part.Append(nil, s)
		if err != nil {
			return packet, nil, err
		}
		packet.Handles = append(packet.Handles, wire.Number(handle))
	}
	if step.Unauthorized {
		return packet, nil, nil
	}
	auths := step.Auths
	if auths == nil {
		auths = defaultAuths(step.Command)
	}
	for i := range auths {
		session, secret, err := s.session(&auths[i], packet.Handles, i)
		if err != nil {
			return packet, nil, err
		}
		packet.Sessions = append(packet.Sessions, session)
		if secret != nil {
			secrets = append(secrets, *secret)
		}
	}
	if step.Command == tpm2.TPMCCStartAuthSession && len(packet.Handles) == 2 {
		secrets = append(secrets, conversation.Secret{Session: conversation.BindSecret, Auth: s.auths[packet.Handles[1]]})
	}
	return packet, secrets, nil
}

// session lays out one entry of the authorization area.
func (s *State) session(a *Auth, handles []uint32, at int) (session conformance.Session, secret *conversation.Secret, err error) {
	session = conformance.Password(a.Password)
	session.Nonce, session.Attributes = a.Nonce, a.Attributes
	value := a.Password
	if a.Default {
		value = nil
		if at < len(handles) {
			value = s.auths[handles[at]]
		}
		session.HMAC = value
	}
	if a.Session != nil {
		handle, err := a.Session.Append(nil, s)
		if err != nil {
			return session, nil, err
		}
		session.Handle = wire.Number(handle)
	}
	if a.Keyed {
		secret = &conversation.Secret{Session: at + 1, Auth: bytes.TrimRight(value, "\x00")}
		alg, _ := s.player.Policy(session.Handle)
		session.HMAC = make([]byte, wire.HashSizes[alg])
	}
	return session, secret, nil
}

// defaultAuths are passwords for the handles of a command that need them.
func defaultAuths(code tpm2.TPMCC) []Auth {
	command, _ := conformance.Lookup(uint32(code))
	return passwords[:command.Auths]
}

var passwords = [3]Auth{{Default: true}, {Default: true}, {Default: true}}
