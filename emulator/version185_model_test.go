package emulator_test

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"filippo.io/mldsa"
	"filippo.io/mldsa/mldsacrypto"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// flips has the code that TPM2_CreatePrimary answers for a template in which one attribute
// is not what it has to be, whatever the type (Part 2, "TPMA_OBJECT"; Part 3,
// "TPM2_Create").
func flips() map[wire.ObjectAttributes]wire.RC {
	all := map[wire.ObjectAttributes]wire.RC{
		wire.ObjectFixedTPM:             wire.RCAttributes, // fixedParent below a parent that is fixed to the TPM
		wire.ObjectStClear:              wire.RCSuccess,
		wire.ObjectFixedParent:          wire.RCAttributes, // fixedTPM without it
		wire.ObjectSensitiveDataOrigin:  wire.RCAttributes, // nobody brings an asymmetric key
		wire.ObjectUserWithAuth:         wire.RCSuccess,
		wire.ObjectAdminWithPolicy:      wire.RCSuccess,
		wire.ObjectFirmwareLimited:      wire.RCAttributes, // no hierarchy is
		wire.ObjectSVNLimited:           wire.RCAttributes,
		wire.ObjectNoDA:                 wire.RCSuccess,
		wire.ObjectEncryptedDuplication: wire.RCAttributes, // with fixedTPM
	}
	for bit := range 32 {
		if a := wire.ObjectAttributes(1) << bit; a&wire.ObjectReserved != 0 {
			all[a] = wire.RCReservedBits
		}
	}
	return all
}

// Each attribute of a template is changed alone, for keys of every type that version 185
// brought. What is made then has the attributes that were asked for.
func TestEveryAttributeOfVersion185Keys(t *testing.T) {
	t.Parallel()
	const restricted, decrypt, sign, x509 = wire.ObjectRestricted, wire.ObjectDecrypt, wire.ObjectSignEncrypt, wire.ObjectX509Sign
	withMu := change(mldsaKey(wire.MLDSA65, wire.AlgNull, signKey), func(k *testKey) { k.public.Parms.ExternalMu = true })
	for name, c := range map[string]struct {
		key                       testKey
		restricted, decrypt, sign wire.RC
	}{
		"ML-KEM":            {mlkemKey(wire.MLKEM512, openKey), wire.RCSymmetric, wire.RCAttributes, wire.RCAttributes},
		"ML-KEM storage":    {mlkemKey(wire.MLKEM512, storeKey), wire.RCSymmetric, wire.RCAttributes, wire.RCAttributes},
		"ML-DSA":            {mldsaKey(wire.MLDSA44, wire.AlgNull, signKey), wire.RCSuccess, wire.RCAttributes, wire.RCAttributes},
		"ML-DSA restricted": {mldsaKey(wire.MLDSA44, wire.AlgNull, signKey|restricted), wire.RCSuccess, wire.RCAttributes, wire.RCAttributes},
		"ML-DSA with µ":     {withMu, wire.RCAttributes, wire.RCAttributes, wire.RCAttributes},
		"HashML-DSA":        {mldsaKey(wire.MLDSA44, wire.AlgSHA256, signKey), wire.RCSuccess, wire.RCAttributes, wire.RCAttributes},
		"EdDSA":             {eddsaKey(signKey), wire.RCSuccess, wire.RCScheme, wire.RCAttributes},
		"HashEdDSA":         {hashEdDSAKey(signKey), wire.RCSuccess, wire.RCScheme, wire.RCAttributes},
		"X25519":            {x25519Key(), wire.RCScheme, wire.RCAttributes, wire.RCScheme},
		"X25519 storage":    {x25519Storage(), wire.RCScheme, wire.RCAttributes, wire.RCAttributes},
		"DHKEM":             {dhkemKey(x25519Key(), wire.AlgSHA256), wire.RCScheme, wire.RCAttributes, wire.RCScheme},
		"Ed448":             {curve448.eddsaKey(signKey), wire.RCSuccess, wire.RCScheme, wire.RCAttributes},
		"Ed448ph":           {curve448.hashEdDSAKey(signKey), wire.RCSuccess, wire.RCScheme, wire.RCAttributes},
		"X448":              {curve448.exchangeKey(), wire.RCScheme, wire.RCAttributes, wire.RCScheme},
		"X448 storage":      {curve448.storage(), wire.RCScheme, wire.RCAttributes, wire.RCAttributes},
		"DHKEM X448":        {dhkemKey(curve448.exchangeKey(), wire.AlgSHA512), wire.RCScheme, wire.RCAttributes, wire.RCScheme},
	} {
		template := c.key.template(made)
		tpm := v185(t)
		want := flips()
		maps.Copy(want, map[wire.ObjectAttributes]wire.RC{restricted: c.restricted, decrypt: c.decrypt, sign: c.sign, x509: wire.RCAttributes})
		if template.public.Attributes&sign != 0 {
			want[x509] = wire.RCSuccess
		}
		require.Len(t, want, 32, "every bit")
		for a, want := range want {
			flipped := change(template, func(k *testKey) { k.public.Attributes ^= a })
			rsp := tpm.Execute(0, createPrimary(wire.RHOwner, flipped, "", ""))
			if want != wire.RCSuccess {
				want = want.Parameter(2)
			}
			if !assert.Equal(t, want, et.ResponseCode(rsp), "%s: %#x changed", name, uint32(a)) || want != wire.RCSuccess {
				continue
			}
			p, _ := publicOf(t, tpm, et.ResponseHandle(rsp))
			assert.Equal(t, flipped.public.Attributes, p.Attributes, name)
			flush(t, tpm, et.ResponseHandle(rsp))
		}
	}
}

