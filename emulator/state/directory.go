package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// Names of the files in a Directory. Others are left alone.
const (
	directoryFile = "tpm2.state"
	directoryTemp = directoryFile + tempSuffix
	directoryLock = directoryFile + lockSuffix

	tempSuffix     = ".new"
	lockSuffix     = ".lock"
	volatileSuffix = ".volatile"
)

// DirectoryOptions change how a Directory works. The zero value is the safest.
type DirectoryOptions struct {
	// Mode are the permissions of the state file, whatever the umask says;
	// 0 means 0600. The seeds of the TPM are in the file: who reads it has
	// the TPM.
	Mode fs.FileMode
	// NoSync leaves it to the operating system when a commit reaches the
	// disk. It survives the end of the process still, but after a power cut
	// the file may be the old one, or damaged.
	NoSync bool
	// Key seals the state file, and is needed to read it again. Nil leaves it as
	// it is, and then a sealed file is an error, as is one with a key that is not.
	Key *Key
	// Backup keeps the state before the last commit in a file beside, which is loaded
	// if the state file is missing or damaged: the TPM goes back by a commit then, and
	// Restored reports it.
	Backup bool
	// NoLock leaves it to the caller to keep other TPMs away from the
	// directory.
	NoLock bool
	// LockLater opens the directory without the lock, which another TPM may have
	// still: until Lock it can be read and not written.
	LockLater bool
	// Lock is the lock of the directory, which is taken already: that which AdoptLock has
	// taken over. OpenDirectory takes it, on error too.
	Lock *Lock
	// Name is the name of the state file, "tpm2.state" if it is empty. The other
	// files have names that begin with it. TPMs whose files have different names
	// can share a directory.
	Name string
}

// file returns the name of the state file.
func (o *DirectoryOptions) file() string {
	if o.Name == "" {
		return directoryFile
	}
	return o.Name
}

// temp returns the name of the file for the next commit.
func (o *DirectoryOptions) temp() string { return o.file() + tempSuffix }

// volatile returns the name of the file with volatile state, and volatileTemp of one
// that is being written.
func (o *DirectoryOptions) volatile() string     { return o.file() + volatileSuffix }
func (o *DirectoryOptions) volatileTemp() string { return o.volatile() + tempSuffix }

// Directory is a Store in a directory of the file system, for one TPM.
//
// At every moment the state file is whole, the old one or the new one: a commit
// is written to another file, the spare, forced to the disk, and exchanged with
// the state file, and then the directory is forced to the disk. There is no copy
// of an older state: a TPM that goes back in time repeats counters and forgets
// failed authorizations, so a damaged file is an error for its owner to see.
//
// Both files stay open, and the spare has room for the next state set aside
// before a command is looked at. So a disk that fills up, a quota, a limit of
// file sizes or too many open files do not get between a command and its commit.
// (A process with a limit of file sizes has to ignore SIGXFSZ.)
//
// A Directory may be used from several goroutines. OpenDirectory makes it.
type Directory struct {
	mu      sync.Mutex
	disk    disk
	path    string // of the directory, absolute
	options DirectoryOptions
	size    int // bytes of the largest state seen
	closed  bool
	// lock takes the lock of the directory and returns what gives it back.
	lock func() (unlock func() error, err error)
	// unlock gives the lock back; nil: it is not held.
	unlock func() error
	// held is the lock that lock has taken last.
	held **Lock
	// last are the last bytes, a digest, of the state that was loaded or committed
	// last, nil if there was none.
	last []byte
	// restored: what was loaded last is the backup; damaged: and the state file is
	// there.
	restored, damaged bool

	state diskFile // the state file, nil if there is none or it is not kept open
	spare diskFile // the file for the next commit, nil if it is not there yet
	room  int      // bytes set aside in the spare; 0: it has to be emptied first
	// unsettled: an exchange may not be on the disk yet. The spare may still be
	// the state file after a power cut.
	unsettled bool
}

// ErrMode is what OpenDirectory returns for a DirectoryOptions.Mode with which
// the state could be written and never read again.
const ErrMode Error = "permissions of a state file are up to 0777, and its owner must read and write: take 0600"

// FileError says which state file cannot be used, and why: Err is a
// *FormatError or *VersionError, or what Key.Open returns. The file stays as it is.
type FileError struct {
	Path string
	Err  error
}

