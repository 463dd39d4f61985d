package cel_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/cel"
)

var (
	encodings = []cel.Encoding{cel.TLV, cel.JSON, cel.CBOR}
	banks     = []ima.HashAlgo{ima.SHA1, ima.SHA256, ima.SHA384, ima.SHA3_256}
)

// realLists are lists of ../testdata.
var realLists = []string{
	"lists/debian-6.1-file.bin",
	"powervm_7.1.0-rc1_ima-sig_derived_binary_runtime_measurements.bin",
	"arm64_7.1.0-rc1_critical_data_derived_binary_runtime_measurements.bin",
}

func readList(t testing.TB, name string) []*ima.Record {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../testdata", name))
	require.NoError(t, err)
	list, err := ima.Open(text, ima.Format{})
	require.NoError(t, err)
	records, err := ima.ReadAll(list)
	require.NoError(t, err)
	return records
}

// digestsOf are a record's digests in all banks.
func digestsOf(t testing.TB, r *ima.Record) (digests []cel.Digest) {
	t.Helper()
	for _, bank := range banks {
		sum, err := r.TemplateDigest(bank)
		require.NoError(t, err)
		if r.Violation() {
			clear(sum)
		}
		digests = append(digests, cel.Digest{AlgID: ima.BankOf(bank).AlgID, Sum: sum})
	}
	return digests
}

// firmware are events with a StartupLocality, in two banks.
func firmware() []cel.Record {
	digests := []cel.Digest{{AlgID: 4, Sum: bytes.Repeat([]byte{1}, 20)}, {AlgID: 11, Sum: bytes.Repeat([]byte{2}, 32)}}
	return []cel.Record{
		{PCR: 0, Type: cel.PCClient, EventType: 3, Data: []byte("StartupLocality\x00\x03"), Digests: digests},
		{PCR: 0, Type: cel.PCClient, EventType: 8, Data: []byte("1.0"), Digests: digests},
		{PCR: 4, Type: cel.PCClient, EventType: 0x80000003, Data: nil, Digests: digests},
	}
}

func write(t testing.TB, encoding cel.Encoding, events []cel.Record, records []*ima.Record) []byte {
	t.Helper()
	var log bytes.Buffer
	w, err := cel.NewWriter(&log, encoding, len(events)+len(records))
	require.NoError(t, err)
	for i := range events {
		require.NoError(t, w.Write(&events[i]))
	}
	var rec cel.Record
	for _, r := range records {
		rec.SetIMA(r, digestsOf(t, r))
		require.NoError(t, w.Write(&rec))
	}
	require.NoError(t, w.Close())
	return log.Bytes()
}

// What is written is read again, however the bytes arrive: records, violations,
// digests of all banks, events of the firmware.
func TestWrittenLogsAreRead(t *testing.T) {
	t.Parallel()
	for _, encoding := range encodings {
		for _, name := range realLists {
			records := readList(t, name)
			log := write(t, encoding, firmware(), records)
			for _, source := range []io.Reader{bytes.NewReader(log), iotest.OneByteReader(bytes.NewReader(log)), iotest.DataErrReader(bytes.NewReader(log))} {
				list, err := cel.Open(source, ima.Format{})
				require.NoError(t, err)
				assert.Equal(t, encoding.String(), list.Form())
				ours, err := ima.ReadAll(list)
				require.NoError(t, err, "%s %s", encoding, name)
				require.Len(t, ours, len(records))
				for i, r := range records {
					assert.Equal(t, r.PCR, ours[i].PCR)
					assert.Equal(t, r.Digest, ours[i].Digest)
					assert.Equal(t, r.Data(), ours[i].Data())
					assert.Equal(t, r.Template().Name(), ours[i].Template().Name())
					assert.Equal(t, r.Violation(), ours[i].Violation())
					assert.Len(t, ours[i].Digests(), len(banks))
				}
				assert.Equal(t, eventLog, hex.EncodeToString(list.EventLog()))
			}
		}
	}
}

