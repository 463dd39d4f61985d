package ima_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
)

// realLists are the lists of testdata: each ASCII file and its binary twin.
var realLists = []struct {
	ascii, binary string
	records       int
}{
	{"powervm_7.1.0-rc1_ima-sig_ascii_runtime_measurements", "powervm_7.1.0-rc1_ima-sig_derived_binary_runtime_measurements.bin", 32},
	{"arm64_7.1.0-rc1_tcb_ima-ng_ascii_runtime_measurements", "arm64_7.1.0-rc1_tcb_ima-ng_derived_binary_runtime_measurements.bin", 17},
	{"arm64_7.1.0-rc1_critical_data_ascii_runtime_measurements", "arm64_7.1.0-rc1_critical_data_derived_binary_runtime_measurements.bin", 3},
	{"lists/debian-6.1-exec.ascii", "lists/debian-6.1-exec.bin", 4},
	{"lists/debian-6.1-file.ascii", "lists/debian-6.1-file.bin", 10},
	{"lists/debian-6.1-crit.ascii", "lists/debian-6.1-crit.bin", 2},
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return b
}

func readASCII(t testing.TB, list []byte) []*ima.Record {
	t.Helper()
	r, err := ima.NewASCIIReader(bytes.NewReader(list), ima.Format{})
	require.NoError(t, err)
	records, err := ima.ReadAll(r)
	require.NoError(t, err)
	return records
}

func readBinary(t testing.TB, list []byte, format ima.Format) []*ima.Record {
	t.Helper()
	r, err := ima.NewBinaryReader(bytes.NewReader(list), format)
	require.NoError(t, err)
	records, err := ima.ReadAll(r)
	require.NoError(t, err)
	assert.Equal(t, int64(len(list)), r.Offset())
	return records
}

func appendBinary(t testing.TB, records []*ima.Record) (list []byte) {
	t.Helper()
	for _, r := range records {
		var err error
		list, err = r.AppendBinary(list)
		require.NoError(t, err)
	}
	return list
}

func appendText(t testing.TB, records []*ima.Record) (list []byte) {
	t.Helper()
	for _, r := range records {
		var err error
		list, err = r.AppendText(list)
		require.NoError(t, err)
	}
	return list
}

// Each real list is written again as it was read, in its own form and in the
// other one, and each template digest is right.
func TestRealLists(t *testing.T) {
	t.Parallel()
	for _, list := range realLists {
		t.Run(list.ascii, func(t *testing.T) {
			t.Parallel()
			ascii, binary := readFile(t, list.ascii), readFile(t, list.binary)
			fromASCII, fromBinary := readASCII(t, ascii), readBinary(t, binary, ima.Format{})
			require.Len(t, fromASCII, list.records)
			require.Len(t, fromBinary, list.records)
			assert.Equal(t, ascii, appendText(t, fromASCII))
			assert.Equal(t, ascii, appendText(t, fromBinary))
			assert.Equal(t, binary, appendBinary(t, fromBinary))
			assert.Equal(t, binary, appendBinary(t, fromASCII))
			for i, r := range fromASCII {
				if r.Violation() {
					continue
				}
				digest, err := r.TemplateDigest(ima.SHA1)
				require.NoError(t, err)
				assert.Equal(t, r.Digest, digest, "record %d", i+1)
			}
		})
	}
}

func TestOpenKnowsTheForm(t *testing.T) {
	t.Parallel()
	for _, list := range realLists {
		for _, name := range []string{list.ascii, list.binary} {
			r, err := ima.Open(readFile(t, name), ima.Format{})
			require.NoError(t, err)
			records, err := ima.ReadAll(r)
			require.NoError(t, err)
			assert.Len(t, records, list.records, name)
		}
	}
	big := record(t, "ima-ng", ima.BigEndian, "/x", nil)
	r, err := ima.Open(appendBinary(t, []*ima.Record{big}), ima.Format{})
	require.NoError(t, err)
	records, err := ima.ReadAll(r)
	require.NoError(t, err)
	require.Len(t, records, 1)
	assert.Equal(t, ima.BigEndian, records[0].Order())
	r, err = ima.Open(appendText(t, []*ima.Record{big}), ima.Format{})
	require.NoError(t, err)
	records, err = ima.ReadAll(r)
	require.NoError(t, err)
	require.Len(t, records, 1)
	assert.Equal(t, ima.BigEndian, records[0].Order())
	empty, err := ima.Open(nil, ima.Format{})
	require.NoError(t, err)
	assert.Equal(t, io.EOF, empty.Read(new(ima.Record)))
}

