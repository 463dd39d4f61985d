package differential

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"
)

// page is a TPMS_CAPABILITY_DATA whose union is a list of fixed-size elements.
type page struct {
	more       bool
	capability uint32
	entries    []entry
}

// elementLayout gives, for a capability with elements of fixed size, the bytes
// of the key and of the value in one element (TPM 2.0 Library Part 2, section
// "TPMU_CAPABILITIES").
func elementLayout(capability uint32) (key, value int, ok bool) {
	switch tpm2.TPMCap(capability) {
	case tpm2.TPMCapAlgs:
		return 2, 4, true
	case tpm2.TPMCapHandles:
		return 4, 0, true
	case tpm2.TPMCapCommands: // the key is part of the value, see parseEntry
		return 0, 4, true
	case tpm2.TPMCapPPCommands, tpm2.TPMCapAuditCommands:
		return 4, 0, true
	case tpm2.TPMCapTPMProperties:
		return 4, 4, true
	case tpm2.TPMCapECCCurves:
		return 2, 0, true
	}
	return 0, 0, false
}

// parseCapability reads the response parameters of TPM2_GetCapability for the
// capabilities elementLayout knows.
func parseCapability(b []byte) (page, error) {
	if len(b) < 9 || b[0] > 1 {
		return page{}, fmt.Errorf("capability data of %d bytes without moreData, capability and count", len(b))
	}
	p := page{more: b[0] == 1, capability: binary.BigEndian.Uint32(b[1:])}
	key, value, ok := elementLayout(p.capability)
	if !ok {
		return page{}, fmt.Errorf("capability %#x is no simple list", p.capability)
	}
	count := binary.BigEndian.Uint32(b[5:])
	b = b[9:]
	if uint64(count)*uint64(key+value) != uint64(len(b)) {
		return page{}, fmt.Errorf("%d elements of %d bytes in %d bytes", count, key+value, len(b))
	}
	for ; len(b) > 0; b = b[key+value:] {
		e := entry{key: number(b[:key]), value: number(b[key : key+value])}
		if key == 0 { // TPMA_CC: the code is bits 0 to 15 and the V bit
			e.key = e.value & 0x2000ffff
		}
		p.entries = append(p.entries, e)
	}
	return p, nil
}

// number reads up to four bytes, big-endian.
func number(b []byte) uint32 {
	var n uint32
	for _, v := range b {
		n = n<<8 | uint32(v)
	}
	return n
}

// compareCapability compares two successful answers to TPM2_GetCapability.
// Lists that are properties of the implementation are each measured against
// the device's own whole list, because they legitimately differ; the elements
// both have must be equal. Everything else must be equal byte by byte.
func (c *comparer) compareCapability(command, ours, theirs []byte) string {
	if len(command) < 12 {
		return exact(ours, theirs)
	}
	capability, property := number(command[:4]), number(command[4:8])
	if _, _, ok := elementLayout(capability); !ok || capability == uint32(tpm2.TPMCapHandles) {
		return exact(ours, theirs)
	}
	a, errA := parseCapability(ours)
	b, errB := parseCapability(theirs)
	if errA != nil || errB != nil {
		return fmt.Sprintf("capability data: ours %v, theirs %v", errA, errB)
	}
	if a.capability == uint32(tpm2.TPMCapPPCommands) || a.capability == uint32(tpm2.TPMCapAuditCommands) {
		return c.compareSettings(a, b)
	}
	count := number(command[8:12])
	if problem := c.ours.consistent(a, capability, property, count); problem != "" {
		return "ours: " + problem
	}
	if problem := c.theirs.consistent(b, capability, property, count); problem != "" {
		return "theirs: " + problem
	}
	return compareEntries(capability, a.entries, b.entries)
}

// consistent checks that a page is the right cut from the whole list: from the
// first element not below property, as many as wanted or as fit, and moreData
// if elements are left.
func (id *identity) consistent(p page, capability, property, count uint32) string {
	if p.capability != capability {
		return fmt.Sprintf("asked for capability %d, got %d", capability, p.capability)
	}
	if undefinedProperty(capability, property) {
		return ""
	}
	rest := id.from(capability, property)
	if len(p.entries) > len(rest) || uint64(len(p.entries)) > uint64(count) {
		return fmt.Sprintf("%d elements where %d are left and %d wanted", len(p.entries), len(rest), count)
	}
	for i, e := range p.entries {
		if e.key != rest[i].key {
			return fmt.Sprintf("element %d is %#x, in the whole list it is %#x", i, e.key, rest[i].key)
		}
	}
	if p.more != (len(p.entries) < len(rest)) {
		return fmt.Sprintf("moreData %t with %d of %d elements", p.more, len(p.entries), len(rest))
	}
	if !p.more || uint64(len(p.entries)) == uint64(count) || len(p.entries) >= fullPage(capability) {
		return ""
	}
	return fmt.Sprintf("stopped after %d elements, %d wanted and %d left", len(p.entries), count, len(rest))
}

