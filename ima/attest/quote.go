package attest

import (
	"fmt"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport/ask"
)

// Quote is a quote and the key that verifies it.
type Quote struct {
	Attest    []byte // TPMS_ATTEST, big-endian
	Signature []byte // TPMT_SIGNATURE, big-endian
	Key       []byte // public key, SubjectPublicKeyInfo in PEM
}

// quotedPCRs are the PCRs of the quote: those of the measured boot, and IMA's.
func quotedPCRs(measurePCR int) []int {
	pcrs := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	if measurePCR > 10 {
		pcrs = append(pcrs, measurePCR)
	}
	return pcrs
}

// NonceMax returns the largest size of a nonce in bytes: TPM2B_DATA holds a TPMT_HA,
// the number of an algorithm and the largest digest that the TPM has (TPM 2.0
// Library Part 2, "TPM2B_DATA"). A TPM that does not tell has SHA-512's, the largest
// there is.
func (t *TPM) NonceMax() int {
	const algorithm, sha512 = 2, 64
	largest, err := t.tpm.Property(t.ctx, wire.PTMaxDigest)
	if err != nil {
		return algorithm + sha512
	}
	return algorithm + int(min(largest, sha512))
}

// Quote has the TPM sign PCR 0 to 10 and IMA's of every bank with a key that it makes
// for this: a restricted one in the owner hierarchy, gone afterwards.
func (t *TPM) Quote(kind AttestationKey, nonce []byte, measurePCR int) (*Quote, error) {
	if int(kind) >= len(kinds) {
		return nil, &KeyNameError{kind.String()}
	}
	template := wire.NewWriter(nil)
	template.Public(kind.template())
	handle, public, err := t.tpm.CreatePrimary(t.ctx, wire.RHOwner, template.Data())
	if err != nil {
		return nil, fmt.Errorf("an attestation key: %w", err)
	}
	defer func() { _ = t.tpm.Flush(t.ctx, handle) }()
	key, err := kind.publicPEM(public)
	if err != nil {
		return nil, err
	}
	var pcrs []ask.Selection
	for _, bank := range t.banks {
		pcrs = append(pcrs, ask.Select(wire.AlgID(bank.AlgID), quotedPCRs(measurePCR)...))
	}
	attest, signature, err := t.tpm.Quote(t.ctx, handle, nonce, pcrs)
	if err != nil {
		return nil, fmt.Errorf("a quote: %w", err)
	}
	return &Quote{Attest: attest, Signature: signature, Key: key}, nil
}
