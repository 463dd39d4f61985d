package emulator_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// policyTest is a TPM on which every assertion of policyAssertions is true in a
// session with hash alg: the key eccSigning is loaded in the owner hierarchy,
// there are an index of zeros and one with the policyDigest at the start, and of
// the PCR banks that of SHA-384 is not allocated, and that of SHA-1 not there.
type policyTest struct {
	*et.TPM
	alg  wire.AlgID
	zero []byte // the policyDigest at the start
	key  testKey
	now  time.Duration // by how much a test has advanced the clock
}

// approvedIndex is the index with a policyDigest.
const approvedIndex = nvFirst + 1

func newPolicyTest(tb testing.TB, alg wire.AlgID) *policyTest {
	tb.Helper()
	config := emulator.Config{Banks: []emulator.Bank{{Alg: wire.AlgSHA256}, {Alg: wire.AlgSHA384, Unallocated: true}}}
	p := &policyTest{et.New(tb, et.WithConfig(config), et.WithSeed(1)), alg, make([]byte, crypt.HashSize(alg)), eccSigning(), 0}
	approved := append(et.U16(uint16(alg)), p.zero...)
	for _, c := range [][]byte{
		loadExternalPublic(p.key, wire.RHOwner),
		defined(0), nvWrite(nvFirst, nvFirst, nil, make([]byte, 8), 0),
		define(wire.RHOwner, nvPublic{index: approvedIndex, size: len(approved)}, nil), nvWrite(approvedIndex, approvedIndex, nil, approved, 0),
	} {
		require.Equal(tb, wire.RCSuccess, send(tb, p.TPM, c))
	}
	return p
}

// advance advances the clock.
func (p *policyTest) advance(d time.Duration) {
	p.Clock.Advance(d)
	p.now += d
}

// start starts a session, which has the handle policySession.
func (p *policyTest) start(tb testing.TB, kind wire.SE) {
	tb.Helper()
	rsp := p.Execute(0, startSessionWith(kind, wire.RHNull, p.alg))
	require.Equal(tb, policySession, et.ResponseHandle(rsp))
}

// nvName is the Name of an index as TPM2_NV_ReadPublic gives it.
func nvName(tb testing.TB, tpm *et.TPM, index wire.Handle) []byte {
	tb.Helper()
	rsp := tpm.Execute(0, et.Command(wire.CCNVReadPublic, handles{index}, nil))
	require.Equal(tb, wire.RCSuccess, et.ResponseCode(rsp))
	r := wire.NewReader(et.Parameters(rsp, false), nil)
	r.Sized(1000)
	return bytes.Clone(r.Sized(wire.MaxDigest + 2))
}

// ecdsaSigned is a TPMT_SIGNATURE of a digest with an ECC key, made with the
// standard library.
func ecdsaSigned(tb testing.TB, k testKey, digest []byte) []byte {
	tb.Helper()
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), k.sensitive.Data)
	require.NoError(tb, err)
	r, s, err := ecdsa.Sign(rand.Reader, private, digest)
	require.NoError(tb, err)
	return bytes.Join([][]byte{et.U16(uint16(wire.AlgECDSA)), et.U16(uint16(wire.AlgSHA256)),
		et.Sized(r.FillBytes(make([]byte, 32))), et.Sized(s.FillBytes(make([]byte, 32)))}, nil)
}

// signedBy is TPM2_PolicySigned in which a key that is loaded has signed what the
// other parameters say.
func signedBy(tb testing.TB, h wire.Handle, k testKey, nonceTPM, cpHash, policyRef []byte, expiration int32) []byte {
	tb.Helper()
	e := et.U32(uint32(expiration))
	signature := ecdsaSigned(tb, k, sha(nonceTPM, e, cpHash, policyRef))
	return et.Command(wire.CCPolicySigned, handles{h, policySession}, nil,
		et.Sized(nonceTPM), et.Sized(cpHash), et.Sized(policyRef), e, signature)
}

// verifiedTicket is the TPMT_TK_VERIFIED for a signature of a digest by a key that
// is loaded.
func verifiedTicket(tb testing.TB, tpm *et.TPM, h wire.Handle, k testKey, digest []byte) []byte {
	tb.Helper()
	rsp := tpm.Execute(0, et.Command(wire.CCVerifySignature, handles{h}, nil, et.Sized(digest), ecdsaSigned(tb, k, digest)))
	require.Equal(tb, wire.RCSuccess, et.ResponseCode(rsp))
	return bytes.Clone(et.Parameters(rsp, false))
}

