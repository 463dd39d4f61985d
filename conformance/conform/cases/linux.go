package cases

import (
	"fmt"
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// The files of Linux that ask.
var (
	driver    = linux("drivers/char/tpm/tpm2-cmd.c", "tpm2_auto_startup, tpm2_pcr_extend, tpm2_pcr_read")
	nullKey   = linux("drivers/char/tpm/tpm2-sessions.c", "tpm2_start_auth_session")
	imaCrypto = linux("security/integrity/ima/ima_crypto.c", "ima_calc_boot_aggregate")
)

// linux is a file of Linux, and what in it asks.
func linux(file, function string) conform.Section {
	return conform.Section{Document: "Linux", Clause: file, Title: function}
}

// linuxCases are what Linux's driver and IMA need of a TPM.
func linuxCases() []conform.Case {
	capability, extend, read := tpm2.TPMCCGetCapability, tpm2.TPMCCPCRExtend, tpm2.TPMCCPCRRead
	properties := u32(uint32(tpm2.TPMCapTPMProperties))
	cases := built(
		about(capability, "of PCRs with a count of 1", nil, with(u32(uint32(tpm2.TPMCapPCRs)), u32(0), u32(1))).in(driver).check("gives all banks", func(a *conform.Answer) error {
			in := a.Parsed()
			in.U8()
			in.U32()
			if n := in.U32(); int(n) != len(a.State.Features.Banks) {
				return fmt.Errorf("%d banks, and %d with a count of 64", n, len(a.State.Features.Banks))
			}
			return nil
		}),
		about(capability, "of TPM_PT_TOTAL_COMMANDS", nil, with(properties, u32(uint32(tpm2.TPMPTTotalCommands)), u32(1))).in(driver).
			check("gives the number of commands that TPM_CAP_COMMANDS lists", func(a *conform.Answer) error { return oneProperty(uint32(len(a.State.Features.Commands)))(a) }),
		about(capability, "of commands from 0x11f on, as many as there are", nil, with(u32(uint32(tpm2.TPMCapCommands)), u32(0x11f), conform.Computed(func(s *conform.State) ([]byte, error) {
			return wire.U32(uint32(len(s.Features.Commands))), nil
		}))).in(driver).check("gives all of them at once", func(a *conform.Answer) error {
			page, err := wire.ParseCapability(a.Parameters)
			if err != nil || len(page.Entries) != len(a.State.Features.Commands) {
				return fmt.Errorf("%d of %d commands: %w", len(page.Entries), len(a.State.Features.Commands), err)
			}
			return nil
		}),
		about(tpm2.TPMCCStartup, "a second time", nil, with(u16(0)), tpm2.TPMRCInitialize).in(driver),
		about(tpm2.TPMCCSelfTest, "of what has not been tested", nil, with(false)).in(driver).gives("answers TPM_RC_SUCCESS or TPM_RC_TESTING"),
		about(extend, "of PCR 10 in all banks at once", on(10), with(allBanks(message))).in(driver).harming(conform.ExtendsPCR),
		about(tpm2.TPMCCCreatePrimary, "of the driver's null key, twice", on(tpm2.TPMRHNull), creating("", "", nullTemplate())).in(nullKey).
			next(do(tpm2.TPMCCCreatePrimary, null).With(creating("", "", nullTemplate())...).Checked(sameAs("asked", 5))).gives("gives the same Name"),
		about(tpm2.TPMCCGetRandom, "in a session of the driver that encrypts", nil, with(u16(16))).in(nullKey).first(driverSession()...).by(inSession(wire.AttributeEncrypt)),
		about(extend, "of PCR 10 in a session of the driver", on(10), with(allBanks(message))).in(nullKey).harming(conform.ExtendsPCR).first(driverSession()...).by(inSession(0)),
		about(tpm2.TPMCCUnseal, "of a trusted key with the policy of PCRs", on("object"), nil).in(linux("security/keys/trusted-keys/trusted_tpm2.c", "tpm2_unseal_trusted")).needing(bank(tpm2.TPMAlgSHA256)).
			first(trialSession(), do(tpm2.TPMCCPolicyPCR, handle("policy")).With(empty, oneBank(tpm2.TPMAlgSHA256, 0, 7)).Named("trial"), do(tpm2.TPMCCPolicyGetDigest, handle("policy")).Named("digest"), conform.Flush("policy"),
				do(tpm2.TPMCCCreate, handle("@storage")).With(creating("", "data", public(tpm2.TPMAlgKeyedHash, fixed|wire.ObjectNoDA, field{Of: "digest", N: 1}, noScheme, empty))...).Named("made"),
				load(handle("@storage"), "made", "").Named("object"), policySession(), do(tpm2.TPMCCPolicyPCR, handle("policy")).With(empty, oneBank(tpm2.TPMAlgSHA256, 0, 7))).
			by(thatPolicy()).check("gives the key", firstIs([]byte("data"))),
	)
	cases[4].Steps[0].Want = codes(tpm2.TPMRCSuccess, tpm2.TPMRCTesting)
	for _, known := range hashes {
		name, digest := hashText(known.alg), hashOf(known.hash, message)
		ten := do(read).With(oneBank(known.alg, 10)).Named("before")
		after := do(read).With(oneBank(known.alg, 10)).Checked(conform.Check{Says: "PCR 10 has the digest of its value and of the new one", Test: func(a *conform.Answer) error {
			before, err := a.State.Field("before", 1)
			if err != nil {
				return err
			}
			_, was := pcrValues(before)
			_, is := pcrValues(a.Parameters)
			if len(was) != 1 || len(is) != 1 {
				return fmt.Errorf("%d values, before %d", len(is), len(was))
			}
			return differ("PCR 10", is[0], hashOf(known.hash, was[0], digest))
		}})
		aggregated := []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}
		if known.alg == tpm2.TPMAlgSHA1 {
			aggregated = aggregated[:8]
		}
		cases = append(cases, built(
			about(read, "of PCR 10 in the bank of "+name, nil, with(oneBank(known.alg, 10))).in(driver).needing(bank(known.alg)).check("gives one digest of its size", func(a *conform.Answer) error {
				_, values := pcrValues(a.Parameters)
				if len(values) != 1 || len(values[0]) != known.hash.Size() {
					return fmt.Errorf("%x", values)
				}
				return nil
			}),
			about(extend, "of PCR 10 in all banks, in that of "+name, on(10), with(allBanks(message))).in(imaCrypto).needing(bank(known.alg)).harming(conform.ExtendsPCR).first(ten).next(after).
				gives("extends the digest by its algorithm"),
			about(tpm2.TPMCCQuote, "of the PCRs in IMA's boot_aggregate, by "+name, on("@ecc"), with("nonce", scheme(tpm2.TPMAlgECDSA, known.alg), oneBank(known.alg, aggregated...))).in(imaCrypto).needing(bank(known.alg)).
				first(do(read).With(oneBank(known.alg, aggregated[:8]...)).Named("low"), do(read).With(oneBank(known.alg, aggregated[8:]...)).Named("high")).
				check("attests the boot_aggregate that a kernel computes", attested(tpm2.TPMSTAttestQuote, func(s *conform.State, in *wire.Cursor) error {
					skipSelections(in)
					low, err := s.Field("low", 1)
					if err != nil {
						return err
					}
					high, err := s.Field("high", 1)
					if err != nil {
						return err
					}
					_, first := pcrValues(low)
					_, second := pcrValues(high)
					return differ("boot_aggregate", in.Sized(), hashOf(known.hash, slices.Concat(first, second)...))
				})),
		)...)
	}
	sha256 := tpm2.TPMAlgSHA256
	return append(cases, ask(linux("drivers/char/tpm/tpm-interface.c", "tpm_pm_suspend"),
		"Startup(STATE) after Shutdown(STATE) and _TPM_Init gives PCR 10 its value again",
		conform.Reset(), powerUp(0), do(extend, u32(10)).With(digestList(sha256, octets(32))), do(tpm2.TPMCCShutdown).With(u16(1)), conform.Reset(), powerUp(1),
		pcrsAre(sha256, hashOf(hashes[1].hash, make([]byte, 32), octets(32)), 10)).
		Harming(conform.Resets|conform.ExtendsPCR).Needing(conform.Needs{Power: true, Banks: []tpm2.TPMAlgID{sha256}}))
}

