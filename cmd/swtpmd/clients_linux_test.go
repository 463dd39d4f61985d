package main

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/swtpmd/swtpmd/cmd/swtpmd/daemon"
	"golang.org/x/sys/unix"
)

// reached dials until somebody listens.
func reached(t *testing.T, network, address string) net.Conn {
	t.Helper()
	var conn net.Conn
	require.Eventually(t, func() (ok bool) {
		var err error
		conn, err = net.Dial(network, address)
		return err == nil
	}, time.Minute, time.Millisecond, "%s", address)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	return conn
}

// twoPorts returns a free port whose next one is free too.
func twoPorts(t *testing.T) int {
	t.Helper()
	text := freePorts(t).Replace("2321")
	port, err := strconv.Atoi(text)
	require.NoError(t, err)
	return port
}

// Programs that start swtpm start swtpmd socket with the words that they have: each
// row is one that was found in such a program, D is the state directory, S a path for a
// socket, P a port and Q the next one, K a key.
func TestHowProgramsStartSwtpm(t *testing.T) {
	for name, row := range map[string]struct {
		words   string
		control string // network and address
		data    string
		started bool // TPM2_Startup has been sent
	}{
		"clevis":                     {"--tpmstate dir=D --tpm2 --ctrl type=unixio,path=S.ctrl --server type=unixio,path=S --flags startup-clear", "unix S.ctrl", "unix S", true},
		"rust-tss-esapi":             {"--tpm2 --tpmstate dir=D --server type=unixio,path=S --ctrl type=unixio,path=S.ctrl --flags startup-clear", "unix S.ctrl", "unix S", true},
		"keylime":                    {"--tpm2 --tpmstate dir=D --flags startup-clear --ctrl type=tcp,port=Q --server type=tcp,port=P --log level=1", "tcp 127.0.0.1:Q", "tcp 127.0.0.1:P", true},
		"keylime, in the background": {"--tpm2 --tpmstate dir=D --flags startup-clear --ctrl type=tcp,port=Q --server type=tcp,port=P --daemon", "tcp 127.0.0.1:Q", "tcp 127.0.0.1:P", true},
		"tpm2-pytss":                 {"--tpm2 --server port=P --ctrl type=tcp,port=Q --flags not-need-init --tpmstate dir=D", "tcp 127.0.0.1:Q", "tcp 127.0.0.1:P", false},
		"tpm2-tools":                 {"--tpm2 --server port=P --ctrl type=tcp,port=Q --flags not-need-init --tpmstate dir=D", "tcp 127.0.0.1:Q", "tcp 127.0.0.1:P", false},
		"tpm2-tss":                   {"--tpm2 -p P --ctrl type=tcp,port=Q --log fd=1,level=5 --flags not-need-init --tpmstate dir=D --locality allow-set-locality", "tcp 127.0.0.1:Q", "tcp 127.0.0.1:P", false},
		"tpm2-openssl":               {"--tpm2 --server type=tcp,port=P --ctrl type=tcp,port=Q --flags not-need-init --seccomp action=none --tpmstate dir=D", "tcp 127.0.0.1:Q", "tcp 127.0.0.1:P", false},
		"fwupd":                      {"--tpm2 --server port=P --ctrl type=tcp,port=Q --flags not-need-init,startup-clear --tpmstate dir=D", "tcp 127.0.0.1:Q", "tcp 127.0.0.1:P", true},
		"systemd's TEST-70":          {"--tpm2 --tpmstate dir=D --ctrl type=unixio,path=S", "unix S", "", false},
		"mkosi, in the background":   {"--tpm2 --tpmstate dir=D --ctrl type=unixio,path=S --daemon --pid file=D/pid", "unix S", "", false},
		"systemd's words":            {"--tpm2 --flags=startup-clear --ctrl=type=unixio,path=S --key=file=K,format=hex,mode=aes-cbc,remove=true --tpmstate=dir=D,mode=0600", "unix S", "", true},
		"libvirt with a file":        {"--ctrl type=unixio,path=S,mode=0600 --tpmstate backend-uri=file://D/state,mode=0600,lock --log file=D/log --terminate --tpm2", "unix S", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := shortDir(t)
			port := twoPorts(t)
			fill := strings.NewReplacer("=S", "="+dir+"/s", " S", " "+dir+"/s", "=D", "="+dir, "//D", "//"+dir, "=P", "="+strconv.Itoa(port), ":P", ":"+strconv.Itoa(port),
				"-p P", "-p "+strconv.Itoa(port), "=Q", "="+strconv.Itoa(port+1), ":Q", ":"+strconv.Itoa(port+1), "=K", "="+keyFile(t, digits128))
			cmd := program(t, append([]string{"socket"}, strings.Fields(fill.Replace(row.words))...)...)
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = &said, &said
			require.NoError(t, cmd.Start())
			inBackground := strings.Contains(row.words, "--daemon")
			if inBackground {
				require.NoError(t, cmd.Wait(), &said)
			}
			network, address, _ := strings.Cut(fill.Replace(row.control), " ")
			control := reached(t, network, address)
			if network, address, ok := strings.Cut(fill.Replace(row.data), " "); ok {
				require.NoError(t, reached(t, network, address).Close(), "a bare connect tells that it is there")
				want := selfTested
				if !row.started {
					want = "80010000000a00000100"
				}
				assert.Equal(t, want, asked(t, reached(t, network, address), selfTest10, 10))
			}
			assert.Equal(t, "00000000", asked(t, control, "00000005 00", 4))
			assert.Equal(t, "00000000", asked(t, control, cmdShutdown, 4))
			if inBackground {
				_, err := control.Read(make([]byte, 1))
				require.Error(t, err)
				return
			}
			require.NoError(t, cmd.Wait(), &said)
		})
	}
}

