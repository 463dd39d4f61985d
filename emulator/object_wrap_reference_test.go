//go:build cgo && linux

package emulator

import (
	"math/rand"
	"testing"

	"github.com/google/go-tpm-tools/simulator"
	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// simulatedParent is a primary of the reference implementation with a seed that
// this TPM can compute too.
type simulatedParent struct {
	tpm transport.TPM
	at  tpm2.AuthHandle
	*object
}

func newSimulatedParent(t *testing.T, in *inside) *simulatedParent {
	t.Helper()
	s, err := simulator.GetWithFixedSeedInsecure(1)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	p := &simulatedParent{tpm: transport.FromReadWriter(s), object: &object{Object: &state.Object{Kind: state.ObjectLoaded}}}
	primary, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(p.tpm)
	require.NoError(t, err)
	p.at = tpm2.AuthHandle{Handle: primary.ObjectHandle, Name: primary.Name, Auth: tpm2.PasswordAuth(nil)}
	r := wire.NewReader(primary.OutPublic.Bytes(), in.algs.Selectors())
	r.Public(&p.public, false)
	require.Equal(t, wire.RCSuccess, r.RC())

	var seeds [128]byte // of the endorsement hierarchy, and of the storage hierarchy
	source := rand.New(rand.NewSource(1))
	source.Read(seeds[:64])
	source.Read(seeds[64:])
	gen := crypt.NewPrimaryGenerator(seeds[64:], digestName(wire.AlgSHA256, string(tpm2.Marshal(tpm2.ECCSRKTemplate))), nil)
	_, _, err = p.curve().GenerateKey(gen)
	require.NoError(t, err)
	p.sensitive.Seed = make([]byte, 32)
	gen.Read(p.sensitive.Seed)
	return p
}

// An RSA key that the reference has made can be loaded, though it comes with
// more numbers than the prime.
func TestRSAKeyOfTheReference(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	p := newSimulatedParent(t, in)
	made, err := tpm2.Create{
		ParentHandle: p.at,
		InPublic: tpm2.New2B(tpm2.TPMTPublic{Type: tpm2.TPMAlgRSA, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{SensitiveDataOrigin: true, UserWithAuth: true, Decrypt: true},
			Parameters:       tpm2.NewTPMUPublicParms(tpm2.TPMAlgRSA, &tpm2.TPMSRSAParms{KeyBits: 1024})}),
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{UserAuth: tpm2.TPM2BAuth{Buffer: []byte("auth")}}},
	}.Execute(p.tpm)
	require.NoError(t, err)
	assert.Greater(t, len(made.OutPrivate.Buffer), 5*64)
	s, rc := in.unwrapSensitive(p.object, digestName(wire.AlgSHA256, string(made.OutPublic.Bytes())), made.OutPrivate.Buffer)
	require.Equal(t, wire.RCSuccess, rc)
	assert.Equal(t, "auth", string(s.Auth))
	key := object{sensitive: s}
	r := wire.NewReader(made.OutPublic.Bytes(), in.algs.Selectors())
	r.Public(&key.public, false)
	_, rc = key.rsaKey()
	assert.Equal(t, wire.RCSuccess, rc, "it is the key of the public area")
}

// The reference loads and uses what is wrapped here.
func TestReferenceLoadsPrivateArea(t *testing.T) {
	t.Parallel()
	in := newInside(t)
	p := newSimulatedParent(t, in)
	rsa := rsaStorageKey(t, in, 1024)
	rsa.public.Attributes = wire.ObjectUserWithAuth | wire.ObjectDecrypt
	rsa.public.Parms.Sym.Alg = wire.AlgNull
	rsa.sensitive.Seed = make([]byte, 32)
	rsa.sensitive.Auth = []byte("auth")
	var w wire.Writer
	w.Public(&rsa.public)
	name := digestName(wire.AlgSHA256, string(w.Data()))
	loaded, err := tpm2.Load{
		ParentHandle: p.at,
		InPrivate:    tpm2.TPM2BPrivate{Buffer: in.wrapSensitive(p.object, name, &rsa.sensitive)},
		InPublic:     tpm2.BytesAs2B[tpm2.TPMTPublic](w.Data()),
	}.Execute(p.tpm)
	require.NoError(t, err)
	assert.Equal(t, name, loaded.Name.Buffer)
	k, rc := rsa.rsaPublic()
	require.Equal(t, wire.RCSuccess, rc)
	secret, err := crypt.EncryptRSA(in.drbg(), k, wire.Scheme{Alg: wire.AlgOAEP, Hash: wire.AlgSHA256}, nil, []byte("secret"))
	require.NoError(t, err)
	plain, err := tpm2.RSADecrypt{
		KeyHandle:  tpm2.AuthHandle{Handle: loaded.ObjectHandle, Name: loaded.Name, Auth: tpm2.PasswordAuth([]byte("auth"))},
		CipherText: tpm2.TPM2BPublicKeyRSA{Buffer: secret},
		InScheme:   tpm2.TPMTRSADecrypt{Scheme: tpm2.TPMAlgOAEP, Details: tpm2.NewTPMUAsymScheme(tpm2.TPMAlgOAEP, &tpm2.TPMSEncSchemeOAEP{HashAlg: tpm2.TPMAlgSHA256})},
	}.Execute(p.tpm)
	require.NoError(t, err)
	assert.Equal(t, "secret", string(plain.Message.Buffer))
}
