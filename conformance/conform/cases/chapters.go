package cases

import "github.com/swtpmd/swtpmd/conformance/conform"

// cryptography are the chapters about objects, what is done with them, PCRs and policies.
var cryptography = []func() []conform.Case{
	createCases, loadCases, createLoadedCases, credentialCases, duplicationCases,
	asymmetricCases, eccCases, symmetricCases, randomCases, sequenceCases,
	attestationCases, ephemeralCases, signCases, pcrCases, policyCases, protectedCases,
	profileCases, linuxCases, controlCases,
}
