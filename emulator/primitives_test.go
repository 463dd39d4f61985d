package emulator_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func init() { packetLists = append(packetLists, primitivePackets) }

// key is the handle of the first object that is loaded.
const key = wire.TransientFirst

// bothUses are the attributes of a key that signs or encrypts, and decrypts.
const bothUses = wire.ObjectDecrypt | wire.ObjectSignEncrypt

// The keys of these tests as TPM2_LoadExternal loads them, with attributes
// besides those of every user's key.

func extRSA(scheme wire.Scheme, a wire.ObjectAttributes) []byte {
	return loadExternal(rsaKey(userKey|a, noSym, scheme))
}

func extECC(scheme wire.Scheme, a wire.ObjectAttributes) []byte {
	return loadExternal(eccKey(userKey|a, noSym, scheme))
}

func extAES(mode wire.AlgID, a wire.ObjectAttributes) []byte {
	k := aesKey(mode)
	k.public.Attributes = userKey | a
	return loadExternal(k)
}

func extHMAC(scheme wire.Scheme, a wire.ObjectAttributes) []byte {
	return loadExternal(keyedHash(userKey|a, scheme, []byte("secret")))
}

// Parameters of the commands.
var (
	null16      = et.U16(uint16(wire.AlgNull))
	noLabel     = et.Sized(nil)
	zeroIV      = et.Sized(make([]byte, 16))
	block       = []byte("exactly sixteen.")
	encryptOnly = et.U8(0)
	decryptOnly = et.U8(1)
)

// sizedPoint is a TPM2B_ECC_POINT: [k]G of P-256.
func sizedPoint(k int64) []byte {
	curve := crypt.CurveOf(wire.CurveNISTP256)
	x, y := curve.EncodePoint(curve.BaseMult(big.NewInt(k)))
	var w wire.Writer
	w.SizedPoint(&wire.ECPoint{X: x, Y: y})
	return w.Data()
}

func primitivePackets() []packet {
	on, noAuth := handles{key}, et.NoAuth()
	ciphertext := make([]byte, 256)
	ecdaa := hashScheme(wire.AlgECDAA, wire.AlgSHA256)
	return []packet{
		{name: "RSA_Encrypt", code: wire.CCRSAEncrypt, bytes: et.Command(wire.CCRSAEncrypt, on, nil, et.Sized([]byte("abc")), null16, noLabel), before: [][]byte{extRSA(noScheme, wire.ObjectDecrypt)}},
		{name: "RSA_Decrypt", code: wire.CCRSADecrypt, bytes: et.Command(wire.CCRSADecrypt, on, noAuth, et.Sized(ciphertext), null16, noLabel), before: [][]byte{extRSA(noScheme, wire.ObjectDecrypt)}},
		{name: "ECDH_KeyGen", code: wire.CCECDHKeyGen, bytes: et.Command(wire.CCECDHKeyGen, on, nil), before: [][]byte{extECC(noScheme, wire.ObjectDecrypt)}},
		{name: "ECDH_ZGen", code: wire.CCECDHZGen, bytes: et.Command(wire.CCECDHZGen, on, noAuth, sizedPoint(2)), before: [][]byte{extECC(noScheme, wire.ObjectDecrypt)}},
		{name: "ECC_Parameters", code: wire.CCECCParameters, bytes: et.Command(wire.CCECCParameters, nil, nil, et.U16(uint16(wire.CurveNISTP256)))},
		{name: "ZGen_2Phase", code: wire.CCZGen2Phase, bytes: et.Command(wire.CCZGen2Phase, on, noAuth, sizedPoint(2), sizedPoint(3), et.U16(uint16(wire.AlgECDH)), et.U16(0)),
			before: [][]byte{extECC(noScheme, wire.ObjectDecrypt), et.Command(wire.CCECEphemeral, nil, nil, et.U16(uint16(wire.CurveNISTP256)))}},
		{name: "EC_Ephemeral", code: wire.CCECEphemeral, bytes: et.Command(wire.CCECEphemeral, nil, nil, et.U16(uint16(wire.CurveNISTP256)))},
		{name: "Commit", code: wire.CCCommit, bytes: et.Command(wire.CCCommit, on, noAuth, sizedPoint(2), noLabel, noLabel), before: [][]byte{extECC(ecdaa, wire.ObjectSignEncrypt)}},
		{name: "ECC_Encrypt", code: wire.CCECCEncrypt, bytes: et.Command(wire.CCECCEncrypt, on, nil, et.Sized([]byte("abc")), et.U16(uint16(wire.AlgKDF2)), et.U16(uint16(wire.AlgSHA256))), before: [][]byte{extECC(noScheme, wire.ObjectDecrypt)}},
		{name: "ECC_Decrypt", code: wire.CCECCDecrypt}, // needs what TPM2_ECC_Encrypt gives
		{name: "EncryptDecrypt", code: wire.CCEncryptDecrypt, bytes: et.Command(wire.CCEncryptDecrypt, on, noAuth, encryptOnly, null16, zeroIV, et.Sized(block)), before: [][]byte{extAES(wire.AlgCFB, bothUses)}},
		{name: "EncryptDecrypt2", code: wire.CCEncryptDecrypt2, bytes: et.Command(wire.CCEncryptDecrypt2, on, noAuth, et.Sized(block), encryptOnly, null16, zeroIV), before: [][]byte{extAES(wire.AlgCFB, bothUses)}},
		{name: "HMAC", code: wire.CCHMAC, bytes: et.Command(wire.CCHMAC, on, noAuth, et.Sized([]byte("abc")), et.U16(uint16(wire.AlgSHA256))), before: [][]byte{extHMAC(noScheme, bothUses)}},
		{name: "HMAC_Start", code: wire.CCHMACStart, bytes: et.Command(wire.CCHMACStart, on, noAuth, et.Sized(pw), et.U16(uint16(wire.AlgSHA256))), before: [][]byte{extHMAC(noScheme, bothUses)}},
	}
}

