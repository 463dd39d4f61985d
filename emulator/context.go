package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Context Management".

// flushContext is TPM2_FlushContext. Its handle is a parameter, so that what is
// not loaded is TPM_RC_HANDLE of parameter 1.
func (t *TPM) flushContext(c *call) wire.RC {
	h := c.handle(HandleContext)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if h.Type() != wire.HTTransient {
		a := t.activeSession(h)
		if *a == (state.ActiveSession{}) {
			return c.badParam(1, wire.RCHandle)
		}
		t.flushSession(h)
		return wire.RCSuccess
	}
	if t.object(h) == nil {
		return c.badParam(1, wire.RCHandle)
	}
	t.flushObject(h)
	return wire.RCSuccess
}
