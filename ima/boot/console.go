package boot

import (
	"bufio"
	"errors"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
)

// maxConsoleCalls bounds the initcalls that are taken from a console log.
const maxConsoleCalls = 10_000

// ConsoleError says why a console log makes no platform.
type ConsoleError struct {
	// Line is the log's line, from 1; 0 if it is the log as a whole.
	Line   int
	Reason string
	Err    error
}

func (e *ConsoleError) Error() string {
	text := "console log"
	if e.Line > 0 {
		text += ", line " + strconv.Itoa(e.Line)
	}
	text += ": " + e.Reason
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

func (e *ConsoleError) Unwrap() error { return e.Err }

// FromConsole makes a platform from the console log of a machine that was booted
// with initcall_debug ignore_loglevel, and if list is not nil from its ASCII
// measurement list too. From the log come the initcalls with their levels and
// times, the kernel's release and command line, what IMA says of its hashes, and
// the TPM: its driver, when it was bound, and whether it was deferred or probed
// asynchronously. From the list come the files with their digests and the boot
// aggregate; what stands between boot_aggregate and boot_aggregate_late was used
// by helpers in the gap, the rest by userspace.
//
// What a log does not tell is assumed, and stands in the platform to be
// corrected: that the kernel has modules, that a TPM which the kernel had not to
// start was measured into by firmware, that a deferred TPM waited for a supplier
// whose driver came after its own. Levels are as exact as the log: kernels that
// do not print them have functions known to begin one (package initcall).
// Probes other than the TPM's are part of their initcalls.
//
// The error is a *ConsoleError, or the *PlatformError of what came out.
func FromConsole(log, list io.Reader) (*Platform, error) {
	c := &consoleReader{platform: &Platform{Name: "from-console", source: "console log", lines: make(map[string]int)}, names: make(map[string]int)}
	c.platform.setDefaults()
	c.platform.Kernel.Jitter = 2
	if err := c.read(log); err != nil {
		return nil, err
	}
	if len(c.platform.Initcalls) == 0 {
		return nil, &ConsoleError{Reason: `it has no initcalls: boot with "initcall_debug ignore_loglevel"`}
	}
	c.finish()
	if list != nil {
		if err := c.list(list); err != nil {
			return nil, err
		}
	}
	if err := c.platform.Validate(); err != nil {
		return nil, err
	}
	return c.platform, nil
}

// consoleReader collects what a log tells.
type consoleReader struct {
	platform *Platform
	clock    initcall.Clock
	line     int
	names    map[string]int // of initcalls, to tell apart those of one name

	open       string // the initcall that has been called
	openAt     time.Duration
	openLevel  initcall.Level
	firstCall  time.Duration
	unpackFrom time.Duration
	unpacked   time.Duration
	runInit    time.Duration
	lastReturn time.Duration
	bypass     bool // IMA found no chip

	tpm consoleTPM
}

// consoleTPM is what a log tells of the TPM.
type consoleTPM struct {
	device, driver string
	kind           DriverKind
	call           int // index of the initcall that registers the driver, -1 if unknown
	registered     time.Duration
	before         time.Duration // between the initcall and the one before
	banner         time.Duration // when its line came, 0 for never
	bound          time.Duration
	bannerLevel    initcall.Level
	deferred       bool
	selfStarted    bool // the kernel had to send TPM2_Startup
}

func (c *consoleReader) read(log io.Reader) error {
	console, err := initcall.NewConsole(&c.clock)
	if err != nil {
		return &ConsoleError{Reason: "no parser", Err: err}
	}
	c.tpm.call = -1
	lines := bufio.NewReaderSize(log, 16<<10)
	for {
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 {
			c.line++
			_, _ = console.Write(line) // it never fails
			c.take(strings.TrimRight(string(line), "\r\n"))
		}
		// Of a line that is too long for the buffer the rest is taken for
		// another one.
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return &ConsoleError{Line: c.line, Reason: "it cannot be read", Err: err}
		}
		if c.clock.Now().Boot > 1 || len(c.platform.Initcalls) > maxConsoleCalls {
			return nil
		}
	}
}

