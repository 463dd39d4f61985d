// Package tpmdir follows a directory in which there is a file NAME.tpm for each TPM of a
// fleet: a file that comes is a TPM, one that goes is none any more.
//
// Nothing depends on what happened to a file, only on what is there afterwards: after each
// event the directory is read anew, so that editors, rename(2) and events that the kernel
// has dropped make no difference. A file is read when nothing has happened for a moment; who
// writes one slowly gives it its name in the end.
package tpmdir

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"github.com/swtpmd/swtpmd/transport/fleet"
)

// Target is told what becomes of TPMs. It is called from one goroutine at a time.
type Target struct {
	// Put has the TPM be what text, the content of file, says; the TPM may be there
	// already. An error refuses the file, until it changes.
	Put func(ctx context.Context, name, file string, text []byte) error
	// Remove ends a TPM whose file is gone; there need not be one, and the file may be
	// there again. An error that is fleet.ErrInUse is tried again.
	Remove func(ctx context.Context, name string) error
	// Names, if it is set, returns the TPMs that there are: one that somebody else has
	// made, with a file, is to go with its file too.
	Names func() []string
}

// Watcher follows a directory.
type Watcher struct {
	dir    string
	target Target
	log    *slog.Logger
	events *fsnotify.Watcher
	// settle is how long nothing must have happened before the directory is read, and
	// again how often what waits is tried.
	settle, again time.Duration

	known   map[string][]byte // the text of each file that Put was given last
	waiting map[string]bool   // what is in use
}

const (
	settleTime = 50 * time.Millisecond
	againTime  = time.Second
)

// Open begins to follow a directory. Nobody is told anything before Scan or Run. log is told
// which files are refused; nil logs nothing.
func Open(dir string, target Target, log *slog.Logger) (*Watcher, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	events, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, err
	}
	if err := events.Add(dir); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", dir, err), events.Close())
	}
	return &Watcher{
		dir: dir, target: target, log: log, events: events, settle: settleTime, again: againTime,
		known: map[string][]byte{}, waiting: map[string]bool{},
	}, nil
}

// Close ends what Open began.
func (w *Watcher) Close() error { return w.events.Close() }

// Run tells what changes until ctx ends; its error is nil then. What has changed since Open
// or Scan is told first.
func (w *Watcher) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
			w.look(ctx)
			if len(w.waiting) > 0 {
				timer.Reset(w.again)
			}
		case e, open := <-w.events.Events:
			if !open {
				return nil
			}
			if strings.HasSuffix(e.Name, fleet.Suffix) {
				timer.Reset(w.settle)
			}
		case err, open := <-w.events.Errors:
			if !open {
				return nil
			}
			// Events that are lost are no loss: the directory is read.
			w.log.Warn("the directory of TPMs is read anew", "dir", w.dir, "cause", err)
			timer.Reset(w.settle)
		}
	}
}

// look is Scan, whose error is for the log.
func (w *Watcher) look(ctx context.Context) {
	if err := w.Scan(ctx); err != nil {
		w.log.Error("the directory of TPMs cannot be read: the TPMs stay as they are", "dir", w.dir, "cause", err)
	}
}

// Scan reads the directory and tells what has changed. Its error is that of the directory;
// files that are refused are in the log.
func (w *Watcher) Scan(ctx context.Context) error {
	entries, err := os.ReadDir(w.dir)
	if err != nil {
		return err
	}
	there := map[string]bool{}
	for _, entry := range entries {
		name, is := strings.CutSuffix(entry.Name(), fleet.Suffix)
		if !is || name == "" || strings.HasPrefix(name, ".") {
			continue // what editors leave begins with a dot
		}
		there[name] = true
		w.file(ctx, name)
	}
	gone := slices.Collect(maps.Keys(w.known))
	if w.target.Names != nil {
		gone = append(gone, w.target.Names()...)
	}
	slices.Sort(gone)
	for _, name := range slices.Compact(gone) {
		if !there[name] {
			w.gone(ctx, name)
		}
	}
	return nil
}

// file reads a file, and tells it if it has changed.
func (w *Watcher) file(ctx context.Context, name string) {
	file := filepath.Join(w.dir, name+fleet.Suffix)
	text, err := fleet.ReadFile(file)
	if err != nil {
		if before, ok := w.known[name]; !ok || before != nil {
			w.known[name] = nil
			w.log.Error("a TPM is refused", "tpm", name, "cause", err)
		}
		return
	}
	before, known := w.known[name]
	if known && before != nil && bytes.Equal(before, text) && !w.waiting[name] {
		return
	}
	w.known[name] = text
	w.done(name, "a TPM is refused", w.target.Put(ctx, name, file, text))
}

// gone tells that a file is there no more.
func (w *Watcher) gone(ctx context.Context, name string) {
	w.done(name, "a TPM is not removed", w.target.Remove(ctx, name))
	if !w.waiting[name] {
		delete(w.known, name)
	}
}

// done takes down what became of a TPM: what is in use waits, and the log tells it once.
func (w *Watcher) done(name, failed string, err error) {
	waited := w.waiting[name]
	delete(w.waiting, name)
	switch {
	case errors.Is(err, fleet.ErrInUse):
		w.waiting[name] = true
		if !waited {
			w.log.Info("a TPM changes when it is not in use", "tpm", name)
		}
	case err != nil:
		w.log.Error(failed, "tpm", name, "cause", err)
	}
}
