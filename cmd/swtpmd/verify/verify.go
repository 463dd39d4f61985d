// Package verify is the subcommand verify: it tells what may be concluded from a
// measurement list.
package verify

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
	"github.com/swtpmd/swtpmd/ima/verify"
)

const help = `Usage: swtpmd verify [flags] LIST

Says what an attestation service may conclude from LIST, a kernel's binary or
ASCII measurement list of sha1 or of any bank, or a Canonical Event Log, alone or in
a Conceptual Messages Wrapper (- for stdin), and from what vouches for it. The form
is found out from the content; docs/verify.md has the table of forms.

Evidence:
  --pcrs=FILE            PCR values: JSON, bank to index to hex, as in
                         {"sha256":{"0":"…","10":"…"}}; what tpm2_pcrread and
                         tpm2_quote print, or write with -o; a directory of the
                         kernel's, such as /sys/class/tpm/tpm0/pcr-sha256
  --pcrs-selection=SEL   the PCRs of a FILE that is their digests alone (tpm2_pcrread
                         -o, tpm2_quote -F values), as in sha1:10+sha256:0,1,10
                         (default: those of the quote)
  --vouched              the PCR values were read from the TPM itself, so that no
                         quote is needed
  --quote=FILE           TPMS_ATTEST of a quote of the PCRs (tpm2_quote -m)
  --signature=FILE       its TPMT_SIGNATURE, or a plain signature (tpm2_quote -s, with
                         -f tss or -f plain)
  --key=FILE             public key or certificate, PEM or DER; TPM2B_PUBLIC or
                         TPMT_PUBLIC (tpm2_createak -u, tpm2_readpublic -o), or a TPM's
                         key in PEM (TSS2 PRIVATE KEY)
  --nonce=HEX            what the quote was asked for with (tpm2_quote -q)
  --event-log=FILE       the firmware's log (binary_bios_measurements)
  --start=FILE           PCR values before the first record of LIST, if its beginning
                         is missing; forms as of --pcrs
  --order=ORDER          byte order of the kernel that wrote LIST: little or big
                         (otherwise it is found out)

The kernel that made the list:
  --kernel=RELEASE       its uname -r, such as 6.1.0-56-amd64, which must be that of a
                         kernel_version record; or a version, such as 6.1 or 7.3-rc1,
                         which stands for all releases that begin with it
  --strategy=S           how it starts IMA: late, late_sync, retry, kconfig, dual,
                         queue, deny, notifier
  --late-sync=SETTING    CONFIG_IMA_INIT_LATE_SYNC: on, off, unknown
  --measure-pcr=N        CONFIG_IMA_MEASURE_PCR_IDX, 8 to 14 (default 10)
  --bound                the measured boot has been found to be this kernel's

Appraisal:
  --policy=P             strict, accept-late, build-bound, or a file; may be
                         repeated (default: the three)
  --print-policy         print the policy as a file, to start your own from
  --json                 verdict and appraisals as one JSON object

A policy file gives findings, by the codes that a verdict shows, an outcome: accept,
cannot-tell or reject. The worst one prevails. What it requires has to be found:
  {"name": "mine", "question": "Does a PCR vouch for the list?", "otherwise": "reject",
   "require": [{"any": ["replay-match"], "else": "cannot-tell", "reason": "a PCR has to"}],
   "rules": [{"findings": ["replay-match", "violation"], "outcome": "accept", "reason": "fine"}]}

Examples:
  swtpmd verify --pcrs=pcrs.json --vouched ascii_runtime_measurements
  swtpmd verify --policy=accept-late --print-policy >mine.json
  swtpmd verify --quote=q.msg --signature=q.sig --key=ak.pem --nonce=c0ffee \
      --pcrs=pcrs.json --policy=strict binary_runtime_measurements
  swtpmd verify --start=kept.json --pcrs=now.json --vouched records-from-4711.bin

Exit codes: 0 every policy accepts; 1 a file could not be read, or is not what it
is named for (LIST has no first record, --event-log no first event, --quote or
--signature is none); 2 usage; 3 a policy cannot tell and none rejects; 4 a policy
rejects: also a list or a log that is broken further on, and a signed structure
that is no quote, which are evidence.
`

// Exit codes of verify besides those of every command.
const (
	ExitCannotTell = 3
	ExitRejected   = 4
)

// verifyWords is the command line of swtpmd verify.
type verifyWords struct {
	pcrs, quote, signature, key, nonce, eventLog, order, start string
	selection                                                  []verify.Selection // of pcrs
	vouched, printPolicy, json                                 bool
	strategy                                                   string
	build                                                      verify.Build
	policies                                                   []string
}

