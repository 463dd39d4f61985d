//go:build linux

package soak

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// built is swtpmd as it is shipped.
var built = sync.OnceValues(func() (string, error) {
	path := filepath.Join(builds, "swtpmd")
	cmd := exec.Command("go", "build", "-o", path, "../../cmd/swtpmd")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := cmd.CombinedOutput()
	if err != nil {
		return "", errors.New(string(said))
	}
	return path, nil
})

var builds string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if builds, err = os.MkdirTemp("", "soak"); err != nil {
			panic(err)
		}
		defer os.RemoveAll(builds)
		return m.Run()
	}())
}

func program(t *testing.T) string {
	t.Helper()
	path, err := built()
	require.NoError(t, err)
	return path
}

// Every kind of attack once, beside clients that must not notice.
func TestAttacks(t *testing.T) {
	t.Parallel()
	p := Plan{Program: program(t), Clients: 6, Bout: 100 * time.Millisecond, AtOnce: 4, Seed: 11, Say: t.Logf}
	r, err := Run(t.Context(), p)
	require.NoError(t, err)
	require.Empty(t, r.Failures)
	assert.Equal(t, 1, r.Rounds)
	assert.GreaterOrEqual(t, len(r.Attacks), 22)
	for _, a := range r.Attacks {
		assert.Equal(t, 1, a.Bouts, a.Name)
		assert.NotZero(t, a.Blows, a.Name)
	}
	assert.NotZero(t, r.Commands)
	assert.NotZero(t, r.Acknowledged)
	assert.Zero(t, r.Lost)
	assert.Equal(t, r.Before.Descriptors, r.Last.Descriptors)
	assert.NotZero(t, r.GoroutinesBefore)
	assert.NotZero(t, r.Ended)
}

func TestKills(t *testing.T) {
	t.Parallel()
	r, err := Kill(t.Context(), KillPlan{Program: program(t), Kills: 5, Seed: 11, Say: t.Logf})
	require.NoError(t, err)
	require.Empty(t, r.Failures)
	assert.Equal(t, 5, r.Kills)
	assert.NotZero(t, r.Acknowledged)
	assert.Zero(t, r.Lost)
}

// Clients of every socket transport, without one that does nothing.
func TestTransports(t *testing.T) {
	t.Parallel()
	r, err := Transports(t.Context(), TransportPlan{Program: program(t), Time: time.Second, Clients: 16, Seed: 11, Say: t.Logf})
	require.NoError(t, err)
	require.Empty(t, r.Failures)
	assert.Len(t, r.Transports, 8)
	for _, way := range r.Transports {
		assert.NotZero(t, way.Commands, way.Name)
		assert.NotZero(t, way.Connections, way.Name)
		assert.Zero(t, way.Lost, way.Name)
	}
	assert.Len(t, r.Servers, 3)
	for _, s := range r.Servers {
		assert.Equal(t, s.Before.Descriptors, s.Last.Descriptors, s.Name)
		assert.NotZero(t, s.Goroutines, s.Name)
	}
}

// A power cut at every point of the start of a TPM, and of a definition and a write.
func TestPowerCuts(t *testing.T) {
	t.Parallel()
	r, err := CutPower(t.Context(), CutPlan{Program: program(t), Commits: 1, AtOnce: 2, Say: t.Logf})
	if errors.Is(err, ErrNoStrace) {
		t.Skip(err)
	}
	require.NoError(t, err)
	require.Empty(t, r.Failures)
	assert.Greater(t, r.Points, 20)
	assert.Greater(t, r.Distinct, 10)
	assert.Zero(t, r.Lost)
	t.Logf("%+v", r)
}

// The page of figures has a row for every kind.
func TestThePageHasEveryAttack(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile("../../docs/reliability.md")
	require.NoError(t, err)
	for _, a := range Attacks() {
		assert.Contains(t, string(page), "| "+a.Name+" |")
	}
}

// Names and descriptions are what --list prints.
func TestAttacksHaveNames(t *testing.T) {
	t.Parallel()
	names := map[string]bool{}
	for _, a := range Attacks() {
		assert.False(t, names[a.Name], a.Name)
		names[a.Name] = true
		assert.NotEmpty(t, a.Does)
		assert.Less(t, len(a.Does), 110, "a line of a terminal, with the name: %s", a.Name)
		assert.False(t, strings.HasSuffix(a.Does, "."), a.Does)
	}
}
