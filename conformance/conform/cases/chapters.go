package cases

import (
	"slices"

	"github.com/swtpmd/swtpmd/conformance/conform"
)

// All returns the suite.
func All() *conform.Suite {
	suite := &conform.Suite{Fixtures: slices.Concat(fixtures, keyFixtures)}
	for _, chapter := range chapters {
		suite.Cases = append(suite.Cases, chapter()...)
	}
	return suite
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
	// The PC Client profile, and what Linux and swtpm's clients ask.
	profileCases, linuxCases, controlCases,
}
