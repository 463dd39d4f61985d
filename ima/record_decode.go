package ima

import (
	"bytes"
	"errors"
)

// BankDigest is a template digest of a record: the one that the kernel extends
// into the bank of Algo, zero for a violation. A kernel that does not have Algo
// extends the sha1 digest with zeros after it.
type BankDigest struct {
	Algo HashAlgo
	Sum  []byte
}

// Decode makes rec the record of the parts that other logs than the kernel's own
// files have, such as those of package cel: data is the template data as the
// binary list has it, digests are the template digests, at least one. Everything
// is copied, into rec's memory. The error is about the template's name, or a
// FieldError.
func (r *Record) Decode(format Format, pcr uint32, template, data []byte, digests []BankDigest) error {
	format, err := format.normal()
	if err != nil {
		return err
	}
	if len(digests) == 0 {
		return errors.New("a record has a template digest")
	}
	if err := checkPCR(pcr); err != nil {
		return err
	}
	if r.template == nil || r.template.Name() != string(template) {
		if r.template, err = templateOfRecord(string(template)); err != nil {
			return err
		}
	}
	r.PCR, r.order = pcr, format.Order
	r.data = append(r.data[:0], data...)
	r.Digest, r.DigestAlgo = append(r.Digest[:0], digests[0].Sum...), digests[0].Algo
	r.more, r.sums = r.more[:0], r.sums[:0]
	for _, d := range digests[1:] {
		r.sums = append(r.sums, d.Sum...)
	}
	at := 0
	for _, d := range digests[1:] {
		r.more = append(r.more, BankDigest{d.Algo, r.sums[at : at+len(d.Sum)]})
		at += len(d.Sum)
	}
	return r.parse(format.LegacyHash.Size())
}

// Digests gives all template digests of the record: Digest, and what Decode was
// given beside it. They are the record's own.
func (r *Record) Digests() []BankDigest {
	return append([]BankDigest{{r.DigestAlgo, r.Digest}}, r.more...)
}

// cloneMore gives the record digests of its own.
func (r *Record) cloneMore() {
	r.sums = nil
	more := r.more
	r.more = nil
	for _, d := range more {
		r.more = append(r.more, BankDigest{d.Algo, bytes.Clone(d.Sum)})
	}
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
