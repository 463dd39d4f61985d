// Package message takes commands and responses of a TPM apart, as the command table of
// the emulator describes them, and names what is in them.
package message

import (
	"fmt"
	"slices"
	"sync"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// maxSessions is how many authorizations a command has (TPM 2.0 Library Part 1,
// section "Authorization Area").
const maxSessions = 3

// Session is an entry of an authorization area. That of a response has no handle.
type Session struct {
	Handle     wire.Handle
	Nonce      []byte
	Attributes uint8
	HMAC       []byte
}

// Command is a command taken apart. Its slices are those of the command's bytes.
type Command struct {
	Code       wire.CC
	Handles    []wire.Handle
	Sessions   []Session
	Parameters []byte
	// Sound is set if all areas are there. Without, what follows the first one that is
	// not stays empty.
	Sound bool
}

// Name returns the command's name, such as TPM2_Quote, or its code.
func (c *Command) Name() string { return cli.CommandName(uint32(c.Code)) }

// Response is a response taken apart.
type Response struct {
	Code wire.RC
	// Handle is there, and HasHandle set, for a command that returns one.
	Handle     wire.Handle
	HasHandle  bool
	Parameters []byte
	Sessions   []Session
	Sound      bool
}

// rows is the emulator's command table by code.
var rows = sync.OnceValue(func() map[wire.CC]emulator.Command {
	byCode := map[wire.CC]emulator.Command{}
	for _, c := range emulator.Commands() {
		byCode[c.Code] = c
	}
	return byCode
})

// ParseCommand takes a command apart.
func ParseCommand(raw []byte) Command {
	h, ok := transport.ParseHeader(raw)
	c := Command{Code: wire.CC(h.Code)}
	row, known := rows()[c.Code]
	if !ok || !known || uint64(h.Size) != uint64(len(raw)) {
		return c
	}
	r := wire.NewReader(raw[transport.HeaderSize:], nil)
	for range row.Handles {
		handle := wire.Handle(r.U32())
		if r.RC() != wire.RCSuccess {
			return c
		}
		c.Handles = append(c.Handles, handle)
	}
	if h.Tag == transport.TagSessions {
		size := r.U32()
		if r.RC() != wire.RCSuccess || uint64(size) > uint64(r.Len()) {
			return c
		}
		if c.Sessions, ok = sessions(r.Bytes(int(size)), true); !ok {
			return c
		}
	}
	c.Parameters, c.Sound = r.Rest(), true
	return c
}

// ParseResponse takes the response to a command apart.
func ParseResponse(code wire.CC, raw []byte) Response {
	h, ok := transport.ParseHeader(raw)
	p := Response{Code: wire.RC(transport.ResponseCode(raw))}
	if !ok || uint64(h.Size) != uint64(len(raw)) {
		return p
	}
	if p.Code != wire.RCSuccess {
		p.Sound = len(raw) == transport.HeaderSize
		return p
	}
	r := wire.NewReader(raw[transport.HeaderSize:], nil)
	if rows()[code].ResponseHandle {
		p.Handle = wire.Handle(r.U32())
		if p.HasHandle = r.RC() == wire.RCSuccess; !p.HasHandle {
			return p
		}
	}
	if h.Tag != transport.TagSessions {
		p.Parameters, p.Sound = r.Rest(), true
		return p
	}
	size := r.U32()
	if r.RC() != wire.RCSuccess || uint64(size) > uint64(r.Len()) {
		return p
	}
	p.Parameters = r.Bytes(int(size))
	p.Sessions, p.Sound = sessions(r.Rest(), false)
	return p
}

// sessions reads an authorization area.
func sessions(area []byte, handles bool) (list []Session, ok bool) {
	r := wire.NewReader(area, nil)
	for r.Len() > 0 {
		var s Session
		if handles {
			s.Handle = wire.Handle(r.U32())
		}
		s.Nonce = r.Sized(1 << 12)
		s.Attributes = r.U8()
		s.HMAC = r.Sized(1 << 12)
		if r.RC() != wire.RCSuccess || len(list) == maxSessions {
			return nil, false
		}
		list = append(list, s)
	}
	return list, true
}

// permanent are the handles that have names (TPM 2.0 Library Part 2, section "TPM_RH
// (Permanent Handles)").
var permanent = map[wire.Handle]string{
	wire.RHOwner: "TPM_RH_OWNER", wire.RHNull: "TPM_RH_NULL", wire.RHUnassigned: "TPM_RH_UNASSIGNED",
	wire.RSPW: "TPM_RS_PW", wire.RHLockout: "TPM_RH_LOCKOUT", wire.RHEndorsement: "TPM_RH_ENDORSEMENT",
	wire.RHPlatform: "TPM_RH_PLATFORM", wire.RHPlatformNV: "TPM_RH_PLATFORM_NV",
	wire.RHFWOwner: "TPM_RH_FW_OWNER", wire.RHFWEndorsement: "TPM_RH_FW_ENDORSEMENT",
	wire.RHFWPlatform: "TPM_RH_FW_PLATFORM", wire.RHFWNull: "TPM_RH_FW_NULL",
}

// Handle returns the name of a handle: that of Part 2 for a permanent one, PCR and its
// number, or what it is and its number.
func Handle(h wire.Handle) string {
	if name, ok := permanent[h]; ok {
		return name
	}
	if h >= wire.RHACT0 && h <= wire.RHACTF {
		return fmt.Sprintf("TPM_RH_ACT_%X", uint32(h-wire.RHACT0))
	}
	switch h.Type() {
	case wire.HTPCR:
		return fmt.Sprintf("PCR%d", h.Index())
	case wire.HTNVIndex:
		return fmt.Sprintf("NV:0x%08x", uint32(h))
	case wire.HTHMACSession, wire.HTPolicySession:
		return fmt.Sprintf("session:0x%08x", uint32(h))
	case wire.HTPersistent:
		return fmt.Sprintf("persistent:0x%08x", uint32(h))
	case wire.HTTransient:
		return fmt.Sprintf("object:0x%08x", uint32(h))
	}
	return fmt.Sprintf("0x%08x", uint32(h))
}

// Flushes returns the handle that TPM2_FlushContext has among its parameters.
func (c *Command) Flushes() (h wire.Handle, ok bool) {
	if c.Code != wire.CCFlushContext || len(c.Parameters) != 4 || len(c.Handles) != 0 {
		return 0, false
	}
	r := wire.NewReader(c.Parameters, nil)
	return wire.Handle(r.U32()), true
}

// All returns the handles that the command is about: those of its handle area and the
// one that it flushes.
func (c *Command) All() []wire.Handle {
	all := slices.Clone(c.Handles)
	if h, ok := c.Flushes(); ok {
		all = append(all, h)
	}
	return all
}
