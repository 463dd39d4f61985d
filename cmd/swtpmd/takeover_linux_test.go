package main

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/fleet"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// A new process takes a fleet over under a client: its connection, PCRs and NV indices go
// on, and so do the admin socket and the lock. One that is killed in the middle changes
// nothing.
func TestAFleetIsTakenOver(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	dir, program := transporttest.Dir(t), built(t)
	args := []string{"--dir", dir, "--state", filepath.Join(dir, "state"), "--takeover"}
	p := startFleetOf(t, program, "", append(args, "--count=3")...)
	commands := poweredOf(t, dir, "1")
	read := []byte{0x80, 0x01, 0, 0, 0, 20, 0, 0, 0x01, 0x7e, 0, 0, 0, 1, 0, 0x0b, 3, 1, 0, 0}
	extend := append([]byte{0x80, 0x02, 0, 0, 0, 0x41, 0, 0, 0x01, 0x82, 0, 0, 0, 0, 0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x0b}, make([]byte, 32)...)
	ask := func(command []byte) []byte {
		t.Helper()
		response, err := commands.Send(ctx, 0, command)
		require.NoError(t, err)
		require.Zero(t, transport.ResponseCode(response))
		return response
	}
	ask(extend)
	pcr := ask(read)
	for range 3 {
		next := startFleetOf(t, program, "", args...)
		assert.Equal(t, 3, next.TPMs)
		require.NoError(t, p.Wait(), "%s", p.errs.String())
		p = next
		assert.Equal(t, pcr, ask(read))
		ask(extend)
		pcr = ask(read)
	}
	admin := filepath.Join(dir, "admin.sock")
	tpms := func() (list []fleet.Status) {
		t.Helper()
		code, out, errs := called(t, "ctl", "--admin", admin, "--json", "fleet", "list")
		require.Zero(t, code, errs)
		require.NoError(t, json.Unmarshal([]byte(out), &list))
		return list
	}
	require.Len(t, tpms(), 3)

	// The new process waits for a command that is held, and is killed.
	code, _, errs := called(t, "ctl", "--admin", admin, "--tpm", "1", "add", "GetRandom: hold=1h")
	require.Zero(t, code, errs)
	held := poweredConnection(t, dir, "1")
	_, err := held.Write([]byte{0x80, 0x01, 0, 0, 0, 12, 0, 0, 0x01, 0x7b, 0, 8})
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		_, out, _ := called(t, "ctl", "--admin", admin, "--tpm", "1", "--json", "status")
		return strings.Contains(out, `"outcome":"held"`)
	}, time.Minute, 10*time.Millisecond)
	killed := exec.Command(program, append([]string{"fleet"}, args...)...)
	require.NoError(t, killed.Start())
	p.errs.until(t, "another process takes the fleet over")
	require.NoError(t, killed.Process.Kill())
	_ = killed.Wait()
	assert.Equal(t, pcr, ask(read))
	require.Len(t, tpms(), 3)
	code, _, errs = called(t, "ctl", "--admin", admin, "--tpm", "1", "disable", rules(t, admin)[0])
	require.Zero(t, code, errs)

	next := startFleetOf(t, program, "", args...)
	require.NoError(t, p.Wait(), "%s", p.errs.String())
	assert.Equal(t, pcr, ask(read))
	require.NoError(t, next.Process.Signal(syscall.SIGTERM))
	require.NoError(t, next.Wait(), next.errs.String())
	left, err := filepath.Glob(filepath.Join(dir, "*.sock"))
	require.NoError(t, err)
	assert.Empty(t, left, "sockets")
	left, err = filepath.Glob(filepath.Join(dir, "*", "*.sock*"))
	require.NoError(t, err)
	assert.Empty(t, left, "sockets")
}

// poweredConnection is another connection to a TPM.
func poweredConnection(t *testing.T, dir, name string) *transporttest.Peer {
	t.Helper()
	return transporttest.Dial(t, "unix", filepath.Join(dir, name, "tpm.sock"))
}

// rules are the names of the rules of TPM 1.
func rules(t *testing.T, admin string) (names []string) {
	t.Helper()
	code, out, errs := called(t, "ctl", "--admin", admin, "--tpm", "1", "--json", "rules")
	require.Zero(t, code, errs)
	var list []struct{ Name string }
	require.NoError(t, json.Unmarshal([]byte(out), &list))
	for _, r := range list {
		names = append(names, r.Name)
	}
	return names
}

// The units of a fleet are ones for systemd: what they start serves on the admin socket that
// they pass, and what a reload starts takes it over, and tells that it is the main process.
func TestTheFleetUnitsOfSystemd(t *testing.T) {
	place := newShell(t)
	top := filepath.Dir(place.dir)
	bin := filepath.Join(top, "bin", "swtpmd")
	service, socket := unitFile(t, "swtpmd-fleet@.service", top, bin), unitFile(t, "swtpmd-fleet@.socket", top, bin)
	words := func(what string) []string {
		t.Helper()
		line := regexp.MustCompile("(?m)^" + what + "=(.*)$").FindStringSubmatch(service)
		require.NotNil(t, line)
		return strings.Fields(strings.Replace(line[1], "$SWTPMD_FLAGS", "--profile=tiny --count=2", 1))
	}
	require.NoError(t, os.MkdirAll(filepath.Join(top, "run/swtpmd-fleet"), 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(top, "lib/swtpmd-fleet"), 0o700))
	path := regexp.MustCompile("(?m)^ListenStream=(.*)$").FindStringSubmatch(socket)
	require.NotNil(t, path)
	m := newManager(t)
	start := words("ExecStart")
	cmd := exec.CommandContext(t.Context(), start[0], start[1:]...)
	cmd.Env = append(place.env, m.env)
	activated(t, cmd, "admin", listens(t, "unix", path[1]))
	require.NoError(t, cmd.Start())
	require.Equal(t, "READY=1", m.told(t))
	list := "swtpmd ctl --admin " + path[1] + " fleet list"
	place.run(t, list)

	again := words("ExecReload")
	reload := exec.CommandContext(t.Context(), again[0], again[1:]...)
	reload.Env = append(place.env, m.env)
	out, err := reload.CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.Regexp(t, `^RELOADING=1\nMONOTONIC_USEC=[0-9]+$`, m.told(t))
	ready := regexp.MustCompile(`^READY=1\nMAINPID=([0-9]+)$`)
	for range 2 { // by the new process, and by the old one
		said := ready.FindStringSubmatch(m.told(t))
		require.NotNil(t, said)
		pid, err := strconv.Atoi(said[1])
		require.NoError(t, err)
		require.NotEqual(t, cmd.Process.Pid, pid)
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGTERM) })
	}
	require.NoError(t, cmd.Wait())
	place.run(t, list)

	if _, err := exec.LookPath("systemd-analyze"); err != nil {
		t.Skip("systemd-analyze is not installed: the units' words are not checked")
	}
	var files []string
	for name, text := range map[string]string{"swtpmd-fleet@a.service": service, "swtpmd-fleet@a.socket": socket} {
		files = append(files, filepath.Join(place.dir, name))
		require.NoError(t, os.WriteFile(files[len(files)-1], []byte(text), 0o644))
	}
	out, err = exec.CommandContext(t.Context(), "systemd-analyze", append([]string{"verify", "--man=no"}, files...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	assert.NotContains(t, string(out), "swtpmd-fleet@a", "a word that systemd ignores")
}
