//go:build linux

package soak

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/transport/raw"
)

// CutPlan says for how long power holds.
type CutPlan struct {
	Program string
	// Commits is how many writes are recorded.
	Commits int
	// AtOnce is how many directories are looked at at a time.
	AtOnce int
	Say    func(format string, a ...any)

	state string // words of --tpmstate for the recorded daemon
}

// CutReport is what power cuts left.
type CutReport struct {
	Seconds float64 `json:"seconds"`
	Commits int     `json:"commits"`
	// Points are the moments at which power was cut: before the first operation
	// and after each that changed what a cut leaves.
	Points int `json:"points"`
	// Images are the directories that those could leave, and Distinct how many of
	// them differ.
	Images   int      `json:"images"`
	Distinct int      `json:"distinct"`
	Lost     int      `json:"images_lost"`
	Failures []string `json:"failures,omitempty"`
}

// ErrNoStrace is what CutPower returns where strace is not installed.
var ErrNoStrace = errors.New("strace is not installed (Debian package strace)")

// CutPower records with strace what a daemon does to its state directory while it
// acknowledges writes, from an empty directory on, and has a daemon start on every
// directory that a power cut between any two operations can leave. It must find what
// was acknowledged last, or the write after it, and must be able to go on.
func CutPower(ctx context.Context, p CutPlan) (CutReport, error) {
	begin := time.Now()
	if _, err := exec.LookPath("strace"); err != nil {
		return CutReport{}, ErrNoStrace
	}
	dir, err := os.MkdirTemp("", "soak")
	if err != nil {
		return CutReport{}, err
	}
	defer os.RemoveAll(dir)
	if p.Say == nil {
		p.Say = func(string, ...any) {}
	}
	c := &cutting{CutPlan: p, dir: dir, found: map[[32]byte]*discovery{}}
	c.report.Commits = p.Commits
	operations, err := c.record(ctx)
	if err == nil {
		err = c.cut(operations)
	}
	if err == nil {
		p.Say("%d operations, %d images, %d of them distinct", len(operations), c.report.Images, c.report.Distinct)
		err = c.inspect(ctx)
	}
	c.report.Seconds = time.Since(begin).Seconds()
	return c.report, err
}

type cutting struct {
	CutPlan
	dir    string
	report CutReport
	found  map[[32]byte]*discovery
}

// discovery is a directory that was found after a power cut.
type discovery struct {
	image image
	// cuts are the answers that had been given where it could be found.
	answers map[int]bool
	// progress is how many commands it shows: none, the definition of the index,
	// and writes.
	progress uint64
	err      error
}

// record runs a daemon that acknowledges a definition and writes.
func (c *cutting) record(ctx context.Context) ([]operation, error) {
	dir := filepath.Join(c.dir, "r")
	traces := filepath.Join(c.dir, "t")
	state := filepath.Join(dir, "state")
	// The directory is there: what is cut is what happens in it.
	if err := errors.Join(os.Mkdir(dir, 0o700), os.Mkdir(state, 0o700), os.Mkdir(traces, 0o700)); err != nil {
		return nil, err
	}
	l := launch{program: "strace", dir: dir, stateful: true, state: c.state, words: []string{"--flags=startup-clear"}, before: []string{
		// -D leaves the daemon the child of this process.
		"-D", "-ff", "-ttt", "-y", "-xx", "-s", "1048576", "-qq", "-e", "signal=none", "-e", "trace=" + traced,
		"-o", filepath.Join(traces, "t"), c.Program,
	}}
	d, err := l.start(ctx)
	if err != nil {
		return nil, err
	}
	err = c.write(ctx, d, 0, uint64(c.Commits))
	if err != nil {
		d.kill()
		return nil, err
	}
	if _, err := d.stop(); err != nil {
		return nil, err
	}
	resolved, err := filepath.EvalSymlinks(state)
	if err != nil {
		return nil, err
	}
	return readTraces(filepath.Join(traces, "t.*"), resolved)
}

