package main

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/raw"
)

const measureHelp = `Usage: swtpmd measure [flags] PATH...

Runs the embedded IMA over files, as if root read each of them, extends a TPM,
and leaves what an attestation service is sent: the measurement lists under the
names that the kernel gives them, pcrs.json, and a quote: quote.attest,
quote.signature and quote.key.pem. What an earlier run has left there goes away.

  --out=DIR              where to (default ./measured)
  --tpm=ADDRESS          the TPM: emulated (default), unix:PATH or tcp:HOST:PORT of raw
                         TPM commands, or a device such as /dev/tpmrm0; it must have
                         been started up, and its PCR 10 not been extended
  --profile=P            the kind of the emulated TPM, as swtpmd --help has it
  --policy=TEXT          ima_policy= of the kernel (default tcb), words with a bar in
                         between: tcb, appraise_tcb, secure_boot, critical_data,
                         fail_securely; or file:PATH of rules
  --kernel=RELEASE       such as 6.12 (default), 6.8.0-31-generic or 7.3-rc1: a kernel
                         behaves as its release does, since 6.1 (docs/measure.md)
  --template=NAME        the kernel's ima_template=, such as ima-sig
  --hash=NAME            the kernel's ima_hash=, such as sha512
  --nonce=HEX            what the quote is asked for with; at most two bytes more than
                         the TPM's largest digest. Without one a TPM that gives no
                         quote is no failure
  --json                 a summary as one JSON object

Files that no rule measures are passed over; what is no regular file too.

Examples:
  swtpmd measure /etc /usr/bin
  swtpmd measure --tpm=/dev/tpmrm0 --nonce=c0ffee --out=evidence /opt/app
  swtpmd verify --pcrs=measured/pcrs.json --vouched measured/binary_runtime_measurements
  swtpmd verify --pcrs=evidence/pcrs.json --nonce=c0ffee --quote=evidence/quote.attest \
      --signature=evidence/quote.signature --key=evidence/quote.key.pem \
      evidence/binary_runtime_measurements

Exit codes: 0 measured; 1 a file or the TPM failed; 2 usage.
`

// measurement is the command line of swtpmd measure.
type measurement struct {
	out, tpm, policy, kernel, template, hash, nonce string
	json                                            bool
	kind                                            kindWords
}

func (m *measurement) define(f *flag.FlagSet) {
	f.StringVar(&m.out, "out", "measured", "")
	f.StringVar(&m.tpm, "tpm", "emulated", "")
	m.kind.define(f)
	f.StringVar(&m.policy, "policy", "tcb", "")
	f.StringVar(&m.kernel, "kernel", "6.12", "")
	f.StringVar(&m.template, "template", "", "")
	f.StringVar(&m.hash, "hash", "", "")
	f.StringVar(&m.nonce, "nonce", "", "")
	f.BoolVar(&m.json, "json", false, "")
}

// measured is what measure tells.
type measured struct {
	Records int      `json:"records"`
	Files   int      `json:"files"` // looked at
	Out     string   `json:"out"`
	PCR10   ima.PCRs `json:"pcr_10"`
	// Quote says whether there is one, and why not.
	Quote string `json:"quote"`
}

func runMeasure(ctx context.Context, args []string, s streams) error {
	f := flag.NewFlagSet("swtpmd measure", flag.ContinueOnError)
	var m measurement
	m.define(f)
	if err := parse(f, args, s, measureHelp); err != nil {
		return err
	}
	if f.NArg() == 0 {
		return &usageError{errors.New("nothing to measure"), "name files or directories"}
	}
	if m.kind.profile != nil && m.tpm != "emulated" {
		return &usageError{errors.New("--profile is for the emulated TPM, and --tpm names another one"), "leave out one of the two"}
	}
	nonce, err := hex.DecodeString(m.nonce)
	if err != nil {
		return &usageError{fmt.Errorf("--nonce: %w", err), "hex digits"}
	}
	if err := m.check(); err != nil {
		return &usageError{err, ""}
	}
	config, rules, err := m.config(s.err)
	if err != nil {
		return &usageError{err, ""}
	}
	device, done, err := openTPM(ctx, m.tpm, &m.kind)
	if err != nil {
		return err
	}
	defer done()
	chip, err := newChip(ctx, device)
	if err != nil {
		return fmt.Errorf("--tpm %s: %w", m.tpm, err)
	}
	// Before anything is extended: a PCR cannot be taken back.
	if limit := chip.nonceMax(); len(nonce) > limit {
		return &usageError{
			fmt.Errorf("--nonce has %d bytes; this TPM takes at most %d", len(nonce), limit),
			"a digest of it will do as well",
		}
	}
	kernel, err := ima.New(*config)
	if err != nil {
		return &usageError{err, ""}
	}
	if err := kernel.Init(func() ima.TPM { return chip }); err != nil {
		return err
	}
	if rules != "" {
		if err := kernel.WritePolicy(nil, rules); err != nil {
			return &usageError{fmt.Errorf("--policy: %w", err), ""}
		}
	}
	told := measured{Out: m.out}
	for _, path := range f.Args() {
		if err := told.walk(ctx, kernel, path); err != nil {
			return err
		}
	}
	if err := m.leave(&told, kernel, chip, nonce); err != nil {
		return err
	}
	return told.print(s.out, m.json)
}

