package main

import (
	"time"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

// row is one kind of command to be measured.
type row struct {
	name string
	// setup makes what the command needs. What it loads is flushed by finish.
	setup func(b *bench) error
	// command returns the n-th command.
	command func(b *bench, n int) []byte
	// after is told the response to each command, outside of the time.
	after func(b *bench, response []byte) error
}

// bench is a row on one TPM.
type bench struct {
	device transport.Device
	row    row
	n      int // commands sent

	loaded   []wire.Handle // what finish flushes
	key      wire.Handle
	blobs    [][]byte
	session  wire.Handle
	nonceTPM []byte
}

func (b *bench) prepare(r row) error {
	b.row = r
	if r.setup == nil {
		return nil
	}
	return r.setup(b)
}

// time sends commands for about d, and returns the mean in microseconds.
func (b *bench) time(d time.Duration) (float64, error) {
	var spent time.Duration
	count := 0
	for spent < d {
		command := b.row.command(b, b.n)
		start := time.Now()
		response, err := exchange(b.device, command)
		spent += time.Since(start)
		if err != nil {
			return 0, err
		}
		b.n++
		count++
		if b.row.after != nil {
			if err := b.row.after(b, response); err != nil {
				return 0, err
			}
		}
	}
	return float64(spent.Nanoseconds()) / 1000 / float64(count), nil
}

func (b *bench) finish() error {
	for _, h := range b.loaded {
		if err := flush(b, h); err != nil {
			return err
		}
	}
	return nil
}

func flush(b *bench, h wire.Handle) error {
	_, err := exchange(b.device, et.Command(wire.CCFlushContext, nil, nil, et.U32(uint32(h))))
	return err
}

// flushLoaded is an after that flushes what the command has loaded.
func flushLoaded(b *bench, response []byte) error { return flush(b, et.ResponseHandle(response)) }

// load sends a command that loads something, and keeps its handle.
func (b *bench) load(command []byte) (wire.Handle, []byte, error) {
	response, err := exchange(b.device, command)
	if err != nil {
		return 0, nil, err
	}
	h := et.ResponseHandle(response)
	b.loaded = append(b.loaded, h)
	return h, et.Parameters(response, true), nil
}
