package emulator_test

import (
	"bytes"
	"crypto/rand"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func init() { packetLists = append(packetLists, duplicationPackets) }

var aes256CFB = wire.SymDef{Alg: wire.AlgAES, KeyBits: 256, Mode: wire.AlgCFB}

func duplicationPackets() []packet {
	k := importable(hmacKey())
	blob, secret := createDuplicate(eccStorage(), k)
	return []packet{
		{name: "Duplicate", code: wire.CCDuplicate, bytes: duplicate(object+1, nil, aes128CFB), before: mayDuplicate(), state: planting(duplicable(hmacKey()), eccStorage())},
		{name: "Rewrap", code: wire.CCRewrap, bytes: rewrap(object, object+1, blob, k.name(), secret), state: planting(eccStorage(), rsaStorage())},
		{name: "Import", code: wire.CCImport, bytes: importBlob(nil, k, blob, secret, noSym), state: planting(eccStorage())},
	}
}

// duplicable is a key whose policy is that it may be duplicated.
func duplicable(k testKey) testKey {
	k.public.AuthPolicy = onlyFor(wire.CCDuplicate)
	return k
}

// mayDuplicate starts the session that fulfils this policy.
func mayDuplicate() [][]byte {
	return [][]byte{startSession(wire.SEPolicy), assertTrue(wire.CCPolicyCommandCode, et.U32(uint32(wire.CCDuplicate)))}
}

// importable is a key as it may have been duplicated elsewhere.
func importable(k testKey) testKey { return k.withAuth("auth") }

// duplicate is TPM2_Duplicate of the object in the first slot.
func duplicate(newParent wire.Handle, key []byte, sym wire.SymDef) []byte {
	return et.CommandWithSessions(wire.CCDuplicate, handles{object, newParent},
		[]wire.AuthCommand{{Session: policySession, Attributes: wire.SessionContinue}}, et.Sized(key), symDef(sym))
}

func symDef(sym wire.SymDef) []byte {
	var w wire.Writer
	w.SymDef(&sym)
	return w.Data()
}

func rewrap(oldParent, newParent wire.Handle, blob, name, secret []byte) []byte {
	return et.Command(wire.CCRewrap, handles{oldParent, newParent}, et.NoAuth(), et.Sized(blob), et.Sized(name), et.Sized(secret))
}

// importBlob is TPM2_Import below the object in the first slot.
func importBlob(key []byte, k testKey, blob, secret []byte, sym wire.SymDef) []byte {
	return et.Command(wire.CCImport, handles{object}, et.NoAuth(), et.Sized(key), k.publicParameter(), et.Sized(blob), et.Sized(secret), symDef(sym))
}

// padded is the TPM2B_SENSITIVE of a key with nameAlg SHA-256 as a TPM gives it.
func padded(k testKey) []byte {
	k.sensitive.Auth = append(bytes.Clone(k.sensitive.Auth), make([]byte, 32-len(k.sensitive.Auth))...)
	return k.sensitiveParameter()
}

// createDuplicate makes a duplicate with go-tpm.
func createDuplicate(newParent, k testKey) (blob, secret []byte) {
	sensitive := k.sensitiveParameter()
	blob, secret, err := tpm2.CreateDuplicate(rand.Reader, encapsulationKey(newParent), k.name(), sensitive[2:])
	if err != nil {
		panic(err)
	}
	return blob, secret
}

// sizedList takes n TPM2Bs, which are all there is.
func sizedList(t *testing.T, b []byte, n int) [][]byte {
	t.Helper()
	r := wire.NewReader(b, nil)
	var list [][]byte
	for range n {
		list = append(list, r.Sized(len(b)))
	}
	require.Equal(t, wire.RCSuccess, r.RC())
	require.Zero(t, r.Len())
	return list
}

// What TPM2_Duplicate makes is opened by the standard library, with every
// combination of wrappers.
func TestDuplicate(t *testing.T) {
	t.Parallel()
	encrypted := change(duplicable(sealed("sealed data")), func(k *testKey) { k.public.Attributes |= wire.ObjectEncryptedDuplication })
	for name, k := range map[string]testKey{
		"HMAC": duplicable(hmacKey()).withAuth("auth"), "RSA": duplicable(rsaSigning()), "ECC": duplicable(eccSigning()), "encrypted": encrypted,
	} {
		for _, parent := range []*testKey{nil, new(rsaStorage()), new(eccStorage())} {
			for _, inner := range []struct {
				sym wire.SymDef
				key []byte
			}{{noSym, nil}, {aes128CFB, nil}, {aes128CFB, make([]byte, 16)}, {aes256CFB, nil}, {aes256CFB, make([]byte, 32)}} {
				if k.public.Attributes&wire.ObjectEncryptedDuplication != 0 && (parent == nil || inner.sym == noSym) {
					continue // refused, as another test has it
				}
				checkDuplicate(t, name, k, parent, inner.sym, inner.key)
			}
		}
	}
}

func checkDuplicate(t *testing.T, name string, k testKey, parent *testKey, sym wire.SymDef, key []byte) {
	t.Helper()
	keys, newParent := []testKey{k}, wire.RHNull
	if parent != nil {
		keys, newParent = append(keys, *parent), object+1
	}
	tpm := withKeys(t, keys...)
	succeed(t, tpm, mayDuplicate()...)
	rsp := tpm.Execute(0, duplicate(newParent, key, sym))
	require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp), name)
	out := sizedList(t, et.Parameters(rsp, false), 3)
	made, blob, secret := out[0], out[1], out[2]
	if parent != nil {
		blob = openOuter(t, openSecret(t, *parent, "DUPLICATE", secret), k.name(), blob)
	} else {
		assert.Empty(t, secret, name)
	}
	switch {
	case sym == noSym:
		assert.Empty(t, made, name)
	case key != nil:
		assert.Empty(t, made, "%s: a key that was given does not come back", name)
		blob = openInner(t, key, k.name(), blob)
	default:
		assert.Len(t, made, int(sym.KeyBits)/8, name)
		blob = openInner(t, made, k.name(), blob)
	}
	assert.Equal(t, padded(k), blob, name)
}