// allBanks is the TPML_DIGEST_VALUES that a driver makes: a digest for each bank.
func allBanks(data []byte) conform.Computed {
	return func(s *conform.State) ([]byte, error) {
		banks := banksOf(s.Features)
		b := wire.U32(uint32(len(banks)))
		for _, bank := range banks {
			b = append(append(b, wire.U16(uint16(bank))...), hashOf(wire.Hashes[bank], data)...)
		}
		return b, nil
	}
}

// nullTemplate is the template of the driver's null key.
func nullTemplate() sized {
	return public(tpm2.TPMAlgECC, storage, empty, eccStorage, join{zeros(32), zeros(32)})
}

// driverSession is how the driver comes to a session: a null key, whose context is saved and
// loaded, and a session that is salted to it.
func driverSession() []conform.Step {
	return []conform.Step{
		do(tpm2.TPMCCCreatePrimary, null).With(creating("", "", nullTemplate())...).Named("made"),
		do(tpm2.TPMCCContextSave, handle("made")).Named("saved"), conform.Flush("made"),
		do(tpm2.TPMCCContextLoad).With(field{Of: "saved", N: 1}).Named("key"),
		do(tpm2.TPMCCStartAuthSession, handle("key"), null).With(conform.Bytes(octets(32)), conform.Salt("salt"), u8(wire.SessionHMAC), aes128CFB, alg(tpm2.TPMAlgSHA256)).Named("session"),
		conform.Flush("key"),
	}
}
