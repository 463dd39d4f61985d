package reference

import (
	"bytes"
	"errors"
)

// SeedSize is the size of a primary seed in both references, in bytes.
const SeedSize = 64

// Seeds are the primary seeds of a TPM (TPM 2.0 Library Part 1, section
// "Primary Seed Properties"). Two TPMs with the same seeds make the same
// primary keys, if they derive keys in the same way.
type Seeds struct {
	Endorsement, Storage, Platform [SeedSize]byte
}

// errNoSeeds is a layout of persistent data that is not the expected one.
var errNoSeeds = errors.New("reference: no primary seeds in the persistent data; this is another version of the TPM than the ones known here")

// The persistent data of both references has six sized buffers of 64 bytes in
// a row: the three seeds, endorsement first, and the three proofs. They differ
// in the byte order of the sizes.
const (
	sizedSeed    = 2 + SeedSize
	seedsAndMore = 6 * sizedSeed
)

// replaceSeeds puts seeds where persistent data has them; size is that of a
// seed as the data has it.
func replaceSeeds(data []byte, size [2]byte, seeds Seeds) error {
	for at := 0; at+seedsAndMore <= len(data); at++ {
		if !isRowOfSeeds(data[at:at+seedsAndMore], size) {
			continue
		}
		for i, seed := range [...]*[SeedSize]byte{&seeds.Endorsement, &seeds.Storage, &seeds.Platform} {
			copy(data[at+i*sizedSeed+2:], seed[:])
		}
		return nil
	}
	return errNoSeeds
}

func isRowOfSeeds(row []byte, size [2]byte) bool {
	for ; len(row) > 0; row = row[sizedSeed:] {
		if !bytes.HasPrefix(row, size[:]) {
			return false
		}
	}
	return true
}
