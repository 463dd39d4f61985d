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

// authorization is what TPM2_PolicySecret or TPM2_PolicySigned gives a ticket
// for, and the ticket.
type authorization struct {
	timeout, cpHash, policyRef, name []byte
	ticket                           []byte // TPMT_TK_AUTH
}

// command is TPM2_PolicyTicket.
func (a authorization) command() []byte {
	return assertTrue(wire.CCPolicyTicket, et.Sized(a.timeout), et.Sized(a.cpHash), et.Sized(a.policyRef), et.Sized(a.name), a.ticket)
}

// granted sends the command, which asks for a ticket.
func granted(t *testing.T, tpm *et.TPM, command []byte, a authorization) authorization {
	t.Helper()
	rsp := tpm.Execute(0, command)
	require.Equal(t, wire.RCSuccess, et.ResponseCode(rsp))
	r := wire.NewReader(et.Parameters(rsp, false), nil)
	a.timeout = bytes.Clone(r.Sized(1000))
	a.ticket = bytes.Clone(r.Rest())
	return a
}

// newPolicySession ends the policy session for a new one, and gives its nonceTPM.
func newPolicySession(t *testing.T, tpm *et.TPM) []byte {
	t.Helper()
	require.Equal(t, wire.RCSuccess, send(t, tpm, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(policySession)))))
	return nonceOf(t, tpm)
}

// tickets are authorizations of all kinds with their tickets, by name. They last
// for ten seconds from now, which is the start of the session.
func (p *policyTest) tickets(t *testing.T, nonceTPM []byte) map[string]authorization {
	t.Helper()
	ref := []byte("ref")
	now := int32(p.now / time.Second)
	secret := func(nonce, cpHash, ref []byte, seconds int32) authorization {
		return granted(t, p.TPM, et.Command(wire.CCPolicySecret, handles{wire.RHEndorsement, policySession}, et.NoAuth(),
			et.Sized(nonce), et.Sized(cpHash), et.Sized(ref), et.U32(uint32(-seconds))),
			authorization{cpHash: cpHash, policyRef: ref, name: et.U32(uint32(wire.RHEndorsement))})
	}
	signed := func(nonce, cpHash, ref []byte, seconds int32) authorization {
		return granted(t, p.TPM, signedBy(t, object, p.key, nonce, cpHash, ref, -seconds),
			authorization{cpHash: cpHash, policyRef: ref, name: p.key.name()})
	}
	return map[string]authorization{
		"secret":                secret(nonceTPM, nil, nil, 10),
		"secret for cpHash":     secret(nonceTPM, hashA, ref, 10),
		"secret at a Time":      secret(nil, nil, ref, now+10),
		"signed":                signed(nonceTPM, nil, ref, 10),
		"signed for cpHash":     signed(nonceTPM, hashA, nil, 10),
		"signed at a Time":      signed(nil, nil, nil, now+10),
		"signed at a Time, too": signed(nil, hashA, ref, now+10),
	}
}

// withTickets is a TPM with tickets that have been granted in a session, and
// another session.
func withTickets(t *testing.T) (*policyTest, map[string]authorization) {
	t.Helper()
	p := newPolicyTest(t, wire.AlgSHA256)
	p.advance(20 * time.Second)
	tickets := p.tickets(t, nonceOf(t, p.TPM))
	newPolicySession(t, p.TPM)
	return p, tickets
}

