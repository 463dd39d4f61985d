//go:build cgo && linux

package crypt_test

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-tpm-tools/simulator"
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
)

var writePrimaries = flag.Bool("write-primaries", false, "write testdata/primaries.json from the simulator")

// simulatorSeeds are the primary seeds that the simulator takes from a number:
// endorsement, storage, platform, 64 bytes each.
func simulatorSeeds(seed int64) (eps, sps, pps []byte) {
	source := rand.New(rand.NewSource(seed))
	seeds := make([]byte, 192)
	source.Read(seeds[:64])
	source.Read(seeds[64:128])
	source.Read(seeds[128:])
	return seeds[:64], seeds[64:128], seeds[128:]
}

func openSimulator(t *testing.T, seed int64) transport.TPM {
	t.Helper()
	s, err := simulator.GetWithFixedSeedInsecure(seed)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return transport.FromReadWriter(s)
}

// TestPrimariesOfTheSimulator makes every primary of the golden file with the
// simulator. Where it is run the file cannot be out of date.
func TestPrimariesOfTheSimulator(t *testing.T) {
	if *writePrimaries {
		writeGolden(t)
	}
	for _, g := range readGolden(t) {
		if g.Lineage != crypt.LineageReference {
			continue // swtpm's, which another test makes
		}
		t.Run(g.Name, func(t *testing.T) {
			require.Equal(t, g.Public, createPrimary(t, g).Public)
		})
	}
}

// createPrimary makes one primary with a new simulator, whose seeds would not
// survive its restart.
func createPrimary(t *testing.T, g primary) primary {
	t.Helper()
	s, err := simulator.GetWithFixedSeedInsecure(g.Seed)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	template := unhex(t, g.Template)
	eps, sps, pps := simulatorSeeds(g.Seed)
	handle := map[string]tpm2.TPMHandle{"endorsement": tpm2.TPMRHEndorsement, "owner": tpm2.TPMRHOwner, "platform": tpm2.TPMRHPlatform}[g.Hierarchy]
	response, err := tpm2.CreatePrimary{
		PrimaryHandle: handle,
		InPublic:      tpm2.BytesAs2B[tpm2.TPMTPublic](template),
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: unhex(t, g.Data)}),
		}},
	}.Execute(transport.FromReadWriter(s))
	require.NoError(t, err)
	g.PrimarySeed = hex.EncodeToString(map[string][]byte{"endorsement": eps, "owner": sps, "platform": pps}[g.Hierarchy])
	g.Public = hex.EncodeToString(response.OutPublic.Bytes())
	if g.Child != nil {
		g.Child = createChild(t, transport.FromReadWriter(s), response)
	}
	return g
}

func writeGolden(t *testing.T) {
	t.Helper()
	var out []primary
	for _, g := range readGolden(t) {
		if g.Lineage != crypt.LineageReference {
			out = append(out, g) // of swtpm, made by hand
		}
	}
	for _, g := range goldenCases() {
		out = append(out, createPrimary(t, g))
		t.Log(g.Name)
	}
	writeJSON(t, goldenFile, out)
}

func writeJSON(t *testing.T, file string, v any) {
	t.Helper()
	b, err := json.MarshalIndent(v, "", "\t")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, append(bytes.TrimSpace(b), '\n'), 0o644))
}

// TestDerivedObjectsOfTheSimulator makes every derived object of the golden file
// with the simulator.
func TestDerivedObjectsOfTheSimulator(t *testing.T) {
	tpm := openSimulator(t, 1)
	var want []derived
	for _, hash := range []tpm2.TPMAlgID{tpm2.TPMAlgSHA1, tpm2.TPMAlgSHA512} {
		for name, template := range map[string]tpm2.TPMTPublic{
			"P-256": derivable(eccTemplate(tpm2.TPMECCNistP256, tpm2.TPMAlgSHA256)),
			"P-384": derivable(eccTemplate(tpm2.TPMECCNistP384, tpm2.TPMAlgSHA256)),
			"P-521": derivable(eccTemplate(tpm2.TPMECCNistP521, tpm2.TPMAlgSHA256)),
			"HMAC":  derivable(hmacTemplate()),
		} {
			want = append(want, derive(t, tpm, name, hash, template))
		}
	}
	slices.SortFunc(want, func(a, b derived) int { return strings.Compare(a.Name, b.Name) })
	if *writePrimaries {
		writeJSON(t, derivedFile, want)
	}
	b, err := os.ReadFile(derivedFile)
	require.NoError(t, err)
	var golden []derived
	require.NoError(t, json.Unmarshal(b, &golden))
	require.Equal(t, want, golden)
}

func derivable(p tpm2.TPMTPublic) tpm2.TPMTPublic {
	p.ObjectAttributes.SensitiveDataOrigin = false
	p.ObjectAttributes.FixedParent, p.ObjectAttributes.FixedTPM = true, false
	if p.Type == tpm2.TPMAlgECC {
		p.ObjectAttributes.Restricted, p.ObjectAttributes.Decrypt, p.ObjectAttributes.SignEncrypt = false, false, true
		parms, err := p.Parameters.ECCDetail()
		if err != nil {
			panic(err)
		}
		p.Parameters = tpm2.NewTPMUPublicParms(tpm2.TPMAlgECC, &tpm2.TPMSECCParms{CurveID: parms.CurveID})
	}
	return p
}

// derive makes a derivation parent with a known secret and a child of it.
func derive(t *testing.T, tpm transport.TPM, name string, hash tpm2.TPMAlgID, template tpm2.TPMTPublic) derived {
	t.Helper()
	d := derived{Name: fmt.Sprintf("%s hash 0x%x", name, uint16(hash)), Hash: uint16(hash), Secret: "the secret of the parent", Label: name + "!"}
	parent, err := tpm2.CreatePrimary{
		PrimaryHandle: tpm2.TPMRHOwner,
		InPublic: tpm2.New2B(tpm2.TPMTPublic{Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{UserWithAuth: true, Restricted: true, Decrypt: true, NoDA: true},
			Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgKeyedHash, &tpm2.TPMSKeyedHashParms{
				Scheme: tpm2.TPMTKeyedHashScheme{Scheme: tpm2.TPMAlgXOR,
					Details: tpm2.NewTPMUSchemeKeyedHash(tpm2.TPMAlgXOR, &tpm2.TPMSSchemeXOR{HashAlg: hash, KDF: tpm2.TPMAlgKDF1SP800108})}}),
		}),
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: []byte(d.Secret)}),
		}},
	}.Execute(tpm)
	require.NoError(t, err)
	context := "context of " + d.Label
	in := tpm2.Marshal(template)
	in = in[:len(in)-map[tpm2.TPMAlgID]int{tpm2.TPMAlgECC: 4, tpm2.TPMAlgKeyedHash: 2}[template.Type]]
	in = append(append(in, 0, byte(len(d.Label))), d.Label...)
	in = append(append(in, 0, byte(len(context))), context...)
	loaded, err := tpm2.CreateLoaded{
		ParentHandle: tpm2.AuthHandle{Handle: parent.ObjectHandle, Name: parent.Name, Auth: tpm2.PasswordAuth(nil)},
		InPublic:     tpm2.TPM2BTemplate{Buffer: in},
	}.Execute(tpm)
	require.NoError(t, err, name)
	d.Public = hex.EncodeToString(loaded.OutPublic.Bytes())
	for _, h := range []tpm2.TPMHandle{parent.ObjectHandle, loaded.ObjectHandle} {
		_, err := tpm2.FlushContext{FlushHandle: h}.Execute(tpm)
		require.NoError(t, err)
	}
	return d
}
