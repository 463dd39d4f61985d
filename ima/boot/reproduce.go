package boot

import (
	"io"
	"slices"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/ima"
)

// Reproduction is a machine made from its console log, and how far its simulated
// boot is that of the log.
type Reproduction struct {
	Platform *Platform
	// Strategy is how the log's kernel starts IMA.
	Strategy Strategy
	// Tail is how long after init the log goes on.
	Tail       time.Duration
	Comparison Comparison
}

// FromConsole makes a platform from the console log of a machine that was booted
// with initcall_debug ignore_loglevel, and if list is not nil from its ASCII
// measurement list too. From the log come the initcalls with their levels and
// times, the kernel's release and command line, when it starts IMA and what IMA
// says, and the TPM: its driver, how its probes ended, and how commands did after
// them. From the list come the files with their digests and the boot aggregate;
// what is between boot_aggregate and boot_aggregate_late was used by helpers in
// the gap, the rest by userspace.
//
// A line may have a prefix before its time stamp. Lines that are damaged are
// counted, and time stamps that do not ascend are not believed.
//
// What a log does not tell is assumed, and is in the platform to be corrected: what
// a deferred TPM waited for, that firmware measured into a TPM which the kernel
// had not to start, what the initramfs was unpacked into. Each assumption has
// to make the log again: FromConsole has boot run the platform, corrects times,
// tries other assumptions, and compares. The Comparison says what is the same and
// what is not; its Err is a *ContradictionError if the platform is not to be
// believed. boot gets the strategy and the tail in its Config, and adds the TPM.
//
// Levels are as exact as the log: kernels that do not print them have functions
// known to begin one (package initcall). Probes other than the TPM's are part of
// their initcalls.
//
// The error is a *ConsoleError, a *PlatformError of what came out, or boot's.
func FromConsole(log, list io.Reader, boot func(*Platform, Config) (*Result, error)) (*Reproduction, error) {
	c, err := readConsole(log)
	if err != nil {
		return nil, err
	}
	var measured *consoleList
	if list != nil {
		if measured, err = readConsoleList(list); err != nil {
			return nil, err
		}
	}
	var best *Reproduction
	for _, supplier := range c.suppliers() {
		try := &attempt{console: c, list: measured, supplier: supplier, boot: boot}
		r, err := try.reproduce()
		if err != nil {
			return nil, err
		}
		if best == nil || r.Comparison.distance() < best.Comparison.distance() {
			best = r
		}
		// What the log, or its driver's name, tells of a supplier needs no other
		// assumption, even if the TPM was not retried as often.
		if d := best.Comparison.distance(); d == 0 || supplier == supplierAsync && d < differs {
			break
		}
	}
	return best, nil
}

// attempt is one set of assumptions about a log's machine.
type attempt struct {
	*console
	list     *consoleList
	supplier supplierKind
	boot     func(*Platform, Config) (*Result, error)
}

// passes is how often times are corrected.
const passes = 4

// reproduce makes the platform and corrects it until its boot is that of the log.
func (a *attempt) reproduce() (*Reproduction, error) {
	kinds := make(map[string]AccessKind)
	p := a.platform(a.supplier)
	strategy := a.strategy(a.list)
	r := &Reproduction{Platform: p, Strategy: strategy, Tail: DefaultTail}
	if a.init != "" {
		r.Tail = min(max(r.Tail, a.end-a.initAt+time.Second), MaxBoot)
	}
	if a.list != nil {
		a.list.apply(p, kinds)
	}
	for pass := range passes {
		if err := p.Validate(); err != nil {
			return nil, err
		}
		result, err := a.boot(p, Config{Strategy: strategy, Tail: r.Tail})
		if err != nil {
			return nil, err
		}
		r.Comparison = a.compare(result, strategy)
		if pass == passes-1 || !a.correct(p, result, kinds) {
			break
		}
	}
	return r, nil
}

// precision is how near to the log a duration is brought.
const precision = 100 * time.Microsecond

// correct brings durations nearer to the log's and reports whether any changed.
func (a *attempt) correct(p *Platform, r *Result, kinds map[string]AccessKind) (changed bool) {
	move := func(d *time.Duration, by time.Duration) {
		if to := min(max(*d+by, 0), MaxBoot); by > precision || by < -precision {
			changed = changed || to != *d
			*d = to
		}
	}
	took := make(map[string]time.Duration)
	for i := range r.Events {
		if e := &r.Events[i]; e.Kind == InitcallReturned {
			took[e.Name] = e.Took
		}
	}
	logged := make(map[string]time.Duration, len(a.calls))
	for i := range a.calls {
		logged[a.calls[i].name] = a.calls[i].took
	}
	for i := range p.Initcalls {
		call := &p.Initcalls[i]
		simulated, called := took[call.Name]
		if want, ok := logged[call.Name]; ok && called {
			move(&call.Took, want-simulated)
		}
	}
	if a.initAt > 0 && r.Summary.UserspaceAt > 0 {
		move(&p.Userspace.Took, a.initAt-(r.Summary.UserspaceAt-r.Summary.KernelAt))
	}
	a.correctTPM(p, r, move)
	if a.list != nil {
		changed = a.correctKinds(p, r, kinds) || changed
	}
	return changed
}

