package emulator

import (
	"time"

	"github.com/swtpmd/swtpmd/emulator/state"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Clocks and Timers", and Part 1, chapter "Timing Components".

const (
	// clockUpdate is the interval in milliseconds in which Clock is written
	// to NV: TPM_PT_CLOCK_UPDATE.
	clockUpdate = 1 << 12
	// clockMax is the largest value that TPM2_ClockSet takes.
	clockMax = 0xFFFF000000000000
)

// The rate at which Time and Clock advance is adjusted in steps of 1/rateUnit.
const (
	rateUnit   = 10000
	rateFine   = 1
	rateMedium = 10
	rateCoarse = 100
	rateLimit  = 1500 // 15 %
)

// rateSteps are the steps of the TPM_CLOCK_ADJUST values from COARSE_SLOWER up.
var rateSteps = [...]int32{-rateCoarse, -rateMedium, -rateFine, 0, rateFine, rateMedium, rateCoarse}

// advanceTime brings Time and Clock up to the moment of this command. The
// caller knows that clockRuns.
func (t *TPM) advanceTime() {
	elapsed := max(t.now-t.at, 0)
	t.at = t.now
	rate := time.Duration(t.s.Volatile.RateAdjust)
	t.fraction += elapsed + elapsed/rateUnit*rate + elapsed%rateUnit*rate/rateUnit
	ms := uint64(t.fraction / time.Millisecond)
	t.fraction %= time.Millisecond
	if ms != 0 {
		t.s.Volatile.Time += ms
		t.setClock(t.s.Orderly.Clock + ms)
	}
	t.daSelfHeal()
}

// setClock sets Clock, and has it written to NV when it enters a new update
// interval, from which on it is safe. After a shutdown it is always: NV says then
// that the Clock in it is safe.
func (t *TPM) setClock(clock uint64) {
	o := &t.s.Orderly
	if clock/clockUpdate != o.Clock/clockUpdate {
		o.Safe = true
		t.save()
	}
	if t.s.Persistent.Shutdown != state.ShutdownNone {
		t.save()
	}
	o.Clock = clock
}

// clockInfo is the TPMS_CLOCK_INFO of this moment. While NV cannot be written
// Clock stands still and is not safe.
func (t *TPM) clockInfo() wire.ClockInfo {
	return wire.ClockInfo{
		Clock:        t.s.Orderly.Clock,
		ResetCount:   t.s.Persistent.ResetCount,
		RestartCount: t.s.Reset.RestartCount,
		Safe:         t.s.Orderly.Safe && t.needNV() == wire.RCSuccess,
	}
}

// readClock is TPM2_ReadClock.
func (t *TPM) readClock(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	c.out.TimeInfo(&wire.TimeInfo{Time: t.s.Volatile.Time, Clock: t.clockInfo()})
	return wire.RCSuccess
}

// clockSet is TPM2_ClockSet.
func (t *TPM) clockSet(c *call) wire.RC {
	clock := c.u64()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	if clock > clockMax || clock < t.s.Orderly.Clock {
		return c.badParam(1, wire.RCValue)
	}
	if rc := t.needNV(); rc != wire.RCSuccess {
		return rc
	}
	t.setClock(clock)
	return wire.RCSuccess
}

// clockRateAdjust is TPM2_ClockRateAdjust.
func (t *TPM) clockRateAdjust(c *call) wire.RC {
	adjust := wire.ClockAdjust(c.u8())
	if adjust < wire.ClockCoarseSlower || adjust > wire.ClockCoarseFaster {
		c.in.Fail(wire.RCValue)
	}
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	rate := t.s.Volatile.RateAdjust + rateSteps[adjust-wire.ClockCoarseSlower]
	t.s.Volatile.RateAdjust = max(-rateLimit, min(rate, rateLimit))
	return wire.RCSuccess
}
