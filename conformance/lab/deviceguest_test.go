package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// deviceGuest is a guest without a TPM, in which a script gives the kernel some.
type deviceGuest struct {
	init     string            // the script
	programs map[string]string // their paths here by those in the guest
	files    map[string][]byte
	clock    string // QEMU's -icount
	limit    time.Duration
}

// deviceGuest returns a guest with swtpmd in /bin and the modules in /mod.
func (b *bench) deviceGuest(init string, modules map[string][]byte) *deviceGuest {
	g := &deviceGuest{
		init: init, limit: bootTimeout,
		programs: map[string]string{"bin/swtpmd": b.swtpmd},
		files: map[string][]byte{
			"etc/passwd": []byte("root::0:0::/:/bin/sh\ntester::1000:1000::/:/bin/sh\n"),
			"etc/group":  []byte("root::0:\ntester::1000:\n"),
		},
	}
	for name, content := range modules {
		g.files["mod/"+name] = content
	}
	return g
}

// run boots the guest until it reboots, and returns what its console had.
func (g *deviceGuest) run(t testing.TB, b *bench) string {
	t.Helper()
	initrd, console := b.initrd(t, g.init, g.programs, g.files), filepath.Join(t.TempDir(), "console")
	ctx, cancel := context.WithTimeout(t.Context(), g.limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.machine.Tools.QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", "q35", "-accel", "tcg,thread=single", "-icount", g.clock, "-cpu", "max", "-m", "768",
		"-chardev", "file,id=console,path="+escape(console), "-serial", "chardev:console",
		"-kernel", b.machine.Kernel, "-initrd", initrd,
		"-append", "console=ttyS0 panic=-1 ignore_loglevel no_timer_check")
	leash(cmd)
	begun := time.Now()
	said, err := cmd.CombinedOutput()
	log, readErr := os.ReadFile(console)
	require.NoError(t, readErr)
	require.NoError(t, err, "%s\n%s", said, log)
	t.Logf("the guest ran for %v", time.Since(begun).Round(time.Second))
	return string(log)
}

// withLibraries adds programs, by their paths in the guest, and the libraries that the
// loader finds for them here, at the paths where it looks.
func (g *deviceGuest) withLibraries(ctx context.Context, programs map[string]string) error {
	for name, from := range programs {
		out, err := exec.CommandContext(ctx, "ldd", from).CombinedOutput()
		if err != nil {
			return fmt.Errorf("ldd %s: %w: %s", from, err, out)
		}
		for _, library := range libraryLine.FindAllSubmatch(out, -1) {
			g.programs[string(library[1])] = "/" + string(library[1])
		}
		g.programs[name] = from
	}
	return nil
}

// libraryLine is a line of ldd(1): "NAME => PATH (ADDRESS)", or the loader's own
// "PATH (ADDRESS)".
var libraryLine = regexp.MustCompile(`(?m)^\s(?:\S+ => )?/(\S+) \(0x[0-9a-f]+\)$`)

// withClients adds Debian's swtpm_ioctl and some of its tpm2-tools.
func (g *deviceGuest) withClients(ctx context.Context) error {
	programs := map[string]string{}
	for _, name := range []string{"swtpm_ioctl", "tpm2_startup", "tpm2_getrandom", "tpm2_pcrextend", "tpm2_pcrread"} {
		path, err := exec.LookPath(name)
		if err != nil {
			return err
		}
		programs["bin/"+name] = path
	}
	if err := g.withLibraries(ctx, programs); err != nil {
		return err
	}
	// The TCTI is no library of the programs: they open it by its name.
	for name := range g.programs {
		if filepath.Base(name) == "libtss2-mu.so.0" {
			device := filepath.Join(filepath.Dir(name), "libtss2-tcti-device.so.0")
			return g.withLibraries(ctx, map[string]string{device: "/" + device})
		}
	}
	return errors.New("no libtss2-mu.so.0 among the libraries of tpm2-tools")
}
