package verify_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// valuesAfter gives PCR 10 after records, in the banks of pcrs.
func valuesAfter(t testing.TB, pcrs ima.PCRs, records []*ima.Record) ima.PCRs {
	t.Helper()
	after := ima.PCRs{}
	for bank := range pcrs {
		replay, err := ima.NewReplay(ima.ReplayBank{Bank: bank})
		require.NoError(t, err)
		for _, rec := range records {
			_, err := replay.Extend(rec)
			require.NoError(t, err)
		}
		after[bank] = map[int]ima.Hex{10: replay.PCR(ima.ReplayBank{Bank: bank}, 10)}
	}
	return after
}

func where(t testing.TB, v *verify.Verdict, code verify.Code) string {
	t.Helper()
	f := finding(t, v, code)
	return f.Where()
}

// A list that is cut anywhere leads to its PCRs from the values at the cut, and
// without them it is a list that does not begin at a boot, not a wrong one.
func TestPiecesOfAList(t *testing.T) {
	t.Parallel()
	pcrs := readPCRs(t, "debian-6.1-file.pcrs.json")
	for bank := range pcrs {
		// Debian's kernel has no sha384 and sha512 to extend.
		if bank != ima.SHA1 && bank != ima.SHA256 {
			delete(pcrs, bank)
		}
	}
	records, err := ima.ReadAll(open(t, readFile(t, "debian-6.1-file.bin")))
	require.NoError(t, err)
	for cut := 1; cut < len(records); cut++ {
		start := valuesAfter(t, pcrs, records[:cut])
		piece := func(from, to int) ima.RecordReader { return ima.Records(records[from:to]) }

		with := verdict(t, verify.Evidence{List: piece(cut, len(records)), PCRs: pcrs, Start: start, Vouched: true})
		assert.True(t, with.Has(verify.ListPiece), "cut %d", cut)
		assert.Equal(t, len(records)-cut, finding(t, with, verify.ReplayMatch).Records[0])
		assert.Subset(t, []verify.Code{verify.ListPiece, verify.Violation, verify.FileDigestZero, verify.SHA1Only}, codes(with), "cut %d", cut)
		assert.Equal(t, "cannot-tell cannot-tell cannot-tell", outcomes(t, with))

		without := verdict(t, verify.Evidence{List: piece(cut, len(records)), PCRs: pcrs, Vouched: true})
		assert.Equal(t, "PCR 10", where(t, without, verify.ListNotFromBoot))
		assert.Empty(t, without.Aggregates)
		for _, code := range []verify.Code{verify.ReplayMismatch, verify.AggregateMissing, verify.AggregateNotFirst} {
			assert.False(t, without.Has(code), "cut %d: %s", cut, code)
		}
		for _, row := range without.Replays {
			assert.Equal(t, verify.StateNoStart, row.State)
		}
		assert.Equal(t, "cannot-tell cannot-tell cannot-tell", outcomes(t, without))

		// A piece that another piece precedes does not match without it.
		other := verdict(t, verify.Evidence{List: piece(cut, len(records)), PCRs: pcrs, Start: valuesAfter(t, pcrs, records[:cut-1]), Vouched: true})
		if cut > 1 {
			assert.Contains(t, finding(t, other, verify.ReplayMismatch).Text, "those of another place")
			assert.Equal(t, "reject reject reject", outcomes(t, other))
		}
		// The beginning, at which the PCRs have gone on.
		before := verdict(t, verify.Evidence{List: piece(0, cut), PCRs: start, Vouched: true})
		assert.True(t, before.Has(verify.ReplayMatch))
		assert.False(t, before.Has(verify.ListPiece))
	}
}

// Values of a boot's beginning make no piece of a list.
func TestStartAtReset(t *testing.T) {
	t.Parallel()
	e := verify.Evidence{List: open(t, readFile(t, "debian-6.1-file.bin")), PCRs: readPCRs(t, "debian-6.1-file.pcrs.json"), Vouched: true}
	want := verdict(t, e)
	e.List = open(t, readFile(t, "debian-6.1-file.bin"))
	e.Start = ima.PCRs{}
	for bank := range e.PCRs {
		e.Start[bank] = map[int]ima.Hex{10: make(ima.Hex, bank.Size())}
	}
	assert.Equal(t, want, verdict(t, e))
}

// PCRs that stand where the piece begins vouch for none of its records.
func TestPCRsAtTheStart(t *testing.T) {
	t.Parallel()
	pcrs := readPCRs(t, "debian-6.1-file.pcrs.json")
	records, err := ima.ReadAll(open(t, readFile(t, "debian-6.1-file.bin")))
	require.NoError(t, err)
	v := verdict(t, verify.Evidence{List: ima.Records(records[2:4]), PCRs: pcrs, Start: pcrs, Vouched: true})
	assert.True(t, v.Has(verify.PCRAtStart))
	assert.False(t, v.Has(verify.ReplayMatch))
	assert.False(t, v.Has(verify.PCRAtReset))
	assert.Equal(t, "cannot-tell cannot-tell cannot-tell", outcomes(t, v))
}

// A bank without a value for the beginning is not compared; a PCR that none has a
// value for is not vouched for.
func TestStartOfSomeBanks(t *testing.T) {
	t.Parallel()
	pcrs := readPCRs(t, "debian-6.1-file.pcrs.json")
	records, err := ima.ReadAll(open(t, readFile(t, "debian-6.1-file.bin")))
	require.NoError(t, err)
	pcrs = ima.PCRs{ima.SHA1: pcrs[ima.SHA1], ima.SHA256: pcrs[ima.SHA256]}
	start := valuesAfter(t, pcrs, records[:3])
	delete(start, ima.SHA1)
	v := verdict(t, verify.Evidence{List: ima.Records(records[3:]), PCRs: pcrs, Start: start, Vouched: true})
	assert.Equal(t, "sha1 PCR 10", where(t, v, verify.StartNotGiven))
	assert.False(t, v.Has(verify.BankMismatch))

	other := verdict(t, verify.Evidence{List: ima.Records(records[3:]), PCRs: pcrs, Start: ima.PCRs{ima.SHA256: {11: start[ima.SHA256][10]}}, Vouched: true})
	assert.Equal(t, "PCR 10", where(t, other, verify.ListNotFromBoot))
	_, err = verify.Verify(verify.Evidence{List: ima.Records(records), Start: ima.PCRs{ima.SHA1: {10: {1}}}})
	var input *verify.InputError
	require.ErrorAs(t, err, &input)
	assert.Equal(t, verify.PartStart, input.Part)
}

// The made-up evidence of a list whose first four records somebody else has kept.
func TestTailOfAList(t *testing.T) {
	t.Parallel()
	pcrs := readPCRs(t, "list-tail-records-5-to-7.json")
	tail := readFile(t, "list-tail-records-5-to-7.bin")
	without := verdict(t, verify.Evidence{List: open(t, tail), PCRs: pcrs, Vouched: true})
	assert.True(t, without.Has(verify.ListNotFromBoot))
	assert.False(t, without.Has(verify.ReplayMismatch))
	with := verdict(t, verify.Evidence{List: open(t, tail), PCRs: pcrs, Start: readPCRs(t, "list-tail-start.json"), Vouched: true})
	assert.Equal(t, 3, finding(t, with, verify.ReplayMatch).Records[0])
}
