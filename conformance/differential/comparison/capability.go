package comparison

import (
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// compareCapability compares two successful answers to TPM2_GetCapability.
// Lists that are properties of the implementation are each measured against
// the device's own whole list, because they legitimately differ; the elements
// both have must be equal. Everything else must be equal byte by byte.
func (c *Pair) compareCapability(command, ours, theirs []byte) string {
	if len(command) < 12 {
		return exact(ours, theirs)
	}
	capability, property := wire.Number(command[:4]), wire.Number(command[4:8])
	if _, _, ok := wire.ElementLayout(capability); !ok || capability == uint32(tpm2.TPMCapHandles) {
		return exact(ours, theirs)
	}
	a, errA := wire.ParseCapability(ours)
	b, errB := wire.ParseCapability(theirs)
	if errA != nil || errB != nil {
		return fmt.Sprintf("capability data: ours %v, theirs %v", errA, errB)
	}
	if a.Capability == uint32(tpm2.TPMCapPPCommands) || a.Capability == uint32(tpm2.TPMCapAuditCommands) {
		return c.compareSettings(a, b)
	}
	count := wire.Number(command[8:12])
	if problem := c.Ours.consistent(a, capability, property, count); problem != "" {
		return "ours: " + problem
	}
	if problem := c.Theirs.consistent(b, capability, property, count); problem != "" {
		return "theirs: " + problem
	}
	return Entries(capability, a.Entries, b.Entries)
}

// consistent checks that a page is the right cut from the whole list: from the
// first element not below property, as many as wanted or as fit, and moreData
// if elements are left.
func (id *Identity) consistent(p wire.Page, capability, property, count uint32) string {
	if p.Capability != capability {
		return fmt.Sprintf("asked for capability %d, got %d", capability, p.Capability)
	}
	if undefinedProperty(capability, property) {
		return ""
	}
	rest := id.from(capability, property)
	if len(p.Entries) > len(rest) || uint64(len(p.Entries)) > uint64(count) {
		return fmt.Sprintf("%d elements where %d are left and %d wanted", len(p.Entries), len(rest), count)
	}
	for i, e := range p.Entries {
		if e.Key != rest[i].Key {
			return fmt.Sprintf("element %d is %#x, in the whole list it is %#x", i, e.Key, rest[i].Key)
		}
	}
	if p.More != (len(p.Entries) < len(rest)) {
		return fmt.Sprintf("moreData %t with %d of %d elements", p.More, len(p.Entries), len(rest))
	}
	if !p.More || uint64(len(p.Entries)) == uint64(count) || len(p.Entries) >= fullPage(capability) {
		return ""
	}
	return fmt.Sprintf("stopped after %d elements, %d wanted and %d left", len(p.Entries), count, len(rest))
}

// undefinedProperty reports whether the property has bits that do not belong to
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
func (id *Identity) from(capability, property uint32) []wire.Entry {
	whole := id.Lists[capability]
	from := slices.IndexFunc(whole, func(e wire.Entry) bool { return e.Key >= property })
	if from < 0 {
		return nil
	}
	rest := whole[from:]
	if capability == uint32(tpm2.TPMCapTPMProperties) {
		group := max(property, propertyGroups[0]) &^ 0xff
		if end := slices.IndexFunc(rest, func(e wire.Entry) bool { return e.Key&^0xff != group }); end >= 0 {
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
	key, value, _ := wire.ElementLayout(capability)
	return (maxCapabilityBuffer - 8) / (key + value)
}

// Entries compares the values of the elements that both lists have. It describes the
// first difference, "" if there is none.
func Entries(capability uint32, ours, theirs []wire.Entry) string {
	for _, a := range ours {
		i := slices.IndexFunc(theirs, func(b wire.Entry) bool { return b.Key == a.Key })
		if i < 0 || theirs[i].Value == a.Value {
			continue
		}
		if capability == uint32(tpm2.TPMCapTPMProperties) && !mustAgree(a.Key) {
			continue
		}
		return fmt.Sprintf("capability %d element %#x: ours %#x, theirs %#x", capability, a.Key, a.Value, theirs[i].Value)
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

// mustAgree reports whether a TPM_PT has to be equal in two implementations.
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
func (c *Pair) compareSettings(ours, theirs wire.Page) string {
	keep := func(p wire.Page) []wire.Entry {
		return slices.DeleteFunc(slices.Clone(p.Entries), func(e wire.Entry) bool { return !c.Ours.Has(e.Key) || !c.Theirs.Has(e.Key) })
	}
	if a, b := keep(ours), keep(theirs); !slices.Equal(a, b) {
		return fmt.Sprintf("capability %d: ours %x, theirs %x", ours.Capability, a, b)
	}
	return ""
}
