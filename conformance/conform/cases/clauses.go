package cases

import (
	"sync"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/conformance"
	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// clauses are the clauses of Part 3 that these cases are about, as revision 1.59 numbers
// them, and version 185 those of its own commands.
var clauses = sync.OnceValue(func() map[tpm2.TPMCC]string {
	return map[tpm2.TPMCC]string{
		tpm2.TPMCCCreatePrimary: "24.1", tpm2.TPMCCCreate: "12.1", tpm2.TPMCCLoad: "12.2", tpm2.TPMCCLoadExternal: "12.3", tpm2.TPMCCReadPublic: "12.4",
		tpm2.TPMCCActivateCredential: "12.5", tpm2.TPMCCMakeCredential: "12.6", tpm2.TPMCCUnseal: "12.7",
		tpm2.TPMCCObjectChangeAuth: "12.8", tpm2.TPMCCCreateLoaded: "12.9",
		tpm2.TPMCCDuplicate: "13.1", tpm2.TPMCCRewrap: "13.2", tpm2.TPMCCImport: "13.3",
		tpm2.TPMCCRSAEncrypt: "14.2", tpm2.TPMCCRSADecrypt: "14.3", tpm2.TPMCCECDHKeyGen: "14.4", tpm2.TPMCCECDHZGen: "14.5",
		tpm2.TPMCCECCParameters: "14.6", tpm2.TPMCCZGen2Phase: "14.7", ccECCEncrypt: "14.8", ccECCDecrypt: "14.9",
		tpm2.TPMCCEncryptDecrypt: "15.2", tpm2.TPMCCEncryptDecrypt2: "15.3", tpm2.TPMCCHash: "15.4", tpm2.TPMCCMAC: "15.5",
		tpm2.TPMCCGetRandom: "16.1", tpm2.TPMCCStirRandom: "16.2",
		tpm2.TPMCCMACStart: "17.2", tpm2.TPMCCHashSequenceStart: "17.4", tpm2.TPMCCSequenceUpdate: "17.5",
		tpm2.TPMCCSequenceComplete: "17.6", tpm2.TPMCCEventSequenceComplete: "17.7",
		tpm2.TPMCCCertify: "18.2", tpm2.TPMCCCertifyCreation: "18.3", tpm2.TPMCCQuote: "18.4", tpm2.TPMCCGetSessionAuditDigest: "18.5",
		tpm2.TPMCCGetCommandAuditDigest: "18.6", tpm2.TPMCCGetTime: "18.7", tpm2.TPMCCCertifyX509: "18.8",
		tpm2.TPMCCCommit: "19.2", tpm2.TPMCCECEphemeral: "19.3",
		tpm2.TPMCCVerifySignature: "20.1", tpm2.TPMCCSign: "20.2",
		tpm2.TPMCCSetCommandCodeAuditStatus: "21.2",
		tpm2.TPMCCPCRExtend:                 "22.2", tpm2.TPMCCPCREvent: "22.3", tpm2.TPMCCPCRRead: "22.4", tpm2.TPMCCPCRAllocate: "22.5",
		tpm2.TPMCCPCRSetAuthPolicy: "22.6", tpm2.TPMCCPCRSetAuthValue: "22.7", tpm2.TPMCCPCRReset: "22.8",
		tpm2.TPMCCPolicySigned: "23.3", tpm2.TPMCCPolicySecret: "23.4", tpm2.TPMCCPolicyTicket: "23.5", tpm2.TPMCCPolicyOR: "23.6",
		tpm2.TPMCCPolicyPCR: "23.7", tpm2.TPMCCPolicyLocality: "23.8", tpm2.TPMCCPolicyNV: "23.9", tpm2.TPMCCPolicyCounterTimer: "23.10",
		tpm2.TPMCCPolicyCommandCode: "23.11", tpm2.TPMCCPolicyPhysicalPresence: "23.12", tpm2.TPMCCPolicyCpHash: "23.13",
		tpm2.TPMCCPolicyNameHash: "23.14", tpm2.TPMCCPolicyDuplicationSelect: "23.15", tpm2.TPMCCPolicyAuthorize: "23.16",
		tpm2.TPMCCPolicyAuthValue: "23.17", tpm2.TPMCCPolicyPassword: "23.18", tpm2.TPMCCPolicyGetDigest: "23.19",
		ccACTSetTimeout: "32.2", ccSetCapability: "30.4",
		wire.CCEncapsulate: "14.10", wire.CCDecapsulate: "14.11", wire.CCSignSequenceStart: "17.5", wire.CCVerifySequenceStart: "17.6",
		wire.CCVerifySequenceComplete: "20.3", wire.CCVerifyDigestSignature: "20.4", wire.CCSignSequenceComplete: "20.6", wire.CCSignDigest: "20.7",
		tpm2.TPMCCPolicyNvWritten: "23.20", tpm2.TPMCCPolicyTemplate: "23.21", tpm2.TPMCCPolicyAuthorizeNV: "23.22",
	}
})

// Commands that go-tpm has no names for.
const (
	ccECCEncrypt tpm2.TPMCC = 0x199
	ccECCDecrypt tpm2.TPMCC = 0x19a

	ccACTSetTimeout tpm2.TPMCC = 0x198
	ccSetCapability tpm2.TPMCC = 0x19f
)

// section is the section of a command.
func section(code tpm2.TPMCC) conform.Section {
	s := part3(clauses()[code], "TPM2_"+conformance.CommandName(uint32(code)))
	if code >= wire.CCVerifySequenceComplete {
		s.Since = 185
	}
	return s
}

// pcClient is a section of the PC Client Platform TPM Profile.
func pcClient(clause, title string) conform.Section {
	return conform.Section{Document: "PC Client Platform TPM Profile", Clause: clause, Title: title}
}
