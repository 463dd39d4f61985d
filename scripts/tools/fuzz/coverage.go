package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// What --keep keeps.
const (
	maxKept      = 24
	maxKeptBytes = 600
)

// coverage measures the statements that the inputs of a target reach. It runs the target
// as an ordinary test in a shadow of the module, in which testdata/fuzz/TARGET has the
// inputs of campaigns too.
type coverage struct {
	target  target
	binary  string
	shadow  string // of the package
	profile string
	setup   map[string]block // what making the seeds reaches without an input
}

// block is one of the blocks of statements in a profile.
type block struct{ statements, count int }

func newCoverage(work string, t target, binary string) (*coverage, error) {
	c := &coverage{target: t, binary: binary, profile: filepath.Join(work, "profile")}
	root, err := os.MkdirTemp(work, "shadow-")
	if err != nil {
		return nil, err
	}
	c.shadow = filepath.Join(root, t.pkg)
	return c, shadow(t.root, root, path.Join(t.pkg, "testdata/fuzz", t.name))
}

// shadow makes a directory at below in root, with links to what is in that directory of
// module, and to what is beside it and its parents there.
func shadow(module, root, below string) error {
	for name := range strings.SplitSeq(below+"/", "/") {
		entries, err := os.ReadDir(module)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		for _, e := range entries {
			if e.Name() == name {
				continue
			}
			if err := os.Symlink(filepath.Join(module, e.Name()), filepath.Join(root, e.Name())); err != nil {
				return err
			}
		}
		module, root = filepath.Join(module, name), filepath.Join(root, name)
		if err := os.MkdirAll(root, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// inputs is the directory of the inputs in the shadow.
func (c *coverage) inputs() string {
	return filepath.Join(c.shadow, "testdata", "fuzz", c.target.name)
}

// input is an input of a campaign.
type input struct {
	name    string
	content []byte
}

// take puts the inputs that a campaign has left in found into the shadow and
// returns them, the smallest first.
func (c *coverage) take(found string) ([]input, error) {
	entries, err := os.ReadDir(found)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	var all []input
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(found, e.Name()))
		if err != nil {
			return nil, err
		}
		if !c.target.fits(content) {
			continue // left by a target with other arguments
		}
		path := filepath.Join(c.inputs(), e.Name())
		if _, err := os.Stat(path); err == nil {
			continue // it is kept already
		}
		if err := os.WriteFile(path, content, 0o644); err != nil {
			return nil, err
		}
		all = append(all, input{e.Name(), content})
	}
	slices.SortFunc(all, func(a, b input) int {
		return cmp.Or(len(a.content)-len(b.content), strings.Compare(a.name, b.name))
	})
	return all, nil
}

// percent returns how much of the package's statements all inputs reach.
func (c *coverage) percent(ctx context.Context, found string) (float64, error) {
	if _, err := c.take(found); err != nil {
		return 0, err
	}
	reached, err := c.reached(ctx, "")
	if err != nil {
		return 0, err
	}
	all, some := 0, 0
	for place, b := range c.setup {
		all += b.statements
		if reached[place] {
			some += b.statements
		}
	}
	if all == 0 {
		return 0, errors.New("the package has no statements")
	}
	return float64(some) / float64(all) * 100, nil
}

// keep copies those inputs that reach more than the seeds and the kept ones to
// the package's testdata, and returns how many.
func (c *coverage) keep(ctx context.Context, found string) (kept int, err error) {
	reached, err := c.reached(ctx, "")
	if err != nil {
		return 0, err
	}
	all, err := c.take(found)
	if err != nil {
		return 0, err
	}
	testdata := filepath.Join(c.target.dir, "testdata", "fuzz", c.target.name)
	there, err := os.ReadDir(testdata)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	more := make([]map[string]bool, 0, len(all))
	for i, in := range all {
		if len(in.content) > maxKeptBytes {
			all = all[:i]
			break
		}
		blocks, err := c.reached(ctx, in.name)
		if err != nil {
			return 0, err
		}
		more = append(more, blocks)
	}
	for len(there)+kept < maxKept {
		i, gain := best(more, reached)
		if gain == 0 {
			break
		}
		maps.Copy(reached, more[i])
		if err := os.MkdirAll(testdata, 0o755); err != nil {
			return kept, err
		}
		if err := os.WriteFile(filepath.Join(testdata, all[i].name), all[i].content, 0o644); err != nil {
			return kept, err
		}
		kept++
	}
	return kept, nil
}

// best returns the input that reaches most blocks that are not reached yet, and their
// number. Of equals it returns the first.
func best(inputs []map[string]bool, reached map[string]bool) (which, gain int) {
	for i, blocks := range inputs {
		more := 0
		for place := range blocks {
			if !reached[place] {
				more++
			}
		}
		if more > gain {
			which, gain = i, more
		}
	}
	return which, gain
}

// reached returns the blocks that the named input reaches, or that all do if
// name is empty: those that are counted more often than without inputs.
func (c *coverage) reached(ctx context.Context, name string) (map[string]bool, error) {
	if c.setup == nil {
		setup, err := c.run(ctx, "/^none$")
		if err != nil {
			return nil, err
		}
		c.setup = setup
	}
	which := ""
	if name != "" {
		which = "/^" + regexp.QuoteMeta(name) + "$"
	}
	blocks, err := c.run(ctx, which)
	if err != nil {
		return nil, err
	}
	reached := map[string]bool{}
	for place, b := range blocks {
		if b.count > c.setup[place].count {
			reached[place] = true
		}
	}
	return reached, nil
}

// run runs the target with some of its inputs and returns the profile.
func (c *coverage) run(ctx context.Context, which string) (map[string]block, error) {
	command := exec.Command(c.binary, "-test.run=^"+c.target.name+"$"+which, "-test.coverprofile="+c.profile, "-test.paniconexit0")
	command.Dir = c.shadow
	command.Env = append(os.Environ(), "PWD="+c.shadow)
	var printed strings.Builder
	command.Stdout, command.Stderr = &printed, &printed
	if err := inTime(ctx, command, 10*time.Minute); err != nil {
		return nil, fmt.Errorf("its inputs, as a test: %w\n%s", err, printed.String())
	}
	profile, err := os.ReadFile(c.profile)
	if err != nil {
		return nil, err
	}
	return parseProfile(string(profile))
}

// parseProfile reads a profile of go test. A block may be in it twice.
func parseProfile(text string) (map[string]block, error) {
	blocks := map[string]block{}
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "mode: ") {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) != 3 {
			return nil, fmt.Errorf("a line of a profile of coverage: %q", line)
		}
		statements, err1 := strconv.Atoi(fields[1])
		count, err2 := strconv.Atoi(fields[2])
		if err := errors.Join(err1, err2); err != nil {
			return nil, fmt.Errorf("a line of a profile of coverage: %q: %w", line, err)
		}
		b := blocks[fields[0]]
		blocks[fields[0]] = block{statements, b.count + count}
	}
	return blocks, nil
}
