// Package importer is the subcommand import: it makes the TPM of a swtpm one of
// swtpmd.
package importer

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/cli"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/keys"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/process"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/statedir"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/state/libtpms"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

const help = `Usage: swtpmd import --from=PATH --state=DIR [flags]

Makes the TPM that swtpm keeps one of swtpmd, so that a virtual machine moves over with
its endorsement key: seeds and proofs, authorization, NV indices, persistent objects,
PCR banks, dictionary attack protection, clock and counters. What cannot be carried is
listed first, and then nothing is written if it is an object or an index.

  --from=PATH            swtpm's directory, its file tpm2-00.permall, or one of its file
                         backend; no swtpm may use it meanwhile; it stays as it is
  --state=DIR            where the TPM is to be, which can be the same directory
  --profile=P            the kind of TPM, as swtpmd --help has it
  --key=WORDS            the key of an encrypted state, in swtpm's words: file=F or fd=N
                         [,format=hex|binary] or pwdfile=F or pwdfd=N [,kdf=pbkdf2|sha512]
                         [,mode=aes-128-cbc|aes-256-cbc][,remove=true]
  --state-key=WORDS      encrypt the state that is written, in the same words
  --partial              leave out objects and indices that cannot be carried
  --overwrite            replace a TPM of swtpmd that is in --state's directory
  --dry-run              only list
  --json                 print what is carried, and what is not, as JSON

Examples:
  swtpmd import --from=/var/lib/libvirt/swtpm/UUID/tpm2 --state=tpm --dry-run
  swtpmd import --from=tpm2-00.permall --state=tpm --key=pwdfile=secret,mode=aes-256-cbc

Exit codes: 0; 1 it failed, and nothing was written; 2 usage.
`

// Command is the subcommand.
var Command = cli.Command{Name: "import", Help: help, New: define}

// settings are the flags.
type settings struct {
	from, dir                  string
	profile                    cli.Profile
	key, stateKey              keys.Words
	partial, overwrite, dryRun bool
	json                       bool
}

func define(f *flag.FlagSet) cli.Run {
	set := new(settings)
	f.StringVar(&set.from, "from", "", "")
	f.StringVar(&set.dir, "state", "", "")
	set.profile.Define(f)
	for name, words := range map[string]*keys.Words{"key": &set.key, "state-key": &set.stateKey} {
		f.Func(name, "", func(text string) (err error) {
			*words, err = keys.Parse(name, text)
			return err
		})
	}
	f.BoolVar(&set.partial, "partial", false, "")
	f.BoolVar(&set.overwrite, "overwrite", false, "")
	f.BoolVar(&set.dryRun, "dry-run", false, "")
	f.BoolVar(&set.json, "json", false, "")
	return func(_ context.Context, _ []string, s cli.Streams) error {
		switch {
		case set.from == "":
			return cli.Usage(errors.New("there is nothing to import"), "add --from=DIR, the directory of a swtpm")
		case set.dir == "" && !set.dryRun:
			return cli.Usage(errors.New("there is no directory to import into"), "add --state=DIR, or --dry-run")
		}
		if err := process.SetCoreDumps(false); err != nil {
			return fmt.Errorf("core dumps cannot be disabled: %w", err)
		}
		return set.run(s)
	}
}

// report tells of each part whether it is carried. Handles are hexadecimal.
type report struct {
	From    string   `json:"from"`
	State   string   `json:"state,omitempty"`
	Written bool     `json:"written"`
	Objects []string `json:"objects"`
	Indices []string `json:"indices"`
	Banks   []string `json:"pcr_banks"`
	Lost    []loss   `json:"lost"`
}

// loss is something that cannot be carried.
type loss struct {
	What   string `json:"what"`
	Reason string `json:"reason"`
	// Handle is that of an object or an index, which is left out with --partial only.
	Handle string `json:"handle,omitempty"`
}

// PartialError is a state with objects or indices that cannot be carried.
type PartialError struct{ Count int }

func (e *PartialError) Error() string {
	return fmt.Sprintf("%d objects or indices cannot be carried, so nothing was written: name a profile that has what they need, or leave them out with --partial", e.Count)
}

