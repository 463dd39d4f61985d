package ima_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
)

func replayOf(t testing.TB, records []*ima.Record, bank ima.HashAlgo, digests ima.Digests) string {
	t.Helper()
	b := ima.ReplayBank{Bank: bank, Digests: digests}
	r, err := ima.NewReplay(b)
	require.NoError(t, err)
	for i, rec := range records {
		intact, err := r.Extend(rec)
		require.NoError(t, err)
		assert.True(t, intact, "record %d", i+1)
	}
	return hex.EncodeToString(r.PCR(b, 10))
}

func TestReplayOfPostedLists(t *testing.T) {
	t.Parallel()
	const (
		powervm  = "powervm_7.1.0-rc1_ima-sig_ascii_runtime_measurements"
		arm64    = "arm64_7.1.0-rc1_tcb_ima-ng_ascii_runtime_measurements"
		critical = "arm64_7.1.0-rc1_critical_data_ascii_runtime_measurements"
	)
	for _, c := range []struct {
		list         string
		records      int
		sha1, sha256 string
	}{
		{powervm, 1, "224b7a600eaaf68c80034ba861f0bc86e22b0df0", "6b36fd4e2d3870bfa60284097664c5eb661c9fcdeafb25fc41b33befaf61b175"},
		{powervm, 30, "3db43303ad0028ed04abbba8eabbfee9bf45e849", "097220a67965625ce4e6b6bb3fa59939383af2a72790ecfc2f45bd2b5c571853"},
		{powervm, 31, "652d1637d19497cfe7e8baf51f9676f9050b627a", "4504e2524ea5b08575a2e476bf34f17fae7258509b31c34e60ce7f903781f4e4"},
		{powervm, 32, "1647304e41c043affdb9e0f0dad46ad3d7678a9d", "f661ea4bb7099b9f1150e781419dcbf7e9f710147359b1aeb0b867177a793fbd"},
		{arm64, 17, "2e3328f302145ebd3cdeb27ff7ddfbdacb55a6e0", "b899a5d1ca45a4f38f825def9b90b0eafdaa3096cbae05f770961a02c88006f2"},
		{critical, 3, "c53d47832d60c62455fa561763f0639bee07b097", "118a60505484d63634814812ec0f38b89cee54daec0e023d6ec3b50478a1ee23"},
	} {
		records := readASCII(t, readFile(t, c.list))[:c.records]
		assert.Equal(t, c.sha1, replayOf(t, records, ima.SHA1, ima.PerBank))
		assert.Equal(t, c.sha1, replayOf(t, records, ima.SHA1, ima.PaddedSHA1))
		assert.Equal(t, c.sha256, replayOf(t, records, ima.SHA256, ima.PerBank))
	}
	padded := "cbbdfd112b14f9f560d6ac3045b0694acb9a698904904d1b8821b3bd5a367b81"
	assert.Equal(t, padded, replayOf(t, readASCII(t, readFile(t, powervm)), ima.SHA256, ima.PaddedSHA1Violation))
}

