package emulator_test

import (
	"bytes"
	"crypto/rand"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func init() { packetLists = append(packetLists, credentialPackets) }

// credential is for the tests of credentials.
var credential = []byte("credential, as long as a SHA-256")

func credentialPackets() []packet {
	key := eccStorage()
	blob, secret := createCredential(key, hmacKey().name())
	return []packet{
		{name: "MakeCredential", code: wire.CCMakeCredential, bytes: makeCredential(credential, key.name()), before: [][]byte{loadExternalPublic(key, wire.RHNull)}},
		{name: "ActivateCredential", code: wire.CCActivateCredential, state: planting(hmacKey(), key),
			bytes: activateCredential(blob, secret)},
	}
}

func makeCredential(credential, name []byte) []byte {
	return et.Command(wire.CCMakeCredential, handles{object}, nil, et.Sized(credential), et.Sized(name))
}

// activateCredential is TPM2_ActivateCredential for the object in the first
// slot, with the key in the second.
func activateCredential(blob, secret []byte) []byte {
	return et.Command(wire.CCActivateCredential, handles{object, object + 1}, [][]byte{nil, nil}, et.Sized(blob), et.Sized(secret))
}

// What TPM2_MakeCredential makes is opened by the standard library with the
// private part of the key.
func TestMakeCredential(t *testing.T) {
	t.Parallel()
	for name, key := range storageKeys() {
		for _, value := range [][]byte{credential, []byte("c"), nil} {
			tpm := et.New(t)
			require.Equal(t, wire.RCSuccess, send(t, tpm, loadExternalPublic(key, wire.RHOwner)))
			made, err := tpm2.MakeCredential{
				Handle:     tpm2.TPMHandle(object),
				Credential: tpm2.TPM2BDigest{Buffer: value},
				ObjectName: tpm2.TPM2BName{Buffer: hmacKey().name()},
			}.Execute(tpm.Client())
			require.NoError(t, err, name)
			seed := openSecret(t, key, "IDENTITY", made.Secret.Buffer)
			assert.Equal(t, et.Sized(value), openOuter(t, seed, hmacKey().name(), made.CredentialBlob.Buffer), name)
		}
	}
}

// A credential that go-tpm makes is activated, and only for the object that it
// was made for.
func TestActivateCredential(t *testing.T) {
	t.Parallel()
	for name, key := range storageKeys() {
		tpm := withKeys(t, hmacKey(), key.withAuth("key"), sealed("another object"))
		blob, secret := createCredential(key, hmacKey().name())
		activate := func(handle wire.Handle, k testKey) (*tpm2.ActivateCredentialResponse, error) {
			return tpm2.ActivateCredential{
				ActivateHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(handle), Name: tpm2.TPM2BName{Buffer: k.name()}, Auth: tpm2.HMAC(tpm2.TPMAlgSHA256, 16)},
				KeyHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(object + 1), Name: tpm2.TPM2BName{Buffer: key.name()},
					Auth: tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Auth([]byte("key")), tpm2.AESEncryption(128, tpm2.EncryptInOut))},
				CredentialBlob: tpm2.TPM2BIDObject{Buffer: blob},
				Secret:         tpm2.TPM2BEncryptedSecret{Buffer: secret},
			}.Execute(tpm.Client())
		}
		rsp, err := activate(object, hmacKey())
		require.NoError(t, err, name)
		assert.Equal(t, credential, rsp.CertInfo.Buffer, name)
		_, err = activate(object+2, sealed("another object"))
		assert.ErrorIs(t, err, tpm2.TPMRCIntegrity, name)
	}
}

