package faults

import (
	"encoding/binary"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// sessionsOf returns whether a command has sessions, by its tag. A command without one
// of the two tags has neither.
func sessionsOf(command []byte) Sessions {
	h, ok := transport.ParseHeader(command)
	switch {
	case ok && h.Tag == transport.TagSessions:
		return WithSessions
	case ok && h.Tag == transport.TagNoSessions:
		return WithoutSessions
	}
	return AnySessions
}

// handle returns the handle with an index in the handle area of a command, as far as
// the command has one.
func handle(command []byte, index int) (h uint32, ok bool) {
	code, ok := transport.CommandCode(command)
	if !ok {
		return 0, false
	}
	_, handles, _ := wire.CC(code).Command()
	at := transport.HeaderSize + 4*index
	if index >= handles || len(command) < at+4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(command[at:]), true
}

// hasHandle reports whether h is in the handle area of a command.
func hasHandle(command []byte, h uint32) bool {
	for i := 0; ; i++ {
		have, ok := handle(command, i)
		if !ok || have == h {
			return ok
		}
	}
}

// hasPCR reports whether a command has a PCR as a handle, or selects it:
// TPM2_PCR_Read, which has a TPML_PCR_SELECTION and nothing else (TPM 2.0 Library Part 3,
// section "TPM2_PCR_Read", rev 1.59).
func hasPCR(command []byte, pcr int) bool {
	code, ok := transport.CommandCode(command)
	if !ok {
		return false
	}
	switch {
	case wire.CC(code) == wire.CCPCRRead:
		return selects(command[transport.HeaderSize:], pcr)
	case canHavePCR(wire.CC(code)):
		return hasHandle(command, uint32(pcr))
	}
	return false
}

// pcrCommands are the commands that hasPCR finds a PCR in.
var pcrCommands = []wire.CC{
	wire.CCPCRExtend, wire.CCPCREvent, wire.CCPCRReset, wire.CCPCRRead,
	wire.CCPCRSetAuthPolicy, wire.CCPCRSetAuthValue, wire.CCEventSequenceComplete,
}

func canHavePCR(cc wire.CC) bool { return slices.Contains(pcrCommands, cc) }

// pcrCommandNames lists pcrCommands for people.
func pcrCommandNames() string {
	var names []string
	for _, cc := range pcrCommands {
		name, _, _ := cc.Command()
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// hasHandles reports whether a command has a handle area.
func hasHandles(cc wire.CC) bool {
	_, handles, _ := cc.Command()
	return handles > 0
}

// selects reports whether a TPML_PCR_SELECTION, of which bytes may be missing, has a PCR
// in any bank.
func selects(list []byte, pcr int) bool {
	if len(list) < 4 {
		return false
	}
	banks := binary.BigEndian.Uint32(list)
	list = list[4:]
	for ; banks > 0 && len(list) >= 3; banks-- {
		size := int(list[2])
		if len(list) < 3+size {
			return false
		}
		if pcr/8 < size && list[3+pcr/8]>>(pcr%8)&1 == 1 {
			return true
		}
		list = list[3+size:]
	}
	return false
}
