package fleet

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// Options are those of a Fleet. All but Dir may be zero.
type Options struct {
	// Dir is the fleet's directory, which is made (mode 0700) if it is not there.
	Dir string
	// State is the directory in which each TPM keeps its state in a directory with its
	// name; empty: TPMs that name no directory of their own end with the fleet.
	State string
	// Profile is that of TPMs that are added without one (Config.Profile).
	Profile string
	// Idle is how long a TPM that is not used stays in memory; 0 is DefaultIdle, and a
	// TPM of a fleet with less than 0 stays.
	Idle time.Duration
	// NoSync leaves it to the system when state reaches the disk
	// (state.DirectoryOptions).
	NoSync bool
	// Describe returns what GET_INFO tells of a TPM with a profile; without it GET_INFO
	// is not answered.
	Describe func(*emulator.Profile) (*swtpm.Description, error)
	// Trim, if set, is called when many TPMs have been put away, to give memory back to the
	// system, as debug.FreeOSMemory does.
	Trim func()
	// Log gets what happens, each line with the TPM's name; nil logs nothing.
	Log *slog.Logger
}

// DefaultIdle is how long a TPM that is not used stays in memory.
const DefaultIdle = 10 * time.Second

const (
	lockFile   = "fleet.lock"
	manyAway   = 32          // TPMs of which the memory is worth a collection of garbage
	removeTime = time.Minute // in which removal of a TPM in use has to be asked twice
)

// Fleet serves TPMs. New makes it; its methods may be called from several goroutines.
type Fleet struct {
	options   Options
	log       *slog.Logger
	tests     crypt.SelfTests
	lock      *state.Lock
	stop      chan struct{} // closed when the fleet ends
	unsettled unsettled
	running   sync.WaitGroup

	changing sync.Mutex // held while TPMs are added and removed
	tending  sync.Mutex // held while TPMs are put away
	mu       sync.Mutex
	closed   bool
	tpms     map[string]*tpm
	refused  map[string]error // files that are wrong
	kinds    map[string]*kind // by Config.Profile
}

// New makes a fleet of the TPMs that its directory has. One whose file is wrong, or that
// cannot be made, is left out, which the log and List tell. A directory of another fleet
// is an *InUseError.
func New(o Options) (*Fleet, error) {
	f, err := prepare(o)
	if err != nil {
		return nil, err
	}
	dir := f.options.Dir
	for _, dir := range []string{dir, f.options.State} {
		if dir == "" {
			continue
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
	}
	if f.lock, err = state.TakeLock(dir, lockFile); err != nil {
		var locked *state.LockedError
		if errors.As(err, &locked) {
			err = &InUseError{dir, locked.PID}
		}
		return nil, err
	}
	if err := f.find(); err != nil {
		return nil, errors.Join(err, f.Close(context.Background()))
	}
	f.begin()
	return f, nil
}

// begin does what a fleet does on its own account.
func (f *Fleet) begin() {
	if f.options.Idle > 0 {
		f.running.Go(f.putAway)
	}
	f.running.Go(f.settleLater)
}

// prepare makes a fleet without TPMs. It touches nothing.
func prepare(o Options) (*Fleet, error) {
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Dir = dir
	if o.State != "" {
		if o.State, err = filepath.Abs(o.State); err != nil {
			return nil, err
		}
	}
	o.Idle = cmp.Or(o.Idle, DefaultIdle)
	f := &Fleet{options: o, log: o.Log, stop: make(chan struct{}), tpms: map[string]*tpm{}, refused: map[string]error{}, kinds: map[string]*kind{}}
	f.unsettled.after, f.unsettled.came = defaultSettle, make(chan struct{}, 1)
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if _, err := f.kind(o.Profile); err != nil {
		return nil, err
	}
	return f, nil
}

// find adds the TPMs of the directory.
func (f *Fleet) find() error {
	entries, err := os.ReadDir(f.options.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), Suffix)
		if !ok {
			continue
		}
		c, err := ReadConfig(filepath.Join(f.options.Dir, e.Name()))
		if err == nil {
			err = f.addAs(context.Background(), name, c, unwritten)
		}
		if err != nil {
			f.Refuse(name, err)
		}
	}
	return nil
}

