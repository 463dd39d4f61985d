package emulator_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Numbers of the parameters that all commands of creation begin with.
const (
	inSensitive = 1
	inPublic    = 2
)

// What no command of creation accepts, whatever the parent: the template with the
// data and the authorization value of its creator.
func refusedCreations() map[string]struct {
	k          testKey
	auth, data string
	want       wire.RC
} {
	public := func(rc wire.RC) wire.RC { return rc.Parameter(inPublic) }
	const origin = wire.ObjectSensitiveDataOrigin
	fixed := made &^ origin
	return map[string]struct {
		k          testKey
		auth, data string
		want       wire.RC
	}{
		"no data":                 {k: hmacKey().template(fixed), want: public(wire.RCAttributes)},
		"RSA from outside":        {k: rsaSigning().template(fixed), data: "prime", want: public(wire.RCAttributes)},
		"ECC from outside":        {k: eccSigning().template(fixed), data: "scalar", want: public(wire.RCAttributes)},
		"TPM's own sealed data":   {k: sealed("").template(made), want: public(wire.RCAttributes)},
		"parent known outside":    {k: derivationParent().template(fixed), data: "secret", want: public(wire.RCAttributes)},
		"AES parent from outside": {k: aesStorage().template(fixed), data: "secret AES 128..", want: public(wire.RCAttributes)},
		"fixedTPM alone":          {k: eccSigning().template(origin | wire.ObjectFixedTPM), want: public(wire.RCAttributes)},
		"fixedParent alone":       {k: eccSigning().template(origin | wire.ObjectFixedParent), want: public(wire.RCAttributes)},
		"does nothing":            {k: eccKey(userKey, noSym, noScheme).template(made), want: public(wire.RCAttributes)},
		"restricted for both":     {k: rsaKey(signKey|openKey|wire.ObjectRestricted, noSym, noScheme).template(made), want: public(wire.RCAttributes)},
		"restricted for nothing":  {k: sealed("").template(fixed | wire.ObjectRestricted), data: "x", want: public(wire.RCAttributes)},
		"encryptedDuplication":    {k: eccSigning().template(made | wire.ObjectEncryptedDuplication), want: public(wire.RCAttributes)},
		"firmwareLimited":         {k: eccSigning().template(made | wire.ObjectFirmwareLimited), want: public(wire.RCAttributes)},
		"svnLimited":              {k: eccSigning().template(made | wire.ObjectSVNLimited), want: public(wire.RCAttributes)},
		"policy before attribute": {k: change(eccSigning().template(origin|wire.ObjectFixedTPM), func(k *testKey) { k.public.AuthPolicy = []byte{1} }), want: public(wire.RCSize)},
		"restricted, no scheme":   {k: rsaKey(signKey|wire.ObjectRestricted, noSym, noScheme).template(made), want: public(wire.RCScheme)},
		"parent with scheme":      {k: rsaKey(storeKey, aes128CFB, hashScheme(wire.AlgOAEP, wire.AlgSHA256)).template(made), want: public(wire.RCScheme)},
		"parent without AES":      {k: eccKey(storeKey, noSym, noScheme).template(made), want: public(wire.RCSymmetric)},
		"long auth":               {k: eccSigning().template(made), auth: string(bytes.Repeat([]byte{1}, 33)), want: wire.RCSize.Parameter(inSensitive)},
		"long auth for SHA-1":     {k: change(eccSigning().template(made), func(k *testKey) { k.public.NameAlg = wire.AlgSHA1 }), auth: string(bytes.Repeat([]byte{1}, 21)), want: wire.RCSize.Parameter(inSensitive)},
		"RSA exponent small":      {k: change(rsaSigning().template(made), func(k *testKey) { k.public.Parms.Exponent = 3 }), want: wire.RCRange},
		"RSA exponent composite":  {k: change(rsaSigning().template(made), func(k *testKey) { k.public.Parms.Exponent = 65541 }), want: wire.RCRange},
		"AES key size":            {k: aesKey(wire.AlgCFB).template(fixed), data: "short", want: wire.RCKeySize},
		"long HMAC key":           {k: hmacKey().template(fixed), data: string(make([]byte, 65)), want: wire.RCSize},
		"long key for any MAC":    {k: keyedHash(signKey|openKey, noScheme, nil).template(fixed), data: string(make([]byte, 65)), want: wire.RCSize},
		"no nameAlg":              {k: change(eccSigning().template(made), func(k *testKey) { k.public.NameAlg = wire.AlgNull }), want: public(wire.RCHash)},
		"long data":               {k: sealed("").template(fixed), data: string(make([]byte, 129)), want: wire.RCSize.Parameter(inSensitive)},
	}
}

func TestCreationRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range refusedCreations() {
		tpm := et.New(t)
		assert.Equal(t, tc.want, send(t, tpm, createPrimary(wire.RHPlatform, tc.k, tc.auth, tc.data)), name)
		assert.Equal(t, tc.want, send(t, tpm, createLoaded(wire.RHNull, tc.k.publicArea(), tc.auth, tc.data)), name)
		require.Equal(t, wire.RCSuccess, send(t, tpm, storagePrimary()))
		assert.Equal(t, tc.want, send(t, tpm, create(object, tc.k, tc.auth, tc.data)), name)
		assert.Equal(t, tc.want, send(t, tpm, createLoaded(object, tc.k.publicArea(), tc.auth, tc.data)), name)
	}
	// Two things are wrong: only TPM2_CreateLoaded looks at the size first.
	tpm := et.New(t)
	k, long := eccSigning().template(wire.ObjectSensitiveDataOrigin|wire.ObjectFixedTPM), string(bytes.Repeat([]byte{1}, 33))
	assert.Equal(t, wire.RCAttributes.Parameter(inPublic), send(t, tpm, createPrimary(wire.RHOwner, k, long, "")))
	assert.Equal(t, wire.RCSize.Parameter(inSensitive), send(t, tpm, createLoaded(wire.RHOwner, k.publicArea(), long, "")))
}

// The data of its creator make a primary what it is, and an object that the TPM
// makes by itself takes none otherwise.
func TestDataForKeysOfTheTPM(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	require.Equal(t, wire.RCSuccess, send(t, tpm, storagePrimary()))
	k := hmacKey().template(made)
	assert.Equal(t, wire.RCAttributes.Parameter(inPublic), send(t, tpm, create(object, k, "", "x")))
	assert.Equal(t, wire.RCSuccess, send(t, tpm, createPrimary(wire.RHOwner, k, "", "x")))
	assert.Equal(t, wire.RCSuccess, send(t, tpm, createLoaded(wire.RHOwner, k.publicArea(), "", "x")))
}

// The longest values that fit, and zeros at the end of an authorization value,
// which do not count.
func TestCreationAcceptsTheLongest(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	require.Equal(t, wire.RCSuccess, send(t, tpm, storagePrimary()))
	fixed := wire.ObjectFixedTPM | wire.ObjectFixedParent
	for name, tc := range map[string]struct {
		k          testKey
		auth, data string
	}{
		"sealed":     {sealed("").template(fixed), string(bytes.Repeat([]byte{1}, 32)), string(make([]byte, 128))},
		"HMAC key":   {hmacKey().template(fixed), string(append(bytes.Repeat([]byte{1}, 32), make([]byte, 32)...)), string(make([]byte, 64))},
		"no MAC yet": {keyedHash(signKey|openKey, noScheme, nil).template(fixed), "", string(make([]byte, 64))},
		"AES":        {aesKey(wire.AlgCTR).template(fixed), "", "0123456789abcdef"},
	} {
		rsp := tpm.Execute(0, create(object, tc.k, tc.auth, tc.data))
		require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp), name)
		h := load(t, tpm, loadChild(object, rsp))
		if name == "sealed" {
			out := tpm.Execute(0, et.Command(wire.CCUnseal, handles{h}, [][]byte{[]byte(tc.auth)}))
			assert.Equal(t, et.Sized([]byte(tc.data)), et.Parameters(out, false))
		}
		require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(h)))))
	}
}

