package emulator_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// policyRefusal is a command that comes after others, which succeed, and its answer.
type policyRefusal struct {
	name   string
	before [][]byte
	want   wire.RC
	// command is what is refused, on the session with handle policySession.
	command []byte
}

// refused sends every policyRefusal to a TPM of its own, with a policy session.
func refused(t *testing.T, list []policyRefusal) {
	t.Helper()
	for _, r := range list {
		p := newPolicyTest(t, wire.AlgSHA256)
		p.start(t, wire.SEPolicy)
		for _, c := range r.before {
			require.Equal(t, wire.RCSuccess, send(t, p.TPM, c), r.name)
		}
		before := policyDigest(t, p.TPM)
		assert.Equal(t, r.want, send(t, p.TPM, r.command), r.name)
		if r.want != wire.RCSuccess {
			assert.Equal(t, before, policyDigest(t, p.TPM), r.name)
		}
	}
}

// steps are commands that succeed.
func steps(commands ...[]byte) [][]byte { return commands }

// Hashes for tests, and parameters with them.
var (
	hashA, hashB = bytes.Repeat([]byte{0xA}, 32), bytes.Repeat([]byte{0xB}, 32)
	paramA       = et.Sized(hashA)
	paramB       = et.Sized(hashB)
	short        = et.Sized(hashA[:31])
	noParam      = et.Sized(nil)
)

func TestPolicyRefuses(t *testing.T) {
	t.Parallel()
	const ok = wire.RCSuccess
	locality := func(l uint8) []byte { return assertTrue(wire.CCPolicyLocality, et.U8(l)) }
	code := func(c wire.CC) []byte { return assertTrue(wire.CCPolicyCommandCode, et.U32(uint32(c))) }
	written := func(v uint8) []byte { return assertTrue(wire.CCPolicyNvWritten, et.U8(v)) }
	pcr := assertTrue(wire.CCPolicyPCR, noParam, et.Selection(wire.AlgSHA256, 10))
	or := func(n uint32) []byte {
		return assertTrue(wire.CCPolicyOR, et.U32(n), bytes.Repeat(et.Sized(nullSHA256), int(n)))
	}
	changed := extend(10, ha(wire.AlgSHA256, 1))
	refused(t, []policyRefusal{
		{"OR of one", nil, wire.RCSize.Parameter(1), or(1)},
		{"OR of two", nil, ok, or(2)},
		{"OR of eight", nil, ok, or(8)},
		{"OR of nine", nil, wire.RCSize.Parameter(1), or(9)},
		{"OR of others", nil, wire.RCValue.Parameter(1), assertTrue(wire.CCPolicyOR, et.U32(2), paramA, paramB)},
		{"OR of the start of the digest", nil, wire.RCValue.Parameter(1), assertTrue(wire.CCPolicyOR, et.U32(2), et.Sized(nullSHA256[1:]), paramB)},
		{"OR after an assertion", steps(code(wire.CCNVRead)), wire.RCValue.Parameter(1), or(2)},
		{"OR with a digest too large", nil, wire.RCSize.Parameter(1), assertTrue(wire.CCPolicyOR, et.U32(2), et.Sized(make([]byte, 65)), paramB)},
		{"PCRs with another digest", nil, wire.RCValue.Parameter(1), assertTrue(wire.CCPolicyPCR, paramA, et.Selection(wire.AlgSHA256, 10))},
		{"PCRs with a short digest", nil, wire.RCValue.Parameter(1), assertTrue(wire.CCPolicyPCR, et.Sized(sha(nullSHA256)[:31]), et.Selection(wire.AlgSHA256, 10))},
		{"PCRs of no hash", nil, wire.RCHash.Parameter(2), assertTrue(wire.CCPolicyPCR, noParam, et.Selection(wire.AlgRSA, 10))},
		{"PCRs again", steps(pcr), ok, pcr},
		{"PCRs again after a change", steps(pcr, changed), wire.RCPCRChanged, pcr},
		{"PCRs with another digest after a change", steps(pcr, changed), wire.RCPCRChanged, assertTrue(wire.CCPolicyPCR, paramA, et.Selection(wire.AlgSHA256, 10))},
		{"PCRs after a change and a restart", steps(pcr, changed, assertTrue(wire.CCPolicyRestart)), ok, pcr},
		{"no locality", nil, wire.RCRange.Parameter(1), locality(0)},
		{"fewer localities", steps(locality(3)), ok, locality(2)},
		{"other localities", steps(locality(3)), wire.RCRange.Parameter(1), locality(4)},
		{"extended locality after others", steps(locality(0x1F)), wire.RCRange.Parameter(1), locality(32)},
		{"locality after an extended one", steps(locality(33)), wire.RCRange.Parameter(1), locality(1)},
		{"other extended locality", steps(locality(33)), wire.RCRange.Parameter(1), locality(35)},
		{"extended locality again", steps(locality(33)), ok, locality(33)},
		{"code again", steps(code(wire.CCNVRead)), ok, code(wire.CCNVRead)},
		{"other code", steps(code(wire.CCNVRead)), wire.RCValue.Parameter(1), code(wire.CCNVWrite)},
		{"other code that is no command", steps(code(wire.CCNVRead)), wire.RCValue.Parameter(1), code(0)},
		{"code of no command", nil, wire.RCPolicyCC.Parameter(1), code(0)},
		{"code of a command that is not there", nil, wire.RCPolicyCC.Parameter(1), code(wire.CCFieldUpgradeStart)},
		{"code of a vendor", nil, wire.RCPolicyCC.Parameter(1), code(wire.CCVendor | wire.CCNVRead)},
		{"written again", steps(written(1)), ok, written(1)},
		{"not written after written", steps(written(1)), wire.RCValue.Parameter(1), written(0)},
		{"written after not written", steps(written(0)), wire.RCValue.Parameter(1), written(1)},
		{"neither written nor not", nil, wire.RCValue.Parameter(1), written(2)},
		{"an HMAC session", nil, wire.RCValue.Handle(1), et.Command(wire.CCPolicyAuthValue, handles{hmacSession}, nil)},
		{"no session", nil, wire.RCReferenceH0, et.Command(wire.CCPolicyAuthValue, handles{policySession + 1}, nil)},
		{"no session behind two handles", nil, wire.RCReferenceH0 + 2, et.Command(wire.CCPolicyAuthorizeNV, handles{approvedIndex, approvedIndex, policySession + 1}, et.NoAuth())},
	})
}

