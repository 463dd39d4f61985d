package verify

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// EventLogDeviation is a place where an event log is not as its specification
// has it, but the values it gives are not in doubt. Firmware writes such logs.
type EventLogDeviation struct {
	Event  int   // number of the event, from 1; of padding, that of the one missing
	Offset int64 // in bytes
	Item   string
	Text   string
}

func (v EventLogDeviation) String() string {
	return fmt.Sprintf("event %d, byte %d: %s: %s", v.Event, v.Offset, v.Item, v.Text)
}

// MaxDeviations is how many deviations an EventLog keeps.
const MaxDeviations = 8

// deviate notes a deviation of the item that began n bytes ago.
func (d *logDecoder) deviate(n int, format string, args ...any) {
	d.log.Deviated++
	if len(d.log.Deviations) < MaxDeviations {
		d.log.Deviations = append(d.log.Deviations, EventLogDeviation{
			Event: d.event, Offset: int64(d.at - n), Item: d.item, Text: fmt.Sprintf(format, args...),
		})
	}
}

// padding reports whether nothing but padding follows the last event: a
// copy of a buffer, not of what is in it.
func (d *logDecoder) padding() bool {
	if !d.paddingFrom(d.at) {
		return false
	}
	d.item = "end"
	d.deviate(0, "%d bytes %02x follow the last event", len(d.b)-d.at, d.b[d.at])
	return true
}

// paddingFrom reports whether there are only zeros, or only ones, from a byte on.
func (d *logDecoder) paddingFrom(at int) bool {
	rest := d.b[at:]
	if rest[0] != 0 && rest[0] != 0xff {
		return false
	}
	// An event that begins so has another byte soon: its type, or its size.
	for _, c := range rest {
		if c != rest[0] {
			return false
		}
	}
	return true
}

// headerAgain reports whether the event is a Spec ID event in the older form
// once more, as where logs were joined. Its digest of zeros would be taken for a
// list of no digests otherwise.
func (d *logDecoder) headerAgain(e *Event) bool {
	if e.Type != NoAction || e.PCR != 0 {
		return false
	}
	const digest, size = 20, 4
	rest := d.b[d.at:]
	if len(rest) < digest+size+specSize || !allZero(rest[:digest]) {
		return false
	}
	n := binary.LittleEndian.Uint32(rest[digest:])
	sig, _ := signature(rest[digest+size : digest+size+specSize])
	return sig == specAgile && n >= specSize
}

// locality reads what follows the signature in a TCG_EfiStartupLocalityEvent: one
// byte. Firmware with entries of one size for all pads it.
func (d *logDecoder) locality(rest []byte) {
	d.item = localitySig
	if len(rest) == 0 {
		d.deviate(0, "it ends before the locality")
		return
	}
	locality := rest[0]
	if len(rest) > 1 {
		d.deviate(len(rest)-1, "%d bytes follow the locality", len(rest)-1)
	}
	if locality != 0 && locality != 3 && locality != 4 {
		d.deviate(len(rest), "locality %d; TPM2_Startup comes from 0 or 3, an H-CRTM from 4", locality)
		return
	}
	switch {
	case len(d.log.localities) > 0:
		d.deviate(len(rest), "it comes again, with locality %d", locality)
	case d.started:
		d.deviate(len(rest), "it comes after events of PCR 0")
	}
	if len(d.log.localities) == 0 {
		d.log.Locality = locality
	}
	d.log.unsettled = d.log.unsettled || d.started || locality != d.log.Locality
	if !slices.Contains(d.log.localities, locality) {
		d.log.localities = append(d.log.localities, locality)
	}
}

// settleLocality chooses the locality of a log that is not clear about it: the
// one that gives the value of PCR 0, if any does. The TPM began with one of
// them, wherever the log says it.
func (r *run) settleLocality() {
	log := r.log
	if !log.unsettled {
		return
	}
	said := log.Locality
	for _, locality := range append(slices.Clone(log.localities), 0) {
		log.Locality = locality
		for _, a := range log.Algorithms {
			value, ok := r.evidence.PCRs[a.Bank][0]
			if replayed := log.Replay(a.Bank); ok && replayed != nil && bytes.Equal(replayed[0], value) {
				return
			}
		}
	}
	log.Locality = said
}

// concludeDeviations makes a finding of the deviations.
func (r *run) concludeDeviations() {
	if r.log.Deviated == 0 {
		return
	}
	parts := make([]string, len(r.log.Deviations))
	for i, v := range r.log.Deviations {
		parts[i] = v.String()
	}
	text := strings.Join(parts, "; ")
	if more := r.log.Deviated - len(parts); more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	r.add(EventLogDeviates, "The event log is not as its specification has it, in what does not change where it leads: %s.", text)
}
