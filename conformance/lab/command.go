package lab

import (
	"context"
	"os"
	"strings"
	"time"
)

// Folder is the word that Commands puts where a run has the path of its private folder.
const Folder = "DIR"

// Commands returns the commands that Run executes, the TPM's and QEMU's, each with its
// arguments. It starts the TPM to learn the names of its sockets, and does not start QEMU.
// A run puts into Folder what the commands read, and listens at the sockets report.sock and
// monitor.sock. With Auto the accelerator is the one that Run tries first.
func Commands(ctx context.Context, c Config) ([][]string, error) {
	if err := c.Machine.Check(); err != nil {
		return nil, &SetupError{What: "this machine", Err: err}
	}
	ctx, cancel := context.WithTimeout(ctx, c.Timeout)
	defer cancel()
	if c.Machine.Accel == Auto {
		c.Machine.Accel = firstTry(c)
	}
	r := &runner{Config: c}
	var err error
	if r.dir, err = os.MkdirTemp("", "qemu-boot-"); err != nil {
		return nil, &SetupError{What: "a folder for temporary files", Err: err}
	}
	defer os.RemoveAll(r.dir)
	defer r.close()
	if err := r.prepare(ctx); err != nil {
		return nil, err
	}
	commands := [][]string{
		append([]string{r.tpm.Name}, r.tpm.Args...),
		r.Machine.command(r.at).Args,
	}
	for _, argv := range commands {
		for i := range argv {
			argv[i] = strings.ReplaceAll(argv[i], r.dir, Folder)
		}
	}
	return commands, nil
}

// firstTry returns the accelerator that Run tries first with Auto.
func firstTry(c Config) Accel {
	if c.Machine.Board.foreign() || !c.trial.usable() {
		return TCG
	}
	if _, given := noteOn(c.Cache).read(time.Now()); given {
		return TCG
	}
	return KVM
}
