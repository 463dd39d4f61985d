package transport_test

import (
	"context"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
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
			l, err := transport.ListenUnix(ctx, path, 0o770)
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
	_, err := transport.ListenUnix(ctx, path, 0o770)
	require.ErrorIs(t, err, transport.ErrNotSocket)
	require.ErrorAs(t, err, &refused)
	assert.Equal(t, path, refused.Path)
	assert.FileExists(t, path)

	link := transporttest.SocketPath(t)
	require.NoError(t, os.Symlink(path, link))
	_, err = transport.ListenUnix(ctx, link, 0o770)
	require.ErrorIs(t, err, transport.ErrNotSocket)

	path = transporttest.SocketPath(t)
	l, err := transport.ListenUnix(ctx, path, 0o770)
	require.NoError(t, err)
	defer l.Close()
	_, err = transport.ListenUnix(ctx, path, 0o770)
	require.ErrorIs(t, err, transport.ErrPathInUse)
	assert.ErrorContains(t, err, "choose another path")
	conn, err := net.Dial("unix", path)
	require.NoError(t, err, "the refusal leaves the other's socket alone")
	require.NoError(t, conn.Close())

	_, err = transport.ListenUnix(ctx, filepath.Join(transporttest.Dir(t), "none", "s"), 0o770)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.ErrorAs(t, err, &refused)
}

// TestListenUnixCloseSparesOthers: the path may be somebody else's by the time
// of Close.
func TestListenUnixCloseSparesOthers(t *testing.T) {
	t.Parallel()
	path := transporttest.SocketPath(t)
	l, err := transport.ListenUnix(context.Background(), path, 0o700)
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
	l, err := transport.ListenUnix(context.Background(), name, 0o770)
	require.NoError(t, err)
	defer l.Close()
	conn, err := net.Dial("unix", name)
	require.NoError(t, err)
	require.NoError(t, conn.Close())
}
