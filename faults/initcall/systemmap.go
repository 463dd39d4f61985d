package initcall

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// SystemMap is where a kernel keeps what GDB looks at. ReadSystemMap makes it.
type SystemMap struct {
	startKernel mapped
	banner      mapped
	caller      mapped // do_one_initcall
	init        mapped // what the kernel calls to execute init
	commandLine mapped // without a name if the map has none

	// table is the kernel's table of initcalls, in link order.
	table []tableEntry
	width int // of an entry in the kernel's memory, in bytes
}

// mapped is a symbol and the memory up to the next one.
type mapped struct {
	name       string
	start, end uint64
}

func (m mapped) holds(address uint64) bool { return m.start <= address && address < m.end }

// tableEntry is one initcall of the kernel's table.
type tableEntry struct {
	address  uint64 // of the entry
	level    Level
	function string
	at       []uint64 // where functions of this name are
}

// SystemMapError says why a System.map is refused.
type SystemMapError struct {
	Line   int // 0 where it is the whole
	Reason string
}

func (e *SystemMapError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("System.map, line %d: %s; %s", e.Line, e.Reason, mapRemedy)
	}
	return "System.map: " + e.Reason
}

// Bounds of what ReadSystemMap takes: a kernel with everything built in has a
// tenth of each.
const (
	maxMapBytes  = 256 << 20
	maxInitcalls = 1 << 16
)

// mapRemedy is where a whole map comes from.
const mapRemedy = "take System.map from where the kernel was built, its debug package, or /proc/kallsyms of the guest, read by root and booted with nokaslr (CONFIG_KALLSYMS_ALL)"

// ReadSystemMap reads a System.map, or a guest's /proc/kallsyms: lines of an
// address in hexadecimal, a letter for the type, and a name, in any order. Symbols
// of modules are passed over. A *SystemMapError says what is wrong with the text;
// other errors are r's.
//
// The map must have start_kernel, linux_banner, do_one_initcall, run_init_process
// (or rcu_end_inkernel_boot) and the table of initcalls: __initcall_start,
// __initcall_end, and an __initcall_… symbol of each entry between them, as
// include/linux/init.h names them.
func ReadSystemMap(r io.Reader) (*SystemMap, error) {
	all, err := readSymbols(r)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b mapSymbol) int { return cmp.Compare(a.address, b.address) })
	m := &SystemMap{}
	for _, s := range []struct {
		to    *mapped
		names []string
	}{
		{&m.startKernel, []string{"start_kernel"}},
		{&m.banner, []string{"linux_banner"}},
		{&m.caller, []string{"do_one_initcall"}},
		// The other is what kernel_init calls last before it executes init, for
		// compilers that inline run_init_process.
		{&m.init, []string{"run_init_process", "rcu_end_inkernel_boot"}},
	} {
		if *s.to, err = find(all, s.names...); err != nil {
			return nil, err
		}
		if s.to.name == "" {
			return nil, &SystemMapError{Reason: fmt.Sprintf("it has no symbol %s; %s", s.names[0], mapRemedy)}
		}
	}
	if m.commandLine, err = find(all, "saved_command_line"); err != nil {
		return nil, err
	}
	return m, m.readTable(all)
}

// mapSymbol is one line of a System.map.
type mapSymbol struct {
	address uint64
	name    string
}

func readSymbols(r io.Reader) ([]mapSymbol, error) {
	var all []mapSymbol
	lines := bufio.NewScanner(io.LimitReader(r, maxMapBytes+1))
	read, hidden := 0, true
	for n := 1; lines.Scan(); n++ {
		read += len(lines.Bytes()) + 1
		s, ok, reason := parseSymbol(lines.Bytes())
		switch {
		case reason != "":
			return nil, &SystemMapError{Line: n, Reason: reason}
		case read > maxMapBytes:
			return nil, &SystemMapError{Reason: fmt.Sprintf("it is longer than %d bytes", maxMapBytes)}
		case ok:
			hidden = hidden && s.address == 0
			all = append(all, s)
		}
	}
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return nil, &SystemMapError{Reason: "it has a line without end; " + mapRemedy}
	case err != nil:
		return nil, err
	case len(all) > 0 && hidden:
		return nil, &SystemMapError{Reason: "all addresses are 0: the kernel has hidden them from who read them; read /proc/kallsyms as root"}
	}
	return all, nil
}

// parseSymbol reads one line. It is not ok without an error for a line that
// shows nothing of the kernel's own.
func parseSymbol(line []byte) (s mapSymbol, ok bool, reason string) {
	fields := bytes.Fields(line)
	switch {
	case len(fields) == 0, len(fields) == 4 && fields[3][0] == '[': // of a module
		return s, false, ""
	case len(fields) == 2 && len(fields[0]) == 1: // nm: undefined
		return s, false, ""
	case len(fields) != 3 || len(fields[1]) != 1:
		return s, false, fmt.Sprintf("%q is not an address, a type and a name", cut(string(line), 80))
	}
	address, err := strconv.ParseUint(string(fields[0]), 16, 64)
	if err != nil {
		return s, false, fmt.Sprintf("%q is not an address", cut(string(fields[0]), 80))
	}
	if len(fields[2]) >= maxSymbol {
		return s, false, "the name is longer than a kernel symbol"
	}
	return mapSymbol{address, string(fields[2])}, true, ""
}

