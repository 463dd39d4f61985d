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
		last := 0
		for end := range ends {
			if end <= n {
				last = max(last, end)
			}
		}
		if last > 0 && len(bytes.Trim(whole[last:n], "\x00")) == 0 {
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
		{make([]byte, 1000), "event 1, byte 0: first event: there is none, but 1000 bytes 00"},
		{bytes.Repeat([]byte{0xff}, 7), "event 1, byte 0: first event: there is none, but 7 bytes ff"},
		{make([]byte, 4<<20+1), "4194305 bytes, there can be 4194304"},
		{bytes.Repeat(cat(u32(0), u32(4), make([]byte, 24)), 1<<16+1), "event 65537, byte 2097152: event: there can be 65536"},
		{new(logWriter).event(24, 4, d20, nil).buf, "event 1, byte 0: pcrIndex: PCR 24; a TPM has PCR 0 to 23"},
		{new(logWriter).event(0xffffffff, 4, d20, nil).buf, "pcrIndex: PCR 4294967295"},
		{cat(u32(0), u32(4), d20, u32(0xffffffff)), "event 1, byte 32: event: unexpected EOF"},
		{newAgileLog(specID(u32(0))).buf, "event 1, byte 56: numberOfAlgorithms: 0, there can be 1 to 16"},
		{newAgileLog(specID(u32(17))).buf, "numberOfAlgorithms: 17, there can be 1 to 16"},
		{newAgileLog(specID(u32(2), u16(4), u16(20), u16(4), u16(20), []byte{0})).buf, "digestSize: TPM_ALG_ID 0x0004 comes twice"},
		{newAgileLog(specID(u32(1), u16(11), u16(20), []byte{0})).buf, "digestSize: 20 bytes for a digest of TPM_ALG_ID 0x000b"},
		{newAgileLog(specID(u32(1), u16(0x7f), u16(65), []byte{0})).buf, "digestSize: 65 bytes"},
		{newAgileLog(specID(u32(2), u16(11), u16(32))).buf, "algorithmId: unexpected EOF"},
		{agile().event(0, 4, u32(17), nil).buf, "event 2, byte 77: digests count: 17 digests, the first event announces 2 banks"},
		{agile().event(0, 4, cat(u32(1), u16(0x7f), make([]byte, 48)), nil).buf, "digest hashAlg: TPM_ALG_ID 0x007f, which the first event does not announce"},
		{new(logWriter).measure(0, 4, "x").event(0, evNoAction, d20, twoBanks()).buf, "event 2, byte 65: event: a Spec ID event after events of the older form"},
		{append(agile().measure(0, 4, "x").buf, 0xff, 0xff, 0), "event 3, byte 142: pcrIndex: unexpected EOF"},
		{agile().event(0, 4, cat(u32(2), u16(11), d32, u16(11), d32), nil).buf, "digest hashAlg: TPM_ALG_ID 0x000b comes twice"},
	} {
		_, err := verify.ParseEventLog(c.log)
		var at *verify.EventLogError
		require.ErrorAs(t, err, &at, c.text)
		assert.ErrorContains(t, err, c.text)
	}
}

