package emulator_test

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	_ "crypto/sha256" // what the storage keys hash with
	"math/big"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Storage keys whose private part the test knows, and what the other end of an
// exchange with them does: with the standard library and go-tpm, which know
// nothing of this module. They all have SHA-256 and AES-128.

// storageKeys are storage keys that can be sent a secret.
func storageKeys() map[string]testKey {
	return map[string]testKey{"RSA": rsaStorage(), "ECC": eccStorage()}
}

// symmetricStorage is a storage key that can not.
func symmetricStorage() testKey {
	k := aesKey(wire.AlgCFB)
	k.public.Attributes = storeKey
	return k
}

// planting puts keys into the slots from the first one on, below an owner's
// primary that is not there. Storage keys cannot be loaded from outside.
func planting(keys ...testKey) func(*state.State) {
	return func(s *state.State) {
		for i, k := range keys {
			var w wire.Writer
			w.Sensitive(&k.sensitive)
			s.Volatile.Objects[i] = state.Object{Kind: state.ObjectLoaded, Hierarchy: wire.RHOwner,
				Public: k.publicArea(), Sensitive: w.Data(), Name: k.name(), QualifiedName: k.name()}
		}
	}
}

// withKeys is a TPM with keys in its slots.
func withKeys(tb testing.TB, keys ...testKey) *et.TPM {
	tpm := et.New(tb)
	changeState(tb, tpm, planting(keys...))
	return tpm
}

// encapsulationKey is the public part of a key for go-tpm.
func encapsulationKey(k testKey) tpm2.LabeledEncapsulationKey {
	public, err := tpm2.Unmarshal[tpm2.TPMTPublic](k.publicArea())
	if err != nil {
		panic(err)
	}
	key, err := tpm2.ImportEncapsulationKey(public)
	if err != nil {
		panic(err)
	}
	return key
}

// createCredential makes a credential with go-tpm.
func createCredential(key testKey, name []byte) (blob, secret []byte) {
	blob, secret, err := tpm2.CreateCredential(rand.Reader, encapsulationKey(key), name, credential)
	if err != nil {
		panic(err)
	}
	return blob, secret
}

// standardRSA is an RSA key for the standard library.
func standardRSA(t *testing.T, k testKey) *rsa.PrivateKey {
	t.Helper()
	n, p := new(big.Int).SetBytes(k.public.Unique), new(big.Int).SetBytes(k.sensitive.Data)
	q := new(big.Int).Div(n, p)
	one := big.NewInt(1)
	order := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
	key := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: n, E: 65537}, Primes: []*big.Int{p, q}}
	key.D = new(big.Int).ModInverse(big.NewInt(65537), order)
	require.NoError(t, key.Validate())
	return key
}

// openSecret recovers the seed of a TPM2B_ENCRYPTED_SECRET.
func openSecret(t *testing.T, k testKey, label string, secret []byte) []byte {
	t.Helper()
	if k.public.Parms.Type == wire.AlgRSA {
		seed, err := rsa.DecryptOAEP(crypto.SHA256.New(), nil, standardRSA(t, k), secret, []byte(label+"\x00"))
		require.NoError(t, err)
		return seed
	}
	point, err := tpm2.Unmarshal[tpm2.TPMSECCPoint](secret)
	require.NoError(t, err)
	private, err := ecdh.P256().NewPrivateKey(k.sensitive.Data)
	require.NoError(t, err)
	ephemeral, err := ecdh.P256().NewPublicKey(slices.Concat([]byte{4}, point.X.Buffer, point.Y.Buffer))
	require.NoError(t, err)
	z, err := private.ECDH(ephemeral)
	require.NoError(t, err)
	return tpm2.KDFe(crypto.SHA256, z, label, point.X.Buffer, k.public.Point.X, 256)
}

// encryptOAEP encrypts to an RSA key.
func encryptOAEP(t *testing.T, k testKey, label string, message []byte) []byte {
	t.Helper()
	secret, err := rsa.EncryptOAEP(crypto.SHA256.New(), rand.Reader, &standardRSA(t, k).PublicKey, message, []byte(label+"\x00"))
	require.NoError(t, err)
	return secret
}

// storageSecret is the key of the outer wrapper with a seed.
func storageSecret(seed, name []byte) []byte {
	return tpm2.KDFa(crypto.SHA256, seed, "STORAGE", name, nil, 128)
}

// outerDigest is the integrity value of the outer wrapper with a seed.
func outerDigest(seed, name, protected []byte) []byte {
	mac := hmac.New(crypto.SHA256.New, tpm2.KDFa(crypto.SHA256, seed, "INTEGRITY", nil, nil, 256))
	mac.Write(protected)
	mac.Write(name)
	return mac.Sum(nil)
}

// checkIntegrity checks the integrity value in front of what a seed protects.
func checkIntegrity(t *testing.T, seed, name, wrapped []byte) {
	t.Helper()
	require.GreaterOrEqual(t, len(wrapped), 34)
	require.Equal(t, et.Sized(outerDigest(seed, name, wrapped[34:])), wrapped[:34], "integrity")
}

// openOuter removes the outer wrapper with a seed.
func openOuter(t *testing.T, seed, name, wrapped []byte) []byte {
	t.Helper()
	checkIntegrity(t, seed, name, wrapped)
	return standardCFB(t, storageSecret(seed, name), noIV, wrapped[34:], false)
}

// closeOuter is the inverse of openOuter.
func closeOuter(t *testing.T, seed, name, plain []byte) []byte {
	t.Helper()
	protected := standardCFB(t, storageSecret(seed, name), noIV, plain, true)
	return append(et.Sized(outerDigest(seed, name, protected)), protected...)
}

// openInner removes the inner wrapper of an object with nameAlg SHA-256.
func openInner(t *testing.T, key, name, wrapped []byte) []byte {
	t.Helper()
	plain := standardCFB(t, key, noIV, wrapped, false)
	require.GreaterOrEqual(t, len(plain), 34)
	require.Equal(t, et.Sized(innerDigest(plain[34:], name)), plain[:34], "inner integrity")
	return plain[34:]
}

// closeInner is the inverse of openInner.
func closeInner(t *testing.T, key, name, plain []byte) []byte {
	t.Helper()
	return standardCFB(t, key, noIV, append(et.Sized(innerDigest(plain, name)), plain...), true)
}

func innerDigest(plain, name []byte) []byte {
	h := crypto.SHA256.New()
	h.Write(plain)
	h.Write(name)
	return h.Sum(nil)
}

// noIV is the initial value where there is none.
var noIV = make([]byte, aes.BlockSize)

// standardCFB encrypts or decrypts with AES in CFB mode into a new slice.
func standardCFB(t *testing.T, key, iv, in []byte, encrypt bool) []byte {
	t.Helper()
	block, err := aes.NewCipher(key)
	require.NoError(t, err)
	out := make([]byte, len(in))
	if encrypt {
		//lint:ignore SA1019 CFB is what TPM 2.0 protects objects with
		cipher.NewCFBEncrypter(block, iv).XORKeyStream(out, in)
	} else {
		//lint:ignore SA1019 CFB is what TPM 2.0 protects objects with
		cipher.NewCFBDecrypter(block, iv).XORKeyStream(out, in)
	}
	return out
}
