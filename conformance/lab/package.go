package lab

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// debianPackage is the record of one package in the package lists.
type debianPackage struct {
	Package string
	Version string
	SHA256  string // of the .deb, lower-case hexadecimal
}

// parsePackage reads the first record of what "apt-cache show" prints.
func parsePackage(record string) (debianPackage, error) {
	var p debianPackage
	fields := map[string]*string{"Package": &p.Package, "Version": &p.Version, "SHA256": &p.SHA256}
	lines := bufio.NewScanner(strings.NewReader(record))
	for lines.Scan() && lines.Text() != "" {
		name, value, _ := strings.Cut(lines.Text(), ":")
		if field, ok := fields[name]; ok && *field == "" {
			*field = strings.TrimSpace(value)
		}
	}
	for name, field := range fields {
		if *field == "" {
			return debianPackage{}, fmt.Errorf("no %s in the package's record", name)
		}
	}
	return p, nil
}

// Unpacked returns a folder with the files that the package of that name has in its
// folder part. The folder is below Cache; root is not needed, and nothing that is
// installed is changed. If the archive does not have what the package lists promise,
// Unpacked fetches new lists.
//
// resolve, if not nil, returns the real name; it is called again after that.
func (a *Apt) Unpacked(ctx context.Context, name, part string, resolve func(context.Context) (string, error)) (string, error) {
	dir, first := a.unpack(ctx, name, part, resolve)
	if first == nil || ctx.Err() != nil {
		return dir, first
	}
	updated := a.Update(ctx) // may fail for one list that is not needed
	if dir, err := a.unpack(ctx, name, part, resolve); err == nil {
		return dir, nil
	} else if updated == nil {
		return "", err
	}
	return "", errors.Join(first, updated)
}

func (a *Apt) unpack(ctx context.Context, name, part string, resolve func(context.Context) (string, error)) (string, error) {
	if resolve != nil {
		var err error
		if name, err = resolve(ctx); err != nil {
			return "", err
		}
	}
	record, err := a.Query(ctx, "show", "--no-all-versions", name)
	if err != nil {
		return "", err
	}
	p, err := parsePackage(record)
	if err != nil {
		return "", err
	}
	return a.fetch(ctx, p, part)
}

// Candidate returns the version of a package that the package lists offer. It does not
// ask the archive for new lists: the error is that of a package that is not listed.
func (a *Apt) Candidate(ctx context.Context, name string) (version string, err error) {
	record, err := a.exec(ctx, "", "apt-cache", "show", "--no-all-versions", name)
	if err != nil {
		return "", err
	}
	p, err := parsePackage(record)
	return p.Version, err
}

// UnpackedVersion returns the version of a package whose files Unpacked has put into
// dir.
func UnpackedVersion(dir string) string {
	_, version, _ := strings.Cut(filepath.Base(dir), "_")
	return strings.ReplaceAll(version, "%3a", ":")
}

// LastUnpacked returns the folder of the package of that name that Unpacked unpacked
// last, or "".
func (a *Apt) LastUnpacked(name string) string { return a.cached(name + "_") }

// packages is the folder below Cache for unpacked packages of the architecture.
func (a *Apt) packages() string {
	if a.Arch != "" {
		return filepath.Join(a.Cache, "packages-"+a.Arch)
	}
	return filepath.Join(a.Cache, "packages")
}

// fetch downloads, checks and unpacks a package, unless that has been done.
func (a *Apt) fetch(ctx context.Context, p debianPackage, part string) (string, error) {
	place := filepath.Join(a.packages(), p.Package+"_"+strings.ReplaceAll(p.Version, ":", "%3a"))
	if isFolder(place) {
		return place, nil
	}
	return place, a.fetchTo(ctx, p, place, func(tree, place string) error {
		found := filepath.Join(tree, filepath.FromSlash(part))
		if !isFolder(found) {
			return fmt.Errorf("the package %s has no %s", p.Package, part)
		}
		return os.Rename(found, place)
	})
}

// fetchTo downloads, checks and unpacks a package and has pick make a folder of what is
// wanted of its tree.
func (a *Apt) fetchTo(ctx context.Context, p debianPackage, place string, pick func(tree, place string) error) error {
	return a.complete(ctx, place, func(temp string) (string, error) {
		if err := a.Download(ctx, temp, p.Package+"="+p.Version); err != nil {
			return "", err
		}
		tree, picked := filepath.Join(temp, "tree"), filepath.Join(temp, "picked")
		if err := a.unpackArchive(ctx, temp, tree, p); err != nil {
			return "", err
		}
		return picked, pick(tree, picked)
	})
}

// complete has fill make a folder below a temporary one, and puts it in its place by a
// rename, so that it is complete there. It does nothing if place is there already, once no
// other process fetches.
func (a *Apt) complete(ctx context.Context, place string, fill func(temp string) (made string, err error)) error {
	if err := os.MkdirAll(a.packages(), 0o755); err != nil {
		return err
	}
	lock, err := LockFile(ctx, filepath.Join(a.packages(), "fetch.lock"))
	if err != nil {
		return err
	}
	defer lock.Close()
	if isFolder(place) { // another process has fetched it in the meantime
		return nil
	}
	temp, err := os.MkdirTemp(a.packages(), "fetch-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	made, err := fill(temp)
	if err != nil {
		return err
	}
	return os.Rename(made, place)
}

// unpackArchive checks the one archive in dir against p and unpacks it into
// tree.
func (a *Apt) unpackArchive(ctx context.Context, dir, tree string, p debianPackage) error {
	archives, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil || len(archives) != 1 {
		return fmt.Errorf("apt-get download left %d archives", len(archives))
	}
	sum, err := fileSHA256(archives[0])
	if err != nil {
		return err
	}
	if sum != p.SHA256 {
		return fmt.Errorf("the downloaded %s has SHA-256 %s, the package lists say %s", p.Package, sum, p.SHA256)
	}
	if err := os.Mkdir(tree, 0o755); err != nil {
		return err
	}
	_, err = a.exec(ctx, "", "dpkg", "-x", archives[0], tree)
	return err
}

// cached returns the folder of the package that was unpacked last, of those whose
// names begin with prefix, or "".
func (a *Apt) cached(prefix string) string {
	places, _ := filepath.Glob(filepath.Join(a.packages(), prefix+"*"))
	var newest os.FileInfo
	var found string
	for _, place := range places {
		info, err := os.Stat(place)
		if err == nil && info.IsDir() && (newest == nil || info.ModTime().After(newest.ModTime())) {
			newest, found = info, place
		}
	}
	return found
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

func fileSHA256(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, file); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
