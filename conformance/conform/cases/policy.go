package cases

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// trialSession starts a trial session.
func trialSession() conform.Step { return conform.Start(wire.SessionTrial).Named("policy") }

// digestRight asks for the policyDigest, which the client compares with its own.
func digestRight() conform.Step { return do(tpm2.TPMCCPolicyGetDigest, handle("policy")) }

// assertion is a policy command and its parameters.
type assertion struct {
	code       tpm2.TPMCC
	parameters join
	// real reports whether it is true in a policy session that has just been started.
	real bool
}

// assertions are policies that need nothing but a session.
func assertions() []assertion {
	return []assertion{
		{tpm2.TPMCCPolicyAuthValue, nil, true},
		{tpm2.TPMCCPolicyPassword, nil, true},
		{tpm2.TPMCCPolicyPhysicalPresence, nil, true},
		{tpm2.TPMCCPolicyCommandCode, with(u32(uint32(tpm2.TPMCCSign))), true},
		{tpm2.TPMCCPolicyLocality, with(byte(1)), true},
		{tpm2.TPMCCPolicyNvWritten, with(true), true},
		{tpm2.TPMCCPolicyCpHash, with(octets(32)), true},
		{tpm2.TPMCCPolicyNameHash, with(octets(32)), true},
		{tpm2.TPMCCPolicyTemplate, with(octets(32)), true},
		{tpm2.TPMCCPolicyDuplicationSelect, with(octets(34), octets(34), true), true},
		{tpm2.TPMCCPolicyOR, with(u32(2), octets(32), make([]byte, 32)), true},
		{tpm2.TPMCCPolicyCounterTimer, with(make([]byte, 4), u16(16), u16(uint16(tpm2.TPMEOUnsignedGE))), true},
		{tpm2.TPMCCPolicyAuthorize, with(octets(32), "ref", append([]byte{0, 0xb}, octets(32)...), u16(uint16(tpm2.TPMSTVerified)), null, empty), false},
		{tpm2.TPMCCPolicyPCR, with(empty, oneBank(tpm2.TPMAlgSHA256, 16)), true},
		{tpm2.TPMCCPolicyGetDigest, nil, true},
	}
}

// policyCases are those of Part 3, chapter "Enhanced Authorization (EA) Commands".
func policyCases() []conform.Case {
	var cases []conform.Case
	for _, a := range assertions() {
		policy := on("policy")
		cases = append(cases, built(
			about(a.code, "in a trial session", policy, a.parameters).first(trialSession()).next(digestRight()).gives("makes the digest that the client computes"),
			about(a.code, "in an HMAC session", policy, a.parameters, h(1, tpm2.TPMRCValue)).first(conform.Start(wire.SessionHMAC).Named("policy")),
			about(a.code, "in a session that was flushed", policy, a.parameters, tpm2.TPMRCReferenceH0).first(trialSession(), conform.Flush("policy")),
		)...)
		if a.real {
			cases = append(cases, about(a.code, "in a policy session", policy, a.parameters).first(policySession()).next(digestRight()).gives("makes the digest that the client computes").build())
		}
	}
	return slices.Concat(cases, policyRefusals(), policyPCRCases(), policyTimeCases(), policyNVCases(), policySecretCases(), policySignedCases(), policyTicketCases(), policyAuthorizeCases(), policyUseCases())
}

