package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Miscellaneous Management Functions".

// maxCommandCodes bounds a TPML_CC: MAX_CAP_CC of Part 2.
const maxCommandCodes = maxCapData / 4

// presenceRequired reports whether the platform's authorization of the command
// needs physical presence now.
func (t *TPM) presenceRequired(c *Command) bool {
	return c.Presence == PresenceMust || t.s.Persistent.PPCommands.Has(c.Code)
}

// ppCommands is TPM2_PP_Commands. Codes of commands that cannot be on the list,
// or cannot be taken from it, are passed over.
func (t *TPM) ppCommands(c *call) wire.RC {
	add := c.next().CommandCodes(maxCommandCodes)
	remove := c.next().CommandCodes(maxCommandCodes)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	list := &t.changePersistent().PPCommands
	for code := range add.All() {
		if t.presenceOptional(code) {
			list.Set(code)
		}
	}
	for code := range remove.All() {
		if t.presenceOptional(code) {
			list.Clear(code)
		}
	}
	return wire.RCSuccess
}

// presenceOptional reports whether TPM2_PP_Commands can change what a command
// needs.
func (t *TPM) presenceOptional(code wire.CC) bool {
	cmd := t.commands.lookup(code)
	return cmd != nil && cmd.Presence == PresenceMay
}

// setAlgorithmSet is TPM2_SetAlgorithmSet. There is one set of algorithms, that
// of Config; the number is kept for TPM_PT_ALGORITHM_SET.
func (t *TPM) setAlgorithmSet(c *call) wire.RC {
	set := c.u32()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	t.changePersistent().AlgorithmSet = set
	return wire.RCSuccess
}
