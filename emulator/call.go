package emulator

import (
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Most handles and sessions of a command (Part 1, section "Command Structure").
const (
	maxHandles  = 3
	maxSessions = 3
)

// call is one command in execution: what was decoded of it, the cursor over
// its parameters, and its response.
//
// Actions take parameters from the cursor in order and then call done. The
// cursor counts them, so that a failure to decode carries the number of the
// parameter; what is semantically wrong an action reports with badParam or
// badHandle. Actions never put numbers into response codes themselves.
type call struct {
	t        *TPM
	cmd      *Command
	locality uint8
	tag      wire.ST

	handles  [maxHandles]wire.Handle
	sessions [maxSessions]wire.AuthCommand
	nSession int

	in    wire.Reader
	param int // number of the parameter being decoded, from 1

	out      wire.Writer
	rhandle  wire.Handle // response handle, for a command that has one
	paramsAt int         // offset in out of the first response parameter

	notOrderly bool // withdraw the mark of an orderly shutdown at the end
	// authRecorded says that an authorisation left a trace in the state, which
	// stays whatever becomes of the command.
	authRecorded bool
	digests      wire.DigestValues
	selections   wire.PCRSelections
	digestSpace  [wire.MaxHashes * wire.MaxDigest]byte
}

// start makes the call ready for a new command. The lists keep their old
// contents: whoever decodes into them sets their counts.
func (c *call) start(t *TPM, locality uint8) {
	c.t, c.cmd, c.locality, c.tag = t, nil, locality, 0
	c.nSession, c.param = 0, 0
	c.rhandle = wire.RHUnassigned
	c.notOrderly, c.authRecorded = false, false
}

// reserve leaves room in the response for what comes before its parameters.
func (c *call) reserve(buf []byte) {
	n := responseHeader
	if c.cmd.ResponseHandle {
		n += 4
	}
	if c.tag == wire.STSessions {
		n += 4
	}
	c.paramsAt = n
	c.out = wire.NewWriter(buf[:n])
}

// respond completes the response of a command that succeeded: header, handle,
// parameter size and one TPMS_AUTH_RESPONSE per session.
func (c *call) respond() []byte {
	if c.cmd.ResponseHandle {
		c.out.SetU32(responseHeader, uint32(c.rhandle))
	}
	if c.tag == wire.STSessions {
		c.out.SetU32(c.paramsAt-4, uint32(c.out.Len()-c.paramsAt))
		for range c.sessions[:c.nSession] {
			c.out.AuthResponse(&wire.AuthResponse{Attributes: wire.SessionContinue})
		}
	}
	return finishResponse(&c.out, c.tag)
}

// next counts the parameter that is about to be decoded. After a failure the
// number stays at the parameter that failed.
func (c *call) next() *wire.Reader {
	if c.in.RC() == wire.RCSuccess {
		c.param++
	}
	return &c.in
}

// done ends the parameters: the first failure with its number, or TPM_RC_SIZE
// without one if there is anything left.
func (c *call) done() wire.RC {
	if rc := c.in.RC(); rc != wire.RCSuccess {
		return rc.Parameter(c.param)
	}
	if c.in.Len() != 0 {
		return wire.RCSize
	}
	return wire.RCSuccess
}

// badParam is rc about parameter n, counted from 1.
func (c *call) badParam(n int, rc wire.RC) wire.RC { return rc.Parameter(n) }

// badHandle is rc about handle n, counted from 1.
func (c *call) badHandle(n int, rc wire.RC) wire.RC { return rc.Handle(n) }

func (c *call) u8() uint8   { return c.next().U8() }
func (c *call) u16() uint16 { return c.next().U16() }
func (c *call) u32() uint32 { return c.next().U32() }
func (c *call) u64() uint64 { return c.next().U64() }
func (c *call) yesNo() bool { return c.next().YesNo() }

// sized takes a TPM2B of at most max bytes. It aliases the command.
func (c *call) sized(max int) []byte { return c.next().Sized(max) }

// buffer takes a TPM2B_MAX_BUFFER.
func (c *call) buffer() []byte { return c.sized(int(c.t.config.Limits.InputBuffer)) }

// auth takes a TPM2B_AUTH and strips the zeros at its end (Part 1, section
// "Authorization Values").
func (c *call) auth() []byte { return stripZeros(c.sized(wire.MaxDigest)) }

// hashAlg takes a TPMI_ALG_HASH, with null its "+" variant.
func (c *call) hashAlg(null bool) wire.AlgID { return c.next().HashAlg(null) }

// handle takes a handle of the given kind from the parameter area.
func (c *call) handle(kind HandleKind) wire.Handle {
	r := c.next()
	h := wire.Handle(r.U32())
	if !c.t.acceptsHandle(kind, h) {
		r.Fail(wire.RCValue)
	}
	return h
}
