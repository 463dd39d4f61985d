package emulator_test

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// observer notes what a TPM does with what surrounds it.
type observer struct {
	name  string
	notes *[]string
	below struct {
		io.Reader
		emulator.SurroundedStore
	}
}

var _ emulator.Surrounding = (*observer)(nil)

type nameKey struct{}

func (o *observer) note(what string) { *o.notes = append(*o.notes, o.name+" "+what) }

func (o *observer) Entropy(below io.Reader) io.Reader { o.below.Reader = below; return o }

func (o *observer) Clock(below func() time.Duration) func() time.Duration {
	return func() time.Duration { o.note("clock"); return below() }
}

func (o *observer) Store(below emulator.SurroundedStore) emulator.SurroundedStore {
	o.below.SurroundedStore = below
	return o
}

func (o *observer) PowerOn() { o.note("power on") }
func (o *observer) Begin(ctx context.Context) {
	name, _ := ctx.Value(nameKey{}).(string)
	o.note("begin " + name)
}
func (o *observer) End() { o.note("end") }

func (o *observer) Read(p []byte) (int, error) { o.note("entropy"); return o.below.Read(p) }
func (o *observer) Load() ([]byte, error)      { o.note("load"); return o.below.Load() }
func (o *observer) Writable() error            { return o.below.Writable() }
func (o *observer) Commit(blob []byte) error   { o.note("commit"); return o.below.Commit(blob) }

func (o *observer) Tear(blob []byte, n int) error { return o.below.Tear(blob, n) }

func TestWhatSurroundsATPMIsAskedFromOutsideIn(t *testing.T) {
	t.Parallel()
	var notes []string
	tpm := et.New(t)
	tpm.Surround(&observer{name: "inner", notes: &notes})
	tpm.Surround(&observer{name: "outer", notes: &notes})
	ctx := context.WithValue(t.Context(), nameKey{}, "this command")
	_, err := tpm.Send(ctx, 0, et.Command(wire.CCStirRandom, nil, nil, et.Sized(nil)))
	require.NoError(t, err)
	assert.Equal(t, []string{
		"inner begin this command", "outer begin this command", "outer clock", "inner clock",
		"outer entropy", "inner entropy", "inner end", "outer end",
	}, notes)
	notes = nil
	require.NoError(t, tpm.Init())
	assert.Equal(t, []string{
		"inner power on", "outer power on", "outer load", "inner load", "outer clock", "inner clock",
		"outer entropy", "inner entropy", "inner end", "outer end",
	}, notes)
}

// The zero TPM has what surrounds it made by then.
func TestTheZeroTPMCanBeSurrounded(t *testing.T) {
	t.Parallel()
	var notes []string
	var tpm emulator.TPM
	tpm.Surround(&observer{name: "it", notes: &notes})
	require.NoError(t, tpm.Init())
	assert.Contains(t, notes, "it commit")
}
