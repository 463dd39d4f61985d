package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/ima"
)

// sha3Profile is a TPM with banks that go-tpm's table of hashes lacks.
const sha3Profile = `profile sha3
algorithms ECC ECDSA ECDH AES SYMCIPHER CFB HMAC KEYEDHASH KDF1_SP800_56A KDF1_SP800_108
algorithms SHA1 SHA256 SHA384 SHA3_256 SHA3_384 SHA3_512 SHA512
curves NIST_P256
bank SHA3_384
bank SHA256
bank SHA3_256
`

// Banks of SHA-3 are measured into, shown, quoted and verified as others are.
func TestSHA3Banks(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "sha3.profile")
	require.NoError(t, os.WriteFile(profile, []byte(sha3Profile), 0o600))
	out := t.TempDir()
	m := measuredTo(t, out, "--profile="+profile, "--nonce=c0ffee", someFiles(t))
	assert.Equal(t, "of PCR 0-10", m.Quote)
	assert.Len(t, m.PCR10, 3)
	assert.Len(t, m.PCR10[ima.SHA3_384][10], 48)
	assert.FileExists(t, filepath.Join(out, "binary_runtime_measurements_tpm_alg_28"))
	code, said := quoted(t, out, "c0ffee")
	assert.Equal(t, exitOK, code, said)
	assert.Contains(t, said, "quote-verified")
	for _, bank := range []string{"sha256", "sha3-256", "sha3-384"} {
		assert.Regexp(t, bank+" PCR 10: match at record [0-9]+, .*, quoted", said)
	}

	// The quote is of these values: another one in a SHA-3 bank is noticed.
	text, err := os.ReadFile(filepath.Join(out, "pcrs.json"))
	require.NoError(t, err)
	var pcrs ima.PCRs
	require.NoError(t, json.Unmarshal(text, &pcrs))
	pcrs[ima.SHA3_384][3][0] ^= 1
	text, err = json.Marshal(pcrs)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(out, "pcrs.json"), text, 0o600))
	code, said = quoted(t, out, "c0ffee")
	assert.Equal(t, exitRejected, code, said)
	assert.Contains(t, said, "quote-digest")

	d := daemonWith(t, "--flags=startup-clear", "--profile="+profile)
	code, told, errs := called(t, "ctl", "--admin", d.ready.Admin, "--json", "pcrs")
	require.Equal(t, exitOK, code, errs)
	var seen ima.PCRs
	require.NoError(t, json.Unmarshal([]byte(told), &seen))
	assert.Len(t, seen[ima.SHA3_256], 24)
	assert.Len(t, seen[ima.SHA3_384][0], 48)
}
