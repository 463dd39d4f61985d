package verify_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/verify"
)

const (
	early = ima.BootAggregateName
	late  = ima.BootAggregateLateName

	all = "accept accept accept"
)

// What may be concluded, case by case: what a kernel of a strategy leaves
// behind, and what is known of it. Outcomes are those of strict, accept-late
// and build-bound.
func TestConclusions(t *testing.T) {
	t.Parallel()
	gap := []string{"/sbin/modprobe", "/lib/libc.so.6"}
	for _, c := range []struct {
		name  string
		boot  func(m *machine)
		build verify.Build
		// shows are the findings that are more than notes.
		shows    []verify.Code
		outcomes string
	}{{
		"B of the PCRs, late by build",
		func(m *machine) { m.start(early, true).exec("/sbin/init") },
		verify.Build{Strategy: verify.StrategyLate, Bound: true},
		nil, all,
	}, {
		"B of the PCRs, option off by build",
		func(m *machine) { m.start(early, true).exec("/sbin/init") },
		verify.Build{InitLateSync: verify.SettingOff, Bound: true},
		nil, all,
	}, {
		"B of the PCRs, build not bound",
		func(m *machine) { m.start(early, true).exec("/sbin/init") },
		verify.Build{Strategy: verify.StrategyLate},
		[]verify.Code{verify.BuildUnbound, verify.OnTimeClaimed}, "cannot-tell accept cannot-tell",
	}, {
		"B of the PCRs, nothing known of the kernel",
		func(m *machine) { m.start(early, true).exec("/sbin/init") },
		verify.Build{},
		[]verify.Code{verify.TimingUnknown}, "cannot-tell accept cannot-tell",
	}, {
		"B zero, PCR at reset",
		func(m *machine) { m.start(early, false).exec("/sbin/init") },
		verify.Build{Strategy: verify.StrategyLate, Bound: true},
		[]verify.Code{verify.Bypass}, "reject cannot-tell cannot-tell",
	}, {
		"B zero, the list extended by something else",
		func(m *machine) {
			m.start(early, false).exec("/sbin/init")
			for _, rec := range m.records() {
				m.extend(rec)
			}
		},
		verify.Build{Strategy: verify.StrategyLate, Bound: true},
		[]verify.Code{verify.ZeroLiveTPM}, "cannot-tell cannot-tell cannot-tell",
	}, {
		"B zero, something else in the PCR",
		func(m *machine) {
			m.start(early, false).exec("/sbin/init")
			m.extend(m.records()[1])
		},
		verify.Build{Strategy: verify.StrategyLate, Bound: true},
		[]verify.Code{verify.ZeroUnmatched, verify.ReplayMismatch, verify.ReplayMismatch}, "reject reject reject",
	}, {
		"B zero, something else in the PCR of one bank",
		func(m *machine) {
			m.start(early, false).exec("/sbin/init")
			m.pcrs[ima.SHA1][10][0] = 1
		},
		verify.Build{Strategy: verify.StrategyLate, Bound: true},
		[]verify.Code{verify.ZeroUnmatched, verify.ReplayMismatch, verify.PCRAtReset}, "reject reject reject",
	}, {
		"BL, the option is in the build",
		func(m *machine) { m.start(late, true).exec("/sbin/init") },
		verify.Build{InitLateSync: verify.SettingOn, Bound: true},
		[]verify.Code{verify.LateBound}, "reject accept accept",
	}, {
		"BL zero, the option is in the build",
		func(m *machine) { m.start(late, false).exec("/sbin/init") },
		verify.Build{InitLateSync: verify.SettingOn, Bound: true},
		[]verify.Code{verify.Bypass, verify.LateBound}, "reject cannot-tell cannot-tell",
	}, {
		"BL, the option is said to be in the build",
		func(m *machine) { m.start(late, true).exec("/sbin/init") },
		verify.Build{InitLateSync: verify.SettingOn},
		[]verify.Code{verify.BuildUnbound, verify.LateClaimed}, "reject accept cannot-tell",
	}, {
		"BL of a kernel that retries",
		func(m *machine) { m.start(late, true).exec("/sbin/init") },
		verify.Build{Strategy: verify.StrategyRetry, Bound: true},
		[]verify.Code{verify.LateClaimed}, "reject accept cannot-tell",
	}, {
		"B of a kernel that retries",
		func(m *machine) { m.start(early, true).exec("/sbin/init") },
		verify.Build{Strategy: verify.StrategyRetry, Bound: true},
		[]verify.Code{verify.OnTimeClaimed}, "cannot-tell accept cannot-tell",
	}, {
		"B of a kernel with the option, not known how set",
		func(m *machine) { m.start(early, true).exec("/sbin/init") },
		verify.Build{Strategy: verify.StrategyKconfig, Bound: true},
		[]verify.Code{verify.OnTimeClaimed}, "cannot-tell accept cannot-tell",
	}, {
		"B of a kernel whose option names it BL",
		func(m *machine) { m.start(early, true).exec("/sbin/init") },
		verify.Build{InitLateSync: verify.SettingOn, Bound: true},
		[]verify.Code{verify.NameContradicts}, "reject reject reject",
	}, {
		"BL of a kernel without the option",
		func(m *machine) { m.start(late, true).exec("/sbin/init") },
		verify.Build{Kernel: verify.Kernel{Release: "6.1"}},
		[]verify.Code{verify.NameContradicts}, "reject reject reject",
	}, {
		"B at late_sync by build",
		func(m *machine) { m.start(early, true).exec("/sbin/init") },
		verify.Build{Strategy: verify.StrategyLateSync, Bound: true},
		[]verify.Code{verify.LateBound}, "reject accept accept",
	}, {
		"B and BL, records between",
		func(m *machine) { m.start(early, true).exec(gap...).aggregate(late).exec("/sbin/init") },
		verify.Build{Strategy: verify.StrategyDual, Bound: true},
		[]verify.Code{verify.SeveralAggregates, verify.GapUnproven}, "cannot-tell accept cannot-tell",
	}, {
		"B zero and BL zero, records between",
		func(m *machine) { m.start(early, false).exec(gap...).aggregate(late).exec("/sbin/init") },
		verify.Build{Strategy: verify.StrategyDual, Bound: true},
		[]verify.Code{verify.SeveralAggregates, verify.Bypass, verify.GapUnproven}, "reject cannot-tell cannot-tell",
	}, {
		"B alone of a kernel that records two",
		func(m *machine) { m.start(early, true).exec("/sbin/init") },
		verify.Build{Strategy: verify.StrategyDual, Bound: true},
		[]verify.Code{verify.NameContradicts}, "reject reject reject",
	}, {
		"B alone of a kernel that queues",
		func(m *machine) { m.start(early, true).exec("/sbin/init") },
		verify.Build{Strategy: verify.StrategyQueue, Bound: true},
		[]verify.Code{verify.GapUnproven}, "cannot-tell accept cannot-tell",
	}, {
		"BL alone of a kernel that queues",
		func(m *machine) { m.start(late, true).exec(gap...).exec("/sbin/init") },
		verify.Build{Strategy: verify.StrategyQueue, Bound: true},
		[]verify.Code{verify.GapUnproven}, "cannot-tell accept cannot-tell",
	}, {
		"B and BL of a kernel that queues, extended late",
		func(m *machine) { m.start(early, true).exec(gap...).aggregate(late).exec("/sbin/init") },
		verify.Build{Strategy: verify.StrategyQueue, Bound: true},
		[]verify.Code{verify.SeveralAggregates, verify.GapUnproven}, "cannot-tell accept cannot-tell",
	}, {
		"B of a kernel that denies",
		func(m *machine) { m.start(early, true).exec("/sbin/init") },
		verify.Build{Strategy: verify.StrategyDeny, Bound: true},
		nil, all,
	}, {
		"B of a kernel that waits for a notifier",
		func(m *machine) { m.start(early, true).exec("/sbin/init") },
		verify.Build{Strategy: verify.StrategyNotifier, Bound: true},
		[]verify.Code{verify.TimingUnknown}, "cannot-tell accept cannot-tell",
	}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			c.boot(m)
			e := m.evidence()
			e.Build = c.build
			v := verdict(t, e)
			assert.Equal(t, c.shows, codes(v))
			assert.Equal(t, c.outcomes, outcomes(t, v))
			assert.Equal(t, c.outcomes == all, v.Has(verify.OnTimeBound) || v.Has(verify.DeniedBound))
		})
	}
}

