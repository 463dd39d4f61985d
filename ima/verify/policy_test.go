package verify_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

// The policies that are built in have thought of every finding.
func TestBuiltInPoliciesNameEveryCode(t *testing.T) {
	t.Parallel()
	for _, name := range verify.PolicyNames() {
		p, err := verify.PolicyByName(name)
		require.NoError(t, err)
		assert.Equal(t, name, p.Name)
		named := map[verify.Code]bool{}
		for _, rule := range p.Rules {
			for _, c := range rule.Findings {
				named[c] = true
			}
		}
		for _, c := range verify.Codes() {
			assert.True(t, named[c.Code], "%s has no rule for %s", name, c.Code)
		}
	}
	_, err := verify.PolicyByName("../strict")
	assert.ErrorContains(t, err, "strict, accept-late, build-bound")
}

// policyText is a policy that is right; the tests break it.
const policyText = `{
  "name": "own", "question": "Is it?", "otherwise": "reject",
  "require": [{"any": ["replay-match"], "else": "cannot-tell", "reason": "so"}],
  "rules": [{"findings": ["violation"], "outcome": "accept", "reason": "they happen"}]
}`

func TestParsePolicy(t *testing.T) {
	t.Parallel()
	p, err := verify.ParsePolicy([]byte(policyText))
	require.NoError(t, err)
	assert.Equal(t, "own", p.Name)
	text, err := json.Marshal(p)
	require.NoError(t, err)
	again, err := verify.ParsePolicy(text)
	require.NoError(t, err)
	assert.Equal(t, p, again)
}

func TestBadPolicies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ old, new, text string }{
		{policyText, "", "byte 0: unexpected EOF"},
		{policyText, "[]", "cannot unmarshal array"},
		{policyText, policyText + "{}", "something follows"},
		{policyText, policyText[:80], "unexpected EOF"},
		{policyText, strings.Repeat("[", 100), "nested more than 8 deep"},
		{policyText, strings.Repeat(" ", 1<<20) + policyText, "at most 1048576"},
		{`"question"`, `"qestion"`, `unknown field "qestion"`},
		{`"question"`, `"Name"`, `key "name" comes twice`},
		{`"name": "own"`, `"name": ""`, "name: there is none"},
		{`"Is it?"`, `""`, "question: there is none"},
		{`"otherwise": "reject"`, `"otherwise": "accept"`, "otherwise: findings without a rule are not accepted"},
		{`"otherwise": "reject",`, ``, "otherwise: findings without a rule are not accepted"},
		{`"otherwise": "reject"`, `"otherwise": "maybe"`, `no outcome "maybe"`},
		{`{"any": ["replay-match"], "else": "cannot-tell", "reason": "so"}`, ``, "requires nothing"},
		{`"cannot-tell"`, `"accept"`, "requirement 1: else"},
		{`"else": "cannot-tell", `, ``, "requirement 1: else"},
		{`["replay-match"]`, `[]`, "requirement 1: any"},
		{`["replay-match"]`, `["replay"]`, `requirement 1: no finding "replay"`},
		{`"reason": "so"`, `"reason": ""`, "requirement 1: reason"},
		{`["violation"]`, `[]`, "rule 1: findings"},
		{`["violation"]`, `["violations"]`, `rule 1: no finding "violations"`},
		{`["violation"]`, `["violation", "violation"]`, "rule 1: violation has a rule already"},
		{`"outcome": "accept", `, ``, "rule 1: outcome"},
		{`"reason": "they happen"`, `"reason": ""`, "rule 1: reason"},
		{`["violation"]`, `["bypass"]`, "rule 1: bypass can be given cannot-tell at best"},
		{`["violation"]`, `["digest-mismatch"]`, "rule 1: digest-mismatch can be given reject at best"},
	} {
		require.Contains(t, policyText, c.old)
		_, err := verify.ParsePolicy([]byte(strings.Replace(policyText, c.old, c.new, 1)))
		var policy *verify.PolicyError
		if assert.ErrorAs(t, err, &policy, "%s → %s", c.old, c.new) {
			assert.Contains(t, err.Error(), c.text)
		}
	}
}

// A policy that was not parsed is no way around what cannot be accepted.
func TestPolicyMadeByHandIsNotMoreLenient(t *testing.T) {
	t.Parallel()
	bypass := verdict(t, newMachine(t).start(early, false).evidence())
	fine := newMachine(t).start(early, true).evidence()
	fine.Build = verify.Build{Strategy: verify.StrategyLate, Bound: true}
	accepted := verdict(t, fine)

	lenient := verify.Policy{Otherwise: verify.Accept, Rules: []verify.Rule{{Findings: []verify.Code{verify.Bypass}, Outcome: verify.Accept}}}
	for _, c := range verify.Codes() {
		if c.Code != verify.Bypass {
			lenient.Rules = append(lenient.Rules, verify.Rule{Findings: []verify.Code{c.Code}, Outcome: verify.Accept})
		}
	}
	assert.Equal(t, verify.CannotTell, lenient.Appraise(bypass).Outcome)
	assert.Equal(t, verify.Accept, lenient.Appraise(accepted).Outcome)
	assert.Equal(t, verify.Reject, new(verify.Policy).Appraise(accepted).Outcome)
	unmet := verify.Policy{Rules: lenient.Rules, Require: []verify.Requirement{{Any: []verify.Code{verify.LateBound}}}}
	assert.Equal(t, verify.Reject, unmet.Appraise(accepted).Outcome)
}

