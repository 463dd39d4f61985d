package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// extended extends PCR 10 and returns its value.
func extended(t *testing.T, tpm overSocket) []byte {
	t.Helper()
	_, err := tpm2.PCRExtend{PCRHandle: tpm2.AuthHandle{Handle: 10, Auth: tpm2.PasswordAuth(nil)},
		Digests: tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: make([]byte, 32)}}}}.Execute(tpm)
	require.NoError(t, err)
	return pcr10(t, tpm)
}

func pcr10(t *testing.T, tpm overSocket) []byte {
	t.Helper()
	rsp, err := tpm2.PCRRead{PCRSelectionIn: tpm2.TPMLPCRSelection{PCRSelections: []tpm2.TPMSPCRSelection{
		{Hash: tpm2.TPMAlgSHA256, PCRSelect: []byte{0, 4, 0}}}}}.Execute(tpm)
	require.NoError(t, err)
	require.Len(t, rsp.PCRValues.Digests, 1)
	return rsp.PCRValues.Digests[0].Buffer
}

// TestTwoDaemonsOneDirectory: a guest goes from one daemon to another on the same state
// directory, as with swtpm on a file system that two hosts share, and back.
func TestTwoDaemonsOneDirectory(t *testing.T) {
	dir := t.TempDir()
	words := "--migration=incoming,release-lock-outgoing"
	from := daemonWith(t, "--state="+dir, "--migration=release-lock-outgoing", "--flags=startup-clear")
	value := extended(t, overSocket{connect(t, from.ready.Data)})

	code, _, errs := called(t, "socket", "--tpm2", "--tpmstate=dir="+dir, "--ctrl=type=unixio,path="+filepath.Join(t.TempDir(), "c"))
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "is in use by process")

	moved := func(from, to *running) {
		t.Helper()
		ctx := t.Context()
		source, err := swtpm.DialControl(ctx, "unix", from.ready.Control)
		require.NoError(t, err)
		defer source.Close()
		target, err := swtpm.DialControl(ctx, "unix", to.ready.Control)
		require.NoError(t, err)
		defer target.Close()
		require.NoError(t, target.Stop(ctx))
		var blobs []*swtpm.Blob
		for _, kind := range []swtpm.StateType{swtpm.StatePermanent, swtpm.StateVolatile} {
			blob, err := source.GetStateBlob(ctx, kind, swtpm.BlobDecrypted)
			require.NoError(t, err)
			blobs = append(blobs, blob)
		}
		var held *swtpm.ResultError
		require.ErrorAs(t, target.LockStorage(ctx, 0), &held)
		require.Equal(t, swtpm.Fail, held.Result)
		_, err = source.GetStateBlob(ctx, swtpm.StateSave, swtpm.BlobDecrypted)
		require.ErrorAs(t, err, &held)
		require.Equal(t, swtpm.Retry, held.Result)
		require.NoError(t, target.SetStateBlob(ctx, swtpm.StatePermanent, blobs[0]))
		require.NoError(t, target.SetStateBlob(ctx, swtpm.StateVolatile, blobs[1]))
		require.NoError(t, target.Init(ctx, swtpm.InitDeleteVolatile))
		require.ErrorAs(t, source.LockStorage(ctx, 2), &held)
		require.NoError(t, source.Stop(ctx))
	}
	to := daemonWith(t, "--state="+dir, words)
	moved(from, to)
	assert.Equal(t, value, pcr10(t, overSocket{connect(t, to.ready.Data)}))
	value = extended(t, overSocket{connect(t, to.ready.Data)})
	moved(to, from)
	assert.Equal(t, value, pcr10(t, overSocket{connect(t, from.ready.Data)}))
	for _, d := range []*running{from, to} {
		d.stop()
		require.Equal(t, exitOK, d.exitCode(t))
	}
}

