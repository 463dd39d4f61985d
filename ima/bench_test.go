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
	rec    *ima.Record
	buf    []byte
	rest   []byte
}

func newSyntheticList(t testing.TB, binary bool, n int) *syntheticList {
	s := &syntheticList{binary: binary, left: n, rec: record(t, "ima-ng", ima.LittleEndian, "/usr/lib/x86_64-linux-gnu/libexample.so.1.2.3", nil)}
	// One hundred records, so that making them costs little.
	for i := range 100 {
		rec := record(t, "ima-ng", ima.LittleEndian, "/usr/lib/x86_64-linux-gnu/libexample.so.1.2."+strconv.Itoa(i), nil)
		var err error
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
		list := benchReader(b, binary)
		replay, err := ima.NewReplay(benchBanks...)
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
	reportPerRecord(b, benchRecords)
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

// One record measured: policy, hash, duplicate check, list, extend.
func BenchmarkMeasure(b *testing.B) {
	m := start(b, debian(b, "ima_policy=tcb"), newFakeTPM(ima.SHA1, ima.SHA256))
	content := []byte("content")
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		f := file("/usr/bin/"+strconv.Itoa(i), "")
		f.Inode.Content = func() (io.Reader, error) { return bytes.NewReader(content), nil }
		m.BprmCheck(f, rootCred)
	}
}

// A file that has been measured already, as most accesses are.
func BenchmarkMeasureCached(b *testing.B) {
	m := start(b, debian(b, "ima_policy=tcb"), nil)
	f := file("/usr/bin/true", "x")
	b.ReportAllocs()
	for b.Loop() {
		m.Open(f, rootCred, ima.MayRead)
		m.Release(f)
	}
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
