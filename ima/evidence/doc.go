// Package evidence has the files that a measured machine leaves for an attestation
// service: the measurement lists under the names that the kernel gives them, a
// Canonical Event Log of the same records, PCR values, and a quote. It writes them
// into a directory, and opens a list in any of its forms. Collect takes the same from an
// embedded IMA, for a verdict.
package evidence
