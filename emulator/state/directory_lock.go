package state

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
)

// The lock of a Directory, which two TPMs on a file system that they share hand over to
// each other.

// ErrNotLocked is the cause of ErrUnavailable in a Directory that is not locked yet, or
// whose lock was given back.
const ErrNotLocked Error = "the directory is not locked for this TPM"

// Lock takes the lock of a directory that was opened with LockLater, or unlocked. It
// does not wait: if another TPM has the lock it returns a *LockedError. It does
// nothing if the directory is locked, or was opened with NoLock.
func (d *Directory) Lock() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check(); err != nil {
		return err
	}
	if d.unlock != nil || d.options.NoLock {
		return nil
	}
	return d.take()
}

// Unlock gives the lock back, so that another TPM can take it. From then on the
// directory can be read and not written. It is idempotent, and does nothing for a
// directory that was opened with NoLock.
func (d *Directory) Unlock() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check(); err != nil || d.options.NoLock {
		return err
	}
	return d.release()
}

// Changed reports whether the state is another one than Load returned or Commit wrote
// last: while the directory was not locked, another TPM has written it.
func (d *Directory) Changed() (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.check(); err != nil {
		return false, err
	}
	blob, err := d.read()
	if err != nil {
		return false, fmt.Errorf("TPM state directory %s: %w", d.path, err)
	}
	return !bytes.Equal(digestOf(blob), d.last), nil
}

// digestOf is the digest at the end of an encoded state, or what is there of it.
func digestOf(blob []byte) []byte { return blob[max(0, len(blob)-sha256.Size):] }

// writable reports why the directory must not be written.
func (d *Directory) writable() error {
	if d.unlock == nil && !d.options.NoLock {
		return ErrNotLocked
	}
	return nil
}

// take takes the lock. With it held a commit that is not finished is nobody's.
func (d *Directory) take() error {
	unlock, err := d.lock()
	if err != nil {
		return err
	}
	for _, name := range []string{d.options.temp(), d.options.volatileTemp()} {
		if err := d.disk.remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) && !readOnly(err) {
			return errors.Join(fmt.Errorf("TPM state directory %s: remove what an interrupted commit has left: %w", d.path, err), unlock())
		}
	}
	// What is open of the time without a lock may be another TPM's by now.
	if err := errors.Join(d.forget(&d.spare), d.forget(&d.state)); err != nil {
		return errors.Join(err, unlock())
	}
	d.unlock = unlock
	return nil
}

// release leaves nothing that belongs to the holder of the lock, and gives it back if
// it is held.
func (d *Directory) release() error {
	var err error
	if d.spare != nil && (d.unlock != nil || d.spare.at(d.options.temp(), d.options.Mode)) {
		err = d.disk.remove(d.options.temp())
	}
	err = errors.Join(err, d.forget(&d.spare), d.forget(&d.state))
	d.room = 0
	if d.unlock != nil {
		err = errors.Join(err, d.unlock())
		d.unlock = nil
	}
	return err
}

// LockFile returns the open file of the lock, nil if the directory is not locked. It is
// for another process to take the lock over (AdoptLock), and stays the directory's.
func (d *Directory) LockFile() *os.File {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.unlock == nil || d.held == nil || *d.held == nil {
		return nil
	}
	return (*d.held).File()
}

// Leave is Close of a directory whose lock another process has taken over: it leaves the
// lock and all files alone.
func (d *Directory) Leave() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	err := errors.Join(d.forget(&d.spare), d.forget(&d.state))
	if d.unlock != nil && d.held != nil && *d.held != nil {
		err = errors.Join(err, (*d.held).Leave())
	}
	d.unlock = nil
	return errors.Join(err, d.disk.close())
}

// takeLock takes the lock, or says who has it. The process that has it is named in the
// lock file.
func takeLock(root *os.Root, path, name string) (*Lock, error) {
	f, err := openLock(root, path, name)
	if errors.Is(err, errLockHeld) {
		return nil, &LockedError{path, lockHolder(root, name)}
	}
	if err != nil {
		return nil, fmt.Errorf("TPM state directory %s cannot be locked: %w: make it writable once, or open it without a lock (lock=false)", path, err)
	}
	l := &Lock{f}
	l.Sign()
	return l, nil
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
func lockHolder(root *os.Root, name string) int {
	f, err := openRegular(root, name, os.O_RDONLY)
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