// record makes a record of a file digest of zeros, changed by edit.
func record(t testing.TB, template string, order ima.ByteOrder, name string, edit func(*ima.EventData)) *ima.Record {
	t.Helper()
	tmpl, ok := ima.LookupTemplate(template)
	if !ok {
		var err error
		tmpl, err = ima.ParseTemplateFormat(template)
		require.NoError(t, err)
	}
	event := &ima.EventData{
		Filename:     name,
		Digest:       ima.FileDigest{Algo: ima.SHA256, Sum: make([]byte, 32)},
		LegacyDigest: make([]byte, 20),
		HashAlgo:     ima.SHA256,
		Order:        order,
	}
	if edit != nil {
		edit(event)
	}
	rec, err := ima.NewTemplateEntry(tmpl, 10, ima.SHA1, event)
	require.NoError(t, err)
	return rec
}

// fullEvent fills every field of every template.
func fullEvent(e *ima.EventData) {
	e.Verity = true
	e.IMAXattr = []byte{3, 2, 4, 1, 2, 3, 4, 0, 2, 0xaa, 0xbb}
	e.EVMXattr = []byte{5, 2, 4, 9, 9, 9, 9, 0, 1, 0xcc}
	e.Buf = []byte("buffer")
	e.Modsig = &ima.Modsig{Digest: ima.FileDigest{Algo: ima.SHA512, Sum: make([]byte, 64)}, Raw: []byte("PKCS#7")}
	e.Inode = &ima.InodeData{Dentry: "x", UID: 1000, GID: 70000, Mode: 0o100755, Xattrs: []ima.Xattr{
		{Name: "security.selinux", Value: []byte("label\x00")},
		{Name: "security.ima", Value: []byte{3, 2, 4}},
	}}
}

// Every template, custom ones and the ima one among them, survives both forms
// in both byte orders, full and with empty fields.
func TestEveryTemplateBothForms(t *testing.T) {
	t.Parallel()
	formats := []string{"d|n", "n-ng|d-ng|d-modsig|modsig|buf", "evmsig|iuid|igid|imode|xattrnames|xattrlengths|xattrvalues", "d-ng|n-ng"}
	for _, tmpl := range ima.Templates() {
		formats = append(formats, tmpl.Name())
	}
	for _, order := range []ima.ByteOrder{ima.LittleEndian, ima.BigEndian} {
		for _, name := range formats {
			tmpl, err := ima.ParseTemplateFormat(name)
			if err != nil {
				tmpl, _ = ima.LookupTemplate(name)
			}
			for _, edit := range []func(*ima.EventData){nil, fullEvent} {
				event := &ima.EventData{Filename: "/usr/bin/a b", Digest: ima.FileDigest{Algo: ima.SHA256, Sum: make([]byte, 32)}, LegacyDigest: make([]byte, 20), Order: order}
				if edit != nil {
					edit(event)
				}
				rec, err := ima.NewTemplateEntry(tmpl, 10, ima.SHA1, event)
				require.NoError(t, err, name)
				assertSurvives(t, rec)
			}
		}
	}
}

func assertSurvives(t *testing.T, rec *ima.Record) {
	t.Helper()
	list := []*ima.Record{rec, rec}
	binary, ascii := appendBinary(t, list), appendText(t, list)
	format := ima.Format{Order: rec.Order()}
	fromBinary := readBinary(t, binary, format)
	assert.Equal(t, binary, appendBinary(t, fromBinary))
	assert.Equal(t, ascii, appendText(t, fromBinary))
	r, err := ima.NewASCIIReader(bytes.NewReader(ascii), format)
	require.NoError(t, err)
	fromASCII, err := ima.ReadAll(r)
	require.NoError(t, err, "%s", ascii)
	assert.Equal(t, binary, appendBinary(t, fromASCII))
	assert.Equal(t, ascii, appendText(t, fromASCII))
}

