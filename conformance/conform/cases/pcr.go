package cases

import (
	"fmt"
	"maps"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// selection is a TPML_PCR_SELECTION of PCRs in one bank.
func selection(bank uint16, pcrs ...int) join {
	return with(u32(1), u16(bank), octetsOf(pcrs...))
}

// octetsOf is sizeofSelect and pcrSelect.
func octetsOf(pcrs ...int) raw {
	b := raw{3, 0, 0, 0}
	for _, pcr := range pcrs {
		b[1+pcr/8] |= 1 << (pcr % 8)
	}
	return b
}

// oneBank is a TPML_PCR_SELECTION of a bank that has to be there.
func oneBank(bank tpm2.TPMAlgID, pcrs ...int) join { return with(u32(1), bank, octetsOf(pcrs...)) }

// bank needs a bank.
func bank(alg tpm2.TPMAlgID) func(*conform.Needs) {
	return func(n *conform.Needs) { n.Banks = append(n.Banks, alg) }
}

// twoBanks needs as many, so that two digests fit TPML_DIGEST_VALUES.
func twoBanks(n *conform.Needs) {
	n.Other = func(f *conform.Features) string {
		if len(f.Banks) < 2 {
			return "no second bank of PCRs"
		}
		return ""
	}
}

// freePCRs needs PCR 16 and 23 at their reset values.
func freePCRs(n *conform.Needs) { n.PCR = true }

// resetPCR resets a PCR.
func resetPCR(pcr int) conform.Step { return do(tpm2.TPMCCPCRReset, u32(uint32(pcr))) }

// pcrValues reads the parameters of PCR_Read.
func pcrValues(parameters []byte) (counter uint32, digests [][]byte) {
	in := &wire.Cursor{Rest: parameters}
	counter = in.U32()
	skipSelections(in)
	for range min(in.U32(), 8) {
		digests = append(digests, in.Sized())
	}
	return counter, digests
}

func skipSelections(in *wire.Cursor) {
	for range min(in.U32(), 16) {
		in.U16()
		in.Take(int(in.U8()))
	}
}

// banksOf are the banks of a TPM that the client can compute digests for.
func banksOf(f *conform.Features) []tpm2.TPMAlgID {
	var banks []tpm2.TPMAlgID
	for _, alg := range slices.Sorted(maps.Keys(f.Banks)) {
		if _, known := wire.Hashes[alg]; known && f.Banks[alg] > 0 {
			banks = append(banks, alg)
		}
	}
	return banks
}

// digestValues reads a TPML_DIGEST_VALUES.
func digestValues(in *wire.Cursor) map[tpm2.TPMAlgID][]byte {
	values := map[tpm2.TPMAlgID][]byte{}
	for range min(in.U32(), 16) {
		alg := in.Alg()
		size := wire.HashSizes[alg]
		if size == 0 {
			size = otherSizes()[alg]
		}
		values[alg] = in.Take(size)
	}
	return values
}

// otherSizes are the sizes of digests that the client does not compute.
func otherSizes() map[tpm2.TPMAlgID]int {
	return map[tpm2.TPMAlgID]int{
		tpm2.TPMAlgSM3256: 32, tpm2.TPMAlgSHA3256: 32, tpm2.TPMAlgSHA3384: 48, tpm2.TPMAlgSHA3512: 64,
	}
}

// eventDigests checks the digests of an event in all banks.
func eventDigests(data []byte) func(*conform.Answer) error {
	return func(a *conform.Answer) error {
		in := a.Parsed()
		values := digestValues(in)
		if !in.Done() {
			return fmt.Errorf("%d octets are left", len(in.Rest))
		}
		for _, bank := range banksOf(a.State.Features) {
			if err := differ(conform.AlgName(bank), values[bank], hashOf(wire.Hashes[bank], data)); err != nil {
				return err
			}
		}
		return nil
	}
}

// extendedBanks is eventDigests; the values are compared by the steps that follow.
func extendedBanks(_ int, data []byte) func(*conform.Answer) error { return eventDigests(data) }

// holds reads a PCR of a bank, and compares it with what was extended since it was zero.
func holds(bank tpm2.TPMAlgID, pcr int, extended ...[]byte) conform.Step {
	hash := wire.Hashes[bank]
	want := make([]byte, hash.Size())
	for _, digest := range extended {
		want = hashOf(hash, want, digest)
	}
	return do(tpm2.TPMCCPCRRead).With(oneBank(bank, pcr)).Checked(conform.Check{
		Says: fmt.Sprintf("PCR %d has the value that the client computes", pcr),
		Test: func(a *conform.Answer) error {
			_, digests := pcrValues(a.Parameters)
			if len(digests) != 1 {
				return fmt.Errorf("%d values", len(digests))
			}
			return differ("the value", digests[0], want)
		},
	})
}

// digestList is a TPML_DIGEST_VALUES of one digest.
func digestList(bank tpm2.TPMAlgID, digest []byte) join { return with(u32(1), bank, raw(digest)) }

// counted checks pcrUpdateCounter against that of an earlier PCR_Read.
func counted(label string, more bool) conform.Check {
	says := "pcrUpdateCounter is the same as before"
	if more {
		says = "pcrUpdateCounter is more than before"
	}
	return conform.Check{Says: says, Test: func(a *conform.Answer) error {
		before, err := a.State.Field(label, 1)
		if err != nil {
			return err
		}
		was, _ := pcrValues(before)
		is, _ := pcrValues(a.Parameters)
		if (is > was) != more || !more && is != was {
			return fmt.Errorf("%d, before %d", is, was)
		}
		return nil
	}}
}

// selected checks the selection that PCR_Read gives back, and how many values there are.
func selected(values int, pcrs ...int) func(*conform.Answer) error {
	return func(a *conform.Answer) error {
		in := a.Parsed()
		in.U32()
		if n := in.U32(); n != 1 {
			return fmt.Errorf("%d selections", n)
		}
		in.U16()
		if err := differ("the selection", in.Take(4), octetsOf(pcrs...)); err != nil {
			return err
		}
		if n := in.U32(); int(n) != values {
			return fmt.Errorf("%d values", n)
		}
		return nil
	}
}

// pcrCases are those of Part 3, chapter "Integrity Collection (PCR)".
func pcrCases() []conform.Case {
	return slices.Concat(pcrExtendCases(), pcrReadCases(), pcrResetCases(), pcrAdminCases())
}

func pcrExtendCases() []conform.Case {
	extend, event := tpm2.TPMCCPCRExtend, tpm2.TPMCCPCREvent
	sha256 := tpm2.TPMAlgSHA256
	one := octets(32)
	cases := built(
		about(extend, "of PCR 24", on(24), with(digestList(sha256, one)), h(1, tpm2.TPMRCValue)),
		about(extend, "of a hierarchy", on(tpm2.TPMRHOwner), with(digestList(sha256, one)), h(1, tpm2.TPMRCValue)),
		about(extend, "with an algorithm that there is not", on(16), with(u32(1), u16(0x7fff), raw(one)), p(1, tpm2.TPMRCHash)),
		about(extend, "with TPM_ALG_NULL", on(16), with(u32(1), noAlg, raw(one)), p(1, tpm2.TPMRCHash)),
		about(extend, "with 17 digests", on(16), with(u32(17)), p(1, tpm2.TPMRCSize)),
		about(extend, "with a digest that is cut", on(16), with(u32(1), sha256, raw(one[:31])), p(1, tpm2.TPMRCInsufficient)),
		about(extend, "with fewer digests than it says", on(16), with(u32(2), sha256, raw(one)), p(1, tpm2.TPMRCInsufficient)).needing(twoBanks),
		about(extend, "without an authorization", on(16), with(digestList(sha256, one)), tpm2.TPMRCAuthMissing).unauthorized(),
		about(extend, "with a wrong password", on(16), with(digestList(sha256, one)), s(1, tpm2.TPMRCBadAuth)).by(conform.Password("wrong")),
		about(extend, "of TPM_RH_NULL", on(tpm2.TPMRHNull), with(digestList(sha256, one))),
		about(extend, "of TPM_RH_NULL", on(tpm2.TPMRHNull), with(digestList(sha256, one))).first(do(tpm2.TPMCCPCRRead).With(oneBank(sha256, 0, 1, 2, 3, 4, 5, 6, 7)).Named("before")).
			next(do(tpm2.TPMCCPCRRead).With(oneBank(sha256, 0, 1, 2, 3, 4, 5, 6, 7)).Checked(sameAs("before", 1))).gives("changes nothing"),
		about(extend, "with no digest", on(16), with(u32(0))).needing(freePCRs, bank(sha256)).next(holds(sha256, 16)).gives("changes nothing"),
		about(extend, "with two digests for the same bank", on(16), with(u32(2), sha256, raw(one), sha256, raw(one))).needing(freePCRs, bank(sha256)).
			next(holds(sha256, 16, one, one)).afterwards(resetPCR(16)).gives("extends twice"),
		about(event, "of PCR 24", on(24), with("data"), h(1, tpm2.TPMRCValue)),
		about(event, "of more than 1,024 octets", on(16), with(octets(1025)), p(1, tpm2.TPMRCSize)),
		about(event, "without an authorization", on(16), with("data"), tpm2.TPMRCAuthMissing).unauthorized(),
		about(event, "of TPM_RH_NULL", on(tpm2.TPMRHNull), with("data")).check("gives the digest of each bank", eventDigests([]byte("data"))),
		about(event, "of PCR 16", on(16), with("data")).needing(freePCRs).afterwards(resetPCR(16)).check("gives the digest of each bank", eventDigests([]byte("data"))),
		about(event, "of PCR 16 with nothing", on(16), with(empty)).needing(freePCRs).afterwards(resetPCR(16)).check("gives the digest of nothing", eventDigests(nil)),
	)
	for _, known := range hashes {
		name, digest := hashText(known.alg), hashOf(known.hash, message)
		cases = append(cases, built(
			about(extend, "of PCR 16 in the bank of "+name, on(16), with(digestList(known.alg, digest))).needing(freePCRs, bank(known.alg)).
				next(holds(known.alg, 16, digest)).afterwards(resetPCR(16)).gives("gives it the digest of its value and of the new one"),
			about(extend, "of PCR 23 in the bank of "+name+" three times", on(23), with(digestList(known.alg, digest))).needing(freePCRs, bank(known.alg)).
				next(do(extend, u32(23)).With(digestList(known.alg, digest)), do(extend, u32(23)).With(digestList(known.alg, digest)), holds(known.alg, 23, digest, digest, digest)).
				afterwards(resetPCR(23)).gives("extends three times"),
			about(event, "of PCR 16, in the bank of "+name, on(16), with(message)).needing(freePCRs, bank(known.alg)).
				next(holds(known.alg, 16, digest)).afterwards(resetPCR(16)).gives("extends the digest of the data"),
			about(tpm2.TPMCCEventSequenceComplete, "for PCR 23, in the bank of "+name, on(23, "sequence"), with(message[3:])).needing(freePCRs, bank(known.alg)).
				first(do(tpm2.TPMCCHashSequenceStart).With(with(empty, tpm2.TPMAlgNull)...).Named("sequence"), update("sequence", message[:3])).
				next(holds(known.alg, 23, digest)).afterwards(resetPCR(23)).gives("extends the digest of the data"),
		)...)
		for _, other := range hashes {
			if other.alg != known.alg {
				cases = append(cases, about(extend, "of PCR 16 in the bank of "+name, on(16), with(digestList(known.alg, digest))).
					needing(freePCRs, bank(known.alg), bank(other.alg)).next(holds(other.alg, 16)).afterwards(resetPCR(16)).
					gives("leaves that of "+hashText(other.alg)+" as it is").build())
			}
		}
	}
	return cases
}

func pcrReadCases() []conform.Case {
	read, extend, sha256 := tpm2.TPMCCPCRRead, tpm2.TPMCCPCRExtend, tpm2.TPMAlgSHA256
	first := []int{0, 1, 2, 3, 4, 5, 6, 7}
	return built(
		about(read, "of a bank that there is not", nil, with(u32(1), u16(0x7fff), octetsOf(0)), p(1, tpm2.TPMRCHash)),
		about(read, "with 17 selections", nil, with(u32(17)), p(1, tpm2.TPMRCSize)),
		about(read, "with a selection of 255 octets", nil, with(u32(1), sha256, u8(255)), p(1, tpm2.TPMRCValue)),
		about(read, "with a selection of 2 octets", nil, with(u32(1), sha256, u8(2), u16(0)), p(1, tpm2.TPMRCValue)),
		about(read, "with a selection that is cut", nil, with(u32(1), sha256, u8(3), u16(0)), p(1, tpm2.TPMRCInsufficient)),
		about(read, "of no selection", nil, with(u32(0))).check("gives no value", func(a *conform.Answer) error {
			in := a.Parsed()
			in.U32() // pcrUpdateCounter
			selections, values := in.U32(), in.U32()
			if selections != 0 || values != 0 || !in.Done() {
				return fmt.Errorf("%x", a.Parameters)
			}
			return nil
		}),
		about(read, "of no PCR of a bank", nil, with(oneBank(sha256))).check("gives the selection back, and no value", selected(0)),
		about(read, "of one PCR", nil, with(oneBank(sha256, 10))).needing(bank(sha256)).check("gives the selection back, and one value", selected(1, 10)),
		about(read, "of eight PCRs", nil, with(oneBank(sha256, first...))).needing(bank(sha256)).check("gives the selection back, and eight values", selected(8, first...)),
		about(read, "of nine PCRs", nil, with(oneBank(sha256, append(slices.Clone(first), 8)...))).needing(bank(sha256)).check("gives the first eight", selected(8, first...)),
		about(read, "of all PCRs", nil, with(u32(1), sha256, raw{3, 0xff, 0xff, 0xff})).needing(bank(sha256)).check("gives the first eight", selected(8, first...)),
		about(read, "with sessions for audit alone", nil, with(oneBank(sha256, 10))).first(conform.Start(wire.SessionHMAC).Named("session")).
			by(conform.In(handle("session"), wire.AttributeAudit)).needing(bank(sha256)).check("gives the value", selected(1, 10)),
		about(read, "twice", nil, with(oneBank(sha256, 10))).next(do(read).With(oneBank(sha256, 10)).Checked(sameAs("asked", 1))).gives("gives the same counter and value"),
		about(read, "after PCR 23 was extended", nil, with(oneBank(sha256, 0))).needing(freePCRs, bank(sha256)).
			next(do(extend, u32(23)).With(digestList(sha256, octets(32))), do(read).With(oneBank(sha256, 0)).Checked(conform.Check{Says: "the counter has not gone back", Test: notBack})).
			afterwards(resetPCR(23)).gives("gives a counter that has not gone back"),
		about(read, "after PCR 8 was extended", nil, with(oneBank(sha256, 8))).needing(bank(sha256)).harming(conform.ExtendsPCR).
			next(do(extend, u32(8)).With(digestList(sha256, octets(32))), do(read).With(oneBank(sha256, 8)).Checked(counted("asked", true))).gives("gives a higher counter"),
	)
}

func notBack(a *conform.Answer) error {
	before, err := a.State.Field("asked", 1)
	if err != nil {
		return err
	}
	was, _ := pcrValues(before)
	if is, _ := pcrValues(a.Parameters); is < was {
		return fmt.Errorf("%d, before %d", is, was)
	}
	return nil
}

func pcrResetCases() []conform.Case {
	reset, sha256 := tpm2.TPMCCPCRReset, tpm2.TPMAlgSHA256
	extended := func(pcr uint32) conform.Step {
		return do(tpm2.TPMCCPCRExtend, u32(pcr)).With(digestList(sha256, octets(32)))
	}
	cases := built(
		about(reset, "of PCR 24", on(24), nil, h(1, tpm2.TPMRCValue)),
		about(reset, "of TPM_RH_NULL", on(tpm2.TPMRHNull), nil, h(1, tpm2.TPMRCValue)),
		about(reset, "without an authorization", on(16), nil, tpm2.TPMRCAuthMissing).unauthorized(),
		about(reset, "with a wrong password", on(16), nil, s(1, tpm2.TPMRCBadAuth)).by(conform.Password("wrong")),
		about(reset, "of PCR 16", on(16), nil).needing(freePCRs, bank(sha256)).first(extended(16)).next(holds(sha256, 16)).gives("makes it zero"),
		about(reset, "of PCR 23", on(23), nil).needing(freePCRs, bank(sha256)).first(extended(23)).next(holds(sha256, 23)).gives("makes it zero"),
		about(reset, "of PCR 16", on(16), nil).needing(freePCRs, bank(sha256)).first(extended(23)).next(holds(sha256, 23, octets(32))).afterwards(resetPCR(23)).gives("leaves PCR 23 as it is"),
	)
	for _, pcr := range []int{0, 1, 7, 8, 10, 15} {
		cases = append(cases, about(reset, fmt.Sprintf("of PCR %d", pcr), on(pcr), nil, tpm2.TPMRCLocality).build())
	}
	return cases
}

func pcrAdminCases() []conform.Case {
	allocate, policy, auth := tpm2.TPMCCPCRAllocate, tpm2.TPMCCPCRSetAuthPolicy, tpm2.TPMCCPCRSetAuthValue
	sha256 := tpm2.TPMAlgSHA256
	return built(
		about(allocate, "by the owner", on(tpm2.TPMRHOwner), with(oneBank(sha256, 0)), h(1, tpm2.TPMRCValue)),
		about(allocate, "of a bank that there is not", on(tpm2.TPMRHPlatform), with(u32(1), u16(0x7fff), octetsOf(0)), p(1, tpm2.TPMRCHash)),
		about(allocate, "of 17 banks", on(tpm2.TPMRHPlatform), with(u32(17)), p(1, tpm2.TPMRCSize)),
		about(policy, "by the owner", on(tpm2.TPMRHOwner), with(octets(32), sha256, u32(20)), h(1, tpm2.TPMRCValue)),
		about(policy, "with a digest of 31 octets", on(tpm2.TPMRHPlatform), with(octets(31), sha256, u32(20)), p(1, tpm2.TPMRCSize)),
		about(policy, "with an algorithm that there is not", on(tpm2.TPMRHPlatform), with(octets(32), u16(0x7fff), u32(20)), p(2, tpm2.TPMRCHash)),
		about(policy, "of PCR 24", on(tpm2.TPMRHPlatform), with(octets(32), sha256, u32(24)), p(3, tpm2.TPMRCValue)),
		about(policy, "of a PCR that is in no group", on(tpm2.TPMRHPlatform), with(octets(32), sha256, u32(0)), p(3, tpm2.TPMRCValue)),
		about(auth, "of a PCR that is in no group", on(0), with("auth"), anyNumber(tpm2.TPMRCValue)...),
		about(auth, "of PCR 24", on(24), with("auth"), h(1, tpm2.TPMRCValue)),
	)
}
