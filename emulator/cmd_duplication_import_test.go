package emulator_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func TestImportRefuses(t *testing.T) {
	t.Parallel()
	k, key, plain := importable(hmacKey()), make([]byte, 16), importable(hmacKey()).sensitiveParameter()
	with := func(a wire.ObjectAttributes) testKey {
		return change(k, func(k *testKey) { k.public.Attributes |= a })
	}
	encrypted := with(wire.ObjectEncryptedDuplication)
	blob, secret := createDuplicate(eccStorage(), k)
	inner := closeInner(t, key, k.name(), plain)
	nameless := change(k, func(k *testKey) { k.public.NameAlg = wire.AlgNull })
	sequence := et.New(t)
	loadSequence(t, sequence, wire.AlgSHA256)
	assert.Equal(t, wire.RCBadAuth.Session(1), send(t, sequence, importBlob(nil, k, blob, secret, noSym)), "it has a password")

	for name, tc := range map[string]struct {
		parent  testKey
		command []byte
		want    wire.RC
	}{
		"fixedTPM":                 {eccStorage(), importBlob(nil, with(wire.ObjectFixedTPM), plain, nil, noSym), wire.RCAttributes.Parameter(2)},
		"fixedParent":              {eccSigning(), importBlob(nil, with(wire.ObjectFixedParent), plain, nil, noSym), wire.RCAttributes.Parameter(2)},
		"no nameAlg":               {eccStorage(), importBlob(nil, nameless, plain, nil, noSym), wire.RCHash.Parameter(2)},
		"parent is a signing key":  {eccSigning(), importBlob(key, k, plain, nil, noSym), wire.RCType.Handle(1)},
		"parent is a derivation":   {xorParent(), importBlob(nil, k, plain, nil, noSym), wire.RCType.Handle(1)},
		"key without algorithm":    {eccStorage(), importBlob(key, k, plain, nil, noSym), wire.RCSize.Parameter(1)},
		"algorithm without key":    {eccStorage(), importBlob(nil, k, inner, nil, aes128CFB), wire.RCSize.Parameter(1)},
		"key of another size":      {eccStorage(), importBlob(key, k, inner, nil, aes256CFB), wire.RCSize.Parameter(1)},
		"key is too long":          {eccStorage(), importBlob(make([]byte, 67), k, inner, nil, aes256CFB), wire.RCSize.Parameter(1)},
		"no inner wrapper":         {eccStorage(), importBlob(nil, encrypted, plain, secret, noSym), wire.RCAttributes.Parameter(1)},
		"no outer wrapper":         {eccStorage(), importBlob(key, encrypted, inner, nil, aes128CFB), wire.RCAttributes.Parameter(4)},
		"secret for symmetric key": {symmetricStorage(), importBlob(nil, k, blob, secret, noSym), wire.RCType.Handle(1)},
		"secret is damaged":        {eccStorage(), importBlob(nil, k, blob, secret[:67], noSym), wire.RCInsufficient.Parameter(4)},
		"secret is too short":      {rsaStorage(), importBlob(nil, k, blob, secret, noSym), wire.RCSize.Parameter(4)},
		"secret is too long":       {eccStorage(), importBlob(nil, k, blob, make([]byte, 513), noSym), wire.RCSize.Parameter(4)},
		"secret before the blob":   {eccStorage(), importBlob(nil, k, nil, secret[:67], noSym), wire.RCInsufficient.Parameter(4)},
		"blob of another object":   {eccStorage(), importBlob(nil, with(wire.ObjectStClear), blob, secret, noSym), wire.RCIntegrity.Parameter(3)},
		"blob without its secret":  {eccStorage(), importBlob(nil, k, blob, nil, noSym), wire.RCSize.Parameter(3)},
		"blob is cut":              {eccStorage(), importBlob(nil, k, blob[:33], secret, noSym), wire.RCInsufficient.Parameter(3)},
		"blob is too long":         {eccStorage(), importBlob(nil, k, make([]byte, wire.MaxPrivate+1), nil, noSym), wire.RCSize.Parameter(3)},
		"inner of another object":  {eccStorage(), importBlob(key, with(wire.ObjectStClear), inner, nil, aes128CFB), wire.RCIntegrity.Parameter(3)},
		"inner is cut":             {eccStorage(), importBlob(key, k, inner[:33], nil, aes128CFB), wire.RCInsufficient.Parameter(3)},
		"inner with another key":   {eccStorage(), importBlob(bytes.Repeat([]byte{1}, 16), k, inner, nil, aes128CFB), wire.RCSize.Parameter(3)},
		"nothing in it":            {eccStorage(), importBlob(nil, k, nil, nil, noSym), wire.RCInsufficient.Parameter(3)},
		"size is too large":        {eccStorage(), importBlob(nil, k, plain[:len(plain)-1], nil, noSym), wire.RCSize.Parameter(3)},
		"size is too small":        {eccStorage(), importBlob(nil, k, append(bytes.Clone(plain), 0), nil, noSym), wire.RCSize.Parameter(3)},
		"a type that is none":      {eccStorage(), importBlob(nil, k, et.Sized([]byte{0, 9, 0, 0, 0, 0, 0, 0}), nil, noSym), wire.RCType.Parameter(3)},
		"it ends within":           {eccStorage(), importBlob(nil, k, et.Sized([]byte{0, 8, 0, 0, 0, 0, 0, 1}), nil, noSym), wire.RCInsufficient.Parameter(3)},
		"it does not end":          {eccStorage(), importBlob(nil, k, et.Sized([]byte{0, 8, 0, 0, 0, 0, 0, 0, 0}), nil, noSym), wire.RCSize.Parameter(3)},
		"XOR as inner wrapper":     {eccStorage(), importBlob(nil, k, plain, nil, wire.SymDef{Alg: wire.AlgXOR, Hash: wire.AlgSHA256}), wire.RCSymmetric.Parameter(5)},
	} {
		assert.Equal(t, tc.want, send(t, withKeys(t, tc.parent), tc.command), name)
	}
}

