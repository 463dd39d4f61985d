package measure_test

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// fakeTPM is a TPM that has PCRs and nothing else.
type fakeTPM struct {
	mu      sync.Mutex
	banks   []ima.Bank
	pcrs    ima.PCRs
	extends int
	fail    error // what PCRExtend answers
}

var fakeHashes = map[ima.HashAlgo]func() hash.Hash{
	ima.SHA1: sha1.New, ima.SHA256: sha256.New, ima.SHA384: sha512.New384, ima.SHA512: sha512.New,
}

func newFakeTPM(algos ...ima.HashAlgo) *fakeTPM {
	f := &fakeTPM{pcrs: ima.PCRs{}}
	for _, a := range algos {
		f.banks = append(f.banks, ima.BankOf(a))
		f.pcrs[a] = map[int]ima.Hex{}
		for i := range 24 {
			f.pcrs[a][i] = make([]byte, a.Size())
		}
	}
	return f
}

func (f *fakeTPM) Banks() []ima.Bank { return f.banks }

func (f *fakeTPM) ReadPCR(bank ima.Bank, index int) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.pcrs.ReadPCR(bank, index)
}

func (f *fakeTPM) PCRExtend(index int, digests [][]byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.extends++
	if f.fail != nil {
		return f.fail
	}
	if len(digests) != len(f.banks) {
		return errors.New("one digest for each bank")
	}
	for i, b := range f.banks {
		if len(digests[i]) != b.DigestSize {
			return errors.New("digest size")
		}
		h := fakeHashes[b.CryptoID]()
		h.Write(f.pcrs[b.CryptoID][index])
		h.Write(digests[i])
		f.pcrs[b.CryptoID][index] = h.Sum(nil)
	}
	return nil
}

func (f *fakeTPM) lookup() measure.TPM { return f }

func noTPM() measure.TPM { return nil }

func kernel(t testing.TB, release string) measure.Kernel {
	t.Helper()
	k, err := measure.KernelByRelease(release)
	require.NoError(t, err)
	return k
}

// debian is the Kconfig of Debian's 6.1 kernel.
func debian(t testing.TB, commandLine string) measure.Config {
	return measure.Config{
		Kernel:      kernel(t, "6.1"),
		Template:    "ima-sig",
		Unavailable: []ima.HashAlgo{ima.SHA384, ima.SHA512},
		Release:     "6.1.0-56-amd64",
		CommandLine: commandLine,
	}
}

type logLines struct {
	mu    sync.Mutex
	lines []string
}

func (l *logLines) log(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, line)
}

// start boots a kernel's IMA with the TPM, nil for none.
func start(t testing.TB, config measure.Config, tpm *fakeTPM) *measure.IMA {
	t.Helper()
	m, err := measure.New(config)
	require.NoError(t, err)
	lookup := noTPM
	if tpm != nil {
		lookup = tpm.lookup
	}
	require.NoError(t, m.Init(lookup))
	return m
}

var ext4 = &measure.Superblock{Magic: 0xef53, FSName: "ext4", IVersion: true}

// file makes an open file of root with content.
func file(path, content string) *measure.File {
	inode := &measure.Inode{Superblock: ext4, Mode: 0o100755, Version: 1}
	inode.Content = func() (io.Reader, error) { return strings.NewReader(content), nil }
	return &measure.File{Inode: inode, Path: path, Read: true}
}

func openWrite(f *measure.File) *measure.File {
	return &measure.File{Inode: f.Inode, Path: f.Path, Write: true}
}

var rootCred = &measure.Cred{CapSetUID: true, CapSetGID: true}

func names(m *measure.IMA) (list []string) {
	for _, r := range m.Records() {
		name := r.Name()
		if r.Violation() {
			name += "!"
		}
		list = append(list, name)
	}
	return list
}

// assertConsistent replays the list against the TPM's PCRs.
func assertConsistent(t testing.TB, m *measure.IMA, tpm *fakeTPM) {
	t.Helper()
	list, err := m.ReadSecurityFile("binary_runtime_measurements")
	require.NoError(t, err)
	r, err := ima.NewBinaryReader(bytes.NewReader(list), ima.Format{})
	require.NoError(t, err)
	c, err := ima.Compare(r, tpm.pcrs)
	require.NoError(t, err)
	for _, b := range c.Banks {
		match, ok := b.Match()
		assert.True(t, ok, "%s PCR %d", b.Bank, b.PCR)
		assert.Equal(t, c.Records, match.MatchedAt)
	}
	assert.Empty(t, c.Damaged)
}

// readFile reads a file of the lists' testdata.
func readFile(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../testdata", name))
	require.NoError(t, err)
	return b
}

func readBinary(t testing.TB, list []byte, format ima.Format) []*ima.Record {
	t.Helper()
	r, err := ima.NewBinaryReader(bytes.NewReader(list), format)
	require.NoError(t, err)
	records, err := ima.ReadAll(r)
	require.NoError(t, err)
	return records
}

func debianPCRs(t testing.TB, name string) (pcrs ima.PCRs) {
	t.Helper()
	require.NoError(t, json.Unmarshal(readFile(t, "lists/debian-6.1-"+name+".pcrs.json"), &pcrs))
	require.Len(t, pcrs, 4)
	return pcrs
}
