package emulator_test

import (
	"bytes"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func init() { packetLists = append(packetLists, objectPackets) }

// object is the handle of the first object.
const object = wire.TransientFirst

func objectPackets() []packet {
	return []packet{
		{name: "LoadExternal", code: wire.CCLoadExternal, bytes: loadExternal(hmacKey())},
		{name: "CreatePrimary", code: wire.CCCreatePrimary, bytes: et.Command(wire.CCCreatePrimary, handles{wire.RHOwner}, et.NoAuth(), sensitiveCreate("auth", ""),
			eccStorage().template(made).publicParameter(), et.Sized([]byte("outside")), et.Selection(wire.AlgSHA256, 0))},
		{name: "Create", code: wire.CCCreate, before: [][]byte{storagePrimary()}, bytes: et.Command(wire.CCCreate, handles{object}, et.NoAuth(), sensitiveCreate("auth", "data"),
			sealed("").template(0).publicParameter(), et.Sized([]byte("outside")), et.Selection(wire.AlgSHA256, 0))},
		{name: "CreateLoaded", code: wire.CCCreateLoaded, bytes: createLoaded(wire.RHOwner, eccStorage().template(made).publicArea(), "auth", "")},
		{name: "Load", code: wire.CCLoad, bytes: sealedChild(), before: [][]byte{storagePrimary()}},
		{name: "Unseal", code: wire.CCUnseal, bytes: et.Command(wire.CCUnseal, handles{object + 1}, [][]byte{pw}), before: [][]byte{storagePrimary(), sealedChild()}},
		{name: "ObjectChangeAuth", code: wire.CCObjectChangeAuth, before: [][]byte{storagePrimary(), sealedChild()},
			bytes: et.Command(wire.CCObjectChangeAuth, handles{object + 1, object}, [][]byte{pw}, et.Sized([]byte("new")))},
		{name: "ReadPublic", code: wire.CCReadPublic, bytes: et.Command(wire.CCReadPublic, handles{object}, nil), before: [][]byte{loadExternal(hmacKey())}},
	}
}

// externalKeys are keys of every kind.
func externalKeys() map[string]testKey {
	return map[string]testKey{
		"RSA signing":    rsaSigning(),
		"RSA decrypting": rsaDecrypting(),
		"RSASSA":         rsaKey(signKey, noSym, hashScheme(wire.AlgRSASSA, wire.AlgSHA256)),
		"RSAES":          rsaKey(openKey, noSym, wire.Scheme{Alg: wire.AlgRSAES, Hash: wire.AlgNull, KDF: wire.AlgNull}),
		"RSA for both":   rsaKey(signKey|openKey, noSym, noScheme),
		"ECC signing":    eccSigning(),
		"ECDSA":          eccKey(signKey, noSym, hashScheme(wire.AlgECDSA, wire.AlgSHA1)),
		"ECDH":           eccECDH(),
		"ECC for both":   eccKey(signKey|openKey, noSym, noScheme),
		"HMAC":           hmacKey(),
		"XOR":            xorKey(),
		"any MAC":        keyedHash(signKey|openKey, noScheme, []byte("k")),
		"sealed":         sealed("data"),
		"AES CFB":        aesKey(wire.AlgCFB),
		"AES any mode":   aesKey(wire.AlgNull),
	}
}

// A key goes in with both areas or with the public one, and comes out as it was,
// under the Name that go-tpm computes.
func TestLoadExternal(t *testing.T) {
	t.Parallel()
	for name, k := range externalKeys() {
		tpm := et.New(t)
		for _, command := range [][]byte{loadExternal(k), loadExternalPublic(k, wire.RHNull), loadExternalPublic(k, wire.RHOwner)} {
			rsp := tpm.Execute(0, command)
			require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp), name)
			assert.Equal(t, et.Sized(k.name()), et.Parameters(rsp, true), name)
			read, err := tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(et.ResponseHandle(rsp))}.Execute(tpm.Client())
			require.NoError(t, err, name)
			public, err := read.OutPublic.Contents()
			require.NoError(t, err, name)
			want, err := tpm2.ObjectName(public)
			require.NoError(t, err, name)
			assert.Equal(t, k.publicArea(), read.OutPublic.Bytes(), name)
			assert.Equal(t, want.Buffer, read.Name.Buffer, name)
			assert.Equal(t, want.Buffer, read.QualifiedName.Buffer, "an external object has no parent")
		}
		assert.Equal(t, wire.RCObjectMemory, send(t, tpm, loadExternal(k)), name)
	}
}

