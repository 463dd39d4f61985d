package lab

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

// TestLife boots a guest once for each interface of the TPM, and then has QEMU do with
// it what else it does in its life: save and load it while the TPM holds a command, let
// it sleep, and move it from one QEMU to the next, each with a swtpmd of its own.
func TestLife(t *testing.T) {
	if testing.Short() {
		t.Skip("no boots with -short")
	}
	required := bootsRequired()
	b, err := equip(t, required)
	if err != nil && !required {
		t.Skip("no boots: ", err)
	}
	require.NoError(t, err)
	if b.qemuImg, err = program(t.Context(), &Apt{Cache: b.cache, Progress: t.Output()}, "qemu-img", "qemu-utils", required); err != nil && !required {
		t.Skip("no snapshots: ", err)
	}
	require.NoError(t, err)
	initrd := b.initrd(t, "life.sh", map[string]string{}, nil)
	keys := t.TempDir()
	for _, name := range []string{"file", "migration", "other"} {
		require.NoError(t, os.WriteFile(filepath.Join(keys, name), []byte("the passphrase of "+name), 0o600))
	}
	t.Run("tpm-tis", func(t *testing.T) {
		t.Parallel()
		s, has := b.life(t, TIS, initrd)
		t.Log("snapshots while a command is held")
		snapshotsWhileHeld(t, s.guest, s.tpm, has)
		t.Log("a snapshot")
		snapshots(t, s.guest, has)
		t.Log("sleep")
		sleeps(t, s, has)
		s.moves(t, has, moves(keys))
	})
	t.Run("tpm-crb", func(t *testing.T) {
		t.Parallel()
		s, has := b.life(t, CRB, initrd)
		t.Log("a snapshot")
		snapshots(t, s.guest, has)
		t.Log("sleep")
		sleeps(t, s, has)
		s.moves(t, has, moves(keys)[:1])
	})
}

// longestHold is how long the TPM of a guest holds a command at most.
const longestHold = 4 * time.Second

// life starts a guest, with a TPM that is not deferred until it is told of a level, and
// puts something into the TPM.
func (b *bench) life(t *testing.T, device Device, initrd string) (*stay, *held) {
	t.Helper()
	dir := socketDir(t)
	s := &stay{b: b, device: device, initrd: initrd, state: filepath.Join(dir, "state"), trace: filepath.Join(dir, "trace")}
	s.tpm = s.daemon(t, &move{plain: true, words: []string{"--trace=" + s.trace, "--flags=auto-shutdown",
		"--defer-from=core", "--defer-until=userspace", "--while-deferred=hold", "--hold-max=" + longestHold.String()}}, s.state)
	disk := filepath.Join(dir, "disk.qcow2")
	said, err := exec.CommandContext(t.Context(), b.qemuImg, "create", "-q", "-f", "qcow2", disk, "64M").CombinedOutput()
	require.NoError(t, err, "%s", said)

	begun := time.Now()
	s.guest = b.guest(t, device, initrd, s.tpm, "-drive", "if=none,id=disk,file="+escape(disk)+",format=qcow2")
	_, status := s.guest.until(t)
	require.Zero(t, status)
	t.Logf("booted in %v", time.Since(begun).Round(time.Millisecond))
	has := fill(t, s.guest)
	has.holds(t, s.guest)
	return s, has
}

// moves makes moves one after the other, and ends the guest where it is then.
func (s *stay) moves(t *testing.T, has *held, moves []move) {
	t.Helper()
	for i := range moves {
		t.Log("move:", moves[i].name)
		s.move(t, &moves[i])
		has.holds(t, s.guest)
		has.extend(t, s.guest)
		has.holds(t, s.guest)
	}
	s.guest.quit(t)
	ended(t, s.tpm)
}

// guest starts QEMU with the guest, or waits for one that comes.
func (b *bench) guest(t *testing.T, device Device, initrd string, tpm *TPM, more ...string) *steered {
	return steer(t, b.machine.Tools.QEMU, true, append([]string{
		"-machine", "q35", "-accel", TCG.option(), "-cpu", "max", "-m", "384",
		"-chardev", "socket,id=tpm,path=" + escape(tpm.control), "-tpmdev", "emulator,id=tpm0,chardev=tpm", "-device", string(device) + ",tpmdev=tpm0",
		"-kernel", b.machine.Kernel, "-initrd", initrd, "-append", "console=ttyS0 panic=-1 no_timer_check",
	}, more...)...)
}

// held is what a guest has put into its TPM.
type held struct {
	pcr    string
	object tpm2.TPMHandle // a transient one
	name   []byte
}

