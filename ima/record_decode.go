package ima

import (
	"errors"
)

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
