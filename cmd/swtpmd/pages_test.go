package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// pageNames are the pages whose shell this package runs.
func pageNames(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob("../../docs/*.md")
	require.NoError(t, err)
	require.Contains(t, names, "../../docs/qemu.md")
	return append(names, "../../README.md")
}

func pageText(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}

// shellBlock matches a block that a shell can run. What stands before it tells which
// program it needs, or that it is a file.
var shellBlock = regexp.MustCompile("(?s)(?:<!-- (needs|file): (\\S+) -->\n)?```sh\n(.*?)```")

// The shell of each page runs: block after block in an empty directory, each in a
// shell of its own. Nothing that it starts is left.
func TestTheShellOfThePagesRuns(t *testing.T) {
	if testing.Short() {
		t.Skip("it boots QEMU's firmware")
	}
	seen, program := 0, built(t)
	for _, name := range pageNames(t) {
		blocks := shellBlock.FindAllStringSubmatch(pageText(t, name), -1)
		if len(blocks) == 0 {
			continue
		}
		seen++
		t.Run(filepath.Base(name), func(t *testing.T) {
			place := newShellOf(t, program)
			for i, block := range blocks {
				if block[1] == "file" {
					require.NoError(t, os.WriteFile(filepath.Join(place.dir, block[2]), []byte(place.local(block[3])), 0o755))
					continue
				}
				t.Run(strconv.Itoa(i), func(t *testing.T) {
					if block[1] == "needs" {
						if _, err := exec.LookPath(block[2]); err != nil {
							t.Skipf("%s is not installed; scripts/test installs it", block[2])
						}
					}
					place.run(t, block[3])
					place.hasEnded(t, block[3])
				})
			}
			place.isQuiet(t)
		})
	}
	assert.GreaterOrEqual(t, seen, 4)
}

// shell is a place where the shell of a page runs: an empty directory, with swtpmd
// in PATH.
type shell struct {
	dir   string
	env   []string
	ports *strings.Replacer
}

// newShell has this test's program, which the race detector watches.
func newShell(t *testing.T) *shell {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	return newShellOf(t, self)
}

func newShellOf(t *testing.T, program string) *shell {
	t.Helper()
	// Not t.TempDir: with it the names of sockets get too long.
	top, err := os.MkdirTemp("", "p")
	require.NoError(t, err)
	place := &shell{dir: filepath.Join(top, "d"), ports: freePorts(t)}
	t.Cleanup(func() {
		place.endDaemons()
		os.RemoveAll(top)
	})
	for _, dir := range []string{"d", "bin", "tmp"} {
		require.NoError(t, os.Mkdir(filepath.Join(top, dir), 0o755))
	}
	for name, text := range map[string]string{
		"swtpmd": fmt.Sprintf("#!/bin/sh\n%s=1 exec %s \"$@\"\n", asProgram, program),
		// There is no kernel here: without one the firmware finds nothing to
		// boot, resets, and QEMU ends as at a guest's end.
		"qemu-system-x86_64": `#!/bin/sh
PATH=${PATH#*:}
for word; do
	shift
	case $word in
	-kernel | -initrd | -append) value=yes ;;
	*) if [ -n "$value" ]; then value=; else set -- "$@" "$word"; fi ;;
	esac
done
exec qemu-system-x86_64 "$@" -boot reboot-timeout=1 -net none
`,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(top, "bin", name), []byte(text), 0o755))
	}
	place.env = append(slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return slices.Contains([]string{"SWTPMD_ADMIN", "TPM2TOOLS_TCTI", "TPM_PATH"}, name)
	}), "PATH="+filepath.Join(top, "bin")+":"+os.Getenv("PATH"), "TMPDIR="+filepath.Join(top, "tmp"), "XDG_RUNTIME_DIR="+filepath.Join(top, "tmp"))
	return place
}

// freePorts puts two free ports in the place of swtpm's own, on which somebody else may
// listen here.
func freePorts(t *testing.T) *strings.Replacer {
	t.Helper()
	port := freePort(t)
	return strings.NewReplacer("2321", strconv.Itoa(port), "2322", strconv.Itoa(port+1))
}

// local puts what is here in the place of what the page's reader has.
func (s *shell) local(text string) string {
	text = s.ports.Replace(text)
	return strings.ReplaceAll(text, "/usr/local/bin/swtpmd", filepath.Join(filepath.Dir(s.dir), "bin", "swtpmd"))
}

// run runs a text as a script, which must succeed.
func (s *shell) run(t *testing.T, text string) string {
	t.Helper()
	return s.runBy(t, "sh", "set -eu\n"+text)
}

