package main

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// twoInitcalls is the System.map of a kernel with a table of pointers.
const twoInitcalls = `1000 T start_kernel
2000 T do_one_initcall
3000 t run_init_process
4000 D linux_banner
5000 D __initcall_start
5000 d __initcall__kmod_ima__1_2_init_ima7
5008 d __initcall__kmod_clk__3_4_clk_disable_unused7s
5010 D __initcall_end
6000 t init_ima
6100 t clk_disable_unused
`

// gdbstub is QEMU's, with a guest that boots the kernel of twoInitcalls.
type gdbstub struct {
	t      *testing.T
	conn   net.Conn
	r      *bufio.Reader
	stops  []uint64 // where the guest comes to
	at     uint64   // where it is
	points map[string]bool
}

// boot answers the debugger until the guest runs and has nowhere to stop.
func (g *gdbstub) boot() {
	for {
		command, err := g.r.ReadString('#')
		require.NoError(g.t, err)
		_, err = g.r.Discard(2)
		require.NoError(g.t, err)
		_, command, _ = strings.Cut(strings.TrimSuffix(command, "#"), "$")
		if command != "vCont;c" {
			g.say(g.answer(command))
		} else if !g.resume() {
			return
		}
	}
}

// resume lets the guest run, and reports whether it has stopped again.
func (g *gdbstub) resume() bool {
	for len(g.stops) > 0 {
		g.at, g.stops = g.stops[0], g.stops[1:]
		if g.points[fmt.Sprintf("%x", g.at)] {
			g.say("T05thread:01;")
			return true
		}
	}
	return false
}

func (g *gdbstub) say(answer string) {
	var sum byte
	for i := range len(answer) {
		sum += answer[i]
	}
	_, err := fmt.Fprintf(g.conn, "+$%s#%02x", answer, sum)
	require.NoError(g.t, err)
}

func (g *gdbstub) answer(command string) string {
	words := func(values ...uint64) string {
		var b []byte
		for _, v := range values {
			b = binary.LittleEndian.AppendUint64(b, v)
		}
		return hex.EncodeToString(b)
	}
	switch {
	case strings.HasPrefix(command, "vCont;"):
		return "T05thread:01;"
	case strings.HasPrefix(command, "qXfer"):
		return "l<architecture>i386:x86-64</architecture>"
	case command[0] == 'Z' || command[0] == 'z':
		g.points[strings.Split(command, ",")[1]] = command[0] == 'Z'
		return "OK"
	case command[0] == 'H' || command[0] == 'D':
		return "OK"
	case command == "p12":
		return "10000000"
	case command == "p10":
		return words(g.at)
	case command == "p7":
		return words(0x7000)
	case command == "m7000,8":
		return words(0x2059)
	case command == "m4000,100":
		return hex.EncodeToString([]byte("Linux version 6.1.0\n")) + strings.Repeat("00", 256-20)
	case command == "m5000,10":
		return words(0x6000, 0x6100)
	}
	return "PacketSize=1000"
}

// TestLevelsByTheGdbstub: each level is in the status with the kernel's symbol, a
// reset begins the next boot, and QEMU is not asked for anything before there is
// power.
func TestLevelsByTheGdbstub(t *testing.T) {
	kernel := filepath.Join(t.TempDir(), "System.map")
	require.NoError(t, os.WriteFile(kernel, []byte(twoInitcalls), 0o600))
	d := daemonWith(t, "--defer-until=late_sync", "--levels=gdb", "--system-map="+kernel)
	assert.Equal(t, "nokaslr", d.ready.Append)
	assert.Contains(t, d.ready.QEMU, "-S")
	info, err := os.Stat(d.ready.GDB)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	conn, err := net.Dial("unix", d.ready.GDB)
	require.NoError(t, err)
	defer conn.Close()
	g := &gdbstub{t: t, conn: conn, r: bufio.NewReader(conn), points: map[string]bool{}}
	ctrl := connect(t, d.ready.Control)
	admin := control.NewClient(d.ready.Admin)
	for boot := 1; boot <= 2; boot++ {
		require.Equal(t, "00000000", asked(t, ctrl, cmdInit, 4))
		g.stops = append(g.stops, 0x1000, 0x6000, 0x6100, 0x3000)
		if boot == 2 {
			g.resume()
		}
		g.boot()
		status, err := admin.Status(t.Context())
		require.NoError(t, err)
		assert.Equal(t, initcall.Userspace, status.Now.Level)
		assert.Equal(t, boot, status.Now.Boot)
		causes := map[initcall.Level]string{}
		for _, e := range status.Levels {
			causes[e.Level] = e.Cause
		}
		assert.Equal(t, "breakpoint at init_ima, called by do_one_initcall", causes[initcall.Late])
		assert.Equal(t, "breakpoint at clk_disable_unused, called by do_one_initcall", causes[initcall.LateSync])
	}
	assert.Contains(t, d.log.String(), `banner="Linux version 6.1.0"`)
}

func TestSystemMapsThatAreRefused(t *testing.T) {
	kernel := filepath.Join(t.TempDir(), "System.map")
	require.NoError(t, os.WriteFile(kernel, []byte("ffffffffffffffff B The real System.map is elsewhere\n"), 0o600))
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--levels=gdb", "--system-map=" + kernel}, "System.map, line 1"},
		{[]string{"--levels=gdb", "--system-map=" + kernel + ".none"}, "no such file"},
		{[]string{"--levels=gdb"}, "add --system-map=FILE"},
		{[]string{"--levels=gdb:tcp:1234"}, "it is gdb or gdb:unix:PATH"},
		{[]string{"--levels=gdb:unix:"}, "path after gdb:unix: is missing"},
		{[]string{"--levels=kgdb"}, "it is gdb or gdb:unix:PATH"},
	} {
		code, out, errs := called(t, append([]string{"--dir", t.TempDir(), "--defer-until=late"}, c.args...)...)
		assert.Equal(t, exitUsage, code, c.says)
		assert.Empty(t, out)
		assert.Contains(t, errs, c.says)
	}
	code, _, errs := called(t, "socket", "--tpm2", "--ctrl", "type=unixio,path=/nowhere/c", "--defer-until=late", "--levels=gdb", "--system-map="+kernel)
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "say --levels=gdb:unix:PATH")
}
