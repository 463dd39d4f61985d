package initcall

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/swtpmd/swtpmd/faults/initcall/internal/rsp"
)

// GDB moves a Clock by where a guest's kernel is, which QEMU's gdbstub shows: the
// guest stops at a breakpoint before the first initcall of a level is called, the
// Clock moves, and the guest goes on. So the level is there in time even for an
// initcall that waits for it, and nothing depends on what is printed.
//
// It takes the SystemMap of the very kernel that the guest boots, with nokaslr on
// the command line, and a machine that QEMU can debug: x86-64 or ARM64. The guest
// may be one of KVM: breakpoints are hardware's, and no more than four at a time.
//
// # Whom it believes
//
// Nobody but the kernel's own code. Processes may jump to a kernel's address, and
// a processor stops there before it finds that they must not: such stops are told
// to Doubted, and the guest goes on. A level counts only when do_one_initcall
// calls the function. Who can change the kernel's code or memory (root, with a
// module or /dev/mem) can do all of that, too.
//
// # When a new boot starts
//
// As for a Console: with Reset, or at start_kernel if Reset was never called. A
// kernel that another one starts, without a Reset, counts with FollowKexec, and
// only if it is the same build.
type GDB struct {
	// FollowKexec has a kernel that starts without a Reset begin a new boot.
	FollowKexec bool
	// Found, if set, is called with the banner of each kernel that the SystemMap
	// fits.
	Found func(banner string)
	// Refused, if set, is called with what keeps a guest from being followed: a
	// *WrongKernelError, a *MachineError, or what is wrong with its gdbstub. The
	// guest goes on, and no level comes.
	Refused func(error)
	// Doubted, if set, is called with stops that move nothing, the first
	// MaxDoubts of a boot. None of these functions may call the GDB.
	Doubted func(Doubt)

	clock  *Clock
	kernel *SystemMap

	mu      sync.Mutex
	powered bool // Reset has been called
	started bool // a kernel has started since
}

// NewGDB makes a GDB that moves clock. Set its fields before the first Reset or
// Follow.
func NewGDB(clock *Clock, kernel *SystemMap) *GDB {
	return &GDB{clock: clock, kernel: kernel}
}

// Reset says that the machine was reset or got power, as cause tells: clock gets
// a PowerOn. Call it while the machine waits, as for a Console.
func (g *GDB) Reset(cause string) {
	g.mu.Lock()
	g.powered, g.started = true, false
	g.mu.Unlock()
	g.clock.PowerOn(cause)
}

// starts takes down that a kernel has come to start_kernel, and reports whether it
// counts, and whether that is a new boot.
func (g *GDB) starts() (counts, newBoot bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	another := g.started
	g.started = true
	return !another || !g.powered || g.FollowKexec, another
}

// Follow follows the guests whose gdbstubs come to the socket of feed, one after
// the other. It returns ctx's error when ctx ends, and closes the feed. A feed of
// another kind than unix:PATH is refused with a *SourceError.
func (g *GDB) Follow(ctx context.Context, feed *Feed) error {
	socket, ok := feed.open.(*socketFeed)
	if !ok {
		_ = feed.Close()
		return &SourceError{Text: "-", Reason: "a gdbstub is at a socket"}
	}
	last := ""
	return socket.each(ctx, func(conn net.Conn) {
		err := g.attach(ctx, conn)
		// A server that always fails is met ten times a second.
		if err != nil && ctx.Err() == nil && g.Refused != nil && err.Error() != last {
			last = err.Error()
			g.Refused(err)
		}
	})
}

// attach follows the guest of conn until conn or ctx ends, and closes conn.
func (g *GDB) attach(ctx context.Context, conn net.Conn) error {
	defer conn.Close()
	a := &attached{GDB: g, conn: rsp.NewConn(conn), armed: make(map[uint64]stopAt)}
	// A deadline wakes up who waits for a guest that runs.
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = conn.SetDeadline(time.Unix(1, 0))
		close(woken)
	})
	err := a.follow()
	if !stop() {
		<-woken
	}
	if gone(err) {
		return nil
	}
	// Breakpoints that stay would stop the guest with nobody to let it go on.
	_ = conn.SetDeadline(time.Now().Add(detachPatience))
	_ = a.conn.Detach()
	return err
}

// gone reports whether err is the end of a guest, or of its connection.
func gone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

// detachPatience is how long a stub may take to let go of its guest.
const detachPatience = 300 * time.Millisecond
