// Command engine measures how long commands take in the emulator, in the
// reference simulator, both in this process, and in an swtpm process, in turn,
// so that the comparison holds when the machine's speed drifts.
// scripts/bench-engine builds and starts it.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/reference"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
)

const help = `Usage: scripts/bench-engine [-rounds N] [-time D] [-rows REGEXP] [-json]
       scripts/bench-engine -generate N

Sends the same kinds of commands to the emulator and to the TCG reference
simulator of go-tpm-tools, both in this process, and to a local swtpm over its
socket, in turn, round after round. Keys and other objects of a row are made before
it is measured; what a command has loaded is flushed outside of the measured time.

Prints microseconds for a command (median of the rounds) and the ratios of the
simulator and of swtpm to the emulator, so that more than 1 means that the emulator
is faster (median, lowest and highest of the rounds).

The row "made before" has one key made again and again. The emulator remembers the keys
that it has made, as the daemon does by default; all other rows make new ones.

-generate makes RSA keys of 2,048 bits with emulator/crypt and with the program openssl, in
turn, one candidate at a time, and prints the medians of the processor time for a key;
that of openssl is without the start of its process, which takes as long as a key of
Ed25519.

  -rounds N      rounds (default 7)
  -time D        time for each TPM in a round (default 200ms)
  -rows REGEXP   measure only the rows whose name matches
  -json          one JSON object for each row on stdout
  -generate N    make N keys with each

Examples:
  scripts/bench-engine
  scripts/bench-engine -rows RSA -rounds 21 -json >rsa.json
  taskset -c 1 scripts/bench-engine -generate 200

Exit codes: 0 measured; 1 something could not be started or answered; 2 usage.
`

// subject is one TPM to be measured.
type subject struct {
	name   string
	device transport.Device
}

// result is one line of the output. Times are in microseconds.
type result struct {
	Row       string             `json:"row"`
	Emulator  float64            `json:"emulator_us"`
	Simulator float64            `json:"simulator_us"`
	Swtpm     float64            `json:"swtpm_us"`
	Ratios    map[string]spread3 `json:"ratios"`
}

// spread3 is the median, lowest and highest of the rounds.
type spread3 struct{ Median, Lowest, Highest float64 }

