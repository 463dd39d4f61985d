package emulator_test

import (
	"bytes"
	"crypto"
	"crypto/mlkem"
	"crypto/sha3"
	"encoding/hex"
	"slices"
	"testing"

	"filippo.io/mldsa"
	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// v185Config is the Config of the profile v185.
func v185Config(tb testing.TB) emulator.Config {
	tb.Helper()
	p, err := emulator.ProfileByName("v185")
	require.NoError(tb, err)
	return p.Config
}

// v185 is a TPM of that profile, with keys in its slots.
func v185(tb testing.TB, keys ...testKey) *et.TPM {
	tb.Helper()
	tpm := et.New(tb, et.WithConfig(v185Config(tb)))
	if len(keys) > 0 {
		changeState(tb, tpm, planting(keys...))
	}
	return tpm
}

// mlkemKey is an ML-KEM key; a storage key has AES-128.
func mlkemKey(set wire.MLKEMParameterSet, a wire.ObjectAttributes) testKey {
	seed := bytes.Repeat([]byte{0x4B}, wire.MLKEMSeed)
	public, err := crypt.MLKEMPublic(set, seed)
	if err != nil {
		panic(err)
	}
	k := testKey{
		wire.Public{NameAlg: wire.AlgSHA256, Attributes: a, Unique: public, Parms: wire.PublicParms{Type: wire.AlgMLKEM, Sym: noSym, MLKEM: set}},
		wire.Sensitive{Type: wire.AlgMLKEM, Data: seed},
	}
	if a&wire.ObjectRestricted != 0 {
		k.public.Parms.Sym = aes128CFB
		k = withSeed(k)
	}
	return k
}

// mldsaKey is an ML-DSA key, with hash a HASH_MLDSA key.
func mldsaKey(set wire.MLDSAParameterSet, hash wire.AlgID, a wire.ObjectAttributes) testKey {
	seed := bytes.Repeat([]byte{0xD5}, wire.MLDSASeed)
	public, err := crypt.MLDSAPublic(set, seed)
	if err != nil {
		panic(err)
	}
	p := wire.PublicParms{Type: wire.AlgMLDSA, MLDSA: set}
	if hash != wire.AlgNull {
		p.Type, p.Hash = wire.AlgHashMLDSA, hash
	}
	return testKey{wire.Public{NameAlg: wire.AlgSHA256, Attributes: a, Unique: public, Parms: p}, wire.Sensitive{Type: p.Type, Data: seed}}
}

// latticeKeys are keys of every type and parameter set.
func latticeKeys() map[string]testKey {
	all := map[string]testKey{
		"ML-DSA-65 with µ": change(mldsaKey(wire.MLDSA65, wire.AlgNull, signKey), func(k *testKey) { k.public.Parms.ExternalMu = true }),
	}
	for set := wire.MLKEM512; set <= wire.MLKEM1024; set++ {
		all[set.String()] = mlkemKey(set, openKey)
	}
	for set := wire.MLDSA44; set <= wire.MLDSA87; set++ {
		all[set.String()] = mldsaKey(set, wire.AlgNull, signKey)
		all["HASH_"+set.String()] = mldsaKey(set, wire.AlgSHA384, signKey)
	}
	return all
}

// publicOf is the TPMT_PUBLIC and the Name that TPM2_ReadPublic gives.
func publicOf(t *testing.T, tpm *et.TPM, h wire.Handle) (p wire.Public, name []byte) {
	t.Helper()
	r := answer(t, tpm, et.Command(wire.CCReadPublic, handles{h}, nil))
	area := r.SizedPublic(&p, false)
	name = r.Sized(wire.MaxName)
	require.Equal(t, wire.RCSuccess, r.RC())
	p.Alias(bytes.Clone(area))
	return p, bytes.Clone(name)
}

// libraryMLDSA is the parameter set for the library.
func libraryMLDSA(set wire.MLDSAParameterSet) mldsa.Parameters {
	return []mldsa.Parameters{mldsa.MLDSA44(), mldsa.MLDSA65(), mldsa.MLDSA87()}[set-1]
}

// latticeSigned reports whether a signature is that of a message: by the library for
// ML-DSA, and for HashML-DSA, which it does not have, by µ as FIPS 204, algorithm 5,
// says it.
func latticeSigned(t *testing.T, p *wire.Public, message []byte, s *wire.Signature) bool {
	t.Helper()
	if p.Parms.Type == wire.AlgMLDSA {
		assert.Equal(t, wire.AlgMLDSA, s.Alg)
		k, err := mldsa.NewPublicKey(libraryMLDSA(p.Parms.MLDSA), p.Unique)
		require.NoError(t, err)
		return mldsa.Verify(k, message, s.Bytes, nil) == nil
	}
	assert.Equal(t, wire.AlgHashMLDSA, s.Alg)
	assert.Equal(t, p.Parms.Hash, s.Hash)
	oid := map[wire.AlgID]byte{wire.AlgSHA256: 1, wire.AlgSHA384: 2, wire.AlgSHA512: 3}[p.Parms.Hash]
	tr := sha3.SumSHAKE256(p.Unique, 64)
	mu := sha3.SumSHAKE256(slices.Concat(tr, []byte{1, 0, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, oid}, hashOf(p.Parms.Hash, message)), 64)
	return crypt.MLDSAVerifyMu(p.Parms.MLDSA, p.Unique, mu, s.Bytes)
}

// A key of each type is made as a primary object, below parents of ECC and of ML-KEM,
// and loaded; what comes out is a key of the library.
func TestLatticeKeysAreMade(t *testing.T) {
	t.Parallel()
	for name, k := range latticeKeys() {
		template := k.template(made)
		tpm := v185(t)
		primary := load(t, tpm, createPrimary(wire.RHOwner, template, "pw", ""))
		p, _ := publicOf(t, tpm, primary)
		assert.Len(t, p.Unique, len(k.public.Unique), name)
		p.Unique = nil
		assert.Equal(t, template.public.Parms, p.Parms, name)
		flush(t, tpm, primary)
		for _, parent := range []testKey{eccStorage(), mlkemKey(wire.MLKEM768, storeKey)} {
			h := load(t, tpm, createPrimary(wire.RHOwner, parent.template(made), "", ""))
			created := tpm.Execute(0, create(h, template, "pw", ""))
			require.Equal(t, wire.RCSuccess, et.ResponseCode(created), name)
			child := load(t, tpm, loadChild(h, created))
			one, _ := publicOf(t, tpm, child)
			assert.Len(t, one.Unique, len(k.public.Unique), name)
			flush(t, tpm, child)
			both := load(t, tpm, createLoaded(h, template.publicArea(), "pw", ""))
			two, _ := publicOf(t, tpm, both)
			assert.NotEqual(t, one.Unique, two.Unique, name)
			// A saved context has the seed, not what it expands to.
			saved := saveContext(t, tpm, both)
			assert.LessOrEqual(t, len(saved), int(property(t, tpm, wire.PTMaxObjectContext)), name)
			assert.Less(t, len(saved), len(k.public.Unique)+600, name)
			flush(t, tpm, both)
			rc, again := loadContext(tpm, saved)
			require.Equal(t, wire.RCSuccess, rc, name)
			three, _ := publicOf(t, tpm, again)
			assert.Equal(t, two, three, name)
			flush(t, tpm, again)
			flush(t, tpm, h)
		}
	}
}

// The largest key, with the largest of everything, keeps to the size that is reported.
func TestLargestLatticeContext(t *testing.T) {
	t.Parallel()
	tpm := v185(t)
	k := mldsaKey(wire.MLDSA87, wire.AlgSHA512, signKey).template(made)
	k.public.NameAlg, k.public.AuthPolicy = wire.AlgSHA512, make([]byte, 64)
	h := load(t, tpm, createPrimary(wire.RHEndorsement, k, string(bytes.Repeat([]byte{'a'}, 64)), ""))
	assert.LessOrEqual(t, len(saveContext(t, tpm, h)), int(property(t, tpm, wire.PTMaxObjectContext)))
}

// Primary keys come from the seed of their hierarchy: this is the derivation for ever,
// as another one would change everybody's endorsement keys.
func TestLatticePrimariesStayTheSame(t *testing.T) {
	t.Parallel()
	golden := map[string]string{ // the first octets of SHA-256 of the owner's and of the endorsement key
		"MLKEM_512":        "dbdbe17ee49eaf882a9e5af269fa7b88",
		"MLKEM_1024":       "265edfb25f88ce03bf38d8121cd4b182",
		"MLDSA_44":         "52d86ed5ff8f43cb9dbf04b1a1be5fb4",
		"HASH_MLDSA_65":    "4c0d8ab689da9a490b8c6614ad7eefdf",
		"HASH_MLDSA_87":    "c16248b298dd941037159e02e8da4139",
		"ML-DSA-65 with µ": "0437566cf850c8f1d0d0249198cc7235",
		"MLKEM_768":        "5177585e6cbe2076ef5b75a139b553e3",
		"HASH_MLDSA_44":    "f3d4489e5389a776cc8e2a24d1965160",
		"MLDSA_65":         "38911a11daf751a677e714e74efa4cba",
		"MLDSA_87":         "52674286b1ed0f8f8c8e7779fdb927c2",
	}
	for name, k := range latticeKeys() {
		tpm := et.New(t, et.WithConfig(v185Config(t)), et.WithSeed(185))
		var digests []byte
		for _, hierarchy := range []wire.Handle{wire.RHOwner, wire.RHEndorsement} {
			h := load(t, tpm, createPrimary(hierarchy, k.template(made), "", ""))
			p, first := publicOf(t, tpm, h)
			digests = append(digests, hashOf(wire.AlgSHA256, p.Unique)[:8]...)
			flush(t, tpm, h)
			h = load(t, tpm, createPrimary(hierarchy, k.template(made), "", ""))
			_, again := publicOf(t, tpm, h)
			assert.Equal(t, first, again, name)
			flush(t, tpm, h)
			h = load(t, tpm, createPrimary(hierarchy, k.template(made), "", "personal"))
			_, other := publicOf(t, tpm, h)
			assert.NotEqual(t, first, other, name)
			flush(t, tpm, h)
		}
		assert.Equal(t, golden[name], hex.EncodeToString(digests), name)
	}
}

// What an ML-KEM or ML-DSA key cannot be.
func TestLatticeTemplatesRefused(t *testing.T) {
	t.Parallel()
	changed := func(k testKey, f func(*testKey)) testKey { return change(k.template(made), f) }
	kem, dsa := mlkemKey(wire.MLKEM768, openKey), mldsaKey(wire.MLDSA65, wire.AlgNull, signKey)
	for name, tc := range map[string]struct {
		k    testKey
		want wire.RC
	}{
		"ML-KEM that signs":            {changed(kem, func(k *testKey) { k.public.Attributes |= wire.ObjectSignEncrypt }), wire.RCAttributes},
		"ML-KEM that signs only":       {changed(kem, func(k *testKey) { k.public.Attributes ^= wire.ObjectSignEncrypt | wire.ObjectDecrypt }), wire.RCAttributes},
		"ML-KEM that does nothing":     {changed(kem, func(k *testKey) { k.public.Attributes &^= wire.ObjectDecrypt }), wire.RCAttributes},
		"general ML-KEM with a cipher": {changed(kem, func(k *testKey) { k.public.Parms.Sym = aes128CFB }), wire.RCSymmetric},
		"parent without a cipher":      {changed(kem, func(k *testKey) { k.public.Attributes |= wire.ObjectRestricted }), wire.RCSymmetric},
		"unknown set of ML-KEM":        {changed(kem, func(k *testKey) { k.public.Parms.MLKEM = 4 }), wire.RCParms},
		"no set of ML-KEM":             {changed(kem, func(k *testKey) { k.public.Parms.MLKEM = 0 }), wire.RCParms},
		"ML-DSA that decrypts":         {changed(dsa, func(k *testKey) { k.public.Attributes |= wire.ObjectDecrypt }), wire.RCAttributes},
		"ML-DSA that only decrypts":    {changed(dsa, func(k *testKey) { k.public.Attributes ^= wire.ObjectSignEncrypt | wire.ObjectDecrypt }), wire.RCAttributes},
		"ML-DSA that stores": {changed(dsa, func(k *testKey) {
			k.public.Attributes ^= wire.ObjectSignEncrypt | wire.ObjectDecrypt | wire.ObjectRestricted
		}), wire.RCAttributes},
		"ML-DSA that does nothing": {changed(dsa, func(k *testKey) { k.public.Attributes &^= wire.ObjectSignEncrypt }), wire.RCAttributes},
		"restricted with µ": {changed(dsa, func(k *testKey) {
			k.public.Attributes |= wire.ObjectRestricted
			k.public.Parms.ExternalMu = true
		}), wire.RCAttributes},
		"unknown set of ML-DSA":   {changed(dsa, func(k *testKey) { k.public.Parms.MLDSA = 0xFFFF }), wire.RCParms},
		"HashML-DSA with SHA-1":   {mldsaKey(wire.MLDSA65, wire.AlgSHA1, signKey).template(made), wire.RCHash},
		"unique that is too long": {changed(kem, func(k *testKey) { k.public.Unique = make([]byte, 1569) }), wire.RCSize},
		"somebody else's secret":  {changed(dsa, func(k *testKey) { k.public.Attributes &^= wire.ObjectSensitiveDataOrigin }), wire.RCAttributes},
		"no nameAlg":              {changed(dsa, func(k *testKey) { k.public.NameAlg = wire.AlgNull }), wire.RCHash},
	} {
		tpm := v185(t)
		assert.Equal(t, tc.want.Parameter(2), send(t, tpm, createPrimary(wire.RHOwner, tc.k, "", "")), name)
		h := load(t, tpm, storagePrimary())
		assert.Equal(t, tc.want.Parameter(2), send(t, tpm, create(h, tc.k, "", "")), name)
	}
	// A unique of any size up to the largest is taken, as for RSA.
	for _, size := range []int{0, 1, 1184, 1568} {
		tpm := v185(t)
		assert.Equal(t, wire.RCSuccess, send(t, tpm, createPrimary(wire.RHOwner, changed(kem, func(k *testKey) { k.public.Unique = make([]byte, size) }), "", "")))
	}
	// The creator of another than a primary object brings no data.
	tpm := v185(t)
	h := load(t, tpm, storagePrimary())
	assert.Equal(t, wire.RCAttributes.Parameter(2), send(t, tpm, create(h, dsa.template(made), "", "data")))
	// A derivation parent has no such children.
	tpm = v185(t, derivationParent())
	for _, k := range []testKey{kem, dsa} {
		template := deriveTemplate(k.template(wire.ObjectFixedParent|wire.ObjectFixedTPM), nil, nil)
		assert.Equal(t, wire.RCType.Parameter(2), send(t, tpm, createLoaded(object, template, "", "")))
	}
}

// deriveTemplate is the template of a derived object.
func deriveTemplate(k testKey, label, context []byte) []byte {
	var w wire.Writer
	w.DeriveTemplate(&k.public, &wire.Derive{Label: label, Context: context})
	return w.Data()
}

// Keys from outside are loaded if they are whole, with both areas and with the public
// one.
func TestLatticeLoadExternal(t *testing.T) {
	t.Parallel()
	for name, k := range latticeKeys() {
		tpm := v185(t)
		h := load(t, tpm, loadExternal(k))
		p, keyName := publicOf(t, tpm, h)
		assert.Equal(t, k.public.Unique, p.Unique, name)
		assert.Equal(t, k.name(), keyName, name)
		load(t, tpm, loadExternalPublic(k, wire.RHOwner))
		for what, tc := range map[string]struct {
			change func(*testKey)
			want   wire.RC // with both areas
			public wire.RC // with the public one
		}{
			"short public key": {func(k *testKey) { k.public.Unique = k.public.Unique[1:] }, wire.RCKeySize.Parameter(2), wire.RCKeySize.Parameter(2)},
			"no public key":    {func(k *testKey) { k.public.Unique = nil }, wire.RCKeySize.Parameter(2), wire.RCKeySize.Parameter(2)},
			"another's seed": {func(k *testKey) {
				k.sensitive.Data = bytes.Clone(k.sensitive.Data)
				k.sensitive.Data[0] ^= 1
			}, wire.RCBinding, wire.RCSuccess},
			"short seed":   {func(k *testKey) { k.sensitive.Data = k.sensitive.Data[1:] }, wire.RCSize.Parameter(1), wire.RCSuccess},
			"no seed":      {func(k *testKey) { k.sensitive.Data = nil }, wire.RCSize.Parameter(1), wire.RCSuccess},
			"another type": {func(k *testKey) { k.sensitive = hmacKey().sensitive }, wire.RCType.Parameter(1), wire.RCSuccess},
			"restricted":   {func(k *testKey) { k.public.Attributes |= wire.ObjectRestricted }, wire.RCAttributes.Parameter(2), 0},
		} {
			bad := change(k, tc.change)
			tpm := v185(t)
			assert.Equal(t, tc.want, send(t, tpm, loadExternal(bad)), "%s: %s", name, what)
			if what != "restricted" {
				assert.Equal(t, tc.public, send(t, tpm, loadExternalPublic(bad, wire.RHNull)), "%s: %s", name, what)
			}
		}
	}
	// A coefficient that is not below the modulus.
	bad := change(mlkemKey(wire.MLKEM768, openKey), func(k *testKey) {
		k.public.Unique = bytes.Clone(k.public.Unique)
		k.public.Unique[0], k.public.Unique[1] = 0xFF, 0xFF
	})
	assert.Equal(t, wire.RCKey.Parameter(2), send(t, v185(t), loadExternalPublic(bad, wire.RHNull)))
	assert.Equal(t, wire.RCBinding, send(t, v185(t), loadExternal(bad)))
}

// TPM2_Sign and TPM2_VerifySignature have a digest, which is not what these keys sign;
// TPM2_CertifyX509 has no algorithm identifiers for them.
func TestDigestCommandsRefuseLatticeKeys(t *testing.T) {
	t.Parallel()
	for _, hash := range []wire.AlgID{wire.AlgNull, wire.AlgSHA256} {
		k := mldsaKey(wire.MLDSA44, hash, signKey)
		tpm := v185(t, k, eccSigning())
		nullTicket := ticketOf(wire.Ticket{Tag: wire.STHashCheck, Hierarchy: wire.RHNull})
		for _, scheme := range []wire.Scheme{noScheme, hashScheme(k.public.Parms.Type, wire.AlgNull), ecdsa256} {
			assert.Equal(t, wire.RCScheme.Handle(1), send(t, tpm, et.Command(wire.CCSign, handles{object}, et.NoAuth(), et.Sized(digest256), schemeOf(scheme), nullTicket)))
		}
		var w wire.Writer
		w.Signature(&wire.Signature{Alg: k.public.Parms.Type, Hash: k.public.Parms.Hash, Bytes: make([]byte, 2420)})
		verify := func(h wire.Handle) []byte {
			return et.Command(wire.CCVerifySignature, handles{h}, nil, et.Sized(digest256), w.Data())
		}
		assert.Equal(t, wire.RCScheme.Handle(1), send(t, tpm, verify(object)))
		assert.Equal(t, wire.RCScheme.Parameter(2), send(t, tpm, verify(object+1)), "of another kind of key")
		// The ECC key is asked for in a scheme of ML-DSA.
		assert.Equal(t, wire.RCScheme.Parameter(2), send(t, tpm, et.Command(wire.CCSign, handles{object + 1}, et.NoAuth(), et.Sized(digest256),
			schemeOf(hashScheme(k.public.Parms.Type, wire.AlgNull)), nullTicket)))
	}
}

// All attestations are signed with these keys, and the library verifies them.
func TestLatticeAttestations(t *testing.T) {
	t.Parallel()
	nonce := []byte("a nonce of the verifier's")
	for _, a := range attestings {
		for name, k := range map[string]testKey{
			"ML-DSA-44": mldsaKey(wire.MLDSA44, wire.AlgNull, attestKey), "ML-DSA-65": mldsaKey(wire.MLDSA65, wire.AlgNull, attestKey),
			"ML-DSA-87": mldsaKey(wire.MLDSA87, wire.AlgNull, attestKey), "HashML-DSA-65": mldsaKey(wire.MLDSA65, wire.AlgSHA384, attestKey),
		} {
			what := a.name + " with " + name
			tpm := attestable185(t, k)
			for _, asked := range []wire.Scheme{noScheme, hashScheme(k.public.Parms.Type, wire.AlgNull)} {
				r := reportOf(t, tpm, a.command(t, tpm, key, nonce, asked))
				assert.True(t, latticeSigned(t, &k.public, r.raw, r.signature), what)
				assert.Equal(t, k.qualifiedName(wire.RHEndorsement), r.QualifiedSigner.Buffer, what)
				assert.Equal(t, nonce, r.ExtraData.Buffer, what)
				changed := bytes.Clone(r.raw)
				changed[len(changed)-1] ^= 1
				assert.False(t, latticeSigned(t, &k.public, changed, r.signature), what)
				if a.name == "GetCommandAuditDigest" {
					break // the digest is empty now
				}
			}
			assert.Equal(t, wire.RCScheme.Parameter(a.scheme), send(t, tpm, a.command(t, tpm, key, nonce, ecdsa256)), what)
		}
	}
}

// attestable185 is attestable of a TPM of the profile v185.
func attestable185(t *testing.T, signer testKey) *et.TPM {
	t.Helper()
	tpm := v185(t)
	require.Equal(t, key, place(t, tpm, signer, wire.RHEndorsement))
	require.Equal(t, second, place(t, tpm, hmacKey(), wire.RHOwner))
	succeed(t, tpm, makeAttestable()...)
	return tpm
}

// What has digests of an attestation takes the nameAlg, where the scheme has no hash
// (errata 2.6 and 2.7).
func TestDigestsOfLatticeAttestations(t *testing.T) {
	t.Parallel()
	for _, hash := range []wire.AlgID{wire.AlgNull, wire.AlgSHA512} {
		k := mldsaKey(wire.MLDSA44, hash, attestKey)
		k.public.NameAlg = wire.AlgSHA384
		tpm := attestable185(t, k)
		quote := attested(t, reportOf(t, tpm, attestingNamed("Quote").command(t, tpm, key, nil, noScheme)).Attested.Quote)
		want := hashOf(wire.AlgSHA384, readPCR(t, tpm, wire.AlgSHA256, 0), readPCR(t, tpm, wire.AlgSHA256, 10))
		assert.Equal(t, want, quote.PCRDigest.Buffer)
		r := reportOf(t, tpm, nvCertify(key, 0))
		digest := attested(t, r.Attested.NVDigest)
		assert.Equal(t, hashOf(wire.AlgSHA384, []byte("contents")), digest.NVDigest.Buffer)

		k.public.NameAlg = wire.AlgNull
		bare := et.New(t, et.WithConfig(v185Config(t)))
		succeed(t, bare, loadExternal(change(k, func(k *testKey) { k.public.Attributes = signKey })), defined(0), nvWrite(nvFirst, nvFirst, nil, []byte("contents"), 0))
		assert.Equal(t, wire.RCScheme.Parameter(2), send(t, bare, attestingNamed("Quote").command(t, bare, key, nil, noScheme)))
		assert.Equal(t, wire.RCScheme.Parameter(2), send(t, bare, nvCertify(key, 0)))
	}
}

// nvCertify is TPM2_NV_Certify of so many bytes, 0 for the digest of the whole.
func nvCertify(signer wire.Handle, size uint16) []byte {
	return et.Command(wire.CCNVCertify, handles{signer, wire.RHOwner, nvFirst}, [][]byte{nil, nil}, et.Sized(nil), schemeOf(noScheme), et.U16(size), et.U16(0))
}

// What does not fit in the response buffer is refused before it is signed: a piece of
// an NV index with its number (erratum 2.8), and anything where the buffer was made
// smaller than ML-DSA-87 needs.
func TestLatticeSignaturesThatDoNotFit(t *testing.T) {
	t.Parallel()
	tpm := et.New(t, et.WithConfig(v185Config(t)), et.WithoutPower())
	got, err := tpm.SetBufferSize(4096)
	require.NoError(t, err)
	require.EqualValues(t, 4096, got)
	require.NoError(t, tpm.Init())
	require.Equal(t, wire.RCSuccess, tpm.Startup(0, wire.SUClear))
	require.Equal(t, key, place(t, tpm, mldsaKey(wire.MLDSA65, wire.AlgNull, attestKey), wire.RHEndorsement))
	succeed(t, tpm, define(wire.RHOwner, nvPublic{size: 1024}, nil), nvWrite(nvFirst, nvFirst, nil, make([]byte, 1024), 0))
	assert.Equal(t, wire.RCSuccess, send(t, tpm, nvCertify(key, 500)))
	assert.Equal(t, wire.RCSize.Parameter(3), send(t, tpm, nvCertify(key, 1024)))
	last := 0 // the largest piece that fits fills the buffer
	for size := 500; size <= 1024; size++ {
		rsp := tpm.Execute(0, nvCertify(key, uint16(size)))
		if et.ResponseCode(rsp) != wire.RCSuccess {
			break
		}
		last = len(rsp)
	}
	assert.Equal(t, 4096, last)
	succeed(t, tpm, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(key))))
	require.Equal(t, key, place(t, tpm, mldsaKey(wire.MLDSA87, wire.AlgNull, attestKey), wire.RHEndorsement))
	assert.Equal(t, wire.RCSize, send(t, tpm, attestingNamed("Quote").command(t, tpm, key, nil, noScheme)))

	low, _, _ := func() (uint32, uint32, uint32) { a, b, c := tpm.BufferSize(); return b, a, c }()
	assert.EqualValues(t, 3210, low, "a context fits")
	c := v185Config(t)
	c.Limits.Buffer = 4096
	_, err = emulator.New(emulator.Platform{}, c)
	var bad *emulator.ConfigError
	require.ErrorAs(t, err, &bad)
	assert.Equal(t, "Limits.Buffer", bad.Field)
	c.MLDSASets = []wire.MLDSAParameterSet{wire.MLDSA44, wire.MLDSA65}
	_, err = emulator.New(emulator.Platform{}, c)
	assert.NoError(t, err)
}

