package process

import (
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// managed returns a notifier and what reads the next datagram that it sends.
func managed(t *testing.T, address string) (*Notifier, func() string) {
	t.Helper()
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { manager.Close() })
	t.Setenv(notifySocket, address)
	n, err := NewNotifier()
	require.NoError(t, err)
	t.Cleanup(func() { n.Close() })
	return n, func() string {
		t.Helper()
		buffer := make([]byte, 4096)
		require.NoError(t, manager.SetReadDeadline(time.Now().Add(time.Minute)))
		got, err := manager.Read(buffer)
		require.NoError(t, err)
		return string(buffer[:got])
	}
}

func TestTheServiceManagerIsTold(t *testing.T) {
	for _, address := range []string{filepath.Join(t.TempDir(), "notify"), "@swtpmd-notify-" + time.Now().Format("150405.000000000")} {
		n, told := managed(t, address)
		require.NoError(t, n.Ready())
		assert.Equal(t, "READY=1", told())
		require.NoError(t, n.Reloading())
		assert.Regexp(t, `^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+$`, told())
		require.NoError(t, n.Stopping())
		assert.Equal(t, "STOPPING=1", told())
	}
}

// A manager that reads nothing holds nobody up.
func TestAServiceManagerThatDoesNotRead(t *testing.T) {
	n, _ := managed(t, filepath.Join(t.TempDir(), "notify"))
	var err error
	for i := 0; i < 1<<16 && err == nil; i++ {
		err = n.Ready()
	}
	assert.ErrorContains(t, err, `the service manager was not told "READY=1"`)
}

func TestWithoutAServiceManager(t *testing.T) {
	for _, address := range []string{"", "vsock:2:1234", "relative"} {
		t.Setenv(notifySocket, address)
		n, err := NewNotifier()
		require.NoError(t, err, address)
		require.Nil(t, n, address)
		require.NoError(t, n.Ready())
		require.NoError(t, n.Reloading())
		require.NoError(t, n.Stopping())
		require.NoError(t, n.Close())
	}
	missing := filepath.Join(t.TempDir(), "not-there")
	t.Setenv(notifySocket, missing)
	_, err := NewNotifier()
	require.Error(t, err)
	assert.True(t, strings.HasPrefix(err.Error(), "NOTIFY_SOCKET="+missing+": "), err.Error())
}
