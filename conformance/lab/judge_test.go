package lab

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// The reports in testdata were kept from boots of Debian's 6.1 kernel against
// swtpmd (on-time: against swtpm 0.7), by Config.Keep.
func report(label, dir string) Report {
	return Report{Label: label, Items: readItems(filepath.Join("testdata", dir))}
}

// deferred is the view of a TPM that was deferred until late_sync, with the
// PCRs that the guest saw in the report.
func deferred(t *testing.T, r Report, at time.Duration) *View {
	t.Helper()
	pcrs, err := r.pcrs()
	require.NoError(t, err)
	return &View{
		PCRs: pcrs,
		Status: control.Status{
			Now: initcall.Event{Boot: 1, Level: initcall.Userspace},
			Levels: []initcall.Event{
				{Boot: 1, Level: initcall.Late, At: at - time.Second, Cause: "initcall_level: level=late"},
				{Boot: 1, Level: initcall.LateSync, At: at, Cause: "calling  software_resume"},
			},
			Rules: []control.RuleStatus{{From: initcall.Kernel, Until: initcall.LateSync}},
		},
		Journal: []control.Entry{{Decision: faults.Decision{Boot: 1, Outcome: faults.Answered}}, {Decision: faults.Decision{Boot: 1, Outcome: faults.Answered}}, {Decision: faults.Decision{Boot: 2, Outcome: faults.Answered}}},
	}
}

func judge(t *testing.T, boots ...Boot) *Verdict {
	t.Helper()
	v, err := Judge(&Record{Machine: Machine{Device: TIS, Firmware: SeaBIOS, Accel: TCG}, Boots: boots})
	require.NoError(t, err)
	return v
}

func TestJudgeMeasured(t *testing.T) {
	t.Parallel()
	r := report(AtInit, "on-time")
	pcrs, err := r.pcrs()
	require.NoError(t, err)
	b := judge(t, Boot{Release: "6.1", Reports: []Report{r}, View: &View{PCRs: pcrs}}).Last()
	assert.Equal(t, Measured, b.Word)
	assert.Equal(t, "2bed5bc42c0a46bf17b171523cb960e99373bd16edff3408b64bb2dfee3f590a", b.Aggregate.Digest.String())
	assert.True(t, b.Aggregate.Match)
	assert.Len(t, b.List, 3)
	assert.Equal(t, 3, b.Count)
	assert.Zero(t, b.Violations)
	assert.Equal(t, []string{"tpm0", "tpmrm0"}, b.Driver.Nodes)
	require.Len(t, b.Banks, 4)
	for _, bank := range b.Banks {
		assert.True(t, bank.Guest.Match && bank.TPM.Match, bank.Bank)
	}
	assert.Equal(t, "padded sha1 digests", b.Banks[3].Digests, "sha512, which that kernel lacks")
	assert.Equal(t, "late", b.IMA.LookedLevel)
	assert.Equal(t, BoundInTime, b.Driver.Bound)
	assert.Contains(t, b.Sentence, "holds the list of 3 in sha1, sha256, sha384, sha512; tpm_tis had bound to it in time")
}

func TestJudgeBypass(t *testing.T) {
	t.Parallel()
	first, last := report(AtInit, "bypass-init"), report(AfterBind, "bypass-rebind")
	b := judge(t, Boot{Reports: []Report{first, last}, View: deferred(t, last, 2500*time.Millisecond)}).Last()
	assert.Equal(t, Bypass, b.Word)
	assert.True(t, b.IMA.Bypass)
	assert.True(t, b.Aggregate.Zero)
	assert.Equal(t, BoundByHand, b.Driver.Bound)
	assert.Equal(t, map[string]int{"answered": 2}, b.Release.Decisions, "those of this boot")
	for _, bank := range b.Banks {
		assert.True(t, bank.TPM.Zero)
		assert.False(t, bank.TPM.Match)
	}
	assert.Contains(t, b.Sentence, "IMA went into TPM-bypass: the TPM was released at late_sync (2.50 s), 0.47 s after IMA looked for it at late (2.03 s); its probe had failed already (1.72 s, returned 19), which the kernel does not retry; tpm_tis bound to it when user space asked for it")

	b = judge(t, Boot{Reports: []Report{first}, View: deferred(t, last, time.Second)}).Last()
	// A TPM released in between comes too late too: nobody asks it.
	assert.Contains(t, b.Sentence, "1.03 s before IMA looked")
	assert.Contains(t, b.Sentence, "its probe had failed already")
	assert.Contains(t, b.Sentence, "no driver bound to it.")
	assert.Nil(t, b.Banks[0].Guest, "the guest has no TPM to read")
}

