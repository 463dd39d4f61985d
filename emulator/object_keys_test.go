package emulator_test

import (
	"bytes"
	"context"
	"crypto/ecdh"
	"math/big"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Well-formed keys for tests. Every function gives a new one, which the test may
// change; the key material of a type is always the same.

// testKey is an object with both areas.
type testKey struct {
	public    wire.Public
	sensitive wire.Sensitive
}

// Attributes of keys that anybody may make outside of a TPM.
const (
	userKey  = wire.ObjectUserWithAuth | wire.ObjectNoDA
	signKey  = userKey | wire.ObjectSignEncrypt
	openKey  = userKey | wire.ObjectDecrypt
	storeKey = openKey | wire.ObjectRestricted
)

var (
	noScheme  = wire.Scheme{Alg: wire.AlgNull, Hash: wire.AlgNull, KDF: wire.AlgNull}
	noSym     = wire.SymDef{Alg: wire.AlgNull, Mode: wire.AlgNull}
	aes128CFB = wire.SymDef{Alg: wire.AlgAES, KeyBits: 128, Mode: wire.AlgCFB}
)

// hashScheme is a scheme with a hash alone.
func hashScheme(alg, hash wire.AlgID) wire.Scheme {
	return wire.Scheme{Alg: alg, Hash: hash, KDF: wire.AlgNull}
}

// rsaKey2048 is always the same key.
var rsaKey2048 = sync.OnceValue(func() *crypt.RSAPrivateKey {
	var gen crypt.DRBGState
	gen.Instantiate(&[crypt.DRBGSeedSize]byte{1})
	k, err := crypt.GenerateRSA(&gen, 2048, crypt.RSAOptions{})
	if err != nil {
		panic(err)
	}
	return k
})

// rsaKey is an RSA-2048 key.
func rsaKey(a wire.ObjectAttributes, sym wire.SymDef, scheme wire.Scheme) testKey {
	k := rsaKey2048()
	return testKey{
		wire.Public{NameAlg: wire.AlgSHA256, Attributes: a, Unique: k.Modulus(),
			Parms: wire.PublicParms{Type: wire.AlgRSA, Sym: sym, Scheme: scheme, KeyBits: 2048}},
		wire.Sensitive{Type: wire.AlgRSA, Data: k.Prime()},
	}
}

// rsaSigning is an RSA-2048 signing key without scheme.
func rsaSigning() testKey { return rsaKey(signKey, noSym, noScheme) }

// rsaDecrypting is an RSA-2048 decryption key without scheme.
func rsaDecrypting() testKey { return rsaKey(openKey, noSym, noScheme) }

// rsaStorage is an RSA-2048 storage key with AES-128.
func rsaStorage() testKey { return withSeed(rsaKey(storeKey, aes128CFB, noScheme)) }

// eccKey is a P-256 key.
func eccKey(a wire.ObjectAttributes, sym wire.SymDef, scheme wire.Scheme) testKey {
	scalar := bytes.Repeat([]byte{0x17}, 32)
	k, err := ecdh.P256().NewPrivateKey(scalar)
	if err != nil {
		panic(err)
	}
	point := k.PublicKey().Bytes()
	return testKey{
		wire.Public{NameAlg: wire.AlgSHA256, Attributes: a, Point: wire.ECPoint{X: point[1:33], Y: point[33:]},
			Parms: wire.PublicParms{Type: wire.AlgECC, Sym: sym, Scheme: scheme, Curve: wire.CurveNISTP256, KDF: noScheme}},
		wire.Sensitive{Type: wire.AlgECC, Data: scalar},
	}
}

// eccSigning is a P-256 signing key without scheme.
func eccSigning() testKey { return eccKey(signKey, noSym, noScheme) }

// eccECDH is a P-256 key for key exchange without scheme.
func eccECDH() testKey { return eccKey(openKey, noSym, noScheme) }

// eccStorage is a P-256 storage key with AES-128.
func eccStorage() testKey { return withSeed(eccKey(storeKey, aes128CFB, noScheme)) }

// withSeed gives a key the seed that its children are protected with.
func withSeed(k testKey) testKey {
	k.sensitive.Seed = bytes.Repeat([]byte{0x5E}, 32)
	return k
}

// symmetric completes the key with an obfuscation value and unique.
func symmetric(k testKey) testKey {
	k = withSeed(k)
	k.public.Unique = crypt.Digest(k.public.NameAlg, nil, append(bytes.Clone(k.sensitive.Seed), k.sensitive.Data...))
	return k
}

// keyedHash is a KEYEDHASH object.
func keyedHash(a wire.ObjectAttributes, scheme wire.Scheme, data []byte) testKey {
	return symmetric(testKey{
		wire.Public{NameAlg: wire.AlgSHA256, Attributes: a, Parms: wire.PublicParms{Type: wire.AlgKeyedHash, Scheme: scheme}},
		wire.Sensitive{Type: wire.AlgKeyedHash, Data: data},
	})
}

// hmacKey is an HMAC key for SHA-256.
func hmacKey() testKey {
	return keyedHash(signKey, hashScheme(wire.AlgHMAC, wire.AlgSHA256), []byte("secret of an HMAC key"))
}

// xorKey is a key for XOR obfuscation with SHA-256.
func xorKey() testKey {
	return keyedHash(openKey, wire.Scheme{Alg: wire.AlgXOR, Hash: wire.AlgSHA256, KDF: wire.AlgKDF1_SP800_108}, []byte("secret of an XOR key"))
}

// sealed is a data object.
func sealed(data string) testKey { return keyedHash(userKey, noScheme, []byte(data)) }

// aesKey is an AES-128 key that signs and decrypts.
func aesKey(mode wire.AlgID) testKey {
	return symmetric(testKey{
		wire.Public{NameAlg: wire.AlgSHA256, Attributes: signKey | openKey,
			Parms: wire.PublicParms{Type: wire.AlgSymCipher, Sym: wire.SymDef{Alg: wire.AlgAES, KeyBits: 128, Mode: mode}}},
		wire.Sensitive{Type: wire.AlgSymCipher, Data: []byte("secret AES 128..")},
	})
}

// withAuth gives the key an authorization value.
func (k testKey) withAuth(auth string) testKey {
	k.sensitive.Auth = []byte(auth)
	return k
}

// publicArea is the TPMT_PUBLIC.
func (k testKey) publicArea() []byte {
	var w wire.Writer
	w.Public(&k.public)
	return w.Data()
}

// publicParameter is the TPM2B_PUBLIC.
func (k testKey) publicParameter() []byte { return et.Sized(k.publicArea()) }

// sensitiveParameter is the TPM2B_SENSITIVE.
func (k testKey) sensitiveParameter() []byte {
	var w wire.Writer
	w.SizedSensitive(&k.sensitive)
	return w.Data()
}

// name is the Name.
func (k testKey) name() []byte {
	alg := k.public.NameAlg
	return crypt.Digest(alg, et.U16(uint16(alg)), k.publicArea())
}

// scalar is the private part of an ECC key.
func (k testKey) scalar() *big.Int { return new(big.Int).SetBytes(k.sensitive.Data) }

// loadExternal is TPM2_LoadExternal of both areas, into the null hierarchy,
// which is the only one that takes both. It does not take parents.
func loadExternal(k testKey) []byte {
	return et.Command(wire.CCLoadExternal, nil, nil, k.sensitiveParameter(), k.publicParameter(), et.U32(uint32(wire.RHNull)))
}

// loadExternalPublic is TPM2_LoadExternal of the public area alone.
func loadExternalPublic(k testKey, hierarchy wire.Handle) []byte {
	return et.Command(wire.CCLoadExternal, nil, nil, et.Sized(nil), k.publicParameter(), et.U32(uint32(hierarchy)))
}

// load executes a command that loads an object, and gives its handle.
func load(tb testing.TB, tpm *et.TPM, command []byte) wire.Handle {
	tb.Helper()
	rsp := tpm.Execute(0, command)
	require.Equal(tb, wire.RCSuccess, et.ResponseCode(rsp))
	return et.ResponseHandle(rsp)
}

// Keys that a TPM makes.

// made is the attributes of an object that a TPM makes and does not let go.
const made = wire.ObjectSensitiveDataOrigin | wire.ObjectFixedTPM | wire.ObjectFixedParent

// template is the key as a template: without unique, and with attributes added.
func (k testKey) template(a wire.ObjectAttributes) testKey {
	k.public.Attributes |= a
	k.public.Unique, k.public.Point = nil, wire.ECPoint{}
	return k
}

// sensitiveCreate is a TPM2B_SENSITIVE_CREATE.
func sensitiveCreate(auth, data string) []byte {
	return et.Sized(append(et.Sized([]byte(auth)), et.Sized([]byte(data))...))
}

// createPrimary is TPM2_CreatePrimary with the template, without outside
// information and PCRs.
func createPrimary(hierarchy wire.Handle, k testKey, auth, data string) []byte {
	return et.Command(wire.CCCreatePrimary, handles{hierarchy}, et.NoAuth(), sensitiveCreate(auth, data), k.publicParameter(), et.Sized(nil), et.U32(0))
}

// storagePrimary is TPM2_CreatePrimary of a P-256 storage key of the owner. On a
// new TPM it becomes object.
func storagePrimary() []byte {
	return createPrimary(wire.RHOwner, eccStorage().template(made), "", "")
}

// create is TPM2_Create with the template, without outside information and PCRs.
func create(parent wire.Handle, k testKey, auth, data string) []byte {
	return et.Command(wire.CCCreate, handles{parent}, et.NoAuth(), sensitiveCreate(auth, data), k.publicParameter(), et.Sized(nil), et.U32(0))
}

// createLoaded is TPM2_CreateLoaded with the template, given as bytes.
func createLoaded(parent wire.Handle, template []byte, auth, data string) []byte {
	return et.Command(wire.CCCreateLoaded, handles{parent}, et.NoAuth(), sensitiveCreate(auth, data), et.Sized(template))
}

// loadChild is TPM2_Load of what TPM2_Create has answered.
func loadChild(parent wire.Handle, created []byte) []byte {
	private, public := createdAreas(created)
	return et.Command(wire.CCLoad, handles{parent}, et.NoAuth(), et.Sized(private), et.Sized(public))
}

// createdAreas are the private and the public area in the response to
// TPM2_Create.
func createdAreas(created []byte) (private, public []byte) {
	r := wire.NewReader(et.Parameters(created, false), nil)
	private = r.Sized(wire.MaxPrivate)
	return private, r.Sized(len(created))
}

// sealedChild is TPM2_Load, on a TPM of emulatortest.New that has executed
// storagePrimary, of sealed data with the password pw.
var sealedChild = sync.OnceValue(func() []byte {
	tpm, err := emulator.New(emulator.Platform{Clock: &et.Clock{}, Entropy: et.NewEntropy(1), Store: &et.Store{}}, emulator.Config{})
	if err == nil {
		err = tpm.Init()
	}
	var rsp []byte
	for _, command := range [][]byte{et.Command(wire.CCStartup, nil, nil, et.U16(0)), storagePrimary(),
		create(object, sealed("").template(wire.ObjectFixedTPM|wire.ObjectFixedParent), string(pw), "sealed data")} {
		if err == nil {
			rsp, err = tpm.Send(context.Background(), 0, command)
		}
	}
	if err != nil {
		panic(err)
	}
	return loadChild(object, rsp)
})
