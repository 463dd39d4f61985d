// Package logs has the files that a daemon writes while it serves: its own log, and a
// copy of the guest's console. Whoever writes to one never waits for the file: a disk
// that is slow, or a reader that does not read, must not stop the TPM.
package logs

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// logRoom bounds the bytes that wait for the log to be written.
	logRoom = 1 << 20
	// Patience is how long Flush waits for a log that nobody reads.
	Patience = 250 * time.Millisecond
	// chunkSize is the memory that is taken at a time for lines that wait, in bytes,
	// and mostSpares how many such pieces are kept when their lines are written.
	chunkSize  = 32 << 10
	mostSpares = 32
)

// Queue is the log between the daemon and where it is written. Write never waits: a
// goroutine of the queue writes, and lines for which there is no room are dropped
// and counted.
type Queue struct {
	Out    io.Writer
	Prefix string // before each line
	// Room bounds the bytes that wait to be written; 0 is 1 MiB.
	Room int
	// Gather is how long lines wait for others, to be written with them; 0 writes at
	// once. It saves a write for each line. Nobody waits while half of the room is taken.
	Gather time.Duration
	// Note returns what stands where lines were dropped; lost are all that were, from
	// the beginning on. Nil writes a line of a log.
	Note func(lost uint64) []byte

	mu      sync.Mutex
	waiting []chunk     // lines that nobody writes yet
	spare   []chunk     // empty ones, for later lines
	size    int         // bytes that wait
	dropped uint64      // lines after those, for which there was no room
	lost    uint64      // lines that were dropped or could not be written, ever
	busy    bool        // the goroutine writes or is about to
	gather  *time.Timer // starts the goroutine, nil if it runs
	idle    []chan struct{}
}

// chunk is a piece of memory with whole lines.
type chunk struct {
	text  []byte
	lines uint64
}

// Write takes one line.
func (q *Queue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	size := len(q.Prefix) + len(line)
	if q.dropped > 0 || q.size+size > q.room() {
		q.dropped++
		q.lost++
		return len(line), nil
	}
	c := q.place(size)
	c.text = append(append(c.text, q.Prefix...), line...)
	c.lines++
	q.size += size
	switch {
	case !q.busy:
		q.busy = true
		q.wake()
	case q.size > q.room()/2:
		q.hurry()
	}
	return len(line), nil
}

// place returns the chunk for a line of so many bytes.
func (q *Queue) place(size int) *chunk {
	if n := len(q.waiting); n > 0 {
		if c := &q.waiting[n-1]; cap(c.text)-len(c.text) >= size {
			return c
		}
	}
	if n := len(q.spare); n > 0 && size <= chunkSize {
		q.waiting = append(q.waiting, q.spare[n-1])
		q.spare = q.spare[:n-1]
	} else {
		q.waiting = append(q.waiting, chunk{text: make([]byte, 0, max(size, chunkSize))})
	}
	return &q.waiting[len(q.waiting)-1]
}

// wake has the goroutine write, when lines have gathered. It is called with mu held.
func (q *Queue) wake() {
	if q.Gather > 0 {
		q.gather = time.AfterFunc(q.Gather, q.write)
		return
	}
	go q.write()
}

// hurry has the goroutine write now. It is called with mu held.
func (q *Queue) hurry() {
	if q.gather != nil && q.gather.Stop() {
		q.gather = nil
		go q.write()
	}
}

// write writes until nothing waits, or once if lines are to gather before the next.
func (q *Queue) write() {
	var list []chunk
	for {
		q.mu.Lock()
		if len(q.waiting) == 0 && q.dropped == 0 {
			q.busy = false
			for _, c := range q.idle {
				close(c)
			}
			q.idle = nil
			q.mu.Unlock()
			return
		}
		list, q.waiting = q.waiting, list[:0]
		dropped, lost := q.dropped, q.lost
		q.gather, q.size, q.dropped = nil, 0, 0
		q.mu.Unlock()

		for _, c := range list {
			_, err := q.Out.Write(c.text)
			q.written(c, err)
		}
		if dropped > 0 {
			// It takes no room in the queue, so that it is not lost itself.
			_, _ = q.Out.Write(q.note(dropped, lost))
		}
		if q.rest() {
			return
		}
	}
}

// written keeps a chunk whose lines were written, and counts them if they could not be.
func (q *Queue) written(c chunk, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if err != nil {
		q.lost += c.lines
	}
	if cap(c.text) == chunkSize && len(q.spare) < mostSpares {
		q.spare = append(q.spare, chunk{text: c.text[:0]})
	}
}

// rest has lines gather, and reports whether it does.
func (q *Queue) rest() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	empty := q.size == 0 && q.dropped == 0
	if q.Gather == 0 || empty || len(q.idle) > 0 || q.size > q.room()/2 {
		return false
	}
	q.wake()
	return true
}

func (q *Queue) room() int {
	if q.Room == 0 {
		return logRoom
	}
	return q.Room
}

// note returns what stands for dropped lines; lost are all so far.
func (q *Queue) note(dropped, lost uint64) []byte {
	if q.Note != nil {
		return q.Note(lost)
	}
	return append([]byte(q.Prefix), lostLine(dropped)...)
}

// lostLine is the line of the log that stands for those that are not there.
func lostLine(n uint64) []byte {
	var line lineBuffer
	slog.New(slog.NewTextHandler(&line, nil)).Warn("log lines lost: nobody read the log in time", "lines", n)
	return line
}

type lineBuffer []byte

func (b *lineBuffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

// Lost returns how many lines were not written because nobody read the log, or
// because there was no room for them.
func (q *Queue) Lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

// Flush returns when all lines so far are written, or with an error after Patience.
func (q *Queue) Flush() error {
	q.mu.Lock()
	if !q.busy {
		q.mu.Unlock()
		return nil
	}
	idle := make(chan struct{})
	q.idle = append(q.idle, idle)
	q.hurry()
	q.mu.Unlock()

	timer := time.NewTimer(Patience)
	defer timer.Stop()
	select {
	case <-idle:
		return nil
	case <-timer.C:
		return fmt.Errorf("the log was not read for %s", Patience)
	}
}
