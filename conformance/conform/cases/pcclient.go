package cases

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/conversation"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// pcrRequirements is the section that says what may be done to which PCR.
func pcrRequirements() conform.Section {
	return pcClient("4.6.2", "PCR Attributes")
}

// profilePCRs are the localities, as bits, that may extend and reset the PCRs from 16 on.
// Those before may be extended at all localities and never reset. What locality 4 does
// with TPM2_PCR_Reset is left out: it resets with the signals of a DRTM.
var profilePCRs = []struct {
	pcr           int
	extend, reset byte
}{
	{16, 0x1f, 0x0f}, {17, 0x1c, 0}, {18, 0x1c, 0}, {19, 0x0c, 0}, {20, 0x0e, 0x04}, {21, 0x04, 0x04}, {22, 0x04, 0x04}, {23, 0x1f, 0x0f},
}

// localities needs a transport with localities.
func localities(n *conform.Needs) { n.Localities = true }

// profileCases are those of the PC Client Platform TPM Profile.
func profileCases() []conform.Case {
	return slices.Concat(localityCases(), resetValueCases(), signalCases(), pcrPropertyCases())
}

func localityCases() []conform.Case {
	extend, reset := tpm2.TPMCCPCRExtend, tpm2.TPMCCPCRReset
	digest := digestList(tpm2.TPMAlgSHA256, octets(32))
	var cases []conform.Case
	for pcr := range 16 {
		q := about(extend, fmt.Sprintf("of PCR %d at localities 0 to 4", pcr), on(pcr), digest).in(pcrRequirements()).harming(conform.ExtendsPCR).needing(localities)
		for locality := byte(1); locality <= 4; locality++ {
			q.next(do(extend, u32(uint32(pcr))).With(digest...).At(locality))
		}
		cases = append(cases, q.build(), about(reset, fmt.Sprintf("of PCR %d at locality 3", pcr), on(pcr), nil, tpm2.TPMRCLocality).in(pcrRequirements()).at(3).build())
	}
	for _, r := range profilePCRs {
		for locality := range byte(5) {
			q := about(extend, fmt.Sprintf("of PCR %d at locality %d", r.pcr, locality), on(r.pcr), digest).in(pcrRequirements()).at(locality).needing(localities)
			switch {
			case r.extend&(1<<locality) == 0:
				q.step.Want = codes(tpm2.TPMRCLocality)
			case r.pcr == 16 || r.pcr == 23:
				q.needing(freePCRs).afterwards(resetPCR(r.pcr))
			default:
				q.harming(conform.ExtendsPCR)
			}
			cases = append(cases, q.build())
			if locality == 4 {
				continue
			}
			q = about(reset, fmt.Sprintf("of PCR %d at locality %d", r.pcr, locality), on(r.pcr), nil).in(pcrRequirements()).at(locality).needing(localities)
			switch {
			case r.reset&(1<<locality) == 0:
				q.step.Want = codes(tpm2.TPMRCLocality)
			case r.pcr != 16 && r.pcr != 23:
				q.harming(conform.ExtendsPCR)
			}
			cases = append(cases, q.build())
		}
	}
	return cases
}

// power needs a channel to reset the TPM.
func power(n *conform.Needs) { n.Power = true }

// powerUp starts the TPM up.
func powerUp(kind uint16) conform.Step { return do(tpm2.TPMCCStartup).With(u16(kind)) }

// pcrsAre reads PCRs of a bank and compares each with bytes.
func pcrsAre(bank tpm2.TPMAlgID, want []byte, pcrs ...int) conform.Step {
	return do(tpm2.TPMCCPCRRead).With(oneBank(bank, pcrs...)).Checked(conform.Check{
		Says: fmt.Sprintf("the PCRs %v are as they have to be", pcrs), Test: func(a *conform.Answer) error {
			_, values := pcrValues(a.Parameters)
			if len(values) != len(pcrs) {
				return fmt.Errorf("%d values", len(values))
			}
			for i, value := range values {
				if err := differ(fmt.Sprintf("PCR %d", pcrs[i]), value, want); err != nil {
					return err
				}
			}
			return nil
		}})
}

// upTo are the numbers from one to another.
func upTo(from, to int) []int {
	var list []int
	for i := from; i <= to; i++ {
		list = append(list, i)
	}
	return list
}

// afterReset is a case about the PCRs after a reset.
func afterReset(what, gives string, steps ...conform.Step) *question {
	last := len(steps) - 1
	q := about(tpm2.TPMCCStartup, what, nil, with(u16(0))).in(pcClient("4.6.1", "PCR Initial Value")).harming(conform.Resets).needing(power).gives(gives)
	q.first(steps[:last]...).next(steps[last])
	return q
}

