package version185

import (
	"slices"

	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// sequence is a sign or verify sequence (Part 1, section "Signature Sequences").
type sequence struct {
	verify bool
	auth   []byte
	// key is the one that it was started with, by its identity.
	key     string
	scheme  scheme
	context []byte
	hint    []byte
	message []byte
}

func (q *sequence) copy() *sequence {
	c := *q
	c.message = slices.Clone(q.message)
	return &c
}

// oneShot reports whether the message comes with the last command.
func (q *sequence) oneShot() bool { return !q.verify && q.scheme.alg == wire.AlgEdDSA }
