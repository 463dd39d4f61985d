package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Modules returns a folder with modules of a kernel that DebianKernel has unpacked, of
// which image is the image. The names are paths below the kernel's folder of modules,
// and the files have the last parts of them. Without fetch they must be in apt's cache.
func Modules(ctx context.Context, apt *Apt, image string, fetch bool, names ...string) (dir string, err error) {
	return modulesAt(ctx, apt, image, fetch, "modules-of-", names)
}

// modulesAt is Modules with a prefix for the name of the folder, which has these modules
// and no others.
func modulesAt(ctx context.Context, apt *Apt, image string, fetch bool, prefix string, names []string) (dir string, err error) {
	release, ok := strings.CutPrefix(filepath.Base(image), "vmlinuz-")
	if !ok {
		return "", &SetupError{What: "modules", Hint: "name a kernel of Debian's", Err: fmt.Errorf("%s is none", image)}
	}
	dir = filepath.Join(apt.packages(), prefix+filepath.Base(filepath.Dir(image)))
	if haveAll(dir, names) {
		return dir, nil
	}
	if !fetch {
		return "", &SetupError{What: "the modules of " + release, Hint: "SWTPMD_BOOTS=required fetches them", Err: errors.New("they are not in " + dir)}
	}
	record, err := apt.Query(ctx, "show", "--no-all-versions", "linux-image-"+release)
	if err != nil {
		return "", err
	}
	p, err := parsePackage(record)
	if err != nil {
		return "", err
	}
	return dir, apt.fetchTo(ctx, p, dir, func(tree, place string) error {
		if err := os.Mkdir(place, 0o755); err != nil {
			return err
		}
		from := filepath.Join(tree, "lib", "modules", release, "kernel")
		for _, name := range names {
			if err := os.Rename(filepath.Join(from, name), filepath.Join(place, filepath.Base(name))); err != nil {
				return fmt.Errorf("the package %s: %w", p.Package, err)
			}
		}
		return nil
	})
}

// haveAll reports whether a folder has the last parts of all names.
func haveAll(dir string, names []string) bool {
	for _, name := range names {
		if !isFile(filepath.Join(dir, filepath.Base(name))) {
			return false
		}
	}
	return true
}
