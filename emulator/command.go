package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Command is one row of the command table: everything that is known about a
// command of Part 3 besides what it does.
type Command struct {
	Code    wire.CC
	Name    string // without its TPM2_ prefix
	Chapter string // of Part 3
	Since   string // revision of the library specification that first has it: "1.84", "185"

	Handles        []CommandHandle // the handle area, in order
	ResponseHandle bool            // the response has a handle

	Sessions Sessions
	Decrypt  bool // the first parameter is a TPM2B that a session may encrypt
	Encrypt  bool // the first response parameter is one

	NV bool // TPMA_CC.nv: may write NV
	// WritesIndex says that an NV index authorizes the command to write to it,
	// for which its attributes are others than for reading.
	WritesIndex bool
	Extensive   bool // TPMA_CC.extensive: may flush many contexts
	Flushed     bool // TPMA_CC.flushed: flushes the transient handle it is given

	Presence Presence
	// RefusedInReadOnlyMode: TPM_RC_READ_ONLY while the TPM is in read-only mode (rev
	// 1.84, "TPM2_ReadOnlyControl").
	RefusedInReadOnlyMode bool

	Trial    bool // may be used on a trial policy session
	Duration Duration

	run action
}

// action executes a command whose header, handles and authorizations are
// checked. It takes the parameters from the call, calls done, checks, changes
// state, and writes the response parameters. An error it returns must have
// changed nothing.
type action func(t *TPM, c *call) wire.RC

// CommandHandle is one handle of a command.
type CommandHandle struct {
	Kind HandleKind
	Role AuthRole
}

// AuthRole is the role a session must have to authorize a handle (Part 1,
// section "Authorization Roles").
type AuthRole uint8

// The roles.
const (
	RoleNone AuthRole = iota // the handle needs no authorization
	RoleUser
	RoleAdmin
	RoleDup
)

// String is the role's name in Part 1.
func (r AuthRole) String() string { return [...]string{"none", "USER", "ADMIN", "DUP"}[r&3] }

// Sessions reports whether a command takes sessions besides those that authorize.
type Sessions uint8

// The session rules.
const (
	SessionsAny  Sessions = iota // up to three sessions
	SessionsNone                 // TPM_RC_AUTH_CONTEXT for any session
)

// Presence reports whether physical presence can be demanded for the platform's
// authorization of a command (Part 1, section "Physical Presence").
type Presence uint8

// The presence rules.
const (
	PresenceNever Presence = iota
	PresenceMay            // TPM2_PP_Commands may put it on the list
	PresenceMust           // it is on the list for ever
)

// Duration is the class of time in which clients expect an answer (Linux
// drivers/char/tpm/tpm2-cmd.c, tpm2_ordinal_duration).
type Duration uint8

// The classes with the time that Linux gives them.
const (
	DurationDefault  Duration = iota // 2 minutes
	DurationMedium                   // 750 ms
	DurationLong                     // 2 s
	DurationLongLong                 // 5 minutes
)

// Implemented reports whether the emulator executes the command. If not, the command
// answers TPM_RC_COMMAND_CODE.
func (c *Command) Implemented() bool { return c.run != nil }

// AuthHandles is the number of handles that need authorization. They come
// first.
func (c *Command) AuthHandles() int {
	n := 0
	for _, h := range c.Handles {
		if h.Role != RoleNone {
			n++
		}
	}
	return n
}

// Attributes is the TPMA_CC that TPM2_GetCapability reports.
func (c *Command) Attributes() wire.CCAttributes {
	a := wire.CCAttributes(c.Code&0xFFFF) | wire.CCAttributes(len(c.Handles))<<wire.CCAttrHandlesShift
	if c.NV {
		a |= wire.CCAttrNV
	}
	if c.Extensive {
		a |= wire.CCAttrExtensive
	}
	if c.Flushed {
		a |= wire.CCAttrFlushed
	}
	if c.ResponseHandle {
		a |= wire.CCAttrRHandle
	}
	if c.Code&wire.CCVendor != 0 {
		a |= wire.CCAttrVendor
	}
	return a
}

// commandSet is the command table of one TPM. A TPM has it as a field because
// actions read it, and the table names the actions.
type commandSet struct {
	byCode [wire.CCSignSequenceStart - wire.CCNVUndefineSpaceSpecial + 1]*Command
	count  uint32 // of the implemented commands
}

// lookup finds a command, nil for a code that is not implemented.
func (s *commandSet) lookup(code wire.CC) *Command {
	if i := code - wire.CCNVUndefineSpaceSpecial; uint64(i) < uint64(len(s.byCode)) {
		return s.byCode[i]
	}
	return nil
}
