package boot

import (
	"slices"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// Attack is a scenario of an attacker who owns the root file system and can
// delay the TPM's driver, but not change the kernel image, and wants a list and
// a quote that look as if nothing had happened: Roberto Sassu's argument against
// a name that is chosen at run time, as a boot.
//
// Each scenario does this: at device level the TPM's probe defers until
// deferred_probe_initcall; between init_ima's place in late and that, the kernel
// calls a program of the attacker's (request_module from a root file system that
// nobody verifies). If the program gets to run, it does what the scenario says.
type Attack uint8

// The scenarios.
const (
	NoAttack Attack = iota
	// Rename patches the kernel so that the next boot aggregate is called
	// boot_aggregate, whatever the strategy wanted. It is for Retry, and for
	// Kconfig.
	Rename
	// Filter is Rename, and hooks never see the attacker's other programs. It
	// is for every strategy with a window before IMA: LateSync, Notifier.
	Filter
	// Unlink takes the program's own record, which has been extended
	// nowhere, out of the list in memory. It is for Late and Dual.
	Unlink
	// Dequeue takes the program's own measurement out of the queue before it
	// is extended. It is for Queue.
	Dequeue
)

var attackNames = [...]string{NoAttack: "none", Rename: "rename", Filter: "filter", Unlink: "unlink", Dequeue: "dequeue"}

// Attacks lists the scenarios, NoAttack first.
func Attacks() []Attack {
	all := make([]Attack, len(attackNames))
	for i := range all {
		all[i] = Attack(i)
	}
	return all
}

func (a Attack) String() string { return nameOf(attackNames[:], a, "Attack") }

// MarshalText returns the scenario's name.
func (a Attack) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText reads the scenario's name, with an *UnknownNameError.
func (a *Attack) UnmarshalText(text []byte) (err error) {
	*a, err = parseName[Attack](attackNames[:], string(text), "attack")
	return err
}

// AttackOutcome says how far an attack came. Whether a verifier sees it is
// decided by the list and the PCRs: a program that ran and is in no record has
// left no trace there.
type AttackOutcome struct {
	// Ran reports that the attacker's program was executed; otherwise the
	// machine denied it or never called it.
	Ran bool `json:"ran"`
	// Measured reports that a record of it was in the list or queued before it
	// ran, Extended that the record was in the PCR too.
	Measured bool `json:"measured"`
	Extended bool `json:"extended"`
	// Hidden reports that it took its record or its queued measurement away,
	// Renamed that it forced the name of the boot aggregate's record.
	Hidden  bool `json:"hidden"`
	Renamed bool `json:"renamed"`
	// Filtered counts the later uses of files that hooks did not see.
	Filtered int `json:"filtered"`
}

// Unseen reports whether the attacker's program ran and no record of the final list
// tells of it.
func (o *AttackOutcome) Unseen() bool { return o.Ran && (!o.Measured || o.Hidden) }

const (
	payloadPath  = "/sbin/modprobe" // the attacker's
	backdoorPath = "/usr/libexec/backdoor"
	overlay      = "attacker-overlay"
)

// attackState is the attack in the running machine.
type attackState struct {
	kind    Attack
	running bool
	outcome AttackOutcome
	hidden  []string // names of records taken out of the list
}

// prepare returns the platform with the attacker's changes.
func (a Attack) prepare(p *Platform) *Platform {
	if a == NoAttack {
		return p
	}
	q := *p
	q.Drivers = append(slices.Clone(p.Drivers), Driver{Name: overlay, Took: time.Millisecond})
	q.Devices = append(slices.Clone(p.Devices), Device{Name: overlay, Driver: overlay})
	for i := range q.Devices {
		d := &q.Devices[i]
		driver := slices.IndexFunc(q.Drivers, func(drv Driver) bool { return drv.Name == d.Driver })
		if driver >= 0 && q.Drivers[driver].Kind.tpm() {
			d.Needs = append(slices.Clone(d.Needs), overlay)
		}
	}
	q.Helpers = append(slices.Clone(p.Helpers), Helper{
		Name: "attacked-modprobe", Took: 5 * time.Millisecond,
		Accesses: []Access{{Kind: Exec, Path: payloadPath, payload: true}},
	})
	q.Initcalls = nil
	for _, c := range p.Initcalls {
		q.Initcalls = append(q.Initcalls, c)
		if c.Action == StartIMA {
			q.Initcalls = append(q.Initcalls, Initcall{Level: initcall.Late, Name: "attacked_selftest", Helpers: []string{"attacked-modprobe"}})
		}
	}
	// After the TPM's driver and before late, so the TPM waits for
	// deferred_probe_initcall.
	q.Initcalls = append(q.Initcalls, Initcall{Level: initcall.DeviceSync, Name: "attacker_overlay_init", Register: []string{overlay}})
	q.Userspace.Accesses = append(slices.Clone(p.Userspace.Accesses), Access{Kind: Exec, Path: backdoorPath})
	return &q
}

// run is the attacker's program, which has just been executed.
func (a *attackState) run(k *kernel, t *task, u *use) {
	o := &a.outcome
	a.running, o.Ran = true, true
	listed := false
	for _, e := range k.events {
		if e.Name == u.file.path {
			listed = listed || e.Kind == RecordExtended || e.Kind == RecordUnextended
			o.Measured = o.Measured || listed || e.Kind == RecordQueued
			o.Extended = o.Extended || e.Kind == RecordExtended
		}
	}
	k.emit(t, Event{Kind: AttackRun, Name: u.file.path, Text: a.kind.String()})
	switch a.kind {
	case Unlink:
		if listed && !o.Extended {
			a.hidden = append(a.hidden, u.file.path)
			a.hide(k, t, u)
		}
	case Dequeue:
		if i := slices.IndexFunc(k.ima.queue, func(q *use) bool { return q.file == u.file }); i >= 0 {
			k.ima.queue = slices.Delete(k.ima.queue, i, i+1)
			k.summary.Queued--
			a.hide(k, t, u)
		}
	}
}

func (a *attackState) hide(k *kernel, t *task, u *use) {
	a.outcome.Hidden = true
	k.emit(t, Event{Kind: RecordHidden, Name: u.file.path})
}

// forgesName reports whether the patched kernel names the boot aggregate now.
func (a *attackState) forgesName() bool {
	if !a.running || a.kind != Rename && a.kind != Filter {
		return false
	}
	a.outcome.Renamed = true
	return true
}

// filters reports whether the patched kernel keeps a use of a file from the hooks.
func (a *attackState) filters(u *use) bool {
	if !a.running || a.kind != Filter || u.file.path != backdoorPath {
		return false
	}
	a.outcome.Filtered++
	return true
}
