package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall"
)

// stretch is a part of a boot that KVM must complete in time.
type stretch struct {
	to    initcall.Level // its end
	limit time.Duration
	late  string // what did not happen in time
}

// stretches end at the drivers: after that the time of a boot depends on the TPM.
// Some virtual machines have a /dev/kvm that opens and runs the firmware of a guest,
// and then runs nothing or is very slow. TCG needs about 3.5 s for the first stretch
// and 2 s for the second.
var stretches = []stretch{
	{initcall.Kernel, 10 * time.Second, "no kernel banner"},
	{initcall.Device, 10 * time.Second, "a kernel banner, but no drivers"},
}

// LateGuestError reports that a guest did not complete a stretch of its boot in
// time.
type LateGuestError struct {
	What  string
	Limit time.Duration
}

func (e *LateGuestError) Error() string { return fmt.Sprintf("%s within %s", e.What, e.Limit) }

// trial is a way to try KVM. The zero value tries that of the machine.
type trial struct {
	device string                               // /dev/kvm if empty
	timer  func(time.Duration) <-chan time.Time // time.After if nil
}

// usable reports whether there is a KVM to try.
func (t trial) usable() bool {
	if t.device == "" {
		t.device = "/dev/kvm"
	}
	kvm, err := os.OpenFile(t.device, os.O_RDWR, 0)
	if err != nil {
		return false
	}
	kvm.Close()
	return true
}

func (t trial) after(d time.Duration) <-chan time.Time {
	if t.timer == nil {
		return time.After(d)
	}
	return t.timer(d)
}

// auto boots under KVM if the boot reaches the guest's init so, and otherwise under
// TCG. If TCG gets further than KVM did, it writes a note, and the next boot does not
// try KVM.
func auto(ctx context.Context, c Config) (*Record, error) {
	tcg := c
	tcg.Machine.Accel = TCG
	if !c.trial.usable() {
		record, _, err := attempt(ctx, tcg)
		return record, err
	}
	note := noteOn(c.Cache)
	if said, ok := note.read(time.Now()); ok {
		fmt.Fprintf(c.Progress, "booting without KVM: %s (%s, noted in %s for %d days; --accel=kvm tries it again)\n",
			said.Reason, said.At.Local().Format(time.DateTime), note.path, int(noteLife.Hours()/24))
		record, _, err := attempt(ctx, tcg)
		return record, err
	}

	kvm := c
	kvm.Machine.Accel, kvm.hurry = KVM, true
	record, got, err := attempt(ctx, kvm)
	var failed *BootError
	if got.init || ctx.Err() != nil || !errors.As(err, &failed) {
		return record, err
	}
	reason := kvmReason(failed)
	fmt.Fprintf(c.Progress, "giving up KVM: %s; booting again under TCG\n", reason)
	record, better, err := attempt(ctx, tcg)
	switch {
	case better.further(got):
		note.write(c, reason)
	case better.init:
		fmt.Fprintf(c.Progress, "TCG was slow too, so KVM is tried again next time\n")
	}
	return record, err
}

// withKVM boots under KVM, however long it takes. If that works, it removes the note
// against KVM.
func withKVM(ctx context.Context, c Config) (*Record, error) {
	record, got, err := attempt(ctx, c)
	var failed *BootError
	switch {
	case got.init:
		noteOn(c.Cache).remove()
	case errors.As(err, &failed):
		failed.Hint = "without KVM: --accel=tcg, or auto, which tries both"
	}
	return record, err
}

// kvmReason returns why a boot under KVM failed. A QEMU that has ended prints the
// cause first, and then its consequences.
func kvmReason(failed *BootError) string {
	reason := failed.Err.Error()
	var late *LateGuestError
	if errors.As(failed, &late) {
		return reason
	}
	lines := strings.Split(failed.QEMU, "\n")
	said := slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, "error:") })
	if said = max(said, 0); lines[said] != "" {
		reason += ": " + lines[said]
	}
	return reason
}

// reached is how far a guest has come.
type reached struct {
	ends [2]time.Duration // when the end of each stretch was reached; 0: never
	late bool             // it was ended because it was late
	init bool             // its init has said hello
}

// further reports whether a boot under TCG shows that the fault was KVM's: it has
// completed the stretch that KVM did not complete, in at most twice the time that KVM
// had. On a machine so busy that it needs more, a good KVM may be late too.
func (r reached) further(kvm reached) bool {
	if !kvm.late {
		return r.init
	}
	for i, s := range stretches {
		begin := time.Duration(0)
		if i > 0 {
			begin = r.ends[i-1]
		}
		if kvm.ends[i] == 0 {
			return r.ends[i] != 0 && r.ends[i]-begin <= 2*s.limit
		}
	}
	return false
}

// watch follows the console of a guest through the stretches, and cancels ctx if
// the guest must hurry and is late. It returns when the guest has completed them, has
// said hello or ends.
func (r *runner) watch(ctx context.Context, feed *initcall.Feed) {
	clock := new(initcall.Clock)
	console, err := initcall.NewConsole(clock)
	if err != nil {
		panic(err) // there are no markers that could be refused
	}
	ctx, stop := context.WithCancel(ctx)
	var following sync.WaitGroup
	following.Go(func() { _ = feed.Follow(ctx, console, nil) }) // until ctx ends
	defer following.Wait()
	defer stop()
	for i, s := range stretches {
		passed := make(chan error, 1)
		following.Go(func() { passed <- clock.Wait(ctx, s.to) })
		var due <-chan time.Time
		if r.hurry {
			due = r.trial.after(s.limit)
		}
		select {
		case <-r.hello:
			return
		case err := <-passed:
			if err != nil {
				return
			}
			r.got.ends[i] = time.Since(r.begun)
		case <-due:
			if r.settled.CompareAndSwap(false, true) {
				r.got.late = true
				r.cancel(&LateGuestError{What: s.late, Limit: s.limit})
			}
			return
		}
	}
}

// greeted records that the guest's init has said hello: it cannot be late any more.
func (r *runner) greeted() {
	if r.settled.CompareAndSwap(false, true) {
		r.got.init = true
		close(r.hello)
	}
}

// through fills in what the console has not shown: a guest whose init has said
// hello has completed every stretch.
func (r *reached) through(at time.Duration) {
	for i := range r.ends {
		if r.init && r.ends[i] == 0 {
			r.ends[i] = at
		}
	}
}
