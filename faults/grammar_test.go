package faults_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
)

func TestRulesAreReadFromText(t *testing.T) {
	extend, read := uint32(0x182), uint32(0x17E)
	for text, want := range map[string]faults.Rule{
		"PCR_Extend#3: rc=TPM_RC_FAILURE": {When: faults.When{Commands: []uint32{extend}, First: 3, Last: 3}, Do: faults.Answer(0x101)},
		"  tpm2_pcr_extend,PCR_Read#2-5/2 :  rc=retry ": {
			When: faults.When{Commands: []uint32{extend, read}, First: 2, Last: 5, Every: 2}, Do: faults.Answer(0x922)},
		"*: hold=30s":         {Do: faults.HoldBack{Max: 30 * time.Second}},
		"*/10: rc=0x101":      {When: faults.When{Every: 10}, Do: faults.Answer(0x101)},
		"0x20000001#4-: pass": {When: faults.When{Commands: []uint32{0x20000001}, First: 4}, Do: faults.Pass{}},
		"level=kernel..late_sync boot=1: hold": {
			When: faults.When{From: initcall.Kernel, Until: initcall.LateSync, FromBoot: 1, Boots: 1}, Do: faults.HoldBack{}},
		"level=userspace boot=2..: pass": {When: faults.When{From: initcall.Userspace, FromBoot: 2}, Do: faults.Pass{}},
		"level=late: pass":               {When: faults.When{From: initcall.Late, Until: initcall.LateSync}, Do: faults.Pass{}},
		"name=x locality=0,4 handle=0x81000001 pcr=10 session=no client=vtpm after=y p=0.25 times=7 time=1s..2m: pass": {
			Name: "x", Do: faults.Pass{}, When: faults.When{
				Localities: []uint8{0, 4}, Handles: []uint32{0x81000001}, PCRs: []int{10}, Sessions: faults.WithoutSessions,
				Client: "vtpm", After: "y", Chance: 0.25, Times: 7, Since: time.Second, Before: 2 * time.Minute,
			}},
	} {
		got, err := faults.ParseRule(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
		again, err := faults.ParseRule(got.String())
		require.NoError(t, err, got.String())
		assert.Equal(t, got, again, "%s", got)
	}
}

func TestRulesWithMistakesNameTheColumn(t *testing.T) {
	for text, want := range map[string]string{
		"":                                   `column 1: a rule is what it is for`,
		"PCR_Extend":                         `column 11: a rule is`,
		": pass":                             `column 1: nothing says what the rule is for`,
		"PCR_Extended: pass":                 `column 1: there is no command "PCR_Extended"`,
		"level=kernel PCR_Read#0: pass":      `column 14: after # stands`,
		"PCR_Read#5-2: pass":                 `column 1: its last command, 2, comes before its first, 5`,
		"PCR_Read/x: pass":                   `column 1: after / stands`,
		"PCR_Read PCR_Extend: pass":          `column 10: between two commands stands a comma`,
		"PCR_Read,PCR_Read: pass":            `column 1: command PCR_Read is given twice`,
		"colour=red: pass":                   `column 1: there is no word "colour"`,
		"p=0.1  p=0.2: pass":                 `column 8: p is given twice`,
		"p=1: pass":                          `column 1: "1" is not a value of p; it is written as a number above 0 and below 1`,
		"p=NaN: pass":                        `column 1: "NaN" is not a value of p`,
		"times=: pass":                       `column 1: times has no value`,
		"level=lately: pass":                 `column 1: `,
		"level=..: pass":                     `column 1: level=.. has neither`,
		"level=..firmware: pass":             `column 1: no level comes before firmware`,
		"level=late..core: pass":             `column 1: it ends at core`,
		"boot=3..2: pass":                    `column 1: its last boot, 2,`,
		"time=5s: pass":                      `column 1: "5s" is not a value of time; it is written A..B, A.. or ..B`,
		"time=5s..2s: pass":                  `column 1: its end at 2s`,
		"locality=256: pass":                 `column 1: "256" is not a value of locality`,
		"pcr=24: pass":                       `column 1: a PCR is not one of 0 to 23`,
		"session=maybe: pass":                `column 1: "maybe" is not a value of session`,
		"* level=late: pass":                 `column 1: "*" stands alone`,
		"PCR_Read#2-3/9: pass":               `column 1: there is no 9. command`,
		"PCR_Read: explode":                  `column 11: fault "explode": there is no fault "explode"; the faults are `,
		"PCR_Read: rc":                       `column 11: fault "rc": write rc=CODE`,
		"PCR_Read: rc=":                      `write rc=CODE`,
		"PCR_Read: rc=TPM_RC_UNHEARD":        `neither a name`,
		"PCR_Read: rc=0":                     `TPM_RC_SUCCESS without parameters`,
		"PCR_Read: rc=success":               `TPM_RC_SUCCESS without parameters`,
		"PCR_Read: pass=1":                   `pass takes no value`,
		"PCR_Read: hold=":                    `nothing follows the equals sign`,
		"PCR_Read: hold=-3s":                 `not a time`,
		"PCR_Read#99999999999: pass":         `after # stands`,
		"name=a name=b: pass":                `column 8: name is given twice`,
		"PCR_Read#1#2: pass":                 `after # stands`,
		"handle=0x81000001,0x81000001: pass": `is not a value of handle`,
	} {
		_, err := faults.ParseRule(text)
		var syntax *faults.SyntaxError
		require.ErrorAs(t, err, &syntax, text)
		assert.Contains(t, err.Error(), want, text)
	}
}

func TestPlansAreReadFromText(t *testing.T) {
	text := "# two faults\r\nseed 0x7\n\n  PCR_Extend#3: rc=TPM_RC_FAILURE\nname=slow */10: hold=200ms\n"
	plan, err := faults.ParsePlan("x.plan", []byte(text), faults.Plan{Clock: new(initcall.Clock)})
	require.NoError(t, err)
	assert.Equal(t, uint64(7), plan.Seed)
	require.Len(t, plan.Rules, 2)
	assert.Equal(t, "seed 7\nPCR_Extend#3: rc=TPM_RC_FAILURE\nname=slow */10: hold=200ms\n", plan.Text())

	for text, want := range map[string]string{
		"seed x":                            "x.plan:1:1: after seed stands",
		"seed 1\nseed 2":                    "x.plan:2:1: the seed stands in line 1 already",
		"*: pass\nseed 2":                   "x.plan:2:1: the seed stands before the rules",
		"*: pass\n\n PCR_Read#0: rc=1":      "x.plan:3:2: after # stands",
		"*: pass\n#\nPCR_Read: rc=RETRY":    `x.plan:3:1: it is never asked: rule "*: pass" before it`,
		"PCR_Read: rc=1\nPCR_Read: rc=1":    "x.plan:2:1: rule 1 has that name too",
		"*/2: pass\nafter=x PCR_Read: rc=1": `x.plan:2:1: it waits for a rule "x", and there is none`,
		"name=x after=x PCR_Read: rc=1":     "x.plan:1:1: it waits for itself",
		"name=x after=y PCR_Read: rc=1\nname=z after=x PCR_Read: rc=1\nname=y after=z PCR_Read: rc=1": `x.plan:3:1: it waits for rule "z", which waits for this one`,

		"GetRandom pcr=10: rc=1":               "x.plan:1:1: none of its commands has a PCR that a rule can be for: those are PCR_Extend,",
		"GetRandom,Startup handle=0x1: rc=1":   "x.plan:1:1: none of its commands has handles",
		"name=\x1b[31m PCR_Read: rc=1":         "x.plan:1:1: name has a character that cannot be seen",
		"\xff: pass":                           "x.plan:1:1: the line is not UTF-8",
		strings.Repeat("#", 1<<20+1):           "more than 1048576 bytes",
		"level=late: rc=1\nlevel=late#1: pass": "x.plan:2:1: ",
	} {
		given := faults.Plan{Clock: new(initcall.Clock), Seed: 3}
		plan, err := faults.ParsePlan("x.plan", []byte(text), given)
		var syntax *faults.SyntaxError
		require.ErrorAs(t, err, &syntax, text)
		assert.Contains(t, err.Error(), want)
		assert.Equal(t, given, plan, "nothing is changed")
	}
}

// Every word narrows what a rule is for, and nothing else does.
func TestRulesAreForWhatTheyName(t *testing.T) {
	extend10 := unhex("8002" + "00000041" + "00000182" + "0000000a" + "00000009" + "400000090000000000" + "00000001" + "000b" + strings.Repeat("00", 32))
	readPCR10 := unhex("8001" + "00000014" + "0000017e" + "00000001" + "000b03000400")
	readPublic := unhex("8001" + "0000000e" + "00000173" + "81000001")
	for _, test := range []struct {
		rule     string
		locality uint8
		command  []byte
		want     bool
	}{
		{"pcr=10", 0, extend10, true}, {"pcr=9", 0, extend10, false}, {"pcr=9,10", 0, extend10, true},
		{"pcr=10", 0, readPCR10, true}, {"pcr=11", 0, readPCR10, false}, {"pcr=10", 0, getRandom, false},
		{"pcr=10", 0, readPCR10[:17], false}, {"pcr=10", 0, readPCR10[:12], false},
		{"handle=0x81000001", 0, readPublic, true}, {"handle=0x81000002", 0, readPublic, false},
		{"handle=0x81000001", 0, readPublic[:12], false}, {"handle=10", 0, extend10, true},
		{"handle=0x00000001", 0, readPCR10, false},
		{"session=yes", 0, extend10, true}, {"session=no", 0, extend10, false}, {"session=no", 0, getRandom, true},
		{"session=no", 0, []byte{0x80}, false}, {"session=yes", 0, getRandom, false},
		{"locality=3,4", 4, getRandom, true}, {"locality=3,4", 2, getRandom, false},
		{"GetRandom", 0, getRandom, true}, {"GetRandom", 0, selfTest, false}, {"SelfTest,GetRandom", 0, selfTest, true},
		{"GetRandom", 0, getRandom[:9], false}, {"*", 0, nil, true},
	} {
		rule, err := faults.ParseRule(test.rule + ": rc=0x999")
		require.NoError(t, err)
		d := wrap(t, new(bare), faults.Plan{Rules: []faults.Rule{rule}})
		response, err := d.Send(t.Context(), test.locality, test.command)
		require.NoError(t, err)
		assert.Equal(t, test.want, response[8] == 9, "%s of %x at locality %d", test.rule, test.command, test.locality)
	}
}

// fired returns, for n times the same command, which ones a plan answered itself.
func fired(t *testing.T, n int, plan faults.Plan) (list []int) {
	t.Helper()
	d := wrap(t, new(bare), plan)
	for i := range n {
		if send(t, d, getRandom) != success {
			list = append(list, i+1)
		}
	}
	return list
}

func rules(t *testing.T, texts ...string) (rules []faults.Rule) {
	t.Helper()
	for _, text := range texts {
		r, err := faults.ParseRule(text)
		require.NoError(t, err)
		rules = append(rules, r)
	}
	return rules
}

func TestRulesCount(t *testing.T) {
	for _, test := range []struct {
		rules string
		want  []int
	}{
		{"GetRandom#3: rc=1", []int{3}},
		{"GetRandom#3-5: rc=1", []int{3, 4, 5}},
		{"GetRandom#9-: rc=1", []int{9, 10}},
		{"GetRandom#-2: rc=1", []int{1, 2}},
		{"GetRandom/4: rc=1", []int{4, 8}},
		{"GetRandom#3-/4: rc=1", []int{6, 10}},
		{"GetRandom#3-6/4: rc=1", []int{6}},
		{"times=2: rc=1", []int{1, 2}},
		{"*#4- times=1: rc=1", nil}, // replaced below
		{"SelfTest: rc=1", nil},
		{"name=a GetRandom#4: pass|after=a: rc=1", []int{5, 6, 7, 8, 9, 10}},
		{"name=a GetRandom#2: rc=1|GetRandom#2: rc=2", []int{2, 3}}, // the second rule does not see the second command
	} {
		if test.rules == "*#4- times=1: rc=1" {
			test.rules, test.want = "*#4- times=2: rc=1", []int{4, 5}
		}
		list := rules(t, strings.Split(test.rules, "|")...)
		assert.Equal(t, test.want, fired(t, 10, faults.Plan{Rules: list}), test.rules)
	}
}

// The same seed gives the same decisions, another seed others, and a rule's chance does
// not depend on the rules beside it.
func TestChanceIsDrawnFromTheSeed(t *testing.T) {
	rare := rules(t, "name=rare p=0.2: rc=1")
	one := fired(t, 1000, faults.Plan{Rules: rare, Seed: 1})
	assert.Equal(t, one, fired(t, 1000, faults.Plan{Rules: rare, Seed: 1}))
	assert.NotEqual(t, one, fired(t, 1000, faults.Plan{Rules: rare, Seed: 2}))
	assert.InDelta(t, 200, len(one), 60)
	beside := append(rules(t, "name=other SelfTest p=0.5: rc=2"), rare...)
	assert.Equal(t, one, fired(t, 1000, faults.Plan{Rules: beside, Seed: 1}))
	renamed := rules(t, "name=seldom p=0.2: rc=1")
	assert.NotEqual(t, one, fired(t, 1000, faults.Plan{Rules: renamed, Seed: 1}), "two rules with one chance do not fire together")
}

func FuzzParseRule(f *testing.F) {
	for _, k := range faults.Kinds() {
		f.Add(k.Example)
	}
	f.Add("name=rare tpm2_getrandom,0x17e#2-/3 level=kernel..late boot=1..2 time=1s.. locality=3 handle=1 pcr=2 session=yes client=c after=a p=0.5 times=4: hold=2s")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := faults.ParseRule(text)
		if err != nil {
			return
		}
		again, err := faults.ParseRule(r.String())
		if err != nil || again.String() != r.String() {
			t.Errorf("%q is read as %q, which is read as %q, %v", text, r, again, err)
		}
	})
}

