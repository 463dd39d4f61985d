package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"fmt"

	"github.com/google/go-tpm/tpm2"
)

// attestation is a quote and what verifies it.
type attestation struct {
	attest, signature []byte // TPMS_ATTEST, TPMT_SIGNATURE
	key               []byte // public key, PEM
}

// quotedPCRs are the PCRs of the quote: those of the measured boot, and IMA's.
func quotedPCRs(measurePCR int) []uint {
	pcrs := []uint{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10}
	if measurePCR > 10 {
		pcrs = append(pcrs, uint(measurePCR))
	}
	return pcrs
}

// nonceMax is how long a nonce may be: TPM2B_DATA holds a TPMT_HA, the number of
// an algorithm and the largest digest that the TPM has (Part 2, "TPM2B_DATA"). A
// TPM that does not tell has SHA-512's, the largest there is.
func (c *chip) nonceMax() int {
	const algorithm, sha512 = 2, 64
	told, err := tpm2.GetCapability{
		Capability: tpm2.TPMCapTPMProperties, Property: uint32(tpm2.TPMPTMaxDigest), PropertyCount: 1,
	}.Execute(c.tpm)
	if err != nil {
		return algorithm + sha512
	}
	properties, err := told.CapabilityData.Data.TPMProperties()
	if err != nil || len(properties.TPMProperty) == 0 || properties.TPMProperty[0].Property != tpm2.TPMPTMaxDigest {
		return algorithm + sha512
	}
	return algorithm + int(min(properties.TPMProperty[0].Value, sha512))
}

// quote has the TPM sign PCR 0 to 10 and IMA's of every bank with a key that it makes for
// this: a restricted P-256 key in the owner hierarchy, gone afterwards.
func (c *chip) quote(nonce []byte, measurePCR int) (*attestation, error) {
	primary, err := tpm2.CreatePrimary{
		PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)},
		InPublic:      tpm2.New2B(attestationKey()),
	}.Execute(c.tpm)
	if err != nil {
		return nil, fmt.Errorf("an attestation key: %w", err)
	}
	defer func() { _, _ = tpm2.FlushContext{FlushHandle: primary.ObjectHandle}.Execute(c.tpm) }()
	public, err := primary.OutPublic.Contents()
	if err != nil {
		return nil, err
	}
	request := tpm2.Quote{
		SignHandle:     tpm2.AuthHandle{Handle: primary.ObjectHandle, Name: primary.Name, Auth: tpm2.PasswordAuth(nil)},
		QualifyingData: tpm2.TPM2BData{Buffer: nonce},
		InScheme:       tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
	}
	for _, bank := range c.banks {
		request.PCRSelect.PCRSelections = append(request.PCRSelect.PCRSelections, tpm2.TPMSPCRSelection{
			Hash: tpm2.TPMAlgID(bank.AlgID), PCRSelect: tpm2.PCClientCompatible.PCRs(quotedPCRs(measurePCR)...),
		})
	}
	quote, err := request.Execute(c.tpm)
	if err != nil {
		return nil, fmt.Errorf("a quote: %w", err)
	}
	key, err := publicPEM(public)
	if err != nil {
		return nil, err
	}
	return &attestation{attest: quote.Quoted.Bytes(), signature: tpm2.Marshal(quote.Signature), key: key}, nil
}

func attestationKey() tpm2.TPMTPublic {
	return tpm2.TPMTPublic{
		Type:    tpm2.TPMAlgECC,
		NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{
			FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true,
			Restricted: true, SignEncrypt: true,
			// Its auth value is empty: there is nothing to guess, and a TPM
			// need not write down that it was used.
			NoDA: true,
		},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{
			Scheme: tpm2.TPMTECCScheme{
				Scheme:  tpm2.TPMAlgECDSA,
				Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgECDSA, &tpm2.TPMSSigSchemeECDSA{HashAlg: tpm2.TPMAlgSHA256}),
			},
			CurveID: tpm2.TPMECCNistP256,
		}),
	}
}

func publicPEM(public *tpm2.TPMTPublic) ([]byte, error) {
	point, err := public.Unique.ECC()
	if err != nil {
		return nil, err
	}
	var key crypto.PublicKey
	key, err = ecdsa.ParseUncompressedPublicKey(elliptic.P256(), uncompressed(point, 32))
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
func uncompressed(point *tpm2.TPMSECCPoint, size int) []byte {
	out := make([]byte, 1+2*size)
	out[0] = 4
	copy(out[1+size-min(size, len(point.X.Buffer)):], point.X.Buffer)
	copy(out[1+2*size-min(size, len(point.Y.Buffer)):], point.Y.Buffer)
	return out
}
