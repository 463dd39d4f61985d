//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
)

// program writes a shell script and returns its path.
func program(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700))
	return path
}

func TestStopEndsEveryProcess(t *testing.T) {
	f, err := processes("sleepers", program(t, "exec sleep 1000"), nil).start(filepath.Join(t.TempDir(), "farm"), 3)
	require.NoError(t, err)
	require.Len(t, f.pids, 3)
	for _, pid := range f.pids {
		n, err := pss(pid)
		require.NoError(t, err)
		assert.Positive(t, n)
	}
	require.NoError(t, f.stop())
	for _, pid := range f.pids {
		assert.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
	}
}

func TestProcessesThatEndAtOnceAreExplained(t *testing.T) {
	f, err := processes("broken", program(t, "echo no such word >&2; exit 3"), nil).start(filepath.Join(t.TempDir(), "farm"), 2)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = f.explain(f.ready(ctx))
	require.NoError(t, f.stop())
	assert.ErrorContains(t, err, "2 of 2 processes have ended")
	assert.ErrorContains(t, err, "no such word")
}

// answerer answers each command of a client with a code, and leaves after so many.
func answerer(t *testing.T, code uint32, commands int) *client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "data")
	l, err := net.Listen("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		command := make([]byte, len(extend))
		for range commands {
			if _, err := conn.Read(command); err != nil || !bytes.Equal(command, extend) {
				return
			}
			answer := transport.AppendResponse(nil, code)
			// In two pieces, which a stream may have.
			for _, piece := range [][]byte{answer[:3], answer[3:]} {
				if _, err := conn.Write(piece); err != nil {
					return
				}
			}
		}
	}()
	fd, err := dialUnix(path, syscall.SOCK_NONBLOCK)
	require.NoError(t, err)
	c := &client{control: -1, data: fd}
	t.Cleanup(c.close)
	return c
}

func TestSend(t *testing.T) {
	always := 1 << 30
	clients := []*client{answerer(t, 0, always), answerer(t, 0, always)}
	got, err := send(t.Context(), clients, 20*time.Millisecond)
	require.NoError(t, err)
	require.Len(t, got, 2)
	for i, c := range clients {
		// The last answer comes after the time.
		assert.Positive(t, c.answered)
		assert.Less(t, got[i], c.answered)
	}

	_, err = send(t.Context(), []*client{answerer(t, 0x101, always)}, time.Second)
	require.EqualError(t, err, "PCR_Extend is answered 0x101")
	_, err = send(t.Context(), []*client{answerer(t, 0, 2)}, time.Minute)
	require.EqualError(t, err, "unexpected EOF")
}

func TestRows(t *testing.T) {
	assert.InDelta(t, 2.5, counts{4, 10, 25, 100, 10}.slowest(), 0)
	assert.InDelta(t, 10, counts{4, 1}.rate(500*time.Millisecond), 0)
	taken := [2][]visit{{{ready: 1}, {ready: 6}, {ready: 3}}, {{ready: 2}, {ready: 2}, {ready: 3}}}
	var out bytes.Buffer
	require.NoError(t, printRows(&out, rowsOf(taken)[:1], true))
	var r row
	require.NoError(t, json.Unmarshal(out.Bytes(), &r))
	assert.Equal(t, row{"ready", "ms", 3, 2, 1, 0.5, 3}, r)
}

func TestCommandLine(t *testing.T) {
	s, err := parse([]string{"--tpms", "1000", "--json", "--ours=processes"})
	require.NoError(t, err)
	assert.Equal(t, settings{tpms: 1000, clients: 64, rounds: 7, time: 2 * time.Second, ours: "processes", json: true, swtpmd: "swtpmd", swtpm: "swtpm"}, s)
	for _, args := range [][]string{{"--tpms=0"}, {"--ours=both"}, {"more"}, {"--time=-1s"}, {"--unknown"}} {
		_, err := parse(args)
		require.Error(t, err, args)
	}
}
