package emulator_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// item is the handle of what withSealed loads.
const item = object + 1

// withSealed is a policyTest with a policy session and sealed data that nothing
// but the policy releases.
func withSealed(t *testing.T, policy []byte) *policyTest {
	t.Helper()
	p := newPolicyTest(t, wire.AlgSHA256)
	p.assert(t, loadExternal(change(sealed("secret"), func(k *testKey) {
		k.public.AuthPolicy = policy
		k.public.Attributes &^= wire.ObjectUserWithAuth
	})))
	p.start(t, wire.SEPolicy)
	return p
}

// unseal is TPM2_Unseal by the policy session.
func (p *policyTest) unseal(t *testing.T) wire.RC {
	t.Helper()
	rsp := p.Execute(0, byPolicy(wire.CCUnseal, handles{item}, nil))
	if rc := et.ResponseCode(rsp); rc != wire.RCSuccess {
		return rc
	}
	assert.Equal(t, et.Sized([]byte("secret")), et.Parameters(rsp, false))
	return wire.RCSuccess
}

// pcrPolicy is the policy TPM2_PolicyPCR of one PCR with SHA-256 that has the
// value.
func pcrPolicy(pcr int, value []byte) []byte {
	return policyOf(assertion(wire.CCPolicyPCR, append(et.Selection(wire.AlgSHA256, pcr), sha(value)...)...))
}

// Sealed data come out as long as the PCRs are what they were sealed to.
func TestUnsealByPCR(t *testing.T) {
	t.Parallel()
	measured := sha(nullSHA256, ha(wire.AlgSHA256, 1).Digest)
	p := withSealed(t, pcrPolicy(10, measured))
	check := assertTrue(wire.CCPolicyPCR, noParam, et.Selection(wire.AlgSHA256, 10))
	p.assert(t, check)
	assert.Equal(t, wire.RCPolicyFail.Session(1), p.unseal(t), "before the measurement")
	p.assert(t, extend(10, ha(wire.AlgSHA256, 1)))
	assert.Equal(t, wire.RCPCRChanged, p.unseal(t))
	p.assert(t, assertTrue(wire.CCPolicyRestart), check)
	assert.Equal(t, wire.RCSuccess, p.unseal(t))
	p.assert(t, check, extend(11, ha(wire.AlgSHA256, 1)))
	assert.Equal(t, wire.RCPCRChanged, p.unseal(t), "of any PCR")
	p.assert(t, assertTrue(wire.CCPolicyRestart), check)
	assert.Equal(t, wire.RCSuccess, p.unseal(t))
	p.assert(t, extend(10, ha(wire.AlgSHA256, 2)), check)
	assert.Equal(t, wire.RCPolicyFail.Session(1), p.unseal(t), "after another measurement")
	assert.Equal(t, wire.RCAuthUnavailable.Session(1), send(t, p.TPM, et.Command(wire.CCUnseal, handles{item}, et.NoAuth())), "with the authValue")
}

// Who signs policies lets sealed data out in one state after the other.
func TestUnsealByAuthorizedPolicies(t *testing.T) {
	t.Parallel()
	key, ref := eccSigning(), []byte("release 1")
	p := withSealed(t, sha(policyOf(assertion(wire.CCPolicyAuthorize, key.name()...)), ref))
	value := bytes.Clone(nullSHA256)
	for range 3 {
		approved := pcrPolicy(10, value)
		ticket := verifiedTicket(t, p.TPM, object, key, sha(approved, ref))
		authorize := assertTrue(wire.CCPolicyAuthorize, et.Sized(approved), et.Sized(ref), et.Sized(key.name()), ticket)
		p.assert(t, assertTrue(wire.CCPolicyPCR, noParam, et.Selection(wire.AlgSHA256, 10)), authorize)
		assert.Equal(t, wire.RCSuccess, p.unseal(t))
		value = sha(value, ha(wire.AlgSHA256, 1).Digest)
		p.assert(t, extend(10, ha(wire.AlgSHA256, 1)), assertTrue(wire.CCPolicyPCR, noParam, et.Selection(wire.AlgSHA256, 10)))
		assert.Equal(t, wire.RCValue.Parameter(1), send(t, p.TPM, authorize), "of an earlier state")
		p.assert(t, assertTrue(wire.CCPolicyRestart))
	}
}

