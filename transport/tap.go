package transport

import (
	"context"
	"time"
)

// Exchange is one command and what came of it.
type Exchange struct {
	// Time is when the command was sent.
	Time time.Time
	// Duration is how long the answer took.
	Duration time.Duration
	// Probe is set if the transport itself asked, see WithProbe.
	Probe bool
	// Unseen is set if the command did not come to the Witness below: something has
	// answered in the TPM's stead.
	Unseen   bool
	Locality uint8
	// Command and Response are valid during the call only, and are not to be
	// changed.
	Command, Response []byte
	Err               error
}

// tap is the wrapper that NewTap makes.
type tap struct {
	Device
	watcher Watcher
	now     func() time.Time
	report  func(Exchange)
}

// NewTap returns d with every exchange reported to report, which is called by
// the goroutine that sends, after the answer and before it goes on; so it may
// be called concurrently. What else d can do is found through As. The times
// come from now, time.Now if it is nil.
func NewTap(d Device, now func() time.Time, report func(Exchange)) Device {
	if now == nil {
		now = time.Now
	}
	return &tap{Device: d, watcher: NewWatcher(d), now: now, report: report}
}

// Unwrap returns the tapped device.
func (t *tap) Unwrap() Device { return t.Device }

func (t *tap) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	start := t.now()
	ctx, sight := t.watcher.Watch(ctx)
	response, err := t.Device.Send(ctx, locality, command)
	t.report(Exchange{
		Time:     start,
		Duration: t.now().Sub(start),
		Probe:    IsProbe(ctx),
		Unseen:   !sight.Came(),
		Locality: locality,
		Command:  command,
		Response: response,
		Err:      err,
	})
	return response, err
}
