package emulator_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"slices"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// What each of the attesting commands says, besides what TestAttestations looks
// at in all of them.

// ak is the signer of these tests.
func ak() testKey { return eccKey(attestKey, noSym, ecdsa256) }

// selectionOf is a TPML_PCR_SELECTION of several banks.
func selectionOf(list ...wire.PCRSelection) []byte {
	var w wire.Writer
	w.PCRSelections(list)
	return w.Data()
}

// bankOf selects PCRs of one bank.
func bankOf(alg wire.AlgID, pcrs ...int) wire.PCRSelection {
	s := wire.PCRSelection{Hash: alg, Size: wire.PCRSelectMax}
	for _, p := range pcrs {
		s.Select.Set(p)
	}
	return s
}

// The digest of a quote is over the PCRs as TPM2_PCR_Read gives them, bank by
// bank as they were asked for and in ascending order in each.
func TestQuote(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	place(t, tpm, ak(), wire.RHEndorsement)
	succeed(t, tpm, extend(10, ha(wire.AlgSHA256, 1), ha(wire.AlgSHA1, 2)), extend(0, ha(wire.AlgSHA256, 3)))
	type value struct {
		alg wire.AlgID
		pcr int
	}
	for name, tc := range map[string]struct {
		asked []wire.PCRSelection
		over  []value
	}{
		"nothing":   {nil, nil},
		"no PCR":    {[]wire.PCRSelection{bankOf(wire.AlgSHA256)}, nil},
		"one bank":  {[]wire.PCRSelection{bankOf(wire.AlgSHA256, 10, 0, 23)}, []value{{wire.AlgSHA256, 0}, {wire.AlgSHA256, 10}, {wire.AlgSHA256, 23}}},
		"two banks": {[]wire.PCRSelection{bankOf(wire.AlgSHA256, 10), bankOf(wire.AlgSHA1, 10, 17)}, []value{{wire.AlgSHA256, 10}, {wire.AlgSHA1, 10}, {wire.AlgSHA1, 17}}},
		"one twice": {[]wire.PCRSelection{bankOf(wire.AlgSHA1, 0), bankOf(wire.AlgSHA1, 0)}, []value{{wire.AlgSHA1, 0}, {wire.AlgSHA1, 0}}},
		"four":      {[]wire.PCRSelection{bankOf(wire.AlgSHA512, 1), bankOf(wire.AlgSHA384, 2), bankOf(wire.AlgSHA256, 3), bankOf(wire.AlgSHA1, 4)}, []value{{wire.AlgSHA512, 1}, {wire.AlgSHA384, 2}, {wire.AlgSHA256, 3}, {wire.AlgSHA1, 4}}},
	} {
		r := reportOf(t, tpm, et.Command(wire.CCQuote, handles{key}, et.NoAuth(), et.Sized(nil), schemeOf(noScheme), selectionOf(tc.asked...)))
		h := sha256.New()
		for _, v := range tc.over {
			h.Write(readPCR(t, tpm, v.alg, v.pcr))
		}
		info := attested(t, r.Attested.Quote)
		assert.Equal(t, h.Sum(nil), info.PCRDigest.Buffer, name)
		assert.Equal(t, selectionOf(tc.asked...), tpm2.Marshal(info.PCRSelect), name)
	}
}

// The digest is made with the hash of the scheme, and PCRs that are not there
// are taken out of the selection.
func TestQuoteOfWhatIsAllocated(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	succeed(t, tpm, et.Command(wire.CCPCRAllocate, handles{wire.RHPlatform}, et.NoAuth(), selectionOf(bankOf(wire.AlgSHA256, 0, 1, 17), bankOf(wire.AlgSHA1))))
	require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
	place(t, tpm, eccKey(attestKey, noSym, hashScheme(wire.AlgECDSA, wire.AlgSHA384)), wire.RHEndorsement)
	asked := selectionOf(bankOf(wire.AlgSHA1, 1), bankOf(wire.AlgSHA256, 1, 2, 17))
	r := reportOf(t, tpm, et.Command(wire.CCQuote, handles{key}, et.NoAuth(), et.Sized(nil), schemeOf(noScheme), asked))
	info := attested(t, r.Attested.Quote)
	want := sha512.Sum384(slices.Concat(readPCR(t, tpm, wire.AlgSHA256, 1), readPCR(t, tpm, wire.AlgSHA256, 17)))
	assert.Equal(t, want[:], info.PCRDigest.Buffer)
	assert.Equal(t, selectionOf(bankOf(wire.AlgSHA1), bankOf(wire.AlgSHA256, 1, 17)), tpm2.Marshal(info.PCRSelect))
}

