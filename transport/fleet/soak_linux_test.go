package fleet_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/ask"
	"github.com/swtpmd/swtpmd/transport/fleet"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// soak is what TestSoak does. SWTPMD_SOAK=TPMS,CLIENTS,DURATION has it do more: the whole is
// 1000,200,5m, under the race detector.
type soak struct {
	tpms, clients int
	during        time.Duration
}

func soakSize(t *testing.T) soak {
	t.Helper()
	s := soak{20, 16, time.Second}
	if text := os.Getenv("SWTPMD_SOAK"); text != "" {
		var during string
		_, err := fmt.Sscanf(text, "%d,%d,%s", &s.tpms, &s.clients, &during)
		require.NoError(t, err, "SWTPMD_SOAK=TPMS,CLIENTS,DURATION")
		s.during, err = time.ParseDuration(during)
		require.NoError(t, err)
	}
	return s
}

// held are what a process holds, after garbage is collected.
type held struct {
	goroutines, descriptors int
	heap                    uint64
}

func holds(t *testing.T) held {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	entries, err := os.ReadDir("/proc/self/fd")
	assert.NoError(t, err)
	return held{runtime.NumGoroutine(), len(entries), m.HeapAlloc}
}

// until waits until the process holds no more than most.
func until(t *testing.T, most held) (now held) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		now = holds(t)
		if now.goroutines <= most.goroutines && now.descriptors <= most.descriptors && now.heap <= most.heap {
			return now
		}
	}
	stacks := make([]byte, 1<<20)
	t.Errorf("it holds %+v, and at most %+v were expected\n%s", now, most, stacks[:runtime.Stack(stacks, true)])
	return now
}

// soaked counts what clients of the soak did.
type soaked struct {
	guests, commands, vanished, floods atomic.Int64
}

// Clients come and go as QEMU does, some in the middle of a command, some with a flood that
// they read no answer of, and a fleet keeps nothing of them: no goroutine, no descriptor, no
// memory. Not beside other tests, whose goroutines it would count.
func TestSoak(t *testing.T) {
	size := soakSize(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dir := transporttest.Dir(t)
	before := holds(t)
	f, err := fleet.New(fleet.Options{Dir: dir, State: filepath.Join(dir, "state"), NoSync: true, Idle: 50 * time.Millisecond})
	require.NoError(t, err)
	for i := range size.tpms {
		require.NoError(t, f.AddSoon(t.Context(), strconv.Itoa(i), fleet.Config{}))
	}
	served := holds(t)
	ctx, cancel := context.WithTimeout(context.Background(), size.during)
	defer cancel()
	var did soaked
	// A TPM has one guest at a time.
	free := make(chan int, size.tpms)
	for _, i := range rand.New(rand.NewPCG(seed, 0)).Perm(size.tpms) {
		free <- i
	}
	var clients sync.WaitGroup
	for i := range size.clients {
		random := rand.New(rand.NewPCG(seed, uint64(i)+1))
		clients.Go(func() {
			for ctx.Err() == nil {
				tpm := <-free
				s, _ := f.Status(strconv.Itoa(tpm))
				assert.NoError(t, guestOf(s, random, &did), "TPM %d", tpm)
				free <- tpm
			}
		})
	}
	gone := make(chan struct{})
	go func() { clients.Wait(); close(gone) }()
	select {
	case <-gone:
	case <-time.After(size.during + 5*time.Minute):
		require.Fail(t, "clients do not end")
	}
	t.Logf("%d TPMs, %d clients, %v: %d guests, %d commands, %d vanished, %d floods",
		size.tpms, size.clients, size.during, did.guests.Load(), did.commands.Load(), did.vanished.Load(), did.floods.Load())
	assert.Positive(t, did.guests.Load())

	// When they are gone and their TPMs put away, the fleet holds what it held before they
	// came: what is saved of a TPM is a few kilobytes, and the state directory of one with
	// power is open.
	const each = 64 << 10
	after := until(t, held{served.goroutines + 1, served.descriptors + 8*size.tpms, served.heap + uint64(size.tpms*each) + 8<<20})
	require.NoError(t, f.Close(context.Background()))
	end := until(t, held{before.goroutines, before.descriptors, before.heap + 8<<20})
	t.Logf("before %+v, with TPMs %+v, after clients %+v, at the end %+v", before, served, after, end)
}

// guestOf is a guest from power-on to its end.
func guestOf(s fleet.Status, random *rand.Rand, did *soaked) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute) // a busy machine
	defer cancel()
	tpm, err := swtpm.Dial(ctx, s.Control) // passes the data channel
	if err != nil {
		return err
	}
	defer tpm.Close()
	if err := tpm.Init(); err != nil {
		return err
	}
	if err := (ask.TPM{Device: tpm}).Startup(ctx, wire.SUClear); err != nil {
		return err
	}
	did.guests.Add(1)
	n := 1 + random.IntN(30)
	var pcr [32]byte
	for range n {
		response, err := tpm.Send(ctx, 0, extend)
		if err != nil || transport.ResponseCode(response) != 0 {
			return fmt.Errorf("extend: %x, %w", response, err)
		}
		pcr = sha256.Sum256(append(pcr[:], make([]byte, 32)...))
	}
	response, err := tpm.Send(ctx, 0, readPCR)
	if err != nil || transport.ResponseCode(response) != 0 || string(response[len(response)-32:]) != string(pcr[:]) {
		return fmt.Errorf("after %d extends: %x, %w", n, response, err)
	}
	did.commands.Add(int64(n) + 2)
	switch random.IntN(4) {
	case 0: // killed in the middle of a command
		did.vanished.Add(1)
		return vanish(s, extend[:1+random.IntN(len(extend)-1)])
	case 1:
		did.floods.Add(1)
		return flood(s)
	}
	return tpm.Control().Shutdown(ctx)
}

// vanish sends a part of a command, and is gone.
func vanish(s fleet.Status, part []byte) error {
	conn, err := net.Dial("unix", s.Data)
	if err != nil {
		return err
	}
	_, err = conn.Write(part)
	return errors.Join(err, conn.Close())
}

// flood sends commands until its socket is full, reads nothing, and is gone.
func flood(s fleet.Status) error {
	conn, err := net.Dial("unix", s.Data)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetWriteDeadline(time.Now().Add(100 * time.Millisecond)); err != nil {
		return err
	}
	for err == nil {
		_, err = conn.Write(readPCR)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		return err
	}
	return nil
}