func TestPolicyHashRefuses(t *testing.T) {
	t.Parallel()
	const ok = wire.RCSuccess
	cp := func(h []byte) []byte { return assertTrue(wire.CCPolicyCpHash, h) }
	name := func(h []byte) []byte { return assertTrue(wire.CCPolicyNameHash, h) }
	params := func(h []byte) []byte { return assertTrue(wire.CCPolicyParameters, h) }
	template := func(h []byte) []byte { return assertTrue(wire.CCPolicyTemplate, h) }
	secret := func(h []byte) []byte {
		return et.Command(wire.CCPolicySecret, handles{wire.RHOwner, policySession}, et.NoAuth(), noParam, h, noParam, et.U32(0))
	}
	sel := func(object, parent []byte, include uint8) []byte {
		return assertTrue(wire.CCPolicyDuplicationSelect, et.Sized(object), et.Sized(parent), et.U8(include))
	}
	size := wire.RCSize.Parameter(1)
	refused(t, []policyRefusal{
		{"cpHash", nil, ok, cp(paramA)},
		{"short cpHash", nil, size, cp(short)},
		{"no cpHash", nil, size, cp(noParam)},
		{"cpHash again", steps(cp(paramA)), ok, cp(paramA)},
		{"other cpHash", steps(cp(paramA)), wire.RCCPHash, cp(paramB)},
		{"short cpHash behind another", steps(cp(paramA)), size, cp(short)},
		{"cpHash that is the nameHash", steps(name(paramA)), wire.RCCPHash, cp(paramA)},
		{"cpHash after that of a secret", steps(secret(paramA)), ok, cp(paramA)},
		{"other cpHash than that of a secret", steps(secret(paramA)), wire.RCCPHash, cp(paramB)},
		{"secret with the cpHash", steps(cp(paramA)), ok, secret(paramA)},
		{"secret with another cpHash", steps(cp(paramA)), wire.RCCPHash, secret(paramB)},
		{"secret with the nameHash as cpHash", steps(name(paramA)), wire.RCCPHash, secret(paramA)},
		{"secret with a short cpHash", nil, wire.RCSize.Parameter(2), secret(short)},
		{"short nameHash", nil, size, name(short)},
		{"nameHash again", steps(name(paramA)), wire.RCCPHash, name(paramA)},
		{"nameHash after cpHash", steps(cp(paramA)), wire.RCCPHash, name(paramA)},
		{"short nameHash after cpHash", steps(cp(paramA)), size, name(short)},
		{"short pHash", nil, size, params(short)},
		{"pHash again", steps(params(paramA)), wire.RCCPHash, params(paramA)},
		{"pHash after templateHash", steps(template(paramA)), wire.RCCPHash, params(paramA)},
		{"short templateHash", nil, size, template(short)},
		{"templateHash again", steps(template(paramA)), ok, template(paramA)},
		{"other templateHash", steps(template(paramA)), wire.RCCPHash, template(paramB)},
		{"short templateHash behind another", steps(template(paramA)), wire.RCCPHash, template(short)},
		{"templateHash that is the cpHash", steps(cp(paramA)), wire.RCCPHash, template(paramA)},
		{"duplication after a hash", steps(name(paramA)), wire.RCCPHash, sel(nil, nil, 0)},
		{"duplication after TPM2_PolicyCommandCode", steps(assertTrue(wire.CCPolicyCommandCode, et.U32(uint32(wire.CCNVRead)))), wire.RCCommandCode, sel(nil, nil, 0)},
		{"duplication again", steps(sel(nil, nil, 0)), wire.RCCPHash, sel(nil, nil, 0)},
		{"cpHash after duplication", steps(sel(nil, nil, 0)), wire.RCCPHash, cp(paramA)},
		{"code after duplication", steps(sel(nil, nil, 0)), wire.RCValue.Parameter(1), assertTrue(wire.CCPolicyCommandCode, et.U32(uint32(wire.CCNVRead)))},
		{"duplication of a long name", nil, wire.RCSize.Parameter(1), sel(make([]byte, 67), nil, 0)},
		{"duplication to a long name", nil, wire.RCSize.Parameter(2), sel(make([]byte, 66), make([]byte, 67), 0)},
		{"duplication that may include", nil, wire.RCValue.Parameter(3), sel(nil, nil, 2)},
	})
}