// Error names the file.
func (e *FileError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap gives the reason.
func (e *FileError) Unwrap() error { return e.Err }

// LockedError says that a directory is another TPM's.
type LockedError struct {
	Path string // of the directory
	PID  int    // of the process that has it, 0 if that is not known
}

// Error names the directory, and the process if it is known.
func (e *LockedError) Error() string {
	by := "another TPM"
	if e.PID != 0 {
		by = fmt.Sprintf("process %d", e.PID)
	}
	return fmt.Sprintf("TPM state directory %s is in use by %s: stop that one, or take another directory", e.Path, by)
}

// OpenDirectory opens a directory, makes it with mode 0700 if it is not there,
// and locks it for this TPM; the operating system unlocks it when the process
// ends, however it ends. What an interrupted commit has left is removed. It
// fails with a *LockedError if the directory is in use.
func OpenDirectory(dir string, o DirectoryOptions) (*Directory, error) {
	d, err := openDirectory(dir, &o)
	if err != nil && o.Lock != nil {
		err = errors.Join(err, o.Lock.Release())
	}
	return d, err
}

// openDirectory is OpenDirectory that has taken Lock when it is nil.
func openDirectory(dir string, o *DirectoryOptions) (*Directory, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("TPM state directory: %w", err)
	}
	if o.Mode == 0 {
		o.Mode = 0o600
	}
	if o.Mode&^0o777 != 0 || o.Mode&0o600 != 0o600 {
		return nil, fmt.Errorf("TPM state directory: mode %#o: %w", uint32(o.Mode), ErrMode)
	}
	sync := syncPath
	if o.NoSync {
		sync = func(string) error { return nil }
	}
	if err := makeDirectory(path, sync); err != nil {
		return nil, fmt.Errorf("TPM state directory: %w", err)
	}
	root, err := openRoot(path)
	if err != nil {
		return nil, fmt.Errorf("TPM state directory: %w", err)
	}
	held := new(*Lock)
	d, err := openOn(root, path, *o, func() (func() error, error) {
		l, err := o.Lock, error(nil)
		if o.Lock = nil; l == nil {
			l, err = takeLock(root.root, path, o.file()+lockSuffix)
		}
		if err != nil {
			return nil, err
		}
		l.Sign()
		*held = l
		return l.Release, nil
	})
	if err != nil {
		return nil, errors.Join(err, root.close())
	}
	d.held = held
	if d.unlock != nil {
		// What keeps it from being made now is Writable's to say.
		_ = d.prepare(slack)
	}
	return d, nil
}

// openOn is the part of OpenDirectory that sees the directory only through disk.
func openOn(disk disk, path string, o DirectoryOptions, lock func() (func() error, error)) (*Directory, error) {
	d := &Directory{disk: disk, path: path, options: o, lock: lock}
	for _, name := range []string{o.file(), o.temp(), o.volatile(), o.volatileTemp(), o.backup(), o.damaged()} {
		if err := disk.regular(name); err != nil {
			return nil, fmt.Errorf("TPM state directory %s: %w", path, err)
		}
	}
	if o.NoLock || o.LockLater {
		return d, nil
	}
	return d, d.take()
}

// makeDirectory makes a directory and those above it that are not there, and has
// sync force the names of what it has made to the disk.
func makeDirectory(path string, sync func(dir string) error) error {
	var missing []string
	for at := path; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			break
		}
		missing = append(missing, at)
	}
	if err := os.MkdirAll(path, 0o700); err != nil {
		return err
	}
	for _, made := range missing {
		if err := sync(filepath.Dir(made)); err != nil {
			return err
		}
	}
	return nil
}

// Close unlocks the directory. Commit and Load fail from then on. It is
// idempotent.
func (d *Directory) Close() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	return errors.Join(d.release(), d.disk.close())
}

// forget closes one of the open files.
func (d *Directory) forget(f *diskFile) error {
	if *f == nil {
		return nil
	}
	err := (*f).Close()
	*f = nil
	return err
}

// check reports whether the directory can be used.
func (d *Directory) check() error {
	if d.closed {
		return &fs.PathError{Op: "use", Path: d.path, Err: fs.ErrClosed}
	}
	return nil
}

// Load is Store.Load. A file that is no state of a TPM, because it is damaged or
// a newer program has written it, is a *FileError; one that is no file is a
// *KindError.
func (d *Directory) Load() ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check(); err != nil {
		return nil, err
	}
	blob, err := d.read()
	if err != nil {
		return nil, fmt.Errorf("TPM state directory %s: %w", d.path, err)
	}
	plain, err := d.opened(d.options.file(), blob)
	if d.options.Backup && (blob == nil || err != nil) {
		plain, err = d.loadBackup(blob != nil, err)
	}
	d.size = max(d.size, len(blob))
	d.last = append(d.last[:0], digestOf(blob)...)
	return plain, err
}

// opened returns the state in the content of a file, nil for no file.
func (d *Directory) opened(name string, blob []byte) ([]byte, error) {
	if blob == nil {
		return nil, nil
	}
	plain, err := d.options.Key.Open(SealedState, blob)
	if err == nil {
		_, err = Decode(plain)
	}
	if err != nil {
		return nil, &FileError{filepath.Join(d.path, name), err}
	}
	return plain, nil
}

