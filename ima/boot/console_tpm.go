package boot

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// tpmInitcalls are the functions that register TPM drivers.
var tpmInitcalls = map[string]struct {
	name string
	kind DriverKind
}{
	"init_tis":                {"tpm_tis", TIS},
	"tpm_tis_spi_driver_init": {"tpm_tis_spi", TISSPI},
	"tpm_tis_i2c_driver_init": {"tpm_tis_i2c", TIS},
	"crb_acpi_driver_init":    {"tpm_crb", CRB},
	"crb_driver_init":         {"tpm_crb", CRB},
	"ibmvtpm_module_init":     {"tpm_ibmvtpm", IBMVTPM},
	"ftpm_mod_init":           {"tpm_ftpm_tee", FTPMTEE},
}

// kindOfDriver finds the kind of a TPM's driver.
func kindOfDriver(driver string) DriverKind {
	for _, known := range tpmInitcalls {
		if known.name == driver {
			return known.kind
		}
	}
	return TIS
}

// takeTPM takes what a line tells of the TPM and of probes.
func (c *consoleReader) takeTPM(line *consoleLine, level initcall.Level) {
	text, t := line.text, &c.tpm
	if rest, ok := strings.CutPrefix(text, "probe of "); ok {
		c.probeReturned(line, rest, level)
		return
	}
	if rest, ok := strings.CutPrefix(text, "calling  "); ok {
		symbol, module, _ := strings.Cut(rest, " ")
		name, _, _ := strings.Cut(symbol, "+0x")
		_, tpm := tpmInitcalls[name]
		t.module = t.module || tpm && strings.HasPrefix(module, "[")
		return
	}
	c.probeFailed(line, level)
	if len(t.lines) >= 1000 {
		return
	}
	driver, device, ok := strings.Cut(textBefore(text, ": "), " ")
	switch {
	case strings.HasPrefix(text, "tpm tpm0: "):
		t.lines = append(t.lines, tpmLine{line.at, text})
		t.fieldFailure = t.fieldFailure || strings.HasPrefix(text, "tpm tpm0: TPM in field failure mode") || strings.HasPrefix(text, "tpm tpm0: TPM in field upgrade mode")
		t.selfStarted = t.selfStarted || strings.HasPrefix(text, "tpm tpm0: starting up the TPM manually")
	case !ok || driver == "" || device == "" || strings.Contains(device, " "):
	case strings.Contains(text, " TPM (device-id "), strings.HasSuffix(text, ": CRQ initialization completed"),
		strings.HasPrefix(driver, "tpm_"):
		b := tpmBanner{driver: consoleWord(driver, "tpm"), device: consoleWord(device, "tpm"), at: line.at, line: line.number, level: level, call: -1}
		if c.open != nil && level < initcall.Userspace {
			b.call = len(c.calls)
		}
		t.banners = append(t.banners, b)
		t.lines = append(t.lines, tpmLine{line.at, text})
		if _, after, ok := strings.Cut(text, "supplier "); ok && t.supplier == "" {
			t.supplier = consoleWord(textBefore(after, " "), "")
		}
	}
}

// textBefore is the part of s before sep, nothing if it has none.
func textBefore(s, sep string) string {
	before, _, ok := strings.Cut(s, sep)
	if !ok && sep != " " {
		return ""
	}
	return before
}

// probeReturned takes initcall_debug's line of drivers/base/dd.c
// (really_probe_debug): "DEVICE returned R after N usecs"; Linux 7.3 has "with driver
// DRIVER" after the device.
func (c *consoleReader) probeReturned(line *consoleLine, text string, level initcall.Level) {
	device, _, ok := strings.Cut(text, " returned ")
	device, driver, _ := strings.Cut(device, " with driver ")
	code, took, good := returnedAfter(text)
	if !ok || !good || len(c.probes) >= 4*maxConsoleCalls {
		return
	}
	p := loggedProbe{
		device: consoleWord(device, "device"), code: code, began: max(line.at-took, 0), at: line.at,
		by: driver, level: level, call: -1, line: line.number,
	}
	if kindByName(driver) {
		p.driver = consoleWord(driver, "")
	}
	if c.open != nil && level < initcall.Userspace {
		p.call = len(c.calls)
	}
	if failed, ok := c.failed[p.device]; ok && failed.code == abs(code) {
		p.driver = failed.driver
		delete(c.failed, p.device)
	}
	c.probes = append(c.probes, p)
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}