func policyRefusals() []conform.Case {
	in := on("policy")
	sha384 := do(tpm2.TPMCCStartAuthSession, null, null).With(with(octets(16), empty, byte(wire.SessionTrial), tpm2.TPMAlgNull, tpm2.TPMAlgSHA384)...).Named("policy")
	assert := func(code tpm2.TPMCC, parameters ...any) conform.Step {
		return do(code, handle("policy")).With(with(parameters...)...)
	}
	or, locality, code := tpm2.TPMCCPolicyOR, tpm2.TPMCCPolicyLocality, tpm2.TPMCCPolicyCommandCode
	cp, names, template, selects := tpm2.TPMCCPolicyCpHash, tpm2.TPMCCPolicyNameHash, tpm2.TPMCCPolicyTemplate, tpm2.TPMCCPolicyDuplicationSelect
	written, digest, authorize := tpm2.TPMCCPolicyNvWritten, tpm2.TPMCCPolicyGetDigest, tpm2.TPMCCPolicyAuthorize
	cases := built(
		about(or, "with one digest", in, with(u32(1), octets(32)), p(1, tpm2.TPMRCSize)).first(trialSession()),
		about(or, "with no digest", in, with(u32(0)), p(1, tpm2.TPMRCSize)).first(trialSession()),
		about(or, "with nine digests", in, with(u32(9)), p(1, tpm2.TPMRCSize)).first(trialSession()),
		about(or, "of which none is that of the session", in, with(u32(2), octets(32), octets(32)), p(1, tpm2.TPMRCValue)).first(policySession()),
		about(or, "of which none is that of the trial session", in, with(u32(2), octets(32), octets(32))).first(trialSession()).next(digestRight()).gives("makes the digest that the client computes"),
		about(or, "with eight digests", in, with(u32(8), octets(32), octets(31), octets(30), octets(29), octets(28), octets(27), empty, make([]byte, 32))).first(policySession()).next(digestRight()).
			gives("makes the digest that the client computes"),
		about(locality, "of none", in, with(byte(0)), p(1, tpm2.TPMRCRange)).first(policySession()),
		about(locality, "of another than before", in, with(byte(2)), p(1, tpm2.TPMRCRange)).first(policySession(), assert(locality, byte(1))),
		about(locality, "of fewer than before", in, with(byte(2))).first(policySession(), assert(locality, byte(3))).next(digestRight()).gives("makes the digest that the client computes"),
		about(locality, "of an extended one after an ordinary one", in, with(byte(32)), p(1, tpm2.TPMRCRange)).first(policySession(), assert(locality, byte(1))),
		about(locality, "of an extended one", in, with(byte(32))).first(policySession()).next(digestRight()).gives("makes the digest that the client computes"),
		about(code, "of another command than before", in, with(u32(uint32(tpm2.TPMCCSign))), p(1, tpm2.TPMRCValue)).first(policySession(), forCode(tpm2.TPMCCUnseal)),
		about(code, "of the same command as before", in, with(u32(uint32(tpm2.TPMCCSign)))).first(policySession(), forCode(tpm2.TPMCCSign)).next(digestRight()).gives("makes the digest that the client computes"),
		about(code, "of a command that there is not", in, with(u32(0x11e)), p(1, tpm2.TPMRCPolicyCC)).first(policySession()),
		about(cp, "of 31 octets", in, with(octets(31)), p(1, tpm2.TPMRCSize)).first(policySession()),
		about(cp, "of 32 octets in a session with SHA-384", in, with(octets(32)), p(1, tpm2.TPMRCSize)).first(sha384).needing(tpm2.TPMAlgSHA384),
		about(cp, "of 48 octets in a session with SHA-384", in, with(octets(48))).first(sha384).needing(tpm2.TPMAlgSHA384).next(digestRight()).gives("makes the digest that the client computes"),
		about(cp, "of another hash than before", in, with(octets(32)), tpm2.TPMRCCPHash).first(policySession(), assert(cp, make([]byte, 32))),
		about(cp, "of the same hash as before", in, with(octets(32))).first(policySession(), assert(cp, octets(32))).next(digestRight()).gives("makes the digest that the client computes"),
		about(cp, "after PolicyNameHash", in, with(octets(32)), tpm2.TPMRCCPHash).first(policySession(), assert(names, octets(32))),
		about(names, "of 31 octets", in, with(octets(31)), p(1, tpm2.TPMRCSize)).first(policySession()),
		about(names, "after PolicyCpHash", in, with(octets(32)), tpm2.TPMRCCPHash).first(policySession(), assert(cp, octets(32))),
		about(names, "of another hash than before", in, with(octets(32)), tpm2.TPMRCCPHash).first(policySession(), assert(names, make([]byte, 32))),
		about(template, "of 31 octets", in, with(octets(31)), p(1, tpm2.TPMRCSize)).first(policySession()),
		about(template, "after PolicyCpHash", in, with(octets(32)), tpm2.TPMRCCPHash).first(policySession(), assert(cp, octets(32))),
		about(template, "of another hash than before", in, with(octets(32)), tpm2.TPMRCCPHash).first(policySession(), assert(template, make([]byte, 32))).in(since(159, section(template))),
		about(selects, "after PolicyCommandCode", in, with(octets(34), octets(34), true), tpm2.TPMRCCommandCode).first(policySession(), forCode(tpm2.TPMCCDuplicate)),
		about(selects, "after PolicyCpHash", in, with(octets(34), octets(34), true), tpm2.TPMRCCPHash).first(policySession(), assert(cp, octets(32))),
		about(selects, "without the object in it", in, with(octets(34), octets(34), false)).first(trialSession()).next(digestRight()).gives("makes the digest that the client computes"),
		about(selects, "with a Name that is too long", in, with(octets(200), octets(34), false), p(1, tpm2.TPMRCSize)).first(trialSession()),
		about(written, "of the contrary of before", in, with(false), p(1, tpm2.TPMRCValue)).first(policySession(), assert(written, true)),
		about(written, "of neither YES nor NO", in, with(byte(2)), p(1, tpm2.TPMRCValue)).first(policySession()),
		about(written, "of the same as before", in, with(true)).first(policySession(), assert(written, true)).next(digestRight()).gives("makes the digest that the client computes"),
		about(digest, "in a session that has just been started", in, nil).first(policySession()).check("gives zeros", firstIs(make([]byte, 32))),
		about(digest, "in a session with SHA-384", in, nil).first(sha384).needing(tpm2.TPMAlgSHA384).check("gives 48 zeros", firstIs(make([]byte, 48))),
		about(digest, "after PolicyRestart", in, nil).first(policySession(), forCode(tpm2.TPMCCSign), assert(tpm2.TPMCCPolicyRestart)).check("gives zeros", firstIs(make([]byte, 32))),
		about(authorize, "with another policy than that of the session", in, with(octets(32), empty, append([]byte{0, 0xb}, octets(32)...), noTicket(tpm2.TPMSTVerified)), p(1, tpm2.TPMRCValue)).first(policySession()),
		about(authorize, "with a Name whose hash algorithm there is not", in, with(make([]byte, 32), empty, append([]byte{0x7f, 0xff}, octets(32)...), noTicket(tpm2.TPMSTVerified)), p(3, tpm2.TPMRCHash)).first(policySession()),
		about(authorize, "with a Name that is too short", in, with(make([]byte, 32), empty, append([]byte{0, 0xb}, octets(31)...), noTicket(tpm2.TPMSTVerified)), p(3, tpm2.TPMRCSize)).first(policySession()),
		about(authorize, "with a ticket of another kind", in, with(make([]byte, 32), empty, append([]byte{0, 0xb}, octets(32)...), noTicket(tpm2.TPMSTHashCheck)), p(4, tpm2.TPMRCTag)).first(policySession()),
		about(authorize, "with a null ticket", in, with(make([]byte, 32), empty, append([]byte{0, 0xb}, octets(32)...), noTicket(tpm2.TPMSTVerified)), invalidTicket()...).first(policySession()),
	)
	for _, first := range []tpm2.TPMCC{tpm2.TPMCCPolicyAuthValue, tpm2.TPMCCPolicyPassword} {
		cases = append(cases, about(digest, "after two assertions, the first of them "+codeText(first), in, nil).first(trialSession(), assert(first), forCode(tpm2.TPMCCSign)).
			gives("gives the digest that the client computes").build())
	}
	return cases
}

