// Package setup is the subcommand setup: it makes a TPM with keys and certificates in
// a state directory.
package setup

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/keys"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/statedir"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/provision"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport/ask"
)

// Command is the subcommand.
var Command = cli.Command{Name: "setup", Help: help, New: define}

// settings are the flags.
type settings struct {
	dir                      string
	key                      keys.Words
	profile                  cli.Profile
	ca, certs                string
	keys                     map[provision.Kind]*keyList
	platform                 bool
	templates, lock          bool
	nonce                    []byte
	banks                    []wire.AlgID
	overwrite, keep, rebanks bool
	seed                     string
	now                      time.Time
	identity                 provision.Identity
	json                     bool
}

func define(f *flag.FlagSet) cli.Run {
	set := &settings{keys: map[provision.Kind]*keyList{}}
	f.StringVar(&set.dir, "state", "", "")
	f.Func("key", "", func(text string) (err error) {
		set.key, err = keys.Parse("key", text)
		return err
	})
	set.profile.Define(f)
	f.StringVar(&set.ca, "ca", "", "")
	f.StringVar(&set.certs, "certs", "", "")
	for _, kind := range []provision.Kind{provision.Endorsement, provision.Attestation, provision.IAK, provision.IDevID} {
		set.keys[kind] = &keyList{kind: kind}
		f.Var(set.keys[kind], string(kind), "")
	}
	f.BoolVar(&set.platform, "platform-cert", false, "")
	f.BoolVar(&set.templates, "templates", false, "")
	f.BoolVar(&set.lock, "lock-nvram", false, "")
	f.Func("ek-nonce", "", set.setNonce)
	f.Func("pcr-banks", "", set.setBanks)
	f.BoolVar(&set.overwrite, "overwrite", false, "")
	f.BoolVar(&set.keep, "not-overwrite", false, "")
	f.BoolVar(&set.rebanks, "reconfigure", false, "")
	f.StringVar(&set.seed, "seed", "", "")
	f.Func("not-before", "", set.setNow)
	f.StringVar(&set.identity.Name, "name", "", "")
	set.identity.Platform = provision.Platform{Manufacturer: "swtpmd", Model: "virtual machine", Version: "1"}
	f.StringVar(&set.identity.Platform.Manufacturer, "platform-manufacturer", set.identity.Platform.Manufacturer, "")
	f.StringVar(&set.identity.Platform.Model, "platform-model", set.identity.Platform.Model, "")
	f.StringVar(&set.identity.Platform.Version, "platform-version", set.identity.Platform.Version, "")
	f.StringVar(&set.identity.Platform.Serial, "platform-serial", "", "")
	f.BoolVar(&set.json, "json", false, "")
	return func(ctx context.Context, _ []string, s cli.Streams) error {
		if err := set.check(); err != nil {
			return err
		}
		if err := process.SetCoreDumps(false); err != nil {
			return fmt.Errorf("core dumps cannot be disabled: %w", err)
		}
		report, err := set.run(ctx)
		if err != nil {
			return err
		}
		if set.json {
			return report.writeJSON(s.Out)
		}
		return report.writeText(s.Out)
	}
}

// keyList is a flag that names keys of a kind.
type keyList struct {
	kind  provision.Kind
	given bool
	first bool // without names: the first one that the TPM can have
	list  []provision.Key
}

// String is the flag's default.
func (l *keyList) String() string { return "" }

// IsBoolFlag lets the flag stand without names; not for endorsement keys, of which
// there are default ones without the flag.
func (l *keyList) IsBoolFlag() bool { return l.kind != provision.Endorsement }

// Set takes names with commas between them.
func (l *keyList) Set(text string) error {
	l.given = true
	switch {
	case l.IsBoolFlag() && text == "true":
		l.first = true
		return nil
	case text == "none" && l.kind == provision.Endorsement:
		return nil
	}
	for name := range strings.SplitSeq(text, ",") {
		key, err := provision.KeyNamed(l.kind, name)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(l.list, func(k provision.Key) bool { return k.Handle == key.Handle }) {
			return fmt.Errorf("%s has a place that another key of the list has, 0x%08x", name, uint32(key.Handle))
		}
		l.list = append(l.list, key)
	}
	return nil
}

// setNonce takes the nonce in hexadecimal digits.
func (set *settings) setNonce(text string) (err error) {
	set.nonce, err = hex.DecodeString(text)
	return err
}

// setNow takes when certificates begin.
func (set *settings) setNow(text string) (err error) {
	set.now, err = time.Parse(time.RFC3339, text)
	return err
}

// setBanks takes swtpm_setup's names of PCR banks.
func (set *settings) setBanks(text string) error {
	for name := range strings.SplitSeq(text, ",") {
		at := slices.IndexFunc(bankNames, func(b bankName) bool { return b.name == strings.ReplaceAll(name, "_", "-") })
		if at < 0 {
			return fmt.Errorf("there is no bank %q: say sha1, sha256, sha384, sha512, sha3-256, sha3-384 or sha3-512, with commas", name)
		}
		set.banks = append(set.banks, bankNames[at].alg)
	}
	return nil
}

// bankName is a PCR bank with swtpm_setup's name.
type bankName struct {
	name string
	alg  wire.AlgID
}

var bankNames = []bankName{
	{"sha1", wire.AlgSHA1}, {"sha256", wire.AlgSHA256}, {"sha384", wire.AlgSHA384}, {"sha512", wire.AlgSHA512},
	{"sha3-256", wire.AlgSHA3_256}, {"sha3-384", wire.AlgSHA3_384}, {"sha3-512", wire.AlgSHA3_512},
}

