package deferral

import (
	"fmt"
	"io"
	"strings"
)

// Cell is a row with IMA at one level: what the row says, what the simulation said, and
// what the kernel did.
type Cell struct {
	Row       string    `json:"row"`
	Start     Start     `json:"ima_start"`
	Kernel    string    `json:"kernel"`
	Simulated *Observed `json:"simulated,omitempty"`
	Booted    *Observed `json:"booted,omitempty"` // nil: not booted
	// NotBooted is why there was no boot.
	NotBooted string `json:"not_booted,omitempty"`
	// Differs tells in what the simulation or the boot is not as the row says.
	Differs string `json:"differs,omitempty"`
	Why     string `json:"why"`
}

// WriteTable writes cells as a Markdown table.
func WriteTable(w io.Writer, cells []Cell) error {
	var b strings.Builder
	b.WriteString("| device tree, kernel | IMA at | simulated | booted | waited for | TPM bound |\n|---|---|---|---|---|---|\n")
	for _, c := range cells {
		booted, waited, bound := "not booted", "", ""
		if o := c.Booted; o != nil {
			booted, waited, bound = string(o.Outcome), strings.Join(o.Suppliers, ", "), o.Binds
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
			simulated = string(c.Simulated.Outcome)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", c.Row, c.Start, simulated, booted, waited, bound)
	}
	_, err := io.WriteString(w, b.String())
	return err
}
