package faults_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
)

// recording is a TPM that keeps the commands it is sent.
type recording struct {
	*emulatortest.TPM
	commands [][]byte
}

func (r *recording) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	r.commands = append(r.commands, bytes.Clone(command))
	return r.TPM.Send(ctx, locality, command)
}

// script is what a client sends: from each chapter of Part 3 that faults touch something.
var clientScript = sync.OnceValue(func() [][]byte {
	t := &testing.T{}
	r := &recording{TPM: emulatortest.New(t, emulatortest.WithoutStartup(), emulatortest.Unchecked())}
	s := &situation{T: t, Client: emulatortest.Client{TPM: r}, tpm: r.TPM}
	errs := []error{s.startup(), s.random(), s.extend(), s.define(), s.increment(), s.increment()}
	session, _, err := tpm2.HMACSession(s.Client, tpm2.TPMAlgSHA256, 16, tpm2.Audit())
	errs = append(errs, err)
	for range 2 {
		_, err = tpm2.GetRandom{BytesRequested: 8}.Execute(s.Client, session)
		errs = append(errs, err)
	}
	created, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHNull, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(s.Client)
	errs = append(errs, err)
	saved, err := tpm2.ContextSave{SaveHandle: created.ObjectHandle}.Execute(s.Client)
	errs = append(errs, err)
	_, err = tpm2.FlushContext{FlushHandle: created.ObjectHandle}.Execute(s.Client)
	errs = append(errs, err)
	_, err = tpm2.ContextLoad{Context: saved.Context}.Execute(s.Client)
	errs = append(errs, err)
	_, err = tpm2.GetCapability{Capability: tpm2.TPMCapPCRs, PropertyCount: 1}.Execute(s.Client)
	errs = append(errs, err)
	_, err = tpm2.Shutdown{ShutdownType: tpm2.TPMSUState}.Execute(s.Client)
	errs = append(errs, err)
	for _, err := range errs {
		if err != nil {
			panic(err)
		}
	}
	return r.commands
})

// values are what faults of kinds can have besides their examples.
var values = map[string][]string{
	"rc": {"FAILURE", "RETRY", "0x922", "UPGRADE"}, "delay": {"1ms", "0s..5s"}, "hold": {"1s"}, "power": {"off", "cycle", "cycle,startup=state", "cycle,shutdown=state,startup=state", "off,after"},
	"capability": {"reverse", "more", "empty", "duplicate"}, "flip": {"1", "40", "0.0", "5.7"}, "truncate": {"1", "9", "11"}, "extend": {"1", "4096"},
	"size": {"-4", "+4096"}, "gone": {"2", "1s"}, "flap": {"1/1", "2s/1s"}, "testing": {"3s"}, "close": {"before"}, "slow": {"firmware", "linux-limits"},
	"entropy": {"fail", "short", "stuck"}, "store": {"fail", "torn", "full", "rate", "slow:2s"}, "clock": {"+1h", "-1h", "stop"}, "nvwear": {"1", "5"},
	"bank": {"sha256:zero", "sha1:wrong", "sha256:empty", "sha1:refused"}, "pcr-extend": {"0", "17"}, "fill": {"objects", "objects:1", "sessions", "sessions:2"},
}

// drawPlan draws rules of all kinds of faults, each of which can be read.
func drawPlan(random *rand.Rand) (texts []string) {
	kinds := faults.Kinds()
	whens := []string{"*", "*#2-", "*/3", "p=0.3", "level=kernel..late", "Startup", "GetRandom,PCR_Extend", "session=yes", "times=2", "pcr=10", "NV_Increment,NV_DefineSpace", "time=..4s"}
	for i := range 1 + random.IntN(4) {
		k := kinds[random.IntN(len(kinds))]
		_, fault, _ := strings.Cut(k.Example, ": ")
		if list := values[k.Word]; len(list) > 0 && random.IntN(3) > 0 {
			fault = k.Word + "=" + list[random.IntN(len(list))]
		}
		texts = append(texts, fmt.Sprintf("name=r%d %s: %s", i, whens[random.IntN(len(whens))], fault))
	}
	return texts
}

// atOnce is a sender's time in which a wait takes none of ours.
func atOnce(now *time.Duration) transport.Wait {
	return func(released <-chan struct{}, longest time.Duration) bool {
		select {
		case <-released:
			return true
		default:
			*now += longest
			return false
		}
	}
}

