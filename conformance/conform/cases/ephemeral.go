package cases

import (
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// noPoint is a point without coordinates.
func noPoint() sized {
	return sizedPoint(join{empty, empty})
}

// ephemeralCases are those of Part 3, chapter "Ephemeral EC Keys".
func ephemeralCases() []conform.Case {
	ephemeral, commit, sign := tpm2.TPMCCECEphemeral, tpm2.TPMCCCommit, tpm2.TPMCCSign
	committed := do(commit, handle("@ecdaa")).With(with(noPoint(), empty, empty)...).Named("committed")
	by := func(count conform.Part) join {
		return with(digestOf(1), tpm2.TPMAlgECDAA, tpm2.TPMAlgSHA256, count, nullTicket())
	}
	signed := func(count conform.Part) conform.Step { return do(sign, handle("@ecdaa")).With(by(count)...) }
	return built(
		about(ephemeral, "on a curve that there is not", nil, with(u16(0x7fff)), p(1, tpm2.TPMRCCurve)),
		about(ephemeral, "on TPM_ECC_NONE", nil, with(u16(0)), p(1, tpm2.TPMRCCurve)),
		about(ephemeral, "on NIST P-256", nil, with(tpm2.TPMECCNistP256)).check("gives a point of the curve", onCurve),
		about(ephemeral, "twice", nil, with(tpm2.TPMECCNistP256)).gives("gives another point and the next number").
			next(do(ephemeral).With(with(tpm2.TPMECCNistP256)...).Checked(otherThan("asked", 1), conform.Check{Says: "the number is the next one", Test: nextCount("asked", 2, 2)})),
		about(commit, "with an RSA key", on("@rsa"), with(noPoint(), empty, empty), h(1, tpm2.TPMRCKey)),
		about(commit, "with an ECC key without a scheme", on("@ecc"), with(noPoint(), empty, empty), h(1, tpm2.TPMRCScheme)),
		about(commit, "with an ECC key for ECDSA", on("@ecc sign"), with(noPoint(), empty, empty), h(1, tpm2.TPMRCScheme)),
		about(commit, "with s2 and without y2", on("@ecdaa"), with(noPoint(), octets(16), empty), p(3, tpm2.TPMRCSize)),
		about(commit, "with y2 and without s2", on("@ecdaa"), with(noPoint(), empty, octets(32)), p(3, tpm2.TPMRCSize)),
		about(commit, "with a point that is not on the curve", on("@ecdaa"), with(offCurve(), empty, empty), p(1, tpm2.TPMRCECCPoint)),
		about(commit, "with s2 and a y2 that is not on the curve", on("@ecdaa"), with(noPoint(), octets(16), octets(32)), p(2, tpm2.TPMRCECCPoint)),
		about(commit, "with a wrong password", on("@ecdaa"), with(noPoint(), empty, empty), s(1, tpm2.TPMRCBadAuth)).by(conform.Password("wrong")),
		about(commit, "with nothing", on("@ecdaa"), with(noPoint(), empty, empty)).check("gives E alone", func(a *conform.Answer) error {
			in := a.Parsed()
			k, l, e := in.Sized(), in.Sized(), in.Sized()
			if len(k) != 4 || len(l) != 4 || len(e) < 60 {
				return fmt.Errorf("the points are K %x, L %x, E %x", k, l, e)
			}
			return nil
		}),
		about(commit, "with a point", on("@ecdaa"), with(sizedPoint(clientPoint()), empty, empty)).check("gives E as the product with the point", func(a *conform.Answer) error {
			in := a.Parsed()
			k, l := in.Sized(), in.Sized()
			if _, err := pointOf(in); err != nil || len(k) != 4 || len(l) != 4 {
				return fmt.Errorf("the points are K %x, L %x: %w", k, l, err)
			}
			return nil
		}),
		about(commit, "twice", on("@ecdaa"), with(noPoint(), empty, empty)).gives("gives the next number").
			next(do(commit, handle("@ecdaa")).With(with(noPoint(), empty, empty)...).Checked(conform.Check{Says: "the number is the next one", Test: nextCount("asked", 4, 4)})),
		about(sign, "by ECDAA after Commit", on("@ecdaa"), by(field{Of: "committed", N: 4})).first(committed),
		about(sign, "by ECDAA a second time after Commit", on("@ecdaa"), by(field{Of: "committed", N: 4}), anyNumber(tpm2.TPMRCValue)...).
			first(committed, signed(field{Of: "committed", N: 4})),
		about(sign, "by ECDAA with a number that was never given", on("@ecdaa"), by(afterNext("committed", 4)), anyNumber(tpm2.TPMRCValue)...).first(committed),
		about(sign, "by ECDAA without the scheme that names the number", on("@ecdaa"), with(digestOf(1), noScheme, nullTicket()), p(2, tpm2.TPMRCScheme)).first(committed),
	)
}

// onCurve checks the point that EC_Ephemeral gives.
func onCurve(a *conform.Answer) error {
	point, err := pointOf(a.Parsed())
	if err != nil {
		return err
	}
	_, err = ecdhWith(point)
	return err
}

// nextCount checks a number in the answer against that of an earlier one.
func nextCount(label string, n, at int) func(*conform.Answer) error {
	return func(a *conform.Answer) error {
		before, err := a.State.Field(label, n)
		if err != nil {
			return err
		}
		fields, ok := wire.LayoutOf(a.Command).Split(a.Parameters)
		if !ok || len(fields) < at {
			return fmt.Errorf("the answer has no parameter %d", at)
		}
		if want := uint16(wire.Number(before)) + 1; uint16(wire.Number(fields[at-1])) != want {
			return fmt.Errorf("%d, expected %d", wire.Number(fields[at-1]), want)
		}
		return nil
	}
}
