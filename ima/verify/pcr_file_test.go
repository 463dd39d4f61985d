package verify_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// toolsSelection is what the files in testdata/tpm2-tools were made with.
const toolsSelection = "sha1:0,1,2,3,4,5,6,7,8,9,10+sha256:0,1,2,3,4,5,6,7,8,9,10"

func selection(t testing.TB, text string) []verify.Selection {
	t.Helper()
	s, err := verify.ParseSelection(text)
	require.NoError(t, err)
	return s
}

// toolsPCRs are the values that tpm2_pcrread has printed.
func toolsPCRs(t testing.TB) ima.PCRs {
	t.Helper()
	pcrs, err := verify.ParsePCRs(readFile(t, "tpm2-tools/pcrread-sel.yaml"), nil)
	require.NoError(t, err)
	return pcrs
}

// All files that tpm2-tools write of the same PCRs have the same values.
func TestPCRFilesOfTPM2Tools(t *testing.T) {
	t.Parallel()
	want := toolsPCRs(t)
	require.Len(t, want, 2)
	require.Len(t, want[ima.SHA1], 11)
	require.Len(t, want[ima.SHA256], 11)
	assert.Equal(t, "d6ebc4e04e1612a1ae465c51c090608bc5e6e174", want[ima.SHA1][10].String())
	assert.Equal(t, "acdc8027c53d56978fd548b20de80d54153bbefd2356a1225748b14ee3962ac3", want[ima.SHA256][0].String())
	assert.Equal(t, "45182f9fdeb95d19b20c19dd45ded638977e1b7a168b78af435457f12a6acbb6", want[ima.SHA256][9].String())
	assert.Equal(t, "86bfbce7f88e77dab6bbfb923bb70e2411d374dc658db751c9bdec438f5cce54", want[ima.SHA256][10].String())

	serialized, err := verify.ParsePCRs(readFile(t, "tpm2-tools/pcrread.serialized"), nil)
	require.NoError(t, err)
	assert.Equal(t, want, serialized)
	values, err := verify.ParsePCRs(readFile(t, "tpm2-tools/pcrread.values"), selection(t, toolsSelection))
	require.NoError(t, err)
	assert.Equal(t, want, values)
	one, err := verify.ParsePCRs(readFile(t, "tpm2-tools/pcrread-one.serialized"), nil)
	require.NoError(t, err)
	assert.Equal(t, ima.PCRs{ima.SHA256: {10: want[ima.SHA256][10]}}, one)

	all, err := verify.ParsePCRs(readFile(t, "tpm2-tools/pcrread-all.yaml"), nil)
	require.NoError(t, err)
	for _, bank := range []ima.HashAlgo{ima.SHA1, ima.SHA256, ima.SHA384, ima.SHA512} {
		require.Len(t, all[bank], 24)
		for pcr, value := range want[bank] {
			assert.Equal(t, value, all[bank][pcr], "%s PCR %d", bank, pcr)
		}
	}
}

// The quote says of which PCRs the digests are that were written with it.
func TestPCRValuesOfAQuote(t *testing.T) {
	t.Parallel()
	attest, err := verify.ParseAttest(readFile(t, "tpm2-tools/q-rsa-tss-values.msg"))
	require.NoError(t, err)
	assert.Equal(t, toolsSelection, verify.SelectionText(attest.Selections))
	values, err := verify.ParsePCRs(readFile(t, "tpm2-tools/pcrread.values"), attest.Selections)
	require.NoError(t, err)
	assert.Equal(t, toolsPCRs(t), values)
}

