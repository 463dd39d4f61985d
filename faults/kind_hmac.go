package faults

import "fmt"

// WrongHMAC has the TPM execute the command, and makes the HMACs in its response wrong. A
// password session has none.
type WrongHMAC struct{}

var hmacKind = Kind{
	Word: "hmac", Group: Answers,
	Doc:     "The TPM executes the command, and the HMAC of each session in the response is wrong by a bit. Without an HMAC nothing changes.",
	Example: "session=yes: hmac",
	parse:   func(string) (Fault, error) { return WrongHMAC{}, nil },
}

func (WrongHMAC) kind() *Kind    { return &hmacKind }
func (WrongHMAC) String() string { return "hmac" }

func (WrongHMAC) apply(x *exchange) ([]byte, error) {
	return x.change(func(response []byte) ([]byte, string) {
		wrong := 0
		for _, s := range responseSessions(x.command, response) {
			if s.hmac.size > 0 {
				s.hmac.of(response)[0] ^= 1
				wrong++
			}
		}
		if wrong == 0 {
			return response, ""
		}
		return response, fmt.Sprintf("%d wrong", wrong)
	})
}