// TPM2_PolicyDuplicationSelect lets an object go to one new parent only.
func TestDuplicateToSelectedParent(t *testing.T) {
	t.Parallel()
	calculator, err := tpm2.NewPolicyCalculator(tpm2.TPMAlgSHA256)
	require.NoError(t, err)
	selected := tpm2.PolicyDuplicationSelect{NewParentName: tpm2.TPM2BName{Buffer: eccStorage().name()}}
	require.NoError(t, selected.Update(calculator))
	k := change(hmacKey(), func(k *testKey) { k.public.AuthPolicy = calculator.Hash().Digest })
	selected.ObjectName.Buffer = k.name()
	tpm := withKeys(t, k, eccStorage(), rsaStorage())
	to := func(handle wire.Handle, parent testKey) (*tpm2.DuplicateResponse, error) {
		policy := func(tpm transport.TPM, session tpm2.TPMISHPolicy, _ tpm2.TPM2BNonce) error {
			selected.PolicySession = session
			_, err := selected.Execute(tpm)
			return err
		}
		return tpm2.Duplicate{
			ObjectHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(object), Name: tpm2.TPM2BName{Buffer: k.name()},
				Auth: tpm2.Policy(tpm2.TPMAlgSHA256, 16, policy)},
			NewParentHandle: tpm2.NamedHandle{Handle: tpm2.TPMHandle(handle), Name: tpm2.TPM2BName{Buffer: parent.name()}},
			Symmetric:       tpm2.TPMTSymDef{Algorithm: tpm2.TPMAlgNull},
		}.Execute(tpm.Client())
	}
	rsp, err := to(object+1, eccStorage())
	require.NoError(t, err)
	seed := openSecret(t, eccStorage(), "DUPLICATE", rsp.OutSymSeed.Buffer)
	assert.Equal(t, padded(k), openOuter(t, seed, k.name(), rsp.Duplicate.Buffer))
	_, err = to(object+2, rsaStorage())
	assert.ErrorIs(t, err, tpm2.TPMRCPolicyFail)
}