// A comparison of a TPM_EO with an offset.
func compare(operand []byte, offset uint16, op wire.EO) []byte {
	return bytes.Join([][]byte{et.Sized(operand), et.U16(offset), et.U16(uint16(op))}, nil)
}

func TestPolicyValueRefuses(t *testing.T) {
	t.Parallel()
	const ok = wire.RCSuccess
	nv := func(by, index wire.Handle, c []byte) []byte {
		return et.Command(wire.CCPolicyNV, handles{by, index, policySession}, et.NoAuth(), c)
	}
	timer := func(c []byte) []byte { return assertTrue(wire.CCPolicyCounterTimer, c) }
	capability := func(c []byte, id wire.Cap, property uint32) []byte {
		return assertTrue(wire.CCPolicyCapability, c, et.U32(uint32(id)), et.U32(property))
	}
	approve := func(index wire.Handle) []byte {
		return et.Command(wire.CCPolicyAuthorizeNV, handles{index, index, policySession}, et.NoAuth())
	}
	const third = nvFirst + 2
	fresh := define(wire.RHOwner, nvPublic{index: third, size: 34}, nil)
	holding := func(b ...[]byte) [][]byte {
		return steps(fresh, nvWrite(third, third, nil, bytes.Join(b, nil), 0))
	}
	lock := func(index wire.Handle) []byte {
		return et.Command(wire.CCNVReadLock, handles{index, index}, et.NoAuth())
	}
	zero := func(n int) []byte { return make([]byte, n) }
	const eq, neq = wire.EOEq, wire.EONeq
	refused(t, []policyRefusal{
		{"index", nil, ok, nv(nvFirst, nvFirst, compare(zero(8), 0, eq))},
		{"index by the owner", nil, ok, nv(wire.RHOwner, nvFirst, compare(zero(1), 7, eq))},
		{"nothing of an index", nil, ok, nv(nvFirst, nvFirst, compare(nil, 8, eq))},
		{"not equal", nil, wire.RCPolicy, nv(nvFirst, nvFirst, compare(zero(8), 0, neq))},
		{"behind the end", nil, wire.RCValue.Parameter(2), nv(nvFirst, nvFirst, compare(nil, 9, eq))},
		{"beyond the end", nil, wire.RCSize.Parameter(1), nv(nvFirst, nvFirst, compare(zero(2), 7, eq))},
		{"operand too large", nil, wire.RCSize.Parameter(1), nv(nvFirst, nvFirst, compare(zero(65), 0, eq))},
		{"no operation", nil, wire.RCValue.Parameter(3), nv(nvFirst, nvFirst, compare(nil, 0, 12))},
		{"by another index", nil, wire.RCNVAuthorization, nv(approvedIndex, nvFirst, compare(nil, 9, eq))},
		{"index that is not written", steps(fresh), wire.RCNVUninitialized, nv(third, third, compare(nil, 99, eq))},
		{"index that is locked", steps(lock(nvFirst)), wire.RCNVLocked, nv(approvedIndex, nvFirst, compare(nil, 0, eq))},

		{"restart count", nil, ok, timer(compare(zero(4), 20, eq))},
		{"restart count is not", nil, wire.RCPolicy, timer(compare(zero(4), 20, neq))},
		{"nothing of the time", nil, ok, timer(compare(nil, 25, eq))},
		{"behind the time", nil, wire.RCValue.Parameter(2), timer(compare(nil, 26, eq))},
		{"beyond the time", nil, wire.RCRange, timer(compare(zero(2), 24, eq))},

		{"property", nil, ok, capability(compare([]byte("2.0"), 4, eq), wire.CapTPMProperties, 0x100)},
		{"property is not", nil, wire.RCPolicy, capability(compare([]byte("1.2"), 4, eq), wire.CapTPMProperties, 0x100)},
		{"behind the property", nil, wire.RCValue.Parameter(2), capability(compare(nil, 9, eq), wire.CapTPMProperties, 0x100)},
		{"beyond the property", nil, wire.RCSize.Parameter(1), capability(compare(zero(1), 8, eq), wire.CapTPMProperties, 0x100)},
		{"absent property", nil, wire.RCPolicy, capability(compare(nil, 99, eq), wire.CapTPMProperties, 0x1FF)},
		{"absent property is unequal", nil, ok, capability(compare(zero(9), 99, neq), wire.CapTPMProperties, 0x1FF)},
		{"no capability", nil, wire.RCValue.Parameter(4), capability(compare(nil, 0, eq), wire.CapSPDMSessions+1, 0)},
		{"banks", nil, wire.RCValue.Parameter(4), capability(compare(nil, 0, eq), wire.CapPCRs, 0)},
		{"countdown timers", nil, wire.RCPolicy, capability(compare(nil, 0, eq), wire.CapACT, uint32(wire.RHACT0))},
		{"no countdown timer", nil, ok, capability(compare(nil, 0, neq), wire.CapACT, uint32(wire.RHACT0))},
		{"vendor property", nil, wire.RCValue.Parameter(4), capability(compare(nil, 0, neq), wire.CapVendorProperty, 0)},
		{"handles of no type", nil, wire.RCHandle.Parameter(5), capability(compare(nil, 0, neq), wire.CapHandles, 0x55000000)},
		{"policy of an index", nil, wire.RCValue.Parameter(5), capability(compare(nil, 0, neq), wire.CapAuthPolicies, uint32(nvFirst))},

		{"approved", nil, ok, approve(approvedIndex)},
		{"approved is not this", steps(assertTrue(wire.CCPolicyAuthValue)), wire.RCValue, approve(approvedIndex)},
		{"approved with another hash", holding(et.U16(uint16(wire.AlgSHA1)), zero(20)), wire.RCHash, approve(third)},
		{"approved with no hash", holding(et.U16(uint16(wire.AlgNull)), zero(32)), wire.RCHash, approve(third)},
		{"approved is too short", holding(et.U16(uint16(wire.AlgSHA512)), zero(32)), wire.RCInsufficient, approve(third)},
		{"approved is not written", steps(fresh), wire.RCNVUninitialized, approve(third)},
		{"approved is locked", steps(lock(approvedIndex)), wire.RCNVLocked, approve(approvedIndex)},
		{"approved by another index", nil, wire.RCNVAuthorization,
			et.Command(wire.CCPolicyAuthorizeNV, handles{nvFirst, approvedIndex, policySession}, et.NoAuth())},
	})
}

