package lab

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

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
	required := bootsRequired()
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
			text, ok := told[c.name]
			if !ok && c.name == "cuse clients" && !required {
				t.Skip("swtpm-tools, tpm2-tools or ldd is not installed; scripts/setup installs them")
			}
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
		// More than 1,000 a second: swtpmd ends the sleep of the kernel's driver.
		`^rate: 1[0-9]{3}\.[0-9]+ [0-9.]+$`,
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
	// The control tool of swtpm 0.7.1 and tpm2-tools 5.4.
	{"cuse clients", []string{
		`^swtpm_ioctl -c: ptm capability is 0x16fff \(0\)$`,
		`^swtpm_ioctl -i: \(0\)$`,
		`^tpm2_startup: \(0\)$`, `^tpm2_getrandom: [0-9a-f]{16} \(0\)$`, `^tpm2_pcrextend: \(0\)$`,
		`^swtpm_ioctl -l 3: \(0\)$`,
		`^swtpm_ioctl -e: tpmEstablished is 0 \(0\)$`, `^swtpm_ioctl -h abc: \(0\)$`,
		`^swtpm_ioctl -e: tpmEstablished is 1 \(0\)$`, `^swtpm_ioctl -r 3: \(0\)$`,
		`^swtpm_ioctl -g: ptm configuration flags: 0x0 \(0\)$`,
		`^swtpm_ioctl --info 1: \{"TPMSpecification":\{.*\}\} \(0\)$`, `^swtpm_ioctl -C: \(0\)$`,
		// What was extended into PCR 16 was measured into PCR 17.
		`^tpm2_pcrread: sha256: 16: 0x` + abcExtended + ` 17: 0x` + abcExtended + ` \(0\)$`,
		`^swtpm_ioctl -v: \(0\)$`, `^swtpm_ioctl --save permanent /run/blob: \(0\)$`, `^swtpm_ioctl --stop: \(0\)$`,
		`^swtpm_ioctl -b 3968: TPM buffersize: 3968 minimum size : [0-9]+ maximum size : 4096 \(0\)$`,
		`^swtpm_ioctl --load permanent /run/blob: \(0\)$`, `^swtpm_ioctl -i: \(0\)$`,
		// The volatile state was stored, so the TPM goes on where it was.
		`^tpm2_pcrread: sha256: 16: 0x` + abcExtended + ` \(0\)$`, `^exit code 0$`,
	}, nil},
}

// abcExtended is PCR 0…0 in the bank of SHA-256, extended by the digest of "abc".
const abcExtended = "589F9FFED4C477966BFB8D41F37895B08C69047DF8F911D6F3B57FBE08FAEE8D"

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
	g := b.deviceGuest("devices.sh", modules)
	// The guest's time is its instructions, and idle it has none: a busy host makes it
	// slow and not late, and its sleep ends at once.
	g.clock = "shift=1,sleep=off"
	if err := g.withClients(t.Context()); err != nil {
		t.Log("without clients: ", err)
	}
	return g.run(t, b)
}
