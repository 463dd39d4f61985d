package boot

import (
	"cmp"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
)

// Platform is a machine and the kernel that boots on it: what the simulation
// needs to know. It is read from a platform file (ParsePlatform), made from a
// console log (FromConsole) or filled in by a program; its text is a platform
// file again. Times are durations of virtual time.
type Platform struct {
	// Name is a word, Title a line about the machine.
	Name  string `json:"name"`
	Title string `json:"title,omitempty"`

	Kernel   KernelBuild `json:"kernel"`
	Firmware Firmware    `json:"firmware"`
	TPM      TPM         `json:"tpm,omitzero"`
	// Aggregate, if set, is the boot aggregate that the machine gets, whatever
	// the PCRs hold: that of a real machine whose PCRs are not known. A TPM
	// must be there; a zero aggregate stays one.
	Aggregate ima.FileDigest `json:"aggregate,omitzero"`

	FileSystems []FileSystem `json:"file_systems,omitempty"`
	Drivers     []Driver     `json:"drivers,omitempty"`
	Devices     []Device     `json:"devices,omitempty"`
	// Initcalls are in link order within a level; levels may be mixed.
	Initcalls []Initcall `json:"initcalls"`
	Helpers   []Helper   `json:"helpers,omitempty"`
	Userspace Userspace  `json:"userspace"`

	// source and lines say where things stand in a platform file.
	source string
	lines  map[string]int
}

// KernelBuild is how the kernel was built and is booted.
type KernelBuild struct {
	// Profile is the release of which measure.KernelByRelease gives the profile,
	// such as "6.12".
	Profile string `json:"profile"`
	// Release is UTS_RELEASE; empty is Profile.
	Release string `json:"release,omitempty"`
	// Template is CONFIG_IMA_DEFAULT_TEMPLATE, Hash CONFIG_IMA_DEFAULT_HASH;
	// empty or zero are ima's own defaults.
	Template string       `json:"template,omitempty"`
	Hash     ima.HashAlgo `json:"hash,omitzero"`
	// Unavailable are the hashes that the kernel cannot allocate.
	Unavailable []ima.HashAlgo `json:"unavailable,omitempty"`
	// CommandLine is the kernel's. Besides IMA's options, driver_async_probe=,
	// deferred_probe_timeout=, fw_devlink= and initramfs_async= have their
	// effect.
	CommandLine string `json:"command_line,omitempty"`
	// NoModules is a kernel without CONFIG_MODULES, NoTPM one without
	// CONFIG_TCG_TPM=y.
	NoModules bool `json:"no_modules,omitempty"`
	NoTPM     bool `json:"no_tpm,omitempty"`
	// HMAC is CONFIG_TCG_TPM2_HMAC: the kernel notices that the TPM was reset
	// without it.
	HMAC bool `json:"hmac,omitempty"`
	// SecureBoot is the state of secure boot that IMA logs, empty for none.
	SecureBoot string `json:"secure_boot,omitempty"`
	// Jitter is how far durations vary with the seed, in percent.
	Jitter int `json:"jitter_percent,omitempty"`
	// Start is how long the kernel runs before its first initcall, Access
	// how long a program takes for one of its files.
	Start  time.Duration `json:"start_ns,omitempty"`
	Access time.Duration `json:"access_ns,omitempty"`
}

// UTSRelease is the release that the kernel calls itself by.
func (k *KernelBuild) UTSRelease() string { return cmp.Or(k.Release, k.Profile) }

// Firmware is the firmware that the machine runs before the kernel.
type Firmware struct {
	// Took is how long it takes.
	Took time.Duration `json:"took_ns,omitempty"`
	// Startup reports that it sends TPM2_Startup(CLEAR).
	Startup bool `json:"startup,omitempty"`
	// Measure lists the PCRs that it extends, one event each, with digests
	// that depend on the seed. They need Startup.
	Measure []int `json:"measure,omitempty"`
	// Timeout is how long it waits for a command, DefaultFirmwareTimeout if
	// 0. Then it cancels the command, gives the TPM up and measures nothing
	// more, as after any other error.
	Timeout time.Duration `json:"timeout_ns,omitempty"`
}

