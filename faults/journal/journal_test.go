package journal_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/faults/journal"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/ask"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// run is a TPM under rules whose journal is kept.
type run struct {
	t      *testing.T
	clock  *initcall.Clock
	layer  *faults.Layer
	writer *journal.Writer
	device transport.Device
	own    transport.Device
	held   chan struct{} // gets a token when a command is held
	text   bytes.Buffer
}

func start(t *testing.T, seed uint64, rules ...string) *run {
	t.Helper()
	r := &run{t: t, clock: new(initcall.Clock), held: make(chan struct{}, 10)}
	ticks := new(journal.Ticks)
	tpm, err := emulator.New(emulator.Platform{Entropy: journal.Entropy(seed), Clock: ticks}, emulator.Config{})
	require.NoError(t, err)
	plan := faults.Plan{Clock: r.clock, Seed: seed, Time: ticks.Time}
	for _, text := range rules {
		rule, err := faults.ParseRule(text)
		require.NoError(t, err)
		plan.Rules = append(plan.Rules, rule)
	}
	head := journal.HeaderOf("test", &plan)
	head.TPMSeed, head.Commands = &seed, true
	r.writer = journal.NewWriter(&r.text, head)
	plan.Journal = func(d faults.Decision) {
		r.writer.Decided(d)
		if d.Outcome == faults.Held {
			r.held <- struct{}{}
		}
	}
	device, err := faults.Wrap(tpm, plan)
	require.NoError(t, err)
	r.layer, _ = faults.Of(device)
	r.device, r.own = r.writer.Device(device), r.writer.Own(tpm)
	r.clock.Subscribe(r.writer.Reached)
	return r
}

// replay repeats a journal with the emulator.
func replay(ctx context.Context, in io.Reader) (*journal.Repeated, error) {
	return journal.Replay(ctx, in, func(h journal.Header, ticks *journal.Ticks) (transport.Device, error) {
		return emulator.New(emulator.Platform{Entropy: journal.Entropy(*h.TPMSeed), Clock: ticks}, emulator.Config{})
	})
}

func (r *run) power() transport.Power {
	p, ok := transport.As[transport.Power](r.device)
	require.True(r.t, ok)
	return p
}

func (r *run) send(code wire.CC, body ...byte) {
	r.t.Helper()
	_, err := r.device.Send(transport.WithClient(r.t.Context(), "test"), 0, transport.NewCommand(transport.TagNoSessions, uint32(code), body))
	require.NoError(r.t, err)
}

// waits sends a command that is held, and returns when it is. The channel gets what came
// of it.
func (r *run) waits(code wire.CC) <-chan error {
	r.t.Helper()
	ended := make(chan error, 1)
	ctx := transport.WithClient(r.t.Context(), "test")
	go func() {
		_, err := r.device.Send(ctx, 0, transport.NewCommand(transport.TagNoSessions, uint32(code), nil))
		ended <- err
	}()
	transporttest.Receive(r.t, r.held)
	return ended
}

// life boots, is refused, held, changed and reset.
func (r *run) life() string {
	t := r.t
	r.clock.PowerOn("test")
	require.NoError(t, r.power().Init())
	require.NoError(t, ask.TPM{Device: r.own}.Startup(t.Context(), wire.SUClear))
	for range 20 {
		r.send(wire.CCGetRandom, 0, 8)
	}
	_, err := r.device.Send(transport.WithProbe(t.Context()), 0, transport.NewCommand(transport.TagNoSessions, uint32(wire.CCReadClock), nil))
	require.NoError(t, err)

	// Held until the level comes.
	require.NoError(t, r.clock.Advance(initcall.Late, initcall.NoTime, "test"))
	ended := r.waits(wire.CCReadClock)
	require.NoError(t, r.clock.Advance(initcall.LateSync, initcall.NoTime, "test"))
	require.NoError(t, transporttest.Receive(t, ended))

	rule, err := faults.ParseRule("name=new TestParms: rc=TPM_RC_LOCKOUT")
	require.NoError(t, err)
	require.NoError(t, r.layer.Add(rule))
	r.writer.Changed("added", []string{rule.String()})
	r.send(wire.CCTestParms, 0, 8, 0, 11)
	require.NoError(t, r.layer.Enable("new", false))
	r.writer.Changed("disabled", []string{"new"})
	r.send(wire.CCTestParms, 0, 8, 0, 11)

	// Held until a reset.
	r.clock.NewBoot("test")
	require.NoError(t, r.power().Init())
	r.send(wire.CCStartup, 0, 0)
	require.NoError(t, r.clock.Advance(initcall.Late, initcall.NoTime, "test"))
	ended = r.waits(wire.CCReadClock)
	r.clock.NewBoot("test") // which lets it go, as a reset does
	require.NoError(t, transporttest.Receive(t, ended))
	require.NoError(t, r.power().PowerOff())
	_, err = r.device.Send(t.Context(), 0, transport.NewCommand(transport.TagNoSessions, uint32(wire.CCReadClock), nil))
	require.Error(t, err)
	require.NoError(t, r.writer.Err())
	return r.text.String()
}

