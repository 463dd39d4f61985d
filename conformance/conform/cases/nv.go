package cases

import (
	"errors"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

var (
	nvDefineSpace   = part3("31.3", "TPM2_NV_DefineSpace")
	nvUndefineSpace = part3("31.4", "TPM2_NV_UndefineSpace")
	nvReadPublic    = part3("31.6", "TPM2_NV_ReadPublic")
	nvWrite         = part3("31.7", "TPM2_NV_Write")
	nvIncrement     = part3("31.8", "TPM2_NV_Increment")
	nvExtend        = part3("31.9", "TPM2_NV_Extend")
	nvSetBits       = part3("31.10", "TPM2_NV_SetBits")
	nvWriteLock     = part3("31.11", "TPM2_NV_WriteLock")
	nvRead          = part3("31.13", "TPM2_NV_Read")
	nvReadLock      = part3("31.14", "TPM2_NV_ReadLock")
	nvChangeAuth    = part3("31.15", "TPM2_NV_ChangeAuth")
)

func nvReadStep(by conform.Part, n index, size, offset uint16) conform.Step {
	return do(tpm2.TPMCCNVRead, by, n).With(u16(size), u16(offset))
}

func nvWriteStep(by conform.Part, n index, data string, offset uint16) conform.Step {
	return do(tpm2.TPMCCNVWrite, by, n).With(conform.Text(data), u16(offset))
}

// reads checks the first TPM2B of an answer.
func reads(want string) conform.Check {
	return conform.Check{Says: fmt.Sprintf("the answer is %q", want), Test: func(a *conform.Answer) error {
		if got := a.Parsed().Sized(); string(got) != want {
			return fmt.Errorf("it is %q", got)
		}
		return nil
	}}
}

// nvHas checks attributes of an index in the answer to NV_ReadPublic.
func nvHas(says string, set, clear uint32) conform.Check {
	return conform.Check{Says: says, Test: func(a *conform.Answer) error {
		in := &wire.Cursor{Rest: a.Parsed().Sized()}
		in.Take(6)
		if got := in.U32(); in.Bad || got&set != set || got&clear != 0 {
			return fmt.Errorf("the attributes are %#x", got)
		}
		return nil
	}}
}

func nvCases() []conform.Case {
	return []conform.Case{
		ask(nvRead, "NV_Read of an index that is not written answers TPM_RC_NV_UNINITIALIZED",
			define(0, ordinary, 8), nvReadStep(owner, 0, 8, 0).Fails(tpm2.TPMRCNVUninitialized)),
		ask(nvRead, "NV_Read beyond the end of an index answers TPM_RC_NV_RANGE",
			define(0, ordinary, 8), nvWriteStep(owner, 0, "12345678", 0), nvReadStep(owner, 0, 8, 1).Fails(tpm2.TPMRCNVRange)),
		ask(nvRead, "NV_Read of a part of an index gives that part",
			define(0, ordinary, 8), nvWriteStep(owner, 0, "12345678", 0), nvReadStep(owner, 0, 3, 2).Checked(reads("345"))),
		ask(nvRead, "NV_Read of no octets gives none",
			define(0, ordinary, 8), nvWriteStep(owner, 0, "12345678", 0), nvReadStep(owner, 0, 0, 8).Checked(reads(""))),
		ask(nvRead, "NV_Read with another index as authorization answers TPM_RC_NV_AUTHORIZATION",
			define(0, ordinary, 8), define(1, ordinary, 8), nvWriteStep(owner, 0, "12345678", 0),
			nvReadStep(index(1), 0, 8, 0).Fails(tpm2.TPMRCNVAuthorization)),
		ask(nvWrite, "NV_Write of an index that is written in two parts keeps the other part",
			define(0, ordinary, 8), nvWriteStep(owner, 0, "12345678", 0), nvWriteStep(owner, 0, "xx", 3),
			nvReadStep(owner, 0, 8, 0).Checked(reads("123xx678"))),
		ask(nvWrite, "NV_Write beyond the end of an index answers TPM_RC_NV_RANGE",
			define(0, ordinary, 8), nvWriteStep(owner, 0, "12345678", 1).Fails(tpm2.TPMRCNVRange)),
		ask(nvWrite, "NV_Write of a counter answers TPM_RC_ATTRIBUTES",
			define(0, counter, 8), nvWriteStep(owner, 0, "12345678", 0).Fails(tpm2.TPMRCAttributes, h(2, tpm2.TPMRCAttributes))),
		ask(nvReadPublic, "NV_ReadPublic of a new index has TPMA_NV_WRITTEN CLEAR",
			define(0, ordinary, 8), do(tpm2.TPMCCNVReadPublic, index(0)).Checked(nvHas("TPMA_NV_WRITTEN is CLEAR", 0, wire.NVWritten))),
		ask(nvReadPublic, "NV_ReadPublic of an index that was written has TPMA_NV_WRITTEN SET",
			define(0, ordinary, 8), nvWriteStep(owner, 0, "12345678", 0),
			do(tpm2.TPMCCNVReadPublic, index(0)).Checked(nvHas("TPMA_NV_WRITTEN is SET", wire.NVWritten, 0))),
		ask(nvReadPublic, "NV_ReadPublic of an index that is not defined answers TPM_RC_HANDLE for handle 1",
			do(tpm2.TPMCCNVReadPublic, index(0)).Fails(h(1, tpm2.TPMRCHandle))),
		ask(nvDefineSpace, "NV_DefineSpace of an index that is defined answers TPM_RC_NV_DEFINED",
			define(0, ordinary, 8), define(0, ordinary, 8).Fails(tpm2.TPMRCNVDefined)),
		ask(nvDefineSpace, "NV_DefineSpace with TPMA_NV_WRITTEN SET answers TPM_RC_ATTRIBUTES for parameter 2",
			define(0, ordinary|wire.NVWritten, 8).Fails(p(2, tpm2.TPMRCAttributes))),
		ask(nvUndefineSpace, "NV_UndefineSpace takes an index away",
			define(0, ordinary, 8), do(tpm2.TPMCCNVUndefineSpace, owner, index(0)),
			do(tpm2.TPMCCNVReadPublic, index(0)).Fails(h(1, tpm2.TPMRCHandle))),
		ask(nvIncrement, "NV_Increment of a counter raises it by one",
			define(0, counter, 8), do(tpm2.TPMCCNVIncrement, owner, index(0)), nvReadStep(owner, 0, 8, 0).Named("first"),
			do(tpm2.TPMCCNVIncrement, owner, index(0)), nvReadStep(owner, 0, 8, 0).Checked(raisedBy("first", 1))),
		ask(nvIncrement, "NV_Increment of an ordinary index answers TPM_RC_ATTRIBUTES",
			define(0, ordinary, 8), do(tpm2.TPMCCNVIncrement, owner, index(0)).Fails(tpm2.TPMRCAttributes, h(2, tpm2.TPMRCAttributes))),
		ask(nvSetBits, "NV_SetBits sets bits in addition to those that are set",
			define(0, bits, 8), do(tpm2.TPMCCNVSetBits, owner, index(0)).With(u64(0x11)), do(tpm2.TPMCCNVSetBits, owner, index(0)).With(u64(0x101)),
			nvReadStep(owner, 0, 8, 0).Checked(reads("\x00\x00\x00\x00\x00\x00\x01\x11"))),
		ask(nvExtend, "NV_Extend of an ordinary index answers TPM_RC_ATTRIBUTES",
			define(0, ordinary, 8), do(tpm2.TPMCCNVExtend, owner, index(0)).With(conform.Text("data")).Fails(tpm2.TPMRCAttributes, h(2, tpm2.TPMRCAttributes))),
		ask(nvWriteLock, "NV_WriteLock of an index without TPMA_NV_WRITEDEFINE and TPMA_NV_WRITE_STCLEAR answers TPM_RC_ATTRIBUTES for handle 2",
			define(0, ordinary, 8), do(tpm2.TPMCCNVWriteLock, owner, index(0)).Fails(h(2, tpm2.TPMRCAttributes))),
		ask(nvWriteLock, "NV_Write of an index that is locked for writing answers TPM_RC_NV_LOCKED",
			define(0, ordinary|wire.NVWriteStClear, 8), do(tpm2.TPMCCNVWriteLock, owner, index(0)),
			nvWriteStep(owner, 0, "12345678", 0).Fails(tpm2.TPMRCNVLocked)),
		ask(nvReadLock, "NV_Read of an index that is locked for reading answers TPM_RC_NV_LOCKED",
			define(0, ordinary|wire.NVReadStClear, 8), nvWriteStep(owner, 0, "12345678", 0), do(tpm2.TPMCCNVReadLock, owner, index(0)),
			nvReadStep(owner, 0, 8, 0).Fails(tpm2.TPMRCNVLocked)),
		ask(nvChangeAuth, "NV_ChangeAuth with a password answers TPM_RC_AUTH_TYPE",
			define(0, ordinary, 8), do(tpm2.TPMCCNVChangeAuth, index(0)).With(conform.Text("new")).Fails(tpm2.TPMRCAuthType)),
	}
}

// raisedBy checks that a number of 8 bytes is more by n than that of an earlier answer.
func raisedBy(label string, n uint64) conform.Check {
	return conform.Check{Says: fmt.Sprintf("the counter is raised by %d", n), Test: func(a *conform.Answer) error {
		before, err := a.State.Field(label, 1)
		if err != nil {
			return err
		}
		in, now := &wire.Cursor{Rest: before}, a.Parsed()
		in.U16()
		now.U16()
		was, is := in.U64(), now.U64()
		if in.Bad || now.Bad {
			return errors.New("it has no 8 octets")
		}
		if is-was != n {
			return fmt.Errorf("it was %d and is %d", was, is)
		}
		return nil
	}}
}
