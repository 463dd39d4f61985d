package verify

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/swtpmd/swtpmd/ima"
)

// Aggregate is a record of a boot aggregate.
type Aggregate struct {
	Record int    `json:"record"`
	Name   string `json:"name"`
	PCR    int    `json:"pcr"`
	// Bank is the bank of which the record says it is, Digest what it says.
	// A zero Bank is one that is not known here.
	Bank   ima.HashAlgo `json:"bank,omitempty"`
	Digest ima.Hex      `json:"digest"`
	Zero   bool         `json:"zero"`
	// Expected is the boot aggregate of the PCRs given, empty if they do not
	// suffice.
	Expected ima.Hex `json:"expected,omitempty"`
	// PCRs are those that the digest is of, empty if it is not the PCRs'.
	PCRs []int `json:"pcrs,omitempty"`
	// EventLog reports that the digest is that of the PCRs to which the event log
	// leads. PCRs are those of them whose values were given then, Extended
	// those that have been extended since.
	EventLog bool  `json:"event_log,omitempty"`
	Extended []int `json:"extended,omitempty"`
}

// Match reports whether the digest is that of the PCR values given.
func (a *Aggregate) Match() bool { return len(a.PCRs) > 0 && !a.EventLog }

// aggregatesMax is how many boot aggregates a Verdict shows. Each kexec adds
// one.
const aggregatesMax = 16

// aggregates are the boot aggregates of a list: the first of them, and the last.
type aggregates struct {
	list  []Aggregate
	count int
	// late counts those named boot_aggregate_late.
	late int
}

func (a *aggregates) add(g Aggregate) {
	a.count++
	if g.Name == ima.BootAggregateLateName {
		a.late++
	}
	if len(a.list) < aggregatesMax {
		a.list = append(a.list, g)
		return
	}
	a.list[aggregatesMax-1] = g
}

// pcr is the PCR of the boot aggregates, CONFIG_IMA_MEASURE_PCR_IDX.
func (a *aggregates) pcr() int {
	if len(a.list) == 0 {
		return defaultPCR
	}
	return a.list[0].PCR
}

// defaultPCR is the default of CONFIG_IMA_MEASURE_PCR_IDX.
const defaultPCR = 10

// aggregate compares a boot aggregate with the PCRs given.
func (r *run) aggregate(b ima.BootAggregate, pcr uint32) {
	g := Aggregate{Record: b.Record, Name: b.Name, PCR: int(pcr), Bank: b.Digest.Algo, Digest: b.Digest.Sum, Zero: b.Zero}
	bank := ima.BankOf(g.Bank)
	if g.Bank.Available() && bank.CryptoID != 0 {
		if sum, err := ima.CalcBootAggregate(bank, r.evidence.PCRs); err == nil {
			g.Expected = sum
			if bytes.Equal(sum, g.Digest) {
				g.PCRs = aggregatePCRs(g.Bank)
			}
		}
		if !g.Match() && g.Bank != ima.SHA1 && bytes.Equal(hashPCRs(g.Bank, r.evidence.PCRs[g.Bank], upTo(7)), g.Digest) {
			g.PCRs = upTo(7)
		}
		r.aggregateOfLog(&g)
	}
	r.aggregates.add(g)
}

// aggregatePCRs are the PCRs of a boot aggregate since kernel 5.8.
func aggregatePCRs(bank ima.HashAlgo) []int {
	if bank == ima.SHA1 {
		return upTo(7)
	}
	return upTo(9)
}

func upTo(last int) []int {
	pcrs := make([]int, last+1)
	for i := range pcrs {
		pcrs[i] = i
	}
	return pcrs
}

