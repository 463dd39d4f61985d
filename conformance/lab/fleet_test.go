package lab

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults/control"
	"github.com/swtpmd/swtpmd/transport/fleet/admin"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// testedFleet is swtpmd fleet in a process of its own.
type testedFleet struct {
	process *process
	args    []string
	socket  string // of its admin socket
	admin   *admin.Client
	log     string // file
}

// fleet starts a fleet of the TPMs that files describe, by their names.
func (b *bench) fleet(t *testing.T, files map[string]string) *testedFleet {
	t.Helper()
	dir := socketDir(t)
	for name, text := range files {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name+".tpm"), []byte(text), 0o600))
	}
	f := &testedFleet{log: filepath.Join(dir, "log")}
	f.args = []string{"fleet", "--dir=" + dir, "--json", "--log=file=" + f.log}
	process, line, err := startReady(t.Context(), exec.Command(b.swtpmd, f.args...))
	require.NoError(t, err)
	t.Cleanup(process.kill)
	var ready struct {
		TPMs  int    `json:"tpms"`
		Admin string `json:"admin"`
	}
	require.NoError(t, json.Unmarshal(line, &ready), "%s", line)
	require.Equal(t, len(files), ready.TPMs, "%s", line)
	f.process, f.socket, f.admin = process, ready.Admin, admin.NewClient(ready.Admin)
	return f
}

// start returns the start of one TPM of the fleet. A guest whose console it reads has it
// copied to a file on the way.
func (f *testedFleet) start(t *testing.T, name string) StartTPM {
	return func(ctx context.Context, dir string) (*TPM, error) {
		status, err := f.admin.Status(ctx, name)
		if err != nil {
			return nil, err
		}
		tpm := &TPM{Name: f.process.cmd.Path, Args: f.args, control: status.Control, process: f.process, lasts: true,
			admin: control.NewClientBelow(f.socket, "/tpms/"+name)}
		t.Cleanup(tpm.admin.Close)
		if status.Console != "" {
			tpm.log = filepath.Join(dir, "console.log")
			tpm.console, err = copiedConsole(t, filepath.Join(dir, "console.sock"), status.Console, tpm.log)
		}
		return tpm, err
	}
}

// copiedConsole listens at a socket, and passes what one client writes to another socket
// and into a file.
func copiedConsole(t *testing.T, at, to, log string) (socket string, err error) {
	file, err := os.Create(log)
	if err != nil {
		return "", err
	}
	l, err := net.Listen("unix", at)
	if err != nil {
		return "", errors.Join(err, file.Close())
	}
	var copying sync.WaitGroup
	t.Cleanup(func() { transporttest.Wait(t, &copying) })
	t.Cleanup(func() { l.Close() })
	copying.Go(func() {
		defer file.Close()
		from, err := l.Accept()
		if err != nil {
			return
		}
		defer from.Close() // QEMU's end ends the copying
		reader, err := net.Dial("unix", to)
		if !assert.NoError(t, err) {
			return
		}
		defer reader.Close()
		_, _ = io.Copy(io.MultiWriter(file, reader), from)
	})
	return at, nil
}

// meeting keeps each of some guests at its init until all have come there. It reads what
// Run tells of their progress.
type meeting struct {
	ctx context.Context // ends the waiting
	all chan struct{}   // closed when all have come

	mu      sync.Mutex
	missing int
	met     func() // called when the last one has come
}

func (m *meeting) Write(told []byte) (int, error) {
	if bytes.Contains(told, []byte(": init after ")) {
		m.arrive()
	}
	return len(told), nil
}

func (m *meeting) arrive() {
	m.mu.Lock()
	m.missing--
	if m.missing == 0 {
		m.met()
		close(m.all)
	}
	m.mu.Unlock()
	select {
	case <-m.all:
	case <-m.ctx.Done():
	}
}

// fleetGuest is a guest of twoOfAFleet.
type fleetGuest struct {
	name, file string
	rebind     bool
	check      func(*testing.T, *Verdict)
	// opinions are those of swtpmd verify about the guest's list, policy by policy.
	opinions []string

	record *Record
	err    error
	log    string // the console
}

// word is an argument of the guest's kernel that no other guest's has.
func (g *fleetGuest) word() string { return "guest=" + g.name }

