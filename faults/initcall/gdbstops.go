package initcall

import (
	"fmt"
	"strings"

	"github.com/swtpmd/swtpmd/faults/initcall/internal/rsp"
)

// machine is a kind of processor as the gdbstub numbers its registers (QEMU:
// gdb-xml/).
type machine struct {
	name        string // as the stub's target description has it
	pc, state   int
	user        func(state uint32) bool
	link, stack int // where a function that was just called returns to: a register, or memory
}

const noRegister = -1

var machines = []machine{
	{
		name: "i386:x86-64", pc: 16,
		state: 18, user: func(cs uint32) bool { return cs&3 != 0 }, // CS: the privilege level
		link: noRegister, stack: 7,
	},
	{
		name: "aarch64", pc: 32,
		state: 33, user: func(cpsr uint32) bool { return cpsr&0xc == 0 }, // PSTATE: the exception level
		link: 30, stack: noRegister,
	},
}

// MachineError says that the gdbstub is one of a machine that GDB does not know.
type MachineError struct {
	Name string // as the stub tells, empty if it tells none
}

func (e *MachineError) Error() string {
	return fmt.Sprintf("the gdbstub is one of a machine %q; it must be i386:x86-64 or aarch64, so take another source of levels", e.Name)
}

// attached is a GDB at work: one goroutine's.
type attached struct {
	*GDB
	conn    *rsp.Conn
	machine machine

	armed map[uint64]stopAt // breakpoints by their address
	steps []stopAt          // those of the kernel that runs, in the order of its boot
	boot  int               // in which it started
	now   Level             // what it has reached
	named bool              // its command line was read
	// doubts are those of doubtsOf, a boot.
	doubts, doubtsOf int
}

// stopAt is a breakpoint.
type stopAt struct {
	level   Level
	name    string
	address uint64
}

// follow goes from stop to stop.
func (a *attached) follow() error {
	if err := a.meet(); err != nil {
		return err
	}
	start := stopAt{Kernel, a.kernel.startKernel.name, a.kernel.startKernel.start}
	if err := a.arm(start); err != nil {
		return err
	}
	for {
		if err := a.conn.Resume("c"); err != nil {
			return err
		}
		stop, err := a.conn.Wait()
		// Somebody at QEMU's monitor stops the guest, and will let it go on.
		for err == nil && stop.Signal != rsp.Trap {
			stop, err = a.conn.Wait()
		}
		if err != nil {
			return err
		}
		if err := a.stopped(stop); err != nil {
			return err
		}
	}
}

// meet stops the guest and asks what machine it is.
func (a *attached) meet() error {
	if err := a.conn.Interrupt(); err != nil {
		return err
	}
	if _, err := a.conn.First("qSupported:vContSupported+"); err != nil {
		return err
	}
	// The one tells which actions vCont has, and QEMU has registers to be asked for
	// one by one only for who has read the other.
	if _, err := a.conn.Command("vCont?"); err != nil {
		return err
	}
	target, err := a.conn.Command("qXfer:features:read:target.xml:0,800")
	if err != nil {
		return err
	}
	_, name, _ := strings.Cut(target, "<architecture>")
	name, _, _ = strings.Cut(name, "</architecture>")
	for _, m := range machines {
		if m.name == name {
			a.machine = m
			return nil
		}
	}
	return &MachineError{Name: cut(name, 80)}
}

// arm sets a breakpoint: Z1, of hardware, because the memory of a kernel that has
// not been loaded takes none of the other kind.
func (a *attached) arm(at stopAt) error {
	if _, there := a.armed[at.address]; there {
		return nil
	}
	a.armed[at.address] = at
	return a.conn.Do(fmt.Sprintf("Z1,%x,1", at.address))
}

// disarm removes a breakpoint, if it is set.
func (a *attached) disarm(at stopAt) error {
	if _, there := a.armed[at.address]; !there {
		return nil
	}
	delete(a.armed, at.address)
	return a.conn.Do(fmt.Sprintf("z1,%x,1", at.address))
}

// stopped looks at a guest that has stopped.
func (a *attached) stopped(stop rsp.Stop) error {
	boot := a.clock.Now().Boot // a reset from here on makes what is seen the past
	if stop.Thread != "" {
		if err := a.conn.Do("Hg" + stop.Thread); err != nil {
			return err
		}
	}
	pc, err := a.register(a.machine.pc)
	if err != nil {
		return err
	}
	at, ok := a.armed[pc]
	if !ok {
		return nil // a reset came in between
	}
	why, err := a.doubtful(at)
	switch {
	case err != nil:
		return err
	case why != "":
		a.doubt(at, why)
		return a.stepOver(at, stop)
	case at.level == Kernel:
		if err := a.begin(boot, at); err != nil {
			return err
		}
		return a.stepOver(at, stop)
	}
	if boot != a.boot {
		return a.forget() // another kernel is there, which has not come to start_kernel
	}
	return a.reached(at)
}