// eventLog is the crypto-agile log of firmware().
const eventLog = "000000000300000000000000000000000000000000000000000000002500000053706563204944204576656e743033000000000000020002" +
	"02000000040014000b00200000" +
	"00000000030000000200000004000101010101010101010101010101010101010101" + "0b000202020202020202020202020202020202020202020202020202020202020202" + "11000000537461727475704c6f63616c6974790003" +
	"00000000080000000200000004000101010101010101010101010101010101010101" + "0b000202020202020202020202020202020202020202020202020202020202020202" + "03000000312e30" +
	"04000000030000800200000004000101010101010101010101010101010101010101" + "0b000202020202020202020202020202020202020202020202020202020202020202" + "00000000"

// replayed gives PCR 10 of the banks, and which records are not intact.
func replayed(t testing.TB, list ima.RecordReader) (values []string, damaged []int) {
	t.Helper()
	var wanted []ima.ReplayBank
	for _, bank := range banks {
		wanted = append(wanted, ima.ReplayBank{Bank: bank})
	}
	replay, err := ima.NewReplay(wanted...)
	require.NoError(t, err)
	var rec ima.Record
	for n := 1; ; n++ {
		err := list.Read(&rec)
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		intact, err := replay.Extend(&rec)
		require.NoError(t, err)
		if !intact {
			damaged = append(damaged, n)
		}
	}
	for _, bank := range wanted {
		values = append(values, hex.EncodeToString(replay.PCR(bank, 10)))
	}
	return values, damaged
}

// A log leads to the PCRs to which the list does, and a digest of any bank that is
// not its record's is noticed.
func TestReplayOfALog(t *testing.T) {
	t.Parallel()
	records := readList(t, realLists[0])
	want, _ := replayed(t, ima.Records(records))
	for _, encoding := range encodings {
		list, err := cel.Open(bytes.NewReader(write(t, encoding, nil, records)), ima.Format{})
		require.NoError(t, err)
		got, damaged := replayed(t, list)
		assert.Equal(t, want, got)
		assert.Empty(t, damaged)
	}
	for bank := range banks {
		var log bytes.Buffer
		w, err := cel.NewWriter(&log, cel.TLV, len(records))
		require.NoError(t, err)
		for i, r := range records {
			digests := digestsOf(t, r)
			if i == 2 {
				digests[bank].Sum[3] ^= 1
			}
			var rec cel.Record
			rec.SetIMA(r, digests)
			require.NoError(t, w.Write(&rec))
		}
		require.NoError(t, w.Close())
		list, err := cel.Open(&log, ima.Format{})
		require.NoError(t, err)
		_, damaged := replayed(t, list)
		assert.Equal(t, []int{3}, damaged, banks[bank])
	}
}

// A kernel that does not have a bank's hash extends sha1's digest with zeros.
func TestPaddedDigestsInALog(t *testing.T) {
	t.Parallel()
	records := readList(t, realLists[0])
	var log bytes.Buffer
	w, err := cel.NewWriter(&log, cel.CBOR, len(records))
	require.NoError(t, err)
	for _, r := range records {
		digests := digestsOf(t, r)
		digests[2].Sum = append(bytes.Clone(digests[0].Sum), make([]byte, 28)...)
		var rec cel.Record
		rec.SetIMA(r, digests)
		require.NoError(t, w.Write(&rec))
	}
	require.NoError(t, w.Close())
	list, err := cel.Open(&log, ima.Format{})
	require.NoError(t, err)
	_, damaged := replayed(t, list)
	assert.Empty(t, damaged)
}

// The lists of a big-endian kernel keep their order in a log.
func TestBigEndianTemplateData(t *testing.T) {
	t.Parallel()
	template, _ := ima.LookupTemplate("ima-ng")
	rec, err := ima.NewTemplateEntry(template, 10, ima.SHA1, &ima.EventData{Filename: "/bin/sh", Digest: ima.FileDigest{Algo: ima.SHA256, Sum: make([]byte, 32)}, HashAlgo: ima.SHA256, Order: ima.BigEndian})
	require.NoError(t, err)
	list, err := cel.Open(bytes.NewReader(write(t, cel.JSON, nil, []*ima.Record{rec})), ima.Format{})
	require.NoError(t, err)
	got, err := ima.ReadAll(list)
	require.NoError(t, err)
	assert.Equal(t, ima.BigEndian, got[0].Order())
	assert.Equal(t, "/bin/sh", got[0].Name())
}

