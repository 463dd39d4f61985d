package emulatortest_test

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

func ExampleNew() {
	t := &testing.T{} // in a test, its own t

	tpm := emulatortest.New(t)
	rsp := tpm.Execute(0, emulatortest.Command(wire.CCPCRReset, []wire.Handle{23}, emulatortest.NoAuth()))
	fmt.Println(emulatortest.ResponseCode(rsp))

	rsp = tpm.Execute(0, emulatortest.Command(wire.CCPCRReset, []wire.Handle{0}, emulatortest.NoAuth()))
	fmt.Println(emulatortest.ResponseCode(rsp))
	// Output:
	// TPM_RC_SUCCESS (0x000)
	// TPM_RC_LOCALITY (0x907)
}

func ExampleTPM_Client() {
	t := &testing.T{} // in a test, its own t

	client := emulatortest.New(t).Client()
	rsp, err := tpm2.ReadClock{}.Execute(client)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("resetCount", rsp.CurrentTime.ClockInfo.ResetCount)
	// Output: resetCount 1
}

// TestChannel reads responses in pieces, and in none.
func TestChannel(t *testing.T) {
	t.Parallel()
	c := emulatortest.New(t).Channel()
	c.Log = []byte("log")
	command := emulatortest.Command(wire.CCGetRandom, nil, nil, emulatortest.U16(4))
	for range 2 {
		n, err := c.Write(command)
		require.NoError(t, err)
		assert.Equal(t, len(command), n)
		head := make([]byte, 10)
		_, err = io.ReadFull(c, head)
		require.NoError(t, err)
		assert.Equal(t, "80010000001000000000", hex.EncodeToString(head))
	} // the rest of the first response is in nobody's way
	rest, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Len(t, rest, 6)
	_, err = c.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF)

	log, err := c.MeasurementLog()
	require.NoError(t, err)
	assert.Equal(t, "log", string(log))
	require.NoError(t, c.Close())

	off := emulatortest.New(t, emulatortest.WithoutPower()).Channel()
	n, err := off.Write(command)
	assert.ErrorIs(t, err, emulator.ErrNoPower)
	assert.Zero(t, n)
}

func random(t *testing.T, tpm *emulatortest.TPM) string {
	t.Helper()
	return string(tpm.Execute(0, emulatortest.Command(wire.CCGetRandom, nil, nil, emulatortest.U16(16))))
}

func TestOptions(t *testing.T) {
	t.Parallel()
	assert.False(t, emulatortest.New(t, emulatortest.WithoutPower()).Powered())
	off := emulatortest.New(t, emulatortest.WithoutStartup())
	assert.Equal(t, wire.RCSuccess, off.Startup(3, wire.SUClear))
	assert.Equal(t, wire.RCInitialize, off.Startup(3, wire.SUClear))

	assert.Equal(t, random(t, emulatortest.New(t, emulatortest.WithSeed(3))), random(t, emulatortest.New(t)))
	assert.NotEqual(t, random(t, emulatortest.New(t)), random(t, emulatortest.New(t, emulatortest.WithSeed(1<<56))))

	store := &emulatortest.Store{}
	emulatortest.New(t, emulatortest.WithStore(store)).Shutdown(wire.SUState)
	again := emulatortest.New(t, emulatortest.WithStore(store), emulatortest.WithoutStartup())
	assert.Equal(t, wire.RCSuccess, again.Startup(0, wire.SUState))

	sha3 := emulatortest.New(t, emulatortest.Unchecked(), emulatortest.WithConfig(emulator.Config{Banks: []emulator.Bank{{Alg: wire.AlgSHA3_512}}}))
	rsp := sha3.Execute(0, emulatortest.Command(wire.CCPCRRead, nil, nil, emulatortest.Selection(wire.AlgSHA3_512, 0)))
	assert.Len(t, emulatortest.Parameters(rsp, false), 4+10+4+2+64)
}

func TestClock(t *testing.T) {
	t.Parallel()
	var c emulatortest.Clock
	assert.Zero(t, c.Now())
	c.Advance(time.Second)
	assert.Equal(t, time.Second, c.Now())
}

func TestEntropy(t *testing.T) {
	t.Parallel()
	e := emulatortest.NewEntropy(7)
	p := make([]byte, 8)
	_, err := e.Read(p)
	require.NoError(t, err)
	e.Fail(true)
	_, err = e.Read(p)
	require.ErrorIs(t, err, emulatortest.ErrInjected)
	e.Fail(false)
	_, err = e.Read(p)
	require.NoError(t, err)
}

// Zero values work, or say what is missing.
func TestZeroValues(t *testing.T) {
	t.Parallel()
	var zero emulatortest.Entropy
	got, want := make([]byte, 16), make([]byte, 16)
	_, err := zero.Read(got)
	require.NoError(t, err)
	_, err = emulatortest.NewEntropy(0).Read(want)
	require.NoError(t, err)
	assert.Equal(t, want, got)

	_, err = tpm2.ReadClock{}.Execute(emulatortest.Client{})
	require.ErrorIs(t, err, emulatortest.ErrNoTPM)
	assert.ErrorContains(t, err, "New(t).Client()")
	_, err = new(emulatortest.Channel).Write([]byte("command"))
	require.ErrorIs(t, err, emulatortest.ErrNoTPM)
	_, err = (emulatortest.Client{}).Channel().Write([]byte("command"))
	require.ErrorIs(t, err, emulatortest.ErrNoTPM)
}

