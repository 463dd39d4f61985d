//go:build linux

package main

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseStep(t *testing.T) {
	t.Parallel()
	s, err := parseStep("once:8001{n}:key=handle")
	require.NoError(t, err)
	require.Equal(t, step{"once", "8001{n}", "key", "handle"}, s)
	s, err = parseStep("time:8001")
	require.NoError(t, err)
	require.Equal(t, step{when: "time", text: "8001"}, s)
	for _, text := range []string{"", "8001", "never:8001", "once:8001:key", "once:8001:key=tail", "once:8001:"} {
		_, err := parseStep(text)
		require.ErrorContains(t, err, text)
	}
}

// A command has the number of the repetition, what was kept, and its own size.
func TestCommand(t *testing.T) {
	t.Parallel()
	c := &conversation{kept: map[string]string{"key": "80000001"}}
	command, err := c.command(step{text: "80010000000000000165{key}{n}"}, 258)
	require.NoError(t, err)
	require.Equal(t, "80010000001200000165"+"80000001"+"00000102", hex.EncodeToString(command))
	for _, text := range []string{"8001", "80010000000000000165{other}", "80010000000000000165{key}0"} {
		_, err := c.command(step{text: text}, 1)
		require.ErrorContains(t, err, text)
	}
}

func TestKeep(t *testing.T) {
	t.Parallel()
	const (
		plain    = "80010000000000000000"
		sessions = "80020000000000000000" + "0000000c"
		buffers  = "0001aa" + "0002bbcc" + "dd"
	)
	for _, c := range []struct{ part, response, kept string }{
		{"handle", plain + "80000002", "80000002"},
		{"handle", "80020000000000000000" + "80000003" + "00000000", "80000003"},
		{"first", plain + buffers, "0001aa"},
		{"first", sessions + buffers, "0001aa"},
		{"pair", sessions + buffers, "0001aa" + "0002bbcc"},
		{"handle", plain + "800000", ""},
		{"first", plain + "00", ""},
		{"first", plain + "0002aa", ""},
		{"pair", plain + "0001aa" + "0002bb", ""},
		{"pair", plain + "0004aa", ""},
	} {
		response, err := hex.DecodeString(c.response)
		require.NoError(t, err)
		k := &conversation{kept: map[string]string{}}
		err = k.keep(step{name: "it", part: c.part}, response)
		if c.kept == "" {
			require.ErrorContains(t, err, c.part, c.response)
			continue
		}
		require.NoError(t, err)
		require.Equal(t, c.kept, k.kept["it"])
	}
}