// Scripts of tpm2-tools, tpm2-tss and tpm2-openssl look for a process by the name of the
// link and its number among those that listen, at both ports, a second after its start.
func TestTheProcessHasTheNameOfItsLink(t *testing.T) {
	t.Parallel()
	for name, words := range map[string]string{
		"swtpm":      "socket --tpm2 --server port=P --ctrl type=tcp,port=Q --flags not-need-init --seccomp action=none --tpmstate dir=.",
		"tpm_server": "-port P",
	} {
		dir, port := shortDir(t), twoPorts(t)
		words := strings.NewReplacer("P", strconv.Itoa(port), "Q", strconv.Itoa(port+1)).Replace(words)
		p := link(t, dir, name, strings.Fields(words)...)
		require.NoError(t, p.Start())
		for _, at := range []int{port, port + 1} {
			require.NoError(t, reached(t, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(at))).Close())
		}
		comm, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", p.Process.Pid))
		require.NoError(t, err)
		assert.Equal(t, name+"\n", string(comm))
		if ss, err := exec.LookPath("ss"); err == nil {
			listening, err := exec.CommandContext(t.Context(), ss, "-lntp4").Output()
			require.NoError(t, err)
			for _, at := range []int{port, port + 1} {
				assert.Regexp(t, fmt.Sprintf(`127\.0\.0\.1:%d .*\("%s",pid=%d,`, at, name, p.Process.Pid), string(listening))
			}
		}
		p.end(t)
	}
}

// A state directory that is named from where the daemon was started is written to from the
// background too: it does not change its working directory.
func TestARelativeStateDirectoryInTheBackground(t *testing.T) {
	t.Parallel()
	dir := shortDir(t)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "state"), 0o700))
	words := "socket --tpm2 --daemon --tpmstate dir=state --ctrl type=unixio,path=s.ctrl --server type=unixio,path=s --flags startup-clear --pid file=pid --log file=log"
	cmd := link(t, dir, "swtpm", strings.Fields(words)...)
	require.NoError(t, cmd.Run(), cmd.stderr.String())
	data := reached(t, "unix", filepath.Join(dir, "s"))
	assert.Equal(t, "80020000001300000000000000000000010000", asked(t, data, defineIndex, 19))
	assert.Equal(t, "00000000", asked(t, reached(t, "unix", filepath.Join(dir, "s.ctrl")), cmdShutdown, 4))
	_, err := data.Read(make([]byte, 1))
	require.Error(t, err)
	content, err := os.ReadFile(filepath.Join(dir, "state", daemon.StateFile))
	require.NoError(t, err)
	assert.Contains(t, string(content), "\x01\x50\x00\x16", "the index")
}

