//go:build unix

package swtpm_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// TestQEMU plays the conversations that QEMU 7.2 has with a TPM emulator from
// start to exit, byte for byte as recorded.
func TestQEMU(t *testing.T) {
	t.Parallel()
	reset := func(size string) [][2]string {
		return [][2]string{
			{"0000000E", "00000000"},
			{"00000011 00000000", "000000000000100000000b5000001000"},
			{"0000000E", "00000000"},
			{"00000011" + size, "00000000" + size + "00000b5000001000"},
			{"00000002 00000000", "00000000"},
		}
	}
	for name, size := range map[string]string{
		"tpm-tis": "00001000",
		"tpm-crb": "00000f80",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			device := &transporttest.TPM{}
			var events []swtpm.EventKind
			r := serve(t, device, swtpm.Options{Events: func(e swtpm.Event) { events = append(events, e.Kind) }})
			control := r.dialControl()
			data, fd := transporttest.Pair(t)

			control.SayWith("00000010", fd)
			require.Equal(t, "00000000", control.Hear())
			require.Equal(t, rcFailure, data.Ask(readClock))
			require.Equal(t, "000000000001ffff", control.Ask("00000001"))
			play(t, control, reset(size))
			require.Equal(t, "0000000000000000", control.Ask("00000004"))
			require.Equal(t, "00000000", control.Ask("00000005 02000000"))
			require.Equal(t, rcSuccess, data.Ask(startup))

			// A guest's reset. The answer to the size query is the size in
			// force for the TIS and the CRB alike.
			again := reset(size)
			again[1][1] = "00000000" + size + "00000b5000001000"
			play(t, control, again)
			require.Equal(t, rcSuccess, data.Ask(startup))
			require.Equal(t, "00000000", control.Ask("00000003"))
			assert.Equal(t, "closed", control.Hear())
			assert.Equal(t, "closed", data.Hear())
			assert.Equal(t, swtpm.EndedByShutdown, r.ended())
			r.close()

			assert.Equal(t, []string{
				"poweroff", "poweroff", "set buffer size", "init", "send",
				"poweroff", "poweroff", "set buffer size", "init", "send",
				"poweroff",
			}, device.Names())
			for _, call := range device.Calls() {
				if call.Name == "send" {
					assert.EqualValues(t, 2, call.Locality, "the locality survives INIT")
				}
			}
			assert.Equal(t, []swtpm.EventKind{
				swtpm.EventInit, swtpm.EventStop, swtpm.EventInit, swtpm.EventShutdown,
			}, events)
			assert.False(t, device.Powered())
		})
	}
}

func TestCapabilitiesSatisfyQEMU(t *testing.T) {
	t.Parallel()
	r := serve(t, &transporttest.TPM{}, swtpm.Options{})
	const blobs = swtpm.CapGetStateBlob | swtpm.CapSetStateBlob | swtpm.CapStop
	caps := capabilities(t, r)
	assert.Equal(t, swtpm.QEMURequires, caps&swtpm.QEMURequires)
	assert.EqualValues(t, 0x348F, swtpm.QEMURequires)
	assert.Equal(t, blobs, caps&blobs, "QEMU can migrate")
	assert.NotZero(t, caps&swtpm.CapCancelTPMCmd)
	assert.NotZero(t, caps&swtpm.CapGetInfo)
	assert.NotZero(t, caps&swtpm.CapSendCommandHeader)
}