// Template digests of records with a zero boot aggregate.
func TestGoldenTemplateDigests(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		template string
		algo     ima.HashAlgo
		name     string
		sha1     string
		sha256   string
	}{
		{"ima-ng", ima.SHA256, "boot_aggregate", "0adefe762c149c7cec19da62f0da1297fcfbffff", "36f1cd67a730bc4137870c4d00dbc7430b51b1ebdaa130744297cf65339078a0"},
		{"ima-ng", ima.SHA256, "boot_aggregate_late", "4e5d73ebadfd8f850cb93ce4de755ba148a9a7d5", "2b8ac4b79285ab31eaff1c5ac3569ee7ddcf8c2f957d56d3fb326ddfb40f24b0"},
		{"ima-sig", ima.SHA256, "boot_aggregate", "4f38ef8f82bbc2a73f2169c57ff5c76e14ce353d", "34d2696f3c3e0b417b0525a2d1501d564ff6bd022f4886a7fae839a9be4f1839"},
		{"ima-sig", ima.SHA256, "boot_aggregate_late", "c60f087c7f34b2aad2c89271c8d8aefea6faa888", "f9695ea1d5ebc5a8992050b5607a2ae05d43a176fc121563285adab6daff6ac3"},
		{"ima-ng", ima.SHA1, "boot_aggregate", "1d8d532d463c9f8c205d0df7787669a85f93e260", "bba20e8b15e2f5948a181bc922fd1207b9d5ed549585ffa3ab6e44f8aaeb4b16"},
		{"ima", ima.SHA1, "boot_aggregate", "719de8e521439498e9b77f6ed41e230b9821111e", ""},
		{"ima", ima.SHA1, "boot_aggregate_late", "b0a9082889442d64c34cb7d78654a647659e51bb", ""},
	} {
		rec := record(t, c.template, ima.LittleEndian, c.name, func(e *ima.EventData) {
			e.Digest = ima.FileDigest{Algo: c.algo, Sum: make([]byte, c.algo.Size())}
		})
		assert.Equal(t, c.sha1, hex.EncodeToString(rec.Digest), "%s %s", c.template, c.name)
		if c.sha256 == "" {
			continue
		}
		digest, err := rec.TemplateDigest(ima.SHA256)
		require.NoError(t, err)
		assert.Equal(t, c.sha256, hex.EncodeToString(digest), "%s %s", c.template, c.name)
	}
}

func TestGoldenBufferRecord(t *testing.T) {
	t.Parallel()
	sum, err := hex.DecodeString("0c907aab3261194f16b0c2a422a82f145bc9b9ecb8fdb633fa43e3e5379f0af2")
	require.NoError(t, err)
	rec := record(t, "ima-buf", ima.LittleEndian, "kernel_version", func(e *ima.EventData) {
		e.Digest.Sum, e.Buf = sum, []byte("7.1.0-rc1+")
	})
	assert.Equal(t, "49ab61dd97ea2f759edcb6c6a3387ac67f0aa576", hex.EncodeToString(rec.Digest))
}

func TestViolationExtends(t *testing.T) {
	t.Parallel()
	violation := []*ima.Record{record(t, "ima-ng", ima.LittleEndian, "/x", func(e *ima.EventData) { e.Violation = true })}
	assert.Equal(t, "bba91ca85dc914b2ec3efb9e16e7267bf9193b14350d20fba8a8b406730ae30a", replayOf(t, violation, ima.SHA256, ima.PerBank))
	assert.Equal(t, "bba91ca85dc914b2ec3efb9e16e7267bf9193b14350d20fba8a8b406730ae30a", replayOf(t, violation, ima.SHA256, ima.PaddedSHA1))
	assert.Equal(t, "bac37b84f007d0238af95af707cac8d61254870e", replayOf(t, violation, ima.SHA1, ima.PerBank))
	assert.NotEqual(t, replayOf(t, violation, ima.SHA256, ima.PaddedSHA1), replayOf(t, violation, ima.SHA256, ima.PaddedSHA1Violation))
}

func debianPCRs(t testing.TB, name string) (pcrs ima.PCRs) {
	t.Helper()
	require.NoError(t, json.Unmarshal(readFile(t, "lists/debian-6.1-"+name+".pcrs.json"), &pcrs))
	require.Len(t, pcrs, 4)
	return pcrs
}

