package boot_test

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/boot"
	"github.com/swtpmd/swtpmd/transport"
)

// holdingTPM holds each command for as long as hold says, in virtual time, and
// can be cancelled.
type holdingTPM struct {
	trivialTPM
	hold     func(nth int, code uint32) time.Duration
	seen     map[uint32]int
	cancel   chan struct{}
	canceled int
}

func (d *holdingTPM) Send(ctx context.Context, locality uint8, c []byte) ([]byte, error) {
	code := binary.BigEndian.Uint32(c[6:])
	if d.seen == nil {
		d.seen = make(map[uint32]int)
	}
	d.seen[code]++
	wait := transport.WaitOf(ctx)
	if h := d.hold(d.seen[code], code); h > 0 && wait != nil {
		d.cancel = make(chan struct{})
		if wait(d.cancel, h) {
			return respond(0x8001, 0x909, nil), nil
		}
	}
	return d.trivialTPM.Send(ctx, locality, c)
}

func (d *holdingTPM) Cancel() {
	d.canceled++
	if d.cancel != nil {
		close(d.cancel)
		d.cancel = nil
	}
}

func all(d time.Duration) func(int, uint32) time.Duration {
	return func(int, uint32) time.Duration { return d }
}

// only holds the nth and later commands of a code.
func only(code uint32, nth int, d time.Duration) func(int, uint32) time.Duration {
	return func(n int, c uint32) time.Duration {
		if c == code && n >= nth {
			return d
		}
		return 0
	}
}

// What unmodified kernels were seen to make of commands that take their time.
func TestHeldCommandsAsMeasured(t *testing.T) {
	t.Parallel()
	const (
		getCapability, selfTest, extend = 0x17A, 0x143, 0x182
		second                          = time.Second
	)
	fine := func(t *testing.T, r *boot.Result) {
		assert.True(t, r.Summary.TPMRegistered)
		assert.False(t, r.Summary.FieldFailure)
		assert.Equal(t, r.Summary.Kept, r.Summary.Extended)
	}
	failed := func(t *testing.T, r *boot.Result) {
		failed := find(r, boot.ProbeFailed, "tpm0")
		require.Len(t, failed, 1)
		assert.Equal(t, -62, failed[0].Code)
		assert.True(t, r.Summary.Bypass)
	}
	fieldFailure := func(t *testing.T, r *boot.Result) {
		assert.Len(t, logs(r, "TPM in field failure mode"), 1)
		assert.Len(t, logs(r, "No suitable TPM algorithm for boot aggregate"), 1)
		assert.Empty(t, logs(r, "activating TPM-bypass"))
		assert.False(t, r.Summary.Bypass)
		assert.True(t, r.Summary.Aggregates[0].Zero)
		assert.Zero(t, r.Summary.Extended)
	}
	tests := []struct {
		name  string
		hold  func(int, uint32) time.Duration
		check func(*testing.T, *boot.Result)
	}{
		{"first GetCapability 5 s", func(n int, c uint32) time.Duration {
			if c == getCapability && n == 1 {
				return 5 * second
			}
			return 0
		}, fine},
		{"first GetCapability 120 s", func(n int, c uint32) time.Duration {
			if c == getCapability && n == 1 {
				return 121 * second
			}
			return 0
		}, failed},
		{"SelfTest 1 s", only(selfTest, 1, second), fine},
		{"SelfTest 2 s", only(selfTest, 1, 2*second+time.Millisecond), failed},
		{"later GetCapability 0.5 s", only(getCapability, 2, second/2), fine},
		{"later GetCapability 1 s", only(getCapability, 2, second), fieldFailure},
		{"PCR_Extend 1 s", only(extend, 9, second), func(t *testing.T, r *boot.Result) {
			assert.NotEmpty(t, logs(r, "ima: Error Communicating to TPM chip, result: -62"))
			assert.False(t, r.Summary.Bypass)
			assert.Equal(t, 2, r.Summary.Kept)
			assert.Equal(t, 2, r.Summary.Unextended)
		}},
		{"all 0.5 s", all(second / 2), fine},
		{"all 1 s", all(second), fieldFailure},
		{"all 2 s", all(2*second + time.Millisecond), failed},
		{"all 5 s", all(5 * second), failed},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := parse(t, minimal("firmware startup measure=0,1,2,3,4,5,6,7\ndriver tpm kind=tis latency=1ms"))
			d := &holdingTPM{}
			d.hold = func(n int, code uint32) time.Duration {
				if !d.started || code == extend && n <= 8 {
					return 0 // firmware's commands are on time
				}
				return test.hold(n, code)
			}
			// Firmware asks for the banks once; the kernel's questions
			// count from there.
			d.seen = map[uint32]int{getCapability: -1}
			start := time.Now()
			r, err := boot.Run(context.Background(), p, boot.Config{Device: d})
			require.NoError(t, err)
			assert.Less(t, time.Since(start), 10*time.Second, "virtual time is not real time")
			test.check(t, r)
			if t.Failed() {
				t.Log(timeline(r))
			}
		})
	}
}

