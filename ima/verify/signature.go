package verify

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"

	"filippo.io/mldsa"

	"github.com/swtpmd/swtpmd/ima"
)

// signature reads a quote's signature in either form.
func (q *Quote) signature(attest *Attest) (*Signature, error) {
	switch key := q.Key.(type) {
	case *rsa.PublicKey:
		if len(q.Signature) == key.Size() {
			return plainRSA(q, key, attest), nil
		}
	case *mldsa.PublicKey:
		if len(q.Signature) == key.Parameters().SignatureSize() {
			return &Signature{AlgID: algMLDSA, MLDSA: q.Signature}, nil
		}
	case *ecdsa.PublicKey:
		if len(q.Signature) > 0 && q.Signature[0] == 0x30 {
			return plainECDSA(q.Signature, attest)
		}
	}
	return ParseSignature(q.Signature)
}

// plainRSA takes the bytes of an RSA signature as "tpm2_quote -f plain" writes
// them, as many as the modulus has. Of which scheme they are is found out, and
// that of one that is wrong cannot be known.
func plainRSA(q *Quote, key *rsa.PublicKey, attest *Attest) *Signature {
	s := &Signature{AlgID: algRSAPSS, HashID: plainHash(attest), RSA: q.Signature}
	if s.verify(key, q.Attest) != nil {
		s.AlgID = algRSASSA
	}
	return s
}

// plainECDSA reads the DER of r and s (RFC 3279, section 2.2.3), which
// "tpm2_quote -f plain" writes of ECDSA.
func plainECDSA(b []byte, attest *Attest) (*Signature, error) {
	var numbers struct{ R, S *big.Int }
	rest, err := asn1.Unmarshal(b, &numbers)
	switch {
	case err != nil:
	case len(rest) > 0:
		err = fmt.Errorf("%d bytes follow", len(rest))
	case numbers.R.Sign() <= 0 || numbers.S.Sign() <= 0 || numbers.R.BitLen() > 8*eccMax || numbers.S.BitLen() > 8*eccMax:
		err = errors.New("r or s is not from 1 to the order of a curve")
	}
	if err != nil {
		return nil, &AttestError{Structure: "ECDSA signature in DER", Item: "r and s", Err: err}
	}
	return &Signature{AlgID: algECDSA, HashID: plainHash(attest), R: numbers.R.Bytes(), S: numbers.S.Bytes()}, nil
}

// plainHash is the TPM_ALG_ID of the hash of a plain signature, which does not
// say it: TPM2_Quote computes the digest of the PCRs with the same (Part 3,
// section "TPM2_Quote"). It is 0 for a size that no quote has that is taken.
func plainHash(attest *Attest) uint16 {
	for _, h := range []ima.HashAlgo{ima.SHA256, ima.SHA384, ima.SHA512} {
		if h.Size() == len(attest.PCRDigest) {
			return ima.BankOf(h).AlgID
		}
	}
	return 0
}
