package lab

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestProgramIsInstalledWhenItIsMissing is about the PATH and therefore not
// parallel.
func TestProgramIsInstalledWhenItIsMissing(t *testing.T) {
	bin := t.TempDir()
	t.Setenv("PATH", bin)
	var executed []string
	broken := true
	apt := &Apt{Cache: t.TempDir(), Progress: io.Discard, Exec: func(_ context.Context, _ string, argv ...string) (string, error) {
		line := strings.Join(argv, " ")
		executed = append(executed, line)
		switch {
		case strings.Contains(line, " update"):
			broken = false
		case broken:
			return "", errors.New("E: Unable to locate package")
		default:
			return "", os.WriteFile(filepath.Join(bin, "qemu-system-x86_64"), nil, 0o755)
		}
		return "", nil
	}}

	_, err := program(t.Context(), apt, "qemu-system-x86_64", "qemu-system-x86", false)
	var setup *SetupError
	require.ErrorAs(t, err, &setup)
	assert.Contains(t, err.Error(), "qemu-system-x86")
	assert.Empty(t, executed, "nothing is installed unasked")

	path, err := program(t.Context(), apt, "qemu-system-x86_64", "qemu-system-x86", true)
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(bin, "qemu-system-x86_64"), path)
	require.Len(t, executed, 3, "install, update, install")
	for _, line := range executed {
		assert.Contains(t, line, "DPkg::Lock::Timeout=600")
	}
	assert.Contains(t, executed[2], "install -y -q --no-install-recommends qemu-system-x86")

	_, err = program(t.Context(), apt, "qemu-system-x86_64", "qemu-system-x86", true)
	require.NoError(t, err)
	assert.Len(t, executed, 3, "it is there now")
}

func TestIsStatic(t *testing.T) {
	t.Parallel()
	assert.False(t, isStatic("guest.sh"), "no ELF file")
	assert.False(t, isStatic("no-such-file"))
	shell, err := filepath.EvalSymlinks("/bin/sh")
	require.NoError(t, err)
	static, err := os.ReadFile(shell)
	require.NoError(t, err)
	assert.Equal(t, !strings.Contains(string(static), "/ld-linux"), isStatic(shell))
}

func TestCacheDir(t *testing.T) {
	dir, err := CacheDir(filepath.Join(t.TempDir(), "a", "b"))
	require.NoError(t, err)
	assert.DirExists(t, dir)

	base := t.TempDir()
	t.Setenv("XDG_CACHE_HOME", base)
	dir, err = CacheDir("")
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(base, "swtpmd"), dir)

	_, err = CacheDir(filepath.Join("guest.sh", "below-a-file"))
	var setup *SetupError
	assert.ErrorAs(t, err, &setup)
}