// Since version 185 a quote and the digest of an NV index need no signature.
func TestUnsignedDigestsOf185(t *testing.T) {
	t.Parallel()
	tpm := attestable185(t, eccSigning())
	quote := attestingNamed("Quote")
	assert.Equal(t, wire.RCScheme.Parameter(2), send(t, tpm, quote.command(t, tpm, wire.RHNull, nil, noScheme)), "no hash is named")
	r := reportOf(t, tpm, quote.command(t, tpm, wire.RHNull, nil, ecdsa256))
	assert.Equal(t, wire.AlgNull, r.signature.Alg)
	want := hashOf(wire.AlgSHA256, readPCR(t, tpm, wire.AlgSHA256, 0), readPCR(t, tpm, wire.AlgSHA256, 10))
	assert.Equal(t, want, attested(t, r.Attested.Quote).PCRDigest.Buffer)
	assert.Equal(t, wire.RCScheme.Parameter(2), send(t, tpm, nvCertify(wire.RHNull, 0)))
	certify := et.Command(wire.CCNVCertify, handles{wire.RHNull, wire.RHOwner, nvFirst}, [][]byte{nil, nil}, et.Sized(nil), schemeOf(ecdsa256), et.U16(0), et.U16(0))
	digest := attested(t, reportOf(t, tpm, certify).Attested.NVDigest)
	assert.Equal(t, hashOf(wire.AlgSHA256, []byte("contents")), digest.NVDigest.Buffer)

	old := attestable(t, eccSigning(), wire.RHEndorsement)
	assert.Equal(t, wire.RCScheme.Parameter(2), send(t, old, quote.command(t, old, wire.RHNull, nil, ecdsa256)))
}

