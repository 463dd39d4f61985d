package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// lockedText holds the messages of a run, which the test reads after the run has ended.
type lockedText struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	defer l.text.Reset()
	return l.text.String()
}

// playAuto is a run that may choose between a KVM that is played and TCG. No
// time passes for its guests until they stand still.
func playAuto(t *testing.T, guest string) (*played, *lockedText) {
	t.Helper()
	p, said := play(t, guest, "ready"), new(lockedText)
	p.Machine.Accel, p.Cache, p.Progress = Auto, filepath.Join(t.TempDir(), "cache"), said
	require.NoError(t, os.Mkdir(p.Cache, 0o700))
	p.trial.device = filepath.Join(p.Cache, "dev-kvm")
	require.NoError(t, os.WriteFile(p.trial.device, nil, 0o600))
	p.trial.timer = func(time.Duration) <-chan time.Time { return nil }
	return p, said
}

// lateIn has the time of the nth stretch be over when the guest stands still.
func (p *played) lateIn(t *testing.T, nth int) {
	t.Helper()
	still := make(chan time.Time)
	p.whenStill(t, func() { close(still) })
	calls := 0
	p.trial.timer = func(time.Duration) <-chan time.Time {
		if calls++; calls == nth {
			return still
		}
		return nil
	}
}

// notes are the files that the run has left in its cache.
func (p *played) notes(t *testing.T) []string {
	t.Helper()
	notes, err := filepath.Glob(filepath.Join(p.Cache, "kvm-*"))
	require.NoError(t, err)
	return notes
}

// measured checks that a run ended in its verdict under an accelerator.
func (p *played) measured(t *testing.T, accel Accel) {
	t.Helper()
	record, err := Run(t.Context(), p.Config)
	require.NoError(t, err)
	p.assertGone(t, err)
	verdict, err := Judge(record)
	require.NoError(t, err)
	assert.Equal(t, Measured, verdict.Last().Word)
	assert.Equal(t, accel, verdict.Accel)
}

// A KVM that works by half costs one trial: the boot ends in its verdict, one
// line says why under TCG, and the next boot does without at once.
func TestAKVMThatWorksByHalfIsGivenUp(t *testing.T) {
	t.Parallel()
	for guest, c := range map[string]struct {
		stretch int // in which it is late; 0 if it ends by itself
		reason  string
	}{
		"kvm never prints":    {1, "no kernel banner within 10s"},
		"kvm prints a banner": {2, "a kernel banner, but no drivers within 10s"},
		"kvm refuses":         {0, "QEMU ended: exit status 134: qemu: error: failed to set MSR 0x10a to 0x69"},
	} {
		t.Run(guest, func(t *testing.T) {
			t.Parallel()
			p, said := playAuto(t, guest)
			p.Keep = filepath.Join(p.Cache, "kept")
			if c.stretch > 0 {
				p.lateIn(t, c.stretch)
			}
			p.measured(t, TCG)
			text := said.take()
			assert.Contains(t, text, "giving up KVM: "+c.reason+"; booting again under TCG\n")
			assert.Contains(t, text, "starting QEMU (q35, kvm, ")

			console, err := os.ReadFile(filepath.Join(p.Keep, "console.log"))
			require.NoError(t, err)
			assert.Contains(t, string(console), "the last words", "of the boot that came to its end")

			notes := p.notes(t)
			require.Len(t, notes, 1)
			content, err := os.ReadFile(notes[0])
			require.NoError(t, err)
			var note kvmSaid
			require.NoError(t, json.Unmarshal(content, &note))
			assert.Equal(t, c.reason, note.Reason)
			assert.WithinDuration(t, time.Now(), note.At, time.Hour)

			p.measured(t, TCG)
			text = said.take()
			assert.NotContains(t, text, "starting QEMU (q35, kvm, ")
			for _, part := range []string{"booting without KVM: " + c.reason, notes[0], "for 7 days", "--accel=kvm tries it again"} {
				assert.Contains(t, text, part)
			}
		})
	}
}

func TestAKVMThatWorksIsUsedAndItsNoteForgotten(t *testing.T) {
	t.Parallel()
	p, said := playAuto(t, "good")
	p.measured(t, KVM)
	assert.Empty(t, p.notes(t))
	assert.NotContains(t, said.take(), "tcg")

	noteOn(p.Cache).write(p.Config, "a reason of old")
	p.measured(t, TCG)
	assert.Contains(t, said.take(), "a reason of old")
	p.Machine.Accel = KVM
	p.measured(t, KVM)
	assert.Empty(t, p.notes(t))
	p.Machine.Accel = Auto
	p.measured(t, KVM)
}

func TestAskedForKVMIsNotReplaced(t *testing.T) {
	t.Parallel()
	p, said := playAuto(t, "kvm refuses")
	p.Machine.Accel = KVM
	noteOn(p.Cache).write(p.Config, "a reason of old")
	_, err := Run(t.Context(), p.Config)
	var failed *BootError
	require.ErrorAs(t, err, &failed)
	assert.ErrorContains(t, err, "failed to set MSR")
	assert.ErrorContains(t, err, "--accel=tcg")
	assert.NotContains(t, said.take(), "tcg")
	assert.Len(t, p.notes(t), 1, "the note still holds")
}