func TestASCIILines(t *testing.T) {
	t.Parallel()
	full := record(t, "evm-sig", ima.LittleEndian, "/bin/true", fullEvent)
	line := string(appendText(t, []*ima.Record{full}))
	assert.Equal(t, "10 "+ima.Hex(full.Digest).String()+" evm-sig sha256:"+strings.Repeat("00", 32)+
		" /bin/true 05020409090909000"+"1cc security.selinux|security.ima 0600000003000000 6c6162656c00030204 1000 70000 33261\n", line)
	v2 := record(t, "ima-sigv2", ima.LittleEndian, "/bin/true", fullEvent)
	assert.Equal(t, "verity:sha256:"+strings.Repeat("00", 32), v2.FieldText("d-ngv2"))
	digest, ok := v2.FileDigest()
	require.True(t, ok)
	assert.Equal(t, ima.FileDigest{Type: "verity", Algo: ima.SHA256, Sum: make([]byte, 32)}, digest)

	nine := record(t, "ima-ng", ima.LittleEndian, "/x", nil)
	nine.PCR = 9
	assert.True(t, strings.HasPrefix(string(appendText(t, []*ima.Record{nine})), " 9 "))
	assertSurvives(t, nine)
	empty := record(t, "ima-modsig", ima.LittleEndian, "/x", nil)
	assert.True(t, strings.HasSuffix(string(appendText(t, []*ima.Record{empty})), " /x   \n"))
}

func TestBlanksBecomeUnderscores(t *testing.T) {
	t.Parallel()
	rec := record(t, "ima-ng", ima.LittleEndian, "/a b (deleted)", nil)
	assert.Equal(t, "/a_b_(deleted)", rec.Name())
}

func TestLongNames(t *testing.T) {
	t.Parallel()
	long := "/" + strings.Repeat("x", 300)
	assert.Equal(t, long, record(t, "ima-ng", ima.LittleEndian, long, nil).Name())
	assert.Equal(t, long[:255], record(t, "ima", ima.LittleEndian, long, nil).Name(), "no file: cut off")
	withFile := record(t, "ima", ima.LittleEndian, long, func(e *ima.EventData) { e.Inode = &ima.InodeData{Dentry: "last"} })
	assert.Equal(t, "last", withFile.Name(), "a file: its last component")
	assertSurvives(t, withFile)
}

func TestMD5InTheIMATemplate(t *testing.T) {
	t.Parallel()
	rec := record(t, "ima", ima.LittleEndian, "/x", func(e *ima.EventData) {
		e.Digest = ima.FileDigest{Algo: ima.MD5, Sum: bytes.Repeat([]byte{7}, 16)}
	})
	list := appendBinary(t, []*ima.Record{rec})
	records := readBinary(t, list, ima.Format{LegacyHash: ima.MD5})
	digest, ok := records[0].FileDigest()
	require.True(t, ok)
	assert.Equal(t, ima.MD5, digest.Algo)
	assert.Equal(t, list, appendBinary(t, records))
}

// A newline in a name makes a record of several lines; the reader puts them
// together and says so.
func TestNewlineInName(t *testing.T) {
	t.Parallel()
	for _, template := range []string{"ima-ng", "ima-sig", "ima", "evm-sig"} {
		for _, name := range []string{"/a\nb", "/a\n", "/a\n\n\n10 b", "\n"} {
			odd := record(t, template, ima.LittleEndian, name, nil)
			plain := record(t, template, ima.LittleEndian, "/plain", nil)
			list := []*ima.Record{plain, odd, plain}
			r, err := ima.NewASCIIReader(bytes.NewReader(appendText(t, list)), ima.Format{})
			require.NoError(t, err)
			var rec ima.Record
			require.NoError(t, r.Read(&rec))
			assert.Nil(t, r.Ambiguity())
			require.NoError(t, r.Read(&rec), "%s %q", template, name)
			assert.Equal(t, odd.Name(), rec.Name())
			assert.Equal(t, &ima.Ambiguity{Record: 2, Line: 2, Lines: strings.Count(name, "\n") + 1, Proven: true}, r.Ambiguity())
			require.NoError(t, r.Read(&rec))
			assert.Nil(t, r.Ambiguity())
			assert.Equal(t, "/plain", rec.Name())
			assert.Equal(t, io.EOF, r.Read(&rec))
		}
	}
}

