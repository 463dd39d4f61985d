package boot

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/ima/internal/clip"
)

// Limits of a console log.
const (
	maxConsole      = 64 << 20 // bytes
	maxConsoleLine  = 16 << 10 // bytes of a line; what follows is another one
	maxConsoleLines = 200_000  // kept lines of one boot
)

// consoleLine is a line that a kernel has printed.
type consoleLine struct {
	number int           // in the log, from 1
	at     time.Duration // its time stamp
	text   string        // what follows the time stamp
	// unstamped reports that the time stamp could not be read: at is that of the
	// line before.
	unstamped bool
}

// consoleLines are the lines of the first boot in a log.
type consoleLines struct {
	boot  []consoleLine // up to the execution of init
	after []consoleLine // after it, as far as of interest
	// end is the last time stamp.
	end time.Duration
	// banner reports that the log has the kernel's first line, another that a
	// second boot follows, at that line.
	banner  bool
	another int
	// damaged counts lines that cannot be read as they are, jumps time stamps
	// that are ahead of what follows.
	damaged, jumps int
	// dropped are the lines with which the kernel says that it lost others.
	dropped []int
	// words is the first line of the kernel without a time stamp; initcall says
	// that there is one of initcall_debug.
	words     string
	wordsLine int
	initcall  bool
}

// readConsoleLines reads the first boot of a log.
func readConsoleLines(log io.Reader) (*consoleLines, error) {
	l := &consoleLines{}
	input := bufio.NewReaderSize(log, maxConsoleLine)
	number, size := 1, 0
	for {
		line, err := input.ReadSlice('\n')
		if size += len(line); size > maxConsole || len(l.boot) > maxConsoleLines {
			return nil, &ConsoleError{Line: number, Reason: fmt.Sprintf("it is longer than %d MiB or %d lines: cut it to one boot", maxConsole>>20, maxConsoleLines)}
		}
		if len(line) > 0 && !l.take(number, strings.TrimRight(string(line), "\r\n")) {
			break
		}
		// The rest of a line that is too long is another one.
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			if !errors.Is(err, io.EOF) {
				return nil, &ConsoleError{Line: number, Reason: "it cannot be read", Err: err}
			}
			break
		}
		if err == nil {
			number++
		}
	}
	if l.words != "" && (len(l.boot) == 0 || l.initcall && !l.called()) {
		return nil, &ConsoleError{Line: l.wordsLine, Reason: fmt.Sprintf(
			"%q has no time stamp of the kernel: a line must begin with one, such as [    1.234567], after any prefix. Give what dmesg (without -T) or the serial console shows, or journalctl -k -o short-monotonic",
			clip.String(l.words))}
	}
	l.jumps = repairStamps(l.boot)
	if l.damaged > 0 {
		l.repairText()
	}
	return l, nil
}

// take takes a line and reports whether more are wanted.
func (l *consoleLines) take(number int, raw string) bool {
	raw = dropEscapes(raw)
	ended := len(l.boot) > 0 && startsInit(l.boot[len(l.boot)-1].text)
	for rest := raw; ; {
		at, text, next, ok := cutStamp(rest)
		if !ok {
			if rest == raw && !ended {
				l.takeUnstamped(number, raw)
			}
			return true
		}
		if strings.HasPrefix(text, "Linux version ") {
			if l.banner && l.called() {
				l.another = number
				return false
			}
			// What is before it belongs to another boot or to nobody.
			*l = consoleLines{banner: true}
			ended = false
		}
		line := consoleLine{number: number, at: at, text: text}
		switch {
		case !ended:
			l.boot = append(l.boot, line)
			l.end = at
			ended = startsInit(text)
		case at >= l.boot[len(l.boot)-1].at && len(l.after) < maxConsoleLines:
			// A log that is printed once more has earlier time stamps.
			l.end = max(l.end, at)
			l.after = append(l.after, line)
		}
		if rest = next; rest == "" {
			return true
		}
	}
}

// called reports whether an initcall has been called.
func (l *consoleLines) called() bool {
	for i := range l.boot {
		if strings.HasPrefix(l.boot[i].text, "calling  ") {
			return true
		}
	}
	return false
}

// takeUnstamped takes a line without a time stamp that can be read.
func (l *consoleLines) takeUnstamped(number int, raw string) {
	if text, ok := cutDamagedStamp(raw); ok && len(l.boot) > 0 {
		last := l.boot[len(l.boot)-1].at
		l.boot = append(l.boot, consoleLine{number: number, at: last, text: text, unstamped: true})
		l.damaged++
		return
	}
	if strings.HasPrefix(raw, "** ") && strings.Contains(raw, " printk messages dropped") {
		l.dropped = append(l.dropped, number)
		return
	}
	if l.banner && strings.TrimSpace(raw) != "" {
		l.damaged++
	}
	for _, word := range []string{"Linux version ", "calling  ", "initcall ", "Command line: "} {
		if l.words == "" && strings.Contains(raw, word) {
			l.words, l.wordsLine = raw, number
		}
	}
	if !l.initcall && unstampedCall().MatchString(raw) {
		l.initcall = true
	}
}

