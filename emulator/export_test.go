package emulator

// Lookups is how often the last command has looked up a handle in the tables of
// the state.
func (t *TPM) Lookups() int { return t.call.lookups }