// check refuses what a kernel would log and pass over: the words of flags are
// swtpmd's own, and who mistypes one wants to be told.
func (m *measurement) check() error {
	if m.policy != "" && !strings.HasPrefix(m.policy, "file:") {
		if err := ima.CheckPolicyOption(m.policy); err != nil {
			return fmt.Errorf("--policy: %w", err)
		}
	}
	if _, ok := ima.LookupTemplate(m.template); !ok && m.template != "" {
		unknown := &ima.UnknownNameError{What: "template", Name: m.template}
		for _, t := range ima.Templates() {
			unknown.Known = append(unknown.Known, t.Name())
		}
		return fmt.Errorf("--template: %w", unknown)
	}
	return m.checkHash()
}

func (m *measurement) checkHash() error {
	if m.hash == "" {
		return nil
	}
	unknown := &ima.UnknownNameError{What: "hash", Name: m.hash}
	for id := range uint8(math.MaxUint8) {
		algo, ok := ima.HashAlgoByID(id)
		// The ima template has room for digests of these two alone.
		if ok && algo.Available() && (m.template != "ima" || algo == ima.SHA1 || algo == ima.MD5) {
			unknown.Known = append(unknown.Known, algo.String())
		}
	}
	if slices.Contains(unknown.Known, m.hash) {
		return nil
	}
	if m.template == "ima" {
		unknown.What = "hash of the template ima"
	}
	return fmt.Errorf("--hash: %w", unknown)
}

// config is the kernel that measures; rules are to be written into its policy
// file.
func (m *measurement) config(log io.Writer) (*ima.Config, string, error) {
	kernel, err := ima.KernelByRelease(m.kernel)
	if err != nil {
		return nil, "", fmt.Errorf("--kernel: %w", err)
	}
	var words []string
	rules := ""
	if path, ok := strings.CutPrefix(m.policy, "file:"); ok {
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, "", fmt.Errorf("--policy: %w", err)
		}
		rules = string(text)
	} else if m.policy != "" {
		words = append(words, fmt.Sprintf("ima_policy=%q", m.policy))
	}
	// The template first: which hashes the kernel takes depends on it.
	if m.template != "" {
		words = append(words, "ima_template="+m.template)
	}
	if m.hash != "" {
		words = append(words, "ima_hash="+m.hash)
	}
	return &ima.Config{
		Kernel: kernel, Release: m.kernel, CommandLine: strings.Join(words, " "), HostOrder: ima.NativeOrder(),
		Log: func(line string) { fmt.Fprintln(log, line) },
	}, rules, nil
}

// walk measures a file, or all files below a directory.
func (m *measured) walk(ctx context.Context, kernel *ima.IMA, path string) error {
	path, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	return filepath.WalkDir(path, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		m.Files++
		return measureFile(kernel, path, info)
	})
}

// modeRegular is S_IFREG.
const modeRegular = 0o100000

// measureFile opens a file as root does, to read it; one that may be executed is
// executed too, so that exec rules see it.
func measureFile(kernel *ima.IMA, path string, info fs.FileInfo) error {
	content, err := os.Open(path)
	if err != nil {
		return err
	}
	defer content.Close()
	file := &ima.File{
		Path: path, Read: true,
		Inode: &ima.Inode{
			Mode: modeRegular | uint16(info.Mode().Perm()),
			Content: func() (io.Reader, error) {
				_, err := content.Seek(0, io.SeekStart)
				return content, err
			},
		},
	}
	root := new(ima.Cred)
	kernel.Open(file, root, ima.MayRead)
	if info.Mode().Perm()&0o111 != 0 {
		kernel.BprmCheck(file, root)
	}
	kernel.Release(file)
	return nil
}