func TestDuplicateRefuses(t *testing.T) {
	t.Parallel()
	with := func(a wire.ObjectAttributes) testKey {
		return change(duplicable(hmacKey()), func(k *testKey) { k.public.Attributes |= a })
	}
	encrypted := with(wire.ObjectEncryptedDuplication)
	nameless := change(duplicable(hmacKey()), func(k *testKey) { k.public.NameAlg = wire.AlgNull })
	offCurve := change(eccStorage(), func(k *testKey) {
		k.public.Point.X = bytes.Clone(k.public.Point.X)
		k.public.Point.X[0] ^= 1
	})
	for name, tc := range map[string]struct {
		k, parent testKey
		command   []byte
		want      wire.RC
	}{
		"fixedParent":                {with(wire.ObjectFixedParent), eccStorage(), duplicate(object+1, nil, noSym), wire.RCAttributes.Handle(1)},
		"fixedParent before type":    {with(wire.ObjectFixedParent), eccSigning(), duplicate(object+1, nil, noSym), wire.RCAttributes.Handle(1)},
		"signing key as parent":      {with(0), eccSigning(), duplicate(object+1, nil, noSym), wire.RCType.Handle(2)},
		"decryption key as parent":   {with(0), rsaDecrypting(), duplicate(object+1, nil, noSym), wire.RCType.Handle(2)},
		"symmetric key as parent":    {with(0), symmetricStorage(), duplicate(object+1, nil, noSym), wire.RCType.Handle(2)},
		"type before wrappers":       {encrypted, eccSigning(), duplicate(object+1, nil, noSym), wire.RCType.Handle(2)},
		"no inner wrapper":           {encrypted, eccStorage(), duplicate(object+1, nil, noSym), wire.RCSymmetric.Parameter(2)},
		"neither wrapper":            {encrypted, eccStorage(), duplicate(wire.RHNull, nil, noSym), wire.RCSymmetric.Parameter(2)},
		"no outer wrapper":           {encrypted, eccStorage(), duplicate(wire.RHNull, nil, aes128CFB), wire.RCHierarchy.Handle(2)},
		"wrapper before size":        {encrypted, eccStorage(), duplicate(wire.RHNull, []byte{1}, aes128CFB), wire.RCHierarchy.Handle(2)},
		"key without algorithm":      {with(0), eccStorage(), duplicate(wire.RHNull, make([]byte, 16), noSym), wire.RCSize.Parameter(1)},
		"key is too short":           {with(0), eccStorage(), duplicate(wire.RHNull, make([]byte, 15), aes128CFB), wire.RCSize.Parameter(1)},
		"key is too long":            {with(0), eccStorage(), duplicate(object+1, make([]byte, 32), aes128CFB), wire.RCSize.Parameter(1)},
		"key is no TPM2B_DATA":       {with(0), eccStorage(), duplicate(object+1, make([]byte, 67), aes128CFB), wire.RCSize.Parameter(1)},
		"XOR":                        {with(0), eccStorage(), duplicate(object+1, nil, wire.SymDef{Alg: wire.AlgXOR, Hash: wire.AlgSHA256}), wire.RCSymmetric.Parameter(2)},
		"key bits":                   {with(0), eccStorage(), duplicate(object+1, nil, wire.SymDef{Alg: wire.AlgAES, KeyBits: 129, Mode: wire.AlgCFB}), wire.RCValue.Parameter(2)},
		"parent is not on its curve": {with(0), offCurve, duplicate(object+1, nil, noSym), wire.RCKey},
		"object without nameAlg":     {nameless, eccStorage(), duplicate(object+1, nil, noSym), wire.RCPolicyFail.Session(1)},
		"password":                   {with(0), eccStorage(), et.Command(wire.CCDuplicate, handles{object, object + 1}, et.NoAuth(), et.Sized(nil), symDef(noSym)), wire.RCAuthType},
	} {
		tpm := withKeys(t, tc.k, tc.parent)
		succeed(t, tpm, mayDuplicate()...)
		assert.Equal(t, tc.want, send(t, tpm, tc.command), name)
	}
}