// go-tpm's Quote, whose signature and PCR digest a verifier checks.
func TestQuoteWithClient(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	h := place(t, tpm, ak().withAuth("secret"), wire.RHEndorsement)
	signer := func(auth tpm2.Session) tpm2.AuthHandle {
		return tpm2.AuthHandle{Handle: tpm2.TPMHandle(h), Name: tpm2.TPM2BName{Buffer: ak().name()}, Auth: auth}
	}
	quote := tpm2.Quote{
		SignHandle:     signer(tpm2.HMAC(tpm2.TPMAlgSHA256, 16, tpm2.Auth([]byte("secret")), tpm2.AESEncryption(128, tpm2.EncryptInOut))),
		QualifyingData: tpm2.TPM2BData{Buffer: []byte("nonce")},
		InScheme:       tpm2.TPMTSigScheme{Scheme: tpm2.TPMAlgNull},
		PCRSelect:      tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{{Hash: tpm2.TPMAlgSHA256, PCRSelect: tpm2.PCClientCompatible.PCRs(0, 1)}}},
	}
	rsp, err := quote.Execute(tpm.Client())
	require.NoError(t, err)
	body, err := rsp.Quoted.Contents()
	require.NoError(t, err)
	assert.Equal(t, "nonce", string(body.ExtraData.Buffer))
	s, err := rsp.Signature.Signature.ECDSA()
	require.NoError(t, err)
	assert.True(t, signed(ak(), hashOf(wire.AlgSHA256, rsp.Quoted.Bytes()),
		&wire.Signature{Alg: wire.AlgECDSA, Hash: wire.AlgSHA256, R: s.SignatureR.Buffer, S: s.SignatureS.Buffer}))
	quote.SignHandle = signer(tpm2.PasswordAuth([]byte("wrong")))
	_, err = quote.Execute(tpm.Client())
	assert.ErrorIs(t, err, tpm2.TPMRCBadAuth)
}

func TestQuoteRefuses(t *testing.T) {
	t.Parallel()
	quote := func(selection []byte) []byte {
		return et.Command(wire.CCQuote, handles{key}, et.NoAuth(), et.Sized(nil), schemeOf(ecdsa256), selection)
	}
	load := loadExternal(eccSigning())
	refuse(t, map[string]refusal{
		"not a hash":    {load, quote(selectionOf(bankOf(wire.AlgAES, 1))), wire.RCHash.Parameter(3)},
		"no bank":       {load, quote(selectionOf(bankOf(wire.AlgSHA3_256, 1))), wire.RCHash.Parameter(3)},
		"short bit map": {load, quote([]byte{0, 0, 0, 1, 0, 11, 2, 1, 0}), wire.RCValue.Parameter(3)},
		"long bit map":  {load, quote([]byte{0, 0, 0, 1, 0, 11, 4, 1, 0, 0, 0}), wire.RCValue.Parameter(3)},
		"too many":      {load, quote(et.U32(1 << 30)), wire.RCSize.Parameter(3)},
		"public only":   {loadExternalPublic(eccSigning(), wire.RHNull), quote(selection), wire.RCAuthUnavailable.Session(1)},
	})
}

