package main

import (
	"bytes"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/cmd/swtpmd/replay"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/faults/journal"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/raw"
)

// getRandomFew is TPM2_GetRandom of 8 bytes.
const getRandomFew = "80010000000c0000017b0008"

// The rules of flags and files stand after the deferral, in their order, and the journal
// has what they did.
func TestFaultsOfTheCommandLine(t *testing.T) {
	plan := filepath.Join(t.TempDir(), "a.plan")
	require.NoError(t, os.WriteFile(plan, []byte("seed 5\nname=fourth GetRandom#3: rc=TPM_RC_RETRY\n"), 0o600))
	d := daemonWith(t, "--flags=startup-clear", "--defer-until=late", "--plan="+plan, "--fault=name=third GetRandom#3: rc=0x149")
	data := connect(t, d.ready.Data)
	for _, code := range []string{"00000000", "00000000", "00000149", "00000922", "00000000"} {
		if code == "00000000" {
			require.Contains(t, asked(t, data, getRandomFew, 20), "800100000014"+code)
			continue
		}
		require.Equal(t, "80010000000a"+code, asked(t, data, getRandomFew, 10))
	}
	log := d.log.until(t, "msg=faults")
	assert.Contains(t, log, "msg=faults rules=3 seed=5")
	_, journal, _ := called(t, "ctl", "--admin", d.ready.Admin, "journal")
	assert.Equal(t, 2, strings.Count(journal, "answered"), journal)
	_, status, _ := called(t, "ctl", "--admin", d.ready.Admin, "status")
	assert.Regexp(t, `(?s)defer-until=late.*third.*fourth`, status)
}

// What a plan cannot be is refused before anything starts, with its place.
func TestPlansThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	plan := func(text string) string {
		name := filepath.Join(dir, "p.plan")
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
		return name
	}
	timeline := filepath.Join(dir, "short")
	require.NoError(t, os.WriteFile(timeline, []byte("kernel 1ms\nlate 2ms\n\n# the end\n"), 0o600))
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--plan=" + plan("*: pass\n"), "--fault=*: rc=RETRY"}, "p.plan:1:1: it is never asked"},
		{[]string{"--defer-until=late_sync", "--timeline=" + timeline}, "short:2: the timeline ends at late, and the TPM of --defer-until=late_sync would never come"},
		{[]string{"--fault=level=userspace..: rc=RETRY", "--timeline=" + timeline}, "short:2: the timeline ends at late, and the fault"},
		{[]string{"--defer-until=late", "--fault=name=defer-until=late GetRandom: pass"}, "has that name too"},
	} {
		code, out, errs := called(t, append(c.args, "--dir", t.TempDir())...)
		assert.Equal(t, exitUsage, code, c.args)
		assert.Empty(t, out)
		assert.Contains(t, errs, c.says)
	}
	code, _, errs := called(t, "--plan="+plan("\nGetRandom#0: pass\n"))
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "p.plan:2:1: after # stands N")
}

// The admin socket changes rules, switches the power, and saves and restores the TPM.
func TestControlAtRunTime(t *testing.T) {
	d := daemonWith(t, "--flags=startup-clear", "--fault-seed=3", "--fault=name=no PCR_Read: rc=TPM_RC_RETRY")
	ctl := func(args ...string) (int, string) {
		code, out, errs := called(t, append([]string{"ctl", "--admin", d.ready.Admin}, args...)...)
		return code, out + errs
	}
	data := connect(t, d.ready.Data)
	_, text := ctl("add", "name=third GetRandom#3: rc=TPM_RC_FAILURE")
	assert.Regexp(t, `(?m)^no +in force +fitted 0 .*\nthird +in force +fitted 0 +fired 0 +name=third GetRandom#3: rc=TPM_RC_FAILURE$`, text)
	for _, code := range []string{"00000000", "00000000"} {
		require.Contains(t, asked(t, data, getRandomFew, 20), "800100000014"+code)
	}
	require.Equal(t, "80010000000a00000101", asked(t, data, getRandomFew, 10))
	_, text = ctl("rules")
	assert.Regexp(t, `third +in force +fitted 3 +fired 1 `, text)

	code, text := ctl("add", "name=third GetRandom: pass")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, text, "has that name too")
	code, text = ctl("add", "GetRandom: fly")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, text, "column 12")
	code, text = ctl("remove", "fourth")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, text, `there is no fault rule "fourth"`)
	_, text = ctl("disable", "no")
	assert.Regexp(t, `no +disabled`, text)
	_, text = ctl("enable", "no")
	assert.Regexp(t, `no +in force`, text)
	_, text = ctl("remove", "no")
	assert.NotContains(t, text, "PCR_Read")

	const extend = "8002000000410000018200000010" + "00000009400000090000000000" + "00000001000b" +
		"1111111111111111111111111111111111111111111111111111111111111111"
	pcrs := func() string { _, text := ctl("pcrs", "--json"); return text }
	before := pcrs()
	file := filepath.Join(t.TempDir(), "tpm")
	code, text = ctl("snapshot", file)
	require.Equal(t, exitOK, code, text)
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	require.Contains(t, asked(t, data, extend, 19), "80020000001300000000")
	require.NotEqual(t, before, pcrs())
	code, text = ctl("restore", file)
	require.Equal(t, exitOK, code, text)
	assert.Equal(t, before, pcrs())

	_, _ = ctl("advance", "core")
	_, text = ctl("power", "off")
	assert.Contains(t, text, "power     off")
	require.Equal(t, "80010000000a00000101", asked(t, data, getRandomFew, 10))
	code, text = ctl("snapshot", file+"2")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, text, "switch it on first")
	_, text = ctl("power", "on")
	assert.Regexp(t, `cause +INIT on the admin socket`, text)
	require.Equal(t, "80010000000a00000100", asked(t, data, getRandomFew, 10))
	_, text = ctl("power", "reset")
	assert.Regexp(t, `power +on`, text)
	code, _ = ctl("restore", file)
	require.Equal(t, exitOK, code)
	assert.Equal(t, before, pcrs(), "PCRs that were saved are there without TPM2_Startup")
}