// with is a new TPM on which commands have succeeded.
func with(t *testing.T, commands ...[]byte) *et.TPM {
	t.Helper()
	tpm := et.New(t)
	succeed(t, tpm, commands...)
	return tpm
}

// refusal is a command on a key, and its answer.
type refusal struct {
	key     []byte // nil for a sequence object without password
	command []byte
	want    wire.RC
}

func refuse(t *testing.T, list map[string]refusal) {
	t.Helper()
	for name, r := range list {
		if r.key == nil {
			r.key = et.Command(wire.CCHashSequenceStart, nil, nil, noLabel, et.U16(uint16(wire.AlgSHA1)))
		}
		assert.Equal(t, r.want, send(t, with(t, r.key), r.command), name)
	}
}

// answer gives the response parameters of a command without response handle.
func answer(t *testing.T, tpm *et.TPM, command []byte) wire.Reader {
	t.Helper()
	rsp := tpm.Execute(0, command)
	require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp))
	return wire.NewReader(et.Parameters(rsp, false), crypt.Complete().Selectors())
}

func TestRSAEncryption(t *testing.T) {
	t.Parallel()
	k := rsaKey2048()
	standard := &rsa.PrivateKey{PublicKey: rsa.PublicKey{N: k.N, E: int(k.E)}, Primes: []*big.Int{k.P, k.Q},
		D: new(big.Int).ModInverse(big.NewInt(int64(k.E)), new(big.Int).Mul(new(big.Int).Sub(k.P, big.NewInt(1)), new(big.Int).Sub(k.Q, big.NewInt(1))))}
	standard.Precompute()
	oaep := append(et.U16(uint16(wire.AlgOAEP)), et.U16(uint16(wire.AlgSHA256))...)
	label := append([]byte("label"), 0)
	tpm := with(t, extRSA(noScheme, wire.ObjectDecrypt))

	r := answer(t, tpm, et.Command(wire.CCRSAEncrypt, handles{key}, nil, et.Sized([]byte("message")), oaep, et.Sized(label)))
	message, err := rsa.DecryptOAEP(sha256.New(), nil, standard, r.Sized(256), label)
	require.NoError(t, err)
	assert.Equal(t, "message", string(message))
	r = answer(t, tpm, et.Command(wire.CCRSAEncrypt, handles{key}, nil, et.Sized([]byte("message")), et.U16(uint16(wire.AlgRSAES)), noLabel))
	ciphertext := r.Sized(256)
	//lint:ignore SA1019 RSAES is what TPM 2.0 has
	message, err = rsa.DecryptPKCS1v15(nil, standard, ciphertext)
	require.NoError(t, err)
	assert.Equal(t, "message", string(message))
	r = answer(t, tpm, et.Command(wire.CCRSADecrypt, handles{key}, et.NoAuth(), et.Sized(ciphertext), et.U16(uint16(wire.AlgRSAES)), noLabel))
	assert.Equal(t, "message", string(r.Sized(256)))
	r = answer(t, tpm, et.Command(wire.CCRSADecrypt, handles{key}, et.NoAuth(), et.Sized(ciphertext), null16, noLabel))
	raw := r.Sized(256)
	assert.Len(t, raw, 256, "a number as long as the modulus")
	assert.True(t, bytes.HasSuffix(raw, append([]byte{0}, "message"...)))
}