func TestNewlineInViolation(t *testing.T) {
	t.Parallel()
	violation := record(t, "ima-ng", ima.LittleEndian, "/a\nb\nc", func(e *ima.EventData) { e.Violation = true })
	plain := record(t, "ima-ng", ima.LittleEndian, "/plain", nil)
	r, err := ima.NewASCIIReader(bytes.NewReader(appendText(t, []*ima.Record{violation, plain})), ima.Format{})
	require.NoError(t, err)
	var rec ima.Record
	require.NoError(t, r.Read(&rec))
	assert.Equal(t, "/a\nb\nc", rec.Name())
	assert.Equal(t, &ima.Ambiguity{Record: 1, Line: 1, Lines: 3}, r.Ambiguity())
	require.NoError(t, r.Read(&rec))
	assert.Equal(t, "/plain", rec.Name())
}

func TestViolationRecord(t *testing.T) {
	t.Parallel()
	rec := record(t, "ima-sig", ima.LittleEndian, "/tmp/a", func(e *ima.EventData) { e.Violation = true })
	want := "10 " + strings.Repeat("0", 40) + " ima-sig sha256:" + strings.Repeat("0", 64) + " /tmp/a \n"
	assert.Equal(t, want, string(appendText(t, []*ima.Record{rec})), "as Debian's 6.1 writes it")
	assert.Contains(t, string(readFile(t, "lists/debian-6.1-file.ascii")), want)
	assert.True(t, rec.Violation())
}

func TestASCIIRefuses(t *testing.T) {
	t.Parallel()
	good := string(readFile(t, "arm64_7.1.0-rc1_critical_data_ascii_runtime_measurements"))
	lines := strings.SplitAfter(good, "\n")
	for _, c := range []struct {
		name, line, item string
	}{
		{"empty line", "\n", "PCR"},
		{"PCR with a leading zero", "0" + lines[1][1:], "PCR"},
		{"PCR of three places", "1" + lines[1], "PCR"},
		{"PCR beyond the kernel's", "64" + lines[1][2:], "PCR"},
		{"digest too short", lines[1][:10] + lines[1][11:], "template digest"},
		{"digest in upper case", strings.Replace(lines[1], "49ab61dd", "49AB61DD", 1), "template digest"},
		{"unknown template", strings.Replace(lines[1], "ima-buf", "ima-foo", 1), "template name"},
		{"nothing behind the template", lines[1][:51] + "\n", "template name"},
		{"too many fields", strings.Replace(lines[1], "\n", " \n", 1), "fields"},
		{"too few fields", strings.Replace(lines[1], "ima-buf", "ima-modsig", 1), "fields"},
		{"blank at the end lost", strings.Replace(lines[0], "ima-ng", "ima-sig", 1), "fields"},
		{"no digest", strings.Replace(lines[1], "sha256:0c907aab", " ", 1), "field d-ng"},
		{"odd hex", strings.Replace(lines[1], "372e", "372", 1), "field buf"},
		{"not hex", strings.Replace(lines[1], "372e", "37zz", 1), "field buf"},
		{"label without name", strings.Replace(lines[1], "sha256:", ":", 1), "field d-ng"},
		{"label of two names", strings.Replace(lines[1], "sha256:", "ima:sha256:", 1), "field d-ng"},
		{"name with a NUL", strings.Replace(lines[1], "kernel_version", "kernel\x00version", 1), "field n-ng"},
		{"cut off", strings.TrimSuffix(lines[1], "\n"), "line"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := ima.NewASCIIReader(strings.NewReader(lines[0]+c.line), ima.Format{})
			require.NoError(t, err)
			records, err := ima.ReadAll(r)
			var list *ima.ListError
			require.ErrorAs(t, err, &list)
			assert.Equal(t, c.item, list.Item)
			assert.Equal(t, 2, list.Record)
			assert.Equal(t, 2, list.Line)
			assert.Equal(t, int64(len(lines[0])), list.Offset)
			assert.Len(t, records, 1)
			assert.Equal(t, err, r.Read(new(ima.Record)), "the error stays")
		})
	}
}

