package emulator

import (
	"bytes"
	"fmt"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// checkState is Config.CheckErrors. before is the encoded state after what
// every command does and before the command was looked at.
func (t *TPM) checkState(c *call, rc wire.RC, before []byte) {
	if t.failure != nil || c.authFailed {
		return
	}
	if rc != wire.RCSuccess {
		if after := t.s.EncodeSnapshot(nil); !bytes.Equal(before, after) {
			panic(fmt.Sprintf("internal error: %s answered %v and changed the state", c.commandName(), rc))
		}
	}
	if t.dirty {
		return
	}
	old, err := state.Decode(before)
	if err != nil {
		panic("internal error: the state does not decode: " + err.Error())
	}
	if old.Persistent != t.s.Persistent {
		panic(fmt.Sprintf("internal error: %s changed persistent state without marking it", c.commandName()))
	}
}

// commandName names the command for a message.
func (c *call) commandName() string {
	if c.cmd == nil {
		return "an unknown command"
	}
	return c.cmd.Name
}
