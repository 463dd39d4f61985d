package lab

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const tcbPolicy = `ima_policy="tcb|critical_data"`

// sleepsMeasured: IMA goes on after S3, and the TPM has kept what it had measured before.
func (b *measuredBench) sleepsMeasured(t *testing.T) {
	config := &measuredConfig{append: tcbPolicy, traced: true}
	g := b.boot(t, config)
	g.run(t, "uname -a; head -c 10 /etc/passwd")
	before := g.takeSnapshot(t)
	before.replays(t)
	g.begin(t, "echo mem >/sys/power/state")
	g.event(t, "SUSPEND")
	g.do(t, "system_wakeup", nil)
	g.event(t, "WAKEUP")
	text, status := g.until(t)
	require.Zero(t, status, "%s", text)
	g.run(t, "tail -c 10 /etc/group; python3 -c 'import json'")
	after := g.takeSnapshot(t)
	events := g.trace(t)
	g.quit(t)
	after.replays(t)
	assert.Equal(t, before.list, after.list[:len(before.list)], "the list goes on")
	assert.Greater(t, len(after.list), len(before.list))
	b.plays(t, after, events, &bootEvents{config: config})
	said, code := b.verify(t, after, "--vouched")
	assert.Zero(t, code, "%s", said)
}

// rebootsMeasured: after a reboot list and PCRs begin anew.
func (b *measuredBench) rebootsMeasured(t *testing.T) {
	config := &measuredConfig{append: tcbPolicy, traced: true}
	g := b.boot(t, config)
	g.run(t, "uname -a; python3 -c 'import json, hashlib'")
	before := g.takeSnapshot(t)
	before.replays(t)
	g.begin(t, restart)
	_, status := g.until(t)
	require.Zero(t, status)
	g.run(t, "head -c 10 /etc/passwd")
	after := g.takeSnapshot(t)
	events := g.trace(t)
	g.quit(t)
	after.replays(t)
	assert.Less(t, len(after.list), len(before.list))
	assert.Equal(t, before.names(t)[0], after.names(t)[0], "a boot aggregate")
	b.plays(t, after, events, &bootEvents{config: config})
	said, code := b.verify(t, after, "--vouched")
	assert.Zero(t, code, "%s", said)
}

// restart is reboot(2) with LINUX_REBOOT_CMD_RESTART.
const restart = `python3 -c 'import ctypes; ctypes.CDLL(None).reboot(0x01234567)'`

// kexecs: Debian's kernel has no CONFIG_IMA_KEXEC, so the list begins anew with another
// kernel, and the PCRs do not.
func (b *measuredBench) kexecs(t *testing.T) {
	g := b.boot(t, &measuredConfig{append: tcbPolicy})
	b.loads(t, g)
	before := g.takeSnapshot(t)
	before.replays(t)
	g.begin(t, "kexec -e")
	_, status := g.until(t)
	require.Zero(t, status)
	g.run(t, "uname -a; head -c 10 /etc/passwd")
	after := g.takeSnapshot(t)
	g.quit(t)

	t.Logf("before kexec %s records, after it %s: %v", before.count, after.count, after.names(t)[:3])
	c, err := compareList(after.list, after.pcrs)
	require.NoError(t, err)
	for _, row := range c.Banks {
		_, ok := row.Match()
		assert.False(t, ok, "PCR %d of %s was not reset", row.PCR, row.Bank)
	}
	said, code := b.verify(t, after, "--vouched")
	assert.Equal(t, 4, code, "%s", said)
	assert.Contains(t, said, "replay-mismatch")

	// Who has kept the PCRs, or the list, from before can tell.
	start := filepath.Join(t.TempDir(), "start.json")
	text, err := json.Marshal(before.view.PCRs)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(start, text, 0o600))
	said, _ = b.verify(t, after, "--vouched", "--start="+start)
	assert.Contains(t, said, "match at record")
	assert.NotContains(t, said, "replay-mismatch")
	whole := *after
	whole.list = slices.Concat(before.list, after.list)
	c, err = compareList(whole.list, whole.pcrs)
	require.NoError(t, err)
	for _, row := range c.Banks {
		_, ok := row.Match()
		assert.True(t, ok, "both lists in PCR %d of %s", row.PCR, row.Bank)
	}
	assert.Len(t, c.BootAggregates, 2)
	said, code = b.verify(t, &whole, "--vouched")
	t.Logf("both lists: exit code %d\n%s", code, said)
}