func TestRSAEncryptionRefuses(t *testing.T) {
	t.Parallel()
	decrypt := extRSA(noScheme, wire.ObjectDecrypt)
	oaep := hashScheme(wire.AlgOAEP, wire.AlgSHA256)
	es := et.U16(uint16(wire.AlgRSAES))
	enc := func(params ...[]byte) []byte { return et.Command(wire.CCRSAEncrypt, handles{key}, nil, params...) }
	dec := func(params ...[]byte) []byte {
		return et.Command(wire.CCRSADecrypt, handles{key}, et.NoAuth(), params...)
	}
	message, cipher := et.Sized([]byte("m")), et.Sized(make([]byte, 256))
	large := et.Sized(bytes.Repeat([]byte{0xFF}, 256))
	refuse(t, map[string]refusal{
		"a sequence":              {nil, enc(message, es, noLabel), wire.RCKey.Handle(1)},
		"an ECC key":              {extECC(noScheme, wire.ObjectDecrypt), enc(message, es, noLabel), wire.RCKey.Handle(1)},
		"a signing key":           {extRSA(noScheme, wire.ObjectSignEncrypt), enc(message, es, noLabel), wire.RCAttributes.Handle(1)},
		"a label without its end": {decrypt, enc(message, es, et.Sized([]byte("label"))), wire.RCValue.Parameter(3)},
		"another scheme":          {extRSA(oaep, wire.ObjectDecrypt), enc(message, es, noLabel), wire.RCScheme.Parameter(2)},
		"no scheme to encrypt":    {decrypt, enc(message, et.U16(uint16(wire.AlgRSASSA)), noLabel), wire.RCValue.Parameter(2)},
		"too large a number":      {decrypt, enc(large, null16, noLabel), wire.RCValue},
		"too long a message":      {decrypt, enc(et.Sized(make([]byte, 246)), es, noLabel), wire.RCValue},
		"decrypt with ECC":        {extECC(noScheme, wire.ObjectDecrypt), dec(cipher, es, noLabel), wire.RCKey.Handle(1)},
		"decrypt by signing":      {extRSA(noScheme, wire.ObjectSignEncrypt), dec(cipher, es, noLabel), wire.RCAttributes.Handle(1)},
		"decrypt label":           {decrypt, dec(cipher, es, et.Sized([]byte("x"))), wire.RCValue.Parameter(3)},
		"decrypt another scheme":  {extRSA(oaep, wire.ObjectDecrypt), dec(cipher, es, noLabel), wire.RCScheme.Parameter(2)},
		"short cipher text":       {decrypt, dec(et.Sized(make([]byte, 255)), es, noLabel), wire.RCSize},
		"large cipher text":       {decrypt, dec(large, es, noLabel), wire.RCSize},
		"bad padding":             {decrypt, dec(cipher, es, noLabel), wire.RCValue},
	})
}

func TestECDH(t *testing.T) {
	t.Parallel()
	tpm := with(t, extECC(noScheme, wire.ObjectDecrypt))
	mine, err := ecdh.P256().NewPrivateKey(eccECDH().sensitive.Data)
	require.NoError(t, err)
	point := func(r *wire.Reader) (*ecdh.PublicKey, []byte) {
		var p wire.ECPoint
		r.SizedPoint(&p)
		k, err := ecdh.P256().NewPublicKey(append([]byte{4}, append(slices.Clone(p.X), p.Y...)...))
		require.NoError(t, err)
		return k, p.X
	}
	r := answer(t, tpm, et.Command(wire.CCECDHKeyGen, handles{key}, nil))
	_, z := point(&r)
	ephemeral, _ := point(&r)
	want, err := mine.ECDH(ephemeral)
	require.NoError(t, err)
	assert.Equal(t, want, z)

	other, err := ecdh.P256().NewPrivateKey(bytes.Repeat([]byte{9}, 32))
	require.NoError(t, err)
	public := other.PublicKey().Bytes()
	var w wire.Writer
	w.SizedPoint(&wire.ECPoint{X: public[1:33], Y: public[33:]})
	r = answer(t, tpm, et.Command(wire.CCECDHZGen, handles{key}, et.NoAuth(), w.Data()))
	_, z = point(&r)
	want, err = other.ECDH(mine.PublicKey())
	require.NoError(t, err)
	assert.Equal(t, want, z)
}

func TestECDHRefuses(t *testing.T) {
	t.Parallel()
	zgen := func(point []byte) []byte {
		return et.Command(wire.CCECDHZGen, handles{key}, et.NoAuth(), point)
	}
	var w wire.Writer
	w.SizedPoint(&wire.ECPoint{X: []byte{1}, Y: []byte{2}})
	refuse(t, map[string]refusal{
		"KeyGen with RSA":      {extRSA(noScheme, wire.ObjectDecrypt), et.Command(wire.CCECDHKeyGen, handles{key}, nil), wire.RCKey.Handle(1)},
		"KeyGen of a sequence": {nil, et.Command(wire.CCECDHKeyGen, handles{key}, nil), wire.RCKey.Handle(1)},
		"RSA":                  {extRSA(noScheme, wire.ObjectDecrypt), zgen(sizedPoint(2)), wire.RCKey.Handle(1)},
		"a signing key":        {extECC(noScheme, wire.ObjectSignEncrypt), zgen(sizedPoint(2)), wire.RCAttributes.Handle(1)},
		"not on the curve":     {extECC(noScheme, wire.ObjectDecrypt), zgen(w.Data()), wire.RCECCPoint.Parameter(1)},
		"no point":             {extECC(noScheme, wire.ObjectDecrypt), zgen(noLabel), wire.RCSize.Parameter(1)},
	})
}

