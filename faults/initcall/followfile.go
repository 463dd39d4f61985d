package initcall

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/fsnotify/fsnotify"
)

// fileFeed follows a growing file. Its directory is watched, not the file: that
// may not exist yet, and another one may take its place.
type fileFeed struct {
	path  string
	watch *fsnotify.Watcher
	file  *os.File // nil while there is none
	read  int64    // how much of it has been read
}

func openFile(path string) (*fileFeed, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, &FollowError{Path: path, Doing: "find the directory", Err: err}
	}
	if target, err := filepath.EvalSymlinks(full); err == nil {
		full = target
	}
	watch, err := watchDirectory(full)
	if err != nil {
		return nil, err
	}
	return &fileFeed{path: full, watch: watch}, nil
}

// watchDirectory watches the directory of path.
func watchDirectory(path string) (*fsnotify.Watcher, error) {
	watch, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, &FollowError{Path: path, Doing: "watch for changes", Err: watchLimit(err)}
	}
	if err := watch.Add(filepath.Dir(path)); err != nil {
		watch.Close()
		return nil, &FollowError{Path: path, Doing: "watch its directory, which must exist", Err: err}
	}
	return watch, nil
}

// watchLimit names the limits that inotify_init1(2) meets: a feed has an inotify instance of
// its own.
func watchLimit(err error) error {
	if errors.Is(err, syscall.EMFILE) {
		return fmt.Errorf("%w: raise fs.inotify.max_user_instances with sysctl, which each console of a fleet takes one of, or the limit of open files (ulimit -n)", err)
	}
	return err
}

func (f *fileFeed) close() error {
	if f.file != nil {
		f.file.Close()
		f.file = nil
	}
	return f.watch.Close()
}

func (f *fileFeed) follow(ctx context.Context, out *output) error {
	defer func() {
		if !left(ctx) {
			f.close()
		}
	}()
	buf := make([]byte, chunk)
	for {
		if err := f.catchUp(ctx, out, buf); err != nil {
			return err
		}
		if err := changed(ctx, f.watch, f.path); err != nil {
			return err
		}
	}
}

// changed returns when something may have happened to the file at path, with
// ctx's error when ctx ends.
func changed(ctx context.Context, watch *fsnotify.Watcher, path string) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case e, ok := <-watch.Events:
			if !ok {
				return fs.ErrClosed
			}
			if filepath.Base(e.Name) == filepath.Base(path) {
				return nil
			}
		case err, ok := <-watch.Errors:
			if !ok {
				return fs.ErrClosed
			}
			if errors.Is(err, fsnotify.ErrEventOverflow) {
				return nil // events were lost: look
			}
			return &FollowError{Path: path, Doing: "watch its directory", Err: err}
		}
	}
}

// catchUp reads what there is to read, of the file that was followed and then of
// the one that has taken its place.
func (f *fileFeed) catchUp(ctx context.Context, out *output, buf []byte) error {
	for {
		if err := f.readOn(ctx, out, buf); err != nil {
			return err
		}
		replaced, err := f.reopen()
		if err != nil || !replaced {
			return err
		}
		out.again()
	}
}

// readOn reads to the end of the file.
func (f *fileFeed) readOn(ctx context.Context, out *output, buf []byte) error {
	if f.file == nil {
		return nil
	}
	info, err := f.file.Stat()
	if err != nil {
		return &FollowError{Path: f.path, Doing: "read", Err: err}
	}
	if info.Size() < f.read {
		if _, err := f.file.Seek(0, io.SeekStart); err != nil {
			return &FollowError{Path: f.path, Doing: "read anew", Err: err}
		}
		f.read = 0
		out.again()
	}
	for ctx.Err() == nil {
		n, err := f.file.Read(buf)
		out.Write(buf[:n])
		f.read += int64(n)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return &FollowError{Path: f.path, Doing: "read", Err: err}
		}
	}
	return ctx.Err()
}

// reopen opens the file at path if it is another one than that which is open.
func (f *fileFeed) reopen() (replaced bool, err error) {
	fail := func(err error) (bool, error) {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil // the old one may still grow, or a new one come
		}
		return false, &FollowError{Path: f.path, Doing: "open", Err: err}
	}
	info, err := os.Stat(f.path)
	if err != nil {
		return fail(err)
	}
	if !info.Mode().IsRegular() { // opening a pipe could block for ever
		return false, &KindError{Path: f.path, Mode: info.Mode(), Want: "regular file"}
	}
	if f.file != nil {
		old, err := f.file.Stat()
		if err != nil {
			return fail(err)
		}
		if os.SameFile(old, info) {
			return false, nil
		}
	}
	file, err := os.Open(f.path)
	if err != nil {
		return fail(err)
	}
	if f.file != nil {
		f.file.Close()
	}
	f.file, f.read = file, 0
	return true, nil
}
