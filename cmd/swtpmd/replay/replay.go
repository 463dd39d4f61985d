// Package replay is the subcommand replay: it sends the commands of a capture to a TPM
// and compares the answers.
package replay

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/message"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/capture"
	"github.com/swtpmd/swtpmd/transport/dial"
)

const help = `Usage: swtpmd replay [flags] FILE --to=URL
       swtpmd replay [flags] JOURNAL

Sends the commands of a capture to a TPM, one after the other, and compares the
answers with those in the capture. FILE is a pcapng of swtpmd or swtpm (--pcap), of
tcti-pcap, or of the network at port 2321; - is standard input.

What the other TPM has made is followed: handles of objects and sessions, saved
contexts, and keys that are created and loaded. Answers that cannot be the same are
told apart from those that should:

  same         octet for octet
  varies       only in what differs by its nature: random numbers, clocks, keys and
               signatures of another TPM, nonces of sessions
  unrepeatable not sent, because the command has an HMAC over a nonce of the captured
               TPM, and a wrong one counts as a failed authorization; or it uses what such
               a command would have made; or TPM2_Startup came to a TPM that had been
               started up
  differs      another response code, or another value that the command determines
  unanswered   the capture has no answer to compare with
  skipped      not sent: a fault has answered in the capture, and not the TPM

With the journal of a run (--journal, with --journal-commands and --tpm-seed=N) it makes a
new TPM of the journal's seed and profile, has the same fault rules decide about the same
commands, and compares decisions and answers with the journal, byte for byte. What was
held is let go by what let it go then, without waiting. It needs no --to.

Flags:
  --to=URL     the TPM, as --backend of swtpmd has it, such as unix:PATH
  --init       reset the TPM first; it takes a protocol with a switch (swtpm:, mssim:)
  --all        a line for each command, not only for those that are not the same
  --json       an object a line: each command and, last, the summary

Examples:
  swtpmd --flags=startup-clear --pcap=run.pcapng
  swtpmd replay run.pcapng --to=swtpm:host=localhost,port=2321 --init
  swtpmd --tpm-seed=1 --journal=run.journal --journal-commands --fault='*/10: rc=RETRY'
  swtpmd replay run.journal
  swtpmd replay run.pcapng --to=/dev/tpmrm0 --json | jq 'select(.verdict == "differs")'

Exit codes: 0 nothing differs; 1 the file or the TPM failed; 2 usage; 3 an answer
differs.
`

// ExitDiffers is the exit code for an answer that differs.
const ExitDiffers = 3

// Command is the subcommand.
var Command = cli.Command{Name: "replay", Help: help, Args: cli.ArgsAmongFlags, New: define}

type flags struct {
	to              string
	init, all, json bool
}

func define(f *flag.FlagSet) cli.Run {
	var o flags
	f.StringVar(&o.to, "to", "", "")
	f.BoolVar(&o.init, "init", false, "")
	f.BoolVar(&o.all, "all", false, "")
	f.BoolVar(&o.json, "json", false, "")
	return func(ctx context.Context, args []string, s cli.Streams) error { return o.run(ctx, args, s) }
}

func (o *flags) run(ctx context.Context, args []string, s cli.Streams) error {
	switch {
	case len(args) != 1:
		return cli.Usage(fmt.Errorf("%d files are named", len(args)), "name one capture, or - for standard input")
	}
	source := s.In
	if args[0] != "-" {
		file, err := os.Open(args[0])
		if err != nil {
			return err
		}
		defer file.Close()
		source = file
	}
	in := bufio.NewReader(source)
	if isJournal(in) {
		if o.to != "" || o.init {
			return cli.Usage(errors.New("a journal is repeated with a TPM of its own"), "leave out --to and --init")
		}
		return o.repeat(ctx, args[0], in, s.Out)
	}
	if o.to == "" {
		return cli.Usage(errors.New("no TPM is named"), "add --to=URL: "+dial.Spellings)
	}
	address, err := dial.Parse(o.to)
	if err != nil {
		return cli.Usage(fmt.Errorf("--to: %w", err), "")
	}
	tpm, err := address.Dial(ctx)
	if err != nil {
		return fmt.Errorf("--to: %w", err)
	}
	defer tpm.Close()
	if o.init {
		power, ok := transport.As[transport.Power](tpm)
		if !ok {
			return cli.Usage(fmt.Errorf("--init: the TPM at %s has no switch", address), "leave --init out, or name it with swtpm: or mssim:")
		}
		if err := power.Init(); err != nil {
			return fmt.Errorf("--init: %w", err)
		}
	}
	total, err := o.play(ctx, capture.NewReader(in), tpm, s.Out)
	if err != nil {
		return fmt.Errorf("%s: %w", args[0], err)
	}
	if total.Verdicts[Differs] > 0 {
		return &cli.ExitError{Code: ExitDiffers}
	}
	return nil
}

// Verdict says how an answer compares with the captured one.
type Verdict string

