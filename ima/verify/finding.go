package verify

import (
	"fmt"
	"strings"

	"github.com/swtpmd/swtpmd/ima"
)

// Code names a kind of finding. Policies speak of codes, so a code does not
// change its meaning.
type Code string

// Severity says how much a finding takes away from what may be concluded.
type Severity uint8

const (
	// Note takes nothing away: it confirms, or says where a limit is.
	Note Severity = iota
	// Caution reports that something less can be concluded than one may think.
	Caution
	// Failure reports that the evidence does not show what it should.
	Failure
)

var severityNames = [...]string{Note: "note", Caution: "caution", Failure: "failure"}

func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return fmt.Sprintf("Severity(%d)", uint8(s))
}

// MarshalText returns the name, for JSON.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads the name.
func (s *Severity) UnmarshalText(text []byte) error {
	for i, name := range severityNames {
		if name == string(text) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("no severity %q; there are note, caution and failure", text)
}

// Part is the part of the evidence that a finding is about.
type Part string

// The parts of the evidence.
const (
	PartList     Part = "list"         // the measurement list
	PartPCRs     Part = "PCRs"         // the PCR values
	PartStart    Part = "start values" // the PCR values at the beginning of a piece
	PartQuote    Part = "quote"        // the quote, its signature and its key
	PartEventLog Part = "event log"    // the firmware's log
	PartBuild    Part = "build"        // the kernel's release and configuration
)

// MaxRecords is how many record numbers a finding keeps.
const MaxRecords = 8

// Finding is one thing that the evidence shows.
type Finding struct {
	Code     Code     `json:"code"`
	Severity Severity `json:"severity"`
	Part     Part     `json:"part"`
	// Count is how many records the finding is about, Records the numbers of
	// the first of them, counted from 1.
	Count   int   `json:"count,omitempty"`
	Records []int `json:"records,omitempty"`
	// PCRs are the indices of the PCRs that the finding is about, Bank their
	// bank; zero for all that were given.
	PCRs []int        `json:"pcrs,omitempty"`
	Bank ima.HashAlgo `json:"bank,omitempty"`
	// Text is a sentence for people.
	Text string `json:"text"`
}

// Where names what the finding is about: "records 4, 7", "sha256 PCR 10".
func (f *Finding) Where() string {
	var where []string
	if len(f.Records) > 0 {
		where = append(where, recordsText(f.Count, f.Records))
	}
	if len(f.PCRs) > 0 {
		text := "PCR " + rangesText(f.PCRs)
		if f.Bank != 0 {
			text = f.Bank.String() + " " + text
		}
		where = append(where, text)
	}
	if len(where) == 0 {
		return string(f.Part)
	}
	return strings.Join(where, ", ")
}

func recordsText(count int, first []int) string {
	if count == 1 {
		return fmt.Sprintf("record %d", first[0])
	}
	text := "records " + rangesText(first)
	if count > len(first) {
		text += fmt.Sprintf(" … (%d)", count)
	}
	return text
}

// rangesText returns numbers in ascending order: "0-7, 10".
func rangesText(numbers []int) string {
	var b strings.Builder
	for i := 0; i < len(numbers); {
		end := i
		for end+1 < len(numbers) && numbers[end+1] == numbers[end]+1 {
			end++
		}
		if i > 0 {
			b.WriteString(", ")
		}
		switch {
		case end > i+1:
			fmt.Fprintf(&b, "%d-%d", numbers[i], numbers[end])
		case end > i:
			fmt.Fprintf(&b, "%d, %d", numbers[i], numbers[end])
		default:
			fmt.Fprintf(&b, "%d", numbers[i])
		}
		i = end + 1
	}
	return b.String()
}

// findings collects what a Verdict shows. Those about single records are
// counted, so that their number does not grow with the list.
type findings struct {
	list    []Finding
	tallies map[Code]*tally
}

// tally counts the records of a finding.
type tally struct {
	count int
	first []int
}

// record notes that a record shows what code stands for.
func (f *findings) record(code Code, number int) {
	t := f.tallies[code]
	if t == nil {
		if f.tallies == nil {
			f.tallies = make(map[Code]*tally)
		}
		t = new(tally)
		f.tallies[code] = t
	}
	t.count++
	if len(t.first) < MaxRecords {
		t.first = append(t.first, number)
	}
}

// add adds a finding with the sentence given. Its result is for the caller to
// complete, and holds until the next add.
func (f *findings) add(code Code, format string, args ...any) *Finding {
	row := codeRow(code)
	f.list = append(f.list, Finding{Code: code, Severity: row.severity, Part: row.part, Text: fmt.Sprintf(format, args...)})
	return &f.list[len(f.list)-1]
}

// about says which PCRs of which bank a finding is about.
func (f *Finding) about(bank ima.HashAlgo, pcrs ...int) *Finding {
	f.Bank, f.PCRs = bank, pcrs
	return f
}

// at says which records a finding is about.
func (f *Finding) at(records ...int) *Finding {
	f.Count = len(records)
	f.Records = records[:min(len(records), MaxRecords)]
	return f
}

// flush makes findings of the tallies, in the order of the table of codes.
func (f *findings) flush() {
	for i := range codes {
		t := f.tallies[codes[i].code]
		if t == nil {
			continue
		}
		added := f.add(codes[i].code, "%s.", codes[i].doc)
		added.Count, added.Records = t.count, t.first
	}
	f.tallies = nil
}

// has reports whether there is a finding of one of the codes.
func (f *findings) has(wanted ...Code) bool {
	for i := range f.list {
		for _, code := range wanted {
			if f.list[i].Code == code {
				return true
			}
		}
	}
	return false
}
