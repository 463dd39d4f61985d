package cases

import "github.com/swtpmd/swtpmd/conformance/conform"

// Explanations are the reasons why other TPMs do not answer as the specification says.
func Explanations() []conform.Explanation {
	return []conform.Explanation{
		{Manufacturer: "IBM", Cases: "A command with the tag", Reason: "libtpms answers TPM_RC_VALUE to most tags"},
		{Manufacturer: "IBM", Cases: "RSA_Decrypt", Reason: "libtpms 0.9 answers TPM_RC_FAILURE where padding or number are wrong, and goes on"},
		{Manufacturer: "IBM", Cases: "RSA_Encrypt", Reason: "libtpms 0.9 answers TPM_RC_FAILURE where padding or number are wrong, and goes on"},
		{Manufacturer: "IBM", Cases: "ActivateCredential with a secret that is no number", Reason: "libtpms 0.9 answers TPM_RC_FAILURE where padding or number are wrong, and goes on"},
		{Manufacturer: "IBM", Cases: "Import of an RSA key with the modulus of another", Reason: "libtpms does not notice that the modulus is another one"},
		{Manufacturer: "IBM", Cases: "SequenceUpdate of a key", Reason: "libtpms gives TPM_RC_MODE the number of a parameter"},
		{Manufacturer: "MSFT", Cases: "RSA_Encrypt without a scheme", Reason: "the reference code answers TPM_RC_SIZE, also in later revisions"},
		{Manufacturer: "IBM", Cases: "PolicyTemplate of another hash", Reason: "libtpms answers as the reference code before 1.59"},
		{Manufacturer: "IBM", Cases: "PolicyNV for signed", Reason: "libtpms takes the larger of two negative numbers for the smaller one; Part 2, \"TPM_EO\", has them in two's complement"},
		{Manufacturer: "MSFT", Cases: "PolicyTemplate of another hash", Reason: "the reference code says TPM_RC_VALUE of the parameter; Part 3, \"TPM2_PolicyTemplate\", says TPM_RC_CPHASH"},
		{Manufacturer: "MSFT", Cases: "Certify by", Reason: "the reference code does not number the parameter"},
		{Manufacturer: "MSFT", Cases: "Quote by", Reason: "the reference code does not number the parameter"},
		{Manufacturer: "MSFT", Cases: "GetTime by", Reason: "the reference code does not number the parameter"},
		{Manufacturer: "MSFT", Cases: "GetSessionAuditDigest by", Reason: "the reference code does not number the parameter"},
		{Manufacturer: "MSFT", Cases: "GetCommandAuditDigest by", Reason: "the reference code does not number the parameter"},
		{Manufacturer: "MSFT", Cases: "Sign with", Reason: "the reference code does not number the parameter"},
	}
}