// forget forgets the kernel that ran.
func (a *attached) forget() error {
	for _, s := range a.steps {
		if err := a.disarm(s); err != nil {
			return err
		}
	}
	a.steps, a.now, a.named = nil, Kernel, false
	return nil
}

// doubtful returns the reason for which a stop counts for nothing.
func (a *attached) doubtful(at stopAt) (string, error) {
	state, err := a.conn.Bytes(fmt.Sprintf("p%x", a.machine.state), 4)
	if err != nil {
		return "", err
	}
	if a.machine.user(uint32(littleEndian(state))) {
		return "a process has jumped there", nil
	}
	if at.level == Kernel || at.level == Userspace {
		return "", nil
	}
	caller, err := a.returnsTo()
	if err == nil && !a.kernel.caller.holds(caller) {
		return "something else than " + a.kernel.caller.name + " has called it", nil
	}
	return "", err
}

// returnsTo returns the address to which a function that was just called returns.
func (a *attached) returnsTo() (uint64, error) {
	if a.machine.link != noRegister {
		return a.register(a.machine.link)
	}
	stack, err := a.register(a.machine.stack)
	if err != nil {
		return 0, err
	}
	top, err := a.conn.Memory(stack, 8)
	return littleEndian(top), err
}

// register returns a register of 8 bytes of the processor that stopped.
func (a *attached) register(number int) (uint64, error) {
	data, err := a.conn.Bytes(fmt.Sprintf("p%x", number), 8)
	return littleEndian(data), err
}

func littleEndian(data []byte) (n uint64) {
	for i, b := range data {
		n |= uint64(b) << (8 * i)
	}
	return n
}

// stepOver has the processor that stopped at a breakpoint go beyond it, while the
// others stand: they must not pass it meanwhile.
func (a *attached) stepOver(at stopAt, stop rsp.Stop) error {
	if err := a.disarm(at); err != nil {
		return err
	}
	action := "s"
	if stop.Thread != "" {
		action += ":" + stop.Thread
	}
	if err := a.conn.Resume(action); err != nil {
		return err
	}
	if _, err := a.conn.Wait(); err != nil {
		return err
	}
	return a.arm(at)
}

// armNext has the guest stop where the two levels that come next begin, and where
// init is executed: the first initcall of a level might not be called, and
// processors have no more than four breakpoints.
func (a *attached) armNext() error {
	last, chosen := a.now, 0
	for i, s := range a.steps {
		if s.level <= last || chosen == 2 && i < len(a.steps)-1 {
			continue
		}
		last = s.level
		chosen++
		if err := a.arm(s); err != nil {
			return err
		}
	}
	return nil
}

// reached takes a level that the kernel has reached.
func (a *attached) reached(at stopAt) error {
	a.advance(at)
	a.now = at.level
	for _, s := range a.steps {
		if s.level > a.now {
			break
		}
		if err := a.disarm(s); err != nil {
			return err
		}
	}
	if !a.named {
		a.named = true
		if err := a.leaveOut(); err != nil {
			return err
		}
	}
	return a.armNext()
}

// advance moves the clock, unless the machine was reset since the kernel started.
func (a *attached) advance(at stopAt) {
	cause := "breakpoint at " + at.name
	if at.level != Kernel && at.level != Userspace {
		cause += ", called by " + a.kernel.caller.name
	}
	e := Event{Level: at.level, At: NoTime, Cause: cut(cause, maxCause)}
	// Somebody else may have moved the clock further; that is no error.
	_ = a.clock.advance(e, func() bool { return a.clock.Now().Boot == a.boot })
}

// doubt tells of a stop that moves nothing.
func (a *attached) doubt(at stopAt, why string) {
	now := a.clock.Now()
	if a.doubtsOf != now.Boot {
		a.doubts, a.doubtsOf = 0, now.Boot
	}
	if a.doubts == MaxDoubts {
		return
	}
	a.doubts++
	if a.Doubted != nil {
		a.Doubted(Doubt{Boot: now.Boot, Level: now.Level, Line: cut("breakpoint at "+at.name, maxCause), Reason: why})
	}
}