// unstampedCall is the end of a line of initcall_debug, whatever precedes it.
var unstampedCall = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`[ \]:]calling  [^ +]+\+0x[0-9a-f]+/0x[0-9a-f]+( \[[^ ]+\])? @ [0-9]+$`)
})

// startsInit reports whether a line is that of run_init_process.
func startsInit(text string) bool {
	return strings.HasPrefix(text, "Run ") && strings.HasSuffix(strings.TrimRight(text, " "), " as init process")
}

// dropEscapes drops escape sequences (ECMA-48), as dmesg --color and firmware
// print them.
func dropEscapes(s string) string {
	if !strings.Contains(s, "\x1b") {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != 0x1b {
			b.WriteByte(s[i])
			continue
		}
		if i++; i < len(s) && s[i] == '[' {
			for i++; i < len(s) && (s[i] < 0x40 || s[i] > 0x7e); {
				i++
			}
		}
	}
	return b.String()
}

// cutStamp finds the first time stamp of a line. What is before it is a prefix:
// the level of dmesg -x or -r, what syslog puts before a message, what a boot
// loader or a program left on the screen. The text ends where the next time
// stamp begins: two lines without an end between them.
func cutStamp(line string) (at time.Duration, text, next string, ok bool) {
	for i := 0; ; i++ {
		j := strings.IndexByte(line[i:], '[')
		if j < 0 {
			return 0, "", "", false
		}
		i += j
		if at, text, ok = stamp(line[i:]); ok {
			break
		}
	}
	for i := 0; i < len(text); i++ {
		if text[i] != '[' {
			continue
		}
		if _, _, ok := stamp(text[i:]); ok {
			text, next = text[:i], text[i:]
		}
	}
	return at, dropHost(dropCaller(text)), next, true
}

// stamp splits the time stamp of kernel/printk/printk.c (print_time) from a
// line: "[    0.034479] text". dmesg -d adds the time since the line before,
// "[    0.034479 <    0.000010>] text".
func stamp(line string) (at time.Duration, text string, ok bool) {
	number, _, ok := strings.Cut(line[1:min(len(line), 64)], "]")
	if !ok {
		return 0, "", false
	}
	text = line[len(number)+2:]
	if stamp, delta, ok := strings.Cut(number, " <"); ok && strings.HasSuffix(delta, ">") {
		number = stamp
	}
	seconds, micros, ok := strings.Cut(strings.TrimLeft(number, " "), ".")
	if !ok || !digits(seconds) || !digits(micros) || len(micros) != 6 {
		return 0, "", false
	}
	s, err := strconv.ParseUint(seconds, 10, 31)
	if err != nil || time.Duration(s)*time.Second > maxUptime {
		return 0, "", false
	}
	us, _ := strconv.ParseUint(micros, 10, 32)
	return time.Duration(s)*time.Second + time.Duration(us)*time.Microsecond, text, true
}

// maxUptime is the latest time stamp that is believed.
const maxUptime = 10_000 * time.Hour

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// dropCaller drops the blank after a time stamp and what CONFIG_PRINTK_CALLER
// adds to it, "[    T1]".
func dropCaller(text string) string {
	rest := strings.TrimLeft(text, " ")
	if id, after, ok := strings.Cut(rest, "]"); ok && strings.HasPrefix(id, "[") {
		id = strings.TrimLeft(id[1:], " ")
		if len(id) > 1 && (id[0] == 'T' || id[0] == 'C') && digits(id[1:]) {
			return strings.TrimLeft(after, " ")
		}
	}
	// A message may begin with blanks of its own.
	return strings.TrimPrefix(text, " ")
}

// dropHost drops "host kernel: ", which journalctl -o short-monotonic has after
// the time stamp.
func dropHost(text string) string {
	host, rest, ok := strings.Cut(text, " kernel: ")
	if ok && host != "" && !strings.ContainsAny(host, " :") {
		return rest
	}
	return text
}

// cutDamagedStamp finds the text after a time stamp in which bytes are lost,
// doubled or wrong.
func cutDamagedStamp(line string) (text string, ok bool) {
	n := 0
	for i := 0; i < min(len(line), 40); i++ {
		switch c := line[i]; {
		case c >= '0' && c <= '9':
			n++
		case c == ']':
			text = strings.TrimLeft(line[i:], "]")
			return dropHost(dropCaller(text)), n >= 4 && strings.HasPrefix(text, " ")
		case c != ' ' && c != '[' && c != '.':
			return "", false
		}
	}
	return "", false
}