// openEncapsulated recovers the seed of a TPM2B_ENCRYPTED_SECRET with the standard
// library.
func openEncapsulated(t *testing.T, k testKey, label string, secret []byte) []byte {
	t.Helper()
	var shared []byte
	if k.public.Parms.MLKEM == wire.MLKEM768 {
		d, err := mlkem.NewDecapsulationKey768(k.sensitive.Data)
		require.NoError(t, err)
		shared, err = d.Decapsulate(secret)
		require.NoError(t, err)
	} else {
		d, err := mlkem.NewDecapsulationKey1024(k.sensitive.Data)
		require.NoError(t, err)
		shared, err = d.Decapsulate(secret)
		require.NoError(t, err)
	}
	return tpm2.KDFa(crypto.SHA256, shared, label, secret, k.public.Unique, 256)
}

// encapsulateTo is its inverse.
func encapsulateTo(t *testing.T, k testKey, label string) (seed, secret []byte) {
	t.Helper()
	var shared []byte
	if k.public.Parms.MLKEM == wire.MLKEM768 {
		e, err := mlkem.NewEncapsulationKey768(k.public.Unique)
		require.NoError(t, err)
		shared, secret = e.Encapsulate()
	} else {
		e, err := mlkem.NewEncapsulationKey1024(k.public.Unique)
		require.NoError(t, err)
		shared, secret = e.Encapsulate()
	}
	return tpm2.KDFa(crypto.SHA256, shared, label, secret, k.public.Unique, 256), secret
}

