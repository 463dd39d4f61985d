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
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// locality0 is a reference as go-tpm wants a TPM.
type locality0 struct{ *reference.SWTPM }

func (l locality0) Send(command []byte) ([]byte, error) {
	return l.SWTPM.Send(context.Background(), 0, command)
}

// hierarchySecrets are the primary seeds and the proof values of libtpms.
type hierarchySecrets struct {
	seeds              map[string][]byte
	storage, endorsing []byte // proof values
}

// secretsOf finds them in the permanent state, which is not encrypted: six sized
// buffers of 64 bytes in a row, the seeds of the endorsement, the storage and the
// platform hierarchy, and the proofs of the platform, the storage and the
// endorsement hierarchy.
func secretsOf(t *testing.T, dir string) hierarchySecrets {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*", "tpm2-00.permall"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	b, err := os.ReadFile(files[0])
	require.NoError(t, err)
	for i := 0; i+6*66 <= len(b); i++ {
		var list [][]byte
		for at := i; len(list) < 6 && b[at] == 0 && b[at+1] == 64; at += 66 {
			list = append(list, b[at+2:at+66])
		}
		if len(list) == 6 {
			return hierarchySecrets{seeds: map[string][]byte{"endorsement": list[0], "owner": list[1], "platform": list[2]},
				storage: list[4], endorsing: list[5]}
		}
	}
	require.Fail(t, "no primary seeds in the state of swtpm")
	return hierarchySecrets{}
}

// startSWTPM gives a new swtpm and what its permanent state holds.
func startSWTPM(t *testing.T) (locality0, hierarchySecrets) {
	t.Helper()
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
	return tpm, secretsOf(t, dir)
}

// TestPrimariesOfSWTPM makes primaries from the random seeds of a new swtpm.
func TestPrimariesOfSWTPM(t *testing.T) {
	t.Parallel()
	tpm, secrets := startSWTPM(t)
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
			g.PrimarySeed = hex.EncodeToString(secrets.seeds[g.Hierarchy])
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

// The seed value of a primary of the endorsement hierarchy depends on the proofs
// of two hierarchies.
func TestSeedValueOfTheEndorsementHierarchy(t *testing.T) {
	t.Parallel()
	tpm, secrets := startSWTPM(t)
	template := tpm2.ECCSRKTemplate
	parent, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(template)}.Execute(tpm)
	require.NoError(t, err)
	g := primary{Template: hex.EncodeToString(tpm2.Marshal(template)), PrimarySeed: hex.EncodeToString(secrets.seeds["endorsement"])}
	t.Log("primary seed", g.PrimarySeed)
	gen := g.generator(t)
	_, _, err = crypt.CurveOf(wire.CurveNISTP256).GenerateKey(gen)
	require.NoError(t, err)
	gen.Stir(secrets.storage)
	gen.Stir(secrets.endorsing)
	seedValue := make([]byte, 32)
	gen.Read(seedValue)
	assert.Contains(t, openChild(t, seedValue, createChild(t, tpm, parent)), sealed)
}
