package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/emulator/state"
)

// stateOf returns the state file of a TPM that has been started.
func stateOf(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	d := daemonWith(t, "--state="+dir, "--flags=startup-clear")
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
	text, err := os.ReadFile(filepath.Join(dir, daemon.StateFile))
	require.NoError(t, err)
	return text
}

// changed returns a copy of a state with a change in it, and with the digest at its end
// that it should have.
func changed(text []byte, change func([]byte)) []byte {
	text = slices.Clone(text)
	change(text)
	end := len(text) - sha256.Size
	sum := sha256.Sum256(text[:end])
	return append(text[:end], sum[:]...)
}

// A state file that is none of this program's, or not whole, is refused with its name
// and the remedy; nothing is served, and nothing written.
func TestStateFilesThatAreRefused(t *testing.T) {
	good := stateOf(t)
	// The frame has 8 bytes of magic, a version and the number of sections, and each
	// section a tag, a version and a size (emulator/state/FORMAT.md).
	const frameVersion, sectionVersion = 8, 8 + 2 + 2 + 2
	flipped := func(at int) []byte {
		text := slices.Clone(good)
		text[at] ^= 0x10
		return text
	}
	for name, c := range map[string]struct {
		file []byte
		says string
	}{
		"empty":               {nil, "restore the state from a copy"},
		"one byte":            {good[:1], "restore the state from a copy"},
		"its magic":           {good[:8], "restore the state from a copy"},
		"the half":            {good[:len(good)/2], "restore the state from a copy"},
		"all but a byte":      {good[:len(good)-1], "restore the state from a copy"},
		"a byte more":         {append(slices.Clone(good), 0), "restore the state from a copy"},
		"zeros":               {make([]byte, len(good)), "restore the state from a copy"},
		"too much":            {make([]byte, state.MaxSize+1), "restore the state from a copy"},
		"a bit in the magic":  {flipped(0), "restore the state from a copy"},
		"a bit in the middle": {flipped(len(good) / 2), "restore the state from a copy"},
		"a bit in the digest": {flipped(len(good) - 1), "restore the state from a copy"},
		"a newer format": {changed(good, func(b []byte) { binary.BigEndian.PutUint16(b[frameVersion:], 9) }),
			"format version 9, this program knows 1: use the program that wrote it"},
		"a newer section": {changed(good, func(b []byte) { binary.BigEndian.PutUint16(b[sectionVersion:], 77) }),
			"section 1 version 77, this program knows "},
		"a section too long": {changed(good, func(b []byte) { binary.BigEndian.PutUint32(b[sectionVersion+2:], 1<<30) }),
			"restore the state from a copy"},
		"a text": {[]byte("#!/bin/sh\nexit 0\n"), "restore the state from a copy"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, sockets := t.TempDir(), t.TempDir()
			path := filepath.Join(dir, daemon.StateFile)
			require.NoError(t, os.WriteFile(path, c.file, 0o600))
			before, err := os.Stat(path)
			require.NoError(t, err)
			code, out, errs := called(t, "--dir", sockets, "--state="+dir, "--flags=startup-clear")
			assert.Equal(t, exitFailed, code)
			assert.Empty(t, out, "not ready")
			assert.Contains(t, errs, path+": ")
			assert.Contains(t, errs, c.says)
			kept, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.True(t, bytes.Equal(c.file, kept), "it is overwritten")
			after, err := os.Stat(path)
			require.NoError(t, err)
			assert.True(t, os.SameFile(before, after), "it is another file")
			left, err := os.ReadDir(sockets)
			require.NoError(t, err)
			assert.Empty(t, left)
		})
	}
}

// What is no file is not followed, emptied or waited for.
func TestStateThatIsNoFile(t *testing.T) {
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	require.NoError(t, os.WriteFile(elsewhere, []byte("precious"), 0o600))
	for name, c := range map[string]struct {
		made func(path string) error
		says string
	}{
		"directory": {func(path string) error { return os.Mkdir(path, 0o700) }, "a directory"},
		"link":      {func(path string) error { return os.Symlink(elsewhere, path) }, "a symbolic link"},
	} {
		dir := t.TempDir()
		require.NoError(t, c.made(filepath.Join(dir, daemon.StateFile)), name)
		code, _, errs := called(t, "--dir", t.TempDir(), "--state="+dir)
		assert.Equal(t, exitFailed, code, name)
		assert.Contains(t, errs, dir)
		assert.Contains(t, errs, "tpm2.state is "+c.says+", and TPM state is kept in regular files only")
	}
	kept, err := os.ReadFile(elsewhere)
	require.NoError(t, err)
	assert.Equal(t, "precious", string(kept))
}
