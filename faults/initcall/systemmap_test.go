package initcall_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

func TestReadSystemMap(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(smallMap()), "\n")
	for i := range lines { // /proc/kallsyms is in no order
		j := (i * 7) % len(lines)
		lines[i], lines[j] = lines[j], lines[i]
	}
	for _, text := range []string{
		smallMap(),
		strings.Join(lines, "\n"),
		strings.ReplaceAll(smallMap(), "\n", "\r\n"),
		smallMap() + "                 U undefined\n\n",
		strings.ReplaceAll(smallMap(), "run_init_process.constprop.0", "rcu_end_inkernel_boot"),
		strings.ReplaceAll(smallMap(), "saved_command_line", "other"),
		// Before 5.11 the names are shorter, and there may be pointers in the table.
		wideMap("__initcall_tis_init6", "__initcall_clk7s"),
	} {
		_, err := initcall.ReadSystemMap(strings.NewReader(text))
		assert.NoError(t, err, "%.200s", text)
	}
}

// wideMap is a map with a table of pointers.
func wideMap(entries ...string) string {
	text := "1000 T start_kernel\n2000 T do_one_initcall\n3000 t run_init_process\n4000 D linux_banner\n5000 D __initcall_start\n"
	for i, name := range entries {
		text += fmt.Sprintf("%x d %s\n", 0x5000+8*i, name)
	}
	return text + fmt.Sprintf("%x D __initcall_end\n", 0x5000+8*len(entries))
}

func TestSystemMapErrors(t *testing.T) {
	whole := smallMap()
	without := func(name string) string {
		var kept []string
		for line := range strings.Lines(whole) {
			if !strings.Contains(line, name) {
				kept = append(kept, line)
			}
		}
		return strings.Join(kept, "")
	}
	for _, c := range []struct{ text, says string }{
		{"", "no symbol start_kernel"},
		{"ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n", "line 1"},
		{without("start_kernel"), "it has no symbol start_kernel; take System.map from where"},
		{without("run_init_process"), "it has no symbol run_init_process"},
		{without("do_one_initcall\n"), "it has no symbol do_one_initcall"},
		{without("linux_banner"), "it has no symbol linux_banner"},
		{without("__initcall__kmod"), "its initcalls have no names"},
		{without("__initcall_end"), "no table from __initcall_start"},
		{without("init_ima7"), "40 bytes for 9 names"},
		{strings.ReplaceAll(whole, "init_ima7", "init_ima0"), "init_ima of pure comes after tis_init of device"},
		{strings.ReplaceAll(whole, "ffffffff83000018 d", "ffffffff83000019 d"), "a gap before init_ima"},
		{whole + "ffffffff81001008 T start_kernel\n", "start_kernel stands there twice"},
		{"0000000000000000 T start_kernel\n0000000000000000 T do_one_initcall\n", "read /proc/kallsyms as root"},
		{"xyz T start_kernel\n", `line 1: "xyz" is not an address`},
		{"10000000000000000 T start_kernel\n", "is not an address"},
		{"1000 T " + strings.Repeat("x", 600) + "\n", "longer than a kernel symbol"},
		{strings.Repeat("x", 100_000), "line without end"},
		{"1000 T a\n1000 start_kernel\n", "line 2"},
	} {
		_, err := initcall.ReadSystemMap(strings.NewReader(c.text))
		var wrong *initcall.SystemMapError
		require.ErrorAs(t, err, &wrong, c.says)
		assert.ErrorContains(t, err, c.says)
		assert.Less(t, len(err.Error()), 500)
	}
	failed := errors.New("the disk is gone")
	_, err := initcall.ReadSystemMap(iotest.ErrReader(failed))
	assert.ErrorIs(t, err, failed)
}

func FuzzReadSystemMap(f *testing.F) {
	f.Add(smallMap())
	f.Add(wideMap("__initcall_tis_init6", "__initcall_clk7s"))
	f.Add("ffffffffffffffff T __initcall_start\n0 T __initcall_end\n")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := initcall.ReadSystemMap(strings.NewReader(text))
		if err != nil {
			var wrong *initcall.SystemMapError
			require.ErrorAs(t, err, &wrong)
			return
		}
		require.NotNil(t, m)
	})
}
