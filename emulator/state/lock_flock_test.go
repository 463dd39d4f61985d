//go:build unix && !aix && !solaris

package state

import (
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A process that is being started has all open files of its parent for a
// moment. That must not keep the lock.
func TestLockIsReleasedBeforeItsFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer root.Close()
	f, err := openLock(root, dir, directoryLock)
	require.NoError(t, err)
	inherited, err := syscall.Dup(int(f.Fd()))
	require.NoError(t, err)
	defer syscall.Close(inherited)
	_, err = openLock(root, dir, directoryLock)
	require.ErrorIs(t, err, errLockHeld)
	require.NoError(t, releaseLock(f))
	require.NoError(t, f.Close())
	f, err = openLock(root, dir, directoryLock)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}
