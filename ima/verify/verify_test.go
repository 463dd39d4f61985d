package verify_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// entry makes the record of a file, or of what change makes of it.
func entry(t testing.TB, name string, change func(e *ima.EventData)) *ima.Record {
	t.Helper()
	sum := sha256.Sum256([]byte(name))
	e := &ima.EventData{Filename: name, Digest: ima.FileDigest{Algo: ima.SHA256, Sum: sum[:]}, HashAlgo: ima.SHA256}
	template, _ := ima.LookupTemplate("ima-ng")
	if change != nil {
		change(e)
	}
	if e.Buf != nil {
		template, _ = ima.LookupTemplate("ima-buf")
	}
	rec, err := ima.NewTemplateEntry(template, 10, ima.SHA1, e)
	require.NoError(t, err)
	return rec
}

// aggregateOf makes the record of the boot aggregate of PCRs.
func aggregateOf(t testing.TB, pcrs ima.PCRs, bank ima.HashAlgo) *ima.Record {
	t.Helper()
	return entry(t, early, func(e *ima.EventData) {
		sum, err := ima.CalcBootAggregate(ima.BankOf(bank), pcrs)
		require.NoError(t, err)
		e.Digest = ima.FileDigest{Algo: bank, Sum: sum}
	})
}

// first makes the boot aggregate's record of a fresh machine.
func first(t testing.TB) *ima.Record { return aggregateOf(t, fresh(t), ima.SHA256) }

func file(t testing.TB, name string) *ima.Record { return entry(t, name, nil) }

func onPCR(rec *ima.Record, pcr uint32) *ima.Record {
	rec.PCR = pcr
	return rec
}

// extended gives the evidence of a list whose records were all extended.
func extended(t testing.TB, records ...*ima.Record) verify.Evidence {
	t.Helper()
	m := newMachine(t)
	for _, rec := range records {
		if rec.Violation() {
			require.NoError(t, m.PCRExtend(int(rec.PCR), [][]byte{bytes.Repeat([]byte{0xff}, 20), bytes.Repeat([]byte{0xff}, 32)}))
		} else if rec.PCR < 24 {
			m.extend(rec)
		}
	}
	return verify.Evidence{List: ima.Records(records), PCRs: m.pcrs, Vouched: true}
}

// fresh gives the PCRs of a machine on which IMA has not started yet.
func fresh(t testing.TB) ima.PCRs { return newMachine(t).pcrs }

func TestRealLists(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		list    string
		records int
		shows   []verify.Code
	}{
		{"debian-6.1-crit", 2, nil},
		{"debian-6.1-exec", 4, nil},
		{"debian-6.1-file", 10, []verify.Code{verify.Violation}},
	} {
		for _, form := range []string{".ascii", ".bin"} {
			e := verify.Evidence{
				List: open(t, readFile(t, c.list+form)), PCRs: readPCRs(t, c.list+".pcrs.json"), Vouched: true,
				Build: verify.Build{Strategy: verify.StrategyLate, Bound: true},
			}
			v := verdict(t, e)
			assert.Equal(t, c.shows, codes(v), c.list+form)
			assert.Equal(t, c.records, v.Records)
			require.Len(t, v.Replays, 4)
			for i, want := range []string{"sha1: per-bank digests", "sha256: per-bank digests", "sha384: padded sha1 digests", "sha512: padded sha1 digests"} {
				row := v.Replays[i]
				assert.Equal(t, want, row.Bank.String()+": "+row.Digests)
				assert.Equal(t, verify.StateMatch, row.State)
				assert.Equal(t, c.records, row.Record)
				assert.Equal(t, row.Value, row.Replayed)
			}
			require.Len(t, v.Aggregates, 1)
			assert.Equal(t, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, v.Aggregates[0].PCRs)
			assert.Equal(t, form == ".ascii", v.Has(verify.ListASCII))
		}
	}
}

