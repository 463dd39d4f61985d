package kernelbuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/swtpmd/swtpmd/conformance/lab"
)

// Suites are the suites of Debian that are looked at beside those that the machine's apt
// knows, for sources that those do not have.
var Suites = []string{"bookworm-backports", "trixie-backports"}

// keyring has the keys of Debian's archive.
const keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"

// archive finds source packages: in the package lists of the machine's apt, and in the
// lists of other suites, which a private apt keeps below the cache. Nothing of the
// machine's apt changes.
type archive struct {
	own    *lab.Apt
	suites []string
	others *lab.Apt // made by beside
}

// SourceError reports that a source package could not be had.
type SourceError struct {
	Package string
	Suites  []string
	Err     error
}

func (e *SourceError) Error() string {
	return fmt.Sprintf("cannot get the package %s from this machine's package archive or from %s: %v (--suite names another suite of Debian)",
		e.Package, strings.Join(e.Suites, ", "), e.Err)
}

func (e *SourceError) Unwrap() error { return e.Err }

// source is a version of a source package and the apt that has it.
type source struct {
	name, version string
	apt           *lab.Apt
}

// find returns the package's newest version. Without a package archive it returns the one
// that was unpacked last.
func (a *archive) find(ctx context.Context, name string) (source, error) {
	version, err := a.own.Candidate(ctx, name)
	if err == nil {
		return source{name, version, a.own}, nil
	}
	others, failed := a.beside(ctx)
	if failed == nil {
		if version, failed = others.Candidate(ctx, name); failed == nil {
			return source{name, version, others}, nil
		}
	}
	if dir := a.own.LastUnpacked(name); dir != "" && ctx.Err() == nil {
		return source{name, lab.UnpackedVersion(dir), a.own}, nil
	}
	return source{}, &SourceError{Package: name, Suites: a.suites, Err: errors.Join(err, failed)}
}

// tarball returns the path of the packed source, and its version: the lists may have
// become newer since find.
func (s source) tarball(ctx context.Context) (file, version string, err error) {
	dir := s.apt.LastUnpacked(s.name)
	if dir == "" || lab.UnpackedVersion(dir) != s.version {
		if dir, err = s.apt.Unpacked(ctx, s.name, "usr/src", nil); err != nil {
			return "", "", &SourceError{Package: s.name, Err: err}
		}
	}
	found, err := filepath.Glob(filepath.Join(dir, "linux-source-*.tar.xz"))
	if err != nil || len(found) != 1 {
		return "", "", &SourceError{Package: s.name, Err: fmt.Errorf("%s has %d files linux-source-*.tar.xz, not one", dir, len(found))}
	}
	return found[0], lab.UnpackedVersion(dir), nil
}

var sourceDependency = regexp.MustCompile(`(?m)^\s*Depends:\s*linux-source-([0-9]{1,3}\.[0-9]{1,3})\s*$`)

// newest returns the newest release on which a package linux-source depends, in the
// machine's package lists and the other suites.
func (a *archive) newest(ctx context.Context) (release string, err error) {
	var releases []string
	ask := func(apt *lab.Apt) error {
		text, err := apt.Query(ctx, "depends", "--important", "linux-source")
		for _, m := range sourceDependency.FindAllStringSubmatch(text, -1) {
			releases = append(releases, m[1])
		}
		return err
	}
	err = ask(a.own)
	others, failed := a.beside(ctx)
	if failed == nil {
		failed = ask(others)
	}
	if len(releases) == 0 {
		return "", &SourceError{Package: "linux-source", Suites: a.suites, Err: errors.Join(err, failed)}
	}
	return slices.MaxFunc(releases, compareReleases), nil
}

// beside returns the apt of the other suites, with fresh lists.
func (a *archive) beside(ctx context.Context) (*lab.Apt, error) {
	if a.others != nil {
		return a.others, nil
	}
	if len(a.suites) == 0 {
		return nil, errors.New("no other suites are named")
	}
	mirror, err := a.own.Archive(ctx)
	if err != nil {
		return nil, err
	}
	others := &lab.Apt{Cache: a.own.Cache, Progress: a.own.Progress, Exec: a.own.Exec}
	if others.Options, err = a.sources(mirror); err != nil {
		return nil, err
	}
	if err := others.Update(ctx); err != nil {
		return nil, err
	}
	a.others = others
	return others, nil
}

// sources writes a list of sources for the suites and returns the options that make apt
// use it alone.
func (a *archive) sources(mirror string) (options []string, err error) {
	dir := filepath.Join(a.own.Cache, "suites-"+strings.Join(a.suites, "+"))
	for _, sub := range []string{"lists/partial", "archives/partial"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, err
		}
	}
	signed := ""
	if _, err := os.Stat(keyring); err == nil {
		signed = "[signed-by=" + keyring + "] "
	}
	var list strings.Builder
	for _, suite := range a.suites {
		fmt.Fprintf(&list, "deb %s%s %s main\n", signed, mirror, suite)
	}
	file := filepath.Join(dir, "sources.list")
	if err := os.WriteFile(file, []byte(list.String()), 0o644); err != nil {
		return nil, err
	}
	for _, option := range []string{
		"Dir::Etc::SourceList=" + file, "Dir::Etc::SourceParts=-",
		"Dir::State::Lists=" + filepath.Join(dir, "lists"), "Dir::Cache::Archives=" + filepath.Join(dir, "archives"),
		"Dir::Cache::pkgcache=", "Dir::Cache::srcpkgcache=",
		"APT::Sandbox::User=", "Acquire::Languages=none", "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false",
	} {
		options = append(options, "-o", option)
	}
	return options, nil
}
