package faults_test

import (
	"testing"

	"github.com/swtpmd/swtpmd/faults"
)

func TestTruncate(t *testing.T) {
	t.Parallel()
	testChange(t, "truncate=12", "80010000000e00000000a1b2", "12 of 14 bytes")
	testChange(t, "truncate=1", "80", "1 of 14 bytes")
	testChange(t, "truncate=14", fourBytes, "")
	refused(t, "truncate", []string{"0", "-1", "4097", "x", "1.5"}, faults.Truncate{}, faults.Truncate{To: 4097})
}