// Names of what is left besides the lists.
const (
	attestFile    = "quote.attest"
	signatureFile = "quote.signature"
	keyFile       = "quote.key.pem"
	pcrsFile      = "pcrs.json"
)

// leave writes what a service is sent. If a quote was asked for and there is
// none, everything else is there nevertheless.
func (m *measurement) leave(told *measured, kernel *ima.IMA, chip *chip, nonce []byte) error {
	if err := os.MkdirAll(m.out, 0o755); err != nil {
		return err
	}
	// Evidence of an earlier run beside this one's would be taken for it.
	if err := removeEvidence(m.out); err != nil {
		return err
	}
	if err := writeLists(m.out, kernel); err != nil {
		return err
	}
	told.Records = kernel.Count()
	// The quote first: PCRs read after it are still those that it signs,
	// unless somebody else extends them, which the verifier then finds.
	quote, noQuote := chip.quote(nonce)
	if noQuote != nil {
		told.Quote = "none: " + noQuote.Error()
	} else {
		told.Quote = "of PCR 0-10"
		if err := writeFiles(m.out, map[string][]byte{
			attestFile: quote.attest, signatureFile: quote.signature, keyFile: quote.key,
		}); err != nil {
			return err
		}
	}
	if err := m.leavePCRs(told, chip); err != nil {
		return err
	}
	if noQuote != nil && m.nonce != "" {
		return fmt.Errorf("--nonce asks for a quote, and there is none: %w; the lists and %s are in %s", noQuote, pcrsFile, m.out)
	}
	return nil
}

func (m *measurement) leavePCRs(told *measured, chip *chip) error {
	pcrs, err := chip.pcrs()
	if err != nil {
		return err
	}
	text, err := json.Marshal(pcrs)
	if err != nil {
		return err
	}
	told.PCR10 = ima.PCRs{}
	for algo, bank := range pcrs {
		told.PCR10[algo] = map[int]ima.Hex{10: bank[10]}
	}
	return writeFiles(m.out, map[string][]byte{pcrsFile: append(text, '\n')})
}

// removeEvidence removes what an earlier run has left in a directory, and nothing
// else: its lists, also of banks that this TPM does not have.
func removeEvidence(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := entry.Name()
		switch {
		case name == attestFile, name == signatureFile, name == keyFile, name == pcrsFile:
		case strings.HasPrefix(name, "ascii_runtime_measurements"), strings.HasPrefix(name, "binary_runtime_measurements"):
		default:
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			return fmt.Errorf("--out: an earlier run's: %w", err)
		}
	}
	return nil
}

func writeFiles(dir string, files map[string][]byte) error {
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

func (m *measured) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(m)
	}
	_, err := fmt.Fprintf(out, "%d files looked at, %d records in the list; quote %s; left in %s\n", m.Files, m.Records, m.Quote, m.Out)
	return err
}

// openTPM reaches the TPM at an address.
func openTPM(ctx context.Context, address string, kind *kindWords) (transport.Device, func(), error) {
	network, rest, _ := strings.Cut(address, ":")
	switch {
	case address == "emulated":
		tpm, err := emulator.New(emulator.Platform{}, kind.config())
		if err != nil {
			return nil, nil, err
		}
		if err := tpm.Init(); err != nil {
			return nil, nil, err
		}
		return tpm, func() {}, startUp(ctx, tpm, startupClear)
	case network == "unix", network == "tcp":
		tpm, err := raw.Dial(ctx, network, rest)
		if err != nil {
			return nil, nil, fmt.Errorf("--tpm %s: %w", address, err)
		}
		return tpm, func() { tpm.Close() }, nil
	case strings.HasPrefix(address, "/dev/"):
		node, err := os.OpenFile(address, os.O_RDWR, 0)
		if err != nil {
			return nil, nil, fmt.Errorf("--tpm: %w", err)
		}
		return &deviceNode{file: node}, func() { node.Close() }, nil
	}
	return nil, nil, &usageError{
		fmt.Errorf("--tpm=%s is no address of a TPM", address),
		"emulated, unix:PATH, tcp:HOST:PORT, or a device below /dev",
	}
}