// kemParents are storage keys that the standard library can open and close.
func kemParents() []testKey {
	return []testKey{mlkemKey(wire.MLKEM768, storeKey), mlkemKey(wire.MLKEM1024, storeKey)}
}

// A credential goes to an ML-KEM key from the TPM to the library and the other way.
func TestCredentialsWithMLKEM(t *testing.T) {
	t.Parallel()
	ak := mldsaKey(wire.MLDSA65, wire.AlgNull, signKey|wire.ObjectRestricted)
	for _, k := range kemParents() {
		tpm := v185(t)
		succeed(t, tpm, loadExternalPublic(k, wire.RHOwner))
		out := sizedList(t, et.Parameters(tpm.Execute(0, makeCredential(credential, ak.name())), false), 2)
		seed := openEncapsulated(t, k, "IDENTITY", out[1])
		assert.Equal(t, et.Sized(credential), openOuter(t, seed, ak.name(), out[0]))

		tpm = v185(t, ak, k)
		seed, secret := encapsulateTo(t, k, "IDENTITY")
		blob := closeOuter(t, seed, ak.name(), et.Sized(credential))
		r := answer(t, tpm, activateCredential(blob, secret))
		assert.Equal(t, credential, r.Digest())
		assert.Equal(t, wire.RCSize.Parameter(2), send(t, tpm, activateCredential(blob, secret[1:])))
		assert.Equal(t, wire.RCSize.Parameter(2), send(t, tpm, activateCredential(blob, nil)))
		secret[7] ^= 1
		assert.Equal(t, wire.RCIntegrity.Parameter(1), send(t, tpm, activateCredential(blob, secret)), "no word of the ciphertext")
	}
	// A key that only decapsulates is no storage key.
	tpm := v185(t, mlkemKey(wire.MLKEM768, openKey))
	assert.Equal(t, wire.RCType.Handle(1), send(t, tpm, makeCredential(credential, ak.name())))
}

