//go:build swtpmd_planted && linux

package daemon

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// attemptPlanted does what somebody would do who has taken over the daemon: the acts
// that $SWTPMD_PLANTED names, as in "read:/etc/shadow exec:/bin/true". What
// became of each is in the log. Only tests build this file in.
func attemptPlanted(log *slog.Logger) {
	for _, act := range strings.Fields(os.Getenv("SWTPMD_PLANTED")) {
		word, object, _ := strings.Cut(act, ":")
		err := errors.New("no such act")
		if do, ok := plantedActs[word]; ok {
			err = do(object)
		}
		said := "done"
		if err != nil {
			said = err.Error()
		}
		log.Info("planted", "act", act, "result", said)
	}
}

var plantedActs = map[string]func(object string) error{
	"read":  func(path string) error { return closed(os.Open(path)) },
	"make":  func(path string) error { return closed(os.Create(path)) },
	"cut":   func(path string) error { return os.Truncate(path, 0) },
	"chmod": func(path string) error { return os.Chmod(path, 0o666) },
	"exec": func(path string) error {
		p, err := os.StartProcess(path, []string{path}, &os.ProcAttr{})
		if err != nil {
			return err
		}
		_, err = p.Wait()
		return err
	},
	"exec-here": func(path string) error { return unix.Exec(path, []string{path}, nil) },
	"connect": func(address string) error {
		network, address, _ := strings.Cut(address, ":")
		return closed(net.Dial(network, address))
	},
	"listen":  func(address string) error { return closed(net.Listen("tcp", address)) },
	"netlink": func(string) error { return socketed(unix.AF_NETLINK, unix.SOCK_RAW) },
	"udp":     func(string) error { return socketed(unix.AF_INET, unix.SOCK_DGRAM) },
	"signal": func(pid string) error {
		n, err := strconv.Atoi(pid)
		if err != nil {
			return err
		}
		return unix.Kill(n, syscall.Signal(0))
	},
	"dumpable":  func(string) error { return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) },
	"namespace": func(string) error { return unix.Unshare(unix.CLONE_NEWUSER) },
	"trace": func(pid string) error {
		n, err := strconv.Atoi(pid)
		if err != nil {
			return err
		}
		return unix.PtraceSeize(n)
	},
	"code": func(string) error {
		page, err := unix.Mmap(-1, 0, os.Getpagesize(), unix.PROT_READ|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
		if err != nil {
			return err
		}
		return unix.Munmap(page)
	},
}

func closed[C interface{ Close() error }](c C, err error) error {
	if err != nil {
		return err
	}
	return c.Close()
}

func socketed(family, kind int) error {
	fd, err := unix.Socket(family, kind, 0)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}