const (
	// Of those that TPM2_Shutdown(STATE) saves, one that nobody else extends.
	testedPCR = 14
	readPCR   = "cat /sys/class/tpm/tpm0/pcr-sha256/14"

	testedIndex = tpm2.TPMHandle(0x01500010)
	indexData   = "the guest's own"
)

// fill puts something into each part of the TPM: PCRs, NV memory, loaded objects.
func fill(t *testing.T, g *steered) *held {
	t.Helper()
	tpm := overGuest{t, g}
	_, err := tpm2.NVDefineSpace{AuthHandle: tpm2.TPMRHOwner, PublicInfo: tpm2.New2B(tpm2.TPMSNVPublic{NVIndex: testedIndex, NameAlg: tpm2.TPMAlgSHA256,
		Attributes: tpm2.TPMANV{AuthRead: true, AuthWrite: true, NoDA: true}, DataSize: uint16(len(indexData))})}.Execute(tpm)
	require.NoError(t, err)
	index := indexOf(t, g)
	_, err = tpm2.NVWrite{AuthHandle: tpm2.AuthHandle{Handle: testedIndex, Name: index.Name, Auth: tpm2.PasswordAuth(nil)}, NVIndex: index,
		Data: tpm2.TPM2BMaxNVBuffer{Buffer: []byte(indexData)}}.Execute(tpm)
	require.NoError(t, err)
	primary, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(tpm)
	require.NoError(t, err)
	has := &held{object: primary.ObjectHandle, name: primary.Name.Buffer}
	has.extend(t, g)
	return has
}

func indexOf(t *testing.T, g *steered) tpm2.NamedHandle {
	t.Helper()
	read, err := tpm2.NVReadPublic{NVIndex: testedIndex}.Execute(overGuest{t, g})
	require.NoError(t, err)
	return tpm2.NamedHandle{Handle: testedIndex, Name: read.NVName}
}

// extend extends the PCR.
func (h *held) extend(t *testing.T, g *steered) {
	t.Helper()
	_, err := tpm2.PCRExtend{PCRHandle: tpm2.AuthHandle{Handle: testedPCR, Auth: tpm2.PasswordAuth(nil)},
		Digests: tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: make([]byte, 32)}}}}.Execute(overGuest{t, g})
	require.NoError(t, err)
	before := h.pcr
	h.pcr = g.run(t, readPCR)
	require.Regexp(t, "^[0-9A-F]{64}$", h.pcr)
	require.NotEqual(t, before, h.pcr)
}

// holds checks that the guest finds in its TPM what it has put there.
func (h *held) holds(t *testing.T, g *steered) {
	t.Helper()
	require.Equal(t, h.pcr, g.run(t, readPCR))
	tpm, index := overGuest{t, g}, indexOf(t, g)
	read, err := tpm2.NVRead{AuthHandle: tpm2.AuthHandle{Handle: testedIndex, Name: index.Name, Auth: tpm2.PasswordAuth(nil)}, NVIndex: index, Size: uint16(len(indexData))}.Execute(tpm)
	require.NoError(t, err)
	require.Equal(t, indexData, string(read.Data.Buffer))
	public, err := tpm2.ReadPublic{ObjectHandle: h.object}.Execute(tpm)
	require.NoError(t, err)
	require.Equal(t, h.name, public.Name.Buffer)
}

// sleeps: what the kernel saves in the TPM before S3 is there after it. Objects are not
// (TPM 2.0 Library Part 1, "TPM Resume").
func sleeps(t *testing.T, s *stay, has *held) {
	t.Helper()
	g, before := s.guest, len(traced(t, s.trace))
	awake, err := s.tpm.admin.Status(t.Context())
	require.NoError(t, err)
	g.begin(t, "echo mem >/sys/power/state")
	g.event(t, "SUSPEND")
	g.do(t, "system_wakeup", nil)
	g.event(t, "WAKEUP")
	text, status := g.until(t)
	require.Zero(t, status, "%s", text)
	assert.Equal(t, has.pcr, g.run(t, readPCR))
	again, err := s.tpm.admin.Status(t.Context())
	require.NoError(t, err)
	assert.Equal(t, awake.Now, again.Now, "the boot goes on")
	lines := strings.Join(traced(t, s.trace)[before:], "\n")
	assert.Regexp(t, `(?s)TPM2_Shutdown\(\) -> .*TPM2_Startup\(\) -> `, lines)
	assert.NotContains(t, lines, "TPM_RC_VALUE", "the firmware has no state to start with")
	t.Logf("asleep:\n%s", lines)
	primary, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(overGuest{t, g})
	require.NoError(t, err)
	has.object = primary.ObjectHandle
	has.holds(t, g)
}