// TestAGuestThatComesBack: a guest could not go on with the daemon that shares the
// directory, although its TPM did, and goes on where it was, with the TPM that it had.
func TestAGuestThatComesBack(t *testing.T) {
	dir := t.TempDir()
	from := daemonWith(t, "--state="+dir, "--migration=release-lock-outgoing", "--flags=startup-clear,auto-shutdown")
	to := daemonWith(t, "--state="+dir, "--migration=incoming", "--flags=auto-shutdown")
	tpm := overSocket{connect(t, from.ready.Data)}
	value := extended(t, tpm)
	source, err := swtpm.DialControl(t.Context(), "unix", from.ready.Control)
	require.NoError(t, err)
	defer source.Close()
	target, err := swtpm.DialControl(t.Context(), "unix", to.ready.Control)
	require.NoError(t, err)
	defer target.Close()
	blobs := map[swtpm.StateType]*swtpm.Blob{}
	for _, kind := range []swtpm.StateType{swtpm.StatePermanent, swtpm.StateVolatile} {
		blobs[kind], err = source.GetStateBlob(t.Context(), kind, swtpm.BlobDecrypted)
		require.NoError(t, err)
	}
	var none *swtpm.ResultError
	_, err = source.GetStateBlob(t.Context(), swtpm.StateSave, swtpm.BlobDecrypted)
	require.ErrorAs(t, err, &none)
	require.Equal(t, swtpm.Retry, none.Result)
	for kind, blob := range blobs {
		require.NoError(t, target.SetStateBlob(t.Context(), kind, blob))
	}
	require.NoError(t, target.Init(t.Context(), swtpm.InitDeleteVolatile))
	require.NoError(t, target.Shutdown(t.Context()))
	require.Equal(t, exitOK, to.exitCode(t))

	require.NoError(t, source.LockStorage(t.Context(), 300))
	require.Equal(t, value, pcr10(t, tpm))
	require.NoError(t, changeOwnerAuth(t, tpm, "", "owner"))
	from.stop()
	require.Equal(t, exitOK, from.exitCode(t))
	from = daemonWith(t, "--state="+dir, "--flags=startup-clear")
	require.ErrorIs(t, changeOwnerAuth(t, overSocket{connect(t, from.ready.Data)}, "", "x"), tpm2.TPMRCBadAuth)
	from.stop()
	require.Equal(t, exitOK, from.exitCode(t))
}

// TestADaemonWithoutTheDirectory: a command that needs a directory which another daemon
// keeps ends the one that is on its way in; and what another one has written is not
// overwritten with what was loaded before.
func TestADaemonWithoutTheDirectory(t *testing.T) {
	dir := t.TempDir()
	from := daemonWith(t, "--state="+dir, "--flags=startup-clear")
	to := daemonWith(t, "--state="+dir, "--migration=incoming")
	require.Equal(t, "00000000", asked(t, connect(t, to.ready.Control), cmdInit, 4))
	data := connect(t, to.ready.Data)
	_, err := data.Write([]byte("\x80\x01\x00\x00\x00\x0c\x00\x00\x01\x44\x00\x00"))
	require.NoError(t, err)
	require.Equal(t, exitFailed, to.exitCode(t))
	to.log.until(t, "another server's")

	to = daemonWith(t, "--state="+dir, "--migration=incoming")
	control := connect(t, to.ready.Control)
	require.Equal(t, "00000000", asked(t, control, cmdInit, 4))
	require.NoError(t, changeOwnerAuth(t, overSocket{connect(t, from.ready.Data)}, "", "owner"))
	from.stop()
	require.Equal(t, exitOK, from.exitCode(t))
	assert.Equal(t, "00000009", asked(t, control, "00000013 00000000", 4))
	to.log.until(t, "INIT has to load it again")
	require.Equal(t, "00000000", asked(t, control, cmdInit, 4))
	assert.Equal(t, "00000000", asked(t, control, "00000013 00000000", 4))
	tpm := overSocket{connect(t, to.ready.Data)}
	require.Equal(t, "80010000000a00000000", asked(t, tpm, startupClear10, 10))
	require.ErrorIs(t, changeOwnerAuth(t, tpm, "", "x"), tpm2.TPMRCBadAuth)
	to.stop()
	require.Equal(t, exitOK, to.exitCode(t))
}

// TestVolatileStateOutlivesTheDaemon: the next daemon goes on where STORE_VOLATILE was,
// as systemd has it between the initrd's TPM and the host's.
func TestVolatileStateOutlivesTheDaemon(t *testing.T) {
	dir := t.TempDir()
	args := []string{"--state=" + dir, "--flags=startup-clear,auto-shutdown"}
	d := daemonWith(t, args...)
	value := extended(t, overSocket{connect(t, d.ready.Data)})
	control := connect(t, d.ready.Control)
	require.Equal(t, "00000000", asked(t, control, "0000000A", 4))
	assert.Equal(t, "volatilestate", printedStates(t, "--tpmstate", "dir="+dir)[1].Name)
	require.Equal(t, "00000000", asked(t, control, cmdShutdown, 4))
	require.Equal(t, exitOK, d.exitCode(t))

	d = daemonWith(t, args...)
	assert.Equal(t, value, pcr10(t, overSocket{connect(t, d.ready.Data)}))
	control = connect(t, d.ready.Control)
	require.Equal(t, "00000000", asked(t, control, "00000002 00000001", 4), "INIT that removes it")
	assert.Equal(t, value, pcr10(t, overSocket{connect(t, d.ready.Data)}))
	assert.NoFileExists(t, filepath.Join(dir, daemon.VolatileFile))
	require.Equal(t, "00000000", asked(t, control, cmdInit, 4))
	tpm := overSocket{connect(t, d.ready.Data)}
	assert.Equal(t, "80010000000a00000000", asked(t, tpm, startupClear10, 10), "a new power cycle")
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))

	// What is damaged keeps the TPM from its power, and stays.
	require.NoError(t, os.WriteFile(filepath.Join(dir, daemon.VolatileFile), []byte("damaged"), 0o600))
	code, _, errs := called(t, "socket", "--tpm2", "--tpmstate=dir="+dir, "--flags=startup-clear",
		"--ctrl=type=unixio,path="+filepath.Join(t.TempDir(), "c"))
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "the volatile state")
	assert.FileExists(t, filepath.Join(dir, daemon.VolatileFile))
}

