package lab

import (
	"bytes"
	"compress/gzip"
	"io"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// entry is one entry of a cpio archive.
type entry struct {
	mode         uint64
	major, minor uint64
	content      string
}

// readArchive reads a newc archive, by the offsets of its description
// (Linux: Documentation/driver-api/early-userspace/buffer-format.rst).
func readArchive(t *testing.T, archive []byte) map[string]entry {
	t.Helper()
	all := map[string]entry{}
	for at := 0; ; {
		require.Zero(t, at%4, "every header is aligned")
		require.GreaterOrEqual(t, len(archive), at+110)
		header := archive[at : at+110]
		require.Equal(t, "070701", string(header[:6]))
		number := func(i int) uint64 {
			n, err := strconv.ParseUint(string(header[6+8*i:14+8*i]), 16, 32)
			require.NoError(t, err)
			return n
		}
		size, nameSize := int(number(6)), int(number(11))
		name := string(archive[at+110 : at+110+nameSize-1])
		require.Zero(t, archive[at+110+nameSize-1])
		data := (at + 110 + nameSize + 3) &^ 3
		if name == "TRAILER!!!" {
			return all
		}
		require.NotContains(t, all, name)
		all[name] = entry{mode: number(1), major: number(9), minor: number(10), content: string(archive[data : data+size])}
		at = (data + size + 3) &^ 3
	}
}

func unzip(t *testing.T, image []byte) []byte {
	t.Helper()
	z, err := gzip.NewReader(bytes.NewReader(image))
	require.NoError(t, err)
	archive, err := io.ReadAll(z)
	require.NoError(t, err)
	return archive
}

func TestInitramfsHoldsWhatTheGuestNeeds(t *testing.T) {
	t.Parallel()
	image, err := Initramfs(Contents{Busybox: []byte("busy"), Policy: []byte("measure func=BPRM_CHECK\n")})
	require.NoError(t, err)
	all := readArchive(t, unzip(t, image))
	assert.Equal(t, entry{mode: 0o100755, content: string(guestInit)}, all["init"])
	assert.Equal(t, entry{mode: 0o100755, content: "busy"}, all["bin/busybox"])
	assert.Equal(t, entry{mode: 0o120777, content: "busybox"}, all["bin/grep"])
	assert.Equal(t, entry{mode: 0o020600, major: 5, minor: 1}, all["dev/console"])
	assert.Equal(t, entry{mode: 0o040755}, all["proc"])
	assert.Equal(t, "measure func=BPRM_CHECK\n", all["policy"].content)

	image, err = Initramfs(Contents{Busybox: []byte("busy")})
	require.NoError(t, err)
	assert.NotContains(t, readArchive(t, unzip(t, image)), "policy")
}

func TestInitramfsIsTheSameEachTime(t *testing.T) {
	t.Parallel()
	a, err := Initramfs(Contents{Busybox: []byte("busy")})
	require.NoError(t, err)
	b, err := Initramfs(Contents{Busybox: []byte("busy")})
	require.NoError(t, err)
	assert.Equal(t, a, b)
}

func TestCpioReadsTheInitramfs(t *testing.T) {
	t.Parallel()
	cpio, err := exec.LookPath("cpio")
	if err != nil {
		t.Skip("no cpio on this machine: ", err)
	}
	image, err := Initramfs(Contents{Busybox: []byte("odd")})
	require.NoError(t, err)
	cmd := exec.Command(cpio, "--list", "--quiet")
	cmd.Stdin = bytes.NewReader(unzip(t, image))
	out, err := cmd.Output()
	require.NoError(t, err)
	names := strings.Fields(string(out))
	assert.Contains(t, names, "init")
	assert.Contains(t, names, "bin/usleep")
}

// commandWord finds the words that stand where a command does, the shell's own
// among them.
var commandWord = regexp.MustCompile(`(?m)(?:^|[|;(]|\bdo\b|\bthen\b|&&)\s*([a-z0-9]+)\b`)

// The kernel looks for each archive at a multiple of 4.
func TestJoinedInitramfses(t *testing.T) {
	t.Parallel()
	second := []byte("second")
	for first, want := range map[string]string{"": "second", "1234": "1234second", "12345": "12345\x00\x00\x00second"} {
		assert.Equal(t, want, string(joinInitramfs([]byte(first), second)))
	}
}

func TestEveryAppletIsCalledAndEveryCallHasOne(t *testing.T) {
	t.Parallel()
	script := string(guestInit)
	for _, applet := range applets {
		if applet != "sh" {
			assert.Regexp(t, `(?m)(^|[\s(|])`+applet+` `, script, "an applet that guest.sh does not use")
		}
	}
	own := []string{"export", "stty", "exec", "echo", "item", "items", "bound", "lines", "probed", "collect", "await", "bind",
		"policy", "for", "do", "done", "if", "then", "fi", "while", "case", "in", "esac", "false", "left",
		"port", "ima", "tpm", "size", "hash", "read", "return", "continue"}
	for _, line := range strings.Split(script, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for _, m := range commandWord.FindAllStringSubmatch(line, -1) {
			assert.True(t, slices.Contains(applets, m[1]) || slices.Contains(own, m[1]), "%q in %q has no applet", m[1], line)
		}
	}
}