func (w *verifyWords) define(f *flag.FlagSet) {
	f.StringVar(&w.pcrs, "pcrs", "", "")
	f.Func("pcrs-selection", "", func(text string) (err error) { w.selection, err = verify.ParseSelection(text); return err })
	f.BoolVar(&w.vouched, "vouched", false, "")
	f.StringVar(&w.quote, "quote", "", "")
	f.StringVar(&w.signature, "signature", "", "")
	f.StringVar(&w.key, "key", "", "")
	f.StringVar(&w.nonce, "nonce", "", "")
	f.StringVar(&w.eventLog, "event-log", "", "")
	f.StringVar(&w.start, "start", "", "")
	f.StringVar(&w.order, "order", "", "")
	f.StringVar(&w.build.Release, "kernel", "", "")
	f.StringVar(&w.strategy, "strategy", "", "")
	f.TextVar(&w.build.InitLateSync, "late-sync", verify.SettingUnknown, "")
	f.IntVar(&w.build.MeasurePCR, "measure-pcr", 0, "")
	f.BoolVar(&w.build.Bound, "bound", false, "")
	f.Func("policy", "", func(name string) error { w.policies = append(w.policies, name); return nil })
	f.BoolVar(&w.printPolicy, "print-policy", false, "")
	f.BoolVar(&w.json, "json", false, "")
}

// Command is the subcommand.
var Command = cli.Command{
	Name: "verify", Help: help, Args: cli.ArgsAfterFlags,
	New: func(f *flag.FlagSet) cli.Run {
		w := new(verifyWords)
		w.define(f)
		return w.run
	},
}

func (w *verifyWords) run(_ context.Context, lists []string, s cli.Streams) error {
	policies, err := openPolicies(w.policies)
	if err != nil {
		return cli.Usage(fmt.Errorf("--policy: %w", err), "")
	}
	if w.printPolicy {
		return printPolicy(s.Out, policies)
	}
	if len(lists) != 1 {
		return cli.Usage(fmt.Errorf("%d measurement lists named", len(lists)), "name one, or - for stdin")
	}
	evidence, err := w.evidence()
	if err != nil {
		return err
	}
	list, closeList, err := w.openList(lists[0], s.In)
	if err != nil {
		return err
	}
	defer closeList()
	evidence.List = list
	if err := w.takeEventLog(evidence); err != nil {
		return err
	}
	verdict, err := verify.Verify(*evidence)
	if wrong := w.wrongInput(lists[0], verdict, err); wrong != nil {
		return wrong
	}
	// Evidence that breaks off is a finding of the verdict, and here a word
	// about where.
	if err != nil {
		fmt.Fprintln(s.Err, "swtpmd verify:", err)
	}
	return report(s.Out, w.json, verdict, policies)
}

// wrongFileError says which file is not what it is named for. Nothing is said of a
// machine from it: more likely than not somebody has named another file.
type wrongFileError struct {
	name string // the flag and the file
	want string
	err  error
}

func (e *wrongFileError) Error() string { return fmt.Sprintf("%s is no %s: %v", e.name, e.want, e.err) }
func (e *wrongFileError) Unwrap() error { return e.err }

// wrongInput finds what in Verify's error is about a file that is not what it is
// named for, and not about what the machine has sent.
func (w *verifyWords) wrongInput(list string, verdict *verify.Verdict, err error) error {
	for _, input := range inputErrors(err) {
		var atRecord *ima.ListError
		var atEvent *verify.EventLogError
		switch input.Part {
		case verify.PartList:
			if errors.As(input, &atRecord) && atRecord.Record == 1 {
				return &wrongFileError{list, "measurement list, such as binary_runtime_measurements", input.Err}
			}
		case verify.PartEventLog:
			if errors.As(input, &atEvent) && atEvent.Event == 1 {
				return &wrongFileError{"--event-log " + w.eventLog, "event log, such as binary_bios_measurements", input.Err}
			}
		case verify.PartQuote:
			if verdict != nil && verdict.Has(verify.QuoteUnreadable) {
				if verdict.Quote != nil { // the quote itself was read
					return &wrongFileError{"--signature " + w.signature, "TPMT_SIGNATURE", input.Err}
				}
				return &wrongFileError{"--quote " + w.quote, "TPMS_ATTEST", input.Err}
			}
		case verify.PartBuild:
			return cli.Usage(input.Err, "--kernel, --strategy, --late-sync and --measure-pcr say what is known of the kernel")
		case verify.PartPCRs:
			if verdict == nil {
				return &wrongFileError{"--pcrs " + w.pcrs, "file of PCR values", input.Err}
			}
		case verify.PartStart:
			return &wrongFileError{"--start " + w.start, "file of PCR values", input.Err}
		}
	}
	if verdict == nil {
		return err
	}
	return nil
}

// inputErrors are those that Verify has joined.
func inputErrors(err error) (all []*verify.InputError) {
	var joined interface{ Unwrap() []error }
	if errors.As(err, &joined) {
		for _, err := range joined.Unwrap() {
			all = append(all, inputErrors(err)...)
		}
		return all
	}
	var input *verify.InputError
	if errors.As(err, &input) {
		all = append(all, input)
	}
	return all
}

