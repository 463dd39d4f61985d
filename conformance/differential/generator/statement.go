package generator

import (
	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// statement is a policy of one assertion without secrets.
type statement struct {
	code       tpm2.TPMCC
	parameters []byte
}

// satisfiable are policies a session of the generator may come to satisfy.
var satisfiable = [...]statement{
	{tpm2.TPMCCPolicyLocality, []byte{0x01}},
	{tpm2.TPMCCPolicyLocality, []byte{0x1f}},
	{tpm2.TPMCCPolicyAuthValue, nil}, // what PolicyPassword adds is the same
	{tpm2.TPMCCPolicyNvWritten, []byte{0}},
	{tpm2.TPMCCPolicyNvWritten, []byte{1}},
	{tpm2.TPMCCPolicyCommandCode, wire.U32(uint32(tpm2.TPMCCNVChangeAuth))},
	{tpm2.TPMCCPolicyCommandCode, wire.U32(uint32(tpm2.TPMCCPCRExtend))},
}

// digest is the policy's with SHA-256: the hash of a zero digest, the command
// code and the parameters (TPM 2.0 Library Part 3, section "EA Commands").
func (a statement) digest() []byte {
	return sha256Of(make([]byte, 32), wire.U32(uint32(a.code)), a.parameters)
}
