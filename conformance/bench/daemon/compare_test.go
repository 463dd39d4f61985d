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
