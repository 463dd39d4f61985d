package main

import (
	"path/filepath"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/sandbox"
)

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
		if e.fd < 0 && e.network == "unix" && !strings.HasPrefix(e.address, "@") {
			add(sandbox.RemoveFiles, filepath.Dir(e.address))
		}
	}
	for _, file := range append(s.simulatorPaths(), s.admin, s.pid.file) {
		if file != "" {
			add(sandbox.RemoveFiles, filepath.Dir(file))
		}
	}
	if err := s.reachBackend(&r); err != nil {
		return r, err
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
	if s.device != nil {
		s.device.reach(&r)
	}
	if s.coreDumps {
		dir, err := process.CoreDirectory()
		if err != nil {
			return r, err
		}
		if dir != "" {
			add(sandbox.Read|sandbox.Write|sandbox.MakeFiles|sandbox.RemoveFiles, dir)
		}
	}
	return r, nil
}