// A key is certified by its Name and Qualified Name, that of the signer too.
func TestCertify(t *testing.T) {
	t.Parallel()
	tpm := et.New(t)
	place(t, tpm, ak(), wire.RHEndorsement)
	place(t, tpm, hmacKey().withAuth("secret"), wire.RHPlatform)
	certify := func(h wire.Handle, password string) []byte {
		return et.Command(wire.CCCertify, handles{h, key}, [][]byte{[]byte(password), nil}, et.Sized(nil), schemeOf(noScheme))
	}
	info := attested(t, reportOf(t, tpm, certify(second, "secret")).Attested.Certify)
	assert.Equal(t, hmacKey().name(), info.Name.Buffer)
	assert.Equal(t, hmacKey().qualifiedName(wire.RHPlatform), info.QualifiedName.Buffer)
	info = attested(t, reportOf(t, tpm, certify(key, "")).Attested.Certify)
	assert.Equal(t, ak().name(), info.Name.Buffer)
	assert.Equal(t, ak().qualifiedName(wire.RHEndorsement), info.QualifiedName.Buffer)
	assert.Equal(t, wire.RCBadAuth.Session(1), send(t, tpm, certify(second, "wrong")))
	assert.Equal(t, wire.RCAuthMissing, send(t, tpm, et.Command(wire.CCCertify, handles{second, key}, nil, et.Sized(nil), schemeOf(noScheme))))
	assert.Equal(t, wire.RCValue.Handle(1), send(t, tpm, et.Command(wire.CCCertify, handles{wire.RHNull, key}, [][]byte{nil, nil}, et.Sized(nil), schemeOf(noScheme))))

	// An external object has no Qualified Name but its Name; one that is public only
	// cannot say that it may be certified.
	succeed(t, tpm, loadExternal(sealed("data")))
	info = attested(t, reportOf(t, tpm, certify(second+1, "")).Attested.Certify)
	assert.Equal(t, sealed("data").name(), info.QualifiedName.Buffer)
	succeed(t, tpm, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(second+1))), loadExternalPublic(hmacKey(), wire.RHOwner))
	assert.Equal(t, wire.RCAuthUnavailable.Session(1), send(t, tpm, certify(second+1, "")))
	admin := change(hmacKey(), func(k *testKey) { k.public.Attributes |= wire.ObjectAdminWithPolicy })
	succeed(t, tpm, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(second+1))), loadExternal(admin))
	assert.Equal(t, wire.RCAuthType, send(t, tpm, certify(second+1, "")), "its administrator needs a policy")
	user := change(hmacKey(), func(k *testKey) { k.public.Attributes &^= wire.ObjectUserWithAuth })
	succeed(t, tpm, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(second+1))), loadExternal(user))
	assert.Equal(t, wire.RCSuccess, send(t, tpm, certify(second+1, "")), "its user needs a policy, its administrator none")
}

// A creation is certified with the ticket of that very creation.
func TestCertifyCreation(t *testing.T) {
	t.Parallel()
	a := attestingNamed("CertifyCreation")
	tpm := attestable(t, ak(), wire.RHPlatform)
	info := attested(t, reportOf(t, tpm, a.command(t, tpm, key, nil, noScheme)).Attested.Creation)
	assert.Equal(t, hmacKey().name(), info.ObjectName.Buffer)
	assert.Equal(t, creationHash, info.CreationHash.Buffer)

	ticket := creationTicket(t, tpm)
	refused := wire.RCTicket.Parameter(4)
	try := func(object wire.Handle, hash, ticket []byte) wire.RC {
		return send(t, tpm, et.Command(wire.CCCertifyCreation, handles{key, object}, et.NoAuth(), et.Sized(nil), et.Sized(hash), schemeOf(noScheme), ticket))
	}
	require.Equal(t, wire.RCSuccess, try(second, creationHash, ticket))
	flipped := bytes.Clone(ticket)
	flipped[20] ^= 1
	platform := bytes.Clone(ticket)
	copy(platform[2:], et.U32(uint32(wire.RHPlatform)))
	for name, got := range map[string]wire.RC{
		"object":    try(key, creationHash, ticket),
		"hash":      try(second, hashOf(wire.AlgSHA256, nil), ticket),
		"flipped":   try(second, creationHash, flipped),
		"hierarchy": try(second, creationHash, platform),
		"null":      try(second, creationHash, ticketOf(wire.Ticket{Tag: wire.STCreation, Hierarchy: wire.RHNull})),
		"empty":     try(second, creationHash, ticketOf(wire.Ticket{Tag: wire.STCreation, Hierarchy: wire.RHOwner})),
	} {
		assert.Equal(t, refused, got, name)
	}
	assert.Equal(t, wire.RCTag.Parameter(4), try(second, creationHash, noTicket))
	assert.Equal(t, wire.RCSize.Parameter(2), try(second, make([]byte, 65), ticket))
	succeed(t, tpm, et.Command(wire.CCClear, handles{wire.RHLockout}, et.NoAuth()))
	assert.Equal(t, wire.RCReferenceH0+1, try(second, creationHash, ticket), "it went with its owner")
	require.Equal(t, second, place(t, tpm, hmacKey(), wire.RHOwner))
	assert.Equal(t, refused, try(second, creationHash, ticket), "and so did what it vouched for")
}

