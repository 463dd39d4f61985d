package fleet

import "io"

// SetEntropy has a TPM that was not powered yet draw from r.
func (f *Fleet) SetEntropy(name string, r io.Reader) { f.tpms[name].engine.platform.Entropy = r }
