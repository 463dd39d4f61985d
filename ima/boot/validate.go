package boot

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima/internal/clip"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// maxFirmwarePCR is the highest PCR that firmware and boot loader extend here.
// PCR 10 is IMA's.
const maxFirmwarePCR = 9

// Validate says why the platform is impossible, with a *PlatformError: names
// that nothing stands for or that come twice, suppliers in a circle, times that
// are none, an IMA that never starts. ParsePlatform, FromConsole and Run do it.
func (p *Platform) Validate() error {
	v := &validator{p: p, drivers: make(map[string]*Driver), devices: make(map[string]*Device)}
	v.kernel()
	v.firmware()
	v.tpm()
	v.driversAndDevices()
	v.circles()
	v.helpers()
	v.initcalls()
	return v.err
}

type validator struct {
	p       *Platform
	drivers map[string]*Driver
	devices map[string]*Device
	fs      map[string]bool
	tools   map[string]bool // the helpers
	digests map[string]string
	err     error
}

func (v *validator) fail(item, format string, args ...any) {
	if v.err == nil {
		v.err = &PlatformError{File: v.p.source, Line: v.p.lines[item], Item: item, Reason: fmt.Sprintf(format, args...)}
	}
}

// word refuses what cannot stand in a platform file as one word of a list.
func (v *validator) word(item, word string) {
	if word == "" || word[0] == '#' || strings.ContainsAny(word, " \t\",=") || !printable(word) {
		v.fail(item, "%q is no name: names are words without blanks, commas, quotation marks and =", clip.String(word))
	}
}

// text refuses what cannot stand in a platform file in quotation marks.
func (v *validator) text(item, text string) {
	if strings.Contains(text, `"`) || !printable(text) {
		v.fail(item, "%q has quotation marks or characters that are no text", clip.String(text))
	}
}

func printable(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f || c == 0xfffd })
}

func (v *validator) duration(item, what string, d time.Duration) {
	if d < 0 || d > MaxBoot {
		v.fail(item, "%s is %v, which is not from 0 to %v", what, d, MaxBoot)
	}
}

func (v *validator) errno(item string, n int) {
	if n < 0 || n > 4095 {
		v.fail(item, "fail is %d, which is no errno from 1 to 4095", n)
	}
}

func (v *validator) kernel() {
	p, k := v.p, &v.p.Kernel
	if p.Name == "" {
		v.fail("platform", "it has no name: a file begins with a line such as: platform my-board")
	}
	v.word("platform", p.Name)
	v.text("platform", p.Title)
	for _, text := range []string{k.Profile, k.Release, k.Template, k.CommandLine, k.SecureBoot} {
		v.text("kernel", text)
	}
	profile, err := measure.KernelByRelease(k.Profile)
	if err == nil {
		_, err = measure.New(k.config(profile))
	}
	if err != nil && v.err == nil {
		v.err = &PlatformError{File: p.source, Line: p.lines["kernel"], Item: "kernel", Err: err}
	}
	if k.HMAC && err == nil && !profile.NullPrimary {
		v.fail("kernel", "hmac is CONFIG_TCG_TPM2_HMAC, which Linux %s does not have; it came with 6.10", clip.String(k.Profile))
	}
	if k.Jitter < 0 || k.Jitter > 100 {
		v.fail("kernel", "jitter is %d percent, which is not from 0 to 100", k.Jitter)
	}
	v.duration("kernel", "start", k.Start)
	v.duration("kernel", "access", k.Access)
	if d := p.Aggregate; d.Algo != 0 || d.Sum != nil {
		if !d.Algo.Available() || len(d.Sum) != d.Algo.Size() {
			v.fail("aggregate", "it is no digest of a hash that a bank can have")
		}
	}
}

// config is the part of IMA's configuration that the build decides.
func (k *KernelBuild) config(profile measure.Kernel) measure.Config {
	return measure.Config{
		Kernel: profile, Template: k.Template, DefaultHash: k.Hash, Unavailable: k.Unavailable,
		SecureBoot: k.SecureBoot, Release: k.UTSRelease(), CommandLine: k.CommandLine,
	}
}

func (v *validator) firmware() {
	f := &v.p.Firmware
	v.duration("firmware", "took", f.Took)
	v.duration("firmware", "timeout", f.Timeout)
	if len(f.Measure) > 0 && !f.Startup {
		v.fail("firmware", "it measures, so it must send TPM2_Startup first: add startup=yes")
	}
	if len(f.Measure) > 1000 {
		v.fail("firmware", "it measures %d events, more than 1000", len(f.Measure))
	}
	for _, pcr := range f.Measure {
		if pcr < 0 || pcr > maxFirmwarePCR {
			v.fail("firmware", "it cannot measure into PCR %d, but into 0 to %d", pcr, maxFirmwarePCR)
		}
	}
}

