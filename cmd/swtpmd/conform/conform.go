// Package conform is the subcommand conform: it asks a TPM what the specification says that
// it has to answer.
package conform

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/conform/cases"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/dial"
)

const help = `Usage: swtpmd conform --target=URL [flags]
       swtpmd conform --list [flags]
       swtpmd conform --table FILE...

Asks a TPM questions whose answers the TPM 2.0 Library states, and says which it does not
answer so. The TPM may be anybody's: a socket of swtpm or of the TCG's simulator, or a
device of the kernel. Nobody else should use it meanwhile.

  pass           the answers are those of the specification
  fail           one is not; the section that states it is named
  not supported  the TPM, or the way to it, lacks what the case needs: over a socket
                 without a channel for the platform nothing resets it, and a resource
                 manager, as /dev/tpmrm0 is one, answers some questions by itself
  refused        the case would change the TPM for good; --destructive runs it

Without --destructive the TPM is left as it was found: what the cases make is taken away
again, and at the end it is compared with what was there before. NV indices are made at
0x180c0f0 to 0x180c0ff, persistent objects at 0x8100c0f0 to 0x8100c0ff, and PCR 16 and 23
are changed and reset if they are at their reset values. With --destructive hierarchies
are cleared, their authorization values and seeds change, and the TPM is reset, if it can
be: it is for a TPM that nobody needs. An interrupt (Ctrl-C) ends the run after the
command in progress, takes away what was made, and writes the reports of the cases so far.

What to ask, and whom:
  --target=URL           the TPM, as --backend of swtpmd has it, such as /dev/tpmrm0
  --run=PATTERN          only cases whose name matches the regular expression
  --section=CLAUSE       only cases of a section, such as 31.13, or of a chapter, such as
                         31; may be repeated
  --destructive          run the cases too that change the TPM for good
  --list                 list the cases, with --json as objects, and ask nobody
  --timeout=DURATION     the longest that a command may take (default 1m0s)
  --resource-manager     a resource manager is between, such as tpm2-abrmd; /dev/tpmrm0 is
                         known to be one, unless --resource-manager=false says otherwise

Authorization values of hierarchies that are not empty, as text, or file:PATH:
  --owner-auth=VALUE, --endorsement-auth=VALUE, --platform-auth=VALUE, --lockout-auth=VALUE

What is said:
  --all                  a line for each case, not only for those that fail
  --json=FILE            the report as JSON; --json alone, or -, is standard output, which
                         then has nothing else
  --junit=FILE           the report as JUnit's XML, for CI servers; the same
  --html=FILE            the report as a page; the same
  --table                compare TPMs: make tables of Markdown from their reports, which
                         are FILEs that --json has written, with the reasons known
  --quiet                no progress on stderr

Examples:
  swtpmd conform --list --section=31
  swtpmd conform --target=unix:/tmp/tpm.sock
  swtpmd conform --target=swtpm:host=localhost,port=2321 --destructive --json=report.json
  swtpmd conform --target=mssim:host=localhost,port=2321 --destructive --junit=report.xml
  swtpmd conform --table report.json other.json
  swtpmd conform --target=/dev/tpmrm0 --run='NV_Read.*NV_UNINITIALIZED' --all

Exit codes: 0 no case failed and the TPM is as it was found; 1 a case failed, with --table
one without a known reason, or the run was interrupted, or a report cannot be written; 2
usage; 3 the TPM cannot be reached, does not answer any more, is in failure mode, or is not
as it was found.
`

// ExitGone is the exit code for a TPM that does not answer, is in failure mode, or is not as it
// was found.
const ExitGone = 3

// Command is the subcommand.
var Command = cli.Command{Name: "conform", Help: help, Args: cli.ArgsAmongFlags, New: define}

type flags struct {
	target, run       string
	sections          []string
	destructive, list bool
	all, quiet, table bool
	manager           *bool // nil: as the target is
	json              listing
	junit, html       string
	timeout           time.Duration
	auths             map[tpm2.TPMHandle]string
}

// listing is --json: the name of a file, or none for the objects of --list.
type listing struct {
	set  bool
	file string
}

func (l *listing) String() string   { return l.file }
func (l *listing) IsBoolFlag() bool { return true }

func (l *listing) Set(text string) error {
	l.set, l.file = true, text
	if text == "true" {
		l.file = "-"
	}
	return nil
}

// hierarchies are those with an authorization value, by the first word of their flag.
var hierarchies = []struct {
	word   string
	handle tpm2.TPMHandle
}{
	{"owner", tpm2.TPMRHOwner}, {"endorsement", tpm2.TPMRHEndorsement}, {"platform", tpm2.TPMRHPlatform}, {"lockout", tpm2.TPMRHLockout},
}