// read reads the state file, which somebody may have put in the place of the one
// that is open. Without a file it returns nil.
func (d *Directory) read() ([]byte, error) {
	if d.state == nil || !d.state.at(d.options.file(), d.options.Mode) {
		if err := d.forget(&d.state); err != nil {
			return nil, err
		}
		f, err := d.disk.open(d.options.file())
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		d.state = f
	}
	blob, err := io.ReadAll(io.NewSectionReader(d.state, 0, int64(MaxSize+sealOverhead+1)))
	return blob, errors.Join(err, d.shared(&d.state))
}

// shared closes a file that is not this TPM's alone, because nothing is locked:
// an open file keeps a file system from being made read-only.
func (d *Directory) shared(f *diskFile) error {
	if d.unlock != nil {
		return nil
	}
	return d.forget(f)
}

// slack is by how many bytes the next state may be larger than all before.
const slack = 16 << 10

// Writable is Store.Writable: ErrUnavailable while the next commit could not be
// written. It is asked at most once per command.
func (d *Directory) Writable() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ErrUnavailable
	}
	err := d.writable()
	if err == nil {
		err = d.disk.usable()
	}
	if err == nil {
		err = d.prepare(d.size + slack)
	}
	if err != nil {
		return fmt.Errorf("TPM state directory %s: %w: %w", d.path, ErrUnavailable, err)
	}
	return nil
}

// prepare sees to a spare with room for so many bytes.
func (d *Directory) prepare(size int) error {
	if d.unsettled {
		if err := d.disk.sync(); err != nil {
			return err
		}
		d.unsettled = false
	}
	if d.spare == nil {
		f, err := d.createSpare()
		if err != nil {
			return err
		}
		d.spare, d.room = f, 0
	}
	if d.room >= size {
		return nil
	}
	d.room = 0
	if err := d.spare.reserve(int64(size)); err != nil {
		return err
	}
	d.room = size
	return nil
}

// createSpare makes the spare. A file that has its name is what another TPM has
// left that did not lock the directory.
func (d *Directory) createSpare() (diskFile, error) {
	f, err := d.disk.create(d.options.temp(), d.options.Mode)
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	if err := d.disk.regular(d.options.temp()); err != nil {
		return nil, err
	}
	if err := d.disk.remove(d.options.temp()); err != nil {
		return nil, err
	}
	return d.disk.create(d.options.temp(), d.options.Mode)
}

// Commit is Store.Commit. After an error the file is the old one; only if it is
// the last step that fails, forcing the directory to the disk, it can be the
// new one too.
func (d *Directory) Commit(blob []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.check()
	if err == nil && d.options.Key != nil {
		blob, err = d.options.Key.Seal(nil, SealedState, blob)
	}
	if err == nil {
		err = d.writable()
	}
	if err == nil {
		err = d.replace(blob)
	}
	if err != nil {
		return fmt.Errorf("TPM state directory %s: %w", d.path, err)
	}
	d.size = max(d.size, len(blob))
	d.last = append(d.last[:0], digestOf(blob)...)
	return nil
}

func (d *Directory) replace(blob []byte) error {
	if err := d.write(blob); err != nil {
		return err
	}
	if err := d.swap(); err != nil {
		return err
	}
	if !d.options.NoSync {
		d.unsettled = true
		if err := d.disk.sync(); err != nil {
			return err
		}
		d.unsettled = false
	}
	if d.unlock != nil {
		// Now, so that the old state does not stay in the spare. What keeps it
		// from being emptied is Writable's to say.
		_ = d.prepare(max(d.size, len(blob)) + slack)
	}
	return nil
}

// write writes the spare and forces it to the disk.
func (d *Directory) write(blob []byte) error {
	if d.spare != nil && !d.spare.at(d.options.temp(), d.options.Mode) {
		if err := d.forget(&d.spare); err != nil {
			return err
		}
	}
	if err := d.prepare(len(blob)); err != nil {
		return err
	}
	d.room = 0 // whatever comes of it, the spare is not empty any more
	err := d.spare.replace(blob)
	if err == nil && !d.options.NoSync {
		err = d.spare.Sync()
	}
	return err
}

// swap makes the spare the state file, and the state file the spare if it can be
// used again: without a lock it may be another TPM's.
func (d *Directory) swap() error {
	err := errors.ErrUnsupported
	if d.options.Backup {
		if err := d.keepBackup(); err != nil {
			return err
		}
	} else if d.state != nil && d.unlock != nil && d.state.at(d.options.file(), d.options.Mode) {
		err = d.disk.exchange(d.options.temp(), d.options.file())
	}
	if err == nil {
		d.state, d.spare = d.spare, d.state
		return nil
	}
	if !errors.Is(err, errors.ErrUnsupported) {
		return err
	}
	if err := d.disk.rename(d.options.temp(), d.options.file()); err != nil {
		return err
	}
	err = d.forget(&d.state)
	d.state, d.spare = d.spare, nil
	return errors.Join(err, d.shared(&d.state))
}
