package boot

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
	"github.com/swtpmd/swtpmd/transport"
)

// Config says how a platform is booted. The zero value, which has no TPM, is
// usable.
type Config struct {
	Strategy Strategy
	Options  Options
	Attack   Attack

	// Device is the machine's TPM, nil for none. It gets real commands. If
	// it has transport.Power, Run switches it on by Init; otherwise it should
	// come fresh from its reset. A Device that holds commands must do so with
	// the transport.Wait it is given, or virtual time stands still.
	Device transport.Device
	// Clock is moved through the levels, so that faults around the Device
	// see them. It gets a PowerOn first. Nil is a clock that nobody sees.
	Clock *initcall.Clock
	// Time is the virtual time, to be given to whatever else lives in the
	// machine. Nil is a time that nobody sees.
	Time *Time
	// Seed decides what the platform leaves open: jitter, firmware's digests,
	// the content of files. The same seed gives the same boot.
	Seed uint64
	// Policy replaces the value of ima_policy= on the kernel's command line,
	// unless it is empty.
	Policy string
	// Scatter is how long, at most, these wait for a processor: pid 1 at IMA's
	// start, asynchronous work when it begins or gets a command's answer, and
	// the retries of deferred probes that pid 1 does not wait for. The seed
	// decides. With RaceWindow many seeds show how a race ends. 0 is no waiting.
	Scatter time.Duration
	// MaxSteps bounds the run, DefaultMaxSteps if 0; Tail is how long the
	// machine is watched in userspace, DefaultTail if 0.
	MaxSteps int
	Tail     time.Duration
}

// Result is the result of a boot.
type Result struct {
	Platform *Platform `json:"-"`
	Strategy Strategy  `json:"strategy"`
	Attack   Attack    `json:"attack"`
	Seed     uint64    `json:"seed"`
	Summary  Summary   `json:"summary"`
	// PCRs are PCR 0 to 10 of each bank as the TPM has them after the boot;
	// empty without a TPM that answers.
	PCRs ima.PCRs `json:"pcrs"`
	// Events is the timeline.
	Events []Event `json:"events"`
	// List is the measurement list that the machine shows.
	List *List `json:"-"`
	// IMA is the kernel's IMA, for more than its list: hooks may be called
	// as long as the TPM does not take its time.
	IMA *measure.IMA `json:"-"`
}

// Summary is a boot in brief. Times are virtual, since power-on.
type Summary struct {
	// Started reports that init_ima has run, StartError what it returned,
	// Level, StartedAt and Task where and when.
	Started    bool           `json:"started"`
	StartError int            `json:"start_error,omitempty"`
	Level      initcall.Level `json:"level"`
	StartedAt  time.Duration  `json:"started_at_ns"`
	Task       string         `json:"task,omitempty"`
	// Bypass reports that IMA has started without a TPM.
	Bypass bool `json:"bypass"`
	// Missed says why, nil without a bypass.
	Missed *Missed `json:"missed,omitempty"`
	// Race reports that IMA and the TPM were in a race, nil that they were not.
	Race *Race `json:"race,omitempty"`
	// WhatIf says why no real kernel of the platform's release does this,
	// empty if one does.
	WhatIf string `json:"what_if,omitempty"`
	// Aggregates are the boot aggregates in the list.
	Aggregates []ima.BootAggregate `json:"aggregates"`

	// Kept counts the records in the list, as IMA made them; Extended those
	// that are in the PCR, Unextended the others.
	Kept       int `json:"kept"`
	Extended   int `json:"extended"`
	Unextended int `json:"unextended"`
	// Lost counts the files whose use IMA would have measured and did not,
	// because it had not started; Queued the measurements that waited for
	// its start; Denied the uses that failed.
	Lost   int `json:"lost"`
	Queued int `json:"queued"`
	Denied int `json:"denied"`

	// TPMRegistered reports that the kernel has a TPM at the end, TPMAt and
	// TPMLevel since when. FieldFailure is a chip that answers, but not what
	// the kernel needs.
	TPMRegistered bool           `json:"tpm_registered"`
	TPMAt         time.Duration  `json:"tpm_at_ns"`
	TPMLevel      initcall.Level `json:"tpm_level"`
	FieldFailure  bool           `json:"field_failure"`
	// NullKeyChanged reports that the kernel has noticed by its null primary that
	// the TPM was reset without it, TPMDisabled that it has switched the TPM
	// off: commands fail from then on.
	NullKeyChanged bool `json:"null_key_changed,omitempty"`
	TPMDisabled    bool `json:"tpm_disabled,omitempty"`

	// KernelAt is when the kernel started: the zero of its own time stamps.
	KernelAt time.Duration `json:"kernel_at_ns"`
	// Userspace reports that init and what it does came to their end, Panic why
	// not. UserspaceAt is when init was executed.
	Userspace   bool          `json:"userspace"`
	UserspaceAt time.Duration `json:"userspace_at_ns"`
	Panic       string        `json:"panic,omitempty"`

	Attack AttackOutcome `json:"attack"`
	// Steps is how often a task was woken.
	Steps int `json:"steps"`
}