// concludeAggregates makes findings of the boot aggregates.
func (r *run) concludeAggregates() {
	a := &r.aggregates
	r.verdict.Aggregates = a.list
	if a.count == 0 {
		if r.verdict.Records > 0 && r.beginsAtBoot() {
			r.add(AggregateMissing, "The list has no boot aggregate: its beginning was deleted (as staging can) or it is not the kernel's; nothing ties it to the boot of this machine.")
		}
		return
	}
	if first := a.list[0].Record; first != 1 && r.beginsAtBoot() {
		r.add(AggregateNotFirst, "The first boot aggregate is record %d; a kernel records it first, so the beginning of the list is missing or was made up.", first).at(first)
	}
	if pcr := r.evidence.Build.measurePCR(); a.pcr() != pcr {
		r.add(AggregatePCR, "The first boot aggregate is for PCR %d, but the kernel's IMA extends PCR %d unless it is configured otherwise (CONFIG_IMA_MEASURE_PCR_IDX): anybody can make a list of his own in another PCR.", a.pcr(), pcr).about(0, a.pcr()).at(a.list[0].Record)
	}
	if a.count > 1 {
		r.concludeSeveral()
	}
	vouched := r.vouched()
	if len(vouched) == 0 {
		_, record := r.verdict.pcrState(a.pcr())
		r.add(AggregateAfterQuote, "The first boot aggregate, record %d, comes after record %d, up to which PCR %d vouches for the list.", a.list[0].Record, record, a.pcr()).at(a.list[0].Record)
	}
	for _, group := range groupAggregates(vouched) {
		r.concludeAggregate(group)
	}
}

// vouched returns the boot aggregates but those after the records that their
// PCR vouches for. If it vouches for none it gives them all, as they say
// something even so.
func (r *run) vouched() []Aggregate {
	all := r.aggregates.list
	for i := range all {
		if state, record := r.verdict.pcrState(all[i].PCR); state == StateMatch && all[i].Record > record {
			return all[:i]
		}
	}
	return all
}

// groupAggregates puts together those that say the same.
func groupAggregates(list []Aggregate) [][]Aggregate {
	var groups [][]Aggregate
	for _, g := range list {
		i := slices.IndexFunc(groups, func(group []Aggregate) bool {
			return group[0].Bank == g.Bank && group[0].PCR == g.PCR && bytes.Equal(group[0].Digest, g.Digest)
		})
		if i < 0 {
			groups = append(groups, nil)
			i = len(groups) - 1
		}
		groups[i] = append(groups[i], g)
	}
	return groups
}

func (r *run) concludeSeveral() {
	a := &r.aggregates
	records := make([]int, len(a.list))
	for i := range a.list {
		records[i] = a.list[i].Record
	}
	why := ": each kernel that kexec has started adds one, and the list of the one before precedes it"
	if a.late > 0 && a.late < a.count {
		why = ", under both names: a kernel records two that does so at late and again at late_sync, or kexec has started another one"
	}
	f := r.add(SeveralAggregates, "The list has %d boot aggregates%s. A file has that name too if the kernel could not make its path.", a.count, why)
	f.at(records...)
	f.Count = a.count
}

// concludeAggregate makes a finding of boot aggregates that say the same.
func (r *run) concludeAggregate(group []Aggregate) {
	g := &group[0]
	records := make([]int, len(group))
	for i := range group {
		records[i] = group[i].Record
	}
	if g.Zero {
		r.concludeZero(g).at(records...)
		return
	}
	wanted := aggregatePCRs(g.Bank)
	given, missing := pcrsOf(r.evidence.PCRs, g.Bank, wanted)
	switch {
	case g.EventLog:
		r.concludeOfLog(g).at(records...)
	case len(g.PCRs) == len(wanted):
		r.add(AggregateMatch, "The boot aggregate is that of PCR %s in bank %s.", rangesText(g.PCRs), g.Bank).about(g.Bank, g.PCRs...).at(records...)
	case g.Match():
		r.add(AggregateShort, "The boot aggregate is that of PCR 0-7 in bank %s; kernels since 5.8 take PCR 8 and 9 too, of which it says nothing.", g.Bank).about(g.Bank, g.PCRs...).at(records...)
	case len(g.Expected) > 0 && r.wentOn(g) != nil:
		pcrs := r.wentOn(g)
		r.add(AggregateUnchecked, "The boot aggregate cannot be compared: PCR %s of bank %s has been extended since the first kernel started IMA, and its value when kexec started this one is not known.", rangesText(pcrs), g.Bank).about(g.Bank, pcrs...).at(records...)
	case len(g.Expected) > 0:
		r.add(AggregateMismatch, "The boot aggregate is not that of PCR %s in bank %s: it is of another boot, or these PCRs were extended after IMA started%s.", rangesText(wanted), g.Bank, r.logHint()).about(g.Bank, wanted...).at(records...)
	case len(missing) > 0:
		r.add(AggregateUnchecked, "The boot aggregate cannot be compared: PCR %s of bank %s were not given.", rangesText(missing), bankText(g.Bank)).about(g.Bank, missing...).at(records...)
	default:
		r.add(AggregateUnchecked, "The boot aggregate cannot be compared: its hash, %s, cannot be computed here.", bankText(g.Bank)).at(records...)
	}
	if len(given) >= 8 && r.firmwareZero(g.Bank) {
		r.add(FirmwareUnmeasured, "PCR 0-7 of bank %s are zero: the firmware measured nothing, so the boot aggregate is that of every boot without a measuring firmware and tells nothing of this one.", g.Bank).about(g.Bank, upTo(7)...)
	}
}

