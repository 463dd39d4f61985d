package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/mssim"
)

// simulatorWords say where the TPM is served by the protocol of the TCG's simulator.
type simulatorWords struct {
	port int    // the command port; 0 for any
	bind string // address; "" for this machine's own
	unix string // path of the command socket; "" for TCP
	pick bool   // the first pair that is free, from port on
	// announce writes where the TPM listens.
	announce func(io.Writer, *settings) error
	// ports are the sockets once they are open.
	ports *mssim.Ports
}

// newMSSIM defines the flags of swtpmd mssim.
func newMSSIM(f *flag.FlagSet, sandboxes *sandboxes) cli.Run {
	set := &settings{simulator: &simulatorWords{port: mssim.DefaultPort, announce: announceMSSIM}}
	set.define(f, inMSSIM)
	return func(ctx context.Context, args []string, s cli.Streams) error {
		if err := cli.Unexpected("swtpmd mssim", args); err != nil {
			return err
		}
		w := set.simulator
		if w.unix != "" && w.bind != "" {
			return cli.Usage(errors.New("--unix and --bind exclude each other"), "the TPM is at a unix socket or at TCP ports")
		}
		if err := set.check(); err != nil {
			return err
		}
		return start(ctx, set, s, sandboxes, true)
	}
}

func (s *settings) setSimulatorPort(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 || n > 65534 {
		return &wordError{"port", text, "not a port from 1 to 65534, which has one after it, nor 0 for any"}
	}
	s.simulator.port = n
	return nil
}

func (s *settings) setBind(text string) error {
	if _, err := netip.ParseAddr(text); err != nil {
		return &wordError{"bind", text, "not an address in numbers, such as 127.0.0.1, ::1 or 0.0.0.0"}
	}
	s.simulator.bind = text
	return nil
}

func (s *settings) setUnix(text string) error {
	s.simulator.unix = text
	return nil
}

// listen opens both ports.
func (w *simulatorWords) listen(ctx context.Context) (err error) {
	if w.unix != "" {
		w.ports, err = mssim.ListenUnix(ctx, w.unix, transport.Access{Mode: 0o600})
		return err
	}
	hosts := []string{w.bind}
	if w.bind == "" {
		// "localhost" is one or the other for clients.
		hosts = loopback(ctx)
	}
	if w.pick {
		return w.listenPicked(ctx, hosts)
	}
	w.ports, err = mssim.ListenTCP(ctx, w.port, hosts...)
	return err
}

// loopback returns the addresses of this machine that nobody else reaches: that of IPv4,
// and that of IPv6 where there is one.
func loopback(ctx context.Context) []string {
	const four, six = "127.0.0.1", "::1"
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", net.JoinHostPort(six, "0"))
	if err != nil {
		return []string{four}
	}
	l.Close()
	return []string{four, six}
}

// tcti returns the TPM in the words of tpm2-tss.
func (w *simulatorWords) tcti() string {
	if w.unix != "" {
		return "mssim:path=" + w.unix
	}
	host, port, _ := net.SplitHostPort(w.ports.Command[0].Addr().String())
	if a, err := netip.ParseAddr(host); err == nil && a.IsUnspecified() {
		host = "localhost"
	}
	return "mssim:host=" + host + ",port=" + port
}

// announceMSSIM writes what to paste into a shell.
func announceMSSIM(out io.Writer, set *settings) error {
	w := set.simulator
	r := newReady(set)
	r.TCTI = w.tcti()
	r.Command, r.Platform = w.ports.Command[0].Addr().String(), w.ports.Platform[0].Addr().String()
	if set.json {
		return json.NewEncoder(out).Encode(r)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "export TPM2TOOLS_TCTI=%s\n", shellQuote(r.TCTI))
	if w.unix == "" {
		host, port, _ := strings.Cut(strings.TrimPrefix(r.TCTI, "mssim:host="), ",port=")
		platform := strconv.Itoa(w.ports.Platform[0].Addr().(*net.TCPAddr).Port)
		fmt.Fprintf(&text, "export TPM_INTERFACE_TYPE=socsim TPM_SERVER_TYPE=mssim TPM_SERVER_NAME=%s TPM_COMMAND_PORT=%s TPM_PLATFORM_PORT=%s\n", host, port, platform)
	}
	fmt.Fprintf(&text, "# Ask the daemon:\nswtpmd ctl --admin %s status\n", shellQuote(set.admin))
	_, err := io.WriteString(out, text.String())
	return err
}

// buildSimulator makes the server of swtpmd mssim. The server for swtpm's clients serves
// those that come to the same ports.
func (d *daemon) buildSimulator(device transport.Device) {
	if d.set.simulator == nil {
		return
	}
	d.simulator = mssim.NewServer(device, mssim.Options{
		Swtpm:  d.server,
		Events: d.simulatorPower,
		Logger: d.log,
	})
}

