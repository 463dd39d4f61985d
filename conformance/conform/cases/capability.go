package cases

import (
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

var (
	getCapabilitySection = part3("30.2", "TPM2_GetCapability")
	testParms            = part3("30.3", "TPM2_TestParms")
)

func getCapability(capability, property, count uint32) conform.Step {
	return do(tpm2.TPMCCGetCapability).With(u32(capability), u32(property), u32(count))
}

// lists has a capability for each kind of list, with what is in it.
var lists = []struct {
	what       string
	capability tpm2.TPMCap
	first      uint32
}{
	{"algorithms", tpm2.TPMCapAlgs, 0}, {"commands", tpm2.TPMCapCommands, 0x11f}, {"properties", tpm2.TPMCapTPMProperties, 0x100},
	{"audited commands", tpm2.TPMCapAuditCommands, 0x11f}, {"commands that need physical presence", tpm2.TPMCapPPCommands, 0x11f}, {"curves", tpm2.TPMCapECCCurves, 0},
	{"permanent handles", tpm2.TPMCapHandles, 0x40000000}, {"PCR handles", tpm2.TPMCapHandles, 0}, {"NV indices", tpm2.TPMCapHandles, 0x01000000},
	{"loaded sessions", tpm2.TPMCapHandles, 0x02000000}, {"saved sessions", tpm2.TPMCapHandles, 0x03000000},
	{"transient objects", tpm2.TPMCapHandles, 0x80000000}, {"persistent objects", tpm2.TPMCapHandles, 0x81000000},
}

func capabilityCases() []conform.Case {
	all := []conform.Case{
		ask(getCapabilitySection, "GetCapability of a capability that does not exist answers TPM_RC_VALUE for parameter 1", getCapability(0x7f, 0, 1).Fails(p(1, tpm2.TPMRCValue))),
		ask(getCapabilitySection, "GetCapability of handles of a kind that does not exist answers TPM_RC_HANDLE or TPM_RC_VALUE for parameter 2",
			getCapability(1, 0x7f000000, 1).Fails(p(2, tpm2.TPMRCHandle), p(2, tpm2.TPMRCValue))),
		ask(getCapabilitySection, "GetCapability of PCRs gives all banks whatever the count", getCapability(5, 0, 1)),
		ask(getCapabilitySection, "GetCapability of PCRs from 1 on answers TPM_RC_VALUE for parameter 2", getCapability(5, 1, 1).Fails(p(2, tpm2.TPMRCValue))),
		ask(getCapabilitySection, "GetCapability of PCR properties gives which PCRs have them", getCapability(7, 0, 32)),
		ask(getCapabilitySection, "GetCapability of authorization policies succeeds", getCapability(9, 0x40000001, 8)),
		ask(getCapabilitySection, "GetCapability of authorization policies from a handle that is not permanent answers TPM_RC_VALUE or TPM_RC_HANDLE for parameter 2",
			getCapability(9, 0x80000000, 1).Fails(p(2, tpm2.TPMRCValue), p(2, tpm2.TPMRCHandle))),
		ask(getCapabilitySection, "TPM_PT_FAMILY_INDICATOR is \"2.0\"", getCapability(6, 0x100, 1).Checked(propertyIs(0x322e3000))),
		ask(getCapabilitySection, "TPM_PT_LEVEL is 0", getCapability(6, 0x101, 1).Checked(propertyIs(0))),
		ask(getCapabilitySection, "TPM_PT_HR_TRANSIENT_MIN is 3 or more", getCapability(6, 0x10e, 1).Checked(propertyAtLeast(3))),
		ask(getCapabilitySection, "TPM_PT_HR_LOADED_MIN is 3 or more", getCapability(6, 0x110, 1).Checked(propertyAtLeast(3))),
		ask(getCapabilitySection, "TPM_PT_PCR_COUNT is 16 or more", getCapability(6, 0x112, 1).Checked(propertyAtLeast(16))),
		ask(getCapabilitySection, "TPM_PT_PCR_SELECT_MIN is 3 or more", getCapability(6, 0x113, 1).Checked(propertyAtLeast(3))),
		ask(getCapabilitySection, "TPM_PT_MAX_DIGEST is the size of a digest", getCapability(6, 0x120, 1).Checked(propertyAtLeast(32))),
		ask(getCapabilitySection, "TPM_PT_MAX_COMMAND_SIZE is 1024 or more", getCapability(6, 0x11e, 1).Checked(propertyAtLeast(1024))),
		ask(getCapabilitySection, "TPM_PT_MAX_RESPONSE_SIZE is 1024 or more", getCapability(6, 0x11f, 1).Checked(propertyAtLeast(1024))),
		ask(getCapabilitySection, "TPM_PT_STARTUP_CLEAR has phEnable, shEnable and ehEnable SET", conform.Reset(), startupStep(clearState), getCapability(6, 0x201, 1).Checked(propertyHas(7))).
			Harming(conform.Resets).Needing(conform.Needs{Power: true}),
		ask(getCapabilitySection, "TPM_PT_STARTUP_CLEAR has orderly SET after an orderly start, and CLEAR after a loss of power",
			shutdownStep(clearState), conform.Reset(), startupStep(clearState), getCapability(6, 0x201, 1).Checked(propertyHas(1<<31))).Harming(conform.Resets).Needing(conform.Needs{Power: true}),
		ask(getCapabilitySection, "A transient object is in the list of handles",
			external("hmac", outside|wire.ObjectSign, hmacSHA256, "").Named("key"), getCapability(1, 0x80000000, 64).Checked(hasHandle("key"))),
		ask(getCapabilitySection, "A session is in the list of loaded sessions",
			conform.Start(wire.SessionHMAC).Named("session"), getCapability(1, 0x02000000, 64).Checked(hasHandle("session"))),
		ask(getCapabilitySection, "A session that was saved is in the list of saved sessions",
			conform.Start(wire.SessionHMAC).Named("session"), save("session"), getCapability(1, 0x03000000, 64).Checked(hasNumber("session")), conform.Flush("session")),
		ask(getCapabilitySection, "An NV index is in the list of handles", define(0, ordinary, 8), getCapability(1, index(0).Handle(), 1).Checked(firstKey(index(0).Handle()))),
		ask(testParms, "TestParms of an ECC key on P-256 succeeds", do(tpm2.TPMCCTestParms).With(join{alg(tpm2.TPMAlgECC), eccAny})),
		ask(testParms, "TestParms of an RSA key of 2048 bits succeeds", do(tpm2.TPMCCTestParms).With(join{alg(tpm2.TPMAlgRSA), rsaAny})).Needing(conform.Needs{Algs: []tpm2.TPMAlgID{tpm2.TPMAlgRSA}}),
		ask(testParms, "TestParms of an RSA key of 1000 bits answers TPM_RC_VALUE for parameter 1",
			do(tpm2.TPMCCTestParms).With(join{alg(tpm2.TPMAlgRSA), noAlg, noAlg, u16(1000), u32(0)}).Fails(p(1, tpm2.TPMRCValue))).Needing(conform.Needs{Algs: []tpm2.TPMAlgID{tpm2.TPMAlgRSA}}),
		ask(testParms, "TestParms of a curve that does not exist answers TPM_RC_CURVE for parameter 1",
			do(tpm2.TPMCCTestParms).With(join{alg(tpm2.TPMAlgECC), noAlg, noAlg, u16(0x7f), noAlg}).Fails(p(1, tpm2.TPMRCCurve))),
		ask(testParms, "TestParms of a type that does not exist answers TPM_RC_TYPE for parameter 1", do(tpm2.TPMCCTestParms).With(alg(tpm2.TPMAlgSHA256)).Fails(p(1, tpm2.TPMRCType))),
		ask(testParms, "TestParms of AES with 100 bits answers TPM_RC_VALUE or TPM_RC_KEY_SIZE for parameter 1",
			do(tpm2.TPMCCTestParms).With(join{alg(tpm2.TPMAlgSymCipher), alg(tpm2.TPMAlgAES), u16(100), alg(tpm2.TPMAlgCFB)}).Fails(p(1, tpm2.TPMRCValue), p(1, tpm2.TPMRCKeySize))),
		ask(testParms, "TestParms of AES in a mode that is none answers TPM_RC_MODE for parameter 1",
			do(tpm2.TPMCCTestParms).With(join{alg(tpm2.TPMAlgSymCipher), alg(tpm2.TPMAlgAES), u16(128), alg(tpm2.TPMAlgSHA256)}).Fails(p(1, tpm2.TPMRCMode))),
		ask(testParms, "TestParms of HMAC with SHA-256 succeeds", do(tpm2.TPMCCTestParms).With(join{alg(tpm2.TPMAlgKeyedHash), hmacSHA256})),
		ask(testParms, "TestParms of HMAC with something that is no hash answers TPM_RC_HASH for parameter 1",
			do(tpm2.TPMCCTestParms).With(join{alg(tpm2.TPMAlgKeyedHash), alg(tpm2.TPMAlgHMAC), alg(tpm2.TPMAlgAES)}).Fails(p(1, tpm2.TPMRCHash))),
		ask(testParms, "TestParms of a keyed hash with a scheme that is none answers TPM_RC_SCHEME or TPM_RC_VALUE for parameter 1",
			do(tpm2.TPMCCTestParms).With(join{alg(tpm2.TPMAlgKeyedHash), alg(tpm2.TPMAlgECDSA), alg(tpm2.TPMAlgSHA256)}).Fails(p(1, tpm2.TPMRCScheme), p(1, tpm2.TPMRCValue))),
	}
	for _, list := range lists {
		all = append(all,
			ask(getCapabilitySection, "GetCapability of "+list.what+" gives them in ascending order", getCapability(uint32(list.capability), list.first, 254).Checked(ascending())),
			ask(getCapabilitySection, "GetCapability of no "+list.what+" gives none", getCapability(uint32(list.capability), list.first, 0).Checked(atMost(0))),
			ask(getCapabilitySection, "GetCapability of one of the "+list.what+" gives one at most", getCapability(uint32(list.capability), list.first, 1).Checked(atMost(1))))
	}
	unknown := with(sized{u32(0)})
	all = append(all, built(
		about(ccSetCapability, "of a capability that cannot be set", on(tpm2.TPMRHOwner), unknown, p(1, tpm2.TPMRCValue)).in(since(183, section(ccSetCapability))),
		about(ccSetCapability, "of nothing", on(tpm2.TPMRHOwner), with(empty), p(1, tpm2.TPMRCSize)).in(since(183, section(ccSetCapability))),
		about(ccSetCapability, "by a PCR", on(16), unknown, h(1, tpm2.TPMRCValue)).in(since(183, section(ccSetCapability))),
	)...)
	return append(all, commandAttributes()...)
}

// commandAttributes asks for the TPMA_CC of each command.
func commandAttributes() (all []conform.Case) {
	for _, c := range conformance.Commands() {
		if c.Code == 0x13f || c.Name == "AC_Send" { // how many handles those have depends on the revision
			continue
		}
		all = append(all, ask(part2("8.9", "TPMA_CC"), fmt.Sprintf("GetCapability says of %s how many handles it has and whether it answers one", c.Name),
			getCapability(2, c.Code, 1).Checked(conform.Check{Says: "the attributes are those of the command", Test: func(a *conform.Answer) error {
				in := a.Parsed()
				in.Take(1 + 4 + 4)
				got := in.U32()
				if got&0xffff != c.Code || got>>25&7 != uint32(len(c.Handles)) || got>>28&1 == 1 != c.ResponseHandle {
					return fmt.Errorf("they are %#x", got)
				}
				return nil
			}})).Needing(conform.Needs{Commands: []tpm2.TPMCC{tpm2.TPMCC(c.Code)}}))
	}
	return all
}

func propertyAtLeast(least uint32) conform.Check {
	return conform.Check{Says: fmt.Sprintf("the property is %d or more", least), Test: func(a *conform.Answer) error { return property(a, func(v uint32) bool { return v >= least }) }}
}

func ascending() conform.Check {
	return conform.Check{Says: "the list is in ascending order", Test: func(a *conform.Answer) error {
		page, err := wire.ParseCapability(a.Parameters)
		if err != nil {
			return err
		}
		for i := range max(len(page.Entries)-1, 0) {
			if page.Entries[i].Key >= page.Entries[i+1].Key {
				return fmt.Errorf("%#x is before %#x", page.Entries[i].Key, page.Entries[i+1].Key)
			}
		}
		return nil
	}}
}

func atMost(n int) conform.Check {
	return conform.Check{Says: fmt.Sprintf("the list has %d elements at most", n), Test: func(a *conform.Answer) error {
		page, err := wire.ParseCapability(a.Parameters)
		if err != nil {
			return err
		}
		if len(page.Entries) > n {
			return fmt.Errorf("it has %d", len(page.Entries))
		}
		return nil
	}}
}

func firstKey(want uint32) conform.Check {
	return conform.Check{Says: fmt.Sprintf("the first element is %#x", want), Test: func(a *conform.Answer) error {
		page, err := wire.ParseCapability(a.Parameters)
		if err != nil {
			return err
		}
		if len(page.Entries) == 0 || page.Entries[0].Key != want {
			return fmt.Errorf("the list is %+v", page.Entries)
		}
		return nil
	}}
}

// hasHandle checks that the handle of an earlier answer is in the list.
func hasHandle(label string) conform.Check {
	return listed(label, func(key, handle uint32) bool { return key == handle })
}

// hasNumber checks that a session is in the list, whose handles may have the octet of another
// kind in front.
func hasNumber(label string) conform.Check {
	return listed(label, func(key, handle uint32) bool { return key&0xffffff == handle&0xffffff })
}

func listed(label string, is func(key, handle uint32) bool) conform.Check {
	return conform.Check{Says: "the handle is in the list", Test: func(a *conform.Answer) error {
		want, err := a.State.Handle(label)
		if err != nil {
			return err
		}
		page, err := wire.ParseCapability(a.Parameters)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if is(e.Key, want) {
				return nil
			}
		}
		return fmt.Errorf("%#x is not in %+v", want, page.Entries)
	}}
}
