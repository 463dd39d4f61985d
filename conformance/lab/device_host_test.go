package lab

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// BenchmarkDevicesHost measures the processor time of the commands of BenchmarkDevices
// here, without a guest: swtpmd and the distribution's swtpm serve a unix socket in turn.
// It shows how long the instructions take that the clock of the guest counts. What a short
// command takes, TPM2_GetCapability, is subtracted: it is that of sockets and threads. It
// runs once, whatever -benchtime is. The variables are those of BenchmarkDevices.
func BenchmarkDevicesHost(b *testing.B) {
	rounds, commands := number(b, "SWTPMD_DEVICES_ROUNDS", "5"), number(b, "SWTPMD_DEVICES_COMMANDS", "100")
	swtpm, err := exec.LookPath("swtpm")
	if err != nil {
		b.Skip("no swtpm: ", err)
	}
	swtpmd, remove, err := BuildSwtpmd(b.Context(), "")
	require.NoError(b, err)
	defer remove()
	client := buildAskdevice(b, b.TempDir())

	rates := map[string][]deviceRate{}
	for round := range rounds {
		servers := [][]string{{"swtpmd", swtpmd, "socket", "--busy-poll=0"}, {"swtpm", swtpm, "socket"}}
		if round%2 == 1 {
			servers[0], servers[1] = servers[1], servers[0]
		}
		for _, s := range servers {
			for name, r := range hostRates(b, client, s[0], commands, s[1:]) {
				rates[name] = append(rates[name], r...)
			}
		}
	}
	own := func(server, command string) []deviceRate {
		list, short := rates[server+" "+command], rates[server+" GetCapability"]
		require.Len(b, list, rounds, "%s %s", server, command)
		for i := range list {
			list[i].micros -= short[i].micros
		}
		return list
	}
	for _, c := range deviceCommands {
		if c.short() {
			continue
		}
		ours, theirs := own("swtpmd", c.name), own("swtpm", c.name)
		b.Run(c.name, func(b *testing.B) {
			b.ReportMetric(0, "ns/op") // of this function, which says nothing
			reportTimes(b, ours, theirs)
		})
	}
}

// The TPM answers everything that the benchmarks measure.
func TestDeviceCommands(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("no program is built with -short")
	}
	swtpmd, remove, err := BuildSwtpmd(t.Context(), "")
	require.NoError(t, err)
	defer remove()
	rates := hostRates(t, buildAskdevice(t, t.TempDir()), "swtpmd", 1, []string{swtpmd, "socket"})
	for _, c := range deviceCommands {
		require.Len(t, rates["swtpmd "+c.name], 1, c.name)
	}
}

// hostRates starts a server on a unix socket, and measures it.
func hostRates(b testing.TB, client, name string, commands int, server []string) map[string][]deviceRate {
	b.Helper()
	dir, err := os.MkdirTemp(memory(), "devices")
	require.NoError(b, err)
	defer func() { _ = os.RemoveAll(dir) }()
	socket := filepath.Join(dir, "s")
	cmd := exec.CommandContext(b.Context(), server[0], append(server[1:], "--tpm2", "--server", "type=unixio,path="+socket,
		"--tpmstate", "dir="+dir, "--flags", "startup-clear")...)
	leash(cmd)
	require.NoError(b, cmd.Start())
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}()
	require.Eventually(b, func() bool {
		c, err := net.Dial("unix", socket)
		return err == nil && c.Close() == nil
	}, time.Minute, 10*time.Millisecond, "%s serves", name)
	var log strings.Builder
	for _, c := range deviceCommands {
		ask := exec.CommandContext(b.Context(), client, append([]string{"rate", socket, c.times(commands), strconv.Itoa(cmd.Process.Pid)}, c.steps...)...)
		said, err := ask.CombinedOutput()
		require.NoError(b, err, "%s %s: %s", name, c.name, said)
		fmt.Fprintf(&log, "rate %s %s %s", name, c.name, said)
	}
	return readRates(log.String())
}

// memory returns a directory for files that no disk has, as those of the guest, or that
// for any temporary files.
func memory() string {
	if info, err := os.Stat("/dev/shm"); err == nil && info.IsDir() {
		return "/dev/shm"
	}
	return os.TempDir()
}
