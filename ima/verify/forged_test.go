package verify_test

import (
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"hash"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// A forged list is evidence that root of a machine makes, whose kernel is honest
// and is quoted in full.

// onTime is the build of a kernel that starts IMA at late and is bound.
func onTime() verify.Build {
	return verify.Build{Strategy: verify.StrategyLate, Bound: true}
}

// IMA's PCR is 10, unless the kernel is configured otherwise. Root extends any
// other with a list of its own, PCR 16 and 23 as often as it likes.
func TestListInAnotherPCR(t *testing.T) {
	t.Parallel()
	for _, pcr := range []uint32{11, 12, 14, 16, 23} {
		forged := []*ima.Record{onPCR(first(t), pcr), onPCR(file(t, "/sbin/init"), pcr)}
		for name, real := range map[string][]*ima.Record{
			"extended": {first(t), file(t, "/tmp/rootkit")},
			"bypass":   nil,
		} {
			e := extended(t, append(real, forged...)...)
			e.List, e.Build = ima.Records(forged), onTime()
			v := verdict(t, e)
			assert.Equal(t, fmt.Sprintf("record 1, PCR %d", pcr), where(t, v, verify.AggregatePCR), name)
			assert.Equal(t, real != nil, v.Has(verify.ReplayMismatch), "PCR %d, %s", pcr, name)
			assert.NotContains(t, outcomes(t, v), "accept", "PCR %d, %s", pcr, name)
		}
	}
}

// CONFIG_IMA_MEASURE_PCR_IDX.
func TestListInThePCROfTheBuild(t *testing.T) {
	t.Parallel()
	e := extended(t, onPCR(first(t), 12), onPCR(file(t, "/a"), 12))
	e.Build = onTime()
	e.Build.MeasurePCR = 12
	assert.Equal(t, all, outcomes(t, verdict(t, e)))

	e = extended(t, first(t), file(t, "/a"))
	e.Build = onTime()
	e.Build.MeasurePCR = 12
	assert.NotContains(t, outcomes(t, verdict(t, e)), "accept")

	for _, pcr := range []int{-1, 7, 15, 23} {
		_, err := verify.Verify(verify.Evidence{List: ima.Records(nil), Build: verify.Build{MeasurePCR: pcr}})
		var wrong *verify.BuildError
		assert.ErrorAs(t, err, &wrong, "PCR %d", pcr)
	}
}

// A piece without the records of PCR 10 is not the list's: PCR 10 has gone on.
func TestPieceWithoutTheRecordsOfItsPCR(t *testing.T) {
	t.Parallel()
	before := extended(t, first(t), onPCR(file(t, "/a"), 12)).PCRs
	records := []*ima.Record{first(t), onPCR(file(t, "/a"), 12), file(t, "/tmp/rootkit"), onPCR(file(t, "/b"), 12)}
	e := extended(t, records...)
	e.Start = before
	e.List = ima.Records(records[2:])
	assert.Equal(t, verify.ReplayMatch, finding(t, verdict(t, e), verify.ReplayMatch).Code)
	e.List = ima.Records(records[3:])
	assert.Contains(t, codes(verdict(t, e)), verify.ReplayMismatch)
	// Without new records in PCR 10 nothing is missing.
	e = extended(t, records[0], records[1], records[3])
	e.Start = before
	e.List = ima.Records(records[3:])
	assert.NotContains(t, codes(verdict(t, e)), verify.ReplayMismatch)
}

// A TPM extends the banks that a command names. So root extends the measurement of
// another kernel than the one that ran into a bank of which no boot aggregate was
// made, and adds the event to the log.
func TestMeasurementInABankThatWasExtendedLater(t *testing.T) {
	t.Parallel()
	other := "the kernel that did not run"
	for name, build := range map[string]verify.Measurement{
		"the other bank":          {PCR: 9, Bank: ima.SHA1, Digest: sha1Of(other)},
		"PCR 4 of the other bank": {PCR: 4, Bank: ima.SHA1, Digest: sha1Of(other)},
	} {
		for _, given := range []bool{true, false} {
			m := firmwareMachine(t)
			m.start("boot_aggregate", true).exec("/sbin/init")
			log := &logWriter{buf: firmware(), agile: true}
			log.event(uint32(build.PCR), evIPL, cat(u32(1), u16(4), build.Digest), []byte("another kernel"))
			extendIn(m, build)
			e := m.evidence()
			e.EventLog = log.buf
			e.Build = verify.Build{Strategy: verify.StrategyLate, Measured: []verify.Measurement{build}}
			if !given && build.PCR == 9 {
				delete(e.PCRs[ima.SHA256], 9)
			}
			v := verdict(t, e)
			assert.True(t, v.Has(verify.EventLogMatch))
			assert.False(t, v.Has(verify.BuildBound), "%s, given %v", name, given)
			assert.Equal(t, "cannot-tell accept cannot-tell", outcomes(t, v), name)
		}
	}
	// The measurement of the kernel that ran binds in either bank, where the
	// log has the digests of both.
	for _, m := range []verify.Measurement{
		{PCR: 9, Bank: ima.SHA256, Digest: kernelImage[:]},
		{PCR: 9, Bank: ima.SHA1, Digest: sha1Of("kernel image")},
	} {
		e := firmwareMachine(t).start("boot_aggregate", true).evidence()
		e.EventLog = firmware()
		e.Build = verify.Build{Strategy: verify.StrategyLate, Measured: []verify.Measurement{m}}
		v := verdict(t, e)
		assert.True(t, v.Has(verify.BuildBound), "%s: %v", m.Bank, v.Findings)
	}
}

// firmwareMachine has the PCRs to which the log of firmware leads.
func firmwareMachine(t testing.TB) *machine {
	m := newMachine(t)
	l, err := verify.ParseEventLog(firmware())
	require.NoError(t, err)
	for bank := range m.pcrs {
		for pcr, value := range l.Replay(bank) {
			m.pcrs[bank][pcr] = value
		}
	}
	return m
}

// extendIn extends a digest into one bank alone.
func extendIn(m *machine, x verify.Measurement) {
	h := map[ima.HashAlgo]func() hash.Hash{ima.SHA1: sha1.New, ima.SHA256: sha256.New}[x.Bank]()
	h.Write(m.pcrs[x.Bank][x.PCR])
	h.Write(x.Digest)
	m.pcrs[x.Bank][x.PCR] = h.Sum(nil)
}

// A log that ends with zeros is read in one pass: whether the rest is padding shows
// where an event begins.
func TestLogThatEndsWithZerosIsReadOnce(t *testing.T) {
	t.Parallel()
	w := newAgileLog(twoBanks())
	for range 1 << 15 {
		w.event(0, 4, u32(0), nil)
	}
	log := w.event(0, 4, u32(0), make([]byte, 3<<20)).buf
	l, err := verify.ParseEventLog(log)
	require.NoError(t, err)
	assert.Len(t, l.Events, 1<<15+2)
	assert.Zero(t, l.Deviated)
}