const sha1JSON = `{"hashAlg":"sha1","digest":"0101010101010101010101010101010101010101"}`

// jsonRecord is a record with the content given.
func jsonRecord(number, kind, content string) string {
	return `{"recnum":` + number + `,"pcr":10,"digests":[` + sha1JSON + `],"content_type":` + kind + `,"content":` + content + `}`
}

const imaContent = `{"template_name":"ima","template_data":"` + "0202020202020202020202020202020202020202" + `010000002f"}`

// CEL-JSON as others write it: members in any order, numbers for names, blanks,
// escapes, records one after the other, other content.
func TestJSONOfOthers(t *testing.T) {
	t.Parallel()
	for name, log := range map[string]string{
		"array":       "[" + jsonRecord("0", `"ima_template"`, imaContent) + "]",
		"numbers":     "[" + strings.Replace(jsonRecord("7", "7", imaContent), `"sha1"`, "4", 1) + "]",
		"sequence":    "\x1e" + jsonRecord("0", "7", imaContent) + "\n\x1e" + jsonRecord("1", "11", `{"string":"x","list":[1,-2.5e3,true,null]}`) + "\n",
		"lines":       jsonRecord("0", "7", imaContent) + "\n" + jsonRecord("1", `"cel"`, `[{"type":"firmware_end"}]`) + "\n",
		"escapes":     "[" + jsonRecord("0", "7", strings.Replace(imaContent, `"ima"`, `"\u0069m\u0061"`, 1)) + "]",
		"other order": ` [ {"content":` + imaContent + `, "content_type" : 7, "pcr":10, "recnum":0, "digests":[` + sha1JSON + "]}\n ]\n",
	} {
		list, err := cel.Open(strings.NewReader(log), ima.Format{})
		require.NoError(t, err, name)
		records, err := ima.ReadAll(list)
		require.NoError(t, err, name)
		require.Len(t, records, 1, name)
		assert.Equal(t, "/", records[0].Name(), name)
		assert.Equal(t, bytes.Repeat([]byte{1}, 20), records[0].Digest, name)
	}
	// What the standard library makes of a log is the same log.
	records := readList(t, realLists[1])
	var any any
	require.NoError(t, json.Unmarshal(write(t, cel.JSON, firmware(), records), &any))
	text, err := json.MarshalIndent(any, "", "  ")
	require.NoError(t, err)
	list, err := cel.Open(bytes.NewReader(text), ima.Format{})
	require.NoError(t, err)
	ours, err := ima.ReadAll(list)
	require.NoError(t, err)
	assert.Len(t, ours, len(records))
	assert.Equal(t, eventLog, hex.EncodeToString(list.EventLog()))
}

func unhex(t testing.TB, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	require.NoError(t, err)
	return b
}

// CEL-TLV and CEL-CBOR as others write them: numbers of few bytes, events by name,
// records one after the other.
func TestBinaryLogsOfOthers(t *testing.T) {
	t.Parallel()
	digest := strings.Repeat("01", 20)
	ten := "696d61" // ima
	data := strings.Repeat("02", 20) + "010000002f"
	for name, log := range map[string]string{
		"TLV, short numbers": "00 00000001 00  01 00000001 0a  03 00000019 04 00000014" + digest + "07 00000026 00 00000003" + ten + "01 00000019" + data,
		"TLV, four bytes":    "00 00000002 0102  01 00000004 0000000a  03 00000019 04 00000014" + digest + "07 00000026 00 00000003" + ten + "01 00000019" + data,
		"CBOR sequence": "a5 00 00 01 0a 03 81 a2 00 04 01 54" + digest + "09 07 0a a2 00 63" + ten + "01 58 19" + data +
			"a5 00 00 01 0b 03 81 a2 00 04 01 54" + digest + "09 0b 0a a2 00 63" + ten + "01 82 f4 c1 20",
		"CBOR event by name": "82 a5 00 00 01 00 03 81 a2 00 04 01 54" + digest + "09 05 0a a2 00 6c 45565f4e4f5f414354494f4e 01 40" +
			"a5 00 00 01 0a 03 81 a2 00 04 01 54" + digest + "09 07 0a a2 00 63" + ten + "01 58 19" + data,
	} {
		list, err := cel.Open(bytes.NewReader(unhex(t, log)), ima.Format{})
		require.NoError(t, err, name)
		records, err := ima.ReadAll(list)
		require.NoError(t, err, name)
		require.Len(t, records, 1, name)
		assert.Equal(t, "/", records[0].Name(), name)
	}
}

