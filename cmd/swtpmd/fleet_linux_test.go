package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/fleet"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport/ask"
	"github.com/swtpmd/swtpmd/transport/raw"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// fleetProcess is swtpmd fleet in a process of its own.
type fleetProcess struct {
	*exec.Cmd
	fleet.Ready
	errs lockedBuffer
}

func startFleet(t *testing.T, shell string, args ...string) *fleetProcess {
	t.Helper()
	return startFleetOf(t, built(t), shell, args...)
}

// startFleetOf is startFleet of a program.
func startFleetOf(t *testing.T, program, shell string, args ...string) *fleetProcess {
	t.Helper()
	p := &fleetProcess{Cmd: exec.Command("/bin/sh", append([]string{"-c", shell + `exec "$@"`, "sh", program, "fleet", "--json"}, args...)...)}
	p.Stderr = &p.errs
	out, err := p.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.Start())
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	require.NoError(t, json.NewDecoder(out).Decode(&p.Ready))
	return p
}

// poweredOf gives a TPM of a fleet power, and returns a connection for commands.
func poweredOf(t *testing.T, dir, name string) *raw.Client {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	data := filepath.Join(dir, name, "tpm.sock")
	power, err := swtpm.DialControl(ctx, "unix", data+".ctrl")
	require.NoError(t, err)
	defer power.Close()
	require.NoError(t, power.Init(ctx, 0))
	commands, err := raw.Dial(ctx, "unix", data)
	require.NoError(t, err)
	t.Cleanup(func() { _ = commands.Close() })
	require.NoError(t, ask.TPM{Device: commands}.Startup(ctx, wire.SUClear))
	return commands
}

// What TPMs have acknowledged is there after kill -9, for the next fleet on the directory.
func TestAFleetIsKilled(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir := transporttest.Dir(t)
	args := []string{"--dir", dir, "--state", filepath.Join(dir, "state"), "--count=3"}
	p := startFleet(t, "", args...)
	assert.Equal(t, 3, p.TPMs)
	const index = 0x01800001
	secrets := map[string][]byte{}
	for i := range 3 {
		name := strconv.Itoa(i)
		tpm := ask.TPM{Device: poweredOf(t, dir, name)}
		secrets[name] = []byte("of " + name)
		require.NoError(t, tpm.NVDefine(ctx, &wire.NVPublic{
			Index: index, NameAlg: wire.AlgSHA256, Size: uint16(len(secrets[name])),
			Attributes: wire.NVPPWrite | wire.NVPPRead | wire.NVAuthRead | wire.NVNoDA | wire.NVPlatformCreate,
		}))
		require.NoError(t, tpm.NVWrite(ctx, index, secrets[name], 64))
	}
	require.NoError(t, p.Process.Kill())
	_ = p.Wait()

	p = startFleet(t, "", "--dir", dir, "--state", filepath.Join(dir, "state"))
	assert.Equal(t, 3, p.TPMs, "it finds its TPMs again")
	for name, secret := range secrets {
		got, err := ask.TPM{Device: poweredOf(t, dir, name)}.NVRead(ctx, index, 64)
		require.NoError(t, err)
		assert.Equal(t, secret, got)
	}
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.Wait(), p.errs.String())
	left, err := filepath.Glob(filepath.Join(dir, "*", "*.sock*"))
	require.NoError(t, err)
	assert.Empty(t, left, "sockets")
}

// The limit of open files is named, and those TPMs that there are go on.
func TestAFleetAtTheLimitOfOpenFiles(t *testing.T) {
	t.Parallel()
	dir := transporttest.Dir(t)
	p := startFleet(t, "ulimit -n 128;", "--dir", dir, "--count=100")
	assert.Equal(t, 12, p.TPMs, "of five open files, as their state is in memory")
	assert.Contains(t, p.Refused["12"], "RLIMIT_NOFILE")
	assert.Contains(t, p.Refused["12"], "LimitNOFILE=")
	poweredOf(t, dir, "11")
}

func TestWrongCommandLinesOfAFleet(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ args, want string }{
		{"fleet", "add --dir=DIR"},
		{"fleet --dir=x --count=-1", "number of TPMs"},
		{"fleet --dir=x --idle=soon", "a time such as 30s"},
		{"fleet --dir=x --profile=no-such", "there is no profile"},
		{"fleet --dir=x web", "unexpected argument"},
	} {
		code, _, errs := called(t, strings.Fields(c.args)...)
		assert.Equal(t, 2, code, c.args)
		assert.Contains(t, errs, c.want, c.args)
	}
	_, err := os.Stat("x")
	assert.ErrorIs(t, err, os.ErrNotExist)
}