func TestPolicySecretAndSignedRefuse(t *testing.T) {
	t.Parallel()
	const ok = wire.RCSuccess
	k := eccSigning()
	secret := func(nonce []byte, expiration uint32) []byte {
		return et.Command(wire.CCPolicySecret, handles{wire.RHOwner, policySession}, et.NoAuth(), nonce, noParam, noParam, et.U32(expiration))
	}
	signed := func(h wire.Handle, signature []byte, params ...[]byte) []byte {
		return et.Command(wire.CCPolicySigned, handles{h, policySession}, nil, append(params, signature)...)
	}
	nothing := bytes.Join([][]byte{noParam, noParam, noParam, et.U32(0)}, nil)
	right := ecdsaSigned(t, k, sha(et.U32(0)))
	rsa := bytes.Join([][]byte{et.U16(uint16(wire.AlgRSASSA)), et.U16(uint16(wire.AlgSHA256)), et.Sized(make([]byte, 256))}, nil)
	hmac := bytes.Join([][]byte{et.U16(uint16(wire.AlgHMAC)), et.U16(uint16(wire.AlgSHA256)), make([]byte, 32)}, nil)
	sequence := et.Command(wire.CCHashSequenceStart, nil, nil, noParam, et.U16(uint16(wire.AlgSHA256)))
	refused(t, []policyRefusal{
		{"other nonce", nil, wire.RCNonce.Parameter(1), secret(et.Sized(make([]byte, 16)), 0)},
		{"nonce too large", nil, wire.RCSize.Parameter(1), secret(et.Sized(make([]byte, 65)), 0)},
		{"now", nil, ok, secret(noParam, 1)},
		{"other nonce of a signature", nil, wire.RCNonce.Parameter(1), signedBy(t, object, k, make([]byte, 16), nil, nil, 0)},
		{"short cpHash of a signature", nil, wire.RCSize.Parameter(2), signedBy(t, object, k, nil, hashA[:31], nil, 0)},
		{"policyRef too large", nil, wire.RCSize.Parameter(3), signed(object, right, noParam, noParam, et.Sized(make([]byte, 65)), et.U32(0))},
		{"other cpHash of a signature", steps(assertTrue(wire.CCPolicyCpHash, paramB)), wire.RCCPHash, signedBy(t, object, k, nil, hashA, nil, 0)},
		{"signature", nil, ok, signed(object, right, nothing)},
		{"signature of something else", nil, wire.RCSignature.Parameter(5), signed(object, right, noParam, noParam, noParam, et.U32(1))},
		{"RSA signature of an ECC key", nil, wire.RCScheme.Parameter(5), signed(object, rsa, nothing)},
		{"NULL signature", nil, wire.RCScheme.Parameter(5), signed(object, et.U16(uint16(wire.AlgNull)), nothing)},
		{"HMAC with a key that is not there", steps(loadExternalPublic(hmacKey(), wire.RHOwner)), wire.RCHandle.Parameter(5), signed(object+1, hmac, nothing)},
		{"wrong HMAC", steps(loadExternal(hmacKey())), wire.RCSignature.Parameter(5), signed(object+1, hmac, nothing)},
		{"signature by a sequence", steps(sequence), wire.RCScheme.Parameter(5), signed(object+1, right, nothing)},
		{"signature by nobody", nil, wire.RCReferenceH0, signed(object+1, right, nothing)},
		{"signature by a hierarchy", nil, wire.RCValue.Handle(1), signed(wire.RHOwner, right, nothing)},
	})
}