func policyPCRCases() []conform.Case {
	pcr, in := tpm2.TPMCCPolicyPCR, on("policy")
	sha256 := tpm2.TPMAlgSHA256
	read := do(tpm2.TPMCCPCRRead).With(oneBank(sha256, 0, 7)).Named("pcrs")
	return built(
		about(pcr, "with a bank that there is not", in, with(empty, selection(0x7fff, 0)), p(2, tpm2.TPMRCHash)).first(policySession()),
		about(pcr, "with 17 selections", in, with(empty, u32(17)), p(2, tpm2.TPMRCSize)).first(policySession()),
		about(pcr, "with a digest that is not that of the PCRs", in, with(octets(32), oneBank(sha256, 0, 7)), p(1, tpm2.TPMRCValue)).first(policySession()).needing(bank(sha256)),
		about(pcr, "with a digest that is not that of the PCRs, in a trial session", in, with(octets(32), oneBank(sha256, 0, 7))).first(trialSession()).needing(bank(sha256)).
			next(digestRight().Checked(conform.Check{Says: "the digest has the one that was given in it", Test: firstIs(policyOf(pcrAssertion(octets(32), 0, 7)))})).gives("takes it"),
		about(pcr, "with the digest of the PCRs", in, with(conform.Computed(func(s *conform.State) ([]byte, error) {
			digest, err := pcrDigest(s)
			return wire.Sized(digest), err
		}), oneBank(sha256, 0, 7))).first(policySession(), read).needing(bank(sha256)),
		about(pcr, "without a digest", in, with(empty, oneBank(sha256, 0, 7))).first(policySession(), read).needing(bank(sha256)).
			next(digestRight().Checked(conform.Check{Says: "the digest has that of the PCRs in it", Test: func(a *conform.Answer) error {
				digest, err := pcrDigest(a.State)
				if err != nil {
					return err
				}
				return firstIs(policyOf(pcrAssertion(digest, 0, 7)))(a)
			}})).gives("takes that of the PCRs"),
		about(pcr, "again after a PCR was extended", in, with(empty, oneBank(sha256, 8)), tpm2.TPMRCPCRChanged).needing(bank(sha256)).harming(conform.ExtendsPCR).
			first(policySession(), do(pcr, handle("policy")).With(with(empty, oneBank(sha256, 8))...), do(tpm2.TPMCCPCRExtend, u32(8)).With(digestList(sha256, octets(32)))),
	)
}

// pcrAssertion is what PolicyPCR hashes.
func pcrAssertion(digest []byte, pcrs ...int) []byte {
	return asserted(tpm2.TPMCCPolicyPCR, marshaled(oneBank(tpm2.TPMAlgSHA256, pcrs...)), digest)
}

// pcrDigest is the digest of the values that the step "pcrs" has read.
func pcrDigest(s *conform.State) ([]byte, error) {
	read, err := s.Field("pcrs", 1)
	if err != nil {
		return nil, err
	}
	_, values := pcrValues(read)
	return hashOf(hashes[1].hash, values...), nil
}

// comparisons are the operations of TPM_EO, with operands for which they are true or false
// of the value 0x8001020304050607.
var comparisons = []struct {
	operation tpm2.TPMEO
	name      string
	operand   uint64
	holds     bool
}{
	{tpm2.TPMEOEq, "equality", 0x8001020304050607, true}, {tpm2.TPMEOEq, "equality", 0x8001020304050608, false},
	{tpm2.TPMEONeq, "inequality", 0x8001020304050608, true}, {tpm2.TPMEONeq, "inequality", 0x8001020304050607, false},
	{tpm2.TPMEOSignedGT, "signed greater than", 0x8001020304050606, true}, {tpm2.TPMEOSignedGT, "signed greater than", 1, false},
	{tpm2.TPMEOUnsignedGT, "unsigned greater than", 1, true}, {tpm2.TPMEOUnsignedGT, "unsigned greater than", 0xffffffffffffffff, false},
	{tpm2.TPMEOSignedLT, "signed less than", 1, true}, {tpm2.TPMEOSignedLT, "signed less than", 0x8001020304050607, false},
	{tpm2.TPMEOUnsignedLT, "unsigned less than", 0xffffffffffffffff, true}, {tpm2.TPMEOUnsignedLT, "unsigned less than", 1, false},
	{tpm2.TPMEOSignedGE, "signed greater or equal", 0x8001020304050607, true}, {tpm2.TPMEOSignedGE, "signed greater or equal", 0, false},
	{tpm2.TPMEOUnsignedGE, "unsigned greater or equal", 0x8001020304050607, true}, {tpm2.TPMEOUnsignedGE, "unsigned greater or equal", 0x8001020304050608, false},
	{tpm2.TPMEOSignedLE, "signed less or equal", 0, true}, {tpm2.TPMEOSignedLE, "signed less or equal", 0x8001020304050606, false},
	{tpm2.TPMEOUnsignedLE, "unsigned less or equal", 0x8001020304050607, true}, {tpm2.TPMEOUnsignedLE, "unsigned less or equal", 0, false},
	{tpm2.TPMEOBitSet, "bits that are set", 0x8001000000000007, true}, {tpm2.TPMEOBitSet, "bits that are set", 0x8002000000000000, false},
	{tpm2.TPMEOBitClear, "bits that are clear", 0x7000000000000000, true}, {tpm2.TPMEOBitClear, "bits that are clear", 1, false},
}

