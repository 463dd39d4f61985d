//go:build unix

package fleet

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport/fleet/handover"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// HandOver gives the fleet to the one that calls Take at the other end of conn, which it
// closes: TPMs, their sockets, the connections of their clients, and the lock of the
// directory. With it go files of the caller's, by names of its own. Commands that are in
// execution are answered before; ctx bounds how long that may take. Clients notice nothing.
//
// After an error the fleet goes on as it was; otherwise it is closed, and its TPMs are the
// other one's. Nobody may use a Panel of the fleet meanwhile.
func (f *Fleet) HandOver(ctx context.Context, conn *net.UnixConn, with map[string]*os.File) error {
	defer func() { _ = conn.Close() }()
	f.changing.Lock()
	defer f.changing.Unlock()
	f.tending.Lock()
	defer f.tending.Unlock()
	f.mu.Lock()
	closed := f.closed
	tpms := slices.SortedFunc(maps.Values(f.tpms), func(a, b *tpm) int { return strings.Compare(a.name, b.name) })
	f.mu.Unlock()
	if closed {
		return ErrClosed
	}
	to := handover.New(conn, messageTime)
	frozen, err := f.handOver(ctx, to, tpms, with)
	if err == nil {
		f.leave(tpms, frozen)
		return nil
	}
	for _, t := range tpms {
		t.thaw()
	}
	_ = to.Send(message{Kind: saysFailed, Error: err.Error()}) // to one that may be gone
	return err
}

// frozen are the connections of each TPM.
type frozen map[*tpm][]swtpm.Connection

func (f *Fleet) handOver(ctx context.Context, to *handover.Conn, tpms []*tpm, with map[string]*os.File) (frozen, error) {
	if _, err := hear(to, saysHello, func(m *message) error {
		switch {
		case m.Version != takeoverVersion:
			return &TakeoverError{Reason: fmt.Sprintf("it is of version %d, and the fleet that is there of version %d", m.Version, takeoverVersion)}
		case m.Dir != f.options.Dir || m.State != f.options.State:
			return &TakeoverError{Reason: fmt.Sprintf("it has other directories (%s, state %q) than the fleet that is there (%s, state %q)", m.Dir, m.State, f.options.Dir, f.options.State)}
		}
		return nil
	}); err != nil {
		return nil, err
	}
	all, err := freeze(ctx, tpms)
	if err != nil {
		return nil, err
	}
	if err := to.Send(message{Kind: saysBegin, Version: takeoverVersion, PID: os.Getpid(), Count: len(tpms)}); err != nil {
		return nil, err
	}
	for _, t := range tpms {
		if err := t.hand(to, all[t]); err != nil {
			return nil, fmt.Errorf("TPM %s: %w", t.name, err)
		}
	}
	m := message{Kind: saysLast, Refused: map[string]string{}, Passed: slices.Sorted(maps.Keys(with))}
	files := []*os.File{f.lock.File()}
	for _, name := range m.Passed {
		files = append(files, with[name])
	}
	f.mu.Lock()
	for name, cause := range f.refused {
		m.Refused[name] = cause.Error()
	}
	f.mu.Unlock()
	if err := to.Send(m, files...); err != nil {
		return nil, err
	}
	if _, err := hear(to, saysServes, nil); err != nil {
		return nil, err
	}
	// From here on the TPMs are the other's, whether it hears this or the end of the
	// connection.
	_ = to.Send(message{Kind: saysBye})
	return all, nil
}

// hear receives a message of a kind, which check may refuse.
func hear(from *handover.Conn, kind string, check func(*message) error) (files []*os.File, err error) {
	var m message
	files, err = from.Receive(&m)
	switch {
	case err != nil:
		err = &TakeoverError{Reason: "the other process has ended, or does not answer", Err: err}
	case m.Kind == saysFailed:
		err = &TakeoverError{Reason: "the other process says", Err: errors.New(m.Error)}
	case m.Kind != kind:
		err = &TakeoverError{Reason: fmt.Sprintf("the other process says %q where %q is expected", m.Kind, kind)}
	case check != nil:
		err = check(&m)
	}
	if err != nil {
		handover.Close(files)
		return nil, err
	}
	return files, nil
}

// freeze suspends all TPMs. While a command takes long, all are served in between.
func freeze(ctx context.Context, tpms []*tpm) (frozen, error) {
	for {
		all, busy := freezeOnce(ctx, tpms)
		if len(busy) == 0 {
			return all, nil
		}
		for _, t := range tpms {
			t.thaw()
		}
		select {
		case <-ctx.Done():
			return nil, &BusyError{busy}
		case <-time.After(thawTime):
		}
	}
}

