package verify_test

import (
	"bytes"
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// reported is evidence made to the form of a public report, of a kernel whose
// build is known and bound.
func reported(t testing.TB, name string) verify.Evidence {
	t.Helper()
	return verify.Evidence{
		List: open(t, readFile(t, "evidence/"+name+".bin")), PCRs: readPCRs(t, "evidence/"+name+".json"), Vouched: true,
		EventLog: readFile(t, "evidence/"+name+".log"),
		Build:    verify.Build{Kernel: verify.Kernel{Release: "6.12"}, Release: "6.12", Strategy: verify.StrategyLate, Bound: true},
	}
}

// coreboot padded its StartupLocality event.
func TestReportPaddedLocality(t *testing.T) {
	t.Parallel()
	v := verdict(t, reported(t, "locality-event-padded"))
	assert.Equal(t, []verify.Code{verify.EventLogDeviates}, codes(v))
	assert.Equal(t, all, outcomes(t, v))
	for _, f := range v.Findings {
		if f.Code == verify.EventLogMatch {
			assert.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, f.PCRs)
		}
	}
	match := finding(t, v, verify.AggregateMatch)
	assert.Equal(t, "record 1, sha256 PCR 0-9", match.Where())
}

// systemd has extended PCR 9 after IMA had started.
func TestReportExtendedPCR9(t *testing.T) {
	t.Parallel()
	v := verdict(t, reported(t, "pcr9-extended-by-userspace"))
	assert.Equal(t, []verify.Code{verify.AggregateOfLog}, codes(v))
	assert.Equal(t, all, outcomes(t, v))
	f := finding(t, v, verify.AggregateOfLog)
	assert.Equal(t, "record 1, sha256 PCR 9", f.Where())
	f = finding(t, v, verify.EventLogMatch)
	assert.Equal(t, "sha1 PCR 0-8", f.Where())
	require.Len(t, v.Aggregates, 1)
	assert.True(t, v.Aggregates[0].EventLog)
	assert.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8}, v.Aggregates[0].PCRs)
	assert.Equal(t, []int{9}, v.Aggregates[0].Extended)

	// Nothing is bound by what was measured into the PCR that nobody can
	// check any more; what is in PCR 4 binds.
	initrd, app := sha256.Sum256([]byte("initrd")), sha256.Sum256([]byte("app"))
	for want, m := range map[string]verify.Measurement{
		"cannot-tell accept cannot-tell": {PCR: 9, Bank: ima.SHA256, Digest: initrd[:]},
		all:                              {PCR: 4, Bank: ima.SHA256, Digest: app[:]},
	} {
		e := reported(t, "pcr9-extended-by-userspace")
		e.Build.Bound, e.Build.Measured = false, []verify.Measurement{m}
		assert.Equal(t, want, outcomes(t, verdict(t, e)), "PCR %d", m.PCR)
	}
}

// What the log and PCR 8 and 9 can explain, and what they cannot.
func TestAggregateOfTheLog(t *testing.T) {
	t.Parallel()
	const contradicts = "reject reject reject"
	for name, c := range map[string]struct {
		change   func(e *verify.Evidence)
		code     verify.Code
		outcomes string
	}{
		"no log":                {func(e *verify.Evidence) { e.EventLog = nil }, verify.AggregateMismatch, contradicts},
		"PCR 8 extended too":    {func(e *verify.Evidence) { e.PCRs[ima.SHA256][8] = bytes.Repeat([]byte{7}, 32) }, verify.AggregateOfLog, all},
		"PCR 8 of both banks":   {func(e *verify.Evidence) { change(e, 8) }, verify.AggregateOfLog, all},
		"PCR 7 extended":        {func(e *verify.Evidence) { change(e, 7) }, verify.AggregateMismatch, contradicts},
		"PCR 9 at reset":        {func(e *verify.Evidence) { e.PCRs[ima.SHA256][9] = make(ima.Hex, 32) }, verify.AggregateMismatch, contradicts},
		"PCR 9 not given":       {func(e *verify.Evidence) { delete(e.PCRs[ima.SHA256], 9); delete(e.PCRs[ima.SHA1], 9) }, verify.AggregateOfLog, all},
		"PCR 8 and 9 not given": {func(e *verify.Evidence) { drop(e, 8); drop(e, 9) }, verify.AggregateOfLog, all},
		"PCR 3 not given":       {func(e *verify.Evidence) { drop(e, 3) }, verify.AggregateUnchecked, "cannot-tell cannot-tell cannot-tell"},
		"another log's PCR 9":   {func(e *verify.Evidence) { e.EventLog = bytes.Replace(e.EventLog, sum("initrd"), sum("other"), 1) }, verify.AggregateMismatch, contradicts},
		"a log of another boot": {func(e *verify.Evidence) { e.EventLog = firmware() }, verify.AggregateMismatch, contradicts},
		"a log ahead of the PCR": {func(e *verify.Evidence) {
			e.PCRs[ima.SHA256][9] = replayed(t, e.EventLog, 9)
			e.EventLog = more(e.EventLog)
		}, verify.AggregateMatch, "cannot-tell accept cannot-tell"},
	} {
		e := reported(t, "pcr9-extended-by-userspace")
		c.change(&e)
		v := verdict(t, e)
		assert.True(t, v.Has(c.code), "%s: %v", name, codes(v))
		assert.Equal(t, c.outcomes, outcomes(t, v), name)
	}
}

