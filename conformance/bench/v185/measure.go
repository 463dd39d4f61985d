//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"golang.org/x/sys/unix"
)

// An operation is what a side of a row does again and again.
type operation struct {
	before func() // outside of the time; may be nil
	run    func() error
	after  func() error // outside of the time; may be nil
}

// A side is an operation and who does it.
type side struct {
	name string
	operation
}

// What the sides of a row are called. A row has the command, and one or two others.
const (
	sideCommand = "command"
	sideLibrary = "library" // of somebody else
	sideCrypt   = "crypt"   // package emulator/crypt
	sideRSA     = "rsa"     // the same command with RSA-2048
)

// A clock reads a time that only its differences are used of.
type clock func() time.Duration

var clocks = map[string]clock{
	"cpu":  func() time.Duration { return read(unix.CLOCK_PROCESS_CPUTIME_ID) },
	"wall": func() time.Duration { return read(unix.CLOCK_MONOTONIC) },
}

func read(id int32) time.Duration {
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		panic(fmt.Sprintf("internal error: a clock that every Linux has: %v", err))
	}
	return time.Duration(t.Nano())
}

// time does the operation for about d, and returns the mean in microseconds.
func (o *operation) time(now clock, d time.Duration) (float64, error) {
	var spent time.Duration
	count := 0
	for spent < d {
		if o.before != nil {
			o.before()
		}
		start := now()
		err := o.run()
		spent += now() - start
		if err == nil && o.after != nil {
			err = o.after()
		}
		if err != nil {
			return 0, err
		}
		count++
	}
	return float64(spent.Nanoseconds()) / 1000 / float64(count), nil
}

// A result is one line of the output.
type result struct {
	Row     string   `json:"row"`
	Command float64  `json:"command_us"`
	Beside  []beside `json:"beside"`
}

// beside is how the command compares with another side.
type beside struct {
	Side string  `json:"side"`
	Time float64 `json:"us"`
	// Ratio is the time of the command by that of the side; with RSA the other way
	// round. Lowest and Highest are those of the rounds.
	Ratio   float64 `json:"ratio"`
	Lowest  float64 `json:"ratio_lowest"`
	Highest float64 `json:"ratio_highest"`
}

// measure prepares the sides of a row and has them take turns.
func measure(device *tpm, r *row, s *settings) (result, error) {
	sides, err := r.open(device, s.session)
	if err != nil {
		return result{}, err
	}
	defer device.flushAll()
	times := make([][]float64, len(sides))
	for round := -1; round < s.rounds; round++ { // the first warms up
		for i := range sides {
			at := (i + round + 1) % len(sides) // who is first changes
			us, err := sides[at].time(clocks[s.clock], s.time)
			if err != nil {
				return result{}, fmt.Errorf("%s: %w", sides[at].name, err)
			}
			if round >= 0 {
				times[at] = append(times[at], us)
			}
		}
	}
	return compare(r.name, sides, times), nil
}

// compare makes the line of a row, whose first side is the command.
func compare(name string, sides []side, times [][]float64) result {
	made := result{Row: name, Command: median(times[0])}
	for i := 1; i < len(sides); i++ {
		a, b := times[0], times[i]
		if sides[i].name == sideRSA {
			a, b = b, a
		}
		ratios := make([]float64, len(a))
		for round := range a {
			ratios[round] = a[round] / b[round]
		}
		made.Beside = append(made.Beside, beside{sides[i].name, median(times[i]), median(ratios), slices.Min(ratios), slices.Max(ratios)})
	}
	return made
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func printResults(out io.Writer, results []result, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(out)
		for _, r := range results {
			if err := encoder.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "µs\tcommand\tlibrary\tratio\tlowest\thighest\tcrypt\tratio\tlowest\thighest\t")
	for _, r := range results {
		if r.of(sideRSA) == nil {
			fmt.Fprintf(w, "%s\t%.1f\t%s\t%s\t\n", r.Row, r.Command, r.of(sideLibrary), r.of(sideCrypt))
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	w = tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	head := "\nµs\tcommand\twith RSA-2048\ttimes as many\tlowest\thighest\t\n"
	for _, r := range results {
		if b := r.of(sideRSA); b != nil {
			fmt.Fprintf(w, "%s%s\t%.1f\t%s\t\n", head, r.Row, r.Command, b)
			head = ""
		}
	}
	return w.Flush()
}

// of finds a side, nil if the row does not have it.
func (r *result) of(name string) *beside {
	i := slices.IndexFunc(r.Beside, func(b beside) bool { return b.Side == name })
	if i < 0 {
		return nil
	}
	return &r.Beside[i]
}

// String gives the cells of a side, empty for none.
func (b *beside) String() string {
	if b == nil {
		return "\t\t\t"
	}
	return fmt.Sprintf("%.1f\t%.2f\t%.2f\t%.2f", b.Time, b.Ratio, b.Lowest, b.Highest)
}