// GetTime says what TPM2_ReadClock says, and the version that the structure
// around it obfuscates.
func TestGetTime(t *testing.T) {
	t.Parallel()
	a := attestingNamed("GetTime")
	for _, hierarchy := range []wire.Handle{wire.RHEndorsement, wire.RHOwner} {
		tpm := attestable(t, ak(), hierarchy)
		require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
		require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUClear))
		place(t, tpm, ak(), hierarchy)
		tpm.Clock.Advance(7 * time.Second)
		clock := readClock(t, tpm)
		require.EqualValues(t, 1, clock.ClockInfo.RestartCount)
		info := attested(t, reportOf(t, tpm, a.command(t, tpm, key, nil, noScheme)).Attested.Time)
		assert.Equal(t, clock, info.Time)
		assert.Equal(t, firmware(t, tpm), info.FirmwareVersion)
	}
}

// The administrator of the endorsement hierarchy is asked by the commands that
// tell of the TPM itself.
func TestPrivacyAdministrator(t *testing.T) {
	t.Parallel()
	for _, a := range attestings {
		if a.handles(key)[0] != wire.RHEndorsement {
			continue
		}
		tpm := attestable(t, ak(), wire.RHOwner)
		succeed(t, tpm, et.Command(wire.CCHierarchyChangeAuth, handles{wire.RHEndorsement}, et.NoAuth(), et.Sized(pw)))
		with := func(password []byte) wire.RC {
			return send(t, tpm, et.Command(a.code, a.handles(key), [][]byte{password, nil}, a.params(t, tpm, nil, noScheme)))
		}
		assert.Equal(t, wire.RCBadAuth.Session(1), with(nil), a.name)
		assert.Equal(t, wire.RCSuccess, with(pw), a.name)
		assert.Equal(t, wire.RCAuthMissing, send(t, tpm, et.Command(a.code, a.handles(key), [][]byte{pw}, a.params(t, tpm, nil, noScheme))), a.name)
		h := a.handles(key)
		h[0] = wire.RHOwner
		assert.Equal(t, wire.RCValue.Handle(1), send(t, tpm, et.Command(a.code, h, [][]byte{nil, nil}, a.params(t, tpm, nil, noScheme))), a.name)
		succeed(t, tpm, et.Command(wire.CCHierarchyControl, handles{wire.RHPlatform}, et.NoAuth(), et.U32(uint32(wire.RHEndorsement)), et.U8(0)))
		assert.Equal(t, wire.RCHierarchy.Handle(1), with(pw), "%s: disabled", a.name)
	}
}

