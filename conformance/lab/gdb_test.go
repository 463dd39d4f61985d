package lab

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// itemSymbols is the item of a guest's report that lists its kernel's symbols.
const itemSymbols = "symbols"

// systemMap gives a System.map of the kernel: what was kept, or what the
// guest of a boot of its own tells, booted with nokaslr as those that it serves.
func (b *bench) systemMap(t *testing.T) (path string, text []byte) {
	t.Helper()
	path = filepath.Join(b.cache, "System.map-"+filepath.Base(filepath.Dir(b.machine.Kernel)))
	if text, err := os.ReadFile(path); err == nil {
		return path, text
	}
	leave := b.enter(false)
	config := b.config(t, bootCase{name: "symbols", setup: nokaslr})
	record, err := Run(t.Context(), config)
	leave()
	require.NoError(t, err)
	text = record.Boots[0].last().Items[itemSymbols]
	_, err = initcall.ReadSystemMap(bytes.NewReader(text))
	require.NoError(t, err)
	// A run beside this one may do the same.
	file, err := os.CreateTemp(b.cache, "System.map")
	require.NoError(t, err)
	_, err = file.Write(text)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	require.NoError(t, os.Rename(file.Name(), path))
	return path, text
}

// nokaslr has the kernel where its System.map says, and not give up a timer that a
// busy host runs late.
func nokaslr(c *Config) { c.Machine.Append = "nokaslr no_timer_check" }

// byTheKernel is a boot whose level is read from the kernel itself, while a
// process jumps to where the kernel executes init.
func (b *bench) byTheKernel(t *testing.T) bootCase {
	path, text := b.systemMap(t)
	log := filepath.Join(t.TempDir(), "log")
	return bootCase{
		name:  "gdbstub",
		flags: []string{"--defer-until=late_sync", "--levels=gdb", "--system-map=" + path, "--log=file=" + log},
		setup: func(c *Config) {
			rebind(c)
			nokaslr(c)
			c.Modprobe = jumpTo(t, addressOf(t, text, "run_init_process"))
		},
		check: func(t *testing.T, v *Verdict) {
			last := v.Last()
			require.Equal(t, Bypass, last.Word)
			assert.Equal(t, BoundByHand, last.Driver.Bound)
			require.NotNil(t, last.Release)
			assert.Equal(t, "late_sync", last.Release.Level)
			assert.NotZero(t, last.Release.Decisions["answered"])
			assertSamePCRs(t, last)
			said, err := os.ReadFile(log)
			require.NoError(t, err)
			assert.Regexp(t, `breakpoint not believed.*level=device.*run_init_process.*a process has jumped there`, string(said))
			assert.Regexp(t, `(?s)level=late .*level=late_sync .*level=userspace cause="breakpoint at run_init_process`, string(said))
		},
		console: releasedBetween,
	}
}

// releasedBetween: IMA had looked when the initcall that released the TPM was
// called, and that was the first of late_sync.
func releasedBetween(t *testing.T, v *Verdict, log []byte) {
	last := v.Last()
	function, ok := bytes.CutPrefix([]byte(last.Release.Cause), []byte("breakpoint at "))
	require.True(t, ok, last.Release.Cause)
	function, by, ok := bytes.Cut(function, []byte(", called by "))
	require.True(t, ok, last.Release.Cause)
	assert.Equal(t, "do_one_initcall", string(by))
	called := bytes.Index(log, append([]byte("calling  "), append(function, '+')...))
	looked := bytes.Index(log, []byte("ima: No TPM chip found"))
	require.Positive(t, called)
	require.Positive(t, looked)
	assert.Less(t, looked, called)
	t.Logf("released before %s was called", function)
}

// addressOf gives the address of a symbol.
func addressOf(t *testing.T, systemMap []byte, name string) uint64 {
	t.Helper()
	for line := range bytes.Lines(systemMap) {
		if fields := bytes.Fields(line); len(fields) == 3 && string(fields[2]) == name {
			address, err := strconv.ParseUint(string(fields[0]), 16, 64)
			require.NoError(t, err)
			return address
		}
	}
	require.Fail(t, "no such symbol", name)
	return 0
}

// jumpTo is a program for x86-64 Linux that does nothing but jump to an address
// (System V ABI: an ELF header, one segment, code).
func jumpTo(t *testing.T, address uint64) []byte {
	t.Helper()
	const base, headers = 0x400000, 64 + 56
	code := binary.LittleEndian.AppendUint64([]byte{0x48, 0xb8}, address) // mov $address, %rax
	code = append(code, 0xff, 0xe0)                                       // jmp *%rax
	var out bytes.Buffer
	for _, field := range []any{
		[]byte("\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00"),
		uint16(2), uint16(62), uint32(1), // executable, x86-64
		uint64(base + headers), uint64(64), uint64(0), uint32(0), // entry, segments, sections
		uint16(64), uint16(56), uint16(1), uint16(0), uint16(0), uint16(0),
		uint32(1), uint32(5), // loaded, readable and executable
		uint64(0), uint64(base), uint64(base),
		uint64(headers + len(code)), uint64(headers + len(code)), uint64(0x1000),
		code,
	} {
		require.NoError(t, binary.Write(&out, binary.LittleEndian, field))
	}
	return out.Bytes()
}
