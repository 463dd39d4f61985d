package cuse

import (
	"bytes"
	"context"
	"encoding/binary"

	"github.com/swtpmd/swtpmd/transport"
)

// Bounds of what a client can have the device keep.
const (
	mostReads  = 64        // reads that wait for one response
	mostIoctls = 16        // ioctls at a time
	mostState  = 512 << 10 // bytes of a state blob, as swtpm 0.11 takes them
)

// file is the device as its client sees it. The service's mutex is held for all of it.
type file struct {
	open bool
	// running is set while a command is executed; cancel ends its context.
	running bool
	cancel  context.CancelFunc
	turn    int // counts the clients, so that a response finds its own
	// rest are the bytes left of the last response or, after GET_STATEBLOB, of a blob.
	rest []byte
	// reads wait for the response.
	reads []waitingRead
	// watched and handle are the poll that wants to be told.
	watched bool
	handle  uint64
	upload  upload
}

// waitingRead is a read that came before the response.
type waitingRead struct {
	unique uint64
	size   uint32
}

// opened is FUSE_OPEN: the device has one client.
func (s *service) opened(r *request) []byte {
	if s.file.open {
		return reply(r.unique, eBUSY, nil)
	}
	s.file = file{open: true, turn: s.file.turn + 1}
	body := binary.NativeEndian.AppendUint64(nil, uint64(s.file.turn))
	return reply(r.unique, 0, append(body, words(openDirectIO|openNoSeek, 0)...))
}

// released is FUSE_RELEASE, the client's last close. Nobody waits any more for what the
// TPM executes.
func (s *service) released(r *request) []byte {
	if s.file.cancel != nil {
		s.file.cancel()
	}
	s.file = file{turn: s.file.turn}
	return reply(r.unique, 0, nil)
}

// written is FUSE_WRITE: a command, or a part of a state blob.
func (s *service) written(r *request) []byte {
	f := &s.file
	switch {
	case f.running:
		return reply(r.unique, eBUSY, nil)
	case f.upload.byWrite:
		if len(f.upload.data)+len(r.data) > mostState {
			return reply(r.unique, eFBIG, nil)
		}
		f.upload.data = append(f.upload.data, r.data...)
	case len(r.data) > transport.LargestBuffer:
		return reply(r.unique, e2BIG, nil)
	default:
		f.upload = upload{}
		s.begin(bytes.Clone(r.data))
	}
	return reply(r.unique, 0, words(uint32(len(r.data)), 0))
}

// begin has the TPM execute a command.
func (s *service) begin(command []byte) {
	f := &s.file
	ctx, cancel := context.WithCancel(s.ctx)
	f.running, f.cancel, f.rest = true, cancel, nil
	turn := f.turn
	s.handlers.Go(func() {
		defer cancel()
		response := s.respond(ctx, command)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.file.turn == turn && s.file.open {
			s.finish(response)
		}
	})
}

// respond asks the TPM, and answers what is no command.
func (s *service) respond(ctx context.Context, command []byte) []byte {
	h, ok := transport.ParseHeader(command)
	if !ok || int64(h.Size) != int64(len(command)) {
		return transport.AppendResponse(nil, transport.RCCommandSize)
	}
	return s.responder.Respond(transport.WithClient(ctx, transport.ClientCUSE), command)
}

// finish gives the response to who waits for it.
func (s *service) finish(response []byte) {
	f := &s.file
	f.running, f.cancel, f.rest = false, nil, response
	for _, read := range f.reads {
		s.send(reply(read.unique, 0, f.take(read.size)))
	}
	f.reads = nil
	if f.watched {
		f.watched = false
		s.send(message(0, notifyPoll, binary.NativeEndian.AppendUint64(nil, f.handle)))
	}
}

// take takes bytes of the response.
func (f *file) take(size uint32) []byte {
	n := min(uint64(size), uint64(len(f.rest)))
	taken := f.rest[:n]
	f.rest = f.rest[n:]
	return taken
}

// readFrom is FUSE_READ. It returns nil if the reply has to wait.
func (s *service) readFrom(r *request) []byte {
	f := &s.file
	switch {
	case !f.running:
		return reply(r.unique, 0, f.take(r.size))
	case r.flags&openNonblock != 0:
		return reply(r.unique, eAGAIN, nil)
	case len(f.reads) >= mostReads:
		return reply(r.unique, eBUSY, nil)
	}
	f.reads = append(f.reads, waitingRead{r.unique, r.size})
	return nil
}

// interrupted is FUSE_INTERRUPT: a signal ends a read that waits. A request that is
// answered already, or will be soon, is none of its business.
func (s *service) interrupted(r *request) []byte {
	for i, read := range s.file.reads {
		if read.unique == r.handle {
			s.file.reads = append(s.file.reads[:i:i], s.file.reads[i+1:]...)
			return reply(read.unique, eINTR, nil)
		}
	}
	return nil
}

// polled is FUSE_POLL.
func (s *service) polled(r *request) []byte {
	f := &s.file
	events := uint32(pollOut)
	switch {
	case f.running:
		events = 0
		if r.flags&pollNotify != 0 {
			f.watched, f.handle = true, r.handle
		}
	case len(f.rest) > 0:
		events |= pollIn
	}
	return reply(r.unique, 0, words(events, 0))
}
