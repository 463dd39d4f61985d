package verify

import (
	"errors"
	"fmt"
	"io"

	"github.com/swtpmd/swtpmd/ima"
)

// Form is the form of a list.
type Form string

// The forms of a list.
const (
	FormBinary Form = "binary"   // the kernel's binary list
	FormASCII  Form = "ascii"    // the kernel's ASCII list
	FormTLV    Form = "cel-tlv"  // the Canonical Event Log in CEL-TLV
	FormJSON   Form = "cel-json" // … in CEL-JSON
	FormCBOR   Form = "cel-cbor" // … in CEL-CBOR
	// FormRecords stands for a RecordReader that is neither.
	FormRecords Form = "records"
)

// Verdict is the result of a verification.
type Verdict struct {
	Form Form `json:"form"`
	// Digests names the template digests of the list, such as "sha256", if
	// they are not sha1 ones as in the files that every kernel has.
	Digests string `json:"digests,omitempty"`
	// Records counts the records of the list, Violations those that are
	// violations.
	Records    int `json:"records"`
	Violations int `json:"violations"`
	// Replays has a row for each PCR that the list extends and each bank of
	// which its value was given, in the order of the PCRs, then of the
	// kernel's hashes.
	Replays []Replay `json:"replays,omitempty"`
	// Aggregates has the boot aggregates in order: all, or the first of them
	// and the last.
	Aggregates []Aggregate `json:"aggregates,omitempty"`
	// Quote is the content of the quote; nil if there is none that can be read.
	Quote *QuoteInfo `json:"quote,omitempty"`
	// Findings are in the order quote, event log, list, boot aggregate, PCRs,
	// build.
	Findings []Finding `json:"findings"`
}

// Has reports whether there is a finding of the code.
func (v *Verdict) Has(code Code) bool {
	f := findings{list: v.Findings}
	return f.has(code)
}

// Verify reads the evidence and says what it shows.
//
// An error is an InputError, or several that were joined: a part of the evidence
// cannot be read, or what is said of it contradicts itself. If it is the list,
// the quote or the event log, which the machine has sent, the Verdict tells of
// what could be read, and has a finding that no policy accepts. With an error of
// what the caller adds there is no Verdict.
func Verify(e Evidence) (*Verdict, error) {
	if err := e.Build.check(); err != nil {
		return nil, &InputError{PartBuild, err}
	}
	if err := checkPCRs(e.PCRs); err != nil {
		return nil, &InputError{PartPCRs, err}
	}
	if err := checkPCRs(e.Start); err != nil {
		return nil, &InputError{PartStart, err}
	}
	if e.List == nil {
		return nil, &InputError{PartList, errors.New("there is none; an empty list is a reader at its end")}
	}
	if e.Quote != nil {
		if err := e.Quote.checkKey(); err != nil {
			return nil, &InputError{PartQuote, err}
		}
	}
	r := &run{evidence: &e}
	if err := r.init(); err != nil {
		return nil, &InputError{PartPCRs, err}
	}
	err := errors.Join(
		inputError(PartQuote, r.quote()),
		inputError(PartEventLog, r.eventLog()),
		inputError(PartList, r.scan()),
	)
	r.conclude()
	return &r.verdict, err
}

// inputError is nil for a nil err.
func inputError(part Part, err error) error {
	if err == nil {
		return nil
	}
	return &InputError{part, err}
}

// run is one verification.
type run struct {
	evidence *Evidence
	verdict  Verdict
	findings

	replay     *ima.Replay
	banks      []bank
	used       [numPCRs]int // records for each PCR
	aggregates aggregates
	versions   versions
	seen       digestTable
	buffers    bufferHashes

	quoted map[ima.HashAlgo][]int // PCRs that the quote covers
	log    *EventLog
	logged map[ima.HashAlgo][]int // PCRs whose values the event log gives
	ofLog  map[ima.HashAlgo]*logAggregate
}

// scan reads the list to its end.
func (r *run) scan() error {
	list := r.evidence.List
	ascii, _ := list.(interface{ Ambiguity() *ima.Ambiguity })
	var rec ima.Record
	for {
		err := list.Read(&rec)
		if err == io.EOF {
			return nil
		}
		number := r.verdict.Records + 1
		if err == nil {
			err = r.extend(&rec, number)
		}
		if err != nil {
			r.add(ListUnreadable, "The list is not what a kernel writes: %v.", err).at(number)
			return err
		}
		r.verdict.Records = number
		r.record(&rec, number)
		if ascii != nil {
			r.ambiguity(ascii.Ambiguity())
		}
	}
}

// conclude makes findings of what the list has shown.
func (r *run) conclude() {
	if list, ok := r.evidence.List.(interface{ Format() ima.Format }); ok {
		r.verdict.Digests = digestsText(list.Format())
	}
	switch list := r.evidence.List.(type) {
	case interface{ Form() string }:
		r.verdict.Form = Form(list.Form())
	case *ima.BinaryReader:
		r.verdict.Form = FormBinary
	case *ima.ASCIIReader:
		r.verdict.Form = FormASCII
		r.add(ListASCII, "The list was read in its ASCII form, in which the kernel escapes nothing; only the binary form is unambiguous.")
	default:
		r.verdict.Form = FormRecords
	}
	r.verdict.Replays = r.replays()
	r.flush()
	r.concludeBeginning()
	r.concludeVersions()
	r.concludeAggregates()
	r.concludeReplays()
	r.concludeSource()
	r.concludeTiming()
	r.verdict.Findings = r.list
}

// digestsText is Verdict.Digests.
func digestsText(f ima.Format) string {
	switch {
	case f.DigestSize > f.Digest.Size():
		return fmt.Sprintf("%s, padded to %d bytes", f.Digest, f.DigestSize)
	case f.Digest == ima.SHA1:
		return ""
	}
	return f.Digest.String()
}
