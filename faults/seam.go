package faults

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/swtpmd/swtpmd/transport"
)

// era is a time without a reset, power-off or cancel, or the time of a reset that lasts.
// Its end lets go every command that came in it, whether it is held, about to be held or
// about to go on to the TPM: a command takes its era when it comes, before anything is
// decided. An era that is followed by another one is over.
type era struct {
	over atomic.Bool
	end  release // valid once it is over
	// asserted is the cancel signal: no command is held while it is asserted.
	asserted bool
}

// seam is where commands go on to the device, and where those wait that do not. Layers
// above one another have one in common: the end of an era is the same moment for all.
type seam struct {
	era atomic.Pointer[era] // the present one
	// sending counts the commands that are on their way into the device or in it.
	sending atomic.Int64
	// resetting is set while a reset lasts, layered if there is more than one layer.
	resetting, layered atomic.Bool

	// switched is how often power has been switched.
	switched atomic.Uint64

	mu     sync.Mutex // held while eras change and holds begin and end
	empty  sync.Cond  // with mu: sending has come to 0
	holds  map[*hold]struct{}
	resets int // how many last
	// canceling is the cancel signal.
	canceling bool
	// signal is held while the cancel signal of the device below changes.
	signal sync.Mutex
	device transport.Device // below all layers

	// steps, if set, is called between two steps that others may come between. Tests play
	// every order with it. about is the era of the command, or its hold.
	steps func(point string, about any)
}

func (s *seam) at(point string, about any) {
	if s.steps != nil {
		s.steps(point, about)
	}
}

func newSeam(device transport.Device) *seam {
	s := &seam{holds: make(map[*hold]struct{}), device: device}
	s.empty.L = &s.mu
	s.era.Store(new(era))
	return s
}

// enter lets a command go on to the device, if its era is not over. leave must follow.
func (s *seam) enter(came *era) bool {
	s.sending.Add(1)
	s.at("counted", came)
	if came.over.Load() { // looked at after it is counted: see drain
		s.leave()
		return false
	}
	return true
}

func (s *seam) leave() {
	left := s.sending.Add(-1)
	s.at("left", nil)
	if left == 0 && s.resetting.Load() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.empty.Broadcast()
	}
}

// drain waits until no command is in the device or on its way into it, and cancels those
// that are. The era is over: whoever is counted from now on turns back.
func (s *seam) drain() {
	if s.sending.Load() == 0 {
		return
	}
	s.at("must drain", nil)
	s.signalBelow(func() bool { return true })
	s.mu.Lock()
	for s.sending.Load() != 0 {
		s.empty.Wait()
	}
	s.mu.Unlock()
	s.signalBelow(func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.canceling
	})
}

// signalBelow gives the device the cancel signal that asserted returns. A device without
// the signal is asked to cancel once.
func (s *seam) signalBelow(asserted func() bool) {
	s.signal.Lock()
	defer s.signal.Unlock()
	on := asserted()
	if below, ok := transport.As[transport.CancelSignal](s.device); ok {
		below.SetCancel(on)
	} else if below, ok := transport.As[transport.Canceler](s.device); ok && on {
		below.Cancel()
	}
}

// begin has the end of the era let h go: at once if the era is over already.
func (s *seam) begin(h *hold, came *era) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case came.over.Load():
		h.release(came.end)
	case came.asserted:
		h.release(canceled)
	default:
		s.holds[h] = struct{}{}
	}
}

func (s *seam) end(h *hold) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.holds, h)
}

// withdraw lets go what a rule holds.
func (s *seam) withdraw(r *rule, why release) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for h := range s.holds {
		if h.rule == r || h.rule.cause == r {
			h.release(why)
		}
	}
}

// letGo ends the era, and with it the waiting of every command that came in it.
// The caller holds mu.
func (s *seam) letGo(r release) {
	e := s.era.Load()
	if e.over.Load() {
		return
	}
	e.end = r
	e.over.Store(true)
	for h := range s.holds {
		h.release(r)
	}
	clear(s.holds)
}

// renew begins a new era, unless a reset lasts. The caller holds mu.
func (s *seam) renew() {
	if s.resets == 0 {
		s.era.Store(&era{asserted: s.canceling})
	}
}

var canceled = release{Canceled, "command canceled"}

// cancel begins a new era.
func (s *seam) cancel() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letGo(canceled)
	s.renew()
}

// setCancel begins a new era when the signal is asserted: commands that come until it is
// taken back may go on to the device, and are not held.
func (s *seam) setCancel(asserted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.canceling = asserted
	if asserted {
		s.letGo(canceled)
		s.renew()
	} else {
		s.era.Load().asserted = false
	}
}

// reset lets held commands go and then calls change: a stall never stands in the way of
// a reset. A command that is in the device ends before, canceled where it can be, and
// none that came before goes on to the device after it. While the reset lasts no command
// is held and none goes on, or one that came in time to find a device with power would be
// left to wait, or reach the TPM of the next boot.
func (s *seam) reset(r release, change func() error) error {
	s.mu.Lock()
	s.resets++
	s.resetting.Store(true)
	s.switched.Add(1)
	s.letGo(r)
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.resets--
		s.resetting.Store(s.resets > 0)
		s.renew()
	}()
	s.at("era ended", nil)
	s.drain()
	return change()
}

type eraKey struct{}

// withEra tells the layer below in which era a command came.
func withEra(ctx context.Context, came *era) context.Context {
	return context.WithValue(ctx, eraKey{}, came)
}

// came returns the era of a command that comes now, or has come to a layer above.
func (s *seam) came(ctx context.Context) *era {
	if s.layered.Load() {
		if above, ok := ctx.Value(eraKey{}).(*era); ok {
			return above
		}
	}
	return s.era.Load()
}
