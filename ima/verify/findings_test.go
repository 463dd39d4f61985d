package verify_test

import (
	"crypto/sha256"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// legacy makes a record of the ima template.
func legacy(t testing.TB, name string, sum ima.Hex) *ima.Record {
	t.Helper()
	template, _ := ima.LookupTemplate("ima")
	rec, err := ima.NewTemplateEntry(template, 10, ima.SHA1, &ima.EventData{Filename: name, Digest: ima.FileDigest{Algo: ima.SHA1, Sum: sum}, HashAlgo: ima.SHA1})
	if err != nil {
		t.Fatal(err)
	}
	return rec
}

// What single records and the PCRs show.
func TestFindings(t *testing.T) {
	t.Parallel()
	violation := func(t testing.TB, name string) *ima.Record {
		return entry(t, name, func(e *ima.EventData) { e.Violation = true })
	}
	for _, c := range []struct {
		name     string
		evidence func(t testing.TB) verify.Evidence
		code     verify.Code
		where    string
	}{
		{"no records", func(t testing.TB) verify.Evidence { return extended(t) }, verify.ListEmpty, "list"},
		{"violations", func(t testing.TB) verify.Evidence {
			return extended(t, first(t), violation(t, "/a"), file(t, "/b"), violation(t, "/c"))
		}, verify.Violation, "records 2, 4"},
		{"newline", func(t testing.TB) verify.Evidence {
			return extended(t, first(t), file(t, "/tmp/x\n10 0000 ima-ng sha1:00 /bin/sh"))
		}, verify.NameNewline, "record 2"},
		{"changed record", func(t testing.TB) verify.Evidence {
			e := extended(t, first(t), file(t, "/a"))
			changed := file(t, "/b")
			changed.Digest = file(t, "/a").Digest
			e.List = ima.Records([]*ima.Record{first(t), changed})
			return e
		}, verify.DigestMismatch, "record 2"},
		{"changed record does not replay", func(t testing.TB) verify.Evidence {
			e := extended(t, first(t), file(t, "/a"))
			e.List = ima.Records([]*ima.Record{first(t), file(t, "/b")})
			return e
		}, verify.ReplayMismatch, "sha1 PCR 10"},
		{"buffer", func(t testing.TB) verify.Evidence {
			return extended(t, first(t), entry(t, "kexec-cmdline", func(e *ima.EventData) { e.Buf = []byte("root=/dev/sda1") }))
		}, verify.BufferMismatch, "record 2"},
		{"buffer of another content, sm3", func(t testing.TB) verify.Evidence {
			return extended(t, first(t), entry(t, "kexec-cmdline", func(e *ima.EventData) {
				e.Digest.Algo, e.Buf = ima.SM3, []byte("root=/dev/sda1")
			}))
		}, verify.BufferMismatch, "record 2"},
		{"O_DIRECT", func(t testing.TB) verify.Evidence {
			return extended(t, first(t), entry(t, "/a", func(e *ima.EventData) { e.Digest.Sum = make([]byte, 32) }))
		}, verify.FileDigestZero, "record 2"},
		{"repetition", func(t testing.TB) verify.Evidence {
			return extended(t, first(t), file(t, "/a"), file(t, "/b"), file(t, "/a"))
		}, verify.Duplicate, "record 4"},
		{"other PCR", func(t testing.TB) verify.Evidence {
			return extended(t, first(t), onPCR(file(t, "/a"), 11))
		}, verify.OtherPCR, "record 2"},
		{"no PCR of a TPM", func(t testing.TB) verify.Evidence {
			return extended(t, first(t), onPCR(file(t, "/a"), 40))
		}, verify.PCRNotInTPM, "record 2"},
		{"PCR not given", func(t testing.TB) verify.Evidence {
			e := extended(t, first(t), onPCR(file(t, "/a"), 11))
			delete(e.PCRs[ima.SHA1], 11)
			delete(e.PCRs[ima.SHA256], 11)
			return e
		}, verify.PCRNotGiven, "PCR 11"},
		{"no aggregate", func(t testing.TB) verify.Evidence { return extended(t, file(t, "/a")) }, verify.AggregateMissing, "list"},
		{"aggregate second", func(t testing.TB) verify.Evidence {
			return extended(t, file(t, "/a"), first(t))
		}, verify.AggregateNotFirst, "record 2"},
		{"sha1 aggregate", func(t testing.TB) verify.Evidence {
			return extended(t, aggregateOf(t, fresh(t), ima.SHA1))
		}, verify.AggregateMatch, "record 1, sha1 PCR 0-7"},
		{"sha256 aggregate", func(t testing.TB) verify.Evidence { return extended(t, first(t)) }, verify.AggregateMatch, "record 1, sha256 PCR 0-9"},
		{"aggregate of PCR 0 to 7", func(t testing.TB) verify.Evidence {
			h := sha256.New()
			for pcr := range 8 {
				h.Write(fresh(t)[ima.SHA256][pcr])
			}
			return extended(t, entry(t, early, func(e *ima.EventData) { e.Digest.Sum = h.Sum(nil) }))
		}, verify.AggregateShort, "record 1, sha256 PCR 0-7"},
		{"aggregate of another boot", func(t testing.TB) verify.Evidence {
			return extended(t, entry(t, early, nil))
		}, verify.AggregateMismatch, "record 1, sha256 PCR 0-9"},
		{"PCRs of the aggregate not given", func(t testing.TB) verify.Evidence {
			e := extended(t, first(t))
			delete(e.PCRs[ima.SHA256], 3)
			delete(e.PCRs[ima.SHA256], 9)
			return e
		}, verify.AggregateUnchecked, "record 1, sha256 PCR 3, 9"},
		{"aggregate of a hash not known here", func(t testing.TB) verify.Evidence {
			return extended(t, entry(t, early, func(e *ima.EventData) { e.Digest.Algo = ima.Streebog256 }))
		}, verify.AggregateUnchecked, "record 1, streebog256 PCR 0-9"},
		{"firmware measured nothing", func(t testing.TB) verify.Evidence {
			m := newMachine(t)
			for _, bank := range m.Banks() {
				for pcr := range 10 {
					clear(m.pcrs[bank.CryptoID][pcr])
				}
			}
			return m.start(early, true).evidence()
		}, verify.FirmwareUnmeasured, "sha256 PCR 0-7"},
		{"aggregate behind what the PCR vouches for", func(t testing.TB) verify.Evidence {
			e := extended(t, file(t, "/a"))
			e.List = ima.Records([]*ima.Record{file(t, "/a"), first(t)})
			return e
		}, verify.AggregateAfterQuote, "record 2"},
		{"nothing extended", func(t testing.TB) verify.Evidence {
			e := extended(t)
			e.List = ima.Records([]*ima.Record{first(t), file(t, "/a")})
			return e
		}, verify.PCRAtReset, "sha1 PCR 10"},
		{"zero aggregate, no PCR", func(t testing.TB) verify.Evidence {
			return verify.Evidence{List: ima.Records([]*ima.Record{entry(t, early, func(e *ima.EventData) { e.Digest.Sum = make([]byte, 32) })})}
		}, verify.ZeroUnchecked, "record 1, PCR 10"},
		{"one bank differs", func(t testing.TB) verify.Evidence {
			e := extended(t, first(t))
			e.PCRs[ima.SHA1][10][0] ^= 1
			return e
		}, verify.BankMismatch, "sha1 PCR 10"},
		{"banks read one after the other", func(t testing.TB) verify.Evidence {
			e := extended(t, first(t), file(t, "/a"))
			e.PCRs[ima.SHA1] = extended(t, first(t)).PCRs[ima.SHA1]
			return e
		}, verify.BanksDisagree, "sha1 PCR 10"},
		{"sha1 alone", func(t testing.TB) verify.Evidence {
			e := extended(t, first(t))
			delete(e.PCRs[ima.SHA256], 10)
			return e
		}, verify.SHA1Only, "PCR 10"},
		{"bank that cannot be computed", func(t testing.TB) verify.Evidence {
			e := extended(t, first(t))
			e.PCRs[ima.Streebog256] = map[int]ima.Hex{10: make(ima.Hex, 32)}
			return e
		}, verify.BankNotReplayable, "streebog256 PCR 10"},
		{"values of unknown origin", func(t testing.TB) verify.Evidence {
			e := extended(t, first(t))
			e.Vouched = false
			return e
		}, verify.PCRsUnquoted, "PCRs"},
		{"release", func(t testing.TB) verify.Evidence {
			e := newMachine(t).start(early, true).evidence()
			e.Build.Release = "7.3.1"
			return e
		}, verify.KernelVersionDiffers, "record 2"},
		{"kernel_version out of place", func(t testing.TB) verify.Evidence {
			return extended(t, first(t), file(t, "/a"), entry(t, "kernel_version", func(e *ima.EventData) {
				sum := sha256.Sum256([]byte("7.3.0"))
				e.Digest.Sum, e.Buf = sum[:], []byte("7.3.0")
			}))
		}, verify.KernelVersionPlace, "record 3"},
		{"kernel_version first", func(t testing.TB) verify.Evidence {
			return extended(t, entry(t, "kernel_version", func(e *ima.EventData) {
				sum := sha256.Sum256([]byte("7.3.0"))
				e.Digest.Sum, e.Buf = sum[:], []byte("7.3.0")
			}), first(t))
		}, verify.KernelVersionPlace, "record 1"},
		{"records swapped", func(t testing.TB) verify.Evidence {
			e := extended(t, first(t), file(t, "/a"), file(t, "/b"))
			e.List = ima.Records([]*ima.Record{first(t), file(t, "/b"), file(t, "/a")})
			return e
		}, verify.ReplayMismatch, "sha1 PCR 10"},
		{"ima template, O_DIRECT", func(t testing.TB) verify.Evidence { return extended(t, legacy(t, "/a", make(ima.Hex, 20))) }, verify.FileDigestZero, "record 1"},
		{"ima template, newline", func(t testing.TB) verify.Evidence { return extended(t, legacy(t, "/a\nb", sha1Of("a"))) }, verify.NameNewline, "record 1"},
		{"ima template, boot aggregate", func(t testing.TB) verify.Evidence {
			sum, err := ima.CalcBootAggregate(ima.BankOf(ima.SHA1), fresh(t))
			assert.NoError(t, err)
			return extended(t, legacy(t, early, sum))
		}, verify.AggregateMatch, "record 1, sha1 PCR 0-7"},
		{"bound by firmware that measures nothing", func(t testing.TB) verify.Evidence {
			m := newMachine(t)
			for _, bank := range m.Banks() {
				for pcr := range 10 {
					clear(m.pcrs[bank.CryptoID][pcr])
				}
			}
			e := m.start(early, true).evidence()
			e.Build = verify.Build{Strategy: verify.StrategyLate, Bound: true}
			return e
		}, verify.BuildUnbound, "build"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			v := verdict(t, c.evidence(t))
			f := finding(t, v, c.code)
			assert.Equal(t, c.where, f.Where())
			assert.True(t, strings.HasSuffix(f.Text, "."), f.Text)
			if c.code != verify.AggregateMatch {
				assert.NotEqual(t, all, outcomes(t, v))
			}
		})
	}
}
