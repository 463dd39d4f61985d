package ima_test

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
)

// perBank shows records as the file of a bank does: with digests of algo, of size
// bytes if the kernel does not have the bank's hash.
func perBank(t testing.TB, records []*ima.Record, algo ima.HashAlgo, size int) []*ima.Record {
	t.Helper()
	shown := make([]*ima.Record, len(records))
	for i, r := range records {
		shown[i] = r.Clone()
		digest := make([]byte, size)
		if !r.Violation() {
			sum, err := r.TemplateDigest(algo)
			require.NoError(t, err)
			copy(digest, sum)
		}
		shown[i].Digest, shown[i].DigestAlgo = digest, algo
	}
	return shown
}

// bankFiles are the kinds of list files that Linux has since 6.10. The digests
// of _tpm_alg_27 are of sha1, and have been seen of its size and of the bank's.
var bankFiles = []struct {
	name string
	algo ima.HashAlgo
	size int
}{
	{"sha1", ima.SHA1, 20},
	{"sha256", ima.SHA256, 32},
	{"sha384", ima.SHA384, 48},
	{"sha512", ima.SHA512, 64},
	{"sm3", ima.SM3, 32},
	{"sha3-256", ima.SHA3_256, 32},
	{"sha3-384", ima.SHA3_384, 48},
	{"sha3-512", ima.SHA3_512, 64},
	{"tpm_alg_27", ima.SHA1, 32},
	{"tpm_alg_28", ima.SHA1, 48},
	{"tpm_alg_29", ima.SHA1, 64},
}

// variedList has what makes a list hard to tell: violations before all else, a
// large record, several templates.
func variedList(t testing.TB, order ima.ByteOrder) []*ima.Record {
	large := bytes.Repeat([]byte{0xa5}, 100<<10)
	return []*ima.Record{
		record(t, "ima-ng", order, "/violated", func(e *ima.EventData) { e.Violation = true }),
		record(t, "ima-buf", order, "policy", func(e *ima.EventData) { e.Buf = large }),
		record(t, "ima-sig", order, "/signed", func(e *ima.EventData) { e.IMAXattr = []byte{3, 2, 4, 0, 0, 0, 0, 0, 0} }),
		record(t, "evm-sig", order, "/portable", nil),
		record(t, "d-ng|n-ng|imode", order, "/custom", nil),
	}
}

// A list tells by its content what it is, whatever its file is called, and
// however its bytes arrive.
func TestOpenKnowsPerBankLists(t *testing.T) {
	t.Parallel()
	for _, c := range bankFiles {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, order := range []ima.ByteOrder{ima.LittleEndian, ima.BigEndian} {
				want := perBank(t, variedList(t, order), c.algo, c.size)
				for _, list := range [][]byte{appendBinary(t, want), appendText(t, want)} {
					for _, source := range []io.Reader{bytes.NewReader(list), iotest.HalfReader(bytes.NewReader(list)), iotest.DataErrReader(bytes.NewReader(list))} {
						r, err := ima.NewReader(source, ima.Format{})
						require.NoError(t, err)
						format := r.(interface{ Format() ima.Format }).Format()
						assert.Equal(t, []any{order, c.algo, c.size}, []any{format.Order, format.Digest, format.DigestSize})
						records, err := ima.ReadAll(r)
						require.NoError(t, err)
						require.Len(t, records, len(want))
						replay, err := ima.NewReplay(ima.ReplayBank{Bank: ima.SHA256})
						require.NoError(t, err)
						for i, rec := range records {
							intact, err := replay.Extend(rec)
							require.NoError(t, err)
							assert.True(t, intact, "record %d", i+1)
							assert.Equal(t, want[i].Digest, rec.Digest)
							assert.Equal(t, want[i].Data(), rec.Data())
						}
					}
				}
			}
		})
	}
}

// A digest that has anything but zeros after sha1 is none.
func TestPaddedDigestsHaveZeros(t *testing.T) {
	t.Parallel()
	list := perBank(t, variedList(t, ima.LittleEndian), ima.SHA1, 32)
	list[2].Digest[31] = 1
	r, err := ima.Open(appendBinary(t, list), ima.Format{})
	require.NoError(t, err)
	records, err := ima.ReadAll(r)
	require.NoError(t, err)
	replay, err := ima.NewReplay(ima.ReplayBank{Bank: ima.SHA1})
	require.NoError(t, err)
	for i, rec := range records {
		intact, err := replay.Extend(rec)
		require.NoError(t, err)
		assert.Equal(t, i != 2, intact, "record %d", i+1)
	}
}

