package main

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/transport/fleet/machine"
)

// spoil makes commits into a directory fail, for every user: the file that a
// commit writes first is gone and cannot be made.
func spoil(t *testing.T, dir string) (mend func()) {
	t.Helper()
	path := filepath.Join(dir, daemon.StateFile+".new")
	require.NoError(t, os.RemoveAll(path))
	require.NoError(t, os.MkdirAll(filepath.Join(path, "x"), 0o700))
	return func() { require.NoError(t, os.RemoveAll(path)) }
}

// What is in the place of state but no file is refused by its name and kind,
// before anything listens.
func TestNothingButFilesIsState(t *testing.T) {
	dir := t.TempDir()
	mend := spoil(t, dir)
	args := []string{"--dir", t.TempDir(), "--tpmstate", "dir=" + dir + ",lock=false", "--flags=startup-clear"}
	code, out, errs := called(t, args...)
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, out)
	assert.Contains(t, errs, dir)
	assert.Contains(t, errs, daemon.StateFile+".new is a directory")

	mend()
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, daemon.StateFile), 0o600))
	code, _, errs = called(t, args...)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, daemon.StateFile+" is a named pipe")
}

func TestFailureModeIsExplained(t *testing.T) {
	dir := t.TempDir()
	d := daemonWith(t, "--state="+dir)
	ctrl, data := connect(t, d.ready.Control), connect(t, d.ready.Data)
	mend := spoil(t, dir)
	require.Equal(t, "00000000", asked(t, ctrl, cmdInit, 4))
	for range 3 {
		require.Equal(t, "80010000000a00000101", asked(t, data, startupClear10, 10))
	}
	log := d.log.until(t, "level=ERROR")
	assert.Equal(t, 1, strings.Count(log, "level=ERROR"), log)
	assert.Equal(t, 1, strings.Count(log, "level=WARN"), log)
	assert.Contains(t, log, "failure mode, code 2: commit TPM state: TPM state directory "+dir)
	assert.Contains(t, log, "state was not written")

	_, text, _ := called(t, "ctl", "--admin", d.ready.Admin, "status")
	assert.Regexp(t, `(?m)^failure  TPM in failure mode, code 2: .*`+daemon.StateFile, text)
	_, text, _ = called(t, "ctl", "--admin", d.ready.Admin, "--json", "status")
	var status control.Status
	require.NoError(t, json.Unmarshal([]byte(text), &status))
	assert.Contains(t, status.Failure, dir)

	mend()
	require.Equal(t, "00000000", asked(t, ctrl, cmdInit, 4))
	require.Equal(t, "80010000000a00000000", asked(t, data, startupClear10, 10))
	log = d.log.until(t, "state can be written again")
	assert.Equal(t, 1, strings.Count(log, "level=ERROR"), log)
	assert.Equal(t, 1, strings.Count(log, "state can be written again"), log)
	_, text, _ = called(t, "ctl", "--admin", d.ready.Admin, "--json", "status")
	assert.NotContains(t, text, "failure")
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
}

// A file system that is full or read-only is no failure of the TPM.
func TestAStoreThatRefusesIsExplainedOnce(t *testing.T) {
	var log lockedBuffer
	dir := t.TempDir()
	store, clock := new(emulatortest.Store), new(emulatortest.Clock)
	tpm, err := emulator.New(emulator.Platform{
		Clock: clock,
		Store: &machine.Store{Store: store, Dir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))},
	}, emulator.Config{})
	require.NoError(t, err)
	require.NoError(t, tpm.Init())
	require.NoError(t, options.StartupClear.Send(t.Context(), tpm))
	// The TPM asks the store once in a tenth of a second at most.
	fails := func() {
		t.Helper()
		clock.Advance(time.Second)
		require.Error(t, options.StartupClear.Send(t.Context(), tpm))
	}
	for range 2 {
		log = lockedBuffer{}
		store.SetWritable(fmt.Errorf("%w: the disk is full", state.ErrUnavailable))
		for range 3 {
			fails()
		}
		assert.Equal(t, 1, strings.Count(log.String(), "\n"), log.String())
		assert.Contains(t, log.String(), "level=WARN")
		assert.Contains(t, log.String(), "dir="+dir+` cause="NV memory cannot be written: try again when it is accessible: the disk is full"`)
		store.SetWritable(nil)
		for range 3 {
			fails()
		}
		assert.Equal(t, 2, strings.Count(log.String(), "\n"), log.String())
		assert.Contains(t, log.String(), "state can be written again")
	}
}
