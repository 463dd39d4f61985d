package files

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima/measure"
)

const mountTable = `22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime shared:1 master:2 - ext4 /dev/vda rw
40 27 0:41 / /mnt/a\040b rw,nosuid - fuse.sshfs user@host:/a\040b rw,user_id=0
41 27 0:42 / /x rw - fuse.a\040b.c s rw
42 27 0:43 /@ /btrfs rw - btrfs /dev/vdb rw,subvol=/@
`

func TestParseMountinfo(t *testing.T) {
	mounts, err := parseMountinfo(strings.NewReader(mountTable))
	require.NoError(t, err)
	assert.Equal(t, map[uint64]mount{
		22: {"0:21", "proc", "", "proc"},
		27: {"254:0", "ext4", "", "/dev/vda"},
		40: {"0:41", "fuse", "sshfs", "user@host:/a b"},
		41: {"0:42", "fuse", "a b.c", "s"},
		42: {"0:43", "btrfs", "", "/dev/vdb"},
	}, mounts)
	assert.True(t, mounts[40].fuse())
	assert.False(t, mounts[27].fuse())
	for text, line := range map[string]int{
		"\n": 1, "22 27 0:21 / /proc rw": 1, mountTable + "x 27 0:21 / /proc rw - proc proc rw": 6,
		"22 27 0:21 / /proc rw - proc": 1, "22 27 - proc proc rw": 1, mountTable + strings.Repeat("x", mountLineMax+1): 6,
	} {
		_, err := parseMountinfo(strings.NewReader(text))
		var wrong *mountinfoError
		require.ErrorAs(t, err, &wrong, "%.60q", text)
		assert.Equal(t, line, wrong.line, "%.60q", text)
	}
}

func FuzzParseMountinfo(f *testing.F) {
	f.Add(mountTable)
	f.Add(`1 2 3 4 5 6 - \1342.\040 \0`)
	f.Fuzz(func(t *testing.T, text string) {
		mounts, err := parseMountinfo(strings.NewReader(text))
		if err != nil {
			var wrong *mountinfoError
			require.ErrorAs(t, err, &wrong)
			return
		}
		for _, m := range mounts {
			require.NotContains(t, m.fsType, ".")
		}
	})
}

func TestParseUUID(t *testing.T) {
	uuid, ok := parseUUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")
	assert.True(t, ok)
	assert.Equal(t, byte(0x6b), uuid[0])
	assert.Equal(t, byte(0xc8), uuid[15])
	for _, s := range []string{"", "ABCD-1234", "6ba7b8109dad-11d1-80b4-00c04fd430c8-", "6ba7b810-9dad-11d1-80b4-00c04fd430cx"} {
		_, ok := parseUUID(s)
		assert.False(t, ok, s)
	}
}

const contexts = `# labels
/.*			system_u:object_r:default_t:s0
/usr(/.*)?		system_u:object_r:usr_t:s0
/usr/bin/.*	--	system_u:object_r:bin_t:s0
/usr/bin	-d	system_u:object_r:bin_dir_t:s0
/usr/(s)?bin/[^/]*sh	--	system_u:object_r:shell_exec_t:s0
/proc/.*	<<none>>
`

func TestFileContexts(t *testing.T) {
	rules, err := ParseContexts(strings.NewReader(contexts))
	require.NoError(t, err)
	for path, want := range map[string]string{
		"/etc/passwd": "default_t", "/usr": "usr_t", "/usr/share/x": "usr_t", "/usr/bin/ls": "bin_t", "/usr/bin": "usr_t",
		"/usr/sbin/zsh": "shell_exec_t", "/usr/bin/bash": "shell_exec_t", "/usr/bin/bash/x": "bin_t", "/proc/1/maps": "", "x": "",
	} {
		label, ok := rules.Label(path)
		assert.Equal(t, want != "", ok, path)
		assert.Equal(t, want, label.Type, path)
	}
	for text, line := range map[string]int{
		"/x": 1, "/x a:b:c d e": 1, "/x a:b": 1, "/x -- a::c": 1, "/x -q a:b:c": 1, "/x x a:b:c": 1, "#\n\n/(x a:b:c": 3,
		strings.Repeat("x", contextLineMax+1): 1, strings.Repeat("#"+strings.Repeat("x", 1<<13)+"\n", 1100): 1023,
	} {
		_, err := ParseContexts(strings.NewReader(text))
		var wrong *ContextsError
		require.ErrorAs(t, err, &wrong, "%.40q", text)
		assert.Equal(t, line, wrong.Line, "%.40q", text)
	}
}

func FuzzParseContexts(f *testing.F) {
	f.Add(contexts, "/usr/bin/ls")
	f.Add("a|b -- u:r:t\n(?i)/X u:r:t:s0:c1", "b")
	f.Fuzz(func(t *testing.T, text, path string) {
		rules, err := ParseContexts(strings.NewReader(text))
		if err != nil {
			var wrong *ContextsError
			require.ErrorAs(t, err, &wrong)
			return
		}
		label, ok := rules.Label(path)
		require.Equal(t, label != measure.Label{}, ok)
		// The stem only saves work.
		for i := range rules {
			require.False(t, rules[i].pattern.MatchString(path) && !strings.HasPrefix(path, rules[i].stem), "%q", rules[i].stem)
		}
	})
}

func TestParseLabel(t *testing.T) {
	label, ok := ParseLabel("unconfined_u:unconfined_r:unconfined_t:s0-s0:c0.c1023\n")
	assert.True(t, ok)
	assert.Equal(t, measure.Label{User: "unconfined_u", Role: "unconfined_r", Type: "unconfined_t"}, label)
	for _, s := range []string{"", "a", "a:b", "a:b:", ":b:c", "unconfined", "\x00"} {
		_, ok := ParseLabel(s)
		assert.False(t, ok, s)
	}
}
