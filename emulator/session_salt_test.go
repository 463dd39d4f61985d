package emulator_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// saltedWith is TPM2_StartAuthSession salted with object, and bound.
func saltedWith(salt []byte, bind wire.Handle) []byte {
	return et.Command(wire.CCStartAuthSession, handles{object, bind}, nil, et.Sized(make([]byte, 16)), et.Sized(salt),
		et.U8(uint8(wire.SEHMAC)), et.U16(uint16(wire.AlgNull)), et.U16(uint16(wire.AlgSHA256)))
}

// A session that go-tpm salts with a decryption key, bound or not, has the
// sessionKey that go-tpm derives.
func TestSaltedSession(t *testing.T) {
	t.Parallel()
	for what, k := range map[string]testKey{
		"RSA": rsaDecrypting(), "ECC": eccECDH(),
		"ECC with SHA-384": change(eccECDH(), func(k *testKey) { k.public.NameAlg = wire.AlgSHA384 }),
	} {
		tpm := et.New(t)
		succeed(t, tpm, loadExternal(k), et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHOwner}, et.NoAuth(), et.Sized(pw)))
		read, err := tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(object)}.Execute(tpm.Client())
		require.NoError(t, err, what)
		salt := tpm2.Salted(tpm2.TPMHandle(object), contentsOf(t, read.OutPublic))
		bound := tpm2.Bound(tpm2.TPMRHOwner, tpm2.TPM2BName{Buffer: name(wire.RHOwner)}, pw)
		aes := tpm2.AESEncryption(128, tpm2.EncryptIn)
		for _, options := range [][]tpm2.AuthOption{{salt}, {salt, aes}, {salt, bound, aes}} {
			_, err := tpm2.HierarchyChangeAuth{
				AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.HMAC(tpm2.TPMAlgSHA256, 16, append(options, tpm2.Auth(pw))...)},
				NewAuth:    tpm2.TPM2BAuth{Buffer: pw},
			}.Execute(tpm.Client())
			assert.NoError(t, err, what)
		}
		_, err = tpm2.GetRandom{BytesRequested: 8}.Execute(tpm.Client(), tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.AESEncryption(256, tpm2.EncryptOut), salt))
		assert.NoError(t, err, what)
	}
}

// What TPM2_StartAuthSession demands of a key and of a salt.
func TestSaltedSessionRefuses(t *testing.T) {
	t.Parallel()
	badSalt := wire.RCValue.Parameter(2)
	for what, tc := range map[string]struct {
		load []byte
		salt []byte
		want wire.RC
	}{
		"no asymmetric key":       {loadExternal(aesKey(wire.AlgCFB)), nil, wire.RCKey.Handle(1)},
		"public key, and no salt": {loadExternalPublic(rsaDecrypting(), wire.RHOwner), nil, badSalt},
		"public key":              {loadExternalPublic(rsaDecrypting(), wire.RHOwner), []byte{1}, wire.RCHandle.Handle(1)},
		"signing key":             {loadExternal(rsaSigning()), make([]byte, 256), wire.RCAttributes.Handle(1)},
		"no salt":                 {loadExternal(eccECDH()), nil, badSalt},
		"no OAEP":                 {loadExternal(rsaDecrypting()), make([]byte, 256), badSalt},
		"short":                   {loadExternal(rsaDecrypting()), []byte{1}, badSalt},
		"no point":                {loadExternal(eccECDH()), []byte{0, 1}, badSalt},
		"point off the curve":     {loadExternal(eccECDH()), []byte{0, 1, 1, 0, 1, 1}, badSalt},
		"RSAES key": {loadExternal(rsaKey(openKey, noSym, wire.Scheme{Alg: wire.AlgRSAES, Hash: wire.AlgNull, KDF: wire.AlgNull})),
			make([]byte, 256), badSalt},
	} {
		tpm := et.New(t)
		succeed(t, tpm, tc.load)
		assert.Equal(t, tc.want, send(t, tpm, saltedWith(tc.salt, wire.RHNull)), what)
		assert.Zero(t, property(t, tpm, wire.PTHRLoaded), what)
	}
}

// A session cannot be bound to what has no authValue, nor to a PIN index, which
// would have to count its uses.
func TestBoundSessionRefuses(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	pin := wire.NVOwnerRead | wire.NVOwnerWrite | wire.NVNoDA
	succeed(t, tpm, loadExternalPublic(hmacKey(), wire.RHOwner),
		define(wire.RHOwner, nvPublic{attributes: wire.NTPinFail.Attributes() | pin}, pw),
		define(wire.RHOwner, nvPublic{index: nvFirst + 1, attributes: wire.NTPinPass.Attributes() | pin}, pw))
	for _, h := range []wire.Handle{object, nvFirst, nvFirst + 1} {
		assert.Equal(t, wire.RCHandle.Handle(2), send(t, tpm, startSessionWith(wire.SEHMAC, h, wire.AlgSHA256)), h)
	}
	for _, h := range []wire.Handle{wire.RHOwner, wire.RHLockout, 10} {
		assert.Equal(t, wire.RCSuccess, send(t, tpm, startSessionWith(wire.SEHMAC, h, wire.AlgSHA256)), h)
	}
}

// With tpmKey the session key is derived, whatever is in the salt.
func TestEmptySalt(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	k := rsaDecrypting()
	succeed(t, tpm, loadExternal(k))
	public := &rsa.PublicKey{N: new(big.Int).SetBytes(k.public.Unique), E: 65537}
	salt, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, nil, []byte("SECRET\x00"))
	require.NoError(t, err)
	rsp := tpm.Execute(0, saltedWith(salt, wire.RHNull))
	require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp))
	r := wire.NewReader(et.Parameters(rsp, true), nil)
	want := tpm2.KDFa(crypto.SHA256, nil, "ATH", r.Sized(32), make([]byte, 16), 256)
	assert.Equal(t, want, snapshotOf(t, tpm).Volatile.Sessions[0].Key.Bytes())
}
