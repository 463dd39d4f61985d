package faults

import (
	"fmt"
	"strconv"
)

// Extend has the TPM execute the command, and appends so many random bytes to its
// response. The size field stays.
type Extend struct {
	By int // bytes, from 1
}

var extendKind = Kind{
	Word: "extend", Value: "N", Group: Bytes,
	Doc:     "The TPM executes the command, and N random bytes follow its response; the size field stays as it was.",
	Example: "GetRandom: extend=3",
	Dangerous: "a client that reads by the size field takes what is left over for the beginning of the next " +
		"response, and all that follow are wrong until it connects again",
	parse: func(value string) (Fault, error) {
		by, err := parseBytes(value)
		return Extend{by}, err
	},
}

func (Extend) kind() *Kind                 { return &extendKind }
func (e Extend) String() string            { return "extend=" + strconv.Itoa(e.By) }
func (e Extend) check(*Plan, *Rule) string { return checkBytes(e.By) }

func (e Extend) apply(x *exchange) ([]byte, error) {
	return x.change(func(response []byte) ([]byte, string) {
		random := x.random()
		for range e.By {
			response = append(response, byte(random.Uint32()))
		}
		return response, fmt.Sprintf("%x appended", response[len(response)-e.By:])
	})
}
