package main

import (
	"fmt"
	"os"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
)

// setRunAs is --runas.
func (s *settings) setRunAs(text string) (err error) {
	s.runAs, err = process.ParseIdentity(text)
	return err
}

// setChroot is --chroot.
func (s *settings) setChroot(dir string) error {
	if dir == "" {
		return &wordError{"chroot", dir, "it needs a directory"}
	}
	s.chroot = dir
	return nil
}

// become does what --chroot and --runas ask for. As with swtpm it comes before
// any file is opened: paths are below the new root, and what is made is the new user's,
// who can open and remove it again. What is outside (the service manager's socket, passed
// descriptors, the profile) is open or read by then.
func (s *settings) become(alone bool) error {
	switch {
	case s.chroot == "" && (s.runAs == nil || s.runAs.Is()):
		return nil
	case !alone:
		return fmt.Errorf("--chroot and --runas: %w", errShared)
	}
	if s.chroot != "" {
		if err := process.Enter(s.chroot); err != nil {
			return fmt.Errorf("--chroot: %w; it takes root's capabilities, and a directory that is there", err)
		}
	}
	if s.runAs == nil || s.runAs.Is() {
		return nil
	}
	if err := s.runAs.Become(); err != nil {
		return fmt.Errorf("--runas=%s: %w; it takes root's capabilities", s.runAs.Name, err)
	}
	// It is the directory of the user that this process was.
	return os.Unsetenv("XDG_RUNTIME_DIR")
}