// Only an asymmetric key that signs has x509sign, with version 185 (Part 2, section
// "x509sign"); wherever it comes from.
func TestX509SignIsOfAsymmetricKeysThatSign(t *testing.T) {
	t.Parallel()
	const x509 = wire.ObjectX509Sign
	with := func(k testKey) testKey { return change(k, func(k *testKey) { k.public.Attributes |= x509 }) }
	for name, k := range map[string]testKey{"HMAC": hmacKey(), "RSA": rsaDecrypting(), "ML-KEM": mlkemKey(wire.MLKEM512, openKey)} {
		parent := change(x25519Storage(), func(k *testKey) { k.public.Attributes |= wire.ObjectFixedTPM | wire.ObjectFixedParent })
		tpm, bad := v185(t, parent), with(k)
		assert.Equal(t, wire.RCAttributes.Parameter(2), send(t, tpm, loadExternal(bad)), name)
		assert.Equal(t, wire.RCAttributes.Parameter(2), send(t, tpm, create(object, bad.template(made), "", "")), name)
		seed, secret := curve25519.exchanged("DUPLICATE")
		blob := closeOuter(t, seed, bad.name(), bad.sensitiveParameter())
		assert.Equal(t, wire.RCAttributes.Parameter(2), send(t, tpm, importBlob(nil, bad, blob, secret, noSym)), name)
	}
	public := with(mlkemKey(wire.MLKEM512, openKey))
	assert.Equal(t, wire.RCAttributes.Parameter(2), send(t, v185(t), loadExternalPublic(public, wire.RHNull)))
	assert.Equal(t, wire.RCSuccess, send(t, v185(t), loadExternalPublic(with(mldsaKey(wire.MLDSA44, wire.AlgNull, signKey)), wire.RHNull)))
	assert.Equal(t, wire.RCSuccess, send(t, et.New(t), loadExternal(with(rsaDecrypting()))), "before version 185 it means nothing")
}

// signedByLibrary is an ML-DSA signature of µ.
func signedByLibrary(t *testing.T, k testKey, mu []byte) []byte {
	t.Helper()
	private, err := mldsa.NewPrivateKey(libraryMLDSA(k.public.Parms.MLDSA), k.sensitive.Data)
	require.NoError(t, err)
	s, err := private.Sign(nil, mu, mldsacrypto.MLDSAMu)
	require.NoError(t, err)
	return s
}

