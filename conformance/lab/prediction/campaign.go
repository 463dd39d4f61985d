package prediction

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"time"

	"github.com/swtpmd/swtpmd/conformance/lab"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// Campaign predicts and boots cells.
type Campaign struct {
	Store Store
	// Boot boots a cell and returns its verdict and what it has left.
	Boot func(ctx context.Context, c Cell, m *Machine) (*lab.Verdict, Evidence, error)
	// RaceBoots is how often a cell is booted whose outcome is open.
	RaceBoots int
	// Again has cells that have a result booted too, and Limit, if not 0, bounds the
	// number of cells.
	Again bool
	Limit int
	// Keep, if not "", is a folder for the consoles and lists of boots that their own
	// simulation does not reproduce.
	Keep string
	// Done, if set, is told each result; Progress gets a line for each step.
	Done     func(*Result) error
	Progress io.Writer

	models map[Cell]*Model
	looked map[Cell]time.Duration
}

// slowRetries is how often a boot is repeated that does not count.
const slowRetries = 2

// Run predicts and boots the cells. Cells with a result are passed over. A cell that
// cannot be booted does not end the run; the error names all of them.
func (c *Campaign) Run(ctx context.Context, cells []Cell) error {
	results, err := c.Store.Results()
	if err != nil {
		return err
	}
	known := make(map[Cell]bool)
	for _, r := range results {
		known[r.Cell] = !c.Again
	}
	cells = slices.DeleteFunc(slices.Clone(cells), func(cell Cell) bool { return known[cell] })
	if c.Limit > 0 && len(cells) > c.Limit {
		cells = cells[:c.Limit]
	}
	var failed []error
	for i, cell := range cells {
		fmt.Fprintf(c.Progress, "%d of %d: %s\n", i+1, len(cells), cell.ID())
		err := c.one(ctx, cell)
		var noBoot *lab.BootError
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &noBoot):
			fmt.Fprintf(c.Progress, "  %v\n", err)
			failed = append(failed, err)
		case err != nil:
			return err
		}
	}
	return errors.Join(failed...)
}

// one predicts and boots a cell and keeps its result.
func (c *Campaign) one(ctx context.Context, cell Cell) error {
	r, err := c.cell(ctx, cell)
	if err != nil {
		return fmt.Errorf("%s: %w", cell.ID(), err)
	}
	if err := c.Store.Put(r); err != nil {
		return err
	}
	if c.Done == nil {
		return nil
	}
	return c.Done(r)
}

// cell predicts a cell, and then boots it.
func (c *Campaign) cell(ctx context.Context, cell Cell) (*Result, error) {
	machine, err := MachineByName(cell.Machine)
	if err != nil {
		return nil, err
	}
	r := &Result{Cell: cell}
	times := 1
	if e := cell.Evidence(machine); e != cell {
		model, err := c.model(ctx, e, machine)
		if err != nil {
			return nil, fmt.Errorf("evidence %s: %w", e.ID(), err)
		}
		r.Evidence = e.ID()
		if r.Predicted, err = model.Predict(ctx, cell, machine); err != nil {
			return nil, err
		}
		if len(r.Predicted) > 1 {
			times = c.RaceBoots
		}
	}
	for tries := 0; times > 0; tries++ {
		b, err := c.boot(ctx, r, machine)
		if err != nil {
			return nil, err
		}
		r.Boots = append(r.Boots, b)
		if b.Slow != "" && tries < slowRetries {
			fmt.Fprintf(c.Progress, "  once more: %s\n", b.Slow)
			continue
		}
		times--
	}
	return r, nil
}

// model returns the machine made from the evidence of a cell, which is booted if there is
// none.
func (c *Campaign) model(ctx context.Context, e Cell, machine *Machine) (*Model, error) {
	if m := c.models[e]; m != nil {
		return m, nil
	}
	if !c.Store.HasEvidence(e) {
		if err := c.evidence(ctx, e, machine); err != nil {
			return nil, err
		}
	}
	left, err := c.Store.Evidence(e)
	if err != nil {
		return nil, err
	}
	m, err := NewModel(ctx, left)
	if err != nil {
		return nil, err
	}
	looked, err := m.looked(ctx)
	if err != nil {
		return nil, err
	}
	if c.models == nil {
		c.models, c.looked = make(map[Cell]*Model), make(map[Cell]time.Duration)
	}
	c.models[e], c.looked[e] = m, looked
	return m, nil
}

