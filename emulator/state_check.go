package emulator

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// checkState is Config.CheckErrors. before is the encoded state after what
// every command does and before the command was looked at.
func (t *TPM) checkState(c *call, rc wire.RC, before []byte) {
	for _, list := range [][]*object{t.slots, t.persistent} {
		if i := slices.IndexFunc(list, func(o *object) bool { return !t.asDecoded(o) }); i >= 0 {
			panic(fmt.Sprintf("internal error: %s made the object in slot %d another one than its state says", c.commandName(), i))
		}
	}
	if c.cmd != nil && c.lookups > len(c.cmd.Handles)+2*c.nSession+1 {
		// One for each handle, one for a handle among the parameters, and for a
		// session one when it is used and one when it ends.
		panic(fmt.Sprintf("internal error: %s looked up handles %d times", c.commandName(), c.lookups))
	}
	if t.failure != nil || t.changes.recorded {
		return
	}
	if rc != wire.RCSuccess {
		if t.changes.undidShutdown() {
			panic(fmt.Sprintf("internal error: %s answered %v and undid a shutdown", c.commandName(), rc))
		}
		if after := t.s.EncodeSnapshot(nil); !bytes.Equal(before, after) {
			panic(fmt.Sprintf("internal error: %s answered %v and changed the state", c.commandName(), rc))
		}
	}
	if t.changes.state {
		return
	}
	old, err := state.Decode(before)
	if err != nil {
		panic("internal error: the state does not decode: " + err.Error())
	}
	if old.Persistent != t.s.Persistent || !t.changes.indices && !sameNV(&old.NV, &t.s.NV) {
		panic(fmt.Sprintf("internal error: %s changed persistent state without marking it", c.commandName()))
	}
}

// asDecoded reports whether the areas of an object are what its state says.
func (t *TPM) asDecoded(o *object) bool {
	if o == nil {
		return true
	}
	again, ok := t.decodeObject(o.Object)
	return ok && reflect.DeepEqual(again.public, o.public) && reflect.DeepEqual(again.sensitive, o.sensitive)
}

// sameNV compares what NV must have of the indices. Orderly ones may differ in
// their data, and in attributes that follow from the data or from a lock.
func sameNV(a, b *state.NV) bool {
	return a.MaxCounter == b.MaxCounter && slices.EqualFunc(a.Indices, b.Indices, func(x, y state.NVIndex) bool {
		return x.Handle == y.Handle && x.Policy == y.Policy && x.Auth == y.Auth && len(x.Data) == len(y.Data) &&
			(x.Orderly() || x.Attributes == y.Attributes && bytes.Equal(x.Data, y.Data))
	})
}

// commandName names the command for a message.
func (c *call) commandName() string {
	if c.cmd == nil {
		return "an unknown command"
	}
	return c.cmd.Name
}
