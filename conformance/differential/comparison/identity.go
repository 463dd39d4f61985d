package comparison

import (
	"context"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// Identity holds the capabilities that a device reports.
type Identity struct {
	name string
	// Lists has the complete lists of algorithms, commands, properties and curves, by
	// capability (TPM_CAP).
	Lists map[uint32][]wire.Entry
}

// Has reports whether the device implements a command.
func (id *Identity) Has(code uint32) bool {
	return slices.ContainsFunc(id.Lists[uint32(tpm2.TPMCapCommands)], func(e wire.Entry) bool { return e.Value&0x2000ffff == code })
}

// Listed reports whether the device lists an algorithm or a curve.
func (id *Identity) Listed(capability tpm2.TPMCap, key uint32) bool {
	return slices.ContainsFunc(id.Lists[uint32(capability)], func(e wire.Entry) bool { return e.Key == key })
}

// listCapabilities are the capabilities whose lists an identity keeps.
var listCapabilities = [...]tpm2.TPMCap{
	tpm2.TPMCapAlgs, tpm2.TPMCapCommands, tpm2.TPMCapTPMProperties, tpm2.TPMCapECCCurves,
}

// maxPages bounds the questions asked for one list; no list has more pages.
const maxPages = 64

// Identify asks a fresh device for its lists.
func Identify(ctx context.Context, t *conversation.Target) (*Identity, error) {
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
		return nil, fmt.Errorf("%s: Startup answered %s", t.Name, conversation.Outcome{Response: response})
	}
	id := &Identity{name: t.Name, Lists: map[uint32][]wire.Entry{}}
	for _, capability := range listCapabilities {
		list, err := wholeList(ctx, device, uint32(capability))
		if err != nil {
			return nil, fmt.Errorf("%s: capability %d: %w", t.Name, capability, err)
		}
		id.Lists[uint32(capability)] = list
	}
	return id, nil
}

// propertyGroups are where the groups of TPM_PT begin: an answer never goes
// beyond its group (TPM 2.0 Library Part 2, section "TPM_PT").
var propertyGroups = [...]uint32{0x100, 0x200}

// wholeList reads a capability list.
func wholeList(ctx context.Context, device transport.Device, capability uint32) ([]wire.Entry, error) {
	if capability != uint32(tpm2.TPMCapTPMProperties) {
		return pages(ctx, device, capability, 0)
	}
	var list []wire.Entry
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
func pages(ctx context.Context, device transport.Device, capability, from uint32) ([]wire.Entry, error) {
	var list []wire.Entry
	for range maxPages {
		command := wire.GetCapability(capability, from, 256)
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
		page, err := wire.ParseCapability(response.Parameters)
		if err != nil {
			return nil, err
		}
		list = append(list, page.Entries...)
		if !page.More || len(page.Entries) == 0 {
			return list, nil
		}
		from = page.Entries[len(page.Entries)-1].Key + 1
	}
	return nil, fmt.Errorf("more data after %d pages", maxPages)
}
