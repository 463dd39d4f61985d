package attest

import (
	"context"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/transport/ask"
)

// answers is a TPM that always says the same.
type answers []byte

func (a answers) Send(context.Context, uint8, []byte) ([]byte, error) { return a, nil }

// What is no response of a TPM is an error that names the command.
func TestResponsesOfNoTPM(t *testing.T) {
	for name, tc := range map[string]struct{ response, says string }{
		"empty":      {"", "TPM2_GetCapability: the answer is no response of a TPM: 0 bytes"},
		"short":      {"80010000000a00", "7 bytes, which the header does not announce"},
		"refused":    {"80010000000a00000101", "TPM_RC_FAILURE"},
		"tag":        {"80020000000a00000000", "tag 0x8002"},
		"cut":        {"80010000000e0000000000000000", "ends too early"},
		"capability": {"80010000001300000000000000000600000000", "capability 6"},
		"count":      {"800100000013000000000000000005ffffffff", "announces too much"},
		"no bits":    {"800100000016000000000000000005000000010004ff", "ends too early"},
	} {
		response, err := hex.DecodeString(tc.response)
		require.NoError(t, err)
		_, err = ReadPCRs(t.Context(), answers(response))
		assert.ErrorContains(t, err, tc.says, name)
	}
	_, err := ReadPCRs(t.Context(), answers{0x80, 1, 0, 0, 0, 10, 0, 0, 1, 0})
	assert.ErrorIs(t, err, wire.RCInitialize)
}

// turns answers one after the other, the last one again and again.
type turns struct{ list [][]byte }

func (s *turns) Send(context.Context, uint8, []byte) ([]byte, error) {
	answer := s.list[0]
	if len(s.list) > 1 {
		s.list = s.list[1:]
	}
	return answer, nil
}

// Whatever a TPM answers, a question ends, with values or with an error.
func FuzzTPMResponses(f *testing.F) {
	banks, _ := hex.DecodeString("800100000019000000000000000005000000010027030f0000")
	read, _ := hex.DecodeString("80010000003e00000000000000010000000100270301000000000001" + "0020" +
		"1111111111111111111111111111111111111111111111111111111111111111")
	f.Add(banks, read)
	f.Add(read, banks)
	f.Fuzz(func(t *testing.T, first, second []byte) {
		_, _ = ReadPCRs(t.Context(), &turns{[][]byte{first, second}})
		if c, err := New(t.Context(), &turns{[][]byte{first, second}}); err == nil {
			for kind := range kinds {
				_, _ = c.Quote(AttestationKey(kind), nil, 10)
			}
		}
		if c := (&TPM{ctx: t.Context(), tpm: ask.TPM{Device: answers(second)}}); c.NonceMax() > 66 {
			t.Error("longer than any")
		}
		for kind := range kinds {
			_, _ = AttestationKey(kind).publicPEM(second)
		}
	})
}