func (v *validator) tpm() {
	tpm := &v.p.TPM
	if tpm.ResetAt > initcall.Userspace {
		v.fail("tpm", "there is no level %s at which it could be reset", tpm.ResetAt)
	}
}

func (v *validator) driversAndDevices() {
	p := v.p
	for i := range p.Drivers {
		d := &p.Drivers[i]
		item := "driver " + d.Name
		v.word(item, d.Name)
		if v.drivers[d.Name] != nil {
			v.fail(item, "there is another driver of this name")
		}
		v.drivers[d.Name] = d
		if int(d.Kind) >= len(driverKindNames) {
			v.fail(item, "there is no such kind of driver")
		}
		v.duration(item, "took", d.Took)
		v.duration(item, "rest", d.Rest)
		v.duration(item, "latency", d.Latency)
		v.duration(item, "selftest", d.SelfTest)
		v.duration(item, "slow", d.Slow)
		v.errno(item, d.Fail)
		if d.After < -4095 || d.After > 0xfff {
			v.fail(item, "after is %d, which is neither a TPM response code nor a negative errno", d.After)
		}
	}
	tpm := ""
	for i := range p.Devices {
		d := &p.Devices[i]
		item := "device " + d.Name
		v.word(item, d.Name)
		if d.Bus != "" {
			v.word(item, d.Bus)
		}
		if v.devices[d.Name] != nil {
			v.fail(item, "there is another device of this name")
		}
		v.devices[d.Name] = d
		driver := v.drivers[d.Driver]
		if d.Driver != "" && driver == nil {
			v.fail(item, "there is no driver %q", d.Driver)
		}
		v.duration(item, "appears", d.Appears)
		v.duration(item, "bind", d.Bind)
		if d.Appears > 0 && d.Parent != "" {
			v.fail(item, "it appears when %s adds it, so appears has no meaning", d.Parent)
		}
		if driver != nil && driver.Kind.tpm() {
			if tpm != "" {
				v.fail(item, "%s is a TPM already: a simulated machine has one", tpm)
			}
			tpm = d.Name
		}
	}
	for i := range p.Devices {
		d := &p.Devices[i]
		for _, other := range slices.Concat(d.Suppliers, d.Needs, d.Domains, d.parents()) {
			if v.devices[other] == nil {
				v.fail("device "+d.Name, "there is no device %q", other)
			}
		}
	}
}

func (d *Device) parents() []string {
	if d.Parent == "" {
		return nil
	}
	return []string{d.Parent}
}

// circles refuses devices that wait for themselves.
func (v *validator) circles() {
	if v.err != nil {
		return
	}
	const visiting, done = 1, 2
	state := make(map[string]int)
	var visit func(name string) (circle []string)
	visit = func(name string) []string {
		switch state[name] {
		case visiting:
			return []string{name}
		case done:
			return nil
		}
		state[name] = visiting
		d := v.devices[name]
		for _, other := range slices.Concat(d.parents(), d.Suppliers, d.Needs, d.Domains) {
			if circle := visit(other); circle != nil {
				return append(circle, name)
			}
		}
		state[name] = done
		return nil
	}
	for i := range v.p.Devices {
		name := v.p.Devices[i].Name
		if circle := visit(name); circle != nil {
			slices.Reverse(circle)
			start := slices.Index(circle, circle[len(circle)-1])
			v.fail("device "+circle[start], "it waits for itself: %s", strings.Join(circle[start:], " needs "))
			return
		}
	}
}

func (v *validator) helpers() {
	p := v.p
	v.fs = map[string]bool{RootFS: true}
	for i, fs := range p.FileSystems {
		item := "fs " + fs.Name
		v.word(item, fs.Name)
		v.text(item, fs.Type)
		if v.fs[fs.Name] && fs.Name != RootFS || slices.ContainsFunc(p.FileSystems[:i], func(o FileSystem) bool { return o.Name == fs.Name }) {
			v.fail(item, "there is another file system of this name")
		}
		v.fs[fs.Name] = true
	}
	v.tools, v.digests = make(map[string]bool), make(map[string]string)
	for i := range p.Helpers {
		h := &p.Helpers[i]
		item := "helper " + h.Name
		v.word(item, h.Name)
		if v.tools[h.Name] {
			v.fail(item, "there is another helper of this name")
		}
		v.tools[h.Name] = true
		v.duration(item, "took", h.Took)
		v.accesses(item, h.Accesses)
	}
	v.duration("userspace", "took", p.Userspace.Took)
	v.accesses("userspace", p.Userspace.Accesses)
}

