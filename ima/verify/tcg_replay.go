package verify

import (
	"bytes"
	"slices"

	"github.com/swtpmd/swtpmd/ima"
)

// Replay computes what the events make of PCR 0 to 9 in a bank, from their reset
// values on; nil for a bank that the log does not have, or whose hash cannot be
// computed here.
func (l *EventLog) Replay(bank ima.HashAlgo) map[int]ima.Hex {
	return l.replay(bank, func(int, ima.Hex) {})
}

// replay is Replay. It tells of each event that extends a PCR, with the value
// that the PCR had before.
func (l *EventLog) replay(bank ima.HashAlgo, extend func(pcr int, before ima.Hex)) map[int]ima.Hex {
	i := slices.IndexFunc(l.Algorithms, func(a EventAlgorithm) bool { return a.Bank == bank })
	h, err := bank.New()
	if i < 0 || err != nil {
		return nil
	}
	pcrs := make(map[int]ima.Hex)
	for _, pcr := range upTo(9) {
		pcrs[pcr] = make(ima.Hex, bank.Size())
	}
	pcrs[0][bank.Size()-1] = l.Locality
	for e := range l.Events {
		event := &l.Events[e]
		value, ok := pcrs[int(event.PCR)]
		if !ok || event.Type == NoAction || event.Digests[i] == nil {
			continue
		}
		extend(int(event.PCR), value)
		h.Reset()
		h.Write(value)
		h.Write(event.Digests[i])
		h.Sum(value[:0])
	}
	return pcrs
}

// Has reports whether an event has extended a digest into a PCR of a bank.
func (l *EventLog) Has(m Measurement) bool {
	i := slices.IndexFunc(l.Algorithms, func(a EventAlgorithm) bool { return a.Bank == m.Bank })
	return i >= 0 && m.Bank != 0 && slices.ContainsFunc(l.Events, func(e Event) bool {
		return e.Type != NoAction && int64(e.PCR) == int64(m.PCR) && len(m.Digest) > 0 && bytes.Equal(e.Digests[i], m.Digest)
	})
}

// Measurement is a digest that the measured boot extends into a PCR.
type Measurement struct {
	PCR    int          `json:"pcr"`
	Bank   ima.HashAlgo `json:"bank"`
	Digest ima.Hex      `json:"digest"`
}

// eventLog compares the event log with the PCRs. The error is that of a log that
// cannot be read.
func (r *run) eventLog() error {
	if r.evidence.EventLog == nil {
		return nil
	}
	log, err := ParseEventLog(r.evidence.EventLog)
	if err != nil {
		r.add(EventLogUnreadable, "The event log is not one: %v.", err)
		return err
	}
	r.log = log
	r.settleLocality()
	r.concludeDeviations()
	compared := false
	for _, a := range log.Algorithms {
		compared = r.compareLog(a.Bank) || compared
	}
	if !compared {
		r.add(EventLogBank, "The event log has no bank of which PCR 0-9 were given, so it shows nothing.")
	}
	return nil
}

// compareLog compares the PCRs of a bank, and reports whether there were any.
func (r *run) compareLog(bank ima.HashAlgo) bool {
	var same, differ []int
	replayed := r.log.Replay(bank)
	given, _ := pcrsOf(r.evidence.PCRs, bank, upTo(9))
	if replayed == nil || len(given) == 0 {
		return false
	}
	for _, pcr := range given {
		if bytes.Equal(replayed[pcr], r.evidence.PCRs[bank][pcr]) {
			same = append(same, pcr)
		} else {
			differ = append(differ, pcr)
		}
	}
	if r.logged == nil {
		r.logged = make(map[ima.HashAlgo][]int)
	}
	r.logged[bank] = same
	if len(same) > 0 {
		r.add(EventLogMatch, "The event log gives the values of PCR %s in bank %s.", rangesText(same), bank).about(bank, same...)
	}
	if len(differ) > 0 {
		r.list = append(r.list, logMismatch(bank, differ))
	}
	return true
}

func logMismatch(bank ima.HashAlgo, pcrs []int) Finding {
	var f findings
	return *f.add(EventLogMismatch, "The event log does not give the values of PCR %s in bank %s: it was changed, or something extended them without an event.", rangesText(pcrs), bank).about(bank, pcrs...)
}

// atStart reports whether the first boot aggregate shows that the PCR of a
// measurement had it when IMA started. The aggregate is of one bank, and what is in
// another one was there too if both have all events: a TPM can extend one bank
// alone.
func (r *run) atStart(m Measurement) bool {
	vouched := r.vouched()
	if len(vouched) == 0 || !slices.Contains(vouched[0].PCRs, m.PCR) {
		return false
	}
	bank := vouched[0].Bank
	return bank == m.Bank || slices.Contains(r.logged[bank], m.PCR) && r.log.together(m.PCR, bank, m.Bank)
}

// together reports whether each event of a PCR has extended it in both banks.
func (l *EventLog) together(pcr int, a, b ima.HashAlgo) bool {
	place := func(bank ima.HashAlgo) int {
		return slices.IndexFunc(l.Algorithms, func(x EventAlgorithm) bool { return x.Bank == bank })
	}
	i, j := place(a), place(b)
	return i >= 0 && j >= 0 && !slices.ContainsFunc(l.Events, func(e Event) bool {
		return e.Type != NoAction && int64(e.PCR) == int64(pcr) && (e.Digests[i] == nil || e.Digests[j] == nil)
	})
}

// unmeasured returns the first of the build's measurements that the event log does
// not prove, and why.
func (r *run) unmeasured() (m Measurement, why string) {
	for _, m := range r.evidence.Build.Measured {
		switch {
		case r.log == nil:
			return m, "there is no event log to look for it"
		case !slices.Contains(r.logged[m.Bank], m.PCR):
			return m, "the event log does not give the value of that PCR"
		case !r.log.Has(m):
			return m, "the event log does not have it"
		case !r.atStart(m):
			return m, "no boot aggregate shows that the PCR had it when IMA started, and whoever came later can have extended it"
		case !r.evidence.Vouched && !r.covered(m.Bank, m.PCR):
			return m, "no quote covers that PCR"
		}
	}
	return Measurement{}, ""
}
