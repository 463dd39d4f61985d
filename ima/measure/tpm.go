package measure

import "github.com/swtpmd/swtpmd/ima"

// Extender is the TPM as the measurement list needs it.
type Extender interface {
	// PCRExtend is one TPM2_PCR_Extend of PCR index: digests has one digest
	// for each of the TPM's banks, in their order, each of the bank's size.
	// The digests must not be kept. The error's ErrnoResult is the number that the
	// kernel's log shows, -5 (EIO) if it has none.
	PCRExtend(index int, digests [][]byte) error
}

// TPM is the chip that IMA finds, or does not find, when it starts.
type TPM interface {
	// Banks returns the allocated PCR banks in the TPM's order.
	Banks() []ima.Bank
	ima.PCRReader
	Extender
}

// ErrnoResult is implemented by an error of an Extender that knows the number
// that the kernel would have got: a negative errno, or a positive TPM response
// code.
type ErrnoResult interface {
	ErrnoResult() int
}