// A session is salted with an ML-KEM key, restricted or not.
func TestSessionSaltedWithMLKEM(t *testing.T) {
	t.Parallel()
	for _, k := range append(kemParents(), mlkemKey(wire.MLKEM768, openKey)) {
		tpm := v185(t, k)
		salt, secret := encapsulateTo(t, k, "SECRET")
		require.Equal(t, wire.RCSuccess, send(t, tpm, saltedWith(secret, wire.RHNull)))
		session := snapshotOf(t, tpm).Volatile.Sessions[0]
		want := tpm2.KDFa(crypto.SHA256, salt, "ATH", session.NonceTPM.Bytes(), make([]byte, 16), 256)
		assert.Equal(t, want, session.Key.Bytes())
		badSalt := wire.RCValue.Parameter(2)
		assert.Equal(t, badSalt, send(t, tpm, saltedWith(secret[1:], wire.RHNull)))
		assert.Equal(t, badSalt, send(t, tpm, saltedWith(nil, wire.RHNull)))
		secret[0] ^= 1
		assert.Equal(t, wire.RCSuccess, send(t, tpm, saltedWith(secret, wire.RHNull)), "a session that nobody can use")
		other := snapshotOf(t, tpm).Volatile.Sessions[1]
		assert.NotEqual(t, tpm2.KDFa(crypto.SHA256, salt, "ATH", other.NonceTPM.Bytes(), make([]byte, 16), 256), other.Key.Bytes())
	}
	k := mlkemKey(wire.MLKEM768, openKey)
	_, secret := encapsulateTo(t, k, "SECRET")
	tpm := v185(t)
	succeed(t, tpm, loadExternalPublic(k, wire.RHOwner))
	assert.Equal(t, wire.RCHandle.Handle(1), send(t, tpm, saltedWith(secret, wire.RHNull)))
	tpm = v185(t, mldsaKey(wire.MLDSA44, wire.AlgNull, signKey))
	assert.Equal(t, wire.RCAttributes.Handle(1), send(t, tpm, saltedWith(secret, wire.RHNull)))
	long := make([]byte, 1569)
	assert.Equal(t, wire.RCSize.Parameter(2), send(t, tpm, saltedWith(long, wire.RHNull)))
}

