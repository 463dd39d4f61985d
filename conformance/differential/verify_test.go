package differential_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential"
)

// lastBitOf flips the last bit of the n-th TPM2B of a success, counted from 0,
// before which there are no other parameters.
func lastBitOf(response []byte, n int, handle bool) {
	at := conformance.HeaderSize
	if handle {
		at += 4
	}
	if response[1] == 2 { // TPM_ST_SESSIONS: parameterSize
		at += 4
	}
	for ; at+2 <= len(response); n-- {
		size := int(response[at])<<8 | int(response[at+1])
		at += 2 + size
		if n == 0 && size > 0 && at <= len(response) {
			response[at-1] ^= 1
		}
		if n == 0 {
			return
		}
	}
}

// Faults in what only the caller can judge, because it is random or different on
// the other device anyway.
func TestAnswersAreJudged(t *testing.T) {
	t.Parallel()
	for code, f := range map[uint32]struct {
		command, detail string
		n               int // which TPM2B
		handle          bool
	}{
		0x14a: {"CertifyCreation", "", 0, false},
		0x14c: {"GetTime", "", 0, false},
		0x14d: {"GetSessionAuditDigest", "", 0, false},
		0x153: {"Create", "creation hash", 3, false},
		0x157: {"Load", "name", 0, true},
		0x158: {"Quote", "", 0, false},
		0x173: {"ReadPublic", "qualified name", 2, false},
		0x184: {"NV_Certify", "", 0, false},
		0x189: {"PolicyGetDigest", "policy digest", 0, false},
		0x148: {"Certify", "", 0, false},
	} {
		t.Run(f.command, func(t *testing.T) {
			t.Parallel()
			wrong := answering(func(_ uint8, command, response []byte) []byte {
				ok, answered := conformance.ResponseCode(response)
				if c, _ := conformance.CommandCode(command); c == code && answered && ok == 0 {
					lastBitOf(response, f.n, f.handle)
				}
				return response
			})
			campaign := differential.Campaign{Ours: wrong, Theirs: emulated(), Seed: seed, Packets: 1500, Sequences: 40, MaxFindings: 1000}
			report := runUntil(t, campaign, func(found differential.Finding) bool {
				return found.Command == f.command && strings.HasPrefix(found.Detail, "ours alone: "+f.detail)
			})
			assert.NotNil(t, findingOf(report, f.command, "ours alone: "+f.detail))
			for _, found := range report.Findings {
				assert.NotContains(t, found.Detail, "theirs alone", "the honest device is believed")
			}
		})
	}
}
