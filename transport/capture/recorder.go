package capture

import (
	"context"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/transport"
)

// Options say how a Recorder writes.
type Options struct {
	// Now gives the times of packets; nil is time.Now. With one that gives the same
	// times, the same commands and responses make the same bytes.
	Now func() time.Time
	// Checksums fills the checksums of IPv4 and TCP in. Without, they are 0.
	Checksums bool
}

// Ports of the connections.
const (
	tpmPort     = 2321
	firstClient = 50000
)

// Recorder writes commands and responses as packets. Its methods may be called from
// several goroutines.
type Recorder struct {
	options Options

	mu  sync.Mutex
	out io.Writer
	buf []byte
	// lanes are the connections there have been, by the client's port from
	// firstClient on.
	lanes []*lane
	last  uint64 // the time of the last packet
	err   error  // of out
}

// lane is a connection, which carries one command at a time.
type lane struct {
	port       uint16
	open, busy bool
	sent, got  uint32 // sequence numbers of the client and of the TPM
}

// clock is the time of day, for one goroutine at a time. It looks at the monotonic clock
// only, where it has looked at both less than baseTime ago: time.Now reads both, and each
// is a system call where the kernel's vDSO has no clock.
type clock struct{ base time.Time }

// baseTime is how long a step of the time of day may be missed.
const baseTime = 10 * time.Millisecond

func (c *clock) now() time.Time {
	if since := time.Since(c.base); since < baseTime {
		return c.base.Add(since)
	}
	c.base = time.Now()
	return c.base
}

// Head returns the beginning of a section, for a file that goes on where a Recorder has
// begun another one.
func Head() []byte { return appendHead(nil) }

// NewRecorder returns a Recorder, which begins a section of a capture: out may have
// others before. A Write of out gets whole blocks. The first error of out is that of
// Close, and nothing more is written after it.
func NewRecorder(out io.Writer, options Options) *Recorder {
	if options.Now == nil {
		options.Now = new(clock).now
	}
	r := &Recorder{options: options, out: out}
	r.write(appendHead(nil))
	return r
}

// Device returns a Device of which every exchange is recorded: the command when it
// comes, the response when it goes. A response to a command that did not come to the
// transport.Witness below, if there is one, is marked. What else d can do is found
// through As.
func (r *Recorder) Device(d transport.Device) transport.Device {
	return r.record(d, "")
}

// Own is Device for the commands that a program sends for itself.
func (r *Recorder) Own(d transport.Device) transport.Device {
	return r.record(d, ownNote)
}

func (r *Recorder) record(d transport.Device, note string) transport.Device {
	return &recorded{Device: d, watcher: transport.NewWatcher(d), r: r, note: note}
}

// recorded is a Device above which a Recorder stands.
type recorded struct {
	transport.Device
	watcher transport.Watcher
	r       *Recorder
	note    string // for every command
}

// Unwrap returns the recorded device.
func (d *recorded) Unwrap() transport.Device { return d.Device }

// Notes in the comments of packets.
const (
	ownNote       = "sent by swtpmd itself"
	syntheticNote = "answered in the TPM's stead, which has not seen the command"
	localityNote  = "locality "
)

func (d *recorded) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	l := d.r.command(locality, command, d.note)
	ctx, sight := d.watcher.Watch(ctx)
	response, err := d.Device.Send(ctx, locality, command)
	switch {
	case err != nil && ctx.Err() != nil:
		d.r.abandon(l, "the sender gave up")
	case err != nil:
		d.r.response(l, transport.AppendResponse(nil, transport.RCFailure), "no answer from the TPM: "+err.Error())
	case !sight.Came():
		d.r.response(l, response, syntheticNote)
	default:
		d.r.response(l, response, "")
	}
	return response, err
}

