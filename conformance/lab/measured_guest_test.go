package lab

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/lab/imatrace"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/ima"
)

// diskModules are the modules for a root file system on a disk, in the order in which
// they can be loaded.
var diskModules = []string{
	"drivers/virtio/virtio_ring.ko", "drivers/virtio/virtio.ko",
	"drivers/virtio/virtio_pci_legacy_dev.ko", "drivers/virtio/virtio_pci_modern_dev.ko", "drivers/virtio/virtio_pci.ko",
	"drivers/block/virtio_blk.ko", "crypto/crc32c_generic.ko", "lib/crc16.ko", "fs/mbcache.ko", "fs/jbd2/jbd2.ko", "fs/ext4/ext4.ko",
}

// loadedModules are modules that a measured guest loads from its root file system.
var loadedModules = []string{"crypto/sha512_generic.ko", "drivers/net/dummy.ko", "lib/libcrc32c.ko"}

// rootPackages are the packages of a measured guest.
var rootPackages = []string{
	"bash", "dash", "coreutils", "grep", "sed", "findutils", "tar", "kmod", "python3", "mount",
	"tpm2-tools", "libtss2-tcti-device0", "ima-evm-utils", "kexec-tools",
}

// measuredBench has what guests with a root file system need.
type measuredBench struct {
	*bench
	tree    string // the root file system's files
	modules string // folder
	kconfig string // the kernel's

	layoutOnce sync.Once
	layoutRead *imatrace.Layout
	layoutErr  error
}

// equipMeasured finds what measured guests need, or fetches it, if the tests are asked
// for with SWTPMD_LAB=measured; otherwise it skips the test.
func equipMeasured(t *testing.T) *measuredBench {
	t.Helper()
	if !measuredLab() {
		t.Skip("minutes of boots: scripts/measured-boots runs them (SWTPMD_LAB=measured)")
	}
	b, err := findMeasured(t, false)
	if err != nil || bootsRequired() {
		t.Log("fetching: ", err)
		b, err = findMeasured(t, true)
	}
	require.NoError(t, err)
	return b
}

// measuredLab reports whether the tests are asked for.
func measuredLab() bool { return os.Getenv("SWTPMD_LAB") == "measured" }

// findMeasured finds what measured guests need. Without fetch it takes what was fetched
// last.
func findMeasured(t *testing.T, fetch bool) (*measuredBench, error) {
	t.Helper()
	base, err := equip(t, fetch)
	if err != nil {
		return nil, err
	}
	apt := &Apt{Cache: base.cache, Progress: t.Output()}
	b := &measuredBench{bench: base}
	b.kconfig = strings.Replace(b.machine.Kernel, "vmlinuz-", "config-", 1)
	names := append(append([]string(nil), diskModules...), loadedModules...)
	if b.modules, err = modulesAt(t.Context(), apt, b.machine.Kernel, fetch, "disk-modules-of-", names); err != nil {
		return nil, err
	}
	b.tree, err = RootTree(t.Context(), apt, fetch, rootPackages...)
	return b, err
}

// measuredGuest is a guest with a root file system.
type measuredGuest struct {
	*steered
	tpm    *TPM
	out    string // the disk to which the guest writes results
	initrd string
}

// measuredConfig is how a measured guest is booted.
type measuredConfig struct {
	append string            // to the kernel's command line
	flags  []string          // swtpmd's
	files  map[string]string // contents of files besides those of packages
	banks  string            // of the TPM, as swtpmd setup takes them; all if empty
	traced bool              // the calls of IMA
}

// boot boots a measured guest up to its shell.
func (b *measuredBench) boot(t *testing.T, c *measuredConfig) *measuredGuest {
	t.Helper()
	dir := socketDir(t)
	g := &measuredGuest{out: filepath.Join(dir, "out"), initrd: b.diskInitrd(t, c)}
	begun := time.Now()
	image, err := Ext4(t.Context(), b.tree)
	require.NoError(t, err)
	t.Logf("image after %v", time.Since(begun).Round(time.Millisecond))
	require.NoError(t, os.WriteFile(g.out, nil, 0o600))
	require.NoError(t, os.Truncate(g.out, outSize))
	g.tpm = b.measuringTPM(t, c)
	begun = time.Now()
	g.steered = steer(t, b.machine.Tools.QEMU, true,
		"-machine", "q35", "-accel", TCG.option(), "-cpu", "max", "-m", "1024",
		"-chardev", "socket,id=tpm,path="+escape(g.tpm.control), "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", string(TIS)+",tpmdev=tpm0",
		"-drive", "if=virtio,format=raw,snapshot=on,file="+escape(image),
		"-drive", "if=virtio,format=raw,file="+escape(g.out),
		"-kernel", b.machine.Kernel, "-initrd", g.initrd,
		"-append", strings.TrimSpace("console=ttyS0 panic=-1 no_timer_check "+c.append))
	_, status := g.until(t)
	require.Zero(t, status)
	t.Logf("booted in %v", time.Since(begun).Round(time.Millisecond))
	return g
}