// systemd-vmspawn passes a listener.
func TestAListenerAsDescriptor3(t *testing.T) {
	dir := shortDir(t)
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unix"})
	require.NoError(t, err)
	file, err := listener.File()
	require.NoError(t, err)
	cmd := program(t, "socket", "--tpm2", "--tpmstate", "dir="+dir, "--ctrl", "type=unixio,fd=3")
	cmd.ExtraFiles = []*os.File{file}
	require.NoError(t, cmd.Start())
	file.Close()
	control := reached(t, "unix", filepath.Join(dir, "s"))
	assert.Equal(t, "00000000", asked(t, control, cmdInit, 4))
	assert.Equal(t, "00000000", asked(t, control, cmdShutdown, 4))
	require.NoError(t, cmd.Wait())
}

// A play of swtpm_setup 0.10 (src/swtpm_setup/swtpm.c): it starts the TPM with two socket
// pairs whose other ends it keeps, waits until the pid file has something in it, asks
// and provisions, and has it end within half a second.
func TestThePartOfSwtpmSetup010(t *testing.T) {
	dir := t.TempDir()
	assert.Contains(t, printed(t, "--print-capabilities"), `"version": "0.10.0"`)
	fds, err := socketpairs(2)
	require.NoError(t, err)
	pid, err := os.CreateTemp(dir, ".swtpm_setup.pidfile.")
	require.NoError(t, err)
	defer pid.Close()
	cmd := program(t, "socket", "--flags", "not-need-init,startup-clear", "--tpmstate", "backend-uri=dir://"+dir+",lock",
		"--pid", "file="+pid.Name(), "--tpm2", "--key", "pwdfile="+keyFile(t, "passphrase")+",mode=aes-256-cbc,kdf=pbkdf2",
		"--log", "file="+filepath.Join(dir, "log"), "--server", "type=tcp,fd=3", "--ctrl", "type=unixio,clientfd=4")
	cmd.ExtraFiles = []*os.File{fds[0].theirs, fds[1].theirs}
	require.NoError(t, cmd.Start())
	require.Eventually(t, func() bool {
		info, err := pid.Stat()
		return err == nil && info.Size() > 0
	}, time.Minute, time.Millisecond)
	for _, p := range fds {
		p.theirs.Close()
	}
	text, err := os.ReadFile(pid.Name())
	require.NoError(t, err)
	assert.Equal(t, strconv.Itoa(cmd.Process.Pid), strings.TrimSpace(string(text)))
	data, control := overSocket{fds[0].ours}, fds[1].ours

	// What it reads with one read has come whole.
	info := func(flags string) string {
		t.Helper()
		_, err := control.Write(append([]byte{0, 0, 0, 0x12}, bytesOf(t, flags+"0000000000000000")...))
		require.NoError(t, err)
		answer := make([]byte, 4096)
		n, err := control.Read(answer)
		require.NoError(t, err)
		require.Equal(t, make([]byte, 4), answer[:4])
		return string(bytes.TrimRight(answer[12:n], "\x00"))
	}
	assert.Regexp(t, `^\{"TPMSpecification":\{"family":"2.0","level": ?0,"revision": ?[0-9]+\},"TPMAttributes":\{"manufacturer":"id:[0-9A-F]{8}","version":"id:[0-9A-F]{8}","model":".*"\}\}$`, info("0000000000000003"))

	primary, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(tpm2.ECCEKTemplate)}.Execute(data)
	require.NoError(t, err)
	const handle = tpm2.TPMHandle(0x8101000A)
	_, err = tpm2.EvictControl{Auth: tpm2.TPMRHOwner, ObjectHandle: &tpm2.NamedHandle{Handle: primary.ObjectHandle, Name: primary.Name}, PersistentHandle: tpm2.TPMHandle(handle)}.Execute(data)
	require.NoError(t, err)
	_, err = tpm2.FlushContext{FlushHandle: primary.ObjectHandle}.Execute(data)
	require.NoError(t, err)
	certificate := bytes.Repeat([]byte{0xCE}, 1500)
	public := tpm2.TPMSNVPublic{NVIndex: 0x01C0000A, NameAlg: tpm2.TPMAlgSHA256, DataSize: uint16(len(certificate)), Attributes: tpm2.TPMANV{
		PPWrite: true, WriteDefine: true, PPRead: true, OwnerRead: true, AuthRead: true, NoDA: true, PlatformCreate: true}}
	_, err = tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHPlatform, PublicInfo: tpm2.New2B(public)}.Execute(data)
	require.NoError(t, err)
	for at := 0; at < len(certificate); at += 1024 {
		read, err := tpm2.NVReadPublic{NVIndex: public.NVIndex}.Execute(data)
		require.NoError(t, err)
		_, err = tpm2.NVWrite{AuthHandle: tpm2.TPMRHPlatform, NVIndex: tpm2.NamedHandle{Handle: public.NVIndex, Name: read.NVName},
			Data: tpm2.TPM2BMaxNVBuffer{Buffer: certificate[at:min(at+1024, len(certificate))]}, Offset: uint16(at)}.Execute(data)
		require.NoError(t, err)
	}
	read, err := tpm2.NVReadPublic{NVIndex: public.NVIndex}.Execute(data)
	require.NoError(t, err)
	_, err = tpm2.NVWriteLock{AuthHandle: tpm2.TPMRHPlatform, NVIndex: tpm2.NamedHandle{Handle: public.NVIndex, Name: read.NVName}}.Execute(data)
	require.NoError(t, err)
	withoutSHA1(t, data)
	_, err = tpm2.Shutdown{ShutdownType: tpm2.TPMSUClear}.Execute(data)
	require.NoError(t, err)

	// swtpm_setup takes what follows the first colon, and none is an error for it.
	assert.True(t, strings.HasPrefix(info("0000000000000020"), `{"ActiveProfile":{"Name":"`))
	assert.Equal(t, "00000000", asked(t, control, cmdShutdown, 4))
	require.NoError(t, cmd.Wait())
	assert.NoFileExists(t, pid.Name(), "the pid file goes with the process")

	// The same key opens it.
	d := daemonWith(t, "--state="+dir, "--flags=startup-clear", "--key", "pwdfile="+keyFile(t, "passphrase")+",mode=aes-256-cbc")
	tpm := overSocket{connect(t, d.ready.Data)}
	assert.False(t, hasSHA1(t, tpm))
	_, err = tpm2.ReadPublic{ObjectHandle: handle}.Execute(tpm)
	assert.NoError(t, err)
	d.stop()
	require.Equal(t, exitOK, d.exitCode(t))
}