func TestPolicyAuthorizeRefuses(t *testing.T) {
	t.Parallel()
	p := newPolicyTest(t, wire.AlgSHA256)
	name, ref := p.key.name(), []byte("ref")
	// The ticket is of another TPM with the same secrets.
	ticket := verifiedTicket(t, p.TPM, object, p.key, sha(nullSHA256, ref))
	moved := bytes.Clone(ticket)
	copy(moved[2:], et.U32(uint32(wire.RHPlatform)))
	authorize := func(approved, ref, key, ticket []byte) []byte {
		return assertTrue(wire.CCPolicyAuthorize, et.Sized(approved), et.Sized(ref), et.Sized(key), ticket)
	}
	badKey, badTicket := wire.RCSize.Parameter(3), wire.RCValue.Parameter(4)
	refused(t, []policyRefusal{
		{"authorized", nil, wire.RCSuccess, authorize(nullSHA256, ref, name, ticket)},
		{"other policy", nil, wire.RCValue.Parameter(1), authorize(hashA, ref, name, ticket)},
		{"policy of no session", steps(assertTrue(wire.CCPolicyAuthValue)), wire.RCValue.Parameter(1), authorize(nullSHA256, ref, name, ticket)},
		{"other policyRef", nil, badTicket, authorize(nullSHA256, nil, name, ticket)},
		{"other key", nil, badTicket, authorize(nullSHA256, ref, zeroName, ticket)},
		{"other hierarchy", nil, badTicket, authorize(nullSHA256, ref, name, moved)},
		{"NULL Ticket", nil, badTicket, authorize(nullSHA256, ref, name, nullTicket(wire.STVerified))},
		{"ticket of another kind", nil, wire.RCTag.Parameter(4), authorize(nullSHA256, ref, name, nullTicket(wire.STHashCheck))},
		{"no Name", nil, badKey, authorize(hashA, ref, name[:1], ticket)},
		{"Name without a hash", nil, wire.RCHash.Parameter(3), authorize(hashA, ref, et.U32(uint32(wire.RHOwner)), ticket)},
		{"Name cut short", nil, badKey, authorize(hashA, ref, name[:33], ticket)},
		{"Name too long", nil, badKey, authorize(hashA, ref, append(name, 0), ticket)},
	})
}

