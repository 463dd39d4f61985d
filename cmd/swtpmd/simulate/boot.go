package simulate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/ima/boot"
	"github.com/swtpmd/swtpmd/ima/boot/draw"
	"github.com/swtpmd/swtpmd/ima/measure"
)

const bootHelp = `Usage: swtpmd boot [flags]

Simulates the boot of a machine whose TPM may come late, in the kernel's own
words: initcalls, deferred and asynchronous probes, IMA. It needs nothing but
this program. The TPM is the emulator, and gets real commands.

The machine:
  --platform=P           one of those that swtpmd boot --platforms names, or a file
                         (default pc-tis); ima/boot's documentation has the format
  --from-console=FILE    make the platform from a console log with initcall_debug,
                         of dmesg or a serial line; a prefix before the kernel's
                         time stamps does not matter. The log is simulated first
                         and compared with what it shows: levels, probes, IMA's
                         start and verdict, records of a list. What contradicts
                         the log, or a log that is not whole, is refused
  --list=FILE            with it: what the machine measured, one of its
                         runtime_measurements files
  --force                with it: tell the story all the same
  --kernel=RELEASE       another kernel, such as 6.12, 6.8.0-31-generic or 7.3-rc1: it
                         behaves as its release does, since 6.1 (docs/measure.md)
  --policy=TEXT          another ima_policy=, such as tcb or "tcb|critical_data"
  --seed=N               what the platform leaves open (default 1)
  --seeds=N              boot with N seeds from --seed on, and say how many ended how:
                         in a race between IMA and the TPM both may happen
  --profile=P            the kind of TPM, as swtpmd --help has it

IMA and the TPM:
  --strategy=S           when IMA starts: late (default, or what the log shows),
                         late_sync, retry, kconfig, dual, queue, deny, notifier
  --attack=A             a scenario of an attacker: none (default), rename, filter,
                         unlink, dequeue
  --defer-until=LEVEL, --defer-from, --while-deferred, --hold-max
                         as swtpmd --help has them
  --fault=RULE, --plan=FILE, --fault-seed=N, --dangerous
                         faults, as swtpmd --help has them; without --fault-seed and a
                         seed in a file chance is drawn from --seed

Output:
  --out=DIR              write the measurement lists there, under the names that the
                         kernel gives them
  --format=FORM          with it: write the list as a Canonical Event Log too: cel-tlv,
                         cel-json, cel-cbor (default kernel: the kernel's files alone)
  --svg=FILE             draw the boot on one time axis
  --print-platform       print the platform as a file, to start your own from
  --platforms            list the platforms that come with the program
  --all                  every event of the boot, also uneventful initcalls
  --json                 the boot, the verdict and the appraisals as one JSON object

` + cli.LevelsHelp + `
Examples:
  swtpmd boot --defer-until=late_sync
  swtpmd boot --platform=powervm --strategy=dual --out=/tmp/lists
  swtpmd boot --platform=arm64-crb-ffa --strategy=retry --attack=rename
  swtpmd boot --platform=pc-tis --print-platform >mine.platform
  swtpmd boot --from-console=boot.log --list=ascii_runtime_measurements --svg=boot.svg
  swtpmd boot --from-console=boot.log --strategy=late_sync

Exit codes: 0 the boot came to its end, in TPM-bypass too; 1 it did not, or
the simulation of a console log contradicts the log; 2 the command line or the
platform is wrong.
`

// bootWords is the command line of swtpmd boot.
type bootWords struct {
	simulation
	platformName, console, files    string
	kernel, out, svg                string
	format                          cli.ListFormat
	seeds                           int
	deferral                        cli.Deferral
	faults                          cli.Faults
	names, printPlatform, all, json bool
	force                           bool
	flags                           *flag.FlagSet // that the fields are bound to
	reproduction                    *boot.Reproduction
}

func (w *bootWords) define(f *flag.FlagSet) {
	w.selfTests = new(crypt.SelfTests)
	f.StringVar(&w.platformName, "platform", "pc-tis", "")
	f.StringVar(&w.console, "from-console", "", "")
	f.StringVar(&w.files, "list", "", "")
	f.StringVar(&w.svg, "svg", "", "")
	f.StringVar(&w.kernel, "kernel", "", "")
	f.StringVar(&w.policy, "policy", "", "")
	f.Uint64Var(&w.seed, "seed", 1, "")
	f.IntVar(&w.seeds, "seeds", 0, "")
	w.profile.Define(f)
	f.TextVar(&w.strategy, "strategy", boot.Late, "")
	f.TextVar(&w.attack, "attack", boot.NoAttack, "")
	f.StringVar(&w.out, "out", "", "")
	w.format.Define(f)
	f.BoolVar(&w.printPlatform, "print-platform", false, "")
	f.BoolVar(&w.names, "platforms", false, "")
	f.BoolVar(&w.force, "force", false, "")
	f.BoolVar(&w.all, "all", false, "")
	f.BoolVar(&w.json, "json", false, "")
	w.deferral.Define(f)
	w.faults.Define(f)
}

