package emulator_test

import (
	"bytes"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"slices"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Templates that a parent with fixedTPM, or a hierarchy, takes.
func templates() map[string]testKey {
	fixed := wire.ObjectFixedTPM | wire.ObjectFixedParent
	return map[string]testKey{
		"RSA signing":         rsaSigning().template(made),
		"RSA storage":         rsaStorage().template(made),
		"RSA that can go":     rsaDecrypting().template(wire.ObjectSensitiveDataOrigin),
		"restricted RSASSA":   rsaKey(signKey|wire.ObjectRestricted, noSym, hashScheme(wire.AlgRSASSA, wire.AlgSHA256)).template(made),
		"ECC signing":         eccSigning().template(made),
		"ECC storage":         eccStorage().template(made),
		"ECDH":                eccECDH().template(made),
		"ECDAA":               eccKey(signKey, noSym, wire.Scheme{Alg: wire.AlgECDAA, Hash: wire.AlgSHA256, KDF: wire.AlgNull, Count: 3}).template(made),
		"HMAC":                hmacKey().template(made),
		"derivation parent":   derivationParent().template(made),
		"AES storage":         aesStorage().template(made),
		"AES":                 aesKey(wire.AlgCFB).template(made),
		"stClear":             eccSigning().template(made | wire.ObjectStClear),
		"encryptedDuplicate":  eccSigning().template(wire.ObjectSensitiveDataOrigin | wire.ObjectEncryptedDuplication),
		"with policy":         change(hmacKey().template(made), func(k *testKey) { k.public.AuthPolicy = make([]byte, 32) }),
		"SHA-1":               change(hmacKey().template(made), func(k *testKey) { k.public.NameAlg = wire.AlgSHA1 }),
		"fixed, both, no sch": rsaKey(signKey|openKey, noSym, noScheme).template(fixed | wire.ObjectSensitiveDataOrigin),
	}
}

// derivationParent is a KEYEDHASH key that children are derived from.
func derivationParent() testKey {
	k := xorKey()
	k.public.Attributes |= wire.ObjectRestricted
	return k
}

// aesStorage is an AES-128 storage key.
func aesStorage() testKey {
	k := aesKey(wire.AlgCFB)
	k.public.Attributes = storeKey
	return k
}

// A key of every kind is made as a primary and as a child. A child loads, with
// the Name that go-tpm computes.
func TestCreateAllKinds(t *testing.T) {
	t.Parallel()
	for name, k := range templates() {
		tpm := et.New(t)
		require.Equal(t, wire.RCSuccess, send(t, tpm, storagePrimary()))
		created := tpm.Execute(0, create(object, k, "auth", ""))
		require.Equal(t, wire.RCSuccess, et.ResponseCode(created), name)
		child := load(t, tpm, loadChild(object, created))
		_, public := createdAreas(created)
		read, err := tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(child)}.Execute(tpm.Client())
		require.NoError(t, err, name)
		assert.Equal(t, public, read.OutPublic.Bytes(), name)
		contents, err := read.OutPublic.Contents()
		require.NoError(t, err)
		want, err := tpm2.ObjectName(contents)
		require.NoError(t, err)
		assert.Equal(t, want.Buffer, read.Name.Buffer, name)
		assert.NotEqual(t, read.Name, read.QualifiedName, name)

		primary := load(t, tpm, createPrimary(wire.RHEndorsement, k, "auth", ""))
		assert.Equal(t, object+2, primary, name)
		assert.Equal(t, wire.RCObjectMemory, send(t, tpm, create(object, k, "auth", "")), name)
		assert.Equal(t, wire.RCObjectMemory, send(t, tpm, createPrimary(wire.RHOwner, k, "auth", "")), name)
		assert.Equal(t, wire.RCObjectMemory, send(t, tpm, createLoaded(object, nil, "", "")), name)
		assert.Equal(t, wire.RCObjectMemory, send(t, tpm, et.Command(wire.CCLoad, handles{object}, et.NoAuth(), et.Sized(nil), et.Sized(public))), name)
	}
}

