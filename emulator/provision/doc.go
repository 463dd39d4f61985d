// Package provision gives a new TPM what it leaves the factory with: endorsement
// keys, attestation and device identity keys, their certificates, and the NV indices
// in which others look for these.
//
// It takes any Device that has had TPM2_Startup and whose hierarchies have no
// authValue yet. An [Authority] signs the certificates. Clock and entropy are values:
// with the same ones and the same TPM the certificates are the same bytes.
//
// The sources, as they are cited here:
//   - EK profile: TCG EK Credential Profile for TPM Family 2.0, version 2.3, revision 2
//   - DevID: TPM 2.0 Keys for Device Identity and Attestation, version 1.00, revision 12;
//     version 1.10, revision 9, for the ranges of NV indices
//   - Platform profile: TCG Platform Certificate Profile, version 1.1, revision 19
//   - swtpm_setup: the program of swtpm 0.7.1 and 0.11, where TCG leaves the choice
package provision
