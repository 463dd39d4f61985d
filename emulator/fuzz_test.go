package emulator_test

import (
	"encoding/binary"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// checkResponse is what every response must be, whatever the command was.
func checkResponse(t *testing.T, rsp []byte) {
	t.Helper()
	checkResponseUpTo(t, 4096, rsp)
}

// checkResponseUpTo checks the form of a response of a TPM whose largest one has that
// many bytes.
func checkResponseUpTo(t *testing.T, largest int, rsp []byte) {
	t.Helper()
	require.GreaterOrEqual(t, len(rsp), 10)
	require.LessOrEqual(t, len(rsp), largest)
	require.EqualValues(t, len(rsp), binary.BigEndian.Uint32(rsp[2:]))
	if rc := et.ResponseCode(rsp); rc != wire.RCSuccess {
		require.Len(t, rsp, 10)
		tag := binary.BigEndian.Uint16(rsp)
		require.True(t, tag == 0x8001 || tag == 0xC4 && rc == wire.RCBadTag)
	}
}

// prepared are snapshots of TPMs: of one with a sequence object and an NV index of
// every type, and for every packet of one on which it succeeds, with the objects,
// sessions and indices that it needs. They are made once, because an execution
// should not have to load keys.
func prepared(tb testing.TB) []preparation {
	tb.Helper()
	tpm := et.New(tb)
	loadSequence(tb, tpm, wire.AlgNull)
	defineAll(tb, tpm)
	list := []preparation{{snapshot(tb, tpm), false}}
	for _, p := range seeds() {
		list = append(list, preparation{snapshot(tb, p.fresh(tb)), p.newer})
	}
	return list
}

// preparation is the snapshot of a TPM, and whether that is one of version 185.
type preparation struct {
	snapshot []byte
	newer    bool
}

func snapshot(tb testing.TB, tpm *et.TPM) []byte {
	tb.Helper()
	b, err := tpm.Snapshot()
	require.NoError(tb, err)
	return b
}

// seeds are the packets with something to send.
func seeds() []packet {
	return slices.DeleteFunc(packets(), func(p packet) bool { return p.bytes == nil })
}

// restored is a TPM made from one of the snapshots.
func restored(t *testing.T, snapshots []preparation, which uint16) *et.TPM {
	t.Helper()
	from := snapshots[int(which)%len(snapshots)]
	opts := []et.Option{et.WithoutStartup()} // the snapshot is of a started one
	if from.newer {
		opts = append(opts, et.WithConfig(v185Config(t)))
	}
	tpm := et.New(t, opts...)
	require.NoError(t, tpm.Restore(from.snapshot))
	tpm.Presence.Assert(true)
	return tpm
}

// largest is the size of the largest response of a prepared TPM.
func largest(snapshots []preparation, which uint16) int {
	if snapshots[int(which)%len(snapshots)].newer {
		return 8192
	}
	return 4096
}

// FuzzCommand sends one command, as it is, to one of the prepared TPMs. That an
// error changes nothing is checked by Config.CheckErrors.
func FuzzCommand(f *testing.F) {
	require.NotEmpty(f, seeds())
	for i, p := range seeds() {
		f.Add(uint16(0), uint8(0), p.bytes)
		f.Add(uint16(i+1), uint8(0), p.bytes)
	}
	f.Add(uint16(0), uint8(3), et.Command(wire.CCStartup, nil, nil, et.U16(0)))
	snapshots := prepared(f)
	f.Fuzz(func(t *testing.T, which uint16, locality uint8, command []byte) {
		checkResponseUpTo(t, largest(snapshots, which), restored(t, snapshots, which).Execute(locality, command))
	})
}

// FuzzHandleAndAuthArea puts arbitrary handle and authorization areas and
// parameters behind a right header.
func FuzzHandleAndAuthArea(f *testing.F) {
	for i, p := range seeds() {
		f.Add(uint16(i+1), uint16(p.code), p.bytes[1] == 2, p.bytes[10:])
	}
	snapshots := prepared(f)
	f.Fuzz(func(t *testing.T, which, code uint16, sessions bool, rest []byte) {
		c := et.Command(wire.CC(code), nil, nil, rest)
		if sessions {
			c[1] = 2
		}
		checkResponseUpTo(t, largest(snapshots, which), restored(t, snapshots, which).Execute(0, c))
	})
}

// FuzzSequence takes its input for a script: commands, signals, power, time
// and the store. A script is short, for every packet one: it is run again and
// again while it is made smaller. The full self-test, which takes as long as a
// hundred scripts, is left to FuzzCommand.
func FuzzSequence(f *testing.F) {
	const longest = 4096 // more repeats what less does
	for _, p := range seeds() {
		if p.code == wire.CCSelfTest {
			continue
		}
		script := []byte{5, 8} // Init, TPM2_Startup(CLEAR)
		before := p.before
		if p.sequence != 0 {
			before = append([][]byte{startSequence(p.sequence)}, before...)
		}
		for _, c := range append(before, p.bytes) {
			script = append(append(append(script, 0), et.U16(uint16(len(c)))...), c...)
		}
		f.Add(script)
	}
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Add([]byte{5, 5, 1, 2, 3, 8, 1, 9, 10, 11, 6, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > longest {
			return
		}
		tpm := et.New(t, et.WithoutPower())
		for len(script) > 0 {
			op := script[0]
			script = script[1:]
			script = step(t, tpm, op, script)
		}
	})
}

// step does one operation of a script and returns the rest of it.
func step(t *testing.T, tpm *et.TPM, op byte, script []byte) []byte {
	switch op % 12 {
	case 0:
		n := 0
		if len(script) > 1 {
			n = min(int(binary.BigEndian.Uint16(script)), len(script)-2)
			script = script[2:]
		}
		if tpm.Powered() {
			checkResponse(t, tpm.Execute(op/12, script[:n]))
		}
		return script[n:]
	case 1:
		tpm.HashStart()
	case 2:
		tpm.HashData(script)
	case 3:
		tpm.HashEnd()
	case 4:
		require.NoError(t, tpm.PowerOff())
	case 5:
		require.NoError(t, tpm.Init())
	case 6:
		tpm.Clock.Advance(time.Duration(op) * time.Second)
	case 7:
		tpm.Store.DieAt(int(op / 12))
		tpm.Presence.Assert(op/12%2 == 0)
	case 8, 9:
		if tpm.Powered() {
			tpm.Startup(0, wire.SU(op%12-8))
		}
	case 10, 11:
		if tpm.Powered() {
			tpm.Shutdown(wire.SU(op%12 - 10))
		}
	}
	return script
}