// A ticket stands in any session for the command that has granted it: it makes
// the same policyDigest, and notes the same cpHash and timeout.
func TestPolicyTicket(t *testing.T) {
	t.Parallel()
	p, tickets := withTickets(t)
	for name, a := range tickets {
		p.assert(t, a.command())
		code := wire.CCPolicySecret
		if name[:6] == "signed" {
			code = wire.CCPolicySigned
		}
		want := sha(sha(nullSHA256, et.U32(uint32(code)), a.name), a.policyRef)
		assert.Equal(t, want, policyDigest(t, p.TPM), name)
		other := wire.RCCPHash
		if a.cpHash == nil {
			other = wire.RCSuccess
		}
		assert.Equal(t, other, send(t, p.TPM, assertTrue(wire.CCPolicyCpHash, paramB)), name)
		p.assert(t, assertTrue(wire.CCPolicyRestart))
	}
	p.Clock.Advance(10 * time.Second)
	for name, a := range tickets {
		assert.Equal(t, wire.RCSuccess, send(t, p.TPM, a.command()), name)
		p.assert(t, assertTrue(wire.CCPolicyRestart))
	}
	a := tickets["secret"]
	p.assert(t, a.command())
	require.Equal(t, wire.RCSuccess, send(t, p.TPM, ownerPolicy(policyDigest(t, p.TPM))))
	p.Clock.Advance(time.Millisecond)
	assert.Equal(t, wire.RCExpired.Session(1), send(t, p.TPM, adjust()), "the session expires with the ticket")
	for name, a := range tickets {
		p.assert(t, assertTrue(wire.CCPolicyRestart))
		assert.Equal(t, wire.RCExpired.Parameter(1), send(t, p.TPM, a.command()), name)
	}
}

// A ticket is of all that it was granted for, and of nothing else.
func TestPolicyTicketRefuses(t *testing.T) {
	t.Parallel()
	p, tickets := withTickets(t)
	bad := wire.RCTicket.Parameter(5)
	for name, a := range tickets {
		for what, change := range map[string]func(*authorization){
			"later":                  func(a *authorization) { a.timeout[6]++ },
			"until reset":            func(a *authorization) { a.timeout[0] ^= 0x80 },
			"never":                  func(a *authorization) { clear(a.timeout) },
			"other cpHash":           func(a *authorization) { a.cpHash = hashB },
			"other policyRef":        func(a *authorization) { a.policyRef = []byte("other") },
			"other Name":             func(a *authorization) { a.name = et.U32(uint32(wire.RHOwner)) },
			"other command":          func(a *authorization) { a.ticket[1] ^= byte(wire.STAuthSecret ^ wire.STAuthSigned) },
			"other hierarchy":        func(a *authorization) { copy(a.ticket[2:], et.U32(uint32(wire.RHPlatform))) },
			"other digest":           func(a *authorization) { a.ticket[20]++ },
			"digest cut short":       func(a *authorization) { a.ticket = append(append(a.ticket[:6:6], 0, 63), a.ticket[8:71]...) },
			"empty digest":           func(a *authorization) { a.ticket = append(a.ticket[:6:6], 0, 0) },
			"timeout of 7":           func(a *authorization) { a.timeout = a.timeout[:7] },
			"timeout of 9":           func(a *authorization) { a.timeout = append(a.timeout[:8:8], 0) },
			"cpHash of 31":           func(a *authorization) { a.cpHash = hashA[:31] },
			"ticket of a hash":       func(a *authorization) { copy(a.ticket, et.U16(uint16(wire.STHashCheck))) },
			"ticket of no hierarchy": func(a *authorization) { copy(a.ticket[2:], et.U32(uint32(wire.RHLockout))) },
			"Name of 67":             func(a *authorization) { a.name = make([]byte, 67) },
			"policyRef of 65":        func(a *authorization) { a.policyRef = make([]byte, 65) },
		} {
			want := bad
			switch what {
			case "timeout of 7", "timeout of 9":
				want = wire.RCSize.Parameter(1)
			case "cpHash of 31":
				want = wire.RCSize.Parameter(2)
			case "policyRef of 65":
				want = wire.RCSize.Parameter(3)
			case "Name of 67":
				want = wire.RCSize.Parameter(4)
			case "ticket of a hash":
				want = wire.RCTag.Parameter(5)
			case "ticket of no hierarchy":
				want = wire.RCValue.Parameter(5)
			}
			changed := a
			changed.timeout, changed.ticket = bytes.Clone(a.timeout), bytes.Clone(a.ticket)
			change(&changed)
			assert.Equal(t, want, send(t, p.TPM, changed.command()), "%s: %s", name, what)
		}
	}
	p.assert(t, assertTrue(wire.CCPolicyCpHash, paramB))
	assert.Equal(t, wire.RCCPHash, send(t, p.TPM, tickets["secret for cpHash"].command()))
	require.Equal(t, wire.RCSuccess, send(t, p.TPM, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(policySession)))))
	p.start(t, wire.SETrial)
	assert.Equal(t, wire.RCAttributes.Handle(1), send(t, p.TPM, tickets["secret"].command()), "in a trial session")
}