// A boot that fails under TCG too shows nothing about KVM.
func TestKVMIsNotBlamedForEverything(t *testing.T) {
	t.Parallel()
	for _, guest := range []string{"refuse", "lost"} {
		p, said := playAuto(t, guest)
		ctx, cancel := context.WithCancelCause(t.Context())
		if guest == "lost" {
			still := make(chan time.Time)
			p.whenStill(t, func() { close(still) }) // under KVM; under TCG nobody listens
			first := true
			p.trial.timer = func(time.Duration) <-chan time.Time {
				if first {
					first = false
					return still
				}
				cancel(errStill)
				return nil
			}
			p.Progress = writerFunc(func(line []byte) (int, error) {
				if bytes.Contains(line, []byte("starting QEMU (q35, tcg")) {
					cancel(errStill)
				}
				return said.Write(line)
			})
		}
		_, err := Run(ctx, p.Config)
		require.Error(t, err)
		assert.Contains(t, said.take(), "starting QEMU (q35, tcg", guest)
		assert.Empty(t, p.notes(t), guest)
		cancel(nil)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// A guest that has said hello was in time, whatever its console does not show;
// what fails later is no matter of KVM.
func TestAGuestThatFailsAfterHelloIsNotBootedAgain(t *testing.T) {
	t.Parallel()
	p, said := playAuto(t, "die")
	_, err := Run(t.Context(), p.Config)
	require.ErrorContains(t, err, "waiting for the guest's report init: QEMU ended: exit status 3")
	assert.NotContains(t, said.take(), "tcg")
	assert.Empty(t, p.notes(t))
}

func TestWithoutKVMDevice(t *testing.T) {
	t.Parallel()
	p, said := playAuto(t, "kvm never prints")
	require.NoError(t, os.Remove(p.trial.device))
	p.measured(t, TCG)
	assert.NotContains(t, said.take(), "KVM", "a machine without KVM has nothing to be told")
}

// The time really ends.
func TestAHangingKVMIsGivenUpInTime(t *testing.T) {
	t.Parallel()
	p, said := playAuto(t, "kvm never prints")
	p.trial.timer = func(time.Duration) <-chan time.Time { return time.After(200 * time.Millisecond) }
	p.measured(t, TCG)
	assert.Contains(t, said.take(), "giving up KVM: no kernel banner within 10s")
}

// What TCG needs as long for is no fault of KVM.
func TestFurther(t *testing.T) {
	t.Parallel()
	ends := func(seconds ...time.Duration) (r reached) {
		for i, s := range seconds {
			r.ends[i] = s * time.Second
		}
		return r
	}
	late := func(r reached) reached { r.late = true; return r }
	init := func(r reached) reached { r.init = true; return r }
	for _, c := range []struct {
		tcg, kvm reached
		want     bool
	}{
		{ends(4, 6), late(ends()), true},
		{ends(15, 17), late(ends()), true},
		{ends(22, 24), late(ends()), false},
		{ends(), late(ends()), false},
		{ends(4, 6), late(ends(9)), true},
		{ends(22, 24), late(ends(9)), true},
		{ends(4, 25), late(ends(9)), false},
		{ends(4), late(ends(9)), false},
		{init(ends(4, 6)), ends(), true},
		{ends(4, 6), ends(2, 3), false},
	} {
		assert.Equal(t, c.want, c.tcg.further(c.kvm), "%+v", c)
	}
	r := init(ends(4))
	r.through(9 * time.Second)
	assert.Equal(t, init(ends(4, 9)), r)
}

func TestKVMNotes(t *testing.T) {
	t.Parallel()
	note := noteOn(t.TempDir())
	now := time.Now()
	_, ok := note.read(now)
	assert.False(t, ok)
	said := new(lockedText)
	note.write(Config{Progress: said}, "a reason")
	got, ok := note.read(now.Add(time.Minute))
	require.True(t, ok)
	assert.Equal(t, "a reason", got.Reason)
	_, ok = note.read(now.Add(noteLife + time.Minute))
	assert.False(t, ok, "it does not hold for ever")
	_, ok = note.read(now.Add(-time.Hour))
	assert.False(t, ok, "it is not from the future")
	for _, text := range []string{"", "{", `{"schema":"other/1","reason":"x"}`, "[]"} {
		require.NoError(t, os.WriteFile(note.path, []byte(text), 0o600))
		_, ok = note.read(now)
		assert.False(t, ok, text)
	}
	note.remove()
	assert.NoFileExists(t, note.path)
	note.remove()

	noteOn(filepath.Join(t.TempDir(), "missing")).write(Config{Progress: said}, "a reason")
	assert.Contains(t, said.take(), "cannot note that KVM was given up")
	noteOn("").write(Config{}, "a reason")
	_, ok = noteOn("").read(now)
	assert.False(t, ok)
}
