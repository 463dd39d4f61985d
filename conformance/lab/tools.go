package lab

import (
	"context"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Tools are the host programs and files that a boot needs.
type Tools struct {
	QEMU    string // that of the board
	Busybox string // a static busybox for the board's processor
	DTC     string // the device tree compiler; empty without a tree
	// OVMFCode and OVMFVars are the two files of the UEFI firmware, empty for
	// another firmware.
	OVMFCode, OVMFVars string
}

// FindTools returns the tools for a boot of this board with this firmware. It installs
// QEMU if it is missing; the rest is unpacked into apt's cache, because the package
// busybox-static would replace an installed busybox. tree is for a machine with a device
// tree of its own, which takes dtc.
//
// If install is false, it installs nothing.
func FindTools(ctx context.Context, apt *Apt, board Board, firmware Firmware, tree, install bool) (Tools, error) {
	facts := board.facts()
	qemu, err := program(ctx, apt, facts.qemu, facts.qemuPackage, install)
	if err != nil {
		return Tools{}, err
	}
	tools := Tools{QEMU: qemu}
	if facts.arch == debianArch {
		tools.Busybox = staticBusybox()
	}
	if tools.Busybox == "" {
		dir, err := apt.ForArch(facts.arch).Unpacked(ctx, "busybox-static", "bin", nil)
		if err != nil {
			return Tools{}, &SetupError{What: "a static busybox", Hint: "it is in the Debian package busybox-static of " + facts.arch, Err: err}
		}
		tools.Busybox = filepath.Join(dir, "busybox")
	}
	if tree {
		if tools.DTC, err = program(ctx, apt, "dtc", "device-tree-compiler", install); err != nil {
			return Tools{}, err
		}
	}
	if firmware == OVMF {
		tools.OVMFCode, tools.OVMFVars, err = findOVMF(ctx, apt)
	}
	return tools, err
}

// CachedTools returns the tools for a boot of this board, with a device tree if it has
// one, that are installed or unpacked already. It installs and fetches nothing.
func CachedTools(apt *Apt, board Board) (Tools, error) {
	facts := board.facts()
	var tools Tools
	var err error
	if tools.QEMU, err = exec.LookPath(facts.qemu); err != nil {
		return Tools{}, &SetupError{What: facts.qemu, Hint: "scripts/setup " + facts.qemuPackage, Err: err}
	}
	if facts.tree {
		if tools.DTC, err = exec.LookPath("dtc"); err != nil {
			return Tools{}, &SetupError{What: "dtc", Hint: "scripts/setup device-tree-compiler", Err: err}
		}
	}
	if facts.arch == debianArch {
		tools.Busybox = staticBusybox()
	}
	if dir := apt.ForArch(facts.arch).cached("busybox-static_"); tools.Busybox == "" && dir != "" {
		tools.Busybox = filepath.Join(dir, "busybox")
	}
	if tools.Busybox == "" {
		return Tools{}, &SetupError{What: "a static busybox for " + facts.arch, Hint: "scripts/qemu-boot --board=" + board.String() + " fetches it",
			Err: fmt.Errorf("none is unpacked in %s", apt.ForArch(facts.arch).packages())}
	}
	return tools, nil
}

// program returns the path of a program in PATH. If it is missing, program installs
// its package.
func program(ctx context.Context, apt *Apt, name, pkg string, install bool) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil && install {
		if err = apt.Install(ctx, pkg); err == nil {
			path, err = exec.LookPath(name)
		}
	}
	if err != nil {
		return "", &SetupError{What: name, Hint: "it is in the Debian package " + pkg + ", which needs root, or sudo without a password, to install", Err: err}
	}
	return path, nil
}

// FindSwtpm returns the path of the distribution's swtpm. If it is missing and install
// is true, FindSwtpm installs it.
func FindSwtpm(ctx context.Context, apt *Apt, install bool) (string, error) {
	return program(ctx, apt, "swtpm", "swtpm", install)
}

// findOVMF returns the two files of OVMF without secure boot, of the host or of the
// package.
func findOVMF(ctx context.Context, apt *Apt) (code, vars string, err error) {
	onHost := func() (string, error) { return "/usr/share/OVMF", nil }
	unpacked := func() (string, error) { return apt.Unpacked(ctx, "ovmf", "usr/share/OVMF", nil) }
	for _, where := range []func() (string, error){onHost, unpacked} {
		dir, failed := where()
		if err = failed; err != nil {
			continue
		}
		for _, size := range []string{"_4M", ""} {
			code, vars = filepath.Join(dir, "OVMF_CODE"+size+".fd"), filepath.Join(dir, "OVMF_VARS"+size+".fd")
			if isFile(code) && isFile(vars) {
				return code, vars, nil
			}
		}
	}
	return "", "", &SetupError{What: "OVMF", Hint: "it is in the Debian package ovmf", Err: err}
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// staticBusybox returns the path of an installed busybox that needs no libraries, or
// "".
func staticBusybox() string {
	path, err := exec.LookPath("busybox")
	if err != nil || !isStatic(path) {
		return ""
	}
	return path
}

// isStatic reports whether path is an ELF program that needs no interpreter.
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

// CacheDir makes and returns the folder for what is kept between runs: dir if that is
// not empty, else $XDG_CACHE_HOME/swtpmd, else ~/.cache/swtpmd.
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
