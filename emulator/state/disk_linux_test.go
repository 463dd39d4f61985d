package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
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

// A disk that fills up does not stop a TPM whose state does not grow: the room
// for its next state is its own.
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
	for n := range uint32(10) {
		require.NoError(t, d.Writable())
		require.NoError(t, d.Commit(generation(n+2)))
		require.EqualValues(t, n+2, numberOf(t, d))
	}
	// One that grows finds out before the command, and recovers.
	require.ErrorIs(t, d.Commit(generation(900)), syscall.ENOSPC)
	assert.EqualValues(t, 11, numberOf(t, d))
	d.size = len(generation(900))
	err = d.Writable()
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorIs(t, err, syscall.ENOSPC)
	require.NoError(t, os.Remove(fill))
	require.NoError(t, d.Writable())
	require.NoError(t, d.Commit(generation(900)))
	assert.EqualValues(t, 900, numberOf(t, d))
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

// A file system without files left: both files are there before they are needed.
func TestNoFilesLeft(t *testing.T) {
	t.Parallel()
	dir := diskOf(t, "8m,nr_inodes=4")
	d, err := OpenDirectory(dir, DirectoryOptions{})
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, d.Commit(generation(1)))
	require.ErrorIs(t, os.WriteFile(filepath.Join(dir, "x"), nil, 0o600), syscall.ENOSPC)
	for n := range uint32(10) {
		require.NoError(t, d.Writable())
		require.NoError(t, d.Commit(generation(n+2)))
	}
	assert.EqualValues(t, 11, numberOf(t, d))
	require.NoError(t, d.Close())

	// A new process needs a file more than there is.
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x"), nil, 0o600))
	d, err = OpenDirectory(dir, DirectoryOptions{})
	require.NoError(t, err)
	defer d.Close()
	require.ErrorIs(t, d.Writable(), ErrUnavailable)
	require.NoError(t, os.Remove(filepath.Join(dir, "x")))
	require.NoError(t, d.Writable())
	require.NoError(t, d.Commit(generation(12)))
}

// A limit of file sizes is asked with the room, not met by the commit.
func TestFileSizeLimit(t *testing.T) {
	if os.Getenv(limitedIn) == "" {
		inLimitedProcess(t, "TestFileSizeLimit")
		return
	}
	signal.Ignore(syscall.SIGXFSZ)
	d, err := OpenDirectory(os.Getenv(limitedIn), DirectoryOptions{})
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, d.Commit(generation(1)))
	limit := func(size uint64) {
		var l syscall.Rlimit
		require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l))
		l.Cur = size
		require.NoError(t, syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l))
	}
	limit(16 << 10)
	require.NoError(t, d.Writable(), "the room is set aside already")
	require.NoError(t, d.Commit(generation(2)))
	err = d.Writable()
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorIs(t, err, syscall.EFBIG)
	limit(1 << 20)
	require.NoError(t, d.Writable())
	require.NoError(t, d.Commit(generation(3)))
	assert.EqualValues(t, 3, numberOf(t, d))
}

// A process without descriptors commits as ever, and starts a new TPM with those
// that are reserved.
func TestNoDescriptorsLeft(t *testing.T) {
	if os.Getenv(limitedIn) == "" {
		inLimitedProcess(t, "TestNoDescriptorsLeft")
		return
	}
	d, err := OpenDirectory(os.Getenv(limitedIn), DirectoryOptions{})
	require.NoError(t, err)
	defer d.Close()
	var taken []*os.File
	for {
		f, err := os.Open(os.DevNull)
		if errors.Is(err, syscall.EMFILE) {
			break
		}
		require.NoError(t, err)
		taken = append(taken, f)
	}
	for n := range uint32(10) {
		require.NoError(t, d.Writable())
		require.NoError(t, d.Commit(generation(n+1)))
		require.EqualValues(t, n+1, numberOf(t, d), "loading takes none either")
	}
	for _, f := range taken {
		f.Close()
	}
}

// A permission that is lost, and found again.
func TestLostPermission(t *testing.T) {
	dir := os.Getenv(limitedIn)
	if dir == "" {
		inLimitedProcess(t, "TestLostPermission")
		return
	}
	if os.Getuid() == 0 {
		// Root may do everything; this process is another user from here on.
		require.NoError(t, os.Chown(dir, 65534, 65534))
		require.NoError(t, syscall.Setresuid(65534, 65534, 65534))
	}
	d, err := OpenDirectory(dir, DirectoryOptions{})
	require.NoError(t, err)
	defer d.Close()
	require.NoError(t, d.Commit(generation(1)))
	require.NoError(t, os.Chmod(dir, 0o500))
	err = d.Writable()
	require.ErrorIs(t, err, ErrUnavailable)
	require.ErrorIs(t, err, fs.ErrPermission)
	require.NoError(t, os.Chmod(dir, 0o700))
	require.NoError(t, d.Writable())
	require.NoError(t, d.Commit(generation(2)))
	assert.EqualValues(t, 2, numberOf(t, d))
}

// limitedIn names the directory in a process that runs one test for itself: what
// it changes counts for the whole process.
const limitedIn = "SWTPMD_TEST_LIMITED_IN"

