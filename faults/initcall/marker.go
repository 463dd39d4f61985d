package initcall

import (
	"bytes"
	"fmt"
	"strings"
)

// Marker says that a kernel which calls Function has reached Level. A Console
// needs markers for what kernels do not print: before 2025 no level at all
// without a tracepoint, and to this day not the _sync levels and rootfs, which
// to the kernel are the second half of the level before (init/main.c:
// initcall_level_names).
type Marker struct {
	// Function is the initcall's name as initcall_debug prints it, without
	// offset, and without the suffixes of link-time optimization.
	Function string
	// Level is reached before Function is called. Firmware, which a boot
	// never reaches again, makes a function say nothing.
	Level Level
	// After, if not empty, is an initcall that must have been called before
	// in the same boot. It tells the kernels that differ in where they call
	// Function.
	After string
}

// MarkerError says why a marker is refused.
type MarkerError struct {
	Text   string // the marker as given
	Reason string
}

func (e *MarkerError) Error() string {
	return fmt.Sprintf("marker %q: %s; want LEVEL=FUNCTION or LEVEL=FUNCTION,after=FUNCTION, for example late_sync=regulator_init_complete", e.Text, e.Reason)
}

// ParseMarker reads LEVEL=FUNCTION or LEVEL=FUNCTION,after=FUNCTION.
func ParseMarker(text string) (Marker, error) {
	fail := func(reason string) (Marker, error) {
		return Marker{}, &MarkerError{Text: cut(text, 80), Reason: reason}
	}
	name, rest, found := strings.Cut(text, "=")
	if !found {
		return fail("no level")
	}
	level, err := ParseLevel(name)
	if err != nil {
		return fail(err.Error())
	}
	m := Marker{Level: level}
	m.Function, m.After, found = strings.Cut(rest, ",after=")
	if found && m.After == "" {
		return fail("no function after after=")
	}
	if reason := m.wrong(); reason != "" {
		return fail(reason)
	}
	return m, nil
}

// String returns the text that ParseMarker takes.
func (m Marker) String() string {
	s := m.Level.String() + "=" + m.Function
	if m.After != "" {
		s += ",after=" + m.After
	}
	return s
}

// maxSymbol is the kernel's KSYM_NAME_LEN.
const maxSymbol = 512

// wrong says what is wrong with m, nothing if it is well-formed.
func (m Marker) wrong() string {
	if int(m.Level) >= levels {
		return "unknown level"
	}
	for i, name := range []string{m.Function, m.After} {
		if name == "" && i == 0 {
			return "no function"
		}
		if len(name) >= maxSymbol {
			return "the function's name is longer than a kernel symbol"
		}
		for j := range len(name) {
			if !symbolByte(name[j]) {
				return fmt.Sprintf("%q is not a function's name", cut(name, 80))
			}
		}
	}
	return ""
}

// symbolByte reports whether b occurs in kernel symbols, those that compilers
// derive ("foo.cfi_jt", "foo$abc") included.
func symbolByte(b byte) bool {
	return b == '_' || b == '.' || b == '$' ||
		b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
}

// rule is one marker as a Console looks it up.
type rule struct {
	level Level
	after string
}

// table maps functions to what they say, and names those that others come
// after.
type table struct {
	rules  map[string][]rule
	waited map[string]bool
}

// newTable puts own over the built-in markers: what it says of a function
// replaces everything the built-in ones say of it.
func newTable(own []Marker) (table, error) {
	t := table{rules: make(map[string][]rule), waited: make(map[string]bool)}
	replaced := make(map[string]bool, len(own))
	for _, m := range own {
		if reason := m.wrong(); reason != "" {
			return table{}, &MarkerError{Text: m.String(), Reason: reason}
		}
		replaced[m.Function] = true
	}
	for _, m := range Markers() {
		if !replaced[m.Function] {
			t.add(m)
		}
	}
	for _, m := range own {
		t.add(m)
	}
	return t, nil
}

func (t *table) add(m Marker) {
	t.rules[m.Function] = append(t.rules[m.Function], rule{level: m.Level, after: m.After})
	if m.After != "" {
		t.waited[m.After] = true
	}
}

// stub is how the names of initcalls start in a kernel built with link-time
// optimization: "__initstub__" "kmod_MODULE" "__COUNTER_LINE_FUNCTION" and the
// level's section (include/linux/init.h: __initcall_stub, __initcall_id).
const stub = "__initstub__"

// sections has the levels' sections as the initcall macros of
// include/linux/init.h name them; the longer of two that end alike come first.
var sections = [...]struct {
	name  string
	level Level
}{
	{"rootfs", RootFS}, {"early", Early},
	{"1s", CoreSync}, {"2s", PostcoreSync}, {"3s", ArchSync}, {"4s", SubsysSync},
	{"5s", FSSync}, {"6s", DeviceSync}, {"7s", LateSync},
	{"0", Pure}, {"1", Core}, {"2", Postcore}, {"3", Arch}, {"4", Subsys},
	{"5", FS}, {"6", Device}, {"7", Late},
}

// linked takes apart what link-time optimization makes of an initcall's name.
// The level is Firmware if the name does not tell it.
func linked(symbol []byte) (function []byte, level Level) {
	// foo.cfi_jt, foo.llvm.123: clang's derived symbols.
	function, _, _ = bytes.Cut(symbol, []byte("."))
	if _, ok := cutPrefix(function, stub); !ok {
		return function, Firmware
	}
	return identified(function)
}

// identified takes apart the kernel's identifier of an initcall: it ends in
// __COUNTER_LINE_FUNCTION and the level's section.
func identified(id []byte) (function []byte, level Level) {
	function = id
	for _, s := range sections {
		if name, ok := bytes.CutSuffix(function, []byte(s.name)); ok {
			function, level = name, s.level
			break
		}
	}
	bar := []byte("_")
	for i := bytes.LastIndex(function, []byte("__")); i >= 0; i = bytes.LastIndex(function[:i], []byte("__")) {
		counter, rest, _ := bytes.Cut(function[i+2:], bar)
		line, name, ok := bytes.Cut(rest, bar)
		if ok && number(counter) && number(line) {
			return name, level
		}
	}
	return function, level
}

// FunctionOf returns the function's own name of an initcall as initcall_debug prints
// it, without offset: link-time optimization and clang add to it.
func FunctionOf(symbol string) string {
	if !stray([]byte(symbol)) {
		return symbol
	}
	function, _ := linked([]byte(symbol))
	return string(function)
}

func number(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0
}
