package state

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// diskOf mounts a file system of a size where only this goroutine sees it.
func diskOf(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	runtime.LockOSThread() // for good: the thread ends with the goroutine
	if err := syscall.Unshare(syscall.CLONE_NEWNS); err != nil {
		t.Skipf("a file system of one's own takes CAP_SYS_ADMIN: %v", err)
	}
	require.NoError(t, syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("no tmpfs: %v", err)
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	return dir
}

func TestFullFileSystem(t *testing.T) {
	t.Parallel()
	dir := diskOf(t, "256k")
	d, err := OpenDirectory(filepath.Join(dir, "tpm"), DirectoryOptions{})
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, d.Commit(generation(1)))
	require.NoError(t, d.Writable())
	fill := filepath.Join(dir, "fill")
	require.ErrorIs(t, os.WriteFile(fill, make([]byte, 1<<20), 0o600), syscall.ENOSPC)
	require.ErrorIs(t, d.Writable(), ErrUnavailable)
	require.ErrorIs(t, d.Commit(generation(2)), syscall.ENOSPC)
	assert.EqualValues(t, 1, numberOf(t, d))
	require.NoError(t, os.Remove(fill))
	require.NoError(t, d.Writable())
	require.NoError(t, d.Commit(generation(2)))
	assert.EqualValues(t, 2, numberOf(t, d))
}

func TestReadOnlyFileSystem(t *testing.T) {
	t.Parallel()
	dir := diskOf(t, "8m")              // room enough
	o := DirectoryOptions{NoLock: true} // an open lock file keeps a file system writable
	d, err := OpenDirectory(dir, o)
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, d.Commit(generation(1)))
	remount := func(flags uintptr) {
		require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|flags, ""))
	}
	remount(syscall.MS_RDONLY)
	require.ErrorIs(t, d.Writable(), ErrUnavailable)
	require.ErrorIs(t, d.Commit(generation(2)), syscall.EROFS)
	assert.EqualValues(t, 1, numberOf(t, d))
	_, err = OpenDirectory(dir, DirectoryOptions{})
	require.ErrorIs(t, err, syscall.EROFS, "it cannot be locked")
	again, err := OpenDirectory(dir, o)
	require.NoError(t, err)
	defer again.Close()
	assert.EqualValues(t, 1, numberOf(t, again))
	remount(0)
	require.NoError(t, d.Writable())
	require.NoError(t, d.Commit(generation(2)))
}

// proc(5) has no blocks to count; a statfs that fails says nothing either.
func TestRoomThatIsNotKnown(t *testing.T) {
	t.Parallel()
	dir, err := os.Open("/proc")
	require.NoError(t, err)
	for range 2 {
		room, readOnly := roomOf(dir)
		assert.EqualValues(t, plenty, room)
		assert.False(t, readOnly)
		dir.Close()
	}
}

// A file system can run out of files before it runs out of room.
func TestNoFilesLeft(t *testing.T) {
	t.Parallel()
	dir := diskOf(t, "8m,nr_inodes=4")
	d, err := OpenDirectory(dir, DirectoryOptions{})
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, d.Commit(generation(1)))
	require.NoError(t, d.Writable())
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x"), nil, 0o600))
	require.ErrorIs(t, d.Writable(), ErrUnavailable)
	require.ErrorIs(t, d.Commit(generation(2)), syscall.ENOSPC)
	assert.EqualValues(t, 1, numberOf(t, d))
}

// A TPM starts on a file system that is full or read-only; it will answer
// TPM_RC_NV_UNAVAILABLE where it needs to write.
func TestOpenDirectoryOnUnwritableFileSystem(t *testing.T) {
	t.Parallel()
	base := diskOf(t, "256k")
	dir := filepath.Join(base, "tpm")
	open := func() *Directory {
		t.Helper()
		d, err := OpenDirectory(dir, DirectoryOptions{})
		require.NoError(t, err)
		return d
	}
	d := open()
	require.NoError(t, d.Commit(generation(1)))
	require.NoError(t, d.Close())
	fill := filepath.Join(base, "fill")
	require.ErrorIs(t, os.WriteFile(fill, make([]byte, 1<<20), 0o600), syscall.ENOSPC)
	d = open()
	assert.ErrorIs(t, d.Writable(), ErrUnavailable)
	require.NoError(t, d.Close())
	require.NoError(t, os.Remove(fill))

	require.NoError(t, syscall.Mount("", base, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	d = open()
	assert.EqualValues(t, 1, numberOf(t, d))
	assert.ErrorIs(t, d.Writable(), ErrUnavailable)
	_, err := OpenDirectory(dir, DirectoryOptions{})
	var locked *LockedError
	assert.ErrorAs(t, err, &locked)
	require.NoError(t, d.Close())
	_, err = OpenDirectory(base, DirectoryOptions{})
	assert.ErrorContains(t, err, "lock=false", "there is no lock file, and none can be made")
}
