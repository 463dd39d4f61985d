package crypt

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/wire"
)

// Every supported algorithm has a test, it passes, and it compares something.
func TestSelfTest(t *testing.T) {
	t.Parallel()
	for _, a := range Algorithms() {
		err := SelfTest(a.ID)
		if !a.Supported {
			var failed *SelfTestError
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, a.ID, failed.Alg)
			assert.Contains(t, err.Error(), "not supported")
			continue
		}
		require.NoError(t, err)
		answers, err := selfTest(a.ID)()
		require.NoError(t, err)
		assert.NotEmpty(t, answers, a.ID)
		for _, x := range answers {
			assert.NotEmpty(t, x.what, a.ID)
			assert.NotEmpty(t, x.want, a.ID)
		}
	}
}

// What is remembered of an algorithm is how its test ended, well or not.
func TestSelfTestsRemember(t *testing.T) {
	t.Parallel()
	var tests SelfTests
	for range 2 {
		assert.NoError(t, tests.SelfTest(wire.AlgSHA256))
	}
	err := tests.SelfTest(wire.AlgError)
	var failed *SelfTestError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, wire.AlgError, failed.Alg)
	assert.Same(t, err, tests.SelfTest(wire.AlgError), "it is the error of the one test that ran")
}

func TestSelfTestComplains(t *testing.T) {
	t.Parallel()
	no := holds("it", false)
	err := compare(wire.AlgSHA1, []answer{holds("that", true), no})
	var failed *SelfTestError
	require.ErrorAs(t, err, &failed)
	assert.Equal(t, SelfTestError{wire.AlgSHA1, "a wrong answer: it"}, *failed)
	assert.NoError(t, compare(wire.AlgSHA1, []answer{{"", []byte("a"), []byte("a")}}))
	assert.Error(t, compare(wire.AlgSHA1, []answer{{"", []byte("a"), []byte("b")}}))
}

func BenchmarkSelfTest(b *testing.B) {
	for b.Loop() {
		for _, a := range algorithms {
			if a.Supported {
				if err := SelfTest(a.ID); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
}