// nameOf is the name of a bank.
func nameOf(alg wire.AlgID) string {
	for _, b := range bankNames {
		if b.alg == alg {
			return b.name
		}
	}
	return alg.String()
}

func (set *settings) check() error {
	ways := 0
	for _, way := range []bool{set.overwrite, set.keep, set.rebanks} {
		if way {
			ways++
		}
	}
	switch {
	case set.dir == "":
		return cli.Usage(errors.New("there is no directory to make the TPM in"), "add --state=DIR")
	case ways > 1:
		return cli.Usage(errors.New("--overwrite, --not-overwrite and --reconfigure exclude each other"), "say one of them")
	case set.rebanks && set.banks == nil:
		return cli.Usage(errors.New("--reconfigure without anything to change"), "add --pcr-banks=BANKS")
	case set.ca == "":
		set.ca = set.dir + "/ca"
	}
	if set.now.IsZero() {
		set.now = time.Now()
	}
	return nil
}

// entropy is where all randomness for something comes from. With a seed each has a
// stream of its own: a certificate is the same whether its authority was there or not.
func (set *settings) entropy(of string) io.Reader {
	if set.seed == "" {
		return rand.Reader
	}
	return mathrand.NewChaCha8(sha256.Sum256([]byte(of + "\x00" + set.seed)))
}

// still is a clock that stands: to make a TPM takes none of its time.
type still struct{}

func (still) Now() time.Duration { return 0 }

// ExistsError is a directory that holds a TPM already.
type ExistsError struct{ Dir string }

func (e *ExistsError) Error() string {
	return e.Dir + " holds a TPM: keep it with --not-overwrite, change its PCR banks with --reconfigure, or replace it with --overwrite, which ends it for good"
}

// run does the work under the directory's lock. The TPM is made in memory, and comes
// into the directory with one commit: killed at any instant, there is the TPM that
// was there before, or the whole new one.
func (set *settings) run(ctx context.Context) (report *report, err error) {
	key, err := statedir.ReadKey(set.key)
	if err != nil {
		return nil, err
	}
	directory, blob, err := statedir.Open(set.dir, state.DirectoryOptions{Key: key})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, directory.Close()) }()
	memory := new(state.Memory)
	switch {
	case len(blob) == 0 && set.rebanks:
		return nil, fmt.Errorf("%s holds no TPM to reconfigure: leave out --reconfigure for a new one", set.dir)
	case len(blob) > 0 && set.keep:
		return newReport(set, nil), nil
	case len(blob) > 0 && set.rebanks:
		if err := memory.Commit(blob); err != nil {
			return nil, err
		}
	case len(blob) > 0 && !set.overwrite:
		return nil, &ExistsError{set.dir}
	}
	profile := statedir.ProfileFile(set.dir, "")
	if set.rebanks && !set.profile.Given() {
		if _, err := statedir.TakeProfile(profile, &set.profile); err != nil {
			return nil, err
		}
	}
	tpm, err := emulator.New(emulator.Platform{Store: memory, Clock: still{}, Entropy: set.entropy("TPM")}, set.profile.Config())
	if err != nil {
		return nil, err
	}
	if err := tpm.Init(); err != nil {
		return nil, err
	}
	client := ask.TPM{Device: tpm}
	if err := client.Startup(ctx, wire.SUClear); err != nil {
		return nil, err
	}
	report = newReport(set, nil)
	if set.rebanks {
		if report.result.Banks, err = provision.Allocate(ctx, tpm, set.banks); err != nil {
			return nil, err
		}
	} else if report, err = set.provision(ctx, tpm); err != nil {
		return nil, err
	}
	if err := client.Shutdown(ctx, wire.SUClear); err != nil {
		return nil, err
	}
	if err := tpm.PowerOff(); err != nil {
		return nil, err
	}
	if blob, err = memory.Load(); err != nil {
		return nil, err
	}
	if err := statedir.KeepProfile(profile, &set.profile, true); err != nil {
		return nil, err
	}
	return report, directory.Commit(blob)
}

// provision makes keys and certificates, and writes the files that are not the TPM's.
func (set *settings) provision(ctx context.Context, tpm *emulator.TPM) (*report, error) {
	keys, err := set.chosen(ctx, tpm)
	if err != nil {
		return nil, err
	}
	authority, err := openAuthority(set.ca, set.entropy("authority"), set.now)
	if err != nil {
		return nil, err
	}
	result, err := provision.New(ctx, tpm, provision.Options{
		Keys: keys, PlatformCertificate: set.platform, Templates: set.templates, Nonce: set.nonce, Lock: set.lock,
		Banks: set.banks, Identity: set.identity, Authority: authority.Authority, Entropy: set.entropy("certificates"), Now: set.now,
	})
	if err != nil {
		return nil, err
	}
	report := newReport(set, result)
	report.authority = authority
	return report, report.writeFiles(set.certs)
}

// chosen are the keys that the flags ask for.
func (set *settings) chosen(ctx context.Context, tpm *emulator.TPM) (keys []provision.Key, err error) {
	if ek := set.keys[provision.Endorsement]; ek.given {
		keys = append([]provision.Key{}, ek.list...)
	} else if keys, err = provision.DefaultKeys(ctx, tpm); err != nil {
		return nil, err
	}
	for _, kind := range []provision.Kind{provision.Attestation, provision.IAK, provision.IDevID} {
		l := set.keys[kind]
		keys = append(keys, l.list...)
		if !l.first || len(l.list) > 0 {
			continue
		}
		key, err := provision.First(ctx, tpm, kind)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", kind, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}
