package verify

import (
	"errors"
	"fmt"
	"slices"

	"github.com/swtpmd/swtpmd/ima"
)

// State says how a PCR stands to the list.
type State string

const (
	// StateMatch: the list gives the PCR's value.
	StateMatch State = "match"
	// StateReset: the PCR has the value it has after TPM2_Startup(CLEAR).
	StateReset State = "reset"
	// StateMismatch: neither.
	StateMismatch State = "mismatch"
	// StateStart: the PCR has the value given for the beginning of the list.
	StateStart State = "start"
	// StateNoStart: no value was given for the beginning of the list, which
	// is not at a boot.
	StateNoStart State = "no-start"
	// StateUnknown: the bank's hash cannot be computed here.
	StateUnknown State = "unknown"
)

// Replay is a PCR next to what the list makes of it.
type Replay struct {
	Bank ima.HashAlgo `json:"bank"`
	PCR  int          `json:"pcr"`
	// Value is the value given, Replayed the one after the last record.
	Value    ima.Hex `json:"value"`
	Replayed ima.Hex `json:"replayed,omitempty"`
	State    State   `json:"state"`
	// Digests says which digests give the value: those of the bank's hash,
	// or padded sha1 ones.
	Digests string `json:"digests"`
	// Record is the number of the last record with which the list gives the value, After
	// how many for the PCR follow it.
	Record int `json:"record"`
	After  int `json:"after"`
	// Quoted reports that a quote covers the value.
	Quoted bool `json:"quoted"`

	padded bool
	// aside reports that the row does not count, as a quote covers the PCR in
	// another bank and not in this one.
	aside bool
}

// bank is a bank and one of the digests that a kernel can have extended into
// it, with the places where its PCRs had the values given.
type bank struct {
	ima.ReplayBank
	values [numPCRs][]byte // nil where none was given
	// record is the last record after which the PCR had its value, 0 if only
	// before the first one, -1 if never; used how many records had been for
	// the PCR by then.
	record, used [numPCRs]int
	violated     [numPCRs]bool
}

// init makes the replays: each bank with all digests that kernels use.
func (r *run) init() error {
	for _, algo := range sortedKeys(r.evidence.PCRs) {
		if !algo.Available() {
			continue
		}
		r.banks = append(r.banks, bank{ReplayBank: ima.ReplayBank{Bank: algo, Digests: ima.PerBank}})
		if algo != ima.SHA1 {
			r.banks = append(r.banks,
				bank{ReplayBank: ima.ReplayBank{Bank: algo, Digests: ima.PaddedSHA1}},
				bank{ReplayBank: ima.ReplayBank{Bank: algo, Digests: ima.PaddedSHA1Violation}})
		}
	}
	replayed := make([]ima.ReplayBank, len(r.banks))
	for i := range r.banks {
		replayed[i] = r.banks[i].ReplayBank
	}
	var err error
	if r.replay, err = ima.NewReplay(replayed...); err != nil {
		return err
	}
	if err = r.replay.Start(r.evidence.Start); err != nil {
		return err
	}
	for i := range r.banks {
		b := &r.banks[i]
		for pcr, value := range r.evidence.PCRs[b.Bank] {
			b.values[pcr] = value
		}
		for pcr := range numPCRs {
			b.record[pcr] = -1
			r.match(b, pcr, 0)
		}
	}
	return nil
}

// match notes that b's PCR has its value after the record.
func (r *run) match(b *bank, pcr, record int) {
	if b.values[pcr] != nil && r.replay.Holds(b.ReplayBank, pcr, b.values[pcr]) {
		b.record[pcr], b.used[pcr] = record, r.used[pcr]
	}
}

// extend replays a record. The error is that of a list whose digests cannot be
// computed here.
func (r *run) extend(rec *ima.Record, number int) error {
	intact, err := r.replay.Extend(rec)
	if err != nil {
		return r.unextended(err, number)
	}
	if !intact {
		r.findings.record(DigestMismatch, number)
	}
	pcr := int(rec.PCR)
	r.used[pcr]++
	violation := rec.Violation()
	for i := range r.banks {
		b := &r.banks[i]
		b.violated[pcr] = b.violated[pcr] || violation
		r.match(b, pcr, number)
	}
	return nil
}