// Signatures that say the same in another way are refused by each command that verifies
// (FIPS 204, algorithm 21): hints out of order, twice, counted backwards, and with something
// where there is none.
func TestSignaturesHaveOneEncoding(t *testing.T) {
	t.Parallel()
	for set, size := range map[wire.MLDSAParameterSet]struct{ omega, k int }{wire.MLDSA44: {80, 4}, wire.MLDSA65: {55, 6}, wire.MLDSA87: {75, 8}} {
		key := change(mldsaKey(set, wire.AlgNull, signKey), func(k *testKey) { k.public.Parms.ExternalMu = true })
		mu := bytes.Repeat([]byte{0x6D}, wire.MLDSAMu)
		tpm := v185(t, key)
		var good []byte
		var hints, counts []byte
		enough := func() bool { // two hints in the first polynomial, one in the second, room at the end
			return counts[0] >= 2 && counts[1] > counts[0] && int(counts[size.k-1]) < size.omega
		}
		for attempt := byte(0); good == nil || !enough(); attempt++ {
			mu[0] = attempt
			good = signedByLibrary(t, key, mu)
			hints = good[len(good)-size.omega-size.k:]
			counts = hints[size.omega:]
		}
		require.Equal(t, wire.RCSuccess, send(t, tpm, verifyDigest(object, nil, mu, &wire.Signature{Alg: wire.AlgMLDSA, Bytes: good})))
		for name, f := range map[string]func(hints, counts []byte){
			"out of order":            func(hints, _ []byte) { hints[0], hints[1] = hints[1], hints[0] },
			"twice":                   func(hints, _ []byte) { hints[1] = hints[0] },
			"more than there are":     func(_, counts []byte) { counts[size.k-1] = byte(size.omega + 1) },
			"one more":                func(_, counts []byte) { counts[size.k-1]++ },
			"counted backwards":       func(_, counts []byte) { counts[0] = counts[1] + 1 },
			"in another polynomial":   func(_, counts []byte) { counts[0]-- },
			"something after the end": func(hints, _ []byte) { hints[size.omega-1] = 1 },
		} {
			bad := bytes.Clone(good)
			tail := bad[len(bad)-size.omega-size.k:]
			f(tail[:size.omega], tail[size.omega:])
			require.NotEqual(t, good, bad)
			assert.Equal(t, wire.RCSignature.Parameter(3), send(t, tpm, verifyDigest(object, nil, mu, &wire.Signature{Alg: wire.AlgMLDSA, Bytes: bad})), "%v: %s", set, name)
		}
		largest := wire.MLDSA87.SignatureSize()
		for length, want := range map[int]wire.RC{0: wire.RCSignature, 1: wire.RCSignature, len(good) - 1: wire.RCSignature, largest + 1: wire.RCSize} {
			bad := append(bytes.Clone(good), make([]byte, largest)...)[:length]
			assert.Equal(t, want.Parameter(3), send(t, tpm, verifyDigest(object, nil, mu, &wire.Signature{Alg: wire.AlgMLDSA, Bytes: bad})), "%v: %d octets", set, length)
		}
		for _, length := range []int{0, 1, 32, 48, 63} {
			assert.Equal(t, wire.RCSize.Parameter(2), send(t, tpm, signDigest(object, nil, mu[:length], noTicket)), "µ of %d octets", length)
		}
		for _, longer := range []int{65, 512} {
			assert.Equal(t, wire.RCSize.Parameter(2), send(t, tpm, signDigest(object, nil, make([]byte, longer), noTicket)), "µ of %d octets", longer)
		}
		assert.Equal(t, wire.RCSize.Parameter(1), send(t, tpm, signDigest(object, []byte("c"), mu, noTicket)), "µ has its context")
	}
}

