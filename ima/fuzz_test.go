package ima_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
)

// fuzzFormat makes a format of a byte, so that fuzzing reaches all of them.
func fuzzFormat(b byte) ima.Format {
	return ima.Format{
		Order:      ima.ByteOrder(b & 1),
		Digest:     []ima.HashAlgo{ima.SHA1, ima.SHA256, ima.SM3}[b>>1&3%3],
		LegacyHash: []ima.HashAlgo{ima.SHA1, ima.MD5}[b>>3&1],
		MaxData:    1 << 16,
	}
}

// What is read is written again as it was, up to the first error.
func FuzzBinaryReader(f *testing.F) {
	for _, list := range realLists {
		records := readBinary(f, readFile(f, list.binary), ima.Format{})
		f.Add(appendBinary(f, records[:2]), byte(0)) // short ones are mutated faster
	}
	for _, template := range []string{"ima", "evm-sig", "ima-modsig", "ima-sigv2", "n-ng|d"} {
		big := record(f, template, ima.BigEndian, "/a\nb", fullEvent)
		f.Add(appendBinary(f, []*ima.Record{big}), byte(1))
	}
	f.Fuzz(func(t *testing.T, list []byte, format byte) {
		r, err := ima.NewBinaryReader(bytes.NewReader(list), fuzzFormat(format))
		require.NoError(t, err)
		records, err := ima.ReadAll(r)
		again := appendBinary(t, records)
		require.True(t, bytes.HasPrefix(list, again))
		if err == nil {
			require.Equal(t, len(list), len(again))
		}
		for _, rec := range records {
			checkRecord(t, rec, fuzzFormat(format))
		}
	})
}

// checkRecord uses what a record has, and reads its line again.
func checkRecord(t *testing.T, rec *ima.Record, format ima.Format) {
	rec.FileDigest()
	ima.IsBootAggregate(rec, 1)
	digest, err := rec.TemplateDigest(ima.SHA1)
	require.NoError(t, err)
	for _, id := range rec.Template().Fields() {
		rec.FieldText(id)
	}
	if strings.ContainsAny(rec.Name(), " \n") {
		return // the ASCII list is not made for these
	}
	rec = rec.Clone()
	rec.Digest, rec.DigestAlgo, format.Digest = digest, ima.SHA1, ima.SHA1
	line, err := rec.AppendText(nil)
	require.NoError(t, err)
	if bytes.Count(line, []byte{'\n'}) > 1 || bytes.Count(line, []byte{' '}) != 2+len(rec.Template().Fields())+bytes.Count(line[:1], []byte{' '}) {
		return
	}
	r, err := ima.NewASCIIReader(bytes.NewReader(line), format)
	require.NoError(t, err)
	var back ima.Record
	require.NoError(t, r.Read(&back), "%q", line)
	require.Equal(t, rec.Data(), back.Data(), "%q", line)
}

// What is read is written again as it was, up to the first error.
func FuzzASCIIReader(f *testing.F) {
	for _, list := range realLists {
		f.Add(appendText(f, readASCII(f, readFile(f, list.ascii))[:2]), byte(0))
	}
	for _, template := range []string{"ima", "evm-sig", "ima-modsig", "ima-sigv2", "n-ng|d"} {
		odd := record(f, template, ima.LittleEndian, "/a\nb", fullEvent)
		violation := record(f, template, ima.LittleEndian, "/a\n\nb", func(e *ima.EventData) { e.Violation = true })
		f.Add(appendText(f, []*ima.Record{odd, violation, odd}), byte(0))
	}
	f.Fuzz(func(t *testing.T, list []byte, format byte) {
		r, err := ima.NewASCIIReader(bytes.NewReader(list), fuzzFormat(format))
		require.NoError(t, err)
		var again []byte
		var rec ima.Record
		for {
			if err = r.Read(&rec); err != nil {
				break
			}
			again, err = rec.AppendText(again)
			require.NoError(t, err)
			require.True(t, bytes.HasPrefix(list, again), "%q", again)
			rec.FileDigest()
			rec.Clone()
		}
		if err == io.EOF {
			require.Equal(t, len(list), len(again))
		}
	})
}

