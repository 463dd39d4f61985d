package emulator

import (
	"bytes"
	"crypto/subtle"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// stripZeros drops the zero octets at the end of an authorisation value, which
// do not count (Part 1, section "Authorization Values").
func stripZeros(b []byte) []byte { return bytes.TrimRight(b, "\x00") }

// authArea decodes the authorisation area and checks every authorisation (Part
// 3, section "Session Area Validation" and following).
func (t *TPM) authArea(c *call) wire.RC {
	if c.tag == wire.STNoSessions {
		if c.cmd.AuthHandles() > 0 {
			return wire.RCAuthMissing
		}
		return wire.RCSuccess
	}
	size := c.in.U32()
	if rc := c.in.RC(); rc != wire.RCSuccess {
		return rc
	}
	if size < wire.MinAuthArea || uint64(size) > uint64(c.in.Len()) {
		return wire.RCSize
	}
	if c.cmd.Sessions == SessionsNone {
		return wire.RCAuthContext
	}
	area := wire.NewReader(c.in.Bytes(int(size)), nil)
	if rc := t.decodeSessions(c, &area); rc != wire.RCSuccess {
		return rc
	}
	if c.nSession < c.cmd.AuthHandles() {
		return wire.RCAuthMissing
	}
	for i := range c.sessions[:c.nSession] {
		if rc := t.checkSession(c, i); rc != wire.RCSuccess {
			return rc.Session(i + 1)
		}
	}
	return wire.RCSuccess
}

// decodeSessions decodes all sessions and checks what can be said of each
// without the handles: its fields, that it is loaded, its attributes.
func (t *TPM) decodeSessions(c *call, area *wire.Reader) wire.RC {
	for n := 0; area.Len() > 0; n++ {
		if n == maxSessions {
			return wire.RCSize.Session(n + 1)
		}
		s := &c.sessions[n]
		area.AuthCommand(s, t.config.Limits.ActiveSessions)
		if rc := area.RC(); rc != wire.RCSuccess {
			return rc.Session(n + 1)
		}
		if s.Session != wire.RSPW {
			return wire.RCReferenceS0 + wire.RC(n) // no session is ever loaded
		}
		if s.Attributes&^wire.SessionContinue != 0 {
			return wire.RCAttributes.Session(n + 1)
		}
		if len(s.Nonce) != 0 {
			return wire.RCNonce.Session(n + 1)
		}
		c.nSession = n + 1
	}
	return wire.RCSuccess
}

// checkSession authorises the handle that session i belongs to. A password
// session must belong to one.
func (t *TPM) checkSession(c *call, i int) wire.RC {
	if i >= c.cmd.AuthHandles() {
		return wire.RCHandle
	}
	h := c.handles[i]
	if h == wire.RHPlatform && t.presenceRequired(c.cmd) && !t.platform.PhysicalPresence() {
		return wire.RCPP
	}
	if !t.daExempt(h) {
		if rc := t.daUse(c, h); rc != wire.RCSuccess {
			return rc
		}
	}
	if c.cmd.Handles[i].Role != RoleUser || t.policyRequired(h) {
		return wire.RCAuthType
	}
	n := t.nvIndex(h)
	if n != nil && !nvAuthAvailable(c.cmd, n) {
		return wire.RCAuthUnavailable
	}
	return t.checkPassword(c, i, n)
}

// checkPassword compares the password of session i with the authValue. If that
// is of an NV index, n, what a PIN index counts must be recordable first: the
// number of tries would not be limited otherwise.
func (t *TPM) checkPassword(c *call, i int, n *state.NVIndex) wire.RC {
	h := c.handles[i]
	if n != nil && isPIN(n) {
		if rc := t.nvChangeable(c, n); rc != wire.RCSuccess {
			return rc
		}
	}
	given, want := stripZeros(c.sessions[i].HMAC), t.authValue(h)
	right := subtle.ConstantTimeCompare(given, want) == 1
	if n != nil && isPIN(n) {
		t.countPIN(n, right)
		c.authRecorded = true
	}
	if !right {
		c.authRecorded = true
		return t.authFailure(h)
	}
	return wire.RCSuccess
}

// policyRequired says whether only a policy session can authorise the handle: a
// PCR of a group that has a policy.
func (t *TPM) policyRequired(h wire.Handle) bool {
	if h.Type() != wire.HTPCR {
		return false
	}
	g := pcrTable[h].policyGroup
	return g != 0 && t.s.Persistent.PCRPolicy[g-1].Alg != wire.AlgNull
}

// authValue is the authorisation value of what is behind a handle that is
// present, without zeros at its end.
func (t *TPM) authValue(h wire.Handle) []byte {
	p := &t.s.Persistent
	switch h {
	case wire.RHOwner:
		return p.OwnerAuth.Bytes()
	case wire.RHEndorsement:
		return p.EndorsementAuth.Bytes()
	case wire.RHLockout:
		return p.LockoutAuth.Bytes()
	case wire.RHPlatform:
		return t.s.Clear.PlatformAuth.Bytes()
	}
	switch h.Type() {
	case wire.HTPCR:
		if g := pcrTable[h].authGroup; g != 0 {
			return t.s.Clear.PCRAuth[g-1].Bytes()
		}
	case wire.HTTransient:
		if o := t.object(h); o != nil {
			return o.Auth.Bytes()
		}
	case wire.HTNVIndex:
		if n := t.nvIndex(h); n != nil {
			return n.Auth.Bytes()
		}
	}
	return nil
}
