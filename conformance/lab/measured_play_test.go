package lab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/lab/imatrace"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// traceTo is what a guest runs to stop the trace and write it to the disk for results.
const traceTo = "echo 0 >/sys/kernel/tracing/tracing_on; cat /sys/kernel/tracing/trace >/dev/vdb; sync"

// trace returns the events of the guest up to now, and ends the trace.
func (g *measuredGuest) trace(t *testing.T) []imatrace.Event {
	t.Helper()
	g.run(t, traceTo)
	out, err := os.ReadFile(g.out)
	require.NoError(t, err)
	out = bytes.TrimRight(out, "\x00")
	if dir := os.Getenv("SWTPMD_BOOTS_KEEP"); dir != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-")+".trace"), out, 0o600))
	}
	events, err := imatrace.Parse(bytes.NewReader(out))
	require.NoError(t, err)
	require.NotEmpty(t, events)
	return events
}

// playedTPM is the TPM of an embedded IMA: PCRs that can be extended.
type playedTPM struct {
	banks []ima.Bank
	pcrs  ima.PCRs
	fails func(extend int) error // of the extends, counted from 1
	count int
}

// newPlayedTPM returns a TPM whose PCRs are those of pcrs but for those that IMA extends,
// which are zero.
func newPlayedTPM(pcrs ima.PCRs) *playedTPM {
	p := &playedTPM{pcrs: ima.PCRs{}}
	for _, algo := range []ima.HashAlgo{ima.SHA1, ima.SHA256, ima.SHA384, ima.SHA512} { // the TPM's order
		if pcrs[algo] == nil {
			continue
		}
		p.banks = append(p.banks, ima.BankOf(algo))
		p.pcrs[algo] = map[int]ima.Hex{}
		for i, value := range pcrs[algo] {
			if p.pcrs[algo][i] = value; i >= imaPCR && i < 16 {
				p.pcrs[algo][i] = make(ima.Hex, algo.Size())
			}
		}
	}
	return p
}

func (p *playedTPM) Banks() []ima.Bank { return p.banks }

func (p *playedTPM) ReadPCR(bank ima.Bank, index int) ([]byte, error) {
	return p.pcrs.ReadPCR(bank, index)
}

func (p *playedTPM) PCRExtend(index int, digests [][]byte) error {
	p.count++
	if p.fails != nil {
		if err := p.fails(p.count); err != nil {
			return err
		}
	}
	for i, bank := range p.banks {
		h, err := bank.CryptoID.New()
		if err != nil {
			return err
		}
		h.Write(p.pcrs[bank.CryptoID][index])
		h.Write(digests[i])
		p.pcrs[bank.CryptoID][index] = h.Sum(nil)
	}
	return nil
}

// bootEvents is how a boot is played again.
type bootEvents struct {
	config   *measuredConfig
	policies []string
	versions map[string][]string // contents of files that change, in their order
	fails    func(extend int) error
}

// plays: the embedded IMA, asked as the kernel's was and with a TPM if that had one, writes
// the same list and has the same PCRs.
func (b *measuredBench) plays(t *testing.T, s *snapshot, events []imatrace.Event, how *bootEvents) {
	t.Helper()
	layout, err := b.layout(t.Context())
	require.NoError(t, err)
	release := b.release()
	config := measure.Config{Release: release, CommandLine: how.config.append}
	config.Kernel, err = measure.KernelByRelease(release)
	require.NoError(t, err)
	kconfig, err := os.Open(b.kconfig)
	require.NoError(t, err)
	defer kconfig.Close()
	require.NoError(t, config.ReadKconfig(kconfig))
	m, err := measure.New(config)
	require.NoError(t, err)
	tpm := newPlayedTPM(s.pcrs)
	tpm.fails = how.fails
	require.NoError(t, m.Init(func() measure.TPM {
		if s.bypass {
			return nil
		}
		return tpm
	}))
	p := &imatrace.Player{
		IMA: m, Layout: layout, Policies: how.policies,
		Content: b.contents(t, how),
		Mounts:  map[uint64]string{0x74726163: "/sys/kernel/tracing", 0x9fa0: "/proc", 0x62656572: "/sys", 0x73636673: "/sys/kernel/security"},
	}
	require.NoError(t, p.Play(events))

	list, err := m.ReadSecurityFile("binary_runtime_measurements")
	require.NoError(t, err)
	text, err := m.ReadSecurityFile("ascii_runtime_measurements")
	require.NoError(t, err)
	if !assert.True(t, bytes.Equal(s.list, list), "the same list byte for byte") {
		logDifference(t, string(s.ascii), string(text))
	}
	assert.Equal(t, s.count, strconv.Itoa(m.Count()))
	assert.Equal(t, s.violations, strconv.Itoa(m.Violations()))
	for algo, bank := range s.pcrs {
		for _, pcr := range []int{imaPCR, imaPCR + 1} {
			assert.Equal(t, bank[pcr], tpm.pcrs[algo][pcr], "PCR %d of %s", pcr, algo)
		}
	}
	t.Logf("%d events played: %d records, %d violations, %d extends", len(events), m.Count(), m.Violations(), tpm.count)
}

// logDifference logs where two lists begin to differ.
func logDifference(t *testing.T, kernel, ours string) {
	t.Helper()
	theirs, mine := strings.Split(kernel, "\n"), strings.Split(ours, "\n")
	for i := range max(len(theirs), len(mine)) {
		line := func(lines []string) string {
			if i < len(lines) {
				return lines[i]
			}
			return "(end)"
		}
		if line(theirs) != line(mine) {
			t.Logf("record %d\nkernel: %s\nours:   %s", i+1, line(theirs), line(mine))
			t.Logf("next\nkernel: %s\nours:   %s", strings.Join(theirs[min(i+1, len(theirs)):min(i+4, len(theirs))], "\n        "),
				strings.Join(mine[min(i+1, len(mine)):min(i+4, len(mine))], "\n        "))
			return
		}
	}
}

// layout reads the layout of the kernel's structures once.
func (b *measuredBench) layout(ctx context.Context) (*imatrace.Layout, error) {
	b.layoutOnce.Do(func() { b.layoutRead, b.layoutErr = imatrace.ReadLayout(ctx, b.machine.Kernel) })
	return b.layoutRead, b.layoutErr
}

// contents returns the contents of the root file system's files: of those that change,
// each version has the next of its contents.
func (b *measuredBench) contents(t *testing.T, how *bootEvents) func(string, uint64) ([]byte, error) {
	t.Helper()
	made := b.rootFiles(t, how.config)
	seen := map[string][]uint64{}
	return func(path string, version uint64) ([]byte, error) {
		name := strings.TrimPrefix(path, "/")
		if contents, ok := how.versions[path]; ok {
			return nthContent(path, contents, seen, version)
		}
		if file, ok := made[name]; ok {
			return file, nil
		}
		content, err := os.ReadFile(filepath.Join(b.tree, name))
		if errors.Is(err, fs.ErrNotExist) && !strings.HasPrefix(path, "/usr") {
			return nil, nil // a file of another file system, which IMA cannot read
		}
		return content, err
	}
}

// nthContent returns the content of a version: the first version that is asked for has
// the first content.
func nthContent(path string, contents []string, seen map[string][]uint64, version uint64) ([]byte, error) {
	for i, known := range seen[path] {
		if known == version {
			return []byte(contents[i]), nil
		}
	}
	n := len(seen[path])
	if n == len(contents) {
		return nil, fmt.Errorf("%s has more than %d versions", path, n)
	}
	seen[path] = append(seen[path], version)
	return []byte(contents[n]), nil
}