// Run boots a platform and watches it. It returns when nothing is left to
// happen, or Tail after init has been executed.
//
// Besides a *PlatformError, the errors are about the run itself: a *LimitError,
// ctx's error, a Device that cannot be switched on. What happens to the machine
// is no error; a Result tells it. With a *LimitError comes the Result so far.
func Run(ctx context.Context, platform *Platform, config Config) (*Result, error) {
	if err := platform.Validate(); err != nil {
		return nil, err
	}
	if int(config.Strategy) >= len(strategyTypes) {
		return nil, &UnknownNameError{What: "strategy", Name: config.Strategy.String(), Known: strategyNames[:]}
	}
	if int(config.Attack) >= len(attackNames) {
		return nil, &UnknownNameError{What: "attack", Name: config.Attack.String(), Known: attackNames[:]}
	}
	k, err := newKernel(ctx, platform, &config)
	if err != nil {
		return nil, err
	}
	if power, ok := transport.As[transport.Power](config.Device); ok {
		if err := power.Init(); err != nil {
			return nil, err
		}
	}
	k.config.Clock.PowerOn("simulated power-on")
	k.sched.spawn("firmware", k.boot)
	err = k.sched.run()
	if err == nil && !k.summary.Userspace && k.level < initcall.Userspace {
		err = &LimitError{Limit: "time", At: k.sched.now(), Steps: k.sched.steps}
	}
	var limit *LimitError
	if err != nil && !errors.As(err, &limit) {
		return nil, err
	}
	return k.result(), err
}

func newKernel(ctx context.Context, platform *Platform, config *Config) (*kernel, error) {
	if config.Clock == nil {
		config.Clock = new(initcall.Clock)
	}
	if config.Time == nil {
		config.Time = new(Time)
	}
	if config.MaxSteps == 0 {
		config.MaxSteps = DefaultMaxSteps
	}
	if config.Tail == 0 {
		config.Tail = DefaultTail
	}
	k := &kernel{
		platform: config.Attack.prepare(platform),
		config:   config,
		sched:    &sched{ctx: ctx, time: config.Time, base: config.Time.Now(), maxSteps: config.MaxSteps, horizon: MaxBoot},
		args:     parseArgs(&platform.Kernel),
		random:   rand.New(rand.NewPCG(config.Seed, 0x696d612f626f6f74)),
		strategy: strategyTypes[config.Strategy](),
		helpers:  make(map[string]*Helper),
		files:    make(map[string]*file),
		mounts:   make(map[string]*measure.Superblock),
		raceFrom: -1,
	}
	k.attack.kind = config.Attack
	k.events = make([]Event, 0, 4*len(platform.Initcalls)+256)
	for i := range k.platform.Helpers {
		h := &k.platform.Helpers[i]
		k.helpers[h.Name] = h
	}
	k.newDriverCore()
	return k, k.newIMA()
}

func (k *kernel) result() *Result {
	s := &k.summary
	s.Started, s.StartError = k.ima.started, k.ima.result
	s.Level, s.StartedAt, s.Task = k.ima.level, k.ima.at, k.ima.task
	if s.Bypass = k.ima.Bypass(); s.Bypass {
		s.Missed = k.missed()
	}
	s.Race = k.race()
	s.WhatIf = k.whatIf()
	s.Attack = k.attack.outcome
	s.Steps = k.sched.steps
	list := &List{ima: k.ima.IMA, platform: k.platform, hidden: k.attack.hidden}
	if records, err := list.Records(); err == nil {
		for i, r := range records {
			if b, ok := ima.IsBootAggregate(r, i+1); ok {
				s.Aggregates = append(s.Aggregates, b)
			}
		}
	}
	return &Result{
		Platform: k.platform, Strategy: k.config.Strategy, Attack: k.config.Attack, Seed: k.config.Seed,
		Summary: *s, PCRs: k.readPCRs(), Events: k.events, List: list, IMA: k.ima.IMA,
	}
}
