// Package simulate is the subcommands boot and matrix: simulated boots with an
// emulated TPM under fault rules, and what a verifier concludes from their lists.
package simulate

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/boot"
	"github.com/swtpmd/swtpmd/ima/measure"
	"github.com/swtpmd/swtpmd/ima/verify"
	"github.com/swtpmd/swtpmd/transport"
)

// simulation is one simulated boot of a platform with an emulated TPM.
type simulation struct {
	platform *boot.Platform
	strategy boot.Strategy
	options  boot.Options
	attack   boot.Attack
	plan     faults.Plan // but for its clock; without a journal it is the outcome's
	unseeded bool        // chance is drawn from the boot's seed
	policy   string
	seed     uint64
	scatter  time.Duration
	tail     time.Duration
	profile  cli.Profile
	// around, if set, puts a device in front of the faults.
	around func(transport.Device) transport.Device
	// selfTests are shared by the TPMs of all boots.
	selfTests *crypt.SelfTests
}

// Outcome is what came of a simulation.
type Outcome struct {
	// Comparison is that of the platform's console log with its own
	// simulation, nil for a platform that is not from a log.
	Comparison *boot.Comparison `json:"comparison,omitempty"`

	Result  *boot.Result    `json:"boot"`
	Verdict *verify.Verdict `json:"verdict"`
	// Appraisals are what the built-in policies make of the verdict when the
	// service knows the kernel's build and has it bound by the measured boot.
	Appraisals []verify.Result   `json:"appraisals"`
	Journal    []faults.Decision `json:"deferrals"`
	// Shares say how boots with other seeds ended, if they were asked for.
	Shares *shares `json:"shares,omitempty"`
	// rules are those that the TPM was under.
	rules []faults.Rule
}

// run boots the platform and appraises what a service would be sent.
func (s *simulation) run(ctx context.Context) (*Outcome, error) {
	o, err := s.boot(ctx)
	if err != nil {
		return nil, err
	}
	return o, o.appraise(s)
}

// boot boots the platform.
func (s *simulation) boot(ctx context.Context) (*Outcome, error) {
	now, clock := new(boot.Time), new(initcall.Clock)
	config := boot.Config{
		Strategy: s.strategy, Options: s.options, Attack: s.attack,
		Clock: clock, Time: now, Seed: s.seed, Scatter: s.scatter, Policy: s.policy, Tail: s.tail,
	}
	var o Outcome
	if hasTPM(s.platform) {
		tpm, err := emulator.New(emulator.Platform{Entropy: entropy(s.seed), Clock: now, SelfTest: s.selfTests.SelfTest}, s.profile.Config())
		if err != nil {
			return nil, err
		}
		plan := s.plan
		plan.Clock, plan.Time = clock, now.Now
		if plan.Journal == nil {
			plan.Journal = func(d faults.Decision) { o.Journal = append(o.Journal, d) }
		}
		if s.unseeded {
			plan.Seed = s.seed
		}
		config.Device, err = faults.Wrap(tpm, plan)
		if err != nil {
			return nil, err
		}
		if s.around != nil {
			config.Device = s.around(config.Device)
		}
	}
	result, err := boot.Run(ctx, s.platform, config)
	if err != nil {
		return nil, err
	}
	o.Result, o.rules = result, s.plan.Rules
	return &o, nil
}

// hasTPM reports whether any of the platform's drivers drives a TPM.
func hasTPM(p *boot.Platform) bool {
	return slices.ContainsFunc(p.Drivers, func(d boot.Driver) bool { return d.Kind != boot.Plain })
}

// entropy is a stream of bytes that depends on the seed alone.
func entropy(seed uint64) *rand.ChaCha8 {
	var key [32]byte
	binary.BigEndian.PutUint64(key[:], seed)
	return rand.NewChaCha8(key)
}

// pcrs are the values that a service gets. Where the platform has the boot
// aggregate of a real machine, the PCRs that it was made of are not known: those
// of the simulation are others.
func (o *Outcome) pcrs(p *boot.Platform) ima.PCRs {
	if len(p.Aggregate.Sum) == 0 {
		return o.Result.PCRs
	}
	known := ima.PCRs{}
	for algo, bank := range o.Result.PCRs {
		known[algo] = map[int]ima.Hex{imaPCR: bank[imaPCR]}
	}
	return known
}

// imaPCR is CONFIG_IMA_MEASURE_PCR_IDX.
const imaPCR = 10

// appraise verifies the list against the PCRs, as a service that has both from
// a quote, and knows and has measured the kernel's build.
func (o *Outcome) appraise(s *simulation) error {
	records, err := o.Result.List.Records()
	if err != nil {
		return err
	}
	kernel, err := measure.KernelByRelease(s.platform.Kernel.Profile)
	if err != nil {
		return err
	}
	// The option is carried back to kernels that do not have it.
	lateSync := verify.SettingUnknown
	if s.strategy == boot.Kconfig {
		kernel.InitLateSync, lateSync = true, verify.SettingOn
	}
	o.Verdict, err = verify.Verify(verify.Evidence{
		List: ima.Records(records), PCRs: o.pcrs(s.platform), Vouched: true,
		Build: verify.Build{
			Kernel: verify.Kernel{Release: kernel.Release, InitLateSync: kernel.InitLateSync, KexecAtExecute: kernel.KexecAtExecute}, Release: s.platform.Kernel.UTSRelease(),
			Strategy: verify.Strategy(s.strategy.String()), InitLateSync: lateSync, Bound: true,
		},
	})
	if err != nil {
		return err
	}
	for _, name := range verify.PolicyNames() {
		policy, err := verify.PolicyByName(name)
		if err != nil {
			return err
		}
		o.Appraisals = append(o.Appraisals, policy.Appraise(o.Verdict))
	}
	return nil
}