// undefinedProperty says whether the property has bits that do not belong to
// its type (TPM_CC, TPM_ALG_ID, TPM_ECC_CURVE); what such a question finds is
// not said.
func undefinedProperty(capability, property uint32) bool {
	switch tpm2.TPMCap(capability) {
	case tpm2.TPMCapCommands:
		return property&^0x2000ffff != 0
	case tpm2.TPMCapAlgs, tpm2.TPMCapECCCurves:
		return property > 0xffff
	}
	return false
}

// from gives the elements from a property on; properties of a TPM only within
// the group of that one, and below all groups within the first.
func (id *identity) from(capability, property uint32) []entry {
	whole := id.lists[capability]
	from := slices.IndexFunc(whole, func(e entry) bool { return e.key >= property })
	if from < 0 {
		return nil
	}
	rest := whole[from:]
	if capability == uint32(tpm2.TPMCapTPMProperties) {
		group := max(property, propertyGroups[0]) &^ 0xff
		if end := slices.IndexFunc(rest, func(e entry) bool { return e.key&^0xff != group }); end >= 0 {
			rest = rest[:end]
		}
	}
	return rest
}

// maxCapabilityBuffer is MAX_CAP_BUFFER of every implementation known here:
// what a page may hold, in bytes, with capability and count.
const maxCapabilityBuffer = 1024

// fullPage gives the number of elements with which a page is full.
func fullPage(capability uint32) int {
	key, value, _ := elementLayout(capability)
	return (maxCapabilityBuffer - 8) / (key + value)
}

// compareEntries compares the values of the elements both lists have.
func compareEntries(capability uint32, ours, theirs []entry) string {
	for _, a := range ours {
		i := slices.IndexFunc(theirs, func(b entry) bool { return b.key == a.key })
		if i < 0 || theirs[i].value == a.value {
			continue
		}
		if capability == uint32(tpm2.TPMCapTPMProperties) && !mustAgree(a.key) {
			continue
		}
		return fmt.Sprintf("capability %d element %#x: ours %#x, theirs %#x", capability, a.key, a.value, theirs[i].value)
	}
	return ""
}

// freeProperties are the TPM_PT that say who made a TPM and how large it is,
// as far as the implementations known here differ in them. The rest has to
// agree.
var freeProperties = [...]struct{ from, to uint32 }{
	{0x102, 0x10c}, // revision, day, year, manufacturer, vendor strings, firmware
	{0x10f, 0x10f}, // HR_PERSISTENT_MIN
	{0x114, 0x114}, // CONTEXT_GAP_MAX
	{0x121, 0x122}, // MAX_OBJECT_CONTEXT, MAX_SESSION_CONTEXT
	{0x125, 0x127}, // revision and date of the platform specification
	{0x129, 0x12b}, // counts of commands
	{0x12d, 0x12d}, // MODES
	{0x209, 0x209}, // HR_PERSISTENT_AVAIL
	{0x20b, 0x20b}, // NV_COUNTERS_AVAIL
	{0x20d, 0x20d}, // LOADED_CURVES
}

// mustAgree says whether a TPM_PT has to be equal in two implementations.
func mustAgree(property uint32) bool {
	for _, r := range freeProperties {
		if property >= r.from && property <= r.to {
			return false
		}
	}
	return true
}

// compareSettings compares lists of commands that a TPM can be told to change
// (PP and audit commands), as far as both devices have the commands.
func (c *comparer) compareSettings(ours, theirs page) string {
	keep := func(p page) []entry {
		return slices.DeleteFunc(slices.Clone(p.entries), func(e entry) bool { return !c.ours.has(e.key) || !c.theirs.has(e.key) })
	}
	if a, b := keep(ours), keep(theirs); !slices.Equal(a, b) {
		return fmt.Sprintf("capability %d: ours %x, theirs %x", ours.capability, a, b)
	}
	return ""
}