// What they make of commands that are all answered with a code.
func TestAnsweredCommandsAsMeasured(t *testing.T) {
	t.Parallel()
	tests := []struct {
		while    faults.WhileDeferred
		commands []string
		took     time.Duration
		code     int
	}{
		{faults.Initialize, []string{"GetCapability", "SelfTest", "Startup"}, 16 * time.Millisecond, -19},
		{faults.Fail, []string{"GetCapability", "SelfTest", "SelfTest"}, 23 * time.Millisecond, -19},
		{faults.Retry, []string{"GetCapability", "SelfTest", "SelfTest"}, 7700 * time.Millisecond, -19},
	}
	for _, test := range tests {
		t.Run(test.while.String(), func(t *testing.T) {
			t.Parallel()
			p := parse(t, minimal("firmware startup\ndriver tpm kind=tis latency=5ms"))
			r := machine{platform: p, rules: []faults.Rule{faults.Defer(initcall.Userspace, test.while)}}.boot(t)
			failed := find(r, boot.ProbeFailed, "tpm0")
			require.Len(t, failed, 1)
			assert.Equal(t, test.code, failed[0].Code)
			assert.InDelta(t, test.took.Seconds(), failed[0].Took.Seconds(), 0.1)
			var commands []string
			tries := make(map[string]int)
			for _, e := range find(r, boot.TPMCommand, "") {
				if e.Level != initcall.Device {
					continue
				}
				if tries[e.Name]++; len(commands) == 0 || commands[len(commands)-1] != e.Name || tries[e.Name]%8 == 1 || test.while != faults.Retry {
					commands = append(commands, e.Name)
				}
			}
			assert.Equal(t, test.commands, commands)
			if test.while == faults.Retry {
				assert.Equal(t, map[string]int{"GetCapability": 8, "SelfTest": 16}, tries)
			}
			assert.True(t, r.Summary.Bypass)
		})
	}
	t.Run("testing", func(t *testing.T) {
		t.Parallel()
		p := parse(t, minimal("firmware startup measure=0\ndriver tpm kind=tis latency=5ms"))
		r := machine{platform: p, rules: []faults.Rule{faults.Defer(initcall.Userspace, faults.Testing)}}.boot(t)
		assert.True(t, r.Summary.FieldFailure)
		assert.Len(t, find(r, boot.TPMCommand, "SelfTest"), 1, "a self-test that is running is not asked for again")
		assert.False(t, r.Summary.Bypass)
		assert.Nil(t, r.Summary.Missed)
		assert.Len(t, logs(r, "tpm tpm0: self test is still running"), 3, "after eight tries: the probe's questions, GetRandom")
		assert.Empty(t, logs(r, "A TPM error"), "TESTING is no error to tpm_transmit_cmd")
		assert.Len(t, logs(r, "No suitable TPM algorithm for boot aggregate"), 1)
		assert.True(t, r.Summary.Aggregates[0].Zero)
		assert.Zero(t, r.Summary.Extended)
		assert.Equal(t, r.Summary.Kept, r.Summary.Unextended)
		registered := find(r, boot.TPMRegistered, "tpm0")
		require.Len(t, registered, 1)
		assert.Equal(t, "in field failure mode, without tpmrm0", registered[0].Text)
		for bank, pcrs := range r.PCRs {
			assert.Equal(t, make([]byte, len(pcrs[10])), []byte(pcrs[10]), bank)
		}
	})
}

// SeaBIOS cancels each command that is held for 2 s, and measures nothing after
// the first; the kernel starts the TPM that it has given up.
func TestFirmwareGivesAHeldTPMUp(t *testing.T) {
	t.Parallel()
	const directives = "firmware startup measure=0,1\ndriver tpm kind=tis latency=1ms"
	held := faults.Defer(initcall.Kernel, faults.Hold)
	held.When.From = initcall.Firmware
	r := machine{platform: parse(t, minimal(directives)), rules: []faults.Rule{held}}.boot(t)
	assert.Equal(t, boot.DefaultFirmwareTimeout, r.Summary.KernelAt)
	var commands []string
	for _, e := range find(r, boot.TPMCommand, "") {
		if e.Level == initcall.Firmware {
			commands = append(commands, e.Name)
			assert.Equal(t, -62, e.Code)
		}
	}
	assert.Equal(t, []string{"Startup"}, commands)
	assert.Empty(t, find(r, boot.FirmwareMeasured, ""))
	assert.Len(t, logs(r, "starting up the TPM manually"), 1)
	assert.False(t, r.Summary.Bypass)
	assert.Equal(t, "7b6436b0c98f62380866d9432c2af0ee08ce16a171bda6951aecd95ee1307d61", r.Summary.Aggregates[0].Digest.Sum.String(), "of ten PCRs at reset")

	patient := strings.Replace(directives, "startup", "timeout=1m30s startup", 1)
	held.Do = faults.HoldBack{Max: time.Minute}
	r = machine{platform: parse(t, minimal(patient)), rules: []faults.Rule{held}}.boot(t)
	assert.Len(t, find(r, boot.FirmwareMeasured, ""), 2, "firmware that waits longer")
	assert.Equal(t, 4*time.Minute, r.Summary.KernelAt)
}

