package initcall

// markers has, for every level, initcalls that are linked early in it, and for
// the _sync levels every one that machines of today have. There are many, so that
// a kernel with little built in calls one of them soon. A function belongs
// here if no supported kernel calls it before its level; that some kernels call
// it later, or lack it, does no harm.
//
// Levels and files are those of Linux 6.1.192, all architectures, and no function
// is called at an earlier level by 6.12.117 or 7.3.4; the order in
// which kernels call them was read from boots of Debian's 6.1 for x86-64 and
// ppc64el and of a small 6.1 for arm64. The link order is that of the top
// Kbuild (init, arch, kernel, mm, fs, ipc, security, crypto, block, lib,
// drivers, sound, net), so that init and arch come first in each level.
//
// Three came to earlier levels since, and count only after a function that every
// kernel calls in between. Left out: genpd_power_off_unused, which went from late to late_sync within
// the life of 6.1, and names that several files use at different levels, unless
// the first of these levels stands here.
var markers = [...]Marker{
	{Function: "init_hw_perf_events", Level: Early},                // arch/x86/events/core.c
	{Function: "asids_init", Level: Early},                         // arch/arm64/mm/context.c
	{Function: "vdso_getcpu_init", Level: Early},                   // arch/powerpc/kernel/vdso.c
	{Function: "do_init_real_mode", Level: Early},                  // arch/x86/realmode/init.c
	{Function: "register_nmi_cpu_backtrace_handler", Level: Early}, // arch/x86/kernel/apic/hw_nmi.c
	{Function: "init_sigframe_size", Level: Early},                 // arch/x86/kernel/signal.c
	{Function: "spawn_ksoftirqd", Level: Early},                    // kernel/softirq.c
	{Function: "migration_init", Level: Early},                     // kernel/sched/core.c
	{Function: "cpu_stop_init", Level: Early},                      // kernel/stop_machine.c
	{Function: "security_initcall_early", Level: Early},            // security/lsm_init.c, since 6.19

	{Function: "bpf_jit_charge_init", Level: Pure},      // kernel/bpf/core.c
	{Function: "ipc_ns_init", Level: Pure},              // ipc/shm.c
	{Function: "init_mmap_min_addr", Level: Pure},       // security/min_addr.c
	{Function: "security_initcall_pure", Level: Pure},   // security/lsm_init.c, since 6.19
	{Function: "pci_realloc_setup_params", Level: Pure}, // drivers/pci/pci.c
	{Function: "inet_frag_wq_init", Level: Pure},        // net/ipv4/inet_fragment.c

	{Function: "xen_pvh_gnttab_setup", Level: Core},         // arch/x86/xen/grant-table.c
	{Function: "e820__register_nvs_regions", Level: Core},   // arch/x86/kernel/e820.c
	{Function: "fpsimd_init", Level: Core},                  // arch/arm64/kernel/fpsimd.c
	{Function: "enable_mrs_emulation", Level: Core},         // arch/arm64/kernel/cpufeature.c
	{Function: "check_kvm_guest", Level: Core},              // arch/powerpc/kernel/firmware.c
	{Function: "proc_ppc64_create", Level: Core},            // arch/powerpc/kernel/proc_powerpc.c
	{Function: "cpufreq_register_tsc_scaling", Level: Core}, // arch/x86/kernel/tsc.c
	{Function: "reboot_init", Level: Core},                  // arch/x86/kernel/reboot.c
	{Function: "init_lapic_sysfs", Level: Core},             // arch/x86/kernel/apic/apic.c
	{Function: "wq_sysfs_init", Level: Core},                // kernel/workqueue.c
	{Function: "ksysfs_init", Level: Core},                  // kernel/ksysfs.c
	{Function: "pm_init", Level: Core},                      // kernel/power/main.c
	{Function: "alloc_frozen_cpus", Level: Core},            // kernel/cpu.c
	{Function: "cpu_hotplug_pm_sync_init", Level: Core},     // kernel/cpu.c
	{Function: "init_elf_binfmt", Level: Core},              // fs/binfmt_elf.c
	{Function: "securityfs_init", Level: Core},              // security/inode.c
	{Function: "security_initcall_core", Level: Core},       // security/lsm_init.c, since 6.19
	{Function: "sock_init", Level: Core},                    // net/socket.c

	{Function: "dma_debug_fs_init", Level: CoreSync}, // kernel/dma/debug.c
	{Function: "trace_boot_init", Level: CoreSync},   // kernel/trace/trace_boot.c
	{Function: "__gnttab_init", Level: CoreSync},     // drivers/xen/grant-table.c

	{Function: "debug_monitors_init", Level: Postcore}, // arch/arm64/kernel/debug-monitors.c
	{Function: "epapr_idle_init", Level: Postcore},     // arch/powerpc/kernel/epapr_paravirt.c
	{Function: "irq_sysfs_init", Level: Postcore},      // kernel/irq/irqdesc.c
	{Function: "audit_init", Level: Postcore},          // kernel/audit.c
	{Function: "bdi_class_init", Level: Postcore},      // mm/backing-dev.c
	{Function: "mm_sysfs_init", Level: Postcore},       // mm/mm_init.c

	{Function: "moxtet_init", Level: PostcoreSync},   // drivers/bus/moxtet.c
	{Function: "omap_l3_init", Level: PostcoreSync},  // drivers/bus/omap_l3_noc.c
	{Function: "omap3_l3_init", Level: PostcoreSync}, // drivers/bus/omap_l3_smx.c

	{Function: "bts_init", Level: Arch, After: "irq_sysfs_init"}, // arch/x86/events/intel/bts.c; early in 7.3
	{Function: "boot_params_ksysfs_init", Level: Arch},           // arch/x86/kernel/ksysfs.c
	{Function: "reserve_memblock_reserved_regions", Level: Arch}, // arch/arm64/kernel/setup.c
	{Function: "vdso_init", Level: Arch},                         // arch/arm64/kernel/vdso.c, arch/powerpc/kernel/vdso.c
	{Function: "mtrr_if_init", Level: Arch},                      // arch/x86/kernel/cpu/mtrr/if.c
	{Function: "ffh_cstate_init", Level: Arch},                   // arch/x86/kernel/acpi/cstate.c
	{Function: "kvm_alloc_cpumask", Level: Arch},                 // arch/x86/kernel/kvm.c
	{Function: "report_cpuid_table", Level: Arch},                // arch/x86/kernel/sev.c
	{Function: "gigantic_pages_init", Level: Arch},               // arch/*/mm/hugetlbpage.c
	{Function: "adjust_protection_map", Level: Arch},             // arch/arm64/mm/mmap.c
	{Function: "kcmp_cookies_init", Level: Arch},                 // kernel/kcmp.c
	{Function: "cryptomgr_init", Level: Arch},                    // crypto/algboss.c

	{Function: "iproc_gpio_init", Level: ArchSync},                   // drivers/pinctrl/bcm/pinctrl-iproc-gpio.c
	{Function: "nsp_gpio_init", Level: ArchSync},                     // drivers/pinctrl/bcm/pinctrl-nsp-gpio.c
	{Function: "of_platform_default_populate_init", Level: ArchSync}, // drivers/of/platform.c

	{Function: "init_vdso", Level: Subsys},                                 // arch/x86/entry/vdso/vma.c
	{Function: "topology_init", Level: Subsys},                             // arch/*/kernel
	{Function: "sysenter_setup", Level: Subsys},                            // arch/x86/entry/vdso/vdso32-setup.c
	{Function: "fixup_ht_bug", Level: Subsys},                              // arch/x86/events/intel/core.c
	{Function: "uid_cache_init", Level: Subsys},                            // kernel/user.c
	{Function: "param_sysfs_init", Level: Subsys, After: "irq_sysfs_init"}, // kernel/params.c; pure in 7.3
	{Function: "user_namespace_sysctl_init", Level: Subsys},                // kernel/ucount.c
	{Function: "security_initcall_subsys", Level: Subsys},                  // security/lsm_init.c, since 6.19
	{Function: "tpm_init", Level: Subsys},                                  // drivers/char/tpm/tpm-interface.c

	{Function: "init_32bit_el0_mask", Level: SubsysSync},                                        // arch/arm64/kernel/cpufeature.c
	{Function: "__machine_initcall_powernv_pnv_tce_iommu_bus_notifier_init", Level: SubsysSync}, // arch/powerpc/platforms/powernv/pci.c
	{Function: "__machine_initcall_pseries_tce_iommu_bus_notifier_init", Level: SubsysSync},     // arch/powerpc/platforms/pseries/iommu.c
	{Function: "pci_base_init", Level: SubsysSync},                                              // arch/s390/pci/pci.c
	{Function: "vga_arb_device_init", Level: SubsysSync},                                        // drivers/pci/vgaarb.c
	{Function: "brcm_nvram_init", Level: SubsysSync},                                            // drivers/nvmem/brcm_nvram.c
	{Function: "acpi_wmi_init", Level: SubsysSync},                                              // drivers/platform/x86/wmi.c
	{Function: "channel_subsystem_init_sync", Level: SubsysSync},                                // drivers/s390/cio/css.c

	{Function: "nmi_warning_debugfs", Level: FS},                 // arch/x86/kernel/nmi.c
	{Function: "create_debug_debugfs_entry", Level: FS},          // arch/arm64/kernel/debug-monitors.c
	{Function: "__machine_initcall_pseries_vio_init", Level: FS}, // arch/powerpc/platforms/pseries/vio.c
	{Function: "hpet_late_init", Level: FS},                      // arch/x86/kernel/hpet.c
	{Function: "init_amd_nbs", Level: FS},                        // arch/x86/kernel/amd_nb.c
	{Function: "iomem_init_inode", Level: FS},                    // kernel/resource.c
	{Function: "clocksource_done_booting", Level: FS},            // kernel/time/clocksource.c
	{Function: "init_pipe_fs", Level: FS},                        // fs/pipe.c
	{Function: "security_initcall_fs", Level: FS},                // security/lsm_init.c, since 6.19

	{Function: "pci_apply_final_quirks", Level: FSSync}, // drivers/pci/quirks.c
	{Function: "acpi_reserve_resources", Level: FSSync}, // drivers/acpi/osl.c
	{Function: "p2sb_fs_init", Level: FSSync},           // drivers/platform/x86/p2sb.c

	{Function: "default_rootfs", Level: RootFS},    // init/noinitramfs.c
	{Function: "populate_rootfs", Level: RootFS},   // init/initramfs.c
	{Function: "ir_dev_scope_init", Level: RootFS}, // drivers/iommu/intel/irq_remapping.c

	{Function: "ia32_binfmt_init", Level: Device},                                         // arch/x86/entry/vdso/vdso32-setup.c
	{Function: "register_arm64_panic_block", Level: Device},                               // arch/arm64/kernel/setup.c
	{Function: "register_powersave_nap_sysctl", Level: Device},                            // arch/powerpc/kernel/idle.c
	{Function: "amd_ibs_init", Level: Device},                                             // arch/x86/events/amd/ibs.c
	{Function: "msr_init", Level: Device},                                                 // arch/x86/kernel/msr.c, arch/x86/events/msr.c
	{Function: "register_kernel_offset_dumper", Level: Device, After: "iomem_init_inode"}, // arch/x86/kernel/setup.c; arch in 6.12
	{Function: "i8259A_init_ops", Level: Device},                                          // arch/x86/kernel/i8259.c
	{Function: "init_tsc_clocksource", Level: Device},                                     // arch/x86/kernel/tsc.c
	{Function: "add_rtc_cmos", Level: Device},                                             // arch/x86/kernel/rtc.c
	{Function: "i8237A_init_ops", Level: Device},                                          // arch/x86/kernel/i8237.c
	{Function: "umwait_init", Level: Device},                                              // arch/x86/kernel/cpu/umwait.c
	{Function: "sgx_init", Level: Device},                                                 // arch/x86/kernel/cpu/sgx/main.c
	{Function: "ioapic_init_ops", Level: Device},                                          // arch/x86/kernel/apic/io_apic.c
	{Function: "add_pcspkr", Level: Device},                                               // arch/*/kernel
	{Function: "pt_dump_init", Level: Device},                                             // arch/*/mm/dump_pagetables.c
	{Function: "cpuinfo_regs_init", Level: Device},                                        // arch/arm64/kernel/cpuinfo.c
	{Function: "aarch32_el0_sysfs_init", Level: Device},                                   // arch/arm64/kernel/cpufeature.c
	{Function: "proc_ppc64_init", Level: Device},                                          // arch/powerpc/kernel/proc_powerpc.c
	{Function: "serial_dev_init", Level: Device},                                          // arch/powerpc/kernel/legacy_serial.c
	{Function: "audit_classes_init", Level: Device},                                       // arch/*/kernel, lib/audit.c
	{Function: "proc_execdomains_init", Level: Device},                                    // kernel/exec_domain.c
	{Function: "register_warn_debugfs", Level: Device},                                    // kernel/panic.c
	{Function: "ioresources_init", Level: Device},                                         // kernel/resource.c
	{Function: "cpuhp_sysfs_init", Level: Device},                                         // kernel/cpu.c
	{Function: "timekeeping_init_ops", Level: Device},                                     // kernel/time/timekeeping.c
	{Function: "init_clocksource_sysfs", Level: Device},                                   // kernel/time/clocksource.c
	{Function: "init_timer_list_procfs", Level: Device},                                   // kernel/time/timer_list.c
	{Function: "security_initcall_device", Level: Device},                                 // security/lsm_init.c, since 6.19

	{Function: "mcheck_init_device", Level: DeviceSync},     // arch/x86/kernel/cpu/mce/core.c
	{Function: "dev_mcelog_init_device", Level: DeviceSync}, // arch/x86/kernel/cpu/mce/dev-mcelog.c

	{Function: "kernel_do_mounts_initrd_sysctls_init", Level: Late}, // init/do_mounts_initrd.c
	{Function: "tboot_late_init", Level: Late},                      // arch/x86/kernel/tboot.c
	{Function: "sld_mitigate_sysctl_init", Level: Late},             // arch/x86/kernel/cpu/intel.c
	{Function: "mcheck_late_init", Level: Late},                     // arch/x86/kernel/cpu/mce/core.c
	{Function: "severities_debugfs_init", Level: Late},              // arch/x86/kernel/cpu/mce/severity.c
	{Function: "resctrl_late_init", Level: Late},                    // arch/x86/kernel/cpu/resctrl/core.c
	{Function: "hpet_insert_resource", Level: Late},                 // arch/x86/kernel/acpi/boot.c
	{Function: "start_sync_check_timer", Level: Late},               // arch/x86/kernel/tsc_sync.c
	{Function: "update_mp_table", Level: Late},                      // arch/x86/kernel/mpparse.c
	{Function: "lapic_insert_resource", Level: Late},                // arch/x86/kernel/apic/apic.c
	{Function: "print_ipi_mode", Level: Late},                       // arch/x86/kernel/apic/ipi.c
	{Function: "print_ICs", Level: Late},                            // arch/x86/kernel/apic/vector.c
	{Function: "create_tlb_single_page_flush_ceiling", Level: Late}, // arch/x86/mm/tlb.c, arch/powerpc/mm/book3s64/radix_tlb.c
	{Function: "pat_memtype_list_init", Level: Late},                // arch/x86/mm/pat/memtype.c
	{Function: "create_init_pkru_value", Level: Late},               // arch/x86/mm/pkeys.c
	{Function: "drmem_init", Level: Late},                           // arch/powerpc/mm/drmem.c
	{Function: "check_features", Level: Late},                       // arch/powerpc/lib/feature-fixups.c
	{Function: "kernel_panic_sysctls_init", Level: Late},            // kernel/panic.c
	{Function: "kernel_panic_sysfs_init", Level: Late},              // kernel/panic.c
	{Function: "reboot_ksysfs_init", Level: Late},                   // kernel/reboot.c
	{Function: "printk_late_init", Level: Late},                     // kernel/printk/printk.c
	{Function: "kernel_exit_sysctls_init", Level: Late},             // kernel/exit.c
	{Function: "kernel_exit_sysfs_init", Level: Late},               // kernel/exit.c
	{Function: "sched_clock_init_late", Level: Late},                // kernel/sched/clock.c
	{Function: "sched_init_debug", Level: Late},                     // kernel/sched/debug.c
	{Function: "swiotlb_create_default_debugfs", Level: Late},       // kernel/dma/swiotlb.c
	{Function: "tk_debug_sleep_time_init", Level: Late},             // kernel/time/timekeeping_debug.c
	{Function: "init_ima", Level: Late},                             // security/integrity/ima/ima_main.c
	{Function: "security_initcall_late", Level: Late},               // security/lsm_init.c, since 6.19
	{Function: "crypto_algapi_init", Level: Late},                   // crypto/algapi.c
	{Function: "deferred_probe_initcall", Level: Late},              // drivers/base/dd.c

	{Function: "debug_hotplug_cpu", Level: LateSync},        // arch/x86/kernel/topology.c
	{Function: "software_resume", Level: LateSync},          // kernel/power/hibernate.c
	{Function: "software_resume_initcall", Level: LateSync}, // same file, newer kernels
	{Function: "ftrace_check_sync", Level: LateSync},        // kernel/trace/ftrace.c
	{Function: "latency_fsnotify_init", Level: LateSync},    // kernel/trace/trace.c
	{Function: "trace_eval_sync", Level: LateSync},          // kernel/trace/trace.c
	{Function: "late_trace_init", Level: LateSync},          // kernel/trace/trace.c
	// A kernel whose IMA starts with late_initcall_sync (6.1 with one line
	// changed) calls init_ima after drivers/, not before.
	{Function: "init_ima", Level: LateSync, After: "deferred_probe_initcall"},
	{Function: "security_initcall_late_sync", Level: LateSync},            // security/lsm_init.c, since 7.3
	{Function: "acpi_gpio_handle_deferred_request_irqs", Level: LateSync}, // drivers/gpio/gpiolib-acpi.c
	{Function: "fb_logo_late_init", Level: LateSync},                      // drivers/video/logo/logo.c
	{Function: "amba_stub_drv_init", Level: LateSync},                     // drivers/amba/bus.c
	{Function: "clk_disable_unused", Level: LateSync},                     // drivers/clk/clk.c
	{Function: "imx_clk_disable_uart", Level: LateSync},                   // drivers/clk/imx/clk.c
	{Function: "balloon_wait_finish", Level: LateSync},                    // drivers/xen/balloon.c
	{Function: "regulator_init_complete", Level: LateSync},                // drivers/regulator/core.c
	{Function: "of_platform_sync_state_init", Level: LateSync},            // drivers/of/platform.c
	{Function: "alsa_sound_last_init", Level: LateSync},                   // sound/last.c
}

// Markers returns the built-in markers in the order of their levels.
func Markers() []Marker {
	return append([]Marker(nil), markers[:]...)
}
