package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/sandbox"
)

// sandboxMode is the word of --sandbox. The zero value is what stands without
// one: as much as the kernel has.
type sandboxMode string

const (
	sandboxOff      sandboxMode = "off"
	sandboxLandlock sandboxMode = "landlock"
	sandboxFull     sandboxMode = "full"
	// sandboxSeccomp is no word of --sandbox but what a kernel without Landlock
	// has.
	sandboxSeccomp sandboxMode = "seccomp"
)

func (s *settings) setSandbox(text string) error {
	switch mode := sandboxMode(text); mode {
	case sandboxOff, sandboxLandlock, sandboxFull:
		s.sandbox = mode
		return nil
	}
	return errors.New("it is off, landlock or full")
}

// setSeccomp is swtpm's option for its own filter: none switches it off, and the
// other actions do not change what this one does.
func (s *settings) setSeccomp(text string) error {
	w, err := parseWords("seccomp", text, "action")
	if err == nil {
		s.noSeccomp = w["action"] == "none"
	}
	return err
}

// sandboxes are the two that the system may have, as package sandbox has them.
type sandboxes struct {
	landlock func(sandbox.Reach) (version int, err error)
	seccomp  func(sandbox.Reach) error
}

// errShared is why a daemon that is part of another process is not confined: that
// would be confined with it, for good.
var errShared = errors.New("swtpmd runs as a part of another process")

// confine takes from the process what it has no use for while it serves. All that
// the command line names is open by now.
func (d *daemon) confine() error {
	mode := d.set.sandbox
	switch {
	case mode == sandboxOff:
		return d.confined(0, false, nil)
	case d.sandboxes == nil && mode == "":
		return d.confined(0, false, nil)
	case d.sandboxes == nil:
		return fmt.Errorf("--sandbox=%s: %w", mode, errShared)
	}
	// The first local time reads the time zone's file.
	_, _ = time.Now().Zone()
	reach, err := d.set.reach()
	if err != nil {
		return fmt.Errorf("--sandbox: %w", err)
	}
	version, missing := d.sandboxes.landlock(reach)
	if missing != nil && mode != "" {
		return fmt.Errorf("--sandbox=%s: %w; say --sandbox=off to run without", mode, missing)
	}
	if mode == sandboxLandlock || mode == "" && d.set.noSeccomp {
		return d.confined(version, false, missing)
	}
	err = d.sandboxes.seccomp(reach)
	if err != nil && mode != "" {
		return fmt.Errorf("--sandbox=%s: %w; say --sandbox=landlock to run without", mode, err)
	}
	return d.confined(version, err == nil, errors.Join(missing, err))
}

// confined records what is in force: Landlock's version, 0 without it, and
// seccomp. missing is why the kernel does not have more.
func (d *daemon) confined(landlock int, seccomp bool, missing error) error {
	mode := sandboxOff
	switch {
	case landlock != 0 && seccomp:
		mode = sandboxFull
	case landlock != 0:
		mode = sandboxLandlock
	case seccomp:
		mode = sandboxSeccomp
	}
	d.panel.Sandbox = string(mode)
	attributes := []any{"sandbox", string(mode)}
	if landlock != 0 {
		attributes = append(attributes, "landlock", landlock)
	}
	if missing != nil {
		attributes = append(attributes, "cause", strings.ReplaceAll(missing.Error(), "\n", "; "))
		d.log.Warn("the kernel has no more of a sandbox", attributes...)
		return nil
	}
	d.log.Info("confined", attributes...)
	return nil
}

// reach is what the daemon opens, makes and removes by name while it serves and
// when it ends.
func (s *settings) reach() (sandbox.Reach, error) {
	var r sandbox.Reach
	add := func(may sandbox.Right, name string) {
		r.Paths = append(r.Paths, sandbox.Path{Name: name, May: may})
	}
	if s.state.dir != "" {
		add(sandbox.Read|sandbox.Write|sandbox.List|sandbox.MakeFiles|sandbox.RemoveFiles, s.state.dir)
	}
	// Its sockets, its pid file and its own directory go at the end.
	for _, e := range append(append([]*endpoint{}, s.control...), s.data...) {
		if e.network == "unix" && !strings.HasPrefix(e.address, "@") {
			add(sandbox.RemoveFiles, filepath.Dir(e.address))
		}
	}
	for _, file := range []string{s.admin, s.pid.file} {
		if file != "" {
			add(sandbox.RemoveFiles, filepath.Dir(file))
		}
	}
	if s.ownDir {
		add(sandbox.RemoveDirs, filepath.Dir(s.dir))
	}
	met := s.gdb.path // a socket that a QEMU may take the place of, and leave again
	if path, ok := strings.CutPrefix(s.console, "unix:"); ok {
		met = path
	}
	if met != "" {
		r.UnixSockets = true
		add(sandbox.List|sandbox.MakeDirs|sandbox.MakeSockets|sandbox.RemoveFiles|sandbox.RemoveDirs|sandbox.ConnectToUnix, filepath.Dir(met))
	}
	if path, ok := strings.CutPrefix(s.console, "file:"); ok {
		// The file may come later, and another one may take its place.
		add(sandbox.Read, filepath.Dir(place(path)))
		if target, err := filepath.EvalSymlinks(path); err == nil {
			add(sandbox.Read, filepath.Dir(target))
		}
	}
	if inBackground() {
		add(sandbox.Write, os.DevNull)
	}
	if s.coreDumps {
		dir, err := coreDirectory()
		if err != nil {
			return r, err
		}
		if dir != "" {
			add(sandbox.Read|sandbox.Write|sandbox.MakeFiles|sandbox.RemoveFiles, dir)
		}
	}
	return r, nil
}