// What depends on Time needs NV, without which it stands still.
func TestPolicyTimeNeedsNV(t *testing.T) {
	t.Parallel()
	p := newPolicyTest(t, wire.AlgSHA256)
	p.start(t, wire.SEPolicy)
	timer := func(offset uint16) wire.RC {
		return send(t, p.TPM, assertTrue(wire.CCPolicyCounterTimer, compare([]byte{0}, offset, wire.EOUnsignedGE)))
	}
	secret := func(expiration uint32) wire.RC {
		return send(t, p.TPM, et.Command(wire.CCPolicySecret, handles{wire.RHOwner, policySession}, et.NoAuth(), noParam, noParam, noParam, et.U32(expiration)))
	}
	p.Store.SetWritable(state.ErrUnavailable)
	assert.Equal(t, wire.RCNVUnavailable, timer(15))
	assert.Equal(t, wire.RCSuccess, timer(16))
	assert.Equal(t, wire.RCNVUnavailable, secret(1))
	assert.Equal(t, wire.RCSuccess, secret(0))
	p.Store.SetWritable(state.ErrRateLimited)
	assert.Equal(t, wire.RCNVRate, timer(15))
	assert.Equal(t, wire.RCNVRate, secret(1))
	p.Store.SetWritable(nil)
	assert.Equal(t, wire.RCSuccess, timer(15))
	assert.Equal(t, wire.RCSuccess, secret(1))
}

// TPM2_PolicyCommandCode knows the commands of this TPM, which need not be all.
func TestPolicyCommandCodeOfConfig(t *testing.T) {
	t.Parallel()
	var codes []wire.CC
	for _, c := range emulator.Commands() {
		if c.Implemented() && c.Code != wire.CCNVRead {
			codes = append(codes, c.Code)
		}
	}
	tpm := et.New(t, et.WithConfig(emulator.Config{Commands: codes}))
	require.Equal(t, wire.RCSuccess, send(t, tpm, startSession(wire.SEPolicy)))
	assert.Equal(t, wire.RCPolicyCC.Parameter(1), send(t, tpm, assertTrue(wire.CCPolicyCommandCode, et.U32(uint32(wire.CCNVRead)))))
}
