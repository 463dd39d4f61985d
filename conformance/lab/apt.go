package lab

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// lockTimeout is how long apt-get waits for the dpkg lock of another process.
const lockTimeout = 10 * time.Minute

// Apt gets Debian packages with the machine's apt-get. Several processes may use it at
// once: they take turns by a lock file in Cache, and wait for the locks of any other
// apt-get.
type Apt struct {
	// Cache is the folder of the lock file; it must exist.
	Cache string
	// Arch is the processor architecture of the packages, as Debian names it; empty is
	// that of this machine. Another one gets package lists of its own in Cache, from
	// the archives that this machine uses: nothing that is installed learns of it.
	Arch string
	// Progress gets a line for each step.
	Progress io.Writer
	// Options are put after the names apt-get and apt-cache: a configuration of apt's
	// own files, such as other sources. With Options, apt-get runs without root: they
	// must name folders that this process may write.
	Options []string
	// Exec executes a command in dir (the current folder if that is empty) and
	// returns its standard output. If it is nil, a process is started.
	Exec func(ctx context.Context, dir string, argv ...string) (string, error)

	mu      sync.Mutex
	updated bool // "apt-get update" was run by this process
}

// Install installs packages and what they depend on, without recommended ones.
func (a *Apt) Install(ctx context.Context, packages ...string) error {
	unlock, err := a.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	fmt.Fprintf(a.Progress, "installing %s\n", strings.Join(packages, " "))
	args := append([]string{"install", "-y", "-q", "--no-install-recommends"}, packages...)
	return a.updating(ctx, func() error { return a.asRoot(ctx, args...) })
}

// Download puts the archives of packages, each "name=version", into dir.
func (a *Apt) Download(ctx context.Context, dir string, packages ...string) error {
	unlock, err := a.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	what := strings.Join(packages, " ")
	if len(packages) > 1 {
		what = fmt.Sprintf("%d packages", len(packages))
	}
	fmt.Fprintf(a.Progress, "downloading %s\n", what)
	argv := append([]string{"apt-get", "download", "-q", "-o", "APT::Sandbox::User="}, a.foreign()...)
	_, err = a.exec(ctx, dir, append(argv, packages...)...)
	return err
}

// Update fetches the package lists, once in the life of a.
func (a *Apt) Update(ctx context.Context) error {
	unlock, err := a.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return a.update(ctx)
}

// update is Update with the lock held.
func (a *Apt) update(ctx context.Context) error {
	if a.updated {
		return nil
	}
	a.updated = true
	if a.Arch == "" {
		fmt.Fprintln(a.Progress, "updating the package lists")
		return a.asRoot(ctx, "update", "-q")
	}
	fmt.Fprintf(a.Progress, "fetching the package lists for %s\n", a.Arch)
	for _, dir := range []string{"lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(a.lists(), dir), 0o755); err != nil {
			return err
		}
	}
	_, err := a.exec(ctx, "", append([]string{"apt-get", "update", "-q", "-o", "APT::Sandbox::User="}, a.foreign()...)...)
	return err
}

// lists is the folder for the package lists of another architecture.
func (a *Apt) lists() string { return filepath.Join(a.Cache, "apt-"+a.Arch) }

// foreign returns the options with which apt works for Arch. It needs no root then.
func (a *Apt) foreign() []string {
	if a.Arch == "" {
		return nil
	}
	return []string{
		"-o", "APT::Architecture=" + a.Arch, "-o", "APT::Architectures::=" + a.Arch,
		"-o", "Dir::State::Lists=" + filepath.Join(a.lists(), "lists"), "-o", "Dir::Cache=" + a.lists(),
	}
}

// ForArch returns an Apt with the same cache for packages of another architecture, or a
// itself if it is that of this machine.
func (a *Apt) ForArch(arch string) *Apt {
	if arch == debianArch {
		return a
	}
	return &Apt{Cache: a.Cache, Arch: arch, Progress: a.Progress, Exec: a.Exec}
}

