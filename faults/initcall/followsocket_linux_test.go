package initcall

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Between bind(2) and listen(2) a socket refuses connections like a dead one. It
// must be left alone for a while, and used when it listens.
func TestReadyBetweenBindAndListen(t *testing.T) {
	dir, err := os.MkdirTemp("", "console")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	defer syscall.Close(fd)
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}))
	_, err = net.Dial("unix", path)
	require.ErrorIs(t, err, syscall.ECONNREFUSED)

	watch, err := watchDirectory(path)
	require.NoError(t, err)
	f := &socketFeed{path: path, watch: watch}
	defer f.close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, f.ready(ended, 0), context.Canceled, "refused once, it waits")
	assert.FileExists(t, path)

	require.NoError(t, syscall.Listen(fd, 1))
	require.NoError(t, f.ready(t.Context(), 0))
	assert.NotNil(t, f.conn)
	assert.Nil(t, f.listener)
}

// A QEMU with server=on removes the socket it finds and then makes its own:
// nobody must be quicker than it.
func TestReadyLeavesTimeToOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	watch, err := watchDirectory(path)
	require.NoError(t, err)
	f := &socketFeed{path: path, watch: watch}
	defer f.close()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, f.ready(ended, bindGrace), context.Canceled)
	assert.NoFileExists(t, path)
	require.NoError(t, f.ready(ended, 0))
	assert.FileExists(t, path)
}

// A pipe is refused before it is opened, which would wait for a writer.
func TestFollowFileIsNoPipe(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	s, err := ParseSource("file:" + path)
	require.NoError(t, err)
	console, err := NewConsole(new(Clock))
	require.NoError(t, err)
	var kind *KindError
	require.ErrorAs(t, Follow(t.Context(), s, console), &kind)
}

// A console steers the TPM, so its socket is for the user alone, whatever the
// umask is.
func TestConsoleSocketIsPrivate(t *testing.T) {
	dir, err := os.MkdirTemp("", "console")
	require.NoError(t, err)
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	f, err := openSocket(path)
	require.NoError(t, err)
	t.Cleanup(func() { f.close() })
	info, err := os.Lstat(path)
	require.NoError(t, err)
	assert.Equal(t, fs.ModeSocket|0o600, info.Mode())
}

// The user's limit of inotify instances has the error of the limit of open files.
func TestTheLimitOfWatchesIsNamed(t *testing.T) {
	t.Parallel()
	err := watchLimit(os.NewSyscallError("inotify_init1", syscall.EMFILE))
	require.ErrorIs(t, err, syscall.EMFILE)
	assert.ErrorContains(t, err, "fs.inotify.max_user_instances")
	assert.NoError(t, watchLimit(nil))
	other := os.NewSyscallError("inotify_init1", syscall.ENOMEM)
	assert.Equal(t, other, watchLimit(other))
}
