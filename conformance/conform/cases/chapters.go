package cases

import (
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// All returns the suite.
func All() *conform.Suite {
	suite := &conform.Suite{Fixtures: slices.Concat(fixtures(), keyFixtures(), fixtures185())}
	for _, chapter := range chapters {
		suite.Cases = append(suite.Cases, chapter()...)
	}
	for i := range suite.Cases {
		fixturesNeed(&suite.Cases[i], suite.Fixtures)
		signaturesNeed(&suite.Cases[i])
	}
	return suite
}

// withSignature are the commands that have a signature in them or in their response.
var withSignature = []tpm2.TPMCC{
	wire.CCSignSequenceComplete, wire.CCVerifySequenceComplete, wire.CCSignDigest, wire.CCVerifyDigestSignature,
	tpm2.TPMCCQuote, tpm2.TPMCCCertify, tpm2.TPMCCGetTime,
}

// signaturesNeed adds what a signature of ML-DSA-87 needs: with all else it does not fit in
// 4,096 octets, which are enough for the other ones.
func signaturesNeed(c *conform.Case) {
	signs := func(s conform.Step) bool { return slices.Contains(withSignature, s.Command) }
	if slices.Contains(c.Needs.Sets, dsaSet(3)) && slices.ContainsFunc(c.Steps, signs) {
		c.Needs.Buffer = 5000
	}
}

// fixturesNeed adds to the needs of a case those of the fixtures that its steps use.
func fixturesNeed(c *conform.Case, fixtures []conform.Fixture) {
	for i := range c.Steps {
		for _, part := range c.Steps[i].Handles {
			name, ok := part.(handle)
			if !ok {
				continue
			}
			if name == "@rsa" { // whose details name no algorithm
				needed(&c.Needs, with(tpm2.TPMAlgRSA))
			}
			at := slices.IndexFunc(fixtures, func(f conform.Fixture) bool { return f.Name == string(name) })
			if at >= 0 {
				needed(&c.Needs, fixtures[at].Step.Parameters)
			}
		}
	}
}

// chapters have the cases, in the order in which they are run.
var chapters = []func() []conform.Case{
	// What every command has, the TPM as a whole, sessions, hierarchies and NV.
	processingTables, processingCases, startupCases, shutdownCases, sessionCases, createPrimaryCases, hierarchyCases,
	contextCases, evictCases, clockCases, capabilityCases, nvDefineCases, nvUseCases,
	// Objects, what is done with them, PCRs and policies.
	createCases, loadCases, createLoadedCases, credentialCases, duplicationCases,
	asymmetricCases, eccCases, symmetricCases, randomCases, sequenceCases, countdownCases,
	attestationCases, ephemeralCases, signCases, pcrCases, policyCases, protectedCases,
	// What version 185 of the library brought.
	encapsulationCases, signSequenceCases, verifySequenceCases, digestCases, objectCases185, exchangeCases,
	// The PC Client profile, and what Linux and swtpm's clients ask.
	profileCases, linuxCases, controlCases,
}
