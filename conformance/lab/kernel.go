package lab

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
)

// kernelPackage is the package that depends on Debian's current kernel.
const kernelPackage = "linux-image-amd64"

// CachedKernel returns the path of the kernel image that DebianKernel unpacked last,
// without asking the package archive.
func CachedKernel(apt *Apt) (string, error) {
	dir := apt.cached("linux-image-")
	if dir == "" {
		return "", &SetupError{What: "a kernel", Hint: "scripts/qemu-boot fetches one", Err: fmt.Errorf("none is unpacked in %s", apt.packages())}
	}
	return imageIn(dir)
}

// DebianKernel returns the path of the kernel image of Debian's current x86-64
// kernel, unpacked into apt's cache and never installed. Without a package archive it
// returns the kernel that was unpacked last.
func DebianKernel(ctx context.Context, apt *Apt) (string, error) {
	if runtime.GOARCH != "amd64" {
		return "", &SetupError{What: "a kernel", Hint: "Debian's x86-64 kernel is fetched on x86-64 machines only; name one with --kernel",
			Err: fmt.Errorf("this machine is %s", runtime.GOARCH)}
	}
	resolve := func(ctx context.Context) (string, error) {
		depends, err := apt.Query(ctx, "depends", "--important", kernelPackage)
		if err != nil {
			return "", err
		}
		return imageDependency(depends)
	}
	dir, err := apt.Unpacked(ctx, kernelPackage, "boot", resolve)
	if err == nil {
		return imageIn(dir)
	}
	if image, none := CachedKernel(apt); none == nil && ctx.Err() == nil {
		fmt.Fprintf(apt.Progress, "cannot get Debian's current kernel, using %s: %v\n", image, err)
		return image, nil
	}
	return "", &SetupError{What: kernelPackage, Hint: "a Debian with a reachable package archive has it; or name a kernel with --kernel", Err: err}
}

var imageLine = regexp.MustCompile(`(?m)^\s*Depends:\s*(linux-image-[0-9][a-z0-9.+-]*)\s*$`)

// imageDependency returns the real kernel package from what "apt-cache depends"
// prints for a metapackage.
func imageDependency(depends string) (string, error) {
	m := imageLine.FindStringSubmatch(depends)
	if m == nil {
		return "", fmt.Errorf("no kernel image among the dependencies of %s: %q", kernelPackage, depends)
	}
	return m[1], nil
}

// imageIn returns the kernel image in a package's folder boot.
func imageIn(dir string) (string, error) {
	images, err := filepath.Glob(filepath.Join(dir, "vmlinuz-*"))
	if err != nil {
		return "", err
	}
	if len(images) != 1 {
		return "", fmt.Errorf("%d kernel images in %s, not one", len(images), dir)
	}
	return images[0], nil
}
