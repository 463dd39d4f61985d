package verify_test

import (
	"encoding/json"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

func FuzzAttest(f *testing.F) {
	for _, name := range []string{"ecdsa-p256-sha256", "ecdsa-p384-sha384", "rsassa-sha256", "rsapss-sha256-reset"} {
		q := readQuote(f, name)
		f.Add(q.Attest)
		f.Add(q.Signature)
	}
	f.Add(cat(be16(0x00a1), be16(3), []byte{1, 2, 3}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var at *verify.AttestError
		if a, err := verify.ParseAttest(b); err != nil {
			require.ErrorAs(t, err, &at)
			require.LessOrEqual(t, at.Offset, len(b))
		} else {
			require.LessOrEqual(t, len(a.Selections), 16)
		}
		if s, err := verify.ParseSignature(b); err != nil {
			require.ErrorAs(t, err, &at)
			require.LessOrEqual(t, at.Offset, len(b))
		} else {
			require.NotEmpty(t, s.String())
		}
	})
}

func FuzzEventLog(f *testing.F) {
	f.Add(firmware())
	f.Add(newAgileLog(twoBanks()).say("StartupLocality\x00\x03").measure(0, evSCRTM, "1.0").buf)
	f.Add(new(logWriter).measure(0, evSCRTM, "1.0").measure(4, evIPL, "x").buf)
	f.Fuzz(func(t *testing.T, b []byte) {
		log, err := verify.ParseEventLog(b)
		if err != nil {
			var at *verify.EventLogError
			require.ErrorAs(t, err, &at)
			require.LessOrEqual(t, at.Offset, int64(len(b)))
			return
		}
		end := int64(0)
		for i, e := range log.Events {
			require.Equal(t, i+1, e.Number)
			require.GreaterOrEqual(t, e.Offset, end)
			end = e.Offset + int64(len(e.Data))
			require.Len(t, e.Digests, len(log.Algorithms))
		}
		require.LessOrEqual(t, end, int64(len(b)))
		for _, a := range log.Algorithms {
			for pcr, value := range log.Replay(a.Bank) {
				require.Len(t, value, a.Bank.Size(), "PCR %d", pcr)
			}
		}
	})
}

func FuzzPolicy(f *testing.F) {
	f.Add([]byte(policyText))
	for _, name := range verify.PolicyNames() {
		p, err := verify.PolicyByName(name)
		require.NoError(f, err)
		text, err := json.Marshal(p)
		require.NoError(f, err)
		f.Add(text)
	}
	bypass := verdict(f, newMachine(f).start(early, false).evidence())
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := verify.ParsePolicy(b)
		if err != nil {
			var policy *verify.PolicyError
			require.ErrorAs(t, err, &policy)
			return
		}
		assert.NotEqual(t, verify.Accept, p.Appraise(bypass).Outcome, "no policy accepts a list in TPM-bypass")
		text, err := json.Marshal(p)
		require.NoError(t, err)
		again, err := verify.ParsePolicy(text)
		require.NoError(t, err)
		require.Equal(t, p.Name, again.Name)
	})
}

// Evidence of which nothing is to be believed: whatever it is, Verify gives a
// verdict that can be shown, and no policy accepts it unless the list leads to
// what the TPM has quoted.
func FuzzVerify(f *testing.F) {
	const name = "ecdsa-p256-sha256"
	genuine := readQuote(f, name)
	pcrs, log, list := readPCRs(f, "quotes/pcrs.json"), readFile(f, "quotes/eventlog.bin"), readFile(f, "quotes/list.bin")
	f.Add(list, genuine.Attest, genuine.Signature, log, uint8(0))
	f.Add(list[:300], genuine.Attest, genuine.Signature, log[:100], uint8(7))
	f.Add(readFile(f, "debian-6.1-file.ascii"), []byte(nil), []byte(nil), []byte(nil), uint8(17))
	f.Add(readFile(f, "powervm_7.1.0-rc1_ima-sig_derived_binary_runtime_measurements.bin")[:1200], genuine.Attest, genuine.Signature, log, uint8(5))
	var policies []*verify.Policy
	for _, name := range verify.PolicyNames() {
		p, err := verify.PolicyByName(name)
		require.NoError(f, err)
		policies = append(policies, p)
	}
	strategies := append(verify.Strategies(), verify.StrategyUnknown)
	f.Fuzz(func(t *testing.T, list, attest, signature, log []byte, build uint8) {
		reader, err := ima.Open(list, ima.Format{MaxData: 1 << 20})
		require.NoError(t, err)
		e := verify.Evidence{
			List: reader, PCRs: pcrs, EventLog: log,
			Quote: &verify.Quote{Attest: attest, Signature: signature, Key: genuine.Key, Nonce: nonce},
			Build: verify.Build{Strategy: strategies[int(build)%len(strategies)], Bound: build&16 != 0},
		}
		v, failed := verify.Verify(e)
		require.NotNil(t, v)
		_, err = json.Marshal(v)
		require.NoError(t, err)
		require.NoError(t, v.Render(io.Discard))
		accepted := false
		for _, p := range policies {
			result := p.Appraise(v)
			require.NoError(t, result.Render(io.Discard))
			accepted = accepted || result.Outcome == verify.Accept
		}
		if failed != nil {
			var input *verify.InputError
			require.True(t, errors.As(failed, &input))
			require.False(t, accepted, "accepted in spite of %v", failed)
		}
		if accepted {
			require.Equal(t, genuine.Attest, attest, "only the TPM's quote can be accepted")
			again, err := ima.Open(list, ima.Format{})
			require.NoError(t, err)
			c, err := ima.Compare(again, ima.PCRs{ima.SHA256: pcrs[ima.SHA256]})
			require.NoError(t, err)
			require.True(t, c.Match())
		}
	})
}