// The digest of a session is the one that go-tpm keeps of what was audited.
func TestGetSessionAuditDigest(t *testing.T) {
	t.Parallel()
	a := attestingNamed("GetSessionAuditDigest")
	tpm := et.New(t)
	place(t, tpm, ak(), wire.RHEndorsement)
	session, closer, err := tpm2.HMACSession(tpm.Client(), tpm2.TPMAlgSHA256, 16, tpm2.Audit())
	require.NoError(t, err)
	require.Equal(t, tpm2.TPMHandle(hmacSession), session.Handle())
	command := a.command(t, tpm, key, nil, noScheme)
	assert.Equal(t, wire.RCType.Handle(3), send(t, tpm, command), "it has audited nothing")

	audit, err := tpm2.NewAudit(tpm2.TPMAlgSHA256)
	require.NoError(t, err)
	random := func() {
		t.Helper()
		get := tpm2.GetRandom{BytesRequested: 8}
		rsp, err := get.Execute(tpm.Client(), session)
		require.NoError(t, err)
		require.NoError(t, tpm2.AuditCommand(audit, get, rsp))
	}
	check := func(exclusive bool) {
		t.Helper()
		info := attested(t, reportOf(t, tpm, command).Attested.SessionAudit)
		assert.Equal(t, audit.Digest(), info.SessionDigest.Buffer)
		assert.Equal(t, exclusive, bool(info.ExclusiveSession))
	}
	random()
	check(true)
	check(false) // the report before was not audited
	random()
	check(false) // and no later command brings that back
	require.NoError(t, closer())
	assert.Equal(t, wire.RCReferenceH0+2, send(t, tpm, command))
	succeed(t, tpm, startSession(wire.SEPolicy))
	assert.Equal(t, wire.RCHandle.Handle(3), send(t, tpm, command), "another kind of session")
	h := a.handles(key)
	h[2] = policySession
	assert.Equal(t, wire.RCValue.Handle(3), send(t, tpm, et.Command(a.code, h, [][]byte{nil, nil}, a.params(t, tpm, nil, noScheme))), "a policy session audits nothing")
}

// The command audit digest is the one that go-tpm keeps, and begins anew when it
// was reported with a signature.
func TestGetCommandAuditDigest(t *testing.T) {
	t.Parallel()
	a := attestingNamed("GetCommandAuditDigest")
	tpm := et.New(t)
	place(t, tpm, ak(), wire.RHEndorsement)
	signed, unsigned := a.command(t, tpm, key, nil, noScheme), a.command(t, tpm, wire.RHNull, nil, noScheme)
	succeed(t, tpm, setAudit(wire.AlgNull, []wire.CC{wire.CCHash, wire.CCGetRandom}, nil), setAudit(wire.AlgSHA256, nil, nil))
	list := sha256.Sum256(slices.Concat(et.U32(uint32(wire.CCSetCommandCodeAuditStatus)), et.U32(uint32(wire.CCGetRandom)), et.U32(uint32(wire.CCHash))))
	check := func(command []byte, counter uint64, digest []byte) {
		t.Helper()
		info := attested(t, reportOf(t, tpm, command).Attested.CommandAudit)
		assert.Equal(t, counter, info.AuditCounter)
		assert.Equal(t, tpm2.TPMAlgSHA256, info.DigestAlg)
		assert.True(t, bytes.Equal(digest, info.AuditDigest.Buffer), "%x", info.AuditDigest.Buffer)
		assert.Equal(t, list[:], info.CommandDigest.Buffer)
	}
	audited := func(times int) []byte {
		t.Helper()
		audit, err := tpm2.NewAudit(tpm2.TPMAlgSHA256)
		require.NoError(t, err)
		for range times {
			get := tpm2.GetRandom{BytesRequested: 8}
			rsp, err := get.Execute(tpm.Client())
			require.NoError(t, err)
			require.NoError(t, tpm2.AuditCommand(audit, get, rsp))
		}
		return audit.Digest()
	}
	check(signed, 1, nil)
	digest := audited(2)
	check(unsigned, 2, digest)
	check(signed, 2, digest)
	check(signed, 2, nil)
	check(signed, 3, audited(1))
}

