package ima

import (
	"encoding/hex"
	"fmt"
)

// Bank is one PCR bank of a TPM as the kernel's TPM driver describes it to IMA
// (include/linux/tpm.h, struct tpm_bank_info).
type Bank struct {
	// AlgID is the TPM's number of the bank's algorithm (TPM_ALG_ID).
	AlgID uint16
	// DigestSize is the size of a PCR of the bank in bytes.
	DigestSize int
	// CryptoID is the kernel's hash for AlgID, zero where it knows none.
	CryptoID HashAlgo
}

// BankOf returns the bank of an algorithm. The kernel maps the TPM's sha1,
// sha256, sha384, sha512 and sm3; a bank of any other algorithm that a TPM can
// have (the SHA-3 ones) has no CryptoID. For an algorithm that is no TPM's the
// result has no AlgID.
func BankOf(h HashAlgo) Bank {
	if !h.valid() || hashTable[h].tpm == 0 {
		return Bank{}
	}
	b := Bank{AlgID: hashTable[h].tpm, DigestSize: hashTable[h].size}
	if hashTable[h].mapped {
		b.CryptoID = h
	}
	return b
}

// BankByAlgID returns the bank of a TPM_ALG_ID; digestSize is what the TPM says
// of an algorithm that the kernel does not map.
func BankByAlgID(id uint16, digestSize int) Bank {
	for h := HashAlgo(1); h < hashAlgos; h++ {
		if hashTable[h].mapped && hashTable[h].tpm == id {
			return BankOf(h)
		}
	}
	return Bank{AlgID: id, DigestSize: digestSize}
}

// HashByAlgID returns the hash of a TPM_ALG_ID, also of those which the kernel does
// not map (TCG Algorithm Registry rev 1.34, table 2). ok is false for an algorithm
// that is no hash known here.
func HashByAlgID(id uint16) (h HashAlgo, ok bool) {
	for h := HashAlgo(1); h < hashAlgos; h++ {
		if hashTable[h].tpm == id && id != 0 {
			return h, true
		}
	}
	return 0, false
}

// String returns the suffix of the bank's securityfs files: the hash's name, or
// tpm_alg_ and the TPM's number in hex.
func (b Bank) String() string {
	if b.CryptoID.valid() {
		return b.CryptoID.String()
	}
	return fmt.Sprintf("tpm_alg_%x", b.AlgID)
}

// Hex is a digest that is hex in JSON and other texts.
type Hex []byte

func (h Hex) String() string { return hex.EncodeToString(h) }

// MarshalText returns lower-case hex.
func (h Hex) MarshalText() ([]byte, error) {
	return hex.AppendEncode(nil, h), nil
}

// UnmarshalText reads hex of either case.
func (h *Hex) UnmarshalText(text []byte) error {
	b, err := hex.AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("digest %q: %w", text, err)
	}
	*h = b
	return nil
}

// PCRs are the PCR values of a TPM: bank, then index. Its JSON is an object of
// objects of hex strings, {"sha256": {"10": "…"}}.
type PCRs map[HashAlgo]map[int]Hex

// PCRReader is the TPM as the boot aggregate needs it.
type PCRReader interface {
	// ReadPCR returns the value of a PCR (TPM2_PCR_Read), DigestSize bytes.
	ReadPCR(bank Bank, index int) ([]byte, error)
}

// ReadPCR makes PCRs a PCRReader. A value that is not there is an error.
func (p PCRs) ReadPCR(bank Bank, index int) ([]byte, error) {
	value, ok := p[bank.CryptoID][index]
	if !ok {
		return nil, fmt.Errorf("PCR %d of bank %s was not given", index, bank)
	}
	if len(value) != bank.DigestSize {
		return nil, fmt.Errorf("PCR %d of bank %s has %d bytes, it was given %d", index, bank, bank.DigestSize, len(value))
	}
	return value, nil
}
