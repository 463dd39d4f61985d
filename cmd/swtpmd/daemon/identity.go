package daemon

import (
	"fmt"
	"os"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
)

// Become does what --chroot and --runas ask for. As with swtpm it comes before
// any file is opened: paths are below the new root, and what is made is the new user's,
// who can open and remove it again. What is outside (the service manager's socket, passed
// descriptors, the profile) is open or read by then.
func Become(s *options.Set, alone bool) error {
	switch {
	case s.Chroot == "" && (s.RunAs == nil || s.RunAs.Is()):
		return nil
	case !alone:
		return fmt.Errorf("--chroot and --runas: %w", ErrShared)
	}
	if s.Chroot != "" {
		if err := process.Enter(s.Chroot); err != nil {
			return fmt.Errorf("--chroot: %w; it takes root's capabilities, and a directory that is there", err)
		}
	}
	if s.RunAs == nil || s.RunAs.Is() {
		return nil
	}
	if err := s.RunAs.Become(); err != nil {
		return fmt.Errorf("--runas=%s: %w; it takes root's capabilities", s.RunAs.Name, err)
	}
	// It is the directory of the user that this process was.
	return os.Unsetenv("XDG_RUNTIME_DIR")
}