// What extends a PCR is asked for by firmware as long as no command fails.
func TestFirmwareStopsAtTheFirstError(t *testing.T) {
	t.Parallel()
	d := &damagedTPM{}
	extends := 0
	d.damage = func(code uint32, response []byte) ([]byte, error) {
		if code == 0x182 {
			if extends++; extends == 2 {
				return respond(0x8001, 0x101, nil), nil
			}
		}
		return response, nil
	}
	p := parse(t, minimal("firmware startup measure=0,1,2,3\ndriver tpm kind=tis latency=1ms"))
	r, err := boot.Run(context.Background(), p, boot.Config{Device: d})
	require.NoError(t, err)
	assert.Len(t, find(r, boot.FirmwareMeasured, ""), 1)
}

// A TPM that retries while its asynchronous probe runs is bound by its eighth
// try.
func TestRetryIsReleasedInTime(t *testing.T) {
	t.Parallel()
	p := parse(t, minimal("firmware startup\ndriver tpm kind=tis-spi latency=1ms"))
	p.Initcalls = append(p.Initcalls, boot.Initcall{Level: initcall.Late, Name: "slow", Took: 1500 * time.Millisecond})
	r := machine{platform: p, rules: []faults.Rule{faults.Defer(initcall.LateSync, faults.Retry)}}.boot(t)
	assert.True(t, r.Summary.Bypass)
	assert.True(t, r.Summary.TPMRegistered)
	assert.Len(t, find(r, boot.TPMCommand, "GetCapability"), 1+8+3, "firmware's, eight tries, three more")
}

// The kernel gives a TPM's driver up by cancelling the command.
func TestTimeoutCancels(t *testing.T) {
	t.Parallel()
	d := &holdingTPM{hold: only(0x143, 1, time.Hour)}
	p := parse(t, minimal("firmware startup\ndriver tpm kind=tis latency=1ms"))
	r, err := boot.Run(context.Background(), p, boot.Config{Device: d})
	require.NoError(t, err)
	assert.Equal(t, 2, d.canceled, "both self-tests")
	assert.Len(t, logs(r, "Operation Timed out"), 2)
}

// damagedTPM answers as the trivial one does, damaged.
type damagedTPM struct {
	trivialTPM
	damage func(code uint32, response []byte) ([]byte, error)
}

func (d *damagedTPM) Send(ctx context.Context, locality uint8, c []byte) ([]byte, error) {
	response, err := d.trivialTPM.Send(ctx, locality, c)
	if err != nil {
		return nil, err
	}
	return d.damage(binary.BigEndian.Uint32(c[6:]), response)
}

func FuzzResponses(f *testing.F) {
	f.Add(uint32(0x17A), []byte{0x80, 1, 0, 0, 0, 10, 0, 0, 0, 0})
	f.Add(uint32(0x17E), []byte{0x80, 1, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 11})
	f.Add(uint32(0x17A), []byte{0x80, 1, 0, 0, 0, 19, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0xff, 0xff, 0xff, 0xff})
	f.Add(uint32(0x182), []byte{})
	p, err := boot.PlatformByName("pc-tis")
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, code uint32, answer []byte) {
		d := &damagedTPM{damage: func(c uint32, response []byte) ([]byte, error) {
			if c == code {
				return answer, nil
			}
			return response, nil
		}}
		r, err := boot.Run(context.Background(), p, boot.Config{Device: d, Strategy: boot.Dual})
		require.NoError(t, err)
		if r.Summary.Extended+r.Summary.Unextended != r.Summary.Kept {
			t.Fatal("a record is neither extended nor not")
		}
	})
}

// An unreachable TPM is -EIO to the driver and no end of the boot.
func TestDeviceErrors(t *testing.T) {
	t.Parallel()
	d := &damagedTPM{damage: func(uint32, []byte) ([]byte, error) { return nil, context.DeadlineExceeded }}
	r, err := boot.Run(context.Background(), platform(t, "pc-tis"), boot.Config{Device: d})
	require.NoError(t, err)
	assert.True(t, r.Summary.Bypass)
	assert.True(t, r.Summary.Userspace)
	assert.Equal(t, ima.PCRs{}, r.PCRs)
}
