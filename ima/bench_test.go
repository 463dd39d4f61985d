package ima_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"io"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
)

var benchBanks = []ima.ReplayBank{{Bank: ima.SHA1}, {Bank: ima.SHA256}, {Bank: ima.SHA384}, {Bank: ima.SHA512}}

// syntheticList gives n records without end in sight: it makes them as they are
// read, so that a long list needs no memory.
type syntheticList struct {
	binary bool
	left   int
	buf    []byte
	rest   []byte
}

func newSyntheticList(t testing.TB, binary bool, n int) *syntheticList {
	return newBankList(t, binary, n, ima.SHA1)
}

// newBankList is newSyntheticList for the file of a bank.
func newBankList(t testing.TB, binary bool, n int, algo ima.HashAlgo) *syntheticList {
	s := &syntheticList{binary: binary, left: n}
	// One hundred records, so that making them costs little.
	for i := range 100 {
		rec := record(t, "ima-ng", ima.LittleEndian, "/usr/lib/x86_64-linux-gnu/libexample.so.1.2."+strconv.Itoa(i), nil)
		rec.DigestAlgo = algo
		var err error
		rec.Digest, err = rec.TemplateDigest(algo)
		require.NoError(t, err)
		if binary {
			s.buf, err = rec.AppendBinary(s.buf)
		} else {
			s.buf, err = rec.AppendText(s.buf)
		}
		require.NoError(t, err)
	}
	return s
}

func (s *syntheticList) Read(p []byte) (int, error) {
	if len(s.rest) == 0 {
		if s.left == 0 {
			return 0, io.EOF
		}
		s.left -= 100
		s.rest = s.buf
	}
	n := copy(p, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

const benchRecords = 1_000_000

func reportPerRecord(b *testing.B, records int) {
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(records), "ns/record")
}

// The least that a replay in four banks can cost: four template digests and four
// extends for each record.
func BenchmarkHashingAlone(b *testing.B) {
	data := record(b, "ima-ng", ima.LittleEndian, "/usr/lib/x86_64-linux-gnu/libexample.so.1.2.3", nil).Data()
	hashes := []hash.Hash{sha1.New(), sha256.New(), sha512.New384(), sha512.New()}
	buffers := make([][]byte, len(hashes))
	for i, h := range hashes {
		buffers[i] = make([]byte, 2*h.Size())
	}
	b.ReportAllocs()
	for b.Loop() {
		for range benchRecords {
			for i, h := range hashes {
				buf := buffers[i]
				h.Reset()
				h.Write(data)
				h.Sum(buf[h.Size():h.Size()])
				h.Reset()
				h.Write(buf)
				h.Sum(buf[:0])
			}
		}
	}
	reportPerRecord(b, benchRecords)
}

func BenchmarkReplayBinary(b *testing.B) { benchmarkReplay(b, true) }
func BenchmarkReplayASCII(b *testing.B)  { benchmarkReplay(b, false) }

// benchmarkReplay reads a list of a million records and replays it in four banks.
func benchmarkReplay(b *testing.B, binary bool) {
	b.ReportAllocs()
	for b.Loop() {
		replayBench(b, benchReader(b, binary), nil)
	}
	reportPerRecord(b, benchRecords)
}

// A list of each bank, of which form and hash are found out.
func BenchmarkReplayBankLists(b *testing.B) {
	for _, algo := range []ima.HashAlgo{ima.SHA1, ima.SHA256, ima.SHA384, ima.SHA512} {
		for _, binary := range []bool{true, false} {
			name := "ascii"
			if binary {
				name = "binary"
			}
			b.Run(name+"_"+algo.String(), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					list, err := ima.NewReader(newBankList(b, binary, benchRecords, algo), ima.Format{})
					require.NoError(b, err)
					replayBench(b, list, nil)
				}
				reportPerRecord(b, benchRecords)
			})
		}
	}
}

// A piece of a list, which begins at other PCR values than those of a boot.
func BenchmarkReplayPiece(b *testing.B) {
	start := ima.PCRs{}
	for _, bank := range benchBanks {
		start[bank.Bank] = map[int]ima.Hex{10: bytes.Repeat([]byte{1}, bank.Bank.Size())}
	}
	b.ReportAllocs()
	for b.Loop() {
		replayBench(b, benchReader(b, true), start)
	}
	reportPerRecord(b, benchRecords)
}

// replayBench replays a list of benchRecords in four banks.
func replayBench(b *testing.B, list ima.RecordReader, start ima.PCRs) {
	replay, err := ima.NewReplay(benchBanks...)
	require.NoError(b, err)
	require.NoError(b, replay.Start(start))
	var rec ima.Record
	n := 0
	for ; list.Read(&rec) == nil; n++ {
		if intact, err := replay.Extend(&rec); err != nil || !intact {
			b.Fatal(intact, err)
		}
	}
	require.Equal(b, benchRecords, n)
}

func benchReader(b *testing.B, binary bool) ima.RecordReader {
	src := newSyntheticList(b, binary, benchRecords)
	var list ima.RecordReader
	var err error
	if binary {
		list, err = ima.NewBinaryReader(src, ima.Format{})
	} else {
		list, err = ima.NewASCIIReader(src, ima.Format{})
	}
	require.NoError(b, err)
	return list
}

func BenchmarkReadBinary(b *testing.B) { benchmarkRead(b, true) }
func BenchmarkReadASCII(b *testing.B)  { benchmarkRead(b, false) }

func benchmarkRead(b *testing.B, binary bool) {
	b.ReportAllocs()
	for b.Loop() {
		list := benchReader(b, binary)
		var rec ima.Record
		for list.Read(&rec) == nil {
		}
	}
	reportPerRecord(b, benchRecords)
}

// Reading allocates for the reader, not for the records.
func TestReadingDoesNotAllocate(t *testing.T) {
	for _, binary := range []bool{true, false} {
		const records = 1000
		perList := testing.AllocsPerRun(10, func() {
			src := newSyntheticList(t, binary, records)
			_ = src
		})
		perRun := testing.AllocsPerRun(10, func() {
			src := newSyntheticList(t, binary, records)
			var list ima.RecordReader
			if binary {
				list, _ = ima.NewBinaryReader(src, ima.Format{})
			} else {
				list, _ = ima.NewASCIIReader(src, ima.Format{})
			}
			replay, err := ima.NewReplay(benchBanks...)
			require.NoError(t, err)
			var rec ima.Record
			n := 0
			for ; list.Read(&rec) == nil; n++ {
				_, err := replay.Extend(&rec)
				require.NoError(t, err)
			}
			require.Equal(t, records, n)
		})
		require.Less(t, perRun-perList, 100.0, "binary %t", binary)
	}
}
