package initcall

import "time"

// x86Firmware is the time from power-on to the zero of the kernel's printk
// clock on the machine of x86Boot. Its console log does not tell it, so it was
// taken from three later boots of the same kernel and machine, from QMP "cont"
// of a machine started with -S to the arrival of "Run /init" on the serial
// line, less the printk time of that line: 3.28 s, 3.31 s, 3.51 s. The banner
// arrived at 3.39 s to 3.51 s. SeaBIOS 1.16.2 with a TPM measures for most of
// that time.
const x86Firmware = 3400 * time.Millisecond

// x86Boot is the printk time at which each level was entered in one boot of
// Debian 12's 6.1.0-56-amd64 with initcall_debug ignore_loglevel and its output
// on a serial line: QEMU 7.2 without KVM, -machine q35 -cpu max -smp 2 -m 1024,
// tpm-tis with swtpm 0.7.1, two host processors. The log is
// testdata/x86_64-debian-6.1-tpm-on-time.log; TestDefaultTimeline compares.
var x86Boot = [...]Mark{
	{Kernel, 0},
	{Early, 392 * time.Millisecond},
	{Pure, 746 * time.Millisecond},
	{Core, 754 * time.Millisecond},
	{CoreSync, 810 * time.Millisecond},
	{Postcore, 814 * time.Millisecond},
	{Arch, 866 * time.Millisecond},
	{Subsys, 894 * time.Millisecond},
	{SubsysSync, 1465 * time.Millisecond},
	{FS, 1474 * time.Millisecond},
	{FSSync, 1875 * time.Millisecond},
	{RootFS, 1880 * time.Millisecond},
	{Device, 1899 * time.Millisecond},
	{DeviceSync, 2997 * time.Millisecond},
	{Late, 3003 * time.Millisecond},
	{LateSync, 4205 * time.Millisecond},
	{Userspace, 5369 * time.Millisecond},
}

// DefaultTimeline is a real boot: an unmodified distribution kernel on an
// emulated PC with firmware, in about 9 s. No other machine keeps its times;
// measure your own by following its console once.
func DefaultTimeline() Timeline {
	t := make(Timeline, len(x86Boot))
	for i, m := range x86Boot {
		t[i] = Mark{Level: m.Level, At: x86Firmware + m.At}
	}
	return t
}
