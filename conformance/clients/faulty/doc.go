// Package faulty holds tests only: programs of others with a TPM under fault rules.
// Each cell of the table of faults and clients in docs/faults.md is one run here.
package faulty
