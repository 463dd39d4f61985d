package main

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/swtpmd/swtpmd/transport"
)

// createPrimary is TPM2_CreatePrimary of the RSA-2048 storage key of the owner hierarchy (TCG
// TPM v2.0 Provisioning Guidance, "Storage Primary Key"), with empty authorizations.
const createPrimary = "8002" + "00000043" + "00000131" + "40000001" + "00000009" + "40000009" + "0000000000" +
	"0004" + "00000000" +
	"001a" + "0001" + "000b" + "00030072" + "0000" + "000600800043" + "0010" + "0800" + "00000000" + "0000" +
	"0000" + "00000000"

// flushContext is TPM2_FlushContext without its handle.
const flushContext = "8001" + "0000000e" + "00000165"

// primaryCost is what TPM2_CreatePrimary of a key costs with one seed: milliseconds until the answer,
// and milliseconds of the server's processor time.
type primaryCost struct {
	Wall      float64 `json:"wall"`
	Processor float64 `json:"processor"`
}

// primaryRow is one line of the result of -primary.
type primaryRow struct {
	What   string      `json:"what"`
	Swtpmd primaryCost `json:"swtpmd_ms"`
	Swtpm  primaryCost `json:"swtpm_ms"`
	// Ratio is swtpm by swtpmd.
	Ratio primaryCost `json:"ratio"`
}

// seedCosts are the costs with one seed: of the first key of swtpmd, of keys that it has made
// before, and of swtpm.
type seedCosts struct{ first, again, swtpm primaryCost }

// Keys that are made with one seed, and measured together. swtpm makes each anew.
const (
	keysAgain = 500
	keysSwtpm = 5
)

// measurePrimary starts new TPMs of both programs, seeds of them, and has each make one key again and
// again.
func measurePrimary(ours, theirs string, seeds int) ([]primaryRow, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var costs []seedCosts
	for seed := range seeds {
		fmt.Fprintf(os.Stderr, "seed %d\n", seed+1)
		var c seedCosts
		if err := withNewTPM(ours, filepath.Join(dir, "ours"+strconv.Itoa(seed)), false, func(m *keyMaker) (err error) {
			if c.first, err = m.make(1); err == nil {
				c.again, err = m.make(keysAgain)
			}
			return err
		}); err != nil {
			return nil, fmt.Errorf("swtpmd: %w", err)
		}
		if err := withNewTPM(theirs, filepath.Join(dir, "theirs"+strconv.Itoa(seed)), true, func(m *keyMaker) (err error) {
			c.swtpm, err = m.make(keysSwtpm)
			return err
		}); err != nil {
			return nil, fmt.Errorf("swtpm: %w", err)
		}
		costs = append(costs, c)
	}
	return primaryRows(costs), nil
}

// withNewTPM starts a TPM with a new seed, and ends it.
func withNewTPM(program, dir string, state bool, use func(*keyMaker) error) error {
	s, err := startServer("0-1", dir, program, atUnix, state)
	if err != nil {
		return err
	}
	defer s.stop()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	tpm, err := dial(ctx, s.socket)
	if err != nil {
		return err
	}
	defer tpm.Close()
	return use(&keyMaker{ctx: ctx, tpm: tpm, pid: s.process.Process.Pid})
}

// keyMaker has a TPM make keys.
type keyMaker struct {
	ctx context.Context
	tpm sender
	pid int
}

// make makes the key n times and flushes it each time, which is not measured by the clock.
func (m *keyMaker) make(n int) (cost primaryCost, err error) {
	create, err := hex.DecodeString(createPrimary)
	if err != nil {
		return cost, err
	}
	flush, err := hex.DecodeString(flushContext)
	if err != nil {
		return cost, err
	}
	before, err := processorTime(m.pid)
	if err != nil {
		return cost, err
	}
	var walls []float64
	for range n {
		began := time.Now()
		response, err := m.ask(create)
		if err != nil {
			return cost, fmt.Errorf("TPM2_CreatePrimary: %w", err)
		}
		walls = append(walls, float64(time.Since(began))/1e6)
		handle := response[transport.HeaderSize : transport.HeaderSize+4]
		if _, err := m.ask(slices.Concat(flush, handle)); err != nil {
			return cost, fmt.Errorf("TPM2_FlushContext of %#x: %w", binary.BigEndian.Uint32(handle), err)
		}
	}
	after, err := processorTime(m.pid)
	return costOf(walls, after-before), err
}

// costOf is the cost of a key: of several, in milliseconds each, for which the server has run so
// many nanoseconds.
func costOf(walls []float64, spent int64) primaryCost {
	return primaryCost{Wall: median(walls), Processor: float64(spent) / 1e6 / float64(len(walls))}
}

// ask sends a command that must succeed.
func (m *keyMaker) ask(command []byte) ([]byte, error) {
	response, err := m.tpm.Exchange(m.ctx, nil, command)
	if err == nil && (len(response) < transport.HeaderSize || transport.ResponseCode(response) != transport.RCSuccess) {
		err = fmt.Errorf("answered %x", response)
	}
	return response, err
}

// primaryRows are the medians and the means over the seeds.
func primaryRows(costs []seedCosts) (rows []primaryRow) {
	over := func(how func([]float64) float64, of func(*seedCosts) primaryCost) (result primaryCost) {
		var walls, processors []float64
		for i := range costs {
			c := of(&costs[i])
			walls, processors = append(walls, c.Wall), append(processors, c.Processor)
		}
		return primaryCost{how(walls), how(processors)}
	}
	first := func(c *seedCosts) primaryCost { return c.first }
	again := func(c *seedCosts) primaryCost { return c.again }
	swtpm := func(c *seedCosts) primaryCost { return c.swtpm }
	for _, r := range []struct {
		what string
		how  func([]float64) float64
		ours func(*seedCosts) primaryCost
	}{{"new, median", median, first}, {"new, mean", mean, first}, {"made before, median", median, again}, {"made before, mean", mean, again}} {
		row := primaryRow{What: r.what, Swtpmd: over(r.how, r.ours), Swtpm: over(r.how, swtpm)}
		row.Ratio = primaryCost{row.Swtpm.Wall / row.Swtpmd.Wall, row.Swtpm.Processor / row.Swtpmd.Processor}
		rows = append(rows, row)
	}
	return rows
}

func mean(v []float64) (sum float64) {
	for _, x := range v {
		sum += x
	}
	return sum / float64(len(v))
}

// printPrimary prints the result of -primary.
func printPrimary(out io.Writer, rows []primaryRow, asJSON bool) error {
	if asJSON {
		return encodeRows(out, rows)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "key\tswtpmd ms\tswtpm ms\tratio\tswtpmd CPU ms\tswtpm CPU ms\tratio\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%.3f\t%.1f\t%.0f\t%.3f\t%.1f\t%.0f\t\n", r.What, r.Swtpmd.Wall, r.Swtpm.Wall, r.Ratio.Wall,
			r.Swtpmd.Processor, r.Swtpm.Processor, r.Ratio.Processor)
	}
	return w.Flush()
}