func policyTimeCases() []conform.Case {
	timer, in := tpm2.TPMCCPolicyCounterTimer, on("policy")
	clock := do(tpm2.TPMCCReadClock).Named("clock")
	// The value of resetCount, restartCount and safe, which do not change by themselves.
	counts := conform.Computed(func(s *conform.State) ([]byte, error) {
		time, err := s.Field("clock", 1)
		if err != nil || len(time) != wire.TimeSize {
			return nil, fmt.Errorf("the time is %x: %w", time, err)
		}
		return wire.Sized(time[16:24]), nil
	})
	cases := built(
		about(timer, "beyond the end of TPMS_TIME_INFO", in, with(octets(4), u16(22), u16(0)), tpm2.TPMRCRange, p(1, tpm2.TPMRCRange), p(2, tpm2.TPMRCRange)).first(policySession()),
		about(timer, "with an offset beyond the end of TPMS_TIME_INFO", in, with(empty, u16(26), u16(0)), anyNumber(tpm2.TPMRCRange, tpm2.TPMRCValue)...).first(policySession()),
		about(timer, "with an operation that there is not", in, with(octets(4), u16(16), u16(12)), p(3, tpm2.TPMRCValue)).first(policySession()),
		about(timer, "with a comparison that is not true, in a trial session", in, with(octets(8), u16(16), u16(0))).first(trialSession()).next(digestRight()).gives("makes the digest that the client computes"),
	)
	for _, o := range []struct {
		operation tpm2.TPMEO
		name      string
		holds     bool
	}{
		{tpm2.TPMEOEq, "equality", true}, {tpm2.TPMEONeq, "inequality", false}, {tpm2.TPMEOUnsignedGT, "unsigned greater than", false}, {tpm2.TPMEOUnsignedLT, "unsigned less than", false},
		{tpm2.TPMEOUnsignedGE, "unsigned greater or equal", true}, {tpm2.TPMEOUnsignedLE, "unsigned less or equal", true}, {tpm2.TPMEOSignedGE, "signed greater or equal", true},
		{tpm2.TPMEOSignedLE, "signed less or equal", true}, {tpm2.TPMEOSignedGT, "signed greater than", false}, {tpm2.TPMEOSignedLT, "signed less than", false}, {tpm2.TPMEOBitSet, "bits that are set", true},
	} {
		var want []tpm2.TPMRC
		if !o.holds {
			want = codes(tpm2.TPMRCPolicy)
		}
		cases = append(cases, about(timer, "for "+o.name+" of the counts with themselves", in, with(counts, u16(16), u16(uint16(o.operation))), want...).first(policySession(), clock).build())
	}
	return cases
}

func policyNVCases() []conform.Case {
	nv := tpm2.TPMCCPolicyNV
	value := string(conform.U64(0x8001020304050607))
	ready := []conform.Step{define(0, ordinary, 8), nvWriteStep(owner, 0, value, 0)}
	to := on(owner, index(0), "policy")
	compare := func(operand any, offset uint16, operation tpm2.TPMEO) join {
		return with(operand, u16(offset), u16(uint16(operation)))
	}
	cases := built(
		about(nv, "of an index that is not written", to, compare(octets(8), 0, 0), tpm2.TPMRCNVUninitialized).first(define(0, ordinary, 8), policySession()),
		about(nv, "of an index that is not written, in a trial session", to, compare(octets(8), 0, 0)).first(define(0, ordinary, 8), trialSession()).next(digestRight()).gives("makes the digest that the client computes"),
		about(nv, "with an operand that is longer than the index", to, compare(octets(9), 0, 0), p(1, tpm2.TPMRCSize)).first(ready...).first(policySession()),
		about(nv, "with an offset beyond the index", to, compare(empty, 9, 0), p(2, tpm2.TPMRCValue)).first(ready...).first(policySession()),
		about(nv, "with an operation that there is not", to, compare(octets(8), 0, 12), p(3, tpm2.TPMRCValue)).first(ready...).first(policySession()),
		about(nv, "with another index as authorization", on(index(1), index(0), "policy"), compare(octets(8), 0, 0), tpm2.TPMRCNVAuthorization).first(ready...).first(define(1, ordinary, 8), policySession()),
		about(nv, "of an index that is locked for reading", to, compare(octets(8), 0, 0), tpm2.TPMRCNVLocked).
			first(define(0, ordinary|wire.NVReadStClear, 8), nvWriteStep(owner, 0, value, 0), do(tpm2.TPMCCNVReadLock, owner, index(0)), policySession()),
		about(nv, "in an HMAC session", to, compare(octets(8), 0, 0), h(3, tpm2.TPMRCValue)).first(ready...).first(conform.Start(wire.SessionHMAC).Named("policy")),
		about(nv, "of two octets in the middle", to, compare([]byte{2, 3}, 2, tpm2.TPMEOEq)).first(ready...).first(policySession()).next(digestRight()).gives("makes the digest that the client computes"),
		about(nv, "of no octets", to, compare(empty, 8, tpm2.TPMEOEq)).first(ready...).first(policySession()).next(digestRight()).gives("makes the digest that the client computes"),
	)
	for _, c := range comparisons {
		q := about(nv, fmt.Sprintf("for %s of %#x with %#x", c.name, uint64(0x8001020304050607), c.operand), to, compare([]byte(conform.U64(c.operand)), 0, c.operation)).first(ready...).first(policySession())
		if c.holds {
			q.next(digestRight())
		} else {
			q.step.Want = codes(tpm2.TPMRCPolicy)
		}
		cases = append(cases, q.build())
	}
	return append(cases, policyAuthorizeNVCases()...)
}

