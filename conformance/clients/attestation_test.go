package clients_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/sha256"
	"os"
	"sync"
	"testing"

	"github.com/google/go-attestation/attest"
	legacy "github.com/google/go-tpm/legacy/tpm2"
	"github.com/google/go-tpm/tpmutil"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
)

// opened is a TPM as go-attestation sees it.
func opened(t *testing.T, channel *emulatortest.Channel) *attest.TPM {
	t.Helper()
	tpm, err := attest.OpenTPM(&attest.OpenConfig{CommandChannel: channel})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, tpm.Close()) })
	return tpm
}

func newAK(t *testing.T, tpm *attest.TPM, algorithm attest.Algorithm) *attest.AK {
	t.Helper()
	ak, err := tpm.NewAK(&attest.AKConfig{Algorithm: algorithm})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, ak.Close(tpm)) })
	return ak
}

// TestAttestationKeys makes an attestation key, proves that it is in the TPM with
// the endorsement key, and loads it again from what was written down.
func TestAttestationKeys(t *testing.T) {
	each(t, func(t *testing.T, channel *emulatortest.Channel) {
		tpm := opened(t, channel)
		info, err := tpm.Info()
		require.NoError(t, err)
		assert.NotEmpty(t, info.VendorInfo)
		eks, err := tpm.EKs()
		require.NoError(t, err)
		require.NotEmpty(t, eks)
		for name, algorithm := range map[string]attest.Algorithm{"RSA": attest.RSA, "ECC": attest.ECDSA} {
			t.Run(name, func(t *testing.T) {
				ak := newAK(t, tpm, algorithm)
				activation := attest.ActivationParameters{EK: eks[0].Public, AK: ak.AttestationParameters()}
				secret, challenge, err := activation.Generate()
				require.NoError(t, err)
				got, err := ak.ActivateCredentialWithEK(tpm, *challenge, eks[0])
				require.NoError(t, err)
				assert.Equal(t, secret, got)

				written, err := ak.Marshal()
				require.NoError(t, err)
				again, err := tpm.LoadAK(written)
				require.NoError(t, err)
				assert.Equal(t, ak.AttestationParameters().Public, again.AttestationParameters().Public)
				require.NoError(t, again.Close(tpm))
			})
		}
	})
}

// TestAttestPlatform quotes all banks with an event log that explains them.
func TestAttestPlatform(t *testing.T) {
	each(t, func(t *testing.T, channel *emulatortest.Channel) {
		log, err := os.ReadFile("../../ima/verify/testdata/quotes/eventlog.bin")
		require.NoError(t, err)
		channel.Log = log
		tpm := opened(t, channel)
		replay(t, channel, log)
		ak := newAK(t, tpm, attest.ECDSA)
		nonce := []byte("nonce")
		platform, err := tpm.AttestPlatform(ak, nonce, nil)
		require.NoError(t, err)

		public, err := attest.ParseAKPublic(platform.Public)
		require.NoError(t, err)
		require.NoError(t, public.VerifyAll(platform.Quotes, platform.PCRs, nonce))
		assert.Error(t, public.VerifyAll(platform.Quotes, platform.PCRs, []byte("another")))
		events, err := attest.ParseEventLog(platform.EventLog)
		require.NoError(t, err)
		explained, err := events.Verify(only(platform.PCRs, crypto.SHA256))
		require.NoError(t, err)
		assert.NotEmpty(t, explained)

		extend(t, channel, 4, "in no log")
		pcrs, err := tpm.PCRs(attest.HashSHA256)
		require.NoError(t, err)
		_, err = events.Verify(pcrs)
		assert.Error(t, err)
	})
}

// replay measures what an event log has.
func replay(t *testing.T, channel *emulatortest.Channel, log []byte) {
	t.Helper()
	events, err := attest.ParseEventLog(log)
	require.NoError(t, err)
	measured := events.Events(attest.HashSHA256)
	require.NotEmpty(t, measured)
	for _, event := range measured {
		require.NoError(t, legacy.PCRExtend(channel, tpmutil.Handle(event.Index), legacy.AlgSHA256, event.Digest, ""))
	}
}

func only(pcrs []attest.PCR, algorithm crypto.Hash) []attest.PCR {
	var some []attest.PCR
	for _, pcr := range pcrs {
		if pcr.DigestAlg == algorithm {
			some = append(some, pcr)
		}
	}
	return some
}

// newKeys is held while go-attestation makes a key: it writes the template's curve
// to a variable that all its TPMs share (attest/wrapped_tpm20.go, ecdsaKeyTemplate).
var newKeys sync.Mutex

// TestApplicationKeys has an attestation key vouch for another key, which signs.
func TestApplicationKeys(t *testing.T) {
	each(t, func(t *testing.T, channel *emulatortest.Channel) {
		tpm := opened(t, channel)
		ak := newAK(t, tpm, attest.ECDSA)
		newKeys.Lock()
		key, err := tpm.NewKey(ak, &attest.KeyConfig{Algorithm: attest.ECDSA, Size: 256})
		newKeys.Unlock()
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, key.Close()) })
		parameters := key.CertificationParameters()
		require.NoError(t, parameters.Verify(attest.VerifyOpts{Public: ak.Public(), Hash: crypto.SHA256}))

		private, err := key.Private(key.Public())
		require.NoError(t, err)
		digest := sha256.Sum256([]byte("message"))
		signature, err := private.(crypto.Signer).Sign(nil, digest[:], crypto.SHA256)
		require.NoError(t, err)
		assert.True(t, ecdsa.VerifyASN1(key.Public().(*ecdsa.PublicKey), digest[:], signature))
	})
}
