package prediction

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// Evidence is what a real boot has left: its console, and the ASCII measurement list of
// its kernel.
type Evidence struct {
	Console []byte
	List    []byte
	QEMU    string // its version; the store does not keep it
}

// Model is a machine made from evidence.
type Model struct {
	reproduction *boot.Reproduction
	selfTests    *crypt.SelfTests
}

// NewModel makes the machine and compares its simulated boot with the console. The error
// is a *boot.ContradictionError if the simulation contradicts the evidence.
func NewModel(ctx context.Context, e Evidence) (*Model, error) {
	m := &Model{selfTests: new(crypt.SelfTests)}
	var err error
	m.reproduction, err = boot.FromConsole(bytes.NewReader(e.Console), bytes.NewReader(e.List), func(p *boot.Platform, c boot.Config) (*boot.Result, error) {
		c.Seed = 1
		return m.boot(ctx, p, c, nil)
	})
	if err != nil {
		return nil, err
	}
	return m, m.reproduction.Comparison.Err()
}

// Looked returns when IMA looked for the TPM, since the kernel's start.
func (m *Model) looked(ctx context.Context) (time.Duration, error) {
	r, err := m.boot(ctx, m.reproduction.Platform, boot.Config{Strategy: m.reproduction.Strategy, Seed: 1}, nil)
	if err != nil {
		return 0, err
	}
	return r.Summary.StartedAt - r.Summary.KernelAt, nil
}

// Seeds is how many boots a prediction simulates; in all but the first, threads wait for
// a processor up to boot.RaceWindow.
const Seeds = 16

// Predict simulates the boots of a cell of the machine m, and returns how they ended.
func (m *Model) Predict(ctx context.Context, c Cell, machine *Machine) ([]Share, error) {
	p := *m.reproduction.Platform
	if c.Async {
		p.Kernel.CommandLine += " driver_async_probe=" + machine.Device.Driver()
	}
	var outcomes []Outcome
	for seed := range uint64(Seeds) {
		config := boot.Config{Strategy: c.Strategy, Seed: 1 + seed, Tail: machine.Await + time.Second}
		if seed > 0 {
			config.Scatter = boot.RaceWindow
		}
		r, err := m.boot(ctx, &p, config, c.rules())
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.ID(), err)
		}
		o, err := outcomeOfResult(&p, r)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.ID(), err)
		}
		outcomes = append(outcomes, o)
	}
	return shares(outcomes), nil
}

// boot boots a platform with an emulated TPM under rules.
func (m *Model) boot(ctx context.Context, p *boot.Platform, config boot.Config, rules []faults.Rule) (*boot.Result, error) {
	config.Time, config.Clock = new(boot.Time), new(initcall.Clock)
	tpm, err := emulator.New(emulator.Platform{Entropy: entropy(config.Seed), Clock: config.Time, SelfTest: m.selfTests.SelfTest}, emulator.Config{})
	if err != nil {
		return nil, err
	}
	config.Device, err = faults.Wrap(tpm, faults.Plan{Clock: config.Clock, Time: config.Time.Now, Rules: rules})
	if err != nil {
		return nil, err
	}
	return boot.Run(ctx, p, config)
}

// entropy is a stream of bytes that depends on the seed alone.
func entropy(seed uint64) *rand.ChaCha8 {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}