// policyAssertion is an assertion, and what go-tpm makes of it.
type policyAssertion struct {
	name    string
	command []byte
	update  func(*tpm2.PolicyCalculator) error
}

// digest2B is a TPM2B_DIGEST of go-tpm.
func digest2B(b []byte) tpm2.TPM2BDigest { return tpm2.TPM2BDigest{Buffer: b} }

// policyAssertions are all assertions. Those that go-tpm does not know are
// computed from the formula of their section in Part 3.
func (p *policyTest) policyAssertions(tb testing.TB) []policyAssertion {
	tb.Helper()
	digest := crypt.Digest(p.alg, nil, []byte("digest"))
	ref := []byte("ref")
	code := func(code wire.CC, more ...any) func(*tpm2.PolicyCalculator) error {
		return func(c *tpm2.PolicyCalculator) error {
			return c.Update(append([]any{tpm2.TPMCC(code)}, more...)...)
		}
	}
	hash := func(b ...[]byte) []byte { return crypt.Digest(p.alg, nil, bytes.Join(b, nil)) }
	parent, none := et.Sized(zeroName), et.Sized(nil)
	pcrs := tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(0, 10)}}}
	filtered := tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{
		{Hash: tpm2.TPMAlgSHA1, PCRSelect: []byte{0, 0, 0}}, pcrs.PCRSelections[0], {Hash: tpm2.TPMAlgSHA384, PCRSelect: []byte{0, 0, 0}}}}
	index := tpm2.NamedHandle{Handle: tpm2.TPMHandle(nvFirst), Name: tpm2.TPM2BName{Buffer: nvName(tb, p.TPM, nvFirst)}}
	approved := tpm2.NamedHandle{Handle: tpm2.TPMHandle(approvedIndex), Name: tpm2.TPM2BName{Buffer: nvName(tb, p.TPM, approvedIndex)}}
	key := tpm2.NamedHandle{Handle: tpm2.TPMHandle(object), Name: tpm2.TPM2BName{Buffer: p.key.name()}}
	names := tpm2.PolicyDuplicationSelect{ObjectName: key.Name, NewParentName: tpm2.TPM2BName{Buffer: zeroName}}
	including := names
	including.IncludeObject = true
	onIndex := func(code wire.CC, h wire.Handle, params ...[]byte) []byte {
		return et.Command(code, handles{h, h, policySession}, et.NoAuth(), params...)
	}
	secret := func(h wire.Handle, ref []byte) []byte {
		return et.Command(wire.CCPolicySecret, handles{h, policySession}, et.NoAuth(), none, none, et.Sized(ref), et.U32(0))
	}
	timer := bytes.Join([][]byte{et.Sized(et.U32(0)), et.U16(20), et.U16(uint16(wire.EOEq))}, nil) // restartCount
	version := bytes.Join([][]byte{et.Sized(et.U32(0x100)), et.U16(0), et.U16(uint16(wire.EOEq))}, nil)
	return []policyAssertion{
		{"PolicyOR", assertTrue(wire.CCPolicyOR, et.U32(2), et.Sized(digest), et.Sized(p.zero)),
			tpm2.PolicyOr{PHashList: tpm2.TPMLDigest{Digests: []tpm2.TPM2BDigest{digest2B(digest), digest2B(p.zero)}}}.Update},
		{"PolicyPCR", assertTrue(wire.CCPolicyPCR, none, et.Selection(wire.AlgSHA256, 0, 10)),
			tpm2.PolicyPCR{PcrDigest: digest2B(hash(make([]byte, 64))), Pcrs: pcrs}.Update},
		{"PolicyPCR with a digest", assertTrue(wire.CCPolicyPCR, et.Sized(hash(make([]byte, 64))), et.Selection(wire.AlgSHA256, 0, 10)),
			tpm2.PolicyPCR{PcrDigest: digest2B(hash(make([]byte, 64))), Pcrs: pcrs}.Update},
		{"PolicyPCR of banks that are not there", assertTrue(wire.CCPolicyPCR, none, selections(et.Selection(wire.AlgSHA1, 3), et.Selection(wire.AlgSHA256, 0, 10), et.Selection(wire.AlgSHA384, 4))),
			tpm2.PolicyPCR{PcrDigest: digest2B(hash(make([]byte, 64))), Pcrs: filtered}.Update},
		{"PolicyLocality", assertTrue(wire.CCPolicyLocality, et.U8(3)), code(wire.CCPolicyLocality, uint8(3))},
		{"PolicyLocality, extended", assertTrue(wire.CCPolicyLocality, et.U8(200)), code(wire.CCPolicyLocality, uint8(200))},
		{"PolicyCommandCode", assertTrue(wire.CCPolicyCommandCode, et.U32(uint32(wire.CCNVRead))), tpm2.PolicyCommandCode{Code: tpm2.TPMCCNVRead}.Update},
		{"PolicyPhysicalPresence", assertTrue(wire.CCPolicyPhysicalPresence), code(wire.CCPolicyPhysicalPresence)},
		{"PolicyAuthValue", assertTrue(wire.CCPolicyAuthValue), tpm2.PolicyAuthValue{}.Update},
		{"PolicyPassword", assertTrue(wire.CCPolicyPassword), tpm2.PolicyAuthValue{}.Update},
		{"PolicyNvWritten", assertTrue(wire.CCPolicyNvWritten, et.U8(1)), tpm2.PolicyNVWritten{WrittenSet: true}.Update},
		{"PolicyNvWritten, not", assertTrue(wire.CCPolicyNvWritten, et.U8(0)), tpm2.PolicyNVWritten{}.Update},
		{"PolicyCpHash", assertTrue(wire.CCPolicyCpHash, et.Sized(digest)), tpm2.PolicyCPHash{CPHashA: digest2B(digest)}.Update},
		{"PolicyNameHash", assertTrue(wire.CCPolicyNameHash, et.Sized(digest)), code(wire.CCPolicyNameHash, digest)},
		{"PolicyTemplate", assertTrue(wire.CCPolicyTemplate, et.Sized(digest)), code(wire.CCPolicyTemplate, digest)},
		{"PolicyParameters", assertTrue(wire.CCPolicyParameters, et.Sized(digest)), code(wire.CCPolicyParameters, digest)},
		{"PolicyDuplicationSelect", assertTrue(wire.CCPolicyDuplicationSelect, et.Sized(p.key.name()), parent, et.U8(0)), names.Update},
		{"PolicyDuplicationSelect with the object", assertTrue(wire.CCPolicyDuplicationSelect, et.Sized(p.key.name()), parent, et.U8(1)), including.Update},
		{"PolicyCounterTimer", assertTrue(wire.CCPolicyCounterTimer, timer), code(wire.CCPolicyCounterTimer, hash(et.U32(0), et.U16(20), et.U16(0)))},
		{"PolicyCapability", assertTrue(wire.CCPolicyCapability, version, et.U32(uint32(wire.CapTPMProperties)), et.U32(0x100)),
			code(wire.CCPolicyCapability, hash(et.U32(0x100), et.U16(0), et.U16(0), et.U32(6), et.U32(0x100)))},
		{"PolicyNV", onIndex(wire.CCPolicyNV, nvFirst, et.Sized([]byte{0, 0}), et.U16(6), et.U16(uint16(wire.EOUnsignedGE))),
			tpm2.PolicyNV{NVIndex: index, OperandB: tpm2.TPM2BOperand{Buffer: []byte{0, 0}}, Offset: 6, Operation: tpm2.TPMEOUnsignedGE}.Update},
		{"PolicyAuthorizeNV", onIndex(wire.CCPolicyAuthorizeNV, approvedIndex), tpm2.PolicyAuthorizeNV{NVIndex: approved}.Update},
		{"PolicySecret of a hierarchy", secret(wire.RHEndorsement, nil), tpm2.PolicySecret{AuthHandle: tpm2.TPMRHEndorsement}.Update},
		{"PolicySecret of an index", secret(nvFirst, ref), tpm2.PolicySecret{AuthHandle: index, PolicyRef: tpm2.TPM2BNonce{Buffer: ref}}.Update},
		{"PolicySecret of a PCR", secret(3, ref), tpm2.PolicySecret{AuthHandle: tpm2.TPMHandle(3), PolicyRef: tpm2.TPM2BNonce{Buffer: ref}}.Update},
		{"PolicySigned", signedBy(tb, object, p.key, nil, nil, ref, 0), tpm2.PolicySigned{AuthObject: key, PolicyRef: tpm2.TPM2BNonce{Buffer: ref}}.Update},
		{"PolicyAuthorize", assertTrue(wire.CCPolicyAuthorize, et.Sized(p.zero), et.Sized(ref), et.Sized(p.key.name()),
			verifiedTicket(tb, p.TPM, object, p.key, sha(p.zero, ref))),
			tpm2.PolicyAuthorize{KeySign: key.Name, PolicyRef: digest2B(ref)}.Update},
	}
}

