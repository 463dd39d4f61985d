package faults

import (
	"strings"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// bank is a PCR bank.
type bank struct {
	name string
	alg  wire.AlgID
	size int // of a digest, in bytes
}

// banks are those that a TPM may have (TCG Algorithm Registry, "Hash Algorithms").
var banks = [...]bank{
	{"sha1", wire.AlgSHA1, 20}, {"sha256", wire.AlgSHA256, 32}, {"sha384", wire.AlgSHA384, 48}, {"sha512", wire.AlgSHA512, 64},
	{"sm3_256", wire.AlgSM3_256, 32}, {"sha3_256", wire.AlgSHA3_256, 32}, {"sha3_384", wire.AlgSHA3_384, 48}, {"sha3_512", wire.AlgSHA3_512, 64},
}

// bankByName returns the bank with a name. It has no alg if there is none.
func bankByName(name string) (b bank) {
	for _, b := range banks {
		if b.name == name {
			return b
		}
	}
	return b
}

// bankOf returns the bank of a hash algorithm. It has no name if there is none.
func bankOf(alg wire.AlgID) (b bank) {
	for _, b := range banks {
		if b.alg == alg {
			return b
		}
	}
	return b
}

// bankNames are the names, for errors.
func bankNames() string {
	var names []string
	for _, b := range banks {
		names = append(names, b.name)
	}
	return strings.Join(names, ", ")
}
