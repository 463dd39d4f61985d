package emulator_test

import (
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// checkResponse is what every response must be, whatever the command was.
func checkResponse(t *testing.T, rsp []byte) {
	t.Helper()
	require.GreaterOrEqual(t, len(rsp), 10)
	require.LessOrEqual(t, len(rsp), 4096)
	require.EqualValues(t, len(rsp), binary.BigEndian.Uint32(rsp[2:]))
	if rc := et.ResponseCode(rsp); rc != wire.RCSuccess {
		require.Len(t, rsp, 10)
		tag := binary.BigEndian.Uint16(rsp)
		require.True(t, tag == 0x8001 || tag == 0xC4 && rc == wire.RCBadTag)
	}
}

// FuzzCommand sends one command, as it is, to a TPM with a sequence object and
// an NV index of every type.
// That an error changes nothing is checked by Config.CheckErrors.
func FuzzCommand(f *testing.F) {
	seeds := 0
	for _, p := range packets() {
		if p.bytes != nil {
			f.Add(uint8(0), p.bytes)
			seeds++
		}
	}
	require.NotZero(f, seeds)
	f.Add(uint8(3), et.Command(wire.CCStartup, nil, nil, et.U16(0)))
	f.Fuzz(func(t *testing.T, locality uint8, command []byte) {
		tpm := et.New(t)
		loadSequence(t, tpm, wire.AlgNull)
		defineAll(t, tpm)
		tpm.Presence.Assert(true)
		checkResponse(t, tpm.Execute(locality, command))
	})
}

// FuzzHandleAndAuthArea puts arbitrary handle and authorisation areas and
// parameters behind a right header.
func FuzzHandleAndAuthArea(f *testing.F) {
	for _, p := range packets() {
		if p.bytes != nil {
			f.Add(uint16(p.code), p.bytes[1] == 2, p.bytes[10:])
		}
	}
	f.Fuzz(func(t *testing.T, code uint16, sessions bool, rest []byte) {
		tpm := et.New(t)
		loadSequence(t, tpm, wire.AlgSHA1)
		defineAll(t, tpm)
		tpm.Presence.Assert(true)
		c := et.Command(wire.CC(code), nil, nil, rest)
		if sessions {
			c[1] = 2
		}
		checkResponse(t, tpm.Execute(0, c))
	})
}

// FuzzSequence takes its input for a script: commands, signals, power, time
// and the store.
func FuzzSequence(f *testing.F) {
	script := []byte{5, 8} // Init, TPM2_Startup(CLEAR)
	for _, p := range packets() {
		for _, c := range append(p.before, p.bytes) {
			if c != nil {
				script = append(script, 0, byte(len(c)))
				script = append(script, c...)
			}
		}
	}
	f.Add(script)
	f.Add([]byte{1, 2, 3, 4, 5, 6, 7, 8, 9})
	f.Add([]byte{5, 5, 1, 2, 3, 8, 1, 9, 10, 11, 6, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
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
		if len(script) > 0 {
			n = min(int(script[0]), len(script)-1)
			script = script[1:]
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
