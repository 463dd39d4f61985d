package kernelbuild

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// tool is a program that a build runs, or a header that it includes.
type tool struct{ name, pkg string }

// missing reports whether the machine lacks the tool.
func (t tool) missing() bool {
	if strings.HasPrefix(t.name, "/") {
		_, err := os.Stat(t.name)
		return err != nil
	}
	_, err := exec.LookPath(t.name)
	return err != nil
}

// crossPrefix is the beginning of the names of the compiler's programs, empty for the
// machine's own architecture.
func (a Arch) crossPrefix(machine string) string {
	switch {
	case a == ARM64 && machine != "arm64":
		return "aarch64-linux-gnu-"
	case a == X8664 && machine != "amd64":
		return "x86_64-linux-gnu-"
	}
	return ""
}

// tools are what a build for the architecture needs, with Debian's names of the packages.
func (a Arch) tools(machine string) []tool {
	all := []tool{
		{"make", "make"}, {"gcc", "gcc"}, {"ld", "binutils"}, {"flex", "flex"}, {"bison", "bison"},
		{"bc", "bc"}, {"perl", "perl"}, {"python3", "python3"}, {"tar", "tar"}, {"xz", "xz-utils"},
		{"/usr/include/libelf.h", "libelf-dev"}, {"/usr/include/stdio.h", "libc6-dev"},
	}
	switch a.crossPrefix(machine) {
	case "aarch64-linux-gnu-":
		all = append(all, tool{"aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"})
	case "x86_64-linux-gnu-":
		all = append(all, tool{"x86_64-linux-gnu-gcc", "gcc-x86-64-linux-gnu"})
	}
	return all
}

// MissingToolsError reports programs and headers that a build needs.
type MissingToolsError struct {
	Tools    []string
	Packages []string
	Err      error
}

func (e *MissingToolsError) Error() string {
	text := fmt.Sprintf("a kernel needs %s: apt-get install %s", strings.Join(e.Tools, ", "), strings.Join(e.Packages, " "))
	if e.Err != nil {
		text += fmt.Sprintf(" (it was tried: %v)", e.Err)
	}
	return text
}

func (e *MissingToolsError) Unwrap() error { return e.Err }

// missingTools returns what the machine lacks, or nil.
func (b *Builder) missingTools(arches []Arch) *MissingToolsError {
	lacks := b.lacks
	if lacks == nil {
		lacks = tool.missing
	}
	var missing MissingToolsError
	seen := make(map[tool]bool)
	for _, arch := range arches {
		for _, t := range arch.tools(runtime.GOARCH) {
			if !seen[t] && lacks(t) {
				missing.Tools = append(missing.Tools, t.name)
				missing.Packages = append(missing.Packages, t.pkg)
			}
			seen[t] = true
		}
	}
	if len(missing.Tools) == 0 {
		return nil
	}
	return &missing
}

// equip installs what the machine lacks, if it may.
func (b *Builder) equip(ctx context.Context, arches []Arch) error {
	missing := b.missingTools(arches)
	if missing == nil {
		return nil
	}
	if !b.Install {
		return missing
	}
	if missing.Err = b.Apt.Install(ctx, missing.Packages...); missing.Err != nil {
		return missing
	}
	if missing = b.missingTools(arches); missing == nil {
		return nil
	}
	missing.Err = errors.New("the packages do not have them")
	return missing
}

// compiler returns the first line of the compiler's --version.
func (a Arch) compiler(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, a.crossPrefix(runtime.GOARCH)+"gcc", "--version").Output()
	if err != nil {
		return ""
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}
