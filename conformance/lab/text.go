package lab

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// WriteJSON writes the verdict as one JSON object.
func (v *Verdict) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// WriteText writes the verdict for people to read.
func (v *Verdict) WriteText(w io.Writer) error {
	var t strings.Builder
	fmt.Fprintf(&t, "machine     %s, firmware %s, %s, %s; QEMU ran for %s\n", v.Board, v.Firmware, v.Device, v.Accel, v.Took)
	fmt.Fprintf(&t, "tpm         %s\n", strings.Join(v.TPM, " "))
	fmt.Fprintf(&t, "kernel args %s\n", v.CommandLine)
	for i := range v.Boots {
		v.Boots[i].text(&t)
	}
	_, err := io.WriteString(w, t.String())
	return err
}

func (b *BootVerdict) text(t *strings.Builder) {
	fmt.Fprintf(t, "\nboot %d      Linux %s\n", b.Boot, b.Kernel)
	if r := b.Release; r != nil {
		fmt.Fprintf(t, "released    at %s, %s (%s)", r.Level, r.At, r.Cause)
		for _, outcome := range slices.Sorted(maps.Keys(r.Decisions)) {
			fmt.Fprintf(t, "; commands %s: %d", outcome, r.Decisions[outcome])
		}
		t.WriteString("\n")
	}
	fmt.Fprintf(t, "driver      %s\n", b.driverSentence())
	if len(b.Driver.Deferred) > 0 {
		section(t, "devices whose probes are deferred", b.Driver.Deferred)
	}
	section(t, "TPM lines", b.Driver.Lines)
	section(t, "IMA lines", b.IMA.Lines)
	section(t, fmt.Sprintf("list of %d, %d violations", len(b.List), b.Violations), b.List)
	if a := b.Aggregate; a != nil {
		fmt.Fprintf(t, "aggregate   %s:%s, %s\n", a.Algorithm, a.Digest, a.state())
	}
	for _, bank := range b.Banks {
		bank.text(t)
	}
	fmt.Fprintf(t, "verdict     %s\n%s\n", b.Word, b.Sentence)
}

func section(t *strings.Builder, title string, lines []string) {
	if len(lines) == 0 {
		fmt.Fprintf(t, "%s: none\n", title)
		return
	}
	fmt.Fprintf(t, "%s:\n  %s\n", title, strings.Join(lines, "\n  "))
}

func (a *Aggregate) state() string {
	switch {
	case a.Zero:
		return "zeros"
	case a.Expected == nil:
		return "with no PCRs to compare"
	case a.Match:
		return "that of PCR 0-9"
	default:
		return "not that of PCR 0-9, which is " + a.Expected.String()
	}
}

func (k *Bank) text(t *strings.Builder) {
	fmt.Fprintf(t, "PCR %d      %s: replayed %s (%s)", imaPCR, k.Bank, k.Replayed, k.Digests)
	for _, seen := range []struct {
		by   string
		view *PCRView
	}{{"guest", k.Guest}, {"TPM", k.TPM}} {
		switch {
		case seen.view == nil:
			fmt.Fprintf(t, "; %s has no view", seen.by)
		case seen.view.Match:
			fmt.Fprintf(t, "; %s agrees", seen.by)
		case seen.view.Zero:
			fmt.Fprintf(t, "; %s has zeros", seen.by)
		default:
			fmt.Fprintf(t, "; %s has %s", seen.by, seen.view.Value)
		}
	}
	t.WriteString("\n")
}