// twoOfAFleet boots two guests at the same time on two TPMs of one fleet, of which one is
// on time and one comes at late_sync. Each has the verdict that it would have alone, and
// nothing of the other.
func (b *bench) twoOfAFleet(t *testing.T) {
	guests := []*fleetGuest{
		{name: "web", check: onTime(TIS.Driver()), opinions: []string{"strict: accept", "accept-late: accept"}},
		{name: "late", file: "defer-until=late_sync\n", rebind: true, check: bypassed(BoundByHand),
			opinions: []string{"strict: reject", "accept-late: cannot-tell"}},
	}
	files := map[string]string{}
	for _, g := range guests {
		files[g.name] = g.file
	}
	f := b.fleet(t, files)
	b.together(t, f, guests)
	for _, g := range guests {
		t.Run(g.name, func(t *testing.T) {
			require.NoError(t, g.err)
			verdict, err := Judge(g.record)
			require.NoError(t, err)
			t.Logf("%.1f s: %s", g.record.Took.Seconds(), verdict.Last().Sentence)
			g.check(t, verdict)
			b.opinions(t, g)
			f.apart(t, g, guests)
		})
	}
	f.process.stop(patience)
	require.NoError(t, f.process.err, "%s", f.process.stderr.String())
	left, err := filepath.Glob(filepath.Join(filepath.Dir(f.socket), "*", "*.sock*"))
	require.NoError(t, err)
	assert.Empty(t, left, "sockets")
}

// together boots the guests. All are at their init at one time; one that fails ends all.
func (b *bench) together(t *testing.T, f *testedFleet, guests []*fleetGuest) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	m := &meeting{ctx: ctx, all: make(chan struct{}), missing: len(guests), met: func() {
		tpms, err := f.admin.List(ctx)
		assert.NoError(t, err)
		assert.Len(t, tpms, len(guests))
		for _, tpm := range tpms {
			assert.True(t, tpm.Powered, tpm.Name)
			assert.NotZero(t, tpm.Commands, tpm.Name)
			assert.Equal(t, 1, tpm.ControlClients, tpm.Name)
		}
	}}
	ended := make(chan struct{}, len(guests))
	for _, g := range guests {
		c := b.config(t, bootCase{name: "fleet " + g.name})
		c.TPM, c.Rebind, c.Machine.Append, c.Progress = f.start(t, g.name), g.rebind, g.word(), io.MultiWriter(t.Output(), m)
		if c.Keep == "" {
			c.Keep = t.TempDir()
		}
		go func() {
			defer func() { ended <- struct{}{} }()
			if g.record, g.err = Run(ctx, c); g.err != nil {
				cancel(errors.New("the guest " + g.name + " has failed"))
			}
			log, _ := os.ReadFile(filepath.Join(c.Keep, "console.log"))
			g.log = string(log)
		}()
	}
	late := time.After(bootTimeout + patience)
	for range guests {
		select {
		case <-ended:
		case <-late:
			require.Fail(t, "a guest does not end")
		}
	}
}

// opinions has swtpmd verify judge the guest's list by the PCRs of its TPM.
func (b *bench) opinions(t *testing.T, g *fleetGuest) {
	t.Helper()
	boot := &g.record.Boots[0]
	dir := t.TempDir()
	list, pcrs := filepath.Join(dir, "list"), filepath.Join(dir, "pcrs.json")
	require.NoError(t, os.WriteFile(list, boot.List(), 0o600))
	text, err := json.Marshal(boot.View.PCRs)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(pcrs, text, 0o600))
	cmd := exec.CommandContext(t.Context(), b.swtpmd, "verify", "--pcrs="+pcrs, "--vouched", "--kernel="+boot.Release, "--strategy=late", "--bound",
		"--policy=strict", "--policy=accept-late", list)
	out, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(t, err)
	}
	for _, opinion := range g.opinions {
		assert.Contains(t, string(out), "\n"+opinion+"\n")
	}
}

// apart checks that a guest and its TPM have nothing of the others, in their console, their
// journal, and the log of the fleet.
func (f *testedFleet) apart(t *testing.T, g *fleetGuest, all []*fleetGuest) {
	t.Helper()
	for _, other := range all {
		assert.Equal(t, other == g, strings.Contains(g.log, other.word()), "%s on the console of %s", other.word(), g.name)
	}
	view := g.record.Boots[0].View
	assert.Equal(t, 1, view.Status.Now.Boot)
	deferred := g.file != ""
	assert.Equal(t, deferred, len(view.Journal) > 0, "%v", view.Journal)
	assert.Equal(t, deferred, len(view.Status.Rules) > 0, "%v", view.Status.Rules)
	log, err := os.ReadFile(f.log)
	require.NoError(t, err)
	for _, what := range []string{"msg=fault", "level=late_sync"} {
		told := false
		for line := range strings.Lines(string(log)) {
			told = told || strings.Contains(line, what) && strings.Contains(line+" ", " tpm="+g.name+" ")
		}
		assert.Equal(t, deferred, told, "%s of %s in\n%s", what, g.name, log)
	}
}