// A report that is itself audited is the first entry of the next digest, and
// counts in NV, which must be possible.
func TestAuditedReport(t *testing.T) {
	t.Parallel()
	a := attestingNamed("GetCommandAuditDigest")
	tpm := et.New(t)
	place(t, tpm, ak(), wire.RHEndorsement)
	report := a.command(t, tpm, key, nil, noScheme)
	succeed(t, tpm, setAudit(wire.AlgNull, []wire.CC{wire.CCGetCommandAuditDigest}, nil), setAudit(wire.AlgSHA256, nil, nil))
	first := tpm.Execute(0, report)
	require.Equal(t, wire.RCSuccess, et.ResponseCode(first))
	// cpHash has the Names of the handles, which for a hierarchy is the handle.
	code := et.U32(uint32(a.code))
	cp := sha256.Sum256(slices.Concat(code, et.U32(uint32(wire.RHEndorsement)), ak().name(), a.params(t, tpm, nil, noScheme)))
	rp := sha256.Sum256(slices.Concat(et.U32(0), code, et.Parameters(first, false)))
	want := sha256.Sum256(slices.Concat(make([]byte, 32), cp[:], rp[:]))
	info := attested(t, reportOf(t, tpm, report).Attested.CommandAudit)
	assert.EqualValues(t, 2, info.AuditCounter)
	assert.Equal(t, want[:], info.AuditDigest.Buffer)
	tpm.Store.SetWritable(state.ErrUnavailable)
	assert.Equal(t, wire.RCNVUnavailable, send(t, tpm, report))
	assert.Equal(t, wire.RCSuccess, send(t, tpm, attestingNamed("GetTime").command(t, tpm, key, nil, noScheme)), "others do not count")
}

// A part of an index is certified with its contents, all of it with a digest
// (Part 3, section "TPM2_NV_Certify").
func TestNVCertify(t *testing.T) {
	t.Parallel()
	contents := []byte("contents")
	certify := func(auth wire.Handle, size, offset uint16) []byte {
		return et.Command(wire.CCNVCertify, handles{key, auth, nvFirst}, [][]byte{nil, nil}, et.Sized(nil), schemeOf(noScheme), et.U16(size), et.U16(offset))
	}
	tpm := attestable(t, ak(), wire.RHEndorsement)
	public, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(nvFirst)}.Execute(tpm.Client())
	require.NoError(t, err)
	for _, auth := range []wire.Handle{wire.RHOwner, wire.RHPlatform, nvFirst} {
		for _, part := range [][2]uint16{{8, 0}, {3, 2}, {0, 8}, {0, 1}, {1, 7}} {
			info := attested(t, reportOf(t, tpm, certify(auth, part[0], part[1])).Attested.NV)
			assert.Equal(t, public.NVName.Buffer, info.IndexName.Buffer)
			assert.Equal(t, part[1], info.Offset)
			assert.Equal(t, string(contents[part[1]:part[1]+part[0]]), string(info.NVContents.Buffer))
		}
	}
	all := attested(t, reportOf(t, tpm, certify(wire.RHOwner, 0, 0)).Attested.NVDigest)
	assert.Equal(t, public.NVName.Buffer, all.IndexName.Buffer)
	assert.Equal(t, hashOf(wire.AlgSHA256, contents), all.NVDigest.Buffer)
	unsigned := et.Command(wire.CCNVCertify, handles{wire.RHNull, wire.RHOwner, nvFirst}, [][]byte{nil, nil}, et.Sized(nil), schemeOf(noScheme), et.U16(0), et.U16(0))
	all = attested(t, reportOf(t, tpm, unsigned).Attested.NVDigest)
	assert.Empty(t, all.NVDigest.Buffer, "without signer there is no hash")

	for _, part := range [][2]uint16{{9, 0}, {8, 1}, {0, 9}, {1, 8}, {0xFFFF, 0xFFFF}} {
		assert.Equal(t, wire.RCNVRange, send(t, tpm, certify(wire.RHOwner, part[0], part[1])), part)
	}
	assert.Equal(t, wire.RCValue.Handle(2), send(t, tpm, certify(wire.RHEndorsement, 8, 0)))
	succeed(t, tpm, et.Command(wire.CCNVReadLock, handles{nvFirst, nvFirst}, et.NoAuth()))
	assert.Equal(t, wire.RCNVLocked, send(t, tpm, certify(wire.RHOwner, 8, 0)))
	assert.Equal(t, wire.RCNVLocked, send(t, tpm, certify(wire.RHOwner, 9, 0)), "that comes first")
}

