package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// anyBytes has every byte, and what a console does not end lines with.
func anyBytes() string {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	return string(all) + "\r\r\n\x1b[2J\n\nhalf a line"
}

func TestTheConsoleLogHasWhatWasRead(t *testing.T) {
	for _, deferral := range [][]string{{"--defer-until=late_sync"}, nil} {
		file := filepath.Join(t.TempDir(), "console.log")
		d := daemonWith(t, append(deferral, "--console-log="+file)...)
		require.NotEmpty(t, d.ready.Console)
		assert.Contains(t, d.ready.QEMU, "chardev:console")
		admin := control.NewClient(d.ready.Admin)
		const banner = "[    0.000000] Linux version 6.1.0 (x@y) (gcc) #1 SMP"
		first := connect(t, d.ready.Console)
		_, err := first.Write([]byte(anyBytes()))
		require.NoError(t, err)
		require.NoError(t, first.Close())
		guest(t, connect(t, d.ready.Console), admin, initcall.Kernel, banner) // its connection comes second
		d.stop()
		require.Equal(t, exitOK, d.exitCode(t))
		kept, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, anyBytes()+banner+"\r\n", string(kept))
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode())
	}
}

func TestTheConsoleLogIsNewInEveryRun(t *testing.T) {
	file := filepath.Join(t.TempDir(), "console.log")
	require.NoError(t, os.WriteFile(file, []byte(strings.Repeat("an older boot\n", 100)), 0o640))
	d := daemonWith(t, "--console-log="+file)
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Zero(t, info.Size())
	assert.Equal(t, os.FileMode(0o640), info.Mode(), "the mode of a file that is there is its owner's affair")
}

func TestConsoleLogsThatAreRefused(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.WriteFile(at("boot.log"), []byte("precious"), 0o600))
	require.NoError(t, os.Symlink("boot.log", at("link")))
	require.NoError(t, os.Symlink(dir, at("also")))
	require.NoError(t, syscall.Mkfifo(at("pipe"), 0o600))
	late := "--defer-until=late"
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{late, "--console-log=" + at("pipe")}, exitUsage, "no regular file"},
		{[]string{late, "--console-log=" + dir}, exitUsage, "no regular file"},
		{[]string{late, "--console-log=/dev/null"}, exitUsage, "no regular file"},
		{[]string{late, "--console=file:" + at("boot.log"), "--console-log=" + at("link")}, exitUsage, "the file that --console reads"},
		{[]string{late, "--console=file:" + at("new"), "--console-log=" + at("also/new")}, exitUsage, "the file that --console reads"},
		{[]string{late, "--timeline=builtin", "--console-log=" + at("new")}, exitUsage, "--timeline goes by time"},
		{[]string{"socket", "--tpm2", "--server=type=tcp,port=0", "--console-log=" + at("new")}, exitUsage, "add --console"},
		{[]string{late, "--console-log=" + at("missing/new")}, exitFailed, "--console-log: open"},
	} {
		code, out, errs := called(t, c.args...)
		assert.Equal(t, c.code, code, "%v", c.args)
		assert.Empty(t, out)
		assert.Contains(t, errs, c.says)
	}
	left, err := os.ReadFile(at("boot.log"))
	require.NoError(t, err)
	assert.Equal(t, "precious", string(left))
	assert.NoFileExists(t, at("new"))
}
