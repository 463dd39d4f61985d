package main

import (
	"bytes"
	"context"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestFaultsOf(t *testing.T) {
	n, err := faultsOf("7 (a) b (c) S 1 2 3 4 5 6 70 8 9 10 11")
	require.NoError(t, err)
	assert.EqualValues(t, 79, n)
	for _, short := range []string{"", "7 (a) S 1 2 3 4 5 6 70 8", "7 (a) S 1 2 3 4 5 6 x 8 9"} {
		_, err := faultsOf(short)
		require.Error(t, err, short)
	}
	text, err := os.ReadFile("/proc/self/stat")
	require.NoError(t, err)
	n, err = faultsOf(string(text))
	require.NoError(t, err)
	assert.Positive(t, n)
}

func TestUntilEnd(t *testing.T) {
	s, err := untilEnd("true")
	require.NoError(t, err)
	assert.Positive(t, s.wall)
	assert.Positive(t, s.faults)
	_, err = untilEnd("false")
	require.Error(t, err)
}

// A program that ends is not waited for.
func TestNoAnswer(t *testing.T) {
	ended := make(chan error, 1)
	dir := t.TempDir()
	go func() {
		_, err := firstAnswer("false", dir)
		ended <- err
	}()
	select {
	case err := <-ended:
		assert.ErrorIs(t, err, context.Canceled)
	case <-time.After(answerLimit / 2):
		t.Fatal("it waits for an answer")
	}
}

func TestMeasureStart(t *testing.T) {
	var turns []int
	row, err := measureStart(func(i int) (started, error) {
		turns = append(turns, i)
		wall := time.Duration(1+i) * time.Millisecond
		if len(turns) <= 2 {
			wall = time.Hour // the first round
		}
		return started{wall: wall, processor: 2 * wall, faults: float64(10 * (1 + i))}, nil
	}, 3)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 0, 0, 1, 1, 0, 0, 1}, turns)
	assert.Equal(t, startRow{
		Wall: [2]float64{1, 2}, Processor: [2]float64{2, 4}, Faults: [2]float64{10, 20}, Ratio: spread{0.5, 0.5, 0.5},
	}, row)
	var out bytes.Buffer
	require.NoError(t, printStarts(&out, []startRow{row}, true))
	assert.JSONEq(t, `{"start":"","wall_ms":[1,2],"processor_ms":[2,4],"page_faults":[10,20],"ratio":{"median":0.5,"low":0.5,"high":0.5}}`, out.String())
}
