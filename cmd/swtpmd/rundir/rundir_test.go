package rundir

import (
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// planted makes a directory with a listening admin socket below
// $XDG_RUNTIME_DIR, as a daemon does, and returns the socket's path.
func planted(t *testing.T, name string, dirMode, mode fs.FileMode) string {
	t.Helper()
	dir := filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), prefix+name)
	require.NoError(t, os.Mkdir(dir, 0o700))
	path := filepath.Join(dir, Admin)
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	require.NoError(t, os.Chmod(path, mode))
	require.NoError(t, os.Chmod(dir, dirMode))
	return path
}

// runtimeDirectory makes a short $XDG_RUNTIME_DIR.
func runtimeDirectory(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp("", "run")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	t.Setenv("XDG_RUNTIME_DIR", dir)
}

func TestFindAdminBelievesOnlyItsOwnUser(t *testing.T) {
	runtimeDirectory(t)
	planted(t, "1", 0o777, 0o600)
	planted(t, "2", 0o700, 0o666)
	link := filepath.Join(os.Getenv("XDG_RUNTIME_DIR"), prefix+"3")
	elsewhere := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(elsewhere, Admin), nil, 0o600))
	require.NoError(t, os.Symlink(elsewhere, link))

	_, err := FindAdmin()
	require.ErrorContains(t, err, "no running swtpmd found")
	assert.ErrorContains(t, err, "others may write to its directory (mode 0777)")
	assert.ErrorContains(t, err, "others may write to its socket (mode 0666)")
	assert.ErrorContains(t, err, link+" is no directory")

	own := planted(t, "4", 0o700, 0o600)
	found, err := FindAdmin()
	require.NoError(t, err)
	assert.Equal(t, own, found)

	if os.Getuid() == 0 {
		require.NoError(t, os.Lchown(own, 4321, -1))
		_, err := FindAdmin()
		assert.ErrorContains(t, err, "its socket belongs to user 4321")
		require.NoError(t, os.Lchown(own, 0, -1))
		require.NoError(t, os.Lchown(filepath.Dir(own), 4321, -1))
		_, err = FindAdmin()
		assert.ErrorContains(t, err, "its directory belongs to user 4321")
	}
}

func TestMakeMakesADirectoryThatIsFound(t *testing.T) {
	runtimeDirectory(t)
	dir, err := Make()
	require.NoError(t, err)
	l, err := net.Listen("unix", filepath.Join(dir, Admin))
	require.NoError(t, err)
	defer l.Close()
	found, err := FindAdmin()
	require.NoError(t, err)
	assert.Equal(t, filepath.Join(dir, Admin), found)
}
