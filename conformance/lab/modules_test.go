package lab

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Modules are fetched once, and only where that is wanted.
func TestModules(t *testing.T) {
	t.Parallel()
	f := &archiveFake{listed: "6.1", held: "6.1"}
	apt := fakeApt(t, f)
	image, err := DebianKernel(t.Context(), apt, Q35)
	require.NoError(t, err)
	var missing *SetupError
	_, err = Modules(t.Context(), apt, image, false, "drivers/char/tpm/a.ko")
	require.ErrorAs(t, err, &missing)
	for range 2 {
		dir, err := Modules(t.Context(), apt, image, true, "drivers/char/tpm/a.ko", "fs/fuse/b.ko")
		require.NoError(t, err)
		content, err := os.ReadFile(filepath.Join(dir, "b.ko"))
		require.NoError(t, err)
		assert.Equal(t, "fs/fuse/b.ko", string(content))
	}
	assert.EqualValues(t, 2, f.downloads.Load(), "the kernel and its modules")
	cached, err := CachedKernel(apt, Q35)
	require.NoError(t, err)
	assert.Equal(t, image, cached, "a folder of modules is no kernel")

	_, err = Modules(t.Context(), apt, filepath.Join(t.TempDir(), "bzImage"), true, "a.ko")
	require.ErrorAs(t, err, &missing)
}
