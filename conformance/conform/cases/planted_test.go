package cases_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// planted are faults of an engine, one line each, and the case that finds it.
var planted = []struct{ name, file, right, wrong, finds string }{
	{"an index that is not written is read", "cmd_nv.go", "case !n.Written():\n\t\treturn wire.RCNVUninitialized", "case false:\n\t\treturn wire.RCNVUninitialized",
		"NV_Read of an index that is not written answers TPM_RC_NV_UNINITIALIZED"},
	{"TPMA_NV_WRITEALL is passed over", "cmd_nv.go", "n.Attributes&wire.NVWriteAll != 0 && len(data) < len(n.Data):", "n.Attributes&wire.NVWriteAll != 0 && len(data) == 0:",
		"NV_Write of a part of an index with TPMA_NV_WRITEALL answers TPM_RC_NV_RANGE"},
	{"the owner writes what is locked", "cmd_nv.go", "case n.Attributes&wire.NVWriteLocked != 0:\n\t\treturn wire.RCNVLocked\n\tcase !nvAuthorized(&c.entities[0], n, wire.NVOwnerWrite", "case n.Attributes&wire.NVWriteLocked != 0 && n.Attributes&wire.NVOwnerWrite == 0:\n\t\treturn wire.RCNVLocked\n\tcase !nvAuthorized(&c.entities[0], n, wire.NVOwnerWrite",
		"NV_Write of an index that is locked for writing answers TPM_RC_NV_LOCKED"},
	{"failed tries are counted up to one", "cmd_dictionary_attack.go", "if persistent {\n\t\t\tp.FailedTries++", "if persistent && p.FailedTries == 0 {\n\t\t\tp.FailedTries++",
		"As many failed tries as allowed lock out: TPM_RC_LOCKOUT to the right password"},
	{"a TPM Restart leaves contexts of stClear objects valid", "cmd_startup.go", "case startupRestart:\n\t\tr.ClearCount++\n", "case startupRestart:\n",
		"An object with stClear that was saved cannot be loaded after a TPM Restart"},
	{"the integrity of contexts is not checked", "cmd_context.go", "case !equalSecret(integrity, t.contextIntegrity(ctx, r.Rest())):", "case equalSecret(integrity, nil):",
		"ContextLoad of an object with a flipped bit answers TPM_RC_INTEGRITY for parameter 1"},
	{"a password may have attributes", "session_auth.go", "if s.Attributes&^wire.SessionContinue != 0 {", "if s.Attributes&wire.SessionAudit != 0 {",
		"A password with decrypt answers TPM_RC_ATTRIBUTES for session 1"},
	{"two sessions may encrypt", "session_auth.go", "case !possible, *index != none:", "case !possible:",
		"Two sessions that encrypt answer TPM_RC_ATTRIBUTES for session 2"},
	{"a second authorization may be missing", "session_auth.go", "if c.nSession < authorized {", "if c.nSession == 0 && authorized > 0 {",
		"GetTime with one authorization of two answers TPM_RC_AUTH_MISSING"},
	{"the HMAC key of a bound session has the authorization value twice", "session_auth.go", "s.withAuth = s.loaded.Flags&state.SessionBound == 0 || s.loaded.Bound != t.boundTo(e)", "s.withAuth = true",
		"A session that is bound to an entity authorizes it"},
	{"a sequence is completed with any key", "cmd_signature_sequence.go", "case !key.loaded() || !slices.Equal(keyIdentity(key), sequence.Key):", "case !key.loaded() || keyIdentity(key) == nil:",
		"SignSequenceComplete with another key of the same kind than that of the start answers TPM_RC_SIGN_CONTEXT_KEY for handle 2"},
	{"the context of ML-DSA is passed over", "object_lattice.go", "p, k := &o.public, o.lattice.known()\n\tvar err error", "p, k := &o.public, o.lattice.known()\n\tcontext = nil\n\tvar err error",
		"SignDigest by HashML-DSA-44 and SHA256 with a context of 7 octets gives a signature that verifies"},
	{"the secret of ML-KEM ends with a zero", "cmd_encapsulation.go", "shared, err := k.Decapsulate(ciphertext)\n", "shared, err := k.Decapsulate(ciphertext)\n\tclear(shared[len(shared)-1:])\n",
		"Decapsulate of the client's ciphertext for ML-KEM-768 gives the client's secret"},
}

// The suite finds each of the faults, planted one by one in a copy of the engine.
func TestPlantedFaults(t *testing.T) {
	if os.Getenv("SWTPMD_CONFORM") != "all" {
		t.Skip("SWTPMD_CONFORM is not \"all\": each fault is a build of the engine")
	}
	engine, err := filepath.Abs("../../../emulator")
	require.NoError(t, err)
	for _, fault := range planted {
		t.Run(fault.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(engine, fault.file)
			source, err := os.ReadFile(path)
			require.NoError(t, err)
			require.Equal(t, 1, strings.Count(string(source), fault.right), "%s has the line once", fault.file)
			changed, overlay, binary := filepath.Join(dir, fault.file), filepath.Join(dir, "overlay.json"), filepath.Join(dir, "cases.test")
			require.NoError(t, os.WriteFile(changed, []byte(strings.Replace(string(source), fault.right, fault.wrong, 1)), 0o600))
			words, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(overlay, words, 0o600))
			out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-overlay", overlay, "-o", binary, ".").CombinedOutput()
			require.NoError(t, err, "%s", out)
			out, err = exec.CommandContext(t.Context(), binary, "-test.run", "^TestEmulator$/^(none|v185)$").CombinedOutput()
			require.Error(t, err, "no case fails")
			assert.Contains(t, string(out), fault.finds)
		})
	}
}
