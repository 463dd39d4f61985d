package cases

import (
	"fmt"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
)

// randomCases are those of Part 3, chapter "Random Number Generator".
func randomCases() []conform.Case {
	get, stir := tpm2.TPMCCGetRandom, tpm2.TPMCCStirRandom
	var cases []conform.Case
	for _, n := range []uint16{0, 1, 16, 20, 32} {
		cases = append(cases, about(get, fmt.Sprintf("of %d octets", n), nil, with(n)).
			check("gives as many", func(a *conform.Answer) error {
				if got := len(a.Parsed().Sized()); got != int(n) {
					return fmt.Errorf("%d octets", got)
				}
				return nil
			}).build())
	}
	return append(cases, built(
		about(get, "of 65,535 octets", nil, with(u16(0xffff))).check("gives those of the largest digest at least", func(a *conform.Answer) error {
			if got, least := len(a.Parsed().Sized()), int(a.State.Features.Properties[tpm2.TPMPTMaxDigest]); got < least {
				return fmt.Errorf("%d octets, and TPM_PT_MAX_DIGEST is %d", got, least)
			}
			return nil
		}),
		about(get, "twice", nil, with(u16(32))).next(do(get).With(u16(32)).Checked(otherThan("asked", 1))).gives("gives other octets"),
		about(get, "after StirRandom with what it gave", nil, with(u16(32))).
			next(do(stir).With(field{Of: "asked", N: 1}), do(get).With(u16(32)).Checked(otherThan("asked", 1))).gives("gives other octets"),
		about(stir, "with nothing", nil, with(empty)),
		about(stir, "with 128 octets", nil, with(octets(128))),
		about(stir, "with 129 octets", nil, with(octets(129)), p(1, tpm2.TPMRCSize)),
	)...)
}
