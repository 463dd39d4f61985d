package initcall_test

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// Addresses of the kernel of smallMap.
const (
	mStartKernel = 0xffffffff81001000
	mOneInitcall = 0xffffffff81002000
	mInit        = 0xffffffff81003000
	mBanner      = 0xffffffff82000000
	mCommandLine = 0xffffffff82000800 // a pointer to mWords
	mWords       = 0xffffffff82000900
	mTable       = 0xffffffff83000000
	mFunctions   = 0xffffffff81100000 // 0x100 bytes each, in the table's order
	mStack       = 0xffffc90000001000
)

// smallInitcalls are a kernel's, in link order.
var smallInitcalls = []string{
	"kmod_a__1_2_migration_initearly",
	"kmod_a__2_2_ipc_ns_init0",
	"kmod_a__3_2_ksysfs_init1",
	"kmod_a__4_2___gnttab_init1s",
	"kmod_a__5_2_populate_rootfsrootfs",
	"kmod_a__6_2_tis_init6",
	"kmod_a__7_2_init_ima7",
	"kmod_a__8_2_other7",
	"kmod_a__9_2_clk_disable_unused7s",
	"kmod_a__10_2_software_resume7s",
}

// function returns where the initcall of this index is.
func function(i int) uint64 { return mFunctions + uint64(i)*0x100 }

// smallMap is the System.map of a kernel with smallInitcalls.
func smallMap() string {
	var b strings.Builder
	line := func(address uint64, kind, name string) { fmt.Fprintf(&b, "%016x %s %s\n", address, kind, name) }
	line(0, "A", "fixed_percpu_data")
	line(mStartKernel, "T", "start_kernel")
	line(mOneInitcall, "T", "do_one_initcall")
	line(mOneInitcall+0x200, "t", "do_one_initcall.cold")
	line(mInit, "t", "run_init_process.constprop.0")
	for i, id := range smallInitcalls {
		_, name, _ := strings.Cut(strings.TrimRight(strings.TrimPrefix(id, "kmod_a__"), "s0167"), "_2_")
		line(function(i), "t", strings.TrimSuffix(strings.TrimSuffix(name, "early"), "rootfs"))
	}
	// TrimSuffix has made populate_ of it.
	line(function(4), "t", "populate_rootfs")
	line(mBanner, "D", "linux_banner")
	line(mCommandLine, "D", "saved_command_line")
	line(mTable, "D", "__initcall_start")
	for i, id := range smallInitcalls {
		line(mTable+4*uint64(i), "d", "__initcall__"+id)
	}
	line(mTable+4*uint64(len(smallInitcalls)), "D", "__initcall_end")
	b.WriteString("ffffffffc0000000 t init_module\t[tpm_vtpm_proxy]\n")
	return b.String()
}

// step is where a processor of the stub's guest comes to.
type step struct {
	at     uint64
	user   bool   // a process is there
	caller uint64 // of a function; do_one_initcall if 0
	then   func() // called before the guest comes there
}

func booted() []step {
	steps := []step{{at: mStartKernel}}
	for i := range smallInitcalls {
		steps = append(steps, step{at: function(i)})
	}
	return append(steps, step{at: mInit})
}

// stub is QEMU's gdbstub with a guest that goes through steps: a debugger that
// stops it late, or does not let it go on, is found out.
type stub struct {
	conn   net.Conn
	arch   string // i386:x86-64 if empty
	banner string
	words  string // the kernel's command line
	wrong  map[uint64][]byte
	steps  []step
	// stands, if set, is told each place that the guest is asked for, and gives
	// the one to tell.
	stands func(at uint64) uint64

	mu      sync.Mutex
	next    int // of steps; the guest is at the one before
	running bool
	points  map[uint64]bool
	most    int      // breakpoints at a time
	thread  string   // that registers are asked of
	asked   []string // commands
	over    chan struct{}
}