func TestPCRTexts(t *testing.T) {
	t.Parallel()
	zero, ones := strings.Repeat("0", 64), strings.Repeat("F", 64)
	want := ima.PCRs{ima.SHA256: {0: make(ima.Hex, 32), 10: bytes.Repeat([]byte{0xff}, 32)}}
	for name, text := range map[string]string{
		"JSON":            `{"sha256": {"0": "` + zero + `", "10": "` + ones + `"}}`,
		"JSON with 0x":    "\n" + `{"SHA256": {"10": "0x` + ones + `", "0": "0X` + zero + `"}}` + "\n",
		"TCG's name":      `{"TPM_ALG_SHA256": {"0": "` + zero + `", "10": "` + ones + `"}}`,
		"tpm2_pcrread":    "  sha256:\n    0 : 0x" + zero + "\n    10: 0x" + ones + "\n",
		"CR LF":           "sha256:\r\n0: " + zero + "\r\n10: " + ones + "\r\n",
		"tpm2_quote":      "quoted: ff54434780\nsignature:\n  alg: ecdsa\n  sig: 3046\npcrs:\n  sha256:\n    0 : 0x" + zero + "\n    10: 0x" + ones + "\ncalcDigest: 4fea\n",
		"tpm2_checkquote": "pcrs:\n  sha256:\n    0 : 0x" + zero + "\n    10: 0x" + ones + "\nsig: 3046\n",
		"swtpmd ctl pcrs": "sha256\t0\t" + zero + "\nsha256\t10\t" + ones + "\n",
		"a bank without":  "  sha1:\n  sha256:\n    0 : 0x" + zero + "\n    10: 0x" + ones,
		"grep":            "/sys/class/tpm/tpm0/pcr-sha256/0:" + zero + "\n/sys/class/tpm/tpm0/pcr-sha256/10:" + ones + "\n",
	} {
		pcrs, err := verify.ParsePCRs([]byte(text), nil)
		require.NoError(t, err, name)
		assert.Equal(t, want, pcrs, name)
	}
}

func TestBankNames(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]ima.HashAlgo{
		"sha1": ima.SHA1, "SHA1": ima.SHA1, "pcr-sha1": ima.SHA1, "SHA256": ima.SHA256, "sha-256": ima.SHA256,
		"TPM_ALG_SHA384": ima.SHA384, "sha512": ima.SHA512, "sm3": ima.SM3, "sm3_256": ima.SM3, "sm3-256": ima.SM3, "SM3_256": ima.SM3,
		"sha3_256": ima.SHA3_256, "sha3-256": ima.SHA3_256, "TPM_ALG_SHA3_384": ima.SHA3_384, "sha3-512": ima.SHA3_512,
	} {
		bank, err := verify.ParseBank(name)
		require.NoError(t, err, name)
		assert.Equal(t, want, bank, name)
	}
	for _, name := range []string{"", "sha", "sha224", "md5", "sha2", "0x000b", strings.Repeat("x", 1000)} {
		_, err := verify.ParseBank(name)
		require.Error(t, err, "%q", name)
		assert.Less(t, len(err.Error()), 200)
	}
}

func TestSelections(t *testing.T) {
	t.Parallel()
	all := selection(t, "SHA256:all")
	assert.Len(t, all[0].PCRs, 24)
	assert.Equal(t, "sha1:0,7+sha3-256:10", verify.SelectionText(selection(t, "sha1:7,0,7+sha3_256: 10")))
	for text, says := range map[string]string{
		"":                "a bank, a colon",
		"sha256":          "a bank, a colon",
		"sha256:":         `"" is no PCR`,
		"sha256:24":       "PCR 0 to 23",
		"sha256:-1":       "PCR 0 to 23",
		"sha257:0":        "no bank",
		"sha1:0+SHA1:1":   "comes twice",
		"sha1:0+":         "a bank, a colon",
		"sha1:0,1+sha1:x": `"x" is no PCR`,
	} {
		_, err := verify.ParseSelection(text)
		var wrong *verify.SelectionError
		require.ErrorAs(t, err, &wrong, "%q", text)
		assert.ErrorContains(t, err, says, "%q", text)
	}
}

