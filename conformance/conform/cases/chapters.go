package cases

import (
	"slices"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance/conform"
)

// All returns the suite.
func All() *conform.Suite {
	suite := &conform.Suite{Fixtures: slices.Concat(fixtures, keyFixtures, fixtures185())}
	for _, chapter := range chapters {
		suite.Cases = append(suite.Cases, chapter()...)
	}
	for i := range suite.Cases {
		fixturesNeed(&suite.Cases[i], suite.Fixtures)
	}
	return suite
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
	asymmetricCases, eccCases, symmetricCases, randomCases, sequenceCases,
	attestationCases, ephemeralCases, signCases, pcrCases, policyCases, protectedCases,
	// What version 185 of the library brought.
	encapsulationCases, signSequenceCases, verifySequenceCases, digestCases, objectCases185,
	// The PC Client profile, and what Linux and swtpm's clients ask.
	profileCases, linuxCases, controlCases,
}