func define(f *flag.FlagSet) cli.Run {
	o := &flags{auths: map[tpm2.TPMHandle]string{}}
	f.StringVar(&o.target, "target", "", "")
	f.StringVar(&o.run, "run", "", "")
	f.Func("section", "", func(text string) error {
		o.sections = append(o.sections, text)
		return nil
	})
	f.BoolVar(&o.destructive, "destructive", false, "")
	f.BoolVar(&o.list, "list", false, "")
	f.DurationVar(&o.timeout, "timeout", time.Minute, "")
	f.BoolVar(&o.all, "all", false, "")
	f.BoolVar(&o.quiet, "quiet", false, "")
	f.BoolVar(&o.table, "table", false, "")
	f.BoolFunc("resource-manager", "", func(text string) error {
		manager, err := strconv.ParseBool(text)
		o.manager = &manager
		return err
	})
	f.StringVar(&o.junit, "junit", "", "")
	f.StringVar(&o.html, "html", "", "")
	f.Var(&o.json, "json", "")
	for _, h := range hierarchies {
		f.Func(h.word+"-auth", "", func(text string) error {
			o.auths[h.handle] = text
			return nil
		})
	}
	return func(ctx context.Context, args []string, s cli.Streams) error {
		if o.table {
			return compare(args, s.Out)
		}
		if err := cli.Unexpected(f.Name(), args); err != nil {
			return err
		}
		return o.main(ctx, s)
	}
}

func (o *flags) main(ctx context.Context, s cli.Streams) error {
	suite := cases.All()
	chosen, err := o.choose(suite)
	switch {
	case err != nil:
		return err
	case o.timeout <= 0:
		return cli.Usage(fmt.Errorf("--timeout=%v is no time", o.timeout), "")
	case o.list:
		return o.print(chosen, s.Out)
	case o.target == "":
		return cli.Usage(errors.New("no TPM is named"), "add --target=URL: "+dial.Spellings)
	}
	options, err := o.options(s)
	if err != nil {
		return err
	}
	address, err := dial.Parse(o.target)
	if err != nil {
		return cli.Usage(fmt.Errorf("--target: %w", err), "")
	}
	options.ResourceManager = o.managed(address)
	if err := o.writable(); err != nil {
		return err
	}
	report, err := o.ask(ctx, address, suite, chosen, options)
	if report != nil {
		report.Target = address.String()
		if err := o.write(report, s.Out); err != nil {
			return fmt.Errorf("the report cannot be written: %w", err)
		}
	}
	return o.verdict(ctx, report, err, s.Err)
}

// verdict makes the exit code of a run, and says on stderr why it did not come to its end.
func (o *flags) verdict(ctx context.Context, report *conform.Report, err error, talk io.Writer) error {
	var wrong *conform.AuthError
	switch {
	case errors.As(err, &wrong):
		return cli.Usage(fmt.Errorf("--%s-auth: %w", wordOf(wrong.Hierarchy), err), "")
	case err != nil && ctx.Err() != nil && report != nil:
		return fmt.Errorf("interrupted after %d of %d cases", len(report.Results)-report.Count(conform.NotRun), len(report.Results))
	case err != nil:
		fmt.Fprintf(talk, "swtpmd conform: %v\n", err)
		return &cli.ExitError{Code: ExitGone}
	case report.Count(conform.Fail) > 0:
		return &cli.ExitError{Code: cli.ExitFailed}
	case len(report.Left) > 0 && !o.destructive:
		return &cli.ExitError{Code: ExitGone}
	}
	return nil
}

// ask reaches the TPM and runs the cases.
func (o *flags) ask(ctx context.Context, address dial.Address, suite *conform.Suite, chosen []*conform.Case, options conform.Options) (*conform.Report, error) {
	reached, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	tpm, err := address.DialAlone(reached)
	if err != nil {
		return nil, err
	}
	defer func() { tpm.Close() }()
	options.Reopen = func(ctx context.Context) (transport.Device, error) {
		next, err := address.DialAlone(ctx)
		if err != nil {
			return nil, err
		}
		err = tpm.Close()
		tpm = next
		return next, err
	}
	runner, err := conform.NewRunner(ctx, tpm, suite, options)
	if err != nil {
		return nil, err
	}
	return runner.Run(ctx, chosen)
}

// managed reports whether the user says that a resource manager is between or, if nothing is
// said, whether the target is that of Linux.
func (o *flags) managed(a dial.Address) bool {
	if o.manager != nil {
		return *o.manager
	}
	if a.Protocol != dial.Device {
		return false
	}
	path := cmp.Or(a.Data, "/dev/tpmrm0") // which is tried first
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	} else if a.Data == "" {
		return false
	}
	return strings.HasPrefix(filepath.Base(path), "tpmrm")
}

// wordOf returns the first word of the flag for a hierarchy.
func wordOf(handle tpm2.TPMHandle) string {
	for _, h := range hierarchies {
		if h.handle == handle {
			return h.word
		}
	}
	return ""
}

// choose returns the cases that the flags ask for.
func (o *flags) choose(suite *conform.Suite) ([]*conform.Case, error) {
	pattern, err := regexp.Compile(o.run)
	if err != nil {
		return nil, cli.Usage(fmt.Errorf("--run: %w", err), "")
	}
	var chosen []*conform.Case
	for i := range suite.Cases {
		c := &suite.Cases[i]
		if pattern.MatchString(c.Name) && o.inSections(c.Section) {
			chosen = append(chosen, c)
		}
	}
	if len(chosen) == 0 {
		return nil, cli.Usage(errors.New("no case has such a name or section"), "swtpmd conform --list lists them all")
	}
	return chosen, nil
}

