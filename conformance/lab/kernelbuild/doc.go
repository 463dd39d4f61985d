// Package kernelbuild builds and keeps the kernels of the lab that no distribution
// ships: small ones for arm64 and x86-64, from Debian's source packages, whose IMA starts
// at late_initcall or at late_initcall_sync, with and without loadable modules.
//
// A [Kernel] is what to build; its name says all of it. [Builder.Build] gets the source
// package and the compiler, configures, edits and builds; [Cache] finds what was built.
// A kernel is known by its key: the version of its source package, its configuration and
// its edits. When one of them changes, the kernel is another one.
//
// Linux 7.3 can start IMA at late_initcall_sync by itself (CONFIG_IMA_INIT_LATE_SYNC).
// Older sources are edited to do what that option does, with the same name of the first
// record, boot_aggregate_late.
package kernelbuild
