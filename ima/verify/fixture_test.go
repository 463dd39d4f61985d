package verify_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/json"
	"hash"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// machine is a TPM with banks of sha1 and sha256, and the list of the IMA that
// uses it.
type machine struct {
	t    testing.TB
	pcrs ima.PCRs
	m    *measure.IMA
}

// newMachine has firmware that measured something into PCR 0 to 9.
func newMachine(t testing.TB) *machine {
	m := &machine{t: t, pcrs: ima.PCRs{}}
	for _, bank := range m.Banks() {
		m.pcrs[bank.CryptoID] = map[int]ima.Hex{}
		for pcr := range 24 {
			value := make(ima.Hex, bank.DigestSize)
			if pcr < 10 {
				value[0] = byte(pcr + 1)
			}
			m.pcrs[bank.CryptoID][pcr] = value
		}
	}
	return m
}

func (m *machine) Banks() []ima.Bank {
	return []ima.Bank{ima.BankOf(ima.SHA1), ima.BankOf(ima.SHA256)}
}

func (m *machine) ReadPCR(bank ima.Bank, index int) ([]byte, error) {
	return m.pcrs.ReadPCR(bank, index)
}

func (m *machine) PCRExtend(index int, digests [][]byte) error {
	for i, f := range []func() hash.Hash{sha1.New, sha256.New} {
		bank := m.Banks()[i].CryptoID
		h := f()
		h.Write(m.pcrs[bank][index])
		h.Write(digests[i])
		m.pcrs[bank][index] = h.Sum(nil)
	}
	return nil
}

// start starts an IMA, with the machine's TPM or without one, and with the name
// of the boot aggregate that its kernel chooses.
func (m *machine) start(name string, tpm bool) *machine {
	return m.startAfter(name, tpm, nil)
}

// startAfter is start of a kernel that kexec has started.
func (m *machine) startAfter(name string, tpm bool, kexec []byte) *machine {
	var err error
	kernel, err := measure.KernelByRelease("7.3")
	require.NoError(m.t, err)
	m.m, err = measure.New(measure.Config{
		Kernel: kernel, Template: "ima-sig", CommandLine: "ima_policy=tcb|critical_data",
		Release: "7.3.0", KexecBuffer: kexec,
	})
	require.NoError(m.t, err)
	require.NoError(m.t, m.m.InitAs(name, func() measure.TPM {
		if tpm {
			return m
		}
		return nil
	}))
	return m
}

// exec measures files.
func (m *machine) exec(paths ...string) *machine {
	for _, path := range paths {
		inode := &measure.Inode{
			Superblock: &measure.Superblock{Magic: 0xef53, FSName: "ext4"},
			Mode:       0o100755,
			Content:    func() (io.Reader, error) { return bytes.NewReader([]byte(path)), nil },
		}
		before := m.m.Count()
		m.m.BprmCheck(&measure.File{Inode: inode, Path: path, Read: true}, &measure.Cred{})
		require.Equal(m.t, before+1, m.m.Count(), "%s was not measured", path)
	}
	return m
}

// aggregate records another boot aggregate.
func (m *machine) aggregate(name string) *machine {
	require.NoError(m.t, m.m.AddBootAggregate(name))
	return m
}

// list is the binary list.
func (m *machine) list() []byte {
	list, err := m.m.ReadSecurityFile("binary_runtime_measurements")
	require.NoError(m.t, err)
	return list
}

// evidence is the list and the PCRs as they are now, read by somebody one can
// trust.
func (m *machine) evidence() verify.Evidence {
	pcrs := ima.PCRs{}
	for bank, values := range m.pcrs {
		pcrs[bank] = map[int]ima.Hex{}
		for pcr, value := range values {
			pcrs[bank][pcr] = bytes.Clone(value)
		}
	}
	return verify.Evidence{List: open(m.t, m.list()), PCRs: pcrs, Vouched: true}
}

func (m *machine) records() []*ima.Record {
	records, err := ima.ReadAll(open(m.t, m.list()))
	require.NoError(m.t, err)
	return records
}

func open(t testing.TB, list []byte) ima.RecordReader {
	t.Helper()
	r, err := ima.Open(list, ima.Format{})
	require.NoError(t, err)
	return r
}

func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	return b
}

func readPCRs(t testing.TB, name string) ima.PCRs {
	t.Helper()
	var pcrs ima.PCRs
	require.NoError(t, json.Unmarshal(readFile(t, name), &pcrs))
	return pcrs
}

func verdict(t testing.TB, e verify.Evidence) *verify.Verdict {
	t.Helper()
	v, err := verify.Verify(e)
	require.NoError(t, err)
	return v
}

// codes gives the codes of the findings that are more than notes.
func codes(v *verify.Verdict) []verify.Code {
	var list []verify.Code
	for _, f := range v.Findings {
		if f.Severity > verify.Note {
			list = append(list, f.Code)
		}
	}
	return list
}

// outcomes gives what the built-in policies make of a verdict, in their order.
func outcomes(t testing.TB, v *verify.Verdict) string {
	t.Helper()
	text := ""
	for _, name := range verify.PolicyNames() {
		p, err := verify.PolicyByName(name)
		require.NoError(t, err)
		result := p.Appraise(v)
		require.NotEmpty(t, result.Decided, "%s: %s without a reason", name, result.Outcome)
		text += " " + result.Outcome.String()
	}
	return text[1:]
}

func finding(t testing.TB, v *verify.Verdict, code verify.Code) verify.Finding {
	t.Helper()
	for _, f := range v.Findings {
		if f.Code == code {
			return f
		}
	}
	require.Fail(t, "no finding", "%s in %v", code, v.Findings)
	return verify.Finding{}
}