// What the parent demands of its children (Part 2, section "TPMA_OBJECT").
func TestParentsDecide(t *testing.T) {
	t.Parallel()
	const origin, fixedParent, encrypted = wire.ObjectSensitiveDataOrigin, wire.ObjectFixedParent, wire.ObjectEncryptedDuplication
	other := wire.SymDef{Alg: wire.AlgAES, KeyBits: 256, Mode: wire.AlgCFB}
	storage := func(sym wire.SymDef, alg wire.AlgID, a wire.ObjectAttributes) testKey {
		k := eccKey(storeKey, sym, noScheme).template(a)
		k.public.NameAlg = alg
		return k
	}
	fixed, loose := storage(aes128CFB, wire.AlgSHA256, made), storage(aes128CFB, wire.AlgSHA256, origin)
	guarded := storage(aes128CFB, wire.AlgSHA256, origin|encrypted)
	for name, tc := range map[string]struct {
		parent, child testKey
		want          wire.RC
	}{
		"other cipher":                {fixed, storage(other, wire.AlgSHA256, made), wire.RCSymmetric.Parameter(inPublic)},
		"other hash":                  {fixed, storage(aes128CFB, wire.AlgSHA384, made), wire.RCHash.Parameter(inPublic)},
		"other hash and cipher":       {fixed, storage(other, wire.AlgSHA384, made), wire.RCHash.Parameter(inPublic)},
		"other, but can go":           {fixed, storage(other, wire.AlgSHA384, origin), wire.RCSuccess},
		"no parent of others":         {fixed, change(eccSigning().template(made), func(k *testKey) { k.public.NameAlg = wire.AlgSHA384 }), wire.RCSuccess},
		"encrypted below fixed":       {fixed, eccSigning().template(origin | encrypted), wire.RCSuccess},
		"fixedTPM below loose":        {loose, eccSigning().template(made), wire.RCAttributes.Parameter(inPublic)},
		"fixedParent below loose":     {loose, eccSigning().template(origin | fixedParent), wire.RCSuccess},
		"loose below loose":           {loose, eccSigning().template(origin), wire.RCSuccess},
		"encrypted below loose":       {loose, eccSigning().template(origin | encrypted), wire.RCAttributes.Parameter(inPublic)},
		"not encrypted below guarded": {guarded, eccSigning().template(origin), wire.RCAttributes.Parameter(inPublic)},
		"encrypted below guarded":     {guarded, eccSigning().template(origin | encrypted), wire.RCSuccess},
	} {
		tpm := et.New(t)
		require.Equal(t, wire.RCSuccess, send(t, tpm, createPrimary(wire.RHOwner, tc.parent, "", "")), name)
		rsp := tpm.Execute(0, create(object, tc.child, "", ""))
		require.Equal(t, tc.want, et.ResponseCode(rsp), name)
		assert.Equal(t, tc.want, send(t, tpm, createLoaded(object, tc.child.publicArea(), "", "")), name)
		if tc.want == wire.RCSuccess {
			load(t, tpm, loadChild(object, rsp))
		}
	}
}