// What is around a TPM is one to a Client and a Channel.
func TestClientOfAWrappedTPM(t *testing.T) {
	t.Parallel()
	var clock initcall.Clock
	late, err := faults.Wrap(emulatortest.New(t), faults.Plan{
		Clock: &clock, Rules: []faults.Rule{faults.Defer(initcall.LateSync, faults.Fail)},
	})
	require.NoError(t, err)
	tpm := emulatortest.Client{TPM: late}
	channel := tpm.Channel()
	command := emulatortest.Command(wire.CCReadClock, nil, nil)
	for level, want := range map[initcall.Level]wire.RC{initcall.Device: wire.RCFailure, initcall.LateSync: wire.RCSuccess} {
		clock.PowerOn("another boot")
		require.NoError(t, clock.Advance(level, initcall.NoTime, "test"))
		_, err = tpm2.ReadClock{}.Execute(tpm)
		assert.Equal(t, want == wire.RCSuccess, err == nil, "%s: %v", level, err)
		_, err = channel.Write(command)
		require.NoError(t, err)
		response, err := io.ReadAll(channel)
		require.NoError(t, err)
		assert.Equal(t, want, emulatortest.ResponseCode(response), level)
	}
}

func TestPresence(t *testing.T) {
	t.Parallel()
	var p emulatortest.Presence
	assert.False(t, p.Asserted())
	p.Assert(true)
	assert.True(t, p.Asserted())
}

func TestStore(t *testing.T) {
	t.Parallel()
	s := &emulatortest.Store{}
	require.NoError(t, s.Commit([]byte("one")))
	s.DieAt(2)
	require.ErrorIs(t, s.Commit([]byte("two")), emulatortest.ErrInjected)
	require.ErrorIs(t, s.Commit([]byte("two")), emulatortest.ErrInjected, "and all after it")
	b, err := s.Load()
	require.NoError(t, err)
	assert.Equal(t, "one", string(b))
	s.DieAt(0)
	require.NoError(t, s.Commit([]byte("three")))
	assert.Equal(t, 2, s.Commits())
	s.SetWritable(state.ErrRateLimited)
	assert.ErrorIs(t, s.Writable(), state.ErrRateLimited)
	s.SetWritable(nil)
	assert.NoError(t, s.Writable())
	s.FailLoad(emulatortest.ErrInjected)
	_, err = s.Load()
	require.ErrorIs(t, err, emulatortest.ErrInjected)
}

func TestPackets(t *testing.T) {
	t.Parallel()
	assert.Equal(t, []byte{0x80, 2, 0, 0, 0, 0x1E, 0, 0, 1, 0x3D, 0, 0, 0, 16, 0, 0, 0, 12, 0x40, 0, 0, 9, 0, 0, 1, 0, 3, 'a', 'b', 'c'},
		emulatortest.Command(wire.CCPCRReset, []wire.Handle{16}, [][]byte{[]byte("abc")}))
	assert.Equal(t, []byte{0x80, 1, 0, 0, 0, 12, 0, 0, 1, 0x44, 0, 1}, emulatortest.Command(wire.CCStartup, nil, nil, emulatortest.U16(1)))
	assert.Equal(t, wire.RCFailure, emulatortest.ResponseCode(nil))
	assert.Nil(t, emulatortest.Parameters([]byte{0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0}, false))
	rsp := []byte{0x80, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 1, 0, 0, 0, 2, 7, 8, 0, 0, 1, 0, 0}
	assert.Equal(t, []byte{7, 8}, emulatortest.Parameters(rsp, true))
	assert.Equal(t, wire.Handle(0x80000001), emulatortest.ResponseHandle(rsp))
	assert.Equal(t, wire.RHUnassigned, emulatortest.ResponseHandle(rsp[:13]))
	assert.Equal(t, []byte{0, 0, 0, 1, 0, 4, 3, 1, 0, 0x80}, emulatortest.Selection(wire.AlgSHA1, 0, 23))
}

func TestWithPrimarySeeds(t *testing.T) {
	t.Parallel()
	store, err := emulatortest.WithPrimarySeeds(emulator.Config{}, []byte("endorsement"), []byte("storage"), []byte("platform"))
	require.NoError(t, err)
	blob, err := store.Load()
	require.NoError(t, err)
	s, err := state.Decode(blob)
	require.NoError(t, err)
	assert.Equal(t, "endorsement", string(s.Persistent.EPSeed.Bytes()))
	assert.Equal(t, "storage", string(s.Persistent.SPSeed.Bytes()))
	assert.Equal(t, "platform", string(s.Persistent.PPSeed.Bytes()))
	assert.Zero(t, s.Persistent.ResetCount, "a TPM that was never started")

	tpm, err := emulator.New(emulator.Platform{Store: store}, emulator.Config{})
	require.NoError(t, err)
	require.NoError(t, tpm.Init())
	response, err := tpm.Send(context.Background(), 0, emulatortest.Command(wire.CCStartup, nil, nil, emulatortest.U16(0)))
	require.NoError(t, err)
	assert.Equal(t, wire.RCSuccess, emulatortest.ResponseCode(response))
}

// Two TPMs of a test are two, and the same two when it runs again.
func TestTPMsOfOneTestAreDifferent(t *testing.T) {
	key := func(t *testing.T, opts ...emulatortest.Option) string {
		t.Helper()
		made, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHEndorsement, InPublic: tpm2.New2B(tpm2.ECCEKTemplate)}.
			Execute(emulatortest.New(t, opts...).Client())
		require.NoError(t, err)
		return string(made.Name.Buffer)
	}
	first, second := key(t), key(t)
	assert.NotEqual(t, first, second)
	assert.Equal(t, first, key(t, emulatortest.WithSeed(1)))
	assert.Equal(t, second, key(t, emulatortest.WithSeed(2)))
	t.Run("subtest", func(t *testing.T) {
		assert.Equal(t, first, key(t), "a subtest counts by itself")
	})
}
