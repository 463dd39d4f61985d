package verify

import (
	"bytes"
	"slices"

	"github.com/swtpmd/swtpmd/ima"
)

// laterPCRs are the PCRs of a boot aggregate that are extended while the system
// runs: by systemd, which measures its NvPCRs into PCR 9, and by those who start
// a kernel with kexec or from GRUB.
var laterPCRs = []int{8, 9}

// logAggregate is the boot aggregate of the PCRs to which the event log leads, in
// a bank, if it may be the machine's.
type logAggregate struct {
	digest ima.Hex
	// same are the PCRs whose values were given and are the log's, later
	// those that have been extended since.
	same, later []int
}

// aggregateOfLog compares a boot aggregate with the PCRs to which the event log
// leads, where it is not that of the PCRs given.
func (r *run) aggregateOfLog(g *Aggregate) {
	if r.log == nil || g.Match() || g.Zero {
		return
	}
	l, ok := r.ofLog[g.Bank]
	if !ok {
		if r.ofLog == nil {
			r.ofLog = make(map[ima.HashAlgo]*logAggregate)
		}
		l = r.logAggregate(g.Bank)
		r.ofLog[g.Bank] = l
	}
	if l != nil && bytes.Equal(l.digest, g.Digest) {
		g.EventLog, g.PCRs, g.Extended = true, l.same, l.later
	}
}

// logAggregate computes the event log's boot aggregate in a bank. It is nil if it
// cannot be the machine's: the PCRs given have to be the log's, but for PCR 8 and
// 9, which may be missing, or have been extended since.
func (r *run) logAggregate(bank ima.HashAlgo) *logAggregate {
	replayed, wanted := r.log.Replay(bank), aggregatePCRs(bank)
	if replayed == nil {
		return nil
	}
	l := &logAggregate{digest: hashPCRs(bank, replayed, wanted)}
	for _, pcr := range wanted {
		value, given := r.evidence.PCRs[bank][pcr]
		switch {
		case given && bytes.Equal(value, replayed[pcr]):
			l.same = append(l.same, pcr)
		case !slices.Contains(laterPCRs, pcr), given && r.log.passes(bank, pcr, value):
			return nil
		case given:
			l.later = append(l.later, pcr)
		}
	}
	return l
}

// hashPCRs is the boot aggregate of PCR values.
func hashPCRs(bank ima.HashAlgo, pcrs map[int]ima.Hex, wanted []int) []byte {
	f, err := bank.New()
	if err != nil {
		return nil
	}
	for _, pcr := range wanted {
		value, ok := pcrs[pcr]
		if !ok {
			return nil
		}
		f.Write(value)
	}
	return f.Sum(nil)
}

// passes reports whether a PCR of a bank has the value before the log's last event
// for it: then the log is ahead of the PCR, which nobody has extended since.
func (l *EventLog) passes(bank ima.HashAlgo, pcr int, value []byte) bool {
	passed := false
	l.replay(bank, func(at int, before ima.Hex) {
		passed = passed || at == pcr && bytes.Equal(before, value)
	})
	return passed
}

// concludeOfLog makes a finding of boot aggregates that are the event log's.
func (r *run) concludeOfLog(g *Aggregate) *Finding {
	if len(g.Extended) == 0 {
		_, missing := pcrsOf(r.evidence.PCRs, g.Bank, aggregatePCRs(g.Bank))
		return r.add(AggregateOfLog, "The boot aggregate is that of PCR 0-9 of the event log in bank %s. Of these PCR %s were given and are the log's; that PCR %s had the log's values when IMA started is the kernel's word, which is worth what the measured boot shows of the kernel.",
			g.Bank, rangesText(g.PCRs), rangesText(missing)).about(g.Bank, missing...)
	}
	r.explainLog(g.Extended)
	return r.add(AggregateOfLog, "The boot aggregate is that of PCR 0-9 of the event log in bank %s, and PCR %s are the log's. PCR %s has been extended after IMA started, as systemd and kexec do, so the log gives the value with which it began. That it began with it is the kernel's word, which is worth what the measured boot shows of the kernel in the other PCRs.",
		g.Bank, rangesText(g.PCRs), rangesText(g.Extended)).about(g.Bank, g.Extended...)
}

// wentOn returns the PCRs that have been extended since the first kernel's boot
// aggregate, which is the event log's, if g is of a later kernel: what they were
// when that one started lies between the log's value and the one given.
func (r *run) wentOn(g *Aggregate) []int {
	first := &r.aggregates.list[0]
	if !first.EventLog || first.Bank != g.Bank || first.Record == g.Record {
		return nil
	}
	return first.Extended
}

// explainLog takes back that the event log does not give the values of PCRs of which it is
// known why.
func (r *run) explainLog(pcrs []int) {
	kept := r.list[:0]
	for _, f := range r.list {
		if f.Code == EventLogMismatch {
			left := slices.DeleteFunc(slices.Clone(f.PCRs), func(pcr int) bool { return slices.Contains(pcrs, pcr) })
			if len(left) == 0 {
				continue
			}
			f = logMismatch(f.Bank, left)
		}
		kept = append(kept, f)
	}
	r.list = kept
}