// Without nameAlg there is no Name, no attribute is looked at, and nothing but an
// RSA key needs its public part.
func TestLoadExternalWithoutName(t *testing.T) {
	t.Parallel()
	for name, k := range externalKeys() {
		k.public.NameAlg = wire.AlgNull
		k.public.AuthPolicy = []byte("of any size")
		k.public.Attributes |= wire.ObjectFirmwareLimited
		if k.public.Parms.Type != wire.AlgRSA {
			k.public.Unique, k.public.Point = nil, wire.ECPoint{}
		}
		k = k.withAuth("an authorization value longer than a SHA-256 digest, up to 64...")
		tpm := et.New(t)
		rsp := tpm.Execute(0, loadExternal(k))
		require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp), name)
		assert.Equal(t, et.Sized(nil), et.Parameters(rsp, true), name)
		read := tpm.Execute(0, et.Command(wire.CCReadPublic, handles{object}, nil))
		assert.Equal(t, append(k.publicParameter(), 0, 0, 0, 0), et.Parameters(read, false), name)
	}
}

// change gives the key, changed.
func change(k testKey, f func(*testKey)) testKey {
	f(&k)
	return k
}

func TestLoadExternalRefuses(t *testing.T) {
	t.Parallel()
	const private, public, hierarchy = 1, 2, 3
	attributes := func(k testKey, set wire.ObjectAttributes) testKey {
		k.public.Attributes |= set
		return k
	}
	scheme := func(k testKey, s wire.Scheme) testKey {
		k.public.Parms.Scheme = s
		return k
	}
	secret := func(k testKey, data []byte) testKey {
		k.sensitive.Data = data
		return symmetric(k)
	}
	restrictedXOR := wire.Scheme{Alg: wire.AlgXOR, Hash: wire.AlgSHA256, KDF: wire.AlgMGF1}
	flipped := bytes.Clone(rsaKey2048().Modulus())
	flipped[5] ^= 1
	even := bytes.Clone(rsaKey2048().Modulus())
	even[255] ^= 1
	for name, tc := range map[string]struct {
		key        testKey
		publicOnly bool
		want       wire.RC
	}{
		"fixedTPM":           {key: attributes(hmacKey(), wire.ObjectFixedTPM), want: wire.RCAttributes.Parameter(public)},
		"fixedParent":        {key: attributes(hmacKey(), wire.ObjectFixedParent), want: wire.RCAttributes.Parameter(public)},
		"restricted":         {key: attributes(hmacKey(), wire.ObjectRestricted), want: wire.RCAttributes.Parameter(public)},
		"a parent":           {key: rsaStorage(), want: wire.RCAttributes.Parameter(public)},
		"firmwareLimited":    {key: attributes(hmacKey(), wire.ObjectFirmwareLimited), want: wire.RCAttributes.Parameter(public)},
		"does nothing":       {key: rsaKey(userKey, noSym, noScheme), want: wire.RCAttributes.Parameter(public)},
		"reserved bit":       {key: attributes(hmacKey(), 1), want: wire.RCReservedBits.Parameter(public)},
		"policy size":        {key: change(hmacKey(), func(k *testKey) { k.public.AuthPolicy = make([]byte, 20) }), want: wire.RCSize.Parameter(public)},
		"type":               {key: change(hmacKey(), func(k *testKey) { k.sensitive.Type = wire.AlgSymCipher; k.sensitive.Data = k.sensitive.Data[:16] }), want: wire.RCType.Parameter(private)},
		"authValue size":     {key: hmacKey().withAuth(string(make([]byte, 33))), want: wire.RCSize.Parameter(private)},
		"seed size":          {key: change(rsaSigning(), func(k *testKey) { k.sensitive.Seed = make([]byte, 33) }), want: wire.RCKeySize.Parameter(private)},
		"seed size before":   {key: change(attributes(rsaSigning(), wire.ObjectFirmwareLimited), func(k *testKey) { k.sensitive.Seed = make([]byte, 33) }), want: wire.RCKeySize.Parameter(private)},
		"short seed":         {key: change(hmacKey(), func(k *testKey) { k.sensitive.Seed = make([]byte, 31) }), want: wire.RCKeySize.Parameter(private)},
		"HMAC binding":       {key: change(hmacKey(), func(k *testKey) { k.sensitive.Data = []byte("another") }), want: wire.RCBinding},
		"AES binding":        {key: change(aesKey(wire.AlgCFB), func(k *testKey) { k.sensitive.Seed = make([]byte, 32) }), want: wire.RCBinding},
		"RSA binding":        {key: change(rsaSigning(), func(k *testKey) { k.public.Unique = flipped }), want: wire.RCBinding},
		"RSA even":           {key: change(rsaSigning(), func(k *testKey) { k.public.Unique = even }), want: wire.RCBinding},
		"RSA exponent even":  {key: change(rsaSigning(), func(k *testKey) { k.public.Parms.Exponent = 65538 }), want: wire.RCBinding},
		"RSA exponent small": {key: change(rsaSigning(), func(k *testKey) { k.public.Parms.Exponent = 5 }), want: wire.RCValue.Parameter(public)},
		"RSA size":           {key: change(rsaSigning(), func(k *testKey) { k.public.Parms.KeyBits = 3072 }), want: wire.RCKey.Parameter(public)},
		"RSA first bit":      {key: change(rsaSigning(), func(k *testKey) { k.public.Unique = bytes.Repeat([]byte{0x7F}, 256) }), want: wire.RCKey.Parameter(public)},
		"RSA no modulus":     {key: change(rsaSigning(), func(k *testKey) { k.public.Unique = nil }), publicOnly: true, want: wire.RCKey.Parameter(public)},
		"RSA prime size":     {key: change(rsaSigning(), func(k *testKey) { k.sensitive.Data = k.sensitive.Data[:127] }), want: wire.RCKeySize.Parameter(private)},
		"RSA prime bit":      {key: change(rsaSigning(), func(k *testKey) { k.sensitive.Data = make([]byte, 128) }), want: wire.RCKeySize.Parameter(private)},
		"ECC binding":        {key: change(eccSigning(), func(k *testKey) { k.public.Point.X, k.public.Point.Y = k.public.Point.Y, k.public.Point.X }), want: wire.RCBinding},
		"ECC scalar 0":       {key: change(eccSigning(), func(k *testKey) { k.sensitive.Data = nil }), want: wire.RCKeySize},
		"ECC scalar":         {key: change(eccSigning(), func(k *testKey) { k.sensitive.Data = bytes.Repeat([]byte{0xFF}, 32) }), want: wire.RCKeySize},
		"ECC point":          {key: change(eccSigning(), func(k *testKey) { k.public.Point.X, k.public.Point.Y = k.public.Point.Y, k.public.Point.X }), publicOnly: true, want: wire.RCECCPoint.Parameter(public)},
		"ECC x size":         {key: change(eccSigning(), func(k *testKey) { k.public.Point.X = k.public.Point.X[:31] }), publicOnly: true, want: wire.RCKey.Parameter(public)},
		"ECC y size":         {key: change(eccSigning(), func(k *testKey) { k.public.Point.Y = nil }), publicOnly: true, want: wire.RCKey.Parameter(public)},
		"unique size":        {key: change(hmacKey(), func(k *testKey) { k.public.Unique = make([]byte, 31) }), publicOnly: true, want: wire.RCKey.Parameter(public)},
		"long HMAC secret":   {key: secret(hmacKey(), make([]byte, 65)), want: wire.RCKeySize.Parameter(private)},
		"AES key size":       {key: secret(aesKey(wire.AlgCFB), make([]byte, 24)), want: wire.RCKeySize.Parameter(private)},

		"HMAC without scheme": {key: scheme(hmacKey(), noScheme), want: wire.RCScheme.Parameter(public)},
		"XOR for signing":     {key: scheme(hmacKey(), restrictedXOR), want: wire.RCScheme.Parameter(public)},
		"HMAC for decryption": {key: scheme(xorKey(), hashScheme(wire.AlgHMAC, wire.AlgSHA256)), want: wire.RCScheme.Parameter(public)},
		"XOR without scheme":  {key: scheme(xorKey(), noScheme), want: wire.RCScheme.Parameter(public)},
		"sealed with scheme":  {key: scheme(sealed("x"), hashScheme(wire.AlgHMAC, wire.AlgSHA256)), want: wire.RCScheme.Parameter(public)},
		"both with scheme":    {key: scheme(keyedHash(signKey|openKey, noScheme, nil), restrictedXOR), want: wire.RCScheme.Parameter(public)},
		"derivation KDF":      {key: scheme(attributes(xorKey(), wire.ObjectRestricted), restrictedXOR), publicOnly: true, want: wire.RCScheme.Parameter(public)},
		"CMAC decrypts":       {key: aesKey(wire.AlgCMAC), want: wire.RCScheme.Parameter(public)},
		"RSA both, scheme":    {key: rsaKey(signKey|openKey, noSym, hashScheme(wire.AlgRSASSA, wire.AlgSHA256)), want: wire.RCScheme.Parameter(public)},
		"OAEP signs":          {key: rsaKey(signKey, noSym, hashScheme(wire.AlgOAEP, wire.AlgSHA256)), want: wire.RCScheme.Parameter(public)},
		"RSASSA decrypts":     {key: rsaKey(openKey, noSym, hashScheme(wire.AlgRSASSA, wire.AlgSHA256)), want: wire.RCScheme.Parameter(public)},
		"ECDSA decrypts":      {key: eccKey(openKey, noSym, hashScheme(wire.AlgECDSA, wire.AlgSHA256)), want: wire.RCScheme.Parameter(public)},
		"ECDH signs":          {key: eccKey(signKey, noSym, hashScheme(wire.AlgECDH, wire.AlgSHA256)), want: wire.RCScheme.Parameter(public)},
		"restricted signing":  {key: rsaKey(signKey|wire.ObjectRestricted, noSym, noScheme), publicOnly: true, want: wire.RCScheme.Parameter(public)},
		"parent with scheme":  {key: rsaKey(storeKey, aes128CFB, hashScheme(wire.AlgOAEP, wire.AlgSHA256)), publicOnly: true, want: wire.RCScheme.Parameter(public)},
		"parent without AES":  {key: rsaKey(storeKey, noSym, noScheme), publicOnly: true, want: wire.RCSymmetric.Parameter(public)},
		"AES in signing key":  {key: rsaKey(signKey, aes128CFB, noScheme), want: wire.RCSymmetric.Parameter(public)},
		"AES in ECDH key":     {key: eccKey(openKey, aes128CFB, noScheme), want: wire.RCSymmetric.Parameter(public)},
		"KDF":                 {key: change(eccECDH(), func(k *testKey) { k.public.Parms.KDF = hashScheme(wire.AlgKDF1_SP800_56A, wire.AlgSHA256) }), want: wire.RCKDF.Parameter(public)},
	} {
		command := loadExternal(tc.key)
		if tc.publicOnly {
			command = loadExternalPublic(tc.key, wire.RHOwner)
		}
		assert.Equal(t, tc.want, send(t, et.New(t), command), name)
	}
	tpm := et.New(t)
	both := et.Command(wire.CCLoadExternal, nil, nil, hmacKey().sensitiveParameter(), attributes(hmacKey(), wire.ObjectFixedTPM).publicParameter(), et.U32(uint32(wire.RHOwner)))
	assert.Equal(t, wire.RCHierarchy.Parameter(hierarchy), send(t, tpm, both), "both areas, and not in the null hierarchy")
	require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCHierarchyControl, handles{wire.RHOwner}, et.NoAuth(), et.U32(uint32(wire.RHOwner)), et.U8(0))))
	assert.Equal(t, wire.RCHierarchy.Parameter(hierarchy), send(t, tpm, loadExternalPublic(hmacKey(), wire.RHOwner)), "which is disabled")
	assert.Equal(t, wire.RCValue.Parameter(hierarchy), send(t, tpm, loadExternalPublic(hmacKey(), wire.RHLockout)))
	for range 3 {
		load(t, tpm, loadExternal(hmacKey()))
	}
	assert.Equal(t, wire.RCObjectMemory, send(t, tpm, both), "before anything else is looked at")
}

