package transport

import "context"

// Witness returns d, which tells whoever waits with Watch above it that a command has
// come to it. It is for the place below what may answer in a TPM's stead, such as a
// fault. What else d can do is found through As.
func Witness(d Device) Device { return &witness{d} }

type witness struct{ Device }

// Unwrap returns the device.
func (w *witness) Unwrap() Device { return w.Device }

func (w *witness) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	mark, _ := ctx.Value(markKey{}).(*mark)
	for ; mark != nil; mark = mark.outer {
		mark.came = true
	}
	return w.Device.Send(ctx, locality, command)
}

type markKey struct{}

// mark is one who watches, and outer the one above it.
type mark struct {
	came  bool
	outer *mark
}

// Watch returns a context for one Send to d. After it came reports whether the command
// came to the Witness in the chain of wrappers around d; without one it always did.
func Watch(ctx context.Context, d Device) (watched context.Context, came func() bool) {
	if _, ok := As[*witness](d); !ok {
		return ctx, func() bool { return true }
	}
	outer, _ := ctx.Value(markKey{}).(*mark)
	m := &mark{outer: outer}
	return context.WithValue(ctx, markKey{}, m), func() bool { return m.came }
}

// Watched reports whether a context is that of a Send for which somebody watches.
func Watched(ctx context.Context) bool { return ctx.Value(markKey{}) != nil }
