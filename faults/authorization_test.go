package faults_test

import (
	"bytes"
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
)

// script is a device that answers each command with the same bytes.
type script struct{ response []byte }

func (s *script) Send(context.Context, uint8, []byte) ([]byte, error) {
	return bytes.Clone(s.response), nil
}

// Whatever command and response are: faults that read them leave what they do not
// understand, and keep the size that they found.
func FuzzFaultsReadCommandsAndResponses(f *testing.F) {
	for _, seed := range [][2]string{
		{"80020000001b0000017b" + "00000009" + "02000000" + "0000000000" + "0008", "80020000001d00000000" + "00000004" + "00020102" + "0004aaaaaaaa010001ff"},
		{"8001000000160000017a" + "000000060000010000000002", "80010000001b00000000" + "01" + "00000006" + "00000001" + "0000010032302e30"},
		{"8001000000160000017a" + "000000050000000000000002", "80010000001900000000" + "00" + "00000005" + "00000001" + "000b03ffffff"},
		{"80020000002000000131" + "40000007" + "00000009" + "400000090000000000" + "000400000000" + "0000", "80010000000a00000000"},
		{"80010000001c00000161" + "00000000000000018000000040000007" + "0000", "80010000000e0000000080000001"},
		{"80010000000e00000162" + "80000001", "80010000001c00000000" + "00000000000000018000000040000007" + "0000"},
	} {
		f.Add(unhex(seed[0]), unhex(seed[1]))
	}
	f.Fuzz(func(t *testing.T, command, response []byte) {
		for _, fault := range []string{"hmac", "nonce", "identity", "failure", "testing=1h", "capability=duplicate", "capability=reverse", "capability=more", "capability=empty"} {
			d := wrap(t, &script{response}, faults.Plan{Rules: rules(t, "*: "+fault)})
			for range 2 {
				given := bytes.Clone(command)
				_, err := d.Send(t.Context(), 0, command)
				require.NoError(t, err)
				require.Equal(t, given, command, "a command is its sender's")
			}
		}
	})
}