// Keys of each type are duplicated to an ML-KEM parent, with and without an inner
// wrapper, imported below one, and rewrapped to and from one.
func TestDuplicationWithMLKEM(t *testing.T) {
	t.Parallel()
	for _, parent := range kemParents() {
		for name, k := range map[string]testKey{
			"ML-DSA": mldsaKey(wire.MLDSA87, wire.AlgNull, signKey), "HashML-DSA": mldsaKey(wire.MLDSA44, wire.AlgSHA256, signKey),
			"ML-KEM": mlkemKey(wire.MLKEM1024, openKey), "HMAC": hmacKey(),
		} {
			for _, sym := range []wire.SymDef{noSym, aes128CFB} {
				d := duplicable(k)
				tpm := v185(t, d, parent)
				succeed(t, tpm, mayDuplicate()...)
				out := sizedList(t, et.Parameters(tpm.Execute(0, duplicate(object+1, nil, sym)), false), 3)
				blob := openOuter(t, openEncapsulated(t, parent, "DUPLICATE", out[2]), d.name(), out[1])
				if sym != noSym {
					blob = openInner(t, out[0], d.name(), blob)
				}
				assert.Equal(t, padded(d), blob, name)
			}
			seed, secret := encapsulateTo(t, parent, "DUPLICATE")
			blob := closeOuter(t, seed, k.name(), k.sensitiveParameter())
			tpm := v185(t, parent)
			r := answer(t, tpm, importBlob(nil, k, blob, secret, noSym))
			private := r.Sized(wire.MaxPrivate)
			h := load(t, tpm, et.Command(wire.CCLoad, handles{object}, et.NoAuth(), et.Sized(private), k.publicParameter()))
			_, loadedName := publicOf(t, tpm, h)
			assert.Equal(t, k.name(), loadedName, name)
			assert.Equal(t, wire.RCSize.Parameter(4), send(t, tpm, importBlob(nil, k, blob, secret[1:], noSym)), name)
			secret[0] ^= 1
			assert.Equal(t, wire.RCIntegrity.Parameter(3), send(t, tpm, importBlob(nil, k, blob, secret, noSym)), name)
			secret[0] ^= 1

			tpm = v185(t, parent, eccStorage())
			out := sizedList(t, et.Parameters(tpm.Execute(0, rewrap(object, object+1, blob, k.name(), secret)), false), 2)
			assert.Equal(t, k.sensitiveParameter(), openOuter(t, openSecret(t, eccStorage(), "DUPLICATE", out[1]), k.name(), out[0]), name)
			back := tpm.Execute(0, rewrap(object+1, object, out[0], k.name(), out[1]))
			out = sizedList(t, et.Parameters(back, false), 2)
			assert.Equal(t, k.sensitiveParameter(), openOuter(t, openEncapsulated(t, parent, "DUPLICATE", out[1]), k.name(), out[0]), name)
			assert.Equal(t, wire.RCValue.Parameter(3), send(t, tpm, rewrap(object, object+1, blob, k.name(), secret[1:])), name)
		}
	}
	// What does not belong together is not imported.
	parent := kemParents()[0]
	bad := change(mldsaKey(wire.MLDSA44, wire.AlgNull, signKey), func(k *testKey) { k.sensitive.Data = make([]byte, 32) })
	fixed := change(parent, func(k *testKey) { k.public.Attributes |= wire.ObjectFixedTPM | wire.ObjectFixedParent })
	seed, secret := encapsulateTo(t, fixed, "DUPLICATE")
	blob := closeOuter(t, seed, bad.name(), bad.sensitiveParameter())
	assert.Equal(t, wire.RCBinding, send(t, v185(t, fixed), importBlob(nil, bad, blob, secret, noSym)))
}

// TPM2_PolicySigned takes a signature of the message itself.
func TestPolicySignedWithMLDSA(t *testing.T) {
	t.Parallel()
	ref := []byte("ref")
	message := slices.Concat(et.U32(0), ref) // no nonce, no expiration, no cpHash
	k := mldsaKey(wire.MLDSA65, wire.AlgNull, signKey)
	private, err := mldsa.NewPrivateKey(mldsa.MLDSA65(), k.sensitive.Data)
	require.NoError(t, err)
	signature, err := private.SignDeterministic(message, nil)
	require.NoError(t, err)
	policySigned := func(s wire.Signature) []byte {
		var w wire.Writer
		w.Signature(&s)
		return et.Command(wire.CCPolicySigned, handles{object, policySession}, nil, et.Sized(nil), et.Sized(nil), et.Sized(ref), et.U32(0), w.Data())
	}
	tpm := v185(t)
	succeed(t, tpm, loadExternalPublic(k, wire.RHOwner), startSession(wire.SEPolicy), policySigned(wire.Signature{Alg: wire.AlgMLDSA, Bytes: signature}))
	digest := answer(t, tpm, et.Command(wire.CCPolicyGetDigest, handles{policySession}, nil))
	want := sha(sha(make([]byte, 32), et.U32(uint32(wire.CCPolicySigned)), k.name()), ref)
	assert.Equal(t, want, digest.Digest())
	bad := bytes.Clone(signature)
	bad[100] ^= 1
	assert.Equal(t, wire.RCSignature.Parameter(5), send(t, tpm, policySigned(wire.Signature{Alg: wire.AlgMLDSA, Bytes: bad})))
	assert.Equal(t, wire.RCSignature.Parameter(5), send(t, tpm, policySigned(wire.Signature{Alg: wire.AlgMLDSA, Bytes: bad[1:]})))
	assert.Equal(t, wire.RCScheme.Parameter(5), send(t, tpm, policySigned(wire.Signature{Alg: wire.AlgHashMLDSA, Hash: wire.AlgSHA256, Bytes: signature})))
	assert.Equal(t, wire.RCScheme.Parameter(5), send(t, tpm, policySigned(wire.Signature{Alg: wire.AlgECDSA, Hash: wire.AlgSHA256, R: []byte{1}, S: []byte{1}})))
	tpm = v185(t)
	succeed(t, tpm, loadExternalPublic(eccSigning(), wire.RHOwner), startSession(wire.SEPolicy))
	assert.Equal(t, wire.RCScheme.Parameter(5), send(t, tpm, policySigned(wire.Signature{Alg: wire.AlgMLDSA, Bytes: signature})))
}

