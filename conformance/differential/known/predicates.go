package known

import (
	"bytes"
	"encoding/binary"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/differential/comparison"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// What entries of the list of known differences ask about a case.

// successes reports whether both devices executed the command.
func (c *Case) successes(code tpm2.TPMCC) bool {
	ours, theirs := c.Codes()
	return c.Command() == uint32(code) && ours == 0 && theirs == 0
}

// parameters gives those of two successes, decrypted.
func (c *Case) parameters() (ours, theirs []byte) {
	of := func(o conversation.Outcome) []byte {
		response, err := conformance.ParseResponse(c.Command(), o.Plain)
		if err != nil {
			return nil
		}
		return response.Parameters
	}
	return of(c.OurOutcome), of(c.TheirOutcome)
}

// sameBut reports whether the parameters are equal but for the bytes from..to.
func (c *Case) sameBut(from, to int) bool {
	a, b := c.parameters()
	return len(a) == len(b) && len(a) >= to && bytes.Equal(a[:from], b[:from]) && bytes.Equal(a[to:], b[to:])
}

// sameTimeBut reports whether two TPMS_TIME_INFO agree but for ranges of bytes,
// given as from, to, from, to.
func (c *Case) sameTimeBut(ranges ...int) bool {
	a, b := c.parameters()
	if len(a) != wire.TimeSize || len(b) != wire.TimeSize {
		return false
	}
	patched := bytes.Clone(a)
	for ; len(ranges) >= 2; ranges = ranges[2:] {
		copy(patched[ranges[0]:ranges[1]], b[ranges[0]:ranges[1]])
	}
	return comparison.Clocks(patched, b) == ""
}

// countersExplained reports whether NO_INCREMENT explains how far the simulator's
// update counter is from ours: it is one ahead for every startup that set the
// PCRs, unless the script touches PCRs that only one of the devices counts.
func (c *Case) countersExplained() bool {
	if c.changesUncounted() {
		return true
	}
	startups := uint32(0)
	for _, step := range c.Script[:c.At] {
		if code, _ := conformance.CommandCode(step.Data); tpm2.TPMCC(code) == tpm2.TPMCCStartup {
			startups++
		}
	}
	ours, theirs := c.parameters()
	ahead := wire.Number(theirs[:4]) - wire.Number(ours[:4])
	return ahead <= startups
}

// changesUncounted reports whether the script changes PCRs that only one of the
// devices counts.
func (c *Case) changesUncounted() bool {
	return slices.ContainsFunc(c.Script[:c.At], func(s conversation.Step) bool { return changesPCR(s, 16, 16) || changesPCR(s, 20, 23) })
}

// propertiesBut reports whether the properties both devices report agree but for
// the given ones.
func (c *Case) propertiesBut(properties ...uint32) bool {
	return c.elementsBut(tpm2.TPMCapTPMProperties, properties...)
}

// elementsBut reports whether what both devices report of a capability agrees but
// for elements with the given keys.
func (c *Case) elementsBut(capability tpm2.TPMCap, keys ...uint32) bool {
	a, b := c.parameters()
	ours, errA := wire.ParseCapability(a)
	theirs, errB := wire.ParseCapability(b)
	if errA != nil || errB != nil {
		return false
	}
	without := slices.DeleteFunc(ours.Entries, func(e wire.Entry) bool { return slices.Contains(keys, e.Key) })
	return comparison.Entries(uint32(capability), without, theirs.Entries) == ""
}

// handleBetween reports whether the command's handle area has a handle in a
// range.
func (c *Case) handleBetween(first, last uint32) bool {
	command, ok := conformance.Lookup(c.Command())
	if !ok {
		return false
	}
	area := c.Step().Data[conformance.HeaderSize:]
	for range command.Handles {
		if len(area) < 4 {
			return false
		}
		if h := wire.Number(area[:4]); first <= h && h <= last {
			return true
		}
		area = area[4:]
	}
	return false
}

// comparesNegative reports whether a policy compares a value with a negative number,
// or with none at all, as numbers with a sign.
func (c *Case) comparesNegative() bool {
	handles := map[tpm2.TPMCC]int{tpm2.TPMCCPolicyNV: 3, tpm2.TPMCCPolicyCounterTimer: 1}[tpm2.TPMCC(c.Command())]
	data := c.Step().Data
	if handles == 0 || len(data) < conformance.HeaderSize+4*handles {
		return false
	}
	p := data[conformance.HeaderSize+4*handles:]
	if wire.Number(data[:2]) == uint32(conformance.Sessions) {
		if len(p) < 4 || uint64(wire.Number(p[:4])) > uint64(len(p)-4) {
			return false
		}
		p = p[4+wire.Number(p[:4]):]
	}
	if len(p) < 2 || len(p) != 2+int(wire.Number(p[:2]))+2+2 {
		return false
	}
	operation := wire.Number(p[len(p)-2:])
	return (wire.Number(p[:2]) == 0 || p[2]&0x80 != 0) && slices.Contains([]uint32{2, 4, 6, 8}, operation) // TPM_EO_SIGNED_GT, LT, GE and LE
}

// mentions reports whether a number of two bytes occurs anywhere in the parameters.
func (c *Case) mentions(value uint16) bool {
	command, ok := c.Step().Command()
	if !ok {
		return false
	}
	return bytes.Contains(command.Parameters, wire.U16(value))
}

// publicParameter reads the public area in the parameters of a command that
// makes or loads an object.
func (c *Case) publicParameter() (wire.Public, bool) {
	command, ok := c.Step().Command()
	if !ok {
		return wire.Public{}, false
	}
	in := &wire.Cursor{Rest: command.Parameters}
	switch tpm2.TPMCC(command.Code) {
	case tpm2.TPMCCCreatePrimary, tpm2.TPMCCCreate, tpm2.TPMCCCreateLoaded, tpm2.TPMCCLoad, tpm2.TPMCCLoadExternal, tpm2.TPMCCImport:
		in.Sized() // the sensitive area, or the key of an inner wrapper
	default:
		return wire.Public{}, false
	}
	in.U16()
	public, _ := wire.ParsePublic(in.Rest) // what follows does not matter
	return public, len(in.Rest) >= 8
}

// countedAfterShutdown reports whether the script has a hash sequence, or a change
// of a PCR that is not saved, between a Shutdown(STATE) and the next _TPM_Init.
func (c *Case) countedAfterShutdown() bool {
	saved := false
	for _, step := range c.Script[:c.At] {
		switch {
		case step.Action == conversation.HashEnd && saved:
			return true
		case step.Action == conversation.Init:
			saved = false
		case !step.IsCommand():
		case bytes.HasSuffix(step.Data, []byte{0, 0, 1, 0x45, 0, 1}):
			saved = true
		case saved && changesPCR(step, 16, 23):
			return true
		}
	}
	return false
}

// changesPCR reports whether the step may change a PCR in a range.
func changesPCR(s conversation.Step, first, last uint32) bool {
	code, _ := conformance.CommandCode(s.Data)
	switch tpm2.TPMCC(code) {
	case tpm2.TPMCCPCRExtend, tpm2.TPMCCPCREvent, tpm2.TPMCCPCRReset, tpm2.TPMCCEventSequenceComplete:
		if len(s.Data) < conformance.HeaderSize+4 {
			return false
		}
		pcr := wire.Number(s.Data[conformance.HeaderSize : conformance.HeaderSize+4])
		return first <= pcr && pcr <= last
	}
	return false
}

// clockSetAndLost reports whether the script sets the clock and cuts the power
// afterwards.
func (c *Case) clockSetAndLost() bool {
	set := false
	for _, step := range c.Script[:c.At] {
		code, _ := conformance.CommandCode(step.Data)
		switch {
		case step.IsCommand() && tpm2.TPMCC(code) == tpm2.TPMCCClockSet:
			set = true
		case step.Action == conversation.Init && set:
			return true
		}
	}
	return false
}

// withinMilliseconds is how far apart two clocks that started together are taken
// to be at most: what the comparison of clock values allows too.
const withinMilliseconds = 60_000

// setsClockAround reports whether one TPM took a TPM2_ClockSet to less than limit
// milliseconds, a value which was in the past for the other one.
func (c *Case) setsClockAround(limit uint64) bool {
	ours, theirs := c.Codes()
	const past = 0x1c4 // TPM_RC_VALUE of the first parameter
	command, ok := c.Step().Command()
	return ok && tpm2.TPMCC(c.Command()) == tpm2.TPMCCClockSet && len(command.Parameters) == 8 &&
		binary.BigEndian.Uint64(command.Parameters) < limit && (ours == 0 && theirs == past || ours == past && theirs == 0)
}

// clocksAroundUpdate reports whether between the two Clocks of successful
// TPM2_ReadClocks there is a time at which Clock is saved, or has been one since
// _TPM_Init for one of them only.
func (c *Case) clocksAroundUpdate() bool {
	const interval = 1 << 12 // TPM_PT_CLOCK_UPDATE in milliseconds
	read := func(p []byte) (now, start uint64) {
		time, clock := binary.BigEndian.Uint64(p), binary.BigEndian.Uint64(p[8:])
		return clock / interval, (clock - time) / interval
	}
	ours, theirs := c.parameters()
	nowA, startA := read(ours)
	nowB, startB := read(theirs)
	return nowA != nowB || startA != startB
}

// asksFor reports whether the step is a successful question for a capability.
func (c *Case) asksFor(capability tpm2.TPMCap) bool {
	p := wire.AfterHeader(c.Step().Data)
	return c.successes(tpm2.TPMCCGetCapability) && len(p) >= 4 && wire.Number(p[:4]) == uint32(capability)
}

// sameNumbers reports whether the parameters are equal if the zeros at the beginning
// of TPM2Bs are left out; the first bytes are no TPM2B and have to be equal.
func (c *Case) sameNumbers(first int) bool {
	ours, theirs := c.parameters()
	if len(ours) < first || len(theirs) < first || !bytes.Equal(ours[:first], theirs[:first]) {
		return false
	}
	a, b := &wire.Cursor{Rest: ours[first:]}, &wire.Cursor{Rest: theirs[first:]}
	for len(a.Rest) > 0 && len(b.Rest) > 0 {
		if !bytes.Equal(bytes.TrimLeft(a.Sized(), "\x00"), bytes.TrimLeft(b.Sized(), "\x00")) {
			return false
		}
	}
	return a.Done() && b.Done()
}

// curveHead is how many bytes of a TPMS_ALGORITHM_DETAIL_ECC are before the
// numbers: identifier, size and two schemes.
func (c *Case) curveHead() int {
	ours, _ := c.parameters()
	in := &wire.Cursor{Rest: ours}
	in.U32()
	for range 2 {
		if in.Alg() != tpm2.TPMAlgNull {
			in.U16()
		}
	}
	return len(ours) - len(in.Rest)
}

// isSizeError reports whether a code is TPM_RC_SIZE or TPM_RC_INSUFFICIENT of a
// parameter, a session, or nothing in particular.
func isSizeError(code uint32) bool {
	const anything, size, insufficient = 0xf40, 0x95, 0x9a
	return code&^anything == size || code&^anything == insufficient
}

// decrypts reports whether a session of the command is to decrypt a parameter.
func (c *Case) decrypts() bool {
	area, ok := wire.Sessions(c.Step().Data)
	return ok && slices.ContainsFunc(area, func(s conformance.Session) bool { return s.Attributes&wire.AttributeDecrypt != 0 })
}

// sameButVector reports whether two answers to TPM2_EncryptDecrypt have the same
// data, which ends with an incomplete block, and vectors of the same size.
func (c *Case) sameButVector() bool {
	code := tpm2.TPMCC(c.Command())
	if code != tpm2.TPMCCEncryptDecrypt && code != tpm2.TPMCCEncryptDecrypt2 {
		return false
	}
	ours, theirs := c.parameters()
	a, b := &wire.Cursor{Rest: ours}, &wire.Cursor{Rest: theirs}
	dataA, dataB := a.Sized(), b.Sized()
	const block = 16
	return len(dataA)%block != 0 && bytes.Equal(dataA, dataB) && len(a.Sized()) == len(b.Sized()) && a.Done() && b.Done()
}