// traced returns the lines of a trace.
func traced(t *testing.T, path string) []string {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	return strings.Split(strings.TrimSpace(string(text)), "\n")
}

// snapshots: the TPM goes back with its guest.
func snapshots(t *testing.T, g *steered, has *held) {
	t.Helper()
	g.human(t, "savevm before")
	after := *has
	after.extend(t, g)
	g.human(t, "loadvm before")
	has.holds(t, g)
}

// createPrimary is a command for which the kernel waits 5 minutes: TPM2_CreatePrimary.
func createPrimary(t *testing.T) []byte {
	t.Helper()
	var command recorded
	_, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(&command)
	require.Error(t, err)
	return command
}

// recorded is a TPM that takes a command and does not answer.
type recorded []byte

// Send implements transport.TPM of go-tpm.
func (r *recorded) Send(command []byte) ([]byte, error) {
	*r = command
	return nil, os.ErrDeadlineExceeded
}

// snapshotsWhileHeld: QEMU waits for a command that the TPM holds, and that is over at
// the command's maximum, or when somebody lets it go. It is for tpm-tis: with tpm-crb
// QEMU saves the command in the place of its answer
// (findings/qemu-crb-loses-a-response.sh).
func snapshotsWhileHeld(t *testing.T, g *steered, tpm *TPM, has *held) {
	t.Helper()
	advance(t, tpm, initcall.Late)
	for _, c := range []struct {
		name    string
		outcome faults.Outcome
		release func()
	}{
		{"expired", faults.Expired, func() {}},
		{"released", faults.Released, func() { advance(t, tpm, initcall.Userspace) }},
	} {
		g.askHeld(t, tpm)
		begun := time.Now()
		g.humanAsk(t, "savevm "+c.name)
		c.release()
		g.humanAnswered(t)
		took := time.Since(begun)
		d := awaitDecision(t, tpm, c.outcome, tpm2.TPMCCCreatePrimary)
		t.Logf("%s: savevm took %v, the command was held for %v", c.name, took.Round(time.Millisecond), d.HeldFor.Round(time.Millisecond))
		g.run(t, "until grep -qs ^8 /run/answer; do usleep 10000; done; mv /run/answer /run/"+c.name)
	}
	g.tookHeld(t, "expired", "released")
	has.holds(t, g)
	// A snapshot has the object, and the answer or its way to the guest.
	g.human(t, "loadvm expired")
	g.tookHeld(t, "answer")
	g.human(t, "loadvm released")
	g.tookHeld(t, "expired", "answer")
	has.holds(t, g)
}

// advance tells the daemon how far its guest is.
func advance(t *testing.T, tpm *TPM, level initcall.Level) {
	t.Helper()
	_, err := tpm.admin.Advance(t.Context(), level)
	require.NoError(t, err)
}

// askHeld has the guest send a command, and waits until the TPM holds it, not one of the
// guest's kernel that came before.
func (m *steered) askHeld(t *testing.T, tpm *TPM) {
	t.Helper()
	m.run(t, fmt.Sprintf("askdevice ask /dev/tpm0 %x >/run/answer 2>&1 &", createPrimary(t)))
	awaitDecision(t, tpm, faults.Held, tpm2.TPMCCCreatePrimary)
}

// tookHeld: the guest has the answers to commands that were held, in these files, and
// the TPM has executed them.
func (m *steered) tookHeld(t *testing.T, files ...string) {
	t.Helper()
	for _, name := range files {
		answer := m.run(t, fmt.Sprintf("until grep -qs ^8 /run/%[1]s; do usleep 10000; done; cat /run/%[1]s", name))
		require.Regexp(t, "^8002[0-9a-f]{8}00000000[0-9a-f]{8}", answer)
		require.Equal(t, "80010000000a00000000", m.run(t, "askdevice ask /dev/tpm0 80010000000e00000165"+answer[20:28]))
	}
}

// awaitDecision waits until the last decision about a command, of any if none is named, has
// an outcome.
func awaitDecision(t *testing.T, tpm *TPM, outcome faults.Outcome, commands ...tpm2.TPMCC) *faults.Decision {
	t.Helper()
	var last faults.Decision
	require.Eventually(t, func() bool {
		journal, err := tpm.admin.Journal(t.Context())
		for _, entry := range slices.Backward(journal) {
			if last = entry.Decision; len(commands) == 0 || slices.Contains(commands, tpm2.TPMCC(last.Command)) {
				return err == nil && last.Outcome == outcome
			}
		}
		return false
	}, patience, 10*time.Millisecond, "%s", outcome)
	return &last
}

