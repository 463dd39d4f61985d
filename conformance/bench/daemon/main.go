// Command daemon measures how many commands a second swtpmd and swtpm answer
// over a unix socket and over TCP, in turn and pinned alike, so that the comparison holds
// when the machine's speed drifts. scripts/bench builds and starts it.
package main

import (
	"context"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/mssim"
	"github.com/swtpmd/swtpmd/transport/raw"
)

const help = `Usage: scripts/bench [-rounds N] [-commands N] [-json]
       scripts/bench -vs WORDS | -unread [-rounds N] [-commands N] [-rate N] [-json]
       scripts/bench -mssim WORDS [-rounds N] [-commands N] [-json]
       scripts/bench -start [-rounds N] [-json]
       scripts/bench -primary SEEDS [-json]

Starts swtpmd and swtpm, each with a raw TPM socket, and has one client send the
same command many times, to one and then to the other, round after round. Client
and server are pinned, first both to one processor, then each to its own, because
placement alone changes the rate threefold. The socket is a unix one, and then a
TCP one.

swtpmd keeps its state in memory and swtpm in a directory, as they do by default;
none of the commands changes what is stored.

Prints commands per second (median of the rounds), the ratio swtpmd/swtpm (median,
lowest and highest of the rounds' ratios), and microseconds of each server's
processor time for a command (medians).

-vs and -unread compare swtpmd with itself: commands per second, microseconds of
the server's processor time for a command, and both ratios (median of the rounds'
ratios, and in brackets the bounds of the median with 95 % confidence).

  -vs WORDS     swtpmd as it starts by itself beside swtpmd with WORDS
  -unread       a deferred TPM, each of whose commands is a line of its log: with a
                stderr that is full and that nobody reads beside /dev/null
  -mssim WORDS  swtpmd mssim beside another server of the TCG simulator's protocol, by
                that protocol over TCP, both with their state in memory or as they do
                by default; WORDS start the other one, and its command port is added
  -start        from exec to the answer to the first command, of swtpmd and of swtpm in
                turn, with a state that is new and with one that is there: milliseconds,
                processor time and page faults; and from exec to exit of programs of Go
                and C that do nothing. The bounds of the ratio are those of -vs
  -primary N    TPM2_CreatePrimary of one RSA-2048 key, with N seeds on new TPMs of each:
                the first key of swtpmd and the keys that it has made before, beside
                swtpm, whose time depends on the seed; medians and means over the seeds.
                The processor time has TPM2_FlushContext of the key in it
  -rate N       with -vs and -unread: commands a second that the client offers, if
                they are answered in time (default: as many as are answered)
  -rounds N     rounds of each pair (default 9)
  -commands N   commands in a round (default 20000)
  -json         one JSON object for each row on stdout
  -swtpmd PATH  the swtpmd to measure (scripts/bench builds one)
  -swtpm PATH   the swtpm to measure (default: from $PATH)
  -nothing PATH with -start: a program of Go that does nothing (scripts/bench builds one)

Examples:
  scripts/bench
  scripts/bench -rounds 21 -json >bench.json
  scripts/bench -rounds 101 -commands 2000 -vs --sandbox=off
  scripts/bench -rounds 101 -commands 2000 -vs --pcap=/tmp/a.pcapng
  scripts/bench -rounds 101 -commands 2000 -unread
  scripts/bench -rounds 9 -commands 5000 -unread -rate 1000
  scripts/bench -mssim 'tpm_server -port'
  scripts/bench -start -rounds 31
  scripts/bench -primary 20

Exit codes: 0 measured; 1 something could not be started or answered; 2 usage.
`

// command is one of those that are sent.
type command struct{ name, hex string }

// commands are what is sent. Both TPMs have been started up.
var commands = []command{
	{"GetRandom 16", "80010000000c0000017b0010"},
	{"PCR_Extend sha256", "8002" + "00000041" + "00000182" + "00000010" + "00000009" + "40000009" + "0000000000" + "00000001" + "000b" + strings.Repeat("5a", 32)},
	{"PCR_Read sha256", "8001000000140000017e00000001000b03000001"},
	{"GetCapability", "8001000000160000017a000000060000010500000001"},
}

