package initcall

import (
	"bytes"
	"strings"
	"time"
)

// kind says what a console message tells about the boot.
type kind uint8

const (
	nothing         kind = iota
	starting             // an architecture's line before the banner
	banner               // the kernel's banner
	atLevel              // the kernel names a level
	called               // the kernel calls an initcall
	returned             // an initcall returned
	userspaceStarts      // init is executed
	restarting           // another kernel may follow without a power cycle
)

// message is the meaning of a piece of console text.
type message struct {
	kind     kind
	level    Level         // of atLevel
	function []byte        // of called and returned, as printed by %pS up to its "+"
	took     time.Duration // of returned, negative if the line does not say
	thread   bool          // the line names the thread that printed it …
	first    bool          // … and that is the one that calls initcalls
	shown    bool          // a program that shows a kernel's log has printed the line
}

// prefixes lists the messages by what they start with and where the kernel
// prints them. read gets the rest of the message.
var prefixes = [...]struct {
	text string
	read func(rest []byte) message
}{
	{"calling ", readCall},                              // init/main.c: trace_initcall_start_cb, with initcall_debug
	{"initcall ", readReturn},                           // init/main.c: trace_initcall_finish_cb
	{"initcall_level: level=", readLevel},               // include/trace/events/initcall.h, with tp_printk
	{"initcall_start: func=", readStart},                // same
	{"initcall_finish: func=", readFinish},              // same
	{"entering initcall level: ", readLevel},            // init/main.c: trace_initcall_level_cb, since 2025
	{"Linux version ", of(banner)},                      // init/version-timestamp.c: linux_banner
	{"Booting Linux on physical CPU ", of(starting)},    // arch/arm64/kernel/setup.c, arch/arm/kernel/setup.c
	{"Run ", readRun},                                   // init/main.c: run_init_process
	{"kexec_core: Starting new kernel", of(restarting)}, // kernel/kexec_core.c: kernel_kexec
	{"Starting new kernel", of(restarting)},             // same, before pr_fmt
	{"Starting crashdump kernel...", of(restarting)},    // arch/arm64/kernel/machine_kexec.c: machine_crash_shutdown
	{"Kernel panic - not syncing", of(restarting)},      // kernel/panic.c: the other architectures print no more
}

// readMessage says what p tells. It does not allocate.
func readMessage(p piece) message {
	body := p.text[p.body:]
	var by printer
	if p.stamped {
		body, by = skipCaller(body)
	} else {
		body = skipNoise(body)
	}
	size := len(body)
	if !p.stamped {
		body = skipTime(body)
	}
	body = skipHost(body)
	if len(body) == 0 || !firsts[body[0]] {
		return message{}
	}
	for i := range prefixes {
		if rest, ok := cutPrefix(body, prefixes[i].text); ok {
			m := prefixes[i].read(rest)
			m.thread, m.first, m.shown = by.known, by.first, len(body) < size
			return m
		}
	}
	return message{}
}

// firsts has the bytes with which prefixes start: most lines need no more.
var firsts = func() (f [256]bool) {
	for _, p := range prefixes {
		f[p.text[0]] = true
	}
	return f
}()

func cutPrefix(b []byte, prefix string) (rest []byte, ok bool) {
	if len(b) < len(prefix) || string(b[:len(prefix)]) != prefix {
		return nil, false
	}
	return b[len(prefix):], true
}

func of(k kind) func([]byte) message {
	return func([]byte) message { return message{kind: k} }
}

// readFunction reads "FN+0x0/0x1c". A name without its "+" was cut and may be
// the beginning of another one; a name followed by "[module]" is a loadable
// module's init function, and one that begins with a digit is asynchronous work
// (kernel/async.c: async_run_entry_fn), which say nothing about the boot.
func readFunction(rest []byte) (function, after []byte) {
	rest = bytes.TrimLeft(rest, " ")
	plus := bytes.IndexByte(rest, '+')
	if plus <= 0 || rest[0] >= '0' && rest[0] <= '9' || bytes.Contains(rest[plus:], []byte(" [")) {
		return nil, nil
	}
	return rest[:plus], rest[plus:]
}

// readCall reads "FN+0x0/0x1c @ 1", where the number is the process: 0 calls the
// console's initcalls and 1 all others.
func readCall(rest []byte) message {
	function, after := readFunction(rest)
	if _, id, ok := bytes.Cut(after, []byte(" @ ")); ok {
		first := len(id) > 0 && (id[0] == '0' || id[0] == '1')
		if !first || len(id) > 1 && number(id[1:2]) {
			return message{}
		}
	}
	return functionMessage(called, function)
}

// readReturn reads "FN+0x0/0x1c returned 0 after 12 usecs".
func readReturn(rest []byte) message {
	function, after := readFunction(rest)
	m := functionMessage(returned, function)
	if _, after, ok := bytes.Cut(after, []byte(" after ")); ok {
		digits, _, _ := bytes.Cut(after, []byte(" usecs"))
		m.took = microseconds(digits)
	}
	return m
}

func readStart(rest []byte) message {
	function, _ := readFunction(rest)
	return functionMessage(called, function)
}

