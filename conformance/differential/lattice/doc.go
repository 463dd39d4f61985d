// Package lattice is ML-KEM and the verification of ML-DSA as FIPS 203 and FIPS 204 write
// them: one function for an algorithm, loops for sums, and no care for time. It is there
// to check implementations with, as crypto/mlkem has no ML-KEM-512 and filippo.io/mldsa
// verifies no µ from outside; it keeps no secrets.
package lattice