func TestBinaryRefuses(t *testing.T) {
	t.Parallel()
	good := readFile(t, "arm64_7.1.0-rc1_critical_data_derived_binary_runtime_measurements.bin")
	first := len(appendBinary(t, readBinary(t, good, ima.Format{})[:1]))
	patch := func(at int, b ...byte) []byte {
		list := bytes.Clone(good)
		copy(list[first+at:], b)
		return list
	}
	// 2nd record: pcr 0, digest 4, name length 24, "ima-buf" 28, data length
	// 35, d-ng length 39, "sha256:\0" 43, digest 51, n-ng length 83, name 87.
	for _, c := range []struct {
		name   string
		list   []byte
		item   string
		offset int
	}{
		{"PCR beyond the kernel's", patch(0, 64), "PCR", 0},
		{"PCR in the other order", patch(0, 0, 0, 0, 10), "PCR", 0},
		{"no template name", patch(24, 0), "length of the template name", 24},
		{"endless template name", patch(24, 0xff, 0xff, 0xff, 0xff), "length of the template name", 24},
		{"unknown template", patch(28, 'X'), "template name", 28},
		{"endless data", patch(35, 0xff, 0xff, 0xff, 0xff), "length of the template data", 35},
		{"data too long", patch(35, 0, 0, 1, 0), "template data", 39},
		{"field too long", patch(39, 0xff), "template data", 39},
		{"label without colon", patch(49, 'x'), "template data", 39},
		{"name with a NUL", patch(87, 0), "template data", 39},
		{"cut off in the PCR", good[:first+2], "PCR", 0},
		{"cut off in the digest", good[:first+20], "template digest", 4},
		{"cut off in the name", good[:first+30], "template name", 28},
		{"cut off in the data", good[:first+60], "template data", 39},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r, err := ima.NewBinaryReader(bytes.NewReader(c.list), ima.Format{})
			require.NoError(t, err)
			records, err := ima.ReadAll(r)
			var list *ima.ListError
			require.ErrorAs(t, err, &list)
			assert.Equal(t, c.item, list.Item)
			assert.Equal(t, 2, list.Record)
			assert.Equal(t, 0, list.Line)
			assert.Equal(t, int64(first+c.offset), list.Offset)
			assert.Len(t, records, 1)
			assert.Equal(t, err, r.Read(new(ima.Record)), "the error stays")
			if strings.HasPrefix(c.name, "cut off") {
				assert.ErrorIs(t, err, io.ErrUnexpectedEOF)
			}
		})
	}
}

func TestBinaryRefusesBytesBehindTheFields(t *testing.T) {
	t.Parallel()
	list := appendBinary(t, []*ima.Record{record(t, "ima-ng", ima.LittleEndian, "/x", nil)})
	list[34]++ // the length of the template data
	r, err := ima.NewBinaryReader(bytes.NewReader(append(list, 0)), ima.Format{})
	require.NoError(t, err)
	var field *ima.FieldError
	require.ErrorAs(t, r.Read(new(ima.Record)), &field)
	assert.Contains(t, field.Error(), "1 bytes follow")
}

func TestLegacyNamesAreBounded(t *testing.T) {
	t.Parallel()
	rec := record(t, "ima", ima.LittleEndian, "/"+strings.Repeat("x", 254), nil)
	binary, ascii := appendBinary(t, []*ima.Record{rec}), appendText(t, []*ima.Record{rec})
	binary[28+3+20], binary[28+3+21] = 0, 1 // 256
	b, err := ima.NewBinaryReader(bytes.NewReader(append(binary, 'x')), ima.Format{})
	require.NoError(t, err)
	var list *ima.ListError
	require.ErrorAs(t, b.Read(new(ima.Record)), &list)
	assert.Equal(t, "length of the event name", list.Item)
	a, err := ima.NewASCIIReader(bytes.NewReader(append(ascii[:len(ascii)-1], "x\n"...)), ima.Format{})
	require.NoError(t, err)
	require.ErrorAs(t, a.Read(new(ima.Record)), &list)
	assert.Equal(t, "field n", list.Item)
}

