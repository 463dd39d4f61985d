package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/wire"
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

// answers is a TPM that always says the same.
type answers []byte

func (a answers) Send(context.Context, uint8, []byte) ([]byte, error) { return a, nil }

// What is no response of a TPM is an error that names the command.
func TestResponsesOfNoTPM(t *testing.T) {
	for name, tc := range map[string]struct{ response, says string }{
		"empty":      {"", "TPM2_GetCapability: the answer is no response of a TPM: 0 bytes"},
		"short":      {"80010000000a00", "7 bytes, which the header does not announce"},
		"refused":    {"80010000000a00000101", "TPM_RC_FAILURE"},
		"tag":        {"80020000000a00000000", "tag 0x8002"},
		"cut":        {"80010000000e0000000000000000", "ends too early"},
		"capability": {"80010000001300000000000000000600000000", "capability 6"},
		"count":      {"800100000013000000000000000005ffffffff", "announces too much"},
		"no bits":    {"800100000016000000000000000005000000010004ff", "ends too early"},
	} {
		response, err := hex.DecodeString(tc.response)
		require.NoError(t, err)
		_, err = readPCRs(t.Context(), answers(response))
		assert.ErrorContains(t, err, tc.says, name)
	}
	_, err := readPCRs(t.Context(), answers{0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0})
	assert.ErrorIs(t, err, wire.RCInitialize)
}

// turns answers one after the other, the last one again and again.
type turns struct{ list [][]byte }

func (s *turns) Send(context.Context, uint8, []byte) ([]byte, error) {
	answer := s.list[0]
	if len(s.list) > 1 {
		s.list = s.list[1:]
	}
	return answer, nil
}

// Whatever a TPM answers, a question ends, with values or with an error.
func FuzzTPMResponses(f *testing.F) {
	banks, _ := hex.DecodeString("800100000019000000000000000005000000010027030f0000")
	read, _ := hex.DecodeString("80010000003e00000000000000010000000100270301000000000001" + "0020" +
		"1111111111111111111111111111111111111111111111111111111111111111")
	f.Add(banks, read)
	f.Add(read, banks)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		_, _ = readPCRs(t.Context(), &turns{[][]byte{first, second}})
		if c, err := newChip(t.Context(), &turns{[][]byte{first, second}}); err == nil {
			_, _ = c.quote(nil, 10)
		}
		if c := (&chip{tpm: client{t.Context(), answers(second)}}); c.nonceMax() > 66 {
			t.Error("longer than any")
		}
		_, _ = publicPEM(second)
	})
}

// The client asks as go-tpm and the emulator's own tests do.
func TestClientReadsAndExtends(t *testing.T) {
	tpm, err := emulator.New(emulator.Platform{}, emulator.Config{})
	require.NoError(t, err)
	require.NoError(t, tpm.Init())
	c := client{t.Context(), tpm}
	_, err = c.banks()
	require.ErrorIs(t, err, wire.RCInitialize)
	_, err = tpm.Send(t.Context(), 0, []byte{0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 0})
	require.NoError(t, err)
	banks, err := c.banks()
	require.NoError(t, err)
	require.Len(t, banks, 4)
	largest, ok := c.property(wire.PTMaxDigest)
	assert.True(t, ok)
	assert.EqualValues(t, 64, largest)
	_, ok = c.property(0x1ff)
	assert.False(t, ok)

	digest := make([]byte, 32)
	require.NoError(t, c.extend(16, []wire.HA{{Hash: wire.AlgSHA256, Digest: digest}}))
	values, err := c.readBank(selected(wire.AlgSHA256, 0, 1, 2, 3, 4, 5, 6, 7, 8, 16, 23))
	require.NoError(t, err)
	assert.Len(t, values, 11)
	assert.Equal(t, "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b", hex.EncodeToString(values[16]))
	assert.Equal(t, digest, values[23])
	assert.ErrorIs(t, c.extend(16, []wire.HA{{Hash: wire.AlgSHA3_256, Digest: digest}}), wire.RCHash)
}
