package differential

import (
	"github.com/google/go-tpm/tpm2"
)

// HarmfulToSimulator says of a command that the simulator, which lives in the
// process of the campaign, would not survive it.
func HarmfulToSimulator(command []byte) bool {
	p, ok := takeApart(command)
	if !ok || tpm2.TPMCC(p.Code) != tpm2.TPMCCImport {
		return false
	}
	// TPM2_Import of an object in the clear, with an authValue longer than the
	// digest of its nameAlg: the size is not checked, and the value padded with
	// a negative number of zeros.
	in := &cursor{rest: p.Parameters}
	in.sized() // encryptionKey
	public, _ := parsePublic(in.sized())
	private := &cursor{rest: in.sized()}
	sensitive := &cursor{rest: private.sized()}
	sensitive.u16() // sensitiveType
	return len(sensitive.sized()) > hashSizes[public.nameAlg]
}