func policyAuthorizeNVCases() []conform.Case {
	nv, to := tpm2.TPMCCPolicyAuthorizeNV, on(owner, index(0), "policy")
	holding := func(alg uint16, digest []byte) []conform.Step {
		return []conform.Step{define(0, ordinary, uint16(2+len(digest))), nvWriteStep(owner, 0, string(wire.U16(alg))+string(digest), 0)}
	}
	cases := built(
		about(nv, "of an index that is not written", to, nil, tpm2.TPMRCNVUninitialized).first(define(0, ordinary, 34), policySession()),
		about(nv, "of an index with the digest of the session", to, nil).first(holding(0xb, make([]byte, 32))...).first(policySession()).next(digestRight()).gives("makes the digest that the client computes"),
		about(nv, "of an index with another digest", to, nil, anyNumber(tpm2.TPMRCValue)...).first(holding(0xb, octets(32))...).first(policySession()),
		about(nv, "of an index with another hash algorithm than the session", to, nil, anyNumber(tpm2.TPMRCHash)...).first(holding(4, make([]byte, 20))...).first(policySession()).needing(tpm2.TPMAlgSHA1),
		about(nv, "of an index with another digest, in a trial session", to, nil).first(holding(0xb, octets(32))...).first(trialSession()).next(digestRight()).gives("makes the digest that the client computes"),
	)
	for i := range cases {
		cases[i].Section.Since = 138
	}
	return cases
}

// secretly are the parameters of PolicySecret and PolicySigned before a signature.
func secretly(nonce, cpHash, ref any, expiration int32) join {
	return with(nonce, cpHash, ref, u32(uint32(expiration)))
}

// noTicketThere checks for an empty timeout and a null ticket.
func noTicketThere(tag tpm2.TPMST) func(*conform.Answer) error {
	return ticket(tag, tpm2.TPMRHNull, false)
}

func policySecretCases() []conform.Case {
	secret, to := tpm2.TPMCCPolicySecret, on("@secret", "policy")
	nonce := conform.Nonce{Of: handle("policy")}
	return built(
		about(secret, "with the password of an object", to, secretly(empty, empty, "ref", 0)).first(policySession()).next(digestRight()).gives("makes the digest that the client computes"),
		about(secret, "with the password of an object, in a trial session", to, secretly(empty, empty, "ref", 0)).first(trialSession()).next(digestRight()).gives("makes the digest that the client computes"),
		about(secret, "of the null hierarchy", on(tpm2.TPMRHNull, "policy"), secretly(empty, empty, empty, 0), h(1, tpm2.TPMRCValue)).first(policySession()),
		about(secret, "of the owner", on(tpm2.TPMRHOwner, "policy"), secretly(empty, empty, empty, 0)).first(policySession()).next(digestRight()).gives("makes the digest that the client computes"),
		about(secret, "with a wrong password", to, secretly(empty, empty, empty, 0), s(1, tpm2.TPMRCBadAuth)).first(policySession()).by(conform.Password("wrong")),
		about(secret, "with a wrong password, in a trial session", to, secretly(empty, empty, empty, 0), s(1, tpm2.TPMRCBadAuth)).first(trialSession()).by(conform.Password("wrong")),
		about(secret, "without an authorization", to, secretly(empty, empty, empty, 0), tpm2.TPMRCAuthMissing).first(policySession()).unauthorized(),
		about(secret, "with another nonce than that of the session", to, secretly(octets(32), empty, empty, 0), p(1, tpm2.TPMRCNonce)).first(policySession()),
		about(secret, "with the nonce of the session", to, secretly(nonce, empty, empty, 0)).first(policySession()).next(digestRight()).gives("makes the digest that the client computes"),
		about(secret, "with a cpHashA of 31 octets", to, secretly(empty, octets(31), empty, 0), p(2, tpm2.TPMRCSize)).first(policySession()),
		about(secret, "with another cpHashA than before", to, secretly(empty, octets(32), empty, 0), tpm2.TPMRCCPHash).
			first(policySession(), do(tpm2.TPMCCPolicyCpHash, handle("policy")).With(conform.Bytes(make([]byte, 32)))),
		about(secret, "without an expiration", to, secretly(empty, empty, empty, 0)).first(policySession()).check("gives a null ticket", noTicketThere(tpm2.TPMSTAuthSecret)),
		about(secret, "with an expiration of 1,000 seconds", to, secretly(nonce, empty, empty, 1000)).first(policySession()).check("gives a null ticket", noTicketThere(tpm2.TPMSTAuthSecret)),
		about(secret, "with an expiration of -1,000 seconds", to, secretly(nonce, empty, empty, -1000)).first(policySession()).
			check("gives a ticket", ticket(tpm2.TPMSTAuthSecret, tpm2.TPMRHNull, true)),
		about(secret, "of the owner, with an expiration of -1,000 seconds", on(tpm2.TPMRHOwner, "policy"), secretly(nonce, empty, empty, -1000)).first(policySession()).
			check("gives a ticket", ticket(tpm2.TPMSTAuthSecret, tpm2.TPMRHOwner, true)),
		about(secret, "with an expiration of -1,000 seconds, in a trial session", to, secretly(empty, empty, empty, -1000)).first(trialSession()).check("gives a null ticket", noTicketThere(tpm2.TPMSTAuthSecret)),
	)
}

