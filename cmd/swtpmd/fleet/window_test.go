package fleet

import (
	"context"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/fleet"
	"github.com/swtpmd/swtpmd/transport/fleet/admin"
)

// eventually asks until a TPM is as it is to be.
func eventually(t *testing.T, client *admin.Client, name string, is func(s fleet.Status, err error) bool) {
	t.Helper()
	var last fleet.Status
	var err error
	require.Eventually(t, func() bool {
		last, err = client.Status(t.Context(), name)
		return is(last, err)
	}, time.Minute, 5*time.Millisecond, "%s is %+v, %v", name, &last, &err)
}

func served(s fleet.Status, err error) bool { return err == nil && s.Refused == "" }

func gone(_ fleet.Status, err error) bool { return err != nil }

func TestAFileIsATPM(t *testing.T) {
	dir := t.TempDir()
	f, err := fleet.New(fleet.Options{Dir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, f.Close(context.Background())) })
	w, err := OpenWindow(t.Context(), f, dir, "", slog.New(slog.NewTextHandler(io.Discard, nil)))
	require.NoError(t, err)
	defer func() { assert.NoError(t, w.Close()) }()
	assert.Equal(t, filepath.Join(dir, "admin.sock"), w.Admin)
	client := admin.NewClient(w.Admin)
	defer client.Close()
	file := filepath.Join(dir, "web1.tpm")
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }

	// The name comes when the text is whole: an empty file is a TPM.
	require.NoError(t, os.WriteFile(file+".new", []byte("profil=tiny\n"), 0o600))
	require.NoError(t, os.Rename(file+".new", file))
	eventually(t, client, "web1", func(s fleet.Status, err error) bool {
		return err == nil && strings.HasPrefix(s.Refused, file+`:1: "profil": unknown word; it takes `)
	})
	write("profile=tiny\n")
	eventually(t, client, "web1", func(s fleet.Status, err error) bool { return served(s, err) && s.Profile == "tiny" })

	// It changes, and goes, when nobody is connected.
	s, err := client.Status(t.Context(), "web1")
	require.NoError(t, err)
	conn, err := net.Dial("unix", s.Control)
	require.NoError(t, err)
	eventually(t, client, "web1", func(s fleet.Status, err error) bool { return err == nil && s.ControlClients == 1 })
	write("profile=roomy\n")
	write("profile=roomy\n# the last word\n")
	require.NoError(t, conn.Close())
	eventually(t, client, "web1", func(s fleet.Status, err error) bool { return served(s, err) && s.Profile == "roomy" })
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "profile=roomy\n# the last word\n", string(text), "a file is its author's")
	require.NoError(t, os.Remove(file))
	eventually(t, client, "web1", gone)

	// One that is added over the admin socket has a file, and goes with it.
	_, err = client.Add(t.Context(), "db", "profile=tiny")
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, "db.tpm")))
	eventually(t, client, "db", gone)
}

// A file that is read while its author writes it stays its author's.
func TestAFileIsNotWritten(t *testing.T) {
	dir := t.TempDir()
	f, err := fleet.New(fleet.Options{Dir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, f.Close(context.Background())) })
	file := filepath.Join(dir, "a.tpm")
	require.NoError(t, os.WriteFile(file, []byte("profile=ti"), 0o600)) // to be gone on with
	require.NoError(t, target(f).Put(t.Context(), "a", file, nil))
	_, there := f.Status("a")
	assert.True(t, there)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "profile=ti", string(text))
}

// Who is connected to a TPM keeps it, however often its file is found to be gone.
func TestATPMInUseStays(t *testing.T) {
	dir := t.TempDir()
	f, err := fleet.New(fleet.Options{Dir: dir})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, f.Close(context.Background())) })
	require.NoError(t, f.Add(t.Context(), "a", fleet.Config{}))
	s, _ := f.Status("a")
	conn, err := net.Dial("unix", s.Control)
	require.NoError(t, err)
	require.Eventually(t, func() bool { s, _ := f.Status("a"); return s.ControlClients == 1 }, time.Minute, time.Millisecond)
	require.NoError(t, os.Remove(filepath.Join(dir, "a.tpm")))
	for range 3 {
		require.ErrorIs(t, f.Gone(t.Context(), "a"), fleet.ErrInUse)
	}
	require.NoError(t, conn.Close())
	require.Eventually(t, func() bool { return f.Gone(t.Context(), "a") == nil }, time.Minute, time.Millisecond)
	_, there := f.Status("a")
	assert.False(t, there)
	require.NoError(t, f.Gone(t.Context(), "a"), "it is gone already")
}