var rules = []string{"name=rare GetRandom p=0.3: rc=TPM_RC_RETRY", "name=late ReadClock level=late..late_sync: hold=10m", "name=every */7: rc=TPM_RC_YIELDED"}

// The same seed and the same commands give the same bytes, another seed others.
func TestTheSameRunHasTheSameJournal(t *testing.T) {
	first := start(t, 7, rules...).life()
	assert.Equal(t, first, start(t, 7, rules...).life())
	assert.NotEqual(t, first, start(t, 8, rules...).life())
	for _, says := range []string{`{"journal":1,"version":"test","seed":7,`, `"outcome":"released"`, `"outcome":"reset"`, `"outcome":"answered"`, `"probe":true`, `"own":true`, `"client":"test"`} {
		assert.Contains(t, first, says)
	}
	assert.NotContains(t, first, "time")
}

// A replay has the same bytes, and waits for nothing.
func TestReplay(t *testing.T) {
	text := start(t, 7, rules...).life()
	began := time.Now()
	result, err := replay(t.Context(), strings.NewReader(text))
	require.NoError(t, err)
	assert.Nil(t, result.Difference)
	assert.Equal(t, strings.Count(text, `{"command":{`), result.Commands)
	assert.Equal(t, strings.Count(text, `{"decision":{`), result.Decisions)
	assert.Less(t, time.Since(began), 5*time.Minute)
}

// What is not the same is told with its line.
func TestReplayTellsTheFirstDifference(t *testing.T) {
	text := start(t, 7, rules...).life()
	lines := strings.SplitAfter(text, "\n")
	for i, line := range lines {
		if !strings.HasPrefix(line, `{"answer"`) && !strings.HasPrefix(line, `{"decision"`) {
			continue
		}
		changed := append([]string{}, lines...)
		changed[i] = strings.Replace(line, "8001", "8002", 1)
		changed[i] = strings.Replace(changed[i], `"occurrence":`, `"occurrence":9`, 1)
		if changed[i] == line {
			continue
		}
		result, err := replay(t.Context(), strings.NewReader(strings.Join(changed, "")))
		require.NoError(t, err)
		require.NotNil(t, result.Difference, line)
		assert.Equal(t, i+1, result.Difference.Line)
		assert.Equal(t, strings.TrimSpace(line), result.Difference.Repeated)
	}
	result, err := replay(t.Context(), strings.NewReader(text+`{"answer":{"n":999}}`+"\n"))
	require.NoError(t, err)
	require.NotNil(t, result.Difference)
	assert.Empty(t, result.Difference.Repeated)
	result, err = replay(t.Context(), strings.NewReader(strings.Join(lines[:10], "")))
	require.NoError(t, err)
	assert.True(t, result.Difference == nil || result.Difference.Journal == "", "the end is cut off")
}