// What is made is useful: a key that TPM2_CreateLoaded makes below a storage key
// loads again from its private area, and the private part belongs to the public
// one.
func TestCreateLoadedBelowAStorageKey(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	require.Equal(t, wire.RCSuccess, send(t, tpm, storagePrimary()))
	rsp := tpm.Execute(0, createLoaded(object, eccECDH().template(made).publicArea(), "auth", ""))
	require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp))
	r := wire.NewReader(et.Parameters(rsp, true), nil)
	private, public, name := r.Sized(wire.MaxPrivate), r.Sized(wire.MaxTemplate), r.Sized(wire.MaxName)
	require.Zero(t, r.Len())
	again := tpm.Execute(0, et.Command(wire.CCLoad, handles{object}, et.NoAuth(), et.Sized(private), et.Sized(public)))
	require.Equal(t, wire.RCSuccess, et.ResponseCode(again))
	assert.Equal(t, et.Sized(name), et.Parameters(again, true))

	mine, err := ecdh.P256().NewPrivateKey(bytes.Repeat([]byte{3}, 32))
	require.NoError(t, err)
	point := mine.PublicKey().Bytes()
	theirs, err := ecdh.P256().NewPublicKey(slices.Concat([]byte{4}, public[len(public)-66:len(public)-34], public[len(public)-32:]))
	require.NoError(t, err)
	want, err := mine.ECDH(theirs)
	require.NoError(t, err)
	for _, h := range []wire.Handle{et.ResponseHandle(rsp), et.ResponseHandle(again)} {
		z := tpm.Execute(0, et.Command(wire.CCECDHZGen, handles{h}, [][]byte{[]byte("auth")}, et.Sized(slices.Concat(et.Sized(point[1:33]), et.Sized(point[33:])))))
		require.Equal(t, wire.RCSuccess, et.ResponseCode(z))
		assert.Equal(t, et.Sized(want), et.Parameters(z, false)[2:36])
	}
}

// The same seed and the same commands give the same bytes, tickets and private
// areas included.
func TestCreateIsDeterministic(t *testing.T) {
	t.Parallel()
	transcript := func(seed uint64) (all [][]byte) {
		tpm := et.New(t, et.WithSeed(seed))
		all = append(all, tpm.Execute(0, storagePrimary()))
		for _, k := range []testKey{rsaSigning().template(made), eccSigning().template(made), hmacKey().template(made)} {
			all = append(all, tpm.Execute(0, create(object, k, "auth", "")))
		}
		for _, rsp := range all {
			require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp))
		}
		return all
	}
	first, other := transcript(1), transcript(2)
	assert.Equal(t, first, transcript(1))
	for i := range first {
		assert.NotEqual(t, first[i], other[i], i)
	}
}