// correctTPM brings the TPM's last probe to its time.
func (a *attempt) correctTPM(p *Platform, r *Result, move func(*time.Duration, time.Duration)) {
	s := a.story()
	if s == nil || len(s.probes) == 0 {
		return
	}
	simulated := simulatedProbes(r, s.device)
	for i := len(s.probes) - 1; i >= 0; i-- {
		logged := &s.probes[i]
		if logged.deferred() {
			continue
		}
		j := slices.IndexFunc(simulated, func(p loggedProbe) bool { return p.code == logged.code })
		if j < 0 {
			continue
		}
		d := &p.Drivers[slices.IndexFunc(p.Drivers, func(d Driver) bool { return d.Name == s.driver })]
		took := &d.Took
		if d.Rest > 0 {
			took = &d.Rest
		}
		move(took, a.sameSide(&r.Summary, (logged.at-logged.began)-(simulated[j].at-simulated[j].began)))
		late := logged.began - simulated[j].began
		for k := range p.Devices {
			dev := &p.Devices[k]
			if dev.Appears > 0 && (dev.Name == s.device || slices.Contains(p.Devices[slices.IndexFunc(p.Devices, func(d Device) bool { return d.Name == s.device })].dependencies(), dev.Name)) {
				move(&dev.Appears, late)
			}
			if dev.Bind > 0 && logged.code == 0 {
				move(&dev.Bind, late)
			}
		}
		for k := range p.Userspace.Accesses {
			if access := &p.Userspace.Accesses[k]; access.Kind == Wait && s.call < 0 {
				move(&access.For, late)
			}
		}
		return
	}
}

// sameSide returns by, or as much more or less as has the TPM, which registers by later,
// registered before IMA's look if it was in the log, and after it if it was not.
func (a *attempt) sameSide(s *Summary, by time.Duration) time.Duration {
	i, logged := a.ima.started, a.registeredAt()
	if i < 0 || logged < 0 || !s.Started || !s.TPMRegistered {
		return by
	}
	const apart = 2 * precision
	early := s.StartedAt - s.TPMAt - by
	if logged <= a.calls[i].at {
		return by + min(early-apart, 0)
	}
	return by + max(early+apart, 0)
}

func (d *Device) dependencies() []string {
	return slices.Concat(d.Suppliers, d.Needs, d.Domains)
}

// correctKinds has files of the list that the simulated policy did not measure
// used in another way.
func (a *attempt) correctKinds(p *Platform, r *Result, kinds map[string]AccessKind) (changed bool) {
	records, err := r.List.Records()
	if err != nil {
		return false
	}
	have := make(map[string]bool)
	for _, record := range records {
		have[record.Name()] = true
	}
	next := map[AccessKind]AccessKind{Read: Map, Map: Exec}
	for _, list := range p.accesses() {
		for i := range list {
			access := &list[i]
			to, ok := next[access.Kind]
			if access.Digest.Sum == nil || have[access.Path] || !ok {
				continue
			}
			access.Kind, kinds[access.Path], changed = to, to, true
		}
	}
	return changed
}

// accesses are those of all programs.
func (p *Platform) accesses() (lists [][]Access) {
	for i := range p.Helpers {
		lists = append(lists, p.Helpers[i].Accesses)
	}
	return append(lists, p.Userspace.Accesses)
}

// simulatedProbes are the ends of a device's probes in a simulated boot, in the
// form of the log's: times since the kernel's start.
func simulatedProbes(r *Result, device string) (probes []loggedProbe) {
	for i := range r.Events {
		e := &r.Events[i]
		if e.Name != device {
			continue
		}
		p := loggedProbe{device: device, at: e.At - r.Summary.KernelAt, level: e.Level, call: -1}
		p.began = p.at - e.Took
		switch e.Kind {
		case ProbeDeferred:
			p.code = e.Code
		case ProbeFailed:
			p.code = -e.Code
		case ProbeBound:
		default:
			continue
		}
		probes = append(probes, p)
	}
	return probes
}

// simulatedLines are what IMA and the TPM core print in a simulated boot before
// init is executed.
func simulatedLines(r *Result) (lines []string) {
	for i := range r.Events {
		e := &r.Events[i]
		if e.Kind == UserspaceReached {
			break
		}
		if e.Kind == LogLine && (strings.HasPrefix(e.Text, "ima: ") || strings.HasPrefix(e.Text, "tpm ")) {
			lines = append(lines, e.Text)
		}
	}
	return lines
}

// recordKey has the fields of a record that two lists must have in common.
func recordKey(r *ima.Record) string {
	d, _ := r.FileDigest()
	return r.Name() + " " + d.Algo.String() + ":" + d.Sum.String()
}