// probeFailed takes the driver core's line of a probe that failed:
// "DRIVER: probe of DEVICE failed with error -N", since Linux 6.11 "DRIVER
// DEVICE: probe with driver DRIVER failed with error -N".
func (c *consoleReader) probeFailed(line *consoleLine, level initcall.Level) {
	head, number, ok := strings.Cut(line.text, " failed with error -")
	if !ok || len(c.failed) >= 1000 {
		return
	}
	n, err := strconv.Atoi(number)
	who, what, ok := strings.Cut(head, ": ")
	if err != nil || !ok || n < 1 || n > 4095 {
		return
	}
	p := loggedProbe{code: n, began: line.at, at: line.at, level: level, call: -1, line: line.number}
	if device, ok := strings.CutPrefix(what, "probe of "); ok {
		p.driver, p.device = who, device
	} else if driver, ok := strings.CutPrefix(what, "probe with driver "); ok {
		p.driver = driver
		_, p.device, _ = strings.Cut(who, " ")
	}
	p.driver, p.device = consoleWord(p.driver, "driver"), consoleWord(p.device, "")
	if p.device == "" {
		return
	}
	if c.open != nil && level < initcall.Userspace {
		p.call = len(c.calls)
	}
	c.failed[p.device] = p
}

// consoleWord makes a name of what a log has.
func consoleWord(s, empty string) string {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(" \t,=#", r) || !unicode.IsPrint(r) {
			return '_'
		}
		return r
	}, sanitize(s))
	if s == "" {
		return empty
	}
	return s
}

// tpmStory is the story of the machine's TPM.
type tpmStory struct {
	driver, device string
	kind           DriverKind
	call           int // the initcall that registers the driver, -1 if the log has none
	// probes are those of the driver, in their order.
	probes []loggedProbe
	// refused are those of drivers for which the device is none of theirs.
	refused []loggedProbe
	after   int           // the result of commands after the probe, 0 for what the TPM answers
	slow    time.Duration // how long they took, 0 for no longer than others
	// assumed reports that the log shows no end of a probe.
	assumed bool
}

// story finds the TPM in what the log has, nil if it has none.
func (c *console) story() *tpmStory {
	if !c.isTold {
		c.told, c.isTold = c.findTPM(), true
	}
	return c.told
}

func (c *console) findTPM() *tpmStory {
	devices := c.tpmDevices()
	if len(devices) == 0 {
		return nil
	}
	s := &tpmStory{call: -1}
	var all []loggedProbe
	for _, p := range c.probes {
		if slices.Contains(devices, p.device) {
			if p.driver == "" {
				p.driver = c.driverOf(&p)
			}
			all = append(all, p)
		}
	}
	s.driver, s.device = c.chooseDriver(all, devices)
	s.kind = kindOfDriver(s.driver)
	for _, p := range all {
		switch {
		case p.device != s.device:
		case p.driver != "" && p.driver != s.driver && p.code != 0:
			s.refused = append(s.refused, p)
		default:
			s.probes = append(s.probes, p)
		}
	}
	for _, i := range c.tpmCalls {
		if tpmInitcalls[c.calls[i].name].name == s.driver {
			s.call = i
			break
		}
	}
	if len(s.probes) == 0 {
		s.probes, s.assumed = c.assumeProbe(s), true
	}
	s.after, s.slow = c.afterProbe(s)
	return s
}

// assumeProbe is the probe of a TPM that IMA has found, of which the log shows no
// more than the driver's line.
func (c *console) assumeProbe(s *tpmStory) []loggedProbe {
	i := c.ima.started
	if i < 0 || c.ima.bypass() {
		return nil
	}
	for _, b := range c.tpm.banners {
		if b.device == s.device && b.at < c.calls[i].at {
			return []loggedProbe{{device: s.device, driver: s.driver, began: b.at, at: b.at, level: b.level, call: b.call, line: b.line}}
		}
	}
	return nil
}

// imaBypass begins the line of an IMA that has found no TPM, imaNoAnswer the one
// of an IMA whose command to the TPM has failed.
const (
	imaBypass   = "ima: No TPM chip found"
	imaNoAnswer = "ima: Error Communicating to TPM chip"
)

// maxTPMDevices bounds the devices that are taken for TPMs.
const maxTPMDevices = 16

// tpmDevices are the devices that TPM drivers have looked at.
func (c *console) tpmDevices() (devices []string) {
	add := func(name string) {
		if !slices.Contains(devices, name) {
			devices = append(devices, name)
		}
	}
	for _, b := range c.tpm.banners {
		if len(devices) < maxTPMDevices {
			add(b.device)
		}
	}
	if len(devices) > 0 {
		return devices
	}
	for i := range c.probes {
		if len(devices) == maxTPMDevices {
			break
		}
		if p := &c.probes[i]; c.driverOf(p) != "" || kindByName(p.driver) || strings.HasPrefix(p.device, "MSFT0101") {
			add(p.device)
		}
	}
	return devices
}

func kindByName(driver string) bool { return strings.HasPrefix(driver, "tpm_") }

// driverOf is the TPM driver that has spoken in a probe, or in whose initcall it
// began, synchronous or not; empty if it was another one, or none.
func (c *console) driverOf(p *loggedProbe) string {
	for _, b := range c.tpm.banners {
		if b.device == p.device && b.at >= p.began && b.at <= p.at && strings.HasPrefix(b.driver, "tpm_") {
			return b.driver
		}
	}
	for _, i := range c.tpmCalls {
		if call := &c.calls[i]; p.began >= call.at && p.began <= call.at+call.took && !c.endedInNext(p, i) {
			return tpmInitcalls[call.name].name
		}
	}
	if !c.nearCall(p) {
		return ""
	}
	return tpmInitcalls[c.calls[p.call].name].name
}

