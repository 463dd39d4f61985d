package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/statedir"
)

// libvirtPath is a PATH in which swtpm is swtpmd, as docs/replace-swtpm.md has it, and
// swtpm_setup and swtpm_ioctl are Debian's.
func libvirtPath(t *testing.T) []string {
	t.Helper()
	for _, name := range []string{"swtpm_setup", "swtpm_ioctl", "swtpm_localca"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(name, " is not installed (Debian package swtpm-tools); scripts/test installs it")
		}
	}
	self, err := os.Executable()
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "swtpm"), []byte("#!/bin/sh\nexec "+self+" \"$@\"\n"), 0o755))
	return append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), asProgram+"=1", "XDG_CONFIG_HOME="+filepath.Join(dir, "config"))
}

// inPath runs a program of the PATH, which must succeed.
func inPath(t *testing.T, env []string, words ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "env", words...)
	cmd.Env = env
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	require.NoError(t, err, "%v: %s%s", words, out, errs.String())
	return out
}

// What libvirt asks before it offers a TPM: swtpm and swtpm_setup tell what they can
// (src/util/virtpm.c).
func TestLibvirtFindsATPM(t *testing.T) {
	env := libvirtPath(t)
	for program, wants := range map[string][]string{
		"swtpm socket": {"tpm-2.0", "cmdarg-pwd-fd", "cmdarg-migration", "nvram-backend-dir"},
		"swtpm_setup":  {"tpm-2.0", "cmdarg-pwdfile-fd", "cmdarg-create-config-files", "tpm12-not-need-root", "cmdarg-reconfigure-pcr-banks"},
	} {
		var can struct {
			Type     string
			Features []string
		}
		out := inPath(t, env, append(strings.Fields(program), "--print-capabilities")...)
		require.NoError(t, json.Unmarshal(out, &can), "%s", out)
		assert.Equal(t, strings.Fields(program)[0], can.Type)
		assert.Subset(t, can.Features, wants, program)
	}
}

// libvirt's life of a TPM for a user's session and for a guest that comes from another
// host (src/qemu/qemu_tpm.c): configuration and state are made by swtpm_setup, which
// starts swtpm from the PATH; swtpm is started, waited for, and ended by QEMU, or by
// swtpm_ioctl and its pid file.
func TestLibvirtsSessionAndItsMigration(t *testing.T) {
	env, dir := libvirtPath(t), shortDir(t)
	config := "skip-if-exist"
	if os.Geteuid() == 0 {
		config += ",root"
	}
	for range 2 {
		inPath(t, env, "swtpm_setup", "--create-config-files", config)
	}
	log := filepath.Join(dir, "log")
	state := func(name string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.Mkdir(path, 0o700))
		return path
	}
	source, target := state("source"), state("target")
	inPath(t, env, "swtpm_setup", "--tpm2", "--tpm-state", source, "--vmid", "guest:c7a5fdbd-edaf-9455-926a-d65c16db1809",
		"--logfile", log, "--createek", "--create-ek-cert", "--create-platform-cert", "--lock-nvram", "--not-overwrite")
	inPath(t, env, "swtpm_setup", "--tpm2", "--tpm-state", target, "--logfile", log, "--overwrite")
	require.FileExists(t, filepath.Join(target, statedir.File))

	from, to := filepath.Join(dir, "from"), filepath.Join(dir, "to")
	start := func(socket, state, migration string) {
		t.Helper()
		file := socket + ".pid"
		begun := time.Now()
		inPath(t, env, "swtpm", "socket", "--daemon", "--ctrl", "type=unixio,path="+socket+",mode=0600", "--tpmstate", "dir="+state+",mode=0600",
			"--log", "file="+log, "--terminate", "--tpm2", "--pid", "file="+file, "--migration", migration)
		// It waits for the path, a second at most (virCommandRun, virTimeBackOffWait).
		require.Eventually(t, func() bool { _, err := os.Stat(socket); return err == nil }, time.Minute, time.Millisecond)
		t.Logf("the socket was there after %v", time.Since(begun).Round(time.Millisecond))
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
		require.NoError(t, err)
		t.Cleanup(func() { _ = syscall.Kill(pid, syscall.SIGKILL) })
	}
	start(from, source, "release-lock-outgoing")
	start(to, target, "release-lock-outgoing,incoming")

	// The guest, and its way.
	here := reached(t, "unix", from)
	guest := dataOf(t, here)
	assert.Equal(t, "00000000", asked(t, here, cmdInit, 4))
	assert.Equal(t, "80010000000a00000000", asked(t, guest, startupClear10, 10))
	value := extended(t, guest)
	ioctl := func(words ...string) { t.Helper(); inPath(t, env, append([]string{"swtpm_ioctl"}, words...)...) }
	require.NoError(t, here.Close())
	blobs := map[string]string{}
	for _, kind := range []string{"permanent", "volatile"} {
		blobs[kind] = filepath.Join(dir, kind)
		ioctl("--unix", from, "--save", kind, blobs[kind])
		ioctl("--unix", to, "--load", kind, blobs[kind])
	}
	ioctl("--unix", to, "-i")
	arrived := reached(t, "unix", to)
	guest = dataOf(t, arrived)
	assert.Equal(t, value, pcr10(t, guest))
	_, err := tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(0x81010001)}.Execute(guest)
	require.NoError(t, err, "the endorsement key of the other host")

	// The end: by QEMU, after which libvirt finds no socket, and where QEMU did not.
	assert.Equal(t, "00000000", asked(t, arrived, cmdShutdown, 4))
	gone := func(path string) {
		t.Helper()
		require.Eventually(t, func() bool { _, err := os.Stat(path); return os.IsNotExist(err) }, time.Minute, time.Millisecond, "%s", path)
	}
	gone(to)
	gone(to + ".pid")
	ioctl("--unix", from, "-s")
	gone(from)
	gone(from + ".pid")
}

