package conform

import (
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// ParameterSet is one of ML-KEM, or one that keys of ML-DSA and HashML-DSA share (version
// 185, Part 2, "TPMI_MLKEM_PARAMETER_SET" and "TPMI_MLDSA_PARAMETER_SET").
type ParameterSet struct {
	// Alg is TPM_ALG_MLKEM or TPM_ALG_MLDSA.
	Alg tpm2.TPMAlgID
	// Set is 1, 2 or 3.
	Set uint16
}

// parameterSets is TPM_PT_ML_PARAMETER_SETS, and ExternalMu its bit for digests from outside.
const (
	parameterSets tpm2.TPMPT = 0x131
	externalMu    uint32     = 1 << 6
)

// bit is that of TPMA_ML_PARAMETER_SET.
func (p ParameterSet) bit() uint32 {
	if p.Alg == wire.AlgMLKEM {
		return 1 << (p.Set - 1)
	}
	return 1 << (p.Set + 2)
}

// String names the parameter set as FIPS 203 and FIPS 204 do.
func (p ParameterSet) String() string {
	if p.Alg == wire.AlgMLKEM {
		return fmt.Sprintf("ML-KEM-%d", [...]int{512, 768, 1024}[p.Set-1])
	}
	return fmt.Sprintf("ML-DSA-%d", [...]int{44, 65, 87}[p.Set-1])
}

// ExternalMu reports whether the TPM signs µ that was computed outside.
func (f *Features) ExternalMu() bool { return f.Properties[parameterSets]&externalMu != 0 }