func TestResultSaysWhatDecided(t *testing.T) {
	t.Parallel()
	strict, err := verify.PolicyByName("strict")
	require.NoError(t, err)
	v := verdict(t, verify.Evidence{
		List: open(t, readFile(t, "debian-6.1-file.bin")), PCRs: readPCRs(t, "debian-6.1-file.pcrs.json"), Vouched: true,
		Build: verify.Build{Kernel: verify.Kernel{Release: "6.1"}, Strategy: verify.StrategyLate, Bound: true},
	})
	result := strict.Appraise(v)
	assert.Equal(t, verify.CannotTell, result.Outcome)
	require.Len(t, result.Decided, 1)
	assert.Equal(t, verify.Violation, result.Decided[0].Finding.Code)
	assert.Equal(t, []int{6, 7, 8}, result.Decided[0].Finding.Records)

	acceptLate, err := verify.PolicyByName("accept-late")
	require.NoError(t, err)
	result = acceptLate.Appraise(v)
	assert.Equal(t, verify.Accept, result.Outcome)
	require.Len(t, result.Decided, len(acceptLate.Require), "what met the requirements")
	require.Len(t, result.Tolerated, 1)
	assert.Equal(t, verify.Violation, result.Tolerated[0].Finding.Code)

	v = verdict(t, reported(t, "pcr9-extended-by-userspace"))
	result = acceptLate.Appraise(v)
	assert.Equal(t, verify.Accept, result.Outcome)
	assert.Equal(t, verify.AggregateOfLog, result.Decided[1].Finding.Code, "a caution that meets a requirement")
	assert.Empty(t, result.Tolerated, "it is not repeated")
}

// The words that JSON and flags have for enumerations are read as they are
// written, and others are refused.
func TestWords(t *testing.T) {
	t.Parallel()
	type word interface {
		String() string
		MarshalText() ([]byte, error)
	}
	for _, c := range []struct {
		value word
		text  string
		parse func(text []byte) (word, error)
	}{
		{verify.Failure, "failure", func(b []byte) (word, error) { var s verify.Severity; err := s.UnmarshalText(b); return s, err }},
		{verify.CannotTell, "cannot-tell", func(b []byte) (word, error) { var o verify.Outcome; err := o.UnmarshalText(b); return o, err }},
		{verify.SettingOn, "on", func(b []byte) (word, error) { var s verify.Setting; err := s.UnmarshalText(b); return s, err }},
	} {
		text, err := c.value.MarshalText()
		require.NoError(t, err)
		assert.Equal(t, c.text, string(text))
		again, err := c.parse(text)
		require.NoError(t, err)
		assert.Equal(t, c.value, again)
		_, err = c.parse([]byte("perhaps"))
		assert.ErrorContains(t, err, `"perhaps"; there are`)
		_, err = c.parse(nil)
		assert.Error(t, err)
	}
	assert.Equal(t, "Outcome(0)", verify.Outcome(0).String())
	assert.Equal(t, "Severity(9)", verify.Severity(9).String())
}

// Where the firmware measured nothing, the boot aggregate is compared with the
// PCRs all the same. No sentence claims that it shows more than that.
func TestWordsOfAnAggregateThatShowsNothing(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	for _, bank := range m.Banks() {
		for pcr := range 10 {
			clear(m.pcrs[bank.CryptoID][pcr])
		}
	}
	v, err := verify.Verify(m.start(ima.BootAggregateName, true).evidence())
	require.NoError(t, err)
	for _, name := range verify.PolicyNames() {
		policy, err := verify.PolicyByName(name)
		require.NoError(t, err)
		var text strings.Builder
		require.NoError(t, v.Render(&text))
		result := policy.Appraise(v)
		require.NoError(t, result.Render(&text))
		said := strings.Join(strings.Fields(text.String()), " ")
		assert.Contains(t, said, "the boot aggregate is that of every boot without a measuring firmware and tells nothing of this one")
		assert.NotContains(t, said, "tie", name)
		if name == "accept-late" {
			assert.Contains(t, said, "the boot aggregate has to be that of the PCR values.")
			assert.Contains(t, said, "that which was measured before IMA started, is not asked.")
		} else {
			assert.NotEqual(t, verify.Accept, result.Outcome, name)
		}
	}
}
