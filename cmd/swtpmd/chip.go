package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/google/go-tpm/tpm2"

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
	allocated, err := allocatedBanks(c.tpm)
	if err != nil {
		return nil, err
	}
	for _, bank := range allocated {
		hash, err := bank.Hash.Hash()
		if err != nil {
			return nil, err
		}
		c.banks = append(c.banks, ima.BankByAlgID(uint16(bank.Hash), hash.Size()))
	}
	return c, nil
}

// Banks gives the allocated banks in the TPM's order.
func (c *chip) Banks() []ima.Bank { return c.banks }

// ReadPCR reads one PCR of one bank.
func (c *chip) ReadPCR(bank ima.Bank, index int) ([]byte, error) {
	selection := make([]byte, 3)
	selection[index/8] |= 1 << (index % 8)
	read, err := tpm2.PCRRead{PCRSelectionIn: tpm2.TPMLPCRSelection{
		PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgID(bank.AlgID), PCRSelect: selection}},
	}}.Execute(c.tpm)
	if err != nil {
		return nil, err
	}
	if len(read.PCRValues.Digests) != 1 {
		return nil, fmt.Errorf("PCR %d of %s: the TPM gives %d values", index, bank, len(read.PCRValues.Digests))
	}
	return read.PCRValues.Digests[0].Buffer, nil
}

// PCRExtend extends one PCR in every bank.
func (c *chip) PCRExtend(index int, digests [][]byte) error {
	extend := tpm2.PCRExtend{
		PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(index), Auth: tpm2.PasswordAuth(nil)},
	}
	for i, bank := range c.banks {
		extend.Digests.Digests = append(extend.Digests.Digests, tpm2.TPMTHA{
			HashAlg: tpm2.TPMIAlgHash(bank.AlgID), Digest: bytes.Clone(digests[i]),
		})
	}
	_, err := extend.Execute(c.tpm)
	return err
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
