package main

import (
	"errors"
	"fmt"
	"math"
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
	// A and B are commands a second.
	A     float64 `json:"a_per_s"`
	B     float64 `json:"b_per_s"`
	Ratio spread  `json:"ratio"`
	// TimeA and TimeB are microseconds of the server's processor time for a command.
	TimeA     float64 `json:"a_us"`
	TimeB     float64 `json:"b_us"`
	TimeRatio spread  `json:"time_ratio"`
}

// spread is the median of the rounds' ratios, and what bounds the median of all
// rounds that could be, with 95 % confidence.
type spread struct {
	Median float64 `json:"median"`
	Low    float64 `json:"low"`
	High   float64 `json:"high"`
}

// spreadOf takes the bounds from the sorted ratios. How many of them are below the
// true median is binomial, which is taken for normal. It asks nothing of how the
// ratios themselves are distributed.
func spreadOf(ratios []float64) spread {
	v := slices.Sorted(slices.Values(ratios))
	n := float64(len(v))
	away := 1.96 * math.Sqrt(n) / 2
	low := max(0, int(math.Floor(n/2-away)))
	high := min(len(v)-1, int(math.Ceil(n/2+away)))
	return spread{median(v), v[low], v[high]}
}

func (s spread) String() string { return fmt.Sprintf("%.3f [%.3f %.3f]", s.Median, s.Low, s.High) }

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
	var rates, times [2][]float64
	var ratios, timeRatios []float64
	for round := -1; round < rounds; round++ { // the first warms up
		var rate, spent [2]float64
		for turn := range servers {
			i := turn
			if round%2 != 0 {
				i = 1 - turn // who is first must not matter
			}
			var err error
			if rate[i], spent[i], err = servers[i].answer(p.client, offer{command, count, c.rate}, c.code); err != nil {
				return pairRow{}, err
			}
		}
		if round < 0 {
			continue
		}
		for i := range servers {
			rates[i], times[i] = append(rates[i], rate[i]), append(times[i], spent[i])
		}
		ratios = append(ratios, rate[0]/rate[1])
		timeRatios = append(timeRatios, spent[0]/spent[1])
	}
	return pairRow{
		A: median(rates[0]), B: median(rates[1]), Ratio: spreadOf(ratios),
		TimeA: median(times[0]), TimeB: median(times[1]), TimeRatio: spreadOf(timeRatios),
	}, nil
}

// answer has the server answer one offer: commands a second, and microseconds of its
// processor time for one.
func (s *server) answer(client string, o offer, code uint32) (rate, spent float64, err error) {
	before, err := processorTime(s.process.Process.Pid)
	if err != nil {
		return 0, 0, err
	}
	if rate, err = runClient(client, s.socket, o, code); err != nil {
		return 0, 0, err
	}
	after, err := processorTime(s.process.Process.Pid)
	return rate, float64(after-before) / 1000 / float64(o.count), err
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
	started := &server{socket: socket, process: process}
	return started.serving(program, started.accepts)
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
		return encodeRows(os.Stdout, rows)
	}
	fmt.Printf("A is %s, B is %s\n", c.a.name, c.b.name)
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "placement\tcommand\tA/s\tB/s\tA/B\tA µs\tB µs\tA/B\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f\t%v\t%.2f\t%.2f\t%v\t\n", r.Placement, r.Command, r.A, r.B, r.Ratio, r.TimeA, r.TimeB, r.TimeRatio)
	}
	return w.Flush()
}
