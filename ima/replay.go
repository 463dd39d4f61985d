package ima

import (
	"bytes"
	"fmt"
	"hash"
)

// Digests says which digests a kernel extends into a bank.
type Digests uint8

const (
	// PerBank is the template digest computed with the bank's own hash, and
	// ones over the whole PCR for a violation: kernels since 5.8 that have
	// the hash.
	PerBank Digests = iota
	// PaddedSHA1 is the sha1 template digest with zeros after it, and ones
	// over the whole PCR for a violation: kernels since 5.8 that know the
	// hash but cannot allocate it (its module is not built in), as Debian's
	// 6.1 does with sha384 and sha512.
	PaddedSHA1
	// PaddedSHA1Violation is the sha1 template digest with zeros after it,
	// and 20 bytes of ones with zeros after them for a violation: kernels
	// before 5.8, and newer ones for a bank whose algorithm they do not know.
	PaddedSHA1Violation
)

func (d Digests) String() string {
	switch d {
	case PerBank:
		return "per-bank digests"
	case PaddedSHA1:
		return "padded sha1 digests"
	case PaddedSHA1Violation:
		return "padded sha1 digests, violations too"
	}
	return fmt.Sprintf("Digests(%d)", uint8(d))
}

// numPCRs is how many PCRs a TPM has (TCG PC Client Platform TPM Profile 1.05,
// section "PCR Requirements").
const numPCRs = 24

// Replay computes what the PCRs of some banks hold once the records of a list
// have been extended. Nothing in it grows with the length of the list.
//
// It begins with the values of a TPM after TPM2_Startup(CLEAR): zeros, and ones
// in PCR 17 to 22. A list that kexec has carried over needs nothing else, as
// its PCRs were not reset. A list whose beginning is missing needs Start.
type Replay struct {
	banks []replayBank
	// templates has a template digest for each hash that the banks and the
	// list need.
	templates []templateHash
}

// replayBank is a bank with its PCRs. Two of them may be of one bank, with
// different digests.
type replayBank struct {
	algo    HashAlgo
	digests Digests
	hash    hash.Hash
	source  int // in templates
	pcrs    [numPCRs][]byte
	// twin is a bank whose PCRs are these, until a violation tells the two
	// apart: both are extended with padded sha1 digests. Nil for a bank of
	// its own.
	twin *replayBank
	// extend has room for a PCR and the digest to be extended into it.
	extend []byte
}

type templateHash struct {
	algo   HashAlgo
	hash   hash.Hash
	digest []byte
}

// ReplayBank is a bank to replay and the digests that the kernel extends there.
type ReplayBank struct {
	Bank    HashAlgo
	Digests Digests
}

// NewReplay makes a replay of the banks. The error is an UnavailableHashError.
func NewReplay(banks ...ReplayBank) (*Replay, error) {
	r := new(Replay)
	for _, b := range banks {
		h, err := b.Bank.New()
		if err != nil {
			return nil, err
		}
		size := b.Bank.Size()
		if size < SHA1.Size() {
			return nil, fmt.Errorf("%s: no TPM has a bank of %d bytes", b.Bank, size)
		}
		algo := b.Bank
		if b.Digests != PerBank {
			algo = SHA1
		}
		source, err := r.source(algo)
		if err != nil {
			return nil, err
		}
		rb := replayBank{algo: b.Bank, digests: b.Digests, hash: h, source: source, extend: make([]byte, 2*size)}
		rb.reset()
		r.banks = append(r.banks, rb)
	}
	for i := range r.banks {
		r.banks[i].share(r.banks[:i])
	}
	return r, nil
}

// reset returns the bank PCRs of its own, after TPM2_Startup(CLEAR).
func (b *replayBank) reset() {
	size := b.algo.Size()
	values := make([]byte, numPCRs*size)
	for i := range b.pcrs {
		b.pcrs[i] = values[i*size : (i+1)*size : (i+1)*size]
		if i >= 17 && i <= 22 {
			fill(b.pcrs[i], 0xff)
		}
	}
}

// share makes b the twin of one of the banks before it, if there is one that
// differs from it in violations alone.
func (b *replayBank) share(before []replayBank) {
	for i := range before {
		if other := &before[i]; b.algo == other.algo && b.digests != PerBank && other.digests != PerBank && other.twin == nil {
			b.twin, b.pcrs = other, other.pcrs
			return
		}
	}
}

// part returns a twin PCRs of its own.
func (b *replayBank) part() {
	if b.twin == nil {
		return
	}
	b.reset()
	for i, value := range b.twin.pcrs {
		copy(b.pcrs[i], value)
	}
	b.twin = nil
}

// PCRValueError says which PCR value is none.
type PCRValueError struct {
	Bank HashAlgo
	PCR  int
	Size int // in bytes
}

func (e *PCRValueError) Error() string {
	if e.PCR < 0 || e.PCR >= numPCRs {
		return fmt.Sprintf("%s PCR %d: a TPM has PCR 0 to %d", e.Bank, e.PCR, numPCRs-1)
	}
	return fmt.Sprintf("%s PCR %d: %d bytes, a value of the bank has %d", e.Bank, e.PCR, e.Size, e.Bank.Size())
}