// The kernel's files, as /sys/class/tpm/tpm0 has them and as somebody has copied
// some.
func TestSysfsPCRs(t *testing.T) {
	t.Parallel()
	zero, ones := strings.Repeat("0", 40), strings.Repeat("F", 64)
	files := fstest.MapFS{
		"tpm_version_major": {Data: []byte("2\n")},
		"pcr-sha1/0":        {Data: []byte(zero + "\n")},
		"pcr-sha256/10":     {Data: []byte(ones + "\n")},
		"pcr-sha256/23":     {Data: []byte(ones + "\n")},
	}
	want := ima.PCRs{ima.SHA1: {0: make(ima.Hex, 20)}, ima.SHA256: {10: bytes.Repeat([]byte{0xff}, 32), 23: bytes.Repeat([]byte{0xff}, 32)}}
	pcrs, err := verify.ReadSysfsPCRs(files, "/sys/class/tpm/tpm0")
	require.NoError(t, err)
	assert.Equal(t, want, pcrs)
	sub, err := fs.Sub(files, "pcr-sha1")
	require.NoError(t, err)
	pcrs, err = verify.ReadSysfsPCRs(sub, "/sys/class/tpm/tpm0/pcr-sha1/")
	require.NoError(t, err)
	assert.Equal(t, ima.PCRs{ima.SHA1: want[ima.SHA1]}, pcrs)

	for name, c := range map[string]struct {
		files fstest.MapFS
		says  string
	}{
		"other":        {fstest.MapFS{"x": {}}, "neither pcr-sha256"},
		"unknown bank": {fstest.MapFS{"pcr-sha224/0": {}}, "no bank"},
		"empty bank":   {fstest.MapFS{"pcr-sha1/x": {}}, "none of the files 0 to 23"},
		"short":        {fstest.MapFS{"pcr-sha1/3": {Data: []byte("00\n")}}, "pcr-sha1/3: sha1 PCR 3: 1 bytes"},
		"empty":        {fstest.MapFS{"pcr-sha1/3": {}}, "pcr-sha1/3: sha1 PCR 3: 0 bytes"},
		"no hex":       {fstest.MapFS{"pcr-sha1/3": {Data: []byte("zz")}}, "no value in hex"},
		"long":         {fstest.MapFS{"pcr-sha1/3": {Data: make([]byte, 2000)}}, "more than 1024 bytes"},
	} {
		_, err := verify.ReadSysfsPCRs(c.files, "tpm0")
		var wrong *verify.PCRFileError
		require.ErrorAs(t, err, &wrong, name)
		assert.ErrorContains(t, err, c.says, name)
	}
}

