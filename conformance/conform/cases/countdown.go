package cases

import (
	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
)

// countdownCases are those of Part 3, chapter "Authenticated Countdown Timer". None sets a
// time: when it is over, a platform may reset the host.
func countdownCases() []conform.Case {
	const never = 0xffffffff
	set, in := ccACTSetTimeout, since(159, section(ccACTSetTimeout))
	return built(
		about(set, "that takes away the signal of an ACT that has given none", on(act0), with(u32(never)), p(1, tpm2.TPMRCValue)).in(in),
		about(set, "of a hierarchy", on(tpm2.TPMRHOwner), with(u32(never)), h(1, tpm2.TPMRCValue)).in(in),
		about(set, "of the handle after those of ACTs", on(int(0x40000120)), with(u32(never)), h(1, tpm2.TPMRCValue)).in(in),
	)
}
