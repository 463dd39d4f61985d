package verify

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"filippo.io/mldsa"

	"github.com/swtpmd/swtpmd/ima"
)

// Quote is the answer of TPM2_Quote, with what is needed to verify it.
type Quote struct {
	// Attest is the TPMS_ATTEST, Signature the TPMT_SIGNATURE; or, as
	// "tpm2_quote -f plain" writes it, the bytes of an RSA signature or the
	// DER of an ECDSA one; or the bytes of an ML-DSA one.
	Attest, Signature []byte
	// Key is the public key: an *rsa.PublicKey, an *ecdsa.PublicKey on P-256 or
	// P-384, or a *mldsa.PublicKey of filippo.io/mldsa. That it belongs to a TPM, and restricts what it signs
	// to what a TPM made, is for who gives it to know.
	Key crypto.PublicKey
	// Nonce is the qualifyingData that the caller asked with. Nil: it is not
	// known, so that the quote may be an old one.
	Nonce []byte
}

// QuoteInfo is the content of a quote.
type QuoteInfo struct {
	Attest
	// Scheme names scheme and hash of the signature, such as "ECDSA sha256"; of
	// ML-DSA scheme and parameter set, such as "ML-DSA-65".
	Scheme string `json:"scheme"`
	// Verified reports that signature and PCR values are right, and the nonce if
	// it was given.
	Verified bool `json:"verified"`
}

// KeyError reports that a key is not of a kind that is taken.
type KeyError struct {
	Kind string
}

func (e *KeyError) Error() string {
	return fmt.Sprintf("key of the quote: %s; taken are RSA, ECDSA on P-256 and P-384, and ML-DSA", e.Kind)
}

func (q *Quote) checkKey() error {
	switch key := q.Key.(type) {
	case nil:
		return &KeyError{"there is none"}
	case *rsa.PublicKey, *mldsa.PublicKey:
		return nil
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() || key.Curve == elliptic.P384() {
			return nil
		}
		return &KeyError{"ECDSA on " + key.Curve.Params().Name}
	}
	return &KeyError{fmt.Sprintf("%T", q.Key)}
}

// quote checks the quote and notes which PCRs it covers. The error is that of a
// quote that cannot be read.
func (r *run) quote() error {
	q := r.evidence.Quote
	if q == nil {
		return nil
	}
	attest, err := ParseAttest(q.Attest)
	if err != nil {
		code := QuoteUnreadable
		if errors.Is(err, ErrNotGenerated) || errors.Is(err, ErrNotQuote) {
			code = QuoteForeign
		}
		r.add(code, "The quote is not one: %v.", err)
		return err
	}
	info := &QuoteInfo{Attest: *attest}
	r.verdict.Quote = info
	signature, err := q.signature(attest)
	if err != nil {
		r.add(QuoteUnreadable, "The signature of the quote is not one: %v.", err)
		return err
	}
	info.Scheme = signature.String()
	r.concludeQuote(q, info, signature)
	return nil
}

func (r *run) concludeQuote(q *Quote, info *QuoteInfo, signature *Signature) {
	if err := signature.verify(q.Key, q.Attest); err != nil {
		r.add(QuoteSignature, "The signature of the quote is wrong: %v.", err)
		return
	}
	if !info.Clock.Safe {
		r.add(QuoteClockUnsafe, "The TPM's clock is not safe: after an unorderly shutdown it may repeat values.")
	}
	switch {
	case q.Nonce == nil:
		r.add(QuoteNonceUnchecked, "The nonce is not known with which the quote was asked for, so it may be an old one.")
	case !bytes.Equal(q.Nonce, info.ExtraData):
		r.add(QuoteNonce, "The quote has the nonce %s, it was asked for with %x: it is another one, or an old one.", info.ExtraData, q.Nonce)
		return
	}
	hash := signature.pcrHash(&info.Attest)
	if hash == 0 {
		r.add(QuoteDigest, "The quote has a digest of %d bytes of the PCR values; it has to be one of sha256, sha384 or sha512.", len(info.PCRDigest))
		return
	}
	digest, missing := quoteDigest(r.evidence.PCRs, info.Selections, hash)
	switch {
	case missing != nil:
		r.add(QuotePCRsMissing, "The quote is of PCRs whose values were not given (PCR %s of bank %s), so its digest shows nothing.", rangesText(missing.PCRs), bankOrID(missing)).about(missing.Bank, missing.PCRs...)
	case !bytes.Equal(digest, info.PCRDigest):
		r.add(QuoteDigest, "The PCR values are not those that the TPM has quoted.")
	default:
		info.Verified = true
		r.add(QuoteVerified, "The quote is signed with the key given (%s), and of the PCR values given.", info.Scheme)
		r.cover(info.Selections)
	}
}

func bankOrID(s *Selection) string {
	if s.Bank == 0 {
		return fmt.Sprintf("TPM_ALG_ID 0x%04x", s.AlgID)
	}
	return s.Bank.String()
}

// quoteDigest computes the digest of the selected PCRs (TPM 2.0 Library Part 1,
// section "Selecting Multiple PCR"): their values in the order of the
// selections, and from the lowest PCR on in each. missing has those of a bank
// that were not given.
func quoteDigest(pcrs ima.PCRs, selections []Selection, hash crypto.Hash) (digest []byte, missing *Selection) {
	h := hash.New()
	for _, s := range selections {
		if _, lacking := pcrsOf(pcrs, s.Bank, s.PCRs); len(lacking) > 0 {
			return nil, &Selection{AlgID: s.AlgID, Bank: s.Bank, PCRs: lacking}
		}
		for _, pcr := range s.PCRs {
			h.Write(pcrs[s.Bank][pcr])
		}
	}
	return h.Sum(nil), nil
}

