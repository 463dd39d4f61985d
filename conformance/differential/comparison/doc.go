// Package comparison compares what two devices answered to the same step.
//
// Errors, and successes whose content the specification determines, are compared
// byte by byte. Random bytes, time, tickets, nonces and properties of the
// implementation are compared by size, structure and relation. An [Identity] holds
// the capabilities that a device reports, and decides which properties may differ.
package comparison
