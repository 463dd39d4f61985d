package main

import (
	"math"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestProcessorTime(t *testing.T) {
	before, err := processorTime(os.Getpid())
	require.NoError(t, err)
	assert.Positive(t, before)
	after, err := processorTime(os.Getpid())
	require.NoError(t, err)
	assert.GreaterOrEqual(t, after, before)
	_, err = processorTime(math.MaxInt32)
	require.Error(t, err)
}

func TestFullPipe(t *testing.T) {
	full, err := fullPipe()
	require.NoError(t, err)
	defer full.Close()
	fd := int(full.Fd())
	require.NoError(t, syscall.SetNonblock(fd, true))
	_, err = syscall.Write(fd, []byte{0})
	require.ErrorIs(t, err, syscall.EAGAIN)
}

func TestSpreadOf(t *testing.T) {
	ratios := make([]float64, 101) // 0 to 100, in another order
	for i := range ratios {
		ratios[i] = float64(i * 7 % 101)
	}
	assert.Equal(t, spread{50, 40, 61}, spreadOf(ratios))
	assert.Equal(t, spread{2, 1, 3}, spreadOf([]float64{3, 1, 2}), "few rounds bound nothing")
	assert.Equal(t, spread{2, 2, 2}, spreadOf([]float64{2}))
}
