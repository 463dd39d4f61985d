package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/sandbox"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/dial"
)

// backendTime is how long the TPM of --backend may take to be reached: swtpm lets a
// second control client wait without end.
const backendTime = 10 * time.Second

// setBackend reads the value of --backend.
func (s *settings) setBackend(text string) error {
	if s.backend != nil {
		return &wordError{"backend", text, "there is one already, " + s.backend.String()}
	}
	a, err := dial.Parse(text)
	if err != nil {
		return err
	}
	s.backend = &a
	return nil
}

// checkBackend refuses what only our own TPM has.
func (s *settings) checkBackend() error {
	switch {
	case s.backend == nil:
		return nil
	case s.state.dir != "":
		return cli.Usage(errors.New("--state and --tpmstate keep swtpmd's own TPM, and --backend names another one, which keeps its state itself"), "leave out one of the two")
	case s.profile.Given():
		return cli.Usage(errors.New("--profile is for swtpmd's own TPM, and --backend names another one"), "leave out one of the two")
	}
	return nil
}

// chooseTPM makes the TPM that is served, or reaches that of --backend.
func (d *daemon) chooseTPM(ctx context.Context) error {
	if d.set.backend == nil {
		tpm, err := d.newTPM()
		if err != nil {
			return err
		}
		watched := &watchedTPM{TPM: tpm, log: d.log}
		d.tpm, d.watched, d.failure = watched, watched, watched.failed
		d.description, err = describe(&d.set.profile)
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, backendTime)
	defer cancel()
	tpm, err := d.set.backend.Dial(ctx)
	if err != nil {
		return fmt.Errorf("--backend: %w", err)
	}
	d.undo = append(d.undo, func() { tpm.Close() })
	d.tpm, d.failure = tpm, func() error { return nil }
	d.log.Info("another TPM is served", "backend", d.set.backend.String())
	return nil
}

// powered reports whether the TPM has power. One without a switch always has.
func (d *daemon) powered() bool {
	power, ok := transport.As[transport.Power](d.tpm)
	return !ok || power.Powered()
}

// startTPM does what --flags asks for before the first client. The boot of a guest
// begins with it, and also where no INIT will begin one: with a TPM that has no switch,
// or that somebody has switched on.
func (d *daemon) startTPM(ctx context.Context) error {
	how := d.set.startup
	power, switched := transport.As[transport.Power](d.tpm)
	switch {
	case !switched:
		d.powerOn("the TPM of --backend has no switch")
	case how != startupByClient:
		d.cause = "--flags"
		if err := d.server.Init(0); err != nil {
			return err
		}
		d.cause = ""
	case d.set.backend != nil && power.Powered():
		d.powerOn("the TPM of --backend has power already")
	}
	err := how.send(ctx, d.own)
	if errors.Is(err, wire.RCInitialize) {
		// It goes on from stored volatile state, or is somebody else's.
		d.log.Info("the TPM has been started up before")
		err = nil
	}
	if failure := d.failure(); err != nil && failure != nil {
		err = fmt.Errorf("%w: %w", err, failure)
	}
	if err != nil {
		return fmt.Errorf("--flags: %w", err)
	}
	return nil
}

// reachBackend adds what a new connection to the TPM of --backend takes.
func (s *settings) reachBackend(r *sandbox.Reach) error {
	a := s.backend
	if a == nil {
		return nil
	}
	ports, err := a.Ports()
	if err != nil {
		return err
	}
	r.TCPPorts = append(r.TCPPorts, ports...)
	for _, path := range []string{a.Data, a.Control} {
		if a.Network == "unix" && path != "" && !strings.HasPrefix(path, "@") {
			r.UnixSockets = true
			r.Paths = append(r.Paths, sandbox.Path{Name: filepath.Dir(path), May: sandbox.ConnectToUnix})
		}
	}
	return nil
}
