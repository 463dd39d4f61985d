// Package initcall says how far a booting kernel has come, in the kernel's own
// words, and lets others wait for it.
//
// A Level is a point in the boot that the kernel has reached. A Clock holds the
// present one and tells those who wait. What moves a Clock is its source: a
// caller (Advance), a Timeline (so long after the TPM got power), a Console (what
// a real guest prints), or a GDB (where its kernel is, seen by QEMU's gdbstub).
//
// Levels are an order, not barriers: that late_sync is reached says that its
// first function is about to be called, not that asynchronous work started
// before has ended (init/main.c: do_initcall_level knows no such wait).
package initcall

import (
	"fmt"
	"strings"
)

// Level is a point that a boot has reached. The zero value is Firmware.
//
// The names between Early and LateSync are the kernel's initcall levels in
// link order (include/linux/init.h, include/asm-generic/vmlinux.lds.h:
// INIT_CALLS). Kernel, before them, is this module's word for a kernel that
// has printed its banner and runs start_kernel without having called an
// initcall; Userspace, after them, is the exec of init.
type Level uint8

// The levels in the order in which a boot reaches them.
const (
	Firmware Level = iota // power-on, firmware, boot loader
	Kernel                // start_kernel: the banner is printed, console initcalls run
	Early
	Pure
	Core
	CoreSync
	Postcore
	PostcoreSync
	Arch
	ArchSync
	Subsys
	SubsysSync
	FS
	FSSync
	RootFS
	Device
	DeviceSync
	Late
	LateSync
	Userspace // init is executed

	levels = iota
)

var names = [levels]string{
	"firmware", "kernel", "early", "pure", "core", "core_sync",
	"postcore", "postcore_sync", "arch", "arch_sync", "subsys", "subsys_sync",
	"fs", "fs_sync", "rootfs", "device", "device_sync", "late", "late_sync",
	"userspace",
}

// String returns the name that ParseLevel takes.
func (l Level) String() string {
	if int(l) < len(names) {
		return names[l]
	}
	return fmt.Sprintf("Level(%d)", uint8(l))
}

// Levels lists every level, first to last.
func Levels() []Level {
	all := make([]Level, levels)
	for i := range all {
		all[i] = Level(i)
	}
	return all
}

// UnknownLevelError is what ParseLevel answers to a name it does not know.
type UnknownLevelError struct {
	Name string
}

func (e *UnknownLevelError) Error() string {
	return fmt.Sprintf("unknown initcall level %q; the levels are %s", e.Name, strings.Join(names[:], ", "))
}

// ParseLevel reads a level's name as String prints it. Names are in lower case,
// as the kernel prints them.
func ParseLevel(name string) (Level, error) {
	for i, n := range names {
		if n == name {
			return Level(i), nil
		}
	}
	return 0, &UnknownLevelError{Name: name}
}

// MarshalText returns the level's name, for JSON and flags.
func (l Level) MarshalText() ([]byte, error) {
	if int(l) >= len(names) {
		return nil, &UnknownLevelError{Name: l.String()}
	}
	return []byte(names[l]), nil
}

// UnmarshalText reads the level's name.
func (l *Level) UnmarshalText(text []byte) error {
	parsed, err := ParseLevel(string(text))
	if err != nil {
		return err
	}
	*l = parsed
	return nil
}