// Firmware deviates from the specification in ways that change nothing of where a
// log leads; each is told, with its place.
func TestEventLogDeviations(t *testing.T) {
	t.Parallel()
	d20, d32 := make([]byte, 20), make([]byte, 32)
	begin := func() *logWriter { return newAgileLog(twoBanks()) }
	events := func(w *logWriter) *logWriter { return w.measure(0, evSCRTM, "1.0").measure(9, evIPL, "kernel") }
	plain := begin()
	want, err := verify.ParseEventLog(events(plain).buf)
	require.NoError(t, err)
	require.Empty(t, want.Deviations)
	three, err := verify.ParseEventLog(events(begin().say("StartupLocality\x00\x03")).buf)
	require.NoError(t, err)
	older := new(logWriter).event(0, evNoAction, d20, []byte("hello")).event(0, evNoAction, d20, twoBanks())
	older.agile = true
	again := events(begin())
	again.buf = append(again.buf, begin().buf...)
	for name, c := range map[string]struct {
		log  []byte
		like *verify.EventLog
		says string
	}{
		"locality padded":         {events(begin().say("StartupLocality\x00\x03" + strings.Repeat("\x00", 15))).buf, three, "event 2, byte 158: StartupLocality: 15 bytes follow the locality"},
		"locality without a byte": {events(begin().say("StartupLocality\x00")).buf, want, "StartupLocality: it ends before the locality"},
		"locality of nobody":      {events(begin().say("StartupLocality\x00\x01")).buf, want, "StartupLocality: locality 1; TPM2_Startup comes from 0 or 3"},
		"locality late":           {events(begin()).say("StartupLocality\x00\x03").buf, three, "StartupLocality: it comes after events of PCR 0"},
		"locality again":          {events(begin().say("StartupLocality\x00\x03").say("StartupLocality\x00\x03")).buf, three, "it comes again, with locality 3"},
		"locality another":        {events(begin().say("StartupLocality\x00\x03").say("StartupLocality\x00\x00")).buf, three, "it comes again, with locality 0"},
		"Spec ID again":           {events(begin().say(string(twoBanks()))).buf, want, "another Spec ID event"},
		"Spec ID joined":          {events(again).buf, nil, "event 4, byte 254: event: another Spec ID event"},
		"Spec ID not first":       {events(older).buf, want, "event 2, byte 69: event: the Spec ID event is not the first"},
		"behind the Spec ID":      {events(newAgileLog(append(twoBanks(), 1, 2, 3))).buf, want, "event 1, byte 68: vendorInfo: 3 bytes follow the end"},
		"vendor's size missing":   {events(newAgileLog(twoBanks()[:36])).buf, want, "vendorInfo: its size is missing"},
		"vendor's size too large": {events(newAgileLog(append(twoBanks()[:36], 9, 1))).buf, want, "vendorInfo: 9 bytes, but 1 follow"},
		"padded with zeros":       {append(events(begin()).buf, make([]byte, 1000)...), want, "1000 bytes 00 follow the last event"},
		"padded with ones":        {append(events(begin()).buf, bytes.Repeat([]byte{0xff}, 7)...), want, "7 bytes ff follow the last event"},
		"PCR 24":                  {events(begin()).measure(24, 4, "x").buf, want, "pcrIndex: PCR 24; a TPM has PCR 0 to 23"},
		"PCR of no action":        {events(begin()).measure(0xffffffff, 4, "x").buf, want, "pcrIndex: PCR 4294967295"},
		"bank not announced":      {events(begin()).event(12, 4, cat(u32(3), u16(4), d20, u16(12), make([]byte, 48), u16(11), d32), nil).buf, want, "TPM_ALG_ID 0x000c, which the first event does not announce"},
	} {
		log, err := verify.ParseEventLog(c.log)
		if !assert.NoError(t, err, name) {
			continue
		}
		assert.Equal(t, 1, log.Deviated, name)
		if assert.Len(t, log.Deviations, 1, name) {
			assert.Contains(t, log.Deviations[0].String(), c.says, name)
		}
		for _, bank := range []ima.HashAlgo{ima.SHA1, ima.SHA256} {
			if c.like != nil {
				assert.Equal(t, c.like.Replay(bank), log.Replay(bank), "%s: %s", name, bank)
			}
		}
	}
	many := begin()
	for range 100 {
		many.measure(99, 4, "x")
	}
	log, err := verify.ParseEventLog(many.buf)
	require.NoError(t, err)
	assert.Equal(t, 100, log.Deviated)
	assert.Len(t, log.Deviations, verify.MaxDeviations)
	v, err := verify.Verify(verify.Evidence{List: ima.Records(nil), EventLog: many.buf})
	require.NoError(t, err)
	text := finding(t, v, verify.EventLogDeviates).Text
	assert.Contains(t, text, "event 2, byte 69: pcrIndex: PCR 99; ")
	assert.Contains(t, text, "; and 92 more.")
}

// A log that says two localities, or one late, leads to what the TPM has if one
// of them does.
func TestLocalityIsSettledByThePCR(t *testing.T) {
	t.Parallel()
	for _, locality := range []string{"\x00", "\x03"} {
		right, err := verify.ParseEventLog(newAgileLog(twoBanks()).say("StartupLocality\x00"+locality).measure(0, evSCRTM, "1.0").buf)
		require.NoError(t, err)
		for name, w := range map[string]*logWriter{
			"another": newAgileLog(twoBanks()).say("StartupLocality\x00\x03").say("StartupLocality\x00\x00").measure(0, evSCRTM, "1.0"),
			"late":    newAgileLog(twoBanks()).measure(0, evSCRTM, "1.0").say("StartupLocality\x00\x03"),
		} {
			v, err := verify.Verify(verify.Evidence{List: ima.Records(nil), EventLog: w.buf, PCRs: ima.PCRs{ima.SHA256: {0: right.Replay(ima.SHA256)[0]}}})
			require.NoError(t, err)
			assert.True(t, v.Has(verify.EventLogMatch), "%s, %q", name, locality)
		}
		// A log that is clear about it is taken at its word.
		v, err := verify.Verify(verify.Evidence{
			List: ima.Records(nil), PCRs: ima.PCRs{ima.SHA256: {0: right.Replay(ima.SHA256)[0]}},
			EventLog: newAgileLog(twoBanks()).say("StartupLocality\x00\x04").measure(0, evSCRTM, "1.0").buf,
		})
		require.NoError(t, err)
		assert.True(t, v.Has(verify.EventLogMismatch))
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

// Firmware in China measures with SM3.
func TestEventLogOfSM3(t *testing.T) {
	t.Parallel()
	digest := bytes.Repeat([]byte{7}, 32)
	w := newAgileLog(specID(u32(1), u16(0x12), u16(32), []byte{0})).event(0, evSCRTM, cat(u32(1), u16(0x12), digest), []byte("v1"))
	log, err := verify.ParseEventLog(w.buf)
	require.NoError(t, err)
	h, err := ima.SM3.New()
	require.NoError(t, err)
	h.Write(make([]byte, 32))
	h.Write(digest)
	assert.Equal(t, ima.Hex(h.Sum(nil)), log.Replay(ima.SM3)[0])
}