func main() {
	f := flag.NewFlagSet("scripts/bench-engine", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	rounds := f.Int("rounds", 7, "")
	duration := f.Duration("time", 200*time.Millisecond, "")
	only := f.String("rows", "", "")
	asJSON := f.Bool("json", false, "")
	keys := f.Int("generate", 0, "")
	switch err := f.Parse(os.Args[1:]); {
	case err == flag.ErrHelp:
		fmt.Print(help)
		return
	case err != nil || f.NArg() > 0 || *rounds < 1 || *duration <= 0 || *keys < 0:
		fmt.Fprintln(os.Stderr, "scripts/bench-engine: wrong usage:", err, f.Args(), "; see scripts/bench-engine --help")
		os.Exit(2)
	}
	if *keys > 0 {
		if err := generate(os.Stdout, *keys); err != nil {
			fmt.Fprintln(os.Stderr, "scripts/bench-engine:", err)
			os.Exit(1)
		}
		return
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		fmt.Fprintln(os.Stderr, "scripts/bench-engine: -rows:", err)
		os.Exit(2)
	}
	if err := run(pattern, *rounds, *duration, *asJSON); err != nil {
		fmt.Fprintln(os.Stderr, "scripts/bench-engine:", err)
		os.Exit(1)
	}
}

func run(only *regexp.Regexp, rounds int, duration time.Duration, asJSON bool) error {
	subjects, stop, err := open()
	if err != nil {
		return err
	}
	defer stop()
	var results []result
	for _, r := range rows {
		if !only.MatchString(r.name) {
			continue
		}
		fmt.Fprintln(os.Stderr, r.name)
		measured, err := measure(r, subjects, rounds, duration)
		if err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
		results = append(results, measured)
	}
	return print(results, asJSON)
}

// open starts the three TPMs.
func open() ([]subject, func(), error) {
	tpm, err := emulator.New(emulator.Platform{PrimaryKeys: new(crypt.RSAKeys)}, emulator.Config{})
	if err != nil {
		return nil, nil, err
	}
	if err := tpm.Init(); err != nil {
		return nil, nil, err
	}
	simulator, err := reference.OpenInProcess()
	if err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp("", "bench-engine-")
	if err != nil {
		return nil, nil, err
	}
	swtpm, err := reference.StartSWTPM("swtpm", dir)
	if err != nil {
		return nil, nil, err
	}
	stop := func() {
		_ = swtpm.Close()
		_ = simulator.Close()
		_ = os.RemoveAll(dir)
	}
	subjects := []subject{{"emulator", tpm}, {"simulator", simulator}, {"swtpm", swtpm}}
	if err := swtpm.Init(); err != nil {
		stop()
		return nil, nil, err
	}
	for _, s := range subjects {
		if _, err := exchange(s.device, emulatortest.Command(wire.CCStartup, nil, nil, emulatortest.U16(0))); err != nil {
			stop()
			return nil, nil, fmt.Errorf("%s: TPM2_Startup: %w", s.name, err)
		}
	}
	return subjects, stop, nil
}

// exchange sends a command that must succeed. libtpms answers TPM_RC_RETRY once.
func exchange(device transport.Device, command []byte) ([]byte, error) {
	for {
		response, err := device.Send(context.Background(), 0, command)
		if err != nil {
			return nil, err
		}
		switch rc := emulatortest.ResponseCode(response); rc {
		case wire.RCSuccess:
			return response, nil
		case wire.RCRetry:
		default:
			return nil, fmt.Errorf("%v answered %v", wire.CC(uint32(command[6])<<24|uint32(command[7])<<16|uint32(command[8])<<8|uint32(command[9])), rc)
		}
	}
}

// measure makes what the row needs on every TPM and times it there.
func measure(r row, subjects []subject, rounds int, duration time.Duration) (result, error) {
	benches := make([]*bench, len(subjects))
	for i, s := range subjects {
		benches[i] = &bench{device: s.device}
		if err := benches[i].prepare(r); err != nil {
			return result{}, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	times := make([][]float64, len(subjects))
	for round := -1; round < rounds; round++ { // the first warms up
		for i, b := range benches {
			us, err := b.time(duration)
			if err != nil {
				return result{}, fmt.Errorf("%s: %w", subjects[i].name, err)
			}
			if round >= 0 {
				times[i] = append(times[i], us)
			}
		}
	}
	for i, b := range benches {
		if err := b.finish(); err != nil {
			return result{}, fmt.Errorf("%s: %w", subjects[i].name, err)
		}
	}
	return result{
		Row: r.name, Emulator: median(times[0]), Simulator: median(times[1]), Swtpm: median(times[2]),
		Ratios: map[string]spread3{"simulator": ratios(times[1], times[0]), "swtpm": ratios(times[2], times[0])},
	}, nil
}

func ratios(theirs, ours []float64) spread3 {
	list := make([]float64, len(ours))
	for i := range ours {
		list[i] = theirs[i] / ours[i]
	}
	return spread3{median(list), slices.Min(list), slices.Max(list)}
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

func print(results []result, asJSON bool) error {
	if asJSON {
		encoder := json.NewEncoder(os.Stdout)
		for _, r := range results {
			if err := encoder.Encode(r); err != nil {
				return err
			}
		}
		return nil
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "µs a command\temulator\tsimulator\tswtpm\tsimulator/ours\tlowest\thighest\tswtpm/ours\tlowest\thighest\t")
	for _, r := range results {
		a, b := r.Ratios["simulator"], r.Ratios["swtpm"]
		fmt.Fprintf(w, "%s\t%.1f\t%.1f\t%.1f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t\n",
			r.Row, r.Emulator, r.Simulator, r.Swtpm, a.Median, a.Lowest, a.Highest, b.Median, b.Lowest, b.Highest)
	}
	return w.Flush()
}