// signedAssertion is the signature that PolicySigned wants: of the nonce, the expiration,
// cpHashA and policyRef.
func signedAssertion(nonce conform.Part, cpHash, ref []byte, expiration int32) conform.Computed {
	return func(s *conform.State) ([]byte, error) {
		var n []byte
		if nonce != nil {
			b, err := nonce.Append(nil, s)
			if err != nil {
				return nil, err
			}
			n = b[2:]
		}
		signature, ok := conversation.KeyNamed("p256").Sign(slices.Concat(n, wire.U32(uint32(expiration)), cpHash, ref))
		if !ok {
			return nil, fmt.Errorf("the client's ECC key does not sign")
		}
		return signature, nil
	}
}

func policySignedCases() []conform.Case {
	signed, to := tpm2.TPMCCPolicySigned, on("@ecc public", "policy")
	nonce := conform.Nonce{Of: handle("policy")}
	plain := signedAssertion(nil, nil, []byte("ref"), 0)
	garbage := with(tpm2.TPMAlgECDSA, tpm2.TPMAlgSHA256, octets(32), octets(32))
	return built(
		about(signed, "with a signature", to, with(secretly(empty, empty, "ref", 0), plain)).first(policySession()).next(digestRight()).gives("makes the digest that the client computes"),
		about(signed, "with a signature that is none", to, with(secretly(empty, empty, "ref", 0), garbage), p(5, tpm2.TPMRCSignature)).first(policySession()),
		about(signed, "with a signature that is none, in a trial session", to, with(secretly(empty, empty, "ref", 0), garbage)).first(trialSession()).next(digestRight()).gives("makes the digest that the client computes"),
		about(signed, "with the signature of another policyRef", to, with(secretly(empty, empty, "other", 0), plain), p(5, tpm2.TPMRCSignature)).first(policySession()),
		about(signed, "with the signature of another expiration", to, with(secretly(empty, empty, "ref", 1000000), plain), p(5, tpm2.TPMRCSignature)).first(policySession()),
		about(signed, "with the signature of another cpHashA", to, with(secretly(empty, octets(32), "ref", 0), plain), p(5, tpm2.TPMRCSignature)).first(policySession()),
		about(signed, "with a signature in a scheme for RSA", to, with(secretly(empty, empty, "ref", 0), signedRSA(tpm2.TPMAlgRSASSA, 1)), p(5, tpm2.TPMRCScheme)).first(policySession()),
		about(signed, "with another nonce than that of the session", to, with(secretly(octets(32), empty, "ref", 0), plain), p(1, tpm2.TPMRCNonce)).first(policySession()),
		about(signed, "with a cpHashA of 31 octets", to, with(secretly(empty, octets(31), "ref", 0), plain), p(2, tpm2.TPMRCSize)).first(policySession()),
		about(signed, "with the nonce of the session", to, with(secretly(nonce, empty, "ref", 0), signedAssertion(nonce, nil, []byte("ref"), 0))).first(policySession()).next(digestRight()).
			gives("makes the digest that the client computes"),
		about(signed, "with an expiration of -1,000 seconds", to, with(secretly(nonce, empty, "ref", -1000), signedAssertion(nonce, nil, []byte("ref"), -1000))).first(policySession()).
			check("gives a ticket", ticket(tpm2.TPMSTAuthSigned, tpm2.TPMRHNull, true)),
		about(signed, "without an expiration", to, with(secretly(empty, empty, "ref", 0), plain)).first(policySession()).check("gives a null ticket", noTicketThere(tpm2.TPMSTAuthSigned)),
		about(signed, "with a key that only decrypts", on("@ecc decrypt", "policy"), with(secretly(empty, empty, "ref", 0), garbage), anyNumber(tpm2.TPMRCSignature, tpm2.TPMRCScheme, tpm2.TPMRCKey, tpm2.TPMRCAttributes)...).first(policySession()),
	)
}

func policyTicketCases() []conform.Case {
	code, in := tpm2.TPMCCPolicyTicket, on("policy")
	nonce := conform.Nonce{Of: handle("policy")}
	given := do(tpm2.TPMCCPolicySecret, handle("@secret"), handle("policy")).With(secretly(nonce, empty, "ref", -1000)...).Named("given")
	again := conform.Start(wire.SessionPolicy).Named("policy")
	timeout, proof := field{Of: "given", N: 1}, field{Of: "given", N: 2}
	name := conform.Name{Of: handle("@secret")}
	first := []conform.Step{policySession(), given, conform.Flush("policy"), again}
	return built(
		about(code, "with the ticket of PolicySecret", in, with(timeout, empty, "ref", name, proof)).first(first...).next(digestRight()).gives("makes the digest that the client computes"),
		about(code, "with a ticket that was changed", in, with(timeout, empty, "ref", name, changed(proof, -1)), p(5, tpm2.TPMRCTicket)).first(first...),
		about(code, "with the ticket of another policyRef", in, with(timeout, empty, "other", name, proof), p(5, tpm2.TPMRCTicket)).first(first...),
		about(code, "with the ticket of another cpHashA", in, with(timeout, octets(32), "ref", name, proof), p(5, tpm2.TPMRCTicket)).first(first...),
		about(code, "with the ticket of another object", in, with(timeout, empty, "ref", append([]byte{0, 0xb}, octets(32)...), proof), p(5, tpm2.TPMRCTicket)).first(first...),
		about(code, "with another timeout than that of the ticket", in, with(changed(timeout, -1), empty, "ref", name, proof), p(5, tpm2.TPMRCTicket)).first(first...),
		about(code, "with a cpHashA of 31 octets", in, with(timeout, octets(31), "ref", name, proof), p(2, tpm2.TPMRCSize)).first(first...),
		about(code, "with a timeout that is too short", in, with(octets(3), empty, "ref", name, proof), p(1, tpm2.TPMRCSize)).first(first...),
		about(code, "with a ticket of another kind", in, with(timeout, empty, "ref", name, noTicket(tpm2.TPMSTHashCheck)), p(5, tpm2.TPMRCTag)).first(first...),
		about(code, "in a trial session", in, with(timeout, empty, "ref", name, proof), h(1, tpm2.TPMRCAttributes)).
			first(policySession(), given, conform.Flush("policy"), trialSession()),
	)
}