// What is public in a key without nameAlg is checked where it is used.
func TestLoadExternalChecksWhatIsUsed(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	k := eccSigning()
	k.public.NameAlg = wire.AlgNull
	k.public.Point.X, k.public.Point.Y = k.public.Point.Y, k.public.Point.X
	load(t, tpm, loadExternalPublic(k, wire.RHOwner))
	r := rsaSigning()
	r.public.NameAlg = wire.AlgNull
	r.public.Unique = r.public.Unique[:255]
	assert.Equal(t, wire.RCKey.Parameter(2), send(t, tpm, loadExternal(r)))
}

func TestReadPublicOfASequence(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	h := loadSequence(t, tpm, wire.AlgSHA256)
	assert.Equal(t, wire.RCSequence, send(t, tpm, et.Command(wire.CCReadPublic, handles{h}, nil)))
}

// An RSA parent is read by go-tpm as it was loaded: a template decodes to the
// same bytes.
func TestParentsArePublic(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]testKey{"RSA": rsaStorage(), "ECC": eccStorage()} {
		tpm := et.New(t)
		load(t, tpm, loadExternalPublic(k, wire.RHEndorsement))
		read, err := tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(object)}.Execute(tpm.Client())
		require.NoError(t, err, name)
		assert.Equal(t, k.publicArea(), read.OutPublic.Bytes(), name)
	}
}
