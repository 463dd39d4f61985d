package main

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/provision"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport/ask"
	"github.com/swtpmd/swtpmd/transport/raw"
)

// imported is the part of the output of swtpmd import --json that tests use.
type imported struct {
	Written                 bool
	Objects, Indices, Banks []string
	Lost                    []struct{ What, Reason, Handle string }
}

// importedFrom runs swtpmd import, which must succeed.
func importedFrom(t *testing.T, args ...string) (r imported) {
	t.Helper()
	code, out, errs := called(t, append([]string{"import", "--json"}, args...)...)
	require.Equal(t, exitOK, code, errs)
	require.NoError(t, json.Unmarshal([]byte(out), &r), out)
	return r
}

// debian is a file of Debian 12's swtpm.
const debian = "../../emulator/state/libtpms/testdata/libtpms-0.9.2"

// swtpmDirectory is a directory as swtpm leaves it.
func swtpmDirectory(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	blob, err := os.ReadFile(debian + ".permall")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tpm2-00.permall"), blob, 0o640))
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".lock"), nil, 0o640))
	return dir
}

// started is an emulated TPM on a state directory, after TPM2_Startup(CLEAR).
func started(t *testing.T, dir string) *emulator.TPM {
	t.Helper()
	directory, err := state.OpenDirectory(dir, state.DirectoryOptions{})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, directory.Close()) })
	tpm, err := emulator.New(emulator.Platform{Store: directory}, emulator.Config{CheckErrors: true})
	require.NoError(t, err)
	require.NoError(t, tpm.Init())
	require.NoError(t, ask.TPM{Device: tpm}.Startup(t.Context(), wire.SUClear))
	return tpm
}

// A start where only swtpm's TPM is would make another one: it is refused with the
// command that takes it over, which then works.
func TestStartWhereASwtpmWas(t *testing.T) {
	dir := swtpmDirectory(t)
	for _, args := range [][]string{
		{"--state=" + dir},
		{"socket", "--tpm2", "--tpmstate=dir=" + dir, "--server=type=unixio,path=" + filepath.Join(dir, "s")},
		{"setup", "--state=" + dir, "--ek=none"},
	} {
		code, _, errs := called(t, args...)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, errs, "swtpmd import --from="+dir+" --state="+dir)
		assert.NoFileExists(t, filepath.Join(dir, daemon.StateFile))
	}
	r := importedFrom(t, "--from="+dir, "--state="+dir)
	assert.True(t, r.Written)
	d := daemonWith(t, "--state="+dir, "--flags=startup-clear")
	_, err := tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(0x81010001)}.Execute(overSocket{connect(t, d.ready.Data)})
	require.NoError(t, err)
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
}

// The TPM of the file goes on: authorization, indices of each type, keys.
func TestImport(t *testing.T) {
	from, dir := swtpmDirectory(t), filepath.Join(t.TempDir(), "tpm")
	r := importedFrom(t, "--from="+from, "--state="+dir, "--dry-run")
	assert.False(t, r.Written)
	assert.NoDirExists(t, dir)
	r = importedFrom(t, "--from="+filepath.Join(from, "tpm2-00.permall"), "--state="+dir)
	assert.Len(t, r.Objects, 4)
	assert.Len(t, r.Indices, 10)
	for _, l := range r.Lost {
		assert.Empty(t, l.Handle, l.What)
	}
	tpm := started(t, dir)
	client := overEmulator{tpm}
	owner := tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth([]byte("own"))}
	read := func(index tpm2.TPMHandle, size uint16) []byte {
		public, err := tpm2.NVReadPublic{NVIndex: index}.Execute(client)
		require.NoError(t, err)
		data, err := tpm2.NVRead{AuthHandle: owner, NVIndex: tpm2.NamedHandle{Handle: index, Name: public.NVName}, Size: size}.Execute(client)
		require.NoError(t, err, "%#x", index)
		return data.Data.Buffer
	}
	assert.Equal(t, "sixteen bytes !!", string(read(0x01800001, 16)))
	assert.Equal(t, []byte{0, 0, 0, 0, 0, 0, 0, 2}, read(0x01800002, 8))
	public, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(0x01800002)}.Execute(client)
	require.NoError(t, err)
	_, err = tpm2.NVIncrement{AuthHandle: owner, NVIndex: tpm2.NamedHandle{Handle: 0x01800002, Name: public.NVName}}.Execute(client)
	require.NoError(t, err)
	assert.Equal(t, []byte{0, 0, 0, 0, 0, 0, 0, 3}, read(0x01800002, 8))
	// The endorsement key is made anew from the seed and the profile's template.
	for _, name := range []string{"rsa2048", "ecc-p384"} {
		key, err := provision.KeyNamed(provision.Endorsement, name)
		require.NoError(t, err)
		persistent, err := ask.TPM{Device: tpm}.ReadPublic(t.Context(), key.Handle)
		require.NoError(t, err)
		made, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHEndorsement, Auth: tpm2.PasswordAuth([]byte("endo"))},
			InPublic: tpm2.BytesAs2B[tpm2.TPMTPublic](key.Public())}.Execute(client)
		require.NoError(t, err)
		assert.Equal(t, persistent, made.OutPublic.Bytes(), name)
	}
}