// Broken logs are told with the record and the offset.
func TestBrokenLogs(t *testing.T) {
	t.Parallel()
	good := map[cel.Encoding][]byte{}
	records := readList(t, realLists[0])[:2]
	for _, encoding := range encodings {
		good[encoding] = write(t, encoding, nil, records)
	}
	edit := func(encoding cel.Encoding, from, to string) []byte {
		log := strings.Replace(string(good[encoding]), from, to, 1)
		require.NotEqual(t, string(good[encoding]), log)
		return []byte(log)
	}
	digest := strings.Repeat("01", 20)
	for _, c := range []struct {
		name   string
		log    []byte
		record int
		offset int64
		says   string
	}{
		{"cut off TLV", good[cel.TLV][:len(good[cel.TLV])-1], 2, -1, "unexpected EOF"},
		{"cut off JSON", good[cel.JSON][:len(good[cel.JSON])-4], 2, -1, "unexpected EOF"},
		{"cut off array", good[cel.JSON][:len(good[cel.JSON])-2], 3, -1, "unexpected EOF"},
		{"cut off CBOR", good[cel.CBOR][:len(good[cel.CBOR])-1], 2, -1, "unexpected EOF"},
		{"rest after JSON", append(bytes.Clone(good[cel.JSON]), 'x'), 3, int64(len(good[cel.JSON])), "follows the array"},
		{"rest after CBOR", append(bytes.Clone(good[cel.CBOR]), 0), 3, int64(len(good[cel.CBOR])), "follows the array"},
		{"rest after TLV", append(bytes.Clone(good[cel.TLV]), 9), 3, int64(len(good[cel.TLV])), "unexpected EOF"},
		{"PCR of two digits", unhex(t, "00 00000001 00 01 00000005 00"), 1, -1, "no Canonical"},
		{"register of a confidential machine", unhex(t, "00 00000001 00 6c 00000001 01"), 1, 6, "confidential"},
		{"no digest", unhex(t, "00 00000001 00 01 00000001 0a 03 00000000 04 00000000"), 1, 0, "there are none"},
		{"length of a digest", unhex(t, "00 00000001 00 01 00000001 0a 03 00000006 04 00000002 01 04 00000000"), 1, 18, "1 bytes are left"},
		{"digest of a wrong size", unhex(t, "00 00000001 00 01 00000001 0a 03 00000006 04 00000001 01 04 00000000"), 1, 0, "1 bytes for a digest"},
		{"huge content", unhex(t, "00 00000001 00 01 00000001 0a 03 00000006 04 00000001 01 07 ffffffff"), 1, 24, "there can be"},
		{"number again", edit(cel.JSON, `"recnum":1`, `"recnum":0`), 2, -1, "ascend"},
		{"member unknown", edit(cel.JSON, `"pcr"`, `"pcrs"`), 1, -1, `no member "pcrs"`},
		{"member twice", edit(cel.JSON, `"pcr"`, `"pcr":1,"pcr"`), 1, -1, "twice"},
		{"member missing", edit(cel.JSON, `"pcr":10,`, ``), 1, -1, "a record has recnum"},
		{"content of another type", edit(cel.JSON, `"ima_template"`, `"pcclient_std"`), 1, -1, "not those of pcclient_std"},
		{"no such type", edit(cel.JSON, `"ima_template"`, `"imatemplate"`), 1, -1, "no content type"},
		{"no such hash", edit(cel.JSON, `"sha1"`, `"sha-1"`), 1, -1, "no hash"},
		{"half a byte", edit(cel.JSON, `"digest":"`, `"digest":"0`), 1, -1, "odd length"},
		{"number with a sign", edit(cel.JSON, `"recnum":0`, `"recnum":-1`), 1, -1, "instead of a number"},
		{"number with a fraction", edit(cel.JSON, `"recnum":0`, `"recnum":0.5`), 1, -1, "plain number"},
		{"number too large", edit(cel.JSON, `"recnum":0`, `"recnum":18446744073709551616`), 1, -1, "there can be"},
		{"no comma", edit(cel.JSON, `,"pcr"`, ` "pcr"`), 1, -1, `instead of ','`},
		{"IMA TLV", []byte("[" + jsonRecord("0", `"ima_tlv"`, `"00"`) + "]"), 1, -1, "which no kernel writes"},
		{"nested deep", []byte("[" + jsonRecord("0", "11", strings.Repeat("[", 20)+strings.Repeat("]", 20)) + "]"), 1, -1, "nested"},
		{"template data", edit(cel.JSON, `"template_data":"`, `"template_data":"ff`), 1, -1, "length"},
		{"not shortest", unhex(t, "81 a5 00 00 01 180a"), 1, 5, "shortest"},
		{"indefinite", unhex(t, "81 a5 00 00 01 0a 03 9f"), 1, 7, "indefinite"},
		{"keys out of order", unhex(t, "81 a5 00 00 03 80"), 1, 4, "neither pcr"},
		{"a hundred digests", unhex(t, "81 a5 00 00 01 0a 03 98 64"), 1, 7, "there can be 16"},
		{"long data", unhex(t, "81 a5 00 00 01 0a 03 81 a2 00 04 01 54"+digest+"09 07 0a a2 00 63 696d61 01 5b 7fffffffffffffff"), 1, 43, "there can be"},
		{"firmware after IMA", write(t, cel.TLV, nil, records[:1])[:], 1, -2, ""},
	} {
		if c.offset == -2 {
			events := firmware()
			events[0].Number = 5
			tail := write(t, cel.TLV, events[:1], nil)
			c.log, c.record, c.offset, c.says = append(c.log, tail...), 2, -1, "precede the list"
		}
		list, err := cel.Open(bytes.NewReader(c.log), ima.Format{})
		if err == nil {
			_, err = ima.ReadAll(list)
		}
		var at *ima.ListError
		require.ErrorAs(t, err, &at, c.name)
		assert.Equal(t, c.record, at.Record, "%s: %v", c.name, err)
		assert.ErrorContains(t, err, c.says, c.name)
		if c.offset >= 0 {
			assert.Equal(t, c.offset, at.Offset, "%s: %v", c.name, err)
		}
		assert.LessOrEqual(t, at.Offset, int64(len(c.log)), c.name)
		if encoding, ok := cel.EncodingOf(c.log[:min(len(c.log), cel.HeadSize)]); ok && encoding == cel.JSON {
			assert.Positive(t, at.Line, c.name)
		}
	}
}