// command writes a command to a connection that is free.
func (r *Recorder) command(locality uint8, command []byte, note string) *lane {
	if locality != 0 {
		where := localityNote + strconv.Itoa(int(locality))
		if note != "" {
			where = note + "; " + where
		}
		note = where
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.free()
	l.busy = true
	r.payload(l, true, command, note)
	r.flush()
	return l
}

// response writes the response to the command of a connection.
func (r *Recorder) response(l *lane, response []byte, note string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.payload(l, false, response, note)
	l.busy = false
	r.flush()
}

// abandon ends a connection without a response.
func (r *Recorder) abandon(l *lane, note string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.packet(&segment{from: l.port, to: tpmPort, seq: l.sent, ack: l.got, flags: flagRST | flagACK}, note)
	l.open, l.busy = false, false
	r.flush()
}

// free returns a connection without a command, and opens one if there is none.
func (r *Recorder) free() *lane {
	at := slices.IndexFunc(r.lanes, func(l *lane) bool { return !l.busy })
	if at < 0 {
		at = len(r.lanes)
		// Sequence numbers begin by the clock (RFC 9293, section 3.4.1), or a section
		// would look like the one before it, sent again.
		first := uint32(r.options.Now().UnixMicro() / 4)
		r.lanes = append(r.lanes, &lane{port: firstClient + uint16(at), sent: first, got: first})
	}
	l := r.lanes[at]
	if l.open {
		return l
	}
	r.packet(&segment{from: l.port, to: tpmPort, seq: l.sent, flags: flagSYN}, "")
	l.sent++
	r.packet(&segment{from: tpmPort, to: l.port, seq: l.got, ack: l.sent, flags: flagSYN | flagACK}, "")
	l.got++
	r.packet(&segment{from: l.port, to: tpmPort, seq: l.sent, ack: l.got, flags: flagACK}, "")
	l.open = true
	return l
}

// payload appends what one side sends.
func (r *Recorder) payload(l *lane, fromClient bool, data []byte, note string) {
	for first := true; first || len(data) > 0; first = false {
		piece := data[:min(len(data), mostPayload)]
		data = data[len(piece):]
		if fromClient {
			r.packet(&segment{l.port, tpmPort, l.sent, l.got, flagPSH | flagACK, piece}, note)
			l.sent += uint32(len(piece))
		} else {
			r.packet(&segment{tpmPort, l.port, l.got, l.sent, flagPSH | flagACK, piece}, note)
			l.got += uint32(len(piece))
		}
		note = ""
	}
}

// packet appends a packet to what is written next.
func (r *Recorder) packet(s *segment, note string) {
	r.last = uint64(max(r.options.Now().UnixNano(), 0))
	length := uint32(ipHeader + tcpHeader + len(s.payload))
	b := begin(r.buf, blockEnhanced)
	b.u32(0) // the interface
	b.time(r.last)
	b.u32(length)
	b.u32(length)
	b.buf = s.append(b.buf, r.options.Checksums)
	b.pad()
	if note != "" {
		b.comment(note)
		b.option(optionEnd, nil)
	}
	r.buf = b.end()
}

// flush writes what was appended.
func (r *Recorder) flush() {
	r.write(r.buf)
	r.buf = r.buf[:0]
}

func (r *Recorder) write(blocks []byte) {
	if r.err == nil {
		_, r.err = r.out.Write(blocks)
	}
}

// Dropped returns a block that says how many writes, each of a command or a response,
// are not in the capture from the beginning on. It is for an out that has no room for
// all.
func (r *Recorder) Dropped(writes uint64) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return appendStatistics(nil, r.last, writes)
}

// Close ends the connections. It does not close out.
func (r *Recorder) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, l := range r.lanes {
		if l.busy || !l.open {
			continue
		}
		r.packet(&segment{from: l.port, to: tpmPort, seq: l.sent, ack: l.got, flags: flagFIN | flagACK}, "")
		r.packet(&segment{from: tpmPort, to: l.port, seq: l.got, ack: l.sent + 1, flags: flagFIN | flagACK}, "")
		r.packet(&segment{from: l.port, to: tpmPort, seq: l.sent + 1, ack: l.got + 1, flags: flagACK}, "")
	}
	r.flush()
	return r.err
}
