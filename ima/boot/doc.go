// Package boot simulates how a Linux kernel boots with a TPM that may come late,
// and what IMA makes of it: initcalls in link order, deferred and asynchronous
// probes, the programs that the kernel itself runs before init, and the ways of
// starting IMA that were proposed for it.
//
//	platform, err := boot.PlatformByName("powervm")
//	result, err := boot.Run(ctx, platform, boot.Config{Strategy: boot.Dual, Device: tpm})
//
// The TPM is a transport.Device and gets real commands: the driver probes it,
// fails, retries and gives up as the kernel's drivers do, and package ima
// extends and reads its PCRs. Wrap it with package faults, with the same
// initcall.Clock that Config has, and it comes as late as a rule says.
//
// A boot runs in virtual time (Time): nothing sleeps, threads of the machine run
// one at a time in an order that the platform and the seed decide, and the same
// seed gives the same bytes. What is simulated, and after which files of Linux:
//
//	kernel.go    levels, do_one_initcall, kernel_init       init/main.c
//	dd.go        drivers, deferred probing, its timeout     drivers/base/dd.c, core.c
//	tpm.go       commands, retries, durations, registering  drivers/char/tpm/tpm-interface.c, tpm2-cmd.c, tpm-chip.c
//	tpm_null.go  how it notices that the TPM was reset      drivers/char/tpm/tpm2-sessions.c
//	tpm_kind.go  in what the TPM drivers differ             tpm_tis_core.c, tpm_crb.c, tpm_ibmvtpm.c
//	umh.go       usermode helpers, the initramfs            kernel/umh.c, init/initramfs.c
//	security.go  init_ima, hooks before and after it        security/integrity/ima/ima_main.c
//	race.go      what nothing orders: IMA's look and a TPM probed asynchronously
//	strategy.go  when IMA starts                            the linux-integrity list, 2026
//	attack.go    what an attacker makes of the window
//	sched.go     virtual time and its tasks
//
// Levels are an order and no barriers. Any number of processors is assumed:
// asynchronous work never waits for one. A TPM is available when it is
// registered (idr_replace), not when its driver prints that it has found one.
//
// # Platform files
//
// A platform file has one thing a line: a directive, the words it needs, then
// key=value in any order. Double quotes keep blanks together, # begins a
// comment, durations are like 20ms or 1.5s, and what is not known is refused
// with its line. This is a whole one:
//
//	platform my-board title="My board"
//	kernel 6.12 cmdline="ima_policy=tcb"
//	firmware took=2s startup measure=0,2,4,7      # PCRs, one event each
//
//	driver spi-controller took=5ms
//	driver tpm_tis_spi kind=tis-spi latency=4ms   # probed asynchronously
//	device spi0 driver=spi-controller
//	device spi0.0 driver=tpm_tis_spi parent=spi0  # there when spi0 is bound
//
//	helper modprobe-x962 took=10ms                # a program that the kernel runs,
//	  exec /sbin/modprobe                         # and the files that it uses
//	  map  /lib/libc.so.6
//	  read /etc/modprobe.d/blacklist.conf
//
//	initcall rootfs populate_rootfs initramfs=80ms
//	initcall device spi_driver_init register=spi-controller
//	initcall device tpm_tis_spi_driver_init register=tpm_tis_spi
//	initcall late   init_ima took=3ms ima
//	initcall late   fips_signature_selftest took=2ms helper=modprobe-x962
//	initcall late   deferred_probe_initcall deferred-probe
//
//	userspace took=50ms
//	  exec /usr/lib/systemd/systemd
//
// The directives and their keys:
//
//	platform NAME      title
//	kernel PROFILE     release template hash unavailable cmdline secureboot; modules=no
//	                   tcg_tpm=no hmac=yes; start (before the first initcall) access (of a program
//	                   to a file) jitter (percent, 5 if not given)
//	firmware           took; startup; measure (PCR 0 to 9); timeout (of a command, 2s if not
//	                   given, after which firmware gives the TPM up)
//	tpm                what is odd about it: twice (the hash of a bank that it lists twice)
//	                   reset (a level at which it is reset without the kernel)
//	aggregate DIGEST   pins the boot aggregate, such as sha256:9887…
//	fs NAME            type magic
//	driver NAME        kind (plain tis tis-spi crb crb-ffa ibmvtpm ftpm-tee) took rest
//	                   latency selftest fail (errno); async; module; field-failure; of commands
//	                   after the probe: after (their result, a response code or negative
//	                   errno) slow (how long they take)
//	device NAME        driver parent bus suppliers needs domains (lists of devices)
//	                   appears bind (times since the kernel's start)
//	initcall LEVEL NAME  before took register helper (lists) async fail; and one of: ima
//	                   ima-late-sync deferred-probe initramfs=DURATION
//	helper NAME        took; below it exec, map, read PATH with digest and fs, load PATH
//	                   driver=NAME, wait DURATION
//	userspace          took; disk; below it the same
//
// The order of initcalls in the file is their link order within a level. A
// device waits for its suppliers as long as fw_devlink says, for what it needs
// as long as its driver says, and for its domains as long as
// driver_deferred_probe_check_state says. A file without digest has a content of
// its own.
package boot