// Refuse has List tell why the file of a TPM is not used, until Add or Remove of that
// name.
func (f *Fleet) Refuse(name string, cause error) {
	f.log.Warn("a TPM is left out", "tpm", name, "cause", cause)
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.tpms[name] == nil {
		f.refused[name] = cause
	}
}

var namePattern = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`) })

// Add makes a TPM, serves it, and writes its file. When Add returns, clients can connect.
// The error is an *Error and changes nothing.
func (f *Fleet) Add(ctx context.Context, name string, c Config) error {
	if err := f.add(ctx, name, c); err != nil {
		return &Error{name, err}
	}
	return nil
}

func (f *Fleet) add(ctx context.Context, name string, c Config) error {
	return f.addAs(ctx, name, c, func(t *tpm) (bool, error) { return f.write(name, t.config) })
}

// AddSoon is Add for a TPM that the fleet can make again if it has to: the TPM's file is
// written a moment later, and before the TPM answers anything but INIT and TPM2_Startup.
func (f *Fleet) AddSoon(ctx context.Context, name string, c Config) error {
	err := f.addAs(ctx, name, c, func(t *tpm) (bool, error) {
		t.engine.settling.file = func() error { return f.writeNew(name, t.config) }
		t.engine.settling.add()
		return false, nil
	})
	if err != nil {
		return &Error{name, err}
	}
	return nil
}

// unwritten leaves a TPM's file as it is.
func unwritten(*tpm) (bool, error) { return false, nil }

// addAs is add with a write of its own for the TPM's file.
func (f *Fleet) addAs(ctx context.Context, name string, c Config, write func(*tpm) (bool, error)) error {
	f.changing.Lock()
	defer f.changing.Unlock()
	if err := f.admits(name); err != nil {
		return err
	}
	c.Profile = cmp.Or(c.Profile, f.options.Profile)
	if err := c.check(); err != nil {
		return err
	}
	t, err := f.newTPM(name, c)
	if err != nil {
		return err
	}
	if err := f.fits(t); err != nil {
		return err
	}
	written, err := write(t)
	if err == nil {
		err = t.open(ctx)
	}
	if err != nil {
		if written {
			err = errors.Join(err, os.Remove(f.file(name)))
		}
		t.engine.settling.leave()
		return errors.Join(err, t.close(ctx))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tpms[name] = t
	delete(f.refused, name)
	return nil
}

// admits reports why no TPM of this name can be added.
func (f *Fleet) admits(name string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return ErrClosed
	case !namePattern().MatchString(name) || filepath.Join(f.options.Dir, name) == f.options.State:
		return ErrName
	case f.tpms[name] != nil:
		return ErrTaken
	}
	return nil
}

// fits reports why the process may not have the descriptors for one more TPM.
func (f *Fleet) fits(t *tpm) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	limit := descriptors()
	if uint64(ownDescriptors+(len(f.tpms)+1)*mostDescriptors) <= limit {
		return nil
	}
	needs := ownDescriptors + t.descriptors()
	for _, other := range f.tpms {
		needs += other.descriptors()
	}
	if uint64(needs) > limit {
		return &LimitError{len(f.tpms), needs, limit}
	}
	return nil
}

// descriptors returns how many descriptors a TPM may take: those of its sockets, of a QEMU two
// and one that is passed, and of the state and the console that it has.
func (t *tpm) descriptors() int {
	n := socketDescriptors + 3
	if t.storage != nil {
		n += stateDescriptors
	}
	if t.console != nil {
		n += consoleDescriptors
	}
	return n
}

// Descriptors that the process needs besides its TPMs, and those of a TPM by what they are for.
const (
	ownDescriptors    = 64
	mostDescriptors   = socketDescriptors + 3 + stateDescriptors + consoleDescriptors
	socketDescriptors = 2
	// stateDescriptors are the directory twice, the lock, the state file, the file for the next
	// state, and two that are reserved.
	stateDescriptors = 7
	// consoleDescriptors are a socket, a connection, and what watches the directory.
	consoleDescriptors = 3
)

// Remove ends a TPM and removes its file and its sockets; its state stays. A TPM with
// clients is removed with force, or if it is asked for twice within a minute. The error is
// an *Error.
func (f *Fleet) Remove(ctx context.Context, name string, force bool) error {
	f.changing.Lock()
	defer f.changing.Unlock()
	if err := f.remove(ctx, name, force); err != nil {
		return &Error{name, err}
	}
	return nil
}

func (f *Fleet) remove(ctx context.Context, name string, force bool) error {
	f.mu.Lock()
	t, refused := f.tpms[name], f.refused[name]
	if t != nil && !force && t.inUse() && time.Since(t.asked) > removeTime {
		t.asked = time.Now()
		f.mu.Unlock()
		return ErrInUse
	}
	delete(f.tpms, name)
	delete(f.refused, name)
	f.mu.Unlock()
	if t == nil && refused == nil {
		return ErrNone
	}
	if t != nil {
		t.engine.settling.leave()
	}
	err := os.Remove(f.file(name))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if t == nil {
		return err
	}
	err = errors.Join(err, t.close(ctx))
	_ = os.Remove(t.dir) // unless somebody has put something there
	t.log.Info("removed")
	return err
}

// Status returns how one TPM is; ok reports whether there is one of this name.
func (f *Fleet) Status(name string) (s Status, ok bool) {
	f.mu.Lock()
	t, refused := f.tpms[name], f.refused[name]
	f.mu.Unlock()
	switch {
	case t != nil:
		return t.status(), true
	case refused != nil:
		return Status{Name: name, Refused: refused.Error()}, true
	}
	return Status{}, false
}

// List returns how all TPMs are, those that were left out included, in the order of their
// names.
func (f *Fleet) List() []Status {
	f.mu.Lock()
	list := make([]Status, 0, len(f.tpms)+len(f.refused))
	tpms := make([]*tpm, 0, len(f.tpms))
	for _, t := range f.tpms {
		tpms = append(tpms, t)
	}
	for name, cause := range f.refused {
		list = append(list, Status{Name: name, Refused: cause.Error()})
	}
	f.mu.Unlock()
	for _, t := range tpms {
		list = append(list, t.status())
	}
	slices.SortFunc(list, func(a, b Status) int { return cmp.Compare(a.Name, b.Name) })
	return list
}

// Panel returns the window into the faults of a TPM, nil if there is none of this name.
func (f *Fleet) Panel(name string) *control.Panel {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t := f.tpms[name]; t != nil {
		return t.panel
	}
	return nil
}

// putAway puts TPMs away that are not used.
func (f *Fleet) putAway() {
	tick := time.NewTicker(max(f.options.Idle/4, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-f.stop:
			return
		case <-tick.C:
		}
		f.mu.Lock()
		tpms := make([]*tpm, 0, len(f.tpms))
		for _, t := range f.tpms {
			tpms = append(tpms, t)
		}
		f.mu.Unlock()
		away := f.putThese(tpms)
		if away >= manyAway && f.options.Trim != nil {
			f.options.Trim()
		}
	}
}

// putThese puts away those of the TPMs that are not used, and returns how many.
func (f *Fleet) putThese(tpms []*tpm) (away int) {
	f.tending.Lock()
	defer f.tending.Unlock()
	for _, t := range tpms {
		if t.putAway(f.options.Idle) {
			away++
		}
	}
	return away
}

// Close ends all TPMs, and waits for their commands until ctx ends. Their files stay, so
// that the next fleet on the directory finds them.
func (f *Fleet) Close(ctx context.Context) error {
	f.changing.Lock()
	defer f.changing.Unlock()
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil
	}
	f.closed = true
	tpms := f.tpms
	f.tpms = map[string]*tpm{}
	f.mu.Unlock()
	close(f.stop)
	f.running.Wait()
	for _, t := range tpms {
		t.end()
	}
	var errs []error
	for _, t := range tpms {
		if err := t.close(ctx); err != nil {
			errs = append(errs, &Error{t.name, err})
		}
	}
	return errors.Join(append(errs, f.lock.Release())...)
}