func TestECCParameters(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	r := answer(t, tpm, et.Command(wire.CCECCParameters, nil, nil, et.U16(uint16(wire.CurveNISTP521))))
	assert.EqualValues(t, wire.CurveNISTP521, r.U16())
	assert.EqualValues(t, 521, r.U16())
	assert.EqualValues(t, wire.AlgKDF1_SP800_56A, r.U16())
	assert.EqualValues(t, wire.AlgSHA512, r.U16())
	assert.EqualValues(t, wire.AlgNull, r.U16())
	p := elliptic.P521().Params()
	a := new(big.Int).Sub(p.P, big.NewInt(3))
	for _, want := range []*big.Int{p.P, a, p.B, p.Gx, p.Gy, p.N} {
		assert.Equal(t, want.FillBytes(make([]byte, 66)), r.Sized(66))
	}
	assert.Equal(t, []byte{1}, r.Sized(1))
	assert.Zero(t, r.Len())
	for curve, kdf := range map[wire.Curve][]wire.AlgID{
		wire.CurveNISTP256: {wire.AlgKDF1_SP800_56A, wire.AlgSHA256}, wire.CurveSM2P256: {wire.AlgKDF1_SP800_56A, wire.AlgSM3_256},
		wire.CurveBNP638: {wire.AlgNull},
	} {
		r := answer(t, tpm, et.Command(wire.CCECCParameters, nil, nil, et.U16(uint16(curve))))
		r.Bytes(4) // curveID, keySize
		for _, alg := range kdf {
			assert.EqualValues(t, alg, r.U16(), curve)
		}
	}
	assert.Equal(t, wire.RCCurve.Parameter(1), send(t, tpm, et.Command(wire.CCECCParameters, nil, nil, et.U16(0x99))))
}

func TestECCEncryption(t *testing.T) {
	t.Parallel()
	kdf2 := append(et.U16(uint16(wire.AlgKDF2)), et.U16(uint16(wire.AlgSHA256))...)
	tpm := with(t, extECC(noScheme, wire.ObjectDecrypt))
	r := answer(t, tpm, et.Command(wire.CCECCEncrypt, handles{key}, nil, et.Sized([]byte("message")), kdf2))
	sealed := slices.Clone(r.Rest())
	decrypt := func(params ...[]byte) []byte {
		return et.Command(wire.CCECCDecrypt, handles{key}, et.NoAuth(), params...)
	}
	r = answer(t, tpm, decrypt(sealed, kdf2))
	assert.Equal(t, "message", string(r.Sized(100)))
	sealed[len(sealed)-1] ^= 1
	assert.Equal(t, wire.RCValue, send(t, tpm, decrypt(sealed, kdf2)))
	encrypt := func(scheme ...byte) []byte {
		return et.Command(wire.CCECCEncrypt, handles{key}, nil, et.Sized(nil), scheme)
	}
	refuse(t, map[string]refusal{
		"RSA":            {extRSA(noScheme, wire.ObjectDecrypt), encrypt(kdf2...), wire.RCKey.Handle(1)},
		"no scheme":      {extECC(noScheme, wire.ObjectDecrypt), encrypt(null16...), wire.RCScheme.Parameter(2)},
		"another KDF":    {extECC(noScheme, wire.ObjectDecrypt), encrypt(append(et.U16(uint16(wire.AlgKDF1_SP800_56A)), et.U16(uint16(wire.AlgSHA256))...)...), wire.RCScheme},
		"decrypt RSA":    {extRSA(noScheme, wire.ObjectDecrypt), decrypt(sealed, kdf2), wire.RCKey.Handle(1)},
		"decrypt sign":   {extECC(noScheme, wire.ObjectSignEncrypt), decrypt(sealed, kdf2), wire.RCAttributes.Handle(1)},
		"decrypt scheme": {extECC(noScheme, wire.ObjectDecrypt), decrypt(sealed, null16), wire.RCScheme.Parameter(4)},
	})
}

