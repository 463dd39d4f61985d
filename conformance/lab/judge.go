package lab

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
)

// Judge returns what a record shows. It fails if a report of the guest or the TPM
// cannot be read.
func Judge(r *Record) (*Verdict, error) {
	v := &Verdict{
		Schema: Schema, Board: cmp.Or(r.Machine.Board, Q35), Firmware: r.Machine.Firmware, Device: r.Machine.Device, Accel: r.Machine.Accel,
		CommandLine: r.Machine.CommandLine(), TPM: r.TPM, Took: Seconds(r.Took),
	}
	for i := range r.Boots {
		b, err := judgeBoot(i+1, &r.Boots[i], r.Machine.Device)
		if err != nil {
			return nil, fmt.Errorf("boot %d: %w", i+1, err)
		}
		v.Boots = append(v.Boots, *b)
	}
	return v, nil
}

func judgeBoot(number int, boot *Boot, device Device) (*BootVerdict, error) {
	last := boot.last()
	log := parseLog(last.Items[itemDmesg])
	b := &BootVerdict{
		Boot: number, Kernel: boot.Release,
		Release: releaseOf(boot.View),
		Driver:  driverOf(boot, log, device),
		IMA:     imaOf(log),
		List:    last.lines(itemASCII),
		Banks:   []Bank{},
	}
	if err := b.takePCRs(last, boot.View); err != nil {
		return nil, err
	}
	if err := b.compare(last); err != nil {
		return nil, err
	}
	b.Word = b.word(last, log)
	b.Sentence = b.sentence()
	return b, nil
}

// releaseOf returns the movement of the TPM's clock that ended the deferral in the
// current boot, nil if there is none.
func releaseOf(view *View) *Release {
	if view == nil {
		return nil
	}
	boot := view.Status.Now.Boot
	for _, rule := range view.Status.Rules {
		if rule.Boots > 0 && boot > rule.Boots || rule.Until == initcall.Firmware {
			continue
		}
		for _, e := range view.Status.Levels {
			if e.Boot == boot && e.Level >= rule.Until {
				return &Release{Level: e.Level.String(), At: Seconds(e.At), Cause: e.Cause, Decisions: decisions(view, boot)}
			}
		}
	}
	return nil
}

func decisions(view *View, boot int) map[string]int {
	counts := map[string]int{}
	for _, d := range view.Journal {
		if d.Boot == boot {
			counts[string(d.Outcome)]++
		}
	}
	return counts
}

func imaOf(log []Line) IMAVerdict {
	v := IMAVerdict{Lines: []string{}}
	if at, level, ok := imaLooked(log); ok {
		looked := Seconds(at)
		v.LookedAt = &looked
		if level != nil {
			v.LookedLevel = level.String()
		}
	}
	_, v.Bypass = find(log, bypassLine)
	for _, line := range log {
		if strings.HasPrefix(line.Text, "ima: ") {
			v.Lines = append(v.Lines, line.String())
		}
	}
	return v
}

// takePCRs records both views of the PCRs.
func (b *BootVerdict) takePCRs(last Report, view *View) error {
	guest, err := last.pcrs()
	if err != nil {
		return err
	}
	if b.GuestPCRs, err = imaPCRs(guest); err != nil {
		return fmt.Errorf("the guest's PCRs: %w", err)
	}
	if view != nil {
		b.Refused = view.Refused
		if b.TPMPCRs, err = imaPCRs(view.PCRs); err != nil {
			return fmt.Errorf("the TPM's PCRs: %w", err)
		}
	}
	return nil
}

// imaPCRs returns PCRs in package ima's form, nil for none.
func imaPCRs(pcrs control.PCRs) (ima.PCRs, error) {
	if len(pcrs) == 0 {
		return nil, nil
	}
	all := ima.PCRs{}
	for name, bank := range pcrs {
		algo, err := ima.ParseHashAlgo(name)
		if err != nil {
			return nil, err
		}
		all[algo] = map[int]ima.Hex{}
		for index, text := range bank {
			value, err := hex.DecodeString(text)
			if err != nil || len(value) != algo.Size() {
				return nil, fmt.Errorf("PCR %d of %s: %q is no digest", index, name, text)
			}
			all[algo][index] = value
		}
	}
	return all, nil
}

// compare replays the list against both views of the PCRs.
func (b *BootVerdict) compare(last Report) error {
	list, came := last.Items[itemBinary]
	if !came {
		return nil
	}
	known := b.TPMPCRs
	if known == nil {
		known = b.GuestPCRs
	}
	c, err := compareList(list, known)
	if err != nil {
		return err
	}
	if b.Count, err = last.number(itemCount); err != nil {
		return err
	}
	if b.Violations, err = last.number(itemViolations); err != nil {
		return err
	}
	if n := len(c.BootAggregates); n > 0 {
		a := c.BootAggregates[n-1]
		b.Aggregate = &Aggregate{
			Algorithm: a.Digest.Algo.String(), Digest: ima.Hex(a.Digest.Sum), Zero: a.Zero,
			Expected: a.Expected, Match: a.Match,
		}
	}
	guest, err := compareList(list, b.GuestPCRs)
	if err != nil {
		return err
	}
	for _, row := range c.Banks {
		b.Banks = append(b.Banks, bankOf(row, guest.Banks, b.TPMPCRs != nil))
	}
	return nil
}

func compareList(list []byte, pcrs ima.PCRs) (*ima.Comparison, error) {
	reader, err := ima.NewBinaryReader(bytes.NewReader(list), ima.Format{})
	if err != nil {
		return nil, err
	}
	return ima.Compare(reader, pcrs)
}