// TPM2_PolicyAuthorize takes what was verified of a digest with the hash of the key's
// Name, of the message, or of a digest with a hash that the ticket names.
func TestPolicyAuthorizeTakesThreeTickets(t *testing.T) {
	t.Parallel()
	k, ref := mldsaKey(wire.MLDSA44, wire.AlgNull, signKey), []byte("ref")
	approved := make([]byte, 32)
	message := slices.Concat(approved, ref)
	authorize := func(ticket wire.Ticket) []byte {
		return assertTrue(wire.CCPolicyAuthorize, et.Sized(approved), et.Sized(ref), et.Sized(k.name()), ticketOf(ticket))
	}
	for name, tc := range map[string]struct {
		tag  wire.ST
		hash wire.AlgID
		of   []byte // what the ticket is of
		meta []byte
	}{
		"digest":       {wire.STVerified, 0, sha(message), nil},
		"message":      {wire.STMessageVerified, 0, message, nil},
		"named digest": {wire.STDigestVerified, wire.AlgSHA512, hashOf(wire.AlgSHA512, message), et.U16(uint16(wire.AlgSHA512))},
	} {
		tpm := v185(t)
		succeed(t, tpm, startSession(wire.SEPolicy))
		proof := snapshotOf(t, tpm).Persistent.SHProof
		mac := crypt.HMAC(wire.AlgSHA512, proof.Bytes(), slices.Concat(et.U16(uint16(tc.tag)), tc.of, k.name(), tc.meta))
		ticket := wire.Ticket{Tag: tc.tag, Hierarchy: wire.RHOwner, Hash: tc.hash, Digest: mac}
		bad := ticket
		bad.Digest = slices.Concat(mac[:63], []byte{mac[63] ^ 1})
		assert.Equal(t, wire.RCValue.Parameter(4), send(t, tpm, authorize(bad)), name)
		null := wire.Ticket{Tag: tc.tag, Hierarchy: wire.RHNull, Hash: tc.hash}
		assert.Equal(t, wire.RCValue.Parameter(4), send(t, tpm, authorize(null)), name)
		if tc.hash != 0 {
			other := ticket
			other.Hash = wire.AlgSHA256
			assert.Equal(t, wire.RCValue.Parameter(4), send(t, tpm, authorize(other)), name)
			null.Hash = wire.AlgNull
			assert.Equal(t, wire.RCValue.Parameter(4), send(t, tpm, authorize(null)), name)
		}
		for _, tag := range []wire.ST{wire.STVerified, wire.STMessageVerified} {
			if tag != tc.tag {
				other := ticket
				other.Tag = tag
				assert.Equal(t, wire.RCValue.Parameter(4), send(t, tpm, authorize(other)), name)
			}
		}
		require.Equal(t, wire.RCSuccess, send(t, tpm, authorize(ticket)), name)
		digest := answer(t, tpm, et.Command(wire.CCPolicyGetDigest, handles{policySession}, nil))
		assert.Equal(t, sha(sha(make([]byte, 32), et.U32(uint32(wire.CCPolicyAuthorize)), k.name()), ref), digest.Digest(), name)
		if tc.tag != wire.STVerified {
			old := et.New(t)
			succeed(t, old, startSession(wire.SEPolicy))
			assert.Equal(t, wire.RCTag.Parameter(4), send(t, old, authorize(ticket)), name)
		}
	}
}

// A public key can be made persistent, and takes the memory that it needs.
func TestEvictControlOfAPublicKey(t *testing.T) {
	t.Parallel()
	const persistent = wire.PersistentFirst + 1
	k := mldsaKey(wire.MLDSA87, wire.AlgNull, signKey)
	tpm := v185(t)
	h := load(t, tpm, loadExternalPublic(k, wire.RHOwner))
	succeed(t, tpm, evict(wire.RHOwner, h, persistent))
	flush(t, tpm, h)
	require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUClear))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	p, name := publicOf(t, tpm, persistent)
	assert.Equal(t, k.public.Unique, p.Unique)
	assert.Equal(t, k.name(), name)
	assert.Equal(t, wire.RCSuccess, send(t, tpm, evict(wire.RHOwner, persistent, persistent)))

	old := et.New(t)
	h = load(t, old, loadExternalPublic(eccSigning(), wire.RHOwner))
	assert.Equal(t, wire.RCAttributes.Handle(2), send(t, old, evict(wire.RHOwner, h, persistent)))

	c := v185Config(t)
	c.Limits.Persistent, c.Limits.NVMemory = 1, 6000
	small := et.New(t, et.WithConfig(c))
	h = load(t, small, loadExternalPublic(k, wire.RHOwner))
	succeed(t, small, evict(wire.RHOwner, h, persistent), evict(wire.RHOwner, h, persistent+1))
	assert.Equal(t, wire.RCNVSpace, send(t, small, evict(wire.RHOwner, h, persistent+2)))
}

// A state with these keys is loaded, moved and restored; one without has the versions
// that it always had.
func TestStatesWithLatticeKeys(t *testing.T) {
	t.Parallel()
	k := mldsaKey(wire.MLDSA87, wire.AlgSHA512, signKey)
	store := &et.Store{}
	tpm := et.New(t, et.WithConfig(v185Config(t)), et.WithStore(store))
	h := load(t, tpm, createPrimary(wire.RHOwner, k.template(made), "", ""))
	want, _ := publicOf(t, tpm, h)
	succeed(t, tpm, evict(wire.RHOwner, h, wire.PersistentFirst))
	permanent, volatile, err := tpm.SaveState()
	require.NoError(t, err)
	other := et.New(t, et.WithConfig(v185Config(t)))
	require.NoError(t, other.LoadState(permanent, volatile))
	for _, at := range []wire.Handle{h, wire.PersistentFirst} {
		got, _ := publicOf(t, other, at)
		assert.Equal(t, want, got)
	}
	again := et.New(t, et.WithConfig(v185Config(t)), et.WithStore(store))
	got, _ := publicOf(t, again, wire.PersistentFirst)
	assert.Equal(t, want, got)

	plain := et.New(t)
	err = plain.Restore(volatile)
	var refused *emulator.SnapshotError
	require.ErrorAs(t, err, &refused)
	_, err = state.Decode(permanent)
	require.NoError(t, err)
	without := et.New(t, et.WithConfig(func() emulator.Config {
		c := v185Config(t)
		c.Algorithms = slices.DeleteFunc(c.Algorithms, func(a wire.AlgID) bool { return a == wire.AlgHashMLDSA })
		return c
	}()), et.WithoutPower())
	err = without.LoadState(permanent, nil)
	require.Error(t, err)
	assert.Contains(t, err.Error(), "HASH_MLDSA")
}

