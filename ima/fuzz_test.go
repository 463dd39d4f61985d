package ima_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
)

// fuzzFormat makes a format of a byte, so that fuzzing reaches all of them.
func fuzzFormat(b byte) ima.Format {
	return ima.Format{
		Order:      ima.ByteOrder(b & 1),
		Digest:     []ima.HashAlgo{ima.SHA1, ima.SHA256, ima.SM3}[b>>1&3%3],
		LegacyHash: []ima.HashAlgo{ima.SHA1, ima.MD5}[b>>3&1],
		MaxData:    1 << 16,
	}
}

// What is read is written again as it was, up to the first error.
func FuzzBinaryReader(f *testing.F) {
	for _, list := range realLists {
		records := readBinary(f, readFile(f, list.binary), ima.Format{})
		f.Add(appendBinary(f, records[:2]), byte(0)) // short ones are mutated faster
	}
	for _, template := range []string{"ima", "evm-sig", "ima-modsig", "ima-sigv2", "n-ng|d"} {
		big := record(f, template, ima.BigEndian, "/a\nb", fullEvent)
		f.Add(appendBinary(f, []*ima.Record{big}), byte(1))
	}
	f.Fuzz(func(t *testing.T, list []byte, format byte) {
		r, err := ima.NewBinaryReader(bytes.NewReader(list), fuzzFormat(format))
		require.NoError(t, err)
		records, err := ima.ReadAll(r)
		again := appendBinary(t, records)
		require.True(t, bytes.HasPrefix(list, again))
		if err == nil {
			require.Equal(t, len(list), len(again))
		}
		for _, rec := range records {
			checkRecord(t, rec, fuzzFormat(format))
		}
	})
}

// checkRecord uses what a record has, and reads its line again.
func checkRecord(t *testing.T, rec *ima.Record, format ima.Format) {
	rec.FileDigest()
	ima.IsBootAggregate(rec, 1)
	digest, err := rec.TemplateDigest(ima.SHA1)
	require.NoError(t, err)
	for _, id := range rec.Template().Fields() {
		rec.FieldText(id)
	}
	if strings.ContainsAny(rec.Name(), " \n") {
		return // the ASCII list is not made for these
	}
	rec = rec.Clone()
	rec.Digest, rec.DigestAlgo, format.Digest = digest, ima.SHA1, ima.SHA1
	line, err := rec.AppendText(nil)
	require.NoError(t, err)
	if bytes.Count(line, []byte{'\n'}) > 1 || bytes.Count(line, []byte{' '}) != 2+len(rec.Template().Fields())+bytes.Count(line[:1], []byte{' '}) {
		return
	}
	r, err := ima.NewASCIIReader(bytes.NewReader(line), format)
	require.NoError(t, err)
	var back ima.Record
	require.NoError(t, r.Read(&back), "%q", line)
	require.Equal(t, rec.Data(), back.Data(), "%q", line)
}

// What is read is written again as it was, up to the first error.
func FuzzASCIIReader(f *testing.F) {
	for _, list := range realLists {
		f.Add(appendText(f, readASCII(f, readFile(f, list.ascii))[:2]), byte(0))
	}
	for _, template := range []string{"ima", "evm-sig", "ima-modsig", "ima-sigv2", "n-ng|d"} {
		odd := record(f, template, ima.LittleEndian, "/a\nb", fullEvent)
		violation := record(f, template, ima.LittleEndian, "/a\n\nb", func(e *ima.EventData) { e.Violation = true })
		f.Add(appendText(f, []*ima.Record{odd, violation, odd}), byte(0))
	}
	f.Fuzz(func(t *testing.T, list []byte, format byte) {
		r, err := ima.NewASCIIReader(bytes.NewReader(list), fuzzFormat(format))
		require.NoError(t, err)
		var again []byte
		var rec ima.Record
		for {
			if err = r.Read(&rec); err != nil {
				break
			}
			again, err = rec.AppendText(again)
			require.NoError(t, err)
			require.True(t, bytes.HasPrefix(list, again), "%q", again)
			rec.FileDigest()
			rec.Clone()
		}
		if err == io.EOF {
			require.Equal(t, len(list), len(again))
		}
	})
}
