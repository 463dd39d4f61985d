package lab

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// Names of the items of a report, as guest.sh writes them.
const (
	itemDmesg      = "dmesg"
	itemTPMClass   = "tpm-class"
	itemTPMNodes   = "tpm-nodes"
	itemTPMVersion = "tpm-version"
	itemTPMBound   = "tpm-bound"
	itemDeferred   = "deferred"
	itemPCRs       = "pcrs"
	itemASCII      = "ima-ascii"
	itemBinary     = "ima-binary"
	itemCount      = "ima-count"
	itemViolations = "ima-violations"
	itemProcesses  = "processes"
)

// lines returns the lines of an item, none if the report does not have it.
func (r Report) lines(item string) []string {
	text := strings.TrimRight(string(r.Items[item]), "\n")
	if text == "" {
		return []string{}
	}
	return strings.Split(text, "\n")
}

// number reads an item that is one decimal number.
func (r Report) number(item string) (int, error) {
	n, err := strconv.Atoi(strings.TrimSpace(string(r.Items[item])))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", item, err)
	}
	return n, nil
}

// registered reports whether the kernel had registered a TPM: the class has its name
// from then on.
func (r Report) registered() bool { return len(r.lines(itemTPMClass)) > 0 }

// probed reports whether a TPM was registered and its probe had ended, which is later.
func (r Report) probed(device Device) bool {
	for _, line := range parseLog(r.Items[itemDmesg]) {
		if p, ok := line.probe(); ok && p.of == device.kernelName() && p.code == 0 {
			return r.registered()
		}
	}
	return false
}

// driver returns the name of the driver that is bound to the TPM, or "".
func (r Report) driver() string {
	for _, line := range r.lines(itemTPMBound) {
		if driver, _, ok := strings.Cut(line, " "); ok {
			return driver
		}
	}
	return ""
}

// pcrPath is a line "/sys/class/tpm/tpm0/pcr-sha256/10:VALUE".
var pcrPath = regexp.MustCompile(`^/sys/class/tpm/tpm0/pcr-([a-z0-9_]{1,16})/([0-9]{1,2}):([0-9A-Fa-f]{2,256})$`)

// pcrs returns the PCRs as the guest's sysfs shows them.
func (r Report) pcrs() (control.PCRs, error) {
	all := control.PCRs{}
	for _, line := range r.lines(itemPCRs) {
		m := pcrPath.FindStringSubmatch(line)
		if m == nil {
			return nil, fmt.Errorf("%s: %q is no PCR", itemPCRs, line)
		}
		index, err := strconv.Atoi(m[2])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", itemPCRs, err)
		}
		if _, err := hex.DecodeString(m[3]); err != nil {
			return nil, fmt.Errorf("%s: %q: %w", itemPCRs, line, err)
		}
		if all[m[1]] == nil {
			all[m[1]] = map[int]string{}
		}
		all[m[1]][index] = strings.ToLower(m[3])
	}
	return all, nil
}

// Line is one line of the kernel's log.
type Line struct {
	At   time.Duration // printk time
	Text string        // without the time
}

var printkLine = regexp.MustCompile(`^(?:<([0-9]{1,9})>)?\[ *([0-9]{1,9})\.([0-9]{6})\] (.*)$`)

// kernelPriorities are the priorities of messages of the kernel itself: facility 0.
// Those of programs, which write to /dev/kmsg, have others (include/linux/printk.h,
// kernel/printk/printk.c: devkmsg_write).
const kernelPriorities = 8

// parseLog reads lines as dmesg prints them. It leaves out lines without a time, which
// continue a message, and messages of programs, where the lines have priorities
// (dmesg -r).
func parseLog(log []byte) []Line {
	var all []Line
	lines := bufio.NewScanner(bytes.NewReader(log))
	lines.Buffer(nil, longestItem)
	for lines.Scan() {
		m := printkLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		if priority, err := strconv.Atoi(m[1]); err == nil && priority >= kernelPriorities {
			continue
		}
		seconds, err := strconv.Atoi(m[2])
		if err != nil {
			continue
		}
		micros, err := strconv.Atoi(m[3])
		if err != nil {
			continue
		}
		all = append(all, Line{At: time.Duration(seconds)*time.Second + time.Duration(micros)*time.Microsecond, Text: m[4]})
	}
	return all
}

// find returns the first line that contains text.
func find(log []Line, text string) (Line, bool) {
	for _, line := range log {
		if strings.Contains(line.Text, text) {
			return line, true
		}
	}
	return Line{}, false
}

// Words of the kernel's log.
const (
	bypassLine = "No TPM chip found, activating TPM-bypass"     // security/integrity/ima/ima_init.c
	noBankLine = "No suitable TPM algorithm for boot aggregate" // security/integrity/ima/ima_crypto.c
	levelLine  = "initcall_level: level="                       // include/trace/events/initcall.h
	imaCall    = "calling  init_ima+"                           // init/main.c, initcall_debug
	lsmCall    = "calling  security_initcall_late"              // security/lsm_init.c, instead of init_ima since 6.19
	hashLine   = "ima: Allocated hash algorithm"                // security/integrity/ima/ima_crypto.c, after the look
	chipLine   = " TPM (device-id"                              // drivers/char/tpm/tpm_tis_core.c
)

// imaLooked returns when IMA looked for a TPM, which is when init_ima was called, and in
// which level. The level is nil in a log without the trace event. A kernel without the
// initcall init_ima calls it with those of other security modules, at late, or at
// late_sync: in the last such call before what init_ima prints.
func imaLooked(log []Line) (at time.Duration, level *initcall.Level, ok bool) {
	for _, line := range log {
		if _, name, found := strings.Cut(line.Text, levelLine); found {
			if parsed, err := initcall.ParseLevel(strings.TrimSpace(name)); err == nil {
				level = &parsed
			}
		}
		switch {
		case strings.Contains(line.Text, imaCall):
			return line.At, level, true
		case strings.Contains(line.Text, lsmCall):
			at, ok = line.At, true
		case ok && (strings.Contains(line.Text, bypassLine) || strings.Contains(line.Text, hashLine)):
			return at, level, true
		}
	}
	return at, level, ok
}

// String returns the line as dmesg prints it.
func (l Line) String() string {
	return fmt.Sprintf("[%12.6f] %s", l.At.Seconds(), l.Text)
}
