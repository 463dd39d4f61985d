package emulator

import (
	"encoding/binary"
	"sync"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Most handles and sessions of a command (Part 1, section "Command Structure").
const (
	maxHandles  = 3
	maxSessions = 3
)

// responseHeader is the size in bytes of tag, responseSize and responseCode.
const responseHeader = 10

// call is one command in execution: its decoded parts, the cursor over
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

	entities [maxHandles]entity // what the handles name
	sessions [maxSessions]authSession
	nSession int
	lookups  int // of handles in the tables of the state; a handle needs one
	// Indices of the sessions that decrypt the first parameter, encrypt the
	// first response parameter, and audit the command; else none.
	decrypt, encrypt, audit int
	borrowed                int // object slots that persistent objects take

	parameters []byte // the parameter area as it was received
	cpHashes   *hashCache
	rpHashes   *hashCache

	in    wire.Reader
	param int // number of the parameter being decoded, from 1

	out     wire.Writer
	rhandle wire.Handle // response handle, for a command that has one
	// Offsets in out of the first response parameter, and of the end of the last.
	paramsAt, paramsEnd int

	// completed is the sequence object that the command has completed, else
	// TPM_RH_UNASSIGNED. It is flushed when the response, into which its
	// authValue goes, has been made.
	completed wire.Handle

	// auditRestarted says that the command has made the command audit digest
	// begin anew, and does not go into it.
	auditRestarted bool
	digests        wire.DigestValues
	selections     wire.PCRSelections
	digestSpace    []byte // room for a digest of each hash algorithm
}

// room is memory that a command in execution needs, and a TPM between two commands does
// not. The TPMs of a process take it in turn, so that a thousand of them have as much as
// there are commands in execution.
type room struct {
	out, plain, hashing []byte
	cpHashes, rpHashes  hashCache
	digests             [wire.MaxHashes * wire.MaxDigest]byte
}

// rooms are those that no command has.
var rooms = sync.Pool{New: func() any { return new(room) }}

// takeRoom gives the TPM room for a command.
func (t *TPM) takeRoom() {
	r := rooms.Get().(*room)
	if size := int(max(defaultBuffer, t.config.Limits.Buffer)); cap(r.out) < size {
		r.out, r.hashing = make([]byte, 0, size), make([]byte, 0, size)
	}
	t.room, t.out, t.plain, t.hashing = r, r.out, r.plain, r.hashing
}

// giveRoom gives the room back after a command. What is left in it of secrets that the
// caller has encrypted goes, and the call keeps nothing of it and of the command's bytes. A
// command that panics keeps its room.
func (t *TPM) giveRoom() {
	clear(t.plain)
	t.room.plain = t.plain[:0]
	rooms.Put(t.room)
	t.room, t.out, t.plain, t.hashing = nil, nil, nil, nil
	c := &t.call
	c.in, c.out, c.parameters = wire.Reader{}, wire.Writer{}, nil
	c.cpHashes, c.rpHashes, c.digestSpace = nil, nil, nil
}

// start makes the call ready for a new command. The lists keep their old
// contents: whoever decodes into them sets their counts.
func (c *call) start(t *TPM, locality uint8) {
	c.t, c.cmd, c.locality, c.tag = t, nil, locality, 0
	c.nSession, c.param, c.borrowed, c.lookups = 0, 0, 0, 0
	c.decrypt, c.encrypt, c.audit = none, none, none
	c.cpHashes, c.rpHashes, c.digestSpace = &t.room.cpHashes, &t.room.rpHashes, t.room.digests[:]
	c.cpHashes.n, c.rpHashes.n = 0, 0
	c.rhandle, c.completed = wire.RHUnassigned, wire.RHUnassigned
	c.auditRestarted = false
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

// hashCache holds the hashes of one command, by algorithm.
type hashCache struct {
	n    int
	algs [maxSessions + 1]wire.AlgID
	sums [maxSessions + 1]state.TPM2B
}

// find gives the hash, or room for it and true.
func (h *hashCache) find(alg wire.AlgID) (*state.TPM2B, bool) {
	for i, a := range h.algs[:h.n] {
		if a == alg {
			return &h.sums[i], false
		}
	}
	h.algs[h.n] = alg
	h.n++
	return &h.sums[h.n-1], true
}

// cpHash is the hash of the command code, the names of the handles and the
// parameters as they were received (Part 1, section "cpHash"). It has to be
// asked for before the command is executed.
func (c *call) cpHash(alg wire.AlgID) []byte {
	sum, isNew := c.cpHashes.find(alg)
	if isNew {
		b := binary.BigEndian.AppendUint32(c.t.hashing[:0], uint32(c.cmd.Code))
		b = c.appendNames(b)
		b = append(b, c.parameters...)
		setDigest(sum, alg, b)
	}
	return sum.Bytes()
}

// appendNames appends the Names of the entities.
func (c *call) appendNames(b []byte) []byte {
	for i := range c.cmd.Handles {
		b = c.entities[i].appendName(b)
	}
	return b
}

// setDigest sets sum to the digest of b.
func setDigest(sum *state.TPM2B, alg wire.AlgID, b []byte) {
	*sum = state.TPM2B{}
	sum.Size = uint8(len(crypt.Digest(alg, sum.Buf[:0], b)))
}

// rpHash is the hash of the response code, the command code and the response
// parameters as they are sent (Part 1, section "rpHash").
func (c *call) rpHash(alg wire.AlgID) []byte {
	sum, isNew := c.rpHashes.find(alg)
	if isNew {
		b := binary.BigEndian.AppendUint32(c.t.hashing[:0], uint32(wire.RCSuccess))
		b = binary.BigEndian.AppendUint32(b, uint32(c.cmd.Code))
		b = append(b, c.out.Data()[c.paramsAt:c.paramsEnd]...)
		setDigest(sum, alg, b)
	}
	return sum.Bytes()
}

// fits reports whether so many bytes more of response parameters leave room for the
// authorization area in the response buffer.
func (c *call) fits(n int) bool {
	n += c.out.Len()
	for i := range c.sessions[:c.nSession] {
		n += 2 + 1 + 2
		if s := c.sessions[i].loaded; s != nil {
			n += int(s.NonceTPM.Size) + c.t.algs.DigestSize(s.AuthHash)
		}
	}
	return n <= int(c.t.size)
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

// digest takes a TPM2B_DIGEST.
func (c *call) digest() []byte { return c.next().Digest() }

// objectName takes a TPM2B_NAME: an algorithm and its digest, or a handle. It
// aliases the command.
func (c *call) objectName() []byte { return c.sized(2 + c.t.algs.Selectors().LargestDigest()) }

// data takes a TPM2B_DATA, which has room for a TPMT_HA.
func (c *call) data() []byte { return c.sized(2 + c.t.algs.Selectors().LargestDigest()) }

// auth takes a TPM2B_AUTH and strips the zeros at its end (Part 1, section
// "Authorization Values").
func (c *call) auth() []byte { return stripZeros(c.digest()) }

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
