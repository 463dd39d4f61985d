package daemon

import (
	"path/filepath"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/sandbox"
)

// reachBackend adds what a new connection to the TPM of --backend takes.
func reachBackend(s *options.Set, r *sandbox.Reach) error {
	a := s.Backend
	if a == nil {
		return nil
	}
	ports, err := a.Ports()
	if err != nil {
		return err
	}
	r.TCPPorts = append(r.TCPPorts, ports...)
	for _, path := range []string{a.Data, a.Control} {
		if a.Network == "unix" && path != "" && !strings.HasPrefix(path, "@") {
			r.UnixSockets = true
			r.Paths = append(r.Paths, sandbox.Path{Name: filepath.Dir(path), May: sandbox.ConnectToUnix})
		}
	}
	return nil
}

// reach is what the daemon opens, makes and removes by name while it serves and
// when it ends.
func reachOf(s *options.Set) (sandbox.Reach, error) {
	var r sandbox.Reach
	add := func(may sandbox.Right, name string) {
		r.Paths = append(r.Paths, sandbox.Path{Name: name, May: may})
	}
	if s.State.Dir != "" {
		add(sandbox.Read|sandbox.Write|sandbox.List|sandbox.MakeFiles|sandbox.RemoveFiles, s.State.Dir)
	}
	// Its sockets, its pid file and its own directory go at the end.
	for _, e := range append(append([]*options.Endpoint{}, s.Control...), s.Data...) {
		if e.FD < 0 && e.Network == "unix" && !strings.HasPrefix(e.Address, "@") {
			add(sandbox.RemoveFiles, filepath.Dir(e.Address))
		}
	}
	for _, file := range append(s.SimulatorPaths(), s.Admin, s.PID.File) {
		if file != "" {
			add(sandbox.RemoveFiles, filepath.Dir(file))
		}
	}
	if err := reachBackend(s, &r); err != nil {
		return r, err
	}
	if s.OwnDir {
		add(sandbox.RemoveDirs, filepath.Dir(s.Dir))
	}
	met := s.GDB.Path // a socket that a QEMU may take the place of, and leave again
	if path, ok := strings.CutPrefix(s.Console, "unix:"); ok {
		met = path
	}
	if met != "" {
		r.UnixSockets = true
		add(sandbox.List|sandbox.MakeDirs|sandbox.MakeSockets|sandbox.RemoveFiles|sandbox.RemoveDirs|sandbox.ConnectToUnix, filepath.Dir(met))
	}
	if path, ok := strings.CutPrefix(s.Console, "file:"); ok {
		// The file may come later, and another one may take its place.
		add(sandbox.Read, filepath.Dir(place(path)))
		if target, err := filepath.EvalSymlinks(path); err == nil {
			add(sandbox.Read, filepath.Dir(target))
		}
	}
	if s.CoreDumps {
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
