package simulate

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// fromConsole makes the platform of a real machine's console log and, if it is
// named, its measurement list. The strategy is the log's unless another one is
// asked for.
func (w *bootWords) fromConsole(ctx context.Context) error {
	log, err := os.Open(w.console)
	if err != nil {
		return err
	}
	defer log.Close()
	var list io.Reader // nil without a file, and not a nil *os.File
	if w.files != "" {
		file, err := os.Open(w.files)
		if err != nil {
			return err
		}
		defer file.Close()
		list = file
	}
	w.reproduction, err = boot.FromConsole(log, list, func(p *boot.Platform, c boot.Config) (*boot.Result, error) {
		own := simulation{platform: p, strategy: c.Strategy, tail: c.Tail, seed: w.seed, profile: w.profile, selfTests: w.selfTests}
		o, err := own.boot(ctx)
		if err != nil {
			return nil, err
		}
		return o.Result, nil
	})
	if err != nil {
		return err
	}
	w.platform, w.tail = w.reproduction.Platform, w.reproduction.Tail
	given := false
	w.flags.Visit(func(f *flag.Flag) { given = given || f.Name == "strategy" })
	if !given {
		w.strategy = w.reproduction.Strategy
	}
	return nil
}

// compared prints how the log and its own simulation compare, and refuses to go
// on from a simulation that contradicts its log. Where stdout is for other data
// it speaks on stderr.
func (w *bootWords) compared(s cli.Streams) error {
	if w.reproduction == nil {
		return nil
	}
	comparison := &w.reproduction.Comparison
	err := comparison.Err()
	if w.force {
		err = nil
	}
	switch {
	case w.printPlatform && err == nil && comparison.Err() == nil:
	case w.json && err != nil:
		if err := json.NewEncoder(s.Out).Encode(Outcome{Comparison: comparison}); err != nil {
			return err
		}
	case w.json:
	default:
		out := s.Out
		if w.printPlatform {
			out = s.Err
		}
		if err := comparison.Render(out); err != nil {
			return err
		}
		fmt.Fprintln(out)
	}
	if err != nil {
		return fmt.Errorf("%w; --force tells the story all the same", err)
	}
	return nil
}
