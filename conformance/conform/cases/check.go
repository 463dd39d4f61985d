package cases

import (
	"bytes"
	"fmt"

	"github.com/swtpmd/swtpmd/conformance/conform"
	"github.com/swtpmd/swtpmd/conformance/differential/wire"
)

// sameAs checks that a parameter of the answer, from 1 on, equals that of an earlier one.
func sameAs(label string, n int) conform.Check {
	return conform.Check{Says: fmt.Sprintf("parameter %d of the answer is the same as before", n), Test: func(a *conform.Answer) error {
		return compare(a, label, n, true)
	}}
}

// otherThan checks that a parameter of the answer is not that of an earlier one.
func otherThan(label string, n int) conform.Check {
	return conform.Check{Says: fmt.Sprintf("parameter %d of the answer is another one than before", n), Test: func(a *conform.Answer) error {
		return compare(a, label, n, false)
	}}
}

func compare(a *conform.Answer, label string, n int, same bool) error {
	before, err := a.State.Field(label, n)
	if err != nil {
		return err
	}
	fields, ok := wire.LayoutOf(a.Command).Split(a.Parameters)
	if !ok || n > len(fields) {
		return fmt.Errorf("the answer has no parameter %d: %x", n, a.Parameters)
	}
	if bytes.Equal(before, fields[n-1]) != same {
		return fmt.Errorf("%x, before %x", fields[n-1], before)
	}
	return nil
}
