package lateattack

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/lab"
	"github.com/swtpmd/swtpmd/conformance/lab/deferral"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// TestScenesBooted boots every scene twice, with SWTPMD_LAB=attack: that takes a minute. It
// is skipped where something is missing, and fetches and builds nothing: scripts/kernel-lab builds the kernels, scripts/late-attack
// fetches the rest.
func TestScenesBooted(t *testing.T) {
	if os.Getenv("SWTPMD_LAB") != "attack" {
		t.Skip("SWTPMD_LAB=attack runs it; scripts/kernel-lab build 'arm64-6.1-*' makes the kernels")
	}
	l, err := deferral.Cached(t.Output())
	if err != nil {
		t.Skip("no boots: ", err)
	}
	for _, s := range Scenes() {
		if _, err := l.Kernel(s.Kernel()); err != nil {
			t.Skip("no boots: ", err)
		}
	}
	var remove func()
	l.Swtpmd, remove, err = lab.BuildSwtpmd(t.Context(), "")
	require.NoError(t, err)
	t.Cleanup(remove)
	l.Timeout = 2 * time.Minute
	if dir := os.Getenv("SWTPMD_BOOTS_KEEP"); dir != "" {
		l.Keep = filepath.Join(dir, "late-attack")
	}
	for _, s := range Scenes() {
		t.Run(s.Name, func(t *testing.T) {
			seen, err := Boot(t.Context(), l, s)
			require.NoError(t, err)
			var text strings.Builder
			require.NoError(t, WriteText(&text, s, seen))
			t.Log(text.String())
			assert.Empty(t, s.Mismatch(seen))
		})
	}
}

// asSaid is what a scene is when it comes out as it says.
func asSaid(s Scene) *Seen {
	seen := &Seen{
		Scene: s.Name, RanAt: 1, ImaAt: 2, Alive: "{modprobe} /bin/busybox sh /sbin/modprobe -q -- cfi_probe",
		SameList: !s.Recorded, SamePCR: !s.Recorded || !s.Vouched, Verdict: lab.Bypass, Records: 5,
	}
	if s.Gap && !s.LateSync {
		seen.RanAt = 3
	}
	if s.Recorded {
		seen.Only = []string{"10 00 ima-ng sha256:00 /sbin/modprobe"}
	}
	if s.Vouched {
		seen.Verdict = lab.Measured
	}
	for _, policy := range Policies() {
		seen.Opinions = append(seen.Opinions, Opinion{Policy: policy, Outcome: s.Opinions[policy], Decided: []verify.Code{verify.FirmwareUnmeasured}})
	}
	return seen
}

// What is not as a scene says is found out, whatever it is.
func TestMismatch(t *testing.T) {
	t.Parallel()
	for _, s := range Scenes() {
		require.Empty(t, s.Mismatch(asSaid(s)), s.Name)
		for says, change := range map[string]func(*Seen){
			"left no process":    func(seen *Seen) { seen.Alive = "" },
			"it is not known":    func(seen *Seen) { seen.RanAt = 0 },
			"the program ran at": func(seen *Seen) { seen.RanAt, seen.ImaAt = seen.ImaAt, seen.RanAt },
			"records of the program alone": func(seen *Seen) {
				if s.Recorded {
					seen.Only = nil
				} else {
					seen.Only = []string{"10 00 ima-ng sha256:00 /sbin/modprobe"}
				}
			},
			"the lists of both boots": func(seen *Seen) { seen.SameList = !seen.SameList },
			"PCR 10 of both boots":    func(seen *Seen) { seen.SamePCR = !seen.SamePCR },
			"the verdict is":          func(seen *Seen) { seen.Verdict = lab.PCRMismatch },
			"policy strict says":      func(seen *Seen) { seen.Opinions[0].Outcome = verify.Accept },
			"a policy was not asked":  func(seen *Seen) { seen.Opinions = seen.Opinions[:2] },
		} {
			seen := asSaid(s)
			change(seen)
			assert.Contains(t, s.Mismatch(seen), says, s.Name)
		}
	}
}

// The window is there with IMA at late_sync whether the TPM is on time or not, and no
// policy that does not ask when IMA started refuses it.
func TestWhatTheScenesTeach(t *testing.T) {
	t.Parallel()
	for _, s := range Scenes() {
		if s.LateSync && s.Gap {
			assert.False(t, s.Recorded, s.Name)
			assert.True(t, s.Vouched, s.Name)
			assert.Equal(t, verify.Accept, s.Opinions["accept-late"], s.Name)
			assert.Equal(t, verify.Reject, s.Opinions["strict"], s.Name)
		}
	}
}

// The program puts back exactly the honest modprobe.
func TestProgramRestoresTheHonestModprobe(t *testing.T) {
	t.Parallel()
	_, rest, found := strings.Cut(string(program()), "<<'HONEST'\n")
	require.True(t, found)
	restored, _, found := strings.Cut(rest, "HONEST\n")
	require.True(t, found)
	assert.Equal(t, honest, restored)
}

func TestRanAt(t *testing.T) {
	t.Parallel()
	assert.InDelta(t, 1.25, ranAt([]string{"<6>[    1.000000] ima: x", "<12>[    1.250000] late-attack: the program runs as 0"}), 1e-9)
	assert.Zero(t, ranAt([]string{"<6>[    1.000000] ima: late-attack: "}))
}

func TestText(t *testing.T) {
	t.Parallel()
	s := Scenes()[2]
	var text strings.Builder
	require.NoError(t, WriteText(&text, s, asSaid(s)))
	for _, part := range []string{
		"== late_sync-deferred\n", "the program ran at 1.000 s, before IMA looked", "byte for byte", "vouches for the list",
		"strict       reject (firmware-unmeasured)",
	} {
		assert.Contains(t, text.String(), part)
	}
}