// DefaultFirmwareTimeout is how long SeaBIOS waits for each command of a TPM
// 2.0, as measured.
const DefaultFirmwareTimeout = 2 * time.Second

// TPM lists the peculiarities of the machine's TPM, whatever its driver. The zero value
// is a TPM like others.
type TPM struct {
	// ListsTwice is the hash of a bank that TPM2_GetCapability(PCRS) lists
	// twice; 0 is none.
	ListsTwice ima.HashAlgo `json:"lists_twice,omitzero"`
	// ResetAt is the level at which the TPM is reset and started again without
	// the kernel, as an attacker does to have PCRs at their reset values; 0 is
	// none.
	ResetAt initcall.Level `json:"reset_at,omitempty"`
}

// FileSystem is a mounted file system that programs use. Files are on RootFS if
// nothing else is said; it is there without being declared, a ramfs.
type FileSystem struct {
	Name string `json:"name"`
	// Type is its name, such as "ext4"; Magic is the number that fsmagic= names.
	Type  string `json:"type"`
	Magic uint64 `json:"magic"`
}

// RootFS is the name of the file system that the initramfs is unpacked into.
const RootFS = "rootfs"

// Driver is a driver of the kernel or, with Module, one that userspace loads.
type Driver struct {
	Name string     `json:"name"`
	Kind DriverKind `json:"kind"`
	// Took is how long a probe takes, for a TPM's driver before the first
	// command.
	Took time.Duration `json:"took_ns,omitempty"`
	// Rest is how long the probe of a TPM's driver takes besides, after the TPM has
	// started and before it is registered.
	Rest time.Duration `json:"rest_ns,omitempty"`
	// Latency is how long the TPM and its bus take for each command.
	Latency time.Duration `json:"latency_ns,omitempty"`
	// SelfTest is how much longer the TPM takes for TPM2_SelfTest.
	SelfTest time.Duration `json:"selftest_ns,omitempty"`
	// Async is PROBE_PREFER_ASYNCHRONOUS.
	Async  bool `json:"async,omitempty"`
	Module bool `json:"module,omitempty"`
	// Fail is the errno that every probe fails with, positive, up to the one
	// that userspace asks for (Device.Bind).
	Fail int `json:"fail,omitempty"`
	// FieldFailure is a TPM that registers in field failure mode: without
	// banks, because it did not answer what the kernel asked in the probe.
	FieldFailure bool `json:"field_failure,omitempty"`
	// After is the result of each command after the probe: a TPM response
	// code, or a negative errno such as -62 of a TPM that does not answer in
	// time. 0 stands for the TPM's own answer.
	After int `json:"after,omitempty"`
	// Slow is how long the TPM takes for each command after the probe, where
	// that is more than Latency. What takes longer than the kernel waits fails.
	Slow time.Duration `json:"slow_ns,omitempty"`
}

// Device is something that a driver can bind to.
type Device struct {
	Name string `json:"name"`
	// Bus is the name of its bus, "platform" if empty.
	Bus string `json:"bus,omitempty"`
	// Driver is the one that matches; a device without one never binds.
	Driver string `json:"driver,omitempty"`
	// Parent is the device whose driver adds this one, as an SPI controller
	// adds what is on its bus. Without a parent the device is there when
	// initcalls begin.
	Parent string `json:"parent,omitempty"`
	// Suppliers are what fw_devlink makes a probe wait for.
	Suppliers []string `json:"suppliers,omitempty"`
	// Needs are what the driver itself looks for, and gives -EPROBE_DEFER
	// without, whatever fw_devlink does.
	Needs []string `json:"needs,omitempty"`
	// Domains are suppliers such as power domains, for which the driver core
	// asks driver_deferred_probe_check_state.
	Domains []string `json:"domains,omitempty"`
	// Appears is how long after the kernel's start the device is added, 0 for
	// one that is there when initcalls begin or whose parent adds it.
	Appears time.Duration `json:"appears_ns,omitempty"`
	// Bind is how long after the kernel's start userspace binds the device by
	// hand (the driver's bind file in sysfs), 0 for never.
	Bind time.Duration `json:"bind_ns,omitempty"`
}

