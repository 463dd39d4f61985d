package kernelbuild

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

// try is one build of one kernel.
type try struct {
	*Builder
	kernel  Kernel
	source  string // the source tree, which other kernels use too
	objects string // folder of the objects, which a kernel with another start may have left
	log     *os.File
	built   Built
	stage   string // what is being done
}

// run edits the source, configures, makes, and puts the result into the cache. It leaves
// the source as it was.
func (t *try) run(ctx context.Context) (err error) {
	t.stage = "read the source"
	option, err := lateOption(t.source)
	if err != nil {
		return err
	}
	if t.kernel.Start == LateSync {
		t.built.Method = "option"
		if !option {
			t.built.Method, t.stage = "edit", "move IMA's start"
			undo, err := apply(t.source, edits())
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, undo()) }()
		}
	}
	begun := time.Now()
	if err := t.configure(ctx, t.kernel.fragments(option)); err != nil {
		return err
	}
	if err := t.compile(ctx); err != nil {
		return err
	}
	t.built.At = time.Now().UTC().Truncate(time.Second)
	t.built.Seconds = time.Since(begun).Round(100 * time.Millisecond).Seconds()
	t.stage = "keep the kernel"
	return t.keep()
}

// make returns make with its arguments.
func (t *try) make(env []string, targets ...string) *exec.Cmd {
	program, jobs := t.Make, t.Jobs
	if program == "" {
		program = "make"
	}
	if jobs == 0 {
		jobs = runtime.NumCPU()
	}
	args := []string{"-C", t.source, "O=" + t.objects, "ARCH=" + string(t.kernel.Arch), fmt.Sprintf("-j%d", jobs)}
	if prefix := t.kernel.Arch.crossPrefix(runtime.GOARCH); prefix != "" {
		args = append(args, "CROSS_COMPILE="+prefix)
	}
	cmd := exec.Command(program, append(args, targets...)...)
	cmd.Env = append(environment(), env...)
	return cmd
}

// configure writes a configuration in which every option is off that no fragment and
// no dependency turns on.
func (t *try) configure(ctx context.Context, fragments []fragment) error {
	t.stage = "configure"
	t.built.Shared = isThere(filepath.Join(t.objects, ".config"))
	if err := os.MkdirAll(t.objects, 0o755); err != nil {
		return err
	}
	var all strings.Builder
	for _, f := range fragments {
		all.WriteString(strings.TrimSuffix(f.text, "\n") + "\n")
	}
	file := filepath.Join(t.objects, "lab.config")
	if err := os.WriteFile(file, []byte(all.String()), 0o644); err != nil {
		return err
	}
	if err := run(ctx, t.make([]string{"KCONFIG_ALLCONFIG=" + file}, "allnoconfig"), t.log, nil); err != nil {
		return err
	}
	result, err := os.ReadFile(filepath.Join(t.objects, ".config"))
	if err != nil {
		return err
	}
	return t.kernel.checkResult(fragments, string(result))
}

// compile makes the image.
func (t *try) compile(ctx context.Context) error {
	t.stage = "build"
	now := time.Now()
	m := &meter{progress: t.Progress, name: t.kernel.Name(), begun: now, last: now}
	if !t.built.Shared {
		m.expected = t.cache().steps(t.kernel)
	}
	fmt.Fprintf(t.Progress, "%s: building from %s %s\n", t.kernel.Name(), t.built.Package, t.built.Version)
	target, _ := t.kernel.Arch.image()
	cmd := t.make(nil, target)
	err := run(ctx, cmd, t.log, func(line string) {
		m.line(line)
		if t.sawLine != nil {
			t.sawLine(line)
		}
	})
	t.built.Steps = m.steps
	if cmd.ProcessState != nil {
		t.built.CPU = (cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()).Round(100 * time.Millisecond).Seconds()
	}
	return err
}

// keep puts the image and what belongs to it into the cache, by a rename.
func (t *try) keep() error {
	dir := t.objects + ".entry"
	defer os.RemoveAll(dir) // if it is not renamed
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	_, image := t.kernel.Arch.image()
	release, err := os.ReadFile(filepath.Join(t.objects, "include", "config", "kernel.release"))
	if err != nil {
		return err
	}
	t.built.Uname = strings.TrimSpace(string(release))
	for to, from := range map[string]string{imageFile: filepath.FromSlash(image), configFile: ".config", symbolFile: "System.map"} {
		n, err := copyFile(filepath.Join(dir, to), filepath.Join(t.objects, from))
		if err != nil {
			return err
		}
		if to == imageFile {
			t.built.Size = n
		}
	}
	t.built.Folder = t.cache().place(t.kernel, t.built.Version)
	t.built.Image = filepath.Join(t.built.Folder, imageFile)
	about, err := json.MarshalIndent(t.built, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, aboutFile), append(about, '\n'), 0o644); err != nil {
		return err
	}
	if err := os.RemoveAll(t.built.Folder); err != nil { // an entry that cannot be read
		return err
	}
	_ = os.Remove(t.failedLog()) // of a build before; it does no harm
	return os.Rename(dir, t.built.Folder)
}

// failed keeps the log of a build that failed and returns the error to report.
func (t *try) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	failure := &MakeError{Kernel: t.kernel.Name(), Stage: t.stage, Err: err}
	var exit *exec.ExitError
	text, read := os.ReadFile(t.log.Name())
	if errors.As(err, &exit) && read == nil {
		failure.Last = errorLines(string(text))
	}
	kept := t.failedLog()
	if len(text) > 0 && os.MkdirAll(filepath.Dir(kept), 0o755) == nil && os.WriteFile(kept, text, 0o644) == nil {
		failure.Log = kept
	}
	return failure
}

// failedLog is where the log of a failed build is kept.
func (t *try) failedLog() string {
	return filepath.Join(t.cache().Dir, "failed", t.kernel.Name()+".log")
}

func isThere(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

func copyFile(to, from string) (int64, error) {
	r, err := os.Open(from)
	if err != nil {
		return 0, err
	}
	defer r.Close()
	w, err := os.Create(to)
	if err != nil {
		return 0, err
	}
	n, err := io.Copy(w, r)
	return n, errors.Join(err, w.Close())
}

// MakeError reports a kernel that was not built.
type MakeError struct {
	Kernel string
	Stage  string   // what was to be done: configure, build …
	Last   []string // the lines of the log that tell most
	Log    string   // the file with all output, or ""
	Err    error
}

func (e *MakeError) Error() string {
	text := fmt.Sprintf("%s: cannot %s: %v", e.Kernel, e.Stage, e.Err)
	if len(e.Last) > 0 {
		text += "\n  " + strings.Join(e.Last, "\n  ")
	}
	if e.Log != "" {
		text += "\n  the whole log: " + e.Log
	}
	return text
}

func (e *MakeError) Unwrap() error { return e.Err }

// mostLines is how many lines of a log an error shows.
const mostLines = 12

// errorLines returns the lines of a log that name an error, or the last ones.
func errorLines(log string) []string {
	lines := strings.Split(strings.TrimRight(log, "\n"), "\n")
	var told []string
	for _, line := range lines {
		if strings.Contains(line, "error:") || strings.Contains(line, "Error ") {
			told = append(told, line)
		}
	}
	if len(told) > 0 {
		return told[:min(len(told), mostLines)]
	}
	return lines[max(0, len(lines)-mostLines):]
}