// Start returns PCRs the values that they had before the first record. The list is
// a piece then, of which somebody else has the beginning: what follows an earlier
// attestation, or what is left of a list that was staged or trimmed (Linux 7.2).
// Values of banks that are not replayed are passed over. The error, a
// PCRValueError, leaves all PCRs as they were.
func (r *Replay) Start(values PCRs) error {
	for bank, pcrs := range values {
		for pcr, value := range pcrs {
			if pcr < 0 || pcr >= numPCRs || len(value) != bank.Size() {
				return &PCRValueError{Bank: bank, PCR: pcr, Size: len(value)}
			}
		}
	}
	for i := range r.banks {
		b := &r.banks[i]
		for pcr, value := range values[b.algo] {
			copy(b.pcrs[pcr], value)
		}
	}
	return nil
}

// source returns the place of algo in templates, making one if need be.
func (r *Replay) source(algo HashAlgo) (int, error) {
	for i := range r.templates {
		if r.templates[i].algo == algo {
			return i, nil
		}
	}
	h, err := algo.New()
	if err != nil {
		return 0, err
	}
	r.templates = append(r.templates, templateHash{algo: algo, hash: h, digest: make([]byte, 0, algo.Size())})
	return len(r.templates) - 1, nil
}

func fill(b []byte, c byte) {
	for i := range b {
		b[i] = c
	}
}

// PCRIndexError is the answer to a record for a PCR that no TPM has. The kernel
// stores such a record, and the TPM refuses the extend.
type PCRIndexError struct {
	PCR uint32
}

func (e *PCRIndexError) Error() string {
	return fmt.Sprintf("PCR %d: a TPM has PCR 0 to %d, so the record was never extended", e.PCR, numPCRs-1)
}

// Extend extends rec into the banks: what the kernel computed of rec's data,
// or ones for a violation. intact is false if rec's Digest, that of the list,
// is not the digest of its data; the list was changed then, or written in
// another byte order.
//
// An error, a PCRIndexError or an UnavailableHashError for rec.DigestAlgo,
// leaves the PCRs as they were.
func (r *Replay) Extend(rec *Record) (intact bool, err error) {
	if rec.PCR >= numPCRs {
		return false, &PCRIndexError{PCR: rec.PCR}
	}
	violation := rec.Violation()
	if !violation {
		if _, err := r.source(rec.DigestAlgo); err != nil {
			return false, err
		}
		for _, d := range rec.more {
			if _, err := r.source(d.Algo); err != nil {
				return false, err
			}
		}
		for i := range r.templates {
			t := &r.templates[i]
			t.digest = rec.appendTemplateDigest(t.digest[:0], t.hash)
		}
		if intact, err = r.intact(rec); err != nil {
			return false, err
		}
	}
	if violation {
		for i := range r.banks {
			r.banks[i].part()
		}
	}
	for i := range r.banks {
		b := &r.banks[i]
		if b.twin != nil {
			continue
		}
		pcr := b.pcrs[rec.PCR]
		digest := b.extend[copy(b.extend, pcr):]
		if violation {
			b.digests.violation(digest)
		} else {
			clear(digest[copy(digest, r.templates[b.source].digest):])
		}
		b.hash.Reset()
		b.hash.Write(b.extend)
		b.hash.Sum(pcr[:0])
	}
	return intact || violation, nil
}

// intact reports whether all digests of the record are those of its data.
func (r *Replay) intact(rec *Record) (bool, error) {
	ok, err := r.listed(rec, BankDigest{rec.DigestAlgo, rec.Digest})
	for i := 0; ok && err == nil && i < len(rec.more); i++ {
		ok, err = r.listed(rec, rec.more[i])
	}
	return ok, err
}

// listed finds the digest of the record's data with d.Algo among templates, or,
// if d is not that one, sha1's with zeros.
func (r *Replay) listed(rec *Record, d BankDigest) (ok bool, err error) {
	for i := range r.templates {
		if r.templates[i].algo == d.Algo && showsDigest(d.Sum, r.templates[i].digest) {
			return true, nil
		}
	}
	if len(d.Sum) <= SHA1.Size() {
		return false, nil
	}
	sum, err := rec.TemplateDigest(SHA1)
	return showsDigest(d.Sum, sum), err
}

// violation fills digest with what stands for a violation (ima_init_digests).
func (d Digests) violation(digest []byte) {
	n := len(digest)
	if d == PaddedSHA1Violation {
		n = SHA1.Size()
	}
	fill(digest[:n], 0xff)
	clear(digest[n:])
}

// PCR returns a copy of the value of PCR index in the bank, which must be one
// that NewReplay was given; nil for another bank or index.
func (r *Replay) PCR(bank ReplayBank, index int) []byte {
	return bytes.Clone(r.pcr(bank, index))
}

// Holds reports whether PCR index in the bank has the value; it allocates
// nothing. A bank that NewReplay was not given holds none.
func (r *Replay) Holds(bank ReplayBank, index int, value []byte) bool {
	pcr := r.pcr(bank, index)
	return pcr != nil && bytes.Equal(pcr, value)
}

func (r *Replay) pcr(bank ReplayBank, index int) []byte {
	for i := range r.banks {
		b := &r.banks[i]
		if b.algo == bank.Bank && b.digests == bank.Digests && index >= 0 && index < numPCRs {
			return b.pcrs[index]
		}
	}
	return nil
}