// The identity, the parameter sets and the algorithms of the profile.
func TestCapabilitiesOf185(t *testing.T) {
	t.Parallel()
	tpm := v185(t)
	for pt, want := range map[wire.PT]uint32{
		wire.PTRevision: 185, wire.PTDayOfYear: 1, wire.PTYear: 0, wire.PTFirmwareSVN: 0, wire.PTFirmwareMaxSVN: 0,
		wire.PTMLParameterSets: 0x7F, wire.PTMaxCommandSize: 8192, wire.PTMaxResponseSize: 8192,
	} {
		assert.Equal(t, want, property(t, tpm, pt), pt)
	}
	algs, _ := list(t, tpm, wire.CapAlgs, 0xA0, 10, 6)
	assert.Equal(t, [][]byte{{0, 0xA0, 0, 0, 2, 9}, {0, 0xA1, 0, 0, 1, 9}, {0, 0xA2, 0, 0, 1, 9}}, algs)
	for _, c := range []wire.Cap{wire.CapPubKeys, wire.CapSPDMSessions} {
		entries, more := list(t, tpm, c, 0, 10, 4)
		assert.Empty(t, entries)
		assert.False(t, more)
	}
	// A profile picks among them.
	_, err := emulator.ParseProfile("mine", []byte("profile mine\nspecification revision=185 errata=1\nalgorithms MLDSA HMAC KEYEDHASH KDF1_SP800_108 AES CFB SHA256\nbank SHA256\n"))
	require.ErrorContains(t, err, "limits: key buffer", "what ML-DSA-87 signs does not fit")
	p, err := emulator.ParseProfile("mine", []byte("profile mine\nspecification revision=185\nlimits object-context=2400\n"+
		"algorithms MLKEM MLDSA HMAC KEYEDHASH KDF1_SP800_108 AES CFB SHA256\nbank SHA256\nparameter-sets mlkem 1024\nparameter-sets mldsa 44\nexternal-mu no\n"))
	require.NoError(t, err)
	mine := et.New(t, et.WithConfig(p.Config))
	assert.EqualValues(t, 0b0001100, property(t, mine, wire.PTMLParameterSets))
	withMu := change(mldsaKey(wire.MLDSA44, wire.AlgNull, signKey), func(k *testKey) { k.public.Parms.ExternalMu = true })
	assert.Equal(t, wire.RCExtMu.Parameter(2), send(t, mine, loadExternalPublic(withMu, wire.RHNull)))
	assert.Equal(t, wire.RCParms.Parameter(2), send(t, mine, loadExternalPublic(mldsaKey(wire.MLDSA65, wire.AlgNull, signKey), wire.RHNull)))
	assert.Equal(t, wire.RCType.Parameter(2), send(t, mine, loadExternalPublic(mldsaKey(wire.MLDSA44, wire.AlgSHA256, signKey), wire.RHNull)))
	assert.Equal(t, wire.RCParms.Parameter(1), send(t, mine, et.Command(wire.CCTestParms, nil, nil, et.U16(0xA0), et.U16(0x10), et.U16(2))))
	assert.Equal(t, wire.RCSuccess, send(t, mine, et.Command(wire.CCTestParms, nil, nil, et.U16(0xA0), et.U16(0x10), et.U16(3))))
	for text, want := range map[string]string{
		"parameter-sets":               "it begins with mldsa, mlkem",
		"parameter-sets mlkem":         "it needs names: choose among 512, 768, 1024",
		"parameter-sets mldsa 45":      `parameter-sets mldsa: "45": there is none of that name`,
		"parameter-sets mlkem 512 512": "it comes twice",
		"parameter-sets mlkem 512":     "parameter-sets mlkem: [MLKEM_512] makes no TPM: add MLKEM to Algorithms",
		"parameter-sets mldsa 44":      "parameter-sets mldsa: [MLDSA_44] makes no TPM: add MLDSA or HASH_MLDSA to Algorithms",
		"external-mu yes":              "it has one word: no",
	} {
		_, err := emulator.ParseProfile("mine", []byte("profile mine\n"+text))
		assert.ErrorContains(t, err, want, text)
	}
}

// A TPM of an older version knows none of it.
func TestOlderTPMsKnowNoLatticeKeys(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	for name, k := range latticeKeys() {
		assert.Equal(t, wire.RCType.Parameter(2), send(t, tpm, createPrimary(wire.RHOwner, k.template(made), "", "")), name)
		assert.Equal(t, wire.RCType.Parameter(2), send(t, tpm, loadExternalPublic(k, wire.RHNull)), name)
	}
	for _, pt := range []wire.PT{wire.PTFirmwareSVN, wire.PTFirmwareMaxSVN, wire.PTMLParameterSets} {
		entries, _ := list(t, tpm, wire.CapTPMProperties, uint32(pt), 1, 8)
		assert.Empty(t, entries, pt)
	}
	succeed(t, tpm, loadExternal(rsaDecrypting()))
	assert.Equal(t, wire.RCSize.Parameter(2), send(t, tpm, saltedWith(make([]byte, 513), wire.RHNull)))
	assert.Equal(t, wire.RCScheme.Parameter(2), send(t, tpm, et.Command(wire.CCSign, handles{object}, et.NoAuth(), et.Sized(digest256), et.U16(0xA1),
		ticketOf(wire.Ticket{Tag: wire.STHashCheck, Hierarchy: wire.RHNull}))))
	_, volatile, err := tpm.SaveState()
	require.NoError(t, err)
	versions := sectionVersions(volatile)
	assert.EqualValues(t, 2, versions[5], "an older program goes on with it")
}

// sectionVersions are the versions of the sections of an encoded state.
func sectionVersions(b []byte) map[uint16]uint16 {
	r := wire.NewReader(b[12:], nil)
	versions := map[uint16]uint16{}
	for range int(b[11]) {
		tag := r.U16()
		versions[tag] = r.U16()
		r.Bytes(int(r.U32()))
	}
	return versions
}