// A duplicate gets another outer wrapper, or loses it, or gets its first one.
func TestRewrap(t *testing.T) {
	t.Parallel()
	k := change(hmacKey(), func(k *testKey) { k.sensitive.Auth = make([]byte, 32) })
	plain := k.sensitiveParameter()
	for name, tc := range map[string]struct{ from, to *testKey }{
		"RSA to ECC":      {new(rsaStorage()), new(eccStorage())},
		"ECC to RSA":      {new(eccStorage()), new(rsaStorage())},
		"RSA to none":     {new(rsaStorage()), nil},
		"none to ECC":     {nil, new(eccStorage())},
		"none to none":    {nil, nil},
		"to where it was": {new(eccStorage()), new(eccStorage())},
	} {
		tpm := et.New(t)
		from, to := wire.RHNull, wire.RHNull
		blob, secret := plain, []byte(nil)
		var keys []testKey
		if tc.from != nil {
			from, keys = object, append(keys, *tc.from)
			blob, secret = createDuplicate(*tc.from, k)
		}
		if tc.to != nil {
			to, keys = object+wire.Handle(len(keys)), append(keys, *tc.to)
		}
		changeState(t, tpm, planting(keys...))
		rsp := tpm.Execute(0, rewrap(from, to, blob, k.name(), secret))
		require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp), name)
		out := sizedList(t, et.Parameters(rsp, false), 2)
		blob, secret = out[0], out[1]
		if tc.to != nil {
			blob = openOuter(t, openSecret(t, *tc.to, "DUPLICATE", secret), k.name(), blob)
		} else {
			assert.Empty(t, secret, name)
		}
		assert.Equal(t, plain, blob, name)
	}
}

func TestRewrapRefuses(t *testing.T) {
	t.Parallel()
	k := hmacKey()
	blob, secret := createDuplicate(eccStorage(), k)
	long := make([]byte, wire.MaxPrivate-33)
	for name, tc := range map[string]struct {
		from, to testKey
		command  []byte
		want     wire.RC
	}{
		"secret without parent":     {eccStorage(), eccStorage(), rewrap(wire.RHNull, object+1, blob, k.name(), secret), wire.RCHandle.Handle(1)},
		"parent without secret":     {eccStorage(), eccStorage(), rewrap(object, object+1, blob, k.name(), nil), wire.RCHandle.Handle(1)},
		"that before its type":      {eccSigning(), eccStorage(), rewrap(object, object+1, blob, k.name(), nil), wire.RCHandle.Handle(1)},
		"old parent is no parent":   {eccECDH(), eccStorage(), rewrap(object, object+1, blob, k.name(), secret), wire.RCType.Handle(1)},
		"old parent is symmetric":   {symmetricStorage(), eccStorage(), rewrap(object, object+1, blob, k.name(), secret), wire.RCType.Handle(1)},
		"whatever is wrong with it": {eccStorage(), eccStorage(), rewrap(object, object+1, blob, k.name(), secret[1:]), wire.RCValue.Parameter(3)},
		"of another key":            {rsaStorage(), eccStorage(), rewrap(object, object+1, blob, k.name(), secret), wire.RCValue.Parameter(3)},
		"another Name":              {eccStorage(), eccStorage(), rewrap(object, object+1, blob, eccStorage().name(), secret), wire.RCIntegrity.Parameter(1)},
		"cut":                       {eccStorage(), eccStorage(), rewrap(object, object+1, blob[:33], k.name(), secret), wire.RCInsufficient.Parameter(1)},
		"integrity before the new":  {eccStorage(), eccSigning(), rewrap(object, object+1, blob[:40], k.name(), secret), wire.RCIntegrity.Parameter(1)},
		"new parent is no parent":   {eccStorage(), eccECDH(), rewrap(object, object+1, blob, k.name(), secret), wire.RCType.Handle(2)},
		"new parent is symmetric":   {eccStorage(), symmetricStorage(), rewrap(object, object+1, blob, k.name(), secret), wire.RCType.Handle(2)},
		"no room for a wrapper":     {eccStorage(), eccStorage(), rewrap(wire.RHNull, object, long, k.name(), nil), wire.RCValue.Parameter(1)},
		"just room for it":          {eccStorage(), eccStorage(), rewrap(wire.RHNull, object, long[1:], k.name(), nil), wire.RCSuccess},
		"as long as it can be":      {eccStorage(), eccStorage(), rewrap(wire.RHNull, wire.RHNull, append(long, make([]byte, 33)...), k.name(), nil), wire.RCSuccess},
		"longer":                    {eccStorage(), eccStorage(), rewrap(wire.RHNull, wire.RHNull, append(long, make([]byte, 34)...), k.name(), nil), wire.RCSize.Parameter(1)},
		"longer Name":               {eccStorage(), eccStorage(), rewrap(object, object+1, blob, make([]byte, 67), secret), wire.RCSize.Parameter(2)},
		"longer secret":             {eccStorage(), eccStorage(), rewrap(object, object+1, blob, k.name(), make([]byte, 513)), wire.RCSize.Parameter(3)},
	} {
		assert.Equal(t, tc.want, send(t, withKeys(t, tc.from, tc.to), tc.command), name)
	}
}