func readFinish(rest []byte) message {
	function, _ := readFunction(rest)
	return functionMessage(returned, function)
}

func functionMessage(k kind, function []byte) message {
	if function == nil {
		return message{}
	}
	return message{kind: k, function: function, took: -1}
}

// microseconds reads digits, and answers -1 for what no boot takes.
func microseconds(digits []byte) time.Duration {
	if !number(digits) || len(digits) > 15 {
		return -1
	}
	var n time.Duration
	for _, d := range digits {
		n = n*10 + time.Duration(d-'0')
	}
	return n * time.Microsecond
}

// readLevel reads a level's name as in init/main.c: initcall_level_names, and
// the "console" and "early" of console_init and do_pre_smp_initcalls.
func readLevel(rest []byte) message {
	name := bytes.TrimRight(rest, " ")
	if string(name) == "console" {
		return message{kind: atLevel, level: Kernel}
	}
	for l := Early; l < Userspace; l++ {
		if string(name) == names[l] {
			return message{kind: atLevel, level: l}
		}
	}
	return message{}
}

// readRun reads "/init as init process".
func readRun(rest []byte) message {
	if bytes.HasSuffix(bytes.TrimRight(rest, " "), []byte(" as init process")) {
		return message{kind: userspaceStarts}
	}
	return message{}
}

// printer is who printed a line, as far as the line says so.
type printer struct {
	known bool
	first bool // the kernel's first thread, which calls initcalls and executes init
}

// skipCaller cuts what stands between a time stamp and the message: a blank,
// and with CONFIG_PRINTK_CALLER "[%6s]" of T and a thread or C and a processor
// (kernel/printk/printk.c: print_caller), with a blank more. Threads 0 and 1 call
// initcalls.
func skipCaller(b []byte) ([]byte, printer) {
	var by printer
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b[:min(len(b), maxStamp)], ']')
		id := b
		if end > 0 {
			id = bytes.TrimLeft(b[1:end], " ")
		}
		if end > 0 && len(id) > 1 && (id[0] == 'T' || id[0] == 'C') {
			b = b[end+1:]
			by = printer{known: true, first: len(id) == 2 && id[0] == 'T' && (id[1] == '0' || id[1] == '1')}
		}
	}
	return bytes.TrimLeft(b, " "), by
}

// maxPrefix bounds what programs that show a kernel's log put before a message.
const maxPrefix = 96

// skipHost cuts what syslog and journalctl put before a message, up to "kernel: ":
// the host, and before a line without a time stamp of the kernel the date.
func skipHost(b []byte) []byte {
	if i := bytes.Index(b[:min(len(b), maxPrefix)], []byte(" kernel: ")); i > 0 {
		return bytes.TrimLeft(b[i+len(" kernel: "):], " ")
	}
	return b
}

// skipTime cuts a log level, "<6>", and the times of dmesg that are none of the
// kernel's own: -T "[Sun Nov 29 12:22:58 2026]", -e "[Nov29 12:22]" and
// "[  +0.000012]", -d "[    1.234567 <    0.000012>]".
func skipTime(b []byte) []byte {
	if i := bytes.IndexByte(b[:min(len(b), maxPrefix)], '>'); i > 1 && b[0] == '<' && number(b[1:i]) {
		b = bytes.TrimLeft(b[i+1:], " ")
	}
	end := bytes.IndexByte(b[:min(len(b), maxPrefix)], ']')
	if end < 0 || b[0] != '[' {
		return b
	}
	inside := bytes.TrimLeft(b[1:end], " ")
	letter := len(inside) > 0 && inside[0] >= 'A' && inside[0] <= 'Z'
	plus := len(inside) > 0 && inside[0] == '+'
	if (letter || plus || bytes.Contains(inside, []byte(" <"))) && bytes.ContainsAny(inside, "0123456789") {
		b, _ = skipCaller(b[end+1:])
	}
	return b
}

// skipNoise cuts an escape sequence (ECMA-48: CSI, or ESC with one final byte)
// and bytes that nobody prints from the beginning of a line.
func skipNoise(b []byte) []byte {
	if len(b) > 1 && b[0] == 0x1b {
		final := 1
		if b[1] == '[' {
			final = 2
			for final < len(b) && (b[final] < 0x40 || b[final] > 0x7e) {
				final++
			}
		} else {
			for final < len(b) && b[final] >= 0x20 && b[final] <= 0x2f {
				final++
			}
		}
		b = b[min(final+1, len(b)):]
	}
	for len(b) > 0 && (b[0] <= ' ' || b[0] >= 0x7f) {
		b = b[1:]
	}
	return b
}

// maxCause bounds an Event's Cause in bytes.
const maxCause = 160

// cause makes an Event's Cause of p: printable, and of bounded length.
func cause(p piece) string {
	text := p.text
	if !p.stamped {
		text = skipNoise(text)
	}
	text = bytes.TrimSpace(text)
	short := len(text) > maxCause
	if short {
		text = text[:maxCause-3]
	}
	s := strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(string(text), "?"))
	if short {
		s += "..."
	}
	return s
}
