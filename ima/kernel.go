package ima

import "fmt"

// Kernel is a profile of the behaviours in which kernel releases differ. What
// no field names is the same in all of them. A caller may change fields of its
// copy: distributions carry patches back.
//
// The release in which a behaviour came is in parentheses. Those from 6.14 to
// 6.19 are approximate, which no profile depends on.
type Kernel struct {
	// Release is the first release of this profile, such as "6.1".
	Release string
	// PerBankFiles: securityfs has list files for each bank, and the old
	// names are symbolic links (6.10).
	PerBankFiles bool
	// TmpfsFileCheckOnly: the built-in rule that spares tmpfs is limited to
	// FILE_CHECK, so what is executed from an initramfs on tmpfs is measured
	// (6.14).
	TmpfsFileCheckOnly bool
	// LimitViolations: one ToMToU violation for each reader measured, one
	// open_writers violation until the last writer closes (6.15).
	LimitViolations bool
	// KexecAtExecute: the list for the next kernel is copied when kexec
	// executes, not when it loads, and measuring is suspended then (6.16).
	KexecAtExecute bool
	// Staging: a kernel built with CONFIG_IMA_STAGING can stage and delete
	// its list (7.2).
	Staging bool
	// MmapReqprot: mmap is also checked with the protection asked for, as
	// MMAP_CHECK_REQPROT (6.3).
	MmapReqprot bool
	// InitModuleData: the buffer of init_module(2) is critical data (6.19).
	InitModuleData bool
	// InitLateSync: a kernel can be built with CONFIG_IMA_INIT_LATE_SYNC,
	// which names the record of the boot aggregate boot_aggregate_late (7.3).
	InitLateSync bool
	// PolicyRecords: policies that are loaded and written become records
	// ima_policy_loaded and ima_policy_written (7.3).
	PolicyRecords bool
}

// kernels is the table of profiles, oldest first. Each has what came between
// the one before and it.
var kernels = []Kernel{
	{Release: "6.1"},
	{Release: "6.12", MmapReqprot: true, PerBankFiles: true},
	{
		Release: "7.3", MmapReqprot: true, PerBankFiles: true, TmpfsFileCheckOnly: true,
		LimitViolations: true, KexecAtExecute: true, Staging: true,
		InitModuleData: true, InitLateSync: true, PolicyRecords: true,
	},
}

// Kernels lists the profiles, oldest first.
func Kernels() []Kernel { return append([]Kernel(nil), kernels...) }

// Errno is a kernel's error number as IMA's functions give it, positive.
type Errno int

// The error numbers that IMA gives.
const (
	ENOENT   Errno = 2
	EIO      Errno = 5
	EBADF    Errno = 9
	EACCES   Errno = 13
	EBUSY    Errno = 16
	EEXIST   Errno = 17
	ENODEV   Errno = 19
	EINVAL   Errno = 22
	ENODATA  Errno = 61
	ESTALE   Errno = 116
	ENOPARAM Errno = 519
)

var errnoTexts = map[Errno]string{
	ENOENT: "ENOENT", EIO: "EIO", EBADF: "EBADF", EACCES: "EACCES", EBUSY: "EBUSY",
	EEXIST: "EEXIST", ENODEV: "ENODEV", EINVAL: "EINVAL", ENODATA: "ENODATA", ENOPARAM: "ENOPARAM",
}

func (e Errno) Error() string {
	if text, ok := errnoTexts[e]; ok {
		return text
	}
	return fmt.Sprintf("errno %d", int(e))
}
