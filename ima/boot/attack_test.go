package boot_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/boot"
)

// What the attacker gets from each strategy on a machine whose TPM is on time
// unless he delays it. unseen: his program ran and no record tells of it; name:
// what the boot aggregate is called then, with a 0 if it is zero.
func TestAttacks(t *testing.T) {
	t.Parallel()
	tests := []struct {
		strategy boot.Strategy
		attack   boot.Attack
		ran      bool
		unseen   bool
		name     string
		why      string
	}{
		{boot.Retry, boot.Rename, true, true, "B", "the honest marker is the one thing that the attacker controls"},
		{boot.Retry, boot.Filter, true, true, "B", "and later programs are not seen either"},
		{boot.Kconfig, boot.Rename, true, true, "B", "the name betrays the patch: the build says boot_aggregate_late"},
		{boot.LateSync, boot.Filter, true, true, "B", "the window is in every boot"},
		{boot.Notifier, boot.Filter, true, true, "B", "what precedes the chip is lost"},
		{boot.Late, boot.Unlink, true, true, "B0", "the list is nothing but memory, and bypass shows"},
		{boot.Dual, boot.Unlink, true, true, "B0", "likewise"},
		{boot.Queue, boot.Dequeue, true, true, "BL", "the queue is nothing but memory until it is flushed"},

		{boot.Late, boot.Filter, true, false, "B0", "the program's record is there before it runs"},
		{boot.Queue, boot.Rename, true, false, "B", "its measurement is extended after all"},
		{boot.Queue, boot.Unlink, true, false, "BL", "what is queued is not in the list yet"},
		{boot.Deny, boot.Rename, false, false, "B", "the program is not let run"},
		{boot.Deny, boot.Filter, false, false, "B", "likewise"},
		{boot.Deny, boot.Dequeue, false, false, "B", "likewise"},
	}
	for _, test := range tests {
		t.Run(test.strategy.String()+" "+test.attack.String(), func(t *testing.T) {
			t.Parallel()
			r := machine{platform: platform(t, "pc-tis"), config: boot.Config{Strategy: test.strategy, Attack: test.attack}}.boot(t)
			o := r.Summary.Attack
			assert.Equal(t, test.ran, o.Ran, test.why)
			assert.Equal(t, test.unseen, o.Unseen(), test.why)
			require.NotEmpty(t, r.Summary.Aggregates)
			first := r.Summary.Aggregates[0]
			name := map[string]string{ima.BootAggregateName: "B", ima.BootAggregateLateName: "BL"}[first.Name]
			if first.Zero {
				name += "0"
			}
			assert.Equal(t, test.name, name, test.why)
			assert.Equal(t, test.ran && !test.unseen, inList(t, r, "/sbin/modprobe"), test.why)
		})
	}
}

func inList(t *testing.T, r *boot.Result, name string) bool {
	t.Helper()
	records, err := r.List.Records()
	require.NoError(t, err)
	for _, rec := range records {
		if rec.Name() == name {
			return true
		}
	}
	return false
}

// The attack of the mailing list, step by step.
func TestRetryAttackStepByStep(t *testing.T) {
	t.Parallel()
	r := machine{platform: platform(t, "pc-tis"), config: boot.Config{Strategy: boot.Retry, Attack: boot.Filter}}.boot(t)
	order := []boot.Event{
		find(r, boot.ProbeDeferred, "MSFT0101:00")[0],
		logs(r, "TPM not available, will try later")[0],
		find(r, boot.AttackRun, "")[0],
		find(r, boot.TPMRegistered, "")[0],
		find(r, boot.IMAStarted, ima.BootAggregateName)[0],
	}
	for i := 1; i < len(order); i++ {
		assert.GreaterOrEqual(t, order[i].At, order[i-1].At, "%s before %s", order[i].Kind, order[i-1].Kind)
	}
	assert.True(t, r.Summary.Attack.Renamed)
	assert.Equal(t, 1, r.Summary.Attack.Filtered)
	assert.False(t, inList(t, r, "/usr/libexec/backdoor"))

	// A verifier finds nothing: the aggregate is that of the PCRs, and PCR 10
	// replays.
	content, err := r.List.ReadFile("binary_runtime_measurements_sha256")
	require.NoError(t, err)
	list, err := ima.Open(content, ima.Format{Digest: ima.SHA256})
	require.NoError(t, err)
	comparison, err := ima.Compare(list, ima.PCRs{ima.SHA256: r.PCRs[ima.SHA256]})
	require.NoError(t, err)
	assert.True(t, comparison.Match())
	require.Len(t, comparison.BootAggregates, 1)
	assert.True(t, comparison.BootAggregates[0].Match)
}

// A TPM that the attacker cannot delay in time leaves no window to Retry.
func TestRetryWithoutDelayHasNoWindow(t *testing.T) {
	t.Parallel()
	r := machine{platform: platform(t, "pc-tis"), config: boot.Config{Strategy: boot.Retry}}.boot(t)
	assert.Zero(t, r.Summary.Lost)
	assert.False(t, r.Summary.Attack.Ran)
}

// In bypass the attacker's record vanishes from every form of the list.
func TestUnlinkedRecordIsInNoFile(t *testing.T) {
	t.Parallel()
	r := machine{platform: platform(t, "pc-tis"), config: boot.Config{Strategy: boot.Dual, Attack: boot.Unlink}}.boot(t)
	for _, f := range r.List.Files() {
		content, err := r.List.ReadFile(f.Name)
		if f.Name == "policy" {
			continue
		}
		require.NoError(t, err, f.Name)
		assert.NotContains(t, string(content), "/sbin/modprobe", f.Name)
	}
	count, err := r.List.ReadFile("runtime_measurements_count")
	require.NoError(t, err)
	records, err := r.List.Records()
	require.NoError(t, err)
	assert.Equal(t, len(records), atoi(t, string(count)), "the attacker counts too")
}
