package initcall_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// The order is the link order of include/asm-generic/vmlinux.lds.h: INIT_CALLS.
const linkOrder = "firmware kernel early pure core core_sync postcore postcore_sync arch arch_sync subsys subsys_sync fs fs_sync rootfs device device_sync late late_sync userspace"

func TestLevelsAreInLinkOrder(t *testing.T) {
	var got []string
	for i, l := range initcall.Levels() {
		assert.Equal(t, initcall.Level(i), l)
		got = append(got, l.String())
	}
	assert.Equal(t, linkOrder, strings.Join(got, " "))
}

func TestParseLevel(t *testing.T) {
	for _, l := range initcall.Levels() {
		got, err := initcall.ParseLevel(l.String())
		require.NoError(t, err)
		assert.Equal(t, l, got)
	}
	for _, name := range []string{"", "Late", "late ", "late-sync", "latesync", "Level(20)", "console"} {
		_, err := initcall.ParseLevel(name)
		var unknown *initcall.UnknownLevelError
		require.ErrorAs(t, err, &unknown, "%q", name)
		assert.Equal(t, name, unknown.Name)
		assert.Contains(t, err.Error(), "late_sync", "the error lists the levels")
	}
}

func TestLevelAsText(t *testing.T) {
	type rule struct {
		Until initcall.Level `json:"until"`
	}
	text, err := json.Marshal(rule{Until: initcall.LateSync})
	require.NoError(t, err)
	assert.JSONEq(t, `{"until":"late_sync"}`, string(text))

	got := rule{Until: initcall.Core}
	require.NoError(t, json.Unmarshal([]byte(`{"until":"rootfs"}`), &got))
	assert.Equal(t, initcall.RootFS, got.Until)

	var unknown *initcall.UnknownLevelError
	require.ErrorAs(t, json.Unmarshal([]byte(`{"until":"never"}`), &got), &unknown)
	assert.Equal(t, initcall.RootFS, got.Until, "a refused text changes nothing")

	_, err = initcall.Level(20).MarshalText()
	require.ErrorAs(t, err, &unknown)
	assert.Equal(t, "Level(20)", unknown.Name)
}

func ExampleParseLevel() {
	level, err := initcall.ParseLevel("late_sync")
	fmt.Println(level > initcall.Late, err)
	_, err = initcall.ParseLevel("later")
	fmt.Println(err)
	// Output:
	// true <nil>
	// unknown initcall level "later"; the levels are firmware, kernel, early, pure, core, core_sync, postcore, postcore_sync, arch, arch_sync, subsys, subsys_sync, fs, fs_sync, rootfs, device, device_sync, late, late_sync, userspace
}
