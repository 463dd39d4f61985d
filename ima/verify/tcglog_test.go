package verify_test

import (
	"bytes"
	"crypto/sha256"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

func TestParseEventLog(t *testing.T) {
	t.Parallel()
	log, err := verify.ParseEventLog(firmware())
	require.NoError(t, err)
	assert.Equal(t, "Spec ID Event03", log.Spec)
	assert.Equal(t, []verify.EventAlgorithm{{AlgID: 4, Size: 20, Bank: ima.SHA1}, {AlgID: 11, Size: 32, Bank: ima.SHA256}}, log.Algorithms)
	require.Len(t, log.Events, 14)
	assert.Equal(t, verify.NoAction, log.Events[0].Type)
	image := log.Events[11]
	assert.Equal(t, "kernel image", string(image.Data))
	assert.Equal(t, uint32(9), image.PCR)
	assert.Equal(t, 12, image.Number)
	assert.Equal(t, kernelImage[:], image.Digests[1])
	assert.True(t, log.Has(verify.Measurement{PCR: 9, Bank: ima.SHA256, Digest: kernelImage[:]}))
	assert.False(t, log.Has(verify.Measurement{PCR: 8, Bank: ima.SHA256, Digest: kernelImage[:]}))
	assert.False(t, log.Has(verify.Measurement{PCR: 9, Bank: ima.SHA384, Digest: kernelImage[:]}))
	assert.False(t, log.Has(verify.Measurement{PCR: 9, Bank: ima.SHA256}))
}

// The values were read from swtpm after the events had been extended.
func TestEventLogReplaysToATPM(t *testing.T) {
	t.Parallel()
	log, err := verify.ParseEventLog(readFile(t, "quotes/eventlog.bin"))
	require.NoError(t, err)
	pcrs := readPCRs(t, "quotes/pcrs.json")
	for _, bank := range []ima.HashAlgo{ima.SHA1, ima.SHA256} {
		replayed := log.Replay(bank)
		require.Len(t, replayed, 10)
		for pcr, value := range replayed {
			assert.Equal(t, pcrs[bank][pcr], value, "%s PCR %d", bank, pcr)
		}
	}
	assert.Nil(t, log.Replay(ima.SHA384))
	assert.Nil(t, log.Replay(0))
}

// PCR 0 begins with the locality of TPM2_Startup, and what extends nothing
// extends nothing.
func TestStartupLocality(t *testing.T) {
	t.Parallel()
	for _, locality := range []byte{0, 3, 4} {
		log, err := verify.ParseEventLog(newAgileLog(twoBanks()).say("StartupLocality\x00"+string([]byte{locality})).say("anything").measure(0, evSCRTM, "1.0").buf)
		require.NoError(t, err)
		assert.Equal(t, locality, log.Locality)
		start := make([]byte, 32)
		start[31] = locality
		event := sha256.Sum256([]byte("1.0"))
		want := sha256.Sum256(append(start, event[:]...))
		assert.Equal(t, ima.Hex(want[:]), log.Replay(ima.SHA256)[0])
		assert.Equal(t, make(ima.Hex, 32), log.Replay(ima.SHA256)[1])
	}
}

// The older form has sha1 digests alone, with or without an event that says so.
func TestOlderEventLogs(t *testing.T) {
	t.Parallel()
	for _, spec := range []string{"", "Spec ID Event00", "Spec ID Event02"} {
		w := new(logWriter)
		if spec != "" {
			w.event(0, evNoAction, make([]byte, 20), cat([]byte(spec+"\x00"), make([]byte, 9)))
		}
		log, err := verify.ParseEventLog(w.measure(0, evSCRTM, "1.0").measure(7, 4, "separator").buf)
		require.NoError(t, err)
		assert.Equal(t, spec, log.Spec)
		want, err := verify.ParseEventLog(newAgileLog(twoBanks()).measure(0, evSCRTM, "1.0").measure(7, 4, "separator").buf)
		require.NoError(t, err)
		assert.Equal(t, want.Replay(ima.SHA1), log.Replay(ima.SHA1))
		assert.Nil(t, log.Replay(ima.SHA256))
	}
}

// A bank of which an event has no digest was not extended by it, and an
// algorithm nobody knows is passed over.
func TestEventsWithoutADigest(t *testing.T) {
	t.Parallel()
	unknown := specID(u32(2), u16(0x7f), u16(24), u16(11), u16(32), []byte{3, 1, 2, 3})
	digest := sha256.Sum256([]byte("x"))
	log, err := verify.ParseEventLog(newAgileLog(unknown).
		event(1, 4, cat(u32(1), u16(11), digest[:]), nil).
		event(2, 4, cat(u32(1), u16(0x7f), make([]byte, 24)), nil).
		event(0xffffffff, evNoAction, u32(0), nil).buf)
	require.NoError(t, err)
	assert.NotEqual(t, make(ima.Hex, 32), log.Replay(ima.SHA256)[1])
	assert.Equal(t, make(ima.Hex, 32), log.Replay(ima.SHA256)[2])
}

func TestBrokenEventLogs(t *testing.T) {
	t.Parallel()
	whole := firmware()
	ends := map[int]bool{}
	log, err := verify.ParseEventLog(whole)
	require.NoError(t, err)
	for _, e := range log.Events {
		ends[int(e.Offset)] = true
	}
	for n := range whole {
		_, err := verify.ParseEventLog(whole[:n])
		if n > 0 && ends[n] {
			require.NoError(t, err)
			continue
		}
		var at *verify.EventLogError
		require.ErrorAs(t, err, &at, "cut at %d", n)
		assert.LessOrEqual(t, at.Offset, int64(n))
	}
	agile := func() *logWriter { return newAgileLog(twoBanks()) }
	d20, d32 := make([]byte, 20), make([]byte, 32)
	for _, c := range []struct {
		log  []byte
		text string
	}{
		{make([]byte, 4<<20+1), "4194305 bytes, there can be 4194304"},
		{bytes.Repeat(make([]byte, 32), 1<<16+1), "event 65537, byte 2097152: event: there can be 65536"},
		{new(logWriter).event(24, 4, d20, nil).buf, "event 1, byte 0: pcrIndex: PCR 24; a TPM has PCR 0 to 23"},
		{new(logWriter).event(0xffffffff, 4, d20, nil).buf, "pcrIndex: PCR 4294967295"},
		{cat(u32(0), u32(4), d20, u32(0xffffffff)), "event 1, byte 32: event: unexpected EOF"},
		{newAgileLog(specID(u32(0))).buf, "event 1, byte 56: numberOfAlgorithms: 0, there can be 1 to 16"},
		{newAgileLog(specID(u32(17))).buf, "numberOfAlgorithms: 17, there can be 1 to 16"},
		{newAgileLog(specID(u32(2), u16(4), u16(20), u16(4), u16(20), []byte{0})).buf, "digestSize: TPM_ALG_ID 0x0004 comes twice"},
		{newAgileLog(specID(u32(1), u16(11), u16(20), []byte{0})).buf, "digestSize: 20 bytes for a digest of TPM_ALG_ID 0x000b"},
		{newAgileLog(specID(u32(1), u16(0x7f), u16(65), []byte{0})).buf, "digestSize: 65 bytes"},
		{newAgileLog(specID(u32(1), u16(11), u16(32))).buf, "vendorInfoSize: unexpected EOF"},
		{newAgileLog(specID(u32(1), u16(11), u16(32), []byte{2, 0})).buf, "vendorInfo: unexpected EOF"},
		{newAgileLog(specID(u32(1), u16(11), u16(32), []byte{0, 0})).buf, "end of the first event: 1 bytes are left over"},
		{agile().event(0, 4, u32(3), nil).buf, "event 2, byte 77: digests count: 3 digests, the first event announces 2 banks"},
		{agile().event(0, 4, cat(u32(1), u16(12), make([]byte, 48)), nil).buf, "digest hashAlg: TPM_ALG_ID 0x000c, which the first event does not announce"},
		{agile().event(0, 4, cat(u32(2), u16(11), d32, u16(11), d32), nil).buf, "digest hashAlg: TPM_ALG_ID 0x000b comes twice"},
		{agile().say("StartupLocality\x00").buf, "StartupLocality: 0 bytes instead of 1"},
		{agile().say("StartupLocality\x00\x01").buf, "StartupLocality: locality 1"},
		{agile().measure(0, 4, "x").say("StartupLocality\x00\x03").buf, "event 3, byte 230: StartupLocality: PCR 0 has been extended before"},
	} {
		_, err := verify.ParseEventLog(c.log)
		var at *verify.EventLogError
		require.ErrorAs(t, err, &at, c.text)
		assert.ErrorContains(t, err, c.text)
	}
}

// What an event log adds to a verdict.
func TestEventLogFindings(t *testing.T) {
	t.Parallel()
	image := []verify.Measurement{{PCR: 9, Bank: ima.SHA256, Digest: kernelImage[:]}}
	for _, c := range []struct {
		name     string
		change   func(e *verify.Evidence)
		shows    []verify.Code
		where    string // of the first
		outcomes string
	}{
		{"it has the kernel", func(*verify.Evidence) {}, nil, "", all},
		{"it does not have the kernel", func(e *verify.Evidence) {
			e.Build.Measured = []verify.Measurement{image[0], {PCR: 9, Bank: ima.SHA256, Digest: make(ima.Hex, 32)}}
		}, []verify.Code{verify.BuildUnbound, verify.OnTimeClaimed}, "build", "cannot-tell accept cannot-tell"},
		{"it has the kernel in another PCR", func(e *verify.Evidence) {
			e.Build.Measured = []verify.Measurement{{PCR: 8, Bank: ima.SHA256, Digest: kernelImage[:]}}
		}, []verify.Code{verify.BuildUnbound, verify.OnTimeClaimed}, "build", "cannot-tell accept cannot-tell"},
		{"it was changed", func(e *verify.Evidence) {
			at := bytes.Index(e.EventLog, kernelImage[:])
			e.EventLog[at] ^= 1
			changed := bytes.Clone(kernelImage[:])
			changed[0] ^= 1
			e.Build.Measured = []verify.Measurement{{PCR: 9, Bank: ima.SHA256, Digest: changed}}
		}, []verify.Code{verify.EventLogMismatch, verify.BuildUnbound, verify.OnTimeClaimed}, "sha256 PCR 9", "cannot-tell accept cannot-tell"},
		{"there is none", func(e *verify.Evidence) { e.EventLog = nil }, []verify.Code{verify.BuildUnbound, verify.OnTimeClaimed}, "build", "cannot-tell accept cannot-tell"},
		{"bank not given", func(e *verify.Evidence) {
			e.EventLog = newAgileLog(specID(u32(1), u16(12), u16(48), []byte{0})).buf
		}, []verify.Code{verify.EventLogBank, verify.BuildUnbound, verify.OnTimeClaimed}, "event log", "cannot-tell accept cannot-tell"},
		{"the PCR is not quoted", func(e *verify.Evidence) {
			e.Build.Measured = []verify.Measurement{{PCR: 0, Bank: ima.SHA1, Digest: sha1Of("firmware 1.0")}}
		}, []verify.Code{verify.BuildUnbound, verify.OnTimeClaimed}, "build", "cannot-tell accept cannot-tell"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			e := quoted(t, "ecdsa-p256-sha256")
			c.change(&e)
			v := verdict(t, e)
			assert.Equal(t, c.shows, codes(v))
			if len(c.shows) > 0 {
				first := finding(t, v, c.shows[0])
				assert.Equal(t, c.where, first.Where())
			}
			assert.Equal(t, c.outcomes, outcomes(t, v))
		})
	}
}

func TestBrokenEventLogIsAnErrorAndAFinding(t *testing.T) {
	t.Parallel()
	e := quoted(t, "ecdsa-p256-sha256")
	e.EventLog = e.EventLog[:200]
	v, err := verify.Verify(e)
	var input *verify.InputError
	require.ErrorAs(t, err, &input)
	assert.Equal(t, verify.PartEventLog, input.Part)
	assert.True(t, v.Has(verify.EventLogUnreadable) && v.Has(verify.QuoteVerified) && v.Has(verify.ReplayMatch))
	assert.Equal(t, "reject reject reject", outcomes(t, v))
}
