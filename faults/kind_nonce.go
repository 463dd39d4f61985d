package faults

import (
	"bytes"
	"fmt"
)

// StaleNonce has the TPM execute the command, and gives each session in its response the
// nonceTPM that it had in the one before, as far as the fault was for that one too.
type StaleNonce struct{}

var nonceKind = Kind{
	Word: "nonce", Group: Answers,
	Doc: "The TPM executes the command, and the nonceTPM of each session in the response is that of the response before. " +
		"The first response of a session that the rule is for stays as it is.",
	Example: "session=yes: nonce",
	parse:   func(string) (Fault, error) { return StaleNonce{}, nil },
}

// nonces are the last nonceTPM of sessions, by their handles.
type nonces map[uint32][]byte

// maxNonces bounds the sessions of which nonces are kept: more than a TPM has.
const maxNonces = 1024

func (StaleNonce) kind() *Kind    { return &nonceKind }
func (StaleNonce) String() string { return "nonce" }

func (StaleNonce) apply(x *exchange) ([]byte, error) {
	return x.change(func(response []byte) ([]byte, string) {
		asked, _, ok := commandSessions(x.command)
		answered := responseSessions(x.command, response)
		if !ok || len(asked) != len(answered) {
			return response, ""
		}
		stale := 0
		remember(x, func(last *nonces) {
			if *last == nil || len(*last) > maxNonces {
				*last = make(nonces)
			}
			for i, s := range answered {
				nonce := s.nonce.of(response)
				if len(nonce) == 0 {
					continue
				}
				before := (*last)[asked[i].handle]
				(*last)[asked[i].handle] = bytes.Clone(nonce)
				if len(before) == len(nonce) {
					copy(nonce, before)
					stale++
				}
			}
		})
		if stale == 0 {
			return response, ""
		}
		return response, fmt.Sprintf("%d stale", stale)
	})
}
