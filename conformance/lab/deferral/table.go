package deferral

import (
	"fmt"
	"io"
	"strings"

	"github.com/swtpmd/swtpmd/conformance/lab"
)

// Cell is a row with IMA at one level: what the row says, what the simulation said, and
// what the kernel did.
type Cell struct {
	Row       string    `json:"row"`
	Start     Start     `json:"ima_start"`
	Kernel    string    `json:"kernel"`
	Simulated *Observed `json:"simulated,omitempty"`
	Booted    *Observed `json:"booted,omitempty"` // nil: not booted
	// SimulatedRace and BootedRace count the outcomes of a race; nil for what is none.
	SimulatedRace *Share `json:"simulated_race,omitempty"`
	BootedRace    *Share `json:"booted_race,omitempty"`
	// NotBooted is why there was no boot.
	NotBooted string `json:"not_booted,omitempty"`
	// Differs tells in what the simulation or the boot is not as the row says.
	Differs string `json:"differs,omitempty"`
	Why     string `json:"why"`
}

// Share is how many boots of a race ended with a TPM for IMA.
type Share struct {
	Measured int `json:"measured"`
	Of       int `json:"of"`
}

// Add counts a boot.
func (s *Share) Add(o *Observed) {
	s.Of++
	if o.Outcome == lab.Measured {
		s.Measured++
	}
}

// outcome returns what is said of boots: the outcome of the one, or the share of many.
func (s *Share) outcome(one *Observed) string {
	if s == nil {
		return string(one.Outcome)
	}
	return fmt.Sprintf("race: %d of %d measured", s.Measured, s.Of)
}

// Differ adds to what is not as the row says.
func (c *Cell) Differ(what string) {
	c.Differs = strings.TrimPrefix(c.Differs+"; "+what, "; ")
}

// WriteTable writes cells as a Markdown table.
func WriteTable(w io.Writer, cells []Cell) error {
	var b strings.Builder
	b.WriteString("| device tree, kernel | IMA at | simulated | booted | waited for | TPM bound |\n|---|---|---|---|---|---|\n")
	for _, c := range cells {
		booted, waited, bound := "not booted", "", ""
		if o := c.Booted; o != nil {
			booted, waited, bound = c.BootedRace.outcome(o), strings.Join(o.Suppliers, ", "), o.Binds
			if o.Seconds > 0 {
				bound += fmt.Sprintf(", %.2f s", o.Seconds)
			}
			if o.Inside != "" {
				bound += ", `" + o.Inside + "`"
			}
		}
		if c.Differs != "" {
			booted += " (**" + c.Differs + "**)"
		}
		simulated := ""
		if c.Simulated != nil {
			simulated = c.SimulatedRace.outcome(c.Simulated)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", c.Row, c.Start, simulated, booted, waited, bound)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
