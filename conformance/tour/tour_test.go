//go:build linux

package tour_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance/tour"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/reference"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/mssim"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

func needs(t *testing.T, name, debian string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed (Debian package %s); scripts/test installs it", name, debian)
	}
}

// served makes a device that has power a target of the tools.
func served(t *testing.T, device interface {
	transport.Device
	transport.Power
}) tour.Target {
	t.Helper()
	needs(t, "tpm2_getrandom", "tpm2-tools")
	needs(t, "openssl", "openssl")
	dir, err := os.MkdirTemp("", "t") // short: a socket's path has 107 bytes
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
	path := filepath.Join(dir, "tpm.sock")
	data, err := transport.ListenUnix(context.Background(), path, transport.Access{Mode: 0o700})
	require.NoError(t, err)
	control, err := transport.ListenUnix(context.Background(), path+".ctrl", transport.Access{Mode: 0o700})
	require.NoError(t, err)
	s := swtpm.NewServer(device, swtpm.Options{})
	ended := make(chan error, 2)
	go func() { ended <- s.ServeControl(control) }()
	go func() { ended <- s.ServeData(data) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		assert.NoError(t, s.Close(ctx))
		for range 2 {
			assert.NoError(t, transporttest.Receive(t, ended))
		}
	})
	return tour.Target{
		TCTI:  "swtpm:path=" + path,
		Reset: func(context.Context) error { return device.Init() },
	}
}

func startSWTPM(t *testing.T) *reference.SWTPM {
	t.Helper()
	needs(t, "swtpm", "swtpm")
	device, err := reference.StartSWTPM("swtpm", t.TempDir())
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, device.Close()) })
	return device
}

// TestTourOfSWTPM shows that a TPM does what the tour expects, and that
// our server is in nobody's way.
func TestTourOfSWTPM(t *testing.T) {
	t.Parallel()
	walk(t, func(t *testing.T) tour.Target { return served(t, startSWTPM(t)) })
}

// TestTourOfTheEmulator is the same with our TPM, which looks after every command
// that failed whether it changed anything.
func TestTourOfTheEmulator(t *testing.T) {
	t.Parallel()
	walk(t, func(t *testing.T) tour.Target {
		tpm, err := emulator.New(emulator.Platform{}, emulator.Config{CheckErrors: true})
		require.NoError(t, err)
		require.NoError(t, tpm.Init())
		return served(t, tpm)
	})
}

// TestTourByMSSIM is the same by the protocol of the TCG's simulator.
func TestTourByMSSIM(t *testing.T) {
	t.Parallel()
	needs(t, "tpm2_getrandom", "tpm2-tools")
	needs(t, "openssl", "openssl")
	walk(t, func(t *testing.T) tour.Target {
		tpm, err := emulator.New(emulator.Platform{}, emulator.Config{})
		require.NoError(t, err)
		server := mssim.NewServer(tpm, mssim.Options{})
		ports, err := mssim.ListenTCP(t.Context(), 0, "127.0.0.1")
		require.NoError(t, err)
		ended := make(chan error, 2)
		go func() { ended <- server.ServeCommand(ports.Command[0]) }()
		go func() { ended <- server.ServePlatform(ports.Platform[0]) }()
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			assert.NoError(t, server.Close(ctx))
			for range 2 {
				assert.NoError(t, transporttest.Receive(t, ended))
			}
		})
		return tour.Target{
			TCTI:  fmt.Sprintf("mssim:host=127.0.0.1,port=%d", ports.Port()),
			Reset: func(context.Context) error { return tpm.Init() },
		}
	})
}

// walk goes through all chapters, each on a TPM of its own.
func walk(t *testing.T, fresh func(*testing.T) tour.Target) {
	t.Helper()
	chapters, err := tour.Chapters()
	require.NoError(t, err)
	for _, chapter := range chapters {
		t.Run(chapter.Name, func(t *testing.T) {
			t.Parallel()
			steps := 0
			err := chapter.Run(context.Background(), fresh(t), t.TempDir(), func(r tour.Result) {
				steps++
				assert.Equal(t, tour.OK, r.Outcome, "%v: %s\n%s", r.Tools, r.Proves, r.Reason)
			})
			require.NoError(t, err)
			assert.Len(t, chapter.Steps, steps)
		})
	}
}

// twisted answers to one command what is wrong.
type twisted struct {
	*reference.SWTPM
	code  uint32
	twist func(response []byte)
}

func (d *twisted) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	response, err := d.SWTPM.Send(ctx, locality, command)
	if err == nil && len(command) >= 10 && binary.BigEndian.Uint32(command[6:]) == d.code && binary.BigEndian.Uint32(response[6:]) == 0 {
		d.twist(response)
	}
	return response, err
}