// The forms are told apart by what they begin with, also from a kernel's list.
func TestEncodingOf(t *testing.T) {
	t.Parallel()
	records := readList(t, realLists[0])
	for _, encoding := range encodings {
		log := write(t, encoding, nil, records)
		got, ok := cel.EncodingOf(log[:cel.HeadSize])
		assert.True(t, ok)
		assert.Equal(t, encoding, got)
		empty := write(t, encoding, nil, nil)
		list, err := cel.Open(bytes.NewReader(empty), ima.Format{})
		if encoding == cel.TLV {
			assert.Error(t, err) // nothing is no log
			continue
		}
		require.NoError(t, err)
		none, err := ima.ReadAll(list)
		assert.NoError(t, err)
		assert.Empty(t, none)
	}
	for _, name := range realLists {
		text, err := os.ReadFile(filepath.Join("../testdata", name))
		require.NoError(t, err)
		assert.False(t, cel.Starts(text[:cel.HeadSize]), name)
	}
	bigEndian := append([]byte{0, 0, 0, 0, 0, 0, 0, 4}, bytes.Repeat([]byte{7}, 40)...)
	for _, head := range []string{"", "10 ", "[1", `{"sha256":{}}`, "\x80\x01", string(bigEndian)} {
		_, ok := cel.EncodingOf([]byte(head))
		assert.False(t, ok, "%q", head)
	}
}