// Action is the effect of an initcall, besides the time it takes.
type Action uint8

// The actions.
const (
	NoAction      Action = iota
	StartIMA             // init_ima: what it does is the strategy's business
	StartIMALate         // its place in late_sync, the beginning if no initcall has it
	DeferredProbe        // deferred_probe_initcall
	Initramfs            // populate_rootfs
)

var actionNames = [...]string{NoAction: "", StartIMA: "ima", StartIMALate: "ima-late-sync", DeferredProbe: "deferred-probe", Initramfs: "initramfs"}

func (a Action) String() string { return nameOf(actionNames[:], a, "Action") }

// MarshalText returns the word of platform files.
func (a Action) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// Initcall is a function called in the kernel's boot.
type Initcall struct {
	Level initcall.Level `json:"level"`
	Name  string         `json:"name"`
	// Before is how long the kernel does other things before it calls the
	// function, such as printing.
	Before time.Duration `json:"before_ns,omitempty"`
	// Took is how long it takes besides what its actions do.
	Took   time.Duration `json:"took_ns,omitempty"`
	Action Action        `json:"action,omitempty"`
	// Unpack is how long the initramfs takes to unpack, with Initramfs.
	Unpack time.Duration `json:"unpack_ns,omitempty"`
	// Register are the drivers it registers.
	Register []string `json:"register,omitempty"`
	// Helpers are the usermode helpers it calls and waits for.
	Helpers []string `json:"helpers,omitempty"`
	// Async is the length of work that it starts and does not wait for.
	Async time.Duration `json:"async_ns,omitempty"`
	// Fail is the errno it returns, positive.
	Fail int `json:"fail,omitempty"`
}

// Helper is a program that the kernel calls (request_module and the like): it
// does what Accesses say and ends. An access that is denied ends it with an
// error.
type Helper struct {
	Name     string        `json:"name"`
	Took     time.Duration `json:"took_ns,omitempty"`
	Accesses []Access      `json:"accesses"`
}

// Userspace has the files that init uses.
type Userspace struct {
	// Disk reports that init is not in the initramfs: the kernel waits for
	// device probes before it mounts the root file system
	// (prepare_namespace).
	Disk     bool          `json:"disk,omitempty"`
	Took     time.Duration `json:"took_ns,omitempty"`
	Accesses []Access      `json:"accesses,omitempty"`
}

// AccessKind is how a program uses a file.
type AccessKind uint8

// The kinds. Wait is no access: the program sleeps.
const (
	Exec AccessKind = iota // execve: FILE_CHECK with MAY_EXEC, BPRM_CHECK, CREDS_CHECK
	Map                    // open and mmap for execution: FILE_CHECK, MMAP_CHECK
	Read                   // open for reading: FILE_CHECK
	Load                   // finit_module: FILE_CHECK, MODULE_CHECK
	Wait
)

var accessNames = [...]string{Exec: "exec", Map: "map", Read: "read", Load: "load", Wait: "wait"}

func (k AccessKind) String() string { return nameOf(accessNames[:], k, "AccessKind") }

// MarshalText returns the word of platform files.
func (k AccessKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// Access is one use of a file by a program that runs as root.
type Access struct {
	Kind AccessKind `json:"kind"`
	Path string     `json:"path,omitempty"`
	// Digest is the file's, if it is known; otherwise its content depends on
	// the path and the seed. All accesses to a path mean the same file.
	Digest ima.FileDigest `json:"digest,omitzero"`
	// FS is the file system; empty is RootFS.
	FS string `json:"fs,omitempty"`
	// Driver is the driver that Load loads.
	Driver string `json:"driver,omitempty"`
	// For is how long Wait waits.
	For time.Duration `json:"for_ns,omitempty"`

	// payload marks an attacker's program.
	payload bool
}
