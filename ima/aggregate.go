package ima

import "fmt"

// Names of the record of the boot aggregate (ima_init.c, ima.h).
const (
	BootAggregateName = "boot_aggregate"
	// BootAggregateLateName is the name since 7.3 in a kernel built with
	// CONFIG_IMA_INIT_LATE_SYNC.
	BootAggregateLateName = "boot_aggregate_late"
)

// BootAggregateBank chooses the bank of the boot aggregate among those of a
// TPM, in the TPM's order, as ima_calc_boot_aggregate does: the bank of
// imaHash; else the last sha256 one; else the first sha1 one. Without any of
// these ok is false, and the kernel records zeros although it has a TPM.
func BootAggregateBank(banks []Bank, imaHash HashAlgo) (bank Bank, ok bool) {
	for _, b := range banks {
		switch {
		case b.CryptoID == 0:
		case b.CryptoID == imaHash:
			return b, true
		case b.CryptoID == SHA256, !ok && b.CryptoID == SHA1:
			bank, ok = b, true
		}
	}
	return bank, ok
}

// PCRReadError says which PCR of the boot aggregate could not be read.
type PCRReadError struct {
	Bank  Bank
	Index int
	Err   error
}

func (e *PCRReadError) Error() string {
	return fmt.Sprintf("PCR %d of bank %s cannot be read: %v", e.Index, e.Bank, e.Err)
}

func (e *PCRReadError) Unwrap() error { return e.Err }

// CalcBootAggregate computes the boot aggregate of a bank with the bank's hash:
// that of PCR 0 to 7, and of 8 and 9 too unless the bank is sha1
// (ima_calc_boot_aggregate_tfm, since 5.8).
//
// Where a PCR cannot be read the kernel logs an error and hashes what its buffer
// held: the value of the PCR before, or zeros. The sum that comes with a
// PCRReadError, which is the first, is that one. With an UnavailableHashError
// there is no sum.
func CalcBootAggregate(bank Bank, pcrs PCRReader) (sum Hex, err error) {
	h, err := bank.CryptoID.New()
	if err != nil {
		return nil, err
	}
	last := 9
	if bank.CryptoID == SHA1 {
		last = 7
	}
	var failed error
	value := make([]byte, bank.DigestSize)
	for i := 0; i <= last; i++ {
		got, err := pcrs.ReadPCR(bank, i)
		switch {
		case err == nil && len(got) != len(value):
			err = fmt.Errorf("%d bytes instead of %d", len(got), len(value))
			fallthrough
		case err != nil:
			if failed == nil {
				failed = &PCRReadError{Bank: bank, Index: i, Err: err}
			}
		default:
			copy(value, got)
		}
		h.Write(value)
	}
	return h.Sum(nil), failed
}

// BootAggregate is one record of a boot aggregate in a list. A list
// carried over by kexec has several.
type BootAggregate struct {
	// Record is the number of the record, from 1.
	Record int `json:"record"`
	// Name is BootAggregateName or BootAggregateLateName.
	Name   string     `json:"name"`
	Digest FileDigest `json:"digest"`
	// Zero reports that the digest is zero: the kernel had no TPM (TPM-bypass),
	// or one without a usable bank.
	Zero bool `json:"zero"`
}

// IsBootAggregate reports whether rec is the record of a boot aggregate, and what
// it says. number is rec's place in its list, from 1.
func IsBootAggregate(rec *Record, number int) (b BootAggregate, ok bool) {
	name := rec.name()
	if string(name) != BootAggregateName && string(name) != BootAggregateLateName || rec.Violation() {
		return BootAggregate{}, false
	}
	d, ok := rec.FileDigest()
	if !ok {
		return BootAggregate{}, false
	}
	return BootAggregate{Record: number, Name: string(name), Digest: d, Zero: d.Zero()}, true
}