// invalidTicket are the codes for a ticket of TPM2_PolicyAuthorize that is not valid. Part 3,
// 23.16.1, says TPM_RC_POLICY; the actions that Part 3 had up to revision 1.59 (23.16.3) give
// TPM_RC_VALUE for the parameter.
func invalidTicket() []tpm2.TPMRC {
	return []tpm2.TPMRC{p(4, tpm2.TPMRCValue), tpm2.TPMRCPolicy}
}

func policyAuthorizeCases() []conform.Case {
	code, in := tpm2.TPMCCPolicyAuthorize, on("policy")
	approved := codePolicy(tpm2.TPMCCSign)
	signature, ok := conversation.KeyNamed("p256").Sign(append(bytes.Clone(approved), "ref"...))
	if !ok {
		panic("conform: the client's ECC key does not sign") // a constant is wrong
	}
	digest := hashOf(hashes[1].hash, approved, []byte("ref"))
	first := []conform.Step{
		publicOnly("p256", outside|signs, eccSigns, owner).Named("key"),
		do(tpm2.TPMCCVerifySignature, handle("key")).With(conform.Bytes(digest), raw(signature)).Named("verified"),
		policySession(), forCode(tpm2.TPMCCSign),
	}
	name, proof := conform.Name{Of: handle("key")}, field{Of: "verified", N: 1}
	return built(
		about(code, "with a policy that a key has signed", in, with(approved, "ref", name, proof)).first(first...).next(digestRight()).gives("makes the digest that the client computes"),
		about(code, "with a ticket that was changed", in, with(approved, "ref", name, changed(proof, -1)), invalidTicket()...).first(first...),
		about(code, "with another policyRef than the one that was signed", in, with(approved, "other", name, proof), invalidTicket()...).first(first...),
		about(code, "with the Name of another key than the one that has signed", in, with(approved, "ref", append([]byte{0, 0xb}, octets(32)...), proof), invalidTicket()...).first(first...),
		about(code, "with a policy that the session has not come to", in, with(approved, "ref", name, proof), p(1, tpm2.TPMRCValue)).first(first[:3]...),
	)
}

// guarded loads sealed data with a policy and an authorization value.
func guarded(policy []byte) conform.Step {
	k := conversation.KeyNamed("sealed")
	unique := hashOf(hashes[1].hash, bytes.Repeat([]byte{0x5e}, 32), k.Secret)
	area := public(k.Kind, wire.ObjectNoDA, conform.Bytes(policy), noScheme, conform.Bytes(unique))
	return do(tpm2.TPMCCLoadExternal).With(privateArea("sealed", "auth"), area, null).Named("object").Giving("auth")
}

