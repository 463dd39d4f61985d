package lab

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// RootTree returns a folder with the files of packages and of all that they depend on,
// as a root file system that has them installed, but for what the scripts of packages
// do. Root is not needed. Without fetch it is the one that was made last, and must be in
// apt's cache.
func RootTree(ctx context.Context, apt *Apt, fetch bool, packages ...string) (string, error) {
	prefix := "root-" + short(strings.Join(append(slices.Clone(packages), needless...), " ")) + "-"
	if !fetch {
		if place := apt.cached(prefix); place != "" {
			return place, nil
		}
		return "", &SetupError{What: "a root file system", Hint: "SWTPMD_BOOTS=required fetches its packages", Err: fmt.Errorf("no %s… in %s", prefix, apt.packages())}
	}
	all, err := apt.withDependencies(ctx, packages)
	if err != nil {
		return "", err
	}
	var versions strings.Builder
	for _, p := range all {
		fmt.Fprintln(&versions, p.Package, p.Version, p.SHA256)
	}
	place := filepath.Join(apt.packages(), prefix+short(versions.String()))
	if isFolder(place) {
		return place, nil
	}
	return place, apt.fetchRoot(ctx, all, place)
}

// short returns the beginning of a text's SHA-256, to tell folders apart.
func short(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:8])
}

// withDependencies returns the records of packages and of all that they depend on,
// by name. Of alternatives it takes all that there are.
func (a *Apt) withDependencies(ctx context.Context, names []string) ([]debianPackage, error) {
	depends, err := a.Query(ctx, append([]string{"depends", "--recurse", "--important"}, names...)...)
	if err != nil {
		return nil, err
	}
	records, err := a.Query(ctx, append([]string{"show", "--no-all-versions"}, dependencyNames(depends)...)...)
	if err != nil {
		return nil, err
	}
	var all []debianPackage
	for _, record := range strings.Split(strings.TrimSpace(records), "\n\n") {
		p, err := parsePackage(record + "\n")
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	slices.SortFunc(all, func(a, b debianPackage) int { return strings.Compare(a.Package, b.Package) })
	return all, nil
}

// needless are packages that others depend on for their scripts, for another
// architecture, or as an alternative.
var needless = []string{"perl", "libperl", "debconf", "cdebconf", "udev", "libudev", "adduser", "dpkg", "gawk", "original-awk", "libdb5", "libsemanage", "passwd", "libdebian-installer"}

// dependencyNames returns the names from what "apt-cache depends --recurse" prints,
// without those of needless packages.
func dependencyNames(depends string) (names []string) {
	for line := range strings.Lines(depends) {
		name := strings.TrimSuffix(line, "\n")
		needs := name != "" && !strings.ContainsAny(name[:1], " <|") && !strings.Contains(name, ":")
		if needs && !slices.ContainsFunc(needless, func(prefix string) bool { return strings.HasPrefix(name, prefix) }) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// fetchRoot downloads, checks and unpacks packages into one tree.
func (a *Apt) fetchRoot(ctx context.Context, all []debianPackage, place string) error {
	return a.complete(ctx, place, func(temp string) (string, error) {
		tree, archives := filepath.Join(temp, "tree"), filepath.Join(temp, "archives")
		if err := mergedUsr(tree); err != nil {
			return "", err
		}
		if err := a.downloadAll(ctx, all, archives); err != nil {
			return "", err
		}
		for _, p := range all {
			dir := filepath.Join(archives, p.SHA256)
			unpacked := filepath.Join(dir, "tree")
			if err := a.unpackArchive(ctx, dir, unpacked, p); err != nil {
				return "", err
			}
			if err := mergeTree(unpacked, tree); err != nil {
				return "", fmt.Errorf("the package %s: %w", p.Package, err)
			}
		}
		return tree, nil
	})
}

// downloadAll downloads packages, each into a folder with its SHA-256 as its name.
func (a *Apt) downloadAll(ctx context.Context, all []debianPackage, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	names := make([]string, len(all))
	for i, p := range all {
		names[i] = p.Package + "=" + p.Version
	}
	if err := a.Download(ctx, dir, names...); err != nil {
		return err
	}
	archives, err := filepath.Glob(filepath.Join(dir, "*.deb"))
	if err != nil {
		return err
	}
	for _, archive := range archives {
		sum, err := fileSHA256(archive)
		if err != nil {
			return err
		}
		if err := os.Mkdir(filepath.Join(dir, sum), 0o755); err != nil {
			return err
		}
		if err := os.Rename(archive, filepath.Join(dir, sum, filepath.Base(archive))); err != nil {
			return err
		}
	}
	return nil
}

// usrMerged are the folders that Debian has as links into /usr, where packages may
// have them as folders.
var usrMerged = []string{"bin", "sbin", "lib", "lib64"}

// mergedUsr makes the folders that are there before a package is.
func mergedUsr(tree string) error {
	for _, dir := range []string{"dev", "proc", "sys", "run", "tmp", "root", "etc", "mnt"} {
		if err := os.MkdirAll(filepath.Join(tree, dir), 0o755); err != nil {
			return err
		}
	}
	for _, dir := range usrMerged {
		if err := os.MkdirAll(filepath.Join(tree, "usr", dir), 0o755); err != nil {
			return err
		}
		if err := os.Symlink("usr/"+dir, filepath.Join(tree, dir)); err != nil {
			return err
		}
	}
	return nil
}

// unwanted are folders that no program of a measured guest reads.
var unwanted = []string{"usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info", "usr/share/lintian"}

// mergeTree moves the files of one tree into another, where the usrMerged folders are
// links.
func mergeTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		if slices.Contains(unwanted, name) {
			return fs.SkipDir
		}
		target := filepath.Join(to, name)
		info, err := os.Stat(target)
		switch {
		case err == nil && info.IsDir():
			return nil
		case entry.IsDir():
			return os.MkdirAll(target, 0o755)
		case err == nil, errors.Is(err, fs.ErrNotExist):
			return os.Rename(path, target)
		}
		return err
	})
}

// Ext4 returns the path of an image of an ext4 file system with the files of a tree that
// RootTree has made. The image is kept beside the tree. mke2fs makes it and needs no root:
// the files belong to who owns them here.
func Ext4(ctx context.Context, tree string) (string, error) {
	image := tree + ".ext4"
	if isFile(image) {
		return image, nil
	}
	program, err := mke2fs()
	if err != nil {
		return "", err
	}
	temp, err := os.MkdirTemp(filepath.Dir(tree), "image-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	unfinished := filepath.Join(temp, "image")
	if err := run(exec.CommandContext(ctx, program, "-q", "-F", "-t", "ext4", "-E", "root_owner=0:0", "-d", tree, unfinished, rootSize)); err != nil {
		return "", err
	}
	return image, os.Rename(unfinished, image)
}

// rootSize is that of an image, which is a file with holes.
const rootSize = "768M"

// mke2fs returns the path of mke2fs, which is often not in the PATH of a user.
func mke2fs() (string, error) {
	for _, name := range []string{"mke2fs", "/usr/sbin/mke2fs", "/sbin/mke2fs"} {
		if path, err := exec.LookPath(name); err == nil {
			return path, nil
		}
	}
	return "", &SetupError{What: "mke2fs", Hint: "it is in the Debian package e2fsprogs", Err: exec.ErrNotFound}
}
