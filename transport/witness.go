package transport

import "context"

// Witness returns d, which tells every Watcher above it that a command has
// come to it. It is for the place below what may answer in a TPM's stead, such as a
// fault. What else d can do is found through As.
func Witness(d Device) Device { return &witness{d} }

type witness struct{ Device }

// Unwrap returns the device.
func (w *witness) Unwrap() Device { return w.Device }

func (w *witness) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	for s := sightOf(ctx); s != nil; s = s.outer {
		s.came = true
	}
	return w.Device.Send(ctx, locality, command)
}

// Sight is what a Watcher sees of one Send.
type Sight struct {
	context.Context
	came  bool
	outer *Sight // of the one who watches above
}

// sightKey is the key under which a context has its Sight.
type sightKey struct{}

// Value implements context.Context.
func (s *Sight) Value(key any) any {
	if key == (sightKey{}) {
		return s
	}
	return s.Context.Value(key)
}

func sightOf(ctx context.Context) *Sight {
	s, _ := ctx.Value(sightKey{}).(*Sight)
	return s
}

// Watcher watches the commands that are sent to one Device.
type Watcher struct{ witnessed bool }

// NewWatcher returns a Watcher for d. It has nothing to tell without a Witness in the
// chain of wrappers around d.
func NewWatcher(d Device) Watcher {
	_, ok := As[*witness](d)
	return Watcher{ok}
}

// Watch returns a context for one Send to the Device, and what tells afterwards whether
// the command came to the Witness.
func (w Watcher) Watch(ctx context.Context) (context.Context, *Sight) {
	if !w.witnessed {
		return ctx, nil
	}
	s := &Sight{Context: ctx, outer: sightOf(ctx)}
	return s, s
}

// Came reports whether the command came to the Witness. Without one, where s is nil, it
// always did.
func (s *Sight) Came() bool { return s == nil || s.came }

// Watched reports whether a context is that of a Send for which somebody watches.
func Watched(ctx context.Context) bool { return sightOf(ctx) != nil }
