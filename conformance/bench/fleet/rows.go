//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// visit is what one start of the TPMs has shown.
type visit struct {
	ready, readyCPU float64 // milliseconds
	idle, connected float64 // KiB for a TPM
	some, all       float64 // commands a second
	allCPU          float64 // microseconds for a command
	slowest         float64 // the median client's rate by the slowest one's
}

// row is a line of the result.
type row struct {
	What    string  `json:"what"`
	Unit    string  `json:"unit"`
	Swtpmd  float64 `json:"swtpmd"`
	Swtpm   float64 `json:"swtpm"`
	Ratio   float64 `json:"ratio"` // swtpmd by swtpm
	Lowest  float64 `json:"ratio_lowest"`
	Highest float64 `json:"ratio_highest"`
}

// figures are the rows, and where their values are.
var figures = []struct {
	what, unit string
	of         func(*visit) float64
}{
	{"ready", "ms", func(v *visit) float64 { return v.ready }},
	{"ready-cpu", "ms", func(v *visit) float64 { return v.readyCPU }},
	{"idle", "KiB", func(v *visit) float64 { return v.idle }},
	{"connected", "KiB", func(v *visit) float64 { return v.connected }},
	{"some", "1/s", func(v *visit) float64 { return v.some }},
	{"all", "1/s", func(v *visit) float64 { return v.all }},
	{"all-cpu", "µs", func(v *visit) float64 { return v.allCPU }},
	{"slowest", "times", func(v *visit) float64 { return v.slowest }},
}

// rowsOf compares the visits of the same rounds.
func rowsOf(taken [2][]visit) (rows []row) {
	for _, f := range figures {
		var values [2][]float64
		var ratios []float64
		for round := range taken[0] {
			a, b := f.of(&taken[0][round]), f.of(&taken[1][round])
			values[0], values[1] = append(values[0], a), append(values[1], b)
			ratios = append(ratios, a/b)
		}
		rows = append(rows, row{f.what, f.unit, median(values[0]), median(values[1]), median(ratios), slices.Min(ratios), slices.Max(ratios)})
	}
	return rows
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func printRows(out io.Writer, rows []row, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		for _, r := range rows {
			if err := encoder.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(w, "what\tunit\tswtpmd\tswtpm\tratio\tlowest\thighest\t\n")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%.1f\t%.1f\t%.3f\t%.3f\t%.3f\t\n", r.What, r.Unit, r.Swtpmd, r.Swtpm, r.Ratio, r.Lowest, r.Highest)
	}
	return w.Flush()
}