// Objects that have no children.
func TestNoParents(t *testing.T) {
	t.Parallel()
	for name, command := range map[string][]byte{
		"signing key":         createPrimary(wire.RHOwner, eccSigning().template(made), "", ""),
		"decryption key":      createPrimary(wire.RHOwner, eccECDH().template(made), "", ""),
		"external public key": loadExternalPublic(eccStorage(), wire.RHOwner),
		"sequence":            et.Command(wire.CCHashSequenceStart, nil, nil, et.Sized(nil), et.U16(uint16(wire.AlgSHA1))),
	} {
		tpm := et.New(t)
		h := load(t, tpm, command)
		want := wire.RCType.Handle(1)
		if name == "external public key" {
			want = wire.RCAuthUnavailable // it has no authorization value
		}
		private := et.Sized([]byte("x"))
		for _, command := range [][]byte{create(h, hmacKey().template(made), "", ""), createLoaded(h, nil, "", ""),
			et.Command(wire.CCLoad, handles{h}, et.NoAuth(), private, hmacKey().publicParameter())} {
			assert.Equal(t, want, send(t, tpm, command), name)
		}
	}
	tpm := et.New(t)
	h := load(t, tpm, createPrimary(wire.RHOwner, derivationParent().template(made), "", ""))
	assert.Equal(t, wire.RCType.Handle(1), send(t, tpm, create(h, hmacKey().template(made), "", "")), "it has children, but not of this kind")
	assert.Equal(t, wire.RCType.Handle(1), send(t, tpm, et.Command(wire.CCLoad, handles{h}, et.NoAuth(), et.Sized([]byte("x")), hmacKey().publicParameter())))
	for _, code := range []wire.CC{wire.CCCreate, wire.CCLoad, wire.CCUnseal} {
		assert.Equal(t, wire.RCValue.Handle(1), send(t, tpm, et.Command(code, handles{wire.RHOwner}, et.NoAuth())), code)
	}
}

func TestCreateDerivedRefuses(t *testing.T) {
	t.Parallel()
	parent := derivationParent().template(wire.ObjectSensitiveDataOrigin)
	template := func(k testKey, a wire.ObjectAttributes) []byte {
		k = k.template(a)
		var w wire.Writer
		w.DeriveTemplate(&k.public, &wire.Derive{Label: []byte("label")})
		return w.Data()
	}
	const fixedParent = wire.ObjectFixedParent
	p1, p2 := func(rc wire.RC) wire.RC { return rc.Parameter(inSensitive) }, func(rc wire.RC) wire.RC { return rc.Parameter(inPublic) }
	for name, tc := range map[string]struct {
		template   []byte
		auth, data string
		want       wire.RC
	}{
		"RSA":                  {template: template(rsaSigning(), fixedParent), want: p2(wire.RCType)},
		"sensitiveDataOrigin":  {template: template(eccSigning(), fixedParent|wire.ObjectSensitiveDataOrigin), want: wire.RCAttributes},
		"fixedTPM":             {template: template(eccSigning(), fixedParent|wire.ObjectFixedTPM), want: p2(wire.RCAttributes)},
		"not fixedParent":      {template: template(eccSigning(), 0), want: p2(wire.RCAttributes)},
		"encryptedDuplication": {template: template(eccSigning(), fixedParent|wire.ObjectEncryptedDuplication), want: p2(wire.RCAttributes)},
		"scheme":               {template: template(eccKey(signKey, noSym, hashScheme(wire.AlgECDH, wire.AlgSHA256)), fixedParent), want: p2(wire.RCScheme)},
		"no template":          {template: nil, want: p2(wire.RCInsufficient)},
		"cut":                  {template: eccSigning().publicArea()[:60], want: p2(wire.RCInsufficient)},
		"more than a template": {template: append(template(eccSigning(), fixedParent), 0), want: p2(wire.RCSize)},
		"long label":           {template: eccSigning().template(fixedParent).withLabel(make([]byte, 33)), want: p2(wire.RCSize)},
		"long auth":            {template: template(rsaSigning(), fixedParent), auth: string(bytes.Repeat([]byte{1}, 33)), want: p1(wire.RCSize)},
		"cut data":             {template: template(eccSigning(), fixedParent), data: "\x00\x02a", want: wire.RCInsufficient},
		"long context":         {template: template(eccSigning(), fixedParent), data: "\x00\x00\x00\x21" + string(make([]byte, 33)), want: wire.RCSize},
		"long data":            {template: template(eccSigning(), fixedParent), data: string(make([]byte, 129)), want: p1(wire.RCSize)},
		"more data":            {template: template(eccSigning(), fixedParent), data: "\x00\x01a\x00\x01b and more", want: wire.RCSize},
		"well-formed":          {template: template(eccSigning(), fixedParent), data: "\x00\x01a\x00\x01b", want: wire.RCSuccess},
	} {
		tpm := et.New(t)
		h := load(t, tpm, createPrimary(wire.RHOwner, parent, "", ""))
		assert.Equal(t, tc.want, send(t, tpm, createLoaded(h, tc.template, tc.auth, tc.data)), name)
	}
	tpm := et.New(t)
	assert.Equal(t, wire.RCSize.Parameter(inPublic), send(t, tpm, createLoaded(wire.RHOwner, append(eccSigning().template(made).publicArea(), 0), "", "")))
	assert.Equal(t, wire.RCType.Parameter(inPublic), send(t, tpm, createLoaded(wire.RHOwner, []byte{0, 0x10}, "", "")))
}

