package lab

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// deviceModules are the modules for the guest of TestDevices.
var deviceModules = []string{"drivers/char/tpm/tpm_vtpm_proxy.ko", "fs/fuse/fuse.ko", "fs/fuse/cuse.ko"}

// TestDevices boots Debian's kernel without a TPM, starts swtpmd in the guest, and has
// the kernel register TPMs of it, lose them, wait for them and sleep.
func TestDevices(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("no boots with -short")
	}
	required := os.Getenv("SWTPMD_BOOTS") == "required"
	b, modules := equipDevices(t, required)
	defer b.enter(false)()
	log := b.devices(t, modules)
	if dir := os.Getenv("SWTPMD_BOOTS_KEEP"); dir != "" {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "devices.log"), []byte(log), 0o600))
	}
	told := chapters(log)
	if !assert.Contains(t, told, "end", "the guest came to its end") {
		t.Logf("%s", log)
	}
	assert.True(t, samePCR(told["suspend"]), "what was extended outlives sleep:\n%s", told["suspend"])
	for _, c := range deviceChapters {
		t.Run(c.name, func(t *testing.T) {
			text := told[c.name]
			at := 0
			for _, want := range c.says {
				found := regexp.MustCompile("(?m)" + want).FindStringIndex(text[at:])
				if !assert.NotNil(t, found, "%s, in this order, in\n%s", want, text) {
					return
				}
				at += found[1]
			}
			for _, never := range append(c.never, "waited for nothing") {
				assert.NotRegexp(t, never, text)
			}
		})
	}
}

// equipDevices finds what the guest needs, or skips the test.
func equipDevices(t testing.TB, required bool) (*bench, map[string][]byte) {
	t.Helper()
	b, err := equip(t, required)
	var modules map[string][]byte
	if err == nil {
		modules, err = b.modules(t.Context(), &Apt{Cache: b.cache, Progress: t.Output()}, required)
	}
	if err != nil && !required {
		t.Skip("no boots: ", err)
	}
	require.NoError(t, err)
	return b, modules
}

const (
	randomBytes = "^80010000001400000000[0-9a-f]{20}$"
	newTPM      = `^New TPM device: /dev/tpm0 \(major/minor = 10/224\)$`
)

// deviceChapters are what guest and kernel must have said, as regular expressions in
// order.
var deviceChapters = []struct {
	name        string
	says, never []string
}{
	{"registered", []string{
		`^{"ready":true,"pid":[0-9]+,"device":"/dev/tpm0","major":10,"minor":224,"admin":"/run/admin"}$`,
		`^nodes: tpm0 tpmrm0$`, `^2$`,
		randomBytes, randomBytes, randomBytes, randomBytes,
		`^unknown: 80010000000a000b0143$`, // the resource manager's own answer
		`^set-locality: error: bad address$`,
		`^power +on$`,
	}, []string{`A TPM error`}},
	{"suspend", []string{
		`^extended: 8002000000130000000000000000`, `^before: [0-9A-F]{64}$`,
		`PM: suspend entry \(deep\)`, `PM: suspend exit`, `^suspended: 0$`,
		`^after: [0-9A-F]{64}$`, randomBytes, `^nodes: tpm0 tpmrm0$`,
	}, []string{`before: 0{64}`, `A TPM error`, `Operation Timed out`}},
	{"killed", []string{`write error: `, `^nodes:$`}, nil},
	{"late", []string{
		`tpm tpm0: A TPM error \(257\) occurred attempting the self test`,
		`^nodes:$`, newTPM, newTPM, randomBytes, `^exit code 0$`,
	}, nil},
	{"absent", []string{`^nodes:$`, newTPM, randomBytes, `^exit code 0$`}, []string{`A TPM error`, `(?s)New TPM device.*New TPM device`}},
	{"retry", []string{newTPM, randomBytes, `^exit code 0$`}, []string{`(?s)New TPM device.*New TPM device`}},
	{"held", []string{`^nodes:$`, newTPM, newTPM, randomBytes, `outcome=abandoned`, `^exit code 0$`}, nil},
	{"users", []string{`operation not permitted; the kernel makes TPMs for processes with CAP_SYS_ADMIN only$`, `^exit code 1$`}, nil},
	{"cuse", []string{
		`^New TPM device: /dev/vtpm7$`,
		`^capability: [0-9a-f]{8}00000000$`,
		`^before init: 80010000000a00000101$`,
		`^init: 00000000$`, `^startup: 80010000000a00000000$`, randomBytes, randomBytes,
		`^second: error: device or resource busy$`,
		`there is one of that name or number already`,
		`^unknown: error: inappropriate ioctl for device$`,
		`^shutdown: 00000000$`, `^exit code 0$`,
	}, nil},
	{"cuse killed", []string{randomBytes, `^0$`}, nil},
}

// samePCR reports whether PCR 16 had the same value after sleep, and not 0.
func samePCR(text string) bool {
	value := regexp.MustCompile(`(?m)^(?:before|after): ([0-9A-F]{64})$`).FindAllStringSubmatch(text, -1)
	return len(value) == 2 && value[0][1] == value[1][1] && strings.Trim(value[0][1], "0") != ""
}

// chapters cuts what a guest has printed.
func chapters(log string) map[string]string {
	told := map[string]string{}
	for _, part := range strings.Split("\n"+strings.ReplaceAll(log, "\r", ""), "\n== ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		told[name] = text
	}
	return told
}

// modules returns the contents of the kernel's modules by their file names. Without
// fetch it takes those that were fetched before.
func (b *bench) modules(ctx context.Context, apt *Apt, fetch bool) (map[string][]byte, error) {
	dir, err := Modules(ctx, apt, b.machine.Kernel, fetch, deviceModules...)
	if err != nil {
		return nil, err
	}
	contents := map[string][]byte{}
	for _, name := range deviceModules {
		name = filepath.Base(name)
		if contents[name], err = os.ReadFile(filepath.Join(dir, name)); err != nil {
			return nil, err
		}
	}
	return contents, nil
}

// devices boots the guest, and returns what its console had.
func (b *bench) devices(t testing.TB, modules map[string][]byte) string {
	t.Helper()
	files := map[string][]byte{
		"etc/passwd": []byte("root::0:0::/:/bin/sh\ntester::1000:1000::/:/bin/sh\n"),
		"etc/group":  []byte("root::0:\ntester::1000:\n"),
	}
	for name, content := range modules {
		files["mod/"+name] = content
	}
	initrd, console := b.initrd(t, "devices.sh", map[string]string{"bin/swtpmd": b.swtpmd}, files), filepath.Join(t.TempDir(), "console")

	ctx, cancel := context.WithTimeout(t.Context(), bootTimeout)
	defer cancel()
	// The guest's time is its instructions, and idle it has none: a busy host makes it
	// slow and not late, and its sleep ends at once.
	cmd := exec.CommandContext(ctx, b.machine.Tools.QEMU, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
		"-machine", "q35", "-accel", "tcg,thread=single", "-icount", "shift=1,sleep=off", "-cpu", "max", "-m", "768",
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