// Real lists of a Debian 6.1 kernel against the PCRs that its TPM had: sha1 and
// sha256 with their own digests, sha384 and sha512 with padded sha1 ones.
func TestCompareWithRealPCRs(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"exec", "file", "crit"} {
		for _, form := range []string{".ascii", ".bin"} {
			t.Run(name+form, func(t *testing.T) {
				t.Parallel()
				list, err := ima.Open(readFile(t, "lists/debian-6.1-"+name+form), ima.Format{})
				require.NoError(t, err)
				c, err := ima.Compare(list, debianPCRs(t, name))
				require.NoError(t, err)
				assert.True(t, c.Match())
				assert.Empty(t, c.Damaged)
				require.Len(t, c.Banks, 4)
				for _, bank := range c.Banks {
					match, ok := bank.Match()
					require.True(t, ok, "%s", bank.Bank)
					want := ima.PerBank
					if bank.Bank == ima.SHA384 || bank.Bank == ima.SHA512 {
						want = ima.PaddedSHA1
					}
					assert.Equal(t, want, match.Digests, "%s", bank.Bank)
					assert.Equal(t, bank.Value, match.Value)
					assert.Equal(t, c.Records, match.MatchedAt)
				}
				require.Len(t, c.BootAggregates, 1)
				assert.Equal(t, 1, c.BootAggregates[0].Record)
				assert.True(t, c.BootAggregates[0].Match, "PCR 0 to 9 give the boot aggregate")
				assert.False(t, c.BootAggregates[0].Zero)
				if name == "file" {
					assert.Equal(t, 3, c.Violations)
				}
			})
		}
	}
}

func TestCompareFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	records := readBinary(t, readFile(t, "lists/debian-6.1-exec.bin"), ima.Format{})
	pcrs := debianPCRs(t, "exec")

	extra := append(append([]*ima.Record(nil), records...), record(t, "ima-ng", ima.LittleEndian, "/later", nil))
	c, err := ima.Compare(ima.Records(extra), pcrs)
	require.NoError(t, err)
	assert.True(t, c.Match(), "records behind the PCRs' state are no fault")
	match, _ := c.Banks[0].Match()
	assert.Equal(t, len(records), match.MatchedAt)

	c, err = ima.Compare(ima.Records(records[:3]), pcrs)
	require.NoError(t, err)
	assert.False(t, c.Match(), "a record is missing")

	forged := records[2].Clone()
	forged.Digest[0] ^= 1
	c, err = ima.Compare(ima.Records([]*ima.Record{records[0], records[1], forged, records[3]}), pcrs)
	require.NoError(t, err)
	assert.Equal(t, []int{3}, c.Damaged)

	high := records[3].Clone()
	high.PCR = 24
	c, err = ima.Compare(ima.Records([]*ima.Record{high}), pcrs)
	require.NoError(t, err)
	assert.Equal(t, []int{1}, c.Unextended)
	assert.False(t, c.Match())

	pcrs[ima.SHA256][0][0] ^= 1
	c, err = ima.Compare(ima.Records(records), pcrs)
	require.NoError(t, err)
	assert.False(t, c.BootAggregates[0].Match)
}

func TestCompareOfBypassedList(t *testing.T) {
	t.Parallel()
	list, err := ima.Open(readFile(t, "arm64_7.1.0-rc1_tcb_ima-ng_ascii_runtime_measurements"), ima.Format{})
	require.NoError(t, err)
	c, err := ima.Compare(list, ima.PCRs{ima.SHA256: {10: make([]byte, 32)}})
	require.NoError(t, err)
	require.Len(t, c.BootAggregates, 2)
	assert.True(t, c.BootAggregates[0].Zero)
	assert.Equal(t, ima.BootAggregateLateName, c.BootAggregates[1].Name)
	require.Len(t, c.Banks, 1)
	assert.Equal(t, 0, c.Banks[0].Replays[0].MatchedAt, "the PCR is as it was at reset")
	assert.False(t, c.Match())
}

