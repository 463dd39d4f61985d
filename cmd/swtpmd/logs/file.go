package logs

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
)

// File is a file that is written at its end and can be opened anew, after logrotate(8)
// has given it another name. A Write is in one file as a whole.
type File struct {
	path  string // absolute, as the process sees it
	flags int    // to open it with, besides those to write at its end
	mode  fs.FileMode
	head  []byte // begins a new file

	mu   sync.Mutex
	file *os.File
}

// Write writes p at the end of the file.
func (f *File) Write(p []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Write(p)
}

// reopen opens what has the file's name now, or makes it. If that fails, the old file
// is written on.
func (f *File) reopen() error {
	// A pipe that has taken the file's place would wait for its reader.
	if info, err := os.Stat(f.path); err == nil && !info.Mode().IsRegular() {
		return &fs.PathError{Op: "reopen", Path: f.path, Err: errors.New("it is no regular file any more")}
	}
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND|f.flags, f.mode)
	if err != nil {
		return err
	}
	if info, err := file.Stat(); err != nil {
		return errors.Join(err, file.Close())
	} else if info.Size() == 0 && len(f.head) > 0 {
		if _, err := file.Write(f.head); err != nil {
			return errors.Join(err, file.Close())
		}
	}
	f.mu.Lock()
	old := f.file
	f.file = file
	f.mu.Unlock()
	return old.Close()
}

// Close closes the file.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.file.Close()
}

// Files are the files that a daemon writes for people and opens anew when it is told.
// The zero value has none.
type Files struct {
	mu    sync.Mutex
	files []*File
}

// Open opens the file at path to write at its end, and makes it with mode 0600 if it is
// not there. truncate empties it first. What is no regular file, such as a terminal or a
// pipe, is written too, and is not opened anew.
func (f *Files) Open(path string, truncate bool) (*File, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	flags := os.O_CREATE | os.O_WRONLY | os.O_APPEND
	if truncate {
		flags |= os.O_TRUNC
	}
	file, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return f.add(&File{path: path, mode: 0o600, file: file})
}

// Add has a file that is open opened anew with the others, with these flags and mode,
// and writes head at the beginning of each new one.
func (f *Files) Add(file *os.File, flags int, mode fs.FileMode, head []byte) (*File, error) {
	path, err := filepath.Abs(file.Name())
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return f.add(&File{path: path, flags: flags, mode: mode, head: head, file: file})
}

func (f *Files) add(file *File) (*File, error) {
	info, err := file.file.Stat()
	if err != nil {
		return nil, errors.Join(err, file.file.Close())
	}
	if info.Mode().IsRegular() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.files = append(f.files, file)
	}
	return file, nil
}

// Reopen opens each file anew, and returns why some of them stay what they were.
func (f *Files) Reopen() error {
	f.mu.Lock()
	files := slices.Clone(f.files)
	f.mu.Unlock()
	var errs []error
	for _, file := range files {
		errs = append(errs, file.reopen())
	}
	return errors.Join(errs...)
}

// Directories returns where Reopen makes files: the directories of their names, and
// those of the files that links with such names lead to.
func (f *Files) Directories() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var directories []string
	for _, file := range f.files {
		directories = append(directories, filepath.Dir(file.path))
		if target, err := filepath.EvalSymlinks(file.path); err == nil {
			directories = append(directories, filepath.Dir(target))
		}
	}
	slices.Sort(directories)
	return slices.Compact(directories)
}
