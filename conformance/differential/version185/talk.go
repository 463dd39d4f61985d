package version185

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Finding is an answer that the model did not expect. It is an error.
type Finding struct {
	// Seed draws the conversation again; Packet counts its commands from 1.
	Seed   uint64
	Packet int
	// Command is the name of the command, Detail what is wrong with its answer.
	Command, Detail string
	// Script has all commands up to this one, for [conversation.ReadScript].
	Script conversation.Script
}

func (f *Finding) Error() string {
	return fmt.Sprintf("seed %d, packet %d, %s: %s\n%s", f.Seed, f.Packet, f.Command, f.Detail, f.Script)
}

// Tally counts the commands of conversations.
type Tally struct {
	Packets int `json:"packets"`
	// Succeeded and Sent count them by the name of the command, Codes by the response
	// code.
	Sent      map[string]int `json:"sent"`
	Succeeded map[string]int `json:"succeeded"`
	Codes     map[uint32]int `json:"codes"`
}

// Add adds the counts of other conversations.
func (t *Tally) Add(other Tally) {
	t.Packets += other.Packets
	for _, pair := range []struct{ to, from *map[string]int }{{&t.Sent, &other.Sent}, {&t.Succeeded, &other.Succeeded}} {
		if *pair.to == nil {
			*pair.to = map[string]int{}
		}
		for name, n := range *pair.from {
			(*pair.to)[name] += n
		}
	}
	if t.Codes == nil {
		t.Codes = map[uint32]int{}
	}
	for code, n := range other.Codes {
		t.Codes[code] += n
	}
}

// talk is a conversation under way.
type talk struct {
	source
	ctx    context.Context
	player *conversation.Player
	seed   uint64
	script conversation.Script
	tally  Tally
	// err ends the conversation: nothing is sent after it.
	err error

	// keys and sequences are the objects that are loaded, by their handles; shelf are
	// those that are not.
	keys      map[uint32]*key
	sequences map[uint32]*sequence
	shelf     []shelved
	// sessions are HMAC sessions, policy the session that authorizes the first handle of
	// the next command.
	sessions []*hmacSession
	policy   uint32
}

func newTalk(ctx context.Context, target *conversation.Target, seed uint64) (*talk, error) {
	player, err := target.Player(ctx, nil)
	if err != nil {
		return nil, err
	}
	return &talk{
		source: source{rand.New(rand.NewPCG(seed, 185))}, ctx: ctx, player: player, seed: seed,
		tally: Tally{Sent: map[string]int{}, Succeeded: map[string]int{}, Codes: map[uint32]int{}},
		keys:  map[uint32]*key{}, sequences: map[uint32]*sequence{},
	}, nil
}

func (t *talk) startup() { t.send(tpm2.TPMCCStartup, nil, wire.U16(0), 0) }

// hmacSession is a session that authorizes, and with a cipher encrypts.
type hmacSession struct {
	handle uint32
	digest int // size in bytes
}

// answer is a success.
type answer struct {
	handle uint32
	out    *wire.Cursor
}

// send sends a command, and holds the answer against the code that the model has for it.
// That is about parameters; codes about handles and authorizations come before it. ok
// reports whether the command succeeded as it should.
func (t *talk) send(code tpm2.TPMCC, handles []uint32, parameters []byte, want uint32) (answer, bool) {
	command, _ := conformance.Lookup(uint32(code))
	packet := conformance.Packet{Code: uint32(code), Handles: handles, Parameters: parameters}
	step := conversation.Step{Action: conversation.Send}
	refused := t.missing(handles)
	authorization := t.authorizations(&packet, &step, command)
	if refused == 0 {
		refused = authorization
	}
	step.Data = packet.Bytes()
	return t.play(step, first(refused, want))
}

// play plays a step and holds the answer against the code.
func (t *talk) play(step conversation.Step, want uint32) (answer, bool) {
	if t.err != nil {
		return answer{}, false
	}
	code, _ := conformance.CommandCode(step.Data)
	name := conformance.CommandName(code)
	t.script = append(t.script, step)
	outcome, err := t.player.Do(t.ctx, step)
	if err != nil {
		t.err = err
		return answer{}, false
	}
	t.tally.Packets++
	t.tally.Sent[name]++
	t.tally.Codes[outcome.Code()]++
	switch {
	case outcome.Err != nil:
		t.finding("no answer: " + outcome.Err.Error())
	case outcome.Code() != want:
		t.finding(fmt.Sprintf("%s, want %s", conformance.Describe(outcome.Code()), conformance.Describe(want)))
	case outcome.Problem != "":
		t.finding(outcome.Problem)
	}
	if t.err != nil || want != 0 {
		return answer{}, false
	}
	t.tally.Succeeded[name]++
	response, err := conformance.ParseResponse(code, outcome.Plain)
	if err != nil {
		t.finding(err.Error())
		return answer{}, false
	}
	return answer{handle: response.Handle, out: &wire.Cursor{Rest: response.Parameters}}, true
}

