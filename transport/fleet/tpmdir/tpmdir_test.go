package tpmdir

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/fleet"
)

// target notes what it is told.
type target struct {
	told   chan string
	answer map[string]error // of a name
}

func (g *target) note(what, name string) error {
	g.told <- what
	return g.answer[name]
}

func (g *target) target() Target {
	return Target{
		Put: func(_ context.Context, name, file string, text []byte) error {
			return g.note("put "+filepath.Base(file)+" "+name+" "+string(text), name)
		},
		Remove: func(_ context.Context, name string) error { return g.note("remove "+name, name) },
	}
}

// all returns what was told so far.
func (g *target) all() (list []string) {
	for {
		select {
		case what := <-g.told:
			list = append(list, what)
		default:
			return list
		}
	}
}

func opened(t *testing.T) (dir string, g *target, w *Watcher, log *bytes.Buffer) {
	t.Helper()
	dir, log = t.TempDir(), new(bytes.Buffer)
	g = &target{told: make(chan string, 100), answer: map[string]error{}}
	w, err := Open(dir, g.target(), slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	t.Cleanup(func() { w.Close() })
	return dir, g, w, log
}

func write(t *testing.T, dir, name, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
}

func TestScanTellsWhatHasChanged(t *testing.T) {
	dir, g, w, log := opened(t)
	ctx := t.Context()
	require.NoError(t, w.Scan(ctx))
	write(t, dir, "a.tpm", "profile=tiny\n")
	write(t, dir, "b.tpm", "")
	write(t, dir, ".c.tpm", "an editor's")
	write(t, dir, "d.txt", "something else")
	require.NoError(t, os.Mkdir(filepath.Join(dir, "e.tpm"), 0o700))
	write(t, dir, "f.tpm", strings.Repeat("x", fleet.MaxConfig+1))
	require.NoError(t, w.Scan(ctx))
	require.NoError(t, w.Scan(ctx))
	assert.Equal(t, []string{"put a.tpm a profile=tiny\n", "put b.tpm b "}, g.all())
	assert.Equal(t, 2, strings.Count(log.String(), "a TPM is refused"), "each file that is wrong is told once: %s", log)
	assert.Contains(t, log.String(), "e.tpm: the file: it is no regular file")
	assert.Contains(t, log.String(), "f.tpm: the file: it has more than 65536 bytes")

	write(t, dir, "b.tpm", "profile=roomy\n")
	require.NoError(t, os.Remove(filepath.Join(dir, "a.tpm")))
	require.NoError(t, w.Scan(ctx))
	require.NoError(t, w.Scan(ctx))
	assert.Equal(t, []string{"put b.tpm b profile=roomy\n", "remove a"}, g.all())
}

// A file that is refused is tried again when it has changed, and does not keep others away.
func TestAFileThatIsRefused(t *testing.T) {
	dir, g, w, log := opened(t)
	g.answer["a"] = errors.New("a.tpm:1: unknown word")
	write(t, dir, "a.tpm", "wrong")
	write(t, dir, "b.tpm", "")
	require.NoError(t, w.Scan(t.Context()))
	require.NoError(t, w.Scan(t.Context()))
	assert.Equal(t, []string{"put a.tpm a wrong", "put b.tpm b "}, g.all())
	assert.Equal(t, 1, strings.Count(log.String(), "a.tpm:1: unknown word"))
	delete(g.answer, "a")
	write(t, dir, "a.tpm", "right")
	require.NoError(t, w.Scan(t.Context()))
	assert.Equal(t, []string{"put a.tpm a right"}, g.all())
}

func TestWhatIsInUseWaits(t *testing.T) {
	dir, g, w, log := opened(t)
	write(t, dir, "a.tpm", "")
	require.NoError(t, w.Scan(t.Context()))
	g.all()
	g.answer["a"] = fleet.ErrInUse
	require.NoError(t, os.Remove(filepath.Join(dir, "a.tpm")))
	require.NoError(t, w.Scan(t.Context()))
	require.NoError(t, w.Scan(t.Context()))
	assert.Equal(t, []string{"remove a", "remove a"}, g.all())
	assert.Equal(t, 1, strings.Count(log.String(), "a TPM changes when it is not in use"))

	// The file is there again before its TPM was removed: it stays.
	delete(g.answer, "a")
	write(t, dir, "a.tpm", "")
	require.NoError(t, w.Scan(t.Context()))
	require.NoError(t, w.Scan(t.Context()))
	assert.Equal(t, []string{"put a.tpm a "}, g.all())
}

// A TPM that was made and whose file was removed between two looks is found by its name.
func TestATPMThatSomebodyElseHasMade(t *testing.T) {
	_, g, w, _ := opened(t)
	w.target.Names = func() []string { return []string{"a"} }
	require.NoError(t, w.Scan(t.Context()))
	assert.Equal(t, []string{"remove a"}, g.all())
}

func TestADirectoryThatIsGoneChangesNothing(t *testing.T) {
	dir, g, w, _ := opened(t)
	write(t, dir, "a.tpm", "")
	require.NoError(t, w.Scan(t.Context()))
	g.all()
	require.NoError(t, os.RemoveAll(dir))
	require.Error(t, w.Scan(t.Context()))
	assert.Empty(t, g.all())

	_, err := Open(dir, g.target(), nil)
	require.ErrorContains(t, err, dir)
}

// next waits for what is told next.
func (g *target) next(t *testing.T) string {
	t.Helper()
	select {
	case what := <-g.told:
		return what
	case <-time.After(time.Minute):
		t.Fatal("nothing was told for a minute")
		return ""
	}
}

func TestRun(t *testing.T) {
	dir, g, w, _ := opened(t)
	w.settle, w.again = time.Millisecond, time.Millisecond
	write(t, dir, "a.tpm", "")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	assert.Equal(t, "put a.tpm a ", g.next(t), "what was there before")
	write(t, dir, "new", "profile=tiny")
	require.NoError(t, os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "b.tpm")))
	assert.Equal(t, "put b.tpm b profile=tiny", g.next(t))
	require.NoError(t, os.Remove(filepath.Join(dir, "b.tpm")))
	assert.Equal(t, "remove b", g.next(t))
	cancel()
	select {
	case err := <-ended:
		require.NoError(t, err)
	case <-time.After(time.Minute):
		t.Fatal("Run does not end")
	}
}