func TestMakeCredentialRefuses(t *testing.T) {
	t.Parallel()
	sha1 := change(eccStorage(), func(k *testKey) { k.public.NameAlg = wire.AlgSHA1 })
	smallRSA := func(nameAlg wire.AlgID) testKey {
		return change(rsaStorage(), func(k *testKey) {
			k.public.NameAlg, k.public.Parms.KeyBits = nameAlg, 1024
			k.public.Unique = k.public.Unique[128:]
			k.public.Unique[0] |= 0x80
		})
	}
	for name, tc := range map[string]struct {
		key     testKey
		command []byte
		want    wire.RC
	}{
		"signing key":          {eccSigning(), makeCredential(credential, nil), wire.RCType.Handle(1)},
		"decryption key":       {rsaDecrypting(), makeCredential(credential, nil), wire.RCType.Handle(1)},
		"symmetric key":        {symmetricStorage(), makeCredential(credential, nil), wire.RCType.Handle(1)},
		"key without nameAlg":  {change(eccStorage(), func(k *testKey) { k.public.NameAlg = wire.AlgNull }), makeCredential(nil, nil), wire.RCType.Handle(1)},
		"longer than a digest": {sha1, makeCredential(credential[:21], nil), wire.RCSize.Parameter(1)},
		"as long as a digest":  {sha1, makeCredential(credential[:20], nil), wire.RCSuccess},
		"longest Name":         {eccStorage(), makeCredential(nil, make([]byte, 66)), wire.RCSuccess},
		"longer Name":          {eccStorage(), makeCredential(nil, make([]byte, 67)), wire.RCSize.Parameter(2)},
		"no room for OAEP":     {smallRSA(wire.AlgSHA512), makeCredential(nil, nil), wire.RCHash},
		"no room for a secret": {smallRSA(wire.AlgSHA384), makeCredential(nil, nil), wire.RCValue},
	} {
		tpm := et.New(t)
		require.Equal(t, wire.RCSuccess, send(t, tpm, loadExternalPublic(tc.key, wire.RHNull)), name)
		assert.Equal(t, tc.want, send(t, tpm, tc.command), name)
	}
	for name, k := range map[string]testKey{
		"key that signs too":          change(eccStorage(), func(k *testKey) { k.public.Attributes |= wire.ObjectSignEncrypt }),
		"key that protects with none": change(eccStorage(), func(k *testKey) { k.public.Parms.Sym = noSym }),
	} {
		assert.Equal(t, wire.RCType.Handle(1), send(t, withKeys(t, k), makeCredential(nil, nil)), name)
	}
	tpm := et.New(t)
	loadSequence(t, tpm, wire.AlgSHA256)
	assert.Equal(t, wire.RCType.Handle(1), send(t, tpm, makeCredential(nil, nil)), "a sequence")
}

func TestActivateCredentialRefuses(t *testing.T) {
	t.Parallel()
	key, name := eccStorage(), hmacKey().name()
	good, secret := createCredential(key, name)
	seed := openSecret(t, key, "IDENTITY", secret)
	around := func(plain ...byte) []byte { return closeOuter(t, seed, name, plain) }
	_, rsaSecret := createCredential(rsaStorage(), name)
	_, salt, err := tpm2.CreateDuplicate(rand.Reader, encapsulationKey(rsaStorage()), name, nil)
	require.NoError(t, err)
	damaged := bytes.Clone(secret)
	damaged[len(damaged)-1] ^= 1
	larger := slices.Repeat([]byte{0xFF}, 256)

	for text, tc := range map[string]struct {
		key          testKey
		blob, secret []byte
		want         wire.RC
	}{
		"good":                    {key, good, secret, wire.RCSuccess},
		"not a storage key":       {eccECDH(), good, secret, wire.RCType.Handle(2)},
		"symmetric storage key":   {symmetricStorage(), good, secret, wire.RCType.Handle(2)},
		"secret is empty":         {key, good, nil, wire.RCInsufficient.Parameter(2)},
		"secret is cut":           {key, good, secret[:67], wire.RCInsufficient.Parameter(2)},
		"secret is no point":      {key, good, append([]byte{0, 81}, make([]byte, 83)...), wire.RCSize.Parameter(2)},
		"secret is not on curve":  {key, good, damaged, wire.RCECCPoint.Parameter(2)},
		"secret before the blob":  {key, nil, damaged, wire.RCECCPoint.Parameter(2)},
		"RSA secret is cut":       {rsaStorage(), good, rsaSecret[1:], wire.RCSize.Parameter(2)},
		"RSA secret is too large": {rsaStorage(), good, larger, wire.RCSize.Parameter(2)},
		"RSA secret is another's": {rsaStorage(), good, salt, wire.RCValue.Parameter(2)},
		"blob of another secret":  {rsaStorage(), good, rsaSecret, wire.RCIntegrity.Parameter(1)},
		"blob is empty":           {key, nil, secret, wire.RCInsufficient.Parameter(1)},
		"blob is cut":             {key, good[:33], secret, wire.RCInsufficient.Parameter(1)},
		"blob is shorter":         {key, good[:len(good)-1], secret, wire.RCIntegrity.Parameter(1)},
		"blob is too long":        {key, make([]byte, 133), secret, wire.RCSize.Parameter(1)},
		"blob without contents":   {key, around(), secret, wire.RCInsufficient.Parameter(1)},
		"blob ends too early":     {key, around(0, 2, 1), secret, wire.RCInsufficient.Parameter(1)},
		"blob ends too late":      {key, around(0, 1, 1, 1), secret, wire.RCSize.Parameter(1)},
		"blob of no digest":       {key, around(append([]byte{0, 65}, make([]byte, 65)...)...), secret, wire.RCSize.Parameter(1)},
		"empty credential":        {key, around(0, 0), secret, wire.RCSuccess},
	} {
		tpm := withKeys(t, hmacKey(), tc.key)
		assert.Equal(t, tc.want, send(t, tpm, activateCredential(tc.blob, tc.secret)), text)
	}
	withPolicy := change(hmacKey(), func(k *testKey) { k.public.Attributes |= wire.ObjectAdminWithPolicy })
	assert.Equal(t, wire.RCAuthType, send(t, withKeys(t, withPolicy, key), activateCredential(good, secret)), "for which the ADMIN role is needed")
}