// evidence boots a cell for its evidence.
func (c *Campaign) evidence(ctx context.Context, e Cell, machine *Machine) error {
	for range 1 + slowRetries {
		fmt.Fprintf(c.Progress, "  evidence: %s\n", e.ID())
		_, left, err := c.Boot(ctx, e, machine)
		if err != nil {
			return err
		}
		if !timesOut(left.Console) {
			return c.Store.PutEvidence(e, left)
		}
		fmt.Fprintf(c.Progress, "  once more: %s\n", notHeld)
	}
	return errors.New("in each of its boots " + notHeld + ": the host is too slow")
}

// notHeld is why a boot does not count in which a command of the kernel timed out though
// the TPM had answered it at once.
const notHeld = "a command timed out that nobody held"

// timesOut reports whether a driver gave a command up.
func timesOut(console []byte) bool {
	return bytes.Contains(console, []byte("tpm tpm0: Operation Timed out"))
}

// boot boots the cell of a result once.
func (c *Campaign) boot(ctx context.Context, r *Result, machine *Machine) (Boot, error) {
	v, left, err := c.Boot(ctx, r.Cell, machine)
	if err != nil {
		return Boot{}, err
	}
	last := v.Last()
	r.Kernel, r.QEMU = last.Kernel, left.QEMU
	b := Boot{Took: time.Duration(v.Took).Seconds()}
	if b.Outcome, err = outcomeOf(last); err != nil {
		return b, err
	}
	if at := last.IMA.LookedAt; at != nil {
		b.Looked = time.Duration(*at).Seconds()
	}
	if at := last.Driver.At; at != nil {
		b.Bound = time.Duration(*at).Seconds()
	}
	b.Slow = slow(r, b, c.looked[r.Cell.Evidence(machine)], left.Console)
	if b.Differs, err = reproduced(ctx, left); err != nil {
		return b, err
	}
	if err := c.keep(r, b, left); err != nil {
		return b, err
	}
	if r.Evidence == "" && b.Slow == "" && !c.Store.HasEvidence(r.Cell) {
		return b, c.Store.PutEvidence(r.Cell, left)
	}
	return b, nil
}

// keep keeps what a boot has left that its own simulation does not reproduce: whoever
// mends the model needs it.
func (c *Campaign) keep(r *Result, b Boot, left Evidence) error {
	if len(b.Differs) == 0 || c.Keep == "" {
		return nil
	}
	name := fmt.Sprintf("%s_%d", evidenceName(r.Cell), len(r.Boots)+1)
	fmt.Fprintf(c.Progress, "  not reproduced: the console is kept as %s\n", filepath.Join(c.Keep, name+consoleEnding))
	return Store{Dir: c.Keep}.put(name, left)
}

// reproduced returns the rows in which the simulation of a boot's own console is not what
// the console shows.
func reproduced(ctx context.Context, left Evidence) (rows []boot.ComparisonRow, err error) {
	_, err = NewModel(ctx, left)
	var contradiction *boot.ContradictionError
	if !errors.As(err, &contradiction) {
		return nil, err
	}
	rows = contradiction.Rows
	for _, missing := range contradiction.Missing {
		rows = append(rows, boot.ComparisonRow{What: "log", Log: missing, Differs: true})
	}
	return rows, nil
}

// slow returns why a boot does not count, or "". A boot with the outcome that was
// predicted counts.
func slow(r *Result, b Boot, looked time.Duration, console []byte) string {
	if (&Result{Predicted: r.Predicted, Boots: []Boot{b}}).Agreement() == Same {
		return ""
	}
	switch {
	case timesOut(console) && r.Cell.Way != faults.Hold:
		return notHeld
	case len(r.Predicted) > 0 && b.Looked > 2*looked.Seconds() && waitsForTime(r.Cell):
		return fmt.Sprintf("IMA looked at %.2f s, at %.2f s in the evidence: the driver asks again for 2.54 s only", b.Looked, looked.Seconds())
	}
	return ""
}

// waitsForTime reports whether it matters how long the kernel takes from the TPM's probe
// to the level at which the TPM becomes available: the driver asks a TPM again for 2.54 s
// (drivers/char/tpm/tpm-interface.c: tpm_transmit).
func waitsForTime(c Cell) bool {
	return c.Async && (c.Way == faults.Retry || c.Way == faults.Testing)
}