// Who writes an index lets sealed data out under the policy that is in it.
func TestUnsealByPolicyInIndex(t *testing.T) {
	t.Parallel()
	p := newPolicyTest(t, wire.AlgSHA256)
	index := nvName(t, p.TPM, approvedIndex)
	p = withSealed(t, policyOf(assertion(wire.CCPolicyAuthorizeNV, index...)))
	approve := et.Command(wire.CCPolicyAuthorizeNV, handles{approvedIndex, approvedIndex, policySession}, et.NoAuth())
	p.assert(t, nvWrite(approvedIndex, approvedIndex, nil, pcrPolicy(10, nullSHA256), 2))
	assert.Equal(t, wire.RCValue, send(t, p.TPM, approve))
	p.assert(t, assertTrue(wire.CCPolicyPCR, noParam, et.Selection(wire.AlgSHA256, 10)), approve)
	assert.Equal(t, wire.RCSuccess, p.unseal(t))
	p.assert(t, nvWrite(approvedIndex, approvedIndex, nil, policyOf(assertion(wire.CCPolicyLocality, 1)), 2), assertTrue(wire.CCPolicyLocality, et.U8(1)), approve)
	assert.Equal(t, wire.RCSuccess, p.unseal(t), "under another policy")
}

// A signature lets sealed data out for a while, and so does the ticket for it
// when the signer is gone.
func TestUnsealBySignature(t *testing.T) {
	t.Parallel()
	key, ref := eccSigning(), []byte("ref")
	p := withSealed(t, sha(policyOf(assertion(wire.CCPolicySigned, key.name()...)), ref))
	nonce := newPolicySession(t, p.TPM)
	a := granted(t, p.TPM, signedBy(t, object, key, nonce, nil, ref, -60), authorization{policyRef: ref, name: key.name()})
	assert.Equal(t, wire.RCSuccess, p.unseal(t))
	p.assert(t, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(object))))
	for range 2 {
		newPolicySession(t, p.TPM)
		p.Clock.Advance(30 * time.Second)
		p.assert(t, a.command())
		assert.Equal(t, wire.RCSuccess, p.unseal(t))
	}
	p.assert(t, a.command())
	p.Clock.Advance(time.Millisecond)
	assert.Equal(t, wire.RCExpired.Session(1), p.unseal(t))
}

// TPM2_PolicyTemplate authorizes the creation of one kind of object: its second
// parameter, of all commands that create.
func TestPolicyTemplate(t *testing.T) {
	t.Parallel()
	template, other := eccStorage().template(made), rsaStorage().template(made)
	child := sealed("").template(0)
	hash := func(k testKey) []byte { return assertTrue(wire.CCPolicyTemplate, et.Sized(sha(k.publicArea()))) }
	policy := policyOf(assertion(wire.CCPolicyTemplate, sha(template.publicArea())...))
	primary := func(k testKey) []byte {
		return byPolicy(wire.CCCreatePrimary, handles{wire.RHOwner}, nil, sensitiveCreate("auth", ""), k.publicParameter(), noParam, et.U32(0))
	}
	loaded := func(k testKey) []byte {
		return byPolicy(wire.CCCreateLoaded, handles{wire.RHOwner}, nil, sensitiveCreate("auth", ""), k.publicParameter())
	}
	for what, command := range map[string]func(testKey) []byte{"TPM2_CreatePrimary": primary, "TPM2_CreateLoaded": loaded} {
		p := newPolicyTest(t, wire.AlgSHA256)
		p.start(t, wire.SEPolicy)
		p.assert(t, ownerPolicy(policy), hash(template))
		assert.Equal(t, wire.RCPolicyFail.Session(1), send(t, p.TPM, command(other)), what)
		assert.Equal(t, wire.RCSuccess, send(t, p.TPM, command(template)), what)
	}
	p := newPolicyTest(t, wire.AlgSHA256)
	p.start(t, wire.SEPolicy)
	parent := change(template, func(k *testKey) {
		k.public.AuthPolicy = policyOf(assertion(wire.CCPolicyTemplate, sha(child.publicArea())...))
		k.public.Attributes &^= wire.ObjectUserWithAuth
	})
	p.assert(t, createPrimary(wire.RHOwner, parent, "", ""), hash(child))
	create := func(k testKey, data string) []byte {
		return byPolicy(wire.CCCreate, handles{item}, nil, sensitiveCreate("auth", data), k.publicParameter(), noParam, et.U32(0))
	}
	assert.Equal(t, wire.RCPolicyFail.Session(1), send(t, p.TPM, create(template, "")))
	assert.Equal(t, wire.RCSuccess, send(t, p.TPM, create(child, "data")), "TPM2_Create")
}