// Creation data say what was the case, and the hash is theirs.
func TestCreationData(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	require.Equal(t, wire.RCSuccess, send(t, tpm, extend(10, ha(wire.AlgSHA256, 1))))
	selection := tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(10, 11)}}}
	outside := tpm2.TPM2BData{Buffer: []byte("from outside")}
	digest := sha256.Sum256(append(readPCR(t, tpm, wire.AlgSHA256, 10), readPCR(t, tpm, wire.AlgSHA256, 11)...))
	password := tpm2.PasswordAuth(nil)
	check := func(d tpm2.TPM2B[tpm2.TPMSCreationData, *tpm2.TPMSCreationData], hash tpm2.TPM2BDigest, parentAlg tpm2.TPMAlgID, parent, qualified []byte) {
		t.Helper()
		data, err := d.Contents()
		require.NoError(t, err)
		assert.Equal(t, selection, data.PCRSelect)
		assert.Equal(t, digest[:], data.PCRDigest.Buffer)
		assert.Equal(t, tpm2.TPMALocality{TPMLocThree: true}, data.Locality)
		assert.Equal(t, parentAlg, data.ParentNameAlg)
		assert.Equal(t, parent, data.ParentName.Buffer)
		assert.Equal(t, qualified, data.ParentQualifiedName.Buffer)
		assert.Equal(t, outside, data.OutsideInfo)
		sum := sha256.Sum256(d.Bytes())
		assert.Equal(t, sum[:], hash.Buffer)
	}
	at3 := et.Client{TPM: tpm.TPM, Locality: 3}
	owner := et.U32(uint32(wire.RHOwner))
	p, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: password}, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate), OutsideInfo: outside, CreationPCR: selection}.Execute(at3)
	require.NoError(t, err)
	check(p.CreationData, p.CreationHash, tpm2.TPMAlgNull, owner, owner)
	c, err := tpm2.Create{ParentHandle: tpm2.AuthHandle{Handle: p.ObjectHandle, Name: p.Name, Auth: password}, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate), OutsideInfo: outside, CreationPCR: selection}.Execute(at3)
	require.NoError(t, err)
	qualified := sha256.Sum256(append(bytes.Clone(owner), p.Name.Buffer...))
	check(c.CreationData, c.CreationHash, tpm2.TPMAlgSHA256, p.Name.Buffer, append([]byte{0, 0x0B}, qualified[:]...))
}

// PCRs that are not there are not in the selection, and an extended locality is
// its number.
func TestCreationDataOfOddPlaces(t *testing.T) {
	t.Parallel()
	tpm := et.New(t, et.WithConfig(emulator.Config{Banks: []emulator.Bank{{Alg: wire.AlgSHA256}, {Alg: wire.AlgSHA1, Unallocated: true}}}))
	command := et.Command(wire.CCCreatePrimary, handles{wire.RHNull}, et.NoAuth(), sensitiveCreate("", ""), eccSigning().template(made).publicParameter(), et.Sized(nil), et.Selection(wire.AlgSHA1, 1))
	for locality, want := range map[uint8]byte{0: 1, 1: 2, 4: 16, 32: 32, 200: 200} {
		rsp := tpm.Execute(locality, command)
		require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp))
		r := wire.NewReader(et.Parameters(rsp, true), nil)
		r.Sized(wire.MaxTemplate)
		data := r.Sized(1000)
		assert.Equal(t, append([]byte{0, 0, 0, 1, 0, 4, 3, 0, 0, 0}, et.Sized(sha256.New().Sum(nil))...), data[:44])
		assert.Equal(t, want, data[44], locality)
		require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(et.ResponseHandle(rsp))))))
	}
}