func TestEncryptDecrypt(t *testing.T) {
	t.Parallel()
	b, err := aes.NewCipher(aesKey(wire.AlgCFB).sensitive.Data)
	require.NoError(t, err)
	iv := bytes.Repeat([]byte{3}, 16)
	long := bytes.Repeat([]byte("0123456789abcdef"), 3)
	for mode, want := range map[wire.AlgID]func(dst []byte){
		wire.AlgCBC: func(dst []byte) { cipher.NewCBCEncrypter(b, iv).CryptBlocks(dst, long) },
		wire.AlgCTR: func(dst []byte) { cipher.NewCTR(b, iv).XORKeyStream(dst, long) },
		//lint:ignore SA1019 the mode is what TPM 2.0 has
		wire.AlgOFB: func(dst []byte) { cipher.NewOFB(b, iv).XORKeyStream(dst, long) },
		//lint:ignore SA1019 the mode is what TPM 2.0 has
		wire.AlgCFB: func(dst []byte) { cipher.NewCFBEncrypter(b, iv).XORKeyStream(dst, long) },
		wire.AlgECB: func(dst []byte) {
			for i := 0; i < len(dst); i += 16 {
				b.Encrypt(dst[i:], long[i:])
			}
		},
	} {
		start := iv
		if mode == wire.AlgECB {
			start = nil
		}
		for _, tpm := range []*et.TPM{with(t, extAES(mode, bothUses)), with(t, extAES(wire.AlgNull, bothUses))} {
			r := answer(t, tpm, et.Command(wire.CCEncryptDecrypt2, handles{key}, et.NoAuth(), et.Sized(long), encryptOnly, et.U16(uint16(mode)), et.Sized(start)))
			sealed := make([]byte, len(long))
			want(sealed)
			assert.Equal(t, sealed, r.Sized(100), mode)
			r = answer(t, tpm, et.Command(wire.CCEncryptDecrypt, handles{key}, et.NoAuth(), decryptOnly, et.U16(uint16(mode)), et.Sized(start), et.Sized(sealed)))
			assert.Equal(t, long, r.Sized(100), mode)
		}
	}
}

// What is cut in two with the IV that came back is what is encrypted in one.
func TestEncryptDecryptChains(t *testing.T) {
	t.Parallel()
	for _, mode := range []wire.AlgID{wire.AlgCBC, wire.AlgCTR, wire.AlgOFB, wire.AlgCFB} {
		tpm := with(t, extAES(mode, bothUses))
		encrypt := func(data, iv []byte) (out, next []byte) {
			r := answer(t, tpm, et.Command(wire.CCEncryptDecrypt, handles{key}, et.NoAuth(), encryptOnly, null16, et.Sized(iv), et.Sized(data)))
			return slices.Clone(r.Sized(100)), slices.Clone(r.Sized(16))
		}
		long := bytes.Repeat([]byte("0123456789abcdef"), 2)
		whole, _ := encrypt(long, make([]byte, 16))
		first, iv := encrypt(long[:16], make([]byte, 16))
		second, _ := encrypt(long[16:], iv)
		assert.Equal(t, whole, append(first, second...), mode)
	}
}

func TestEncryptDecryptRefuses(t *testing.T) {
	t.Parallel()
	crypt1 := func(params ...[]byte) []byte {
		return et.Command(wire.CCEncryptDecrypt, handles{key}, et.NoAuth(), params...)
	}
	crypt2 := func(params ...[]byte) []byte {
		return et.Command(wire.CCEncryptDecrypt2, handles{key}, et.NoAuth(), params...)
	}
	data, cbc := et.Sized(block), et.U16(uint16(wire.AlgCBC))
	refuse(t, map[string]refusal{
		"an HMAC key":     {extHMAC(noScheme, bothUses), crypt1(encryptOnly, null16, zeroIV, data), wire.RCKey.Handle(1)},
		"a sequence":      {nil, crypt1(encryptOnly, null16, zeroIV, data), wire.RCKey.Handle(1)},
		"encrypt":         {extAES(wire.AlgCFB, wire.ObjectDecrypt), crypt1(encryptOnly, null16, zeroIV, data), wire.RCAttributes.Handle(1)},
		"decrypt":         {extAES(wire.AlgCFB, wire.ObjectSignEncrypt), crypt1(decryptOnly, null16, zeroIV, data), wire.RCAttributes.Handle(1)},
		"CMAC":            {extAES(wire.AlgCMAC, wire.ObjectSignEncrypt), crypt1(encryptOnly, null16, zeroIV, data), wire.RCMode.Handle(1)},
		"another mode":    {extAES(wire.AlgCFB, bothUses), crypt1(encryptOnly, cbc, zeroIV, data), wire.RCMode.Parameter(2)},
		"another mode, 2": {extAES(wire.AlgCFB, bothUses), crypt2(data, encryptOnly, cbc, zeroIV), wire.RCMode.Parameter(3)},
		"no mode":         {extAES(wire.AlgNull, bothUses), crypt1(encryptOnly, null16, zeroIV, data), wire.RCMode.Parameter(2)},
		"no such mode":    {extAES(wire.AlgNull, bothUses), crypt1(encryptOnly, et.U16(uint16(wire.AlgCMAC)), zeroIV, data), wire.RCMode.Parameter(2)},
		"short IV":        {extAES(wire.AlgCFB, bothUses), crypt1(encryptOnly, null16, et.Sized(make([]byte, 15)), data), wire.RCSize.Parameter(3)},
		"short IV, 2":     {extAES(wire.AlgCFB, bothUses), crypt2(data, encryptOnly, null16, noLabel), wire.RCSize.Parameter(4)},
		"ECB with an IV":  {extAES(wire.AlgECB, bothUses), crypt1(encryptOnly, null16, zeroIV, data), wire.RCSize.Parameter(3)},
		"half a block":    {extAES(wire.AlgCBC, bothUses), crypt1(encryptOnly, null16, zeroIV, et.Sized(block[:8])), wire.RCSize.Parameter(4)},
		"half a block, 2": {extAES(wire.AlgCBC, bothUses), crypt2(et.Sized(block[:8]), encryptOnly, null16, zeroIV), wire.RCSize.Parameter(1)},
	})
}

