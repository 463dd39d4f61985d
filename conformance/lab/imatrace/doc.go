// Package imatrace has a kernel tell with which calls IMA was asked, and asks the
// embedded IMA in the same way.
//
// [Probes] returns the kprobe events that a guest has to write to kprobe_events in
// tracefs: the entry of process_measurement, to which all hooks on files lead, of
// ima_file_free and of ima_update_policy (security/integrity/ima). Their arguments are
// read from the kernel's structures, whose layout [ReadLayout] takes from the BTF in the
// image of the kernel. [Parse] reads the file trace, and a [Player] gives the events to a
// [measure.IMA]. Nothing of it comes from the measurement list, so that list and
// [measure.IMA] can be compared.
package imatrace
