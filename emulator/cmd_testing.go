package emulator

import (
	"slices"

	"github.com/swtpmd/swtpmd/emulator/crypt"
	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Part 3, chapter "Testing".

// maxAlgList bounds a TPML_ALG (Part 2, section "TPML_ALG").
const maxAlgList = 64

// selfTest is TPM2_SelfTest. All tests run before it answers.
func (t *TPM) selfTest(c *call) wire.RC {
	full := c.yesNo()
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	var todo []wire.AlgID
	for _, a := range t.algs.Rows() {
		if full || !t.tested(a.ID) {
			todo = append(todo, a.ID)
		}
	}
	return t.testAlgorithms(todo)
}

// incrementalSelfTest is TPM2_IncrementalSelfTest.
func (t *TPM) incrementalSelfTest(c *call) wire.RC {
	r := c.next()
	var todo []wire.AlgID
	for range r.Count(maxAlgList) {
		todo = append(todo, wire.AlgID(r.U16()))
	}
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	for _, alg := range todo {
		if !slices.ContainsFunc(t.algs.Rows(), func(a crypt.Algorithm) bool { return a.ID == alg }) {
			return c.badParam(1, wire.RCValue)
		}
	}
	if rc := t.testAlgorithms(todo); rc != wire.RCSuccess {
		return rc
	}
	countAt, n := c.out.Len(), uint32(0)
	c.out.U32(0)
	for _, a := range t.algs.Rows() {
		if !t.tested(a.ID) {
			c.out.U16(uint16(a.ID))
			n++
		}
	}
	c.out.SetU32(countAt, n)
	return wire.RCSuccess
}

// getTestResult is TPM2_GetTestResult of a TPM that is not in failure mode.
// There is no data as long as nothing has failed. Unless Config.NeedsTest asks
// for what Part 3 says, functions that have not been tested count as tested, as
// in libtpms.
func (t *TPM) getTestResult(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	result := wire.RCSuccess
	for _, a := range t.algs.Rows() {
		if t.config.NeedsTest && !t.tested(a.ID) {
			result = wire.RCNeedsTest
		}
	}
	c.out.Sized(nil)
	c.out.U32(uint32(result))
	return wire.RCSuccess
}

// tested reports whether the algorithm has passed its test since _TPM_Init.
func (t *TPM) tested(alg wire.AlgID) bool { return slices.Contains(t.s.Volatile.SelfTested, alg) }

// testAlgorithms runs known-answer tests. A wrong answer puts the TPM in
// failure mode; being canceled leaves the tests of this command undone.
func (t *TPM) testAlgorithms(todo []wire.AlgID) wire.RC {
	for _, alg := range todo {
		if t.canceled() {
			return wire.RCCanceled
		}
		if err := t.platform.SelfTest(alg); err != nil {
			t.fail(failSelfTest, err)
			return wire.RCFailure
		}
	}
	v := &t.s.Volatile
	v.SelfTested = append(v.SelfTested, todo...)
	slices.Sort(v.SelfTested)
	v.SelfTested = slices.Compact(v.SelfTested)
	return wire.RCSuccess
}
