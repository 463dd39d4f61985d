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

// CapabilityList has the TPM answer TPM2_GetCapability, and changes the list that it answers.
// Other commands stay as they are, and so does a list that sessions protect.
type CapabilityList struct {
	Change CapabilityChange
	// Of is the capability whose lists are changed, as CapabilityNames has it; empty is all.
	Of string
}

// CapabilityChange is how a list is changed.
type CapabilityChange string

// The changes.
const (
	DuplicateCapability CapabilityChange = "duplicate" // the last entry is there twice
	ReverseCapability   CapabilityChange = "reverse"   // the last entry comes first
	MoreCapability      CapabilityChange = "more"      // moreData says that entries follow
	EmptyCapability     CapabilityChange = "empty"     // there is no entry
)

var (
	capabilityChanges = []CapabilityChange{DuplicateCapability, ReverseCapability, MoreCapability, EmptyCapability}
	// capabilityNames are the names of TPM_CAP values from 0 on, without TPM_CAP_ (TPM 2.0
	// Library Part 2, section "TPM_CAP", rev 1.59).
	capabilityNames = []string{"ALGS", "HANDLES", "COMMANDS", "PP_COMMANDS", "AUDIT_COMMANDS", "PCRS", "TPM_PROPERTIES",
		"PCR_PROPERTIES", "ECC_CURVES", "AUTH_POLICIES", "ACT"}
)

var capabilityKind = Kind{
	Word: "capability", Value: "duplicate|reverse|more|empty[/LIST]", Group: Answers,
	Doc: "The TPM executes GetCapability, and in its answer the last entry is there twice, or the entries are in reverse order, " +
		"or moreData says that others follow, or there is no entry and none follows; in lists of all capabilities, or of one (PCRS, ALGS, TPM_PROPERTIES and so on).",
	Example: "GetCapability: capability=duplicate/PCRS",
	parse:   parseCapability,
}

func parseCapability(value string) (Fault, error) {
	change, of, has := strings.Cut(value, "/")
	c := CapabilityList{CapabilityChange(change), of}
	if has && of == "" {
		return nil, errors.New("no list follows the slash")
	}
	if reason := c.check(nil, nil); reason != "" {
		return nil, errors.New(reason)
	}
	return c, nil
}

func (CapabilityList) kind() *Kind { return &capabilityKind }

func (c CapabilityList) String() string {
	text := "capability=" + string(c.Change)
	if c.Of != "" {
		text += "/" + c.Of
	}
	return text
}

func (c CapabilityList) check(*Plan, *Rule) string {
	if !slices.Contains(capabilityChanges, c.Change) {
		return "there is no such change of a list; the changes are duplicate, reverse, more, empty"
	}
	if c.Of != "" && !slices.Contains(capabilityNames, c.Of) {
		return "there is no such list; the lists are " + strings.Join(capabilityNames, ", ")
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
		if !ok || c.Of != "" && slices.Index(capabilityNames, c.Of) != int(list.capability) {
			return response, ""
		}
		return list.changed(c.Change, response)
	})
}

// capabilityList is the response to TPM2_GetCapability: moreData, TPM_CAP, and a list of
// entries (TPM 2.0 Library Part 2, section "TPMU_CAPABILITIES", rev 1.59).
type capabilityList struct {
	capability wire.Cap
	head       []byte // up to the count
	entries    [][]byte
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
	l.capability, l.head = capability, response[:countAt]
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

func (l capabilityList) changed(c CapabilityChange, response []byte) ([]byte, string) {
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