// A damaged file says what it is, and where it is damaged; a file of another kind
// that it is none.
func TestDamagedPCRFiles(t *testing.T) {
	t.Parallel()
	serialized := readFile(t, "tpm2-tools/pcrread.serialized")
	values := readFile(t, "tpm2-tools/pcrread.values")
	edit := func(offset int, value ...byte) []byte {
		b := bytes.Clone(serialized)
		copy(b[offset:], value)
		return b
	}
	hex := strings.Repeat("0", 40)
	for name, c := range map[string]struct {
		file      []byte
		selection string
		says      string
	}{
		"empty":                    {nil, "", "it is empty"},
		"blank":                    {[]byte(" \n"), "", "it is empty"},
		"random":                   {[]byte{0xff, 1, 2}, "", "it is neither JSON"},
		"a quote":                  {readFile(t, "tpm2-tools/q-rsa-tss-values.sig"), "", "it is neither JSON"},
		"a key":                    {readFile(t, "tpm2-tools/ak-rsa.pem"), "", "line 1: line: \"-----BEGIN PUBLIC KEY-----\": it is neither JSON"},
		"values alone":             {values, "", "bytes are digests alone, a selection, such as sha256:0,1,10, has to name the PCRs"},
		"values cut":               {values[:len(values)-1], toolsSelection, "PCR values alone, byte 540: digest 22: unexpected EOF"},
		"values longer":            {append(bytes.Clone(values), 0, 0), toolsSelection, "byte 572: end: 2 bytes follow the values of the 22 PCRs"},
		"too long":                 {make([]byte, 1<<20+1), "", "1048577 bytes"},
		"serialized cut":           {serialized[:1000], "", "serialized PCR values of tpm2-tools, byte 1000: digests: the file ends"},
		"serialized header cut":    {serialized[:50], "", "byte 50: selection: unexpected EOF"},
		"serialized longer":        {append(bytes.Clone(serialized), 0), "", "byte 1732: end: 1 bytes follow"},
		"bank":                     {edit(12, 0xee, 0xee), "", "byte 12: bank 2 of the selection: TPM_ALG_ID 0xeeee"},
		"bank twice":               {edit(12, 4, 0), "", "comes twice"},
		"select size":              {edit(14, 9), "", "byte 14: bank 2 of the selection: 9 bytes of PCRs"},
		"PCR 24":                   {edit(6, 4, 0, 0, 0, 1), "", "PCR 24"},
		"lists":                    {edit(0x84, 0xff, 0xff, 0xff, 0xff), "", "byte 132: number of digest lists: 4294967295"},
		"digests in a list":        {edit(0x88, 9), "", "byte 136: number of digests: 9"},
		"fewer digests":            {edit(0x88, 7), "", "byte 870: digest 11: 32 bytes, one of sha1 has 20"},
		"fewer digests at the end": {edit(136+2*532, 5), "", "byte 136: digests: there are 21, the selection has more PCRs"},
		"more digests at the end":  {edit(136+2*532, 7), "", "byte 136: digests: there are 23, the selection has 22 PCRs"},
		"size of a digest":         {edit(0x8c, 0xff, 0xff), "", "byte 140: digest 1: 65535 bytes"},
		"digest of another":        {edit(0x8c, 32), "", "byte 140: digest 1: 32 bytes, one of sha1 has 20"},
		"JSON cut":                 {[]byte(`{"sha1": {"0": "00`), "", "PCR values in JSON, byte"},
		"JSON, no hex":             {[]byte(`{"sha1": {"0": "0g"}}`), "", "sha1 PCR 0: \"0g\" is no value in hex"},
		"JSON, short":              {[]byte(`{"sha1": {"0": "00"}}`), "", "sha1 PCR 0: 1 bytes, a value of the bank has 20"},
		"JSON, PCR 24":             {[]byte(`{"sha1": {"24": "00"}}`), "", "PCR 0 to 23"},
		"JSON, bank twice":         {[]byte(`{"sm3": {}, "sm3_256": {}}`), "", "bank sm3 comes twice"},
		"JSON, PCR twice":          {[]byte(`{"sha1": {"0": "` + hex + `", "00": "` + hex + `"}}`), "", "sha1 PCR 0 comes twice"},
		"JSON, a number":           {[]byte(`{"sha1": {"0": 7}}`), "", "7 where a string"},
		"JSON, an array":           {[]byte(`{"sha1": ["00"]}`), "", "[ where an object"},
		"JSON, more":               {[]byte(`{"sha1": {}} {}`), "", "something follows"},
		"JSON, another":            {[]byte(`{"name": "strict"}`), "", "no bank \"name\""},
		"text, value":              {[]byte("sha1:\n  3 : 0x00\n"), "", "PCR values as text, line 2: PCR 3: sha1 PCR 3: 1 bytes"},
		"text, bank":               {[]byte("sha1:\n  3 : 0x" + hex + "\n shaX:\n"), "", "line 3: bank: no bank \"shaX\""},
		"text, no bank":            {[]byte("3 : 0x" + hex + "\n"), "", "line 1: PCR 3: no line before it names a bank"},
		"text, twice":              {[]byte("sha1:\n3: " + hex + "\n3: " + hex), "", "line 3: PCR 3: sha1 PCR 3 comes twice"},
		"text, damage":             {[]byte("sha1:\n3: " + hex + "\n4: " + hex[:20] + "\x00" + hex[:19] + "\n"), "", "line 3: line: "},
		"text, no value":           {[]byte("sha1:\nsha256:\n"), "", "there is no value"},
		"text, PCR 24":             {[]byte("sha1:\n24: " + hex + "\n"), "", "line 2: PCR 24"},
		"an event log":             {[]byte("---\nversion: 1\nevents:\n- EventNum: 0\n"), "", "line 2: line: \"version: 1\": it is neither JSON"},
	} {
		var s []verify.Selection
		if c.selection != "" {
			s = selection(t, c.selection)
		}
		pcrs, err := verify.ParsePCRs(c.file, s)
		var wrong *verify.PCRFileError
		if assert.ErrorAs(t, err, &wrong, name) {
			assert.ErrorContains(t, err, c.says, name)
			assert.Nil(t, pcrs, name)
			assert.Less(t, len(err.Error()), 400, name)
		}
	}
}

