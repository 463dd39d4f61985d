package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"
)

// rivals are swtpmd and another program that serves a TPM in the same way.
type rivals struct {
	other string // what the other one is called
	ways  []way
}

// way is how both are reached.
type way struct {
	name string // added to that of a placement
	// start starts swtpmd and the other one on these processors; dir is for its files.
	start [2]func(cpus, dir string) (*server, error)
}

// swtpmRivals are swtpmd and swtpm with a raw TPM socket each.
func swtpmRivals(ours, theirs string) *rivals {
	at := func(name string, listen listening) way {
		return way{name, [2]func(cpus, dir string) (*server, error){
			func(cpus, dir string) (*server, error) { return startServer(cpus, dir, ours, listen, false) },
			func(cpus, dir string) (*server, error) { return startServer(cpus, dir, theirs, listen, true) },
		}}
	}
	return &rivals{other: "swtpm", ways: []way{at("", atUnix), at(", TCP", atTCP)}}
}

// rivalRow is one line of the result.
type rivalRow struct {
	placement, command string
	rates              [2]float64 // commands a second, of swtpmd and of the other one
	spent              [2]float64 // processor time for a command, in microseconds
	ratio              float64
	lowest, highest    float64
}

func (r *rivals) measure(rounds, count int) ([]rivalRow, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var rows []rivalRow
	for _, w := range r.ways {
		for _, p := range placements {
			name := p.name + w.name
			for _, c := range commands {
				fmt.Fprintf(os.Stderr, "%s, %s\n", name, c.name)
				row, err := w.pair(dir, p, c.hex, rounds, count)
				if err != nil {
					return nil, fmt.Errorf("%s, %s: %w", name, c.name, err)
				}
				row.placement, row.command = name, c.name
				rows = append(rows, row)
			}
		}
	}
	return rows, nil
}

// pair measures one command on both TPMs, in turn.
func (w *way) pair(dir string, p placement, command string, rounds, count int) (rivalRow, error) {
	var servers [2]*server
	for i, start := range w.start {
		s, err := start(p.server, filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			return rivalRow{}, err
		}
		defer s.stop()
		servers[i] = s
	}
	var rates, times [2][]float64
	var ratios []float64
	for round := -1; round < rounds; round++ { // the first warms up
		var rate, spent [2]float64
		var err error
		for i, s := range servers {
			if rate[i], spent[i], err = s.answer(p.client, offer{command, count, 0}, 0); err != nil {
				return rivalRow{}, err
			}
		}
		if round < 0 {
			continue
		}
		for i := range servers {
			rates[i], times[i] = append(rates[i], rate[i]), append(times[i], spent[i])
		}
		ratios = append(ratios, rate[0]/rate[1])
	}
	return rivalRow{
		rates: [2]float64{median(rates[0]), median(rates[1])},
		spent: [2]float64{median(times[0]), median(times[1])}, ratio: median(ratios),
		lowest: slices.Min(ratios), highest: slices.Max(ratios),
	}, nil
}

func (r *rivals) print(out io.Writer, rows []rivalRow, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		for _, row := range rows {
			if err := encoder.Encode(map[string]any{
				"placement": row.placement, "command": row.command,
				"swtpmd_per_s": row.rates[0], r.other + "_per_s": row.rates[1],
				"ratio": row.ratio, "ratio_lowest": row.lowest, "ratio_highest": row.highest,
				"swtpmd_us": row.spent[0], r.other + "_us": row.spent[1],
			}); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "placement\tcommand\tswtpmd/s\t%s/s\tratio\tlowest\thighest\tswtpmd µs\t%s µs\t\n", r.other, r.other)
	for _, row := range rows {
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t%.1f\t%.1f\t\n", row.placement, row.command, row.rates[0], row.rates[1],
			row.ratio, row.lowest, row.highest, row.spent[0], row.spent[1])
	}
	return w.Flush()
}
