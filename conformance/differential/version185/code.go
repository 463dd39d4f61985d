package version185

import (
	"github.com/google/go-tpm/tpm2"
)

// Response codes are compared as numbers, 0 for success.

// parameter is a code about parameter n.
func parameter(rc tpm2.TPMRC, n int) uint32 { return uint32(rc) + 0x40 + uint32(n)<<8 }

// handle is a code about handle n.
func handle(rc tpm2.TPMRC, n int) uint32 { return uint32(rc) + uint32(n)<<8 }

// session is a code about session n.
func session(rc tpm2.TPMRC, n int) uint32 { return uint32(rc) + 0x800 + uint32(n)<<8 }

// first is the first code that is not success: TPMs look at one thing after the other.
func first(codes ...uint32) uint32 {
	for _, code := range codes {
		if code != 0 {
			return code
		}
	}
	return 0
}

// when is the code if the condition holds.
func when(condition bool, code uint32) uint32 {
	if condition {
		return code
	}
	return 0
}

// inParameter puts a bare code into parameter n, success left alone.
func inParameter(rc tpm2.TPMRC, n int) uint32 { return when(rc != 0, parameter(rc, n)) }