// unextended takes a record for a PCR that no TPM has.
func (r *run) unextended(err error, number int) error {
	var index *ima.PCRIndexError
	if !errors.As(err, &index) {
		return err
	}
	r.findings.record(PCRNotInTPM, number)
	return nil
}

// concerns reports whether the list has to give the value of a PCR: it has
// records for it, or has none although the PCR is IMA's and has been extended
// since the beginning of the list.
func (r *run) concerns(pcr int) bool {
	if r.used[pcr] > 0 {
		return true
	}
	extended := func(b bank) bool { return b.values[pcr] != nil && b.record[pcr] < 0 }
	return r.verdict.Records > 0 && pcr == r.evidence.Build.measurePCR() && slices.ContainsFunc(r.banks, extended)
}

// replays returns the rows for the PCRs that concern the list.
func (r *run) replays() []Replay {
	var rows []Replay
	for pcr := range numPCRs {
		if !r.concerns(pcr) {
			continue
		}
		start := len(rows)
		for _, algo := range sortedKeys(r.evidence.PCRs) {
			value, given := r.evidence.PCRs[algo][pcr]
			if !given {
				continue
			}
			row := Replay{Bank: algo, PCR: pcr, Value: value, State: StateUnknown, Quoted: r.covered(algo, pcr)}
			for i := range r.banks {
				if r.banks[i].Bank == algo {
					r.fill(&row, &r.banks[i])
				}
			}
			rows = append(rows, row)
		}
		r.withoutStart(rows[start:])
		setAside(rows[start:])
	}
	return rows
}

// setAside lets the values quoted of a PCR count alone, if there are any.
func setAside(rows []Replay) {
	if !slices.ContainsFunc(rows, func(row Replay) bool { return row.Quoted }) {
		return
	}
	for i := range rows {
		rows[i].aside = !rows[i].Quoted
	}
}

// fill completes row with what b says, if that is more than what it says
// already.
func (r *run) fill(row *Replay, b *bank) {
	pcr := row.PCR
	state := StateMismatch
	switch {
	case b.record[pcr] > 0:
		state = StateMatch
	case b.record[pcr] == 0 && r.startsLater(b.Bank, pcr):
		state = StateStart
	case b.record[pcr] == 0:
		state = StateReset
	}
	better := row.State == StateUnknown || state == StateMatch && (row.State != StateMatch || b.record[pcr] > row.Record)
	if !better {
		return
	}
	row.State = state
	row.Digests = b.Digests.String()
	row.padded = b.Digests != ima.PerBank
	row.Replayed = r.replay.PCR(b.ReplayBank, pcr)
	row.Record = max(b.record[pcr], 0)
	row.After = r.used[pcr] - b.used[pcr]
}

// pcrState sums up the rows of a PCR: a match in one bank is one, and record is
// how far it reaches. Without a row the state is empty.
func (v *Verdict) pcrState(pcr int) (state State, record int) {
	for i := range v.Replays {
		row := &v.Replays[i]
		switch {
		case row.PCR != pcr || row.aside:
		case row.State == StateMatch:
			state, record = StateMatch, max(record, row.Record)
		case state == StateMatch:
		case row.State == StateMismatch || state == "" || state == StateUnknown:
			state = row.State
		}
	}
	return state, record
}

// concludeReplays makes findings of the rows.
func (r *run) concludeReplays() {
	if r.verdict.Records == 0 {
		r.add(ListEmpty, "The list has no record; a kernel with IMA records a boot aggregate at least.")
	}
	for pcr := range numPCRs {
		if !r.concerns(pcr) {
			continue
		}
		state, record := r.verdict.pcrState(pcr)
		if state == "" {
			r.add(PCRNotGiven, "No value of PCR %d was given, for which the list has records, %d in all: nothing vouches for them.", pcr, r.used[pcr]).about(0, pcr)
			continue
		}
		for i := range r.verdict.Replays {
			if row := &r.verdict.Replays[i]; row.PCR == pcr && !row.aside {
				r.concludeReplay(row, state, record)
			}
		}
		r.concludeDigests(pcr)
	}
}