// xorParent is a derivation parent.
func xorParent() testKey {
	return change(xorKey(), func(k *testKey) { k.public.Attributes |= wire.ObjectRestricted })
}

// Below a fixedTPM parent an object is checked when it is imported, elsewhere
// when it is loaded.
func TestImportChecksBelowFixedTPM(t *testing.T) {
	t.Parallel()
	fixed := change(eccStorage(), func(k *testKey) { k.public.Attributes |= wire.ObjectFixedTPM | wire.ObjectFixedParent })
	for name, tc := range map[string]struct {
		k    testKey
		want wire.RC
	}{
		"another secret":         {change(hmacKey(), func(k *testKey) { k.sensitive.Data = []byte("another") }), wire.RCBinding},
		"another type":           {change(hmacKey(), func(k *testKey) { k.sensitive.Type = wire.AlgECC }), wire.RCType.Parameter(3)},
		"seed is too long":       {change(hmacKey(), func(k *testKey) { k.sensitive.Seed = make([]byte, 33) }), wire.RCKeySize.Parameter(3)},
		"authValue is too long":  {change(hmacKey(), func(k *testKey) { k.sensitive.Auth = make([]byte, 33) }), wire.RCSize.Parameter(3)},
		"no sign and no decrypt": {change(rsaSigning(), func(k *testKey) { k.public.Attributes &^= wire.ObjectSignEncrypt }), wire.RCAttributes.Parameter(2)},
		"all parts of a key": {change(rsaSigning(), func(k *testKey) {
			k.sensitive.Data = append(bytes.Clone(k.sensitive.Data), make([]byte, 4*128)...)
		}), wire.RCKeySize.Parameter(3)},
		"a good one": {rsaSigning(), wire.RCSuccess},
	} {
		command := importBlob(nil, tc.k, tc.k.sensitiveParameter(), nil, noSym)
		assert.Equal(t, tc.want, send(t, withKeys(t, fixed), command), name)
		assert.Equal(t, wire.RCSuccess, send(t, withKeys(t, eccStorage()), command), name)
	}
}

// A secret that decrypts to nothing is no way around the outer wrapper.
func TestImportWithEmptySeed(t *testing.T) {
	t.Parallel()
	k, parent := hmacKey(), rsaStorage()
	secret := encryptOAEP(t, parent, "DUPLICATE", nil)
	tpm := withKeys(t, parent)
	assert.Equal(t, wire.RCIntegrity.Parameter(3), send(t, tpm, importBlob(nil, k, k.sensitiveParameter(), secret, noSym)), "as it is")
	wrapped := closeOuter(t, nil, k.name(), k.sensitiveParameter())
	require.Equal(t, wire.RCSuccess, send(t, tpm, importBlob(nil, k, wrapped, secret, noSym)))
	long := encryptOAEP(t, parent, "DUPLICATE", make([]byte, 33))
	assert.Equal(t, wire.RCValue.Parameter(4), send(t, tpm, importBlob(nil, k, wrapped, long, noSym)), "longer than a digest")
}
