package differential

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/transport"
)

// entry is one element of a capability list: what it is called and the value
// with it (zero where the list has none).
type entry struct {
	key, value uint32
}

// identity is what a device says it is made of.
type identity struct {
	name string
	// lists has the whole lists that are properties of an implementation, by
	// capability: algorithms, commands, properties, curves.
	lists map[uint32][]entry
}

// has says whether the device implements a command.
func (id *identity) has(code uint32) bool {
	return slices.ContainsFunc(id.lists[uint32(tpm2.TPMCapCommands)], func(e entry) bool { return e.value&0x2000ffff == code })
}

// listed says whether the device lists an algorithm or a curve.
func (id *identity) listed(capability tpm2.TPMCap, key uint32) bool {
	return slices.ContainsFunc(id.lists[uint32(capability)], func(e entry) bool { return e.key == key })
}

// listCapabilities are the capabilities whose lists an identity keeps.
var listCapabilities = [...]tpm2.TPMCap{
	tpm2.TPMCapAlgs, tpm2.TPMCapCommands, tpm2.TPMCapTPMProperties, tpm2.TPMCapECCCurves,
}

// maxPages bounds the questions asked for one list; no list has more pages.
const maxPages = 64

// identify asks a fresh device for its lists.
func (t *Target) identify(ctx context.Context) (*identity, error) {
	device, err := t.Fresh(ctx)
	if err != nil {
		return nil, fmt.Errorf("fresh %s: %w", t.Name, err)
	}
	startup := conformance.Packet{Code: uint32(tpm2.TPMCCStartup), Parameters: []byte{0, 0}}
	response, err := device.Send(ctx, 0, startup.Bytes())
	if err != nil {
		return nil, fmt.Errorf("%s: Startup: %w", t.Name, err)
	}
	if code, ok := conformance.ResponseCode(response); !ok || code != 0 {
		return nil, fmt.Errorf("%s: Startup answered %s", t.Name, Outcome{Response: response})
	}
	id := &identity{name: t.Name, lists: map[uint32][]entry{}}
	for _, capability := range listCapabilities {
		list, err := wholeList(ctx, device, uint32(capability))
		if err != nil {
			return nil, fmt.Errorf("%s: capability %d: %w", t.Name, capability, err)
		}
		id.lists[uint32(capability)] = list
	}
	return id, nil
}

// propertyGroups are where the groups of TPM_PT begin: an answer never goes
// beyond its group (TPM 2.0 Library Part 2, section "TPM_PT").
var propertyGroups = [...]uint32{0x100, 0x200}

// wholeList reads a capability list.
func wholeList(ctx context.Context, device transport.Device, capability uint32) ([]entry, error) {
	if capability != uint32(tpm2.TPMCapTPMProperties) {
		return pages(ctx, device, capability, 0)
	}
	var list []entry
	for _, group := range propertyGroups {
		part, err := pages(ctx, device, capability, group)
		if err != nil {
			return nil, err
		}
		list = append(list, part...)
	}
	return list, nil
}

// pages reads a list page by page.
func pages(ctx context.Context, device transport.Device, capability, from uint32) ([]entry, error) {
	var list []entry
	for range maxPages {
		command := getCapability(capability, from, 256)
		raw, err := device.Send(ctx, 0, command.Bytes())
		if err != nil {
			return nil, err
		}
		response, err := conformance.ParseResponse(command.Code, raw)
		if err != nil {
			return nil, err
		}
		if response.Code != 0 {
			return nil, fmt.Errorf("answered %s", conformance.Describe(response.Code))
		}
		page, err := parseCapability(response.Parameters)
		if err != nil {
			return nil, err
		}
		list = append(list, page.entries...)
		if !page.more || len(page.entries) == 0 {
			return list, nil
		}
		from = page.entries[len(page.entries)-1].key + 1
	}
	return nil, fmt.Errorf("more data after %d pages", maxPages)
}

// getCapability is TPM2_GetCapability(capability, property, propertyCount).
func getCapability(capability, property, count uint32) conformance.Packet {
	p := binary.BigEndian.AppendUint32(nil, capability)
	p = binary.BigEndian.AppendUint32(p, property)
	p = binary.BigEndian.AppendUint32(p, count)
	return conformance.Packet{Code: uint32(tpm2.TPMCCGetCapability), Parameters: p}
}
