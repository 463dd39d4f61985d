package faults

import (
	"fmt"
	"strconv"
)

// Truncate has the TPM execute the command, and leaves only so many bytes of its response.
// The size field stays, so that the client waits for the rest.
type Truncate struct {
	To int // bytes, from 1
}

var truncateKind = Kind{
	Word: "truncate", Value: "N", Group: Bytes,
	Doc:     "The TPM executes the command, and only the first N bytes of its response come; the size field stays as it was.",
	Example: "GetRandom#2: truncate=12",
	Dangerous: "a client that reads by the size field waits for the rest, until its own time-out if it has one, " +
		"or takes the next response for it",
	parse: func(value string) (Fault, error) {
		to, err := parseBytes(value)
		return Truncate{to}, err
	},
}

func (Truncate) kind() *Kind                 { return &truncateKind }
func (t Truncate) String() string            { return "truncate=" + strconv.Itoa(t.To) }
func (t Truncate) check(*Plan, *Rule) string { return checkBytes(t.To) }
func (t Truncate) apply(x *exchange) ([]byte, error) {
	return x.change(func(response []byte) ([]byte, string) {
		if len(response) <= t.To {
			return response, ""
		}
		return response[:t.To], fmt.Sprintf("%d of %d bytes", t.To, len(response))
	})
}
