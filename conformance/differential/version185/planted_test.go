package version185_test

import (
	"bytes"
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/version185"
	"github.com/swtpmd/swtpmd/transport"
)

// twisted is a TPM whose answers are changed.
type twisted struct {
	transport.Device
	answer func(command, response []byte) []byte
}

func (d twisted) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	response, err := d.Device.Send(ctx, locality, command)
	if err == nil {
		response = d.answer(command, response)
	}
	return response, err
}

// answering makes TPMs whose answers are changed.
func answering(t *testing.T, answer func(command, response []byte) []byte) *conversation.Target {
	plain := target(t)
	return &conversation.Target{Name: "twisted", Fresh: func(ctx context.Context) (transport.Device, error) {
		device, err := plain.Fresh(ctx)
		return twisted{device, answer}, err
	}}
}

// A change of any kind in the answers to one command is found.
func TestPlantedFaultsAreFound(t *testing.T) {
	t.Parallel()
	succeeded := func(response []byte) bool { return len(response) > conformance.HeaderSize }
	flip := func(at func(response []byte) int) func([]byte) {
		return func(response []byte) {
			if succeeded(response) && response[1] == 1 { // without sessions, whose HMAC would tell
				response[at(response)] ^= 1
			}
		}
	}
	last := flip(func(response []byte) int { return len(response) - 1 })
	for name, c := range map[string]struct {
		code   uint32
		change func(response []byte)
		from   uint64 // seed at which it is found now: what is rare would take long
	}{
		"a ciphertext":                   {0x1a7, last, 1},
		"a shared secret":                {0x1a7, flip(func([]byte) int { return conformance.HeaderSize + 5 }), 1},
		"a decapsulated secret":          {0x1a8, func(r []byte) { sessioned(r, func(p []byte) { p[len(p)-1] ^= 1 }) }, 1},
		"a signature of a message":       {0x1a4, func(r []byte) { sessioned(r, func(p []byte) { p[len(p)-1] ^= 1 }) }, 1},
		"a signature of a digest":        {0x1a6, func(r []byte) { sessioned(r, func(p []byte) { p[len(p)-1] ^= 1 }) }, 5},
		"the algorithm of a signature":   {0x1a6, func(r []byte) { sessioned(r, func(p []byte) { p[1] ^= 1 }) }, 5},
		"the hierarchy of a ticket":      {0x1a5, flip(func([]byte) int { return conformance.HeaderSize + 5 }), 1},
		"the hash in a ticket":           {0x1a5, flip(func([]byte) int { return conformance.HeaderSize + 7 }), 1},
		"a public key":                   {0x173, flip(func([]byte) int { return conformance.HeaderSize + 40 }), 1},
		"a quote":                        {0x158, func(r []byte) { sessioned(r, func(p []byte) { p[len(p)-1] ^= 1 }) }, 1},
		"a new wrapper":                  {0x152, func(r []byte) { sessioned(r, func(p []byte) { p[len(p)-1] ^= 1 }) }, 1},
		"a credential from inside":       {0x168, last, 1},
		"a credential from outside":      {0x147, func(r []byte) { sessioned(r, func(p []byte) { p[len(p)-1] ^= 1 }) }, 1},
		"a policy":                       {0x189, last, 1},
		"the code of a lost credential":  {0x147, func(r []byte) { code(r, 0x1df, 0x1db) }, 1},
		"the code of a wrong ticket":     {0x16a, func(r []byte) { code(r, 0x4c4, 0x4e0) }, 12},
		"the code of a key that is none": {0x1a7, func(r []byte) { code(r, 0x19c, 0x182) }, 1},
		"the code of another key":        {0x1a4, func(r []byte) { code(r, 0x2ad, 0x29c) }, 21},
		"the code of a wrong signature":  {0x1a3, func(r []byte) { code(r, 0x1db, 0x1d2) }, 1},
		"the code of a one-shot":         {0x15c, func(r []byte) { code(r, 0x1ac, 0x189) }, 16},
		"a code without its parameter":   {0x131, func(r []byte) { code(r, 0x2ea, 0xea) }, 9},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			planted := answering(t, func(command, response []byte) []byte {
				if got, _ := conformance.CommandCode(command); got != c.code {
					return response
				}
				response = bytes.Clone(response)
				c.change(response)
				return response
			})
			var finding *version185.Finding
			for seed := c.from; seed < c.from+60; seed++ {
				_, err := version185.Play(t.Context(), planted, seed, packets)
				if errors.As(err, &finding) {
					break
				}
				require.NoError(t, err)
			}
			require.NotNil(t, finding, "nothing was found")
			if finding.Command != "Decapsulate" { // where the TPM alone has the key, it is asked for the secret
				assert.Equal(t, conformance.CommandName(c.code), finding.Command, finding.Detail)
			}
			assert.Len(t, finding.Script, finding.Packet)
		})
	}
}

// sessioned changes the parameters of an answer with one password session, or two.
func sessioned(response []byte, change func(parameters []byte)) {
	const head = conformance.HeaderSize + 4
	if len(response) <= head || response[1] != 2 {
		return
	}
	parsed, err := conformance.ParseResponse(0x1a6, response) // which has no handle
	if err != nil {
		return
	}
	for _, s := range parsed.Sessions {
		if len(s.HMAC) > 0 {
			return
		}
	}
	change(parsed.Parameters)
}

// code replaces a response code, the number of a session or parameter included.
func code(response []byte, from, to uint16) {
	if len(response) == conformance.HeaderSize && uint16(response[8])<<8|uint16(response[9]) == from {
		response[8], response[9] = byte(to>>8), byte(to)
	}
}

// The same seed gives the same commands, and a TPM with the same entropy the same answers.
func TestSameSeedSameBytes(t *testing.T) {
	t.Parallel()
	var runs [2][]byte
	for i := range runs {
		recording := answering(t, func(command, response []byte) []byte {
			runs[i] = append(append(runs[i], command...), response...)
			return response
		})
		_, err := version185.Play(t.Context(), recording, 9, packets)
		require.NoError(t, err)
	}
	assert.Equal(t, runs[0], runs[1])
	assert.Greater(t, len(runs[0]), 100*packets)
}