// kexec: each kernel records the PCRs as it finds them. Those of the first are the
// log's, those of the last the values given, unless the PCR went on since.
func TestAggregatesOfKexecWithAPCRThatGoesOn(t *testing.T) {
	t.Parallel()
	systemd := func(m *machine, event string) {
		require.NoError(t, m.PCRExtend(9, [][]byte{sha1Of(event), sum(event)}))
	}
	boot := func() (*machine, []byte) {
		m := newMachine(t)
		log := firmware()
		l, err := verify.ParseEventLog(log)
		require.NoError(t, err)
		for _, bank := range []ima.HashAlgo{ima.SHA1, ima.SHA256} {
			for pcr, value := range l.Replay(bank) {
				m.pcrs[bank][pcr] = value
			}
		}
		return m.start(early, true).exec("/sbin/init"), log
	}
	m, log := boot()
	systemd(m, "nvpcr")
	m.aggregate(early).exec("/sbin/init2")
	e := m.evidence()
	e.EventLog = log
	v := verdict(t, e)
	assert.True(t, v.Has(verify.AggregateOfLog) && v.Has(verify.AggregateMatch), "%v", codes(v))
	assert.False(t, v.Has(verify.AggregateMismatch) || v.Has(verify.EventLogMismatch), "%v", codes(v))

	systemd(m, "nvpcr again")
	e = m.evidence()
	e.EventLog = log
	v = verdict(t, e)
	assert.True(t, v.Has(verify.AggregateOfLog) && v.Has(verify.AggregateUnchecked), "%v", codes(v))
	assert.False(t, v.Has(verify.AggregateMismatch), "%v", codes(v))
	f := finding(t, v, verify.AggregateUnchecked)
	assert.Contains(t, f.Text, "its value when kexec started this one is not known")
	assert.Equal(t, "cannot-tell cannot-tell cannot-tell", outcomes(t, v))
}

func change(e *verify.Evidence, pcr int) {
	for _, values := range e.PCRs {
		values[pcr] = bytes.Clone(values[pcr])
		values[pcr][0] ^= 0x55
	}
}

func drop(e *verify.Evidence, pcr int) {
	for _, values := range e.PCRs {
		delete(values, pcr)
	}
}

func sum(text string) []byte {
	s := sha256.Sum256([]byte(text))
	return s[:]
}

// replayed is the value in the bank of sha256 to which a log leads.
func replayed(t testing.TB, log []byte, pcr int) ima.Hex {
	t.Helper()
	l, err := verify.ParseEventLog(log)
	require.NoError(t, err)
	return l.Replay(ima.SHA256)[pcr]
}

// more is a log with an event in PCR 9 that the TPM does not have.
func more(log []byte) []byte {
	w := &logWriter{buf: bytes.Clone(log), agile: true}
	return w.measure(9, evIPL, "not extended").buf
}

// The kernel could not read the file: a PCR in sysfs under func=FILE_CHECK.
func TestZeroDigestNamesItsCauses(t *testing.T) {
	t.Parallel()
	e := extended(t, entry(t, early, nil), entry(t, "/sys/class/tpm/tpm0/pcr-sha256/10", func(e *ima.EventData) { e.Digest.Sum = make([]byte, 32) }))
	f := finding(t, verdict(t, e), verify.FileDigestZero)
	assert.Equal(t, []int{2}, f.Records)
	for _, cause := range []string{"O_DIRECT", "could not be read", "sysfs"} {
		assert.Contains(t, f.Text, cause)
	}
}

// A real TPM in field failure mode: the kernel found it, and has extended nothing.
func TestFieldFailureMode(t *testing.T) {
	t.Parallel()
	v := verdict(t, verify.Evidence{
		List: open(t, readFile(t, "debian-6.1-field-failure.bin")), Vouched: true,
		PCRs:  ima.PCRs{ima.SHA1: {10: make(ima.Hex, 20)}, ima.SHA256: {10: make(ima.Hex, 32)}},
		Build: verify.Build{Kernel: verify.Kernel{Release: "6.1"}, Release: "6.1.0-57-amd64", Strategy: verify.StrategyLate, Bound: true},
	})
	assert.Equal(t, []verify.Code{verify.Bypass}, codes(v))
	f := finding(t, v, verify.Bypass)
	assert.Contains(t, f.Text, "Either IMA found no TPM when it started, and uses none that came later (TPM-bypass), or it found one without a bank")
	assert.Equal(t, "reject cannot-tell cannot-tell", outcomes(t, v))
}

// Zeros and a PCR at reset: no TPM, or one in field failure mode, which the list
// and the PCRs do not tell apart.
func TestNothingExtendedNamesItsCauses(t *testing.T) {
	t.Parallel()
	v := verdict(t, newMachine(t).start(early, false).exec("/sbin/init").evidence())
	f := finding(t, v, verify.Bypass)
	for _, cause := range []string{"found no TPM", "TPM-bypass", "field failure mode"} {
		assert.Contains(t, f.Text, cause)
	}
	assert.True(t, strings.HasPrefix(f.Text, "The boot aggregate is zero and PCR 10 at its reset value, so nothing was extended."))
	assert.Equal(t, "reject cannot-tell cannot-tell", outcomes(t, v))
}