// write sends commands with these numbers: 0 defines the index, and n writes n.
func (c *cutting) write(ctx context.Context, d *daemon, from, to uint64) error {
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	tpm, err := raw.Dial(ctx, "unix", d.ready.Data)
	if err != nil {
		return err
	}
	defer tpm.Close()
	for n := from; n <= to; n++ {
		command, name := nvDefine(firstIndex, nvAuthRead|nvAuthWrite|nvNoDA, nil, 8), "TPM2_NV_DefineSpace"
		if n > 0 {
			command, name = nvWrite(firstIndex, binary.BigEndian.AppendUint64(nil, n)), "TPM2_NV_Write"
		}
		response, err := tpm.Send(ctx, 0, command)
		if err != nil {
			return err
		}
		if rc(response) != rcSuccess {
			return &codeError{name, rc(response)}
		}
	}
	return nil
}

// cut collects what every power cut can leave.
func (c *cutting) cut(operations []operation) error {
	d := newDisk()
	if err := c.collect(d); err != nil {
		return err
	}
	for i := range operations {
		changed, err := d.do(&operations[i])
		if err != nil {
			return err
		}
		if changed {
			if err := c.collect(d); err != nil {
				return err
			}
		}
	}
	if want := c.Commits + 1; d.answers != want {
		return fmt.Errorf("%d answers are in what strace has recorded, and there were %d", d.answers, want)
	}
	c.report.Distinct = len(c.found)
	return nil
}

func (c *cutting) collect(d *disk) error {
	images, err := d.images()
	if err != nil {
		return err
	}
	c.report.Points++
	c.report.Images += len(images)
	for _, im := range images {
		key := im.sum()
		if c.found[key] == nil {
			c.found[key] = &discovery{image: im, answers: map[int]bool{}}
		}
		c.found[key].answers[d.answers] = true
	}
	return nil
}

// sum tells images apart.
func (im image) sum() (sum [32]byte) {
	h := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(im)) {
		fmt.Fprintf(h, "%q %d ", name, len(im[name]))
		h.Write(im[name])
	}
	h.Sum(sum[:0])
	return sum
}

// inspect has a daemon start on every directory.
func (c *cutting) inspect(ctx context.Context) error {
	var work sync.WaitGroup
	queue := make(chan *discovery)
	for n := range max(c.AtOnce, 1) {
		dir := filepath.Join(c.dir, fmt.Sprint(n))
		work.Go(func() {
			for d := range queue {
				d.err = c.look(ctx, dir, d)
			}
		})
	}
	done := 0
	for _, d := range c.found {
		queue <- d
		if done++; done%100 == 0 {
			c.Say("%d of %d images", done, len(c.found))
		}
	}
	close(queue)
	work.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	for _, d := range c.found {
		err := d.err
		for answers := range d.answers {
			if err == nil && d.progress != uint64(answers) && d.progress != uint64(answers)+1 {
				err = fmt.Errorf("it shows %d commands, and %d had been answered", d.progress, answers)
			}
		}
		if err != nil {
			c.report.Lost++
			c.report.Failures = append(c.report.Failures, fmt.Sprintf("image %v: %v", d.image.sizes(), err))
		}
	}
	return nil
}

// sizes are what a failure names of an image.
func (im image) sizes() map[string]int {
	sizes := map[string]int{}
	for name, content := range im {
		sizes[name] = len(content)
	}
	return sizes
}

// look starts a daemon on a directory, reads how far it is, and has it go on.
func (c *cutting) look(ctx context.Context, dir string, f *discovery) error {
	state := filepath.Join(dir, "state")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(state, 0o700)); err != nil {
		return err
	}
	for name, content := range f.image {
		if err := os.WriteFile(filepath.Join(state, name), content, 0o600); err != nil {
			return err
		}
	}
	d, err := launch{program: c.Program, dir: dir, stateful: true, words: []string{"--flags=startup-clear"}}.start(ctx)
	if err != nil {
		return err
	}
	defer d.kill()
	ctx, cancel := context.WithTimeout(ctx, commandTime)
	defer cancel()
	tpm, err := raw.Dial(ctx, "unix", d.ready.Data)
	if err != nil {
		return err
	}
	defer tpm.Close()
	response, err := tpm.Send(ctx, 0, nvRead(firstIndex, nil, 8))
	if err != nil {
		return err
	}
	if rc(response) != rcHandle1 {
		n, err := number(response)
		if err != nil {
			return err
		}
		f.progress = n + 1
	}
	return c.write(ctx, d, f.progress, f.progress)
}