// overEmulator lets go-tpm use an emulated TPM.
type overEmulator struct{ tpm *emulator.TPM }

func (o overEmulator) Send(command []byte) ([]byte, error) {
	return o.tpm.Send(context.Background(), 0, command)
}

var _ transport.TPM = overEmulator{}

// What a profile has no algorithm for is named, and nothing is written without a word
// that it may be left out.
func TestImportIntoATPMThatLacksSomething(t *testing.T) {
	from, dir := swtpmDirectory(t), filepath.Join(t.TempDir(), "tpm")
	args := []string{"import", "--from=" + from, "--state=" + dir, "--profile=hardware-like"}
	code, _, errs := called(t, args...)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "not carried: persistent object 0x81010016: ")
	assert.Contains(t, errs, "--partial")
	assert.NoDirExists(t, dir)
	r := importedFrom(t, append(args[1:], "--partial")...)
	assert.True(t, r.Written)
	assert.Equal(t, []string{"0x81000001", "0x81000002", "0x81010001"}, r.Objects)

	before := stored(t, dir)
	code, _, errs = called(t, "import", "--from="+from, "--state="+dir)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "--overwrite")
	assert.Equal(t, before, stored(t, dir))
	assert.Len(t, importedFrom(t, "--from="+from, "--state="+dir, "--overwrite").Objects, 4)
}

func TestImportEncrypted(t *testing.T) {
	dir, secret := filepath.Join(t.TempDir(), "tpm"), filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("secretpass"), 0o600))
	from := "--from=" + debian + "-passphrase.permall"
	code, _, errs := called(t, "import", from, "--state="+dir)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "--key")
	assert.NoDirExists(t, dir)
	assert.True(t, importedFrom(t, from, "--state="+dir, "--key=pwdfile="+secret).Written)
}

// What setup and import write can be encrypted too, and is read with the key alone.
func TestStateThatIsMadeEncrypted(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("secretpass"), 0o600))
	for _, args := range [][]string{
		{"setup", "--ek=ecc-p256", "--key=pwdfile=" + secret},
		{"import", "--from=" + debian + ".permall", "--state-key=pwdfile=" + secret},
	} {
		dir := filepath.Join(t.TempDir(), "tpm")
		code, _, errs := called(t, append(args, "--state="+dir)...)
		require.Equal(t, exitOK, code, errs)
		code, _, _ = called(t, "setup", "--state="+dir, "--not-overwrite")
		assert.Equal(t, exitFailed, code, "without the key")
		code, out, errs := called(t, "setup", "--state="+dir, "--not-overwrite", "--key=pwdfile="+secret)
		require.Equal(t, exitOK, code, errs)
		assert.Contains(t, out, "stays as it is")
	}
}

