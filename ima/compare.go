package ima

import (
	"bytes"
	"errors"
	"io"
	"slices"
)

// Comparison is the result of Compare.
type Comparison struct {
	// Records counts the records, Violations those that are violations.
	Records, Violations int
	// Damaged has the numbers, from 1, of the records whose template digest
	// is not that of their data.
	Damaged []int
	// Unextended has the numbers of the records whose PCR no TPM has.
	Unextended []int
	// Ambiguities are the records of an ASCII list that span lines.
	Ambiguities []*Ambiguity
	// BootAggregates are the records of boot aggregates in order.
	BootAggregates []AggregateComparison
	// Banks has a row for each bank and PCR that was given and that the list
	// extends, and for PCR 10 in any case; in the order of the kernel's
	// hashes, then of the PCRs.
	Banks []PCRComparison
}

// AggregateComparison is a boot aggregate next to the one of the PCRs given.
type AggregateComparison struct {
	BootAggregate
	// Expected is the boot aggregate of the PCRs given, in the bank that the
	// record names; nil if they were not all given.
	Expected Hex
	// Match reports that the record's digest is Expected.
	Match bool
}

// PCRComparison is the value of a PCR next to the replayed ones.
type PCRComparison struct {
	Bank HashAlgo
	PCR  int
	// Value is the value that Compare was given.
	Value Hex
	// Replays has the values of the replays with the digests that a kernel
	// can have used: PerBank, PaddedSHA1 and, if the list has a violation in
	// this PCR, PaddedSHA1Violation. The sha1 bank has the first alone.
	Replays []PCRReplay
}

// PCRReplay is a PCR's value after a replay.
type PCRReplay struct {
	Digests Digests
	// Value is the PCR after the last record.
	Value Hex
	// MatchedAt is the number of the last record after which the replay had
	// the value given, 0 if that was so before the first record only, -1 if
	// never. A list that was read after the PCRs may have more records.
	MatchedAt int
}

// Match finds a replay that had the value given after some record of the list.
func (c *PCRComparison) Match() (replay PCRReplay, ok bool) {
	for _, r := range c.Replays {
		if r.MatchedAt > 0 {
			return r, true
		}
	}
	return PCRReplay{}, false
}

// Match reports whether every PCR in Banks has a replay that matches, and there is
// one at all.
func (c *Comparison) Match() bool {
	for i := range c.Banks {
		if _, ok := c.Banks[i].Match(); !ok {
			return false
		}
	}
	return len(c.Banks) > 0
}

// Compare reads a list to its end and compares what it does to the PCRs with
// the values given. Banks whose hash this package cannot compute are refused
// with an UnavailableHashError; an error of the list is given with what had been
// found until then.
//
// Compare tells what is; what an attester may conclude is another matter, and
// neither the list nor its boot aggregate is to be trusted without a match.
func Compare(list RecordReader, pcrs PCRs) (*Comparison, error) {
	c := &comparer{pcrs: pcrs}
	if err := c.init(); err != nil {
		return nil, err
	}
	var rec Record
	for {
		err := list.Read(&rec)
		if err == io.EOF {
			break
		}
		if err == nil {
			err = c.record(&rec, list)
		}
		if err != nil {
			c.finish()
			return &c.result, err
		}
	}
	c.finish()
	return &c.result, nil
}

type comparer struct {
	pcrs   PCRs
	banks  []ReplayBank
	replay *Replay
	result Comparison
	// matched has, for each of banks, where its PCRs matched.
	matched [][numPCRs]int
	used    [numPCRs]bool
	violent [numPCRs]bool
}

func (c *comparer) init() (err error) {
	for h := HashAlgo(1); h < hashAlgos; h++ {
		if _, given := c.pcrs[h]; !given {
			continue
		}
		c.banks = append(c.banks, ReplayBank{h, PerBank})
		if h != SHA1 {
			c.banks = append(c.banks, ReplayBank{h, PaddedSHA1}, ReplayBank{h, PaddedSHA1Violation})
		}
	}
	if c.replay, err = NewReplay(c.banks...); err != nil {
		return err
	}
	c.matched = make([][numPCRs]int, len(c.banks))
	for i := range c.matched {
		for pcr := range numPCRs {
			c.matched[i][pcr] = -1
			c.match(i, pcr)
		}
	}
	c.used[DefaultPCR] = true
	return nil
}

// match notes that bank i's PCR has the value given after the present record.
func (c *comparer) match(i, pcr int) {
	if bytes.Equal(c.replay.banks[i].pcrs[pcr], c.pcrs[c.banks[i].Bank][pcr]) {
		c.matched[i][pcr] = c.result.Records
	}
}

func (c *comparer) record(rec *Record, list RecordReader) error {
	r := &c.result
	r.Records++
	if a, ok := list.(*ASCIIReader); ok && a.Ambiguity() != nil {
		r.Ambiguities = append(r.Ambiguities, a.Ambiguity())
	}
	if b, ok := IsBootAggregate(rec, r.Records); ok {
		r.BootAggregates = append(r.BootAggregates, c.aggregate(b))
	}
	intact, err := c.replay.Extend(rec)
	var index *PCRIndexError
	if errors.As(err, &index) {
		r.Unextended = append(r.Unextended, r.Records)
		return nil
	}
	if err != nil {
		return err
	}
	if !intact {
		r.Damaged = append(r.Damaged, r.Records)
	}
	c.used[rec.PCR] = true
	if rec.Violation() {
		r.Violations++
		c.violent[rec.PCR] = true
	}
	for i := range c.banks {
		c.match(i, int(rec.PCR))
	}
	return nil
}

func (c *comparer) aggregate(b BootAggregate) AggregateComparison {
	out := AggregateComparison{BootAggregate: b}
	if sum, err := CalcBootAggregate(BankOf(b.Digest.Algo), c.pcrs); err == nil {
		out.Expected = sum
		out.Match = bytes.Equal(sum, b.Digest.Sum)
	}
	return out
}

func (c *comparer) finish() {
	for i, b := range c.banks {
		for pcr := range numPCRs {
			value, given := c.pcrs[b.Bank][pcr]
			if !given || !c.used[pcr] || b.Digests == PaddedSHA1Violation && !c.violent[pcr] {
				continue
			}
			row := c.row(b.Bank, pcr, value)
			row.Replays = append(row.Replays, PCRReplay{Digests: b.Digests, Value: bytes.Clone(c.replay.banks[i].pcrs[pcr]), MatchedAt: c.matched[i][pcr]})
		}
	}
}

func (c *comparer) row(bank HashAlgo, pcr int, value Hex) *PCRComparison {
	rows := &c.result.Banks
	i := slices.IndexFunc(*rows, func(r PCRComparison) bool { return r.Bank == bank && r.PCR == pcr })
	if i < 0 {
		i = len(*rows)
		*rows = append(*rows, PCRComparison{Bank: bank, PCR: pcr, Value: value})
	}
	return &(*rows)[i]
}

// DefaultPCR is the PCR of the measurement list, the default of
// CONFIG_IMA_MEASURE_PCR_IDX.
const DefaultPCR = 10