// stamp splits the time stamp from a line: "[    0.034479] text", perhaps with
// the caller, "[    0.034479][    T1] text".
func stamp(line string) (at time.Duration, text string, ok bool) {
	rest, ok := strings.CutPrefix(line, "[")
	if !ok {
		return 0, "", false
	}
	number, text, ok := strings.Cut(rest, "]")
	if !ok {
		return 0, "", false
	}
	seconds, micros, ok := strings.Cut(strings.TrimSpace(number), ".")
	s, err := strconv.ParseUint(seconds, 10, 31)
	if !ok || err != nil || len(micros) != 6 || time.Duration(s)*time.Second > MaxBoot {
		return 0, "", false
	}
	us, err := strconv.ParseUint(micros, 10, 32)
	if err != nil {
		return 0, "", false
	}
	if strings.HasPrefix(text, "[") {
		_, text, _ = strings.Cut(text, "]")
	}
	return time.Duration(s)*time.Second + time.Duration(us)*time.Microsecond, strings.TrimPrefix(text, " "), true
}

// take takes a line. After init has been executed only the TPM is of interest.
func (c *consoleReader) take(line string) {
	// What a boot loader left on the screen may stand before the banner.
	if i := strings.Index(line, "[    0.000000] Linux version "); i > 0 {
		line = line[i:]
	}
	at, text, ok := stamp(line)
	if !ok {
		return
	}
	c.takeTPM(at, text)
	if c.runInit != 0 {
		return
	}
	k := &c.platform.Kernel
	if name, ok := strings.CutPrefix(text, "calling  "); ok {
		c.called(at, name)
		return
	}
	if rest, ok := strings.CutPrefix(text, "initcall "); ok {
		c.returned(at, rest)
		return
	}
	if v, ok := strings.CutPrefix(text, "Linux version "); ok && k.Release == "" {
		k.Release, _, _ = strings.Cut(v, " ")
		k.Profile = nearestProfile(k.Release)
	}
	if v, ok := strings.CutPrefix(text, "Kernel command line: "); ok {
		k.CommandLine = strings.TrimSpace(sanitize(v))
	}
	if v, ok := strings.CutPrefix(text, "ima: Allocated hash algorithm: "); ok {
		k.Hash, _ = ima.ParseHashAlgo(v)
	}
	if v, ok := strings.CutPrefix(text, "ima: Can not allocate "); ok {
		name, _, _ := strings.Cut(v, " ")
		if h, err := ima.ParseHashAlgo(name); err == nil && len(k.Unavailable) < 16 {
			k.Unavailable = append(k.Unavailable, h)
		}
	}
	if v, ok := strings.CutPrefix(text, "ima: secureboot mode "); ok {
		k.SecureBoot = sanitize(v)
	}
	switch {
	case strings.HasPrefix(text, "ima: No TPM chip found"):
		c.bypass = true
	case strings.HasPrefix(text, "Freeing initrd memory"):
		c.unpacked = at
	case strings.HasPrefix(text, "Run ") && strings.HasSuffix(text, " as init process"):
		c.runInit = at
	}
}