// find returns the first of the names that the map has, without a name if it has
// none. Compilers add to a name what they did to the function.
func find(all []mapSymbol, names ...string) (mapped, error) {
	for _, name := range names {
		var found mapped
		for i, s := range all {
			if s.name != name && !derived(s.name, name) {
				continue
			}
			if found.name != "" && found.start != s.address {
				return mapped{}, &SystemMapError{Reason: fmt.Sprintf("%s stands there twice; give the map of one kernel", name)}
			}
			found = mapped{name: s.name, start: s.address, end: following(all[i:])}
		}
		if found.name != "" {
			return found, nil
		}
	}
	return mapped{}, nil
}

// derived reports whether symbol is what a compiler has made of the whole
// function name, not of a part of it.
func derived(symbol, name string) bool {
	suffix, ok := strings.CutPrefix(symbol, name+".")
	return ok && !strings.Contains(suffix, "cold") && !strings.Contains(suffix, "part")
}

// following returns the first address after that of the first symbol.
func following(rest []mapSymbol) uint64 {
	for _, s := range rest {
		if s.address > rest[0].address {
			return s.address
		}
	}
	return rest[0].address + 1
}

// initcallPrefix is how the names of the table's entries start.
const initcallPrefix = "__initcall_"

// readTable finds the table of initcalls.
func (m *SystemMap) readTable(all []mapSymbol) error {
	start, err := find(all, initcallPrefix+"start")
	if err != nil {
		return err
	}
	end, err := find(all, initcallPrefix+"end")
	if err != nil {
		return err
	}
	if start.name == "" || end.name == "" || start.start >= end.start {
		return &SystemMapError{Reason: "it has no table from __initcall_start to __initcall_end; " + mapRemedy}
	}
	wanted := make(map[string][]uint64)
	for _, s := range all {
		if s.address < start.start || s.address >= end.start || !strings.HasPrefix(s.name, initcallPrefix) {
			continue
		}
		function, level := identified([]byte(s.name))
		if level == Firmware { // __initcall_start
			continue
		}
		name := strings.TrimPrefix(string(function), initcallPrefix)
		m.table = append(m.table, tableEntry{address: s.address, level: level, function: name})
		wanted[name] = nil
	}
	for _, s := range all {
		name := FunctionOf(s.name)
		if at, ok := wanted[name]; ok {
			wanted[name] = append(at, s.address)
		}
	}
	for i := range m.table {
		m.table[i].at = wanted[m.table[i].function]
	}
	return m.checkTable(start.start, end.start)
}

// checkTable refuses a table that is no kernel's.
func (m *SystemMap) checkTable(start, end uint64) error {
	n := uint64(len(m.table))
	switch size := end - start; {
	case n == 0:
		return &SystemMapError{Reason: "its initcalls have no names, such as __initcall__kmod_…; " + mapRemedy}
	case n > maxInitcalls:
		return &SystemMapError{Reason: fmt.Sprintf("it has more than %d initcalls", maxInitcalls)}
	case size == 4*n:
		m.width = 4 // relative (CONFIG_HAVE_ARCH_PREL32_RELOCATIONS)
	case size == 8*n:
		m.width = 8
	default:
		return &SystemMapError{Reason: fmt.Sprintf("its table of initcalls has %d bytes for %d names; %s", size, n, mapRemedy)}
	}
	for i, e := range m.table {
		if e.address != start+uint64(i*m.width) {
			return &SystemMapError{Reason: fmt.Sprintf("its table of initcalls has a gap before %s; %s", e.function, mapRemedy)}
		}
		if i > 0 && e.level < m.table[i-1].level {
			return &SystemMapError{Reason: fmt.Sprintf("%s of %s comes after %s of %s, against the order of levels; %s",
				e.function, e.level, m.table[i-1].function, m.table[i-1].level, mapRemedy)}
		}
	}
	return nil
}

// size is that of the table in the kernel's memory, in bytes.
func (m *SystemMap) size() int { return len(m.table) * m.width }

// functions returns where the functions of the table's entries are, by the table as
// the kernel's memory has it: size bytes, little-endian. A *WrongKernelError tells
// that it is not this map's.
func (m *SystemMap) functions(table []byte) ([]uint64, error) {
	all := make([]uint64, len(m.table))
	for i, e := range m.table {
		var at uint64
		if m.width == 4 {
			at = e.address + uint64(int64(int32(binary.LittleEndian.Uint32(table[4*i:]))))
		} else {
			at = binary.LittleEndian.Uint64(table[8*i:])
		}
		if !slices.Contains(e.at, at) {
			return nil, &WrongKernelError{Reason: fmt.Sprintf("its initcall %d is at %#x, where the map has no %s", i, at, e.function)}
		}
		all[i] = at
	}
	return all, nil
}

// WrongKernelError says that a guest runs another kernel than that of the
// SystemMap.
type WrongKernelError struct {
	Banner string // of the guest's kernel, if there is one
	Reason string
}

func (e *WrongKernelError) Error() string {
	kernel := "the guest's kernel"
	if e.Banner != "" {
		kernel += fmt.Sprintf(" (%s)", e.Banner)
	}
	return fmt.Sprintf("%s is not that of the System.map: %s; give the map of this very build, and boot with nokaslr", kernel, e.Reason)
}
