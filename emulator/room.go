package emulator

import (
	"sync"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

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
