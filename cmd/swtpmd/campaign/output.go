package campaign

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/faults/campaign"
)

// output is where a report goes.
type output struct {
	json  bool
	junit string
	html  string
}

func (o *output) define(f *flag.FlagSet) {
	f.BoolVar(&o.json, "json", o.json, "")
	f.StringVar(&o.junit, "junit", o.junit, "")
	f.StringVar(&o.html, "html", o.html, "")
}

// report writes the report. The error is an *cli.ExitError for findings.
func (o *output) report(c *campaign.Campaign, out io.Writer) error {
	r := c.Report()
	for _, form := range []struct {
		flag, file string
		write      func(io.Writer) error
	}{{"--junit", o.junit, r.JUnit}, {"--html", o.html, r.HTML}} {
		if form.file == "" {
			continue
		}
		var b bytes.Buffer
		if err := form.write(&b); err != nil {
			return fmt.Errorf("%s: %w", form.flag, err)
		}
		if err := os.WriteFile(form.file, b.Bytes(), 0o644); err != nil {
			return fmt.Errorf("%s: %w", form.flag, err)
		}
	}
	write := r.Text
	if o.json {
		write = r.JSON
	}
	if err := write(out); err != nil {
		return err
	}
	if len(r.Findings) > 0 {
		return &cli.ExitError{Code: ExitFindings}
	}
	return nil
}

// merge makes one report of the files of several shards.
func (w *words) merge(args []string, s cli.Streams) error {
	const name = "swtpmd campaign merge"
	f := flag.NewFlagSet(name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	w.output.define(f)
	if err := f.Parse(args); err != nil {
		return cli.Usage(err, "see swtpmd campaign --help")
	}
	if f.NArg() == 0 {
		return cli.Usage(errors.New("no file is named"), "name the --results of each shard")
	}
	var parts []campaign.Part
	for _, file := range f.Args() {
		c, _, err := readResults(file)
		switch {
		case err != nil:
			return err
		case c == nil:
			return fmt.Errorf("%s: there are no results", file)
		}
		parts = append(parts, campaign.Part{Name: file, Campaign: c})
	}
	all, err := campaign.Merge(parts...)
	if err != nil {
		return err
	}
	return w.report(all, s.Out)
}