// withLabel is the template with label, as the child of a derivation parent.
func (k testKey) withLabel(label []byte) []byte {
	var w wire.Writer
	w.DeriveTemplate(&k.public, &wire.Derive{Label: label})
	return w.Data()
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	require.Equal(t, wire.RCSuccess, send(t, tpm, storagePrimary()))
	private, public := createdAreas(tpm.Execute(0, create(object, hmacKey().template(made), "", "")))
	command := func(private, public []byte) []byte {
		return et.Command(wire.CCLoad, handles{object}, et.NoAuth(), et.Sized(private), et.Sized(public))
	}
	flipped := func(b []byte, i int) []byte {
		b = bytes.Clone(b)
		b[i] ^= 1
		return b
	}
	for name, tc := range map[string]struct {
		command []byte
		want    wire.RC
	}{
		"empty":         {command(nil, public), wire.RCSize.Parameter(1)},
		"cut":           {command(private[:30], public), wire.RCInsufficient.Parameter(1)},
		"damaged":       {command(flipped(private, len(private)-1), public), wire.RCIntegrity.Parameter(1)},
		"other Name":    {command(private, flipped(public, len(public)-1)), wire.RCIntegrity.Parameter(1)},
		"too long":      {command(make([]byte, 3000), public), wire.RCSize.Parameter(1)},
		"no public":     {command(private, nil), wire.RCSize.Parameter(2)},
		"no nameAlg":    {command(private, append(append([]byte{}, public[:2]...), append([]byte{0, 0x10}, public[4:]...)...)), wire.RCHash.Parameter(2)},
		"reserved bits": {command(private, flipped(public, 7)), wire.RCReservedBits.Parameter(2)},
	} {
		assert.Equal(t, tc.want, send(t, tpm, tc.command), name)
	}
	h := load(t, tpm, createPrimary(wire.RHPlatform, eccStorage().template(made), "", ""))
	assert.Equal(t, wire.RCIntegrity.Parameter(1), send(t, tpm, et.Command(wire.CCLoad, handles{h}, et.NoAuth(), et.Sized(private), et.Sized(public))), "another parent")
	assert.Equal(t, wire.RCSuccess, send(t, tpm, command(private, public)))
}

func TestUnsealRefuses(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		command []byte
		want    wire.RC
	}{
		"HMAC key": {loadExternal(hmacKey()), wire.RCAttributes.Handle(1)},
		"XOR key":  {loadExternal(xorKey()), wire.RCAttributes.Handle(1)},
		"AES key":  {loadExternal(aesKey(wire.AlgCFB)), wire.RCType.Handle(1)},
		"ECC key":  {loadExternal(eccSigning()), wire.RCType.Handle(1)},
		"sequence": {et.Command(wire.CCHashSequenceStart, nil, nil, et.Sized(nil), et.U16(uint16(wire.AlgSHA1))), wire.RCType.Handle(1)},
		"public":   {loadExternalPublic(sealed("x"), wire.RHOwner), wire.RCAuthUnavailable},
		"data":     {loadExternal(sealed("x")), wire.RCSuccess},
	} {
		tpm := et.New(t)
		h := load(t, tpm, tc.command)
		assert.Equal(t, tc.want, send(t, tpm, et.Command(wire.CCUnseal, handles{h}, et.NoAuth())), name)
	}
}