func (v *validator) accesses(owner string, list []Access) {
	for i := range list {
		a := &list[i]
		item := "access " + a.Path
		switch {
		case int(a.Kind) >= len(accessNames):
			v.fail(owner, "access %d is of no kind", i+1)
		case a.Kind == Wait:
			v.duration(owner, "wait", a.For)
			continue
		case a.Path == "" || a.Path[0] != '/':
			v.fail(item, "a path is absolute")
		case a.FS != "" && !v.fs[a.FS]:
			v.fail(item, "there is no file system %q: declare it with an fs line", a.FS)
		case a.Kind == Load && (v.drivers[a.Driver] == nil || !v.drivers[a.Driver].Module):
			v.fail(item, "load needs driver= with a driver that has module=yes, not %q", a.Driver)
		}
		v.text(item, a.Path)
		if d := a.Digest; d.Algo != 0 || d.Sum != nil {
			if len(d.Sum) == 0 || len(d.Sum) != d.Algo.Size() {
				v.fail(item, "its digest has not the size of its hash")
			}
			if a.Kind == Load {
				v.fail(item, "the kernel hashes a module's bytes, which a digest alone does not give")
			}
			text := d.Algo.String() + ":" + d.Sum.String()
			if before := v.digests[a.Path]; before != "" && before != text {
				v.fail(item, "it has another digest than before; all accesses to a path mean the same file")
			}
			v.digests[a.Path] = text
		}
	}
}

func (v *validator) initcalls() {
	p := v.p
	seen := make(map[string]bool)
	registered := make(map[string]string)
	actions := make(map[Action]string)
	for i := range p.Initcalls {
		c := &p.Initcalls[i]
		item := "initcall " + c.Name
		v.word(item, c.Name)
		if seen[c.Name] {
			v.fail(item, "there is another initcall of this name")
		}
		seen[c.Name] = true
		if c.Level < initcall.Early || c.Level > initcall.LateSync {
			v.fail(item, "initcalls are called from %s to %s, not at %s", initcall.Early, initcall.LateSync, c.Level)
		}
		v.duration(item, "before", c.Before)
		v.duration(item, "took", c.Took)
		v.duration(item, "initramfs", c.Unpack)
		v.duration(item, "async", c.Async)
		v.errno(item, c.Fail)
		for _, name := range c.Register {
			d := v.drivers[name]
			switch {
			case d == nil:
				v.fail(item, "there is no driver %q", name)
			case d.Module:
				v.fail(item, "driver %s is a module: userspace loads it", name)
			case registered[name] != "":
				v.fail(item, "driver %s is registered by %s already", name, registered[name])
			}
			registered[name] = c.Name
		}
		for _, name := range c.Helpers {
			if !v.tools[name] {
				v.fail(item, "there is no helper %q", name)
			}
		}
		if c.Action != NoAction {
			v.action(item, c, actions)
		}
	}
	for _, need := range []Action{StartIMA, DeferredProbe} {
		if actions[need] == "" {
			v.fail("platform", "no initcall does %s: %s", need, missing[need])
		}
	}
}

var missing = map[Action]string{
	StartIMA:      "IMA would never start. Add: initcall late init_ima ima",
	DeferredProbe: "no deferred device would ever bind. Add: initcall late deferred_probe_initcall deferred-probe",
}

// actionLevels are the levels of the actions that have one.
var actionLevels = map[Action]initcall.Level{
	StartIMA: initcall.Late, StartIMALate: initcall.LateSync, DeferredProbe: initcall.Late,
}

func (v *validator) action(item string, c *Initcall, actions map[Action]string) {
	if int(c.Action) >= len(actionNames) {
		v.fail(item, "there is no such action")
		return
	}
	if actions[c.Action] != "" {
		v.fail(item, "%s is %s already", actions[c.Action], c.Action)
	}
	if level, ok := actionLevels[c.Action]; ok && c.Level != level {
		v.fail(item, "%s is done at %s, not at %s", c.Action, level, c.Level)
	}
	actions[c.Action] = c.Name
}
