package main

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/transport"
)

// chip is a Device as the embedded IMA sees a TPM.
type chip struct {
	tpm   client
	banks []ima.Bank
}

// newChip asks the TPM for its banks. A bank counts as allocated if it has any
// PCR, as the kernel sees it (drivers/char/tpm/tpm2-cmd.c:
// tpm2_get_pcr_allocation).
func newChip(ctx context.Context, device transport.Device) (*chip, error) {
	c := &chip{tpm: client{ctx, device}}
	allocated, err := c.tpm.banks()
	if err != nil {
		return nil, err
	}
	for _, bank := range allocated {
		// A PCR shows how long the digests are, whatever the hash is.
		read, err := c.tpm.read(selected(bank.hash, bank.pcrs()[0]))
		if err != nil {
			return nil, fmt.Errorf("PCRs of %s: %w", bankName(bank.hash), err)
		}
		c.banks = append(c.banks, ima.BankByAlgID(uint16(bank.hash), len(read[bank.pcrs()[0]])))
	}
	return c, nil
}

// Banks gives the allocated banks in the TPM's order.
func (c *chip) Banks() []ima.Bank { return c.banks }

// ReadPCR reads one PCR of one bank.
func (c *chip) ReadPCR(bank ima.Bank, index int) ([]byte, error) {
	read, err := c.tpm.read(selected(wire.AlgID(bank.AlgID), index))
	if err != nil {
		return nil, fmt.Errorf("PCR %d of %s: %w", index, bank, err)
	}
	return read[index], nil
}

// PCRExtend extends one PCR in every bank.
func (c *chip) PCRExtend(index int, digests [][]byte) error {
	var values []wire.HA
	for i, bank := range c.banks {
		values = append(values, wire.HA{Hash: wire.AlgID(bank.AlgID), Digest: digests[i]})
	}
	return c.tpm.extend(index, values)
}

// pcrs reads every PCR of every bank, in the form that verifiers read.
func (c *chip) pcrs() (ima.PCRs, error) {
	values, err := readPCRs(c.tpm.ctx, c.tpm.device)
	if err != nil {
		return nil, err
	}
	// Both have the same JSON: bank to index to hex.
	text, err := json.Marshal(values)
	if err != nil {
		return nil, err
	}
	var pcrs ima.PCRs
	return pcrs, json.Unmarshal(text, &pcrs)
}
