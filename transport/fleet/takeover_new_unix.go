//go:build unix

package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/fleet/handover"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// Take makes a fleet of all that the one has which calls HandOver at the other end of conn.
// It closes conn. The options are those of New; the directories must be those of the other.
// passed are the files that the caller of HandOver has added.
//
// After an error the other fleet goes on.
func Take(ctx context.Context, conn *net.UnixConn, o Options) (f *Fleet, passed map[string]*os.File, err error) {
	defer func() { _ = conn.Close() }()
	patient := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer patient()
	f, err = prepare(o)
	if err != nil {
		return nil, nil, err
	}
	from := handover.New(conn, 0)
	t := &taking{f: f, from: from, patient: patient}
	passed, err = t.take()
	if err != nil {
		_ = from.Send(message{Kind: saysFailed, Error: err.Error()})
		t.drop()
		handover.Close(values(passed))
		return nil, nil, err
	}
	for _, taken := range t.taken {
		if err := taken.resume(); err != nil {
			f.log.Error("a client's connection is lost in the takeover", "tpm", taken.tpm.name, "cause", err)
		}
		f.tpms[taken.tpm.name] = taken.tpm
	}
	f.lock.Sign()
	f.begin()
	return f, passed, nil
}

func values(m map[string]*os.File) (files []*os.File) {
	for _, f := range m {
		files = append(files, f)
	}
	return files
}

// taking is a fleet that is being taken over.
type taking struct {
	f    *Fleet
	from *handover.Conn
	// patient has the end of the context end nothing any more, and reports whether it has
	// not yet.
	patient func() bool
	taken   []*taken
}

// taken is a TPM that was taken over, and does not serve yet.
type taken struct {
	tpm         *tpm
	connections []swtpm.Connection
}

func (t *taking) take() (passed map[string]*os.File, err error) {
	o := &t.f.options
	hello := message{Kind: saysHello, Version: takeoverVersion, PID: os.Getpid(), Dir: o.Dir, State: o.State}
	if err := t.from.Send(hello); err != nil {
		return nil, &TakeoverError{Reason: "the other process has ended", Err: err}
	}
	count := 0
	if _, err := hear(t.from, saysBegin, func(m *message) error { count = m.Count; return nil }); err != nil {
		return nil, err
	}
	for range count {
		if err := t.next(); err != nil {
			return nil, err
		}
	}
	if passed, err = t.last(); err != nil {
		return passed, err
	}
	if !t.patient() {
		return passed, &TakeoverError{Reason: "it was not wanted any more"}
	}
	if err := t.from.Send(message{Kind: saysServes}); err != nil {
		return passed, &TakeoverError{Reason: "the other process has ended", Err: err}
	}
	var m message
	files, err := t.from.Receive(&m)
	handover.Close(files)
	if err == nil && m.Kind != saysBye {
		return passed, &TakeoverError{Reason: "the other process says", Err: errors.New(cmp.Or(m.Error, m.Kind))}
	}
	return passed, nil // without bye the other process has ended
}

// next takes a TPM.
func (t *taking) next() error {
	var s *tpmState
	files, err := hear(t.from, saysTPM, func(m *message) error {
		if s = m.TPM; s == nil || !namePattern().MatchString(s.Name) || t.has(s.Name) {
			return &TakeoverError{Reason: "what comes is no TPM"}
		}
		return nil
	})
	if err != nil {
		return err
	}
	taken, err := t.f.takeTPM(s, files)
	if err != nil {
		return &TakeoverError{Reason: "TPM " + s.Name, Err: err}
	}
	t.taken = append(t.taken, taken)
	return t.from.Send(message{Kind: saysTook})
}

func (t *taking) has(name string) bool {
	for _, other := range t.taken {
		if other.tpm.name == name {
			return true
		}
	}
	return false
}

// last takes the lock, and what the caller of HandOver passes.
func (t *taking) last() (passed map[string]*os.File, err error) {
	var m *message
	files, err := hear(t.from, saysLast, func(last *message) error { m = last; return nil })
	if err != nil {
		return nil, err
	}
	if len(files) != 1+len(m.Passed) {
		handover.Close(files)
		return nil, &TakeoverError{Reason: "the lock of the directory does not come"}
	}
	passed = make(map[string]*os.File)
	for i, name := range m.Passed {
		passed[name] = files[1+i]
	}
	if t.f.lock, err = state.AdoptLock(t.f.options.Dir, lockFile, files[0]); err != nil {
		return passed, err
	}
	for name, cause := range m.Refused {
		t.f.refused[name] = errors.New(cause)
	}
	return passed, nil
}

// drop leaves everything to the other process, which goes on.
func (t *taking) drop() {
	for _, taken := range t.taken {
		taken.tpm.leave(taken.connections)
	}
	if t.f.lock != nil {
		_ = t.f.lock.Leave()
	}
}

// queue gives files out in their order.
type queue struct {
	names []string
	files []*os.File
}

// errFiles is why a TPM is not taken over.
var errFiles = errors.New("its files are not those that are expected")

