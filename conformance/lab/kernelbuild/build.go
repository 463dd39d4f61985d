package kernelbuild

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/conformance/lab"
)

// Builder builds kernels into a cache.
type Builder struct {
	Apt    *lab.Apt // its Cache is the folder of lab.CacheDir
	Suites []string // see [Suites]
	// Install has apt-get install the tools that are missing.
	Install  bool
	Jobs     int // of make; 0 is one for each processor
	Progress io.Writer
	// Make is the kernel's make; empty is the one in PATH.
	Make string

	lacks   func(tool) bool   // tool.missing if nil
	sawLine func(line string) // is given each line of make's, if not nil
}

// Result is a kernel that was asked for.
type Result struct {
	Built
	Cached bool `json:"cached"` // it was in the cache
}

// Build returns the kernels, in their order, and builds those that the cache lacks. Kernels
// that differ only in IMA's start share objects: the second is built in seconds. Build
// goes on past a kernel that will not build; the error is then the join of a [*MakeError],
// [*EditError] or [*UnsetError] for each.
//
// One build runs at a time in a cache. When Build returns, all that it started has ended,
// and all that it wrote beside entries and logs of failures is deleted.
func (b *Builder) Build(ctx context.Context, kernels []Kernel) ([]Result, error) {
	plan, err := b.plan(ctx, kernels)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(plan, (*job).open) {
		err = b.buildAll(ctx, plan)
	}
	var results []Result
	for _, j := range plan {
		if !j.open() {
			results = append(results, j.result)
		}
	}
	return results, err
}

// job is a kernel that was asked for and what became of it.
type job struct {
	kernel Kernel
	from   source
	result Result
}

// open reports whether the kernel is not there yet.
func (j *job) open() bool { return j.result.Key == "" }

// plan finds the sources, and the kernels that are in the cache.
func (b *Builder) plan(ctx context.Context, kernels []Kernel) ([]*job, error) {
	from := &archive{own: b.Apt, suites: b.Suites}
	found := make(map[string]source)
	var plan []*job
	for _, k := range kernels {
		var err error
		if k.Release == Newest {
			if k.Release, err = from.newest(ctx); err != nil {
				return nil, err
			}
			fmt.Fprintf(b.Progress, "the newest source is %s\n", k.Package())
		}
		src, known := found[k.Package()]
		if !known {
			if src, err = from.find(ctx, k.Package()); err != nil {
				return nil, err
			}
			found[k.Package()] = src
		}
		j := &job{kernel: k, from: src}
		b.lookUp(j)
		plan = append(plan, j)
	}
	return plan, nil
}

// lookUp looks for the kernel of j in the cache.
func (b *Builder) lookUp(j *job) {
	if built, ok := b.cache().at(j.kernel, j.from.version); ok && built.Kernel == j.kernel {
		j.result = Result{Built: built, Cached: true}
	}
}

func (b *Builder) cache() Cache { return InCache(b.Apt.Cache) }

