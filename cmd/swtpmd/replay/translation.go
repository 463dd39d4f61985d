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
}

// mostValues bounds what a capture can have remembered.
const mostValues = 1 << 12

func newTranslation() *translation {
	return &translation{handles: map[wire.Handle]wire.Handle{}, values: map[string][]byte{}}
}

// followed reports whether a TPM chooses a handle of this type.
func followed(h wire.Handle) bool {
	switch h.Type() {
	case wire.HTTransient, wire.HTHMACSession, wire.HTPolicySession:
		return true
	}
	return false
}

// learn remembers what a response has that later commands use.
func (t *translation) learn(c *message.Command, captured, live *message.Response) {
	if captured.Code != wire.RCSuccess || live.Code != wire.RCSuccess {
		return
	}
	if captured.HasHandle && live.HasHandle && followed(captured.Handle) && len(t.handles) < mostValues {
		t.handles[captured.Handle] = live.Handle
	}
	switch c.Code {
	case wire.CCContextSave, wire.CCCreate, wire.CCCreateLoaded, wire.CCCreatePrimary:
	default:
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
