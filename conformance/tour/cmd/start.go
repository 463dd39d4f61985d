package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/swtpmd/swtpmd/conformance/tour"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// process is a TPM that was started here.
type process struct {
	command *exec.Cmd
	dir     string
	control string
	said    bytes.Buffer
	ended   chan error
}

// patience bounds every wait for the process.
const patience = 20 * time.Second

// start starts swtpmd or swtpm with swtpm's words, which both understand, and
// gives it power.
func (o *options) start(ctx context.Context) (tour.Target, func() error, error) {
	dir, err := os.MkdirTemp("", "tour-tpm-") // short: a socket's path has 107 bytes
	if err != nil {
		return tour.Target{}, nil, err
	}
	data := filepath.Join(dir, "tpm.sock")
	// The name of the control socket is what tpm2-tss makes of the other.
	p := &process{dir: dir, control: data + ".ctrl", ended: make(chan error, 1)}
	program := o.swtpmd
	if o.tpm == "swtpm" {
		program = o.swtpm
	}
	p.command = exec.Command(program, "socket", "--tpm2", "--tpmstate", "dir="+dir,
		"--server", "type=unixio,path="+data, "--ctrl", "type=unixio,path="+p.control)
	p.command.Stderr = &p.said
	if err := p.command.Start(); err != nil {
		return tour.Target{}, nil, errors.Join(err, os.RemoveAll(dir))
	}
	go func() { p.ended <- p.command.Wait() }()
	if err := p.listening(ctx); err != nil {
		return tour.Target{}, nil, errors.Join(err, p.stop())
	}
	return tour.Target{TCTI: "swtpm:path=" + data, Reset: p.reset}, p.stop, nil
}

// listening gives the TPM power as soon as its control channel accepts. There
// is nothing to wait for but the socket itself; a process that ended is not
// waited for.
func (p *process) listening(ctx context.Context) error {
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	late := time.After(patience)
	for {
		err := p.reset(ctx)
		if err == nil {
			return nil
		}
		select {
		case status := <-p.ended:
			p.ended <- status
			return fmt.Errorf("%s ended before it listened: %v: %s", p.command.Path, status, p.said.String())
		case <-late:
			return fmt.Errorf("%s does not listen: %w", p.command.Path, err)
		case <-ctx.Done():
			return ctx.Err()
		case <-again.C:
		}
	}
}

// reset is _TPM_Init.
func (p *process) reset(ctx context.Context) error {
	client, err := swtpm.DialControl(ctx, "unix", p.control)
	if err != nil {
		return err
	}
	return errors.Join(client.Init(ctx, 0), client.Close())
}

// stop ends the process and removes its files.
func (p *process) stop() error {
	err := p.command.Process.Signal(os.Interrupt)
	if errors.Is(err, os.ErrProcessDone) {
		err = nil
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		err = errors.Join(err, p.command.Process.Kill())
		<-p.ended
	}
	return errors.Join(err, os.RemoveAll(p.dir))
}