// A list that was read after the PCRs has a tail; the values of the PowerVM list
// after each of these records were computed by another program.
func TestTailBehindThePCRValue(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		record       int
		sha1, sha256 string
	}{
		{1, "224b7a600eaaf68c80034ba861f0bc86e22b0df0", "6b36fd4e2d3870bfa60284097664c5eb661c9fcdeafb25fc41b33befaf61b175"},
		{30, "3db43303ad0028ed04abbba8eabbfee9bf45e849", "097220a67965625ce4e6b6bb3fa59939383af2a72790ecfc2f45bd2b5c571853"},
		{31, "652d1637d19497cfe7e8baf51f9676f9050b627a", "4504e2524ea5b08575a2e476bf34f17fae7258509b31c34e60ce7f903781f4e4"},
		{32, "1647304e41c043affdb9e0f0dad46ad3d7678a9d", "f661ea4bb7099b9f1150e781419dcbf7e9f710147359b1aeb0b867177a793fbd"},
	} {
		e := verify.Evidence{List: open(t, readFile(t, "powervm_7.1.0-rc1_ima-sig_ascii_runtime_measurements")), PCRs: ima.PCRs{
			ima.SHA1: {10: fromHex(t, c.sha1)}, ima.SHA256: {10: fromHex(t, c.sha256)},
		}}
		v := verdict(t, e)
		require.Len(t, v.Replays, 2)
		for _, row := range v.Replays {
			assert.Equal(t, verify.StateMatch, row.State)
			assert.Equal(t, c.record, row.Record)
			assert.Equal(t, 32-c.record, row.After)
		}
		assert.Equal(t, c.record < 32, v.Has(verify.RecordsAfter))
		assert.Equal(t, "cannot-tell cannot-tell cannot-tell", outcomes(t, v), "no quote, no PCR 0-9")
	}
}

// What the PowerVM list shows once it is known that its kernel records two boot
// aggregates.
func TestPowerVMGap(t *testing.T) {
	t.Parallel()
	padded := "cbbdfd112b14f9f560d6ac3045b0694acb9a698904904d1b8821b3bd5a367b81"
	v := verdict(t, verify.Evidence{
		List:  open(t, readFile(t, "powervm_7.1.0-rc1_ima-sig_derived_binary_runtime_measurements.bin")),
		PCRs:  ima.PCRs{ima.SHA256: {10: fromHex(t, padded)}},
		Build: verify.Build{Strategy: verify.StrategyDual},
	})
	gap := finding(t, v, verify.GapUnproven)
	assert.Equal(t, 29, gap.Count)
	assert.Equal(t, []int{2, 3, 4, 5, 6, 7, 8, 9}, gap.Records)
	assert.Equal(t, "records 2-9 … (29)", gap.Where())
	assert.True(t, v.Replays[0].State == verify.StateMatch && v.Has(verify.DigestsPadded) && v.Has(verify.SHA1Only))
	assert.Equal(t, []int{2}, finding(t, v, verify.KernelVersion).Records)
}

func fromHex(t testing.TB, text string) (h ima.Hex) {
	t.Helper()
	require.NoError(t, h.UnmarshalText([]byte(text)))
	return h
}

// A custom template is named by its format.
func TestCustomTemplate(t *testing.T) {
	t.Parallel()
	template, err := ima.ParseTemplateFormat("d-ng|n-ng|iuid")
	require.NoError(t, err)
	rec, err := ima.NewTemplateEntry(template, 10, ima.SHA1, &ima.EventData{Filename: "/a", Digest: ima.FileDigest{Algo: ima.SHA256, Sum: make([]byte, 32)}, Inode: &ima.InodeData{}})
	require.NoError(t, err)
	v := verdict(t, extended(t, aggregateOf(t, fresh(t), ima.SHA256), rec))
	assert.Equal(t, []int{2}, finding(t, v, verify.CustomTemplate).Records)
}

// Names with newlines in an ASCII list: provable for a file, not for a
// violation.
func TestASCIIAmbiguity(t *testing.T) {
	t.Parallel()
	records := []*ima.Record{
		aggregateOf(t, fresh(t), ima.SHA256), entry(t, "/tmp/a\nb", nil),
		entry(t, "/tmp/c\nd", func(e *ima.EventData) { e.Violation = true }),
	}
	e := extended(t, records...)
	var text []byte
	for _, rec := range records {
		var err error
		text, err = rec.AppendText(text)
		require.NoError(t, err)
	}
	e.List = open(t, text)
	v := verdict(t, e)
	assert.Equal(t, verify.FormASCII, v.Form)
	assert.Equal(t, 3, v.Records)
	assert.Equal(t, []int{2}, finding(t, v, verify.ASCIIAmbiguous).Records)
	assert.Equal(t, []int{3}, finding(t, v, verify.ASCIIUnproven).Records)
	assert.Equal(t, []int{2, 3}, finding(t, v, verify.NameNewline).Records)
}

