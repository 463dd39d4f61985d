package faults_test

import (
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/ask"
)

// available is how many slots a TPM says that it has left.
func available(t *testing.T, tpm emulatortest.Client, property wire.PT) uint32 {
	t.Helper()
	n, err := ask.TPM{Device: tpm.TPM.(transport.Device)}.Property(t.Context(), property)
	require.NoError(t, err)
	return n
}

func startSession(tpm emulatortest.Client) (tpm2.TPMHandle, error) {
	started, err := tpm2.StartAuthSession{
		TPMKey: tpm2.TPMRHNull, Bind: tpm2.TPMRHNull, SessionType: tpm2.TPMSEHMAC, AuthHash: tpm2.TPMAlgSHA256,
		NonceCaller: tpm2.TPM2BNonce{Buffer: make([]byte, 16)},
	}.Execute(tpm)
	if err != nil {
		return 0, err
	}
	return started.SessionHandle, nil
}

func createSealed(tpm emulatortest.Client) error {
	_, err := tpm2.CreatePrimary{PrimaryHandle: tpm2.TPMRHOwner, InPublic: tpm2.New2B(tpm2.ECCSRKTemplate)}.Execute(tpm)
	return err
}

func TestOthersFillTheSlots(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		take func(tpm emulatortest.Client) error
		full tpm2.TPMRC
	}{
		"objects":  {createSealed, tpm2.TPMRCObjectMemory},
		"sessions": {func(tpm emulatortest.Client) error { _, err := startSession(tpm); return err }, tpm2.TPMRCSessionMemory},
	} {
		client, journal := faulty(t, emulatortest.New(t), "GetRandom#1: fill="+name+":1")
		getRandomBytes(t, client)
		require.NoError(t, test.take(client), "one is left")
		require.ErrorIs(t, test.take(client), test.full)
		assert.Equal(t, []string{"fill=" + name + ":1 passed: 2 " + name + " were added"}, journal.details())
	}
}

// What others have taken is free again when the rule is no longer in force, for whatever
// reason, and the journal says so.
func TestOthersLeaveTheSlots(t *testing.T) {
	t.Parallel()
	clock := new(initcall.Clock)
	for name, end := range map[string]func(t *testing.T, tpm *emulatortest.TPM, l *faults.Layer){
		"level": func(t *testing.T, _ *emulatortest.TPM, _ *faults.Layer) {
			require.NoError(t, clock.Advance(initcall.Kernel, initcall.NoTime, "test"))
		},
		"removed":  func(t *testing.T, _ *emulatortest.TPM, l *faults.Layer) { require.NoError(t, l.Remove("x")) },
		"disabled": func(t *testing.T, _ *emulatortest.TPM, l *faults.Layer) { require.NoError(t, l.Enable("x", false)) },
	} {
		*clock = initcall.Clock{}
		tpm, journal := emulatortest.New(t), new(told)
		device := wrap(t, tpm, faults.Plan{Clock: clock, Rules: rules(t, "name=x level=..kernel: fill=objects"), Journal: journal.tell})
		client := emulatortest.Client{TPM: device}
		require.ErrorIs(t, createSealed(client), tpm2.TPMRCObjectMemory, name)
		layer, _ := faults.Of(device)
		end(t, tpm, layer)
		require.NoError(t, createSealed(client), name)
		assert.Equal(t, []string{
			"fill=objects passed: 3 objects were added",
			"fill=objects passed: the rule is no longer in force, and 3 slots are free again",
		}, journal.details(), name)
		require.NoError(t, createSealed(client), "nothing is left to flush")
		assert.Len(t, *journal, 2)
	}
}

// Power takes others with it. What a client has flushed of theirs may be its own by then.
func TestOthersAreNotFlushedTwice(t *testing.T) {
	t.Parallel()
	tpm, journal := emulatortest.New(t), new(told)
	device := wrap(t, tpm, faults.Plan{Rules: rules(t, "name=x GetRandom: fill=objects"), Journal: journal.tell})
	client := emulatortest.Client{TPM: device}
	getRandomBytes(t, client)
	_, err := tpm2.FlushContext{FlushHandle: tpm2.TPMHandle(wire.TransientFirst)}.Execute(client)
	require.NoError(t, err)
	mine := sealed(t, client)
	require.Equal(t, tpm2.TPMHandle(wire.TransientFirst), tpm2.TPMHandle(mine.Handle.HandleValue()), "the client has got the slot")
	layer, _ := faults.Of(device)
	require.NoError(t, layer.Remove("x"))
	_, err = tpm2.Unseal{ItemHandle: mine}.Execute(client)
	require.NoError(t, err, "the client's object stays")
	assert.Equal(t, "the rule is no longer in force, and 2 slots are free again", (*journal)[len(*journal)-1].Detail)

	require.NoError(t, layer.Add(rules(t, "name=y GetRandom: fill=objects")...))
	getRandomBytes(t, client)
	power, _ := transport.As[transport.Power](device)
	require.NoError(t, power.Init())
	require.Equal(t, wire.RCSuccess, tpm.Startup(0, wire.SUClear))
	*journal = nil
	require.NoError(t, layer.Remove("y"))
	require.NoError(t, createSealed(client))
	assert.Empty(t, *journal, "power has taken them")
}

func TestFillsThatAreNone(t *testing.T) {
	t.Parallel()
	spells(t, "fill=objects", "fill=objects:1", "fill=sessions:2")
	refused(t, "fill", []string{"", "keys", "objects:", "objects:0", "objects:256", "objects:x"}, faults.Fill{Left: -1}, faults.Fill{Left: 256})
}