// lastByte changes the last byte of the response parameters.
func lastByte(response []byte) {
	end := len(response)
	if binary.BigEndian.Uint16(response) == 0x8002 {
		end = 14 + int(binary.BigEndian.Uint32(response[10:]))
	}
	response[end-1] ^= 1
}

// refusal makes a response one with a code that is nowhere in Part 2.
func refusal(response []byte) { binary.BigEndian.PutUint32(response[6:], 0x97E) }

// TestTourNoticesWrongAnswers plants one fault at a time in a TPM. It must show
// in the step that is about the tool, and in no other.
func TestTourNoticesWrongAnswers(t *testing.T) {
	t.Parallel()
	const steps = `
step tpm2_getrandom: random
tpm2_getrandom -o one 8
size one 8
step tpm2_hash: digests
write data data
openssl dgst -sha256 -binary -out want data
tpm2_hash -g sha256 -C n -o got data
same got want
step tpm2_pcrread: values
tpm2_pcrread sha256:16 -o got
zeros got 32
step tpm2_nvread: NV
tpm2_nvdefine -Q -C o -s 4 -a "ownerread|ownerwrite" 0x1500016
tpm2_nvwrite -C o -i data 0x1500016
tpm2_nvread -C o -o got 0x1500016
same got data
step tpm2_unseal: sealed bytes
tpm2_createprimary -Q -C o -G ecc -c srk.ctx
tpm2_create -Q -C srk.ctx -i data -u u -r r
tpm2_load -Q -C srk.ctx -u u -r r -c seal.ctx
tpm2_unseal -c seal.ctx -o got
same got data
step tpm2_pcrreset: refused
fails 0x907 tpm2_pcrreset 8
`
	chapter, err := tour.Parse("faults.txt", steps)
	require.NoError(t, err)
	for _, c := range []struct {
		name    string
		code    uint32
		twist   func([]byte)
		notices string
		reason  string
	}{
		{"none", 0, nil, "", ""},
		{"GetRandom refused", 0x17B, refusal, "tpm2_getrandom", "0x97E"},
		{"PCR_Read", 0x17E, lastByte, "tpm2_pcrread", "zeros got 32: it is"},
		// The tools use HMAC sessions, which notice first: TSS2_ESYS_RC_RSP_AUTH_FAILED.
		{"NV_Read", 0x14E, lastByte, "tpm2_nvread", "0x7001B"},
		{"Unseal", 0x15E, lastByte, "tpm2_unseal", "0x7001B"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			device := &twisted{SWTPM: startSWTPM(t), code: c.code, twist: c.twist}
			err := chapter.Run(context.Background(), served(t, device), t.TempDir(), func(r tour.Result) {
				if r.Tools[0] != c.notices {
					assert.Equal(t, tour.OK, r.Outcome, "%s: %s", r.Tools[0], r.Reason)
					return
				}
				assert.Equal(t, tour.Failed, r.Outcome)
				assert.Contains(t, r.Reason, c.reason)
			})
			require.NoError(t, err)
		})
	}
}

// TestTourLeavesOutWhatNeedsAReset gives a target that cannot be reset.
func TestTourLeavesOutWhatNeedsAReset(t *testing.T) {
	t.Parallel()
	chapter, err := tour.Parse("t.txt", "step tpm2_getrandom: random\nreset\ntpm2_startup -c\ntpm2_getrandom -o one 8\nsize one 8\n"+
		"step tpm2_getrandom: random\ntpm2_getrandom -o one 8\nsize one 8\n")
	require.NoError(t, err)
	target := served(t, startSWTPM(t))
	target.Reset = nil
	var outcomes []tour.Outcome
	require.NoError(t, chapter.Run(context.Background(), target, t.TempDir(), func(r tour.Result) { outcomes = append(outcomes, r.Outcome) }))
	assert.Equal(t, []tour.Outcome{tour.LeftOut, tour.OK}, outcomes)
}

// TestTourBeginsWithATPM expects an error that names the problem when there is no
// TPM.
func TestTourBeginsWithATPM(t *testing.T) {
	t.Parallel()
	needs(t, "tpm2_startup", "tpm2-tools")
	chapter, err := tour.Parse("t.txt", "step tpm2_getrandom: random\ntpm2_getrandom -o one 8\nsize one 8")
	require.NoError(t, err)
	err = chapter.Run(context.Background(), tour.Target{TCTI: "swtpm:path=/nonexistent"}, t.TempDir(), func(r tour.Result) {
		assert.Fail(t, "a step ran", r.Proves)
	})
	assert.ErrorContains(t, err, "before chapter t")
}
