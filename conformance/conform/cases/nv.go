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
	nvGlobalLock    = part3("31.12", "TPM2_NV_GlobalWriteLock")
	nvRead          = part3("31.13", "TPM2_NV_Read")
	nvReadLock      = part3("31.14", "TPM2_NV_ReadLock")
	nvChangeAuth    = part3("31.15", "TPM2_NV_ChangeAuth")
	nvCertify       = part3("31.16", "TPM2_NV_Certify")
	nvSpecial       = part3("31.5", "TPM2_NV_UndefineSpaceSpecial")
	pinIndices      = part1("37.2.7", "NV PIN Indices")
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

// nvCommand is a command on an index without parameters.
func nvCommand(code tpm2.TPMCC, by conform.Part, n index) conform.Step { return do(code, by, n) }

// pinValue writes pinCount and pinLimit.
func pinValue(n index, count, limit uint32) conform.Step {
	return do(tpm2.TPMCCNVWrite, owner, n).With(conform.Bytes(append(u32(count), u32(limit)...)), u16(0))
}
