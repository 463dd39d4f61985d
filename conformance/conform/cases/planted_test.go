package cases_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// planted are faults of an engine, one line each, and the case that finds it. In wrong, PLANTED
// reports whether the fault is the one that is on.
var planted = []struct{ name, file, right, wrong, finds string }{
	{"an index that is not written is read", "cmd_nv.go", "case !n.Written():\n\t\treturn wire.RCNVUninitialized", "case !n.Written() && !PLANTED:\n\t\treturn wire.RCNVUninitialized",
		"NV_Read of an index that is not written answers TPM_RC_NV_UNINITIALIZED"},
	{"TPMA_NV_WRITEALL is passed over", "cmd_nv.go", "n.Attributes&wire.NVWriteAll != 0 && len(data) < len(n.Data):", "n.Attributes&wire.NVWriteAll != 0 && len(data) < len(n.Data) && !PLANTED:",
		"NV_Write of a part of an index with TPMA_NV_WRITEALL answers TPM_RC_NV_RANGE"},
	{"the owner writes what is locked", "cmd_nv.go", "case n.Attributes&wire.NVWriteLocked != 0:\n\t\treturn wire.RCNVLocked\n\tcase !nvAuthorized(&c.entities[0], n, wire.NVOwnerWrite", "case n.Attributes&wire.NVWriteLocked != 0 && !(PLANTED && n.Attributes&wire.NVOwnerWrite != 0):\n\t\treturn wire.RCNVLocked\n\tcase !nvAuthorized(&c.entities[0], n, wire.NVOwnerWrite",
		"NV_Write of an index that is locked for writing answers TPM_RC_NV_LOCKED"},
	{"failed tries are counted up to one", "cmd_dictionary_attack.go", "if persistent {\n\t\t\tp.FailedTries++", "if persistent && !(PLANTED && p.FailedTries > 0) {\n\t\t\tp.FailedTries++",
		"As many failed tries as allowed lock out: TPM_RC_LOCKOUT to the right password"},
	{"a TPM Restart leaves contexts of stClear objects valid", "cmd_startup.go", "case startupRestart:\n\t\tr.ClearCount++\n", "case startupRestart:\n\t\tif !PLANTED {\n\t\t\tr.ClearCount++\n\t\t}\n",
		"An object with stClear that was saved cannot be loaded after a TPM Restart"},
	{"the integrity of contexts is not checked", "cmd_context.go", "case !equalSecret(integrity, t.contextIntegrity(ctx, r.Rest())):", "case !PLANTED && !equalSecret(integrity, t.contextIntegrity(ctx, r.Rest())):",
		"ContextLoad of an object with a flipped bit answers TPM_RC_INTEGRITY for parameter 1"},
	{"a password may have attributes", "session_auth.go", "if s.Attributes&^wire.SessionContinue != 0 {", "if s.Attributes&^wire.SessionContinue != 0 && !(PLANTED && s.Attributes&wire.SessionAudit == 0) {",
		"A password with decrypt answers TPM_RC_ATTRIBUTES for session 1"},
	{"two sessions may encrypt", "session_auth.go", "case !possible, *index != none:", "case !possible, *index != none && !PLANTED:",
		"Two sessions that encrypt answer TPM_RC_ATTRIBUTES for session 2"},
	{"a second authorization may be missing", "session_auth.go", "if c.nSession < authorized {", "if c.nSession < authorized && !(PLANTED && c.nSession > 0) {",
		"GetTime with one authorization of two answers TPM_RC_AUTH_MISSING"},
	{"the HMAC key of a bound session has the authorization value twice", "session_auth.go", "s.withAuth = s.loaded.Flags&state.SessionBound == 0 || s.loaded.Bound != t.boundTo(e)", "s.withAuth = PLANTED || s.loaded.Flags&state.SessionBound == 0 || s.loaded.Bound != t.boundTo(e)",
		"A session that is bound to an entity authorizes it"},
	{"a sequence is completed with any key", "cmd_signature_sequence.go", "case !key.loaded() || !slices.Equal(keyIdentity(key), sequence.Key):", "case !key.loaded() || !PLANTED && !slices.Equal(keyIdentity(key), sequence.Key):",
		"SignSequenceComplete with another key of the same kind than that of the start answers TPM_RC_SIGN_CONTEXT_KEY for handle 2"},
	{"the context of ML-DSA is passed over", "object_lattice.go", "p, k := &o.public, o.lattice.known()\n\tvar err error", "p, k := &o.public, o.lattice.known()\n\tif PLANTED {\n\t\tcontext = nil\n\t}\n\tvar err error",
		"SignDigest by HashML-DSA-44 and SHA256 with a context of 7 octets gives a signature that verifies"},
	{"Ed448ph hashes with SHA512", "object_montgomery.go", "return crypt.Digest(o.eddsaCurve().Hash, nil, message)", "if PLANTED {\n\t\t\treturn crypt.Digest(wire.AlgSHA512, nil, message)\n\t\t}\n\t\treturn crypt.Digest(o.eddsaCurve().Hash, nil, message)",
		"PolicySigned with a signature by Ed448ph makes the digest that the client computes"},
	{"the product of X448 has a flipped bit", "object_montgomery.go", "z, err := m.Exchange(private, p.X)\n", "z, err := m.Exchange(private, p.X)\n\tif PLANTED && len(z) == 56 {\n\t\tz[0] ^= 1\n\t}\n",
		"ECDH_ZGen with an X448 key gives the product of point and key"},
	{"the secret of ML-KEM ends with a zero", "cmd_encapsulation.go", "shared, err := k.Decapsulate(ciphertext)\n", "shared, err := k.Decapsulate(ciphertext)\n\tif PLANTED && err == nil {\n\t\tclear(shared[len(shared)-1:])\n\t}\n",
		"Decapsulate of the client's ciphertext for ML-KEM-768 gives the client's secret"},
}