// imaPCR is the PCR into which IMA measures unless the kernel was configured
// otherwise.
const imaPCR = 10

// bankOf returns the row of a bank from the known view and the guest's. Debian's
// kernel has neither sha384 nor sha512 built in and extends padded sha1 digests there,
// which is one of the ways that Compare tries.
func bankOf(row ima.PCRComparison, guest []ima.PCRComparison, tpmKnown bool) Bank {
	bank := Bank{Bank: row.Bank}
	view := viewOf(row)
	replay := row.Replays[0]
	if found, ok := row.Match(); ok {
		replay = found
	}
	bank.Replayed, bank.Digests = replay.Value, replay.Digests.String()
	if tpmKnown {
		bank.TPM = view
	}
	for _, other := range guest {
		if other.Bank == row.Bank && other.PCR == row.PCR {
			bank.Guest = viewOf(other)
		}
	}
	return bank
}

func viewOf(row ima.PCRComparison) *PCRView {
	v := &PCRView{Value: row.Value, Zero: bytes.Count(row.Value, []byte{0}) == len(row.Value)}
	for _, r := range row.Replays {
		v.Match = v.Match || bytes.Equal(r.Value, row.Value)
	}
	return v
}

// word chooses the verdict's word. What IMA logged comes before what the PCRs show,
// unless the two contradict each other.
func (b *BootVerdict) word(last Report, log []Line) Word {
	_, listed := last.Items[itemBinary]
	_, noBank := find(log, noBankLine)
	switch {
	case !listed || b.Aggregate == nil:
		return NoIMA
	case b.IMA.Bypass && b.extended():
		return Contradiction
	case b.IMA.Bypass:
		return Bypass
	case noBank:
		return NoSuitableBank
	case b.Aggregate.Expected == nil || len(b.Banks) == 0:
		return Unverified
	case !b.Aggregate.Match:
		return AggregateMismatch
	}
	for _, bank := range b.Banks {
		if bank.TPM != nil && !bank.TPM.Match || bank.Guest != nil && !bank.Guest.Match {
			return PCRMismatch
		}
	}
	return Measured
}

// extended reports whether anybody saw a PCR 10 that is not zero. IMA in TPM-bypass
// extends none.
func (b *BootVerdict) extended() bool {
	for _, bank := range b.Banks {
		if bank.TPM != nil && !bank.TPM.Zero || bank.Guest != nil && !bank.Guest.Zero {
			return true
		}
	}
	return false
}

// sentence returns the verdict as a sentence.
func (b *BootVerdict) sentence() string {
	var text string
	switch b.Word {
	case Measured:
		text = fmt.Sprintf("IMA measured: its boot aggregate is that of PCR 0-9, and PCR %d holds the list of %d in %s",
			imaPCR, len(b.List), b.bankNames())
	case Bypass:
		text = "IMA went into TPM-bypass"
	case Contradiction:
		text = fmt.Sprintf("the kernel's log says that IMA went into TPM-bypass, but PCR %d was extended", imaPCR)
	case NoSuitableBank:
		text = "IMA found a TPM without a bank that it can use, and recorded a boot aggregate of zeros"
	case AggregateMismatch:
		text = "IMA's boot aggregate is not that of PCR 0-9"
	case PCRMismatch:
		text = fmt.Sprintf("IMA measured, but PCR %d does not hold its list", imaPCR)
	case Unverified:
		text = "IMA measured, but no PCRs could be read to compare with"
	case NoIMA:
		text = "the kernel has no measurement list"
	}
	if when := b.when(); when != "" {
		text += ": " + when
	}
	if f := b.Driver.Failed; b.Word == Bypass && f != nil {
		text += fmt.Sprintf("; its probe had failed already (%s, returned %d), which the kernel does not retry", f.At, f.Code)
	}
	return text + "; " + b.driverSentence() + "."
}

func (b *BootVerdict) bankNames() string {
	names := make([]string, len(b.Banks))
	for i, bank := range b.Banks {
		names[i] = bank.Bank.String()
	}
	return strings.Join(names, ", ")
}

// when returns how long before or after the release of the TPM IMA looked for it.
func (b *BootVerdict) when() string {
	r := b.Release
	if r == nil {
		return ""
	}
	text := "the TPM was released at " + r.Level
	looked := "IMA looked for it"
	if b.IMA.LookedLevel != "" {
		looked += " at " + b.IMA.LookedLevel
	}
	if r.At < 0 || b.IMA.LookedAt == nil {
		return text
	}
	gap := r.At - *b.IMA.LookedAt
	relation := "after"
	if gap < 0 {
		gap, relation = -gap, "before"
	}
	return fmt.Sprintf("%s (%s), %.2f s %s %s (%s)", text, r.At, time.Duration(gap).Seconds(), relation, looked, *b.IMA.LookedAt)
}

func (b *BootVerdict) driverSentence() string {
	d := b.Driver
	name := d.Name
	if name == "" {
		name = "the driver"
	}
	var text string
	switch d.Bound {
	case NeverBound:
		return "no driver bound to it"
	case BoundInTime:
		text = name + " had bound to it in time"
	case BoundLater:
		text = name + " bound to it by itself, after IMA had looked"
	case BoundByHand:
		text = name + " bound to it when user space asked for it"
	}
	if d.At != nil {
		text += fmt.Sprintf(" (%s)", *d.At)
	}
	if d.FieldFailure {
		text += ", in field failure mode"
	}
	return text
}
