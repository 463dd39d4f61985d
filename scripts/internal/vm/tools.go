package vm

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// Tools are the host programs and files that a boot needs.
type Tools struct {
	QEMU    string // qemu-system-x86_64
	Busybox string // a static busybox
	// OVMFCode and OVMFVars are the two halves of the UEFI firmware; empty
	// unless it was asked for.
	OVMFCode, OVMFVars string
}

// need is one thing that a Debian package brings.
type need struct {
	name    string
	pkg     string
	found   func() string // where it is, or ""
	setPath func(*Tools, string)
}

func needs(firmware Firmware) []need {
	all := []need{
		{"qemu-system-x86_64", "qemu-system-x86", onPath("qemu-system-x86_64"), func(t *Tools, p string) { t.QEMU = p }},
		{"a static busybox", "busybox-static", staticBusybox, func(t *Tools, p string) { t.Busybox = p }},
	}
	if firmware == OVMF {
		all = append(all,
			need{"OVMF's code", "ovmf", firstFile("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_CODE.fd"), func(t *Tools, p string) { t.OVMFCode = p }},
			need{"OVMF's variables", "ovmf", firstFile("/usr/share/OVMF/OVMF_VARS_4M.fd", "/usr/share/OVMF/OVMF_VARS.fd"), func(t *Tools, p string) { t.OVMFVars = p }})
	}
	return all
}

// FindTools finds what a boot with this firmware needs, and installs what is
// missing. A nil apt installs nothing.
func FindTools(ctx context.Context, apt *Apt, firmware Firmware) (Tools, error) {
	missing := map[string]bool{}
	var packages []string
	for _, n := range needs(firmware) {
		if n.found() == "" && !missing[n.pkg] {
			missing[n.pkg] = true
			packages = append(packages, n.pkg)
		}
	}
	if len(packages) > 0 && apt != nil {
		if err := apt.Install(ctx, packages...); err != nil {
			return Tools{}, &SetupError{What: fmt.Sprint(packages), Hint: "these Debian packages need root, or sudo without a password, to install", Err: err}
		}
	}
	var tools Tools
	for _, n := range needs(firmware) {
		path := n.found()
		if path == "" {
			return Tools{}, &SetupError{What: n.name, Hint: "it is in the Debian package " + n.pkg}
		}
		n.setPath(&tools, path)
	}
	return tools, nil
}

// onPath finds a program as a shell would.
func onPath(name string) func() string {
	return func() string {
		path, err := exec.LookPath(name)
		if err != nil {
			return ""
		}
		return path
	}
}

func firstFile(paths ...string) func() string {
	return func() string {
		for _, path := range paths {
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				return path
			}
		}
		return ""
	}
}

// staticBusybox finds a busybox that runs in an initramfs without libraries.
// Debian's busybox and busybox-static install the same path.
func staticBusybox() string {
	path := onPath("busybox")()
	if path == "" {
		path = firstFile("/bin/busybox", "/usr/bin/busybox")()
	}
	if path == "" || !isStatic(path) {
		return ""
	}
	return path
}

// isStatic says whether path is an ELF program that needs no interpreter.
func isStatic(path string) bool {
	file, err := elf.Open(path)
	if err != nil {
		return false
	}
	defer file.Close()
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			return false
		}
	}
	return true
}

// Accel is how QEMU executes the guest's instructions.
type Accel string

// The accelerators in use.
const (
	KVM Accel = "kvm"
	TCG Accel = "tcg"
)

// firmwareSign is what SeaBIOS prints first on its debug port.
const firmwareSign = "SeaBIOS"

// FindAccel says whether this machine's KVM carries a guest: some virtual
// machines have a /dev/kvm that opens and then runs nothing. It starts a guest
// without disks and waits at most patience for its firmware's first words.
func FindAccel(ctx context.Context, qemu string, patience time.Duration) Accel {
	kvm, err := os.OpenFile("/dev/kvm", os.O_RDWR, 0)
	if err != nil {
		return TCG
	}
	kvm.Close()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, qemu, "-nodefaults", "-no-user-config", "-machine", "q35", "-accel", "kvm", "-cpu", "max",
		"-smp", "2", "-m", "64", "-display", "none", "-chardev", "stdio,id=words", "-device", "isa-debugcon,iobase=0x402,chardev=words")
	leash(cmd)
	seen := &untilSign{sign: []byte(firmwareSign), then: cancel}
	cmd.Stdout = seen
	_ = cmd.Run() // it always ends by a signal or by QEMU's own failure
	if !seen.found {
		return TCG
	}
	return KVM
}

// untilSign is a writer that calls then once sign has come by.
type untilSign struct {
	sign  []byte
	then  func()
	kept  []byte
	found bool
}

func (u *untilSign) Write(data []byte) (int, error) {
	u.kept = append(u.kept, data...)
	if !u.found && bytes.Contains(u.kept, u.sign) {
		u.found = true
		u.then()
	}
	if n := len(u.kept) - len(u.sign); n > 0 {
		u.kept = append(u.kept[:0], u.kept[n:]...)
	}
	return len(data), nil
}

// CacheDir gives the folder for what is worth keeping between runs, and makes
// it: dir if that is not empty, $XDG_CACHE_HOME/swtpmd, or ~/.cache/swtpmd.
func CacheDir(dir string) (string, error) {
	if dir == "" {
		base, err := os.UserCacheDir()
		if err != nil {
			return "", &SetupError{What: "a cache folder", Hint: "name one with --cache", Err: err}
		}
		dir = filepath.Join(base, "swtpmd")
	}
	dir, err := filepath.Abs(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return "", &SetupError{What: "a cache folder", Hint: "name another with --cache", Err: err}
	}
	return dir, nil
}