func (s *stub) send(content string) {
	var sum byte
	for i := range len(content) {
		sum += content[i]
	}
	fmt.Fprintf(s.conn, "+$%s#%02x", content, sum)
}

// serve serves one debugger until it has gone.
func (s *stub) serve() {
	defer close(s.over)
	buf := make([]byte, 1)
	packet := []byte(nil)
	for {
		if _, err := s.conn.Read(buf); err != nil {
			return
		}
		b := buf[0]
		s.mu.Lock()
		running := s.running
		s.running = false
		s.mu.Unlock()
		switch {
		case running: // the byte stops the guest, and is lost
			s.send("T02thread:01;")
		case packet == nil && b == '$':
			packet = []byte{}
		case packet == nil: // + and 3
		case len(packet) >= 3 && packet[len(packet)-2] == '#':
			command := string(packet[:len(packet)-2])
			packet = nil
			if answer := s.answer(command); answer != "running" {
				s.send(answer)
			}
		default:
			packet = append(packet, b)
		}
	}
}

func (s *stub) answer(command string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, command)
	name, argument := command[:1], command[1:]
	switch {
	case strings.HasPrefix(command, "qSupported"):
		return "PacketSize=1000;qXfer:features:read+;vContSupported+"
	case command == "vCont?":
		return "vCont;c;C;s;S"
	case strings.HasPrefix(command, "qXfer:features:read:target.xml:"):
		arch := s.arch
		if arch == "" {
			arch = "i386:x86-64"
		}
		return "l<target><architecture>" + arch + "</architecture></target>"
	case strings.HasPrefix(command, "vCont;"):
		return s.resume(strings.TrimPrefix(command, "vCont;"))
	case strings.HasPrefix(command, "Hg"):
		s.thread = command[2:]
		return "OK"
	case name == "Z" || name == "z":
		address, err := strconv.ParseUint(strings.Split(argument, ",")[1], 16, 64)
		if err != nil {
			return "E22"
		}
		s.points[address] = true
		if name == "z" {
			delete(s.points, address)
		}
		s.most = max(s.most, len(s.points))
		return "OK"
	case name == "p":
		return s.register(argument)
	case name == "m":
		return s.memory(argument)
	case name == "D":
		clear(s.points)
		s.running = true
		return "OK"
	}
	return ""
}

// resume lets the guest run to its next stop.
func (s *stub) resume(action string) string {
	if strings.HasPrefix(action, "s") {
		if s.points[s.steps[s.next-1].at] {
			return "T05thread:01;" // where it was
		}
		s.next = -s.next // beyond that place
		return "T05thread:01;"
	}
	if s.next < 0 {
		s.next = -s.next
	} else if s.next > 0 && s.points[s.steps[s.next-1].at] {
		return "T05thread:01;" // QEMU stops again at a breakpoint that is still there
	}
	for s.next < len(s.steps) {
		if then := s.steps[s.next].then; then != nil {
			then()
		}
		s.next++
		if s.points[s.steps[s.next-1].at] {
			return "T05thread:01;"
		}
	}
	s.running = true
	return "running"
}

func (s *stub) register(number string) string {
	at := s.steps[max(s.next, -s.next)-1]
	caller := at.caller
	if caller == 0 {
		caller = mOneInitcall + 0x59
	}
	pc := at.at
	if s.stands != nil && (number == "10" || number == "20") {
		if pc = s.stands(pc); pc != at.at {
			s.next = -s.next
		}
	}
	value := map[string]uint64{"10": pc, "7": mStack, "20": pc, "1e": caller}[number]
	state := uint32(0x10)
	switch {
	case s.arch == "aarch64" && at.user:
		state = 0
	case s.arch == "aarch64":
		state = 0x5
	case at.user:
		state = 0x33
	}
	if number == "12" || number == "21" {
		return hex.EncodeToString(binary.LittleEndian.AppendUint32(nil, state))
	}
	return hex.EncodeToString(binary.LittleEndian.AppendUint64(nil, value))
}

