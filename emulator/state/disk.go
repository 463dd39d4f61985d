package state

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// disk is what a Directory asks of the file system, step by step: power can
// fail between any two of them. Names are those of files in the directory.
type disk interface {
	// open opens the file, to read it and, if that is permitted, to write it.
	// What is no regular file is a *KindError, without waiting.
	open(name string) (diskFile, error)
	// create makes an empty file with these permissions, and fails with
	// fs.ErrExist if the name is taken.
	create(name string, mode fs.FileMode) (diskFile, error)
	// regular returns a *KindError if the name is that of something other than
	// a regular file.
	regular(name string) error
	// rename gives a file another name, which it takes from the file that had
	// it, at once.
	rename(from, to string) error
	// exchange swaps the names of two files, at once, or fails with
	// errors.ErrUnsupported.
	exchange(one, other string) error
	remove(name string) error
	// sync forces names to the disk, as diskFile.Sync does for content.
	sync() error
	// usable reports why names in the directory cannot be changed now: the file
	// system is read-only, a permission is gone.
	usable() error
	close() error
}

// diskFile is an open file of a disk.
type diskFile interface {
	io.ReaderAt
	// reserve empties the file and sets room aside for size bytes.
	reserve(size int64) error
	// replace writes content to the file from its beginning, which reserve has
	// emptied.
	replace(content []byte) error
	Sync() error
	// at reports whether the file has this name and no other, these permissions,
	// and was opened for writing: then it can hold the next state.
	at(name string, mode fs.FileMode) bool
	Close() error
}

// KindError is a file that cannot hold the state of a TPM because of what it is.
type KindError struct {
	Name string // in the directory
	Mode fs.FileMode
}

// Error names the file and what it is.
func (e *KindError) Error() string {
	kind := "something other than a file"
	switch e.Mode.Type() {
	case fs.ModeDir:
		kind = "a directory"
	case fs.ModeSymlink:
		kind = "a symbolic link"
	case fs.ModeNamedPipe:
		kind = "a named pipe"
	case fs.ModeSocket:
		kind = "a socket"
	case fs.ModeDevice, fs.ModeDevice | fs.ModeCharDevice:
		kind = "a device"
	}
	return fmt.Sprintf("%s is %s, and TPM state is kept in regular files only: remove it, or take another directory", e.Name, kind)
}

// rootDisk is a directory of the operating system. It keeps the directory and
// not its name, so it does not care where the process or the directory moves.
type rootDisk struct {
	root *os.Root
	dir  *os.File // the directory itself
	// reserved are descriptors that a file gets when the process has no more.
	reserved []*os.File
}

// reservedFiles is how many files a Directory has open while it serves: the state
// file and the one for the next state.
const reservedFiles = 2

func openRoot(path string) (*rootDisk, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, err
	}
	dir, err := root.Open(".")
	if err != nil {
		root.Close()
		return nil, err
	}
	r := &rootDisk{root: root, dir: dir}
	for range reservedFiles {
		f, err := root.Open(".")
		if err != nil {
			return nil, errors.Join(err, r.close())
		}
		r.reserved = append(r.reserved, f)
	}
	return r, nil
}

// opened opens a file by f, with a reserved descriptor if there is no other.
func (r *rootDisk) opened(f func() (*os.File, error)) (*os.File, error) {
	for {
		file, err := f()
		if !noDescriptor(err) || len(r.reserved) == 0 {
			return file, err
		}
		last := len(r.reserved) - 1
		_ = r.reserved[last].Close()
		r.reserved = r.reserved[:last]
	}
}

func (r *rootDisk) regular(name string) error { return regular(r.root, name) }

func regular(root *os.Root, name string) error {
	info, err := root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil && !info.Mode().IsRegular() {
		err = &KindError{name, info.Mode()}
	}
	return err
}

// open looks before it opens, since to open a device can do something, and
// opens without waiting, since the file may be another one by then.
func (r *rootDisk) open(name string) (diskFile, error) {
	writable := true
	f, err := r.opened(func() (*os.File, error) {
		f, err := openRegular(r.root, name, os.O_RDWR)
		if errors.Is(err, fs.ErrPermission) || readOnly(err) {
			writable = false
			f, err = openRegular(r.root, name, os.O_RDONLY)
		}
		return f, err
	})
	if err != nil {
		return nil, err
	}
	return &rootFile{File: f, disk: r, writable: writable}, nil
}

func openRegular(root *os.Root, name string, flag int) (*os.File, error) {
	if err := regular(root, name); err != nil {
		return nil, err
	}
	f, err := root.OpenFile(name, flag|noWait, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = &KindError{name, info.Mode()}
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func (r *rootDisk) create(name string, mode fs.FileMode) (diskFile, error) {
	f, err := r.opened(func() (*os.File, error) {
		return r.root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	})
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.Mode().Perm() != mode {
		err = chmod(f, mode)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &rootFile{File: f, disk: r, writable: true}, nil
}

func (r *rootDisk) rename(from, to string) error     { return r.root.Rename(from, to) }
func (r *rootDisk) exchange(one, other string) error { return exchange(r.dir, one, other) }
func (r *rootDisk) remove(name string) error         { return r.root.Remove(name) }
func (r *rootDisk) sync() error                      { return syncDirectory(r.dir) }
func (r *rootDisk) usable() error                    { return writableDirectory(r.dir) }

func (r *rootDisk) close() error {
	err := errors.Join(r.dir.Close(), r.root.Close())
	for _, f := range r.reserved {
		err = errors.Join(err, f.Close())
	}
	r.reserved = nil
	return err
}

// rootFile is an open file of a rootDisk.
type rootFile struct {
	*os.File
	disk     *rootDisk
	writable bool
}

func (f *rootFile) reserve(size int64) error {
	if err := f.Truncate(0); err != nil {
		return err
	}
	err := reserve(f.File, size)
	if errors.Is(err, errors.ErrUnsupported) {
		_, err = f.WriteAt(make([]byte, size), 0)
	}
	return err
}

func (f *rootFile) replace(content []byte) error {
	if _, err := f.WriteAt(content, 0); err != nil {
		return err
	}
	return f.Truncate(int64(len(content)))
}

func (f *rootFile) at(name string, mode fs.FileMode) bool {
	there, err := f.disk.root.Lstat(name)
	if err != nil || !f.writable || !oneName(there) {
		return false
	}
	own, err := f.Stat()
	return err == nil && os.SameFile(own, there) && own.Mode().Perm() == mode
}

// syncPath forces the names in a directory to the disk.
func syncPath(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return syncDirectory(dir)
}