// What a kernel shows of a policy is the same policy, read again.
func FuzzParsePolicy(f *testing.F) {
	f.Add("measure func=FILE_CHECK mask=^MAY_READ euid=0 uid>5 fowner<3 fsmagic=0x9fa0 pcr=11 template=ima-ng\n", byte(7))
	f.Add("# x\n\n\tappraise func=MODULE_CHECK appraise_type=imasig|modsig appraise_flag=check_blacklist appraise_algos=sha256,sha512", byte(7))
	f.Add("measure func=KEY_CHECK keyrings=.ima|.evm\nmeasure func=CRITICAL_DATA label=a|b obj_user=x", byte(0))
	f.Add("dont_measure fsuuid=6ba7b810-9dad-11d1-80b4-00c04fd430c8 fsname=ext4 permit_directio digest_type=verity", byte(3))
	f.Add("dont_audit fsname=fuse fs_subtype=sshfs # all\nappraise func=BPRM_CHECK appraise_type=sigv3\n", byte(0x4f))
	f.Add("appraise appraise_type=imasig digest_type=verity appraise_flag=x\naudit fs_subtype=a#b uid=0\t#c", byte(0x4f))
	f.Add("dont_audit\nmeasure fs_subtype=x", byte(0x1f))
	kernels := ima.Kernels()
	f.Fuzz(func(t *testing.T, text string, bits byte) {
		config := policyConfig(t)
		config.Kernel = kernels[int(bits>>4)%len(kernels)]
		config.MeasureKeys, config.Modsig, config.LSM = bits&1 != 0, bits&2 != 0, bits&4 != 0
		rules, err := ima.ParsePolicy(text, config)
		if err != nil {
			var refused *ima.RuleError
			require.ErrorAs(t, err, &refused)
			return
		}
		for _, r := range rules {
			shown := r.String()
			if shown == "" || strings.Contains(shown, "sigv3") && !config.Kernel.SigV3 || strings.Contains(shown, "=-") || strings.ContainsAny(shown, "<>") && strings.Contains(shown, "-") || strings.Contains(shown, "fsname=") || strings.Contains(shown, "fs_subtype=") {
				continue // the kernel does not take all that it shows
			}
			again, err := ima.ParsePolicy(shown, config)
			require.NoError(t, err, "%q", shown)
			require.Len(t, again, 1)
			require.Equal(t, shown, again[0].String())
		}
	})
}

// Whatever stands on the command line, IMA starts, or does not for want of a
// template, and says so.
func FuzzCommandLine(f *testing.F) {
	f.Add(`ima_policy="tcb critical_data" ima-hash=sha512 ima_template_fmt=d-ng|n-ng -- ima_tcb`)
	f.Add("ima_template= ima_hash=sha3-256 ima_template=ima")
	f.Add("ima_template=ima ima_hash=md5x ima_template_fmt=| ima_tcb")
	kernels := ima.Kernels()
	f.Fuzz(func(t *testing.T, line string) {
		for _, k := range kernels {
			m, err := ima.New(ima.Config{Kernel: k, CommandLine: line, Log: func(line string) { assert.True(t, strings.HasPrefix(line, "ima: ")) }})
			require.NoError(t, err)
			if err := m.Init(noTPM); err != nil {
				require.ErrorIs(t, err, ima.EINVAL)
				require.Zero(t, m.Count())
			}
		}
	})
}

// Whatever the kernel before hands over, IMA starts.
func FuzzKexecBuffer(f *testing.F) {
	m := start(f, debian(f, "ima_policy=critical_data"), nil)
	require.NoError(f, m.KexecLoad())
	f.Add(m.KexecExecute())
	f.Fuzz(func(t *testing.T, buffer []byte) {
		config := debian(t, "")
		config.KexecBuffer = buffer
		m, err := ima.New(config)
		require.NoError(t, err)
		require.NoError(t, m.Init(noTPM))
		_, err = m.ReadSecurityFile("ascii_runtime_measurements")
		require.NoError(t, err)
		require.NoError(t, m.KexecLoad())
	})
}
