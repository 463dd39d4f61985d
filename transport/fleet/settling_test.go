package fleet_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/fleet"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// unsettled is a TPM that has been started, in a fleet that does not settle it by itself.
func unsettled(t *testing.T) (f *fleet.Fleet, dir string, g *guest) {
	t.Helper()
	dir = transporttest.Dir(t)
	f = open(t, fleet.Options{Dir: dir, State: filepath.Join(dir, "state")})
	f.SettleAfter(time.Hour)
	require.NoError(t, f.AddSoon(t.Context(), "web", fleet.Config{}))
	s, _ := f.Status("web")
	g = connect(t, s)
	g.power(t)
	return f, dir, g
}

// changeOwnerAuth is the response code of TPM2_HierarchyChangeAuth, which changes the state.
func (g *guest) changeOwnerAuth(t *testing.T) wire.RC {
	t.Helper()
	response, err := g.commands.Send(t.Context(), 0, []byte{
		0x80, 0x02, 0, 0, 0, 30, 0, 0, 0x01, 0x29, 0x40, 0, 0, 0x01,
		0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0, 0, 1, 'a',
	})
	require.NoError(t, err)
	return wire.RC(transport.ResponseCode(response))
}

// Whoever has an answer of a new TPM, but that of TPM2_Startup, finds its file and its
// state again.
func TestATPMIsStoredBeforeItAnswers(t *testing.T) {
	t.Parallel()
	f, dir, g := unsettled(t)
	file, stored := filepath.Join(dir, "web.tpm"), filepath.Join(dir, "state/web/tpm2.state")
	assert.NoFileExists(t, file)
	assert.NoDirExists(t, filepath.Dir(stored))
	require.NoError(t, f.Gone(t.Context(), "web"))
	_, there := f.Status("web")
	assert.True(t, there, "a file that is not written yet is not gone")
	assert.Zero(t, g.code(t))
	assert.FileExists(t, file)
	assert.FileExists(t, stored)
	assert.Zero(t, g.changeOwnerAuth(t))
	require.NoError(t, g.Init(t.Context(), 0))
	require.NoError(t, g.Startup(t.Context(), wire.SUClear))
	assert.Equal(t, wire.RCBadAuth.Session(1), g.changeOwnerAuth(t), "the change is there after INIT")
}

// A TPM that nobody uses is stored too, and one whose power goes.
func TestATPMIsStoredByItself(t *testing.T) {
	t.Parallel()
	dir := transporttest.Dir(t)
	f := open(t, fleet.Options{Dir: dir, State: filepath.Join(dir, "state")})
	f.SettleAfter(time.Millisecond)
	require.NoError(t, f.AddSoon(t.Context(), "web", fleet.Config{Started: true}))
	require.Eventually(t, func() bool {
		_, errFile := os.Stat(filepath.Join(dir, "web.tpm"))
		_, errState := os.Stat(filepath.Join(dir, "state/web/tpm2.state"))
		return errFile == nil && errState == nil
	}, time.Minute, time.Millisecond)

	_, dir, g := unsettled(t)
	require.NoError(t, g.Stop(t.Context()))
	assert.FileExists(t, filepath.Join(dir, "state/web/tpm2.state"))
}

// A file that its author has written meanwhile stays as it is.
func TestAFileIsNotWrittenOver(t *testing.T) {
	t.Parallel()
	_, dir, g := unsettled(t)
	file := filepath.Join(dir, "web.tpm")
	require.NoError(t, os.WriteFile(file, []byte("# mine\n"), 0o600))
	assert.Zero(t, g.code(t))
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "# mine\n", string(text))
	left, err := filepath.Glob(filepath.Join(dir, ".web*"))
	require.NoError(t, err)
	assert.Empty(t, left)
}

// A TPM that cannot be stored is one whose NV memory cannot be written, until it can.
func TestATPMThatCannotBeStored(t *testing.T) {
	t.Parallel()
	_, dir, g := unsettled(t)
	blocked := filepath.Join(dir, "state/web")
	require.NoError(t, os.WriteFile(blocked, nil, 0o600))
	assert.Zero(t, g.code(t))
	assert.Equal(t, wire.RCNVUnavailable, g.changeOwnerAuth(t))
	require.NoError(t, os.Remove(blocked))
	assert.Zero(t, g.changeOwnerAuth(t))
	assert.FileExists(t, filepath.Join(blocked, "tpm2.state"))
}

// What another TPM has stored meanwhile is not written over.
func TestAnotherTPMTakesTheDirectory(t *testing.T) {
	t.Parallel()
	_, dir, g := unsettled(t)
	path := filepath.Join(dir, "state/web")
	other, err := state.OpenDirectory(path, state.DirectoryOptions{})
	require.NoError(t, err)
	assert.Equal(t, wire.RCNVUnavailable, g.changeOwnerAuth(t), "it is locked")
	require.NoError(t, other.Commit(new(state.State).Encode(nil)))
	require.NoError(t, other.Close())
	before, err := os.ReadFile(filepath.Join(path, "tpm2.state"))
	require.NoError(t, err)
	assert.Equal(t, wire.RCNVUnavailable, g.changeOwnerAuth(t), "it is another TPM's")
	after, err := os.ReadFile(filepath.Join(path, "tpm2.state"))
	require.NoError(t, err)
	assert.Equal(t, before, after)
}

// Removal of a TPM that is not stored yet leaves no file behind.
func TestRemovalBeforeATPMIsStored(t *testing.T) {
	t.Parallel()
	f, dir, _ := unsettled(t)
	require.NoError(t, f.Remove(context.Background(), "web", true))
	_, err := os.Stat(filepath.Join(dir, "web.tpm"))
	assert.ErrorIs(t, err, fs.ErrNotExist)
}