func FuzzParsePlan(f *testing.F) {
	f.Add([]byte("# c\nseed 3\nPCR_Extend#3: rc=TPM_RC_FAILURE\nname=slow */10: hold=200ms\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		plan, err := faults.ParsePlan("f", text, faults.Plan{Clock: new(initcall.Clock)})
		if err != nil {
			return
		}
		again, err := faults.ParsePlan("f", []byte(plan.Text()), faults.Plan{Clock: new(initcall.Clock)})
		if err != nil || again.Text() != plan.Text() {
			t.Errorf("%q is read as %q, which is read as %q, %v", text, plan.Text(), again.Text(), err)
		}
	})
}

// The example of every kind is a rule of that kind.
func TestExamplesOfTheKinds(t *testing.T) {
	var words []string
	for _, k := range faults.Kinds() {
		r, err := faults.ParseRule(k.Example)
		require.NoError(t, err, k.Example)
		word, _, _ := strings.Cut(r.Do.String(), "=")
		assert.Equal(t, k.Word, word, k.Example)
		assert.Equal(t, k.Example, r.String(), "an example is written as rules are printed")
		assert.NotEmpty(t, k.Doc)
		assert.NotContains(t, words, k.Word)
		words = append(words, k.Word)
	}
}

func benchmarkRules(b *testing.B, n int) {
	r := rand.New(rand.NewPCG(1, 1))
	var list []faults.Rule
	for i := range n {
		list = append(list, faults.Rule{
			Name: fmt.Sprint(i), Do: faults.Answer(0x101),
			When: faults.When{Commands: []uint32{0x200 + r.Uint32N(1000)}, Times: 1},
		})
	}
	d, err := faults.Wrap(constant{unhex(success)}, faults.Plan{Rules: list})
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = d.Send(b.Context(), 0, selfTest)
	}
}

