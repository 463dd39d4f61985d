package faults

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/swtpmd/swtpmd/transport"
)

// NVWear is how many writes the TPM's nonvolatile memory has left before it is worn out:
// those of the rule's commands count, over all boots. Then it cannot be written any more.
type NVWear int

var nvWearKind = Kind{
	Word: "nvwear", Value: "N", Group: Inside,
	Doc: "The nonvolatile memory bears N writes more, over all boots; then it is worn out, and commands that need to write it are answered TPM_RC_NV_UNAVAILABLE. " +
		"The rule's commands count, and meet what is worn out. A command writes once at most.",
	Example: "*: nvwear=1000",
	parse: func(value string) (Fault, error) {
		n, ok := number(value)
		if !ok {
			return nil, errWear
		}
		return NVWear(n), nil
	},
}

var (
	errWear = errors.New("the number of writes is one from 1")
	errWorn = errors.New("the nonvolatile memory is worn out, as a fault rule has it")
)

func (NVWear) kind() *Kind { return &nvWearKind }

func (NVWear) needs(d transport.Device) string { return closed(d) }
func (NVWear) prepare(l *Layer)                { l.surround() }

func (w NVWear) String() string { return "nvwear=" + strconv.Itoa(int(w)) }

func (w NVWear) check(*Plan, *Rule) string {
	if w < 1 || w > maxCount {
		return errWear.Error()
	}
	return ""
}

func (w NVWear) apply(x *exchange) ([]byte, error) {
	decision, written, mine := x.decision, 0, *x // other rules are x's while the TPM writes
	decision.Detail = "the TPM wrote nothing"
	remember(x, func(writes *int) { written = *writes })
	return x.inside(effect{store: func(below store) store {
		changed := &changedStore{store: below}
		if written >= int(w) {
			changed.refused = errWorn
			decision.Detail = fmt.Sprintf("worn out after %d writes", w)
		}
		changed.commit = func(blob []byte) error {
			remember(&mine, func(writes *int) {
				*writes++
				decision.Detail = fmt.Sprintf("write %d of %d", *writes, w)
			})
			return below.Commit(blob)
		}
		return changed
	}})
}