func FuzzSysfsPCRs(f *testing.F) {
	f.Add("pcr-sha256", "10", []byte(strings.Repeat("0A", 32)+"\n"))
	f.Add("pcr-sm3", "23", []byte("00"))
	f.Add("pcr-", "24", []byte(nil))
	f.Fuzz(func(t *testing.T, bank, pcr string, value []byte) {
		name := bank + "/" + pcr
		if !fs.ValidPath(name) {
			return
		}
		pcrs, err := verify.ReadSysfsPCRs(fstest.MapFS{name: {Data: value}}, "tpm0")
		if err != nil {
			var wrong *verify.PCRFileError
			require.ErrorAs(t, err, &wrong)
			return
		}
		require.Len(t, pcrs, 1)
	})
}

func FuzzPCRs(f *testing.F) {
	for _, name := range []string{"pcrread.serialized", "pcrread-one.serialized", "pcrread-sel.yaml", "pcrread.values"} {
		f.Add(readFile(f, "tpm2-tools/"+name), toolsSelection)
	}
	f.Add(readFile(f, "quotes/pcrs.json"), "")
	f.Add([]byte("/sys/class/tpm/tpm0/pcr-sha1/3:"+strings.Repeat("0A", 20)), "sha1:3")
	f.Fuzz(func(t *testing.T, b []byte, text string) {
		var wrong *verify.SelectionError
		s, err := verify.ParseSelection(text)
		if err != nil {
			require.ErrorAs(t, err, &wrong)
		} else {
			again, err := verify.ParseSelection(verify.SelectionText(s))
			require.NoError(t, err)
			require.Equal(t, s, again)
		}
		pcrs, err := verify.ParsePCRs(b, s)
		if err != nil {
			var at *verify.PCRFileError
			require.ErrorAs(t, err, &at)
			require.LessOrEqual(t, at.Offset, int64(len(b)))
			return
		}
		for bank, values := range pcrs {
			for pcr, value := range values {
				require.Less(t, uint(pcr), uint(24))
				require.Len(t, value, bank.Size())
			}
		}
		text2, err := json.Marshal(pcrs)
		require.NoError(t, err)
		again, err := verify.ParsePCRs(text2, nil)
		require.NoError(t, err)
		require.Equal(t, len(pcrs), len(again))
	})
}

// The selection of a serialized file names PCRs; its digests follow in that
// order, eight to a list.
func TestSerializedListsAreFilledByEight(t *testing.T) {
	t.Parallel()
	b := readFile(t, "tpm2-tools/pcrread.serialized")
	require.EqualValues(t, 3, binary.LittleEndian.Uint32(b[132:]))
	require.EqualValues(t, 8, binary.LittleEndian.Uint32(b[136:]))
	require.EqualValues(t, 6, binary.LittleEndian.Uint32(b[136+2*532:]))
}

// Digests may begin as any text does: a brace, a blank.
func TestValuesThatBeginAsText(t *testing.T) {
	t.Parallel()
	for _, begin := range []string{"{", " {", "\n", "\t\r{"} {
		value := bytes.Repeat([]byte{0x9c}, 32)
		copy(value, begin)
		pcrs, err := verify.ParsePCRs(value, selection(t, "sha256:10"))
		require.NoError(t, err, "%q", begin)
		assert.Equal(t, ima.PCRs{ima.SHA256: {10: value}}, pcrs)
	}
	// What begins as JSON, and is damaged, is JSON still.
	_, err := verify.ParsePCRs([]byte(`{"sha256": `), selection(t, "sha256:10"))
	var wrong *verify.PCRFileError
	require.ErrorAs(t, err, &wrong)
	assert.Equal(t, "PCR values in JSON", wrong.Form)
}