// A violation about something called boot_aggregate is none.
func TestIsBootAggregate(t *testing.T) {
	t.Parallel()
	violation := record(t, "ima-ng", ima.LittleEndian, "boot_aggregate", func(e *ima.EventData) { e.Violation = true })
	_, ok := ima.IsBootAggregate(violation, 1)
	assert.False(t, ok)
	_, ok = ima.IsBootAggregate(record(t, "ima-ng", ima.LittleEndian, "boot_aggregate2", nil), 1)
	assert.False(t, ok)
	_, ok = ima.IsBootAggregate(record(t, "n-ng", ima.LittleEndian, "boot_aggregate", nil), 1)
	assert.False(t, ok)
	b, ok := ima.IsBootAggregate(record(t, "ima", ima.LittleEndian, "boot_aggregate", nil), 7)
	require.True(t, ok)
	assert.Equal(t, ima.BootAggregate{Record: 7, Name: "boot_aggregate", Digest: ima.FileDigest{Algo: ima.SHA1, Sum: make([]byte, 20)}, Zero: true}, b)
}

func TestCompareWithoutPCRs(t *testing.T) {
	t.Parallel()
	c, err := ima.Compare(ima.Records(readASCII(t, readFile(t, "lists/debian-6.1-exec.ascii"))), nil)
	require.NoError(t, err)
	assert.Equal(t, 4, c.Records)
	assert.False(t, c.Match(), "nothing has been compared")
}

func TestCompareRefusesABankItCannotCompute(t *testing.T) {
	t.Parallel()
	_, err := ima.Compare(ima.Records(nil), ima.PCRs{ima.Streebog256: {10: make([]byte, 32)}})
	var unavailable *ima.UnavailableHashError
	assert.ErrorAs(t, err, &unavailable)
}

func TestReplayStartValues(t *testing.T) {
	t.Parallel()
	b := ima.ReplayBank{Bank: ima.SHA256}
	r, err := ima.NewReplay(b)
	require.NoError(t, err)
	assert.Equal(t, make([]byte, 32), r.PCR(b, 16))
	assert.Equal(t, bytes.Repeat([]byte{0xff}, 32), r.PCR(b, 17))
	assert.Equal(t, make([]byte, 32), r.PCR(b, 23))
	assert.Nil(t, r.PCR(b, 24))
	rec := record(t, "ima-ng", ima.LittleEndian, "/x", nil)
	rec.PCR = 24
	_, err = r.Extend(rec)
	var index *ima.PCRIndexError
	assert.ErrorAs(t, err, &index)
}

func TestBootAggregate(t *testing.T) {
	t.Parallel()
	zero := ima.PCRs{ima.SHA1: {}, ima.SHA256: {}, ima.SHA384: {}}
	for i := range 10 {
		zero[ima.SHA1][i], zero[ima.SHA256][i], zero[ima.SHA384][i] = make([]byte, 20), make([]byte, 32), make([]byte, 48)
	}
	sum, err := ima.CalcBootAggregate(ima.BankOf(ima.SHA256), zero)
	require.NoError(t, err)
	assert.Equal(t, "7b6436b0c98f62380866d9432c2af0ee08ce16a171bda6951aecd95ee1307d61", sum.String())
	sum, err = ima.CalcBootAggregate(ima.BankOf(ima.SHA1), zero)
	require.NoError(t, err)
	assert.Equal(t, "9797edf8d0eed36b1cf92547816051c8af4e45ee", sum.String())

	// A PCR that cannot be read repeats the one before.
	zero[ima.SHA256][3] = bytes.Repeat([]byte{1}, 32)
	repeated := ima.PCRs{ima.SHA256: {}}
	for i := range 10 {
		repeated[ima.SHA256][i] = zero[ima.SHA256][i]
	}
	repeated[ima.SHA256][4] = repeated[ima.SHA256][3]
	want, err := ima.CalcBootAggregate(ima.BankOf(ima.SHA256), repeated)
	require.NoError(t, err)
	delete(zero[ima.SHA256], 4)
	got, err := ima.CalcBootAggregate(ima.BankOf(ima.SHA256), zero)
	var read *ima.PCRReadError
	require.ErrorAs(t, err, &read)
	assert.Equal(t, 4, read.Index)
	assert.Equal(t, want, got)
}

