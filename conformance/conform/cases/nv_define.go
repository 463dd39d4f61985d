package cases

import (
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// defineAs defines index 0 with everything to choose.
func defineAs(by tpm2.TPMHandle, nv conform.Part, hash tpm2.TPMAlgID, attributes uint32, policy conform.Part, size uint16) conform.Step {
	return do(tpm2.TPMCCNVDefineSpace, conform.Permanent(by)).With(empty, sized{nv, alg(hash), u32(attributes), policy, u16(size)})
}

const byPlatform = wire.NVPPWrite | wire.NVPPRead | wire.NVNoDA | wire.NVPlatformCreate

func nvDefineCases() []conform.Case {
	all := []conform.Case{
		ask(nvDefineSpace, "NV_DefineSpace of an index that is defined answers TPM_RC_NV_DEFINED", define(0, ordinary, 8), define(0, ordinary, 8).Fails(tpm2.TPMRCNVDefined)),
		ask(nvDefineSpace, "NV_DefineSpace of a handle that is of no index answers TPM_RC_VALUE for parameter 2",
			defineAs(tpm2.TPMRHOwner, u32(0x02000000), tpm2.TPMAlgSHA256, ordinary, empty, 8).Fails(p(2, tpm2.TPMRCValue))),
		ask(nvDefineSpace, "NV_DefineSpace with TPM_ALG_NULL as nameAlg answers TPM_RC_HASH for parameter 2",
			defineAs(tpm2.TPMRHOwner, index(0), tpm2.TPMAlgNull, ordinary, empty, 8).Fails(p(2, tpm2.TPMRCHash))),
		ask(nvDefineSpace, "NV_DefineSpace with a policy that is not of the size of nameAlg answers TPM_RC_SIZE for parameter 2",
			defineAs(tpm2.TPMRHOwner, index(0), tpm2.TPMAlgSHA256, ordinary, zeros(20), 8).Fails(p(2, tpm2.TPMRCSize))),
		ask(nvDefineSpace, "NV_DefineSpace of a public area that is larger than its fields answers TPM_RC_SIZE for parameter 2",
			do(tpm2.TPMCCNVDefineSpace, owner).With(empty, sized{index(0), alg(tpm2.TPMAlgSHA256), u32(ordinary), empty, u16(8), u8(0)}).Fails(p(2, tpm2.TPMRCSize))),
		ask(nvDefineSpace, "NV_DefineSpace of an empty public area answers TPM_RC_SIZE for parameter 2",
			do(tpm2.TPMCCNVDefineSpace, owner).With(empty, empty).Fails(p(2, tpm2.TPMRCSize))),
		ask(nvDefineSpace, "NV_DefineSpace with an authorization value that is longer than nameAlg's digest answers TPM_RC_SIZE for parameter 1",
			do(tpm2.TPMCCNVDefineSpace, owner).With(zeros(33), sized{index(0), alg(tpm2.TPMAlgSHA256), u32(ordinary), empty, u16(8)}).Fails(p(1, tpm2.TPMRCSize), tpm2.TPMRCSuccess)),
		ask(nvDefineSpace, "NV_DefineSpace of more octets than an index may have answers TPM_RC_SIZE for parameter 2",
			define(0, ordinary, 0xffff).Fails(p(2, tpm2.TPMRCSize))),
		ask(nvDefineSpace, "NV_DefineSpace of an ordinary index of no octets succeeds", define(0, ordinary, 0)),
		ask(nvDefineSpace, "NV_DefineSpace by the owner with TPMA_NV_PLATFORMCREATE answers TPM_RC_ATTRIBUTES for handle 1",
			define(0, ordinary|wire.NVPlatformCreate, 8).Fails(h(1, tpm2.TPMRCAttributes))),
		ask(nvDefineSpace, "NV_DefineSpace by the platform without TPMA_NV_PLATFORMCREATE answers TPM_RC_ATTRIBUTES for handle 1",
			conform.Define(tpm2.TPMRHPlatform, 0, ordinary, 8).Fails(h(1, tpm2.TPMRCAttributes), p(2, tpm2.TPMRCAttributes))),
		ask(nvDefineSpace, "NV_DefineSpace by the platform with TPMA_NV_PLATFORMCREATE succeeds", conform.Define(tpm2.TPMRHPlatform, 0, byPlatform, 8)),
		ask(nvDefineSpace, "NV_DefineSpace by the owner with TPMA_NV_POLICY_DELETE answers TPM_RC_ATTRIBUTES for parameter 2",
			define(0, ordinary|wire.NVPolicyDelete, 8).Fails(p(2, tpm2.TPMRCAttributes))),
		ask(nvDefineSpace, "NV_DefineSpace with nobody who may write answers TPM_RC_ATTRIBUTES for parameter 2",
			define(0, wire.NVOwnerRead|wire.NVNoDA, 8).Fails(p(2, tpm2.TPMRCAttributes))),
		ask(nvDefineSpace, "NV_DefineSpace with nobody who may read answers TPM_RC_ATTRIBUTES for parameter 2",
			define(0, wire.NVOwnerWrite|wire.NVNoDA, 8).Fails(p(2, tpm2.TPMRCAttributes))),
		ask(nvDefineSpace, "NV_DefineSpace with TPMA_NV_CLEAR_STCLEAR of a counter answers TPM_RC_ATTRIBUTES for parameter 2",
			define(0, counter|wire.NVClearStClear, 8).Fails(p(2, tpm2.TPMRCAttributes))),
		ask(nvDefineSpace, "NV_DefineSpace of a PIN Fail index without TPMA_NV_NO_DA answers TPM_RC_ATTRIBUTES for parameter 2",
			define(0, pinFail&^wire.NVNoDA, 8).Fails(p(2, tpm2.TPMRCAttributes))),
		ask(nvDefineSpace, "NV_DefineSpace of a PIN Fail index that its authValue may write answers TPM_RC_ATTRIBUTES for parameter 2",
			define(0, pinFail|wire.NVAuthWrite, 8).Fails(p(2, tpm2.TPMRCAttributes))),
		ask(nvDefineSpace, "NV_DefineSpace of a PIN Pass index with TPMA_NV_GLOBALLOCK answers TPM_RC_ATTRIBUTES for parameter 2",
			define(0, pinPass|wire.NVGlobalLock, 8).Fails(p(2, tpm2.TPMRCAttributes))),
		ask(nvDefineSpace, "NV_DefineSpace gives an index whose Name is the digest of its public area",
			define(0, ordinary, 8), do(tpm2.TPMCCNVReadPublic, index(0))),
		ask(nvDefineSpace, "NV_DefineSpace with an authorization value gives an index that it authorizes",
			defineSecret(), nvWriteStep(index(0), 0, "12345678", 0), nvReadStep(index(0), 0, 8, 0).Checked(reads("12345678"))),
		ask(nvDefineSpace, "An index with an authorization value answers TPM_RC_BAD_AUTH for session 1 to another one",
			defineSecret(), nvWriteStep(index(0), 0, "12345678", 0).By(conform.Password("other")).Fails(s(1, tpm2.TPMRCBadAuth))),
		ask(nvUndefineSpace, "NV_UndefineSpace takes an index away",
			define(0, ordinary, 8), nvCommand(tpm2.TPMCCNVUndefineSpace, owner, 0), do(tpm2.TPMCCNVReadPublic, index(0)).Fails(h(1, tpm2.TPMRCHandle))),
		ask(nvUndefineSpace, "NV_UndefineSpace by the owner of an index of the platform answers TPM_RC_NV_AUTHORIZATION",
			conform.Define(tpm2.TPMRHPlatform, 0, byPlatform, 8), nvCommand(tpm2.TPMCCNVUndefineSpace, owner, 0).Fails(tpm2.TPMRCNVAuthorization)),
		ask(nvUndefineSpace, "NV_UndefineSpace by the platform of an index of the owner succeeds",
			define(0, ordinary, 8), nvCommand(tpm2.TPMCCNVUndefineSpace, platform, 0)),
		ask(nvUndefineSpace, "NV_UndefineSpace of an index with TPMA_NV_POLICY_DELETE answers TPM_RC_ATTRIBUTES for handle 2",
			append(byPolicy(tpm2.TPMCCNVUndefineSpaceSpecial),
				conform.DefineWith(tpm2.TPMRHPlatform, 0, byPlatform|wire.NVPolicyDelete, 8, conform.Policy{Of: handle("digest")}),
				nvCommand(tpm2.TPMCCNVUndefineSpace, platform, 0).Fails(h(2, tpm2.TPMRCAttributes)))...),
		ask(nvSpecial, "NV_UndefineSpaceSpecial by the right policy takes an index away",
			append(byPolicy(tpm2.TPMCCNVUndefineSpaceSpecial),
				conform.DefineWith(tpm2.TPMRHPlatform, 0, byPlatform|wire.NVPolicyDelete, 8, conform.Policy{Of: handle("digest")}),
				do(tpm2.TPMCCNVUndefineSpaceSpecial, index(0), platform).By(adminSession(), conform.Own()),
				do(tpm2.TPMCCNVReadPublic, index(0)).Fails(h(1, tpm2.TPMRCHandle)))...),
		ask(nvSpecial, "NV_UndefineSpaceSpecial of an index without TPMA_NV_POLICY_DELETE answers TPM_RC_ATTRIBUTES for handle 1",
			append(byPolicy(tpm2.TPMCCNVUndefineSpaceSpecial),
				conform.DefineWith(tpm2.TPMRHPlatform, 0, byPlatform|wire.NVPolicyRead, 8, conform.Policy{Of: handle("digest")}),
				do(tpm2.TPMCCNVUndefineSpaceSpecial, index(0), platform).By(adminSession(), conform.Own()).Fails(h(1, tpm2.TPMRCAttributes)))...),
		ask(nvSpecial, "NV_UndefineSpaceSpecial by a policy for another command answers TPM_RC_POLICY_CC for session 1",
			append(append(byPolicy(tpm2.TPMCCNVUndefineSpaceSpecial), conform.Start(wire.SessionPolicy).Named("other"), do(tpm2.TPMCCPolicyCommandCode, handle("other")).With(conform.U32(tpm2.TPMCCNVWrite))),
				conform.DefineWith(tpm2.TPMRHPlatform, 0, byPlatform|wire.NVPolicyDelete, 8, conform.Policy{Of: handle("digest")}),
				do(tpm2.TPMCCNVUndefineSpaceSpecial, index(0), platform).By(conform.InPolicy(handle("other")), conform.Own()).Fails(s(1, tpm2.TPMRCPolicyCC), s(1, tpm2.TPMRCPolicyFail)))...),
		ask(nvReadPublic, "NV_ReadPublic of a new index has TPMA_NV_WRITTEN CLEAR",
			define(0, ordinary, 8), do(tpm2.TPMCCNVReadPublic, index(0)).Checked(nvHas("TPMA_NV_WRITTEN is CLEAR", 0, wire.NVWritten))),
		ask(nvReadPublic, "NV_ReadPublic of an index that was written has TPMA_NV_WRITTEN SET",
			define(0, ordinary, 8), nvWriteStep(owner, 0, "12345678", 0), do(tpm2.TPMCCNVReadPublic, index(0)).Checked(nvHas("TPMA_NV_WRITTEN is SET", wire.NVWritten, 0))),
		ask(nvReadPublic, "NV_ReadPublic of an index that is locked for writing has TPMA_NV_WRITELOCKED SET",
			define(0, ordinary|wire.NVWriteStClear, 8), nvCommand(tpm2.TPMCCNVWriteLock, owner, 0), do(tpm2.TPMCCNVReadPublic, index(0)).Checked(nvHas("TPMA_NV_WRITELOCKED is SET", wire.NVWriteLocked, 0))),
		ask(nvReadPublic, "NV_ReadPublic of an index that is locked for reading has TPMA_NV_READLOCKED SET",
			define(0, ordinary|wire.NVReadStClear, 8), nvCommand(tpm2.TPMCCNVReadLock, owner, 0), do(tpm2.TPMCCNVReadPublic, index(0)).Checked(nvHas("TPMA_NV_READLOCKED is SET", wire.NVReadLocked, 0))),
		ask(nvReadPublic, "NV_ReadPublic as go-tpm reads it gives the size of the index",
			define(0, ordinary, 19), conform.Step{Client: func(c *conform.Client) error {
				public, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(index(0).Handle())}.Execute(c)
				if err != nil {
					return err
				}
				contents, err := public.NVPublic.Contents()
				if err != nil {
					return err
				}
				if contents.DataSize != 19 {
					return fmt.Errorf("the size is %d", contents.DataSize)
				}
				return nil
			}}),
	}
	for _, wrong := range []struct {
		what string
		bit  uint32
	}{{"TPMA_NV_WRITTEN", wire.NVWritten}, {"TPMA_NV_WRITELOCKED", wire.NVWriteLocked}, {"TPMA_NV_READLOCKED", wire.NVReadLocked}} {
		all = append(all, ask(nvDefineSpace, "NV_DefineSpace with "+wrong.what+" SET answers TPM_RC_ATTRIBUTES for parameter 2",
			define(0, ordinary|wrong.bit, 8).Fails(p(2, tpm2.TPMRCAttributes))))
	}
	for _, bit := range []int{8, 9, 20, 21, 22, 23, 24} {
		all = append(all, ask(part2("13.4", "TPMA_NV"), fmt.Sprintf("NV_DefineSpace with the reserved attribute bit %d SET answers TPM_RC_RESERVED_BITS for parameter 2", bit),
			define(0, ordinary|1<<bit, 8).Fails(p(2, tpm2.TPMRCReservedBits))))
	}
	for _, kind := range []uint32{3, 5, 6, 7, 10, 15} {
		all = append(all, ask(part2("13.2", "TPM_NT"), fmt.Sprintf("NV_DefineSpace with the index type %d, which does not exist, answers TPM_RC_ATTRIBUTES or TPM_RC_VALUE for parameter 2", kind),
			define(0, ordinary|kind<<wire.NVTypeShift, 8).Fails(p(2, tpm2.TPMRCAttributes), p(2, tpm2.TPMRCValue))))
	}
	for _, kind := range []struct {
		what       string
		attributes uint32
		right      uint16
	}{{"a counter", counter, 8}, {"a bit field", bits, 8}, {"an extend index with SHA-256", extendable, 32}, {"a PIN Fail index", pinFail, 8}, {"a PIN Pass index", pinPass, 8}} {
		for _, size := range []uint16{kind.right - 1, kind.right + 1} {
			all = append(all, ask(nvDefineSpace, fmt.Sprintf("NV_DefineSpace of %s with %d octets answers TPM_RC_SIZE for parameter 2", kind.what, size),
				define(0, kind.attributes, size).Fails(p(2, tpm2.TPMRCSize))))
		}
		all = append(all, ask(nvDefineSpace, fmt.Sprintf("NV_DefineSpace of %s with %d octets succeeds", kind.what, kind.right), define(0, kind.attributes, kind.right)))
	}
	return all
}

// defineSecret defines an index with an authorization value.
func defineSecret() conform.Step {
	return do(tpm2.TPMCCNVDefineSpace, owner).
		With(conform.Text("secret"), sized{index(0), alg(tpm2.TPMAlgSHA256), u32(ordinary), empty, u16(8)}).Giving("secret")
}