// Every assertion makes the policyDigest that go-tpm computes, in a session and
// in a trial, with every hash.
func TestPolicyDigests(t *testing.T) {
	t.Parallel()
	for alg, hash := range map[wire.AlgID]crypto.Hash{wire.AlgSHA1: crypto.SHA1, wire.AlgSHA256: crypto.SHA256, wire.AlgSHA384: crypto.SHA384, wire.AlgSHA512: crypto.SHA512} {
		p := newPolicyTest(t, alg)
		require.Len(t, p.zero, hash.Size())
		for _, kind := range []wire.SE{wire.SEPolicy, wire.SETrial} {
			p.start(t, kind)
			require.Equal(t, p.zero, policyDigest(t, p.TPM), "at the start")
			for _, a := range p.policyAssertions(t) {
				calculator, err := tpm2.NewPolicyCalculator(tpm2.TPMIAlgHash(alg))
				require.NoError(t, err)
				require.NoError(t, a.update(calculator), a.name)
				require.Equal(t, wire.RCSuccess, send(t, p.TPM, a.command), "%s with %v", a.name, alg)
				assert.Equal(t, calculator.Hash().Digest, policyDigest(t, p.TPM), "%s with %v", a.name, alg)
				require.Equal(t, wire.RCSuccess, send(t, p.TPM, assertTrue(wire.CCPolicyRestart)))
				require.Equal(t, p.zero, policyDigest(t, p.TPM), "after a restart")
			}
			require.Equal(t, wire.RCSuccess, send(t, p.TPM, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(policySession)))))
		}
	}
}