func (o *flags) inSections(s conform.Section) bool {
	for _, clause := range o.sections {
		if s.Clause == clause || strings.HasPrefix(s.Clause, clause+".") || s.Document == clause {
			return true
		}
	}
	return len(o.sections) == 0
}

// options are those of the runner.
func (o *flags) options(s cli.Streams) (conform.Options, error) {
	options := conform.Options{Destructive: o.destructive, Timeout: o.timeout, Auths: map[tpm2.TPMHandle][]byte{}}
	for handle, text := range o.auths {
		value := []byte(text)
		if path, ok := strings.CutPrefix(text, "file:"); ok {
			var err error
			if value, err = os.ReadFile(path); err != nil {
				return options, cli.Usage(fmt.Errorf("--%s-auth: %w", wordOf(handle), err), "")
			}
		}
		options.Auths[handle] = value
	}
	if !o.quiet {
		options.Progress = progress(s.Err)
	}
	return options, nil
}

// progress writes a line now and then.
func progress(w io.Writer) func(done, total int, last *conform.Result) {
	const every = 2 * time.Second
	next := time.Now().Add(every)
	return func(done, total int, last *conform.Result) {
		if now := time.Now(); now.After(next) {
			fmt.Fprintf(w, "%d of %d cases: %s\n", done, total, last.Case.Name)
			next = now.Add(every)
		}
	}
}

// print lists cases.
func (o *flags) print(chosen []*conform.Case, out io.Writer) error {
	if !o.json.set {
		for _, c := range chosen {
			if _, err := fmt.Fprintf(out, "%-15s %s\n", c.Section.Document+" "+c.Section.Clause, c.Name); err != nil {
				return err
			}
		}
		return nil
	}
	report := conform.Report{}
	for _, c := range chosen {
		report.Results = append(report.Results, conform.Result{Case: c, Status: conform.NotRun})
	}
	return report.WriteJSON(out)
}

// write writes the report where it is wanted.
func (o *flags) write(report *conform.Report, out io.Writer) error {
	text := true
	for flag, name := range o.files() {
		if name == "" {
			continue
		}
		text = text && name != "-"
		if err := writeFile(name, out, writers[flag](report)); err != nil {
			return err
		}
	}
	if !text {
		return nil
	}
	return report.WriteText(out, o.all)
}

// files are the names of the reports by their flags, "" for those that are not wanted.
func (o *flags) files() map[string]string {
	return map[string]string{"--json": o.json.file, "--junit": o.junit, "--html": o.html}
}

// writers write reports by their flags.
var writers = map[string]func(*conform.Report) func(io.Writer) error{
	"--json":  func(r *conform.Report) func(io.Writer) error { return r.WriteJSON },
	"--junit": func(r *conform.Report) func(io.Writer) error { return r.WriteJUnit },
	"--html":  func(r *conform.Report) func(io.Writer) error { return r.WriteHTML },
}

// writable refuses reports that cannot be written, before the TPM is asked.
func (o *flags) writable() error {
	taken := map[string]string{}
	files := o.files()
	for _, flag := range slices.Sorted(maps.Keys(files)) {
		name := files[flag]
		if name == "" {
			continue
		}
		if other := taken[name]; other != "" {
			return cli.Usage(fmt.Errorf("%s and %s are both %s", other, flag, name), "name a file for each")
		}
		taken[name] = flag
		if name == "-" {
			continue
		}
		_, before := os.Stat(name)
		file, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE, 0o666)
		if err != nil {
			return cli.Usage(fmt.Errorf("%s: %w", flag, err), "")
		}
		if err := file.Close(); err != nil {
			return fmt.Errorf("%s: %w", flag, err)
		}
		if errors.Is(before, os.ErrNotExist) {
			if err := os.Remove(name); err != nil {
				return fmt.Errorf("%s: %w", flag, err)
			}
		}
	}
	return nil
}

// compare writes tables of several reports.
func compare(names []string, out io.Writer) error {
	if len(names) == 0 {
		return cli.Usage(errors.New("no report is named"), "name files that --json has written")
	}
	var files []*conform.File
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		var file conform.File
		if err := json.Unmarshal(data, &file); err != nil {
			return cli.Usage(fmt.Errorf("%s is no report of swtpmd conform --json: %w", name, err), "")
		}
		if len(file.Cases) == 0 {
			return cli.Usage(fmt.Errorf("%s is no report of swtpmd conform --json: it has no cases", name), "")
		}
		files = append(files, &file)
	}
	unexplained, err := conform.WriteTable(out, files, cases.Explanations())
	if err == nil && unexplained > 0 {
		err = &cli.ExitError{Code: cli.ExitFailed}
	}
	return err
}

// writeFile writes a file; - is standard output.
func writeFile(name string, out io.Writer, write func(io.Writer) error) error {
	if name == "-" {
		return write(out)
	}
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	return errors.Join(write(file), file.Close())
}