func (s *stub) memory(argument string) string {
	var address uint64
	var n int
	if _, err := fmt.Sscanf(argument, "%x,%x", &address, &n); err != nil {
		return "E22"
	}
	data := make([]byte, n)
	put := func(at uint64, what []byte) {
		for i := range what {
			if j := at + uint64(i) - address; j < uint64(n) {
				data[j] = what[i]
			}
		}
	}
	put(mBanner, []byte(s.banner))
	put(mCommandLine, binary.LittleEndian.AppendUint64(nil, mWords))
	put(mWords, []byte(s.words+"\x00"))
	for i := range smallInitcalls {
		entry := mTable + 4*uint64(i)
		put(entry, binary.LittleEndian.AppendUint32(nil, uint32(function(i)-entry)))
	}
	caller := s.steps[max(s.next, -s.next, 1)-1].caller
	if caller == 0 {
		caller = mOneInitcall + 0x59
	}
	put(mStack, binary.LittleEndian.AppendUint64(nil, caller))
	for at, what := range s.wrong {
		if what == nil && address <= at && at < address+uint64(n) {
			return "E14"
		}
		put(at, what)
	}
	return hex.EncodeToString(data)
}

// gdb is a GDB with what it has told.
type gdb struct {
	*initcall.GDB
	clock   *initcall.Clock
	mu      sync.Mutex
	events  []initcall.Event
	doubts  []initcall.Doubt
	refused []error
	found   []string
}

func newGDB(t *testing.T) *gdb {
	t.Helper()
	return gdbOf(t, smallMap())
}

func gdbOf(t *testing.T, systemMap string) *gdb {
	t.Helper()
	m, err := initcall.ReadSystemMap(strings.NewReader(systemMap))
	require.NoError(t, err)
	g := &gdb{clock: new(initcall.Clock)}
	g.clock.Subscribe(func(e initcall.Event) { g.mu.Lock(); g.events = append(g.events, e); g.mu.Unlock() })
	g.GDB = initcall.NewGDB(g.clock, m)
	g.Doubted = func(d initcall.Doubt) { g.mu.Lock(); g.doubts = append(g.doubts, d); g.mu.Unlock() }
	g.Refused = func(err error) { g.mu.Lock(); g.refused = append(g.refused, err); g.mu.Unlock() }
	g.Found = func(banner string) { g.mu.Lock(); g.found = append(g.found, banner); g.mu.Unlock() }
	return g
}

const smallBanner = "Linux version 6.1.0 (gcc)\n\x00 more"

// follows has g follow stubs that connect one after the other, until the guest of
// each has nothing more to do or the connection ends, and returns when all is over.
func (g *gdb) follows(t *testing.T, stubs ...*stub) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "g")
	source, err := initcall.ParseSource("unix:" + path)
	require.NoError(t, err)
	feed, err := source.Open()
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- g.Follow(ctx, feed) }()
	for i, s := range stubs {
		s.conn, err = net.Dial("unix", path)
		require.NoError(t, err)
		s.points, s.over = make(map[uint64]bool), make(chan struct{})
		if s.banner == "" {
			s.banner = smallBanner
		}
		through := make(chan struct{})
		s.steps = append(s.steps, step{then: func() { close(through) }})
		go s.serve()
		select {
		case <-through:
		case <-s.over:
		case <-t.Context().Done():
		}
		if i == len(stubs)-1 {
			stop()
		} else {
			s.conn.Close()
		}
		transporttest.Receive(t, s.over)
	}
	require.ErrorIs(t, transporttest.Receive(t, ended), context.Canceled)
	last := stubs[len(stubs)-1]
	last.mu.Lock()
	defer last.mu.Unlock()
	assert.Empty(t, last.points, "breakpoints that stay")
}

