package daemon

import (
	"context"
	"encoding/json"
	"io"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/sandbox"
)

// Device is a character device at which a daemon's TPM answers, besides its sockets.
type Device interface {
	// open opens what takes rights or a name, before --runas and --chroot.
	open() error
	// attach tells it whose device it is.
	attach(d *daemon)
	// about describes what is there once it is open: a line of text and a value for
	// JSON; "" if nothing is there yet.
	about() (text string, value any)
	// serve serves until ctx ends. It returns a *deviceGone if the device is over and
	// the daemon with it.
	serve(ctx context.Context) error
	// close closes what is open; serve may still run.
	close()
	// reach adds what the device needs while the daemon serves.
	reach(r *sandbox.Reach)
}

// deviceGone is the end of a daemon whose device has gone as its protocol has it.
type deviceGone struct{ cause string }

func (e *deviceGone) Error() string { return e.cause }

// tellDevice tells which device there is.
func (d *daemon) tellDevice(out io.Writer) error {
	text, value := d.device.about()
	switch {
	case text == "":
		return nil
	case d.set.JSON:
		return json.NewEncoder(out).Encode(value)
	}
	_, err := io.WriteString(out, text+"\n")
	return err
}

// awaitTPM returns when no deferral keeps the TPM away.
func (d *daemon) awaitTPM(ctx context.Context) error {
	for _, rule := range d.set.Deferral.Rules() {
		for rule.When.InForce(d.clock.Now()) {
			if err := d.clock.Wait(ctx, rule.When.Until); err != nil {
				return err
			}
		}
	}
	return nil
}

// runDevice serves the device until the daemon ends.
func (d *daemon) runDevice(ctx context.Context) error {
	err := d.device.serve(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return err
}
