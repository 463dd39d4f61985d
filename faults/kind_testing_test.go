package faults_test

import (
	"testing"

	"github.com/google/go-tpm/tpm2"

	"github.com/swtpmd/swtpmd/faults"
)

// The end is in TestFaultsThatLastBeginAgain.
func TestSelfTesting(t *testing.T) {
	t.Parallel()
	testOnlyTests(t, "GetRandom#2: testing=1h", tpm2.TPMRCTesting)
	refused(t, "testing", []string{"0s", "-1s", "5", "x"}, faults.SelfTesting{}, faults.SelfTesting{For: -1})
}