// finding ends the conversation with what is wrong with the last answer.
func (t *talk) finding(detail string) {
	if t.err != nil {
		return
	}
	last := t.script[len(t.script)-1]
	code, _ := conformance.CommandCode(last.Data)
	t.err = &Finding{Seed: t.seed, Packet: t.tally.Packets, Command: conformance.CommandName(code), Detail: detail, Script: t.script}
}

// check is a finding unless the condition holds.
func (t *talk) check(ok bool, format string, a ...any) {
	if !ok {
		t.finding(fmt.Sprintf(format, a...))
	}
}

// ended checks that an answer had nothing more.
func (t *talk) ended(a answer) { t.check(a.out.Done(), "the answer is too short or too long") }

// missing is the code for the first handle that is of no object or no sequence.
func (t *talk) missing(handles []uint32) uint32 {
	for i, h := range handles {
		if h>>24 == 0x80 && h&0xffffff >= slots {
			return handle(tpm2.TPMRCValue, i+1)
		}
	}
	for i, h := range handles {
		if h>>24 == 0x80 && t.keys[h] == nil && t.sequences[h] == nil {
			return uint32(tpm2.TPMRCReferenceH0) + uint32(i)
		}
	}
	return 0
}

// slots are how many objects the profile loads at once.
const slots = 3

// authorizations gives a command its sessions, and says with which code they are refused.
func (t *talk) authorizations(packet *conformance.Packet, step *conversation.Step, command conformance.Command) uint32 {
	refused := uint32(0)
	used := map[uint32]bool{}
	for i := range min(command.Auths, len(packet.Handles)) {
		auth, code := t.authorizationOf(packet.Handles[i], i, command)
		wrong := false
		switch {
		case i == 0 && t.policy != 0:
			packet.Sessions = append(packet.Sessions, conformance.Session{Handle: t.policy, Nonce: t.bytes(16), Attributes: conformance.ContinueSession})
			step.Action = conversation.SendHMAC
			code = 0
		case i == 0 && len(t.sessions) > 0 && t.chance(0.4):
			t.withHMAC(packet, step, command, auth)
			used[packet.Sessions[0].Handle] = true
		default:
			if t.guess(packet.Handles[i]) {
				auth, wrong = other(auth), true
			}
			packet.Sessions = append(packet.Sessions, conformance.Password(auth))
		}
		if code == 0 && wrong {
			code = session(tpm2.TPMRCBadAuth, i+1)
		}
		if refused == 0 {
			refused = code
		}
	}
	if len(packet.Sessions) == 0 && !command.Sessionless && (command.Decrypt || command.Encrypt) && len(t.sessions) > 0 && t.chance(0.3) {
		t.withHMAC(packet, step, command, nil)
	}
	t.policy = 0
	return refused
}

// other is another authorization value, of a size that can be one.
func other(auth []byte) []byte {
	if len(auth) == 0 {
		return []byte{'x'}
	}
	changed := bytes.Clone(auth)
	changed[0] ^= 1
	return changed
}

// guess reports whether a wrong password is to be sent: failures that count would end in
// lockout.
func (t *talk) guess(h uint32) bool {
	if k := t.keys[h]; k != nil && !k.has(wire.ObjectNoDA) {
		return false
	}
	return (t.keys[h] != nil || t.sequences[h] != nil) && t.chance(0.02)
}

// withHMAC adds an HMAC session that encrypts what it can.
func (t *talk) withHMAC(packet *conformance.Packet, step *conversation.Step, command conformance.Command, auth []byte) {
	s := pick(t.source, t.sessions...)
	attributes := uint8(conformance.ContinueSession)
	if command.Decrypt && (command.Auths == 0 || t.chance(0.5)) {
		attributes |= wire.AttributeDecrypt
	}
	if command.Encrypt && (command.Auths == 0 || t.chance(0.5)) {
		attributes |= wire.AttributeEncrypt
	}
	packet.Sessions = append(packet.Sessions, conformance.Session{Handle: s.handle, Nonce: t.bytes(16), Attributes: attributes, HMAC: make([]byte, s.digest)})
	step.Action = conversation.SendHMAC
	step.Secrets = append(step.Secrets, conversation.Secret{Session: len(packet.Sessions), Auth: auth})
}

// authorizationOf is the authorization value of handle i of a command, and the code with
// which it is refused whatever it is (Part 1, section "Authorization Roles").
func (t *talk) authorizationOf(h uint32, i int, command conformance.Command) (auth []byte, refused uint32) {
	if s := t.sequences[h]; s != nil {
		return s.auth, 0
	}
	k := t.keys[h]
	if k == nil {
		return nil, 0
	}
	role := conformance.User
	if i == 0 {
		role = command.Role
	}
	switch {
	case role == conformance.Dup, role == conformance.Admin && k.has(wire.ObjectAdminWithPolicy):
		return k.auth, uint32(tpm2.TPMRCAuthType)
	case k.publicOnly, role == conformance.User && !k.has(wire.ObjectUserWithAuth):
		return k.auth, uint32(tpm2.TPMRCAuthUnavailable)
	}
	return k.auth, 0
}