func inLimitedProcess(t *testing.T, test string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "limited")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self, "-test.run=^"+test+"$", "-test.v", "-test.timeout=60s")
	cmd.Env = append(os.Environ(), limitedIn+"="+dir)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "--- PASS: "+test)
}

// What is no file is refused by its name and kind, and nobody waits for it.
func TestOnlyRegularFiles(t *testing.T) {
	t.Parallel()
	for kind, make := range map[string]func(path string) error{
		"a named pipe":    func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a directory":     func(path string) error { return os.Mkdir(path, 0o700) },
		"a symbolic link": func(path string) error { return os.Symlink("elsewhere", path) },
		"a device": func(path string) error {
			// /dev/null
			if err := syscall.Mknod(path, syscall.S_IFCHR|0o600, 1<<8|3); err != nil {
				return fmt.Errorf("%w: %w", errNoDevice, err)
			}
			return nil
		},
	} {
		for _, name := range []string{directoryFile, directoryTemp, directoryLock} {
			dir := t.TempDir()
			path := filepath.Join(dir, name)
			if err := make(path); errors.Is(err, errNoDevice) {
				t.Logf("not tried: %v", err)
				continue
			} else {
				require.NoError(t, err)
			}
			before, err := os.Lstat(path)
			require.NoError(t, err)
			_, err = OpenDirectory(dir, DirectoryOptions{})
			var refused *KindError
			require.ErrorAs(t, err, &refused, "%s as %s", kind, name)
			assert.Equal(t, name, refused.Name)
			assert.ErrorContains(t, err, name+" is "+kind)
			after, err := os.Lstat(path)
			require.NoError(t, err)
			assert.True(t, os.SameFile(before, after))

			// It comes while the directory is in use.
			if name == directoryLock {
				continue
			}
			d, err := OpenDirectory(t.TempDir(), DirectoryOptions{})
			require.NoError(t, err)
			require.NoError(t, d.Commit(generation(1)))
			path = filepath.Join(d.path, name)
			require.NoError(t, os.Remove(path))
			require.NoError(t, make(path))
			if name == directoryFile {
				_, err = d.Load()
			} else {
				err = d.Commit(generation(2))
			}
			require.ErrorAs(t, err, &refused, "%s as %s", kind, name)
			require.NoError(t, os.Remove(path))
			require.NoError(t, d.Commit(generation(3)))
			assert.EqualValues(t, 3, numberOf(t, d))
			require.NoError(t, d.Close())
		}
	}
}

const errNoDevice Error = "a device takes CAP_MKNOD"

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

// A file system that is read-only when the TPM starts, and writable later: the
// state file was opened for reading alone.
func TestReadOnlyFileSystemBecomesWritable(t *testing.T) {
	t.Parallel()
	dir := diskOf(t, "8m")
	d, err := OpenDirectory(dir, DirectoryOptions{})
	require.NoError(t, err)
	require.NoError(t, d.Commit(generation(1)))
	require.NoError(t, d.Close())
	require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
	d, err = OpenDirectory(dir, DirectoryOptions{})
	require.NoError(t, err)
	defer d.Close()
	require.EqualValues(t, 1, numberOf(t, d))
	require.ErrorIs(t, d.Writable(), ErrUnavailable)
	require.NoError(t, syscall.Mount("", dir, "", syscall.MS_REMOUNT, ""))
	for n := range uint32(3) {
		require.NoError(t, d.Writable())
		require.NoError(t, d.Commit(generation(n+2)))
		require.EqualValues(t, n+2, numberOf(t, d))
	}
}

// A state file that has another name too is somebody's copy: it is not written.
func TestHardLinkIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	state, temp := filepath.Join(dir, directoryFile), filepath.Join(dir, directoryTemp)
	d, err := OpenDirectory(dir, DirectoryOptions{})
	require.NoError(t, err)
	defer d.Close()
	for n := uint32(1); n < 5; n++ {
		require.NoError(t, d.Commit(generation(n)))
		backup := filepath.Join(dir, fmt.Sprint("backup", n))
		require.NoError(t, os.Link(state, backup))
		require.NoError(t, os.Link(temp, backup+".new"))
		require.EqualValues(t, n, numberOf(t, d))
	}
	require.NoError(t, d.Commit(generation(9)))
	require.EqualValues(t, 9, numberOf(t, d))
	for n := uint32(1); n < 5; n++ {
		blob, err := os.ReadFile(filepath.Join(dir, fmt.Sprint("backup", n)))
		require.NoError(t, err)
		assert.Equal(t, generation(n), blob)
	}
}

// Without a lock the file for the next state may be another TPM's by now.
func TestCloseWithoutLockLeavesAnothersFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	o := DirectoryOptions{NoLock: true}
	one, err := OpenDirectory(dir, o)
	require.NoError(t, err)
	require.NoError(t, one.Commit(generation(1)))
	require.NoError(t, one.Writable())
	other, err := OpenDirectory(dir, o)
	require.NoError(t, err)
	defer other.Close()
	require.NoError(t, other.Writable())
	require.NoError(t, one.Close())
	assert.FileExists(t, filepath.Join(dir, directoryTemp))
	require.NoError(t, other.Commit(generation(2)))
	assert.EqualValues(t, 2, numberOf(t, other))
}
