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
	// once. It saves a write for each line.
	Gather time.Duration
	// Note returns what stands where lines were dropped; lost are all that were, from
	// the beginning on. Nil writes a line of a log.
	Note func(lost uint64) []byte

	mu      sync.Mutex
	waiting []byte // lines that nobody writes yet
	lines   uint64 // in waiting
	dropped uint64 // lines after those, for which there was no room
	lost    uint64 // lines that were dropped or could not be written, ever
	busy    bool   // the goroutine writes or is about to
	idle    []chan struct{}
}

// Write takes one line.
func (q *Queue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.dropped > 0 || len(q.waiting)+len(q.Prefix)+len(line) > q.room() {
		q.dropped++
		q.lost++
		return len(line), nil
	}
	q.waiting = append(append(q.waiting, q.Prefix...), line...)
	q.lines++
	if !q.busy {
		q.busy = true
		q.wake()
	}
	return len(line), nil
}

// wake has the goroutine write, when lines have gathered.
func (q *Queue) wake() {
	if q.Gather > 0 {
		time.AfterFunc(q.Gather, q.write)
		return
	}
	go q.write()
}

// write writes until nothing waits, or once if lines are to gather before the next.
func (q *Queue) write() {
	var buffer []byte
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
		buffer, q.waiting = q.waiting, buffer[:0]
		lines, dropped, lost := q.lines, q.dropped, q.lost
		q.lines, q.dropped = 0, 0
		q.mu.Unlock()

		_, err := q.Out.Write(buffer)
		if err != nil {
			q.mu.Lock()
			q.lost += lines
			q.mu.Unlock()
		}
		if dropped > 0 {
			// It takes no room in the queue, so that it is not lost itself.
			_, _ = q.Out.Write(q.note(dropped, lost))
		}
		if q.Gather > 0 && q.more() {
			q.wake()
			return
		}
	}
}

// more reports whether something waits and nobody waits for it to be written.
func (q *Queue) more() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return (len(q.waiting) > 0 || q.dropped > 0) && len(q.idle) == 0
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