// Boot is the subcommand boot.
var Boot = cli.Command{
	Name: "boot", Help: bootHelp,
	New: func(f *flag.FlagSet) cli.Run {
		w := &bootWords{flags: f}
		w.define(f)
		return w.print
	},
}

func (w *bootWords) print(ctx context.Context, _ []string, s cli.Streams) error {
	if w.names {
		return listPlatforms(s.Out)
	}
	if err := w.prepare(ctx); err != nil {
		return err
	}
	if err := w.compared(s); err != nil {
		return err
	}
	if w.printPlatform {
		_, err := io.WriteString(s.Out, w.platform.String())
		return err
	}
	o, err := w.run(ctx)
	if err != nil {
		return err
	}
	if w.seeds > 0 {
		if o.Shares, err = w.shareOut(ctx, w.seeds); err != nil {
			return err
		}
	}
	if w.reproduction != nil {
		o.Comparison = &w.reproduction.Comparison
	}
	if w.out != "" {
		if err := w.format.Write(w.out, listFiles{o.Result.List}); err != nil {
			return err
		}
	}
	if w.svg != "" {
		if err := writePicture(w.svg, o); err != nil {
			return err
		}
	}
	if w.json {
		return json.NewEncoder(s.Out).Encode(o)
	}
	return o.print(s.Out, w.all)
}

// prepare makes the simulation that the words ask for.
func (w *bootWords) prepare(ctx context.Context) (err error) {
	if err := w.deferral.Check(w.faults.Follow()); err != nil {
		return err
	}
	drawn := func() uint64 { w.unseeded = true; return w.seed }
	if err := w.faults.Check(w.deferral.Rules(), drawn); err != nil {
		return err
	}
	w.plan = w.faults.Plan()
	if w.seeds < 0 || w.seeds > maxSeeds {
		return cli.Usage(fmt.Errorf("--seeds=%d is not from 1 to %d", w.seeds, maxSeeds), "")
	}
	// A platform's cmdline= is the kernel's, which passes over what it does
	// not know; this is swtpmd's.
	if w.policy != "" {
		if err := measure.CheckPolicyOption(w.policy); err != nil {
			return cli.Usage(fmt.Errorf("--policy: %w", err), "")
		}
	}
	switch {
	case w.console != "":
		err = w.fromConsole(ctx)
	case w.force:
		err = errors.New("--force without --from-console")
	case w.files != "":
		err = errors.New("--list without --from-console")
	default:
		w.platform, err = openPlatform(w.platformName)
	}
	if err != nil {
		return cli.Usage(err, "")
	}
	if w.kernel != "" {
		profile, err := measure.KernelByRelease(w.kernel)
		if err != nil {
			return cli.Usage(fmt.Errorf("--kernel: %w", err), "")
		}
		w.platform.Kernel.Profile, w.platform.Kernel.Release = profile.Release, w.kernel
	}
	return nil
}

// openPlatform finds a platform by its name, or reads a file.
func openPlatform(name string) (*boot.Platform, error) {
	platform, err := boot.PlatformByName(name)
	var unknown *boot.UnknownNameError
	if !errors.As(err, &unknown) || !strings.ContainsAny(name, "./\\") {
		return platform, err
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	return boot.ParsePlatform(name, file)
}

func listPlatforms(out io.Writer) error {
	for _, name := range boot.Platforms() {
		platform, err := boot.PlatformByName(name)
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(out, "%-16s %s\n", name, platform.Title); err != nil {
			return err
		}
	}
	return nil
}

// writePicture draws the boot into a file; a failure leaves none.
func writePicture(name string, o *Outcome) error {
	var svg bytes.Buffer
	if err := draw.SVG(&svg, o.Result, draw.Options{Rules: o.rules}); err != nil {
		return fmt.Errorf("--svg: %w", err)
	}
	return os.WriteFile(name, svg.Bytes(), 0o644)
}

// listFiles has the list of a simulated boot as its securityfs.
type listFiles struct{ *boot.List }

func (l listFiles) SecurityFiles() []measure.SecurityFile        { return l.Files() }
func (l listFiles) ReadSecurityFile(name string) ([]byte, error) { return l.ReadFile(name) }
