package lab

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// otherProcessors are machines whose TPM is another device than those of x86-64, with
// their firmware and no system.
var otherProcessors = []struct {
	name, program string
	firmware      string // a file that must be there
	args          []string
	// says are commands of the firmware, in this order.
	says []string
}{
	{"tpm-tis-device on arm64", "qemu-system-aarch64", "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd",
		[]string{"-machine", "virt", "-cpu", "cortex-a57", "-m", "512", "-bios", "/usr/share/qemu-efi-aarch64/QEMU_EFI.fd", "-device", "tpm-tis-device,tpmdev=tpm0"},
		[]string{"TPM2_Startup() -> TPM_RC_SUCCESS", "TPM2_PCR_Extend(PCR0) auth=TPM_RS_PW -> TPM_RC_SUCCESS", "TPM2_HierarchyChangeAuth(TPM_RH_PLATFORM)", "TPM2_PCR_Extend(PCR6)"}},
	{"tpm-spapr on ppc64", "qemu-system-ppc64", "/usr/share/qemu/slof.bin",
		[]string{"-machine", "pseries,cap-cfpc=broken,cap-sbbc=broken,cap-ibs=broken,cap-ccf-assist=off", "-cpu", "power9", "-m", "512", "-device", "tpm-spapr,tpmdev=tpm0"},
		[]string{"TPM2_Startup() -> TPM_RC_SUCCESS", "TPM2_SelfTest() -> TPM_RC_SUCCESS", "TPM2_PCR_Extend(PCR0) auth=TPM_RS_PW -> TPM_RC_SUCCESS"}},
}

// TestOtherProcessors: the firmware of other processors' machines starts the TPM and
// measures into it, and QEMU moves it.
func TestOtherProcessors(t *testing.T) {
	if testing.Short() {
		t.Skip("no firmware boots with -short")
	}
	required := bootsRequired()
	swtpmd, remove, err := BuildSwtpmd(t.Context(), "")
	require.NoError(t, err)
	t.Cleanup(remove)
	for _, c := range otherProcessors {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			program, err := exec.LookPath(c.program)
			if (err != nil || !isFile(c.firmware)) && !required {
				t.Skipf("no %s, or no %s; scripts/test installs them", c.program, c.firmware)
			}
			require.NoError(t, err)
			var tpms [2]*TPM
			var machines [2]*steered
			traces := [2]string{filepath.Join(socketDir(t), "trace"), filepath.Join(socketDir(t), "trace")}
			at := filepath.Join(socketDir(t), "migration")
			for i := range tpms {
				tpms[i], err = Swtpmd(swtpmd, []string{"--trace=" + traces[i]})(t.Context(), socketDir(t))
				require.NoError(t, err)
				t.Cleanup(tpms[i].process.kill)
				args := append([]string{"-accel", "tcg", "-chardev", "socket,id=tpm,path=" + escape(tpms[i].control), "-tpmdev", "emulator,id=tpm0,chardev=tpm"}, c.args...)
				if i == 0 {
					begun := time.Now()
					machines[0] = steer(t, program, false, args...)
					require.Eventually(t, func() bool { text, _ := os.ReadFile(traces[0]); return inOrder(string(text), c.says) }, patience, 10*time.Millisecond, "%v", c.says)
					t.Logf("measured within %v", time.Since(begun).Round(time.Millisecond))
					continue
				}
				machines[1] = steer(t, program, false, append(args, "-incoming", "unix:"+at)...)
			}
			machines[0].do(t, "stop", nil)
			before, err := tpms[0].admin.PCRs(t.Context())
			require.NoError(t, err)
			require.Equal(t, "completed", machines[0].moves(t, at))
			require.Eventually(t, func() bool {
				after, err := tpms[1].admin.PCRs(t.Context())
				return err == nil && assert.ObjectsAreEqual(before, after)
			}, patience, 10*time.Millisecond)
			for i := range machines {
				machines[i].quit(t)
				ended(t, tpms[i])
			}
		})
	}
}

// inOrder reports whether a text has these parts in this order.
func inOrder(text string, parts []string) bool {
	for _, part := range parts {
		_, after, ok := strings.Cut(text, part)
		if !ok {
			return false
		}
		text = after
	}
	return true
}