// The sentences say what the codes say.
func TestTimingSentences(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		build verify.Build
		code  verify.Code
		text  string
	}{
		{early, verify.Build{}, verify.TimingUnknown, "nothing is known of the kernel's build"},
		{early, verify.Build{Strategy: verify.StrategyNotifier, Bound: true}, verify.TimingUnknown, "the build starts IMA when a TPM registers"},
		{early, verify.Build{Strategy: verify.StrategyLateSync}, verify.LateClaimed, "A build that starts IMA at late_sync records boot_aggregate, but nothing shows that such a one ran: that IMA started late"},
		{early, verify.Build{Strategy: verify.StrategyDeny}, verify.OnTimeClaimed, "but nothing shows that such a one ran: that IMA did not start late"},
		{early, verify.Build{Strategy: verify.StrategyRetry, Bound: true}, verify.OnTimeClaimed, "chooses the name when it runs"},
		{late, verify.Build{Strategy: verify.StrategyRetry, Bound: true}, verify.LateClaimed, "by the name boot_aggregate_late that IMA started late"},
		{late, verify.Build{Strategy: verify.StrategyNotifier, Bound: true}, verify.LateClaimed, "chooses the name when it runs"},
		{early, verify.Build{Strategy: verify.StrategyQueue, Bound: true}, verify.GapUnproven, "nothing shows which records these are"},
	} {
		e := newMachine(t).start(c.name, true).evidence()
		e.Build = c.build
		f := finding(t, verdict(t, e), c.code)
		assert.Contains(t, f.Text, c.text)
		assert.Equal(t, []int{1}, f.Records)
	}
}