func TestJudgeFieldFailure(t *testing.T) {
	t.Parallel()
	r := report(AtInit, "field-failure")
	b := judge(t, Boot{Reports: []Report{r}, View: deferred(t, report(AtInit, "on-time"), time.Second)}).Last()
	assert.Equal(t, NoSuitableBank, b.Word)
	assert.True(t, b.Driver.FieldFailure)
	assert.Nil(t, b.Driver.Failed, "the probe succeeded")
	assert.False(t, b.IMA.Bypass, "IMA has found a TPM")
	assert.True(t, b.Aggregate.Zero)
	assert.Contains(t, b.Sentence, "without a bank that it can use, and recorded a boot aggregate of zeros")
	assert.True(t, strings.HasSuffix(b.Sentence, "in field failure mode."), b.Sentence)
}

// TestJudgeIsNotFooled takes the boot in which all was well and changes one
// thing at a time.
func TestJudgeIsNotFooled(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Report, *View)
		want   Word
	}{
		"nothing":            {func(*Report, *View) {}, Measured},
		"PCR 10 of one bank": {func(_ *Report, v *View) { v.PCRs["sha1"][10] = strings.Repeat("00", 20) }, PCRMismatch},
		"PCR 10 as the guest sees": {func(r *Report, _ *View) {
			r.Items[itemPCRs] = bytes.Replace(r.Items[itemPCRs], []byte("pcr-sha256/10:7A"), []byte("pcr-sha256/10:7B"), 1)
		}, PCRMismatch},
		"PCR 9":         {func(_ *Report, v *View) { v.PCRs["sha256"][9] = strings.Repeat("01", 32) }, AggregateMismatch},
		"PCR 9 of sha1": {func(_ *Report, v *View) { v.PCRs["sha1"][9] = strings.Repeat("01", 20) }, Measured},
		"a shorter list": {func(r *Report, _ *View) {
			r.Items[itemBinary] = r.Items[itemBinary][:recordsLength(r.Items[itemBinary], 2)]
		}, PCRMismatch},
		"no PCRs at all": {func(r *Report, v *View) { r.Items[itemPCRs], v.PCRs = nil, nil }, Unverified},
		"only the guest": {func(_ *Report, v *View) { v.PCRs = nil }, Measured},
		"no list":        {func(r *Report, _ *View) { delete(r.Items, itemBinary) }, NoIMA},
		"an empty list":  {func(r *Report, _ *View) { r.Items[itemBinary] = nil }, NoIMA},
		"bypass line": {func(r *Report, _ *View) {
			r.Items[itemDmesg] = append(r.Items[itemDmesg], "[    9.000000] ima: No TPM chip found, activating TPM-bypass!\n"...)
		}, Contradiction},
		"bypass line, seen from the guest": {func(r *Report, v *View) {
			r.Items[itemDmesg] = append(r.Items[itemDmesg], "[    9.000000] ima: No TPM chip found, activating TPM-bypass!\n"...)
			v.PCRs = nil
		}, Contradiction},
		"bypass line of a program": {func(r *Report, _ *View) {
			r.Items[itemDmesg] = append(r.Items[itemDmesg], "<12>[    9.000000] ima: No TPM chip found, activating TPM-bypass!\n"...)
		}, Measured},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := report(AtInit, "on-time")
			pcrs, err := r.pcrs()
			require.NoError(t, err)
			view := &View{PCRs: pcrs}
			c.change(&r, view)
			assert.Equal(t, c.want, judge(t, Boot{Reports: []Report{r}, View: view}).Last().Word)
		})
	}
}

// recordsLength gives the length of the first n records of a binary list.
func recordsLength(list []byte, n int) int {
	at := 0
	for range n {
		at += 4 + 20
		at += 4 + int(list[at]) // the template's name
		at += 4 + int(list[at]) + 256*int(list[at+1])
	}
	return at
}