// A rule can be for the clients of one channel alone.
func TestFaultsOfOneClient(t *testing.T) {
	d := daemonWith(t, "--flags=startup-clear", "--fault=client=data GetRandom: rc=TPM_RC_RETRY", "--fault=client=passed PCR_Read: rc=TPM_RC_RETRY")
	data := connect(t, d.ready.Data)
	require.Equal(t, "80010000000a00000922", asked(t, data, getRandomFew, 10))
	const pcrRead = "8001000000140000017e00000001000b03000400"
	require.Contains(t, asked(t, data, pcrRead, 62), "80010000003e00000000")
}

// sentOverTheSocket is what the tests of the journal send: TPM2_Startup, random numbers, a
// PCR that is read.
var sentOverTheSocket = []string{"80010000000c000001440000", getRandomFew, getRandomFew, getRandomFew, "8001000000140000017e00000001000b03000400"}

// The same seed and the same commands give the same journal over a socket and in process,
// byte for byte, and swtpmd replay has it again.
func TestTheJournalIsTheSameOverASocket(t *testing.T) {
	file := filepath.Join(t.TempDir(), "run.journal")
	const rule = "name=chance GetRandom p=0.5: rc=TPM_RC_RETRY"
	d := daemonWith(t, "--tpm-seed=4", "--fault-seed=9", "--fault="+rule, "--journal="+file, "--journal-commands")
	require.Equal(t, "00000000", asked(t, connect(t, d.ready.Control), cmdInit, 4))
	data, err := raw.Dial(t.Context(), "unix", d.ready.Data)
	require.NoError(t, err)
	defer data.Close()
	for _, command := range sentOverTheSocket {
		bytes, err := hex.DecodeString(command)
		require.NoError(t, err)
		_, err = data.Send(t.Context(), 0, bytes)
		require.NoError(t, err)
	}
	_, _, errs := called(t, "ctl", "--admin", d.ready.Admin, "advance", "late")
	require.Empty(t, errs)
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
	socket, err := os.ReadFile(file)
	require.NoError(t, err)

	var inProcess bytes.Buffer
	seed := uint64(4)
	ticks := new(journal.Ticks)
	tpm, err := emulator.New(emulator.Platform{Entropy: journal.Entropy(seed), Clock: ticks}, emulator.Config{})
	require.NoError(t, err)
	parsed, err := faults.ParseRule(rule)
	require.NoError(t, err)
	plan := faults.Plan{Clock: new(initcall.Clock), Seed: 9, Time: ticks.Time, Rules: []faults.Rule{parsed}}
	head := journal.HeaderOf(release, &plan)
	head.TPMSeed, head.Commands = &seed, true
	writer := journal.NewWriter(&inProcess, head)
	plan.Journal = writer.Decided
	device, err := faults.Wrap(tpm, plan)
	require.NoError(t, err)
	device = writer.Device(device)
	plan.Clock.Subscribe(writer.Reached)
	plan.Clock.PowerOn("test")
	power, ok := transport.As[transport.Power](device)
	require.True(t, ok)
	require.NoError(t, power.Init())
	for _, command := range sentOverTheSocket {
		bytes, err := hex.DecodeString(command)
		require.NoError(t, err)
		_, err = device.Send(transport.WithClient(t.Context(), transport.ClientData), 0, bytes)
		require.NoError(t, err)
	}
	require.NoError(t, plan.Clock.Advance(initcall.Late, initcall.NoTime, "test"))
	assert.Equal(t, inProcess.String(), string(socket))

	code, out, errs := called(t, "replay", file)
	assert.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, "5 commands, ")
	assert.Contains(t, out, "the same as in "+file+", byte for byte")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(string(socket), "RETRY", "LOCKOUT", 1)), 0o600))
	code, out, _ = called(t, "replay", file)
	assert.Equal(t, replay.ExitDiffers, code)
	assert.Contains(t, out, ": line ")
	code, _, errs = called(t, "replay", file, "--to=/dev/tpm0")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "leave out --to")
}

// What a run that is to be repeated cannot have is refused.
func TestRunsThatCannotBeRepeated(t *testing.T) {
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"--journal-commands"}, "add --journal=FILE"},
		{[]string{"--tpm-seed=1", "--state=" + t.TempDir()}, "leave out one of the two"},
		{[]string{"--tpm-seed=1", "--backend=/dev/tpm0"}, "leave out one of the two"},
		{[]string{"--tpm-seed=one"}, "it is a number of 64 bits"},
	} {
		code, _, errs := called(t, append(c.args, "--dir", t.TempDir())...)
		assert.Equal(t, exitUsage, code, c.args)
		assert.Contains(t, errs, c.says)
	}
}
