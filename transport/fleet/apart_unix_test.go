//go:build unix

package fleet_test

import (
	"context"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/fleet"
	"github.com/swtpmd/swtpmd/transport/raw"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// The sockets of a TPM with an owner are for that user, and for no other one.
func TestTheOwnerOfATPM(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root gives sockets to another user")
	}
	const user, other = 4711, 4712
	dir := transporttest.Dir(t)
	f := open(t, fleet.Options{Dir: dir})
	s := add(t, f, "web", fleet.Config{Owner: &transport.Owner{UID: user, GID: user}})
	late := add(t, f, "late", fleet.Config{Owner: &transport.Owner{UID: other, GID: -1}, Console: "unix:" + filepath.Join(dir, "late", "console.sock")})
	for path, mode := range map[string]fs.FileMode{s.Control: fs.ModeSocket | 0o600, s.Data: fs.ModeSocket | 0o600, filepath.Dir(s.Data): fs.ModeDir | 0o700} {
		info, err := os.Lstat(path)
		require.NoError(t, err)
		stat := info.Sys().(*syscall.Stat_t)
		assert.Equal(t, []uint32{user, user}, []uint32{stat.Uid, stat.Gid}, path)
		assert.Equal(t, mode, info.Mode(), path)
	}
	may := func(uid uint32, path string) bool {
		cmd := exec.Command("/usr/bin/test", "-w", path)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: uid}}
		return cmd.Run() == nil
	}
	for _, path := range []string{s.Control, s.Data} {
		assert.True(t, may(user, path), path)
		assert.False(t, may(other, path), path)
	}
	assert.True(t, may(other, late.Data))
	assert.False(t, may(user, late.Data))
	assert.False(t, may(other, filepath.Join(dir, "web.tpm")))
}

// However many clients flood a TPM, another one gets its turn: while it has some commands
// executed, the flood has so many times as many as it has clients, with room for a busy
// machine.
func TestAFloodTakesItsShare(t *testing.T) {
	t.Parallel()
	const floods, commands, room = 8, 200, 10
	f := open(t, fleet.Options{Dir: transporttest.Dir(t)})
	flooded := add(t, f, "flooded", fleet.Config{})
	connect(t, flooded).power(t)
	good := connect(t, add(t, f, "good", fleet.Config{}))
	good.power(t)
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	defer transporttest.Wait(t, &running)
	defer cancel()
	var flood atomic.Int64
	for range floods {
		conn, err := raw.Dial(ctx, "unix", flooded.Data)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
		running.Go(func() {
			for ctx.Err() == nil {
				if _, err := conn.Send(ctx, 0, readPCR); err == nil {
					flood.Add(1)
				}
			}
		})
	}
	before := flood.Load()
	for range commands {
		require.Zero(t, good.code(t))
	}
	assert.LessOrEqual(t, flood.Load()-before, int64(floods*commands*room))
}
