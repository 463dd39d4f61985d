package faults

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// BrokenBank breaks one PCR bank, which the TPM goes on to announce as one that it has.
// Quotes and policies stay as they are.
type BrokenBank struct {
	Bank string // such as "sha256"
	How  BankFault
}

// BankFault is the way in which a PCR bank is broken.
type BankFault uint8

// The ways.
const (
	// BankZero: TPM2_PCR_Read gives digests of zeros for the bank.
	BankZero BankFault = iota
	// BankWrong: one bit of each of the bank's digests in TPM2_PCR_Read is wrong.
	BankWrong
	// BankEmpty: TPM2_PCR_Read gives no digest of the bank, and selects none of its PCRs.
	BankEmpty
	// BankRefused: TPM2_PCR_Extend with a digest for the bank is answered TPM_RC_HASH with
	// the number of the parameter, as by a TPM that does not know the algorithm.
	BankRefused
)

var bankWords = [...]string{BankZero: "zero", BankWrong: "wrong", BankEmpty: "empty", BankRefused: "refused"}

var bankKind = Kind{
	Word: "bank", Value: "BANK:zero|wrong|empty|refused", Group: Inside,
	Doc: "One PCR bank is broken. Of its PCRs, TPM2_PCR_Read gives digests of zeros, digests with a wrong bit, or none; " +
		"or TPM2_PCR_Extend with a digest for the bank is refused with TPM_RC_HASH, and extends none. Other commands are as before, and so are responses that sessions protect.",
	Example: "level=kernel..: bank=sha256:refused",
	parse:   parseBank,
}

func parseBank(value string) (Fault, error) {
	name, how, _ := strings.Cut(value, ":")
	i := slices.Index(bankWords[:], how)
	if i < 0 {
		return nil, fmt.Errorf("a bank is broken in one of the ways zero, wrong, empty, refused, and not %q", how)
	}
	b := BrokenBank{name, BankFault(i)}
	if reason := b.check(nil, nil); reason != "" {
		return nil, errors.New(reason)
	}
	return b, nil
}

func (BrokenBank) kind() *Kind      { return &bankKind }
func (b BrokenBank) String() string { return "bank=" + b.Bank + ":" + wordOf(bankWords[:], b.How) }

func (b BrokenBank) check(_ *Plan, r *Rule) string {
	switch {
	case int(b.How) >= len(bankWords):
		return fmt.Sprintf("there is no fault %s", b)
	case bankByName(b.Bank).alg == 0:
		return fmt.Sprintf("there is no bank %q; the banks are %s", b.Bank, bankNames())
	case r != nil && len(r.When.Commands) > 0 && !slices.Contains(r.When.Commands, uint32(b.concerns())):
		name, _, _ := b.concerns().Command()
		return fmt.Sprintf("none of its commands is %s, which it would change", name)
	}
	return ""
}

// concerns returns the one command whose answers the fault changes.
func (b BrokenBank) concerns() wire.CC {
	if b.How == BankRefused {
		return wire.CCPCRExtend
	}
	return wire.CCPCRRead
}

func (b BrokenBank) apply(x *exchange) ([]byte, error) {
	code, _ := transport.CommandCode(x.command)
	switch {
	case wire.CC(code) != b.concerns():
		return x.next()
	case b.How == BankRefused && extends(x.command, bankByName(b.Bank).alg):
		x.decision.Detail = "it extends bank " + b.Bank
		return x.answer(uint32(wire.RCHash.Parameter(1)))
	case b.How == BankRefused:
		return x.next()
	}
	return x.change(func(response []byte) ([]byte, string) {
		h, ok := transport.ParseHeader(response)
		if !ok || h.Tag != transport.TagNoSessions || h.Code != transport.RCSuccess {
			return response, ""
		}
		changed, n, ok := b.read(response)
		if !ok || n == 0 {
			return response, ""
		}
		transport.SetSize(changed)
		return changed, fmt.Sprintf("%d digests of bank %s: %s", n, b.Bank, wordOf(bankWords[:], b.How))
	})
}

// extends reports whether a TPM2_PCR_Extend has a digest for a bank.
func extends(command []byte, alg wire.AlgID) bool {
	s := scan{b: command, at: transport.HeaderSize}
	s.skip(4) // pcrHandle
	s.skip(int(s.u32()))
	for range min(s.u32(), wire.MaxHashes) {
		one := s.u16()
		if s.bad || wire.AlgID(one) == alg {
			return !s.bad
		}
		s.skip(bankOf(wire.AlgID(one)).size)
	}
	return false
}

// read returns what becomes of a response to TPM2_PCR_Read: pcrUpdateCounter,
// TPML_PCR_SELECTION and TPML_DIGEST, whose digests are in the order of the selections
// (TPM 2.0 Library Part 3, section "TPM2_PCR_Read", rev 1.59). n is how many digests the
// bank had.
func (b BrokenBank) read(response []byte) (changed []byte, n int, ok bool) {
	s := scan{b: response, at: transport.HeaderSize + 4}
	changed = slices.Clone(response[:min(s.at, len(response))])
	selections := s.u32()
	changed = append(changed, u32(selections)...)
	var broken []bool // of each digest
	for range min(selections, wire.MaxHashes) {
		from := s.at
		alg := wire.AlgID(s.u16())
		bits := s.at + 1
		s.bitmap()
		if s.bad {
			return nil, 0, false
		}
		ours := alg == bankByName(b.Bank).alg
		for _, octet := range response[bits:s.at] {
			for bit := range 8 {
				if octet>>bit&1 != 0 {
					broken = append(broken, ours)
				}
			}
		}
		at := len(changed)
		changed = append(changed, response[from:s.at]...)
		if ours && b.How == BankEmpty {
			clear(changed[at+3:])
		}
	}
	count := s.u32()
	if s.bad || int64(count) != int64(len(broken)) {
		return nil, 0, false
	}
	countAt := len(changed)
	changed = append(changed, u32(count)...)
	for _, ours := range broken {
		from := s.at
		digest := s.sized()
		if s.bad {
			return nil, 0, false
		}
		at := len(changed)
		changed = append(changed, response[from:s.at]...)
		if !ours || digest.size == 0 {
			continue
		}
		n++
		switch b.How {
		case BankZero:
			clear(changed[at+2:])
		case BankWrong:
			changed[len(changed)-1] ^= 1
		case BankEmpty:
			changed = changed[:at]
		}
	}
	if b.How == BankEmpty {
		binary.BigEndian.PutUint32(changed[countAt:], count-uint32(n))
	}
	return changed, n, s.at == len(response)
}