// measuringTPM starts the TPM of a guest, with the banks that it is to have.
func (b *measuredBench) measuringTPM(t *testing.T, c *measuredConfig) *TPM {
	t.Helper()
	dir := socketDir(t)
	flags := c.flags
	if c.banks != "" {
		state := filepath.Join(dir, "state")
		require.NoError(t, os.Mkdir(state, 0o700))
		said, err := exec.CommandContext(t.Context(), b.swtpmd, "setup", "--state="+state, "--pcr-banks="+c.banks).CombinedOutput()
		require.NoError(t, err, "%s", said)
		flags = append([]string{"--state=" + state}, flags...)
	}
	tpm, err := Swtpmd(b.swtpmd, flags)(t.Context(), dir)
	require.NoError(t, err)
	t.Cleanup(func() { tpm.process.stop(endPatience) })
	return tpm
}

// outSize is the size of the disk for results in bytes.
const outSize = 64 << 20

// rootFiles are the files of the root file system besides those of packages.
func (b *measuredBench) rootFiles(t *testing.T, c *measuredConfig) map[string][]byte {
	t.Helper()
	serve, err := os.ReadFile("serve.sh")
	require.NoError(t, err)
	files := map[string][]byte{
		"lab/serve":  serve,
		"etc/passwd": []byte("root:x:0:0:root:/root:/bin/sh\nlab:x:1000:1000:lab:/tmp:/bin/sh\n"),
		"etc/group":  []byte("root:x:0:\nlab:x:1000:\n"),
	}
	for _, name := range loadedModules {
		files["lab/modules/"+filepath.Base(name)], err = os.ReadFile(filepath.Join(b.modules, filepath.Base(name)))
		require.NoError(t, err)
	}
	for name, content := range c.files {
		files[name] = []byte(content)
	}
	return files
}

// diskInitrd writes an initramfs that goes on with the root file system on the disk, and
// adds files to it.
func (b *measuredBench) diskInitrd(t *testing.T, c *measuredConfig) string {
	t.Helper()
	files := map[string][]byte{}
	for name, content := range b.rootFiles(t, c) {
		files["root/"+name] = content
	}
	var order strings.Builder
	for _, name := range diskModules {
		name = filepath.Base(name)
		content, err := os.ReadFile(filepath.Join(b.modules, name))
		require.NoError(t, err)
		files["mod/"+name] = content
		fmt.Fprintln(&order, name)
	}
	files["mod/order"] = []byte(order.String())
	files["mnt/.here"] = nil
	if c.traced {
		layout, err := b.layout(t.Context())
		require.NoError(t, err)
		probes, err := imatrace.Probes(layout)
		require.NoError(t, err)
		files["probes"] = []byte(probes)
	}
	return b.initrd(t, "measured.sh", map[string]string{}, files)
}

// snapshot is what a guest and its TPM have at a moment at which nothing is measured.
type snapshot struct {
	list, ascii []byte
	count       string
	violations  string
	view        *View
	pcrs        ima.PCRs // the TPM's own
	bypass      bool     // IMA found no TPM
}

// takeSnapshot has the guest read its list. What it runs for that was measured before.
func (g *measuredGuest) takeSnapshot(t *testing.T) *snapshot {
	t.Helper()
	const ima = "/sys/kernel/security/ima/"
	read := func() string {
		return g.run(t, "base64 -w 0 "+ima+"binary_runtime_measurements; echo; base64 -w 0 "+ima+"ascii_runtime_measurements; echo; cat "+
			ima+"runtime_measurements_count "+ima+"violations")
	}
	read()
	lines := strings.Split(read(), "\n")
	require.Len(t, lines, 4)
	s := &snapshot{list: fromBase64(t, lines[0]), ascii: fromBase64(t, lines[1]), count: lines[2], violations: lines[3]}
	var err error
	s.view, err = g.tpm.View(t.Context())
	require.NoError(t, err)
	s.pcrs = viewPCRs(t, s.view.PCRs)
	log, err := os.ReadFile(g.console)
	require.NoError(t, err)
	s.bypass = strings.Contains(string(log), bypassLine)
	require.Equal(t, s.count, g.run(t, "cat "+ima+"runtime_measurements_count"), "nothing was measured in between")
	return s
}

func fromBase64(t *testing.T, text string) []byte {
	t.Helper()
	content, err := base64.StdEncoding.DecodeString(text)
	require.NoError(t, err)
	return content
}

func viewPCRs(t *testing.T, pcrs control.PCRs) ima.PCRs {
	t.Helper()
	all, err := imaPCRs(pcrs)
	require.NoError(t, err)
	return all
}