func bootLevels(events []initcall.Event) string {
	var names []string
	for _, e := range events {
		names = append(names, fmt.Sprintf("%d%s", e.Boot, e.Level))
	}
	return strings.Join(names, " ")
}

// wholeBoot are the levels of smallInitcalls.
const wholeBoot = "1firmware 1kernel 1early 1pure 1core 1core_sync 1rootfs 1device 1late 1late_sync 1userspace"

// second is wholeBoot once more.
var second = strings.ReplaceAll(wholeBoot, "1", "2")

func TestGDBFollowsABoot(t *testing.T) {
	for _, arch := range []string{"i386:x86-64", "aarch64"} {
		g := newGDB(t)
		g.Reset("power")
		s := &stub{arch: arch, steps: booted()}
		g.follows(t, s)
		assert.Equal(t, wholeBoot, bootLevels(g.events), arch)
		assert.Equal(t, "breakpoint at clk_disable_unused, called by do_one_initcall", g.events[9].Cause)
		assert.Equal(t, "breakpoint at run_init_process.constprop.0", g.events[10].Cause)
		assert.Empty(t, g.doubts)
		assert.Empty(t, g.refused)
		assert.Equal(t, []string{"Linux version 6.1.0 (gcc)"}, g.found)
		assert.LessOrEqual(t, s.most, 4, "processors have four breakpoints")
	}
}

// TestGDBMovesTheClockWhileTheGuestStands: before the first initcall of the level
// has run.
func TestGDBMovesTheClockWhileTheGuestStands(t *testing.T) {
	g := newGDB(t)
	steps := booted()
	steps[2].then = func() { assert.Equal(t, initcall.Early, g.clock.Level()) }
	steps[7].then = func() { assert.Equal(t, initcall.Device, g.clock.Level()) }
	steps[8].then = func() { assert.Equal(t, initcall.Late, g.clock.Level()) }
	steps[10].then = func() { assert.Equal(t, initcall.LateSync, g.clock.Level()) }
	g.follows(t, &stub{steps: steps})
	assert.Equal(t, strings.TrimPrefix(wholeBoot, "1firmware "), bootLevels(g.events))
}

// TestGDBIsNotForged: a process that jumps to what shows a level stops the guest,
// as on real processors, and moves nothing; nor does a kernel function that calls
// an initcall's function.
func TestGDBIsNotForged(t *testing.T) {
	for _, arch := range []string{"i386:x86-64", "aarch64"} {
		g := newGDB(t)
		g.Reset("power")
		steps := booted()
		forged := []step{
			{at: function(6), user: true},           // late
			{at: function(8), user: true},           // late_sync
			{at: mInit, user: true},                 // userspace
			{at: mStartKernel, user: true},          // a new boot
			{at: function(6), caller: mInit + 0x10}, // late
		}
		steps = append(append(append([]step{}, steps[:7]...), forged...), steps[7:]...)
		s := &stub{arch: arch, steps: steps}
		g.follows(t, s)
		assert.Equal(t, wholeBoot, bootLevels(g.events), arch)
		assert.Contains(t, s.asked, "vCont;s:01", "other processors stand when no breakpoint is there")
		assert.NotContains(t, s.asked, "vCont;s")
		var told []string
		for _, d := range g.doubts {
			assert.Equal(t, initcall.Device, d.Level)
			told = append(told, d.Line+": "+d.Reason)
		}
		assert.Equal(t, []string{
			"breakpoint at init_ima: a process has jumped there",
			"breakpoint at clk_disable_unused: a process has jumped there",
			"breakpoint at run_init_process.constprop.0: a process has jumped there",
			"breakpoint at start_kernel: a process has jumped there",
			"breakpoint at init_ima: something else than do_one_initcall has called it",
		}, told)
	}
}