// libvirtHost is a libvirtd of its own, for a user's session.
type libvirtHost struct {
	dir string
	uri string
	env []string
	ids *syscall.SysProcAttr
}

// newLibvirtHost starts a libvirtd that takes swtpm from bin. Root has it run as nobody:
// what belongs to the system is left alone.
func newLibvirtHost(t *testing.T, bin, uuid string) *libvirtHost {
	t.Helper()
	h := &libvirtHost{dir: shortDir(t), ids: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}}
	for name, text := range map[string]string{"config/libvirt/qemu.conf": "stdio_handler = \"file\"\n", "config/libvirt/libvirtd.conf": "host_uuid = \"" + uuid + "\"\n"} {
		require.NoError(t, os.MkdirAll(filepath.Dir(filepath.Join(h.dir, name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o644))
	}
	require.NoError(t, os.Mkdir(filepath.Join(h.dir, "run"), 0o700))
	if os.Geteuid() == 0 {
		const nobody = 65534
		h.ids.Credential = &syscall.Credential{Uid: nobody, Gid: nobody}
		require.NoError(t, filepath.WalkDir(h.dir, func(path string, _ os.DirEntry, err error) error {
			return errors.Join(err, os.Chown(path, nobody, nobody))
		}))
	}
	h.env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH")+":/usr/sbin", "HOME="+h.dir, "XDG_CONFIG_HOME="+h.dir+"/config",
		"XDG_CACHE_HOME="+h.dir+"/cache", "XDG_DATA_HOME="+h.dir+"/data", "XDG_RUNTIME_DIR="+h.dir+"/run", "LC_ALL=C")
	h.uri = "qemu+unix:///session?socket=" + h.dir + "/run/libvirt/libvirt-sock"
	daemon := h.command("libvirtd")
	var said bytes.Buffer
	daemon.Stderr = &said
	require.NoError(t, daemon.Start())
	ended := make(chan error, 1)
	go func() { ended <- daemon.Wait() }()
	t.Cleanup(func() {
		_ = h.command("virsh", "-c", h.uri, "destroy", "guest").Run()
		_ = daemon.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(time.Minute):
			_ = daemon.Process.Kill()
		}
		if t.Failed() {
			t.Logf("%s\n%s", &said, h.log())
		}
	})
	reached(t, "unix", h.dir+"/run/libvirt/libvirt-sock").Close()
	return h
}

