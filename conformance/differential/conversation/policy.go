package conversation

import (
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

func (s *liveSession) restartPolicy() {
	s.policy = make([]byte, s.hash.Size())
	s.needsAuth, s.needsPassword = false, false
}

// learnPolicy follows policyDigest (TPM 2.0 Library Part 3, section "EA
// Commands", each in its own section).
func (c *caller) learnPolicy(x *exchange) {
	p := x.command
	if len(p.Handles) == 0 {
		return
	}
	s := c.sessions[p.Handles[len(p.Handles)-1]]
	code := tpm2.TPMCC(x.code)
	if s == nil || !isPolicy(code) {
		return
	}
	in := &wire.Cursor{Rest: p.Parameters}
	switch code {
	case tpm2.TPMCCPolicyRestart:
		s.restartPolicy()
	case tpm2.TPMCCPolicySigned, tpm2.TPMCCPolicySecret:
		in.Sized() // nonceTPM
		in.Sized() // cpHashA
		c.assertNamed(s, code, p.Handles[0])
		s.hashIn(in.Sized())
	case tpm2.TPMCCPolicyTicket:
		in.Sized() // timeout
		in.Sized() // cpHashA
		ref, name := in.Sized(), in.Sized()
		if code = tpm2.TPMCCPolicySecret; in.U16() == uint16(tpm2.TPMSTAuthSigned) {
			code = tpm2.TPMCCPolicySigned
		}
		s.assert(code, name)
		s.hashIn(ref)
	case tpm2.TPMCCPolicyAuthorize:
		in.Sized() // approvedPolicy
		ref, name := in.Sized(), in.Sized()
		clear(s.policy)
		s.assert(code, name)
		s.hashIn(ref)
	case tpm2.TPMCCPolicyAuthorizeNV:
		clear(s.policy)
		c.assertNamed(s, code, p.Handles[1])
	case tpm2.TPMCCPolicyOR:
		clear(s.policy)
		var digests []byte
		for range in.U32() {
			digests = append(digests, in.Sized()...)
		}
		s.assert(code, digests)
	case tpm2.TPMCCPolicyPCR:
		s.policy = nil // which PCRs were taken, only the device knows
	case tpm2.TPMCCPolicyNV:
		c.assertNamed(s, code, p.Handles[1], s.argumentHash(p.Parameters))
	case tpm2.TPMCCPolicyCounterTimer:
		s.assert(code, s.argumentHash(p.Parameters))
	case tpm2.TPMCCPolicyCpHash, tpm2.TPMCCPolicyNameHash, tpm2.TPMCCPolicyTemplate:
		s.assert(code, in.Sized())
	case tpm2.TPMCCPolicyDuplicationSelect:
		object, parent, include := in.Sized(), in.Sized(), in.Take(1)
		if include[0] == 0 {
			object = nil
		}
		s.assert(code, object, parent, include)
	case tpm2.TPMCCPolicyAuthValue:
		s.assert(code)
		s.needsAuth, s.needsPassword = true, false
	case tpm2.TPMCCPolicyPassword:
		s.assert(tpm2.TPMCCPolicyAuthValue)
		s.needsAuth, s.needsPassword = false, true
	default: // PolicyLocality, PolicyCommandCode, PolicyPhysicalPresence, PolicyNvWritten
		s.assert(code, p.Parameters)
	}
}

// policyCodes are the commands that change a policyDigest.
var policyCodes = [...]tpm2.TPMCC{
	tpm2.TPMCCPolicyNV, tpm2.TPMCCPolicySecret, tpm2.TPMCCPolicySigned, tpm2.TPMCCPolicyAuthorize, tpm2.TPMCCPolicyAuthValue,
	tpm2.TPMCCPolicyCommandCode, tpm2.TPMCCPolicyCounterTimer, tpm2.TPMCCPolicyCpHash, tpm2.TPMCCPolicyLocality,
	tpm2.TPMCCPolicyNameHash, tpm2.TPMCCPolicyOR, tpm2.TPMCCPolicyTicket, tpm2.TPMCCPolicyPCR, tpm2.TPMCCPolicyRestart,
	tpm2.TPMCCPolicyPhysicalPresence, tpm2.TPMCCPolicyDuplicationSelect, tpm2.TPMCCPolicyPassword, tpm2.TPMCCPolicyNvWritten,
	tpm2.TPMCCPolicyTemplate, tpm2.TPMCCPolicyAuthorizeNV,
}

func isPolicy(code tpm2.TPMCC) bool { return slices.Contains(policyCodes[:], code) }

// assertNamed is assert with the Name of an entity at the end. What comes of
// one that the caller does not know, it does not know either.
func (c *caller) assertNamed(s *liveSession, code tpm2.TPMCC, handle uint32, arguments ...[]byte) {
	if c.nameOf(handle) == nil {
		s.policy = nil
	}
	s.assert(code, append(arguments, c.nameOf(handle))...)
}

// assert is PolicyUpdate without policyRef.
func (s *liveSession) assert(code tpm2.TPMCC, arguments ...[]byte) {
	s.hashIn(append([][]byte{wire.U32(uint32(code))}, arguments...)...)
}

func (s *liveSession) hashIn(parts ...[]byte) {
	if s.policy == nil {
		return
	}
	h := s.hash.New()
	h.Write(s.policy)
	for _, part := range parts {
		h.Write(part)
	}
	s.policy = h.Sum(nil)
}

// argumentHash is that of operandB, offset and operation.
func (s *liveSession) argumentHash(parameters []byte) []byte {
	operand, rest, _ := conformance.CutSized(parameters)
	h := s.hash.New()
	h.Write(operand)
	h.Write(rest)
	return h.Sum(nil)
}