// loads has the guest load its own kernel and initramfs, which come on the second disk.
func (b *measuredBench) loads(t *testing.T, g *measuredGuest) {
	t.Helper()
	kernel, err := os.ReadFile(b.machine.Kernel)
	require.NoError(t, err)
	initrd, err := os.ReadFile(g.initrd)
	require.NoError(t, err)
	disk, err := os.OpenFile(g.out, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer disk.Close()
	_, err = disk.Write(append(kernel, initrd...))
	require.NoError(t, err)
	g.run(t, fmt.Sprintf("head -c %d /dev/vdb >/tmp/vmlinuz; head -c %d /dev/vdb | tail -c %d >/tmp/initrd", len(kernel), len(kernel)+len(initrd), len(initrd)))
	g.run(t, `kexec -s -l /tmp/vmlinuz --initrd=/tmp/initrd --command-line="$(cat /proc/cmdline)"`)
}

// selftests runs the kernel's own tests of TPMs.
func (b *measuredBench) selftests(t *testing.T) {
	files, scripts := b.selftestFiles(t)
	g := b.boot(t, &measuredConfig{files: files})
	for _, script := range scripts {
		said := g.run(t, "cd /lab/selftests && ls -l /dev/tpm* && sh "+script+" 2>&1")
		t.Logf("%s:\n%s", script, said)
		assert.Regexp(t, `(?m)^OK$`, said)
		assert.NotRegexp(t, `(?m)^FAILED|^ERROR|Traceback|skipped`, said)
	}
	g.quit(t)
}

// selftestFiles are the files of tools/testing/selftests/tpm2 in the source of Debian's
// kernel, and the names of its scripts.
func (b *measuredBench) selftestFiles(t *testing.T) (files map[string]string, scripts []string) {
	t.Helper()
	dir, err := kernelSource(t.Context(), &Apt{Cache: b.cache, Progress: t.Output()}, b.release(), "tools/testing/selftests/tpm2")
	require.NoError(t, err)
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	files = map[string]string{}
	for _, entry := range entries {
		content, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		require.NoError(t, err)
		files["lab/selftests/"+entry.Name()] = string(content)
		if strings.HasSuffix(entry.Name(), ".sh") {
			scripts = append(scripts, entry.Name())
		}
	}
	require.NotEmpty(t, scripts)
	return files, scripts
}

// kernelSource returns a folder with those files of a kernel's source that are below a
// folder of it, from Debian's package linux-source of the release's series.
func kernelSource(ctx context.Context, apt *Apt, release, part string) (string, error) {
	series := strings.SplitN(release, ".", 3)
	name := "linux-source-" + strings.Join(series[:2], ".")
	record, err := apt.Query(ctx, "show", "--no-all-versions", name)
	if err != nil {
		return "", err
	}
	p, err := parsePackage(record)
	if err != nil {
		return "", err
	}
	place := filepath.Join(apt.packages(), fmt.Sprintf("%s-of-%s_%s", filepath.Base(part), p.Package, p.Version))
	if isFolder(place) {
		return place, nil
	}
	return place, apt.fetchTo(ctx, p, place, func(tree, place string) error {
		archive := filepath.Join(tree, "usr/src", name+".tar.xz")
		if err := run(exec.CommandContext(ctx, "tar", "-C", tree, "-xJf", archive, name+"/"+part)); err != nil {
			return err
		}
		return os.Rename(filepath.Join(tree, name, part), place)
	})
}
