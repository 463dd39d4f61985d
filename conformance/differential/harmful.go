package differential

import (
	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
)

// HarmfulToSimulator says of a command that the simulator, which lives in the
// process of the campaign, would not survive it.
func HarmfulToSimulator(command []byte) bool {
	p, ok := takeApart(command)
	if !ok {
		return false
	}
	switch tpm2.TPMCC(p.Code) {
	case tpm2.TPMCCImport:
		return importsLongAuth(p)
	case tpm2.TPMCCCertifyX509:
		// With no key to sign, it looks for the algorithm of that key.
		return p.Handles[1] == uint32(tpm2.TPMRHNull)
	}
	return false
}

// importsLongAuth says whether TPM2_Import is given an object in the clear, with
// an authValue longer than the digest of its nameAlg: the simulator does not
// check the size, and pads the value with a negative number of zeros.
func importsLongAuth(p conformance.Packet) bool {
	in := &cursor{rest: p.Parameters}
	in.sized() // encryptionKey
	public, _ := parsePublic(in.sized())
	private := &cursor{rest: in.sized()}
	sensitive := &cursor{rest: private.sized()}
	sensitive.u16() // sensitiveType
	return len(sensitive.sized()) > hashSizes[public.nameAlg]
}
