package verify

import (
	"bytes"
	"slices"

	"github.com/swtpmd/swtpmd/ima"
)

// A list need not begin at a boot. A service that attests again and again asks
// for what is new, and since Linux 7.2 (CONFIG_IMA_STAGING) user space can take
// records out of the kernel's list from its beginning on. The records that are
// left give the values of the PCRs only from the values that those had at the cut.

// beginsWithAggregate reports whether the first record is a boot aggregate, as
// after a boot.
func (r *run) beginsWithAggregate() bool {
	return r.aggregates.count > 0 && r.aggregates.list[0].Record == 1
}

// startsLater reports whether a value of a PCR was given for the beginning of the
// list, and is not the one after TPM2_Startup(CLEAR).
func (r *run) startsLater(bank ima.HashAlgo, pcr int) bool {
	value, given := r.evidence.Start[bank][pcr]
	return given && !bytes.Equal(value, resetValue(bank, pcr))
}

// resetValue is that of a PCR after TPM2_Startup(CLEAR).
func resetValue(bank ima.HashAlgo, pcr int) []byte {
	value := make([]byte, bank.Size())
	if pcr >= 17 && pcr <= 22 {
		for i := range value {
			value[i] = 0xff
		}
	}
	return value
}

// withoutStart turns mismatches of a PCR into what they are if nothing could
// match: no value was given for the beginning of a list that is not that of a
// boot.
func (r *run) withoutStart(rows []Replay) {
	whole := r.evidence.Start == nil && (r.beginsWithAggregate() || slices.ContainsFunc(rows, func(row Replay) bool { return row.State == StateMatch }))
	for i := range rows {
		row := &rows[i]
		_, given := r.evidence.Start[row.Bank][row.PCR]
		if !whole && !given && row.State == StateMismatch {
			row.State, row.Replayed = StateNoStart, nil
		}
	}
}

// concludeBeginning says where the list begins, if that is not a boot.
func (r *run) concludeBeginning() {
	if r.verdict.Records == 0 {
		return
	}
	if r.isPiece() {
		r.add(ListPiece, "The list does not begin at a boot but at the PCR values that were given. What precedes it, the boot aggregate above all, is the matter of who has verified that.").at(1)
	}
	pcrs := r.unstarted()
	switch {
	case len(pcrs) > 0:
		r.add(ListNotFromBoot, "The list does not begin at a boot, and the values of PCR %s at its beginning were not given: it is a piece of a list that somebody else has the beginning of, or its beginning was taken away. Nothing vouches for it without them.", rangesText(pcrs)).about(0, pcrs...)
	case r.evidence.Start == nil && !r.beginsWithAggregate() && !r.matches():
		r.add(ListNotFromBoot, "The list does not begin at a boot: its first record is no boot aggregate.").at(1)
	}
}

// isPiece reports whether values were given for the beginning that are not those
// of a boot.
func (r *run) isPiece() bool {
	for _, bank := range sortedKeys(r.evidence.Start) {
		for pcr := range numPCRs {
			if r.startsLater(bank, pcr) && r.used[pcr] > 0 {
				return true
			}
		}
	}
	return false
}

// unstarted returns the PCRs of which no bank could be compared, as the list does
// not begin at a boot.
func (r *run) unstarted() (pcrs []int) {
	for pcr := range numPCRs {
		if state, _ := r.verdict.pcrState(pcr); state == StateNoStart {
			pcrs = append(pcrs, pcr)
		}
	}
	return pcrs
}

// matches reports whether the list gives the value of any PCR.
func (r *run) matches() bool {
	return slices.ContainsFunc(r.verdict.Replays, func(row Replay) bool { return row.State == StateMatch && !row.aside })
}

// beginsAtBoot reports whether nothing says that the list begins later.
func (r *run) beginsAtBoot() bool { return !r.has(ListPiece, ListNotFromBoot) }