// policyUseCases are those about what a policy session authorizes.
func policyUseCases() []conform.Case {
	unseal, on := tpm2.TPMCCUnseal, on("object")
	use := part1("19.7", "Enhanced Authorization")
	assert := func(code tpm2.TPMCC, parameters ...any) conform.Step {
		return do(code, handle("policy")).With(with(parameters...)...)
	}
	q := func(what string, policy []byte, asserts []conform.Step, by conform.Auth, want ...tpm2.TPMRC) *question {
		steps := append([]conform.Step{guarded(policy), policySession()}, asserts...)
		return about(unseal, what, on, nil, want...).first(steps...).by(by).in(use)
	}
	plain, keyed := thatPolicy(), conform.In(handle("policy"), 0)
	password := conform.Auth{Session: handle("policy"), Attributes: 1, Default: true}
	steps := func(s ...conform.Step) []conform.Step { return s }
	code := func(c tpm2.TPMCC) []byte { return policyOf(asserted(tpm2.TPMCCPolicyCommandCode, wire.U32(uint32(c)))) }
	authValue := policyOf(asserted(tpm2.TPMCCPolicyAuthValue))
	locality := func(l byte) []byte { return policyOf(asserted(tpm2.TPMCCPolicyLocality, []byte{l})) }
	written := policyOf(asserted(tpm2.TPMCCPolicyNvWritten, []byte{1}))
	presence := policyOf(asserted(tpm2.TPMCCPolicyPhysicalPresence))
	return built(
		q("by a policy session without an assertion", code(unseal), nil, plain, s(1, tpm2.TPMRCPolicyFail)),
		q("by a policy for it", code(unseal), steps(forCode(unseal)), plain),
		q("by a policy for another command", code(tpm2.TPMCCSign), steps(forCode(tpm2.TPMCCSign)), plain, s(1, tpm2.TPMRCPolicyCC)),
		q("by another policy than that of the object", code(unseal), steps(forCode(tpm2.TPMCCSign)), plain, s(1, tpm2.TPMRCPolicyFail), s(1, tpm2.TPMRCPolicyCC)),
		q("by a policy with PolicyAuthValue and the value", authValue, steps(assert(tpm2.TPMCCPolicyAuthValue)), keyed),
		q("by a policy with PolicyAuthValue and another value", authValue, steps(assert(tpm2.TPMCCPolicyAuthValue)), keyed.Knowing("wrong"), s(1, tpm2.TPMRCBadAuth)),
		q("by a policy with PolicyAuthValue and the password", authValue, steps(assert(tpm2.TPMCCPolicyAuthValue)), password, s(1, tpm2.TPMRCBadAuth)),
		q("by a policy with PolicyPassword and the password", authValue, steps(assert(tpm2.TPMCCPolicyPassword)), password),
		q("by a policy with PolicyPassword and another password", authValue, steps(assert(tpm2.TPMCCPolicyPassword)),
			conform.Auth{Session: handle("policy"), Attributes: 1, Password: []byte("wrong")}, s(1, tpm2.TPMRCBadAuth)),
		q("by a policy with PolicyAuthValue after PolicyPassword, and the value", policyOf(asserted(tpm2.TPMCCPolicyAuthValue), asserted(tpm2.TPMCCPolicyAuthValue)),
			steps(assert(tpm2.TPMCCPolicyPassword), assert(tpm2.TPMCCPolicyAuthValue)), keyed),
		q("by a policy for locality 0", locality(1), steps(assert(tpm2.TPMCCPolicyLocality, byte(1))), plain),
		q("by a policy for locality 1", locality(2), steps(assert(tpm2.TPMCCPolicyLocality, byte(2))), plain, tpm2.TPMRCLocality),
		q("by a policy for localities 0 and 3", locality(9), steps(assert(tpm2.TPMCCPolicyLocality, byte(9))), plain),
		q("by a policy for localities 0 and 3 at locality 3", locality(9), steps(assert(tpm2.TPMCCPolicyLocality, byte(9))), plain).at(3),
		q("by a policy for localities 0 and 3 at locality 2", locality(9), steps(assert(tpm2.TPMCCPolicyLocality, byte(9))), plain, tpm2.TPMRCLocality).at(2),
		q("by a policy with PolicyNvWritten, which is about indices", written, steps(assert(tpm2.TPMCCPolicyNvWritten, true)), plain, s(1, tpm2.TPMRCPolicyFail)),
		q("by a policy with PolicyPhysicalPresence, which is not asserted", presence, steps(assert(tpm2.TPMCCPolicyPhysicalPresence)), plain, s(1, tpm2.TPMRCPP)),
		q("by a policy with the cpHash of another command", policyOf(asserted(tpm2.TPMCCPolicyCpHash, octets(32))), steps(assert(tpm2.TPMCCPolicyCpHash, octets(32))), plain, s(1, tpm2.TPMRCPolicyFail)),
		q("by a policy with the nameHash of other objects", policyOf(asserted(tpm2.TPMCCPolicyNameHash, octets(32))), steps(assert(tpm2.TPMCCPolicyNameHash, octets(32))), plain, s(1, tpm2.TPMRCPolicyFail)),
		q("by a policy with a templateHash, which is about other commands", policyOf(asserted(tpm2.TPMCCPolicyTemplate, octets(32))), steps(assert(tpm2.TPMCCPolicyTemplate, octets(32))), plain, s(1, tpm2.TPMRCPolicyFail)),
		q("by one of two policies", policyOr(code(unseal), code(tpm2.TPMCCSign)), steps(forCode(unseal), assert(tpm2.TPMCCPolicyOR, u32(2), code(unseal), code(tpm2.TPMCCSign))), plain),
		q("by the other one of two policies", policyOr(code(tpm2.TPMCCSign), code(unseal)), steps(forCode(unseal), assert(tpm2.TPMCCPolicyOR, u32(2), code(tpm2.TPMCCSign), code(unseal))), plain),
		q("a second time by a policy session", code(unseal), steps(forCode(unseal), do(unseal, handle("object")).By(plain)), plain, s(1, tpm2.TPMRCPolicyFail)),
		q("by a policy for it, in a session that ends", code(unseal), steps(forCode(unseal)), plain.Once()).next(do(tpm2.TPMCCPolicyGetDigest, handle("policy")).Fails(tpm2.TPMRCReferenceH0)).
			gives("answers TPM_RC_SUCCESS and ends it"),
		about(unseal, "by a trial session", on, nil, s(1, tpm2.TPMRCAttributes)).first(guarded(code(unseal)), trialSession(), forCode(unseal)).by(plain).in(use),
		about(unseal, "by password of data that only a policy authorizes", on, nil, tpm2.TPMRCAuthUnavailable).first(guarded(code(unseal))).in(use),
		about(unseal, "by a policy after a PCR was extended", on, nil, tpm2.TPMRCPCRChanged).in(use).harming(conform.ExtendsPCR).needing(bank(tpm2.TPMAlgSHA256)).by(plain).
			first(guarded(code(unseal)), policySession(), assert(tpm2.TPMCCPolicyPCR, empty, oneBank(tpm2.TPMAlgSHA256, 8)), do(tpm2.TPMCCPCRExtend, u32(8)).With(digestList(tpm2.TPMAlgSHA256, octets(32)))),
	)
}

// policyOr is the digest of PolicyOR.
func policyOr(digests ...[]byte) []byte {
	return policyOf(asserted(tpm2.TPMCCPolicyOR, digests...))
}

func codeText(code tpm2.TPMCC) string { return section(code).Title[len("TPM2_"):] }