func TestJudgeRefusesWhatItCannotRead(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Report, *View){
		"list":           func(r *Report, _ *View) { r.Items[itemBinary] = r.Items[itemBinary][:50] },
		"count":          func(r *Report, _ *View) { r.Items[itemCount] = []byte("many\n") },
		"violations":     func(r *Report, _ *View) { delete(r.Items, itemViolations) },
		"guest's PCRs":   func(r *Report, _ *View) { r.Items[itemPCRs] = []byte("/sys/class/tpm/tpm0/pcr-sha256/1:XY\n") },
		"unknown bank":   func(_ *Report, v *View) { v.PCRs["rot13"] = map[int]string{0: "00"} },
		"short PCR":      func(_ *Report, v *View) { v.PCRs["sha256"][0] = "00" },
		"PCR not in hex": func(_ *Report, v *View) { v.PCRs["sha1"][0] = strings.Repeat("x", 40) },
	} {
		r := report(AtInit, "on-time")
		pcrs, err := r.pcrs()
		require.NoError(t, err)
		view := &View{PCRs: pcrs}
		change(&r, view)
		_, err = Judge(&Record{Boots: []Boot{{Reports: []Report{r}, View: view}}})
		assert.ErrorContains(t, err, "boot 1: ", name)
	}
}

func TestReleaseIsThatOfTheBoot(t *testing.T) {
	t.Parallel()
	view := &View{Status: control.Status{
		Now: initcall.Event{Boot: 2, Level: initcall.Userspace},
		Levels: []initcall.Event{
			{Boot: 1, Level: initcall.LateSync, At: time.Second},
			{Boot: 2, Level: initcall.Device, At: 2 * time.Second},
			{Boot: 2, Level: initcall.Userspace, At: 3 * time.Second, Cause: "Run /init"},
		},
		Rules: []control.RuleStatus{{Until: initcall.LateSync}},
	}}
	assert.Equal(t, &Release{Level: "userspace", At: Seconds(3 * time.Second), Cause: "Run /init", Decisions: map[string]int{}}, releaseOf(view))
	view.Status.Rules[0].Boots = 1
	assert.Nil(t, releaseOf(view), "the second boot is not deferred")
	view.Status.Rules = nil
	assert.Nil(t, releaseOf(view))
	assert.Nil(t, releaseOf(nil))
}

func TestVerdictInJSONAndText(t *testing.T) {
	t.Parallel()
	last := report(AfterBind, "bypass-rebind")
	v := judge(t, Boot{Release: "6.1", Reports: []Report{last}, View: deferred(t, last, 2500*time.Millisecond)})
	v.Took = Seconds(1500 * time.Millisecond)
	var out bytes.Buffer
	require.NoError(t, v.WriteJSON(&out))
	var decoded struct {
		Schema string  `json:"schema"`
		Took   float64 `json:"took_s"`
		Boots  []struct {
			Verdict string `json:"verdict"`
			Release struct {
				Level string  `json:"level"`
				At    float64 `json:"guest_time_s"`
			} `json:"tpm_release"`
			TPMPCRs map[string]map[string]string `json:"tpm_pcrs"`
		} `json:"boots"`
	}
	require.NoError(t, json.Unmarshal(out.Bytes(), &decoded))
	assert.Equal(t, "swtpmd-qemu-boot/1", decoded.Schema)
	assert.InDelta(t, 1.5, decoded.Took, 1e-9)
	assert.Equal(t, "bypass", decoded.Boots[0].Verdict)
	assert.Equal(t, "late_sync", decoded.Boots[0].Release.Level)
	assert.InDelta(t, 2.5, decoded.Boots[0].Release.At, 1e-9)
	assert.Equal(t, strings.Repeat("0", 64), decoded.Boots[0].TPMPCRs["sha256"]["10"])

	out.Reset()
	require.NoError(t, v.WriteText(&out))
	for _, part := range []string{"released    at late_sync, 2.50 s", "commands answered: 2", "ima: No TPM chip found", "TPM has zeros", "verdict     bypass\nIMA went into"} {
		assert.Contains(t, out.String(), part)
	}
}

func TestParseLog(t *testing.T) {
	t.Parallel()
	log := parseLog([]byte("<6>[    1.000001] ima: one\n    further line\n[12345.654321] two [3.0] three\n[ x.1] no\n<12>[4.000000] of a program\n"))
	assert.Equal(t, []Line{
		{At: time.Second + time.Microsecond, Text: "ima: one"},
		{At: 12345*time.Second + 654321*time.Microsecond, Text: "two [3.0] three"},
	}, log)
	assert.Equal(t, "[    1.000001] ima: one", log[0].String())
}

func FuzzParseLog(f *testing.F) {
	f.Add([]byte("[    1.000001] ima: one\n[2.000000] initcall_level: level=late\n[3.000000] calling  init_ima+0x0 @ 1\n"))
	f.Add([]byte("<6>[    1.000001] ima: one\n<12>[2.000000] initcall_level: level=late\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		log := parseLog(text)
		for _, line := range log {
			require.GreaterOrEqual(t, line.At, time.Duration(0))
		}
		_, _, _ = imaLooked(log)
	})
}
