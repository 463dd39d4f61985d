package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
)

// setup is one of two ways to start swtpmd that are compared.
type setup struct {
	name  string
	words []string
	// unread gives it a stderr that is full and that nobody reads, in place of
	// /dev/null.
	unread bool
}

// rcFailure is what a deferred TPM answers.
const rcFailure = 0x101

// comparison is two setups, and what their clients send.
type comparison struct {
	a, b     setup
	commands []command
	code     uint32 // of every response
	rate     int    // commands a second that are offered, 0 for as many as are answered
}

// wordsCompared compares swtpmd with itself as started with more words.
func wordsCompared(words string) comparison {
	started := []string{"--flags=not-need-init,startup-clear"}
	return comparison{
		a:        setup{"swtpmd", started, false},
		b:        setup{"swtpmd " + words, append(slices.Clone(started), strings.Fields(words)...), false},
		commands: commands,
	}
}

// unreadCompared compares a deferred TPM whose log nobody reads with one whose log
// goes nowhere. Every command is a line there.
func unreadCompared() comparison {
	words := []string{"--defer-from=firmware", "--defer-until=late", "--console=-", "--flags=not-need-init"}
	return comparison{
		a:        setup{"unread", words, true},
		b:        setup{"/dev/null", words, false},
		commands: commands[:1],
		code:     rcFailure,
	}
}

// pairRow is one line of a comparison.
type pairRow struct {
	Placement string `json:"placement"`
	Command   string `json:"command"`
	// A and B are the microseconds of processor time that swtpmd needs for a
	// command.
	A       float64 `json:"a_us"`
	B       float64 `json:"b_us"`
	Ratio   float64 `json:"ratio"`
	Lowest  float64 `json:"ratio_lowest"`
	Highest float64 `json:"ratio_highest"`
	// RateA and RateB are commands a second of the clock on the wall.
	RateA float64 `json:"a_per_s"`
	RateB float64 `json:"b_per_s"`
}

func (c *comparison) measure(program string, rounds, count int) ([]pairRow, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var rows []pairRow
	for _, p := range placements {
		for _, command := range c.commands {
			fmt.Fprintf(os.Stderr, "%s, %s\n", p.name, command.name)
			r, err := c.pair(dir, program, p, command.hex, rounds, count)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", p.name, command.name, err)
			}
			r.Placement, r.Command = p.name, command.name
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// pair measures one command with both setups, in turn.
func (c *comparison) pair(dir, program string, p placement, command string, rounds, count int) (pairRow, error) {
	var servers [2]*server
	for i, s := range []setup{c.a, c.b} {
		started, err := s.start(p.server, filepath.Join(dir, strconv.Itoa(i)), program)
		if err != nil {
			return pairRow{}, err
		}
		defer started.stop()
		servers[i] = started
	}
	var spent, rates [2][]float64
	var ratios []float64
	for round := -1; round < rounds; round++ { // the first warms up
		var now [2]float64
		for turn := range servers {
			i := turn
			if round%2 != 0 {
				i = 1 - turn // who is first must not matter
			}
			before, err := processorTime(servers[i].process.Process.Pid)
			if err != nil {
				return pairRow{}, err
			}
			rate, err := runClient(p.client, servers[i].socket, offer{command, count, c.rate}, c.code)
			if err != nil {
				return pairRow{}, err
			}
			after, err := processorTime(servers[i].process.Process.Pid)
			if err != nil {
				return pairRow{}, err
			}
			now[i] = float64(after-before) / 1000 / float64(count)
			if round >= 0 {
				spent[i], rates[i] = append(spent[i], now[i]), append(rates[i], rate)
			}
		}
		if round >= 0 {
			ratios = append(ratios, now[0]/now[1])
		}
	}
	return pairRow{
		A: median(spent[0]), B: median(spent[1]),
		Ratio: median(ratios), Lowest: slices.Min(ratios), Highest: slices.Max(ratios),
		RateA: median(rates[0]), RateB: median(rates[1]),
	}, nil
}

// start starts swtpmd on one processor.
func (s *setup) start(cpus, dir, program string) (*server, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "data")
	args := append([]string{"-c", cpus, program, "socket", "--tpm2", "--server", "type=unixio,path=" + socket}, s.words...)
	process := exec.Command("taskset", args...)
	if s.unread {
		full, err := fullPipe()
		if err != nil {
			return nil, err
		}
		defer full.Close()
		process.Stderr = full
	}
	return listening(&server{socket: socket, process: process}, program)
}

// fullPipe returns the end to write to of a pipe that takes no more. The other end
// stays open, and nobody reads it.
func fullPipe() (*os.File, error) {
	var ends [2]int
	if err := syscall.Pipe2(ends[:], syscall.O_CLOEXEC); err != nil {
		return nil, err
	}
	if err := syscall.SetNonblock(ends[1], true); err != nil {
		return nil, err
	}
	for line := []byte(strings.Repeat("\n", 1<<12)); ; {
		if _, err := syscall.Write(ends[1], line); errors.Is(err, syscall.EAGAIN) {
			return os.NewFile(uintptr(ends[1]), "stderr"), syscall.SetNonblock(ends[1], false)
		} else if err != nil {
			return nil, err
		}
	}
}

// processorTime is how many nanoseconds the threads of a process have run
// (/proc/PID/task/TID/schedstat).
func processorTime(pid int) (int64, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", pid))
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("process %d has ended", pid)
	}
	var all int64
	for _, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue // a thread that has just ended
		}
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		all += n
	}
	return all, err
}

func (c *comparison) print(rows []pairRow, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(os.Stdout)
		for _, r := range rows {
			if err := encoder.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	fmt.Printf("A is %s, B is %s\n", c.a.name, c.b.name)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "placement\tcommand\tA µs\tB µs\tA/B\tlowest\thighest\tA/s\tB/s\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%.2f\t%.2f\t%.3f\t%.3f\t%.3f\t%.0f\t%.0f\t\n", r.Placement, r.Command, r.A, r.B, r.Ratio, r.Lowest, r.Highest, r.RateA, r.RateB)
	}
	return w.Flush()
}