// A source that fails is no log that is cut off.
func TestSourceFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("the disk is gone")
	records := readList(t, realLists[0])
	for _, encoding := range encodings {
		log := write(t, encoding, nil, records)
		for _, cut := range []int{len(log) / 2, len(log) - 1} {
			list, err := cel.Open(io.MultiReader(bytes.NewReader(log[:cut]), iotest.ErrReader(broken)), ima.Format{})
			require.NoError(t, err)
			_, err = ima.ReadAll(list)
			require.ErrorIs(t, err, broken, "%s, %d bytes", encoding, cut)
		}
	}
}

// What a Writer cannot write it refuses.
func TestWriterRefuses(t *testing.T) {
	t.Parallel()
	w, err := cel.NewWriter(io.Discard, cel.TLV, 1)
	require.NoError(t, err)
	for _, rec := range []cel.Record{
		{Type: cel.Systemd, Digests: firmware()[0].Digests},
		{Type: cel.PCClient, NV: true, Digests: firmware()[0].Digests},
		{Type: cel.PCClient, PCR: 256, Digests: firmware()[0].Digests},
		{Type: cel.PCClient},
		{Type: cel.PCClient, Digests: []cel.Digest{{AlgID: 4, Sum: []byte{1}}}},
		{Type: cel.IMATemplate, Template: []byte{0xff}, Digests: firmware()[0].Digests},
	} {
		assert.Error(t, w.Write(&rec))
	}
	assert.Error(t, w.Close(), "a record is missing")
	_, err = cel.NewWriter(io.Discard, 0, 0)
	assert.Error(t, err)
}

func FuzzReader(f *testing.F) {
	records := readList(f, realLists[0])[:3]
	for _, encoding := range encodings {
		f.Add(write(f, encoding, firmware(), records))
	}
	f.Add([]byte(jsonRecord("0", "11", `{"a":[1,"\u00e9\ud83d\ude00"]}`)))
	f.Fuzz(func(t *testing.T, log []byte) {
		r, err := cel.NewReader(bytes.NewReader(log), cel.Options{MaxData: 1 << 20})
		if err != nil {
			return
		}
		var all []cel.Record
		for {
			var rec cel.Record
			err := r.Read(&rec)
			if err == io.EOF {
				break
			}
			var at *ima.ListError
			if err != nil {
				require.ErrorAs(t, err, &at)
				require.LessOrEqual(t, at.Offset, int64(len(log)))
				return
			}
			require.NotEmpty(t, rec.Digests)
			if rec.Type == cel.IMATemplate || rec.Type == cel.PCClient {
				all = append(all, rec)
			}
		}
		// What was read is written and read again, in every encoding.
		for _, encoding := range encodings {
			var out bytes.Buffer
			w, err := cel.NewWriter(&out, encoding, len(all))
			require.NoError(t, err)
			for i := range all {
				if w.Write(&all[i]) != nil {
					return // an NV index and the like
				}
			}
			require.NoError(t, w.Close())
			if len(all) == 0 {
				return
			}
			again, err := cel.NewReader(&out, cel.Options{})
			require.NoError(t, err)
			for i := range all {
				var rec cel.Record
				require.NoError(t, again.Read(&rec))
				require.Equal(t, all[i].PCR, rec.PCR)
				require.True(t, bytes.Equal(all[i].Data, rec.Data))
				require.True(t, bytes.Equal(all[i].Template, rec.Template))
				require.Equal(t, len(all[i].Digests), len(rec.Digests))
			}
		}
	})
}

func FuzzList(f *testing.F) {
	records := readList(f, realLists[0])[:3]
	for _, encoding := range encodings {
		f.Add(write(f, encoding, firmware(), records))
	}
	f.Fuzz(func(t *testing.T, log []byte) {
		list, err := cel.Open(bytes.NewReader(log), ima.Format{MaxData: 1 << 20})
		if err != nil {
			return
		}
		replay, err := ima.NewReplay(ima.ReplayBank{Bank: ima.SHA256})
		require.NoError(t, err)
		var rec ima.Record
		for list.Read(&rec) == nil {
			_, _ = replay.Extend(&rec)
		}
		require.LessOrEqual(t, len(list.EventLog()), 1<<20+5<<20)
	})
}