// HMAC and CMAC in one command and as sequences, the latter saved in between.
func TestMAC(t *testing.T) {
	t.Parallel()
	m := hmac.New(sha256.New, []byte("secret"))
	m.Write([]byte("abcdef"))
	wantHMAC := m.Sum(nil)
	cm, err := crypt.NewCMAC(wire.AlgAES, aesKey(wire.AlgCMAC).sensitive.Data)
	require.NoError(t, err)
	cm.Write([]byte("abcdef"))
	wantCMAC := cm.Finish(nil)
	sha := hashScheme(wire.AlgHMAC, wire.AlgSHA256)
	for name, tc := range map[string]struct {
		key, want []byte
		scheme    wire.AlgID
	}{
		"HMAC, named":     {extHMAC(noScheme, bothUses), wantHMAC, wire.AlgSHA256},
		"HMAC of the key": {extHMAC(sha, wire.ObjectSignEncrypt), wantHMAC, wire.AlgNull},
		"CMAC":            {extAES(wire.AlgCMAC, wire.ObjectSignEncrypt), wantCMAC, wire.AlgNull},
		"CMAC, named":     {extAES(wire.AlgNull, wire.ObjectSignEncrypt), wantCMAC, wire.AlgCMAC},
	} {
		tpm := with(t, tc.key)
		scheme := et.U16(uint16(tc.scheme))
		r := answer(t, tpm, et.Command(wire.CCHMAC, handles{key}, et.NoAuth(), et.Sized([]byte("abcdef")), scheme))
		assert.Equal(t, tc.want, r.Sized(64), name)
		succeed(t, tpm, et.Command(wire.CCHMACStart, handles{key}, et.NoAuth(), et.Sized(pw), scheme),
			et.Command(wire.CCSequenceUpdate, handles{key + 1}, [][]byte{pw}, et.Sized([]byte("abc"))))
		ctx := saveContext(t, tpm, key+1)
		flush(t, tpm, key+1)
		rc, h := loadContext(tpm, ctx)
		require.Equal(t, wire.RCSuccess, rc, name)
		r = answer(t, tpm, et.Command(wire.CCSequenceComplete, handles{h}, [][]byte{pw}, et.Sized([]byte("def")), et.U32(uint32(wire.RHOwner))))
		assert.Equal(t, tc.want, r.Sized(64), name)
		assert.Equal(t, []byte{0x80, 0x24, 0x40, 0, 0, 7, 0, 0}, r.Rest(), "no ticket for a MAC")
		assert.Equal(t, wire.RCReferenceH0, send(t, tpm, et.Command(wire.CCSequenceUpdate, handles{h}, [][]byte{pw}, noLabel)))
	}
}

func TestMACRefuses(t *testing.T) {
	t.Parallel()
	sha := hashScheme(wire.AlgHMAC, wire.AlgSHA256)
	list := map[string]refusal{}
	for _, code := range []wire.CC{wire.CCHMAC, wire.CCHMACStart} {
		mac := func(alg wire.AlgID) []byte {
			return et.Command(code, handles{key}, et.NoAuth(), noLabel, et.U16(uint16(alg)))
		}
		for name, r := range map[string]refusal{
			"a sequence":       {nil, mac(wire.AlgSHA256), wire.RCType.Handle(1)},
			"RSA":              {extRSA(noScheme, wire.ObjectDecrypt), mac(wire.AlgSHA256), wire.RCType.Handle(1)},
			"sealed data":      {extHMAC(noScheme, 0), mac(wire.AlgSHA256), wire.RCKey.Handle(1)},
			"another hash":     {extHMAC(sha, wire.ObjectSignEncrypt), mac(wire.AlgSHA1), wire.RCValue.Parameter(2)},
			"no hash":          {extHMAC(noScheme, bothUses), mac(wire.AlgNull), wire.RCValue.Parameter(2)},
			"CMAC with a hash": {extHMAC(noScheme, bothUses), mac(wire.AlgCMAC), wire.RCScheme.Parameter(2)},
			"hash with AES":    {extAES(wire.AlgNull, wire.ObjectSignEncrypt), mac(wire.AlgSHA256), wire.RCScheme.Parameter(2)},
			"mode of AES":      {extAES(wire.AlgCFB, wire.ObjectSignEncrypt), mac(wire.AlgNull), wire.RCScheme.Parameter(2)},
			"another mode":     {extAES(wire.AlgCFB, wire.ObjectSignEncrypt), mac(wire.AlgCMAC), wire.RCValue.Parameter(2)},
			"no MAC":           {extHMAC(noScheme, bothUses), mac(wire.AlgAES), wire.RCSymmetric.Parameter(2)},
		} {
			list[code.String()+" "+name] = r
		}
	}
	refuse(t, list)
	tpm := with(t, extHMAC(noScheme, bothUses), startHash(), startHash())
	assert.Equal(t, wire.RCObjectMemory, send(t, tpm, et.Command(wire.CCHMACStart, handles{key}, et.NoAuth(), noLabel, et.U16(uint16(wire.AlgSHA256)))))
}

