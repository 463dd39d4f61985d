package emulator_test

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	et "github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// A TPM between two commands keeps neither the buffers of commands, nor the bytes of the
// last one, which are its caller's. Not parallel: it counts the memory of the process.
func TestATPMBetweenCommandsIsSmall(t *testing.T) {
	const tpms, most = 64, 20 << 10
	kind, err := emulator.New(emulator.Platform{}, emulator.Config{})
	require.NoError(t, err)
	all := make([]*emulator.TPM, tpms)
	heap := func() int64 {
		var m runtime.MemStats
		for range 2 { // the second one takes what a pool has let go
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	send := func(tpm *emulator.TPM, command []byte) {
		response, err := tpm.Send(t.Context(), 0, command)
		require.NoError(t, err)
		require.Equal(t, wire.RCSuccess, et.ResponseCode(response))
	}
	before := heap()
	for i := range all {
		all[i] = kind.Another(emulator.Platform{})
		require.NoError(t, all[i].Init())
		send(all[i], et.Command(wire.CCStartup, nil, nil, et.U16(uint16(wire.SUClear))))
		buffer := make([]byte, 8<<10) // as that of a connection, with a command in it
		command := buffer[:copy(buffer, et.Command(wire.CCGetRandom, nil, nil, et.U16(8)))]
		send(all[i], command)
	}
	assert.Less(t, (heap()-before)/tpms, int64(most), "bytes of a TPM")
	runtime.KeepAlive(all)
}