func TestObjectChangeAuthRefuses(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	parent := load(t, tpm, storagePrimary())
	child := load(t, tpm, loadChild(parent, tpm.Execute(0, create(parent, hmacKey().template(made), "", ""))))
	changeAuth := func(h, parent wire.Handle, auth []byte) wire.RC {
		return send(t, tpm, et.Command(wire.CCObjectChangeAuth, handles{h, parent}, et.NoAuth(), et.Sized(auth)))
	}
	long := bytes.Repeat([]byte{1}, 33)
	assert.Equal(t, wire.RCSize.Parameter(1), changeAuth(child, parent, long))
	assert.Equal(t, wire.RCSize.Parameter(1), changeAuth(child, child, long), "before the parent")
	assert.Equal(t, wire.RCSuccess, changeAuth(child, parent, append(bytes.Repeat([]byte{1}, 32), make([]byte, 32)...)))
	assert.Equal(t, wire.RCType.Handle(2), changeAuth(child, child, nil))
	assert.Equal(t, wire.RCType.Handle(2), changeAuth(parent, child, nil))
	assert.Equal(t, wire.RCType.Handle(2), changeAuth(parent, parent, nil), "a primary has no parent")
	external := load(t, tpm, loadExternal(hmacKey()))
	assert.Equal(t, wire.RCType.Handle(2), changeAuth(external, parent, nil))
	flush := func(h wire.Handle) {
		require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(h)))))
	}
	flush(external)
	nameless := load(t, tpm, loadExternal(change(hmacKey(), func(k *testKey) { k.public.NameAlg = wire.AlgNull })))
	assert.Equal(t, wire.RCType.Handle(2), changeAuth(nameless, parent, nil))
	assert.Equal(t, wire.RCType.Handle(2), changeAuth(nameless, nameless, nil))
	flush(nameless)
	sequence := loadSequence(t, tpm, wire.AlgSHA1)
	assert.Equal(t, wire.RCType.Handle(1), send(t, tpm, et.Command(wire.CCObjectChangeAuth, handles{sequence, parent}, [][]byte{pw}, et.Sized(long))), "before the value")
	assert.Equal(t, wire.RCType.Handle(2), changeAuth(child, sequence, nil))
}

// A derived object has no private area that could be given a new value.
func TestObjectChangeAuthOfADerivedObject(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	parent := load(t, tpm, createPrimary(wire.RHOwner, derivationParent().template(made), "", ""))
	child := load(t, tpm, createLoaded(parent, eccSigning().template(wire.ObjectFixedTPM|wire.ObjectFixedParent).withLabel([]byte("x")), "", ""))
	assert.Equal(t, wire.RCType.Handle(2), send(t, tpm, et.Command(wire.CCObjectChangeAuth, handles{child, parent}, et.NoAuth(), et.Sized(nil))))
}

// ADMIN and DUP are roles of the policy, if the object says so.
func TestAdminWithPolicy(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	parent := load(t, tpm, storagePrimary())
	for attribute, want := range map[wire.ObjectAttributes]wire.RC{0: wire.RCSuccess, wire.ObjectAdminWithPolicy: wire.RCAuthType} {
		child := load(t, tpm, createLoaded(parent, hmacKey().template(made|attribute).publicArea(), "", ""))
		assert.Equal(t, want, send(t, tpm, et.Command(wire.CCObjectChangeAuth, handles{child, parent}, et.NoAuth(), et.Sized(nil))))
	}
}