// Sealing with go-tpm: the data come back for the right password alone, and a
// new password is for what is loaded anew.
func TestSealWithClient(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	srk, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(tpm.Client())
	require.NoError(t, err)
	parent := tpm2.AuthHandle{Handle: srk.ObjectHandle, Name: srk.Name, Auth: tpm2.PasswordAuth(nil)}
	blob, err := tpm2.Create{ParentHandle: parent,
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{UserAuth: tpm2.TPM2BAuth{Buffer: []byte("one\x00\x00")},
			Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: []byte("secret")})}},
		InPublic: tpm2.New2B(tpm2.TPMTPublic{Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, UserWithAuth: true}})}.Execute(tpm.Client())
	require.NoError(t, err)
	load := func(private tpm2.TPM2BPrivate) tpm2.NamedHandle {
		loaded, err := tpm2.Load{ParentHandle: parent, InPrivate: private, InPublic: blob.OutPublic}.Execute(tpm.Client())
		require.NoError(t, err)
		return tpm2.NamedHandle{Handle: loaded.ObjectHandle, Name: loaded.Name}
	}
	unseal := func(h tpm2.NamedHandle, auth tpm2.Session) (string, error) {
		out, err := tpm2.Unseal{ItemHandle: tpm2.AuthHandle{Handle: h.Handle, Name: h.Name, Auth: auth}}.Execute(tpm.Client())
		if err != nil {
			return "", err
		}
		return string(out.OutData.Buffer), nil
	}
	old := load(blob.OutPrivate)
	for _, auth := range []tpm2.Session{tpm2.PasswordAuth([]byte("one")), tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Auth([]byte("one"))),
		tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Auth([]byte("one")), tpm2.AESEncryption(128, tpm2.EncryptOut), tpm2.Salted(srk.ObjectHandle, contentsOf(t, srk.OutPublic)))} {
		data, err := unseal(old, auth)
		require.NoError(t, err)
		assert.Equal(t, "secret", data)
	}
	changed, err := tpm2.ObjectChangeAuth{ObjectHandle: tpm2.AuthHandle{Handle: old.Handle, Name: old.Name, Auth: tpm2.PasswordAuth([]byte("one"))},
		ParentHandle: tpm2.NamedHandle{Handle: srk.ObjectHandle, Name: srk.Name}, NewAuth: tpm2.TPM2BAuth{Buffer: []byte("two")}}.Execute(tpm.Client())
	require.NoError(t, err)
	data, err := unseal(old, tpm2.PasswordAuth([]byte("one")))
	require.NoError(t, err)
	assert.Equal(t, "secret", data, "what is loaded keeps its password")
	renewed := load(changed.OutPrivate)
	assert.Equal(t, old.Name, renewed.Name)
	data, err = unseal(renewed, tpm2.PasswordAuth([]byte("two")))
	require.NoError(t, err)
	assert.Equal(t, "secret", data)
	assert.EqualValues(t, 0, property(t, tpm, wire.PTLockoutCounter))
	_, err = unseal(renewed, tpm2.PasswordAuth([]byte("one")))
	assert.ErrorIs(t, err, tpm2.TPMRCAuthFail)
	assert.EqualValues(t, 1, property(t, tpm, wire.PTLockoutCounter), "it has no noDA")
	for range 2 {
		_, err = unseal(renewed, tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Auth([]byte("three"))))
		assert.ErrorIs(t, err, tpm2.TPMRCAuthFail)
	}
	_, err = unseal(renewed, tpm2.PasswordAuth([]byte("two")))
	assert.ErrorIs(t, err, tpm2.TPMRCLockout)
}

func contentsOf(t *testing.T, p tpm2.TPM2BPublic) tpm2.TPMTPublic {
	t.Helper()
	public, err := p.Contents()
	require.NoError(t, err)
	return *public
}

// Endorsement and storage keys of the usual templates. They need policies and
// hold what the reader of the template expects.
func TestUsualTemplates(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	for hierarchy, list := range map[tpm2.TPMHandle][]tpm2.TPMTPublic{
		tpm2.TPMRHEndorsement: {tpm2.RSAEKTemplate, tpm2.ECCEKTemplate}, tpm2.TPMRHOwner: {tpm2.RSASRKTemplate, tpm2.ECCSRKTemplate}} {
		for _, template := range list {
			p, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.AuthHandle{Handle: hierarchy, Auth: tpm2.PasswordAuth(nil)}, InPublic: tpm2.New2B(template)}.Execute(tpm.Client())
			require.NoError(t, err)
			got := contentsOf(t, p.OutPublic)
			want := template
			want.Unique = got.Unique
			assert.Equal(t, tpm2.Marshal(want), tpm2.Marshal(got))
			_, err = tpm2.Pub(got)
			require.NoError(t, err)
			_, err = tpm2.FlushContext{FlushHandle: p.ObjectHandle}.Execute(tpm.Client())
			require.NoError(t, err)
		}
	}
}

// TPM2_Clear leaves endorsement keys as they are, and takes their children away.
func TestClearAndEndorsementKeys(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	primary := createPrimary(wire.RHEndorsement, eccStorage().template(made), "", "")
	public := et.Parameters(tpm.Execute(0, primary), true)[:100]
	created := tpm.Execute(0, create(object, sealed("").template(0), "", "x"))
	load(t, tpm, loadChild(object, created))
	require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCClear, handles{wire.RHLockout}, et.NoAuth())))
	assert.Equal(t, public, et.Parameters(tpm.Execute(0, primary), true)[:100])
	assert.Equal(t, wire.RCIntegrity.Parameter(1), send(t, tpm, loadChild(object, created)))
}

