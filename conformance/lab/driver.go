package lab

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// fieldFailure is the line of a TPM whose self-test never ends
// (drivers/char/tpm/tpm2-cmd.c: tpm2_auto_startup).
const fieldFailure = "TPM in field failure mode"

func driverOf(boot *Boot, log []Line, device Device) DriverVerdict {
	last := boot.last()
	d := DriverVerdict{
		Name: last.driver(), Version: strings.TrimSpace(string(last.Items[itemTPMVersion])),
		Nodes: last.lines(itemTPMNodes), Deferred: last.lines(itemDeferred), Lines: []string{},
	}
	for _, line := range log {
		d.FieldFailure = d.FieldFailure || strings.Contains(line.Text, fieldFailure)
		if strings.HasPrefix(line.Text, "tpm") || strings.Contains(line.Text, device.kernelName()) {
			d.Lines = append(d.Lines, line.String())
		}
	}
	probes := ownProbes(log, device)
	for _, p := range probes {
		if p.code == 0 {
			at := Seconds(p.at)
			d.At = &at
		}
	}
	d.Bound = boundHow(boot, d.At, log)
	d.Postponed, d.Suppliers = postponed(log), suppliers(log, device)
	if d.At != nil {
		d.Level, d.Inside = levelAt(boot.View, time.Duration(*d.At)), insideAt(log, time.Duration(*d.At))
	}
	if looked, _, ok := imaLooked(log); ok {
		d.Failed = failedProbe(probes, looked)
	}
	return d
}

// probe is the end of a probe of the TPM's device.
type probe struct {
	at   time.Duration // of its end
	took time.Duration
	code int // as it is printed
	of   string
}

// probed is initcall_debug's line for the end of a probe (drivers/base/dd.c:
// really_probe_debug). An error of the driver itself is printed without its
// sign. Linux 7.3 names the driver too.
var probed = regexp.MustCompile(`^probe of (\S{1,256})(?: with driver \S{1,64})? returned (-?[0-9]{1,9}) after (-?[0-9]{1,12}) usecs`)

func (l Line) probe() (p probe, ok bool) {
	m := probed.FindStringSubmatch(l.Text)
	if m == nil {
		return probe{}, false
	}
	p.at, p.of = l.At, m[1]
	p.code, _ = strconv.Atoi(m[2]) // the expression bounds both
	usecs, _ := strconv.ParseInt(m[3], 10, 64)
	p.took = time.Duration(usecs) * time.Microsecond
	return p, true
}

// registering is the initcall with which each driver registers itself
// (drivers/char/tpm: tpm_tis.c, module_init; tpm_crb.c, module_acpi_driver).
var registering = map[Device]string{TIS: "init_tis", CRB: "crb_acpi_driver_init"}

// Errors of a probe, include/linux/errno.h and include/uapi/asm-generic/errno-base.h.
const (
	enodev      = 19
	eprobeDefer = 517 // the probe is retried
)

// ownProbes returns the probes of the TPM by the driver that knows its interface. ACPI
// has one device for both interfaces, and the driver core offers it to both drivers: the
// other one refuses it, while it registers itself.
func ownProbes(log []Line, device Device) []probe {
	var own []probe
	other := registering[CRB]
	if device == CRB {
		other = registering[TIS]
	}
	var begun time.Duration
	inside, refusal := false, -1 // index in own of what may be the refusal
	for _, line := range log {
		p, ok := line.probe()
		ok = ok && p.of == device.kernelName()
		switch {
		case strings.HasPrefix(line.Text, "calling  "+other+"+"):
			begun, inside = line.At, true
		case strings.HasPrefix(line.Text, "initcall "+other+"+") && inside:
			if inside = false; refusal >= 0 {
				own = slices.Delete(own, refusal, refusal+1)
				refusal = -1
			}
		case ok:
			own = append(own, p)
			// The driver's probe may end at the same time if it is asynchronous; it
			// began earlier, or takes longer than a refusal.
			if inside && p.code == enodev && p.at-p.took >= begun-printkSlack &&
				(refusal < 0 || p.took < own[refusal].took) {
				refusal = len(own) - 1
			}
		}
	}
	return own
}

