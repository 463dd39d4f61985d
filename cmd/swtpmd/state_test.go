package main

import (
	"encoding/binary"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// overSocket is a go-tpm client of a daemon's data socket.
type overSocket struct{ net.Conn }

var _ transport.TPM = overSocket{}

func (c overSocket) Send(command []byte) ([]byte, error) {
	if _, err := c.Write(command); err != nil {
		return nil, err
	}
	head := make([]byte, 10)
	if _, err := io.ReadFull(c, head); err != nil {
		return nil, err
	}
	rest := make([]byte, binary.BigEndian.Uint32(head[2:])-10)
	_, err := io.ReadFull(c, rest)
	return append(head, rest...), err
}

func changeOwnerAuth(t *testing.T, tpm transport.TPM, from, to string) error {
	t.Helper()
	_, err := tpm2.HierarchyChangeAuth{
		AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth([]byte(from))},
		NewAuth:    tpm2.TPM2BAuth{Buffer: []byte(to)},
	}.Execute(tpm)
	return err
}

// withoutSHA1 takes the SHA-1 bank out of use from the next INIT on.
func withoutSHA1(t *testing.T, tpm transport.TPM) {
	t.Helper()
	rsp, err := tpm.Send(emulatortest.Command(wire.CCPCRAllocate, []wire.Handle{wire.RHPlatform},
		emulatortest.NoAuth(), emulatortest.Selection(wire.AlgSHA1)))
	require.NoError(t, err)
	require.Equal(t, wire.RCSuccess, emulatortest.ResponseCode(rsp))
}

func hasSHA1(t *testing.T, tpm transport.TPM) bool {
	t.Helper()
	rsp, err := tpm2.PCRRead{PCRSelectionIn: tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{
		{Hash: tpm2.TPMAlgSHA1, PCRSelect: []byte{1, 0, 0}},
	}}}.Execute(tpm)
	require.NoError(t, err)
	return len(rsp.PCRValues.Digests) > 0
}

func resetCount(t *testing.T, tpm transport.TPM) uint32 {
	t.Helper()
	rsp, err := tpm2.ReadClock{}.Execute(tpm)
	require.NoError(t, err)
	return rsp.CurrentTime.ClockInfo.ResetCount
}

func TestStateOutlivesTheDaemon(t *testing.T) {
	for name, flag := range map[string]func(dir string) []string{
		"state":       func(dir string) []string { return []string{"--state=" + dir} },
		"tpmstate":    func(dir string) []string { return []string{"--tpmstate", "dir=" + dir + ",mode=0600,lock,fsync"} },
		"backend-uri": func(dir string) []string { return []string{"--tpmstate", "backend-uri=dir://" + dir + ",fsync=false"} },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "made", "for it")
			args := append(flag(dir), "--flags=startup-clear")
			d := daemonWith(t, args...)
			assert.Equal(t, dir, d.ready.State)
			d.log.until(t, "new=true")
			tpm, ctrl := overSocket{connect(t, d.ready.Data)}, connect(t, d.ready.Control)
			require.NoError(t, changeOwnerAuth(t, tpm, "", "owner"))
			withoutSHA1(t, tpm)
			require.True(t, hasSHA1(t, tpm))

			// The guest is reset.
			assert.Equal(t, "00000000", asked(t, ctrl, cmdStop, 4))
			assert.Equal(t, "00000000", asked(t, ctrl, cmdInit, 4))
			assert.Equal(t, "80010000000a00000000", asked(t, tpm, startupClear10, 10))
			assert.False(t, hasSHA1(t, tpm))
			assert.EqualValues(t, 2, resetCount(t, tpm))
			d.stop()
			require.Equal(t, exitOK, d.exitCode(t))

			d = daemonWith(t, args...)
			d.log.until(t, "new=false")
			tpm = overSocket{connect(t, d.ready.Data)}
			assert.False(t, hasSHA1(t, tpm))
			assert.EqualValues(t, 3, resetCount(t, tpm))
			require.ErrorIs(t, changeOwnerAuth(t, tpm, "", "x"), tpm2.TPMRCBadAuth)
			require.NoError(t, changeOwnerAuth(t, tpm, "owner", ""))
			d.stop()
			require.Equal(t, exitOK, d.exitCode(t))
		})
	}
}

