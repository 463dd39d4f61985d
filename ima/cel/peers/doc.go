// Package peers holds logs that package cel writes against readers of others,
// and theirs against cel: go-eventlog's cel package for CEL-TLV, fxamacker/cbor for
// CEL-CBOR. It is a module of its own, as the version of go-eventlog that the
// project's other test dependencies ask for cannot be had everywhere.
package peers
