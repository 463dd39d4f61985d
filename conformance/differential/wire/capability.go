package wire

import (
	"encoding/binary"
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
)

// Entry is one element of a capability list: its identifier, and its value where the
// list has values.
type Entry struct {
	Key, Value uint32
}

// Page is a TPMS_CAPABILITY_DATA whose union is a list of fixed-size elements.
type Page struct {
	More       bool
	Capability uint32
	Entries    []Entry
}

// ElementLayout returns the sizes in bytes of the identifier and of the value in one
// element of a capability list (TPM 2.0 Library Part 2, section
// "TPMU_CAPABILITIES"). ok is false if the elements have no fixed size.
func ElementLayout(capability uint32) (key, value int, ok bool) {
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

// ParseCapability reads the response parameters of TPM2_GetCapability for the
// capabilities that [ElementLayout] knows.
func ParseCapability(b []byte) (Page, error) {
	if len(b) < 9 || b[0] > 1 {
		return Page{}, fmt.Errorf("capability data of %d bytes without moreData, capability and count", len(b))
	}
	p := Page{More: b[0] == 1, Capability: binary.BigEndian.Uint32(b[1:])}
	key, value, ok := ElementLayout(p.Capability)
	if !ok {
		return Page{}, fmt.Errorf("capability %#x is not a list of elements of one size", p.Capability)
	}
	count := binary.BigEndian.Uint32(b[5:])
	b = b[9:]
	if uint64(count)*uint64(key+value) != uint64(len(b)) {
		return Page{}, fmt.Errorf("%d elements of %d bytes in %d bytes", count, key+value, len(b))
	}
	for ; len(b) > 0; b = b[key+value:] {
		e := Entry{Key: Number(b[:key]), Value: Number(b[key : key+value])}
		if key == 0 { // TPMA_CC: the code is bits 0 to 15 and the V bit
			e.Key = e.Value & 0x2000ffff
		}
		p.Entries = append(p.Entries, e)
	}
	return p, nil
}

// GetCapability lays out TPM2_GetCapability(capability, property, propertyCount).
func GetCapability(capability, property, count uint32) conformance.Packet {
	p := binary.BigEndian.AppendUint32(nil, capability)
	p = binary.BigEndian.AppendUint32(p, property)
	p = binary.BigEndian.AppendUint32(p, count)
	return conformance.Packet{Code: uint32(tpm2.TPMCCGetCapability), Parameters: p}
}