func BenchmarkNoRuleMatches(b *testing.B) {
	for _, n := range []int{0, 1, 10, 1000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) { benchmarkRules(b, n) })
	}
}

func TestRulesChangeWhileTheLayerRuns(t *testing.T) {
	d := wrap(t, new(chip), faults.Plan{Rules: rules(t, "name=a GetRandom#1: rc=1")})
	l, ok := faults.Of(d)
	require.True(t, ok)
	names := func() (names []string) {
		for _, r := range l.Rules() {
			names = append(names, r.Name)
		}
		return names
	}
	assert.NotEqual(t, success, send(t, d, getRandom))
	require.NoError(t, l.Add(rules(t, "name=b after=a SelfTest: rc=2")...))
	assert.Equal(t, []string{"a", "b"}, names())
	assert.Equal(t, uint64(1), l.Rules()[0].Fired, "a rule keeps its counts")
	assert.NotEqual(t, success, send(t, d, selfTest), "b knows that a has fired")

	var wrong *faults.PlanError
	require.ErrorAs(t, l.Add(rules(t, "name=c *: pass", "name=d *: pass")...), &wrong)
	require.ErrorAs(t, l.Add(rules(t, "name=b *: pass")...), &wrong)
	require.ErrorAs(t, l.Remove("a"), &wrong, "b waits for it")
	assert.Equal(t, []string{"a", "b"}, names())

	var unknown *faults.UnknownRuleError
	require.ErrorAs(t, l.Remove("x"), &unknown)
	require.ErrorAs(t, l.Enable("x", true), &unknown)
	require.NoError(t, l.Enable("b", false))
	assert.Equal(t, success, send(t, d, selfTest))
	assert.True(t, l.Rules()[1].Disabled)
	require.NoError(t, l.Enable("b", true))
	assert.NotEqual(t, success, send(t, d, selfTest))
	require.NoError(t, l.Remove("b"))
	require.NoError(t, l.Remove("a"))
	assert.Empty(t, l.Rules())
	assert.Equal(t, success, send(t, d, selfTest))
	_, ok = faults.Of(new(chip))
	assert.False(t, ok)
}