// logHint says what an event log would add.
func (r *run) logHint() string {
	if r.log == nil {
		return " (the event log, of which there is none here, would tell for PCR 8 and 9)"
	}
	return ""
}

func bankText(bank ima.HashAlgo) string {
	if bank == 0 {
		return "of an unknown hash"
	}
	return bank.String()
}

// firmwareZero reports whether PCR 0 to 7 were given and are zero.
func (r *run) firmwareZero(bank ima.HashAlgo) bool {
	for _, pcr := range upTo(7) {
		if value, ok := r.evidence.PCRs[bank][pcr]; !ok || !allZero(value) {
			return false
		}
	}
	return true
}

// concludeZero tells apart what a zero boot aggregate can mean.
func (r *run) concludeZero(g *Aggregate) *Finding {
	state, _ := r.verdict.pcrState(g.PCR)
	switch {
	case state == StateReset:
		return r.add(Bypass, "The boot aggregate is zero and PCR %d at its reset value, so nothing was extended. Either IMA found no TPM when it started, and uses none that came later (TPM-bypass), or it found one without a bank: a TPM that did not answer its self test is kept in field failure mode. The kernel's log tells which. The list is unauthenticated data of the running software.", g.PCR).about(0, g.PCR)
	case state == StateMatch:
		return r.add(ZeroLiveTPM, "The boot aggregate is zero, although PCR %d has been extended with the list. %s", g.PCR, r.liveText(g)).about(0, g.PCR)
	case state == StateMismatch:
		return r.add(ZeroUnmatched, "The boot aggregate is zero, and PCR %d is neither at reset nor what the list makes of it: later software has extended it after TPM-bypass, or the TPM was reset, or a kernel started by kexec has gone on with it.", g.PCR).about(0, g.PCR)
	}
	return r.add(ZeroUnchecked, "The boot aggregate is zero, and no value of PCR %d that can be compared was given: TPM-bypass or not, nothing vouches for the list.", g.PCR).about(0, g.PCR)
}

// liveText says why a kernel with a TPM may have recorded a zero boot aggregate,
// as far as the banks tell. Under the label of sha1 or md5, which the ima
// template has, a bank of sha256 does not help.
func (r *run) liveText(g *Aggregate) string {
	usable := []ima.HashAlgo{ima.SHA256, ima.SHA1}
	if g.Bank == ima.SHA1 || g.Bank == ima.MD5 {
		usable = usable[1:]
	}
	for _, bank := range usable {
		if _, ok := r.evidence.PCRs[bank]; ok {
			return fmt.Sprintf("The TPM has a bank %s, of which a kernel with a TPM makes the aggregate: so either the kernel found no TPM and something else extended the list, or the list was forged. Which of them cannot be known.", bank)
		}
	}
	return "Either the TPM has no bank that the kernel can use for the aggregate (neither that of ima_hash nor sha256 or sha1), or a list was forged and extended by something else. Which of them cannot be known."
}
