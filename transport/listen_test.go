package transport_test

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// stale leaves a socket behind as a killed process does.
func stale(t *testing.T, path string) {
	t.Helper()
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	require.NoError(t, err)
	l.SetUnlinkOnClose(false)
	require.NoError(t, l.Close())
}

func TestListenUnix(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	for name, prepare := range map[string]func(*testing.T, string){
		"new path":     func(*testing.T, string) {},
		"stale socket": stale,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := transporttest.SocketPath(t)
			prepare(t, path)
			l, err := transport.ListenUnix(ctx, path, transport.Access{Mode: 0o770})
			require.NoError(t, err)
			info, err := os.Lstat(path)
			require.NoError(t, err)
			if runtime.GOOS != "windows" {
				assert.Equal(t, fs.ModeSocket|0o770, info.Mode(), "whatever the umask")
			}
			conn, err := net.Dial("unix", path)
			require.NoError(t, err)
			require.NoError(t, conn.Close())
			require.NoError(t, l.Close())
			assert.NoFileExists(t, path)
			require.NoError(t, l.Close(), "twice is once")
		})
	}
}

func TestListenUnixRefusals(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	var refused *transport.PathError

	path := transporttest.SocketPath(t)
	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
	_, err := transport.ListenUnix(ctx, path, transport.Access{Mode: 0o770})
	require.ErrorIs(t, err, transport.ErrNotSocket)
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, path, refused.Path)
	assert.FileExists(t, path)

	link := transporttest.SocketPath(t)
	require.NoError(t, os.Symlink(path, link))
	_, err = transport.ListenUnix(ctx, link, transport.Access{Mode: 0o770})
	require.ErrorIs(t, err, transport.ErrNotSocket)

	path = transporttest.SocketPath(t)
	l, err := transport.ListenUnix(ctx, path, transport.Access{Mode: 0o770})
	require.NoError(t, err)
	defer l.Close()
	_, err = transport.ListenUnix(ctx, path, transport.Access{Mode: 0o770})
	require.ErrorIs(t, err, transport.ErrPathInUse)
	assert.ErrorContains(t, err, "choose another path")
	conn, err := net.Dial("unix", path)
	require.NoError(t, err, "the refusal leaves the other's socket alone")
	require.NoError(t, conn.Close())

	_, err = transport.ListenUnix(ctx, filepath.Join(transporttest.Dir(t), "none", "s"), transport.Access{Mode: 0o770})
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorAs(t, err, &refused)
}

// TestListenUnixCloseSparesOthers: the path may be somebody else's by the time
// of Close.
func TestListenUnixCloseSparesOthers(t *testing.T) {
	t.Parallel()
	path := transporttest.SocketPath(t)
	l, err := transport.ListenUnix(context.Background(), path, transport.Access{Mode: 0o700})
	require.NoError(t, err)
	require.NoError(t, os.Remove(path))
	require.NoError(t, os.WriteFile(path, nil, 0o600))
	require.NoError(t, l.Close())
	assert.FileExists(t, path)
}

func TestListenUnixAbstract(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("abstract names are Linux' own")
	}
	name := "@" + filepath.Base(transporttest.Dir(t))
	l, err := transport.ListenUnix(context.Background(), name, transport.Access{Mode: 0o770})
	require.NoError(t, err)
	defer l.Close()
	conn, err := net.Dial("unix", name)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}

// TestBindUnixReplacesNothing: the name is taken only if it is free, and what
// has it keeps its content, its permissions and its target.
func TestBindUnixReplacesNothing(t *testing.T) {
	t.Parallel()
	dir := transporttest.Dir(t)
	target := filepath.Join(dir, "target")
	require.NoError(t, os.WriteFile(target, []byte("precious"), 0o640))
	for name, put := range map[string]func(path string) error{
		"file": func(path string) error { return os.WriteFile(path, nil, 0o640) },
		"link": func(path string) error { return os.Symlink(target, path) },
		"link to nothing": func(path string) error {
			return os.Symlink(filepath.Join(dir, "none"), path)
		},
	} {
		path := transporttest.SocketPath(t)
		require.NoError(t, put(path), name)
		before, err := os.Lstat(path)
		require.NoError(t, err, name)
		_, err = transport.BindUnix(path, transport.Access{Mode: 0o777})
		require.ErrorIs(t, err, fs.ErrExist, name)
		after, err := os.Lstat(path)
		require.NoError(t, err, name)
		assert.True(t, os.SameFile(before, after), name)
		assert.Equal(t, before.Mode(), after.Mode(), name)
		assert.Len(t, entries(t, filepath.Dir(path)), 1, "%s: nothing is left of the attempt", name)
	}
	info, err := os.Stat(target)
	require.NoError(t, err)
	assert.Equal(t, fs.FileMode(0o640), info.Mode(), "no link was followed")
	assert.NoFileExists(t, filepath.Join(dir, "none"))
}

func entries(t *testing.T, dir string) []fs.DirEntry {
	t.Helper()
	list, err := os.ReadDir(dir)
	require.NoError(t, err)
	return list
}

// TestBindUnixLongestPath: the private name does not count for the limit.
func TestBindUnixLongestPath(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has short names for open directories")
	}
	dir := transporttest.Dir(t)
	longest := len(syscall.RawSockaddrUnix{}.Path) - 1
	path := filepath.Join(dir, strings.Repeat("s", longest-len(dir)-1))
	l, err := transport.BindUnix(path, transport.Access{Mode: 0o600})
	require.NoError(t, err)
	defer l.Close()
	conn, err := net.Dial("unix", path)
	require.NoError(t, err)
	require.NoError(t, conn.Close())

	_, err = transport.BindUnix(path+"s", transport.Access{Mode: 0o600})
	require.ErrorIs(t, err, syscall.ENAMETOOLONG)
	assert.Len(t, entries(t, dir), 1)
}

func TestListenUnixOwner(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 || runtime.GOOS != "linux" {
		t.Skip("only root gives a socket to somebody else")
	}
	path := transporttest.SocketPath(t)
	l, err := transport.ListenUnix(context.Background(), path, transport.Access{Mode: 0o660, Owner: &transport.Owner{UID: 1234, GID: -1}})
	require.NoError(t, err)
	defer l.Close()
	assert.Equal(t, path, l.Addr().String())
	info, err := os.Lstat(path)
	require.NoError(t, err)
	assert.Equal(t, fs.ModeSocket|0o660, info.Mode())
	assert.Equal(t, uint64(1234), reflect.ValueOf(info.Sys()).Elem().FieldByName("Uid").Uint())
}

// Of several that find a dead process's socket at once, one has the path.
func TestListenUnixAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "s")
	for range 30 {
		stale(t, path)
		const callers = 8
		listeners := make(chan net.Listener, callers)
		errs := make(chan error, callers)
		var all sync.WaitGroup
		for range callers {
			all.Go(func() {
				l, err := transport.ListenUnix(context.Background(), path, transport.Access{Mode: 0o600})
				if err != nil {
					errs <- err
					return
				}
				listeners <- l
			})
		}
		transporttest.Wait(t, &all)
		close(errs)
		for err := range errs {
			require.ErrorIs(t, err, transport.ErrPathInUse)
		}
		require.Len(t, listeners, 1)
		require.NoError(t, transporttest.Receive(t, listeners).Close())
		require.NoFileExists(t, path)
	}
}
