package replay

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/faults/journal"
	"github.com/swtpmd/swtpmd/transport"
)

// isJournal reports whether a file begins as a journal and not as a capture.
func isJournal(in *bufio.Reader) bool {
	first, err := in.Peek(1)
	return err == nil && first[0] == '{'
}

// repeat repeats a run from its journal.
func (o *flags) repeat(ctx context.Context, name string, in io.Reader, out io.Writer) error {
	result, err := journal.Replay(ctx, in, tpmOf)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if o.json {
		err = json.NewEncoder(out).Encode(result)
	} else {
		_, err = fmt.Fprintln(out, repeated(name, result))
	}
	if err == nil && result.Difference != nil {
		err = &cli.ExitError{Code: ExitDiffers}
	}
	return err
}

// tpmOf makes the TPM of a journal.
func tpmOf(h journal.Header, ticks *journal.Ticks) (transport.Device, error) {
	var config emulator.Config
	if h.Profile != "" {
		profile, err := emulator.ParseProfile("the profile of the journal", []byte(h.Profile))
		if err != nil {
			return nil, err
		}
		config = profile.Config
	}
	return emulator.New(emulator.Platform{Entropy: journal.Entropy(*h.TPMSeed), Clock: ticks}, config)
}

// repeated says in words what came of a replay.
func repeated(name string, r *journal.Repeated) string {
	done := cli.Plural(r.Commands, "command", "commands") + ", " + cli.Plural(r.Decisions, "decision", "decisions")
	if d := r.Difference; d != nil {
		return fmt.Sprintf("%s: line %d differs\njournal   %s\nrepeated  %s", done, d.Line, orNone(d.Journal), orNone(d.Repeated))
	}
	return done + ": the same as in " + name + ", byte for byte"
}