// whichPlanted is a file of the engine that has the number of the fault that is on, from 1 on.
const whichPlanted = `package emulator

import (
	"os"
	"strconv"
)

var planted, _ = strconv.Atoi(os.Getenv("SWTPMD_PLANTED"))
`

// The suite finds each of the faults, planted in a copy of the engine that has them all and that
// no case fails on while none is on.
func TestPlantedFaults(t *testing.T) {
	if os.Getenv("SWTPMD_CONFORM") != "all" {
		t.Skip("SWTPMD_CONFORM is not \"all\": each fault is a run of all cases")
	}
	suite := withFaults(t)
	for i, fault := range planted {
		t.Run(fault.name, func(t *testing.T) {
			out, err := suite(i + 1)
			require.Error(t, err, "no case fails")
			assert.Contains(t, out, fault.finds)
		})
	}
	out, err := suite(0)
	assert.NoError(t, err, "%s", out)
}

// withFaults builds the engine with all faults and returns a function that runs the cases while
// one is on.
func withFaults(t *testing.T) func(on int) (out string, err error) {
	t.Helper()
	engine, err := filepath.Abs("../../../emulator")
	require.NoError(t, err)
	dir := t.TempDir()
	sources := map[string]string{"planted_fault.go": whichPlanted}
	for i, fault := range planted {
		source, changed := sources[fault.file]
		if !changed {
			data, err := os.ReadFile(filepath.Join(engine, fault.file))
			require.NoError(t, err)
			source = string(data)
		}
		require.Equal(t, 1, strings.Count(source, fault.right), "%s has the line of %q once", fault.file, fault.name)
		wrong := strings.ReplaceAll(fault.wrong, "PLANTED", fmt.Sprintf("(planted == %d)", i+1))
		sources[fault.file] = strings.Replace(source, fault.right, wrong, 1)
	}
	overlay := map[string]string{}
	for name, source := range sources {
		overlay[filepath.Join(engine, name)] = filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(source), 0o600))
	}
	words, err := json.Marshal(map[string]any{"Replace": overlay})
	require.NoError(t, err)
	list, binary := filepath.Join(dir, "overlay.json"), filepath.Join(dir, "cases.test")
	require.NoError(t, os.WriteFile(list, words, 0o600))
	out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", list, "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	return func(on int) (string, error) {
		cmd := exec.CommandContext(t.Context(), binary, "-test.run", "^TestEmulator$/^(none|v185)$")
		cmd.Env = append(os.Environ(), fmt.Sprintf("SWTPMD_PLANTED=%d", on), "SWTPMD_CONFORM=")
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
}