// The verdicts, in the words of the help.
const (
	Same         Verdict = "same"
	Varies       Verdict = "varies"
	Unrepeatable Verdict = "unrepeatable"
	Differs      Verdict = "differs"
	Unanswered   Verdict = "unanswered"
	Skipped      Verdict = "skipped"
)

var verdicts = []Verdict{Same, Varies, Unrepeatable, Differs, Unanswered, Skipped}

// Compared is a line of the output.
type Compared struct {
	Number  int       `json:"number"` // of the command in the capture, from 1 on
	Time    time.Time `json:"time"`
	Command string    `json:"command"`
	Verdict Verdict   `json:"verdict"`
	// Fields are those that are not the same.
	Fields   []string `json:"fields,omitempty"`
	Captured string   `json:"captured,omitempty"` // the response code
	Answered string   `json:"answered,omitempty"`
	Why      string   `json:"why,omitempty"`
}

// Summary is the last line.
type Summary struct {
	Commands int             `json:"commands"`
	Verdicts map[Verdict]int `json:"verdicts"`
	// Lost is how often bytes are missing in the capture.
	Lost int `json:"lost"`
}

// play sends what the capture has.
func (o *flags) play(ctx context.Context, in *capture.Reader, tpm transport.Device, out io.Writer) (*Summary, error) {
	total := &Summary{Verdicts: map[Verdict]int{}}
	known := newTranslation()
	for {
		e, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		total.Commands++
		c, err := exchange(ctx, tpm, known, e)
		if err != nil {
			return nil, fmt.Errorf("command %d, %s: %w", total.Commands, c.Command, err)
		}
		c.Number = total.Commands
		total.Verdicts[c.Verdict]++
		if !o.all && c.Verdict == Same {
			continue
		}
		if err := o.print(out, &c); err != nil {
			return nil, err
		}
	}
	total.Lost = in.Lost()
	return total, o.printSummary(out, total)
}

// exchange sends a command and compares the answer.
func exchange(ctx context.Context, tpm transport.Device, known *translation, e *capture.Exchange) (Compared, error) {
	c := message.ParseCommand(e.Command)
	result := Compared{Time: e.Time, Command: c.Name()}
	if e.Synthetic {
		result.Verdict = Skipped
		return result, nil
	}
	if known.overAnotherNonce(&c) {
		result.Verdict, result.Why = Unrepeatable, notSent
		if captured := message.ParseResponse(c.Code, e.Response); e.Response != nil {
			result.Captured = captured.Code.String()
			known.unsent(&c, &captured)
		}
		return result, nil
	}
	answer, err := tpm.Send(ctx, e.Locality, known.command(&c, e.Command))
	if err != nil {
		return result, err
	}
	live := message.ParseResponse(c.Code, answer)
	result.Answered = live.Code.String()
	if e.Response == nil {
		result.Verdict = Unanswered
		return result, nil
	}
	captured := message.ParseResponse(c.Code, e.Response)
	result.Captured = captured.Code.String()
	lacks := known.lacks(&c)
	known.learn(&c, &captured, &live)
	compare(&result, &c, &captured, &live, string(e.Response) == string(answer))
	if lacks && result.Verdict == Differs {
		result.Verdict, result.Fields, result.Why = Unrepeatable, nil, "it uses what another command has not made or changed here"
	}
	return result, nil
}

// notSent is why a command is not. A TPM that is protected against dictionary attacks would
// count it as one.
const notSent = "it was not sent, because its HMAC is over a nonce of the captured TPM, and a wrong HMAC counts as a failed authorization"

func (o *flags) print(out io.Writer, c *Compared) error {
	if o.json {
		return json.NewEncoder(out).Encode(c)
	}
	line := fmt.Sprintf("%d %s: %s", c.Number, c.Command, c.Verdict)
	if len(c.Fields) > 0 {
		line += " in " + strings.Join(c.Fields, ", ")
	}
	if c.Captured != c.Answered && c.Verdict != Skipped && c.Why != notSent {
		line += fmt.Sprintf("; captured %s, answered %s", orNone(c.Captured), c.Answered)
	}
	if c.Why != "" {
		line += "; " + c.Why
	}
	_, err := fmt.Fprintln(out, line)
	return err
}

func orNone(text string) string {
	if text == "" {
		return "nothing"
	}
	return text
}

func (o *flags) printSummary(out io.Writer, total *Summary) error {
	if o.json {
		return json.NewEncoder(out).Encode(total)
	}
	var words []string
	for _, v := range verdicts {
		if n := total.Verdicts[v]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, v))
		}
	}
	text := cli.Plural(total.Commands, "command", "commands")
	if len(words) > 0 {
		text += ": " + strings.Join(words, ", ")
	}
	if total.Lost > 0 {
		text += fmt.Sprintf("; bytes are missing in the capture at %s", cli.Plural(total.Lost, "place", "places"))
	}
	_, err := fmt.Fprintln(out, text)
	return err
}

// startedBefore is the answer to TPM2_Startup of a TPM that has had one.
const startedBefore = wire.RCInitialize
