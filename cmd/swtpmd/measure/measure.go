// Package measure is the subcommand measure: it runs the embedded IMA over files and
// leaves the evidence.
package measure

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/attest"
	"github.com/swtpmd/swtpmd/ima/evidence"
	"github.com/swtpmd/swtpmd/ima/measure"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/ask"
	"github.com/swtpmd/swtpmd/transport/dial"
)

const help = `Usage: swtpmd measure [flags] PATH...

Runs the embedded IMA over files, as if a process opened each of them to read it,
executed those that may be executed, and mapped programs and libraries; extends a
TPM; and leaves what an attestation service is sent: the measurement lists under
the names that the kernel gives them, pcrs.json, and a quote: quote.attest,
quote.signature and quote.key.pem. What an earlier run has left there is removed.

What a policy asks of a file is that of the real one: file system, owner, mode,
security.ima, SELinux label, fs-verity digest.

  --out=DIR              where to (default ./measured)
  --format=FORM          write the list as a Canonical Event Log too: cel-tlv, cel-json,
                         cel-cbor (default kernel: the kernel's files alone)
  --tpm=URL              the TPM: emulated (default), or as --backend of swtpmd has it,
                         such as unix:PATH, swtpm:path=PATH or /dev/tpmrm0; it must
                         have been started up, and its PCR 10 not been extended
  --profile=P            the kind of the emulated TPM, as swtpmd --help has it
  --ak=ALGORITHM         the key that signs the quote: ecc-p256 (default), rsa2048,
                         ml-dsa-44, ml-dsa-65, ml-dsa-87; those of ML-DSA need a TPM of
                         version 185 of the library, as --profile=v185 is
  --nonce=HEX            what the quote is asked for with; at most two bytes more than
                         the TPM's largest digest. Without one a TPM that gives no
                         quote is no failure
  --json                 a summary as one JSON object

The kernel (docs/measure.md):
  --policy=TEXT          ima_policy= of the kernel (default tcb), words with a bar in
                         between: tcb, appraise_tcb, secure_boot, critical_data,
                         fail_securely; or file:PATH of rules
  --kernel=RELEASE       such as 6.12 (default), 6.8.0-31-generic or 7.3-rc1: a kernel
                         behaves as its release does, since 6.1
  --kconfig=FILE         how it was built, such as /boot/config-6.8.0-31-generic;
                         without it as distributions do, with keys and appended
                         signatures in policies
  --template=NAME        the kernel's ima_template=, such as ima-sig
  --hash=NAME            the kernel's ima_hash=, such as sha512
  --measure-pcr=N        CONFIG_IMA_MEASURE_PCR_IDX, 8 to 14 (default 10)
  --lsm=NAME             selinux (default), or none: policies with obj_type= and the
                         like are refused then

Who and what:
  --as=UID[:GID]         whose process it is (default 0:0)
  --subject=CONTEXT      its label (default: this process's, or that of a login of root)
  --labels=FILE          labels of files by path, as file_contexts of SELinux has them;
                         other files have that of security.selinux
  --key=KEYRING=FILE     a key that is loaded to a keyring, such as .ima=cert.der; can
                         be given again

Files that no rule measures are passed over; what is no regular file too.

Examples:
  swtpmd measure /etc /usr/bin
  swtpmd measure --kernel=$(uname -r) --kconfig=/boot/config-$(uname -r) \
      --policy=file:/etc/ima/ima-policy /usr
  swtpmd measure --tpm=/dev/tpmrm0 --nonce=c0ffee --out=evidence /opt/app
  swtpmd measure --profile=v185 --ak=ml-dsa-65 --nonce=c0ffee /opt/app
  swtpmd verify --pcrs=measured/pcrs.json --vouched measured/binary_runtime_measurements
  swtpmd verify --pcrs=evidence/pcrs.json --nonce=c0ffee --quote=evidence/quote.attest \
      --signature=evidence/quote.signature --key=evidence/quote.key.pem \
      evidence/binary_runtime_measurements

Exit codes: 0 measured; 1 a file or the TPM failed; 2 usage.
`

// measurement is the command line of swtpmd measure.
type measurement struct {
	out, tpm, nonce string
	json            bool
	profile         cli.Profile
	kernel          measuringKernel
	process         processWords
	format          cli.ListFormat
	ak              attest.AttestationKey
}

func (m *measurement) define(f *flag.FlagSet) {
	f.StringVar(&m.out, "out", "measured", "")
	m.format.Define(f)
	f.StringVar(&m.tpm, "tpm", "emulated", "")
	m.profile.Define(f)
	m.kernel.define(f)
	m.process.define(f)
	f.TextVar(&m.ak, "ak", attest.ECCP256, "")
	f.StringVar(&m.nonce, "nonce", "", "")
	f.BoolVar(&m.json, "json", false, "")
}

// Summary is what measure tells.
type Summary struct {
	Records int      `json:"records"`
	Files   int      `json:"files"` // looked at
	Out     string   `json:"out"`
	PCR10   ima.PCRs `json:"pcr_10"`
	// MeasurePCR is the PCR that IMA extends where no rule says otherwise.
	MeasurePCR int `json:"measure_pcr"`
	// Quote reports whether there is one, and why not.
	Quote string `json:"quote"`
}

// Command is the subcommand.
var Command = cli.Command{
	Name: "measure", Help: help, Args: cli.ArgsAfterFlags,
	New: func(f *flag.FlagSet) cli.Run {
		m := new(measurement)
		m.define(f)
		return m.run
	},
}