func resetValueCases() []conform.Case {
	sha256, reset := tpm2.TPMAlgSHA256, conform.Reset()
	var cases []conform.Case
	for _, known := range hashes {
		zero, ones, name := make([]byte, known.hash.Size()), bytes.Repeat([]byte{0xff}, known.hash.Size()), hashText(known.alg)
		cases = append(cases, built(
			afterReset("after _TPM_Init, in the bank of "+name+",", "makes PCR 0 to 7 zero", reset, pcrsAre(known.alg, zero, upTo(0, 7)...)).needing(bank(known.alg)),
			afterReset("after _TPM_Init, in the bank of "+name+",", "makes PCR 8 to 15 zero", reset, pcrsAre(known.alg, zero, upTo(8, 15)...)).needing(bank(known.alg)),
			afterReset("after _TPM_Init, in the bank of "+name+",", "makes PCR 16 and 23 zero", reset, pcrsAre(known.alg, zero, 16, 23)).needing(bank(known.alg)),
			afterReset("after _TPM_Init, in the bank of "+name+",", "makes PCR 17 to 22 ones", reset, pcrsAre(known.alg, ones, upTo(17, 22)...)).needing(bank(known.alg)),
		)...)
	}
	three := append(make([]byte, 31), 3)
	return append(cases, built(
		about(tpm2.TPMCCStartup, "at locality 3", nil, with(u16(0))).in(pcClient("4.6.1", "PCR Initial Value")).harming(conform.Resets).needing(power, bank(sha256)).at(3).
			first(reset).next(pcrsAre(sha256, three, 0)).gives("has the locality in PCR 0"),
		about(tpm2.TPMCCStartup, "at locality 1", nil, with(u16(0)), tpm2.TPMRCLocality).in(part3("9.3", "TPM2_Startup")).harming(conform.Resets).needing(power).at(1).first(reset),
	)...)
}

// hashed are the signals of a DRTM with data in parts.
func hashed(parts ...string) []conform.Step {
	steps := []conform.Step{{Action: conversation.HashStart}}
	for _, part := range parts {
		steps = append(steps, conform.Step{Action: conversation.HashData, Data: []byte(part)})
	}
	return append(steps, conform.Step{Action: conversation.HashEnd})
}

// signalCases are those of Part 3, sections "_TPM_Hash_Start" to "_TPM_Hash_End".
func signalCases() []conform.Case {
	end := part3("22.11", "_TPM_Hash_End")
	reset, up := conform.Reset(), powerUp(0)
	q := func(name string, bank tpm2.TPMAlgID, steps ...conform.Step) conform.Case {
		return ask(end, name, steps...).Harming(conform.Resets).
			Needing(conform.Needs{Power: true, HashSequence: true, Banks: []tpm2.TPMAlgID{bank}})
	}
	var cases []conform.Case
	for _, known := range hashes {
		name, zero := hashText(known.alg), make([]byte, known.hash.Size())
		four := append(make([]byte, len(zero)-1), 4)
		data := hashOf(known.hash, []byte("data"))
		cases = append(cases,
			q("_TPM_Hash_End after TPM2_Startup extends PCR 17 in the bank of "+name+" from zero", known.alg,
				slices.Concat([]conform.Step{reset, up}, hashed("data"), []conform.Step{pcrsAre(known.alg, hashOf(known.hash, zero, data), 17)})...),
			q("_TPM_Hash_End after TPM2_Startup makes PCR 18 to 22 zero in the bank of "+name, known.alg,
				slices.Concat([]conform.Step{reset, up}, hashed("data"), []conform.Step{pcrsAre(known.alg, zero, upTo(18, 22)...)})...),
			q("_TPM_Hash_End before TPM2_Startup extends PCR 0 in the bank of "+name+" from 4", known.alg,
				slices.Concat([]conform.Step{reset}, hashed("data"), []conform.Step{up, pcrsAre(known.alg, hashOf(known.hash, four, data), 0)})...),
		)
	}
	sha256, hash := tpm2.TPMAlgSHA256, hashes[1].hash
	zero, ones := make([]byte, 32), bytes.Repeat([]byte{0xff}, 32)
	extended := do(tpm2.TPMCCPCRExtend, u32(8)).With(digestList(sha256, octets(32))...)
	return append(cases,
		q("_TPM_Hash_Data in two parts gives the same as in one", sha256,
			slices.Concat([]conform.Step{reset, up}, hashed("da", "ta"), []conform.Step{pcrsAre(sha256, hashOf(hash, zero, hashOf(hash, []byte("data"))), 17)})...),
		q("_TPM_Hash_End without data extends the digest of nothing", sha256,
			slices.Concat([]conform.Step{reset, up}, hashed(), []conform.Step{pcrsAre(sha256, hashOf(hash, zero, hashOf(hash)), 17)})...),
		q("_TPM_Hash_End twice extends PCR 17 from zero each time", sha256,
			slices.Concat([]conform.Step{reset, up}, hashed("first"), hashed("data"), []conform.Step{pcrsAre(sha256, hashOf(hash, zero, hashOf(hash, []byte("data"))), 17)})...),
		q("_TPM_Hash_Data without _TPM_Hash_Start changes no PCR", sha256, reset, up, conform.Step{Action: conversation.HashData, Data: []byte("data")}, pcrsAre(sha256, ones, 17)),
		q("A command between _TPM_Hash_Start and _TPM_Hash_End ends the sequence", sha256, reset, up, conform.Step{Action: conversation.HashStart},
			conform.Step{Action: conversation.HashData, Data: []byte("data")}, do(tpm2.TPMCCReadClock), conform.Step{Action: conversation.HashEnd}, pcrsAre(sha256, ones, 17)),
		q("_TPM_Hash_End after TPM2_Startup leaves PCR 8 as it is", sha256,
			slices.Concat([]conform.Step{reset, up, extended}, hashed("data"), []conform.Step{pcrsAre(sha256, hashOf(hash, zero, octets(32)), 8)})...),
	)
}

