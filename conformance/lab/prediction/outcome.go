package prediction

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/conformance/lab"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// Outcome is what came of a boot, simulated or real. Outcomes are the same if they are
// equal.
type Outcome struct {
	// IMA is the lab's verdict in one word.
	IMA lab.Word `json:"ima"`
	// TPM is when its driver bound to it, and Probe the error of the probe that had
	// failed when IMA looked and that the kernel does not retry: a positive errno, 0
	// for none.
	TPM   lab.Bound `json:"tpm"`
	Probe int       `json:"probe,omitempty"`
	// Record is the name of the boot aggregate's record, and Aggregate its digest.
	Record    string `json:"record,omitempty"`
	Aggregate string `json:"aggregate,omitempty"`
	// PCR10 is the value in the SHA-256 bank of the TPM; empty if the TPM does not
	// tell, as before TPM2_Startup.
	PCR10 string `json:"pcr10,omitempty"`
}

// String returns the outcome in a few words, without digests.
func (o Outcome) String() string {
	text := string(o.IMA) + "; TPM " + string(o.TPM)
	if o.Probe != 0 {
		text += fmt.Sprintf(", probe failed (%d)", o.Probe)
	}
	return text
}

// bank is the bank that outcomes are about.
const bank = ima.SHA256

// imaPCR is CONFIG_IMA_MEASURE_PCR_IDX.
const imaPCR = 10

// outcomeOf returns the outcome of a real boot.
func outcomeOf(v *lab.BootVerdict) (Outcome, error) {
	o := Outcome{IMA: v.Word, TPM: v.Driver.Bound, PCR10: v.TPMPCRs[bank][imaPCR].String()}
	if v.Driver.Failed != nil {
		o.Probe = max(v.Driver.Failed.Code, -v.Driver.Failed.Code)
	}
	return o, o.takeAggregate(listText(v))
}

// listText is the ASCII list of a real boot.
func listText(v *lab.BootVerdict) (text []byte) {
	for _, line := range v.List {
		text = append(append(text, line...), '\n')
	}
	return text
}

// takeAggregate takes the boot aggregate from an ASCII list.
func (o *Outcome) takeAggregate(list []byte) error {
	if len(list) == 0 {
		return nil
	}
	reader, err := ima.NewReader(bytes.NewReader(list), ima.Format{})
	if err != nil {
		return err
	}
	records, err := ima.ReadAll(reader)
	if err != nil {
		return err
	}
	for i, r := range records {
		if a, ok := ima.IsBootAggregate(r, i+1); ok {
			o.Record, o.Aggregate = r.Name(), a.Digest.Sum.String()
			return nil
		}
	}
	return nil
}

// outcomeOfResult returns the outcome of a simulated boot. The platform's boot aggregate,
// if it has one, is a real machine's whose PCR 0-9 are not known.
func outcomeOfResult(p *boot.Platform, r *boot.Result) (Outcome, error) {
	s := &r.Summary
	o := Outcome{TPM: lab.NeverBound, PCR10: r.PCRs[bank][imaPCR].String()}
	switch {
	case s.TPMRegistered && s.Started && s.TPMAt <= s.StartedAt:
		o.TPM = lab.BoundInTime
	case s.TPMRegistered:
		o.TPM = lab.BoundLater
	}
	o.Probe = failedProbe(r)
	records, err := r.List.Records()
	if err != nil {
		return o, err
	}
	for i, record := range records {
		if a, ok := ima.IsBootAggregate(record, i+1); ok {
			o.Record, o.Aggregate = record.Name(), a.Digest.Sum.String()
			break
		}
	}
	o.IMA, err = word(p, r, records)
	return o, err
}

// failedProbe returns the errno of the probe of the TPM that had failed when IMA looked,
// 0 if it had not, or the kernel retries it.
func failedProbe(r *boot.Result) int {
	tpm := ""
	for _, d := range r.Platform.Devices {
		driver := slices.IndexFunc(r.Platform.Drivers, func(v boot.Driver) bool { return v.Name == d.Driver })
		if driver >= 0 && r.Platform.Drivers[driver].Kind != boot.Plain {
			tpm = d.Name
		}
	}
	failed := 0
	for i := range r.Events {
		e := &r.Events[i]
		if e.Name != tpm || r.Summary.Started && e.At > r.Summary.StartedAt {
			continue
		}
		switch e.Kind {
		case boot.ProbeBound:
			return 0
		case boot.ProbeDeferred:
			failed = 0
		case boot.ProbeFailed:
			failed = cmp.Or(failed, -e.Code)
		}
	}
	return failed
}

// word is the lab's verdict about a simulated boot.
func word(p *boot.Platform, r *boot.Result, records []*ima.Record) (lab.Word, error) {
	s := &r.Summary
	switch {
	case !s.Started || s.StartError != 0 || len(s.Aggregates) == 0:
		return lab.NoIMA, nil
	case s.Bypass:
		return lab.Bypass, nil
	case s.FieldFailure || printed(r, "ima: No suitable TPM algorithm"):
		return lab.NoSuitableBank, nil
	}
	c, err := ima.Compare(ima.Records(records), r.PCRs)
	if err != nil {
		return "", err
	}
	a := c.BootAggregates[len(c.BootAggregates)-1]
	pinned := len(p.Aggregate.Sum) > 0 && bytes.Equal(a.Digest.Sum, p.Aggregate.Sum)
	switch {
	case a.Expected == nil || len(c.Banks) == 0:
		return lab.Unverified, nil
	case !a.Match && !pinned:
		return lab.AggregateMismatch, nil
	case !holds(c):
		return lab.PCRMismatch, nil
	}
	return lab.Measured, nil
}

// holds reports whether PCR 10 of each bank holds the whole list.
func holds(c *ima.Comparison) bool {
	for _, row := range c.Banks {
		if !slices.ContainsFunc(row.Replays, func(r ima.PCRReplay) bool { return bytes.Equal(r.Value, row.Value) }) {
			return false
		}
	}
	return true
}

func printed(r *boot.Result, prefix string) bool {
	return slices.ContainsFunc(r.Events, func(e boot.Event) bool {
		return e.Kind == boot.LogLine && strings.HasPrefix(e.Text, prefix)
	})
}

// Share counts the boots with one outcome.
type Share struct {
	Outcome
	Boots int `json:"boots"`
}

// shares counts outcomes, the most frequent one first.
func shares(outcomes []Outcome) []Share {
	var all []Share
	for _, o := range outcomes {
		i := slices.IndexFunc(all, func(s Share) bool { return s.Outcome == o })
		if i < 0 {
			i, all = len(all), append(all, Share{Outcome: o})
		}
		all[i].Boots++
	}
	slices.SortStableFunc(all, func(a, b Share) int { return b.Boots - a.Boots })
	return all
}