// What TPM2_Create says about a key TPM2_CertifyCreation repeats, signed by that
// very key: the ticket holds, and with it the private part belongs to the public
// one. RSA and ECC, in every hierarchy.
func TestCertifyCreationOfNewKeys(t *testing.T) {
	t.Parallel()
	none := tpm2.PasswordAuth(nil)
	rsa2048, p256 := rsaKey(signKey, noSym, hashScheme(wire.AlgRSASSA, wire.AlgSHA256)), eccKey(signKey, noSym, hashScheme(wire.AlgECDSA, wire.AlgSHA256))
	for _, hierarchy := range []tpm2.TPMHandle{tpm2.TPMRHOwner, tpm2.TPMRHEndorsement, tpm2.TPMRHPlatform, tpm2.TPMRHNull} {
		tpm := et.New(t)
		srk, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.AuthHandle{Handle: hierarchy, Auth: none}, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(tpm.Client())
		require.NoError(t, err)
		parent := tpm2.AuthHandle{Handle: srk.ObjectHandle, Name: srk.Name, Auth: none}
		for _, k := range []testKey{rsa2048, p256} {
			made, err := tpm2.Create{ParentHandle: parent, InPublic: tpm2.BytesAs2B[tpm2.TPMTPublic](k.template(made).publicArea())}.Execute(tpm.Client())
			require.NoError(t, err)
			loaded, err := tpm2.Load{ParentHandle: parent, InPrivate: made.OutPrivate, InPublic: made.OutPublic}.Execute(tpm.Client())
			require.NoError(t, err)
			certify := tpm2.CertifyCreation{SignHandle: tpm2.AuthHandle{Handle: loaded.ObjectHandle, Name: loaded.Name, Auth: none},
				ObjectHandle: tpm2.NamedHandle{Handle: loaded.ObjectHandle, Name: loaded.Name}, CreationHash: made.CreationHash,
				InScheme: tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull}, CreationTicket: made.CreationTicket}
			certified, err := certify.Execute(tpm.Client())
			require.NoError(t, err, "%x %v", hierarchy, k.public.Parms.Type)
			public := contentsOf(t, made.OutPublic)
			requireSigned(t, &public, certified.CertifyInfo.Bytes(), &certified.Signature)
			certify.CreationHash.Buffer = bytes.Repeat([]byte{1}, 32)
			_, err = certify.Execute(tpm.Client())
			assert.ErrorIs(t, err, tpm2.TPMRCTicket)
			_, err = tpm2.FlushContext{FlushHandle: loaded.ObjectHandle}.Execute(tpm.Client())
			require.NoError(t, err)
		}
	}
}

// requireSigned verifies a signature with SHA-256 by the standard library.
func requireSigned(t *testing.T, key *tpm2.TPMTPublic, message []byte, s *tpm2.TPMTSignature) {
	t.Helper()
	public, err := tpm2.Pub(*key)
	require.NoError(t, err)
	digest := sha256.Sum256(message)
	switch public := public.(type) {
	case *rsa.PublicKey:
		signature, err := s.Signature.RSASSA()
		require.NoError(t, err)
		require.NoError(t, rsa.VerifyPKCS1v15(public, crypto.SHA256, digest[:], signature.Sig.Buffer))
	case *ecdsa.PublicKey:
		signature, err := s.Signature.ECDSA()
		require.NoError(t, err)
		r, s := new(big.Int).SetBytes(signature.SignatureR.Buffer), new(big.Int).SetBytes(signature.SignatureS.Buffer)
		require.True(t, ecdsa.Verify(public, digest[:], r, s))
	default:
		require.Fail(t, "neither an RSA nor an ECC key")
	}
}
