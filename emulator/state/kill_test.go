package state_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// tpmIn makes this test binary run a TPM in the directory that it names, until
// it is killed.
const tpmIn = "SWTPMD_TEST_TPM_IN"

func TestMain(m *testing.M) {
	if dir := os.Getenv(tpmIn); dir != "" {
		fmt.Fprintln(os.Stderr, changeOwnerAuth(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// ownerAuth is a number as an authorization value, from which a TPM takes
// trailing zeros.
func ownerAuth(n uint64) []byte { return append(binary.BigEndian.AppendUint64(nil, n), 1) }

// changeOwnerAuth counts up in the owner's authorization of the TPM in a
// directory, and tells on stdout, an octet each, what has been answered.
func changeOwnerAuth(dir string) error {
	store, err := state.OpenDirectory(dir, state.DirectoryOptions{})
	if err != nil {
		return err
	}
	tpm, err := emulator.New(emulator.Platform{Store: store}, emulator.Config{})
	if err != nil {
		return err
	}
	if err := tpm.Init(); err != nil {
		return err
	}
	send := func(command []byte) error {
		rsp, err := tpm.Send(context.Background(), 0, command)
		if err != nil {
			return err
		}
		if rc := et.ResponseCode(rsp); rc != wire.RCSuccess {
			return fmt.Errorf("%v: %w", rc, tpm.Failure())
		}
		_, err = os.Stdout.Write([]byte{0})
		return err
	}
	if err := send(et.Command(wire.CCStartup, nil, nil, et.U16(uint16(wire.SUClear)))); err != nil {
		return err
	}
	n, auth, err := counted(store)
	for err == nil {
		n++
		next := ownerAuth(n)
		err = send(et.Command(wire.CCHierarchyChangeAuth, []wire.Handle{wire.RHOwner}, [][]byte{auth}, et.Sized(next)))
		auth = next
	}
	return err
}

// counted is how far changeOwnerAuth has come, and the authorization with that.
func counted(store state.Store) (uint64, []byte, error) {
	blob, err := store.Load()
	if err != nil || blob == nil {
		return 0, nil, err
	}
	s, err := state.Decode(blob)
	if err != nil {
		return 0, nil, err
	}
	auth := bytes.Clone(s.Persistent.OwnerAuth.Bytes())
	if len(auth) == 0 {
		return 0, auth, nil
	}
	return binary.BigEndian.Uint64(auth), auth, nil
}

// killed runs changeOwnerAuth in a process of its own, kills it some time after
// so many answers, and says how many it has given.
func killed(t *testing.T, dir string, answers int, after time.Duration) int {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), tpmIn+"="+dir)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	r := bufio.NewReader(out)
	_, err = io.ReadFull(r, make([]byte, answers))
	if err == nil {
		<-time.After(after) // somewhere in the midst of the next command
		err = cmd.Process.Kill()
	}
	more, _ := io.Copy(io.Discard, r)
	require.Error(t, cmd.Wait())
	require.NoError(t, err, said.String())
	require.Empty(t, said.String())
	return answers + int(more)
}

// A process that is killed at any instant leaves the state before or after the
// command that it was at, and the directory unlocked.
func TestKilledProcess(t *testing.T) {
	t.Parallel()
	const kills, limit = 200, 3 * time.Second
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	want, pending := uint64(0), 0
	begin, n := time.Now(), 0
	for ; n < kills && (time.Since(begin) < limit || want == 0); n++ {
		answers := killed(t, dir, rnd.IntN(12), time.Duration(rnd.IntN(1500))*time.Microsecond)
		store, err := state.OpenDirectory(dir, state.DirectoryOptions{})
		require.NoError(t, err)
		got, _, err := counted(store)
		require.NoError(t, err)
		require.NoError(t, store.Close())
		want += uint64(max(answers-1, 0)) // the first is TPM2_Startup's
		if got == want+1 && answers > 0 {
			pending++ // committed, and killed before it could tell
			want++
		}
		require.Equal(t, want, got, "kill %d", n)
	}
	require.NotZero(t, want)
	t.Logf("%d kills, %d commands, %d of them committed and not answered", n, want, pending)
}
