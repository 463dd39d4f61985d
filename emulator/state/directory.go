package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
)

// Names of the files in a Directory. Others are left alone.
const (
	directoryFile = "tpm2.state"
	directoryTemp = "tpm2.state.new"
	directoryLock = "tpm2.state.lock"
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
	// NoLock leaves it to the caller to keep other TPMs away from the
	// directory.
	NoLock bool
}

// Directory is a Store in a directory of the file system, for one TPM.
//
// At every moment the state file is whole, the old one or the new one: a commit
// is written to another file, forced to the disk, and renamed over the state
// file, and then the directory is forced to the disk. There is no copy of an
// older state: a TPM that goes back in time repeats counters and forgets failed
// authorisations, so a damaged file is an error for its owner to see.
//
// A Directory may be used from several goroutines. OpenDirectory makes it.
type Directory struct {
	mu      sync.Mutex
	disk    disk
	path    string // of the directory, absolute
	options DirectoryOptions
	size    int // bytes of the largest state seen
	closed  bool
	unlock  func() error
}

// ErrMode is what OpenDirectory returns for a DirectoryOptions.Mode with which
// the state could be written and never read again.
const ErrMode Error = "permissions of a state file are up to 0777, and its owner must read and write: take 0600"

// FileError says which state file cannot be used, and why: Err is a
// *FormatError or *VersionError. The file stays as it is.
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
	unlock := func() error { return nil }
	if !o.NoLock {
		if unlock, err = lockDirectory(root.root, path); err != nil {
			return nil, errors.Join(err, root.close())
		}
	}
	d, err := newDirectory(root, path, o)
	if err != nil {
		return nil, errors.Join(err, unlock(), root.close())
	}
	d.unlock = unlock
	return d, nil
}

// newDirectory is the part of OpenDirectory that sees the directory only
// through disk.
func newDirectory(disk disk, path string, o DirectoryOptions) (*Directory, error) {
	d := &Directory{disk: disk, path: path, options: o, unlock: func() error { return nil }}
	if o.NoLock {
		return d, nil
	}
	// With the lock held a commit that is not finished is nobody's.
	if err := disk.remove(directoryTemp); err != nil && !errors.Is(err, fs.ErrNotExist) && !readOnly(err) {
		return nil, fmt.Errorf("TPM state directory: remove what an interrupted commit has left: %w", err)
	}
	return d, nil
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
	return errors.Join(d.unlock(), d.disk.close())
}

// check says whether the directory can be used.
func (d *Directory) check() error {
	if d.closed {
		return &fs.PathError{Op: "use", Path: d.path, Err: fs.ErrClosed}
	}
	return nil
}

// Load is Store.Load. A file that is no state of a TPM, because it is damaged or
// a newer program has written it, is a *FileError.
func (d *Directory) Load() ([]byte, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check(); err != nil {
		return nil, err
	}
	f, err := d.disk.open(directoryFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("TPM state directory %s: %w", d.path, err)
	}
	blob, err := io.ReadAll(io.LimitReader(f, MaxSize+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("TPM state directory %s: %w", d.path, err)
	}
	if _, err := Decode(blob); err != nil {
		return nil, &FileError{filepath.Join(d.path, directoryFile), err}
	}
	d.size = max(d.size, len(blob))
	return blob, nil
}

// What Writable asks of the file system, in bytes.
const (
	plenty = 2 * MaxSize // this much room and no commit can lack any
	spare  = 16 << 10    // by so much the next state may be larger than all before
)

// Writable is Store.Writable: ErrUnavailable while the file system is read-only
// or full. It is asked once per command, so what it cannot learn in one system
// call is left to Commit: quotas and permissions, and all of it where there is
// no statfs(2) or no answer to it.
func (d *Directory) Writable() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return ErrUnavailable
	}
	room, readOnly := d.disk.room()
	if readOnly {
		return d.unavailable(errReadOnly)
	}
	if room >= plenty {
		return nil
	}
	// It is tight: try.
	err := d.write(make([]byte, d.size+spare))
	if err := errors.Join(err, d.disk.remove(directoryTemp)); err != nil {
		return d.unavailable(err)
	}
	return nil
}

// errReadOnly is why a directory cannot be written.
const errReadOnly Error = "the file system is read-only"

// unavailable is ErrUnavailable with its cause.
func (d *Directory) unavailable(cause error) error {
	return fmt.Errorf("TPM state directory %s: %w: %w", d.path, ErrUnavailable, cause)
}

// Commit is Store.Commit. After an error the file is the old one; only if it is
// the last step that fails, forcing the directory to the disk, it can be the
// new one too.
func (d *Directory) Commit(blob []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	err := d.check()
	if err == nil {
		err = d.replace(blob)
	}
	if err != nil {
		return fmt.Errorf("TPM state directory %s: %w", d.path, err)
	}
	d.size = max(d.size, len(blob))
	return nil
}

func (d *Directory) replace(blob []byte) error {
	err := d.write(blob)
	if err == nil {
		err = d.disk.rename(directoryTemp, directoryFile)
	}
	if err != nil {
		// It is removed to give back the room; if it stays, it does no harm.
		_ = d.disk.remove(directoryTemp)
		return err
	}
	if d.options.NoSync {
		return nil
	}
	return d.disk.sync()
}

// write writes the file that a commit renames, and forces it to the disk.
func (d *Directory) write(blob []byte) error {
	f, err := d.disk.create(directoryTemp, d.options.Mode)
	if err != nil {
		return err
	}
	_, err = f.Write(blob)
	if err == nil && !d.options.NoSync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// lockDirectory takes the lock, or says who has it. The process that has it is
// named in the lock file; the file stays when the lock is given back, because
// a file that somebody else may have opened cannot be removed without a race.
func lockDirectory(root *os.Root, path string) (unlock func() error, err error) {
	f, err := openLock(root, path)
	if errors.Is(err, errLockHeld) {
		return nil, &LockedError{path, lockHolder(root)}
	}
	if err != nil {
		return nil, fmt.Errorf("TPM state directory %s cannot be locked: %w: make it writable once, or open it without a lock (lock=false)", path, err)
	}
	// Who holds it is for a message only: a lock whose file cannot be written is
	// one too.
	_ = writeHolder(f, strconv.Itoa(os.Getpid())+"\n")
	return func() error {
		_ = f.Truncate(0)
		return errors.Join(releaseLock(f), f.Close())
	}, nil
}

// errLockHeld is what openLock returns for the lock of another.
const errLockHeld Error = "locked by another"

func writeHolder(f *os.File, text string) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// lockHolder reads the process number in the lock file, 0 if there is none.
func lockHolder(root *os.Root) int {
	f, err := root.Open(directoryLock)
	if err != nil {
		return 0
	}
	defer f.Close()
	var text [16]byte
	n, err := io.ReadFull(f, text[:])
	if err != io.ErrUnexpectedEOF {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSuffix(string(text[:n]), "\n"))
	if err != nil || pid < 0 {
		return 0
	}
	return pid
}
