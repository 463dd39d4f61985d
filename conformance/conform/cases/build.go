// Package cases has the cases of the conformance suite, a file or more for each chapter of
// TPM 2.0 Library Part 3.
package cases

import (
	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// Short words for the parts of commands.
type (
	sized      = conform.Sized
	join       = conform.Join
	handle     = conform.Handle
	index      = conform.Index
	persistent = conform.Persistent
	field      = conform.Field
	raw        = conform.Raw
)

var (
	owner       = conform.Permanent(tpm2.TPMRHOwner)
	endorsement = conform.Permanent(tpm2.TPMRHEndorsement)
	platform    = conform.Permanent(tpm2.TPMRHPlatform)
	lockout     = conform.Permanent(tpm2.TPMRHLockout)
	null        = conform.Permanent(tpm2.TPMRHNull)
	empty       = conform.Bytes(nil)
	pcr16       = conform.U32(uint32(16))
)

func u8(v uint8) raw   { return conform.U8(v) }
func u16(v uint16) raw { return conform.U16(v) }
func u32(v uint32) raw { return conform.U32(v) }
func u64(v uint64) raw { return conform.U64(v) }

func alg(id tpm2.TPMAlgID) raw { return conform.U16(id) }

// zeros is a TPM2B of n zeros.
func zeros(n int) raw { return conform.Bytes(make([]byte, n)) }

func do(command tpm2.TPMCC, handles ...conform.Part) conform.Step {
	return conform.Do(command, handles...)
}

func ask(s conform.Section, name string, steps ...conform.Step) conform.Case {
	return conform.Ask(s, name, steps...)
}

// part3 is a section of Part 3, Commands.
func part3(clause, title string) conform.Section {
	return conform.Section{Document: "Part 3", Clause: clause, Title: title}
}

// part1 is a section of Part 1, Architecture.
func part1(clause, title string) conform.Section {
	return conform.Section{Document: "Part 1", Clause: clause, Title: title}
}

// part2 is a section of Part 2, Structures.
func part2(clause, title string) conform.Section {
	return conform.Section{Document: "Part 2", Clause: clause, Title: title}
}

// since is the section for TPMs of a library revision, times 100, and later ones.
func since(revision uint32, s conform.Section) conform.Section {
	s.Since = revision
	return s
}

// Response codes with numbers.
func p(n int, rc tpm2.TPMRC) tpm2.TPMRC { return conform.ParameterRC(n, rc) }
func h(n int, rc tpm2.TPMRC) tpm2.TPMRC { return conform.HandleRC(n, rc) }
func s(n int, rc tpm2.TPMRC) tpm2.TPMRC { return conform.SessionRC(n, rc) }

// Attributes of NV indices without dictionary attack protection that owner and index
// authorize.
const (
	ordinary   = wire.NVOwnerWrite | wire.NVAuthWrite | wire.NVOwnerRead | wire.NVAuthRead | wire.NVNoDA
	counter    = ordinary | 1<<wire.NVTypeShift
	bits       = ordinary | 2<<wire.NVTypeShift
	extendable = ordinary | 4<<wire.NVTypeShift
	pinFail    = wire.NVOwnerWrite | wire.NVOwnerRead | wire.NVAuthRead | wire.NVNoDA | 8<<wire.NVTypeShift
	pinPass    = wire.NVOwnerWrite | wire.NVOwnerRead | wire.NVAuthRead | wire.NVNoDA | 9<<wire.NVTypeShift
)

// define defines an index by the owner.
func define(n index, attributes uint32, size uint16) conform.Step {
	return conform.Define(tpm2.TPMRHOwner, n, attributes, size)
}