func (set *settings) run(s cli.Streams) error {
	path := set.from
	if info, err := os.Stat(path); err != nil {
		return err
	} else if info.IsDir() {
		path = filepath.Join(path, statedir.Swtpm)
	}
	unlock, err := lockSwtpm(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer unlock()
	tpm, err := set.read(path)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r := &report{From: path, State: set.dir}
	if err := set.sort(tpm, r); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r.Lost = append(r.Lost, notes(tpm, filepath.Dir(path))...)
	if err := r.list(s.Err); err != nil {
		return err
	}
	dropped := 0
	for _, l := range r.Lost {
		if l.Handle != "" {
			dropped++
		}
	}
	if dropped > 0 && !set.partial {
		return &PartialError{dropped}
	}
	if !set.dryRun {
		if err := set.write(tpm.State); err != nil {
			return err
		}
		r.Written = true
	}
	return set.tell(s.Out, r)
}

// read reads the file.
func (set *settings) read(path string) (*libtpms.TPM, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	blob, err := io.ReadAll(io.LimitReader(f, libtpms.MaxSize+1))
	if err != nil {
		return nil, err
	}
	var key []byte
	if set.key.Given() {
		if key, err = set.key.Read(); err != nil {
			return nil, err
		}
	}
	return libtpms.Read(blob, key)
}

// sort takes what the TPM of this profile cannot have out of the state, and records it.
// What fits alone may be too much together: that is an error of its own.
func (set *settings) sort(tpm *libtpms.TPM, r *report) error {
	s := tpm.State
	objects, indices := s.Objects.List, s.NV.Indices
	s.Objects.List, s.NV.Indices = nil, nil
	if err := set.fits(s); err != nil {
		return err
	}
	var kept []state.PersistentObject
	for _, o := range objects {
		s.Objects.List = []state.PersistentObject{o}
		if err := set.fits(s); err != nil {
			r.Lost = append(r.Lost, loss{"persistent object", reason(err), handle(o.Handle)})
			continue
		}
		kept = append(kept, o)
		r.Objects = append(r.Objects, handle(o.Handle))
	}
	s.Objects.List = nil
	var held []state.NVIndex
	for _, x := range indices {
		s.NV.Indices = []state.NVIndex{x}
		if err := set.fits(s); err != nil {
			r.Lost = append(r.Lost, loss{"NV index", reason(err), handle(x.Handle)})
			continue
		}
		held = append(held, x)
		r.Indices = append(r.Indices, handle(x.Handle))
	}
	s.Objects.List, s.NV.Indices = kept, held
	for _, b := range s.Persistent.Allocation.Slice() {
		if b.Select != (wire.PCRSelect{}) {
			r.Banks = append(r.Banks, b.Hash.String())
		}
	}
	return set.fits(s)
}

// fits reports what a TPM of the profile could not go on with.
func (set *settings) fits(s *state.State) error {
	tpm, err := emulator.New(emulator.Platform{}, set.profile.Config())
	if err != nil {
		return err
	}
	return tpm.LoadState(s.Encode(nil), nil)
}

// reason is why the TPM refuses a state.
func reason(err error) string {
	var refused *emulator.StateError
	if errors.As(err, &refused) {
		return refused.What
	}
	return err.Error()
}

func handle(h wire.Handle) string { return fmt.Sprintf("0x%08x", uint32(h)) }

// notes are what cannot be carried of any TPM, and of this one.
func notes(tpm *libtpms.TPM, dir string) []loss {
	list := []loss{
		{What: "what the TPM says of its maker, firmware and specification", Reason: "it is the profile's; certificates keep what they say"},
		{What: "contexts that software has saved (TPM2_ContextSave)", Reason: "they are encrypted for libtpms: make or load the keys and sessions again"},
	}
	if tpm.Suspended {
		list = append(list, loss{What: "what TPM2_Shutdown(STATE) has saved", Reason: "the machine boots (TPM2_Startup(CLEAR)), it does not resume: PCRs begin anew, TPM2_Startup(STATE) is refused"})
	}
	if _, err := os.Stat(filepath.Join(dir, "tpm2-00.volatilestate")); err == nil {
		list = append(list, loss{What: "tpm2-00.volatilestate", Reason: "a running TPM (PCRs, sessions, loaded keys) moves with neither program to the other: shut the machine down"})
	}
	for _, hierarchy := range tpm.OldSeeds {
		list = append(list, loss{What: "RSA keys that are made anew from the " + hierarchy + " seed", Reason: "the seed is of a libtpms before 0.8, which made other keys of it; persistent objects are carried"})
	}
	if tpm.Profile != "" {
		list = append(list, loss{What: "libtpms' profile", Reason: "algorithms and commands are those of the profile that is named here"})
	}
	return list
}

// list writes what cannot be carried, before anything is written.
func (r *report) list(out io.Writer) error {
	for _, l := range r.Lost {
		where := ""
		if l.Handle != "" {
			where = " " + l.Handle
		}
		if _, err := fmt.Fprintf(out, "not carried: %s%s: %s\n", l.What, where, l.Reason); err != nil {
			return err
		}
	}
	return nil
}

// ExistsError is a directory that holds a TPM of swtpmd already.
type ExistsError struct{ Dir string }

func (e *ExistsError) Error() string {
	return e.Dir + " holds a TPM of swtpmd already: name another directory, or replace that TPM with --overwrite, which ends it for good"
}

// write puts the state into the directory with one commit.
func (set *settings) write(s *state.State) (err error) {
	key, err := statedir.ReadKey(set.stateKey)
	if err != nil {
		return err
	}
	directory, blob, err := statedir.OpenAny(set.dir, state.DirectoryOptions{Key: key})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, directory.Close()) }()
	if len(blob) > 0 && !set.overwrite {
		return &ExistsError{set.dir}
	}
	if err := statedir.KeepProfile(statedir.ProfileFile(set.dir, ""), &set.profile, true); err != nil {
		return err
	}
	return directory.Commit(s.Encode(nil))
}

// tell writes what was carried.
func (set *settings) tell(out io.Writer, r *report) error {
	if set.json {
		for _, list := range []*[]string{&r.Objects, &r.Indices, &r.Banks} {
			*list = slices.Concat([]string{}, *list)
		}
		return json.NewEncoder(out).Encode(r)
	}
	verb := "carried"
	if !r.Written {
		verb = "can be carried"
	}
	_, err := fmt.Fprintf(out, "%s: %d persistent objects, %d NV indices, PCR banks %v\n", verb, len(r.Objects), len(r.Indices), r.Banks)
	if err == nil && r.Written {
		_, err = fmt.Fprintf(out, "run it with swtpmd --state=%s; do not run the swtpm that it was any more\n", set.dir)
	}
	return err
}