func startHash() []byte {
	return et.Command(wire.CCHashSequenceStart, nil, nil, noLabel, et.U16(uint16(wire.AlgSHA1)))
}

// The two phases agree with what the other party computes, and use up the
// commitment.
func TestZGen2Phase(t *testing.T) {
	t.Parallel()
	curve := crypt.CurveOf(wire.CurveNISTP256)
	tpm := with(t, extECC(noScheme, wire.ObjectDecrypt))
	r := answer(t, tpm, et.Command(wire.CCECEphemeral, nil, nil, et.U16(uint16(wire.CurveNISTP256))))
	var q wire.ECPoint
	r.SizedPoint(&q)
	count := r.U16()
	ephemeral, err := curve.DecodePoint(q.X, q.Y)
	require.NoError(t, err)
	zgen := func(count uint16) []byte {
		return et.Command(wire.CCZGen2Phase, handles{key}, et.NoAuth(), sizedPoint(2), sizedPoint(3), et.U16(uint16(wire.AlgECDH)), et.U16(count))
	}
	assert.Equal(t, wire.RCValue.Parameter(4), send(t, tpm, zgen(count+1)), "not committed to")
	r = answer(t, tpm, zgen(count))
	for _, want := range []crypt.Point{curve.Mult(curve.BaseMult(big.NewInt(2)), eccECDH().scalar()), curve.Mult(ephemeral, big.NewInt(3))} {
		var z wire.ECPoint
		r.SizedPoint(&z)
		x, y := curve.EncodePoint(want)
		assert.Equal(t, wire.ECPoint{X: x, Y: y}, z)
	}
	assert.Equal(t, wire.RCValue.Parameter(4), send(t, tpm, zgen(count)), "used up")
}

func TestZGen2PhaseRefuses(t *testing.T) {
	t.Parallel()
	var w wire.Writer
	w.SizedPoint(&wire.ECPoint{X: []byte{1}, Y: []byte{2}})
	zgen := func(qs, qe []byte, scheme wire.AlgID) []byte {
		return et.Command(wire.CCZGen2Phase, handles{key}, et.NoAuth(), qs, qe, et.U16(uint16(scheme)), et.U16(0))
	}
	refuse(t, map[string]refusal{
		"RSA":           {extRSA(noScheme, wire.ObjectDecrypt), zgen(sizedPoint(2), sizedPoint(3), wire.AlgECDH), wire.RCKey.Handle(1)},
		"a signing key": {extECC(noScheme, wire.ObjectSignEncrypt), zgen(sizedPoint(2), sizedPoint(3), wire.AlgECDH), wire.RCAttributes.Handle(1)},
		"no scheme":     {extECC(noScheme, wire.ObjectDecrypt), zgen(sizedPoint(2), sizedPoint(3), wire.AlgECDSA), wire.RCScheme.Parameter(3)},
		"static point":  {extECC(noScheme, wire.ObjectDecrypt), zgen(w.Data(), sizedPoint(3), wire.AlgECDH), wire.RCECCPoint.Parameter(1)},
		"other point":   {extECC(noScheme, wire.ObjectDecrypt), zgen(sizedPoint(2), w.Data(), wire.AlgECDH), wire.RCECCPoint.Parameter(2)},
		"no commitment": {extECC(noScheme, wire.ObjectDecrypt), zgen(sizedPoint(2), sizedPoint(3), wire.AlgECDH), wire.RCValue.Parameter(4)},
	})
}

// A commitment of 128 others ago is forgotten.
func TestCommitmentsAreForgotten(t *testing.T) {
	t.Parallel()
	tpm := et.New(t, et.Unchecked())
	succeed(t, tpm, extECC(noScheme, wire.ObjectDecrypt))
	for range 129 {
		succeed(t, tpm, et.Command(wire.CCECEphemeral, nil, nil, et.U16(uint16(wire.CurveNISTP256))))
	}
	zgen := func(count uint16) wire.RC {
		return send(t, tpm, et.Command(wire.CCZGen2Phase, handles{key}, et.NoAuth(), sizedPoint(2), sizedPoint(3), et.U16(uint16(wire.AlgECDH)), et.U16(count)))
	}
	assert.Equal(t, wire.RCValue.Parameter(4), zgen(0))
	assert.Equal(t, wire.RCSuccess, zgen(1))
	assert.Equal(t, wire.RCSuccess, zgen(128))
	assert.EqualValues(t, 128, property(t, tpm, wire.PTSplitMax))
}

