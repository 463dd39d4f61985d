package lab

import (
	"fmt"
	"os/exec"
	"strings"
)

// Firmware is the firmware that the machine runs before the kernel.
type Firmware string

// The firmwares. Both start a TPM that they find and measure into PCR 0-7.
const (
	SeaBIOS Firmware = "seabios"
	OVMF    Firmware = "ovmf"
)

// Device is the TPM's register interface, on which the driver depends.
type Device string

// The interfaces that an x86-64 machine may have.
const (
	TIS Device = "tpm-tis"
	CRB Device = "tpm-crb"
)

// Driver returns the kernel's name of the driver.
func (d Device) Driver() string { return strings.ReplaceAll(string(d), "-", "_") }

// Restart is how a second boot follows the first.
type Restart string

// The kinds of restart.
const (
	NoRestart   Restart = ""
	GuestReboot Restart = "reboot"       // the guest reboots itself
	SystemReset Restart = "system_reset" // the reset button, pressed in QEMU's monitor
)

// Machine is the machine to boot.
type Machine struct {
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
}

// CommandLine returns the kernel's command line. The console is the first serial port.
// It shows levels in three ways, because kernels differ in which they have: the calls
// of initcall_debug, the line that newer kernels print for each level, and the trace
// event initcall_level, printed by tp_printk.
func (m Machine) CommandLine() string {
	words := []string{
		"console=ttyS0", "panic=-1", "ignore_loglevel", "log_buf_len=4M",
		"initcall_debug", "trace_event=initcall:initcall_level", "tp_printk",
	}
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
}

// args returns QEMU's arguments. The guest reports on its fourth serial port: OVMF
// takes the first two for terminals and writes to them.
func (m Machine) args(at sockets) []string {
	console := "file,id=console,path=" + escape(at.consoleLog)
	if at.console != "" {
		// No logfile=: on a socket it has bytes twice
		// (findings/qemu-logfile-doubles-bytes.sh).
		console = "socket,id=console,path=" + escape(at.console)
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", "q35", "-accel", m.Accel.option(), "-cpu", "max", "-smp", "2", "-m", "1024",
		"-chardev", console, "-serial", "chardev:console",
		"-chardev", "socket,id=report,path=" + escape(at.report), "-device", "isa-serial,index=3,chardev=report",
		"-chardev", "socket,id=monitor,path=" + escape(at.monitor), "-mon", "chardev=monitor,mode=control",
		"-chardev", "socket,id=tpm,path=" + escape(at.tpmControl),
		"-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", string(m.Device) + ",tpmdev=tpm0",
		"-kernel", m.Kernel, "-initrd", at.initramfs, "-append", m.CommandLine(),
	}
	if at.gdb != "" {
		args = append(args, "-chardev", "socket,id=gdb,path="+escape(at.gdb), "-gdb", "chardev:gdb", "-S")
	}
	if m.Firmware == OVMF {
		args = append(args,
			"-drive", "if=pflash,unit=0,format=raw,readonly=on,file="+escape(m.Tools.OVMFCode),
			"-drive", "if=pflash,unit=1,format=raw,file="+escape(at.vars))
	}
	return args
}

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