// What kernels record that kexec has started, under a build that is that of the
// first.
func TestKexecUnderABoundBuild(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		strategy verify.Strategy
		names    []string
		shows    []verify.Code
	}{
		{verify.StrategyLate, []string{early, early}, []verify.Code{verify.OnTimeClaimed}},
		{verify.StrategyLate, []string{early, late}, []verify.Code{verify.LateClaimed}},
		{verify.StrategyLate, []string{late, early}, []verify.Code{verify.NameContradicts}},
		{verify.StrategyDual, []string{early, late, early}, []verify.Code{verify.GapUnproven, verify.OnTimeClaimed}},
		{verify.StrategyDual, []string{early, early}, []verify.Code{verify.NameContradicts}},
		{verify.StrategyUnknown, []string{early, late}, []verify.Code{verify.TimingUnknown}},
	} {
		sum, err := ima.CalcBootAggregate(ima.BankOf(ima.SHA256), fresh(t))
		assert.NoError(t, err)
		var records []*ima.Record
		for _, name := range c.names {
			records = append(records, entry(t, name, func(e *ima.EventData) { e.Digest.Sum = sum }))
		}
		e := extended(t, records...)
		e.Build = verify.Build{Strategy: c.strategy, Bound: true}
		v := verdict(t, e)
		var shows []verify.Code
		for _, f := range v.Findings {
			if f.Part == verify.PartBuild && f.Severity > verify.Note {
				shows = append(shows, f.Code)
			}
		}
		assert.Equal(t, c.shows, shows, "%s %v", c.strategy, c.names)
		for _, policy := range []string{"strict", "build-bound"} {
			p, err := verify.PolicyByName(policy)
			if assert.NoError(t, err) {
				assert.NotEqual(t, verify.Accept, p.Appraise(v).Outcome)
			}
		}
	}
}

