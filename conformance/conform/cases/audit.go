package cases

import (
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// inSession is an authorization by the session with the label "session".
func inSession(attributes byte) conform.Auth { return conform.In(handle("session"), attributes) }

// sessionWith starts an HMAC session with a symmetric algorithm.
func sessionWith(label string, symmetric conform.Part) conform.Step {
	return do(tpm2.TPMCCStartAuthSession, null, null).
		With(conform.Bytes(octets(16)), empty, u8(wire.SessionHMAC), symmetric, alg(tpm2.TPMAlgSHA256)).Named(label)
}

// protectedCases are those of Part 1 about sessions that encrypt parameters and that audit.
func protectedCases() []conform.Case {
	return append(encryptionCases(), auditCases()...)
}

// encryptionCases are those of Part 1, "Session-based encryption".
func encryptionCases() []conform.Case {
	encryption := part1("21", "Session-based encryption")
	const decrypt, encrypt = wire.AttributeDecrypt, wire.AttributeEncrypt
	var cases []conform.Case
	for _, c := range []struct {
		name      string
		symmetric conform.Part
		needs     []any
	}{
		{"AES-128 CFB", aes128CFB, []any{tpm2.TPMAlgCFB}},
		{"XOR", join{alg(tpm2.TPMAlgXOR), alg(tpm2.TPMAlgSHA256)}, []any{tpm2.TPMAlgXOR}},
	} {
		start := sessionWith("session", c.symmetric)
		for _, use := range []struct {
			code       tpm2.TPMCC
			handles    []conform.Part
			parameters join
			attributes byte
			what       string
			check      func(*conform.Answer) error
		}{
			{tpm2.TPMCCHash, nil, with("data", tpm2.TPMAlgSHA256, tpm2.TPMRHNull), decrypt, "with data encrypted", firstIs(hashOf(hashes[1].hash, []byte("data")))},
			{tpm2.TPMCCHash, nil, with("data", tpm2.TPMAlgSHA256, tpm2.TPMRHNull), encrypt, "with the digest encrypted", firstIs(hashOf(hashes[1].hash, []byte("data")))},
			{tpm2.TPMCCHash, nil, with("data", tpm2.TPMAlgSHA256, tpm2.TPMRHNull), decrypt | encrypt, "with both encrypted", firstIs(hashOf(hashes[1].hash, []byte("data")))},
			{tpm2.TPMCCMAC, on("@secret"), with("data", tpm2.TPMAlgNull), decrypt, "with data encrypted", firstIs(hmacOf(1, []byte("data")))},
			{tpm2.TPMCCMAC, on("@secret"), with("data", tpm2.TPMAlgNull), encrypt, "with the HMAC encrypted", firstIs(hmacOf(1, []byte("data")))},
			{tpm2.TPMCCMAC, on("@secret"), with("data", tpm2.TPMAlgNull), decrypt | encrypt, "with both encrypted", firstIs(hmacOf(1, []byte("data")))},
			{tpm2.TPMCCMAC, on("@secret"), with(empty, tpm2.TPMAlgNull), decrypt, "of nothing, encrypted", firstIs(hmacOf(1))},
			{tpm2.TPMCCUnseal, on("@sealed"), nil, encrypt, "with the data encrypted", firstIs([]byte("what nobody should know"))},
			{tpm2.TPMCCRSAEncrypt, on("@rsa decrypt"), with([]byte{1, 2, 3}, tpm2.TPMAlgNull, empty), decrypt | encrypt, "with both encrypted", rawRSA([]byte{1, 2, 3})},
			{tpm2.TPMCCECDHZGen, on("@ecc decrypt"), with(sizedPoint(clientPoint())), decrypt | encrypt, "with both points encrypted", squared},
			{tpm2.TPMCCEncryptDecrypt2, on("@aes"), with(octets(20), false, tpm2.TPMAlgNull, octets(16)), decrypt | encrypt, "with both encrypted", firstIs(cfbOf(octets(20)))},
			{tpm2.TPMCCReadPublic, on("@ecc"), nil, encrypt, "with the public area encrypted", nil},
			{tpm2.TPMCCGetRandom, nil, with(u16(16)), encrypt, "with the octets encrypted", nil},
			{tpm2.TPMCCStirRandom, nil, with("entropy"), decrypt, "with the data encrypted", nil},
			{tpm2.TPMCCCreate, on("@storage"), creating("auth", "data", sealedArea(sealing)), decrypt, "with the sensitive data encrypted", nil},
		} {
			q := about(use.code, "in a session with "+c.name+", "+use.what, use.handles, use.parameters).first(start).by(inSession(use.attributes)).in(encryption).needing(c.needs...)
			if use.check != nil {
				q.check("gives what it gives without", use.check)
			}
			cases = append(cases, q.build())
		}
		cases = append(cases, built(
			about(tpm2.TPMCCCreate, "with a value that is encrypted by "+c.name, on("@storage"), creating("auth", "data", sealedArea(sealing))).
				first(start).by(inSession(decrypt)).in(encryption).needing(c.needs...).gives("makes an object that the value authorizes").
				next(load(handle("@storage"), "asked", "auth").Named("object"), do(tpm2.TPMCCUnseal, handle("object")).Checked(reads("data"))),
			about(tpm2.TPMCCMAC, "in two sessions with "+c.name+", of which the second encrypts", on("@secret"), with("data", tpm2.TPMAlgNull)).
				first(start, sessionWith("other", c.symmetric)).by(inSession(0), conform.In(handle("other"), decrypt|encrypt)).in(encryption).needing(c.needs...).
				check("gives the HMAC", firstIs(hmacOf(1, []byte("data")))),
			about(tpm2.TPMCCMAC, "in three sessions with "+c.name+", of which the second decrypts and the third encrypts", on("@hmac"), with("data", tpm2.TPMAlgNull)).
				first(start, sessionWith("second", c.symmetric), sessionWith("third", c.symmetric)).
				by(inSession(0), conform.In(handle("second"), decrypt), conform.In(handle("third"), encrypt)).in(encryption).needing(c.needs...).
				check("gives the HMAC", firstIs(hmacOf(1, []byte("data")))),
			about(tpm2.TPMCCMAC, "by password, in a session with "+c.name+" that encrypts", on("@secret"), with("data", tpm2.TPMAlgNull)).
				first(start).by(conform.Own(), inSession(decrypt|encrypt)).in(encryption).needing(c.needs...).check("gives the HMAC", firstIs(hmacOf(1, []byte("data")))),
		)...)
	}
	plain := conform.Start(wire.SessionHMAC).Named("session")
	start := sessionWith("session", aes128CFB)
	return append(cases, built(
		about(tpm2.TPMCCHash, "in a session without a symmetric algorithm that decrypts", nil, with("data", tpm2.TPMAlgSHA256, tpm2.TPMRHNull), s(1, tpm2.TPMRCSymmetric)).first(plain).by(inSession(decrypt)).in(encryption),
		about(tpm2.TPMCCHash, "in a session without a symmetric algorithm that encrypts", nil, with("data", tpm2.TPMAlgSHA256, tpm2.TPMRHNull), s(1, tpm2.TPMRCSymmetric)).first(plain).by(inSession(encrypt)).in(encryption),
		about(tpm2.TPMCCPCRRead, "in a session that decrypts", nil, with(oneBank(tpm2.TPMAlgSHA256, 0)), s(1, tpm2.TPMRCAttributes)).first(start).by(inSession(decrypt)).in(encryption),
		about(tpm2.TPMCCPCRRead, "in a session that encrypts", nil, with(oneBank(tpm2.TPMAlgSHA256, 0)), s(1, tpm2.TPMRCAttributes)).first(start).by(inSession(encrypt)).in(encryption),
		about(tpm2.TPMCCReadClock, "in a session that encrypts", nil, nil, s(1, tpm2.TPMRCAttributes)).first(start).by(inSession(encrypt)).in(encryption),
		about(tpm2.TPMCCGetRandom, "in a session that decrypts", nil, with(u16(8)), s(1, tpm2.TPMRCAttributes)).first(start).by(inSession(decrypt)).in(encryption),
		about(tpm2.TPMCCStirRandom, "in a session that encrypts", nil, with("data"), s(1, tpm2.TPMRCAttributes)).first(start).by(inSession(encrypt)).in(encryption),
		about(tpm2.TPMCCUnseal, "in a session that decrypts", on("@sealed"), nil, s(1, tpm2.TPMRCAttributes)).first(start).by(inSession(decrypt)).in(encryption),
		about(tpm2.TPMCCHash, "in two sessions that decrypt", nil, with("data", tpm2.TPMAlgSHA256, tpm2.TPMRHNull), s(2, tpm2.TPMRCAttributes)).
			first(start, sessionWith("other", aes128CFB)).by(inSession(decrypt), conform.In(handle("other"), decrypt)).in(encryption),
		about(tpm2.TPMCCHash, "in two sessions that encrypt", nil, with("data", tpm2.TPMAlgSHA256, tpm2.TPMRHNull), s(2, tpm2.TPMRCAttributes)).
			first(start, sessionWith("other", aes128CFB)).by(inSession(encrypt), conform.In(handle("other"), encrypt)).in(encryption),
	)...)
}

// cfbOf encrypts by CFB with the client's AES key and the vector octets(16).
func cfbOf(plain []byte) []byte {
	out, _ := aesBy(tpm2.TPMAlgCFB, octets(16), plain)
	return out
}

// auditSession starts an HMAC session.
func auditSession() conform.Step { return conform.Start(wire.SessionHMAC).Named("session") }

// auditedBy checks an attribute of the session in the answer.
func auditedBy(exclusive bool) func(*conform.Answer) error {
	return func(a *conform.Answer) error {
		last := a.Sessions[len(a.Sessions)-1].Attributes
		if got := last&wire.AttributeAuditExclusive != 0; got != exclusive || last&wire.AttributeAudit == 0 {
			return fmt.Errorf("the attributes of the session are %#x", last)
		}
		return nil
	}
}

// attestedAudit asks for the audit digest of the session, which the client compares with its
// own.
func attestedAudit(exclusive byte) conform.Step {
	return do(tpm2.TPMCCGetSessionAuditDigest, endorsement, null, handle("session")).With(conform.Text("nonce"), noScheme).
		Checked(conform.Check{Says: "exclusiveSession is right", Test: attested(tpm2.TPMSTAttestSessionAudit, func(_ *conform.State, in *wire.Cursor) error {
			got := in.U8()
			in.Sized()
			if got != exclusive {
				return fmt.Errorf("exclusiveSession is %d", got)
			}
			return nil
		})})
}

// auditCases are those of Part 1, "Audit", and of Part 3, chapter "Command Audit".
func auditCases() []conform.Case {
	audit := part1("33", "Audit")
	const a, exclusive, reset = wire.AttributeAudit, wire.AttributeAuditExclusive, wire.AttributeAuditReset
	get := tpm2.TPMCCGetRandom
	random := func(attributes byte) conform.Step { return do(get).With(u16(8)).By(inSession(attributes)) }
	other := do(tpm2.TPMCCReadClock)
	cases := built(
		about(get, "in a session that audits it, the first one", nil, with(u16(8))).first(auditSession()).by(inSession(a)).in(audit).check("gives an exclusive audit session", auditedBy(true)),
		about(get, "in a session that audits it, after another command", nil, with(u16(8))).first(auditSession(), random(a), other).by(inSession(a)).in(audit).
			check("gives an audit session that is not exclusive", auditedBy(false)),
		about(get, "in a session that audits it, after auditReset", nil, with(u16(8))).first(auditSession(), random(a), other).by(inSession(a|reset)).in(audit).
			check("gives an exclusive audit session", auditedBy(true)),
		about(get, "in a session that has to be exclusive and is not", nil, with(u16(8)), tpm2.TPMRCExclusive).first(auditSession(), random(a), other).by(inSession(a|exclusive)).in(audit),
		about(get, "in a session that has to be exclusive and is", nil, with(u16(8))).first(auditSession(), random(a)).by(inSession(a|exclusive)).in(audit).check("gives an exclusive audit session", auditedBy(true)),
		about(get, "in a session that has to be exclusive, the first one", nil, with(u16(8))).first(auditSession()).by(inSession(a|exclusive)).in(audit).check("gives an exclusive audit session", auditedBy(true)),
		about(get, "in a policy session that audits", nil, with(u16(8)), s(1, tpm2.TPMRCAttributes)).first(conform.Start(wire.SessionPolicy).Named("session")).by(conform.Auth{Session: handle("session"), Attributes: 1 | a}).in(audit),
		about(get, "in two sessions that audit", nil, with(u16(8)), s(2, tpm2.TPMRCAttributes)).first(auditSession(), conform.Start(wire.SessionHMAC).Named("other")).
			by(inSession(a), conform.In(handle("other"), a)).in(audit),
		about(get, "in a session for nothing", nil, with(u16(8)), s(1, tpm2.TPMRCAttributes)).first(auditSession()).by(inSession(0)).in(audit),
		about(get, "in a session with auditExclusive and without audit", nil, with(u16(8)), s(1, tpm2.TPMRCAttributes)).first(auditSession()).by(inSession(exclusive)).in(part2("8.4", "TPMA_SESSION")),
		about(get, "in a session that audits it", nil, with(u16(8))).first(auditSession()).by(inSession(a)).in(audit).next(attestedAudit(1)).gives("puts it into the digest that GetSessionAuditDigest attests"),
		about(get, "in a session that audits it, three times", nil, with(u16(8))).first(auditSession(), random(a), random(a)).by(inSession(a)).in(audit).next(attestedAudit(1)).
			gives("puts all into the digest that GetSessionAuditDigest attests"),
		about(get, "in a session that audits it, after another command", nil, with(u16(8))).first(auditSession(), random(a), other).by(inSession(a)).in(audit).next(attestedAudit(0)).
			gives("puts it into the digest that GetSessionAuditDigest attests"),
		about(get, "in a session that audits it with auditReset", nil, with(u16(8))).first(auditSession(), random(a), random(a)).by(inSession(a|reset)).in(audit).next(attestedAudit(1)).
			gives("begins the digest anew"),
		about(tpm2.TPMCCHash, "in a session that audits and encrypts", nil, with("data", tpm2.TPMAlgSHA256, tpm2.TPMRHNull)).first(sessionWith("session", aes128CFB)).
			by(inSession(a|wire.AttributeDecrypt|wire.AttributeEncrypt)).in(audit).next(attestedAudit(1)).gives("puts the encrypted parameters into the digest"),
		about(tpm2.TPMCCHash, "that fails in a session that audits", nil, with("data", u16(0x7fff), tpm2.TPMRHNull), p(2, tpm2.TPMRCHash)).first(auditSession(), random(a)).by(inSession(a)).in(audit).
			next(attestedAudit(1)).gives("leaves the digest as it is"),
	)
	return append(cases, commandAuditCases()...)
}

// commandAuditCases are those about TPM2_SetCommandCodeAuditStatus.
func commandAuditCases() []conform.Case {
	set := tpm2.TPMCCSetCommandCodeAuditStatus
	list := func(codes ...tpm2.TPMCC) join {
		b := join{u32(uint32(len(codes)))}
		for _, code := range codes {
			b = append(b, u32(uint32(code)))
		}
		return b
	}
	status := func(sets, clears conform.Part) []conform.Part { return with(noAlg, sets, clears) }
	get := tpm2.TPMCCGetRandom
	clears := do(set, owner).With(status(list(), list(get))...)
	listed := func(want bool) conform.Step {
		return do(tpm2.TPMCCGetCapability).With(u32(uint32(tpm2.TPMCapAuditCommands)), u32(uint32(get)), u32(1)).Checked(conform.Check{
			Says: "TPM_CAP_AUDIT_COMMANDS is right", Test: func(a *conform.Answer) error {
				page, err := wire.ParseCapability(a.Parameters)
				if err != nil {
					return err
				}
				if got := len(page.Entries) > 0 && page.Entries[0].Key == uint32(get); got != want {
					return fmt.Errorf("%v", page.Entries)
				}
				return nil
			}})
	}
	return built(
		about(set, "by TPM_RH_LOCKOUT", on(tpm2.TPMRHLockout), status(list(), list()), h(1, tpm2.TPMRCValue)),
		about(set, "with an algorithm that there is not", on(tpm2.TPMRHOwner), with(u16(0x7fff), list(), list()), p(1, tpm2.TPMRCHash)),
		about(set, "with more codes than fit", on(tpm2.TPMRHOwner), with(noAlg, u32(1000), list()), p(2, tpm2.TPMRCSize)),
		about(set, "with nothing", on(tpm2.TPMRHOwner), status(list(), list())),
		about(set, "of GetRandom", on(tpm2.TPMRHOwner), status(list(get), list())).harming(conform.WritesNV).next(listed(true)).afterwards(clears).gives("has GetCapability list it"),
		about(set, "of GetRandom, and without it", on(tpm2.TPMRHOwner), status(list(get), list())).harming(conform.WritesNV).next(clears, listed(false)).gives("has GetCapability list it no more"),
		about(set, "of GetRandom in both lists", on(tpm2.TPMRHOwner), status(list(get), list(get))).harming(conform.WritesNV).next(listed(false)).afterwards(clears).gives("leaves it unaudited"),
		about(set, "with another algorithm and codes", on(tpm2.TPMRHOwner), with(tpm2.TPMAlgSHA1, list(get), list()), p(1, tpm2.TPMRCValue), tpm2.TPMRCValue, p(2, tpm2.TPMRCValue)).harming(conform.WritesNV).afterwards(clears),
		about(set, "that takes itself out", on(tpm2.TPMRHOwner), status(list(), list(set))).harming(conform.WritesNV).
			next(do(tpm2.TPMCCGetCapability).With(u32(uint32(tpm2.TPMCapAuditCommands)), u32(uint32(set)), u32(1)).Checked(conform.Check{Says: "it is still audited", Test: func(a *conform.Answer) error {
				page, err := wire.ParseCapability(a.Parameters)
				if err != nil || len(page.Entries) == 0 || page.Entries[0].Key != uint32(set) {
					return fmt.Errorf("%v: %w", page.Entries, err)
				}
				return nil
			}})).gives("leaves itself audited"),
	)
}