// debianArch is this machine's architecture as Debian names it, where the names differ
// from Go's.
var debianArch = cmp.Or(map[string]string{"ppc64le": "ppc64el", "386": "i386"}[runtime.GOARCH], runtime.GOARCH)

// Query returns what apt-cache prints. If it prints nothing, Query runs "apt-get
// update" and asks again.
func (a *Apt) Query(ctx context.Context, args ...string) (string, error) {
	var answer string
	ask := func() (err error) {
		answer, err = a.exec(ctx, "", append(append([]string{"apt-cache"}, args...), a.foreign()...)...)
		if err == nil && strings.TrimSpace(answer) == "" {
			err = fmt.Errorf("apt-cache %s: no answer", strings.Join(args, " "))
		}
		return err
	}
	if ask() == nil {
		return answer, nil
	}
	unlock, err := a.lock(ctx)
	if err != nil {
		return "", err
	}
	defer unlock()
	err = a.updating(ctx, ask)
	return answer, err
}

// Archive returns the address of the first archive of Debian that apt gets packages from.
func (a *Apt) Archive(ctx context.Context) (string, error) {
	addresses, err := a.exec(ctx, "", "apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Label: Debian")
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(addresses, "\n")
	if first == "" {
		return "", errors.New("this machine's apt has no archive of Debian in its sources, or no package lists")
	}
	return strings.TrimSuffix(first, "/"), nil
}

// updating calls f, and if f fails, once more after an "apt-get update": package
// lists that are missing or old are the usual reason.
func (a *Apt) updating(ctx context.Context, f func() error) error {
	first := f()
	if first == nil || a.updated || ctx.Err() != nil {
		return first
	}
	// An update may fail for one list that f does not need.
	updated := a.update(ctx)
	if err := f(); err != nil {
		return errors.Join(err, updated)
	}
	return nil
}

// asRoot runs apt-get as root, with sudo if this process is not root. sudo must not
// need a password. An apt-get with files of its own needs no root.
func (a *Apt) asRoot(ctx context.Context, args ...string) error {
	argv := append([]string{"apt-get", "-o", fmt.Sprintf("DPkg::Lock::Timeout=%d", int(lockTimeout.Seconds()))}, args...)
	if os.Geteuid() != 0 && len(a.Options) == 0 {
		argv = append([]string{"sudo", "-n", "env", "DEBIAN_FRONTEND=noninteractive"}, argv...)
	}
	_, err := a.exec(ctx, "", argv...)
	return err
}

// exec executes a command with the environment for apt in scripts: plain English, no
// questions.
func (a *Apt) exec(ctx context.Context, dir string, argv ...string) (string, error) {
	if len(a.Options) > 0 && strings.HasPrefix(argv[0], "apt-") {
		argv = slices.Insert(slices.Clone(argv), 1, a.Options...)
	}
	if a.Exec != nil {
		return a.Exec(ctx, dir, argv...)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive")
	cmd.Stdout = &out
	err := run(cmd)
	return out.String(), err
}

// lock takes the lock file. It waits for all others, in this process and outside.
func (a *Apt) lock(ctx context.Context) (unlock func(), err error) {
	a.mu.Lock()
	file, err := LockFile(ctx, filepath.Join(a.Cache, "apt.lock"))
	if err != nil {
		a.mu.Unlock()
		return nil, err
	}
	return func() {
		file.Close()
		a.mu.Unlock()
	}, nil
}

// LockFile opens and locks a file. It waits for the process that holds the lock;
// closing the file releases it.
func LockFile(ctx context.Context, path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	locked := make(chan error, 1)
	go func() { locked <- flock(int(file.Fd())) }()
	select {
	case err = <-locked:
	case <-ctx.Done():
		// The goroutine releases the lock as soon as it has it.
		go func() { <-locked; file.Close() }()
		return nil, fmt.Errorf("waiting for the lock %s: %w", path, ctx.Err())
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("locking %s: %w", path, err)
	}
	return file, nil
}

// run runs cmd. If it fails, the error has what it printed.
func run(cmd *exec.Cmd) error {
	var out tail
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	cmd.Stderr = &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(cmd.Args, " "), err, out.String())
	}
	return nil
}
