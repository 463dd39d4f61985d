//go:build linux

package crypt_test

import (
	"context"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/reference"
)

// locality0 is a reference as go-tpm wants a TPM.
type locality0 struct{ *reference.SWTPM }

func (l locality0) Send(command []byte) ([]byte, error) {
	return l.SWTPM.Send(context.Background(), 0, command)
}

// seedsOf finds the three primary seeds in the permanent state of libtpms, which
// is not encrypted: three sized buffers of 64 bytes in a row, of the endorsement,
// the storage and the platform hierarchy.
func seedsOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "tpm2-00.permall"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	b, err := os.ReadFile(files[0])
	require.NoError(t, err)
	sized := func(i int) bool { return b[i] == 0 && b[i+1] == 64 }
	for i := 0; i+3*66 <= len(b); i++ {
		if sized(i) && sized(i+66) && sized(i+132) {
			return map[string][]byte{"endorsement": b[i+2 : i+66], "owner": b[i+68 : i+132], "platform": b[i+134 : i+198]}
		}
	}
	require.Fail(t, "no primary seeds in the state of swtpm")
	return nil
}

// TestPrimariesOfSWTPM makes primaries from the random seeds of a new swtpm.
func TestPrimariesOfSWTPM(t *testing.T) {
	t.Parallel()
	if _, err := exec.LookPath("swtpm"); err != nil {
		t.Skip("no swtpm program in PATH; install the package swtpm")
	}
	dir := t.TempDir()
	device, err := reference.StartSWTPM("swtpm", dir)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, device.Close()) })
	tpm := locality0{device}
	_, err = tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(tpm)
	require.NoError(t, err)
	seeds := seedsOf(t, dir)
	for _, g := range []primary{
		{Name: "EK RSA-2048", Hierarchy: "endorsement", Template: hex.EncodeToString(tpm2.Marshal(tpm2.RSAEKTemplate))},
		{Name: "SRK P-256", Hierarchy: "owner", Template: hex.EncodeToString(tpm2.Marshal(tpm2.ECCSRKTemplate))},
		{Name: "P-384", Hierarchy: "platform", Template: hex.EncodeToString(tpm2.Marshal(eccTemplate(tpm2.TPMECCNistP384, tpm2.TPMAlgSHA384)))},
		{Name: "RSA-3072", Hierarchy: "owner", Template: hex.EncodeToString(tpm2.Marshal(rsaTemplate(3072, 0))), Lineage: crypt.LineageLibtpms},
	} {
		t.Run(g.Name, func(t *testing.T) {
			if testing.Short() && g.Lineage != crypt.LineageReference {
				t.Skip("takes a second")
			}
			g.PrimarySeed = hex.EncodeToString(seeds[g.Hierarchy])
			t.Log("primary seed", g.PrimarySeed)
			public := createOn(t, tpm, g)
			assert.Equal(t, hex.EncodeToString(uniqueOf(t, public)), hex.EncodeToString(g.unique(t, public)))
		})
	}
}

// createOn makes a primary with a TPM.
func createOn(t *testing.T, tpm locality0, g primary) *tpm2.TPMTPublic {
	t.Helper()
	response, err := tpm2.CreatePrimary{
		PrimaryHandle: map[string]tpm2.TPMHandle{"endorsement": tpm2.TPMRHEndorsement, "owner": tpm2.TPMRHOwner, "platform": tpm2.TPMRHPlatform}[g.Hierarchy],
		InPublic:      tpm2.BytesAs2B[tpm2.TPMTPublic](unhex(t, g.Template)),
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: unhex(t, g.Data)}),
		}},
	}.Execute(tpm)
	require.NoError(t, err)
	_, err = tpm2.FlushContext{FlushHandle: response.ObjectHandle}.Execute(tpm)
	require.NoError(t, err)
	public, err := response.OutPublic.Contents()
	require.NoError(t, err)
	return public
}