func bytesOf(t *testing.T, digits string) []byte {
	t.Helper()
	var b []byte
	_, err := fmt.Sscanf(digits, "%x", &b)
	require.NoError(t, err)
	return b
}

// An swtpm_setup that dies says nothing: its descriptors are closed, and the TPM ends.
func TestSwtpmSetupThatDies(t *testing.T) {
	fds, err := socketpairs(2)
	require.NoError(t, err)
	dir := t.TempDir()
	cmd := program(t, "socket", "--flags", "not-need-init,startup-clear", "--tpmstate", "backend-uri=dir://"+dir+",lock",
		"--tpm2", "--server", "type=tcp,fd=3", "--ctrl", "type=unixio,clientfd=4")
	cmd.ExtraFiles = []*os.File{fds[0].theirs, fds[1].theirs}
	require.NoError(t, cmd.Start())
	for _, p := range fds {
		p.theirs.Close()
	}
	assert.Equal(t, selfTested, asked(t, fds[0].ours, selfTest10, 10))
	for _, p := range fds {
		require.NoError(t, p.ours.Close())
	}
	require.NoError(t, cmd.Wait())
}

// libvirt's life of a TPM (src/qemu/qemu_tpm.c), with Debian's swtpm_setup and
// swtpm_ioctl: made once with a passphrase, its banks set at every start, started with
// the passphrase on two pipes, found by the path of its socket, and ended.
func TestLibvirtsWayWithATPM(t *testing.T) {
	ioctl, err := exec.LookPath("swtpm_ioctl")
	if err != nil {
		t.Skip("swtpm_ioctl is not installed (Debian package swtpm-tools); scripts/test installs it")
	}
	config, dir := setupConfig(t), shortDir(t)
	state, log, socket := filepath.Join(dir, "tpm2"), filepath.Join(dir, "log"), filepath.Join(dir, "s")
	require.NoError(t, os.Mkdir(state, 0o700))
	secret := keyFile(t, "the passphrase of a libvirt secret")
	protected := []string{"--pwdfile", secret, "--cipher", "aes-256-cbc"}
	first := append(protected, "--tpm-state", state, "--vmid", "guest:c7a5fdbd-edaf-9455-926a-d65c16db1809", "--logfile", log,
		"--createek", "--create-ek-cert", "--create-platform-cert", "--lock-nvram", "--not-overwrite")
	swtpmSetup(t, config, first...)
	swtpmSetup(t, config, first...)
	swtpmSetup(t, config, append(protected, "--tpm-state", state, "--logfile", log, "--pcr-banks", "sha256", "--reconfigure")...)

	for range 2 {
		cmd := program(t, "socket", "--ctrl", "type=unixio,path="+socket+",mode=0600", "--tpmstate", "dir="+state+",mode=0600",
			"--log", "file="+log, "--terminate", "--tpm2", "--key", "pwdfd=3,mode=aes-256-cbc", "--migration-key", "pwdfd=4,mode=aes-256-cbc")
		for range 2 {
			read, write, err := os.Pipe()
			require.NoError(t, err)
			_, err = write.WriteString("the passphrase of a libvirt secret")
			require.NoError(t, err)
			require.NoError(t, write.Close())
			cmd.ExtraFiles = append(cmd.ExtraFiles, read)
		}
		require.NoError(t, cmd.Start())
		for _, file := range cmd.ExtraFiles {
			file.Close()
		}
		require.Eventually(t, func() bool { _, err := os.Stat(socket); return err == nil }, time.Minute, time.Millisecond)
		info, err := os.Stat(socket)
		require.NoError(t, err)
		assert.Equal(t, os.ModeSocket|0o600, info.Mode())

		// QEMU.
		control := reached(t, "unix", socket)
		guest := dataOf(t, control)
		assert.Equal(t, "00000000", asked(t, control, cmdInit, 4))
		assert.Equal(t, "80010000000a00000000", asked(t, guest, startupClear10, 10))
		assert.False(t, hasSHA1(t, guest))
		_, err = tpm2.ReadPublic{ObjectHandle: tpm2.TPMHandle(0x81010001)}.Execute(guest)
		require.NoError(t, err)
		assert.Equal(t, "0000000000000003", asked(t, control, "0000000f", 8), "both keys")
		require.NoError(t, control.Close())

		said, err := exec.CommandContext(t.Context(), ioctl, "--unix", socket, "-s").CombinedOutput()
		require.NoError(t, err, "%s", said)
		require.NoError(t, cmd.Wait())
		guest.Close()
		_, err = os.Stat(socket)
		require.ErrorIs(t, err, syscall.ENOENT)
	}
	kept, err := os.ReadFile(filepath.Join(state, daemon.StateFile))
	require.NoError(t, err)
	assert.True(t, bytes.HasPrefix(kept, []byte("swtpmdSE")), "encrypted")
}

// dataOf gives the server at a control connection a data channel, as QEMU does.
func dataOf(t *testing.T, control net.Conn) overSocket {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	_, _, err = control.(*net.UnixConn).WriteMsgUnix([]byte{0, 0, 0, 0x10}, unix.UnixRights(pair[1]), nil)
	require.NoError(t, err)
	require.NoError(t, unix.Close(pair[1]))
	assert.Equal(t, "00000000", asked(t, control, "", 4))
	data := os.NewFile(uintptr(pair[0]), "data")
	conn, err := net.FileConn(data)
	require.NoError(t, err)
	require.NoError(t, data.Close())
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	return overSocket{conn}
}