func pcrPropertyCases() []conform.Case {
	upTo := func(ranges ...int) []int {
		var list []int
		for i := 0; i < len(ranges); i += 2 {
			list = append(list, upTo(ranges[i], ranges[i+1])...)
		}
		return list
	}
	var cases []conform.Case
	for _, property := range []struct {
		name string
		tag  uint32
		pcrs []int
	}{
		{"TPM_PT_PCR_SAVE", 0, upTo(0, 15)}, {"TPM_PT_PCR_EXTEND_L0", 1, upTo(0, 16, 23, 23)}, {"TPM_PT_PCR_RESET_L0", 2, upTo(16, 16, 23, 23)},
		{"TPM_PT_PCR_EXTEND_L1", 3, upTo(0, 16, 20, 20, 23, 23)}, {"TPM_PT_PCR_RESET_L1", 4, upTo(16, 16, 23, 23)}, {"TPM_PT_PCR_EXTEND_L2", 5, upTo(0, 23)},
		{"TPM_PT_PCR_RESET_L2", 6, upTo(16, 16, 20, 23)}, {"TPM_PT_PCR_EXTEND_L3", 7, upTo(0, 20, 23, 23)}, {"TPM_PT_PCR_RESET_L3", 8, upTo(16, 16, 23, 23)},
		{"TPM_PT_PCR_EXTEND_L4", 9, upTo(0, 18, 23, 23)}, {"TPM_PT_PCR_DRTM_RESET", 0x12, upTo(17, 22)},
	} {
		cases = append(cases, about(tpm2.TPMCCGetCapability, "of "+property.name, nil, with(u32(uint32(tpm2.TPMCapPCRProperties)), property.tag, u32(1))).in(pcrRequirements()).
			check("gives the PCRs of the profile", func(a *conform.Answer) error {
				in := a.Parsed()
				in.U8()
				if capability, n, tag := in.U32(), in.U32(), in.U32(); capability != uint32(tpm2.TPMCapPCRProperties) || n != 1 || tag != property.tag {
					return fmt.Errorf("capability %#x, %d properties, the first %#x", capability, n, tag)
				}
				return differ("the selection", in.Rest[:min(4, len(in.Rest))], octetsOf(property.pcrs...))
			}).build())
	}
	return append(cases, built(
		about(tpm2.TPMCCGetCapability, "of TPM_PT_PCR_COUNT", nil, with(u32(uint32(tpm2.TPMCapTPMProperties)), u32(uint32(tpm2.TPMPTPCRCount)), u32(1))).in(pcrRequirements()).check("gives 24", oneProperty(24)),
		about(tpm2.TPMCCGetCapability, "of TPM_PT_PCR_SELECT_MIN", nil, with(u32(uint32(tpm2.TPMCapTPMProperties)), u32(uint32(tpm2.TPMPTPCRSelectMin)), u32(1))).in(pcrRequirements()).check("gives 3", oneProperty(3)),
	)...)
}

// oneProperty checks one TPM property.
func oneProperty(want uint32) func(*conform.Answer) error {
	return func(a *conform.Answer) error {
		page, err := wire.ParseCapability(a.Parameters)
		if err != nil || len(page.Entries) != 1 || page.Entries[0].Value != want {
			return fmt.Errorf("%v: %w", page.Entries, err)
		}
		return nil
	}
}