// cover notes the PCRs that a quote covers.
func (r *run) cover(selections []Selection) {
	r.quoted = make(map[ima.HashAlgo][]int)
	for _, s := range selections {
		r.quoted[s.Bank] = append(r.quoted[s.Bank], s.PCRs...)
	}
}

func (r *run) covered(bank ima.HashAlgo, pcr int) bool { return slices.Contains(r.quoted[bank], pcr) }

// concludeSource says what vouches for the PCR values that count.
func (r *run) concludeSource() {
	switch {
	case len(r.evidence.PCRs) == 0:
		return
	case r.evidence.Vouched:
		r.add(PCRsVouched, "The PCR values are vouched for by who gave them.")
		return
	case len(r.quoted) == 0:
		r.add(PCRsUnquoted, "No quote covers the PCR values, so anybody can have made them.")
		return
	}
	open := make(map[ima.HashAlgo][]int)
	need := func(bank ima.HashAlgo, pcrs ...int) {
		for _, pcr := range pcrs {
			if !r.covered(bank, pcr) && !slices.Contains(open[bank], pcr) {
				open[bank] = append(open[bank], pcr)
			}
		}
	}
	for i := range r.verdict.Aggregates {
		need(r.verdict.Aggregates[i].Bank, r.verdict.Aggregates[i].PCRs...)
	}
	for _, row := range r.verdict.Replays {
		if !row.aside {
			need(row.Bank, row.PCR)
		}
	}
	for _, bank := range sortedKeys(open) {
		slices.Sort(open[bank])
		r.add(PCRsUnquoted, "The quote does not cover PCR %s of bank %s, so anybody can have made these values.", rangesText(open[bank]), bank).about(bank, open[bank]...)
	}
}

// hash returns the hash of a signature, 0 if it is not taken.
func (s *Signature) hash() crypto.Hash { return hashOf(s.HashID) }

// pcrHash returns the hash of the digest of the PCRs: that of the signature. The
// scheme of ML-DSA has none, so it is the nameAlg of the key (TPM 2.0 Library version
// 185, errata 1, 2.6), which the size of the digest shows. It is 0 if there is none of
// that size.
func (s *Signature) pcrHash(attest *Attest) crypto.Hash {
	if s.AlgID == algMLDSA {
		return hashOf(plainHash(attest))
	}
	return s.hash()
}

func hashOf(id uint16) crypto.Hash {
	switch bankByAlgID(id) {
	case ima.SHA256:
		return crypto.SHA256
	case ima.SHA384:
		return crypto.SHA384
	case ima.SHA512:
		return crypto.SHA512
	}
	return 0
}

var schemeNames = map[uint16]string{algRSASSA: "RSASSA", algRSAPSS: "RSAPSS", algECDSA: "ECDSA", algMLDSA: "ML-DSA"}

// String names scheme and hash, and of ML-DSA the parameter set whose signatures are
// that long.
func (s *Signature) String() string {
	if s.AlgID == algMLDSA {
		for _, set := range mldsaSets {
			if len(s.MLDSA) == set.SignatureSize() {
				return set.String()
			}
		}
		return schemeNames[algMLDSA]
	}
	if bank := bankByAlgID(s.HashID); bank != 0 {
		return schemeNames[s.AlgID] + " " + bank.String()
	}
	return fmt.Sprintf("%s with TPM_ALG_ID 0x%04x", schemeNames[s.AlgID], s.HashID)
}

// verify checks the signature over what TPM2_Quote signed: its digest, and for ML-DSA
// itself, with an empty context.
func (s *Signature) verify(key crypto.PublicKey, attest []byte) error {
	if s.AlgID == algMLDSA {
		if key, ok := key.(*mldsa.PublicKey); ok {
			return mldsa.Verify(key, attest, s.MLDSA, nil)
		}
		return fmt.Errorf("%s cannot be the scheme of a key of type %T", s, key)
	}
	hash := s.hash()
	if hash == 0 {
		return fmt.Errorf("%s: the hash has to be sha256, sha384 or sha512", s)
	}
	h := hash.New()
	h.Write(attest)
	digest := h.Sum(nil)
	switch key := key.(type) {
	case *rsa.PublicKey:
		switch s.AlgID {
		case algRSASSA:
			return rsa.VerifyPKCS1v15(key, hash, digest, s.RSA)
		case algRSAPSS:
			// The TPM's salt is as long as the digest, or as the key
			// allows (Part 1, section "RSASSA_PSS").
			return rsa.VerifyPSS(key, hash, digest, s.RSA, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthAuto})
		}
	case *ecdsa.PublicKey:
		if s.AlgID != algECDSA {
			break
		}
		if !ecdsa.Verify(key, digest, new(big.Int).SetBytes(s.R), new(big.Int).SetBytes(s.S)) {
			return errors.New("ECDSA verification error")
		}
		return nil
	}
	return fmt.Errorf("%s cannot be the scheme of a key of type %T", schemeNames[s.AlgID], key)
}
