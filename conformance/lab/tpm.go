package lab

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/swtpmd/swtpmd/faults/control"
)

// TPM is a software TPM that waits for QEMU.
type TPM struct {
	// Name and Args are the program and its arguments.
	Name string
	Args []string

	control string          // socket of swtpm's control channel
	console string          // socket that reads the console; may be empty
	gdb     string          // socket that debugs the guest; may be empty
	log     string          // file with what was read there; empty without it
	admin   *control.Client // nil if it has no admin socket
	process *process
	// lasts reports whether the process has other TPMs too, and goes on without this one.
	lasts bool
}

// end ends the TPM, and its process if that has no other TPM.
func (t *TPM) end() {
	if !t.lasts {
		t.process.stop(endPatience)
	}
}

// StartTPM starts a software TPM that keeps its state in dir, and returns when its
// sockets accept connections.
type StartTPM func(ctx context.Context, dir string) (*TPM, error)

// View is what a TPM reports over its admin socket.
type View struct {
	PCRs control.PCRs
	// Refused is why there are no PCRs: a TPM before TPM2_Startup does not read
	// them.
	Refused string
	Status  control.Status
	Journal []control.Entry
}

// View asks the TPM over its admin socket, past its faults. The View is nil for a TPM
// without one.
func (t *TPM) View(ctx context.Context) (*View, error) {
	if t.admin == nil {
		return nil, nil
	}
	var v View
	var err error
	var refused *control.RequestError
	switch v.PCRs, err = t.admin.PCRs(ctx); {
	case errors.As(err, &refused):
		v.Refused = refused.Reason
	case err != nil:
		return nil, err
	}
	if v.Status, err = t.admin.Status(ctx); err != nil {
		return nil, err
	}
	if v.Journal, err = t.admin.Journal(ctx); err != nil {
		return nil, err
	}
	return &v, nil
}

// ready is the line that swtpmd prints when all its sockets listen.
type ready struct {
	Ready   bool   `json:"ready"`
	Control string `json:"ctrl"`
	Console string `json:"console"`
	GDB     string `json:"gdb"`
	Admin   string `json:"admin"`
}

// longestReady bounds the line, in bytes.
const longestReady = 64 << 10

// Swtpmd starts this module's daemon, the program at path, with these flags and those
// for its sockets.
func Swtpmd(path string, flags []string) StartTPM {
	return func(ctx context.Context, dir string) (*TPM, error) {
		args := []string{"--dir", dir, "--json"}
		log := ""
		if !slices.ContainsFunc(flags, noConsole) {
			log = filepath.Join(dir, "console.log")
			args = append(args, "--console-log="+log)
		}
		args = append(args, flags...)
		cmd := exec.Command(path, args...)
		p, line, err := startReady(ctx, cmd)
		if err != nil {
			return nil, err
		}
		var r ready
		if err := json.Unmarshal(line, &r); err != nil || !r.Ready || r.Control == "" || r.Admin == "" {
			p.kill()
			return nil, fmt.Errorf("%s did not become ready: it said %q", path, line)
		}
		return &TPM{Name: path, Args: args, control: r.Control, console: r.Console, gdb: r.GDB, log: log, admin: control.NewClient(r.Admin), process: p}, nil
	}
}

// noConsole reports whether a flag has swtpmd read no console.
func noConsole(flag string) bool {
	return strings.HasPrefix(flag, "--levels=")
}

// Swtpm starts the swtpm of the distribution, for a comparison: it is always on time
// and has no admin socket.
func Swtpm(path string) StartTPM {
	return func(_ context.Context, dir string) (*TPM, error) {
		socket := filepath.Join(dir, "tpm.sock.ctrl")
		// It gets a socket that listens already, so that QEMU cannot connect too
		// early.
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
		if err != nil {
			return nil, err
		}
		l.SetUnlinkOnClose(false)
		defer l.Close()
		file, err := l.File()
		if err != nil {
			return nil, err
		}
		defer file.Close()
		args := []string{"socket", "--tpm2", "--tpmstate", "dir=" + dir, "--ctrl", "type=unixio,fd=3"}
		cmd := exec.Command(path, args...)
		cmd.ExtraFiles = []*os.File{file}
		p, err := start(cmd)
		if err != nil {
			return nil, err
		}
		return &TPM{Name: path, Args: args, control: socket, process: p}, nil
	}
}

// startReady starts cmd and waits for the line on its standard output that reports
// that it is ready.
func startReady(ctx context.Context, cmd *exec.Cmd) (*process, []byte, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	cmd.Stdout = w
	p, err := start(cmd)
	w.Close()
	if err != nil {
		return nil, nil, err
	}
	// A reader that is stopped by kill sees the end of the pipe.
	defer context.AfterFunc(ctx, p.kill)()
	line, err := bufio.NewReader(io.LimitReader(r, longestReady)).ReadBytes('\n')
	if err != nil {
		p.kill()
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return nil, nil, fmt.Errorf("%s did not become ready: %w\n%s", cmd.Path, err, p.stderr.String())
	}
	return p, line, nil
}

// process is a program that runs beside this one and ends before it.
type process struct {
	cmd    *exec.Cmd
	stderr tail
	ended  chan struct{} // closed when it has ended
	err    error         // how it ended; only to be read after ended
}

// start starts cmd and keeps the end of its standard error.
func start(cmd *exec.Cmd) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{})}
	cmd.Stderr = &p.stderr
	leash(cmd)
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		p.err = cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// stop sends SIGTERM to the process, and kills it after patience.
func (p *process) stop(patience time.Duration) {
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.ended:
	case <-timer.C:
		p.kill()
	}
}

// kill ends the process at once. QEMU reacts to nothing else while its TPM does not
// answer.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}