// buildAll builds the open jobs of the plan, one source after the other.
func (b *Builder) buildAll(ctx context.Context, plan []*job) error {
	var arches []Arch
	var packages []string
	for _, j := range plan {
		if j.open() && !slices.Contains(arches, j.kernel.Arch) {
			arches = append(arches, j.kernel.Arch)
		}
		if j.open() && !slices.Contains(packages, j.from.name) {
			packages = append(packages, j.from.name)
		}
	}
	if err := b.equip(ctx, arches); err != nil {
		return err
	}
	if err := os.MkdirAll(b.cache().Dir, 0o755); err != nil {
		return err
	}
	lock, err := b.lock(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	work := filepath.Join(b.cache().Dir, "work")
	if err := os.RemoveAll(work); err != nil { // of a build that was killed
		return err
	}
	defer os.RemoveAll(work)
	var failed []error
	for _, name := range packages {
		var jobs []*job
		for _, j := range plan {
			if j.from.name == name {
				jobs = append(jobs, j)
			}
		}
		failed = append(failed, b.buildSource(ctx, filepath.Join(work, name), jobs))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return errors.Join(failed...)
}

// lock takes the lock of the cache, and tells of a wait for another build.
func (b *Builder) lock(ctx context.Context) (*os.File, error) {
	type locked struct {
		file *os.File
		err  error
	}
	got := make(chan locked, 1)
	go func() {
		file, err := lab.LockFile(ctx, filepath.Join(b.cache().Dir, "build.lock"))
		got <- locked{file, err}
	}()
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case l := <-got:
		return l.file, l.err
	case <-timer.C:
		fmt.Fprintf(b.Progress, "another build runs in %s; waiting for its end\n", b.cache().Dir)
	}
	l := <-got // LockFile ends with ctx
	return l.file, l.err
}

// buildSource builds jobs of one source package in the folder top. Another process may
// have built some while this one waited for the lock.
func (b *Builder) buildSource(ctx context.Context, top string, jobs []*job) error {
	defer os.RemoveAll(top)
	for _, j := range jobs {
		b.lookUp(j)
	}
	if !slices.ContainsFunc(jobs, (*job).open) {
		return nil
	}
	tarball, version, err := jobs[0].from.tarball(ctx)
	if err != nil {
		return err
	}
	if err := b.unpack(ctx, tarball, filepath.Join(top, "source")); err != nil {
		return err
	}
	// Kernels that share objects one after the other, so that only one set of objects
	// takes room.
	slices.SortStableFunc(jobs, func(x, y *job) int {
		return strings.Compare(x.kernel.objects(), y.kernel.objects())
	})
	var failed []error
	last := ""
	for _, j := range jobs {
		j.from.version = version
		if b.lookUp(j); !j.open() {
			continue
		}
		if last != "" && last != j.kernel.objects() {
			_ = os.RemoveAll(filepath.Join(top, last)) // what is left goes with top
		}
		last = j.kernel.objects()
		failed = append(failed, b.build(ctx, top, j))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return errors.Join(failed...)
}

// objects returns the name of the folder for the objects of kernels that differ only in
// IMA's start.
func (k Kernel) objects() string {
	k.Start = Late
	return fmt.Sprintf("%s-%s", k.Arch, k.Key(""))
}

// leftOut are folders of the source that no build here reads.
var leftOut = []string{"*/tools/testing", "*/drivers/gpu/drm/amd/include", "*/Documentation/translations"}

// unpack unpacks a source into the folder tree.
func (b *Builder) unpack(ctx context.Context, tarball, tree string) error {
	if err := os.MkdirAll(tree, 0o755); err != nil {
		return err
	}
	fmt.Fprintf(b.Progress, "unpacking %s\n", filepath.Base(tarball))
	args := []string{"-x", "-f", tarball, "-C", tree, "--strip-components=1"}
	for _, pattern := range leftOut {
		args = append(args, "--exclude="+pattern)
	}
	var log strings.Builder
	err := run(ctx, exec.Command("tar", args...), &log, nil)
	if err != nil && ctx.Err() == nil {
		err = &lab.SetupError{What: "the source in " + tarball, Hint: "if the file is damaged, delete its folder; it is fetched again",
			Err: fmt.Errorf("%w\n%s", err, log.String())}
	}
	return err
}

// build builds one kernel and puts it into the cache.
func (b *Builder) build(ctx context.Context, top string, j *job) error {
	if err := os.MkdirAll(top, 0o755); err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(top, j.kernel.Name()+".log"))
	if err != nil {
		return err
	}
	defer log.Close()
	t := &try{
		Builder: b, kernel: j.kernel, source: filepath.Join(top, "source"), objects: filepath.Join(top, j.kernel.objects()), log: log,
		built: Built{
			Kernel: j.kernel, Name: j.kernel.Name(), Key: j.kernel.Key(j.from.version),
			Package: j.from.name, Version: j.from.version, Compiler: j.kernel.Arch.compiler(ctx),
		},
	}
	if err := t.run(ctx); err != nil {
		return t.failed(ctx, err)
	}
	j.result = Result{Built: t.built}
	fmt.Fprintf(b.Progress, "%s: built in %.0f s, %d bytes\n", t.built.Name, t.built.Seconds, t.built.Size)
	return nil
}