// report prints verdict and appraisals; the error says which exit code they
// mean.
func report(out io.Writer, asJSON bool, verdict *verify.Verdict, policies []*verify.Policy) error {
	var results []verify.Result
	worst := verify.Accept
	for _, policy := range policies {
		result := policy.Appraise(verdict)
		results = append(results, result)
		worst = max(worst, result.Outcome)
	}
	if asJSON {
		err := json.NewEncoder(out).Encode(struct {
			Verdict    *verify.Verdict `json:"verdict"`
			Appraisals []verify.Result `json:"appraisals"`
		}{verdict, results})
		if err != nil {
			return err
		}
		return outcomeError(worst)
	}
	if err := verdict.Render(out); err != nil {
		return err
	}
	for i := range results {
		fmt.Fprintln(out)
		if err := results[i].Render(out); err != nil {
			return err
		}
	}
	return outcomeError(worst)
}

// outcomeError is an exit code that stdout has explained.
func outcomeError(worst verify.Outcome) error {
	switch worst {
	case verify.Reject:
		return &cli.ExitError{Code: ExitRejected}
	case verify.CannotTell:
		return &cli.ExitError{Code: ExitCannotTell}
	}
	return nil
}

// openPolicies reads the named policies: built-in ones, or files.
func openPolicies(names []string) ([]*verify.Policy, error) {
	if len(names) == 0 {
		names = verify.PolicyNames()
	}
	var policies []*verify.Policy
	for _, name := range names {
		policy, err := verify.PolicyByName(name)
		if text, readErr := os.ReadFile(name); err != nil && readErr == nil {
			policy, err = verify.ParsePolicy(text)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		policies = append(policies, policy)
	}
	return policies, nil
}

// printPolicy prints a policy as the file that --policy takes.
func printPolicy(out io.Writer, policies []*verify.Policy) error {
	if len(policies) != 1 {
		return cli.Usage(fmt.Errorf("--print-policy: %d policies named", len(policies)), "name one with --policy")
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(policies[0])
}

// evidence reads what the words name, but not the list.
func (w *verifyWords) evidence() (*verify.Evidence, error) {
	e := &verify.Evidence{Vouched: w.vouched, Build: w.build}
	e.Build.Strategy = verify.Strategy(w.strategy)
	if w.build.Release != "" {
		kernel, err := measure.KernelByRelease(w.build.Release)
		if err != nil {
			return nil, cli.Usage(fmt.Errorf("--kernel: %w", err), "the list of an older kernel is verified without it")
		}
		e.Build.Kernel = kernelOf(&kernel)
	}
	for _, read := range []func(*verify.Evidence) error{w.readQuote, w.readPCRs, w.readEventLog, w.readStart} {
		if err := read(e); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// kernelOf returns what verification needs to know of a kernel.
func kernelOf(k *measure.Kernel) verify.Kernel {
	return verify.Kernel{Release: k.Release, InitLateSync: k.InitLateSync, KexecAtExecute: k.KexecAtExecute}
}

// readPCRs reads the PCR values. The quote was read before, because it names their
// PCRs.
func (w *verifyWords) readPCRs(e *verify.Evidence) (err error) {
	if w.pcrs == "" {
		if w.selection != nil {
			return cli.Usage(errors.New("--pcrs-selection without --pcrs"), "")
		}
		return nil
	}
	selection := w.selection
	if selection == nil && e.Quote != nil {
		if attest, err := verify.ParseAttest(e.Quote.Attest); err == nil {
			selection = attest.Selections
		}
	}
	e.PCRs, err = openPCRs("--pcrs", w.pcrs, selection)
	return err
}

func (w *verifyWords) readEventLog(e *verify.Evidence) (err error) {
	if w.eventLog == "" {
		return nil
	}
	e.EventLog, err = readEvidence("--event-log", w.eventLog)
	return err
}

func (w *verifyWords) readQuote(e *verify.Evidence) error {
	if w.quote == "" && w.signature == "" && w.key == "" && w.nonce == "" {
		return nil
	}
	if w.quote == "" || w.signature == "" || w.key == "" {
		return cli.Usage(errors.New("a quote needs --quote, --signature and --key"), "--nonce says what it was asked for with")
	}
	q := new(verify.Quote)
	var err error
	if q.Attest, err = readEvidence("--quote", w.quote); err != nil {
		return err
	}
	if q.Signature, err = readEvidence("--signature", w.signature); err != nil {
		return err
	}
	key, err := readEvidence("--key", w.key)
	if err != nil {
		return err
	}
	if q.Key, err = verify.ParseKey(key); err != nil {
		return &wrongFileError{"--key " + w.key, "file of a public key", err}
	}
	if w.nonce != "" {
		if q.Nonce, err = cli.ParseHex(w.nonce); err != nil {
			return cli.Usage(fmt.Errorf("--nonce: %w", err), "hex digits, as tpm2_quote -q takes them")
		}
	}
	e.Quote = q
	return nil
}
