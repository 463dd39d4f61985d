package daemon

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/logs"
)

// openConsoleLog makes the log at path, which is one of files, or empties the one that
// is there. console is the source, which may be a file of its own.
func openConsoleLog(path, console string, files *logs.Files, log *slog.Logger) (*logs.Console, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // opening a pipe waits for its reader
		return nil, cli.Usage(fmt.Errorf("--console-log: %s is no regular file but %s", path, info.Mode()), "name a file; it is made if it is not there")
	}
	if source, ok := strings.CutPrefix(console, "file:"); ok && sameFile(path, source) {
		return nil, cli.Usage(fmt.Errorf("--console-log: %s is the file that --console reads", path), "name another file")
	}
	file, err := files.Open(path, true)
	if err != nil {
		return nil, err
	}
	return logs.NewConsole(file, path, log), nil
}

// sameFile reports whether two paths lead to one file, or would if there were
// files.
func sameFile(a, b string) bool {
	first, errA := os.Stat(a)
	second, errB := os.Stat(b)
	switch {
	case errA == nil && errB == nil:
		return os.SameFile(first, second)
	case errA == nil || errB == nil:
		return false
	}
	return place(a) == place(b)
}

// place returns a path without symbolic links in its directory.
func place(path string) string {
	full, err := filepath.Abs(path)
	if err != nil {
		return path
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(full))
	if err != nil {
		return full
	}
	return filepath.Join(dir, filepath.Base(full))
}
