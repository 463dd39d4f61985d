package main

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
	// logPatience is how long a flush waits for a log that nobody reads.
	logPatience = 250 * time.Millisecond
)

// logQueue is the log between the daemon and where it is written. Write never
// waits: a goroutine of the queue's own writes, and lines for which there is no
// room are dropped and counted. Without it a log that nobody reads stops whoever
// writes to it, and so the TPM.
type logQueue struct {
	out    io.Writer
	prefix string // before each line

	mu      sync.Mutex
	waiting []byte // lines that nobody writes yet
	lines   uint64 // in waiting
	dropped uint64 // lines after those, for which there was no room
	lost    uint64 // lines that were dropped or could not be written, ever
	busy    bool   // the goroutine writes or is about to
	idle    []chan struct{}
}

// Write takes one line.
func (q *logQueue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.dropped > 0 || len(q.waiting)+len(q.prefix)+len(line) > logRoom {
		q.dropped++
		q.lost++
		return len(line), nil
	}
	q.waiting = append(append(q.waiting, q.prefix...), line...)
	q.lines++
	if !q.busy {
		q.busy = true
		go q.write()
	}
	return len(line), nil
}

// write writes until nothing waits.
func (q *logQueue) write() {
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
		lines, dropped := q.lines, q.dropped
		q.lines, q.dropped = 0, 0
		q.mu.Unlock()

		_, err := q.out.Write(buffer)
		if err != nil {
			q.mu.Lock()
			q.lost += lines
			q.mu.Unlock()
		}
		if dropped > 0 {
			// It takes no room in the queue, so that it is not lost itself.
			_, _ = q.out.Write(append([]byte(q.prefix), lostLine(dropped)...))
		}
	}
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

// Lost returns how many lines have not been written for want of a reader, or of
// room where they go.
func (q *logQueue) Lost() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

// flush returns when all lines so far are written, or with an error after
// logPatience.
func (q *logQueue) flush() error {
	q.mu.Lock()
	if !q.busy {
		q.mu.Unlock()
		return nil
	}
	idle := make(chan struct{})
	q.idle = append(q.idle, idle)
	q.mu.Unlock()

	timer := time.NewTimer(logPatience)
	defer timer.Stop()
	select {
	case <-idle:
		return nil
	case <-timer.C:
		return fmt.Errorf("the log was not read for %s", logPatience)
	}
}
