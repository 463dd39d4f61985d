package faults

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// CapabilityList has the TPM answer TPM2_GetCapability, and changes the list that it answers.
// Other commands stay as they are, and so does a list that sessions protect.
type CapabilityList string

// The changes.
const (
	DuplicateCapability CapabilityList = "duplicate" // the last entry is there twice
	ReverseCapability   CapabilityList = "reverse"   // the last entry comes first
	MoreCapability      CapabilityList = "more"      // moreData says that entries follow
	EmptyCapability     CapabilityList = "empty"     // there is no entry
)

var capabilityChanges = []CapabilityList{DuplicateCapability, ReverseCapability, MoreCapability, EmptyCapability}

var capabilityKind = Kind{
	Word: "capability", Value: "duplicate|reverse|more|empty", Group: Answers,
	Doc: "The TPM executes GetCapability, and in its answer the last entry is there twice, or the entries are in reverse order, " +
		"or moreData says that others follow, or there is no entry and none follows.",
	Example: "GetCapability#3: capability=duplicate",
	parse:   parseCapability,
}

func parseCapability(value string) (Fault, error) {
	c := CapabilityList(value)
	if reason := c.check(nil, nil); reason != "" {
		return nil, errors.New(reason)
	}
	return c, nil
}

func (CapabilityList) kind() *Kind      { return &capabilityKind }
func (c CapabilityList) String() string { return "capability=" + string(c) }

func (c CapabilityList) check(*Plan, *Rule) string {
	if !slices.Contains(capabilityChanges, c) {
		return fmt.Sprintf("there is no such change of a list; the changes are %s", joined(capabilityChanges, "%s"))
	}
	return ""
}

func (c CapabilityList) apply(x *exchange) ([]byte, error) {
	return x.change(func(response []byte) ([]byte, string) {
		code, _ := transport.CommandCode(x.command)
		h, ok := transport.ParseHeader(response)
		if !ok || wire.CC(code) != wire.CCGetCapability || h.Tag != transport.TagNoSessions || h.Code != transport.RCSuccess {
			return response, ""
		}
		list, ok := parseCapabilityList(response)
		if !ok {
			return response, ""
		}
		return list.changed(c, response)
	})
}

// capabilityList is the response to TPM2_GetCapability: moreData, TPM_CAP, and a list of
// entries (TPM 2.0 Library Part 2, section "TPMU_CAPABILITIES", rev 1.59).
type capabilityList struct {
	head    []byte // up to the count
	entries [][]byte
}

const (
	moreDataAt   = transport.HeaderSize
	capabilityAt = moreDataAt + 1
	countAt      = capabilityAt + 4
)

func parseCapabilityList(response []byte) (l capabilityList, ok bool) {
	s := scan{b: response, at: capabilityAt}
	capability, count := wire.Cap(s.u32()), s.u32()
	if s.bad {
		return l, false
	}
	l.head = response[:countAt]
	for range count {
		from := s.at
		s.entry(capability)
		if s.bad || s.at == from {
			return l, false
		}
		l.entries = append(l.entries, response[from:s.at])
	}
	return l, s.at == len(response)
}

// entry takes an entry of a capability. It takes nothing of one that it does not know.
func (s *scan) entry(capability wire.Cap) {
	switch capability {
	case wire.CapAlgs: // TPMS_ALG_PROPERTY
		s.skip(6)
	case wire.CapHandles, wire.CapCommands, wire.CapPPCommands, wire.CapAuditCommands:
		s.skip(4)
	case wire.CapTPMProperties: // TPMS_TAGGED_PROPERTY
		s.skip(8)
	case wire.CapECCCurves:
		s.skip(2)
	case wire.CapACT: // TPMS_ACT_DATA
		s.skip(12)
	case wire.CapPCRs: // TPMS_PCR_SELECTION
		s.skip(2)
		s.bitmap()
	case wire.CapPCRProperties: // TPMS_TAGGED_PCR_SELECT
		s.skip(4)
		s.bitmap()
	}
}

// bitmap takes a size in one byte and so many bytes.
func (s *scan) bitmap() {
	from := s.at
	s.skip(1)
	if !s.bad {
		s.skip(int(s.b[from]))
	}
}

func (l capabilityList) changed(c CapabilityList, response []byte) ([]byte, string) {
	n := len(l.entries)
	switch {
	case c == MoreCapability:
		response[moreDataAt] = 1
		return response, "moreData"
	case n == 0 || c == ReverseCapability && n == 1:
		return response, ""
	}
	entries, detail := slices.Clone(l.entries), fmt.Sprintf("%d entries reversed", n)
	switch c {
	case DuplicateCapability:
		entries, detail = append(entries, l.entries[n-1]), fmt.Sprintf("entry %d twice", n)
	case ReverseCapability:
		slices.Reverse(entries)
	case EmptyCapability:
		entries, detail = nil, fmt.Sprintf("no entry in place of %d", n)
	}
	changed := slices.Clone(l.head)
	if c == EmptyCapability {
		changed[moreDataAt] = 0
	}
	changed = binary.BigEndian.AppendUint32(changed, uint32(len(entries)))
	for _, e := range entries {
		changed = append(changed, e...)
	}
	transport.SetSize(changed)
	return changed, detail
}