func (m *measurement) run(ctx context.Context, paths []string, s cli.Streams) error {
	if len(paths) == 0 {
		return cli.Usage(errors.New("nothing to measure"), "name files or directories")
	}
	if m.profile.Given() && m.tpm != "emulated" {
		return cli.Usage(errors.New("--profile is for the emulated TPM, and --tpm names another one"), "leave out one of the two")
	}
	nonce, err := cli.ParseHex(m.nonce)
	if err != nil {
		return cli.Usage(fmt.Errorf("--nonce: %w", err), "hex digits")
	}
	config, rules, err := m.kernel.config(s.Err)
	if err != nil {
		return cli.Usage(err, "")
	}
	process, err := m.process.read(m.kernel.lsm != "none")
	if err != nil {
		return cli.Usage(err, "")
	}
	device, done, err := openTPM(ctx, m.tpm, &m.profile)
	if err != nil {
		return err
	}
	defer done()
	tpm, err := attest.New(ctx, device)
	if err != nil {
		return fmt.Errorf("--tpm %s: %w", m.tpm, err)
	}
	// Before anything is extended: a PCR cannot be taken back.
	if limit := tpm.NonceMax(); len(nonce) > limit {
		return cli.Usage(
			fmt.Errorf("--nonce has %d bytes; this TPM takes at most %d", len(nonce), limit),
			"a digest of it will do as well")

	}
	if err := m.checkKey(tpm); err != nil {
		return err
	}
	kernel, err := measure.New(*config)
	if err != nil {
		return cli.Usage(err, "")
	}
	if err := kernel.Init(func() measure.TPM { return tpm }); err != nil {
		return err
	}
	process.loadKeys(kernel)
	if rules != "" {
		if err := kernel.WritePolicy(nil, rules); err != nil {
			return cli.Usage(fmt.Errorf("--policy: %w", err), "")
		}
	}
	told := Summary{Out: m.out, MeasurePCR: cmp.Or(config.MeasurePCR, 10)}
	for _, path := range paths {
		if told.Files, err = process.walk(ctx, kernel, path, told.Files); err != nil {
			return err
		}
	}
	warn(s.Err, process.machine.WithoutUUID(), rules)
	if err := m.leave(&told, kernel, tpm, nonce); err != nil {
		return err
	}
	return told.print(s.Out, m.json)
}

// checkKey refuses a TPM that does not have the attestation key. The default one is
// not asked for: without a nonce a TPM that gives no quote is no failure.
func (m *measurement) checkKey(tpm *attest.TPM) error {
	if m.ak == attest.ECCP256 {
		return nil
	}
	err := tpm.CheckKey(m.ak)
	var none *attest.KeyUnsupportedError
	if errors.As(err, &none) {
		return cli.Usage(fmt.Errorf("--ak: %w", err), "--profile=v185 is an emulated TPM with ML-DSA; without --ak the key is one of ECC P-256")
	}
	return err
}

// leave writes what a service is sent. If a quote was asked for and there is
// none, everything else is there nevertheless.
func (m *measurement) leave(told *Summary, kernel *measure.IMA, tpm *attest.TPM, nonce []byte) error {
	if err := os.MkdirAll(m.out, 0o755); err != nil {
		return err
	}
	// Evidence of an earlier run beside this one's would be taken for it.
	if err := evidence.Remove(m.out); err != nil {
		return fmt.Errorf("--out: an earlier run's: %w", err)
	}
	if err := m.format.Write(m.out, kernel); err != nil {
		return err
	}
	told.Records = kernel.Count()
	// The quote first: PCRs read after it are still those that it signs,
	// unless somebody else extends them, which the verifier then finds.
	quote, noQuote := tpm.Quote(m.ak, nonce, told.MeasurePCR)
	if noQuote != nil {
		told.Quote = "none: " + noQuote.Error()
	} else {
		told.Quote = "of PCR 0-10"
		if told.MeasurePCR > 10 {
			told.Quote += fmt.Sprintf(" and %d", told.MeasurePCR)
		}
		if err := evidence.WriteQuote(m.out, quote); err != nil {
			return err
		}
	}
	if err := m.leavePCRs(told, tpm); err != nil {
		return err
	}
	if noQuote != nil && m.nonce != "" {
		return fmt.Errorf("--nonce asks for a quote, and there is none: %w; the lists and %s are in %s", noQuote, evidence.PCRsFile, m.out)
	}
	return nil
}

func (m *measurement) leavePCRs(told *Summary, tpm *attest.TPM) error {
	pcrs, err := tpm.PCRs()
	if err != nil {
		return err
	}
	told.PCR10 = ima.PCRs{}
	for algo, bank := range pcrs {
		told.PCR10[algo] = map[int]ima.Hex{10: bank[10]}
	}
	return evidence.WritePCRs(m.out, pcrs)
}

func (m *Summary) print(out io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(m)
	}
	_, err := fmt.Fprintf(out, "%s looked at, %s in the list; quote %s; left in %s\n",
		cli.Plural(m.Files, "file", "files"), cli.Plural(m.Records, "record", "records"), m.Quote, m.Out)
	return err
}

// openTPM reaches the TPM at an address.
func openTPM(ctx context.Context, address string, profile *cli.Profile) (transport.Device, func(), error) {
	if address == "emulated" {
		tpm, err := emulator.New(emulator.Platform{}, profile.Config())
		if err != nil {
			return nil, nil, err
		}
		if err := tpm.Init(); err != nil {
			return nil, nil, err
		}
		return tpm, func() {}, ask.TPM{Device: tpm}.Startup(ctx, wire.SUClear)
	}
	tpm, err := dial.Dial(ctx, address)
	var wrong *dial.AddressError
	switch {
	case errors.As(err, &wrong):
		return nil, nil, cli.Usage(fmt.Errorf("--tpm: %w", err), "or emulated")
	case err != nil:
		return nil, nil, fmt.Errorf("--tpm: %w", err)
	}
	return tpm, func() { tpm.Close() }, nil
}
