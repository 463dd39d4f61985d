package faultstest

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/swtpmd/swtpmd/emulator/wire"
	"github.com/swtpmd/swtpmd/faults"
)

// FuzzPlans fuzzes a client under plans. Each input of the fuzzer becomes a few rules, for
// New, and run has the client do its work:
//
//	func FuzzClient(f *testing.F) {
//		faultstest.FuzzPlans(f, func(t *testing.T, rules []faults.Rule) {
//			tpm := faultstest.New(t, emulatortest.New(t), rules...)
//			…
//		})
//	}
//
// The rules stay within the protocol and take no time, and each fires 8 times at most, so
// that a client which asks again comes to its end; but for a TPM that goes into failure
// mode. A failure names the rules, which reproduce it as text.
func FuzzPlans(f *testing.F, run func(t *testing.T, rules []faults.Rule)) {
	f.Helper()
	for _, input := range seeds() {
		f.Add(input)
	}
	f.Fuzz(func(t *testing.T, input []byte) { run(t, rulesOf(input)) })
}

// seeds are inputs to begin with: each fault and each code, alone and after another one.
func seeds() (inputs [][]byte) {
	for i := range fuzzFaults() {
		inputs = append(inputs, []byte{byte(i), 0, 0, 0, 0}, []byte{byte(i), 0, 1, 0, 2})
	}
	for i := range fuzzCodes {
		inputs = append(inputs, []byte{0, 0, byte(i), 0, 0}, []byte{0, 0, byte(i), 0, 2, 0, 0, byte(i), 0, 5})
	}
	return inputs
}

// fuzzCodes are response codes that TPMs answer in the course of their life.
var fuzzCodes = []wire.RC{
	wire.RCRetry, wire.RCYielded, wire.RCTesting, wire.RCInitialize, wire.RCFailure, wire.RCLockout, wire.RCNVRate,
	wire.RCNVUnavailable, wire.RCObjectMemory, wire.RCSessionMemory, wire.RCContextGap, wire.RCReboot, wire.RCCanceled,
}

// fuzzFaults are the faults besides response codes.
func fuzzFaults() (list []faults.Fault) {
	list = append(list, faults.Answer(wire.RCFailure), faults.Vanish{Commands: 3}, faults.Flap{On: 2, Off: 2})
	for _, k := range faults.Kinds() {
		if k.Group != faults.Answers || k.Dangerous != "" || strings.Contains(k.Value, "TIME") {
			continue
		}
		r, err := faults.ParseRule(k.Example)
		if err == nil && !k.Ends {
			list = append(list, r.Do)
		}
	}
	return list
}

// fuzzSize is the number of bytes of a rule in the input of a fuzzer: the fault, its code,
// the command, and which of the commands; fuzzRules is how many rules are read.
const (
	fuzzSize  = 5
	fuzzRules = 4
)

// rulesOf makes rules of the input of a fuzzer: any input gives a valid plan.
func rulesOf(input []byte) []faults.Rule {
	var plan faults.Plan
	list, codes := fuzzFaults(), fuzzCommands()
	for rule := range slices.Chunk(input, fuzzSize) {
		if len(rule) < fuzzSize || len(plan.Rules) == fuzzRules {
			break
		}
		r := faults.Rule{Name: fmt.Sprint("rule", len(plan.Rules)+1), Do: list[int(rule[0])%len(list)]}
		if _, ok := r.Do.(faults.Answer); ok {
			r.Do = fuzzAnswer(binary.BigEndian.Uint16(rule[1:]))
		}
		if rule[3] != 0 {
			r.When.Commands = []uint32{codes[int(rule[3]-1)%len(codes)]}
		}
		r.When.First = int(rule[4]>>3) + 1
		r.When.Times = int(rule[4]&7) + 1
		plan.Rules = append(plan.Rules, r)
		if plan.Validate() != nil {
			plan.Rules = plan.Rules[:len(plan.Rules)-1]
		}
	}
	return plan.Rules
}

// fuzzAnswer returns a response code: one of the list or, from 0x100 on, any.
func fuzzAnswer(n uint16) faults.Answer {
	if n&0xFFF < 0x100 {
		return faults.Answer(fuzzCodes[int(n)%len(fuzzCodes)])
	}
	return faults.Answer(n & 0xFFF)
}

// fuzzCommands returns the codes of the commands of Part 3.
func fuzzCommands() (codes []uint32) {
	for code := wire.CC(0x100); code < 0x200; code++ {
		if _, _, ok := code.Command(); ok {
			codes = append(codes, uint32(code))
		}
	}
	return codes
}
