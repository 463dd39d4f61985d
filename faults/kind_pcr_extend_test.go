package faults_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
)

func TestSomebodyElseExtendsAPCR(t *testing.T) {
	t.Parallel()
	digest := bytes.Repeat([]byte{0xA5}, 32)
	client, journal := faulty(t, emulatortest.New(t), "PCR_Extend#2: pcr-extend=10:sha256:"+hex.EncodeToString(digest))
	for range 2 {
		require.NoError(t, extendPCR(client, 10))
	}
	value := make([]byte, 32)
	for _, d := range [][]byte{bytes.Repeat([]byte{2}, 32), digest, bytes.Repeat([]byte{2}, 32)} {
		sum := sha256.Sum256(append(value, d...))
		value = sum[:]
	}
	assert.Equal(t, value, digests(t, client)[tpm2.TPMAlgSHA256][1])
	assert.Equal(t, "PCR 10 was extended with sha256:"+hex.EncodeToString(digest), (*journal)[0].Detail)
}

// Without a digest every bank is extended, always alike for the same seed; and so is a PCR
// for which locality 0 would not do.
func TestSomebodyElseExtendsEveryBank(t *testing.T) {
	t.Parallel()
	run := func() (map[tpm2.TPMAlgID][][]byte, string) {
		client, journal := faulty(t, emulatortest.New(t), "GetRandom#1: pcr-extend=10", "GetRandom#2: pcr-extend=17")
		before := digests(t, client)
		getRandomBytes(t, client)
		getRandomBytes(t, client)
		after := digests(t, client)
		for alg := range before {
			assert.Equal(t, before[alg][0], after[alg][0])
			assert.NotEqual(t, before[alg][1], after[alg][1])
		}
		assert.Regexp(t, "^PCR 17 was extended with sha1:[0-9a-f]{40}, sha256:", (*journal)[1].Detail)
		return after, (*journal)[0].Detail
	}
	after, detail := run()
	again, same := run()
	assert.Equal(t, after, again)
	assert.Equal(t, detail, same)
	assert.Regexp(t, "^PCR 10 was extended with sha1:[0-9a-f]{40}, sha256:[0-9a-f]{64}", detail)
}

// What somebody else cannot do is said, and the command goes its way.
func TestSomebodyElseIsRefused(t *testing.T) {
	t.Parallel()
	client, journal := faulty(t, emulatortest.New(t, emulatortest.WithoutStartup()), "Startup: pcr-extend=10")
	_, err := tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(client)
	require.NoError(t, err)
	assert.Contains(t, (*journal)[0].Detail, "TPM_RC_INITIALIZE")
}

func TestExtendsThatAreNone(t *testing.T) {
	t.Parallel()
	spells(t, "pcr-extend=0", "pcr-extend=23", "pcr-extend=10:sha1:"+hex.EncodeToString(make([]byte, 20)))
	refused(t, "pcr-extend", []string{"", "24", "x", "10:", "10:sha256", "10:sha256:00", "10:md5:00", "10:sha256:xx"},
		faults.PCRExtend{PCR: 24}, faults.PCRExtend{Digest: "x"}, faults.PCRExtend{Bank: "sha1", Digest: "x"})
}
