package lab

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// played is a run in which the test program plays both parts.
type played struct {
	Config
	dir string // the run's folder, once the TPM was started
	tpm *TPM
}

func play(t *testing.T, guest, daemon string) *played {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := &played{Config: Config{
		Machine:  Machine{Tools: Tools{QEMU: self, Busybox: "guest.sh"}, Kernel: guest, Accel: TCG, Device: TIS, Firmware: SeaBIOS},
		Timeout:  time.Minute,
		Progress: io.Discard,
	}}
	p.TPM = func(ctx context.Context, dir string) (*TPM, error) {
		p.dir = filepath.Dir(dir)
		tpm, err := Swtpmd(self, []string{"play=" + daemon})(ctx, dir)
		p.tpm = tpm
		return tpm, err
	}
	return p
}

// assertGone checks that nothing is left of the run.
func (p *played) assertGone(t *testing.T, err error) {
	t.Helper()
	assert.NoDirExists(t, p.dir)
	if p.tpm != nil {
		select {
		case <-p.tpm.process.ended:
		default:
			t.Error("the TPM still runs")
		}
	}
	if pid := p.qemu(err); pid != 0 {
		assert.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "QEMU still runs")
	}
}

// qemu gives the process id that the played QEMU has told, 0 if it came to no
// word.
func (p *played) qemu(err error) int {
	var failed *BootError
	if !errors.As(err, &failed) {
		return 0
	}
	m := regexp.MustCompile(`pid ([0-9]+)`).FindStringSubmatch(failed.QEMU)
	if m == nil {
		return 0
	}
	pid, _ := strconv.Atoi(m[1])
	return pid
}

// cancelWhenStill gives a context that is canceled with errStill once the part
// that is played has come to its end.
func (p *played) cancelWhenStill(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	p.whenStill(t, func() { cancel(errStill) })
	return ctx
}

// whenStill has f called once the part that is played has come to its end.
func (p *played) whenStill(t *testing.T, f func()) {
	t.Helper()
	dir, err := os.MkdirTemp("", "still-") // TempDir's name is too long for a socket
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	p.Machine.Append = stillWord + path
	go func() {
		if conn, err := l.Accept(); err == nil {
			conn.Close()
			f()
		}
	}()
}

var errStill = errors.New("nothing happens any more")

func TestRunBringsHomeWhatGuestAndTPMSay(t *testing.T) {
	t.Parallel()
	p := play(t, "good", "ready")
	p.Keep = filepath.Join(t.TempDir(), "kept")
	p.Policy = []byte("measure func=BPRM_CHECK\n")
	record, err := Run(t.Context(), p.Config)
	require.NoError(t, err)
	p.assertGone(t, err)
	require.Len(t, record.Boots, 1)
	boot := record.Boots[0]
	assert.Equal(t, "6.1.0-test", boot.Release)
	require.Len(t, boot.Reports, 1)
	require.NotNil(t, boot.View)
	assert.NotEmpty(t, boot.View.PCRs["sha256"][10])
	verdict, err := Judge(record)
	require.NoError(t, err)
	assert.Equal(t, Measured, verdict.Last().Word)
	console, err := os.ReadFile(filepath.Join(p.Keep, "console.log"))
	require.NoError(t, err)
	assert.Contains(t, string(console), "the last words")
	assert.FileExists(t, filepath.Join(p.Keep, "boot1-init-ima-ascii"))
}

func TestRunAsksForMoreOnlyWhenTheTPMIsMissing(t *testing.T) {
	t.Parallel()
	for guest, labels := range map[string][]string{
		"good": {AtInit},
		"late": {AtInit, AfterAwait, AfterBind},
	} {
		p := play(t, guest, "ready")
		p.Await, p.Rebind = time.Second, true
		record, err := Run(t.Context(), p.Config)
		require.NoError(t, err)
		var got []string
		for _, report := range record.Boots[0].Reports {
			got = append(got, report.Label)
			if report.Label == AfterAwait {
				assert.Equal(t, 1, report.Status)
			}
		}
		assert.Equal(t, labels, got)
		verdict, err := Judge(record)
		require.NoError(t, err)
		want := map[string]Bound{"good": BoundInTime, "late": BoundByHand}[guest]
		assert.Equal(t, want, verdict.Last().Driver.Bound)
	}
}

func TestRunRestarts(t *testing.T) {
	t.Parallel()
	for _, restart := range []Restart{GuestReboot, SystemReset} {
		p := play(t, "good", "ready")
		p.Restart = restart
		record, err := Run(t.Context(), p.Config)
		require.NoError(t, err, restart)
		assert.Len(t, record.Boots, 2, restart)
	}
}

func TestRunSaysWhereABootWas(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ guest, says string }{
		"QEMU refuses":              {"refuse", "no such thing"},
		"QEMU never connects":       {"lost", "waiting for QEMU to connect: nothing happens"},
		"guest falls silent":        {"silent", "waiting for the guest's report init: nothing happens"},
		"guest talks nonsense":      {"mad", "Kernel panic - not syncing"},
		"guest dies while it tells": {"die", "waiting for the guest's report init: QEMU ended: exit status 3"},
		"guest stays on":            {"stay", "waiting for the guest to power itself off: nothing happens"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := play(t, c.guest, "ready")
			_, err := Run(p.cancelWhenStill(t), p.Config)
			var failed *BootError
			require.ErrorAs(t, err, &failed)
			assert.Contains(t, err.Error(), c.says)
			assert.NotZero(t, p.qemu(err))
			if c.guest != "lost" && c.guest != "refuse" {
				assert.Contains(t, err.Error(), "the last words")
			}
			p.assertGone(t, err)
		})
	}
}

// A process with other TPMs too goes on when a guest has ended, in whichever way.
func TestTheTPMsOfAFleetOutliveAGuest(t *testing.T) {
	t.Parallel()
	for _, guest := range []string{"good", "die"} {
		p := play(t, guest, "ready")
		alone := p.TPM
		p.TPM = func(ctx context.Context, dir string) (*TPM, error) {
			tpm, err := alone(ctx, dir)
			if err == nil {
				t.Cleanup(tpm.process.kill)
				tpm.lasts = true
			}
			return tpm, err
		}
		_, err := Run(t.Context(), p.Config)
		assert.Equal(t, guest == "good", err == nil, "%v", err)
		require.NotNil(t, p.tpm)
		select {
		case <-p.tpm.process.ended:
			t.Error("the TPM has ended with the guest ", guest)
		default:
		}
	}
}

func TestRunEndsWithItsTime(t *testing.T) {
	t.Parallel()
	p := play(t, "lost", "ready")
	p.Timeout = 100 * time.Millisecond
	_, err := Run(t.Context(), p.Config)
	assert.ErrorContains(t, err, "the time of 100ms was over")
	p.assertGone(t, err)
}

func TestTPMThatDoesNotBecomeReady(t *testing.T) {
	t.Parallel()
	for daemon, says := range map[string]string{
		"fail":   "the state directory is locked",
		"mumble": `it said "listening\n"`,
		"silent": "the time of 200ms was over",
	} {
		p := play(t, "good", daemon)
		if daemon == "silent" {
			p.Timeout = 200 * time.Millisecond
		}
		_, err := Run(t.Context(), p.Config)
		var setup *SetupError
		require.ErrorAs(t, err, &setup, daemon)
		assert.ErrorContains(t, err, says)
		p.assertGone(t, err)
	}
}
