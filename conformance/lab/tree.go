package lab

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// The additions to the device tree of QEMU's machine virt that come with the package.
// Each file is source for dtc and says in its first comment what waits for what.
//
//go:embed trees/*.dts
var treeFiles embed.FS

const treeSuffix = ".dts"

// Trees lists the names of the device trees that come with the package, in alphabetical
// order.
func Trees() []string {
	entries, err := treeFiles.ReadDir("trees")
	if err != nil {
		return nil // the folder is embedded
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), treeSuffix))
	}
	slices.Sort(names)
	return names
}

// Tree returns the source of a device tree: the one that comes with the package, or that
// of a file, whose name ends with .dts.
func Tree(name string) (string, error) {
	if strings.HasSuffix(name, treeSuffix) {
		source, err := os.ReadFile(name)
		if err != nil {
			return "", &SetupError{What: "the device tree", Err: err}
		}
		return string(source), nil
	}
	source, err := treeFiles.ReadFile("trees/" + name + treeSuffix)
	if err != nil {
		return "", &SetupError{What: "the device tree", Hint: "a file's name ends with " + treeSuffix,
			Err: fmt.Errorf("%q is none of %s", name, strings.Join(Trees(), ", "))}
	}
	return string(source), nil
}

// makeTree writes the machine's device tree to a file: that of QEMU's, with the source in
// Tree after it. QEMU asks the TPM of control for its size while it describes the
// machine.
func (m Machine) makeTree(ctx context.Context, dir, control string) (path string, err error) {
	whole := filepath.Join(dir, "whole.dtb")
	args := m.hardware()
	args[1] += ",dumpdtb=" + escape(whole)
	args = append(args, "-nodefaults", "-no-user-config", "-display", "none",
		"-chardev", "null,id=console", "-serial", "chardev:console", "-chardev", "null,id=report",
		"-chardev", "socket,id=tpm,path="+escape(control),
		"-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", m.Device.option())
	args = append(args, m.QEMUArgs...)
	dump := exec.CommandContext(ctx, m.Tools.QEMU, args...)
	dump.Stdout = io.Discard // it says where the tree is
	if err := run(dump); err != nil {
		return "", err
	}
	source, err := dtc(ctx, m.Tools.DTC, nil, "-I", "dtb", "-O", "dts", whole)
	if err != nil {
		return "", err
	}
	labeled, err := label(source)
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "machine.dtb")
	_, err = dtc(ctx, m.Tools.DTC, []byte(labeled+m.Tree), "-I", "dts", "-O", "dtb", "-o", path, "-")
	return path, err
}

// dtc runs the device tree compiler. It does not print what it finds odd in QEMU's tree.
func dtc(ctx context.Context, program string, stdin []byte, args ...string) (string, error) {
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, program, append([]string{"-q"}, args...)...)
	cmd.Stdin, cmd.Stdout = bytes.NewReader(stdin), &out
	if err := run(cmd); err != nil {
		return "", err
	}
	return out.String(), nil
}

// labels are names for nodes of the machine's device tree, by what the nodes are
// compatible with.
var labels = map[string]string{"tcg,tpm-tis-mmio": "tpm", "arm,pl061": "gpio", "gpio-keys": "keys", "cfi-flash": "flash"}

var (
	nodeLine       = regexp.MustCompile(`^(\s*)([A-Za-z0-9,._+@-]+) \{$`)
	compatibleLine = regexp.MustCompile(`^\s*compatible = "([^"\\]*)`)
)

// label puts labels in front of nodes of a source that dtc has written, so that what
// comes after it can refer to them.
func label(source string) (string, error) {
	lines := strings.Split(source, "\n")
	open := []int{} // lines with the nodes that are open
	found := map[string]bool{}
	for i, line := range lines {
		if strings.HasSuffix(line, "{") {
			open = append(open, i)
		} else if strings.TrimSpace(line) == "};" && len(open) > 0 {
			open = open[:len(open)-1]
		}
		m := compatibleLine.FindStringSubmatch(line)
		if m == nil || len(open) == 0 || labels[m[1]] == "" || found[m[1]] {
			continue
		}
		node := nodeLine.FindStringSubmatch(lines[open[len(open)-1]])
		if node != nil {
			found[m[1]] = true
			lines[open[len(open)-1]] = node[1] + labels[m[1]] + ": " + node[2] + " {"
		}
	}
	if !found["tcg,tpm-tis-mmio"] {
		return "", errors.New("QEMU's device tree has no TPM")
	}
	return strings.Join(lines, "\n"), nil
}
