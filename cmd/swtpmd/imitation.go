package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/options"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/words"
	"github.com/swtpmd/swtpmd/transport/swtpm"
)

// imitation is what the commands have in common that take swtpm's own command line.
type imitation struct {
	set   *options.Set
	flags *flag.FlagSet
	name  string // of the command, such as "swtpmd socket"

	tpm2, version                  bool
	capabilities, states, profiles bool
	info                           uint64
	printInfo                      bool
}

// newImitation defines the flags of command c.
func newImitation(f *flag.FlagSet, c options.Command) *imitation {
	i := &imitation{set: new(options.Set), flags: f, name: f.Name()}
	i.set.Define(f, c)
	i.set.FirstProfile = true
	i.set.AutoShutdown.Usual = true
	f.BoolVar(&i.tpm2, "tpm2", false, "")
	f.BoolVar(&i.version, "version", false, "")
	f.BoolVar(&i.capabilities, "print-capabilities", false, "")
	f.BoolVar(&i.states, "print-states", false, "")
	f.BoolVar(&i.profiles, "print-profiles", false, "")
	f.Func("print-info", "", i.setInfo)
	return i
}

// setInfo takes the flags of GET_INFO, in the notations of C.
func (i *imitation) setInfo(text string) (err error) {
	if i.info, err = strconv.ParseUint(text, 0, 32); err != nil || strings.Contains(text, "_") {
		return words.Wrong("print-info", text, "not a number, such as 7 or 0x40, of the flags of GET_INFO")
	}
	i.printInfo = true
	return nil
}

// answer prints what the command line asks for instead of a TPM; done reports whether
// it does. Then a command line that asks for none is refused unless --tpm2 is there.
func (i *imitation) answer(args []string, out io.Writer) (done bool, err error) {
	set := i.set
	if set.Backend == nil {
		set.State.FromEnvironment()
	}
	switch {
	case i.version:
		return true, printImitated(out, set.Like)
	case len(args) > 0:
		return true, cli.Unexpected(i.name, args)
	}
	if err := i.checkAge(); err != nil {
		return true, err
	}
	switch {
	case i.capabilities:
		return true, i.printCapabilities(out)
	case !i.tpm2:
		return true, cli.Usage(errors.New("a TPM 1.2 was asked for, and there is only a TPM 2.0"), "add --tpm2")
	case i.states:
		return true, daemon.PrintStates(out, &set.State)
	case i.profiles:
		return true, i.printDescription(out, swtpm.InfoAvailableProfiles, false)
	case i.printInfo:
		return true, i.printInformation(out)
	}
	return false, nil
}

// ageError is an option that is newer than the swtpm that is imitated.
type ageError struct {
	option string
	like   swtpm.Version
}

func (e *ageError) Error() string {
	return fmt.Sprintf("--%s is newer than swtpm %v, which --version-like asks for", e.option, e.like)
}

// checkAge refuses what the imitated swtpm does not have. Options that swtpm does not
// have at all are swtpmd's own.
func (i *imitation) checkAge() (err error) {
	if i.set.Like != swtpm.V0_7 {
		return nil
	}
	newer := map[string]bool{"print-profiles": true, "print-info": true, "profile": i.set.Profile.Swtpm()}
	for _, o := range options.Table {
		newer[o.Name], newer[o.Letter] = o.Newer, o.Newer
	}
	i.flags.Visit(func(f *flag.Flag) {
		if newer[f.Name] && err == nil {
			err = cli.Usage(&ageError{f.Name, i.set.Like}, "leave one of the two out")
		}
	})
	return err
}

// Check finds what no single option can see.
func (i *imitation) check() error {
	set := i.set
	switch {
	case set.Dir != "" || set.JSON:
		return cli.Usage(errors.New("--dir and --json are for swtpmd without the word "+strings.TrimPrefix(i.name, "swtpmd ")), "name each socket, with --ctrl, --server and --admin")
	case set.ConsoleLog != "" && set.Console == "":
		return cli.Usage(errors.New("--console-log without a console"), "add --console=unix:PATH (or file:PATH, -)")
	case set.GDB.Wanted && set.GDB.Path == "":
		return cli.Usage(errors.New("--levels=gdb without a socket"), "say --levels=gdb:unix:PATH")
	case needsConsole(set):
		return cli.Usage(errors.New("nothing says how far the guest's kernel is"), "add --console=unix:PATH (or file:PATH, -), --levels=gdb:unix:PATH, or --timeline=builtin")
	}
	if err := set.Check(); err != nil {
		return err
	}
	return set.CheckPaths()
}

// feature is a word of --print-capabilities that holds under a condition
// (swtpm(8), "--print-capabilities").
type feature struct {
	word string
	// newer is set for what swtpm 0.7 does not print, tpm2 for what needs --tpm2.
	newer, tpm2 bool
	// option is that of which the word tells, if it is not a fixed one.
	option string
	// sizes stands for a word for each size of an RSA key.
	sizes bool
}

