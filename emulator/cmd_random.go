package emulator

import (
	"fmt"
	"io"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Random Number Generator".

// maxStir is the size in bytes of a TPM2B_SENSITIVE_DATA, which bounds
// TPM2_StirRandom.
const maxStir = 128

// getRandom is TPM2_GetRandom: at most as many bytes as the largest digest has.
func (t *TPM) getRandom(c *call) wire.RC {
	n := int(c.u16())
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	var b [wire.MaxDigest]byte
	n = min(n, t.algs.Selectors().LargestDigest())
	t.drbg().Read(b[:n])
	c.out.Sized(b[:n])
	return wire.RCSuccess
}

// stirRandom is TPM2_StirRandom: a reseed from the platform's entropy, with the
// data as additional input.
func (t *TPM) stirRandom(c *call) wire.RC {
	data := c.sized(maxStir)
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	var seed [crypt.DRBGSeedSize]byte
	if _, err := io.ReadFull(t.platform.Entropy, seed[:]); err != nil {
		t.fail(failEntropy, fmt.Errorf("read entropy: %w", err))
		return wire.RCFailure
	}
	t.drbg().Reseed(&seed, data)
	return wire.RCSuccess
}