func (h *libvirtHost) command(words ...string) *exec.Cmd {
	cmd := exec.Command("env", words...)
	cmd.Env, cmd.Dir, cmd.SysProcAttr = h.env, h.dir, h.ids
	return cmd
}

func (h *libvirtHost) virsh(t *testing.T, words ...string) string {
	t.Helper()
	said, err := h.command(append([]string{"virsh", "-q", "-c", h.uri}, words...)...).CombinedOutput()
	require.NoError(t, err, "virsh %v: %s", words, said)
	return string(said)
}

// log is what swtpm and swtpm_setup have written.
func (h *libvirtHost) log() string {
	text, _ := os.ReadFile(filepath.Join(h.dir, "cache/libvirt/qemu/log/guest-swtpm.log"))
	return string(text)
}

// libvirt itself, twice: a guest with an encrypted TPM is made, saved and restored, reset,
// and migrated from one to the other.
func TestLibvirtItself(t *testing.T) {
	for _, name := range []string{"/usr/sbin/libvirtd", "virsh", "swtpm_setup", "qemu-system-x86_64"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skip(name, " is not installed; scripts/test installs it")
		}
	}
	if testing.Short() {
		t.Skip("it boots QEMU's firmware")
	}
	bin := shortDir(t)
	// The shipped program: libvirt waits for it for a second, and a test's binary, with
	// the race detector, takes that where the machine is busy.
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "swtpm"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)
	require.NoError(t, os.Chmod(bin, 0o755))
	const secret = "0f4a6c1e-5a0b-4f9e-9c3f-000000000001"
	for name, text := range map[string]string{
		"secret.xml": "<secret ephemeral='no' private='yes'><uuid>" + secret + "</uuid><usage type='vtpm'><name>tpm</name></usage></secret>",
		"passphrase": "the passphrase of the guest",
		"guest.xml": "<domain type='qemu'><name>guest</name><memory unit='MiB'>64</memory><os><type arch='x86_64' machine='q35'>hvm</type></os><devices>" +
			"<memballoon model='none'/><tpm model='tpm-crb'><backend type='emulator' version='2.0'><encryption secret='" + secret + "'/></backend></tpm></devices></domain>",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(bin, name), []byte(text), 0o644))
	}
	here := newLibvirtHost(t, bin, "11111111-2222-4333-8444-555555555555")
	there := newLibvirtHost(t, bin, "11111111-2222-4333-8444-666666666666")
	for _, h := range []*libvirtHost{here, there} {
		h.virsh(t, "secret-define", filepath.Join(bin, "secret.xml"))
		h.virsh(t, "secret-set-value", secret, "--plain", "--file", filepath.Join(bin, "passphrase"))
	}
	here.virsh(t, "create", filepath.Join(bin, "guest.xml"))
	assert.Contains(t, here.log(), "Successfully authored TPM state.")
	here.virsh(t, "save", "guest", filepath.Join(here.dir, "saved"))
	here.virsh(t, "restore", filepath.Join(here.dir, "saved"))
	assert.Contains(t, here.log(), "the guest goes on from saved state")
	here.virsh(t, "reset", "guest")
	here.virsh(t, "migrate", "--live", "guest", there.uri, "unix://"+there.dir+"/migration")
	assert.Empty(t, strings.TrimSpace(here.virsh(t, "list", "--name")))
	assert.Equal(t, "guest", strings.TrimSpace(there.virsh(t, "list", "--name")))
	assert.Contains(t, there.log(), "the guest goes on from saved state")
	states, err := filepath.Glob(filepath.Join(there.dir, "config/libvirt/qemu/swtpm/*/tpm2", statedir.File))
	require.NoError(t, err)
	require.Len(t, states, 1)
	text, err := os.ReadFile(states[0])
	require.NoError(t, err)
	assert.True(t, bytes.HasPrefix(text, []byte("swtpmdSE")), "encrypted")
	there.virsh(t, "destroy", "guest")
}
