package faults_test

import (
	"encoding/hex"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/transport"
)

// primary creates a primary key and returns its handle and its Name.
func primary(t *testing.T, client emulatortest.Client, hierarchy tpm2.TPMHandle, template tpm2.TPMTPublic) (tpm2.TPMHandle, string) {
	t.Helper()
	created, err := tpm2.CreatePrimary{PrimaryHandle: hierarchy, InPublic: tpm2.New2B(template)}.Execute(client)
	require.NoError(t, err)
	public, err := created.OutPublic.Contents()
	require.NoError(t, err)
	name, err := tpm2.ObjectName(public)
	require.NoError(t, err)
	assert.Equal(t, created.Name.Buffer, name.Buffer, "the Name is that of the public area")
	assert.Equal(t, template.ObjectAttributes, public.ObjectAttributes)
	return created.ObjectHandle, hex.EncodeToString(name.Buffer)
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	var journal told
	tpm := emulatortest.New(t)
	d := wrap(t, tpm.TPM, faults.Plan{Rules: rules(t, "ReadClock#1: identity"), Journal: journal.tell})
	client := emulatortest.Client{TPM: d}
	flush := func(h tpm2.TPMHandle) {
		_, err := tpm2.FlushContext{FlushHandle: h}.Execute(client)
		require.NoError(t, err)
	}
	name := func(hierarchy tpm2.TPMHandle, template tpm2.TPMTPublic) string {
		h, name := primary(t, client, hierarchy, template)
		flush(h)
		return name
	}
	null, owner := name(tpm2.TPMRHNull, tpm2.ECCSRKTemplate), name(tpm2.TPMRHOwner, tpm2.ECCSRKTemplate)
	handle, _ := primary(t, client, tpm2.TPMRHNull, tpm2.ECCSRKTemplate)
	saved, err := tpm2.ContextSave{SaveHandle: handle}.Execute(client)
	require.NoError(t, err)
	flush(handle)
	load := func(context tpm2.TPMSContext) error {
		loaded, err := tpm2.ContextLoad{Context: context}.Execute(client)
		if err == nil {
			flush(loaded.LoadedHandle)
		}
		return err
	}
	require.NoError(t, load(saved.Context))
	pcr0 := pcr(t, client, 0)

	_, err = tpm2.ReadClock{}.Execute(client) // the chip is another one from here on
	require.NoError(t, err)
	other := name(tpm2.TPMRHNull, tpm2.ECCSRKTemplate)
	assert.NotEqual(t, null, other)
	assert.Equal(t, other, name(tpm2.TPMRHNull, tpm2.ECCSRKTemplate), "it is one other TPM")
	assert.Equal(t, owner, name(tpm2.TPMRHOwner, tpm2.ECCSRKTemplate))
	assert.Equal(t, pcr0, pcr(t, client, 0))
	require.ErrorIs(t, load(saved.Context), tpm2.TPMRCIntegrity)
	handle, _ = primary(t, client, tpm2.TPMRHNull, tpm2.ECCSRKTemplate)
	again, err := tpm2.ContextSave{SaveHandle: handle}.Execute(client)
	require.NoError(t, err)
	flush(handle)
	require.NoError(t, load(again.Context), "what the other TPM has saved, it loads")
	require.ErrorIs(t, load(saved.Context), tpm2.TPMRCIntegrity)

	outcomes := map[faults.Outcome]int{}
	for _, decision := range journal {
		outcomes[decision.Outcome]++
	}
	assert.Equal(t, 3, outcomes[faults.Changed], "primary keys under TPM_RH_NULL")
	assert.Equal(t, 2, outcomes[faults.Answered], "contexts")

	power, ok := transport.As[transport.Power](d)
	require.True(t, ok)
	require.NoError(t, power.Init())
	_, err = tpm2.Startup{StartupType: tpm2.TPMSUClear}.Execute(client)
	require.NoError(t, err)
	before := len(journal)
	name(tpm2.TPMRHNull, tpm2.ECCSRKTemplate)
	assert.Len(t, journal, before, "Init ends it")
}

// A symmetric key has another Name too.
func TestIdentityOfOtherTypes(t *testing.T) {
	t.Parallel()
	tpm := emulatortest.New(t)
	symmetric := tpm2.TPMTPublic{
		Type: tpm2.TPMAlgSymCipher, NameAlg: tpm2.TPMAlgSHA256,
		ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, SensitiveDataOrigin: true, UserWithAuth: true, Decrypt: true},
		Parameters: tpm2.NewTPMUPublicParms(tpm2.TPMAlgSymCipher, &tpm2.TPMSSymCipherParms{Sym: tpm2.TPMTSymDefObject{
			Algorithm: tpm2.TPMAlgAES, KeyBits: tpm2.NewTPMUSymKeyBits(tpm2.TPMAlgAES, tpm2.TPMKeyBits(128)), Mode: tpm2.NewTPMUSymMode(tpm2.TPMAlgAES, tpm2.TPMAlgCFB),
		}}),
	}
	d := wrap(t, tpm.TPM, faults.Plan{Rules: rules(t, "*: identity")})
	for _, template := range []tpm2.TPMTPublic{symmetric, tpm2.ECCSRKTemplate} {
		_, plain := primary(t, tpm.Client(), tpm2.TPMRHNull, template)
		h, other := primary(t, emulatortest.Client{TPM: d}, tpm2.TPMRHNull, template)
		assert.NotEqual(t, plain, other)
		_, err := tpm2.FlushContext{FlushHandle: h}.Execute(tpm.Client())
		require.NoError(t, err)
	}
	refused(t, "identity", []string{"x"})
	refused(t, "hmac", []string{"x"})
	refused(t, "nonce", []string{"x"})
}
