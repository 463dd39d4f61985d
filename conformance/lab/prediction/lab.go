package prediction

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"time"

	"github.com/swtpmd/swtpmd/conformance/lab"
)

// Lab boots cells in the lab.
type Lab struct {
	Apt     *lab.Apt
	Install bool // what is missing
	// Kernel returns the path of the image of a kernel, by its name; "" is Debian's
	// kernel for the board.
	Kernel  func(ctx context.Context, board lab.Board, name string) (string, error)
	Swtpmd  string // the daemon's program
	Timeout time.Duration
	// Progress gets the lab's lines about each boot.
	Progress io.Writer

	tools   map[equipment]lab.Tools
	version map[string]string // by program
}

// equipment is on what the tools of a machine depend.
type equipment struct {
	board lab.Board
	tree  bool
}

// Boot is a function for Campaign.Boot.
func (l *Lab) Boot(ctx context.Context, c Cell, m *Machine) (*lab.Verdict, Evidence, error) {
	var left Evidence
	keep, err := os.MkdirTemp("", "prediction-")
	if err != nil {
		return nil, left, err
	}
	defer os.RemoveAll(keep)
	config := lab.Config{
		Machine: lab.Machine{
			Board: m.Board, Device: m.Device, Firmware: m.Board.Firmware(), Accel: lab.TCG,
			IMAPolicy: "tcb|critical_data", AsyncProbe: c.Async, Append: m.Append,
		},
		TPM: lab.Swtpmd(l.Swtpmd, c.Flags()), Timeout: l.Timeout, Cache: l.Apt.Cache, Keep: keep, Progress: l.Progress,
	}
	if err := l.equip(ctx, &config.Machine, c, m); err != nil {
		return nil, left, err
	}
	// A synchronous probe that nothing but the TPM delays has ended before init.
	if c.Async || m.Tree != "" {
		config.Await = m.Await
	}
	record, err := lab.Run(ctx, config)
	if err != nil {
		return nil, left, err
	}
	verdict, err := lab.Judge(record)
	if err != nil {
		return nil, left, err
	}
	left.QEMU = l.version[config.Machine.Tools.QEMU]
	left.List = listText(verdict.Last())
	left.Console, err = os.ReadFile(filepath.Join(keep, "console.log"))
	return verdict, left, err
}

// equip finds the machine's programs, kernel and device tree.
func (l *Lab) equip(ctx context.Context, machine *lab.Machine, c Cell, m *Machine) (err error) {
	if m.Tree != "" {
		if machine.Tree, err = lab.Tree(m.Tree); err != nil {
			return err
		}
	}
	if machine.Kernel, err = l.Kernel(ctx, m.Board, m.KernelName(c.Strategy)); err != nil {
		return err
	}
	needed := equipment{m.Board, m.Tree != ""}
	tools, ok := l.tools[needed]
	if !ok {
		if tools, err = lab.FindTools(ctx, l.Apt, m.Board, m.Board.Firmware(), m.Tree != "", l.Install); err != nil {
			return err
		}
		if l.tools == nil {
			l.tools, l.version = make(map[equipment]lab.Tools), make(map[string]string)
		}
		l.tools[needed] = tools
		if l.version[tools.QEMU], err = qemuVersion(ctx, tools.QEMU); err != nil {
			return err
		}
	}
	machine.Tools = tools
	return nil
}

var versionLine = regexp.MustCompile(`version ([0-9.]+)`)

// qemuVersion returns QEMU's version.
func qemuVersion(ctx context.Context, program string) (string, error) {
	out, err := exec.CommandContext(ctx, program, "--version").Output()
	if err != nil {
		return "", &lab.SetupError{What: "QEMU's version", Err: err}
	}
	m := versionLine.FindSubmatch(out)
	if m == nil {
		return "", &lab.SetupError{What: "QEMU's version", Err: fmt.Errorf("it prints %q", out)}
	}
	return string(m[1]), nil
}
