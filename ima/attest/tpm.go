// Package attest makes a [transport.Device] the TPM of an embedded IMA, and reads
// from it what an attestation service is sent besides the measurement list: the
// values of the PCRs, and a quote of them.
package attest

import (
	"context"
	"fmt"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/ask"
)

// TPM is a Device as an embedded IMA sees it. It implements measure.TPM.
type TPM struct {
	ctx   context.Context
	tpm   ask.TPM
	banks []ima.Bank
}

// New asks the device for its banks. A bank counts as allocated if it has any PCR,
// as for the kernel (drivers/char/tpm/tpm2-cmd.c, tpm2_get_pcr_allocation). The TPM
// must have been started up. Every command is sent with ctx.
func New(ctx context.Context, device transport.Device) (*TPM, error) {
	t := &TPM{ctx: ctx, tpm: ask.TPM{Device: device}}
	allocated, err := t.tpm.Banks(ctx)
	if err != nil {
		return nil, err
	}
	for _, bank := range allocated {
		// A PCR shows how long the digests are, whatever the hash is.
		first := bank.PCRs()[0]
		read, err := t.tpm.ReadPCRs(ctx, ask.Select(bank.Hash, first))
		if err != nil {
			return nil, fmt.Errorf("PCRs of %s: %w", bankName(bank.Hash), err)
		}
		t.banks = append(t.banks, ima.BankByAlgID(uint16(bank.Hash), len(read[first])))
	}
	return t, nil
}

// Banks returns the allocated banks in the TPM's order.
func (t *TPM) Banks() []ima.Bank { return t.banks }

// ReadPCR reads one PCR of one bank.
func (t *TPM) ReadPCR(bank ima.Bank, index int) ([]byte, error) {
	read, err := t.tpm.ReadPCRs(t.ctx, ask.Select(wire.AlgID(bank.AlgID), index))
	if err != nil {
		return nil, fmt.Errorf("PCR %d of %s: %w", index, bank, err)
	}
	return read[index], nil
}

// PCRExtend extends one PCR in every bank. digests are in the order of Banks.
func (t *TPM) PCRExtend(index int, digests [][]byte) error {
	var values []wire.HA
	for i, bank := range t.banks {
		values = append(values, wire.HA{Hash: wire.AlgID(bank.AlgID), Digest: digests[i]})
	}
	return t.tpm.Extend(t.ctx, index, values)
}

// PCRs reads every PCR of every bank.
func (t *TPM) PCRs() (ima.PCRs, error) { return ReadPCRs(t.ctx, t.tpm.Device) }

// ReadPCRs reads every PCR of every allocated bank of a device.
func ReadPCRs(ctx context.Context, device transport.Device) (ima.PCRs, error) {
	tpm := ask.TPM{Device: device}
	banks, err := tpm.Banks(ctx)
	if err != nil {
		return nil, err
	}
	pcrs := ima.PCRs{}
	for _, bank := range banks {
		name := bankName(bank.Hash)
		values, err := tpm.ReadPCRs(ctx, bank)
		if err != nil {
			return nil, fmt.Errorf("PCRs of %s: %w", name, err)
		}
		algo, err := ima.ParseHashAlgo(name)
		if err != nil {
			return nil, err
		}
		pcrs[algo] = make(map[int]ima.Hex)
		for pcr, value := range values {
			pcrs[algo][pcr] = value
		}
	}
	return pcrs, nil
}

// bankName is the kernel's spelling of a bank's hash algorithm (crypto/hash_info.c),
// or tpm_alg_ and the number, as in the names of the lists.
func bankName(alg wire.AlgID) string {
	if hash, ok := ima.HashByAlgID(uint16(alg)); ok {
		return hash.String()
	}
	return fmt.Sprintf("tpm_alg_%x", uint16(alg))
}
