package lab

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
)

// BuildSwtpmd builds the daemon from the module that the folder source is in; an empty
// source is the current folder. remove deletes the program.
func BuildSwtpmd(ctx context.Context, source string) (path string, remove func(), err error) {
	dir, err := os.MkdirTemp("", "swtpmd-")
	if err != nil {
		return "", nil, &SetupError{What: "a folder for swtpmd", Err: err}
	}
	remove = func() { os.RemoveAll(dir) }
	path = filepath.Join(dir, "swtpmd")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "github.com/swtpmd/swtpmd/cmd/swtpmd")
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := run(cmd); err != nil {
		remove()
		return "", nil, &SetupError{What: "swtpmd", Hint: "or name one with --swtpmd", Err: err}
	}
	return path, remove, nil
}
