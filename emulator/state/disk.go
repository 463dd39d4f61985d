package state

import (
	"io"
	"io/fs"
	"os"
)

// disk is what a Directory asks of the file system, step by step: power can
// fail between any two of them. Names are those of files in the directory.
type disk interface {
	open(name string) (io.ReadCloser, error)
	// create opens an empty file for writing and gives it these permissions.
	create(name string, mode fs.FileMode) (diskFile, error)
	// rename gives a file another name, which it takes from the file that had
	// it, at once.
	rename(from, to string) error
	remove(name string) error
	// sync forces names to the disk, as diskFile.Sync does for content.
	sync() error
	// room tells how many bytes can be written, plenty if that is not known,
	// and whether the file system is read-only.
	room() (bytes uint64, readOnly bool)
	close() error
}

// diskFile is a file that is being written.
type diskFile interface {
	io.WriteCloser
	Sync() error
}

// rootDisk is a directory of the operating system. It keeps the directory and
// not its name, so it does not care where the process or the directory moves.
type rootDisk struct {
	root *os.Root
	dir  *os.File // the directory itself
}

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
	return &rootDisk{root, dir}, nil
}

func (r *rootDisk) open(name string) (io.ReadCloser, error) { return r.root.Open(name) }

func (r *rootDisk) create(name string, mode fs.FileMode) (diskFile, error) {
	f, err := r.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
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
	return f, nil
}

func (r *rootDisk) rename(from, to string) error { return r.root.Rename(from, to) }
func (r *rootDisk) remove(name string) error     { return r.root.Remove(name) }
func (r *rootDisk) sync() error                  { return syncDirectory(r.dir) }
func (r *rootDisk) room() (uint64, bool)         { return roomOf(r.dir) }

func (r *rootDisk) close() error {
	err := r.dir.Close()
	if e := r.root.Close(); err == nil {
		err = e
	}
	return err
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
