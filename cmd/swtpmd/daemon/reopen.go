package daemon

import (
	"context"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/sandbox"
)

// reopenOnHangup has SIGHUP open the daemon's files anew, as logrotate(8) asks for. A
// daemon with no such file ends with that signal, as with a terminal that is closed,
// unless it has no terminal by what it was asked for: in the background and under a
// service manager it goes on.
func (d *daemon) reopenOnHangup(ctx context.Context) {
	if len(d.files.Directories()) == 0 && !process.InBackground() && d.manager == nil {
		return
	}
	hangups := process.Hangups(ctx)
	d.run(func() error {
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-hangups:
				d.reopen()
			}
		}
	})
}

// reopen opens the files anew, and tells the service manager, which may have asked.
func (d *daemon) reopen() {
	d.toldManager(d.manager.Reloading())
	if err := d.files.Reopen(); err != nil {
		d.log.Warn("a file was not opened anew: what it was is written on", "cause", err)
	} else {
		d.log.Info("files opened anew", "cause", "SIGHUP")
	}
	d.toldManager(d.manager.Ready())
}

// reach is that of the settings, and where files are opened anew.
func (d *daemon) reach() (sandbox.Reach, error) {
	r, err := reachOf(d.set)
	if d.device != nil {
		d.device.reach(&r)
	}
	for _, dir := range d.files.Directories() {
		r.Paths = append(r.Paths, sandbox.Path{Name: dir, May: sandbox.Write | sandbox.MakeFiles})
	}
	return r, err
}

// toldManager logs that the service manager could not be told.
func (d *daemon) toldManager(err error) {
	if err != nil {
		d.log.Warn("the service manager cannot be told", "cause", err)
	}
}