// A trial session takes for true what is not.
func TestTrialSessionTakesAll(t *testing.T) {
	t.Parallel()
	p := newPolicyTest(t, wire.AlgSHA256)
	other := bytes.Repeat([]byte{0xA5}, 32)
	none := et.Sized(nil)
	require.Equal(t, wire.RCSuccess, send(t, p.TPM, define(wire.RHOwner, nvPublic{index: nvFirst + 2}, nil)), "an index that is not written")
	unwritten := handles{nvFirst + 2, nvFirst + 2, policySession}
	never := append(et.Sized([]byte{1}), 0, 9, 0, 0) // behind the end of the index
	for name, command := range map[string][]byte{
		"PolicyOR":          assertTrue(wire.CCPolicyOR, et.U32(2), et.Sized(other), et.Sized(other)),
		"PolicyNV":          et.Command(wire.CCPolicyNV, unwritten, et.NoAuth(), never),
		"PolicyAuthorizeNV": et.Command(wire.CCPolicyAuthorizeNV, unwritten, et.NoAuth()),
		"PolicySecret":      et.Command(wire.CCPolicySecret, handles{wire.RHOwner, policySession}, et.NoAuth(), et.Sized(other), et.Sized([]byte{1}), none, et.U32(1)),
		"PolicySigned":      et.Command(wire.CCPolicySigned, handles{object, policySession}, nil, et.Sized(other), none, none, et.U32(0xFFFFFFFF), signatureOfNothing()),
		"PolicyAuthorize":   assertTrue(wire.CCPolicyAuthorize, et.Sized(other), none, et.Sized(p.key.name()), nullTicket(wire.STVerified)),
		"PolicyPCR":         assertTrue(wire.CCPolicyPCR, et.Sized(other), et.Selection(wire.AlgSHA256, 0)),
		"PolicyCapability":  assertTrue(wire.CCPolicyCapability, equal([]byte{1}), et.U32(uint32(wire.CapACT)), et.U32(0)),
		"PolicyCounterTimer": assertTrue(wire.CCPolicyCounterTimer, et.Sized([]byte{99}), et.U16(0),
			et.U16(uint16(wire.EOEq))),
	} {
		p.start(t, wire.SETrial)
		rsp := p.Execute(0, command)
		assert.Equal(t, wire.RCSuccess, et.ResponseCode(rsp), name)
		if name == "PolicySigned" {
			assert.Equal(t, append([]byte{0, 0}, nullTicket(wire.STAuthSigned)...), et.Parameters(rsp, false), "no ticket")
		}
		assert.NotEqual(t, nullSHA256, policyDigest(t, p.TPM), name)
		if name == "PolicyPCR" {
			want := policyOf(append(append(et.U32(uint32(wire.CCPolicyPCR)), et.Selection(wire.AlgSHA256, 0)...), other...))
			assert.Equal(t, want, policyDigest(t, p.TPM), "the digest that was asked for")
		}
		require.Equal(t, wire.RCSuccess, send(t, p.TPM, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(policySession)))))
	}
}
