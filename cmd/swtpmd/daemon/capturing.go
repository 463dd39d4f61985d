package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/logs"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/trace"
	"github.com/swtpmd/swtpmd/faults/journal"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/capture"
)

// pcapRoom bounds the bytes of a capture that wait to be written.
const pcapRoom = 8 << 20

// gatherTime is how late a capture and a trace are written.
const gatherTime = 20 * time.Millisecond

// observe opens the files of --pcap and --trace, and returns the TPM with what they need
// around it. What clients send they see before the faults, and what the daemon sends
// itself at the TPM.
func (d *daemon) observe(tpm transport.Device) (transport.Device, error) {
	d.own = tpm
	front := []func(transport.Device) transport.Device{}
	own := []func(transport.Device) transport.Device{}
	if p := &d.set.Pcap; p.File != "" || p.FD >= 0 {
		recorder, err := d.openPcap(p)
		if err != nil {
			return nil, err
		}
		front, own = append(front, recorder.Device), append(own, recorder.Own)
	}
	if d.set.Trace != "" {
		out, err := d.openTrace(d.set.Trace)
		if err != nil {
			return nil, err
		}
		tracer := &trace.Tracer{Out: out}
		front, own = append(front, tracer.Device), append(own, tracer.Own)
	}
	if d.set.Journal.File != "" {
		if err := d.openJournal(); err != nil {
			return nil, err
		}
		front, own = append(front, d.journal.Device), append(own, d.journal.Own)
	}
	if len(front) == 0 {
		return tpm, nil
	}
	d.observers = front
	d.own = &ownCommands{Device: tpm, own: through(tpm, own)}
	return transport.Witness(d.own), nil
}

// ownCommands is a TPM of which the commands are observed that no client has sent: those
// for which nobody watches above.
type ownCommands struct {
	transport.Device
	own transport.Device
}

// Unwrap returns the TPM.
func (o *ownCommands) Unwrap() transport.Device { return o.Device }

func (o *ownCommands) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	if transport.Watched(ctx) {
		return o.Device.Send(ctx, locality, command)
	}
	return o.own.Send(ctx, locality, command)
}

// through returns a device within wrappers, the last outermost.
func through(device transport.Device, wrappers []func(transport.Device) transport.Device) transport.Device {
	for _, wrap := range wrappers {
		device = wrap(device)
	}
	return device
}

// openPcap opens the file of a capture and begins a section in it.
func (d *daemon) openPcap(p *options.PcapWords) (*capture.Recorder, error) {
	file, err := d.openOutput("pcap", &p.Output, p.Mode, p.Truncate, capture.Head())
	if err != nil {
		return nil, err
	}
	var recorder *capture.Recorder
	queue := &logs.Queue{
		Out: &untilError{out: file, name: p.Name(), log: d.log}, Room: pcapRoom, Gather: gatherTime,
		Note: func(lost uint64) []byte { return recorder.Dropped(lost) },
	}
	recorder = capture.NewRecorder(queue, capture.Options{Checksums: p.Checksums})
	d.undo = append(d.undo, func() {
		_ = recorder.Close()
		d.finish("pcap", queue, file)
	})
	return recorder, nil
}

// openTrace opens the file of --trace, or takes stdout when the daemon has told there
// that it is ready.
func (d *daemon) openTrace(name string) (io.Writer, error) {
	if name == "-" {
		queue := &logs.Queue{Out: &afterwards{d.told, d.out}}
		d.undo = append(d.undo, func() { _ = queue.Flush() })
		return queue, nil
	}
	file, err := d.openOutput("trace", &options.Output{File: name, FD: -1}, options.DefaultPcapMode, false, nil)
	if err != nil {
		return nil, err
	}
	queue := &logs.Queue{Out: &untilError{out: file, name: name, log: d.log}, Gather: gatherTime}
	d.undo = append(d.undo, func() { d.finish("trace", queue, file) })
	return queue, nil
}

// finish writes what waits, as far as somebody takes it, and closes the file.
func (d *daemon) finish(option string, queue *logs.Queue, file io.Closer) {
	if err := errors.Join(queue.Flush(), file.Close()); err != nil {
		d.log.Warn("not all was written at the end", "option", "--"+option, "cause", err)
	}
	if lost := queue.Lost(); lost > 0 {
		d.log.Warn("commands and responses are missing: nobody took them in time", "option", "--"+option, "writes", lost)
	}
}

// openOutput opens a file to append to it, or takes an inherited descriptor. Links are
// not followed: who may write in the directory must not choose another file. On SIGHUP
// the file is opened anew, and begins with head where it is a new one.
func (d *daemon) openOutput(option string, o *options.Output, mode fs.FileMode, truncate bool, head []byte) (io.WriteCloser, error) {
	if o.FD >= 0 {
		if err := process.Given(o.FD); err != nil {
			return nil, fmt.Errorf("--%s=fd=%d: %w; open it for swtpmd, as with %d>FILE", option, o.FD, err, o.FD)
		}
		return os.NewFile(uintptr(o.FD), o.Name()), nil
	}
	info, err := os.Lstat(o.File)
	switch {
	case err == nil && !info.Mode().IsRegular(): // opening a pipe waits for its reader
		return nil, cli.Usage(fmt.Errorf("--%s: %s is no regular file but %s", option, o.File, info.Mode()), "name a file; pass a pipe as fd=N")
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("--%s: %w", option, err)
	}
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND | syscall.O_NOFOLLOW
	if truncate {
		flags |= os.O_TRUNC
	}
	file, err := os.OpenFile(o.File, flags, mode)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", option, err)
	}
	return d.files.Add(file, syscall.O_NOFOLLOW, mode, head)
}

// untilError is a file that ends with the first error: what came after it could not be
// read.
type untilError struct {
	out  io.Writer
	name string
	log  *slog.Logger
	err  error
}

func (u *untilError) Write(p []byte) (int, error) {
	if u.err != nil {
		return 0, u.err
	}
	n, err := u.out.Write(p)
	if err != nil {
		u.err = err
		u.log.Warn("nothing more is written to a file", "file", u.name, "cause", err)
	}
	return n, err
}

// afterwards is a writer that waits for something to be told first.
type afterwards struct {
	told <-chan struct{}
	out  io.Writer
}

func (a *afterwards) Write(p []byte) (int, error) {
	<-a.told
	return a.out.Write(p)
}

// openJournal opens the file of --journal and writes its first line.
func (d *daemon) openJournal() error {
	w := &d.set.Journal
	plan := d.set.Faults.Plan()
	head := journal.HeaderOf(cli.Release, &plan)
	head.TPMSeed, head.Profile, head.Commands = w.TPMSeed, string(d.set.Profile.Text()), w.Commands
	file, err := d.openOutput("journal", &options.Output{File: w.File, FD: -1}, options.DefaultPcapMode, true, head.Head())
	if err != nil {
		return err
	}
	queue := &logs.Queue{
		Out: &untilError{out: file, name: w.File, log: d.log}, Room: pcapRoom, Gather: gatherTime,
		Note: func(lost uint64) []byte {
			text, _ := json.Marshal(journal.Line{Lost: lost}) // it is a number
			return append(text, '\n')
		},
	}
	d.journal = journal.NewWriter(queue, head)
	d.undo = append(d.undo, func() { d.finish("journal", queue, file) })
	return nil
}