// concludeReplay makes a finding of a row; state and record are those of its
// PCR in all banks.
func (r *run) concludeReplay(row *Replay, state State, record int) {
	switch row.State {
	case StateMatch:
		r.add(ReplayMatch, "The list up to record %d gives the value of PCR %d in bank %s (%s).", row.Record, row.PCR, row.Bank, row.Digests).
			about(row.Bank, row.PCR).at(row.Record)
		if row.After > 0 {
			r.add(RecordsAfter, "For PCR %d the list has %d more after it, as it was read later than the PCR; nothing vouches for what follows yet.", row.PCR, row.After).about(row.Bank, row.PCR)
		}
		if row.Record != record {
			r.add(BanksDisagree, "Bank %s of PCR %d stands at record %d, another one at %d: one extend changes all banks, so the values were not read at the same time.", row.Bank, row.PCR, row.Record, record).about(row.Bank, row.PCR)
		}
		if row.padded {
			r.add(DigestsPadded, "Bank %s was extended with padded sha1 digests, as by a kernel before 5.8 or one that cannot allocate %s.", row.Bank, row.Bank).about(row.Bank, row.PCR)
		}
	case StateStart:
		r.add(PCRAtStart, "PCR %d of bank %s has the value that was given for the beginning of the list: no record of it, %d in all, was in the PCR yet, and nothing vouches for them.", row.PCR, row.Bank, r.used[row.PCR]).about(row.Bank, row.PCR)
	case StateNoStart:
		if state == StateMatch {
			r.add(StartNotGiven, "Bank %s of PCR %d was not compared: its value at the beginning of the list was not given.", row.Bank, row.PCR).about(row.Bank, row.PCR)
		}
	case StateUnknown:
		r.add(BankNotReplayable, "The hash of bank %s cannot be computed here.", row.Bank).about(row.Bank, row.PCR)
	default:
		r.concludeUnmatched(row, state)
	}
}

func (r *run) concludeUnmatched(row *Replay, state State) {
	switch {
	case state == StateMatch:
		r.add(BankMismatch, "The list gives the value of PCR %d in another bank, but not in %s (%s).", row.PCR, row.Bank, row.State).about(row.Bank, row.PCR)
	case row.State == StateReset && !r.has(Bypass):
		r.add(PCRAtReset, "PCR %d of bank %s is at its reset value, but the list has records for it, %d in all: none of them was extended, so the list is unauthenticated data of the running software.", row.PCR, row.Bank, r.used[row.PCR]).about(row.Bank, row.PCR)
	case row.State == StateMismatch:
		r.add(ReplayMismatch, "%s", r.mismatchText(row)).about(row.Bank, row.PCR)
	}
}

// mismatchText says what can be known of a mismatch, and what cannot.
func (r *run) mismatchText(row *Replay) string {
	text := fmt.Sprintf("No beginning of the list gives the value of PCR %d in bank %s. Which record is wrong cannot be known, as a PCR is one value: records were changed, left out or cut off, the list is older than the PCR, or somebody else has extended the PCR", row.PCR, row.Bank)
	if r.has(ListPiece) {
		text += ", or the values given for the beginning of the list are those of another place"
	}
	if r.has(DigestMismatch) {
		text += "; known is that there are records whose own digest is wrong"
	} else {
		text += "; known is that each record's own digest is right, which anybody can make so"
	}
	if r.aggregates.count > 1 && !r.evidence.Build.Kernel.KexecAtExecute {
		text += "; or records were lost between the loading and the execution of a kexec kernel, as before 6.16"
	}
	return text + "."
}

// concludeDigests reports whether what vouches for a PCR's records is sha1 alone.
func (r *run) concludeDigests(pcr int) {
	weak, strong := false, false
	for i := range r.verdict.Replays {
		if row := &r.verdict.Replays[i]; row.PCR == pcr && !row.aside && row.State == StateMatch {
			sha1 := row.padded || row.Bank == ima.SHA1
			weak, strong = weak || sha1, strong || !sha1
		}
	}
	if weak && !strong {
		r.add(SHA1Only, "Only sha1 vouches for the records of PCR %d, for which collisions can be computed.", pcr).about(0, pcr)
	}
}

// pcrsOf returns the PCRs of a bank that were given, among those wanted.
func pcrsOf(pcrs ima.PCRs, bank ima.HashAlgo, wanted []int) (given, missing []int) {
	for _, pcr := range wanted {
		if _, ok := pcrs[bank][pcr]; ok {
			given = append(given, pcr)
		} else {
			missing = append(missing, pcr)
		}
	}
	slices.Sort(given)
	return given, missing
}