// repairStamps makes the lines' times ascend. The time stamps that stay are the
// longest ascending row; others are those of lines whose stamp cannot be read, of
// another processor's clock, and damaged ones. It counts the last: those that are
// a second or more ahead of what follows.
func repairStamps(lines []consoleLine) (jumps int) {
	ends := make([]int, 0, len(lines)) // the last lines of rows, by their length
	before := make([]int, len(lines))
	for i := range lines {
		if lines[i].unstamped {
			continue
		}
		low, high := 0, len(ends)
		for low < high {
			if m := (low + high) / 2; lines[ends[m]].at <= lines[i].at {
				low = m + 1
			} else {
				high = m
			}
		}
		before[i] = -1
		if low > 0 {
			before[i] = ends[low-1]
		}
		if low == len(ends) {
			ends = append(ends, i)
		}
		ends[low] = i
	}
	if len(ends) == 0 {
		return 0
	}
	stays := make([]bool, len(lines))
	for i := ends[len(ends)-1]; i >= 0; i = before[i] {
		stays[i] = true
	}
	now := time.Duration(0)
	for i := range lines {
		switch {
		case stays[i]:
			now = lines[i].at
		case !lines[i].unstamped && lines[i].at > now+time.Second:
			jumps++
		}
		lines[i].at = now
	}
	return jumps
}

// spoken are the lines that count, whole.
var spoken = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`^calling  [^ +]+\+0x[0-9a-f]+/0x[0-9a-f]+( \[[^ ]+\])? @ [0-9]+$`),
		regexp.MustCompile(`^initcall [^ +]+\+0x[0-9a-f]+/0x[0-9a-f]+( \[[^ ]+\])? returned -?[0-9]+ after [0-9]+ usecs$`),
		regexp.MustCompile(`^initcall_level: level=[a-z]+$`),
		regexp.MustCompile(`^entering initcall level: [a-z]+$`),
		regexp.MustCompile(`^probe of [^ ]+( with driver [^ ]+)? returned -?[0-9]+ after [0-9]+ usecs$`),
		regexp.MustCompile(`^ima: No TPM chip found, activating TPM-bypass!$`),
		regexp.MustCompile(`^ima: No suitable TPM algorithm for boot aggregate$`),
		regexp.MustCompile(`^ima: Error Communicating to TPM chip(, result: -?[0-9]+)?$`),
		regexp.MustCompile(`^ima: Allocated hash algorithm: [0-9a-z-]+$`),
		regexp.MustCompile(`^tpm tpm0: (TPM in field (failure|upgrade) mode|starting up the TPM manually|A TPM error \([0-9]+\) occurred )`),
		regexp.MustCompile(`^tpm_[a-z0-9_]+ [^ ]+: [12]\.[02] TPM \(device-id `),
		regexp.MustCompile(`^Run [^ ]+ as init process$`),
	}
})

// spokenBegin are the beginnings of these lines, squeezed.
var spokenBegin = []string{"caling", "initcal", "entering initcal", "probe of", "ima: ", "tpm", "Run "}

// repairText makes the lines whole that count and in which one byte is doubled,
// as QEMU leaves them where it logs a socket.
func (l *consoleLines) repairText() {
	for i := range l.boot {
		line := &l.boot[i]
		begin := squeeze(line.text[:min(len(line.text), 40)])
		if slices.ContainsFunc(spokenBegin, func(s string) bool { return strings.HasPrefix(begin, s) }) {
			if text, ok := repaired(line.text); ok {
				line.text = text
				l.damaged++
			}
		}
	}
}

func isSpoken(text string) bool {
	return slices.ContainsFunc(spoken(), func(r *regexp.Regexp) bool { return r.MatchString(text) })
}

// repaired drops the byte of a line without which it counts.
func repaired(text string) (string, bool) {
	if len(text) > 300 || isSpoken(text) {
		return "", false
	}
	if strings.HasPrefix(text, " ") && isSpoken(text[1:]) {
		return text[1:], true
	}
	for i := 1; i < len(text); i++ {
		if text[i] != text[i-1] {
			continue
		}
		if short := text[:i] + text[i+1:]; isSpoken(short) {
			return short, true
		}
	}
	return "", false
}

// squeeze leaves one of bytes that follow each other.
func squeeze(s string) string {
	s = strings.TrimLeft(s, " ")
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if i == 0 || s[i] != s[i-1] {
			b = append(b, s[i])
		}
	}
	return string(b)
}
