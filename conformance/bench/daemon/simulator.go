package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
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

// simulatorRow is one line of the comparison with a simulator.
type simulatorRow struct {
	Placement string  `json:"placement"`
	Command   string  `json:"command"`
	Swtpmd    float64 `json:"swtpmd_per_s"`
	Simulator float64 `json:"simulator_per_s"`
	Ratio     float64 `json:"ratio"`
	Lowest    float64 `json:"ratio_lowest"`
	Highest   float64 `json:"ratio_highest"`
}

// measureSimulator compares swtpmd mssim with a simulator that words start, to which its
// command port is added.
func measureSimulator(ours, words string, rounds, count int) ([]simulatorRow, error) {
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	var rows []simulatorRow
	for _, p := range placements {
		for _, c := range commands {
			fmt.Fprintf(os.Stderr, "%s, %s\n", p.name, c.name)
			r, err := pairSimulator(dir, ours, words, p, c.hex, rounds, count)
			if err != nil {
				return nil, fmt.Errorf("%s, %s: %w", p.name, c.name, err)
			}
			r.Placement, r.Command = p.name, c.name
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// pairSimulator measures one command on both TPMs, in turn.
func pairSimulator(dir, ours, words string, p placement, command string, rounds, count int) (simulatorRow, error) {
	var servers []*server
	for i, start := range []string{ours + " mssim --bind=127.0.0.1 --dir=. --port", words} {
		s, err := startSimulator(p.server, filepath.Join(dir, strconv.Itoa(i)), start)
		if err != nil {
			return simulatorRow{}, err
		}
		defer s.stop()
		servers = append(servers, s)
	}
	var rates [2][]float64
	var ratios []float64
	for round := -1; round < rounds; round++ { // the first warms up
		var rate [2]float64
		var err error
		for i, s := range servers {
			if rate[i], err = runClient(p.client, s.socket, offer{command, count, 0}, 0); err != nil {
				return simulatorRow{}, err
			}
		}
		if round < 0 {
			continue
		}
		rates[0], rates[1] = append(rates[0], rate[0]), append(rates[1], rate[1])
		ratios = append(ratios, rate[0]/rate[1])
	}
	return simulatorRow{
		Swtpmd: median(rates[0]), Simulator: median(rates[1]), Ratio: median(ratios),
		Lowest: slices.Min(ratios), Highest: slices.Max(ratios),
	}, nil
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
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.process.Wait() }()
	deadline := time.After(10 * time.Second)
	retry := time.NewTicker(5 * time.Millisecond)
	defer retry.Stop()
	for {
		err := startTPM(address)
		if err == nil {
			return s, nil
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("%s ended before it listened: %v: %v", words, err, s.process.Stderr)
		case <-deadline:
			s.stop()
			return nil, fmt.Errorf("%s does not serve: %w", words, err)
		case <-retry.C:
		}
	}
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

func printSimulator(rows []simulatorRow, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(os.Stdout)
		for _, r := range rows {
			if err := encoder.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "placement\tcommand\tswtpmd/s\tsimulator/s\tratio\tlowest\thighest\t")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%.0f\t%.0f\t%.2f\t%.2f\t%.2f\t\n", r.Placement, r.Command, r.Swtpmd, r.Simulator, r.Ratio, r.Lowest, r.Highest)
	}
	return w.Flush()
}
