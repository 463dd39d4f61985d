package emulator

import (
	"bytes"
	"fmt"
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
// There is no data as long as nothing has failed.
func (t *TPM) getTestResult(c *call) wire.RC {
	if rc := c.done(); rc != wire.RCSuccess {
		return rc
	}
	result := wire.RCSuccess
	for _, a := range t.algs.Rows() {
		if !t.tested(a.ID) {
			result = wire.RCNeedsTest
		}
	}
	c.out.Sized(nil)
	c.out.U32(uint32(result))
	return wire.RCSuccess
}

// tested says whether the algorithm has passed its test since _TPM_Init.
func (t *TPM) tested(alg wire.AlgID) bool { return slices.Contains(t.s.Volatile.SelfTested, alg) }

// testAlgorithms runs known-answer tests. A wrong answer puts the TPM in
// failure mode; being cancelled leaves the tests of this command undone.
func (t *TPM) testAlgorithms(todo []wire.AlgID) wire.RC {
	for _, alg := range todo {
		if t.canceled() {
			return wire.RCCanceled
		}
		want, ok := knownAnswers[alg]
		if !ok || !bytes.Equal(crypt.Digest(alg, nil, []byte(knownMessage)), want) {
			t.fail(failSelfTest, fmt.Errorf("self-test of %v: no test, or a wrong digest", alg))
			return wire.RCFailure
		}
	}
	v := &t.s.Volatile
	v.SelfTested = append(v.SelfTested, todo...)
	slices.Sort(v.SelfTested)
	v.SelfTested = slices.Compact(v.SelfTested)
	return wire.RCSuccess
}

// knownMessage is the one-block message of the examples to FIPS 180-4 and FIPS
// 202, and knownAnswers are its digests.
const knownMessage = "abc"

var knownAnswers = map[wire.AlgID][]byte{
	wire.AlgSHA1:   []byte("\xa9\x99\x3e\x36\x47\x06\x81\x6a\xba\x3e\x25\x71\x78\x50\xc2\x6c\x9c\xd0\xd8\x9d"),
	wire.AlgSHA256: []byte("\xba\x78\x16\xbf\x8f\x01\xcf\xea\x41\x41\x40\xde\x5d\xae\x22\x23\xb0\x03\x61\xa3\x96\x17\x7a\x9c\xb4\x10\xff\x61\xf2\x00\x15\xad"),
	wire.AlgSHA384: []byte("\xcb\x00\x75\x3f\x45\xa3\x5e\x8b\xb5\xa0\x3d\x69\x9a\xc6\x50\x07\x27\x2c\x32\xab\x0e\xde\xd1\x63\x1a\x8b\x60\x5a\x43\xff\x5b\xed" +
		"\x80\x86\x07\x2b\xa1\xe7\xcc\x23\x58\xba\xec\xa1\x34\xc8\x25\xa7"),
	wire.AlgSHA512: []byte("\xdd\xaf\x35\xa1\x93\x61\x7a\xba\xcc\x41\x73\x49\xae\x20\x41\x31\x12\xe6\xfa\x4e\x89\xa9\x7e\xa2\x0a\x9e\xee\xe6\x4b\x55\xd3\x9a" +
		"\x21\x92\x99\x2a\x27\x4f\xc1\xa8\x36\xba\x3c\x23\xa3\xfe\xeb\xbd\x45\x4d\x44\x23\x64\x3c\xe8\x0e\x2a\x9a\xc9\x4f\xa5\x4c\xa4\x9f"),
	wire.AlgSHA3_256: []byte("\x3a\x98\x5d\xa7\x4f\xe2\x25\xb2\x04\x5c\x17\x2d\x6b\xd3\x90\xbd\x85\x5f\x08\x6e\x3e\x9d\x52\x5b\x46\xbf\xe2\x45\x11\x43\x15\x32"),
	wire.AlgSHA3_384: []byte("\xec\x01\x49\x82\x88\x51\x6f\xc9\x26\x45\x9f\x58\xe2\xc6\xad\x8d\xf9\xb4\x73\xcb\x0f\xc0\x8c\x25\x96\xda\x7c\xf0\xe4\x9b\xe4\xb2" +
		"\x98\xd8\x8c\xea\x92\x7a\xc7\xf5\x39\xf1\xed\xf2\x28\x37\x6d\x25"),
	wire.AlgSHA3_512: []byte("\xb7\x51\x85\x0b\x1a\x57\x16\x8a\x56\x93\xcd\x92\x4b\x6b\x09\x6e\x08\xf6\x21\x82\x74\x44\xf7\x0d\x88\x4f\x5d\x02\x40\xd2\x71\x2e" +
		"\x10\xe1\x16\xe9\x19\x2a\xf3\xc9\x1a\x7e\xc5\x76\x47\xe3\x93\x40\x57\x34\x0b\x4c\xf4\x08\xd5\xa5\x65\x92\xf8\x27\x4e\xec\x53\xf0"),
}
