//go:build linux

package differential_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/known"
	"github.com/swtpmd/swtpmd/transport"
)

const hmacSession, owner = 0x02000000, 0x40000001

// startHMAC is StartAuthSession without key and bind, SHA-256.
func startHMAC() conversation.Step {
	p := conformance.Packet{Code: 0x176, Handles: []uint32{0x40000007, 0x40000007}}
	p.Parameters = conformance.AppendSized(nil, bytes.Repeat([]byte{1}, 32))
	p.Parameters = append(p.Parameters, 0, 0, 0, 0, 0x10, 0, 0x0b)
	return conversation.Step{Action: conversation.Send, Data: p.Bytes()}
}

// ownerAuth is HierarchyChangeAuth(owner) by the session, authorized with old.
func ownerAuth(old, next string, attributes uint8) conversation.Step {
	p := conformance.Packet{
		Code: 0x129, Handles: []uint32{owner},
		Sessions: []conformance.Session{{
			Handle: hmacSession, Nonce: bytes.Repeat([]byte{2}, 16), Attributes: attributes, HMAC: make([]byte, 32),
		}},
		Parameters: conformance.AppendSized(nil, []byte(next)),
	}
	return conversation.Step{
		Action: conversation.SendHMAC, Data: p.Bytes(),
		Secrets: []conversation.Secret{{Session: 1, Auth: []byte(old)}},
	}
}

func startupStep() conversation.Step {
	p := conformance.Packet{Code: 0x144, Parameters: []byte{0, 0}}
	return conversation.Step{Action: conversation.Send, Data: p.Bytes()}
}

func TestHMACSessionsWorkOnTheReferences(t *testing.T) {
	t.Parallel()
	script := conversation.Script{
		startupStep(), startHMAC(),
		ownerAuth("", "first", conformance.ContinueSession),
		ownerAuth("first", "second", conformance.ContinueSession),
		ownerAuth("wrong", "third", conformance.ContinueSession),
		ownerAuth("second", "fourth", 0), // the session ends
		ownerAuth("fourth", "fifth", 0),
	}
	const success, badAuth, referenceS0 = 0, 0x9a2, 0x918
	want := []uint32{success, success, success, success, badAuth, success, referenceS0}
	for name, target := range map[string]func(*testing.T) conversation.Target{"simulator": simulated, "swtpm": swtpm} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read, err := conversation.ReadScript(strings.NewReader(script.String()))
			require.NoError(t, err)
			require.Equal(t, script, read, "a transcript keeps the secrets")
			reference := target(t)
			outcomes, err := reference.Play(context.Background(), read)
			require.NoError(t, err)
			for i, outcome := range outcomes {
				code, ok := conformance.ResponseCode(outcome.Response)
				require.True(t, ok)
				assert.Equal(t, want[i], code, "step %d: %s", i, outcome)
				assert.Empty(t, outcome.Problem, "step %d", i)
			}
		})
	}
}

// forger is a device that answers with HMACs of its own making.
type forger struct{ transport.Device }

func (f forger) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	raw, err := f.Device.Send(ctx, locality, command)
	code, _ := conformance.CommandCode(command)
	if response, bad := conformance.ParseResponse(code, raw); err == nil && bad == nil {
		for _, s := range response.Sessions {
			if len(s.HMAC) > 0 {
				s.HMAC[0] ^= 1 // a slice of raw
			}
		}
	}
	return raw, err
}

func TestAForgedHMACIsFound(t *testing.T) {
	t.Parallel()
	honest := simulated(t)
	forged := honest
	forged.Seeded = nil
	forged.Fresh = func(ctx context.Context) (transport.Device, error) {
		device, err := honest.Fresh(ctx)
		return forger{device}, err
	}
	script := conversation.Script{startupStep(), startHMAC(), ownerAuth("", "first", conformance.ContinueSession)}
	outcomes, err := forged.Play(context.Background(), script)
	require.NoError(t, err)
	assert.NotEmpty(t, outcomes[2].Problem)

	report, err := differential.Campaign{Ours: forged, Theirs: honest, OneDevice: true, Seed: seed, Sequences: 20, MaxFindings: 3, Known: known.Differences()}.Run(context.Background())
	require.ErrorIs(t, err, differential.ErrTooManyFindings)
	for _, finding := range report.Findings {
		assert.Contains(t, finding.Detail, "the HMAC in the answer is wrong", finding.Transcript)
		assert.Contains(t, finding.Transcript, "send-hmac")
	}
}

// A session without an HMAC, which authorizes what has no authValue, encrypts with
// an empty key.
func TestAnswersAreDecryptedWithoutAnHMAC(t *testing.T) {
	t.Parallel()
	const script = `send 0 80010000000c000001440000 # Startup
3: send 0 80010000002d0000017640000007400000070010518c71da613afb396850a5286134192d000000000a000b000b # StartAuthSession
send 0 80020000007e000001314000000b00000019{3.0}0010e9fe93ba4e56aa0595a15a7da782d7e54100000034000e5d6e496202416f78aa25d40f1a8c0022cb93dc8a893440057d9507b6831164f09273106d5933e6100af0d1157c128c027c2a000e0008000b00000452000000100000000715df9619f82b4000000000 # CreatePrimary
`
	for name, target := range map[string]func(*testing.T) conversation.Target{"simulator": simulated, "swtpm": swtpm} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			read, err := conversation.ReadScript(strings.NewReader(script))
			require.NoError(t, err)
			reference := target(t)
			outcomes, err := reference.Play(context.Background(), read)
			require.NoError(t, err)
			code, _ := conformance.ResponseCode(outcomes[2].Response)
			require.Zero(t, code, outcomes[2])
			assert.Empty(t, outcomes[2].Problem)
		})
	}
}