// A ticket does not outlast the period of Time it was granted in, nor the proof
// of its hierarchy.
func TestPolicyTicketEnds(t *testing.T) {
	t.Parallel()
	endorsement, owner := "of the endorsement hierarchy", "of the owner"
	for name, tc := range map[string]struct {
		end  func(*testing.T, *policyTest)
		ends map[string]bool
	}{
		"reset":   {func(t *testing.T, p *policyTest) { require.Equal(t, wire.RCSuccess, p.Restart(wire.SUClear)) }, map[string]bool{endorsement: true, owner: true}},
		"restart": {func(t *testing.T, p *policyTest) { p.Shutdown(wire.SUState); p.Restart(wire.SUClear) }, map[string]bool{endorsement: true, owner: true}},
		"resume":  {func(t *testing.T, p *policyTest) { p.Shutdown(wire.SUState); p.Restart(wire.SUState) }, map[string]bool{endorsement: true, owner: true}},
		"new EPS": {func(t *testing.T, p *policyTest) {
			require.Equal(t, wire.RCSuccess, send(t, p.TPM, et.Command(wire.CCChangeEPS, handles{wire.RHPlatform}, et.NoAuth())))
		}, map[string]bool{endorsement: true}},
		"new owner": {func(t *testing.T, p *policyTest) {
			require.Equal(t, wire.RCSuccess, send(t, p.TPM, et.Command(wire.CCClear, handles{wire.RHLockout}, et.NoAuth())))
		}, map[string]bool{endorsement: true, owner: true}},
		"nothing": {func(*testing.T, *policyTest) {}, nil},
	} {
		p, tickets := withTickets(t)
		tc.end(t, p)
		send(t, p.TPM, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(policySession)))) // where it is still there
		nonceOf(t, p.TPM)
		for what, a := range tickets {
			of := owner
			if what[:6] == "secret" {
				of = endorsement
			}
			want := wire.RCSuccess
			if tc.ends[of] {
				want = wire.RCTicket.Parameter(5)
			}
			p.assert(t, assertTrue(wire.CCPolicyRestart))
			assert.Equal(t, want, send(t, p.TPM, a.command()), "%s: %s", name, what)
		}
	}
}

// The timeout of a ticket is Time in milliseconds; on top it reports whether the
// ticket is of no session and so ends with a reset. There is a ticket for a
// negative expiration only.
func TestPolicyTimeouts(t *testing.T) {
	t.Parallel()
	p := newPolicyTest(t, wire.AlgSHA256)
	p.Clock.Advance(1234 * time.Millisecond)
	nonce := nonceOf(t, p.TPM)
	p.Clock.Advance(766 * time.Millisecond) // Time is 2000
	for name, tc := range map[string]struct {
		nonce   []byte
		seconds int32
		want    []byte
	}{
		"in the session": {nonce, -5, et.U64(6234)},
		"at a Time":      {nil, -5, et.U64(1<<63 | 5000)},
		"no ticket":      {nonce, 5, nil},
		"no expiration":  {nonce, 0, nil},
	} {
		for code, command := range map[wire.ST][]byte{
			wire.STAuthSecret: secretUntil(tc.nonce, tc.seconds),
			wire.STAuthSigned: signedBy(t, object, p.key, tc.nonce, nil, nil, tc.seconds),
		} {
			a := granted(t, p.TPM, command, authorization{})
			if tc.want == nil {
				assert.Empty(t, a.timeout, name)
				assert.Equal(t, nullTicket(code), a.ticket, name)
				continue
			}
			hierarchy := wire.RHOwner
			if code == wire.STAuthSecret {
				hierarchy = wire.RHEndorsement
			}
			assert.Equal(t, tc.want, a.timeout, name)
			assert.Equal(t, append(et.U16(uint16(code)), et.U32(uint32(hierarchy))...), a.ticket[:6], name)
			assert.Len(t, a.ticket, 2+4+2+64, name)
		}
	}
}
