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
	// start starts swtpmd and the other one on these processors; dir is for its files.
	start [2]func(cpus, dir string) (*server, error)
}

// swtpmRivals are swtpmd and swtpm with a raw TPM socket each.
func swtpmRivals(ours, theirs string) *rivals {
	return &rivals{other: "swtpm", start: [2]func(cpus, dir string) (*server, error){
		func(cpus, dir string) (*server, error) { return startServer(cpus, dir, ours, false) },
		func(cpus, dir string) (*server, error) { return startServer(cpus, dir, theirs, true) },
	}}
}

// rivalRow is one line of the result.
type rivalRow struct {
	placement, command string
	rates              [2]float64 // commands a second, of swtpmd and of the other one
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
	for _, p := range placements {
		for _, c := range commands {
			fmt.Fprintf(os.Stderr, "%s, %s\n", p.name, c.name)
			row, err := r.pair(dir, p, c.hex, rounds, count)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", p.name, c.name, err)
			}
			row.placement, row.command = p.name, c.name
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// pair measures one command on both TPMs, in turn.
func (r *rivals) pair(dir string, p placement, command string, rounds, count int) (rivalRow, error) {
	var servers [2]*server
	for i, start := range r.start {
		s, err := start(p.server, filepath.Join(dir, strconv.Itoa(i)))
		if err != nil {
			return rivalRow{}, err
		}
		defer s.stop()
		servers[i] = s
	}
	var rates [2][]float64
	var ratios []float64
	for round := -1; round < rounds; round++ { // the first warms up
		var rate [2]float64
		var err error
		for i, s := range servers {
			if rate[i], err = runClient(p.client, s.socket, offer{command, count, 0}, 0); err != nil {
				return rivalRow{}, err
			}
		}
		if round < 0 {
			continue
		}
		rates[0], rates[1] = append(rates[0], rate[0]), append(rates[1], rate[1])
		ratios = append(ratios, rate[0]/rate[1])
	}
	return rivalRow{
		rates: [2]float64{median(rates[0]), median(rates[1])}, ratio: median(ratios),
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
			}); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "placement\tcommand\tswtpmd/s\t%s/s\tratio\tlowest\thighest\t\n", r.other)
	for _, row := range rows {
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t\n", row.placement, row.command, row.rates[0], row.rates[1], row.ratio, row.lowest, row.highest)
	}
	return w.Flush()
}