// The ADMIN role of an object needs a policy, if adminWithPolicy says so, and one
// that names the command in any case.
func TestPolicyOfObjectForAdmin(t *testing.T) {
	t.Parallel()
	null := append(et.U16(uint16(wire.AlgNull)), noParam...)
	certify := func(first wire.AuthCommand) []byte {
		return et.CommandWithSessions(wire.CCCertify, handles{object, wire.RHNull},
			[]wire.AuthCommand{first, {Session: wire.RSPW}}, noParam, null[:2])
	}
	session, password := wire.AuthCommand{Session: policySession}, wire.AuthCommand{Session: wire.RSPW}
	code := steps(assertTrue(wire.CCPolicyCommandCode, et.U32(uint32(wire.CCCertify))))
	const user, admin = wire.ObjectUserWithAuth, wire.ObjectAdminWithPolicy
	for name, tc := range map[string]struct {
		attributes wire.ObjectAttributes
		policy     []byte
		assertions [][]byte
		auth       wire.AuthCommand
		want       wire.RC
	}{
		"authValue":                         {user, nil, nil, password, wire.RCSuccess},
		"authValue that is not for users":   {0, nil, nil, password, wire.RCSuccess},
		"authValue where a policy must be":  {user | admin, nil, nil, password, wire.RCAuthType},
		"policy for the command":            {user | admin, onlyFor(wire.CCCertify), code, session, wire.RCSuccess},
		"policy though the authValue would": {user, onlyFor(wire.CCCertify), code, session, wire.RCSuccess},
		"policy for any command":            {admin, nullSHA256, nil, session, wire.RCPolicyFail.Session(1)},
		"empty policy":                      {admin, nil, nil, session, wire.RCPolicyFail.Session(1)},
	} {
		tpm := et.New(t)
		k := change(hmacKey(), func(k *testKey) {
			k.public.AuthPolicy = tc.policy
			k.public.Attributes = k.public.Attributes&^user | tc.attributes
		})
		succeed(t, tpm, loadExternal(k), startSession(wire.SEPolicy))
		succeed(t, tpm, tc.assertions...)
		assert.Equal(t, tc.want, send(t, tpm, certify(tc.auth)), name)
	}
}

// What has no sensitive area authorizes nothing, and a sequence has no policy.
func TestPolicyOfNoObject(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	public := change(hmacKey(), func(k *testKey) { k.public.AuthPolicy = nullSHA256 })
	succeed(t, tpm, startSession(wire.SEPolicy), loadExternalPublic(public, wire.RHOwner))
	require.Equal(t, object+1, loadSequence(t, tpm, wire.AlgSHA256))
	mac := byPolicy(wire.CCHMAC, handles{object}, nil, noParam, et.U16(uint16(wire.AlgNull)))
	assert.Equal(t, wire.RCAuthUnavailable.Session(1), send(t, tpm, mac))
	assert.Equal(t, wire.RCAuthUnavailable.Session(1), send(t, tpm, byPolicy(wire.CCSequenceUpdate, handles{object + 1}, nil, noParam)))
}
