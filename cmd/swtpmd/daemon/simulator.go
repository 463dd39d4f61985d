package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/mssim"
)

// listenSimulator opens both ports.
func listenSimulator(w *options.SimulatorWords, ctx context.Context) (err error) {
	if w.Unix != "" {
		w.Ports, err = mssim.ListenUnix(ctx, w.Unix, transport.Access{Mode: 0o600})
		return err
	}
	hosts := []string{w.Bind}
	if w.Bind == "" {
		// "localhost" is one or the other for clients.
		hosts = loopback(ctx)
	}
	if w.Pick {
		return listenPicked(w, ctx, hosts)
	}
	w.Ports, err = mssim.ListenTCP(ctx, w.Port, hosts...)
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
func tcti(w *options.SimulatorWords) string {
	if w.Unix != "" {
		return "mssim:path=" + w.Unix
	}
	host, port, _ := net.SplitHostPort(w.Ports.Command[0].Addr().String())
	if a, err := netip.ParseAddr(host); err == nil && a.IsUnspecified() {
		host = "localhost"
	}
	return "mssim:host=" + host + ",port=" + port
}

// AnnounceMSSIM writes what to paste into a shell.
func AnnounceMSSIM(out io.Writer, set *options.Set) error {
	w := set.Simulator
	r := newReady(set)
	r.TCTI = tcti(w)
	r.Command, r.Platform = w.Ports.Command[0].Addr().String(), w.Ports.Platform[0].Addr().String()
	if set.JSON {
		return json.NewEncoder(out).Encode(r)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "export TPM2TOOLS_TCTI=%s\n", shellQuote(r.TCTI))
	if w.Unix == "" {
		host, port, _ := strings.Cut(strings.TrimPrefix(r.TCTI, "mssim:host="), ",port=")
		platform := strconv.Itoa(w.Ports.Platform[0].Addr().(*net.TCPAddr).Port)
		fmt.Fprintf(&text, "export TPM_INTERFACE_TYPE=socsim TPM_SERVER_TYPE=mssim TPM_SERVER_NAME=%s TPM_COMMAND_PORT=%s TPM_PLATFORM_PORT=%s\n", host, port, platform)
	}
	fmt.Fprintf(&text, "# Ask the daemon:\nswtpmd ctl --admin %s status\n", shellQuote(set.Admin))
	_, err := io.WriteString(out, text.String())
	return err
}

// buildSimulator makes the server of swtpmd mssim. The server for swtpm's clients serves
// those that come to the same ports.
func (d *daemon) buildSimulator(device transport.Device) {
	if d.set.Simulator == nil {
		return
	}
	d.simulator = mssim.NewServer(device, mssim.Options{
		Swtpm:    d.server,
		BusyPoll: d.set.BusyPoll,
		Events:   d.simulatorPower,
		Logger:   d.log,
	})
}

// simulatorPower follows what the platform port does to the TPM's power: POWER_ON is the
// power-on of the machine, and RESET is the next boot.
func (d *daemon) simulatorPower(e mssim.Event) {
	event := e.Kind.String()
	d.guest.Switched(event, event+" on the platform port", e.Kind != mssim.EventPowerOff)
}

// openSimulator opens the ports of swtpmd mssim.
func (d *daemon) openSimulator(ctx context.Context) error {
	w := d.set.Simulator
	if w == nil {
		return nil
	}
	if err := listenSimulator(w, ctx); err != nil {
		return fmt.Errorf("ports of the simulator: %w", err)
	}
	if a, err := netip.ParseAddr(w.Bind); err == nil && !a.IsLoopback() {
		d.log.Warn("other machines reach the TPM, and who does has all of it: the protocol knows no users", "bind", w.Bind)
	}
	for i := range w.Ports.Command {
		command, platform := w.Ports.Command[i], w.Ports.Platform[i]
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

// Files in which tpm2-simulator tells the ports that it has picked.
const (
	commandPortFile  = "command.port"
	platformPortFile = "platform.port"
)

// listenPicked opens the first pair of ports from w.port on that is free, and tells it in
// files of the working directory.
func listenPicked(w *options.SimulatorWords, ctx context.Context, hosts []string) error {
	for port := w.Port; ; port += 2 {
		ports, err := mssim.ListenTCP(ctx, port, hosts...)
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return err
		}
		w.Ports = ports
		break
	}
	for name, port := range map[string]int{commandPortFile: w.Ports.Port(), platformPortFile: w.Ports.Port() + 1} {
		if err := os.WriteFile(name, []byte(strconv.Itoa(port)+"\n"), 0o644); err != nil {
			return errors.Join(fmt.Errorf("--pick_ports: %w", err), w.Ports.Close())
		}
	}
	return nil
}

// AnnounceSimulator writes what simulators write when they listen.
func AnnounceSimulator(out io.Writer, set *options.Set) error {
	port := set.Simulator.Ports.Port()
	_, err := fmt.Fprintf(out, "TPM command server listening on port %d\nPlatform server listening on port %d\n", port, port+1)
	return err
}