// next returns the next file if it has this name.
func (q *queue) next(name string) *os.File {
	if len(q.names) == 0 || q.names[0] != name {
		return nil
	}
	file := q.files[0]
	q.names, q.files = q.names[1:], q.files[1:]
	return file
}

// takeTPM makes a TPM of its state and files, which it takes over. It serves nothing yet.
func (f *Fleet) takeTPM(s *tpmState, files []*os.File) (*taken, error) {
	q := &queue{s.Files, files}
	defer func() { handover.Close(q.files) }()
	if len(s.Files) != len(files) {
		return nil, errFiles
	}
	c, err := ParseConfig("", []byte(s.Config))
	if err != nil {
		return nil, err
	}
	rules, err := s.Rules.ParseRules()
	if err != nil {
		return nil, err
	}
	t, err := f.newTPMWith(s.Name, c, rules)
	if err != nil {
		return nil, err
	}
	taken := &taken{tpm: t}
	err = t.setState(s)
	if err == nil {
		err = t.takeFiles(s, q)
	}
	if err == nil {
		taken.connections, err = takeConnections(s, q)
	}
	if err == nil && len(q.names) > 0 {
		err = errFiles
	}
	if err != nil {
		t.leave(taken.connections)
		return nil, err
	}
	return taken, nil
}

// setState has a new TPM go on.
func (t *tpm) setState(s *tpmState) error {
	if err := t.engine.setState(s.Engine); err != nil {
		return err
	}
	if err := t.clock.Restore(s.Clock); err != nil {
		return err
	}
	if s.Booted != nil {
		begun := time.Now().Add(-*s.Booted)
		t.booted.Store(&begun)
	}
	t.server.SetState(s.Server)
	t.guest.SetState(s.Guest)
	t.panel.SetState(s.Panel)
	t.guard.commands.Store(s.Commands)
	t.guard.errors.Store(s.Errors)
	if t.console != nil && s.Console != nil {
		if err := t.console.UnmarshalText(s.Console); err != nil {
			return err
		}
	}
	return t.panel.Layer.SetState(s.Rules)
}

// takeFiles takes the sockets and the lock.
func (t *tpm) takeFiles(s *tpmState, q *queue) error {
	if lock := q.next(fileLock); lock != nil {
		if t.storage == nil {
			return errors.Join(errFiles, lock.Close())
		}
		if err := t.storage.adopt(lock); err != nil {
			return err
		}
	}
	for _, socket := range []struct{ file, name string }{{fileControl, ControlSocket}, {fileData, DataSocket}} {
		file := q.next(socket.file)
		if file == nil {
			return errFiles
		}
		l, err := transport.ListenFile(file, filepath.Join(t.dir, socket.name))
		if err != nil {
			return err
		}
		t.listeners = append(t.listeners, l)
	}
	return t.takeConsole(s, q)
}

func (t *tpm) takeConsole(s *tpmState, q *queue) error {
	if t.console == nil {
		return nil
	}
	source, err := t.consoleSource()
	if err != nil {
		return err
	}
	left := initcall.Left{Read: s.Read}
	if file := q.next(fileConsole); file != nil {
		l, err := net.FileListener(file)
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
		var ok bool
		if left.Listener, ok = l.(*net.UnixListener); !ok {
			return errors.Join(errFiles, l.Close())
		}
	}
	if file := q.next(fileConsoleEnd); file != nil {
		if left.Conn, err = connectionOf(file); err != nil {
			return err
		}
	}
	t.feed, err = source.Resume(left)
	return err
}

// connectionOf returns a connection of a file, which it closes.
func connectionOf(file *os.File) (net.Conn, error) {
	conn, err := net.FileConn(file)
	return conn, errors.Join(err, file.Close())
}

func takeConnections(s *tpmState, q *queue) (connections []swtpm.Connection, err error) {
	for _, is := range s.Connections {
		file := q.next(fileConnection)
		if file == nil {
			return connections, errFiles
		}
		conn, err := connectionOf(file)
		if err != nil {
			return connections, err
		}
		c := swtpm.Connection{Channel: is.Channel, Conn: conn, Unread: is.Unread, Unsent: is.Unsent, Asked: is.Asked, Pipelines: is.Pipelines}
		for range is.FDs {
			file := q.next(filePassed)
			if file == nil {
				return append(connections, c), errFiles
			}
			fd, err := unix.FcntlInt(file.Fd(), unix.F_DUPFD_CLOEXEC, 0)
			if err := errors.Join(err, file.Close()); err != nil {
				return append(connections, c), err
			}
			c.FDs = append(c.FDs, fd)
		}
		connections = append(connections, c)
	}
	return connections, nil
}

// resume serves what was taken over.
func (t *taken) resume() error {
	t.tpm.serve()
	var errs []error
	for _, c := range t.connections {
		if err := t.tpm.server.Serve(c); err != nil {
			errs = append(errs, fmt.Errorf("%s channel: %w", c.Channel, err))
		}
	}
	return errors.Join(errs...)
}