// freezeOnce returns the names of those that it could not suspend.
func freezeOnce(ctx context.Context, tpms []*tpm) (all frozen, busy []string) {
	ctx, cancel := context.WithTimeout(ctx, freezeTime)
	defer cancel()
	all = frozen{}
	var mu sync.Mutex
	var freezing sync.WaitGroup
	for _, t := range tpms {
		freezing.Go(func() {
			connections, err := t.freeze(ctx)
			mu.Lock()
			defer mu.Unlock()
			all[t] = connections
			if err != nil {
				busy = append(busy, t.name)
			}
		})
	}
	freezing.Wait()
	slices.Sort(busy)
	return all, busy
}

// freeze has nothing happen to the TPM until thaw.
func (t *tpm) freeze(ctx context.Context) ([]swtpm.Connection, error) {
	connections, err := t.server.Suspend(ctx)
	if err != nil {
		return nil, err
	}
	t.stop(initcall.ErrLeft)
	t.following.Wait()
	t.frozen = true
	return connections, nil
}

// thaw has the TPM go on. It does nothing for one that is not frozen.
func (t *tpm) thaw() {
	if t.frozen {
		t.frozen = false
		t.follow()
		t.server.Resume()
	}
}

// hand sends a TPM that is frozen.
func (t *tpm) hand(to *handover.Conn, connections []swtpm.Connection) error {
	s, files, err := t.state(connections)
	defer handover.Close(files)
	if err == nil {
		err = to.Send(message{Kind: saysTPM, TPM: s}, files...)
	}
	clear(s.Engine.Memory)
	if err == nil {
		_, err = hear(to, saysTook, nil)
	}
	return err
}

// filer is what sockets of package net have.
type filer interface{ File() (*os.File, error) }

// state returns the TPM as a value, and its files.
func (t *tpm) state(connections []swtpm.Connection) (s *tpmState, files []*os.File, err error) {
	s = new(tpmState)
	if err := t.engine.settling.settle(); err != nil {
		return s, nil, err
	}
	config, err := t.config.MarshalText()
	if err != nil {
		return s, nil, err
	}
	*s = tpmState{
		Name: t.name, Config: string(config), Server: t.server.State(), Clock: t.clock.Now(), Guest: t.guest.State(),
		Rules: t.panel.Layer.State(), Panel: t.panel.State(), Commands: t.guard.commands.Load(), Errors: t.guard.errors.Load(),
	}
	if s.Engine, err = t.engine.state(); err != nil {
		return s, nil, err
	}
	if b := t.booted.Load(); b != nil {
		passed := time.Since(*b)
		s.Booted = &passed
	}
	add := func(name string, socket any) {
		if err != nil {
			return
		}
		from, ok := socket.(filer)
		if !ok {
			err = fmt.Errorf("%s: %w", name, errors.ErrUnsupported)
			return
		}
		var file *os.File
		if file, err = from.File(); err == nil {
			s.Files, files = append(s.Files, name), append(files, file)
		}
	}
	if t.storage != nil {
		if lock := t.storage.lockFile(); lock != nil {
			add(fileLock, duplicate{lock})
		}
	}
	add(fileControl, t.listeners[0])
	add(fileData, t.listeners[1])
	if err == nil && t.console != nil {
		err = t.consoleState(s, add)
	}
	for i := range connections {
		c := &connections[i]
		s.Connections = append(s.Connections, connectionState{c.Channel, c.Unread, c.Unsent, c.Asked, c.Pipelines, len(c.FDs)})
		add(fileConnection, c.Conn)
		for _, fd := range c.FDs {
			add(filePassed, duplicate{number(fd)})
		}
	}
	return s, files, err
}

func (t *tpm) consoleState(s *tpmState, add func(string, any)) (err error) {
	if s.Console, err = t.console.MarshalText(); err != nil {
		return err
	}
	left, err := t.feed.Left()
	if err != nil {
		return fmt.Errorf("console: %w", err)
	}
	s.Read = left.Read
	if left.Listener != nil {
		add(fileConsole, left.Listener)
	}
	if left.Conn != nil {
		add(fileConsoleEnd, left.Conn)
	}
	return nil
}

// leave ends a fleet that another process has taken over.
func (f *Fleet) leave(tpms []*tpm, all frozen) {
	f.mu.Lock()
	f.closed = true
	f.tpms = map[string]*tpm{}
	f.mu.Unlock()
	close(f.stop)
	for _, t := range tpms {
		t.leave(all[t])
	}
	_ = f.lock.Leave()
	f.log.Info("another process has taken over the fleet", "tpms", len(tpms))
}

// leave ends a TPM, and touches nothing that is another process's now.
func (t *tpm) leave(connections []swtpm.Connection) {
	for i := range connections {
		_ = connections[i].Close()
	}
	for _, l := range t.listeners {
		if l, ok := l.(interface{ SetUnlinkOnClose(bool) }); ok {
			l.SetUnlinkOnClose(false)
		}
		_ = l.Close()
	}
	_ = t.server.Close(context.Background())
	t.running.Wait()
	if t.feed != nil {
		_ = t.feed.Leave()
	}
	if t.storage != nil {
		t.storage.leave()
	}
	t.engine.leave()
}