// TPM2_PolicySigned takes a signature of HashML-DSA of the message, with the hash of the
// key, whichever it is.
func TestPolicySignedWithHashMLDSA(t *testing.T) {
	t.Parallel()
	ref := []byte("ref")
	message := slices.Concat(et.U32(0), ref)
	for _, hash := range []wire.AlgID{wire.AlgSHA256, wire.AlgSHA384, wire.AlgSHA512, wire.AlgSHA3_256, wire.AlgSHA3_384, wire.AlgSHA3_512, wire.AlgSHAKE256_512} {
		k := mldsaKey(wire.MLDSA44, hash, signKey)
		mu, err := crypt.NewHashMLDSAMu(k.public.Unique, nil, hash)
		require.NoError(t, err)
		mu.Write(crypt.Digest(hash, nil, message))
		good := wire.Signature{Alg: wire.AlgHashMLDSA, Hash: hash, Bytes: signedByLibrary(t, k, mu.Sum(nil))}
		policySigned := func(s wire.Signature) []byte {
			return et.Command(wire.CCPolicySigned, handles{object, policySession}, nil, et.Sized(nil), et.Sized(nil), et.Sized(ref), et.U32(0), signatureOf(s))
		}
		tpm := v185(t)
		succeed(t, tpm, loadExternalPublic(k, wire.RHOwner), startSession(wire.SEPolicy))
		bad := good
		bad.Bytes = bytes.Clone(good.Bytes)
		bad.Bytes[100] ^= 1
		assert.Equal(t, wire.RCSignature.Parameter(5), send(t, tpm, policySigned(bad)), hash)
		pure := good
		pure.Alg, pure.Hash = wire.AlgMLDSA, wire.AlgNull
		assert.Equal(t, wire.RCScheme.Parameter(5), send(t, tpm, policySigned(pure)), hash)
		other := good
		if other.Hash = wire.AlgSHA256; hash == wire.AlgSHA256 {
			other.Hash = wire.AlgSHA512
		}
		assert.Equal(t, wire.RCScheme.Parameter(5), send(t, tpm, policySigned(other)), hash)
		require.Equal(t, wire.RCSuccess, send(t, tpm, policySigned(good)), hash)
		digest := answer(t, tpm, et.Command(wire.CCPolicyGetDigest, handles{policySession}, nil))
		assert.Equal(t, sha(sha(make([]byte, 32), et.U32(uint32(wire.CCPolicySigned)), k.name()), ref), digest.Digest(), hash)
	}
}

// TPM2_TestParms knows what can be made, and answers as TPM2_CreatePrimary does for the
// rest.
func TestTestParmsOfLatticeKeys(t *testing.T) {
	t.Parallel()
	tpm := v185(t)
	test := func(parms ...uint16) wire.RC {
		var b []byte
		for _, v := range parms {
			b = append(b, et.U16(v)...)
		}
		return send(t, tpm, et.Command(wire.CCTestParms, nil, nil, b))
	}
	hashes := []wire.AlgID{wire.AlgSHA256, wire.AlgSHA384, wire.AlgSHA512, wire.AlgSHA3_256, wire.AlgSHA3_384, wire.AlgSHA3_512, wire.AlgSHAKE256_512}
	for set := uint16(0); set < 5; set++ {
		want := wire.RCSuccess
		if set == 0 || set == 4 {
			want = wire.RCParms.Parameter(1)
		}
		assert.Equal(t, want, test(uint16(wire.AlgMLKEM), uint16(wire.AlgNull), set))
		assert.Equal(t, want, test(uint16(wire.AlgMLKEM), uint16(wire.AlgAES), 128, uint16(wire.AlgCFB), set))
		for _, hash := range hashes {
			assert.Equal(t, want, test(uint16(wire.AlgHashMLDSA), set, uint16(hash)), hash)
		}
		for yesNo := range byte(2) {
			assert.Equal(t, want, send(t, tpm, et.Command(wire.CCTestParms, nil, nil, et.U16(uint16(wire.AlgMLDSA)), et.U16(set), et.U8(yesNo))))
		}
	}
	for _, hash := range []wire.AlgID{wire.AlgNull, wire.AlgSHA1, wire.AlgSM3_256, wire.AlgSHAKE256_192, wire.AlgSHAKE256_256, wire.AlgRSA, 0} {
		assert.Equal(t, wire.RCHash.Parameter(1), test(uint16(wire.AlgHashMLDSA), 1, uint16(hash)), hash)
	}
	assert.Equal(t, wire.RCValue.Parameter(1), send(t, tpm, et.Command(wire.CCTestParms, nil, nil, et.U16(uint16(wire.AlgMLDSA)), et.U16(1), et.U8(2))))
	assert.Equal(t, wire.RCInsufficient.Parameter(1), test(uint16(wire.AlgHashMLDSA), 1))
	assert.Equal(t, wire.RCSize, send(t, tpm, et.Command(wire.CCTestParms, nil, nil, et.U16(uint16(wire.AlgMLDSA)), et.U16(1), et.U8(0), et.U8(0))))
}
