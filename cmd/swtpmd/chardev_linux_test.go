package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport/chardev"
	"github.com/swtpmd/swtpmd/transport/transporttest"
	"golang.org/x/sys/unix"
)

// deviceDaemon runs swtpmd chardev with a socket for a device, and returns the other end
// and what comes of it.
func deviceDaemon(t *testing.T, args ...string) (client *transporttest.Peer, code <-chan int, log *bytes.Buffer) {
	t.Helper()
	syscall.ForkLock.RLock()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	syscall.ForkLock.RUnlock()
	require.NoError(t, err)
	file := os.NewFile(uintptr(fds[0]), "client")
	conn, err := net.FileConn(file)
	require.NoError(t, err)
	require.NoError(t, file.Close())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan int, 1)
	log = new(bytes.Buffer)
	args = append([]string{"chardev", fmt.Sprintf("--fd=%d", fds[1])}, args...)
	go func() {
		ended <- run(ctx, args, cli.Streams{In: strings.NewReader(""), Out: new(bytes.Buffer), Err: log}, nil)
		close(ended)
	}()
	t.Cleanup(func() {
		cancel()
		transporttest.Receive(t, ended)
	})
	return transporttest.NewPeer(t, conn), ended, log
}

const getRandom = "8001 0000000C 0000017B 0008"

func TestADeviceThatIsPassed(t *testing.T) {
	client, ended, log := deviceDaemon(t, "--tpm2")
	for range 2 {
		assert.True(t, strings.HasPrefix(client.Ask(getRandom), "80010000001400000000"), "started, with random bytes")
	}
	require.NoError(t, client.Close())
	require.Equal(t, exitOK, transporttest.Receive(t, ended), log)
	assert.Contains(t, log.String(), chardev.ErrHungUp.Error())
}

// A TPM that waits for INIT waits for it on the control channel.
func TestADeviceWithAControlChannel(t *testing.T) {
	ctrl := filepath.Join(t.TempDir(), "ctrl")
	client, _, _ := deviceDaemon(t, "--ctrl=type=unixio,path="+ctrl)
	assert.Equal(t, "80010000000a00000101", client.Ask(getRandom), "no INIT has come")
	control := transporttest.Dial(t, "unix", ctrl)
	assert.Equal(t, "00000000", control.Ask("00000002 00000000"))
	assert.Equal(t, "80010000000a00000100", client.Ask(getRandom), "no TPM2_Startup has come")
}

func TestADeviceWhoseTPMIsLate(t *testing.T) {
	admin := filepath.Join(t.TempDir(), "admin")
	client, _, _ := deviceDaemon(t, "--defer-until=userspace", "--while-deferred=retry", "--admin="+admin)
	assert.Equal(t, "80010000000a00000922", client.Ask(getRandom))
	_, err := control.NewClient(admin).Advance(t.Context(), initcall.Userspace)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(client.Ask(getRandom), "80010000001400000000"))
}

func TestADeviceWhoseTPMIsLateByTime(t *testing.T) {
	client, _, _ := deviceDaemon(t, "--defer-for=300ms", "--while-deferred=hold")
	begun := time.Now()
	assert.True(t, strings.HasPrefix(client.Ask(getRandom), "80010000001400000000"))
	assert.Less(t, time.Since(begun), time.Minute, "the hold ends with the deferral")
}

func TestWrongCommandLinesOfDevices(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{}, "add --vtpm-proxy"},
		{[]string{"--vtpm-proxy", "--chardev=/dev/vport0p1"}, "say one of --vtpm-proxy, --chardev and --fd"},
		{[]string{"--vtpm-proxy", "--server=port=2321"}, "the flags are --admin, --backend, --chardev"},
		{[]string{"--vtpm-proxy", "more"}, "unexpected argument"},
		{[]string{"--vtpm-proxy", "--dir=/x"}, "name each socket"},
		{[]string{"--vtpm-proxy", "--defer-until=late"}, "add --defer-for=30s"},
		{[]string{"--vtpm-proxy", "--defer-for=-1s"}, "such as 30s"},
		{[]string{"--vtpm-proxy", "--defer-for=soon"}, "such as 30s"},
		{[]string{"--vtpm-proxy", "--defer-for=3s", "--defer-until=late"}, "exclude each other"},
		{[]string{"--vtpm-proxy", "--defer-for=3s", "--timeline=builtin"}, "leave out one"},
		{[]string{"--vtpm-proxy", "--while-deferred=absent"}, "nothing is deferred"},
		{[]string{"--vtpm-proxy", "--defer-for=1s", "--while-deferred=gone"}, "testing, hold, absent"},
		{[]string{"-c", "/dev/vport0p1", "--defer-for=1s", "--while-deferred=absent"}, "say --vtpm-proxy"},
	} {
		code, out, errs := called(t, append([]string{"chardev"}, c.args...)...)
		assert.Equal(t, exitUsage, code, "%v", c.args)
		assert.Empty(t, out, "%v", c.args)
		assert.Contains(t, errs, c.says, "%v", c.args)
	}
}

// What the system lacks is told with the remedy, and the daemon ends.
func TestADeviceThatIsNotThere(t *testing.T) {
	code, out, errs := called(t, "chardev", "--chardev="+filepath.Join(t.TempDir(), "none"))
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, out)
	assert.Contains(t, errs, "none: no such file")
	if _, err := os.Stat(chardev.ControllerPath); err == nil {
		t.Skip("this machine has a vTPM proxy")
	}
	for _, while := range []string{"fail", "absent"} {
		code, _, errs = called(t, "chardev", "--vtpm-proxy", "--defer-for=1s", "--while-deferred="+while)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, errs, "modprobe tpm_vtpm_proxy")
	}
}

func TestCapabilitiesAreTheSameForEveryInterface(t *testing.T) {
	_, socket, _ := called(t, "socket", "--tpm2", "--print-capabilities")
	code, out, _ := called(t, "chardev", "--print-capabilities")
	assert.Equal(t, exitOK, code)
	assert.Equal(t, socket, out)
}