// move is the way of a guest from one QEMU and swtpmd to others.
type move struct {
	name string
	// words are swtpmd's beside those for its directory: those of swtpmd socket, as
	// libvirt gives them, unless plain.
	words []string
	plain bool
	// shared: on the state directory that the guest has already.
	shared bool
	// device is another TPM interface than the guest's, if not empty: the guest cannot
	// go on there.
	device Device
	// says is the error text of QEMU for a guest that cannot go on there.
	says string
}

func moves(keys string) []move {
	key := func(name string) string { return "pwdfile=" + filepath.Join(keys, name) + ",mode=aes-256-cbc" }
	shares := "--migration=incoming,release-lock-outgoing"
	return []move{
		{name: "to the words of libvirt", words: []string{"--migration=release-lock-outgoing"}},
		{name: "refused by QEMU, in a shared directory", shared: true, words: []string{shares}, device: CRB, says: "Unknown savevm section or instance 'tpm-tis'"},
		{name: "in a shared directory", shared: true, words: []string{shares}},
		{name: "to where state is encrypted", words: []string{"--key=" + key("file"), "--migration-key=" + key("migration")}},
		{name: "refused for another key", words: []string{"--key=" + key("file"), "--migration-key=" + key("other")}, says: "tpm-emulator: Setting the stateblob (type 1) failed with a TPM error"},
		{name: "refused for no key", words: nil, says: "tpm-emulator: Setting the stateblob (type 1) failed with a TPM error"},
		{name: "encrypted", plain: true, words: []string{"--key=" + key("other"), "--migration-key=" + key("migration")}},
	}
}

// stay is where a guest is.
type stay struct {
	b      *bench
	device Device
	initrd string

	guest *steered
	tpm   *TPM
	state string // directory of the TPM
	trace string // of the first TPM
}

// daemon starts the swtpmd of a move.
func (s *stay) daemon(t *testing.T, m *move, state string) *TPM {
	t.Helper()
	dir := socketDir(t)
	if m.plain {
		tpm, err := Swtpmd(s.b.swtpmd, append([]string{"--state=" + state}, m.words...))(t.Context(), dir)
		require.NoError(t, err)
		t.Cleanup(tpm.process.kill)
		return tpm
	}
	socket := filepath.Join(dir, "swtpm.sock")
	p, err := start(exec.Command(s.b.swtpmd, append([]string{"socket", "--ctrl", "type=unixio,path=" + socket + ",mode=0600",
		"--tpmstate", "dir=" + state + ",mode=0600", "--log", "file=" + filepath.Join(dir, "log"), "--terminate", "--tpm2"}, m.words...)...))
	require.NoError(t, err)
	t.Cleanup(p.kill)
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("%s", log)
		}
	})
	require.Eventually(t, func() bool { _, err := os.Stat(socket); return err == nil }, patience, time.Millisecond)
	return &TPM{control: socket, process: p}
}

// move has the guest go on elsewhere, or come back.
func (s *stay) move(t *testing.T, m *move) {
	t.Helper()
	state := s.state
	if !m.shared {
		state = filepath.Join(socketDir(t), "state")
		require.NoError(t, os.Mkdir(state, 0o700))
	}
	device := s.device
	if m.device != "" {
		device = m.device
	}
	tpm := s.daemon(t, m, state)
	at := filepath.Join(socketDir(t), "migration")
	to := s.b.guest(t, device, s.initrd, tpm, "-incoming", "unix:"+at)
	begun := time.Now()
	status := s.guest.moves(t, at)
	if m.says != "" {
		to.ends(t)
		assert.Contains(t, to.qemu.stderr.String(), m.says)
		require.Error(t, to.qemu.err)
		s.guest.do(t, "cont", nil)
		return
	}
	require.Equal(t, "completed", status)
	to.event(t, "RESUME")
	t.Logf("moved in %v", time.Since(begun).Round(time.Millisecond))
	to.said.Reset(to.serial)
	s.guest.quit(t)
	ended(t, s.tpm)
	s.guest, s.tpm, s.state = to, tpm, state
}

// ended: swtpmd ends with its QEMU.
func ended(t *testing.T, tpm *TPM) {
	t.Helper()
	select {
	case <-tpm.process.ended:
		require.NoError(t, tpm.process.err, "%s", tpm.process.stderr.String())
	case <-time.After(patience):
		require.Fail(t, "swtpmd does not end with QEMU")
	}
}
