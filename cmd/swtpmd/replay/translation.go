package replay

import (
	"bytes"
	"encoding/binary"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/message"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// translation is what the TPM has made in place of what is in the capture.
type translation struct {
	handles map[wire.Handle]wire.Handle
	// values are whole fields: saved contexts, and the parts of keys.
	values map[string][]byte
	// noHandles and noValues are what the captured TPM has made and this one has not.
	noHandles map[wire.Handle]bool
	noValues  map[string]bool
	// sameNonce has the captured sessions whose last nonce of the TPM is the same here,
	// as of a TPM with the same entropy.
	sameNonce map[wire.Handle]bool
}

// mostValues bounds what a capture can have remembered.
const mostValues = 1 << 12

func newTranslation() *translation {
	return &translation{
		handles: map[wire.Handle]wire.Handle{}, values: map[string][]byte{},
		noHandles: map[wire.Handle]bool{}, noValues: map[string]bool{}, sameNonce: map[wire.Handle]bool{},
	}
}

// followed reports whether a TPM chooses a handle of this type.
func followed(h wire.Handle) bool {
	switch h.Type() {
	case wire.HTTransient, wire.HTHMACSession, wire.HTPolicySession:
		return true
	}
	return false
}

// overAnotherNonce reports whether a session of the command has an HMAC over a nonce that
// this TPM has not given (TPM 2.0 Library Part 1, section "HMAC Computation").
func (t *translation) overAnotherNonce(c *message.Command) bool {
	for _, s := range c.Sessions {
		if s.Handle != wire.RSPW && len(s.HMAC) > 0 && !t.sameNonce[s.Handle] {
			return true
		}
	}
	return false
}

// learnNonces compares the nonces that the TPMs have given. That of a session changes with
// every command that succeeds.
func (t *translation) learnNonces(c *message.Command, captured, live *message.Response) {
	if c.Code == wire.CCStartAuthSession && captured.HasHandle && len(t.sameNonce) < mostValues {
		nonce := layout(c.Code)[0]
		x, _ := nonce.cut(captured.Parameters)
		y, _ := nonce.cut(live.Parameters)
		t.sameNonce[captured.Handle] = bytes.Equal(x, y)
	}
	for i, s := range c.Sessions {
		x, okX := nonceOf(captured, i)
		y, okY := nonceOf(live, i)
		if t.sameNonce[s.Handle] && (okX != okY || !bytes.Equal(x, y)) {
			delete(t.sameNonce, s.Handle)
		}
	}
}

// nonceOf returns the nonce of a session in a response that has one.
func nonceOf(p *message.Response, i int) (nonce []byte, ok bool) {
	if i >= len(p.Sessions) {
		return nil, false
	}
	return p.Sessions[i].Nonce, true
}

// learn remembers what a response has that later commands use.
func (t *translation) learn(c *message.Command, captured, live *message.Response) {
	t.learnNonces(c, captured, live)
	if captured.Code != wire.RCSuccess {
		return
	}
	if live.Code != wire.RCSuccess {
		t.miss(c, captured)
		return
	}
	delete(t.noHandles, captured.Handle)
	if captured.HasHandle && live.HasHandle && followed(captured.Handle) && len(t.handles) < mostValues {
		t.handles[captured.Handle] = live.Handle
	}
	if !makes(c.Code) {
		return
	}
	a, b := captured.Parameters, live.Parameters
	for _, f := range layout(c.Code) {
		var x, y []byte
		x, a = f.cut(a)
		y, b = f.cut(b)
		if !bytes.Equal(x, y) && len(t.values) < mostValues {
			t.values[string(x)] = bytes.Clone(y)
		}
	}
}

// makes reports whether the parameters of the response are used by later commands.
func makes(code wire.CC) bool {
	switch code {
	case wire.CCContextSave, wire.CCCreate, wire.CCCreateLoaded, wire.CCCreatePrimary:
		return true
	}
	return false
}

// miss remembers what a command has made for the captured TPM alone.
func (t *translation) miss(c *message.Command, captured *message.Response) {
	if captured.HasHandle && len(t.noHandles) < mostValues {
		t.noHandles[captured.Handle] = true
	}
	left := captured.Parameters
	if !makes(c.Code) || len(t.noValues) >= mostValues {
		return
	}
	for _, f := range layout(c.Code) {
		var value []byte
		value, left = f.cut(left)
		t.noValues[string(value)] = true
	}
}

// unsent remembers that a command has not been sent: what it would have changed is as it
// was.
func (t *translation) unsent(c *message.Command, captured *message.Response) {
	if captured.Code != wire.RCSuccess {
		return
	}
	t.miss(c, captured)
	for _, h := range changed(c) {
		if len(t.noHandles) < mostValues {
			t.noHandles[h] = true
		}
	}
}

// changed returns the indices, objects and PCRs that a command may change, and those that
// it names in its parameters because they are not there yet.
func changed(c *message.Command) (handles []wire.Handle) {
	for _, h := range c.Handles {
		if h.Type() != wire.HTPermanent {
			handles = append(handles, h)
		}
	}
	left := c.Parameters
	switch c.Code {
	case wire.CCNVDefineSpace: // auth, and the size of what begins with the index
		_, left = field{size: sized}.cut(left)
		left = left[min(2, len(left)):]
	case wire.CCEvictControl:
	default:
		return handles
	}
	if len(left) >= 4 {
		handles = append(handles, wire.Handle(binary.BigEndian.Uint32(left)))
	}
	return handles
}

// lacks reports whether a command uses what the TPM has not made.
func (t *translation) lacks(c *message.Command) bool {
	for _, h := range c.All() {
		if t.noHandles[h] {
			return true
		}
	}
	for _, s := range c.Sessions {
		if t.noHandles[s.Handle] {
			return true
		}
	}
	left := c.Parameters
	for _, f := range made[c.Code] {
		var value []byte
		value, left = f.cut(left)
		if t.noValues[string(value)] {
			return true
		}
	}
	return false
}

// made are the parameters of commands that other commands have made.
var made = map[wire.CC][]field{
	wire.CCLoad:        {{name: "inPrivate", size: sized}, {name: "inPublic", size: sized}},
	wire.CCContextLoad: {{name: "context", size: rest}},
}

// command returns a captured command with what the TPM has made in it.
func (t *translation) command(c *message.Command, raw []byte) []byte {
	if !c.Sound {
		return raw
	}
	out := bytes.Clone(raw[:len(raw)-len(c.Parameters)])
	at := transport.HeaderSize
	for range c.Handles {
		t.handle(out[at:])
		at += 4
	}
	if len(c.Sessions) > 0 {
		at += 4 // the size of the area
		for _, s := range c.Sessions {
			t.handle(out[at:])
			at += 4 + 2 + len(s.Nonce) + 1 + 2 + len(s.HMAC)
		}
	}
	parameters := c.Parameters
	if _, flushes := c.Flushes(); flushes {
		parameters = bytes.Clone(parameters)
		t.handle(parameters)
	}
	for _, f := range made[c.Code] {
		var value []byte
		value, parameters = f.cut(parameters)
		if other, ok := t.values[string(value)]; ok {
			value = other
		}
		out = append(out, value...)
	}
	out = append(out, parameters...)
	transport.SetSize(out)
	return out
}

// handle replaces the handle with which b begins.
func (t *translation) handle(b []byte) {
	if h, ok := t.handles[wire.Handle(binary.BigEndian.Uint32(b))]; ok {
		binary.BigEndian.PutUint32(b, uint32(h))
	}
}