// What of an index must allow it, and how much goes into one structure.
func TestNVCertifyRefuses(t *testing.T) {
	t.Parallel()
	certify := func(auth wire.Handle, size uint16) []byte {
		return et.Command(wire.CCNVCertify, handles{key, auth, nvFirst}, [][]byte{nil, nil}, et.Sized(nil), schemeOf(noScheme), et.U16(size), et.U16(0))
	}
	for name, tc := range map[string]struct {
		attributes wire.NVAttributes
		written    bool
		auth       wire.Handle
		size       uint16
		want       wire.RC
	}{
		"not written":    {nvUsable, false, nvFirst, 8, wire.RCNVUninitialized},
		"not the owner":  {nvUsable &^ wire.NVOwnerRead, true, wire.RHOwner, 8, wire.RCNVAuthorization},
		"platform":       {nvUsable &^ wire.NVPPRead, true, wire.RHPlatform, 8, wire.RCNVAuthorization},
		"without itself": {nvUsable &^ wire.NVAuthRead, true, nvFirst, 8, wire.RCAuthUnavailable.Session(2)},
		"buffer":         {nvUsable, true, nvFirst, 1024, wire.RCSuccess},
		"more":           {nvUsable, true, nvFirst, 1025, wire.RCValue.Parameter(3)},
	} {
		tpm := et.New(t)
		place(t, tpm, ak(), wire.RHEndorsement)
		succeed(t, tpm, define(wire.RHOwner, nvPublic{attributes: tc.attributes, size: 1500}, nil))
		if tc.written {
			succeed(t, tpm, nvWrite(nvFirst, nvFirst, nil, []byte("contents"), 0))
		}
		assert.Equal(t, tc.want, send(t, tpm, certify(tc.auth, tc.size)), name)
	}
	tpm := et.New(t)
	place(t, tpm, ak(), wire.RHEndorsement)
	assert.Equal(t, wire.RCHandle.Handle(2), send(t, tpm, certify(nvFirst, 8)), "not defined")
}

// What a key attests of Clock must not be undone by a power cut, so it withdraws
// a shutdown, for which NV is needed. What nobody signs does not.
func TestAttestationAfterShutdown(t *testing.T) {
	t.Parallel()
	for _, a := range attestings {
		tpm := attestable(t, ak(), wire.RHEndorsement)
		require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
		if a.code != wire.CCQuote {
			require.Equal(t, wire.RCSuccess, send(t, tpm, a.command(t, tpm, wire.RHNull, nil, noScheme)), a.name)
			require.Equal(t, wire.RCSuccess, tpm.Restart(wire.SUState), a.name)
			require.Equal(t, key, place(t, tpm, ak(), wire.RHEndorsement))
			require.Equal(t, second, place(t, tpm, hmacKey(), wire.RHOwner))
			succeed(t, tpm, startSession(wire.SEHMAC), auditedRandom(wire.SessionContinue))
			require.Equal(t, wire.RCSuccess, tpm.Shutdown(wire.SUState))
		}
		command := a.command(t, tpm, key, nil, noScheme)
		tpm.Store.SetWritable(state.ErrRateLimited)
		assert.Equal(t, wire.RCNVRate, send(t, tpm, command), a.name)
		tpm.Store.SetWritable(nil)
		assert.Equal(t, wire.RCSuccess, send(t, tpm, command), a.name)
		assert.Equal(t, wire.RCValue.Parameter(1), tpm.Restart(wire.SUState), "%s: there was no shutdown any more", a.name)
	}
}