func TestASCIINumbers(t *testing.T) {
	t.Parallel()
	rec := record(t, "n-ng|iuid|imode", ima.LittleEndian, "/x", fullEvent)
	good := string(appendText(t, []*ima.Record{rec}))
	require.True(t, strings.HasSuffix(good, " 1000 33261\n"))
	for _, bad := range []string{"1000 65536", "1000 -1", "01000 1", "4294967296 1", "99999999999 1", "1000 0x1", "+1 1", "18446744073709551617 1"} {
		r, err := ima.NewASCIIReader(strings.NewReader(strings.Replace(good, "1000 33261", bad, 1)), ima.Format{})
		require.NoError(t, err)
		var list *ima.ListError
		assert.ErrorAs(t, r.Read(new(ima.Record)), &list, bad)
	}
}

// Text without end behind a record is not collected.
func TestEndlessContinuation(t *testing.T) {
	t.Parallel()
	rec := record(t, "ima-ng", ima.LittleEndian, "/x", func(e *ima.EventData) { e.Violation = true })
	list := string(appendText(t, []*ima.Record{rec})) + strings.Repeat(strings.Repeat("y", 99)+"\n", 1000)
	r, err := ima.NewASCIIReader(strings.NewReader(list), ima.Format{})
	require.NoError(t, err)
	var got ima.Record
	require.NoError(t, r.Read(&got))
	assert.Equal(t, "/x", got.Name())
	assert.Nil(t, r.Ambiguity())
	var bad *ima.ListError
	require.ErrorAs(t, r.Read(&got), &bad)
	assert.Equal(t, 2, bad.Line)
}

// What a length says is not allocated before the bytes are there.
func TestForgedLengthCostsNoMemory(t *testing.T) {
	t.Parallel()
	rec := record(t, "ima-buf", ima.LittleEndian, "/x", nil)
	list := appendBinary(t, []*ima.Record{rec})[:39]
	copy(list[35:], []byte{0xff, 0xff, 0xff, 3}) // just below 64 MiB
	r, err := ima.NewBinaryReader(bytes.NewReader(list), ima.Format{})
	require.NoError(t, err)
	var forged ima.Record
	require.ErrorIs(t, r.Read(&forged), io.ErrUnexpectedEOF)
	assert.Less(t, cap(forged.Data()), 1<<20)
}

func TestFormatIsChecked(t *testing.T) {
	t.Parallel()
	for _, f := range []ima.Format{{Digest: 200}, {LegacyHash: ima.SHA256}, {MaxData: -1}} {
		_, err := ima.NewBinaryReader(strings.NewReader(""), f)
		assert.Error(t, err)
		_, err = ima.NewASCIIReader(strings.NewReader(""), f)
		assert.Error(t, err)
	}
}

func TestPerBankFile(t *testing.T) {
	t.Parallel()
	rec := record(t, "ima-ng", ima.LittleEndian, "/x", nil)
	digest, err := rec.TemplateDigest(ima.SHA384)
	require.NoError(t, err)
	rec.Digest, rec.DigestAlgo = digest, ima.SHA384
	format := ima.Format{Digest: ima.SHA384}
	assert.Equal(t, digest, readBinary(t, appendBinary(t, []*ima.Record{rec}), format)[0].Digest)
	r, err := ima.NewASCIIReader(bytes.NewReader(appendText(t, []*ima.Record{rec})), format)
	require.NoError(t, err)
	var back ima.Record
	require.NoError(t, r.Read(&back))
	assert.Equal(t, digest, back.Digest)
}

// A reader whose source fails in the middle says so.
func TestSourceError(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	good := readFile(t, "lists/debian-6.1-exec.bin")
	src := io.MultiReader(bytes.NewReader(good[:100]), errReader{broken})
	r, err := ima.NewBinaryReader(src, ima.Format{})
	require.NoError(t, err)
	_, err = ima.ReadAll(r)
	assert.ErrorIs(t, err, broken)
}

type errReader struct{ err error }

func (e errReader) Read([]byte) (int, error) { return 0, e.err }