// sanitize drops what a platform file cannot hold. Quotation marks on a kernel's
// command line only keep blanks together.
func sanitize(s string) string {
	return strings.Map(func(c rune) rune {
		if c == '"' || c < ' ' || c == 0x7f || c == 0xfffd {
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, ""))
}

// nearestProfile returns the profile of a release. One that is older than all of
// them gets the oldest.
func nearestProfile(release string) string {
	profile, err := ima.KernelByRelease(release)
	if err != nil {
		profile = ima.Kernels()[0]
	}
	return profile.Release
}

// function takes a symbol for "name+0x0/0x10 [module] …".
func function(text string) string {
	text, _, _ = strings.Cut(text, " ")
	text, _, _ = strings.Cut(text, "+0x")
	return text
}

func (c *consoleReader) called(at time.Duration, text string) {
	if !strings.HasSuffix(text, " @ 1") {
		return // a module, by another process
	}
	c.open, c.openAt = function(text), at
	c.openLevel = min(max(c.clock.Level(), initcall.Early), initcall.LateSync)
	if c.firstCall == 0 {
		c.firstCall = at
	}
	if c.open == "populate_rootfs" {
		c.unpackFrom = at
	}
	if driver, ok := tpmInitcalls[c.open]; ok && c.tpm.call < 0 {
		c.tpm.before = max(at-c.lastReturn, 0)
		c.tpm.driver, c.tpm.kind = driver.name, driver.kind
		c.tpm.call, c.tpm.registered = len(c.platform.Initcalls), at
	}
}

// tpmInitcalls are the functions that register TPM drivers.
var tpmInitcalls = map[string]struct {
	name string
	kind DriverKind
}{
	"init_tis":                {"tpm_tis", TIS},
	"tpm_tis_spi_driver_init": {"tpm_tis_spi", TISSPI},
	"tpm_tis_i2c_driver_init": {"tpm_tis_i2c", TIS},
	"crb_acpi_driver_init":    {"tpm_crb", CRB},
	"ibmvtpm_module_init":     {"tpm_ibmvtpm", IBMVTPM},
}

func (c *consoleReader) returned(at time.Duration, rest string) {
	name := function(rest)
	if name == "" || name != c.open {
		return
	}
	// What passed since the function before, mostly printing, is counted in.
	before := c.openAt
	if c.lastReturn > 0 {
		before = c.lastReturn
	}
	call := Initcall{Level: c.openLevel, Name: c.unique(name), Took: max(at-before, 0)}
	if _, result, ok := strings.Cut(rest, " returned "); ok {
		result, _, _ = strings.Cut(result, " ")
		if n, err := strconv.Atoi(result); err == nil && n < 0 && n >= -4095 {
			call.Fail = -n
		}
	}
	c.open, c.lastReturn = "", at
	c.platform.lines["initcall "+call.Name] = c.line
	c.platform.Initcalls = append(c.platform.Initcalls, call)
}

// unique tells functions of one name apart; static ones may share it. What is no
// word becomes one.
func (c *consoleReader) unique(name string) string {
	name = strings.Map(func(r rune) rune {
		if strings.ContainsRune(",=#\"", r) {
			return '_'
		}
		return r
	}, sanitize(name))
	if name == "" {
		name = "unnamed"
	}
	for base := name; c.names[name] > 0; {
		c.names[base]++
		name = base + "." + strconv.Itoa(c.names[base])
	}
	c.names[name]++
	return name
}

// takeTPM takes what a line tells of the TPM.
func (c *consoleReader) takeTPM(at time.Duration, text string) {
	t := &c.tpm
	switch {
	case t.banner == 0 && strings.Contains(text, ": 2.0 TPM (device-id "):
		c.foundTPM(at, text)
	case t.banner == 0 && strings.HasPrefix(text, "tpm_ibmvtpm ") && strings.HasSuffix(text, ": CRQ initialization completed"):
		c.foundTPM(at, text)
	case strings.Contains(text, "A TPM error (256) occurred attempting the self test"):
		t.selfStarted = true
	}
	rest, ok := strings.CutPrefix(text, "probe of ")
	if !ok {
		return
	}
	device, result, ok := strings.Cut(rest, " returned ")
	result, _, _ = strings.Cut(result, " ")
	if !ok {
		return
	}
	inside := c.open != "" && t.call == len(c.platform.Initcalls)
	switch {
	case inside && (result == "-517" || result == "517"):
		t.device, t.deferred = device, true
	case inside && result == "0" && t.kind == CRB && t.banner == 0:
		t.device, t.banner, t.bannerLevel = device, at, c.openLevel
	case result == "0" && device == t.device && t.bound == 0:
		t.bound = at
	}
}

// foundTPM takes "driver device: …".
func (c *consoleReader) foundTPM(at time.Duration, text string) {
	t := &c.tpm
	head, _, _ := strings.Cut(text, ": ")
	driver, device, ok := strings.Cut(head, " ")
	if !ok {
		return
	}
	t.driver, t.device, t.banner, t.bannerLevel = c.word(driver), device, at, c.clock.Level()
	for _, known := range tpmInitcalls {
		if known.name == driver {
			t.kind = known.kind
		}
	}
	if t.kind == Plain {
		t.kind = TIS
	}
}
