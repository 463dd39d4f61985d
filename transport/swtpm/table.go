package swtpm

import (
	"fmt"

	"github.com/swtpmd/swtpmd/transport"
)

// runState says in which state of the TPM a request is taken.
type runState uint8

const (
	anyState runState = iota
	running           // after INIT
	stopped           // before INIT and after STOP
)

// onShort says what becomes of a request whose payload does not come within
// stallTime.
type onShort uint8

const (
	closesConnection onShort = iota // without a reply
	answersShort                    // BAD_PARAMETER
)

// onExcess says what becomes of a request with more payload than it takes.
type onExcess uint8

const (
	refusesExcess onExcess = iota // BAD_PARAMETER
	ignoresExcess
)

// row describes one control request. Decoding, the checks before execution,
// their order, and the capability word are all read from here.
type row struct {
	code Command
	name string
	// least and most are the limits of the payload in bytes. They differ
	// where clients send a structure with its padding or without.
	least, most int
	short       onShort
	excess      onExcess
	// body, if not 0, is the offset plus one of a 32-bit length in the
	// payload: so many bytes of data follow the payload.
	body int
	run  runState
	bit  Capability
	// since08 says that swtpm has it since 0.8.
	since08 bool
	// able reports whether the Device can do it; nil is yes.
	able func(transport.Device) bool
	// do executes the request; nil means that it is not supported.
	do func(*control, *request) Result
}

// table has every control request of swtpm 0.11, in the order of the codes.
// What the requests of swtpm 0.7.1 answer to short and excess payloads has been
// observed; the conversation test plays them against an installed swtpm.
//
// The handlers must not refer to the table: they are part of its value.
var table = [...]row{
	{code: CmdGetCapability, name: "GET_CAPABILITY", excess: ignoresExcess,
		do: (*control).getCapability},
	{code: CmdInit, name: "INIT", least: 4, most: 4, bit: CapInit,
		able: has[transport.Power], do: (*control).init},
	{code: CmdShutdown, name: "SHUTDOWN", bit: CapShutdown,
		do: (*control).shutdown},
	{code: CmdGetTPMEstablished, name: "GET_TPMESTABLISHED", run: running, bit: CapGetTPMEstablished,
		able: has[transport.Established], do: (*control).getTPMEstablished},
	{code: CmdSetLocality, name: "SET_LOCALITY", least: 1, most: 4, excess: ignoresExcess, bit: CapSetLocality,
		do: (*control).setLocality},
	{code: CmdHashStart, name: "HASH_START", run: running, bit: CapHashing,
		able: has[transport.HashSequence], do: (*control).hashStart},
	{code: CmdHashData, name: "HASH_DATA", least: 4, most: 4, body: 1, run: running, bit: CapHashing,
		able: has[transport.HashSequence], do: (*control).hashData},
	{code: CmdHashEnd, name: "HASH_END", run: running, bit: CapHashing,
		able: has[transport.HashSequence], do: (*control).hashEnd},
	{code: CmdCancelTPMCmd, name: "CANCEL_TPM_CMD", run: running, bit: CapCancelTPMCmd,
		able: has[transport.Canceler], do: (*control).cancel},
	{code: CmdStoreVolatile, name: "STORE_VOLATILE", run: running, bit: CapStoreVolatile,
		able: has[transport.Migratable], do: (*control).storeVolatile},
	{code: CmdResetTPMEstablished, name: "RESET_TPMESTABLISHED", least: 1, most: 4, excess: ignoresExcess,
		run: running, bit: CapResetTPMEstablished,
		able: has[transport.Established], do: (*control).resetTPMEstablished},
	{code: CmdGetStateBlob, name: "GET_STATEBLOB", least: 12, most: 12, excess: ignoresExcess, run: running, bit: CapGetStateBlob,
		able: has[transport.Migratable], do: (*control).getStateBlob},
	{code: CmdSetStateBlob, name: "SET_STATEBLOB", least: 12, most: 12, body: 9, run: stopped, bit: CapSetStateBlob,
		able: has[transport.Migratable], do: (*control).setStateBlob},
	{code: CmdStop, name: "STOP", bit: CapStop,
		able: has[transport.Power], do: (*control).stop},
	{code: CmdGetConfig, name: "GET_CONFIG", bit: CapGetConfig,
		do: (*control).getConfig},
	{code: CmdSetDataFD, name: "SET_DATAFD", excess: ignoresExcess, bit: CapSetDataFD,
		able: canPassFD, do: (*control).setDataFD},
	{code: CmdSetBufferSize, name: "SET_BUFFERSIZE", least: 4, most: 4, short: answersShort, excess: ignoresExcess,
		bit: CapSetBufferSize, able: has[transport.BufferSize], do: (*control).setBufferSize},
	{code: CmdGetInfo, name: "GET_INFO", least: 16, most: 16, short: answersShort, excess: ignoresExcess,
		bit: CapGetInfo, do: (*control).getInfo},
	{code: CmdLockStorage, name: "LOCK_STORAGE", least: 4, most: 4, short: answersShort, excess: ignoresExcess,
		since08: true, bit: CapLockStorage, do: (*control).lockStorage},
}

// lookup finds the row of a code, nil if there is no such request.
func lookup(code Command) *row {
	if code == 0 || int(code) > len(table) {
		return nil
	}
	return &table[code-1]
}

// capabilities returns the bits of everything that d and the server can do.
func capabilities(d transport.Device, v Version) Capability {
	word := CapSendCommandHeader
	for i := range table {
		if r := &table[i]; r.supports(d, v) {
			word |= r.bit
		}
	}
	return word
}

func (r *row) supports(d transport.Device, v Version) bool {
	return r.do != nil && (!r.since08 || releases[v].lockStorage) && (r.able == nil || r.able(d))
}

func has[T any](d transport.Device) bool {
	_, ok := transport.As[T](d)
	return ok
}

// String returns swtpm's name of the request, without its CMD_.
func (c Command) String() string {
	if r := lookup(c); r != nil {
		return r.name
	}
	return fmt.Sprintf("control request 0x%08X", uint32(c))
}