// placement is where client and server run.
type placement struct {
	name           string
	client, server string // processor lists for taskset
}

var placements = []placement{
	{"one core", "0", "0"},
	{"two cores", "0", "1"},
}

// listening is the words with which swtpmd and swtpm take commands at a socket, and its address.
type listening func(dir string) (words, address string, err error)

// atUnix is a socket in a directory.
func atUnix(dir string) (words, address string, err error) {
	path := filepath.Join(dir, "data")
	return "type=unixio,path=" + path, path, nil
}

// atTCP is a port that nobody has yet.
func atTCP(string) (words, address string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
	return "type=tcp,bindaddr=127.0.0.1,port=" + port, tcpPrefix + net.JoinHostPort("127.0.0.1", port), l.Close()
}

// tcpPrefix stands before an address of a raw socket over TCP.
const tcpPrefix = "tcp:"

func main() {
	if len(os.Args) > 1 && os.Args[1] == "client" {
		exit(client(os.Args[2:], os.Stdout))
	}
	f := flag.NewFlagSet("scripts/bench", flag.ContinueOnError)
	f.SetOutput(io.Discard)
	rounds := f.Int("rounds", 9, "")
	count := f.Int("commands", 20000, "")
	asJSON := f.Bool("json", false, "")
	ours := f.String("swtpmd", "swtpmd", "")
	theirs := f.String("swtpm", "swtpm", "")
	vs := f.String("vs", "", "")
	unread := f.Bool("unread", false, "")
	rate := f.Int("rate", 0, "")
	simulator := f.String("mssim", "", "")
	start := f.Bool("start", false, "")
	nothing := f.String("nothing", "", "")
	primary := f.Int("primary", 0, "")
	switch err := f.Parse(os.Args[1:]); {
	case err == flag.ErrHelp:
		fmt.Print(help)
		return
	case err != nil || f.NArg() > 0 || *rounds < 1 || *count < 1 || *vs != "" && *unread || *simulator != "" && (*vs != "" || *unread) || *start && (*vs != "" || *unread || *simulator != "") || *primary < 0 || *primary > 0 && (*start || *vs != "" || *unread || *simulator != "") || *rate < 0 || *rate > 0 && *vs == "" && !*unread:
		fmt.Fprintln(os.Stderr, "scripts/bench: wrong usage:", err, f.Args(), "; see scripts/bench --help")
		os.Exit(2)
	}
	if *vs != "" || *unread {
		c := unreadCompared()
		if *vs != "" {
			c = wordsCompared(*vs)
		}
		c.rate = *rate
		rows, err := c.measure(*ours, *rounds, *count)
		if err == nil {
			err = c.print(rows, *asJSON)
		}
		exit(err)
	}
	if *start {
		rows, err := measureStarts(*ours, *theirs, *nothing, *rounds)
		if err == nil {
			err = printStarts(os.Stdout, rows, *asJSON)
		}
		exit(err)
	}
	if *primary > 0 {
		rows, err := measurePrimary(*ours, *theirs, *primary)
		if err == nil {
			err = printPrimary(os.Stdout, rows, *asJSON)
		}
		exit(err)
	}
	r := swtpmRivals(*ours, *theirs)
	if *simulator != "" {
		r = simulatorRivals(*ours, *simulator)
	}
	rows, err := r.measure(*rounds, *count)
	if err == nil {
		err = r.print(os.Stdout, rows, *asJSON)
	}
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "scripts/bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// server is a TPM with a raw socket.
type server struct {
	socket  string
	process *exec.Cmd
}

// startServer starts program with swtpm's words, which both understand, and
// waits until its socket accepts: the process is its own witness, ending early
// is an error.
func startServer(cpus, dir, program string, listen listening, state bool) (*server, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	words, address, err := listen(dir)
	if err != nil {
		return nil, err
	}
	s := &server{socket: address}
	args := []string{"-c", cpus, program, "socket", "--tpm2", "--server", words, "--flags", "not-need-init,startup-clear"}
	if state {
		args = append(args, "--tpmstate", "dir="+dir)
	}
	s.process = exec.Command("taskset", args...)
	s.process.Stderr = new(strings.Builder)
	return s.serving(program, s.accepts)
}

// accepts reports whether the socket takes a connection.
func (s *server) accepts() error {
	conn, err := dial(context.Background(), s.socket)
	if err != nil {
		return err
	}
	return conn.Close()
}

// serving starts the server's process and waits until ready finds nothing wrong.
func (s *server) serving(program string, ready func() error) (*server, error) {
	if err := s.process.Start(); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.process.Wait() }()
	deadline := time.After(10 * time.Second)
	retry := time.NewTicker(5 * time.Millisecond)
	defer retry.Stop()
	for {
		err := ready()
		if err == nil {
			return s, nil
		}
		select {
		case err := <-ended:
			return nil, fmt.Errorf("%s ended before it served: %v: %v", program, err, s.process.Stderr)
		case <-deadline:
			s.stop()
			return nil, fmt.Errorf("%s does not serve: %w", program, err)
		case <-retry.C:
		}
	}
}

