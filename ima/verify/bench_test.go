package verify_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"hash"
	"io"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// endless gives a list that is made of the same records again and again, so that
// a long one needs no memory.
type endless struct {
	some []byte
	left int // in repetitions
	rest []byte
}

func (e *endless) Read(p []byte) (int, error) {
	if len(e.rest) == 0 {
		if e.left == 0 {
			return 0, io.EOF
		}
		e.left--
		e.rest = e.some
	}
	n := copy(p, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// longList has n records, a multiple of 1,000.
func longList(t testing.TB, n int) ima.RecordReader {
	t.Helper()
	var some []byte
	for i := range 1000 {
		var err error
		some, err = entry(t, "/usr/lib/x86_64-linux-gnu/libexample.so.1.2."+strconv.Itoa(i), nil).AppendBinary(some)
		require.NoError(t, err)
	}
	list, err := ima.NewBinaryReader(&endless{some: some, left: n / 1000}, ima.Format{})
	require.NoError(t, err)
	return list
}

// BenchmarkVerify verifies a list of a million records against two banks, of
// which sha256 is replayed with three kinds of digests. What B/op says is all
// that a list of this length costs; nothing of it is kept.
func BenchmarkVerify(b *testing.B) {
	const n = 1_000_000
	pcrs := newMachine(b).pcrs
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		list := longList(b, n)
		b.StartTimer()
		v, err := verify.Verify(verify.Evidence{List: list, PCRs: pcrs})
		if err != nil || v.Records != n {
			b.Fatal(v.Records, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
}

// BenchmarkHashing is the hashing alone that BenchmarkVerify has to do: a
// template digest of each bank, an extend of sha1 and three of sha256.
func BenchmarkHashing(b *testing.B) {
	rec := entry(b, "/usr/lib/x86_64-linux-gnu/libexample.so.1.2.345", nil)
	h1, h256 := sha1.New(), sha256.New()
	pcr := bytes.Repeat([]byte{1}, 64)
	var sum [64]byte
	run := func(h hash.Hash, data []byte) {
		h.Reset()
		h.Write(data)
		h.Sum(sum[:0])
	}
	for b.Loop() {
		run(h1, rec.Data())
		run(h256, rec.Data())
		run(h1, pcr[:40])
		for range 3 {
			run(h256, pcr)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N), "ns/record")
}

func BenchmarkAppraise(b *testing.B) {
	v := verdict(b, verify.Evidence{List: open(b, readFile(b, "debian-6.1-file.bin")), PCRs: readPCRs(b, "debian-6.1-file.pcrs.json")})
	p, err := verify.PolicyByName("strict")
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		p.Appraise(v)
	}
}