// nearCall reports whether a probe began in the initcall in which it ended, or seems to
// have begun a little earlier: the clock that times probes may run apart from that of the
// lines.
func (c *console) nearCall(p *loggedProbe) bool {
	const slack = 5 * time.Millisecond
	return p.call >= 0 && p.call < len(c.calls) && p.began+slack >= c.calls[p.call].at
}

// endedInNext reports whether a probe that seems to have begun in initcall i is that of a
// TPM driver that was registered just after: it ended in that one's initcall, and what
// initcall i registers is probed before it returns.
func (c *console) endedInNext(p *loggedProbe, i int) bool {
	if !c.nearCall(p) || tpmInitcalls[c.calls[p.call].name].name == "" {
		return false
	}
	return !c.probesAsync(i)
}

// probesAsync reports whether initcall i registers a TPM driver that probes
// asynchronously.
func (c *console) probesAsync(i int) bool {
	args, known := parseArgs(&c.kernel), tpmInitcalls[c.calls[i].name]
	return args.probesAsync(&Driver{Name: known.name, Async: known.kind.asynchronous()})
}

// chooseDriver finds the driver that the TPM is for: the one that was bound,
// else the one that has talked to it, else the last one to refuse.
func (c *console) chooseDriver(all []loggedProbe, devices []string) (driver, device string) {
	device = devices[0]
	banner := func(at time.Duration) (tpmBanner, bool) {
		for i := len(c.tpm.banners) - 1; i >= 0; i-- {
			if b := c.tpm.banners[i]; b.at <= at && strings.HasPrefix(b.driver, "tpm_") {
				return b, true
			}
		}
		return tpmBanner{}, false
	}
	for _, p := range all {
		if p.code != 0 {
			continue
		}
		if b, ok := banner(p.at); ok && b.device == p.device {
			return b.driver, p.device
		}
		if p.driver != "" {
			return p.driver, p.device
		}
		device = p.device
	}
	if b, ok := banner(maxUptime); ok {
		return b.driver, b.device
	}
	// A refusal for want of a TPM of its kind is quick and says nothing.
	best := time.Duration(-1)
	for _, p := range all {
		score := p.at - p.began
		if p.code != enodev {
			score += time.Hour
		}
		if slices.ContainsFunc(c.tpm.lines, func(l tpmLine) bool { return l.at >= p.began && l.at <= p.at }) {
			score += 2 * time.Hour
		}
		if score > best && p.driver != "" {
			best, driver, device = score, p.driver, p.device
		}
	}
	if driver == "" {
		driver = c.asyncDriver()
	}
	return driver, device
}

// asyncDriver is the TPM driver that the command line has probe asynchronously.
func (c *console) asyncDriver() string {
	driver := "tpm_tis"
	for j, i := range c.tpmCalls {
		name := tpmInitcalls[c.calls[i].name].name
		if c.probesAsync(i) {
			return name
		}
		if j == 0 {
			driver = name
		}
	}
	return driver
}

// afterProbe finds what became of commands after the probe: IMA says that it could
// not talk to its TPM, and the TPM core why. A TPM that failed only some of them in
// time was slow.
func (c *console) afterProbe(s *tpmStory) (code int, slow time.Duration) {
	failed := 0
	for _, line := range c.ima.lines {
		rest, ok := strings.CutPrefix(line, imaNoAnswer)
		if !ok {
			continue
		}
		failed++
		if n, err := strconv.Atoi(strings.TrimSpace(strings.TrimPrefix(rest, ", result: "))); err == nil && n != 0 && n >= -4095 && n <= 0xfff {
			code = n
		}
	}
	for _, line := range c.tpm.lines {
		if _, rest, ok := strings.Cut(line.text, "A TPM error ("); ok && failed > 0 && code == 0 && line.at >= s.boundAt() {
			number, _, _ := strings.Cut(rest, ")")
			if n, err := strconv.Atoi(number); err == nil && n > 0 && n <= 0xfff {
				code = n
			}
		}
	}
	if failed > 0 && code == 0 {
		code = -etime
	}
	if i := c.ima.started; code == -etime && failed == 1 && i >= 0 {
		// PCRs were read, which may take two minutes each, and one was not
		// extended, which may take 0.75 s.
		reads := time.Duration(10)
		return 0, max((c.calls[i].took-durationMedium)/(reads+1), durationMedium+time.Millisecond)
	}
	return code, 0
}

// boundAt is when the TPM was bound, -1 for never.
func (s *tpmStory) boundAt() time.Duration {
	for _, p := range s.probes {
		if p.code == 0 {
			return p.at
		}
	}
	return -1
}

// deferred reports whether a probe ended with -EPROBE_DEFER.
func (p *loggedProbe) deferred() bool { return abs(p.code) == eprobeDefer }