func TestGDBDoubtsAreBounded(t *testing.T) {
	g := newGDB(t)
	steps := booted()[:2]
	for range 1000 {
		steps = append(steps, step{at: mInit, user: true})
	}
	g.follows(t, &stub{steps: steps})
	assert.Len(t, g.doubts, initcall.MaxDoubts)
}

// TestGDBTheNextBoot: with a Reset it is the next one; without, a kernel that
// starts counts only if nobody sees the power, or if kexec is followed.
func TestGDBTheNextBoot(t *testing.T) {
	twice := func() []step { return append(booted(), booted()...) }

	g := newGDB(t)
	g.Reset("power")
	steps := twice()
	steps[len(booted())].then = func() { g.Reset("button") }
	g.follows(t, &stub{steps: steps})
	assert.Equal(t, wholeBoot+" "+second, bootLevels(g.events))

	g = newGDB(t)
	g.Reset("power")
	g.follows(t, &stub{steps: twice()})
	assert.Equal(t, wholeBoot, bootLevels(g.events))
	require.Len(t, g.doubts, 1)
	assert.Equal(t, "no reset came before this kernel", g.doubts[0].Reason)

	g = newGDB(t)
	g.Reset("power")
	g.FollowKexec = true
	g.follows(t, &stub{steps: twice()})
	assert.Equal(t, wholeBoot+" "+second, bootLevels(g.events))

	g = newGDB(t)
	g.follows(t, &stub{steps: twice()})
	assert.Equal(t, strings.TrimPrefix(wholeBoot+" "+second, "1firmware "), bootLevels(g.events))
}

// TestGDBAReset: in the middle of a boot, and while the guest stands.
func TestGDBAReset(t *testing.T) {
	g := newGDB(t)
	g.Reset("power")
	steps := append(booted()[:5:5], booted()...)
	steps[5].then = func() { g.Reset("button") }
	g.follows(t, &stub{steps: steps})
	assert.Equal(t, "1firmware 1kernel 1early 1pure 1core 1core_sync "+second, bootLevels(g.events))

	// While the guest stands at late: its registers are a new machine's.
	g = newGDB(t)
	g.Reset("power")
	reset := &stub{steps: append(booted()[:8:8], step{at: function(8)}, step{at: 0x7c00})}
	reset.steps[9].then = func() {
		assert.Equal(t, map[uint64]bool{mStartKernel: true}, reset.points, "those of the old kernel are gone")
	}
	reset.stands = func(at uint64) uint64 {
		if at == function(6) {
			g.Reset("button")
			return 0xfff0
		}
		return at
	}
	g.follows(t, reset) // another kernel has code where this one has late_sync's
	assert.Equal(t, strings.Split(wholeBoot, " 1late ")[0]+" 2firmware", bootLevels(g.events))
}

// TestGDBNextGuest: a QEMU that ends and another one.
func TestGDBNextGuest(t *testing.T) {
	g := newGDB(t)
	g.Reset("power")
	next := &stub{steps: booted()}
	next.steps[0].then = func() { g.Reset("power") }
	g.follows(t, &stub{steps: booted()}, next)
	assert.Equal(t, wholeBoot+" "+second, bootLevels(g.events))
}

// TestGDBBlacklist: the first initcall of a level is not called.
func TestGDBBlacklist(t *testing.T) {
	g := newGDB(t)
	g.Reset("power")
	steps := booted()
	without := append(append(append([]step{}, steps[:2]...), steps[3:9]...), steps[10:]...) // ipc_ns_init, clk_disable_unused
	s := &stub{steps: without, words: "quiet initcall_blacklist=ipc_ns_init,clk_disable_unused nokaslr"}
	g.follows(t, s)
	assert.Equal(t, strings.Replace(wholeBoot, "1pure ", "", 1), bootLevels(g.events), "pure has no other")
	assert.Contains(t, g.events[8].Cause, "software_resume")
	assert.LessOrEqual(t, s.most, 4)
}

