package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/swtpmd/swtpmd/transport"
)

// started is one start of a program: until the answer to its first command, or until its end
// where it does nothing.
type started struct {
	wall, processor time.Duration
	faults          float64 // page faults of all threads
}

// startRow is one line of the result of -start: medians of the rounds.
type startRow struct {
	Start string `json:"start"`
	// Milliseconds from exec on, milliseconds of processor time, and page faults, of swtpmd
	// and of swtpm.
	Wall      [2]float64 `json:"wall_ms"`
	Processor [2]float64 `json:"processor_ms"`
	Faults    [2]float64 `json:"page_faults"`
	Ratio     spread     `json:"ratio"` // of the walls
}

// startPoll is how often a look is taken whether the socket is there.
const startPoll = 100 * time.Microsecond

// answerLimit bounds a start.
const answerLimit = 30 * time.Second

// measureStarts starts both programs in turn, with a new directory and with one that has a
// state, and has each answer one command. Nothing is a program that does nothing, of Go like
// swtpmd; it is measured beside the C library's true(1).
func measureStarts(ours, theirs, nothing string, rounds int) ([]startRow, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	programs := [2]string{ours, theirs}
	fresh := 0
	rows := []startRow{}
	for _, kind := range []struct {
		name  string
		start func(i int) (started, error)
	}{
		{"new TPM", func(i int) (started, error) {
			fresh++
			return firstAnswer(programs[i], filepath.Join(dir, strconv.Itoa(fresh)))
		}},
		{"with state", func(i int) (started, error) {
			return firstAnswer(programs[i], filepath.Join(dir, "state"+strconv.Itoa(i)))
		}},
		{"nothing (Go, C)", func(i int) (started, error) {
			return untilEnd([2]string{nothing, "true"}[i])
		}},
	} {
		if kind.name == "nothing (Go, C)" && nothing == "" {
			continue
		}
		fmt.Fprintln(os.Stderr, kind.name)
		row, err := measureStart(kind.start, rounds)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind.name, err)
		}
		row.Start = kind.name
		rows = append(rows, row)
	}
	return rows, nil
}

// measureStart takes the medians of the rounds. The first round is not counted: it makes the
// state, and reads the programs from the disk.
func measureStart(start func(i int) (started, error), rounds int) (startRow, error) {
	var walls, processors, faults [2][]float64
	var ratios []float64
	for round := -1; round < rounds; round++ {
		var both [2]started
		for turn := range both {
			i := turn
			if round%2 != 0 {
				i = 1 - turn // who is first must not matter
			}
			var err error
			if both[i], err = start(i); err != nil {
				return startRow{}, err
			}
		}
		if round < 0 {
			continue
		}
		for i, s := range both {
			walls[i] = append(walls[i], float64(s.wall)/1e6)
			processors[i] = append(processors[i], float64(s.processor)/1e6)
			faults[i] = append(faults[i], s.faults)
		}
		ratios = append(ratios, float64(both[0].wall)/float64(both[1].wall))
	}
	row := startRow{Ratio: spreadOf(ratios)}
	for i := range walls {
		row.Wall[i], row.Processor[i], row.Faults[i] = median(walls[i]), median(processors[i]), median(faults[i])
	}
	return row, nil
}

// firstAnswer starts program with its state in dir, waits for the answer to TPM2_GetRandom,
// and ends it.
func firstAnswer(program, dir string) (s started, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return s, err
	}
	socket := filepath.Join(dir, "data")
	process := exec.Command(program, "socket", "--tpm2", "--server", "type=unixio,path="+socket,
		"--flags", "not-need-init,startup-clear", "--tpmstate", "dir="+dir)
	said := new(strings.Builder)
	process.Stderr = said
	command, err := hex.DecodeString(commands[0].hex)
	if err != nil {
		return s, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), answerLimit)
	defer cancel()
	began := time.Now()
	if err := process.Start(); err != nil {
		return s, err
	}
	ended := make(chan struct{})
	go func() {
		_ = process.Wait()
		cancel() // one that ends early does not answer
		close(ended)
	}()
	defer func() {
		_ = process.Process.Signal(syscall.SIGTERM)
		<-ended
		if err != nil {
			err = fmt.Errorf("%s: %w: %v", program, err, said)
		}
	}()
	tpm, err := dialNew(ctx, socket)
	if err != nil {
		return s, err
	}
	defer tpm.Close()
	response, err := tpm.Exchange(ctx, nil, command)
	if err != nil {
		return s, err
	}
	s.wall = time.Since(began)
	if len(response) < transport.HeaderSize || transport.ResponseCode(response) != 0 {
		return s, fmt.Errorf("answered %x", response)
	}
	return s, s.read(process.Process.Pid)
}

// dialNew connects to a socket that is to come.
func dialNew(ctx context.Context, socket string) (sender, error) {
	again := time.NewTicker(startPoll)
	defer again.Stop()
	for {
		tpm, err := dial(ctx, socket)
		if err == nil {
			return tpm, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", ctx.Err(), err)
		case <-again.C:
		}
	}
}

// read takes what the threads of a process have used.
func (s *started) read(pid int) error {
	spent, err := processorTime(pid)
	if err != nil {
		return err
	}
	s.processor = time.Duration(spent)
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return err
	}
	s.faults, err = faultsOf(string(text))
	return err
}

// faultsOf reads the numbers of page faults, minor and major, from a text of
// /proc/PID/stat (proc_pid_stat(5), fields 10 and 12).
func faultsOf(stat string) (float64, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const state = 3 // the field after the program's name
	if len(fields) < 12-state+1 {
		return 0, fmt.Errorf("/proc/PID/stat has %q", stat)
	}
	minor, err := strconv.ParseFloat(fields[10-state], 64)
	if err != nil {
		return 0, err
	}
	major, err := strconv.ParseFloat(fields[12-state], 64)
	return minor + major, err
}

// untilEnd runs a program that ends by itself.
func untilEnd(program string) (started, error) {
	process := exec.Command(program)
	began := time.Now()
	if err := process.Run(); err != nil {
		return started{}, fmt.Errorf("%s: %w", program, err)
	}
	s := started{wall: time.Since(began)}
	s.processor = process.ProcessState.UserTime() + process.ProcessState.SystemTime()
	usage := process.ProcessState.SysUsage().(*syscall.Rusage)
	s.faults = float64(usage.Minflt + usage.Majflt)
	return s, nil
}

// encodeRows prints a JSON object a line.
func encodeRows[T any](out io.Writer, rows []T) error {
	encoder := json.NewEncoder(out)
	for _, r := range rows {
		if err := encoder.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// printStarts prints the result of -start.
func printStarts(out io.Writer, rows []startRow, asJSON bool) error {
	if asJSON {
		return encodeRows(out, rows)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "start\tswtpmd ms\tswtpm ms\tratio\tswtpmd CPU ms\tswtpm CPU ms\tswtpmd faults\tswtpm faults\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%v\t%.1f\t%.1f\t%.0f\t%.0f\t\n", r.Start, r.Wall[0], r.Wall[1], r.Ratio,
			r.Processor[0], r.Processor[1], r.Faults[0], r.Faults[1])
	}
	return w.Flush()
}