// simulatorPower follows what the platform port does to the TPM's power: POWER_ON is the
// power-on of the machine, and RESET is the next boot.
func (d *daemon) simulatorPower(e mssim.Event) {
	d.powering.Lock()
	defer d.powering.Unlock()
	d.log.Info("power", "event", e.Kind.String())
	if e.Kind != mssim.EventPowerOff {
		d.powerOn(e.Kind.String() + " on the platform port")
	}
}

// openSimulator opens the ports of swtpmd mssim.
func (d *daemon) openSimulator(ctx context.Context) error {
	w := d.set.simulator
	if w == nil {
		return nil
	}
	if err := w.listen(ctx); err != nil {
		return fmt.Errorf("ports of the simulator: %w", err)
	}
	if a, err := netip.ParseAddr(w.bind); err == nil && !a.IsLoopback() {
		d.log.Warn("other machines reach the TPM, and who does has all of it: the protocol knows no users", "bind", w.bind)
	}
	for i := range w.ports.Command {
		command, platform := w.ports.Command[i], w.ports.Platform[i]
		d.later(command, func() error { return d.simulator.ServeCommand(command) })
		d.later(platform, func() error { return d.simulator.ServePlatform(platform) })
	}
	return nil
}

// simulatorDone is closed when a client has ended the server of swtpmd mssim.
func (d *daemon) simulatorDone() <-chan struct{} {
	if d.simulator == nil {
		return nil
	}
	return d.simulator.Done()
}

// closeSimulator ends the server of swtpmd mssim.
func (d *daemon) closeSimulator(ctx context.Context) {
	if d.simulator == nil {
		return
	}
	if err := d.simulator.Close(ctx); err != nil {
		d.log.Warn("a command is still running", "cause", err)
	}
}

const mssimHelp = `Usage: swtpmd mssim [flags]

Serves a TPM 2.0 by the protocol of the TCG's simulator: to tcti-mssim of tpm2-tss, to
IBM's TSS, go-tpm and wolfTPM. There are two ports, one for commands, and the one after
it for the platform. The TPM has power once a client says POWER_ON there, as tcti-mssim
does. Clients that speak swtpm's protocols, such as tcti-swtpm, are served on the same
two ports. When it is ready it prints on stdout what to paste into a shell.

Linked to a name of a simulator, tpm_server or tpm2-simulator, the program takes that
one's command line: see tpm_server -h and tpm2-simulator -h.

Ports:
  --port=N, -p           the command port (default 2321); the platform port is N+1; 0 is
                         any pair that is free
  --bind=ADDRESS         where to listen (default: 127.0.0.1 and ::1, which no other
                         machine reaches); 0.0.0.0 is every address of IPv4
  --unix=PATH            unix sockets instead: PATH for commands, PATH.ctrl for the
                         platform (mssim:path=PATH where tcti-mssim knows path=)

` + deferHelp + `The clock of a boot starts at POWER_ON, and RESET begins the next boot.

State, and the kind of TPM:
  --state=DIR            keep the TPM in this directory; without it the TPM is a new one
                         that ends with the daemon
  --tpmstate=WORDS       the same with more to say: see swtpmd --help
  --profile=P            one of those that swtpmd --profiles names, or a file

Other:
  --flags=WORDS          startup-clear, startup-state: the TPM has power and
                         TPM2_Startup before the first client; not-need-init: power
  --dir=DIR              directory for the sockets of the daemon (default: a private one,
                         removed at the end)
  --admin=PATH           status and steering (default DIR/admin.sock)
  --json                 the ready line as JSON
  --log=WORDS, --pid=WORDS, --daemon, -d, --sandbox=MODE, --core-dumps
                         see swtpmd --help
  --help

` + cli.LevelsHelp + `
Examples:
  # a TPM for tpm2-tools, which tcti-mssim gives power
  swtpmd mssim -d --pid=file=/tmp/mssim.pid --flags=startup-clear
  tpm2_getrandom -T mssim:host=localhost,port=2321 --hex 8
  kill $(cat /tmp/mssim.pid)
  # the TPM answers TPM_RC_FAILURE until 1.2 s after POWER_ON
  swtpmd mssim --defer-from=firmware --defer-until=late_sync --timeline=builtin

Exit codes: 0 ended as asked, by STOP on one of the ports too; 1 failed, stderr says why;
2 the command line is wrong and nothing was started.
`

// simulatorPaths are the sockets of --unix.
func (s *settings) simulatorPaths() []string {
	if s.simulator == nil || s.simulator.unix == "" {
		return nil
	}
	platform, err := mssim.PlatformAddress("unix", s.simulator.unix)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc([]string{s.simulator.unix, platform}, func(path string) bool { return strings.HasPrefix(path, "@") })
}