// A TPM of libtpms 0.11 that was suspended, and one of the file backend.
func TestImportOfOtherFiles(t *testing.T) {
	files := filepath.Dir(debian)
	dir := filepath.Join(t.TempDir(), "tpm")
	r := importedFrom(t, "--from="+filepath.Join(files, "libtpms-0.11-default-v2.permall"), "--state="+dir)
	assert.Equal(t, []string{"0x81000001", "0x81010001"}, r.Objects)
	var lost []string
	for _, l := range r.Lost {
		lost = append(lost, l.What)
	}
	assert.Contains(t, lost, "what TPM2_Shutdown(STATE) has saved")
	tpm := ask.TPM{Device: started(t, dir)}
	// The seeds make the keys again, from the templates they were made from.
	for _, k := range []struct {
		handle, hierarchy wire.Handle
		template          string
	}{
		{0x81000001, wire.RHOwner, "0023000b000304720000000600800043001000030010" + "00000000"},
		{0x81010001, wire.RHEndorsement, "0001000b00030472000000060080004300100800" + "00000000" + "0000"},
	} {
		area, err := tpm.ReadPublic(t.Context(), k.handle)
		require.NoError(t, err)
		template, err := hex.DecodeString(k.template)
		require.NoError(t, err)
		handle, again, err := tpm.CreatePrimary(t.Context(), k.hierarchy, template)
		require.NoError(t, err)
		require.NoError(t, tpm.Flush(t.Context(), handle))
		assert.Equal(t, area, again, "0x%08x", uint32(k.handle))
	}
	assert.True(t, importedFrom(t, "--from="+filepath.Join(files, "swtpm-0.7.1-linear"), "--state="+dir+"2").Written)
}

func TestImportThatCannotBe(t *testing.T) {
	dir := t.TempDir()
	for _, args := range [][]string{{}, {"--from=x"}, {"--from=x", "--state=y", "--key=nothing"}} {
		code, _, _ := called(t, append([]string{"import"}, args...)...)
		assert.Equal(t, exitUsage, code)
	}
	damaged := filepath.Join(dir, "tpm2-00.permall")
	blob, err := os.ReadFile(debian + ".permall")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(damaged, blob[:len(blob)-1], 0o600))
	code, _, errs := called(t, "import", "--from="+dir, "--state="+filepath.Join(dir, "tpm"))
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, damaged)
	assert.NoDirExists(t, filepath.Join(dir, "tpm"))
}

