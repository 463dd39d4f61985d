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
	o := t.object(h)
	if o == nil {
		return c.badParam(1, wire.RCHandle)
	}
	*o = state.Object{}
	return wire.RCSuccess
}