// What cannot be repeated is refused with its line and the reason.
func TestJournalsThatCannotBeRepeated(t *testing.T) {
	const head = `{"journal":1,"version":"x","seed":1,"rules":[],"tpm_seed":1,"commands":true}` + "\n"
	for text, says := range map[string]string{
		"":     "line 1: unexpected EOF",
		"[]\n": "line 1: ",
		"{}\n": "line 1: the journal has form 0",
		`{"journal":1,"version":"x","seed":1,"rules":[],"tpm_seed":1}`:                      "--journal-commands",
		`{"journal":1,"version":"x","seed":1,"rules":[],"commands":true}`:                   "--tpm-seed",
		`{"journal":1,"version":"x","seed":1,"rules":["fly"],"tpm_seed":1,"commands":true}`: `rule "fly"`,
		head + `{"lost":3}`:     "line 2: lines are missing",
		head + `{"other":"x"}`:  "line 2: x: that cannot be repeated",
		head + `{"power":"up"}`: "line 2: nobody can do",
		head + `{"unknown":1}`:  "line 2: ",
		head + `{} {}`:          "goes on after",
		head + `{"command":{"n":1,"locality":0,"bytes":"8"}}`: "line 2: ",
		head + `{"rules":{"change":"lost","rules":["x"]}}`:    "rules cannot be",
		head + strings.Repeat("x", 2<<20):                     "line 2: ",
	} {
		_, err := replay(t.Context(), strings.NewReader(text))
		var wrong *journal.Error
		require.ErrorAs(t, err, &wrong, text[:min(len(text), 100)])
		assert.Contains(t, err.Error(), says)
	}
}

// Commands that wait for one another without end are refused.
func TestCommandsThatAreKeptBackTogether(t *testing.T) {
	head := `{"journal":1,"version":"x","seed":1,"rules":["GetRandom: hold=1h"],"tpm_seed":1,"commands":true}` + "\n" + `{"power":"init"}` + "\n"
	text := head
	for i := range 1000 {
		text += fmt.Sprintf(`{"command":{"n":%d,"locality":0,"bytes":"80010000000c0000017b0008"}}`+"\n"+
			`{"decision":{"number":%d,"boot":1,"level":"firmware","rule":"GetRandom: hold=1h0m0s","fault":"hold=1h0m0s","occurrence":%d,"command":379,"locality":0,"outcome":"held"}}`+"\n", i+1, i+1, i+1)
	}
	result, err := replay(t.Context(), strings.NewReader(text))
	require.NoError(t, err)
	require.NotNil(t, result.Difference)
	assert.Contains(t, result.Difference.Repeated, "more than 64 commands")
}

// full is a disk that is full.
type full struct{ left int }

func (f *full) Write(p []byte) (int, error) {
	if f.left -= len(p); f.left < 0 {
		return 0, errors.New("the disk is full")
	}
	return len(p), nil
}

// A journal that cannot be written says so, and the TPM goes on.
func TestADiskThatIsFull(t *testing.T) {
	w := journal.NewWriter(&full{200}, journal.Header{Format: journal.Format, Commands: true})
	d := w.Device(transporttest.Plain(func(context.Context, uint8, []byte) ([]byte, error) {
		return transport.AppendResponse(nil, transport.RCSuccess), nil
	}))
	for range 10 {
		_, err := d.Send(t.Context(), 0, transport.NewCommand(transport.TagNoSessions, uint32(wire.CCReadClock), nil))
		require.NoError(t, err)
	}
	assert.ErrorContains(t, w.Err(), "the disk is full")
}

// FuzzReplay: whatever a journal says, it is repeated or refused.
func FuzzReplay(f *testing.F) {
	const head = `{"journal":1,"version":"x","seed":1,"rules":["GetRandom: hold=1h","*/2: rc=RETRY"],"tpm_seed":1,"commands":true}` + "\n"
	f.Add([]byte(head + `{"power":"init"}` + "\n" + `{"level":{"boot":1,"level":"firmware"}}` + "\n" + `{"command":{"n":1,"locality":0,"bytes":"80010000000c000001440000"}}` + "\n"))
	f.Add([]byte(head + `{"command":{"n":1,"locality":0,"bytes":"80010000000c0000017b0008"}}` + "\n" + `{"level":{"boot":1,"level":"late"}}` + "\n" + `{"rules":{"change":"removed","rules":["*/2: rc=TPM_RC_RETRY"]}}` + "\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		if _, err := replay(ctx, bytes.NewReader(text)); err != nil {
			var wrong *journal.Error
			require.ErrorAs(t, err, &wrong)
		}
	})
}