// runBy runs a text as a script of a shell.
func (s *shell) runBy(t *testing.T, shell, text string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, shell, "-c", s.local(text))
	cmd.Dir, cmd.Env = s.dir, s.env
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(t, cmd.Run(), "%s\nprinted\n%s", text, &out)
	return out.String()
}

// endDaemons ends those that a script has left which failed half way.
func (s *shell) endDaemons() {
	_ = filepath.WalkDir(filepath.Dir(s.dir), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && strings.HasSuffix(path, "pid") && entry.Type().IsRegular() {
			if text, err := os.ReadFile(path); err == nil {
				if pid, err := strconv.Atoi(strings.TrimSpace(string(text))); err == nil {
					_ = syscall.Kill(pid, syscall.SIGTERM)
				}
			}
		}
		return nil
	})
}

// killed finds the pid files of daemons that a text ends.
var killed = regexp.MustCompile(`kill "\$\(cat (\S+)\)"`)

// hasEnded waits for the daemons that a text has told to end: the next text may want their
// ports. A daemon removes its pid file after it has closed them.
func (s *shell) hasEnded(t *testing.T, text string) {
	t.Helper()
	for _, m := range killed.FindAllStringSubmatch(text, -1) {
		file := filepath.Join(s.dir, m[1])
		assert.EventuallyWithT(t, func(c *assert.CollectT) { assert.NoFileExists(c, file) }, time.Minute, 10*time.Millisecond)
	}
}

// isQuiet checks that no daemon is left: each has removed its sockets.
func (s *shell) isQuiet(t *testing.T) {
	t.Helper()
	var left []string
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		left = nil
		_ = filepath.WalkDir(filepath.Dir(s.dir), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.Type()&fs.ModeSocket != 0 {
				left = append(left, path)
			}
			return nil
		})
		assert.Empty(c, left)
	}, 10*time.Second, 20*time.Millisecond, "a daemon is left")
}

// fileOf returns a file that the page on replacing swtpm shows.
func fileOf(t *testing.T, name string) string {
	t.Helper()
	block := regexp.MustCompile("(?s)<!-- file: " + regexp.QuoteMeta(name) + " -->\n```[a-z]+\n(.*?)```").
		FindStringSubmatch(pageText(t, "../../docs/replace-swtpm.md"))
	require.NotNil(t, block, name)
	return block[1]
}

// libvirt asks the script that stands in for swtpm what it can do.
func TestTheScriptThatStandsInForSwtpm(t *testing.T) {
	place := newShell(t)
	require.NoError(t, os.WriteFile(filepath.Join(place.dir, "swtpm"), []byte(place.local(fileOf(t, "swtpm"))), 0o755))
	assert.Contains(t, place.run(t, "./swtpm socket --print-capabilities"), `"type": "swtpm"`)
}

// The elements are libvirt's, of a domain that it accepts.
func TestTheElementsOfLibvirt(t *testing.T) {
	domain := `<domain type='qemu'><name>guest</name><memory>262144</memory><os><type>hvm</type></os><devices>` +
		fileOf(t, "tpm.xml") + fileOf(t, "serial.xml") + `</devices></domain>`
	require.NoError(t, xml.Unmarshal([]byte(domain), new(struct{})))
	if _, err := exec.LookPath("virsh"); err != nil {
		t.Skip("virsh is not installed (Debian package libvirt-clients); scripts/test installs it")
	}
	file := filepath.Join(t.TempDir(), "domain.xml")
	require.NoError(t, os.WriteFile(file, []byte(domain), 0o644))
	out, err := exec.CommandContext(t.Context(), "virsh", "-c", "test:///default", "define", "--validate", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
}

// An example of a help text starts a daemon, and uses it when it is ready: with "&" the
// next line would not wait for that.
func TestExamplesOfTheHelpDoNotRace(t *testing.T) {
	for _, c := range subcommands(nil) {
		_, out, _ := called(t, append(strings.Fields(c.Name), "--help")...)
		require.Contains(t, out, "\nExamples:\n", c.Name)
		assert.NotRegexp(t, `(?m)&$`, out, c.Name)
	}
	if _, err := exec.LookPath("tpm2_pcrread"); err != nil {
		t.Skip("tpm2_pcrread is not installed (Debian package tpm2-tools); scripts/test installs it")
	}
	_, help, _ := called(t, "--help")
	example := regexp.MustCompile(`(?s)# a TPM for tpm2-tools[^\n]*\n(.*?)\n  #`).FindStringSubmatch(help)
	require.NotNil(t, example)
	place := newShell(t)
	out := place.run(t, strings.NewReplacer("$HOME", place.dir+"/home", "/tmp/tpm", place.dir+"/tpm").Replace(example[1]))
	assert.Contains(t, out, "sha256:")
	place.isQuiet(t)
}