// features are those words in swtpm's order. tpm-1.2 is not among them.
var features = []feature{
	{word: "tpm-2.0"},
	{word: "tpm-send-command-header"},
	{word: "flags-opt-startup"},
	{word: "flags-opt-disable-auto-shutdown", newer: true},
	{word: "ctrl-opt-terminate", newer: true},
	{word: "cmdarg-seccomp"},
	{word: "cmdarg-key-fd", option: "key"},
	{word: "cmdarg-pwd-fd", option: "key"},
	{word: "cmdarg-print-states"},
	{word: "cmdarg-chroot", newer: true, option: "chroot"},
	{word: "cmdarg-migration", newer: true, option: "migration"},
	{word: "nvram-backend-dir"},
	{word: "nvram-backend-file"},
	{word: "rsa-keysize-", tpm2: true, sizes: true},
	{word: "cmdarg-profile", newer: true, tpm2: true},
	{word: "cmdarg-print-profiles", newer: true, tpm2: true},
	{word: "profile-opt-remove-disabled", newer: true, tpm2: true},
	{word: "cmdarg-print-info", newer: true},
	{word: "tpmstate-opt-lock", newer: true},
}

// offered reports whether the table of options has an option that is not refused.
func offered(name string) bool {
	for i := range options.Table {
		if options.Table[i].Name == name {
			return options.Table[i].Refused == ""
		}
	}
	return false
}

// words returns the words of --print-capabilities.
func (i *imitation) words(d *swtpm.Description) (list []string) {
	for _, f := range features {
		switch {
		case f.newer && i.set.Like == swtpm.V0_7, f.tpm2 && !i.tpm2, f.option != "" && !offered(f.option):
		case f.sizes:
			for _, bits := range d.Profile.Features.RSABits {
				list = append(list, f.word+strconv.Itoa(int(bits)))
			}
		default:
			list = append(list, f.word)
		}
	}
	return list
}

// printCapabilities prints what libvirt and swtpm_setup ask swtpm for, in its layout.
func (i *imitation) printCapabilities(out io.Writer) error {
	d, err := daemon.Describe(&i.set.Profile)
	if err != nil {
		return err
	}
	var text strings.Builder
	fmt.Fprintf(&text, `{ "type": "swtpm", "features": [ %s ], `, jsonWords(i.words(d)))
	if i.set.Like != swtpm.V0_7 {
		text.WriteString(`"profiles": { `)
		if i.tpm2 {
			profiles, err := i.profilesText(d)
			if err != nil {
				return err
			}
			text.WriteString(profiles)
		}
		text.WriteString(`}, `)
	}
	fmt.Fprintf(&text, "\"version\": %q }\n", i.set.Like.Release())
	_, err = io.WriteString(out, text.String())
	return err
}

// profilesText lists the names of the profiles, and what a profile can switch off.
func (i *imitation) profilesText(d *swtpm.Description) (string, error) {
	described, err := d.Text(i.set.Like, swtpm.InfoAlgorithms|swtpm.InfoCommands|swtpm.InfoAvailableProfiles, false)
	if err != nil {
		return "", err
	}
	var info swtpm.Info
	if err := json.Unmarshal(described, &info); err != nil {
		return "", err
	}
	var names []string
	for _, p := range info.AvailableProfiles {
		names = append(names, p.Name)
	}
	text := fmt.Sprintf(`"names": [ %s ]`, jsonWords(names))
	for _, set := range []struct {
		name string
		*swtpm.InfoSets
	}{{"algorithms", info.Algorithms}, {"commands", info.Commands}} {
		text += fmt.Sprintf(`, %q: { "canbedisabled": %q, "implemented": %q }`, set.name, set.CanBeDisabled, set.Implemented)
	}
	return text + " ", nil
}

// jsonWords joins words as JSON does, with a blank after each comma.
func jsonWords(words []string) string {
	for i, word := range words {
		words[i] = strconv.Quote(word)
	}
	return strings.Join(words, ", ")
}

// printDescription prints the text of GET_INFO, which has no newline.
func (i *imitation) printDescription(out io.Writer, flags uint64, started bool) error {
	d, err := daemon.Describe(&i.set.Profile)
	if err != nil {
		return err
	}
	text, err := d.Text(i.set.Like, flags, started)
	if err != nil {
		return err
	}
	_, err = out.Write(text)
	return err
}

// printInformation prints the text of GET_INFO and a newline. With a place for state
// the TPM is started for it, and made if there is none, as swtpm does: the place must
// not be in use.
func (i *imitation) printInformation(out io.Writer) error {
	set := i.set
	started := set.State.Dir != "" || set.Startup != options.StartupByClient
	if started {
		if err := daemon.MakeTPM(set); err != nil {
			return err
		}
	}
	if err := i.printDescription(out, i.info, started); err != nil {
		return err
	}
	_, err := io.WriteString(out, "\n")
	return err
}

// printImitated prints the version of the swtpm that is imitated, where swtpm has it.
func printImitated(out io.Writer, like swtpm.Version) error {
	_, err := fmt.Fprintf(out, "TPM emulator version %s, imitated by swtpmd %s\n", like.Release(), release)
	return err
}
