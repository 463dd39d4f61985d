package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/mssim"
)

// simulatorPrefix begins the address of a server of the TCG simulator's protocol, where
// others are paths of raw sockets.
const simulatorPrefix = "mssim:"

// simulatorClient sends at locality 0.
type simulatorClient struct{ *mssim.TPM }

// Exchange sends a command and appends the response to dst.
func (c simulatorClient) Exchange(ctx context.Context, dst, command []byte) ([]byte, error) {
	return c.TPM.Exchange(ctx, dst, 0, command)
}

// simulatorRivals are swtpmd mssim and a simulator that words start, to which its command
// port is added.
func simulatorRivals(ours, words string) *rivals {
	start := func(words string) func(cpus, dir string) (*server, error) {
		return func(cpus, dir string) (*server, error) { return startSimulator(cpus, dir, words) }
	}
	return &rivals{other: "simulator", ways: []way{{start: [2]func(cpus, dir string) (*server, error){
		start(ours + " mssim --bind=127.0.0.1 --dir=. --port"), start(words),
	}}}}
}

// startSimulator starts a server of the simulator's protocol, gives its TPM power, and has
// it started.
func startSimulator(cpus, dir, words string) (*server, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	ports, err := mssim.ListenTCP(context.Background(), 0, "127.0.0.1")
	if err != nil {
		return nil, err
	}
	port := strconv.Itoa(ports.Port())
	if err := ports.Close(); err != nil {
		return nil, err
	}
	address := net.JoinHostPort("127.0.0.1", port)
	s := &server{socket: simulatorPrefix + address}
	s.process = exec.Command("taskset", append(append([]string{"-c", cpus}, strings.Fields(words)...), port)...)
	s.process.Dir = dir
	s.process.Stderr = new(strings.Builder)
	return s.serving(words, func() error { return startTPM(address) })
}

// startTPM gives the TPM at a command port power, and TPM2_Startup.
func startTPM(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	tpm, err := mssim.Dial(ctx, "tcp", address)
	if err != nil {
		return err
	}
	err = tpm.Init()
	if err == nil {
		const startup = 0x144 // TPM_CC_Startup
		var response []byte
		response, err = tpm.Send(ctx, 0, transport.NewCommand(transport.TagNoSessions, startup, []byte{0, 0}))
		if code := transport.ResponseCode(response); err == nil && code != transport.RCSuccess {
			err = fmt.Errorf("TPM2_Startup answers 0x%X", code)
		}
	}
	return errors.Join(err, tpm.Close())
}
