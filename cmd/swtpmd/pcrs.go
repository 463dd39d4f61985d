package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/transport"
)

// client lets go-tpm speak to a Device at locality 0.
type client struct {
	ctx    context.Context
	device transport.Device
}

func (c client) Send(command []byte) ([]byte, error) { return c.device.Send(c.ctx, 0, command) }

// pcrs is readPCRs of a running daemon's TPM, with errors for somebody who can
// start a guest and not call a function.
func (d *daemon) pcrs(ctx context.Context) (control.PCRs, error) {
	values, err := readPCRs(ctx, d.tpm)
	switch {
	case errors.Is(err, emulator.ErrNoPower):
		ways := []string{"start the guest"}
		for _, e := range d.set.control {
			if e.network == "unix" {
				ways = append(ways, "run swtpm_ioctl --unix "+shellQuote(e.address)+" -i")
				break
			}
		}
		ways = append(ways, "begin with --flags=startup-clear")
		return nil, errors.New("the TPM has no power: " + strings.Join(ways, ", or "))
	case errors.Is(err, tpm2.TPMRCInitialize):
		return nil, fmt.Errorf("the TPM has had no TPM2_Startup, which a guest's firmware sends: wait for it, or run tpm2_startup -c: %w", err)
	}
	return values, err
}

// readPCRs reads every PCR of every allocated bank.
func readPCRs(ctx context.Context, device transport.Device) (control.PCRs, error) {
	tpm := client{ctx, device}
	banks, err := allocatedBanks(tpm)
	if err != nil {
		return nil, err
	}
	values := control.PCRs{}
	for _, bank := range banks {
		if err := readBank(tpm, bank, values); err != nil {
			return nil, err
		}
	}
	return values, nil
}

// allocatedBanks lists the banks that have any PCR.
func allocatedBanks(tpm client) ([]tpm2.TPMSPCRSelection, error) {
	capability, err := tpm2.GetCapability{Capability: tpm2.TPMCapPCRs, PropertyCount: 1}.Execute(tpm)
	if err != nil {
		return nil, fmt.Errorf("which banks the TPM has: %w", err)
	}
	banks, err := capability.CapabilityData.Data.AssignedPCR()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(banks.PCRSelections, func(bank tpm2.TPMSPCRSelection) bool { return empty(bank.PCRSelect) }), nil
}

// readBank reads the PCRs that bank selects. The TPM gives at most eight at a
// time and says which (TPM 2.0 Library Part 3, section "TPM2_PCR_Read").
func readBank(tpm client, bank tpm2.TPMSPCRSelection, values control.PCRs) error {
	name, err := bankName(bank.Hash)
	if err != nil {
		return err
	}
	left := append([]byte(nil), bank.PCRSelect...)
	for !empty(left) {
		read, err := tpm2.PCRRead{PCRSelectionIn: tpm2.TPMLPCRSelection{
			PCRSelections: []tpm2.TPMSPCRSelection{{Hash: bank.Hash, PCRSelect: left}},
		}}.Execute(tpm)
		if err != nil {
			return fmt.Errorf("PCRs of %s: %w", name, err)
		}
		digests := read.PCRValues.Digests
		if len(digests) == 0 || len(read.PCRSelectionOut.PCRSelections) != 1 {
			return fmt.Errorf("PCRs of %s: the TPM reads none of %x", name, left)
		}
		for i, b := range read.PCRSelectionOut.PCRSelections[0].PCRSelect {
			for bit := range 8 {
				if b&(1<<bit) == 0 || len(digests) == 0 {
					continue
				}
				if values[name] == nil {
					values[name] = map[int]string{}
				}
				values[name][8*i+bit] = hex.EncodeToString(digests[0].Buffer)
				digests = digests[1:]
				left[i] &^= 1 << bit
			}
		}
	}
	return nil
}

func empty(selection []byte) bool {
	for _, b := range selection {
		if b != 0 {
			return false
		}
	}
	return true
}

// bankName is the kernel's spelling of a bank's hash algorithm (crypto/hash_info.c).
func bankName(alg tpm2.TPMAlgID) (string, error) {
	hash, err := alg.Hash()
	if err != nil {
		return "", err
	}
	return strings.Replace(strings.ToLower(hash.String()), "sha-", "sha", 1), nil
}
