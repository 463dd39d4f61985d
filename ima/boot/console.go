package boot

import (
	"fmt"
	"io"
	"slices"
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

// console has what a log shows of one boot.
type console struct {
	lines  *consoleLines
	kernel KernelBuild
	calls  []loggedCall
	probes []loggedProbe
	// levels has when a level was reached, for those that the log shows.
	levels map[initcall.Level]time.Duration
	ima    loggedIMA
	tpm    loggedTPM

	start, end  time.Duration // of the first initcall, and the last line
	unpackFrom  time.Duration
	unpacked    time.Duration // the initramfs
	init        string        // empty if it was not executed
	initAt      time.Duration
	mountedRoot bool
	panicked    bool
	// lost counts initcalls of which one line is missing, holes the places
	// where more than one is.
	lost  int
	holes []int

	tpmCalls []int     // the initcalls that register TPM drivers
	told     *tpmStory // what story returns, once it is known
	isTold   bool
}

// loggedCall is an initcall.
type loggedCall struct {
	name  string // unique
	level initcall.Level
	at    time.Duration
	took  time.Duration
	code  int
	line  int
	ended bool
}

// loggedProbe is the end of a probe. The code is as the kernel prints it:
// positive from a driver, negative from the driver core.
type loggedProbe struct {
	device string
	driver string // the TPM driver, if the log names it
	by     string // the driver of any device, since Linux 7.3
	code   int
	began  time.Duration
	at     time.Duration
	level  initcall.Level
	call   int // the initcall that was called, -1 for none
	line   int
}

// loggedIMA has what IMA has printed, and in which initcalls.
type loggedIMA struct {
	late, lateSync int // indexes of the initcalls that may start it, -1
	started        int // the one in which it has, -1
	lines          []string
}

// bypass reports whether IMA has printed that it found no TPM.
func (l *loggedIMA) bypass() bool {
	return slices.ContainsFunc(l.lines, func(text string) bool { return strings.HasPrefix(text, imaBypass) })
}

// loggedTPM has what the TPM core and its drivers have printed.
type loggedTPM struct {
	banners      []tpmBanner
	fieldFailure bool
	selfStarted  bool // the kernel had to send TPM2_Startup
	supplier     string
	module       bool // its driver is one
	table        bool // the firmware has a table TPM2
	lines        []tpmLine
}

// tpmBanner is a line with which a driver says that it is at a device.
type tpmBanner struct {
	driver, device string
	at             time.Duration
	line           int
	level          initcall.Level
	call           int // the initcall that was called, -1 for none
}

// tpmLine is a line about the TPM's commands.
type tpmLine struct {
	at   time.Duration
	text string
}

// consoleReader takes the lines of a log.
type consoleReader struct {
	*console
	clock initcall.Clock
	names map[string]int
	open  *loggedCall // called, and not returned
	// damaged reports that a line was damaged since the last line about an
	// initcall.
	damaged bool
	// failed are probes of which the driver core has said the error.
	failed map[string]loggedProbe
}

// readConsole reads what a log tells.
func readConsole(log io.Reader) (*console, error) {
	lines, err := readConsoleLines(log)
	if err != nil {
		return nil, err
	}
	c := &consoleReader{
		console: &console{lines: lines, levels: make(map[initcall.Level]time.Duration), end: lines.end, ima: loggedIMA{late: -1, lateSync: -1, started: -1}},
		names:   make(map[string]int), failed: make(map[string]loggedProbe),
	}
	levels, err := initcall.NewConsole(&c.clock)
	if err != nil {
		return nil, &ConsoleError{Reason: "no parser", Err: err}
	}
	levels.Trusting = true // the log may have holes
	var now time.Duration
	defer c.clock.Subscribe(func(e initcall.Event) { c.levels[e.Level] = now })()
	for i := range lines.boot {
		line := &lines.boot[i]
		now = line.at
		_, _ = levels.Write([]byte(line.text + "\n")) // it never fails
		c.take(line)
		if len(c.calls) > maxConsoleCalls {
			return nil, &ConsoleError{Line: line.number, Reason: fmt.Sprintf("it has more than %d initcalls", maxConsoleCalls)}
		}
	}
	c.openEnds(c.lastAt(), 0)
	for i := range lines.after {
		c.takeTPM(&lines.after[i], initcall.Userspace)
	}
	for _, p := range c.failed {
		c.probes = append(c.probes, p)
	}
	slices.SortStableFunc(c.probes, func(a, b loggedProbe) int { return int(a.at - b.at) })
	if len(c.calls) == 0 {
		return nil, &ConsoleError{Reason: `it has no initcalls: boot with "initcall_debug ignore_loglevel"`}
	}
	return c.console, nil
}

func (c *console) lastAt() time.Duration {
	if n := len(c.lines.boot); n > 0 {
		return c.lines.boot[n-1].at
	}
	return 0
}

// take takes a line up to the execution of init.
func (c *consoleReader) take(line *consoleLine) {
	text := line.text
	c.damaged = c.damaged || line.unstamped
	c.takeTPM(line, c.level())
	switch {
	case strings.HasPrefix(text, "calling  "):
		c.called(line, text[len("calling  "):])
		return
	case strings.HasPrefix(text, "initcall ") && strings.Contains(text, " returned "):
		c.returned(line, text[len("initcall "):])
		return
	}
	c.takeKernel(text)
	c.takeIMA(text)
	switch {
	case strings.HasPrefix(text, "Freeing initrd memory"):
		c.unpacked = line.at
	case strings.HasPrefix(text, "VFS: Mounted root"):
		c.mountedRoot = true
	case strings.HasPrefix(text, "Kernel panic"):
		c.panicked = true
	case startsInit(text):
		c.init, _, _ = strings.Cut(text[len("Run "):], " as init process")
		c.initAt = line.at
	}
}

// takeKernel reads the lines in which the kernel names itself.
func (c *consoleReader) takeKernel(text string) {
	k := &c.kernel
	if v, ok := strings.CutPrefix(text, "Linux version "); ok && k.Release == "" {
		k.Release, _, _ = strings.Cut(sanitize(v), " ")
	}
	if v, ok := strings.CutPrefix(text, "Kernel command line: "); ok {
		k.CommandLine = strings.TrimSpace(sanitize(v))
	}
	// The first line with it is cut by some architectures.
	if v, ok := strings.CutPrefix(text, "Command line: "); ok && k.CommandLine == "" {
		k.CommandLine = strings.TrimSpace(sanitize(v))
	}
	if v, ok := strings.CutPrefix(text, "ima: Allocated hash algorithm: "); ok {
		k.Hash, _ = ima.ParseHashAlgo(v)
	}
	if v, ok := strings.CutPrefix(text, "ima: Can not allocate "); ok {
		name, _, _ := strings.Cut(v, " ")
		if h, err := ima.ParseHashAlgo(name); err == nil && len(k.Unavailable) < 16 && !slices.Contains(k.Unavailable, h) {
			k.Unavailable = append(k.Unavailable, h)
		}
	}
	if v, ok := strings.CutPrefix(text, "ima: secureboot mode "); ok {
		k.SecureBoot = sanitize(v)
	}
	c.tpm.table = c.tpm.table || strings.HasPrefix(text, "ACPI: TPM2 ")
}

// takeIMA takes what IMA prints, and the initcall that it prints it in.
func (c *consoleReader) takeIMA(text string) {
	if !strings.HasPrefix(text, "ima: ") || len(c.ima.lines) >= 100 {
		return
	}
	c.ima.lines = append(c.ima.lines, text)
	if c.ima.started < 0 && c.open != nil && c.open.level >= initcall.Late && !strings.Contains(text, "will try later") {
		c.ima.started = len(c.calls)
	}
}

// level is that of initcalls that are called now.
func (c *consoleReader) level() initcall.Level {
	return min(c.clock.Level(), initcall.Userspace)
}

// function takes a symbol for "name+0x0/0x10 …", nothing for a module's.
func function(text string) string {
	symbol, rest, _ := strings.Cut(text, " ")
	if strings.HasPrefix(rest, "[") {
		return ""
	}
	name, _, _ := strings.Cut(symbol, "+0x")
	return initcall.FunctionOf(name)
}

func (c *consoleReader) called(line *consoleLine, text string) {
	name := function(text)
	if name == "" || !strings.HasSuffix(strings.TrimRight(text, " "), " @ 1") {
		return // a module, by another process, or the console's, before there is one
	}
	if c.open != nil {
		c.openEnds(line.at, 1)
	}
	c.open = &loggedCall{name: name, at: line.at, line: line.number, level: min(max(c.level(), initcall.Early), initcall.LateSync)}
	c.damaged = false
	if c.start == 0 {
		c.start = line.at
	}
	switch {
	case name == "populate_rootfs":
		c.unpackFrom = line.at
	case startsIMA(name) && c.open.level == initcall.Late && c.ima.late < 0:
		c.ima.late = len(c.calls)
	case startsIMA(name) && c.open.level == initcall.LateSync && c.ima.lateSync < 0:
		c.ima.lateSync = len(c.calls)
	}
}

// startsIMA reports whether init_ima has this name: since Linux 6.19 it is called
// by that of all security modules.
func startsIMA(name string) bool {
	return name == "init_ima" || strings.HasPrefix(name, "init_ima_") || strings.HasPrefix(name, "security_initcall_late")
}

func (c *consoleReader) returned(line *consoleLine, text string) {
	name := function(text)
	if name == "" || c.clock.Level() < initcall.Early {
		return
	}
	code, took, ok := returnedAfter(text)
	switch {
	case c.open == nil:
		c.hole(line.number, 1)
		c.open = &loggedCall{name: name, at: max(line.at-took, c.lastReturn()), line: line.number, level: min(max(c.level(), initcall.Early), initcall.LateSync)}
	case c.open.name != name && doubled(c.open.name, name):
		c.lines.damaged++
		c.open.name = shorter(c.open.name, name)
	case c.open.name != name:
		c.openEnds(line.at-took, 2)
		c.open = &loggedCall{name: name, at: max(line.at-took, c.lastReturn()), line: line.number, level: min(max(c.level(), initcall.Early), initcall.LateSync)}
	}
	c.open.code, c.open.ended = code, true
	// What passed between the stamps may be more, if the kernel printed; where
	// its clock stands still it is less.
	if c.open.took = took; !ok {
		c.open.took = max(line.at-c.open.at, 0)
	}
	c.close()
}

func (c *consoleReader) lastReturn() time.Duration {
	if len(c.calls) == 0 {
		return 0
	}
	last := &c.calls[len(c.calls)-1]
	return last.at + last.took
}

// returnedAfter reads "… returned R after N usecs".
func returnedAfter(text string) (code int, took time.Duration, ok bool) {
	_, rest, _ := strings.Cut(text, " returned ")
	fields := strings.Fields(rest)
	if len(fields) < 4 || fields[1] != "after" || fields[3] != "usecs" {
		return 0, 0, false
	}
	code, err := strconv.Atoi(fields[0])
	usecs, err2 := strconv.ParseInt(fields[2], 10, 64)
	if err != nil || err2 != nil || code < -4095 || code > 4095 || usecs < 0 || usecs > int64(MaxBoot/time.Microsecond) {
		return 0, 0, false
	}
	return code, time.Duration(usecs) * time.Microsecond, true
}

// openEnds ends the open initcall, whose return the log does not show, at the
// latest at that time; missing is how many lines are.
func (c *consoleReader) openEnds(at time.Duration, missing int) {
	if c.open == nil {
		return
	}
	if missing > 0 {
		c.hole(c.open.line, missing)
	}
	c.open.took = max(at-c.open.at, 0)
	c.close()
}

func (c *consoleReader) close() {
	call := *c.open
	call.name = c.unique(call.name)
	if _, tpm := tpmInitcalls[call.name]; tpm {
		c.tpmCalls = append(c.tpmCalls, len(c.calls))
	}
	c.calls = append(c.calls, call)
	c.open, c.damaged = nil, false
}

// hole notes lines that are not there. A single one may be a damaged line.
func (c *consoleReader) hole(line, missing int) {
	if c.damaged || missing == 1 {
		c.lost++
		return
	}
	c.holes = append(c.holes, line)
}

// doubled reports whether one of two names is the other with bytes more, as
// damaged lines have them.
func doubled(a, b string) bool {
	if len(a) < len(b) {
		a, b = b, a
	}
	if len(a) == len(b) || len(a) > len(b)+8 {
		return false
	}
	for i := range len(a) {
		if b != "" && a[i] == b[0] {
			b = b[1:]
		}
	}
	return b == ""
}

func shorter(a, b string) string {
	if len(a) < len(b) {
		return a
	}
	return b
}

// unique tells functions of one name apart; static ones may share it. What is no
// word becomes one.
func (c *consoleReader) unique(name string) string {
	name = consoleWord(name, "unnamed")
	for base := name; c.names[name] > 0; {
		c.names[base]++
		name = base + "." + strconv.Itoa(c.names[base])
	}
	c.names[name]++
	return name
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
