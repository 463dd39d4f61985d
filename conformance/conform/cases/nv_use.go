package cases

import (
	"crypto/sha256"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

func nvUseCases() []conform.Case {
	written := []conform.Step{define(0, ordinary, 8), nvWriteStep(owner, 0, "12345678", 0)}
	with := func(steps ...conform.Step) []conform.Step {
		return append(append([]conform.Step{}, written...), steps...)
	}
	all := []conform.Case{
		ask(nvRead, "NV_Read of an index that is not written answers TPM_RC_NV_UNINITIALIZED",
			define(0, ordinary, 8), nvReadStep(owner, 0, 8, 0).Fails(tpm2.TPMRCNVUninitialized)),
		ask(nvRead, "NV_Read beyond the end of an index answers TPM_RC_NV_RANGE", with(nvReadStep(owner, 0, 8, 1).Fails(tpm2.TPMRCNVRange))...),
		ask(nvRead, "NV_Read from an offset beyond the end answers TPM_RC_NV_RANGE or TPM_RC_VALUE for parameter 2",
			with(nvReadStep(owner, 0, 1, 9).Fails(tpm2.TPMRCNVRange, p(2, tpm2.TPMRCValue)))...),
		ask(nvRead, "NV_Read of a part of an index gives that part", with(nvReadStep(owner, 0, 3, 2).Checked(reads("345")))...),
		ask(nvRead, "NV_Read of no octets gives none", with(nvReadStep(owner, 0, 0, 8).Checked(reads("")))...),
		ask(nvRead, "NV_Read of more octets than TPM_PT_NV_BUFFER_MAX answers TPM_RC_VALUE for parameter 1",
			with(nvReadStep(owner, 0, 0xffff, 0).Fails(p(1, tpm2.TPMRCValue)))...),
		ask(nvRead, "NV_Read with another index as authorization answers TPM_RC_NV_AUTHORIZATION",
			with(define(1, ordinary, 8), nvReadStep(index(1), 0, 8, 0).Fails(tpm2.TPMRCNVAuthorization))...),
		ask(nvRead, "NV_Read by the platform without TPMA_NV_PPREAD answers TPM_RC_NV_AUTHORIZATION",
			with(nvReadStep(platform, 0, 8, 0).Fails(tpm2.TPMRCNVAuthorization))...),
		ask(nvRead, "NV_Read by the index without TPMA_NV_AUTHREAD answers TPM_RC_AUTH_UNAVAILABLE or TPM_RC_NV_AUTHORIZATION",
			define(0, ordinary&^wire.NVAuthRead, 8), nvWriteStep(owner, 0, "12345678", 0), nvReadStep(index(0), 0, 8, 0).Fails(tpm2.TPMRCNVAuthorization, tpm2.TPMRCAuthUnavailable)),
		ask(nvRead, "NV_Read can be encrypted by a session",
			with(conform.StartCipher(wire.SessionHMAC).Named("session"), nvReadStep(index(0), 0, 8, 0).By(conform.In(handle("session"), wire.AttributeEncrypt)).Checked(reads("12345678")))...),
		ask(nvRead, "NV_Read as go-tpm reads it gives what was written", with(conform.Step{Client: goRead("12345678")})...),
		ask(nvWrite, "NV_Write of an index that is written in two parts keeps the other part",
			with(nvWriteStep(owner, 0, "xx", 3), nvReadStep(owner, 0, 8, 0).Checked(reads("123xx678")))...),
		ask(nvWrite, "NV_Write of no octets makes an index written", define(0, ordinary, 0), nvWriteStep(owner, 0, "", 0),
			do(tpm2.TPMCCNVReadPublic, index(0)).Checked(nvHas("TPMA_NV_WRITTEN is SET", wire.NVWritten, 0))),
		ask(nvWrite, "NV_Write beyond the end of an index answers TPM_RC_NV_RANGE", define(0, ordinary, 8), nvWriteStep(owner, 0, "12345678", 1).Fails(tpm2.TPMRCNVRange)),
		ask(nvWrite, "NV_Write of a part of an index with TPMA_NV_WRITEALL answers TPM_RC_NV_RANGE",
			define(0, ordinary|wire.NVWriteAll, 8), nvWriteStep(owner, 0, "1234567", 0).Fails(tpm2.TPMRCNVRange)),
		ask(nvWrite, "NV_Write of all of an index with TPMA_NV_WRITEALL succeeds", define(0, ordinary|wire.NVWriteAll, 8), nvWriteStep(owner, 0, "12345678", 0)),
		ask(nvWrite, "NV_Write of a PIN Fail index sets pinCount and pinLimit", define(0, pinFail, 8), pinValue(0, 1, 5), nvReadStep(owner, 0, 8, 0).Checked(reads("\x00\x00\x00\x01\x00\x00\x00\x05"))),
		ask(nvWrite, "NV_Write by an index without TPMA_NV_AUTHWRITE answers TPM_RC_AUTH_UNAVAILABLE or TPM_RC_NV_AUTHORIZATION",
			define(0, ordinary&^wire.NVAuthWrite, 8), nvWriteStep(index(0), 0, "12345678", 0).Fails(tpm2.TPMRCNVAuthorization, tpm2.TPMRCAuthUnavailable)),
		ask(nvWrite, "NV_Write by the owner without TPMA_NV_OWNERWRITE answers TPM_RC_NV_AUTHORIZATION",
			define(0, ordinary&^wire.NVOwnerWrite, 8), nvWriteStep(owner, 0, "12345678", 0).Fails(tpm2.TPMRCNVAuthorization)),
		ask(nvWrite, "NV_Write can be decrypted by a session",
			define(0, ordinary, 8), conform.StartCipher(wire.SessionHMAC).Named("session"), nvWriteStep(index(0), 0, "12345678", 0).By(conform.In(handle("session"), wire.AttributeDecrypt)),
			nvReadStep(owner, 0, 8, 0).Checked(reads("12345678"))),
		ask(nvIncrement, "NV_Increment of a counter raises it by one",
			define(0, counter, 8), nvCommand(tpm2.TPMCCNVIncrement, owner, 0), nvReadStep(owner, 0, 8, 0).Named("first"),
			nvCommand(tpm2.TPMCCNVIncrement, owner, 0), nvReadStep(owner, 0, 8, 0).Checked(raisedBy("first", 1))),
		ask(nvIncrement, "NV_Increment of an orderly counter raises it by one",
			define(0, counter|wire.NVOrderly, 8), nvCommand(tpm2.TPMCCNVIncrement, owner, 0), nvReadStep(owner, 0, 8, 0).Named("first"),
			nvCommand(tpm2.TPMCCNVIncrement, owner, 0), nvReadStep(owner, 0, 8, 0).Checked(raisedBy("first", 1))),
		ask(nvIncrement, "NV_Read of a counter that was never incremented answers TPM_RC_NV_UNINITIALIZED",
			define(0, counter, 8), nvReadStep(owner, 0, 8, 0).Fails(tpm2.TPMRCNVUninitialized)),
		ask(nvIncrement, "A counter that is defined again does not go back",
			define(0, counter, 8), nvCommand(tpm2.TPMCCNVIncrement, owner, 0), nvReadStep(owner, 0, 8, 0).Named("first"), nvCommand(tpm2.TPMCCNVUndefineSpace, owner, 0),
			define(0, counter, 8), nvCommand(tpm2.TPMCCNVIncrement, owner, 0), nvReadStep(owner, 0, 8, 0).Checked(raisedBy("first", 1))),
		ask(nvSetBits, "NV_SetBits sets bits in addition to those that are set",
			define(0, bits, 8), do(tpm2.TPMCCNVSetBits, owner, index(0)).With(u64(0x11)), do(tpm2.TPMCCNVSetBits, owner, index(0)).With(u64(0x101)),
			nvReadStep(owner, 0, 8, 0).Checked(reads("\x00\x00\x00\x00\x00\x00\x01\x11"))),
		ask(nvSetBits, "NV_SetBits of no bits makes the index written with zeros",
			define(0, bits, 8), do(tpm2.TPMCCNVSetBits, owner, index(0)).With(u64(0)), nvReadStep(owner, 0, 8, 0).Checked(reads(string(make([]byte, 8))))),
		ask(nvExtend, "NV_Extend of a new index is the digest of zeros and the data",
			define(0, extendable, 32), do(tpm2.TPMCCNVExtend, owner, index(0)).With(conform.Text("data")),
			nvReadStep(owner, 0, 32, 0).Checked(reads(extended(make([]byte, 32), "data")))),
		ask(nvExtend, "NV_Extend a second time extends the digest",
			define(0, extendable, 32), do(tpm2.TPMCCNVExtend, owner, index(0)).With(conform.Text("data")), do(tpm2.TPMCCNVExtend, owner, index(0)).With(empty),
			nvReadStep(owner, 0, 32, 0).Checked(reads(extended([]byte(extended(make([]byte, 32), "data")), "")))),
		ask(nvCertify, "NV_Certify certifies what is written, signed by the key",
			with(do(tpm2.TPMCCNVCertify, handle("@attest"), owner, index(0)).With(conform.Text("extra"), noScheme, u16(8), u16(0)))...),
		ask(nvCertify, "NV_Certify of an index that is not written answers TPM_RC_NV_UNINITIALIZED",
			define(0, ordinary, 8), do(tpm2.TPMCCNVCertify, handle("@attest"), owner, index(0)).With(conform.Text("extra"), noScheme, u16(8), u16(0)).Fails(tpm2.TPMRCNVUninitialized)),
		ask(nvCertify, "NV_Certify beyond the end of an index answers TPM_RC_NV_RANGE",
			with(do(tpm2.TPMCCNVCertify, handle("@attest"), owner, index(0)).With(conform.Text("extra"), noScheme, u16(8), u16(1)).Fails(tpm2.TPMRCNVRange))...),
		ask(nvCertify, "NV_Certify by a key that cannot sign answers TPM_RC_KEY for handle 1",
			with(do(tpm2.TPMCCNVCertify, handle("@storage"), owner, index(0)).With(conform.Text("extra"), noScheme, u16(8), u16(0)).Fails(h(1, tpm2.TPMRCKey)))...),
		ask(nvChangeAuth, "NV_ChangeAuth with a password answers TPM_RC_AUTH_TYPE",
			define(0, ordinary, 8), do(tpm2.TPMCCNVChangeAuth, index(0)).With(conform.Text("new")).Fails(tpm2.TPMRCAuthType)),
		ask(nvChangeAuth, "NV_ChangeAuth by its policy changes the authorization value",
			append(byPolicy(tpm2.TPMCCNVChangeAuth), conform.DefineWith(tpm2.TPMRHOwner, 0, policyRead, 8, conform.Policy{Of: handle("digest")}),
				do(tpm2.TPMCCNVChangeAuth, index(0)).With(conform.Text("new")).By(adminSession()).Giving("new"),
				nvWriteStep(index(0), 0, "12345678", 0), nvWriteStep(index(0), 0, "12345678", 0).By(conform.Password("")).Fails(s(1, tpm2.TPMRCBadAuth)))...),
		ask(nvChangeAuth, "NV_ChangeAuth with a value that is longer than nameAlg's digest answers TPM_RC_SIZE for parameter 1",
			append(byPolicy(tpm2.TPMCCNVChangeAuth), conform.DefineWith(tpm2.TPMRHOwner, 0, policyRead, 8, conform.Policy{Of: handle("digest")}),
				do(tpm2.TPMCCNVChangeAuth, index(0)).With(conform.Bytes([]byte("a value of more than thirty-two octets"))).By(adminSession()).Fails(p(1, tpm2.TPMRCSize)))...),
	}
	all = append(all, nvLockCases()...)
	all = append(all, wrongTypeCases()...)
	return append(all, pinCases()...)
}

// goRead reads index 0 with go-tpm.
func goRead(want string) func(*conform.Client) error {
	return func(c *conform.Client) error {
		nv := tpm2.TPMHandle(index(0).Handle())
		public, err := tpm2.NVReadPublic{NVIndex: nv}.Execute(c)
		if err != nil {
			return err
		}
		read, err := tpm2.NVRead{
			AuthHandle: tpm2.AuthHandle{Handle: nv, Name: public.NVName, Auth: tpm2.PasswordAuth(nil)},
			NVIndex:    tpm2.NamedHandle{Handle: nv, Name: public.NVName}, Size: uint16(len(want)),
		}.Execute(c)
		if err != nil {
			return err
		}
		if string(read.Data.Buffer) != want {
			return fmt.Errorf("it is %q", read.Data.Buffer)
		}
		return nil
	}
}

func extended(before []byte, data string) string {
	sum := sha256.Sum256(append(append([]byte{}, before...), data...))
	return string(sum[:])
}

func nvLockCases() []conform.Case {
	return []conform.Case{
		ask(nvWriteLock, "NV_WriteLock of an index without TPMA_NV_WRITEDEFINE and TPMA_NV_WRITE_STCLEAR answers TPM_RC_ATTRIBUTES for handle 2",
			define(0, ordinary, 8), nvCommand(tpm2.TPMCCNVWriteLock, owner, 0).Fails(h(2, tpm2.TPMRCAttributes))),
		ask(nvWriteLock, "NV_Write of an index that is locked for writing answers TPM_RC_NV_LOCKED",
			define(0, ordinary|wire.NVWriteStClear, 8), nvCommand(tpm2.TPMCCNVWriteLock, owner, 0), nvWriteStep(owner, 0, "12345678", 0).Fails(tpm2.TPMRCNVLocked)),
		ask(nvWriteLock, "NV_WriteLock of an index that is locked succeeds",
			define(0, ordinary|wire.NVWriteStClear, 8), nvCommand(tpm2.TPMCCNVWriteLock, owner, 0), nvCommand(tpm2.TPMCCNVWriteLock, owner, 0)),
		ask(nvWriteLock, "NV_Increment of a counter that is locked answers TPM_RC_NV_LOCKED",
			define(0, counter|wire.NVWriteStClear, 8), nvCommand(tpm2.TPMCCNVWriteLock, owner, 0), nvCommand(tpm2.TPMCCNVIncrement, owner, 0).Fails(tpm2.TPMRCNVLocked)),
		ask(nvWriteLock, "NV_SetBits of an index that is locked answers TPM_RC_NV_LOCKED",
			define(0, bits|wire.NVWriteStClear, 8), nvCommand(tpm2.TPMCCNVWriteLock, owner, 0), do(tpm2.TPMCCNVSetBits, owner, index(0)).With(u64(1)).Fails(tpm2.TPMRCNVLocked)),
		ask(nvWriteLock, "NV_Extend of an index that is locked answers TPM_RC_NV_LOCKED",
			define(0, extendable|wire.NVWriteStClear, 32), nvCommand(tpm2.TPMCCNVWriteLock, owner, 0), do(tpm2.TPMCCNVExtend, owner, index(0)).With(empty).Fails(tpm2.TPMRCNVLocked)),
		ask(nvWriteLock, "NV_Write of an index with TPMA_NV_WRITEDEFINE that is locked answers TPM_RC_NV_LOCKED",
			define(0, ordinary|wire.NVWriteDefine, 8), nvWriteStep(owner, 0, "12345678", 0), nvCommand(tpm2.TPMCCNVWriteLock, owner, 0), nvWriteStep(owner, 0, "12345678", 0).Fails(tpm2.TPMRCNVLocked)),
		ask(nvReadLock, "NV_ReadLock of an index without TPMA_NV_READ_STCLEAR answers TPM_RC_ATTRIBUTES for handle 2",
			define(0, ordinary, 8), nvCommand(tpm2.TPMCCNVReadLock, owner, 0).Fails(h(2, tpm2.TPMRCAttributes))),
		ask(nvReadLock, "NV_Read of an index that is locked for reading answers TPM_RC_NV_LOCKED",
			define(0, ordinary|wire.NVReadStClear, 8), nvWriteStep(owner, 0, "12345678", 0), nvCommand(tpm2.TPMCCNVReadLock, owner, 0), nvReadStep(owner, 0, 8, 0).Fails(tpm2.TPMRCNVLocked)),
		ask(nvReadLock, "NV_Write of an index that is locked for reading succeeds",
			define(0, ordinary|wire.NVReadStClear, 8), nvCommand(tpm2.TPMCCNVReadLock, owner, 0), nvWriteStep(owner, 0, "12345678", 0)),
		ask(nvReadLock, "NV_ReadLock of an index that is locked succeeds",
			define(0, ordinary|wire.NVReadStClear, 8), nvCommand(tpm2.TPMCCNVReadLock, owner, 0), nvCommand(tpm2.TPMCCNVReadLock, owner, 0)),
		ask(nvGlobalLock, "NV_GlobalWriteLock locks indices with TPMA_NV_GLOBALLOCK",
			define(0, ordinary|wire.NVGlobalLock, 8), do(tpm2.TPMCCNVGlobalWriteLock, owner), nvWriteStep(owner, 0, "12345678", 0).Fails(tpm2.TPMRCNVLocked)).Harming(conform.Locks),
		ask(nvGlobalLock, "NV_GlobalWriteLock leaves indices without TPMA_NV_GLOBALLOCK alone",
			define(0, ordinary, 8), do(tpm2.TPMCCNVGlobalWriteLock, owner), nvWriteStep(owner, 0, "12345678", 0)).Harming(conform.Locks),
		ask(nvGlobalLock, "NV_GlobalWriteLock leaves indices alone that are defined after it",
			do(tpm2.TPMCCNVGlobalWriteLock, owner), define(0, ordinary|wire.NVGlobalLock, 8), nvWriteStep(owner, 0, "12345678", 0)).Harming(conform.Locks),
	}
}

// wrongTypeCases use a command on an index of another type.
func wrongTypeCases() (all []conform.Case) {
	types := []struct {
		what       string
		attributes uint32
		size       uint16
	}{{"an ordinary index", ordinary, 8}, {"a counter", counter, 8}, {"a bit field", bits, 8}, {"an extend index", extendable, 32}, {"a PIN Fail index", pinFail, 8}, {"a PIN Pass index", pinPass, 8}}
	commands := []struct {
		section conform.Section
		name    string
		step    conform.Step
		takes   []int
	}{
		{nvWrite, "NV_Write", nvWriteStep(owner, 0, "12345678", 0), []int{0, 4, 5}},
		{nvIncrement, "NV_Increment", nvCommand(tpm2.TPMCCNVIncrement, owner, 0), []int{1}},
		{nvSetBits, "NV_SetBits", do(tpm2.TPMCCNVSetBits, owner, index(0)).With(u64(1)), []int{2}},
		{nvExtend, "NV_Extend", do(tpm2.TPMCCNVExtend, owner, index(0)).With(conform.Text("data")), []int{3}},
	}
	for _, c := range commands {
		taken := map[int]bool{}
		for _, n := range c.takes {
			taken[n] = true
		}
		for n, kind := range types {
			if !taken[n] {
				all = append(all, ask(c.section, c.name+" of "+kind.what+" answers TPM_RC_ATTRIBUTES",
					define(0, kind.attributes, kind.size), c.step.Fails(tpm2.TPMRCAttributes, h(2, tpm2.TPMRCAttributes))))
			}
		}
	}
	return all
}

func pinCases() []conform.Case {
	definePIN := func(attributes uint32) conform.Step {
		return do(tpm2.TPMCCNVDefineSpace, owner).With(conform.Text("pin"), sized{index(0), alg(tpm2.TPMAlgSHA256), u32(attributes), empty, u16(8)}).Giving("pin")
	}
	use := nvReadStep(index(0), 0, 8, 0)
	wrong := use.By(conform.Password("wrong")).Fails(s(1, tpm2.TPMRCBadAuth))
	byOwner := func(want string) conform.Step { return nvReadStep(owner, 0, 8, 0).Checked(reads(want)) }
	return []conform.Case{
		ask(pinIndices, "A PIN Pass index counts the uses of its authorization value",
			definePIN(pinPass), pinValue(0, 0, 5), use, use, byOwner("\x00\x00\x00\x02\x00\x00\x00\x05")),
		ask(pinIndices, "A PIN Pass index does not count wrong authorization values",
			definePIN(pinPass), pinValue(0, 0, 5), wrong, byOwner("\x00\x00\x00\x00\x00\x00\x00\x05")),
		ask(pinIndices, "A PIN Pass index at its limit answers TPM_RC_AUTH_UNAVAILABLE or TPM_RC_AUTH_FAIL to its authorization value",
			definePIN(pinPass), pinValue(0, 0, 1), use, use.Fails(tpm2.TPMRCAuthUnavailable, s(1, tpm2.TPMRCBadAuth), s(1, tpm2.TPMRCAuthFail))),
		ask(pinIndices, "A PIN Fail index counts wrong authorization values",
			definePIN(pinFail), pinValue(0, 0, 5), wrong, wrong, byOwner("\x00\x00\x00\x02\x00\x00\x00\x05")),
		ask(pinIndices, "A PIN Fail index sets its count to 0 when the authorization value is right",
			definePIN(pinFail), pinValue(0, 0, 5), wrong, use, byOwner("\x00\x00\x00\x00\x00\x00\x00\x05")),
		ask(pinIndices, "A PIN Fail index at its limit answers TPM_RC_AUTH_UNAVAILABLE or TPM_RC_AUTH_FAIL to the right authorization value",
			definePIN(pinFail), pinValue(0, 0, 1), wrong, use.Fails(tpm2.TPMRCAuthUnavailable, s(1, tpm2.TPMRCBadAuth), s(1, tpm2.TPMRCAuthFail))),
		ask(pinIndices, "A PIN index that is not written answers TPM_RC_NV_UNINITIALIZED or TPM_RC_AUTH_UNAVAILABLE",
			definePIN(pinFail), use.Fails(tpm2.TPMRCNVUninitialized, tpm2.TPMRCAuthUnavailable)),
	}
}
