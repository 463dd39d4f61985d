package vm

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// kernelPackage is the package that depends on Debian's present kernel.
const kernelPackage = "linux-image-amd64"

// DebianKernel gives the path of the kernel image of Debian's present x86-64
// kernel, unpacked below cache and never installed. It is downloaded when the
// cache does not have it. Without a package archive to ask, the newest kernel
// in the cache serves.
func DebianKernel(ctx context.Context, apt *Apt, cache string) (string, error) {
	if runtime.GOARCH != "amd64" {
		return "", &SetupError{What: "a kernel", Hint: "Debian's x86-64 kernel is fetched on x86-64 machines only; name one with --kernel",
			Err: fmt.Errorf("this machine is %s", runtime.GOARCH)}
	}
	kernels := filepath.Join(cache, "kernel")
	if err := os.MkdirAll(kernels, 0o755); err != nil {
		return "", &SetupError{What: "a folder for the kernel", Err: err}
	}
	image, err := currentKernel(ctx, apt, kernels)
	if err == nil {
		return image, nil
	}
	if image = newestCached(kernels); image != "" {
		fmt.Fprintf(apt.Progress, "cannot get Debian's present kernel, taking %s: %v\n", image, err)
		return image, nil
	}
	return "", &SetupError{What: kernelPackage, Hint: "a Debian with a reachable package archive has it; or name a kernel with --kernel", Err: err}
}

// currentKernel is DebianKernel without its fallback. An archive that does not
// have what the package lists promise makes it fetch new lists.
func currentKernel(ctx context.Context, apt *Apt, kernels string) (string, error) {
	wanted, err := presentKernel(ctx, apt)
	if err != nil {
		return "", err
	}
	image, first := fetchKernel(ctx, apt, kernels, wanted)
	if first == nil || ctx.Err() != nil {
		return image, first
	}
	if err := apt.Update(ctx); err != nil {
		return "", errors.Join(first, err)
	}
	if wanted, err = presentKernel(ctx, apt); err != nil {
		return "", errors.Join(first, err)
	}
	return fetchKernel(ctx, apt, kernels, wanted)
}

// debianPackage is what the archive says of one package.
type debianPackage struct {
	Package string
	Version string
	SHA256  string // of the .deb, lower-case hexadecimal
}

// presentKernel finds the package that kernelPackage stands for.
func presentKernel(ctx context.Context, apt *Apt) (debianPackage, error) {
	depends, err := apt.Query(ctx, "depends", "--important", kernelPackage)
	if err != nil {
		return debianPackage{}, err
	}
	name, err := imageDependency(depends)
	if err != nil {
		return debianPackage{}, err
	}
	record, err := apt.Query(ctx, "show", "--no-all-versions", name)
	if err != nil {
		return debianPackage{}, err
	}
	return parsePackage(record)
}

var imageLine = regexp.MustCompile(`(?m)^\s*Depends:\s*(linux-image-[0-9][a-z0-9.+-]*)\s*$`)

// imageDependency finds the real kernel package in what "apt-cache depends"
// prints of a package that stands for it.
func imageDependency(depends string) (string, error) {
	m := imageLine.FindStringSubmatch(depends)
	if m == nil {
		return "", fmt.Errorf("no kernel image among the dependencies of %s: %q", kernelPackage, depends)
	}
	return m[1], nil
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

// fetchKernel unpacks the package into a folder of its own below kernels,
// named after it. The folder appears by a rename, complete.
func fetchKernel(ctx context.Context, apt *Apt, kernels string, p debianPackage) (string, error) {
	place := filepath.Join(kernels, p.Package+"_"+strings.ReplaceAll(p.Version, ":", "%3a"))
	if image := imageIn(place); image != "" {
		return image, nil
	}
	lock, err := lockFile(ctx, filepath.Join(kernels, "fetch.lock"))
	if err != nil {
		return "", err
	}
	defer lock.Close()
	if image := imageIn(place); image != "" { // somebody else has fetched it meanwhile
		return image, nil
	}
	temp, err := os.MkdirTemp(kernels, "fetch-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(temp)
	if err := apt.Download(ctx, temp, p.Package+"="+p.Version); err != nil {
		return "", err
	}
	if err := unpackKernel(ctx, temp, p); err != nil {
		return "", err
	}
	if err := os.RemoveAll(place); err != nil {
		return "", err
	}
	if err := os.Rename(filepath.Join(temp, "tree", "boot"), place); err != nil {
		return "", err
	}
	image := imageIn(place)
	if image == "" {
		return "", fmt.Errorf("no boot/vmlinuz-* in %s", p.Package)
	}
	return image, nil
}

// unpackKernel checks the one archive in dir against p and unpacks it into
// dir/tree.
func unpackKernel(ctx context.Context, dir string, p debianPackage) error {
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
	tree := filepath.Join(dir, "tree")
	return errors.Join(os.Mkdir(tree, 0o755), run(exec.CommandContext(ctx, "dpkg", "-x", archives[0], tree)))
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

// imageIn gives the kernel image in a folder that fetchKernel has made, or "".
func imageIn(place string) string {
	images, _ := filepath.Glob(filepath.Join(place, "vmlinuz-*"))
	if len(images) != 1 {
		return ""
	}
	return images[0]
}

// newestCached gives the kernel image that was unpacked last, or "".
func newestCached(kernels string) string {
	places, _ := filepath.Glob(filepath.Join(kernels, "linux-image-*"))
	newest, image := int64(0), ""
	for _, place := range places {
		info, err := os.Stat(place)
		if err != nil || info.ModTime().UnixNano() <= newest {
			continue
		}
		if found := imageIn(place); found != "" {
			newest, image = info.ModTime().UnixNano(), found
		}
	}
	return image
}
