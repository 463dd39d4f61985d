package lab

import (
	"cmp"
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// Restart is how a second boot follows the first.
type Restart string

// The kinds of restart.
const (
	NoRestart   Restart = ""
	GuestReboot Restart = "reboot"       // the guest reboots itself
	SystemReset Restart = "system_reset" // the reset button, pressed in QEMU's monitor
)

// Accel is how QEMU executes the guest's instructions.
type Accel string

// The accelerators in use.
const (
	// Auto is KVM if a boot under KVM reaches the guest's init, and TCG if not.
	Auto Accel = "auto"
	KVM  Accel = "kvm"
	TCG  Accel = "tcg"
)

// option returns the value of QEMU's -accel. Under TCG one thread runs both
// processors in turn: with a thread each, a guest on a busy machine has stood still
// for good before its TPM's driver started, and the boot takes as long either way.
func (a Accel) option() string {
	if a == TCG {
		return string(a) + ",thread=single"
	}
	return string(a)
}

// Machine is the machine to boot.
type Machine struct {
	Board    Board
	Tools    Tools
	Kernel   string // path of the kernel image
	Accel    Accel
	Firmware Firmware
	Device   Device
	// IMAPolicy is the value of ima_policy=, with blanks or bars between the
	// policies; empty for none.
	IMAPolicy string
	// AsyncProbe has the kernel probe the TPM without waiting for it.
	AsyncProbe bool
	// Append is put at the end of the kernel command line.
	Append string
	// Initrd, if not empty, is the path of an initramfs. The guest has its files beside
	// those of the lab, whose init runs; of files with one name it has the lab's.
	Initrd string
	// Memory is the value of QEMU's -m, such as 512 (MiB) or 2G; empty is the board's.
	Memory string
	// Processors is their number; 0 is 2.
	Processors int
	// QEMUArgs are further arguments, at the end of QEMU's.
	QEMUArgs []string
	// Tree, if not empty, is source text for dtc that is put after the source of the
	// machine's device tree. It is for Virt.
	Tree string
}

// Check returns an error that names the first thing that the board does not have.
func (m Machine) Check() error {
	facts, ok := boards[cmp.Or(m.Board, Q35)]
	switch {
	case !ok:
		return fmt.Errorf("board %q: it is one of %v", m.Board, Boards())
	case !slices.Contains(facts.firmwares, m.Firmware):
		return fmt.Errorf("firmware %s: the board %s has %v", m.Firmware, m.Board, facts.firmwares)
	case !slices.Contains(facts.devices, m.Device):
		return fmt.Errorf("device %s: the board %s has %v", m.Device, m.Board, facts.devices)
	case m.Tree != "" && !facts.tree:
		return fmt.Errorf("a device tree: only the board %s is described by one", Virt)
	case m.Accel == KVM && m.Board.foreign():
		return fmt.Errorf("accelerator kvm: the board %s is %s, this machine is %s", m.Board, facts.goarch, runtime.GOARCH)
	}
	return nil
}

// CommandLine returns the kernel's command line. The console is the first serial port.
// It shows levels in three ways, because kernels differ in which they have: the calls
// of initcall_debug, the line that newer kernels print for each level, and the trace
// event initcall_level, printed by tp_printk.
func (m Machine) CommandLine() string {
	words := append(slices.Clone(m.Board.facts().words),
		"panic=-1", "ignore_loglevel", "log_buf_len=4M",
		"initcall_debug", "trace_event=initcall:initcall_level", "tp_printk")
	if m.IMAPolicy != "" {
		policy := "ima_policy=" + m.IMAPolicy
		if strings.ContainsAny(policy, " \t") {
			policy = `"` + policy + `"`
		}
		words = append(words, policy)
	}
	if m.AsyncProbe {
		words = append(words, "driver_async_probe="+m.Device.Driver())
	}
	if m.Append != "" {
		words = append(words, m.Append)
	}
	return strings.Join(words, " ")
}

// sockets are the paths of QEMU's sockets and files, all below one private folder.
type sockets struct {
	tpmControl string // the TPM listens
	console    string // the TPM listens; empty if it does not want the console
	gdb        string // the TPM listens; empty if it does not debug the guest
	report     string // we listen
	monitor    string // we listen
	consoleLog string // the file that keeps the console: the TPM's, or QEMU's
	initramfs  string
	vars       string // private copy of OVMF's variables
	tree       string // the device tree; empty for QEMU's own
}

// args returns QEMU's arguments.
func (m Machine) args(at sockets) []string {
	console := "file,id=console,path=" + escape(at.consoleLog)
	if at.console != "" {
		// No logfile=: on a socket it has bytes twice
		// (findings/qemu-logfile-doubles-bytes.sh).
		console = "socket,id=console,path=" + escape(at.console)
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-accel", m.Accel.option(),
		"-chardev", console, "-serial", "chardev:console",
		"-chardev", "socket,id=report,path=" + escape(at.report),
		"-chardev", "socket,id=monitor,path=" + escape(at.monitor), "-mon", "chardev=monitor,mode=control",
		"-chardev", "socket,id=tpm,path=" + escape(at.tpmControl),
		"-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", m.Device.option(),
		"-kernel", m.Kernel, "-initrd", at.initramfs, "-append", m.CommandLine(),
	}
	args = append(args, m.hardware()...)
	if at.tree != "" {
		args = append(args, "-dtb", at.tree)
	}
	if at.gdb != "" {
		args = append(args, "-chardev", "socket,id=gdb,path="+escape(at.gdb), "-gdb", "chardev:gdb", "-S")
	}
	if m.Firmware == OVMF {
		args = append(args,
			"-drive", "if=pflash,unit=0,format=raw,readonly=on,file="+escape(m.Tools.OVMFCode),
			"-drive", "if=pflash,unit=1,format=raw,file="+escape(at.vars))
	}
	return append(args, m.QEMUArgs...)
}

// hardware returns the arguments that a device tree describes, besides the TPM.
func (m Machine) hardware() []string {
	facts := m.Board.facts()
	args := append(slices.Clone(facts.machine),
		"-m", cmp.Or(m.Memory, facts.memory), "-smp", strconv.Itoa(cmp.Or(m.Processors, defaultProcessors)))
	for _, device := range facts.report {
		args = append(args, "-device", device)
	}
	return args
}

// defaultProcessors is the number of processors of a machine that does not say.
const defaultProcessors = 2

// escape doubles the commas of a value in QEMU's option syntax.
func escape(value string) string { return strings.ReplaceAll(value, ",", ",,") }

// longestSocket is the length of a path in sockaddr_un on Linux, without the final
// zero.
const longestSocket = 107

// checkSocket refuses a path that is too long for a Unix socket.
func checkSocket(path string) error {
	if len(path) > longestSocket {
		return &SetupError{What: "a socket", Hint: "set TMPDIR to a shorter path",
			Err: fmt.Errorf("%s is longer than %d bytes", path, longestSocket)}
	}
	return nil
}

// command returns the command that runs the machine.
func (m Machine) command(at sockets) *exec.Cmd {
	return exec.Command(m.Tools.QEMU, m.args(at)...)
}