func TestBootAggregateBank(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		banks   string
		imaHash ima.HashAlgo
		want    string
	}{
		{"sha1 sha256", ima.SHA256, "sha256"},
		{"sha256 sha1", ima.SHA1, "sha1"},
		{"sha1 sha384 sha256", ima.SHA512, "sha256"},
		{"sha256 sha1", ima.SHA512, "sha256"},
		{"sha1 sha384", ima.SHA256, "sha1"},
		{"sha384 sha512", ima.SHA256, ""},
		{"sha384", ima.SHA384, "sha384"},
		{"sha3-256 sha1", ima.SHA3_256, "sha1"},
		{"", ima.SHA256, ""},
	} {
		var banks []ima.Bank
		for _, name := range strings.Fields(c.banks) {
			h, err := ima.ParseHashAlgo(name)
			require.NoError(t, err)
			banks = append(banks, ima.BankOf(h))
		}
		bank, ok := ima.BootAggregateBank(banks, c.imaHash)
		assert.Equal(t, c.want != "", ok, c.banks)
		if ok {
			assert.Equal(t, c.want, bank.String(), c.banks)
		}
	}
}

// Replays that only violations tell apart are one until there is a violation.
func TestPaddedReplaysPartAtAViolation(t *testing.T) {
	t.Parallel()
	padded, before58 := ima.ReplayBank{Bank: ima.SHA512, Digests: ima.PaddedSHA1}, ima.ReplayBank{Bank: ima.SHA512, Digests: ima.PaddedSHA1Violation}
	plain := record(t, "ima-ng", ima.LittleEndian, "/a", nil)
	violation := record(t, "ima-ng", ima.LittleEndian, "/a", func(e *ima.EventData) { e.Violation = true })
	for _, list := range [][]*ima.Record{{plain}, {plain, violation}, {violation, plain}, {plain, violation, plain, violation, plain}} {
		both, err := ima.NewReplay(padded, before58)
		require.NoError(t, err)
		start := ima.PCRs{ima.SHA512: {10: bytes.Repeat([]byte{7}, 64)}}
		require.NoError(t, both.Start(start))
		alone := map[ima.ReplayBank]*ima.Replay{}
		for _, bank := range []ima.ReplayBank{padded, before58} {
			alone[bank], err = ima.NewReplay(bank)
			require.NoError(t, err)
			require.NoError(t, alone[bank].Start(start))
		}
		for _, rec := range list {
			_, err := both.Extend(rec)
			require.NoError(t, err)
			for bank, replay := range alone {
				_, err := replay.Extend(rec)
				require.NoError(t, err)
				want := replay.PCR(bank, 10)
				assert.Equal(t, want, both.PCR(bank, 10))
				assert.True(t, both.Holds(bank, 10, want))
				assert.False(t, both.Holds(bank, 11, want))
			}
		}
	}
}

// A value that no PCR can have changes nothing.
func TestStartRefusesWrongValues(t *testing.T) {
	t.Parallel()
	bank := ima.ReplayBank{Bank: ima.SHA256}
	for _, wrong := range []map[int]ima.Hex{{10: {1}}, {24: make(ima.Hex, 32)}, {-1: make(ima.Hex, 32)}} {
		replay, err := ima.NewReplay(bank)
		require.NoError(t, err)
		wrong[9] = bytes.Repeat([]byte{1}, 32)
		var value *ima.PCRValueError
		require.ErrorAs(t, replay.Start(ima.PCRs{ima.SHA256: wrong}), &value)
		assert.Equal(t, make([]byte, 32), replay.PCR(bank, 9))
	}
}

func TestPCRsJSON(t *testing.T) {
	t.Parallel()
	pcrs := debianPCRs(t, "exec")
	text, err := json.Marshal(pcrs)
	require.NoError(t, err)
	var back ima.PCRs
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, pcrs, back)
	assert.Error(t, json.Unmarshal([]byte(`{"sha257":{}}`), &back))
	assert.Error(t, json.Unmarshal([]byte(`{"sha1":{"1":"zz"}}`), &back))
}