// openPrivate opens a private area below a storage key: the outer wrapper with
// an initial value.
func openPrivate(t *testing.T, parent testKey, name, private []byte) []byte {
	t.Helper()
	require.Equal(t, []byte{0, 16}, private[34:36])
	checkIntegrity(t, parent.sensitive.Seed, name, private)
	return standardCFB(t, storageSecret(parent.sensitive.Seed, name), private[36:52], private[52:], false)
}

// What was wrapped by the standard library or go-tpm, with every combination of
// wrappers, becomes a private area with the same contents.
func TestImport(t *testing.T) {
	t.Parallel()
	for name, k := range map[string]testKey{"HMAC": importable(hmacKey()), "RSA": rsaSigning(), "ECC": eccStorage(), "AES": importable(aesKey(wire.AlgCBC)), "sealed": sealed("data")} {
		for parentName, parent := range map[string]testKey{"RSA": rsaStorage(), "ECC": eccStorage(), "symmetric": symmetricStorage()} {
			for _, fixed := range []wire.ObjectAttributes{0, wire.ObjectFixedTPM | wire.ObjectFixedParent} {
				parent.public.Attributes |= fixed
				for _, sym := range []wire.SymDef{noSym, aes128CFB, aes256CFB} {
					var key, secret []byte
					blob := k.sensitiveParameter()
					if sym != noSym {
						key = bytes.Repeat([]byte{3}, int(sym.KeyBits)/8)
						blob = closeInner(t, key, k.name(), blob)
					}
					importAndOpen(t, name, parent, importBlob(key, k, blob, nil, sym), k)
					if parentName == "symmetric" {
						continue
					}
					if sym == noSym {
						blob, secret = createDuplicate(parent, k)
					} else {
						var seed []byte
						var err error
						seed, secret, err = encapsulationKey(parent).Encapsulate(rand.Reader, "DUPLICATE")
						require.NoError(t, err)
						blob = closeOuter(t, seed, k.name(), blob)
					}
					importAndOpen(t, name, parent, importBlob(key, k, blob, secret, sym), k)
				}
			}
		}
	}
}

func importAndOpen(t *testing.T, name string, parent testKey, command []byte, k testKey) {
	t.Helper()
	tpm := withKeys(t, parent)
	rsp := tpm.Execute(0, command)
	require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp), name)
	private := sizedList(t, et.Parameters(rsp, false), 1)[0]
	assert.Equal(t, padded(k), openPrivate(t, parent, k.name(), private), name)
}