// TPM2_Commit gives K = [d]B, L = [r]B and E = [r]P1 for one r.
func TestCommit(t *testing.T) {
	t.Parallel()
	curve := crypt.CurveOf(wire.CurveNISTP256)
	ecdaa := hashScheme(wire.AlgECDAA, wire.AlgSHA256)
	tpm := with(t, extECC(ecdaa, wire.ObjectSignEncrypt))
	var s2 []byte
	var b crypt.Point
	for n := byte(0); b.X == nil; n++ { // half of all numbers are no coordinate
		s2 = []byte{n}
		x := new(big.Int).SetBytes(func() []byte { d := sha256.Sum256(s2); return d[:] }())
		y2 := new(big.Int).Exp(x, big.NewInt(3), curve.P)
		y2.Add(y2, new(big.Int).Mul(curve.A, x)).Add(y2, curve.B).Mod(y2, curve.P)
		if y := new(big.Int).ModSqrt(y2, curve.P); y != nil {
			b = crypt.Point{X: x.Mod(x, curve.P), Y: y}
		}
	}
	commit := func(p1, s2, y2 []byte) []byte {
		return et.Command(wire.CCCommit, handles{key}, et.NoAuth(), p1, et.Sized(s2), et.Sized(y2))
	}
	r := answer(t, tpm, commit(sizedPoint(5), s2, b.Y.Bytes()))
	var k, l, e wire.ECPoint
	r.SizedPoint(&k)
	r.SizedPoint(&l)
	r.SizedPoint(&e)
	x, y := curve.EncodePoint(curve.Mult(b, eccECDH().scalar()))
	assert.Equal(t, wire.ECPoint{X: x, Y: y}, k)
	assert.NotEqual(t, l, e)
	assert.EqualValues(t, 0, r.U16())

	r = answer(t, tpm, commit([]byte{0, 4, 0, 0, 0, 0}, nil, nil))
	r.SizedPoint(&k)
	r.SizedPoint(&l)
	r.SizedPoint(&e)
	assert.Empty(t, k.X)
	assert.Empty(t, l.X)
	assert.NotEmpty(t, e.X, "of the base point")
	assert.EqualValues(t, 1, r.U16())
	noPoint := []byte{0, 4, 0, 0, 0, 0}
	var w wire.Writer
	w.SizedPoint(&wire.ECPoint{X: []byte{1}, Y: []byte{2}})
	refuse(t, map[string]refusal{
		"RSA":            {extRSA(noScheme, wire.ObjectSignEncrypt), commit(noPoint, nil, nil), wire.RCKey.Handle(1)},
		"another scheme": {extECC(noScheme, wire.ObjectSignEncrypt), commit(noPoint, nil, nil), wire.RCScheme.Handle(1)},
		"s2 without y2":  {extECC(ecdaa, wire.ObjectSignEncrypt), commit(noPoint, s2, nil), wire.RCSize.Parameter(3)},
		"s2, no point":   {extECC(ecdaa, wire.ObjectSignEncrypt), commit(noPoint, s2, []byte{1}), wire.RCECCPoint.Parameter(2)},
		"P1, no point":   {extECC(ecdaa, wire.ObjectSignEncrypt), commit(w.Data(), nil, nil), wire.RCECCPoint.Parameter(1)},
	})
}

// Without nameAlg nothing makes a coordinate of s2.
func TestCommitWithoutNameAlg(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	k := eccKey(signKey, noSym, hashScheme(wire.AlgECDAA, wire.AlgSHA256))
	k.public.NameAlg = wire.AlgNull
	o := load(t, tpm, loadExternal(k))
	curve := crypt.CurveOf(wire.CurveNISTP256)
	y2 := new(big.Int).ModSqrt(curve.B, curve.P).Bytes() // of x = 0
	commit := func(p1, s2, y2 []byte) []byte {
		return et.Command(wire.CCCommit, handles{o}, et.NoAuth(), p1, et.Sized(s2), et.Sized(y2))
	}
	assert.Equal(t, wire.RCHash.Handle(1), send(t, tpm, commit(sizedPoint(5), []byte("s2"), y2)))
	succeed(t, tpm, commit(sizedPoint(5), nil, nil))
}

// A key of which the numbers have zeros in front can be used as it was loaded.
func TestZerosBeforeCoordinates(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	k := eccECDH()
	k.public.Point.X = append([]byte{0}, k.public.Point.X...)
	o := load(t, tpm, loadExternal(k))
	succeed(t, tpm, et.Command(wire.CCECDHKeyGen, handles{o}, nil))
	succeed(t, tpm, et.Command(wire.CCECDHZGen, handles{o}, et.NoAuth(), et.Sized(append(et.Sized(k.public.Point.X), et.Sized(k.public.Point.Y)...))))
}
