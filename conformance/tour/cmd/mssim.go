package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/swtpmd/swtpmd/conformance/tour"
	"github.com/swtpmd/swtpmd/transport/mssim"
)

// startMSSIM starts swtpmd mssim, which tells its ports when it is ready.
func (o *options) startMSSIM(ctx context.Context) (tour.Target, func() error, error) {
	dir, err := os.MkdirTemp("", "tour-tpm-")
	if err != nil {
		return tour.Target{}, nil, err
	}
	p := &process{dir: dir, ended: make(chan error, 1)}
	p.command = exec.Command(o.swtpmd, "mssim", "--port=0", "--json", "--dir="+dir, "--state="+dir)
	p.command.Stderr = &p.said
	out, err := p.command.StdoutPipe()
	if err != nil {
		return tour.Target{}, nil, errors.Join(err, os.RemoveAll(dir))
	}
	if err := p.command.Start(); err != nil {
		return tour.Target{}, nil, errors.Join(err, os.RemoveAll(dir))
	}
	late := time.AfterFunc(patience, func() { _ = p.command.Process.Kill() })
	line, err := bufio.NewReader(out).ReadBytes('\n')
	late.Stop()
	go func() { p.ended <- p.command.Wait() }()
	var ready struct{ TCTI, Command string }
	if err == nil {
		err = json.Unmarshal(line, &ready)
	}
	reset := func(ctx context.Context) error { return resetMSSIM(ctx, ready.Command) }
	if err == nil {
		err = reset(ctx)
	}
	if err != nil {
		stopped := p.stop() // what it said is whole only then
		return tour.Target{}, nil, errors.Join(fmt.Errorf("%s is not ready: %w: %s", p.command.Path, err, p.said.String()), stopped)
	}
	return tour.Target{TCTI: ready.TCTI, Reset: reset}, p.stop, nil
}

// resetMSSIM takes the power from the TPM at a command port, and applies it.
func resetMSSIM(ctx context.Context, command string) error {
	tpm, err := mssim.Dial(ctx, "tcp", command)
	if err != nil {
		return err
	}
	return errors.Join(tpm.Init(), tpm.Close())
}
