package verify_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// evmctl runs evmctl of ima-evm-utils with the sha1 and sha256 PCRs given.
func evmctl(t *testing.T, pcrs ima.PCRs, args ...string) (out string, ok bool) {
	t.Helper()
	program, err := exec.LookPath("evmctl")
	if err != nil {
		t.Skip("evmctl is not installed (Debian package ima-evm-utils)")
	}
	dir := t.TempDir()
	for _, bank := range []ima.HashAlgo{ima.SHA1, ima.SHA256} {
		if pcrs[bank] == nil {
			continue
		}
		var text strings.Builder
		for pcr := range 24 {
			value := pcrs[bank][pcr]
			if value == nil {
				value = make(ima.Hex, bank.Size())
			}
			fmt.Fprintf(&text, "PCR-%02d: %s\n", pcr, value)
		}
		name := filepath.Join(dir, bank.String())
		require.NoError(t, os.WriteFile(name, []byte(text.String()), 0o600))
		args = append([]string{args[0], "--pcrs", bank.String() + "," + name}, args[1:]...)
	}
	raw, err := exec.Command(program, append([]string{"-v"}, args...)...).CombinedOutput()
	return string(raw), err == nil
}

// evmctl replays the lists that it can read, of two banks and in the byte order
// of this machine, to the same end and the same record.
func TestEvmctlAgrees(t *testing.T) {
	t.Parallel()
	if ima.NativeOrder() != ima.LittleEndian {
		t.Skip("evmctl reads lists in the byte order of the machine only, and these are little-endian")
	}
	powervm := readFile(t, "powervm_7.1.0-rc1_ima-sig_derived_binary_runtime_measurements.bin")
	records, err := ima.ReadAll(open(t, powervm))
	require.NoError(t, err)
	debian, debianPCRs := readFile(t, "debian-6.1-file.bin"), "debian-6.1-file.pcrs.json"
	for _, c := range []struct {
		name  string
		list  []byte
		pcrs  ima.PCRs
		match bool
	}{
		{"real list", debian, readPCRs(t, debianPCRs), true},
		{"other boot's PCRs", debian, readPCRs(t, "debian-6.1-exec.pcrs.json"), false},
		{"list older than the PCR", debian[:902], readPCRs(t, debianPCRs), false},
		{"swtpm", readFile(t, "quotes/list.bin"), readPCRs(t, "quotes/pcrs.json"), true},
		{"PowerVM, all records", powervm, extended(t, records...).PCRs, true},
		{"PowerVM, 30 records extended", powervm, extended(t, records[:30]...).PCRs, true},
		{"PowerVM, one record left out", powervm, extended(t, append(records[:7:7], records[8:]...)...).PCRs, false},
		{"PowerVM, padded sha1", powervm, ima.PCRs{ima.SHA256: {10: fromHex(t, "cbbdfd112b14f9f560d6ac3045b0694acb9a698904904d1b8821b3bd5a367b81")}}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			pcrs := ima.PCRs{}
			for _, bank := range []ima.HashAlgo{ima.SHA1, ima.SHA256} {
				if values, ok := c.pcrs[bank]; ok {
					pcrs[bank] = values
				}
			}
			name := filepath.Join(t.TempDir(), "list")
			require.NoError(t, os.WriteFile(name, c.list, 0o600))
			out, ok := evmctl(t, pcrs, "ima_measurement", "--ignore-violations", name)
			v, err := verify.Verify(verify.Evidence{List: open(t, c.list), PCRs: pcrs})
			require.NoError(t, err)
			assert.Equal(t, c.match, ok, "evmctl: %s", out)
			assert.Equal(t, c.match, v.Has(verify.ReplayMatch), "%v", codes(v))
			assert.Equal(t, !c.match, v.Has(verify.ReplayMismatch), "%v", codes(v))
			for _, row := range v.Replays {
				if line := fmt.Sprintf("%s PCR-10: succeed at entry %d\n", row.Bank, row.Record); c.match {
					assert.Contains(t, out, line)
				}
			}
		})
	}
}

func TestEvmctlAgreesOnBootAggregates(t *testing.T) {
	t.Parallel()
	pcrs := readPCRs(t, "debian-6.1-file.pcrs.json")
	v := verdict(t, verify.Evidence{List: open(t, readFile(t, "debian-6.1-file.bin")), PCRs: pcrs})
	out, ok := evmctl(t, pcrs, "ima_boot_aggregate")
	require.True(t, ok, out)
	assert.Contains(t, out, "sha256:"+v.Aggregates[0].Expected.String())
	assert.True(t, v.Aggregates[0].Match())
}
