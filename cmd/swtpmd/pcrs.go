package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/transport"
)

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
	case errors.Is(err, wire.RCInitialize):
		return nil, fmt.Errorf("the TPM has had no TPM2_Startup, which a guest's firmware sends: wait for it, or run tpm2_startup -c: %w", err)
	}
	return values, err
}

// readPCRs reads every PCR of every allocated bank.
func readPCRs(ctx context.Context, device transport.Device) (control.PCRs, error) {
	tpm := client{ctx, device}
	banks, err := tpm.banks()
	if err != nil {
		return nil, err
	}
	values := control.PCRs{}
	for _, bank := range banks {
		read, err := tpm.readBank(bank)
		if err != nil {
			return nil, err
		}
		name := bankName(bank.hash)
		values[name] = make(map[int]string)
		for pcr, value := range read {
			values[name][pcr] = hex.EncodeToString(value)
		}
	}
	return values, nil
}

// readBank reads the PCRs that bank selects. The TPM gives at most eight at a
// time and says which (TPM 2.0 Library Part 3, section "TPM2_PCR_Read").
func (c client) readBank(bank selection) (map[int][]byte, error) {
	values := make(map[int][]byte)
	left := selection{bank.hash, slices.Clone(bank.bits)}
	for !left.empty() {
		read, err := c.read(left)
		if err != nil {
			return nil, fmt.Errorf("PCRs of %s: %w", bankName(bank.hash), err)
		}
		for pcr, value := range read {
			if pcr/8 >= len(left.bits) || left.bits[pcr/8]>>(pcr%8)&1 == 0 {
				return nil, fmt.Errorf("PCRs of %s: the TPM reads PCR %d, which it was not asked for", bankName(bank.hash), pcr)
			}
			left.bits[pcr/8] &^= 1 << (pcr % 8)
			values[pcr] = value
		}
	}
	return values, nil
}

// bankName is the kernel's spelling of a bank's hash algorithm (crypto/hash_info.c),
// or tpm_alg_ and the number, as in the names of the lists.
func bankName(alg wire.AlgID) string {
	if hash, ok := ima.HashByAlgID(uint16(alg)); ok {
		return hash.String()
	}
	return fmt.Sprintf("tpm_alg_%x", uint16(alg))
}