// TestGDBOneFunctionAtTwoLevels: its second call shows nothing, nor does the first
// show the second's level.
func TestGDBOneFunctionAtTwoLevels(t *testing.T) {
	g := gdbOf(t, strings.Replace(smallMap(), "__9_2_clk_disable_unused7s", "__9_2_init_ima7s", 1))
	g.Reset("power")
	entry := uint64(mTable + 4*8)
	steps := booted()
	steps[9].at = function(6)
	g.follows(t, &stub{steps: steps, wrong: map[uint64][]byte{
		entry: binary.LittleEndian.AppendUint32(nil, uint32(function(6)-entry)),
	}})
	assert.Equal(t, wholeBoot, bootLevels(g.events))
	assert.Contains(t, g.events[8].Cause, "init_ima")
	assert.Contains(t, g.events[9].Cause, "software_resume")
	assert.Empty(t, g.doubts)
}

func TestGDBAnotherKernel(t *testing.T) {
	var wrong *initcall.WrongKernelError
	for _, c := range []struct {
		memory map[uint64][]byte
		banner string
		says   string
	}{
		{banner: "nothing of Linux", says: "there is no banner at 0xffffffff82000000"},
		{memory: map[uint64][]byte{mBanner: nil}, says: "it has no memory at 0xffffffff82000000"},
		{memory: map[uint64][]byte{mTable: nil}, says: "it has no memory at 0xffffffff83000000"},
		{memory: map[uint64][]byte{mTable + 24: {0, 0, 0, 1}}, says: "(Linux version 6.1.0 (gcc)) is not that of the System.map: its initcall 6 is at 0xffffffff84000018, where the map has no init_ima"},
	} {
		g := newGDB(t)
		g.Reset("power")
		g.follows(t, &stub{banner: c.banner, wrong: c.memory, steps: booted()})
		assert.Equal(t, "1firmware", bootLevels(g.events))
		require.Len(t, g.refused, 1, c.says)
		require.ErrorAs(t, g.refused[0], &wrong)
		assert.ErrorContains(t, wrong, c.says)
		assert.ErrorContains(t, wrong, "nokaslr")
		assert.Empty(t, g.found)
	}
}

func TestGDBAnotherMachine(t *testing.T) {
	g := newGDB(t)
	g.follows(t, &stub{arch: "powerpc:common64", steps: booted()}, &stub{arch: "powerpc:common64", steps: booted()}, &stub{steps: booted()})
	require.Len(t, g.refused, 1, "told once")
	var other *initcall.MachineError
	require.ErrorAs(t, g.refused[0], &other)
	assert.Equal(t, "powerpc:common64", other.Name)
	assert.Contains(t, bootLevels(g.events), "1userspace", "the next guest is followed")
}

func TestGDBNeedsASocket(t *testing.T) {
	feed, err := initcall.ReaderSource(strings.NewReader("")).Open()
	require.NoError(t, err)
	var wrong *initcall.SourceError
	require.ErrorAs(t, newGDB(t).Follow(t.Context(), feed), &wrong)
}

// FuzzGDB answers with any bytes what a debugger asks: nothing breaks, and levels
// only move forward.
func FuzzGDB(f *testing.F) {
	f.Add([]byte("+$PacketSize=1000#a0+$vCont;c;C;s;S#62+$l<architecture>aarch64</architecture>#00+$OK#9a$T05thread:01;#07"))
	f.Add([]byte("+$#00"))
	f.Fuzz(func(t *testing.T, answers []byte) {
		g := newGDB(t)
		ours, theirs := net.Pipe()
		go func() { _, _ = io.Copy(io.Discard, theirs) }()
		go func() { _, _ = theirs.Write(answers); theirs.Close() }()
		_ = g.Attach(t.Context(), ours)
		last := initcall.Firmware
		for _, e := range g.events {
			require.Greater(t, e.Level, last)
			last = e.Level
		}
	})
}
