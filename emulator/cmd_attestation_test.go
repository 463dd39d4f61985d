package emulator_test

import (
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

func init() { packetLists = append(packetLists, attestPackets) }

// second is the handle of the second object that is loaded. In the tests of
// attestations the first one, key, signs, and the second is signed about.
const second = wire.TransientFirst + 1

// creationHash is some digest of creation data.
var creationHash = hashOf(wire.AlgSHA256, []byte("creation data"))

// attesting is a command that attests something.
type attesting struct {
	name    string
	code    wire.CC
	handles func(signer wire.Handle) handles
	auths   int // how many of the handles need an authorization
	signer  int // number of the handle of the signer
	scheme  int // number of the parameter that is the scheme
	tail    func(t testing.TB, tpm *et.TPM) []byte
}

// selection is what TPM2_Quote of these tests reports.
var selection = et.Selection(wire.AlgSHA256, 0, 10)

// attestings are all of them. What they attest is what attestable has made.
var attestings = []attesting{
	{"Quote", wire.CCQuote, func(k wire.Handle) handles { return handles{k} }, 1, 1, 2, fixed(selection)},
	{"Certify", wire.CCCertify, func(k wire.Handle) handles { return handles{second, k} }, 2, 2, 2, nil},
	{"CertifyCreation", wire.CCCertifyCreation, func(k wire.Handle) handles { return handles{k, second} }, 1, 1, 3, creationTicket},
	{"GetTime", wire.CCGetTime, func(k wire.Handle) handles { return handles{wire.RHEndorsement, k} }, 2, 2, 2, nil},
	{"GetSessionAuditDigest", wire.CCGetSessionAuditDigest, func(k wire.Handle) handles { return handles{wire.RHEndorsement, k, hmacSession} }, 2, 2, 2, nil},
	{"GetCommandAuditDigest", wire.CCGetCommandAuditDigest, func(k wire.Handle) handles { return handles{wire.RHEndorsement, k} }, 2, 2, 2, nil},
	{"NV_Certify", wire.CCNVCertify, func(k wire.Handle) handles { return handles{k, wire.RHOwner, nvFirst} }, 2, 1, 2, fixed(slices.Concat(et.U16(8), et.U16(0)))},
}

// attestingNamed is the one with a name.
func attestingNamed(name string) attesting {
	return attestings[slices.IndexFunc(attestings, func(a attesting) bool { return a.name == name })]
}

func fixed(b []byte) func(testing.TB, *et.TPM) []byte {
	return func(testing.TB, *et.TPM) []byte { return b }
}

// creationTicket is the ticket of the second object and creationHash.
func creationTicket(tb testing.TB, tpm *et.TPM) []byte {
	s := snapshotOf(tb, tpm)
	digest := crypt.HMAC(wire.AlgSHA512, s.Persistent.SHProof.Bytes(), slices.Concat([]byte{0x80, 0x21}, s.Volatile.Objects[1].Name, creationHash))
	return ticketOf(wire.Ticket{Tag: wire.STCreation, Hierarchy: wire.RHOwner, Digest: digest})
}

// params are the parameters.
func (a attesting) params(tb testing.TB, tpm *et.TPM, data []byte, s wire.Scheme) []byte {
	params := et.Sized(data)
	if a.code == wire.CCCertifyCreation {
		params = append(params, et.Sized(creationHash)...)
	}
	params = append(params, schemeOf(s)...)
	if a.tail != nil {
		params = append(params, a.tail(tb, tpm)...)
	}
	return params
}

// command is the command of a signer.
func (a attesting) command(tb testing.TB, tpm *et.TPM, signer wire.Handle, data []byte, s wire.Scheme) []byte {
	return et.Command(a.code, a.handles(signer), make([][]byte, a.auths), a.params(tb, tpm, data, s))
}

// makeAttestable are commands after which there is something to attest.
func makeAttestable() [][]byte {
	return [][]byte{
		extend(10, ha(wire.AlgSHA256, 7)),
		defined(0), nvWrite(nvFirst, nvFirst, nil, []byte("contents"), 0),
		startSession(wire.SEHMAC), auditedRandom(wire.SessionContinue),
		setAudit(wire.AlgNull, []wire.CC{wire.CCGetRandom}, nil), et.Command(wire.CCGetRandom, nil, nil, et.U16(4)),
	}
}

// auditedRandom is TPM2_GetRandom with the first session for audit.
func auditedRandom(a wire.SessionAttributes) []byte {
	return et.CommandWithSessions(wire.CCGetRandom, nil, []wire.AuthCommand{{Session: hmacSession, Attributes: a | wire.SessionAudit}}, et.U16(4))
}

// attestable is a TPM with something to attest, and the signer in a hierarchy.
func attestable(tb testing.TB, signer testKey, hierarchy wire.Handle) *et.TPM {
	tb.Helper()
	tpm := et.New(tb)
	require.Equal(tb, key, place(tb, tpm, signer, hierarchy))
	require.Equal(tb, second, place(tb, tpm, hmacKey(), wire.RHOwner))
	tpm.Clock.Advance(4321 * time.Millisecond)
	for _, c := range makeAttestable() {
		require.Equal(tb, wire.RCSuccess, send(tb, tpm, c))
	}
	return tpm
}

// attestPackets have two keys of which one signs.
func attestPackets() []packet {
	load := [][]byte{loadExternal(eccSigning()), loadExternal(hmacKey())}
	var list []packet
	for _, a := range attestings {
		p := packet{name: a.name, code: a.code, before: append(load[:2:2], makeAttestable()...)}
		if a.code == wire.CCCertifyCreation {
			p.bytes, p.before = certifyCreationPacket(), load
		} else {
			p.bytes = a.command(nil, nil, key, []byte("nonce"), ecdsa256)
		}
		list = append(list, p)
	}
	return list
}

// certifyCreationPacket has a ticket of the TPM that every test gets: one with the
// default seed, whose proofs are always the same.
var certifyCreationPacket = sync.OnceValue(func() []byte {
	t := &testing.T{}
	tpm := et.New(t)
	for _, k := range []testKey{eccSigning(), hmacKey()} {
		tpm.Execute(0, loadExternal(k))
	}
	return attestingNamed("CertifyCreation").command(t, tpm, key, []byte("nonce"), ecdsa256)
})

// report is what an attesting command answers.
type report struct {
	tpm2.TPMSAttest
	raw       []byte
	signature *wire.Signature
}

// reportOf executes a command that attests. go-tpm decodes what it says.
func reportOf(t *testing.T, tpm *et.TPM, command []byte) *report {
	t.Helper()
	r := answer(t, tpm, command)
	raw := r.Sized(1 << 15)
	s := signature(t, &r)
	require.Zero(t, r.Len())
	a, err := tpm2.Unmarshal[tpm2.TPMSAttest](raw)
	require.NoError(t, err)
	require.Equal(t, raw, tpm2.Marshal(a), "nothing follows")
	return &report{*a, raw, s}
}

// attested takes one kind of contents out of a report.
func attested[T any](t *testing.T, get func() (*T, error)) *T {
	t.Helper()
	v, err := get()
	require.NoError(t, err)
	return v
}

// firmware is the version that the capabilities give.
func firmware(tb testing.TB, tpm *et.TPM) uint64 {
	return uint64(property(tb, tpm, wire.PTFirmwareVersion1))<<32 | uint64(property(tb, tpm, wire.PTFirmwareVersion2))
}

// readClock is TPM2_ReadClock.
func readClock(t *testing.T, tpm *et.TPM) tpm2.TPMSTimeInfo {
	t.Helper()
	rsp, err := tpm2.ReadClock{}.Execute(tpm.Client())
	require.NoError(t, err)
	return rsp.CurrentTime
}

// Every command signs, with every kind of key, a structure that go-tpm decodes
// and that says who signs, the qualifying data, and the clock as TPM2_ReadClock
// and the version as TPM2_GetCapability give them.
func TestAttestations(t *testing.T) {
	t.Parallel()
	nonce := []byte("a nonce of the verifier's")
	for _, a := range attestings {
		for name, k := range map[string]testKey{
			"RSASSA": rsaKey(attestKey, noSym, ssa256), "RSAPSS": rsaKey(attestKey, noSym, hashScheme(wire.AlgRSAPSS, wire.AlgSHA384)),
			"ECDSA": eccKey(attestKey, noSym, ecdsa256), "ECSchnorr": eccKey(attestKey, noSym, hashScheme(wire.AlgECSchnorr, wire.AlgSHA512)),
			"HMAC": keyedHash(attestKey, hmac256, []byte("secret")),
		} {
			what := a.name + " with " + name
			tpm := attestable(t, k, wire.RHEndorsement)
			clock := readClock(t, tpm)
			r := reportOf(t, tpm, a.command(t, tpm, key, nonce, noScheme))
			s := k.public.Parms.Scheme
			assert.Equal(t, s, hashScheme(r.signature.Alg, r.signature.Hash), what)
			assert.True(t, signed(k, hashOf(s.Hash, r.raw), r.signature), what)
			assert.Equal(t, k.qualifiedName(wire.RHEndorsement), r.QualifiedSigner.Buffer, what)
			assert.Equal(t, nonce, r.ExtraData.Buffer, what)
			assert.Equal(t, clock.ClockInfo, r.ClockInfo, what)
			assert.EqualValues(t, 4321, r.ClockInfo.Clock, what)
			assert.Equal(t, firmware(t, tpm), r.FirmwareVersion, what)
		}
	}
}

// Whom privacy administrators do not control signs counts that tell nothing
// about the TPM, until the owner's secret is known.
func TestObfuscation(t *testing.T) {
	t.Parallel()
	k := eccKey(attestKey, noSym, ecdsa256)
	for _, a := range attestings {
		for hierarchy, obfuscated := range map[wire.Handle]bool{
			wire.RHOwner: true, wire.RHNull: true, wire.RHEndorsement: false, wire.RHPlatform: false,
		} {
			tpm := attestable(t, k, hierarchy)
			clock := readClock(t, tpm).ClockInfo
			r := reportOf(t, tpm, a.command(t, tpm, key, nil, noScheme))
			var secret [16]byte
			if obfuscated {
				copy(secret[:], obfuscation(t, tpm, k.qualifiedName(hierarchy)))
			}
			u32 := func(at int) uint32 { return binary.BigEndian.Uint32(secret[at:]) }
			what := fmt.Sprintf("%s in %v", a.name, hierarchy)
			assert.Equal(t, firmware(t, tpm), r.FirmwareVersion-binary.BigEndian.Uint64(secret[:]), what)
			assert.Equal(t, clock.ResetCount, r.ClockInfo.ResetCount-u32(8), what)
			assert.Equal(t, clock.RestartCount, r.ClockInfo.RestartCount-u32(12), what)
			assert.Equal(t, clock.Clock, r.ClockInfo.Clock, what)
			assert.Equal(t, obfuscated, r.ClockInfo.ResetCount != clock.ResetCount, what)
		}
	}
}

// obfuscation is KDFa of the storage hierarchy's proof with the Qualified Name of a signer.
func obfuscation(t *testing.T, tpm *et.TPM, signer []byte) []byte {
	proof := snapshotOf(t, tpm).Persistent.SHProof.Bytes()
	return crypt.HMAC(wire.AlgSHA512, proof, slices.Concat([]byte{0, 0, 0, 1}, []byte("OBFUSCATE\x00"), signer, []byte{0, 0, 0, 128}))
}

// A key of the null hierarchy is still there after TPM2_Clear, and signs with the new proof.
func TestObfuscationAfterClear(t *testing.T) {
	t.Parallel()
	k := eccKey(attestKey, noSym, ecdsa256)
	tpm := attestable(t, k, wire.RHNull)
	check := func(what string) {
		r := reportOf(t, tpm, attestingNamed("Quote").command(t, tpm, key, nil, noScheme))
		secret := obfuscation(t, tpm, k.qualifiedName(wire.RHNull))
		assert.Equal(t, firmware(t, tpm), r.FirmwareVersion-binary.BigEndian.Uint64(secret), what)
	}
	check("first")
	check("again")
	succeed(t, tpm, et.Command(wire.CCClear, handles{wire.RHLockout}, et.NoAuth()))
	check("after TPM2_Clear")
}

// Without a signer everything but a quote is said unsigned.
func TestUnsignedAttestations(t *testing.T) {
	t.Parallel()
	for _, a := range attestings {
		tpm := attestable(t, eccSigning(), wire.RHOwner)
		command := a.command(t, tpm, wire.RHNull, []byte("nonce"), ecdsa256)
		if a.code == wire.CCQuote {
			assert.Equal(t, wire.RCScheme.Parameter(2), send(t, tpm, command), "there is no hash")
			continue
		}
		r := reportOf(t, tpm, command)
		assert.Equal(t, wire.AlgNull, r.signature.Alg, a.name)
		assert.Equal(t, et.U32(uint32(wire.RHNull)), r.QualifiedSigner.Buffer, a.name)
		assert.Equal(t, []byte("nonce"), r.ExtraData.Buffer, a.name)
		assert.NotEqual(t, firmware(t, tpm), r.FirmwareVersion, a.name)
	}
}

// An ECDAA signature does not tell whose it is: neither signer nor qualifying
// data are in the structure, but the data are in what is signed.
func TestAnonymousAttestations(t *testing.T) {
	t.Parallel()
	k := eccKey(attestKey, noSym, ecdaa256)
	for _, a := range attestings {
		for _, nonce := range [][]byte{nil, []byte("nonce")} {
			tpm := attestable(t, k, wire.RHEndorsement)
			e, count := commit(t, tpm, key)
			assert.Equal(t, wire.RCScheme.Parameter(a.scheme), send(t, tpm, a.command(t, tpm, key, nonce, noScheme)), "%s: no number", a.name)
			r := reportOf(t, tpm, a.command(t, tpm, key, nonce, ecdaaWith(count)))
			digest := hashOf(wire.AlgSHA256, r.raw)
			if nonce != nil {
				digest = hashOf(wire.AlgSHA256, nonce, digest)
			}
			assert.Equal(t, e, p256.commitment(k.public.Point, r.signature, digest), a.name)
			assert.Empty(t, r.QualifiedSigner.Buffer, a.name)
			assert.Empty(t, r.ExtraData.Buffer, a.name)
			if a.code == wire.CCCertify {
				info := attested(t, r.Attested.Certify)
				assert.Equal(t, hmacKey().name(), info.Name.Buffer)
				assert.Empty(t, info.QualifiedName.Buffer, "it would tell the hierarchy")
			}
			assert.Equal(t, wire.RCValue, send(t, tpm, a.command(t, tpm, key, nonce, ecdaaWith(count))), "%s: used up", a.name)
		}
	}
}

// A key without a scheme of its own may be asked for a signature that keeps it unknown. That is
// refused, and the next attestation, which tells its name, is obfuscated under the name.
func TestObfuscationAfterARefusal(t *testing.T) {
	t.Parallel()
	k := eccSigning()
	tpm := attestable(t, k, wire.RHOwner)
	getTime := func(asked wire.Scheme) []byte {
		return attestingNamed("GetTime").command(t, tpm, key, nil, asked)
	}
	assert.Equal(t, wire.RCValue, send(t, tpm, getTime(ecdaaWith(1))))
	r := reportOf(t, tpm, getTime(ecdsa256))
	secret := obfuscation(t, tpm, k.qualifiedName(wire.RHOwner))
	assert.Equal(t, firmware(t, tpm), r.FirmwareVersion-binary.BigEndian.Uint64(secret))
}

// What can be wrong with signer and scheme, in every command.
func TestAttestationRefuses(t *testing.T) {
	t.Parallel()
	for _, a := range attestings {
		notSigner, badScheme := wire.RCKey.Handle(a.signer), wire.RCScheme.Parameter(a.scheme)
		for name, tc := range map[string]struct {
			key   testKey
			asked wire.Scheme
			want  wire.RC
		}{
			"decrypts":         {eccECDH(), ecdsa256, notSigner},
			"block cipher":     {aesKey(wire.AlgCFB), hmac256, notSigner},
			"sealed data":      {sealed("data"), hmac256, notSigner},
			"storage key":      {rsaStorage(), ssa256, notSigner},
			"no scheme":        {eccSigning(), noScheme, badScheme},
			"another hash":     {eccKey(attestKey, noSym, ecdsa256), hashScheme(wire.AlgECDSA, wire.AlgSHA1), badScheme},
			"another scheme":   {eccKey(attestKey, noSym, ecdsa256), hashScheme(wire.AlgECSchnorr, wire.AlgSHA256), badScheme},
			"scheme of others": {eccSigning(), ssa256, badScheme},
			"hash":             {eccSigning(), hashScheme(wire.AlgECDSA, wire.AlgAES), wire.RCHash.Parameter(a.scheme)},
			"what is no one":   {eccSigning(), hashScheme(wire.AlgOAEP, wire.AlgSHA256), badScheme},
			"not committed":    {eccKey(attestKey, noSym, ecdaa256), ecdaaWith(3), wire.RCValue},
			"signs anything":   {eccSigning(), ecdsa256, wire.RCSuccess},
			"X.509 only":       {eccKey(attestKey|wire.ObjectX509Sign, noSym, ecdsa256), noScheme, wire.RCSuccess},
		} {
			tpm := attestable(t, tc.key, wire.RHOwner)
			assert.Equal(t, tc.want, send(t, tpm, a.command(t, tpm, key, nil, tc.asked)), "%s: %s", a.name, name)
		}
		tpm := attestable(t, eccSigning(), wire.RHOwner)
		assert.Equal(t, wire.RCSize.Parameter(1), send(t, tpm, a.command(t, tpm, key, make([]byte, 67), ecdsa256)), a.name)
		assert.Equal(t, wire.RCSuccess, send(t, tpm, a.command(t, tpm, key, make([]byte, 66), ecdsa256)), "%s: a TPMT_HA of SHA-512", a.name)
		assert.Equal(t, wire.RCReferenceH0+wire.RC(a.signer-1), send(t, tpm, a.command(t, tpm, second+1, nil, ecdsa256)), a.name)
		sequence := loadSequence(t, tpm, wire.AlgSHA256)
		passwords := make([][]byte, a.auths)
		passwords[a.signer-1] = pw
		command := et.Command(a.code, a.handles(sequence), passwords, a.params(t, tpm, nil, ecdsa256))
		assert.Equal(t, notSigner, send(t, tpm, command), "%s: a sequence", a.name)
	}
}