func (s *server) stop() {
	_ = s.process.Process.Kill()
	_ = os.Remove(s.socket)
}

// offer is what a client sends.
type offer struct {
	command string // hexadecimal
	count   int
	rate    int // commands a second, 0 for as many as are answered
}

// runClient measures in a process of its own, because pinning is a matter of
// processes. code is the response code that is expected.
func runClient(cpus, socket string, o offer, code uint32) (float64, error) {
	self, err := os.Executable()
	if err != nil {
		return 0, err
	}
	c := exec.Command("taskset", "-c", cpus, self, "client", socket, o.command,
		strconv.Itoa(o.count), strconv.Itoa(o.rate), strconv.FormatUint(uint64(code), 10))
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return 0, err
	}
	return strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
}

// client makes an offer and prints how many commands a second were answered with
// the response code that is expected.
func client(args []string, out io.Writer) error {
	command, err := hex.DecodeString(args[1])
	if err != nil {
		return err
	}
	var numbers [3]int // count, rate, code
	for i := range numbers {
		if numbers[i], err = strconv.Atoi(args[2+i]); err != nil {
			return err
		}
	}
	count, rate, code := numbers[0], numbers[1], numbers[2]
	ctx := context.Background()
	tpm, err := dial(ctx, args[0])
	if err != nil {
		return err
	}
	defer tpm.Close()
	var response []byte
	start := time.Now()
	for i := range count {
		if rate > 0 {
			time.Sleep(time.Until(start.Add(time.Duration(i) * time.Second / time.Duration(rate))))
		}
		if response, err = tpm.Exchange(ctx, response[:0], command); err != nil {
			return err
		}
		if len(response) < transport.HeaderSize || transport.ResponseCode(response) != uint32(code) {
			return fmt.Errorf("answered %x", response)
		}
	}
	_, err = fmt.Fprintln(out, float64(count)/time.Since(start).Seconds())
	return err
}

// sender is a connection to a TPM.
type sender interface {
	Exchange(ctx context.Context, dst, command []byte) ([]byte, error)
	Close() error
}

// dial connects to a raw socket, which is a unix one without a prefix, or to a server of the
// simulator's protocol.
func dial(ctx context.Context, address string) (sender, error) {
	if address, ok := strings.CutPrefix(address, simulatorPrefix); ok {
		tpm, err := mssim.Dial(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		return simulatorClient{tpm}, nil
	}
	if address, ok := strings.CutPrefix(address, tcpPrefix); ok {
		return raw.Dial(ctx, "tcp", address)
	}
	return raw.Dial(ctx, "unix", address)
}