// printkSlack is how much printk's clock and that of initcall_debug may differ
// within a few lines.
const printkSlack = time.Millisecond

// postponed returns the probes of any device that the kernel repeats.
func postponed(log []Line) []PostponedProbe {
	all := []PostponedProbe{}
	for _, line := range log {
		if p, ok := line.probe(); ok && (p.code == eprobeDefer || p.code == -eprobeDefer) {
			all = append(all, PostponedProbe{At: Seconds(p.at), Device: p.of})
		}
	}
	return all
}

// waits is how the driver core says for which supplier a probe waits
// (drivers/base/core.c: device_links_check_suppliers).
var waits = regexp.MustCompile(`(?:wait for supplier|supplier) (\S{1,256})`)

// suppliers returns for whom the TPM had to wait, each once.
func suppliers(log []Line, device Device) []string {
	var all []string
	for _, line := range log {
		m := waits.FindStringSubmatch(line.Text)
		if m != nil && strings.Contains(line.Text, device.kernelName()+": ") && !slices.Contains(all, m[1]) {
			all = append(all, m[1])
		}
	}
	return all
}

// levelAt returns the level that the kernel had reached at a time, by the movements of
// the TPM's clock.
func levelAt(view *View, at time.Duration) string {
	if view == nil {
		return ""
	}
	level := ""
	for _, e := range view.Status.Levels {
		if e.Boot == view.Status.Now.Boot && e.At >= 0 && e.At <= at && e.Level > initcall.Firmware {
			level = e.Level.String()
		}
	}
	return level
}

// called is initcall_debug's line before a function, returned that after it.
var (
	called   = regexp.MustCompile(`^calling  ([A-Za-z0-9_]{1,256})\+`)
	returned = regexp.MustCompile(`^initcall ([A-Za-z0-9_]{1,256})\+\S* returned `)
)

// insideAt returns the initcall, of those that the log has, that began before and ended
// after a time.
func insideAt(log []Line, at time.Duration) string {
	begun := map[string]time.Duration{}
	for _, line := range log {
		if m := called.FindStringSubmatch(line.Text); m != nil {
			begun[m[1]] = line.At
		}
		if m := returned.FindStringSubmatch(line.Text); m != nil {
			if from, ok := begun[m[1]]; ok && from <= at && at <= line.At {
				return m[1]
			}
		}
	}
	return ""
}

// failedProbe returns the probe that failed before IMA looked, if the kernel does not
// retry it, else nil.
func failedProbe(probes []probe, looked time.Duration) *FailedProbe {
	var failed *FailedProbe
	for _, p := range probes {
		switch {
		case p.at > looked:
		case p.code == 0:
			return nil
		case p.code == eprobeDefer, p.code == -eprobeDefer:
			failed = nil // it is tried again
		case failed == nil:
			failed = &FailedProbe{At: Seconds(p.at), Code: p.code}
		}
	}
	return failed
}

// foundTPM reports whether IMA printed what it prints after its look, and not that it found
// no TPM. The probe that registered the TPM may end later than IMA's look begins, or than it
// ends.
func foundTPM(log []Line) bool {
	went := false
	for _, line := range log {
		if strings.Contains(line.Text, bypassLine) {
			return false
		}
		went = went || strings.Contains(line.Text, hashLine)
	}
	return went
}

// boundHow returns how the TPM was bound to its driver, whose probe succeeded at at.
func boundHow(boot *Boot, at *Seconds, log []Line) Bound {
	for _, report := range boot.Reports {
		if !report.registered() {
			continue
		}
		looked, _, ok := imaLooked(log)
		switch {
		case report.Label == AfterBind:
			return BoundByHand
		case report.Label == AfterAwait, ok && at != nil && *at > Seconds(looked) && !foundTPM(log):
			return BoundLater
		}
		return BoundInTime
	}
	return NeverBound
}
