package faults_test

import (
	"testing"

	"github.com/swtpmd/swtpmd/faults"
)

func TestWrongSize(t *testing.T) {
	t.Parallel()
	testChange(t, "size=+2", "80010000001000000000a1b2c3d4", "size 16 in place of 14")
	testChange(t, "size=-5", "80010000000900000000a1b2c3d4", "size 9 in place of 14")
	testChange(t, "size=-100", "80010000000000000000a1b2c3d4", "size 0 in place of 14")
	refused(t, "size", []string{"2", "+0", "-0", "+", "+4097", "-4097", "x"}, faults.WrongSize{}, faults.WrongSize{By: 5000})
}