// A kernel that kexec has started goes on with list and PCR; the measured boot
// shows the first kernel alone, so its build does not speak for the second.
func TestKexec(t *testing.T) {
	t.Parallel()
	m := newMachine(t).start(early, true).exec("/sbin/init")
	require.NoError(t, m.m.KexecLoad())
	m.startAfter(early, true, m.m.KexecExecute()).exec("/sbin/init")
	e := m.evidence()
	e.Build = verify.Build{Strategy: verify.StrategyLate, Bound: true}
	v := verdict(t, e)
	several := finding(t, v, verify.SeveralAggregates)
	assert.Equal(t, 2, several.Count)
	assert.Equal(t, 2, finding(t, v, verify.AggregateMatch).Count)
	assert.False(t, v.Has(verify.Duplicate), "the hash table does not outlive kexec")
	assert.True(t, v.Has(verify.OnTimeClaimed))
	assert.Equal(t, "cannot-tell accept cannot-tell", outcomes(t, v))
}

// The build is that of the first kernel, and so is its release.
func TestReleaseOfAKexecKernel(t *testing.T) {
	t.Parallel()
	version := func(release string) *ima.Record {
		return entry(t, "kernel_version", func(e *ima.EventData) {
			sum := sha256.Sum256([]byte(release))
			e.Digest.Sum, e.Buf = sum[:], []byte(release)
		})
	}
	first := aggregateOf(t, fresh(t), ima.SHA256)
	for release, differs := range map[string]bool{"7.3.0": false, "7.4.0": true} {
		e := extended(t, first, version("7.3.0"), first, version("7.4.0"))
		e.Build.Release = release
		v := verdict(t, e)
		assert.Equal(t, differs, v.Has(verify.KernelVersionDiffers))
		f := finding(t, v, verify.KernelVersion)
		assert.Equal(t, []int{2, 4}, f.Records)
		assert.Contains(t, f.Text, `"7.3.0"`)
		assert.False(t, v.Has(verify.KernelVersionPlace))
	}
}