// TestAutoShutdown: resets without a shutdown count as failed tries where an
// authorization was used that counts them; with the daemon's own shutdown they do not.
func TestAutoShutdown(t *testing.T) {
	for _, c := range []struct {
		flags string
		tries uint32
	}{{"startup-clear,auto-shutdown", 0}, {"startup-clear", 2}} {
		dir := t.TempDir()
		d := daemonWith(t, "--state="+dir, "--flags="+c.flags)
		tpm := overSocket{connect(t, d.ready.Data)}
		control := connect(t, d.ready.Control)
		public := tpm2.New2B(tpm2.TPMSNVPublic{NVIndex: tpm2.TPMHandle(0x01800001), NameAlg: tpm2.TPMAlgSHA256,
			Attributes: tpm2.TPMANV{AuthRead: true, AuthWrite: true, NT: tpm2.TPMNTOrdinary}, DataSize: 4})
		_, err := tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, Auth: tpm2.TPM2BAuth{Buffer: []byte("pw")}, PublicInfo: public}.Execute(tpm)
		require.NoError(t, err)
		for range 2 {
			read, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(0x01800001)}.Execute(tpm)
			require.NoError(t, err)
			_, err = tpm2.NVWrite{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(0x01800001), Name: read.NVName, Auth: tpm2.PasswordAuth([]byte("pw"))},
				NVIndex: tpm2.NamedHandle{Handle: tpm2.TPMHandle(0x01800001), Name: read.NVName}, Data: tpm2.TPM2BMaxNVBuffer{Buffer: []byte("data")}}.Execute(tpm)
			require.NoError(t, err)
			require.Equal(t, "00000000", asked(t, control, cmdInit, 4))
			require.Equal(t, "80010000000a00000000", asked(t, tpm, startupClear10, 10))
		}
		assert.Equal(t, c.tries, fixed(t, d, tpm2.TPMPTLockoutCounter), c.flags)
		d.stop()
		require.Equal(t, exitOK, d.exitCode(t))
	}
}

// TestGetInfoOfTheDaemon: a description of the profile, before INIT, with what swtpm's
// clients look for.
func TestGetInfoOfTheDaemon(t *testing.T) {
	d := daemonWith(t, "--profile=pc-client")
	c, err := swtpm.DialControl(t.Context(), "unix", d.ready.Control)
	require.NoError(t, err)
	defer c.Close()
	text, err := c.InfoText(t.Context(), 0xFF)
	require.NoError(t, err)
	assert.True(t, json.Valid(text))
	info, err := c.Info(t.Context(), 0xFF)
	require.NoError(t, err)
	assert.Nil(t, info.ActiveProfile, "before INIT")
	assert.Equal(t, "2.0", info.Specification.Family)
	assert.NotEmpty(t, info.AvailableProfiles)
	require.NoError(t, c.Init(t.Context(), 0))
	info, err = c.Info(t.Context(), swtpm.InfoActiveProfile)
	require.NoError(t, err)
	assert.Equal(t, "pc-client", info.ActiveProfile.Name)
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
}

// TestStateIsFetchedWhileACommandIsHeld: a held command has not reached the TPM, so the
// state is fetched at once and without it; STOP lets it go.
func TestStateIsFetchedWhileACommandIsHeld(t *testing.T) {
	d := daemonWith(t, "--defer-until=userspace", "--while-deferred=hold", "--defer-from=late", "--hold-max=1h", "--flags=startup-clear")
	data := connect(t, d.ready.Data)
	_, err := control.NewClient(d.ready.Admin).Advance(t.Context(), initcall.Late)
	require.NoError(t, err)
	answer := askAtOnce(data, selfTest10, 10)
	waitHeld(t, d)
	d.log.until(t, "longest=1h0m0s")
	source, err := swtpm.DialControl(t.Context(), "unix", d.ready.Control)
	require.NoError(t, err)
	defer source.Close()
	for _, kind := range []swtpm.StateType{swtpm.StatePermanent, swtpm.StateVolatile} {
		blob, err := source.GetStateBlob(t.Context(), kind, swtpm.BlobDecrypted)
		require.NoError(t, err)
		assert.NotEmpty(t, blob.Data)
	}
	d.log.until(t, "the state of the TPM was fetched")
	select {
	case said := <-answer:
		assert.Fail(t, "the command was let go", said)
	default:
	}
	require.NoError(t, source.Stop(t.Context()))
	assert.Equal(t, "80010000000a00000101", transporttest.Receive(t, answer))
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
}