// The d field of the ima template is of md5 at times, which the binary list does
// not say.
func TestOpenKnowsTheLegacyHash(t *testing.T) {
	t.Parallel()
	for _, legacy := range []ima.HashAlgo{ima.SHA1, ima.MD5} {
		rec := record(t, "ima", ima.BigEndian, "/bin/sh", func(e *ima.EventData) { e.LegacyDigest = bytes.Repeat([]byte{7}, legacy.Size()) })
		list := perBank(t, []*ima.Record{rec, rec}, ima.SHA512, 64)
		r, err := ima.Open(appendBinary(t, list), ima.Format{})
		require.NoError(t, err)
		records, err := ima.ReadAll(r)
		require.NoError(t, err)
		require.Len(t, records, 2)
		d, ok := records[1].FileDigest()
		assert.True(t, ok)
		assert.Equal(t, legacy, d.Algo)
	}
}

// A list in which no digest is right, or of violations alone, is read all the
// same.
func TestOpenWithoutProof(t *testing.T) {
	t.Parallel()
	for _, c := range bankFiles {
		list := perBank(t, variedList(t, ima.LittleEndian), c.algo, c.size)
		for _, rec := range list {
			rec.Digest[0] ^= 1
		}
		for _, text := range [][]byte{appendBinary(t, list), appendText(t, list), appendBinary(t, list[:1]), appendText(t, list[:1])} {
			r, err := ima.Open(text, ima.Format{})
			require.NoError(t, err)
			records, err := ima.ReadAll(r)
			require.NoError(t, err, c.name)
			assert.Len(t, records[0].Digest, c.size)
		}
	}
}

// PCR 0 is the same in both orders; the digests tell.
func TestOpenFindsTheOrderOfPCR0(t *testing.T) {
	t.Parallel()
	for _, order := range []ima.ByteOrder{ima.LittleEndian, ima.BigEndian} {
		rec := record(t, "ima-ng", order, "/bin/sh", nil)
		rec.PCR = 0
		for _, list := range [][]byte{appendBinary(t, []*ima.Record{rec}), appendText(t, []*ima.Record{rec})} {
			r, err := ima.Open(list, ima.Format{})
			require.NoError(t, err)
			records, err := ima.ReadAll(r)
			require.NoError(t, err)
			assert.Equal(t, order, records[0].Order())
		}
	}
	rec := record(t, "ima-ng", ima.BigEndian, "/bin/sh", nil)
	r, err := ima.Open(appendText(t, []*ima.Record{rec}), ima.Format{Order: ima.LittleEndian, OrderKnown: true})
	require.NoError(t, err)
	records, err := ima.ReadAll(r)
	require.NoError(t, err)
	assert.Equal(t, ima.LittleEndian, records[0].Order())
}

// A source that fails is no list that is cut off.
func TestOpenPassesErrorsOn(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is gone")
	_, err := ima.NewReader(iotest.ErrReader(broken), ima.Format{})
	require.ErrorIs(t, err, broken)
	list := appendBinary(t, perBank(t, variedList(t, ima.LittleEndian), ima.SHA256, 32))
	r, err := ima.NewReader(io.MultiReader(bytes.NewReader(list[:len(list)-5]), iotest.ErrReader(broken)), ima.Format{})
	require.NoError(t, err)
	records, err := ima.ReadAll(r)
	require.ErrorIs(t, err, broken)
	assert.Len(t, records, 4)
}

// What is read ahead is bounded by the first record: a list that goes on for ever
// is opened as any other.
func TestOpenReadsAheadALittle(t *testing.T) {
	t.Parallel()
	violations := appendBinary(t, perBank(t, variedList(t, ima.LittleEndian)[:1], ima.SHA256, 32))
	source := &counting{r: &repeated{some: violations}}
	r, err := ima.NewReader(source, ima.Format{})
	require.NoError(t, err)
	assert.LessOrEqual(t, source.n, 1<<20)
	var rec ima.Record
	require.NoError(t, r.Read(&rec))
	assert.Len(t, rec.Digest, 32)

	garbage := &counting{r: &repeated{some: []byte{10, 0, 0, 0, 0xff}}}
	_, err = ima.NewReader(garbage, ima.Format{})
	require.NoError(t, err)
	assert.LessOrEqual(t, garbage.n, 1<<20)
}

type counting struct {
	r io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// repeated gives the same bytes again and again.
type repeated struct {
	some []byte
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = r.some[r.at]
		r.at = (r.at + 1) % len(r.some)
	}
	return len(p), nil
}

func FuzzOpen(f *testing.F) {
	for _, c := range bankFiles {
		small := variedList(f, ima.BigEndian)
		list := perBank(f, append(small[:1:1], small[2:]...), c.algo, c.size)
		f.Add(appendBinary(f, list))
		f.Add(appendText(f, list))
	}
	f.Add([]byte(strings.Repeat("10 ", 9)))
	f.Fuzz(func(t *testing.T, list []byte) {
		r, err := ima.Open(list, ima.Format{MaxData: 1 << 20})
		require.NoError(t, err)
		records, err := ima.ReadAll(r)
		var at *ima.ListError
		if err != nil && !errors.As(err, &at) {
			t.Fatal(err)
		}
		format := r.(interface{ Format() ima.Format }).Format()
		for _, rec := range records {
			require.Len(t, rec.Digest, format.DigestSize)
		}
	})
}
