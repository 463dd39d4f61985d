package lab

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
)

// TestAMoveWhileACommandIsHeld: QEMU waits for a command that the TPM holds before it
// fetches the state, so the move takes as long as the hold may last, and the guest goes
// on elsewhere with the answer. The guest is SeaBIOS.
func TestAMoveWhileACommandIsHeld(t *testing.T) {
	if testing.Short() {
		t.Skip("no firmware boots with -short")
	}
	b, err := equip(t, bootsRequired())
	if err != nil {
		t.Skip("no boots: ", err)
	}
	const longest = 3 * time.Second
	at := filepath.Join(socketDir(t), "migration")
	var tpms [2]*TPM
	var machines [2]*steered
	var traces [2]string
	for i, flags := range [][]string{{"--defer-from=firmware", "--defer-until=userspace", "--while-deferred=hold", "--hold-max=" + longest.String()}, nil} {
		dir := socketDir(t)
		traces[i] = filepath.Join(dir, "trace")
		tpms[i], err = Swtpmd(b.swtpmd, append(flags, "--trace="+traces[i]))(t.Context(), dir)
		require.NoError(t, err)
		t.Cleanup(tpms[i].process.kill)
		// SeaBIOS gives a command up after 2 s of its instructions, which are none while
		// QEMU waits.
		args := []string{"-machine", "q35", "-accel", "tcg", "-icount", "shift=0", "-m", "64",
			"-chardev", "socket,id=tpm,path=" + escape(tpms[i].control), "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", "tpm-tis,tpmdev=tpm0"}
		if i > 0 {
			args = append(args, "-incoming", "unix:"+at)
		}
		machines[i] = steer(t, b.machine.Tools.QEMU, false, args...)
	}
	awaitDecision(t, tpms[0], faults.Held)
	begun := time.Now()
	require.Equal(t, "completed", machines[0].moves(t, at))
	took := time.Since(begun)
	d := awaitDecision(t, tpms[0], faults.Expired)
	assert.GreaterOrEqual(t, d.HeldFor, longest)
	t.Logf("moved in %v, the command was held for %v", took.Round(time.Millisecond), d.HeldFor.Round(time.Millisecond))
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(traces[1])
		return inOrder(string(text), []string{"TPM2_SelfTest() -> TPM_RC_SUCCESS", "TPM2_PCR_Extend(PCR0) auth=TPM_RS_PW -> TPM_RC_SUCCESS"})
	}, patience, 10*time.Millisecond)
	for i := range machines {
		machines[i].quit(t)
		ended(t, tpms[i])
	}
	// The answer to TPM2_Startup is there, and it was given here.
	assert.Regexp(t, `TPM2_Startup\(\) -> TPM_RC_SUCCESS`, strings.Join(traced(t, traces[0]), "\n"))
	assert.NotContains(t, strings.Join(traced(t, traces[1]), "\n"), "TPM2_Startup")
}