// A TPM of Debian's swtpm that was provisioned, and has a storage key and a secret
// below it, goes on here: the same keys, the same indices, the same secret.
func TestImportOfARunningSwtpm(t *testing.T) {
	if _, err := exec.LookPath("swtpm"); err != nil {
		t.Skip("swtpm is not installed; scripts/test installs it")
	}
	from, dir := t.TempDir(), filepath.Join(t.TempDir(), "tpm")
	sockets, err := os.MkdirTemp("", "s") // a short name
	require.NoError(t, err)
	defer os.RemoveAll(sockets)
	data := filepath.Join(sockets, "s")
	cmd := exec.CommandContext(t.Context(), "swtpm", "socket", "--tpm2", "--tpmstate", "dir="+from, "--flags", "not-need-init,startup-clear",
		"--server", "type=unixio,path="+data, "--ctrl", "type=unixio,path="+data+".ctrl")
	var said bytes.Buffer
	cmd.Stderr = &said
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer cmd.Process.Kill()
	var device *raw.Client
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		device, err = raw.Dial(t.Context(), "unix", data)
		require.NoError(c, err)
	}, 30*time.Second, 10*time.Millisecond, &said)

	o := provision.Options{Keys: nil, PlatformCertificate: true, Lock: true, Entropy: bytes.NewReader(bytes.Repeat([]byte{1}, 1<<10)), Now: time.Now()}
	caKey, err := provision.NewAuthorityKey(o.Entropy)
	require.NoError(t, err)
	o.Authority, err = provision.NewAuthority("test CA", caKey, o.Entropy, o.Now)
	require.NoError(t, err)
	made, err := provision.New(t.Context(), device, o)
	require.NoError(t, err)
	theirs := overDevice{t.Context(), device}
	parent, private, public := sealSecret(t, theirs)
	require.NoError(t, ask.TPM{Device: device}.Shutdown(t.Context(), wire.SUClear))

	// While it runs, Debian's version has no lock: only the state at its end counts.
	require.NoError(t, device.Close())
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	select {
	case <-ended:
	case <-time.After(20 * time.Second):
		t.Fatal("swtpm does not end")
	}
	r := importedFrom(t, "--from="+from, "--state="+dir)
	assert.Len(t, r.Objects, 3)
	assert.Len(t, r.Indices, 3)

	tpm := started(t, dir)
	asked := ask.TPM{Device: tpm}
	for _, k := range made.Keys {
		area, err := asked.ReadPublic(t.Context(), k.Handle)
		require.NoError(t, err)
		assert.Equal(t, k.Area, area)
		handle, again, err := asked.CreatePrimary(t.Context(), wire.RHEndorsement, k.Public())
		require.NoError(t, err)
		require.NoError(t, asked.Flush(t.Context(), handle))
		assert.Equal(t, k.Area, again, "the seeds are the same, and so is what is made of them")
		der, err := asked.NVRead(t.Context(), k.Key.Certificate, 1024)
		require.NoError(t, err)
		assert.Equal(t, k.Certificate.DER, der)
		require.ErrorIs(t, asked.NVWrite(t.Context(), k.Key.Certificate, []byte{0}, 1), wire.RCNVLocked)
	}
	ours := overEmulator{tpm}
	loaded, err := tpm2.Load{ParentHandle: parent, InPrivate: private, InPublic: public}.Execute(ours)
	require.NoError(t, err)
	secret, err := tpm2.Unseal{ItemHandle: tpm2.AuthHandle{Handle: loaded.ObjectHandle, Name: loaded.Name, Auth: tpm2.PasswordAuth(nil)}}.Execute(ours)
	require.NoError(t, err)
	assert.Equal(t, "a secret", string(secret.OutData.Buffer))
}

// overDevice lets go-tpm use a Device.
type overDevice struct {
	ctx    context.Context
	device *raw.Client
}

func (o overDevice) Send(command []byte) ([]byte, error) { return o.device.Send(o.ctx, 0, command) }

// sealSecret makes a persistent storage key and a secret below it.
func sealSecret(t *testing.T, tpm transport.TPM) (parent tpm2.AuthHandle, private tpm2.TPM2BPrivate, public tpm2.TPM2BPublic) {
	t.Helper()
	owner := tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)}
	srk, err := tpm2.CreatePrimary{PrimaryHandle: owner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(tpm)
	require.NoError(t, err)
	const persistent tpm2.TPMHandle = 0x81000001
	_, err = tpm2.EvictControl{Auth: owner, ObjectHandle: tpm2.NamedHandle{Handle: srk.ObjectHandle, Name: srk.Name}, PersistentHandle: persistent}.Execute(tpm)
	require.NoError(t, err)
	parent = tpm2.AuthHandle{Handle: persistent, Name: srk.Name, Auth: tpm2.PasswordAuth(nil)}
	sealed, err := tpm2.Create{ParentHandle: parent,
		InSensitive: tpm2.TPM2BSensitiveCreate{Sensitive: &tpm2.TPMSSensitiveCreate{
			Data: tpm2.NewTPMUSensitiveCreate(&tpm2.TPM2BSensitiveData{Buffer: []byte("a secret")})}},
		InPublic: tpm2.New2B(tpm2.TPMTPublic{Type: tpm2.TPMAlgKeyedHash, NameAlg: tpm2.TPMAlgSHA256,
			ObjectAttributes: tpm2.TPMAObject{FixedTPM: true, FixedParent: true, UserWithAuth: true, NoDA: true}}),
	}.Execute(tpm)
	require.NoError(t, err)
	return parent, sealed.OutPrivate, sealed.OutPublic
}
