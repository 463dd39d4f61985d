package cel_test

import (
	"bytes"
	"io"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/cel"
)

const benchRecords = 1_000_000

// benchBanks are those that are replayed, and whose digests the logs have.
var benchBanks = []ima.HashAlgo{ima.SHA1, ima.SHA256, ima.SHA384, ima.SHA512}

// benchList are records with paths as they are on a machine.
func benchList(b *testing.B, n int) []*ima.Record {
	template, _ := ima.LookupTemplate("ima-ng")
	records := make([]*ima.Record, n)
	for i := range records {
		var err error
		records[i], err = ima.NewTemplateEntry(template, 10, ima.SHA1, &ima.EventData{
			Filename: "/usr/lib/x86_64-linux-gnu/libexample.so.1.2." + strconv.Itoa(i), HashAlgo: ima.SHA256,
			Digest: ima.FileDigest{Algo: ima.SHA256, Sum: bytes.Repeat([]byte{byte(i)}, 32)},
		})
		require.NoError(b, err)
	}
	return records
}

// benchLog writes the records, with the digests of all banks.
func benchLog(b *testing.B, encoding cel.Encoding, records []*ima.Record) []byte {
	var log bytes.Buffer
	w, err := cel.NewWriter(&log, encoding, len(records))
	require.NoError(b, err)
	var rec cel.Record
	for _, r := range records {
		var digests []cel.Digest
		for _, bank := range benchBanks {
			sum, err := r.TemplateDigest(bank)
			require.NoError(b, err)
			digests = append(digests, cel.Digest{AlgID: ima.BankOf(bank).AlgID, Sum: sum})
		}
		rec.SetIMA(r, digests)
		require.NoError(b, w.Write(&rec))
	}
	require.NoError(b, w.Close())
	return log.Bytes()
}

// BenchmarkReplay replays a million records in four banks: from a binary list, and
// from logs in each encoding, which have the digests of four banks and all of them
// checked.
func BenchmarkReplay(b *testing.B) {
	records := benchList(b, benchRecords)
	run := func(name string, open func(b *testing.B) ima.RecordReader) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				list := open(b)
				var banks []ima.ReplayBank
				for _, bank := range benchBanks {
					banks = append(banks, ima.ReplayBank{Bank: bank})
				}
				replay, err := ima.NewReplay(banks...)
				require.NoError(b, err)
				var rec ima.Record
				n := 0
				for ; list.Read(&rec) == nil; n++ {
					if intact, err := replay.Extend(&rec); err != nil || !intact {
						b.Fatal(intact, err)
					}
				}
				require.Equal(b, benchRecords, n)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/benchRecords, "ns/record")
		})
	}
	var list []byte
	for _, r := range records {
		var err error
		list, err = r.AppendBinary(list)
		require.NoError(b, err)
	}
	run("binary", func(b *testing.B) ima.RecordReader {
		r, err := ima.NewReader(bytes.NewReader(list), ima.Format{})
		require.NoError(b, err)
		return r
	})
	for _, encoding := range encodings {
		log := benchLog(b, encoding, records)
		run(encoding.String(), func(b *testing.B) ima.RecordReader {
			list, err := cel.Open(io.MultiReader(bytes.NewReader(log)), ima.Format{})
			require.NoError(b, err)
			return list
		})
	}
}