func TestWithoutStateTheTPMIsNew(t *testing.T) {
	for range 2 {
		d := daemonWith(t, "--flags=startup-clear")
		assert.Empty(t, d.ready.State)
		tpm := overSocket{connect(t, d.ready.Data)}
		assert.EqualValues(t, 1, resetCount(t, tpm))
		require.NoError(t, changeOwnerAuth(t, tpm, "", "owner"))
		d.stop()
		require.Equal(t, exitOK, d.exitCode(t))
	}
}

func TestTheLogSaysThatStateIsInMemory(t *testing.T) {
	d := daemonWith(t)
	d.log.until(t, "in memory")
	d.log.until(t, "--state=DIR keeps one")
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
}

// swtpm's environment variable is swtpm's command line only.
func TestTPMPathIsTheStateDirectory(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(options.StatePath, dir)
	sockets := t.TempDir()
	// A path that is taken ends it before it serves, but after it has begun.
	taken := filepath.Join(sockets, "taken")
	require.NoError(t, os.WriteFile(taken, nil, 0o600))
	ctrl := []string{"--ctrl", "type=unixio,path=" + taken}
	for _, words := range [][]string{nil, {"--tpmstate", "mode=0640"}} {
		require.NoError(t, os.RemoveAll(filepath.Join(dir, daemon.StateFile)))
		code, _, errs := called(t, slices.Concat([]string{"socket", "--tpm2", "--flags=startup-clear"}, words, ctrl)...)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, errs, "dir="+dir)
		info, err := os.Stat(filepath.Join(dir, daemon.StateFile))
		require.NoError(t, err)
		want := os.FileMode(options.DefaultStateMode)
		if words != nil {
			want = 0o640
		}
		assert.Equal(t, want, info.Mode().Perm())
	}
	named := t.TempDir()
	_, _, errs := called(t, slices.Concat([]string{"socket", "--tpm2", "--tpmstate", "dir=" + named}, ctrl)...)
	assert.Contains(t, errs, "dir="+named, "the command line goes first")

	d := daemonWith(t)
	assert.Empty(t, d.ready.State)
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
}

func TestTwoDaemonsOnOneStateDirectory(t *testing.T) {
	dir := t.TempDir()
	d := daemonWith(t, "--state", dir)
	sockets := t.TempDir()
	for _, args := range [][]string{
		{"--dir", sockets, "--state", dir},
		{"socket", "--tpm2", "--tpmstate", "dir=" + dir + ",lock", "--ctrl", "type=unixio,path=" + filepath.Join(sockets, "ctrl")},
	} {
		code, out, errs := called(t, args...)
		assert.Equal(t, exitFailed, code)
		assert.Empty(t, out, "not ready")
		assert.Contains(t, errs, dir)
		assert.Contains(t, errs, "in use by process "+strconv.Itoa(d.ready.PID))
	}
	left, err := os.ReadDir(sockets)
	require.NoError(t, err)
	assert.Empty(t, left)

	again := daemonWith(t, "--tpmstate", "dir="+dir+",lock=false")
	again.stop()
	require.Equal(t, exitOK, again.exitCode(t))
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
	third := daemonWith(t, "--state", dir)
	third.stop()
	require.Equal(t, exitOK, third.exitCode(t))
}

func TestStateThatCannotBeUsed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "tpm2.state")
	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
	code, out, errs := called(t, "--dir", t.TempDir(), "--state", dir)
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, out)
	assert.Contains(t, errs, path+": TPM state, offset 0")
	assert.Contains(t, errs, "restore the state from a copy")
	kept, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(kept))

	code, _, errs = called(t, "--dir", t.TempDir(), "--state", path)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, path)
}

func TestStateFileModeAndNeighbours(t *testing.T) {
	dir := t.TempDir()
	setUp(t, "--state="+dir, "--ek=none")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tpm2-00.permall"), []byte("swtpm's"), 0o600))
	d := daemonWith(t, "--tpmstate", "dir="+dir+",mode=0640", "--flags=startup-clear")
	d.log.until(t, "the state of a swtpm")
	info, err := os.Stat(filepath.Join(dir, "tpm2.state"))
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o640), info.Mode().Perm())
	kept, err := os.ReadFile(filepath.Join(dir, "tpm2-00.permall"))
	require.NoError(t, err)
	assert.Equal(t, "swtpm's", string(kept))
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
}