// A list that cannot be read is an error that says where, and a verdict on what
// was there.
func TestBrokenLists(t *testing.T) {
	t.Parallel()
	whole := readFile(t, "debian-6.1-exec.bin")
	pcrs := readPCRs(t, "debian-6.1-exec.pcrs.json")
	swapped := append(bytes.Clone(whole[4:]), whole[:4]...)
	unknown := bytes.Replace(whole, []byte("ima-sig"), []byte("ima-sgi"), 1)
	long := bytes.Clone(whole)
	copy(long[24:], []byte{0xff, 0xff, 0xff, 0x7f})
	for _, c := range []struct {
		name   string
		list   []byte
		record int
		cause  error
	}{
		{"truncated", whole[:len(whole)-1], 4, io.ErrUnexpectedEOF},
		{"cut in the second record", whole[:150], 2, io.ErrUnexpectedEOF},
		{"out of step", swapped, 1, nil},
		{"unknown template", unknown, 1, nil},
		{"oversized length", long, 1, nil},
	} {
		list, err := ima.NewBinaryReader(bytes.NewReader(c.list), ima.Format{})
		require.NoError(t, err)
		v, err := verify.Verify(verify.Evidence{List: list, PCRs: pcrs, Vouched: true})
		var input *verify.InputError
		require.ErrorAs(t, err, &input, c.name)
		assert.Equal(t, verify.PartList, input.Part)
		var at *ima.ListError
		require.ErrorAs(t, err, &at, c.name)
		assert.Equal(t, c.record, at.Record, c.name)
		if c.cause != nil {
			require.ErrorIs(t, err, c.cause)
		}
		require.NotNil(t, v)
		assert.Equal(t, []int{c.record}, finding(t, v, verify.ListUnreadable).Records)
		assert.Equal(t, c.record-1, v.Records)
		assert.Equal(t, "reject reject reject", outcomes(t, v))
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	list := ima.Records(nil)
	for _, c := range []struct {
		name     string
		evidence verify.Evidence
		part     verify.Part
		text     string
	}{
		{"no list", verify.Evidence{}, verify.PartList, "there is none"},
		{"short value", verify.Evidence{List: list, PCRs: ima.PCRs{ima.SHA256: {10: make(ima.Hex, 20)}}}, verify.PartPCRs, "sha256 PCR 10: 20 bytes, a value of the bank has 32"},
		{"no such PCR", verify.Evidence{List: list, PCRs: ima.PCRs{ima.SHA1: {24: make(ima.Hex, 20)}}}, verify.PartPCRs, "sha1 PCR 24: a TPM has PCR 0 to 23"},
		{"no bank", verify.Evidence{List: list, PCRs: ima.PCRs{ima.MD5: {1: make(ima.Hex, 16)}}}, verify.PartPCRs, "no bank md5"},
		{"no hash", verify.Evidence{List: list, PCRs: ima.PCRs{0: {1: make(ima.Hex, 16)}}}, verify.PartPCRs, "no bank"},
		{"strategy", verify.Evidence{List: list, Build: verify.Build{Strategy: "hope"}}, verify.PartBuild, `no strategy "hope"`},
		{"setting", verify.Evidence{List: list, Build: verify.Build{InitLateSync: 9}}, verify.PartBuild, "Setting(9)"},
		{"option of another strategy", verify.Evidence{List: list, Build: verify.Build{Strategy: verify.StrategyLate, InitLateSync: verify.SettingOn}}, verify.PartBuild, "belongs to the strategy kconfig"},
		{"kernel without the option", verify.Evidence{List: list, Build: verify.Build{Kernel: verify.Kernel{Release: "6.1"}, InitLateSync: verify.SettingOff}}, verify.PartBuild, "kernel 6.1 does not have"},
	} {
		v, err := verify.Verify(c.evidence)
		var input *verify.InputError
		require.ErrorAs(t, err, &input, c.name)
		assert.Nil(t, v)
		assert.Equal(t, c.part, input.Part)
		assert.Contains(t, err.Error(), c.text)
	}
}

// A list of some thousand records that is there twice: each record repeats.
func TestDuplicatesInALongList(t *testing.T) {
	t.Parallel()
	const n = 3000
	records := make([]*ima.Record, 0, 2*n)
	for i := range n {
		records = append(records, entry(t, fmt.Sprintf("/bin/%d", i), nil))
	}
	v := verdict(t, verify.Evidence{List: ima.Records(append(records, records...))})
	assert.Equal(t, n, finding(t, v, verify.Duplicate).Count)
	assert.Equal(t, n+1, finding(t, v, verify.Duplicate).Records[0])
}

// However much is wrong, a verdict stays small.
func TestFindingsAreBounded(t *testing.T) {
	t.Parallel()
	const n = 3000
	records := make([]*ima.Record, 0, n)
	for i := range n {
		switch i % 3 {
		case 0:
			records = append(records, entry(t, early, nil))
		case 1:
			records = append(records, entry(t, fmt.Sprintf("/a\n%d", i), func(e *ima.EventData) { e.Violation = true }))
		default:
			rec := entry(t, fmt.Sprintf("/b%d", i), nil)
			rec.Digest[0] ^= 1
			records = append(records, rec)
		}
	}
	v := verdict(t, verify.Evidence{List: ima.Records(records)})
	assert.Equal(t, n/3, finding(t, v, verify.Violation).Count)
	assert.Equal(t, n/3, finding(t, v, verify.DigestMismatch).Count)
	assert.Equal(t, n/3, finding(t, v, verify.SeveralAggregates).Count)
	assert.Less(t, len(v.Findings), 30)
	assert.Less(t, len(v.Aggregates), 30)
	for _, f := range v.Findings {
		assert.LessOrEqual(t, len(f.Records), verify.MaxRecords)
	}
	var text bytes.Buffer
	require.NoError(t, v.Render(&text))
	assert.Less(t, text.Len(), 20_000)
}

func TestVerdictIsJSON(t *testing.T) {
	t.Parallel()
	v := verdict(t, verify.Evidence{List: open(t, readFile(t, "debian-6.1-file.bin")), PCRs: readPCRs(t, "debian-6.1-file.pcrs.json")})
	text, err := json.Marshal(v)
	require.NoError(t, err)
	var again verify.Verdict
	require.NoError(t, json.Unmarshal(text, &again))
	second, err := json.Marshal(&again)
	require.NoError(t, err)
	assert.JSONEq(t, string(text), string(second))
	assert.Contains(t, string(text), `{"code":"violation","severity":"caution","part":"list","count":3,"records":[6,7,8],`)
}
