package lab

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"runtime"
)

// CachedKernel returns the path of the kernel image that DebianKernel unpacked last for
// the board, without asking the package archive.
func CachedKernel(apt *Apt, board Board) (string, error) {
	apt = apt.ForArch(board.facts().arch)
	dir := apt.cached("linux-image-")
	if dir == "" {
		hint := "scripts/qemu-boot fetches one"
		if board == PSeries {
			hint = "scripts/qemu-boot --board=" + board.String() + " fetches one"
		}
		return "", &SetupError{What: "a kernel", Hint: hint, Err: fmt.Errorf("none is unpacked in %s", apt.packages())}
	}
	return imageIn(dir)
}

// DebianKernel returns the path of the kernel image of Debian's current kernel for the
// board, unpacked into apt's cache and never installed. Without a package archive it
// returns the kernel that was unpacked last.
func DebianKernel(ctx context.Context, apt *Apt, board Board) (string, error) {
	name := board.facts().kernelPackage
	switch {
	case name == "":
		return "", &SetupError{What: "a kernel", Hint: "scripts/kernel-lab builds one; name it with --kernel",
			Err: fmt.Errorf("no %s kernel of Debian's has a driver for the TPM of the board %s", board.facts().arch, board)}
	case cmp.Or(board, Q35) == Q35 && board.foreign():
		return "", &SetupError{What: "a kernel", Hint: "Debian's x86-64 kernel is fetched on x86-64 machines only; name one with --kernel",
			Err: fmt.Errorf("this machine is %s", runtime.GOARCH)}
	}
	own := apt.ForArch(board.facts().arch)
	resolve := func(ctx context.Context) (string, error) {
		depends, err := own.Query(ctx, "depends", "--important", name)
		if err != nil {
			return "", err
		}
		return imageDependency(name, depends)
	}
	dir, err := own.Unpacked(ctx, name, "boot", resolve)
	if err == nil {
		return imageIn(dir)
	}
	if image, none := CachedKernel(apt, board); none == nil && ctx.Err() == nil {
		fmt.Fprintf(apt.Progress, "cannot get Debian's current kernel, using %s: %v\n", image, err)
		return image, nil
	}
	return "", &SetupError{What: name, Hint: "a Debian with a reachable package archive has it; or name a kernel with --kernel", Err: err}
}

var imageLine = regexp.MustCompile(`(?m)^\s*Depends:\s*(linux-image-[0-9][a-z0-9.+-]*)\s*$`)

// imageDependency returns the real kernel package from what "apt-cache depends"
// prints for a metapackage.
func imageDependency(name, depends string) (string, error) {
	m := imageLine.FindStringSubmatch(depends)
	if m == nil {
		return "", fmt.Errorf("no kernel image among the dependencies of %s: %q", name, depends)
	}
	return m[1], nil
}

// imageIn returns the kernel image in a package's folder boot.
func imageIn(dir string) (string, error) {
	images, err := filepath.Glob(filepath.Join(dir, "vmlinu[xz]-*")) // uncompressed on ppc64el
	if err != nil {
		return "", err
	}
	if len(images) != 1 {
		return "", fmt.Errorf("%d kernel images in %s, not one", len(images), dir)
	}
	return images[0], nil
}