// A zero boot aggregate of the sha1 label does not speak against a TPM that has
// only sha256: the ima template can show no other.
func TestZeroAggregateAndTheBanks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		label ima.HashAlgo
		text  string
	}{
		{ima.SHA256, "The TPM has a bank sha256"},
		{ima.SHA1, "Either the TPM has no bank that the kernel can use"},
	} {
		e := extended(t, entry(t, early, func(e *ima.EventData) {
			e.Digest = ima.FileDigest{Algo: c.label, Sum: make([]byte, c.label.Size())}
		}))
		delete(e.PCRs, ima.SHA1)
		f := finding(t, verdict(t, e), verify.ZeroLiveTPM)
		assert.Contains(t, f.Text, c.text)
	}
}

// extend is what keylime's emulator does, or an attacker: it extends records of
// a list from user space.
func (m *machine) extend(rec *ima.Record) {
	var digests [][]byte
	for _, bank := range m.Banks() {
		digest, err := rec.TemplateDigest(bank.CryptoID)
		if err != nil {
			m.t.Fatal(err)
		}
		digests = append(digests, digest)
	}
	if err := m.PCRExtend(int(rec.PCR), digests); err != nil {
		m.t.Fatal(err)
	}
}

// The attack on a name chosen when the kernel runs: the TPM is made to come
// late, a helper that was read from a file system of the attacker runs before
// IMA starts, and makes the kernel call the genuine boot aggregate by the name
// of one that was in time. Everything a TPM can show is genuine then, so no
// evidence tells such a list from an honest one; a verdict must not either.
func TestNameChosenAtRunTimeIsNotBelieved(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		strategy verify.Strategy
		// honest is the boot without the attack, attacked the one with it.
		honest, attacked func(m *machine)
		attack           verify.Code
	}{{
		// The aggregate would be BL; the attacker swaps the name.
		verify.StrategyRetry,
		func(m *machine) { m.start(early, true).exec("/sbin/init") },
		func(m *machine) { m.start(early, true).exec("/sbin/init") },
		verify.OnTimeClaimed,
	}, {
		// The record of the attacker's file is unlinked in memory before the
		// first extend.
		verify.StrategyDual,
		func(m *machine) { m.start(early, true).exec("/sbin/modprobe").aggregate(late).exec("/sbin/init") },
		func(m *machine) { m.start(early, true).aggregate(late).exec("/sbin/init") },
		verify.GapUnproven,
	}, {
		// The same in the queue, before it is flushed.
		verify.StrategyQueue,
		func(m *machine) { m.start(early, true).exec("/sbin/modprobe").aggregate(late).exec("/sbin/init") },
		func(m *machine) { m.start(early, true).aggregate(late).exec("/sbin/init") },
		verify.GapUnproven,
	}, {
		// It is extended behind the one boot aggregate there.
		verify.StrategyQueue,
		func(m *machine) { m.start(late, true).exec("/sbin/modprobe", "/sbin/init") },
		func(m *machine) { m.start(late, true).exec("/sbin/init") },
		verify.GapUnproven,
	}, {
		verify.StrategyNotifier,
		func(m *machine) { m.start(early, true).exec("/sbin/init") },
		func(m *machine) { m.start(early, true).exec("/sbin/init") },
		verify.TimingUnknown,
	}} {
		for name, boot := range map[string]func(m *machine){"honest": c.honest, "attacked": c.attacked} {
			t.Run(string(c.strategy)+" "+name, func(t *testing.T) {
				t.Parallel()
				m := newMachine(t)
				boot(m)
				e := m.evidence()
				e.Build = verify.Build{Strategy: c.strategy, Bound: true}
				v := verdict(t, e)
				assert.True(t, v.Has(verify.ReplayMatch) && v.Has(verify.AggregateMatch), "everything is genuine")
				assert.True(t, v.Has(c.attack))
				for _, policy := range []string{"strict", "build-bound"} {
					p, err := verify.PolicyByName(policy)
					if assert.NoError(t, err) {
						assert.Equal(t, verify.CannotTell, p.Appraise(v).Outcome, policy)
					}
				}
			})
		}
	}
}
