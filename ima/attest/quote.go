package attest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport/ask"
)

// Quote is a quote and the key that verifies it.
type Quote struct {
	Attest    []byte // TPMS_ATTEST, big-endian
	Signature []byte // TPMT_SIGNATURE, big-endian
	Key       []byte // public key, PEM
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
// for this: a restricted P-256 key in the owner hierarchy, gone afterwards.
func (t *TPM) Quote(nonce []byte, measurePCR int) (*Quote, error) {
	template := wire.NewWriter(nil)
	template.Public(attestationKey())
	handle, public, err := t.tpm.CreatePrimary(t.ctx, wire.RHOwner, template.Data())
	if err != nil {
		return nil, fmt.Errorf("an attestation key: %w", err)
	}
	defer func() { _ = t.tpm.Flush(t.ctx, handle) }()
	key, err := publicPEM(public)
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

// noScheme is TPM_ALG_NULL in place of an algorithm.
var noScheme = wire.Scheme{Alg: wire.AlgNull, Hash: wire.AlgNull}

func attestationKey() *wire.Public {
	return &wire.Public{
		NameAlg: wire.AlgSHA256,
		// Its authValue is empty: there is nothing to guess, and a TPM need not
		// write down that it was used.
		Attributes: wire.ObjectFixedTPM | wire.ObjectFixedParent | wire.ObjectSensitiveDataOrigin | wire.ObjectUserWithAuth |
			wire.ObjectRestricted | wire.ObjectSignEncrypt | wire.ObjectNoDA,
		Parms: wire.PublicParms{
			Type: wire.AlgECC, Sym: wire.SymDef{Alg: wire.AlgNull},
			Scheme: wire.Scheme{Alg: wire.AlgECDSA, Hash: wire.AlgSHA256},
			Curve:  wire.CurveNISTP256, KDF: noScheme,
		},
	}
}

// publicPEM takes a TPMT_PUBLIC of the key's template.
func publicPEM(area []byte) ([]byte, error) {
	w := wire.NewWriter(nil)
	w.Public(attestationKey())
	head := w.Len() - 2 - 2 // before the point, which is empty there
	r := wire.NewReader(area, nil)
	r.Bytes(head)
	var point wire.ECPoint
	r.Point(&point)
	if r.RC() != wire.RCSuccess || r.Len() != 0 {
		return nil, &ask.ResponseError{Command: "TPM2_CreatePrimary", Reason: "the public area is no P-256 key"}
	}
	key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), uncompressed(&point, 32))
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), nil
}

// uncompressed is the point as SEC 1 writes it: 4, x, y, each of size bytes. A
// TPM may leave out zeros at the front.
func uncompressed(point *wire.ECPoint, size int) []byte {
	out := make([]byte, 1+2*size)
	out[0] = 4
	copy(out[1+size-min(size, len(point.X)):], point.X)
	copy(out[1+2*size-min(size, len(point.Y)):], point.Y)
	return out
}