// underPlan sends the script of a client to an emulator under a plan, through three boots,
// and returns what the journal says. The emulator compares its state with what it may be
// after each command (Config.CheckErrors), and panics if it is not.
func underPlan(t *testing.T, texts []string, random *rand.Rand) string {
	t.Helper()
	var now time.Duration
	var clock initcall.Clock
	var journal told
	tpm := emulatortest.New(t, emulatortest.WithoutPower())
	d, err := faults.Wrap(tpm.TPM, faults.Plan{
		Rules: rules(t, texts...), Seed: 1, Dangerous: true, Clock: &clock, Time: func() time.Duration { return now }, Journal: journal.tell,
	})
	if err != nil { // such as a rule that is never asked
		var wrong *faults.PlanError
		require.ErrorAs(t, err, &wrong)
		return ""
	}
	power, ok := transport.As[transport.Power](d)
	require.True(t, ok)
	ctx := transport.WithWait(t.Context(), atOnce(&now))
	for range 3 {
		_ = power.Init()
		clock.PowerOn("test")
		for _, command := range clientScript() {
			given := bytes.Clone(command)
			_, _ = d.Send(ctx, uint8(random.IntN(2)), command)
			require.Equal(t, given, command, "a command is its sender's")
			tpm.Clock.Advance(time.Second)
			now += time.Second
			if level := clock.Level(); level < initcall.Userspace && random.IntN(3) == 0 {
				require.NoError(t, clock.Advance(level+1, initcall.NoTime, "test"))
			}
		}
	}
	testWhole(t, tpm, power)
	var told strings.Builder
	for _, decision := range journal {
		decision.Time = time.Time{}
		fmt.Fprintf(&told, "%+v\n", decision)
	}
	return told.String()
}

// testWhole asserts that a TPM works that a plan has been at, once it has had power anew, and
// that another TPM takes its state.
func testWhole(t *testing.T, tpm *emulatortest.TPM, power transport.Power) {
	t.Helper()
	require.NoError(t, power.Init())
	require.NoError(t, tpm.Init())
	client := tpm.Client()
	if _, err := (tpm2.Startup{StartupType: tpm2.TPMSUClear}).Execute(client); err != nil {
		require.ErrorIs(t, tpm.Failure(), emulatortest.ErrInjected, "TPM2_Startup: %v", err)
		return
	}
	_, err := tpm2.GetRandom{BytesRequested: 8}.Execute(client)
	require.NoError(t, err)
	permanent, volatile, err := tpm.SaveState()
	require.NoError(t, err)
	other := emulatortest.New(t)
	require.NoError(t, other.LoadState(permanent, volatile))
}

// The state of the emulator stays valid under every plan, no plan makes Send panic, and the
// same seed gives the same journal.
func TestPlansOnEmulator(t *testing.T) {
	t.Parallel()
	met := map[faults.Outcome]bool{}
	for seed := range uint64(60) {
		texts := drawPlan(rand.New(rand.NewPCG(seed, 0)))
		run := func() string { return underPlan(t, texts, rand.New(rand.NewPCG(seed, 1))) }
		journal := run()
		if seed%6 == 0 {
			require.Equal(t, journal, run(), "seed %d: %q", seed, texts)
		}
		for _, o := range []faults.Outcome{faults.Answered, faults.Changed, faults.Lost, faults.Cut, faults.Closed, faults.Delayed, faults.Expired} {
			met[o] = met[o] || strings.Contains(journal, "Outcome:"+string(o)+" ")
		}
		if t.Failed() {
			t.Fatalf("seed %d: %q", seed, texts)
		}
	}
	for outcome, ok := range met {
		assert.True(t, ok, "no plan led to %q", outcome)
	}
}

func FuzzPlanOnEmulator(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed, strings.Join(drawPlan(rand.New(rand.NewPCG(seed, 0))), "\n"))
	}
	for _, k := range faults.Kinds() {
		f.Add(uint64(9), k.Example)
	}
	f.Fuzz(func(t *testing.T, seed uint64, text string) {
		file, err := faults.ParsePlanFile("f", []byte(text))
		if err != nil || len(file.Rules) > 20 {
			return
		}
		var texts []string
		for _, r := range file.Rules {
			texts = append(texts, r.String())
		}
		underPlan(t, texts, rand.New(rand.NewPCG(seed, 1)))
	})
}
