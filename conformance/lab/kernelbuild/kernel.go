package kernelbuild

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Arch is a processor architecture, as the kernel's make names it.
type Arch string

// The architectures that have a configuration.
const (
	ARM64 Arch = "arm64"
	X8664 Arch = "x86_64"
)

// Arches are the architectures, in the order of lists.
var Arches = []Arch{ARM64, X8664}

// image is the make target of the kernel's image, and the image's path in the tree.
func (a Arch) image() (target, path string) {
	if a == ARM64 {
		return "Image", "arch/arm64/boot/Image"
	}
	return "bzImage", "arch/x86/boot/bzImage"
}

// Start is the initcall level at which IMA starts.
type Start string

// The levels: that of every release, and that of CONFIG_IMA_INIT_LATE_SYNC.
const (
	Late     Start = "late"
	LateSync Start = "late_sync"
)

// Kernel is a kernel to build. Kernels are comparable.
type Kernel struct {
	Arch    Arch   `json:"arch"`
	Release string `json:"release"` // of the source package: 6.1 for linux-source-6.1
	Start   Start  `json:"start"`
	Modules bool   `json:"modules"` // CONFIG_MODULES
	// Extra are configuration lines of the user's own, after all others.
	Extra string `json:"extra,omitempty"`
}

// Newest is the release of the newest source package that Debian offers.
const Newest = "newest"

// Releases are the releases that lists show. Any other that Debian has as linux-source-N
// can be built too.
var Releases = []string{"6.1", "6.12", "7.3"}

// Catalog returns the kernels of Releases.
func Catalog() []Kernel {
	var all []Kernel
	for _, arch := range Arches {
		for _, release := range Releases {
			for _, modules := range []bool{false, true} {
				for _, start := range []Start{Late, LateSync} {
					all = append(all, Kernel{Arch: arch, Release: release, Start: start, Modules: modules})
				}
			}
		}
	}
	return all
}

// Name returns ARCH-RELEASE-START, with -modules at its end if the kernel has modules.
func (k Kernel) Name() string {
	name := fmt.Sprintf("%s-%s-%s", k.Arch, k.Release, k.Start)
	if k.Modules {
		name += "-modules"
	}
	return name
}

// Package returns the name of the Debian package with the source.
func (k Kernel) Package() string { return "linux-source-" + k.Release }

var nameSyntax = regexp.MustCompile(`^(arm64|x86_64)-([0-9]{1,3}\.[0-9]{1,3}|` + Newest + `)-(late|late_sync)(-modules)?$`)

// NameError reports a name that is no kernel's.
type NameError struct{ Name string }

func (e *NameError) Error() string {
	return fmt.Sprintf("%q names no kernel: a name is ARCH-RELEASE-START or ARCH-RELEASE-START-modules, "+
		"with ARCH arm64 or x86_64, RELEASE such as 6.1 or newest, START late or late_sync; or a pattern such as 'arm64-*'", e.Name)
}

// ParseName returns the kernel of that name.
func ParseName(name string) (Kernel, error) {
	m := nameSyntax.FindStringSubmatch(name)
	if m == nil {
		return Kernel{}, &NameError{Name: name}
	}
	return Kernel{Arch: Arch(m[1]), Release: m[2], Start: Start(m[3]), Modules: m[4] != ""}, nil
}

// Select returns the kernels of names, each once: a name, or a pattern of path.Match that
// at least one kernel of the catalog has.
func Select(names []string) ([]Kernel, error) {
	var chosen []Kernel
	add := func(k Kernel) {
		if !slices.Contains(chosen, k) {
			chosen = append(chosen, k)
		}
	}
	for _, name := range names {
		if k, err := ParseName(name); err == nil {
			add(k)
			continue
		}
		matched := false
		for _, k := range Catalog() {
			ok, err := path.Match(name, k.Name())
			if err == nil && ok && strings.ContainsAny(name, "*?[") {
				matched = true
				add(k)
			}
		}
		if !matched {
			return nil, &NameError{Name: name}
		}
	}
	return chosen, nil
}

// recipe is raised when the same configuration and edits are built in another way.
const recipe = 1

// Key returns the key of the kernel built from that version of its source package.
func (k Kernel) Key(version string) string {
	h := sha256.New()
	fmt.Fprintf(h, "recipe %d\npackage %s %s\narch %s\nstart %s\n", recipe, k.Package(), version, k.Arch, k.Start)
	for _, f := range k.fragments(true) {
		fmt.Fprintf(h, "fragment %d\n%s", len(f.text), f.text)
	}
	if k.Start == LateSync {
		fmt.Fprintf(h, "edits\n%s", lateSyncEdits)
	}
	return hex.EncodeToString(h.Sum(nil))[:12]
}

// compareReleases orders releases by their numbers.
func compareReleases(a, b string) int {
	number := func(s string) []int {
		var parts []int
		for part := range strings.SplitSeq(s, ".") {
			n, _ := strconv.Atoi(part) // the syntax of names bounds it
			parts = append(parts, n)
		}
		return parts
	}
	return cmp.Or(slices.Compare(number(a), number(b)), strings.Compare(a, b))
}
