package lab

import (
	"bufio"
	"encoding/json"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// serveMonitor answers one request after the other with the given lines, after
// the greeting, and returns what it was asked.
func serveMonitor(t *testing.T, greeting string, answers ...string) (client net.Conn, asked func() []string) {
	t.Helper()
	client, server := net.Pipe()
	done := make(chan []string, 1)
	go func() {
		defer server.Close()
		var requests []string
		defer func() { done <- requests }()
		if _, err := server.Write([]byte(greeting + "\n")); err != nil {
			return
		}
		lines := bufio.NewScanner(server)
		for _, answer := range answers {
			if !lines.Scan() {
				return
			}
			requests = append(requests, lines.Text())
			if _, err := server.Write([]byte(answer + "\n")); err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() { client.Close() })
	return client, func() []string { client.Close(); return transporttest.Receive(t, done) }
}

const greeting = `{"QMP": {"version": {"qemu": {"major": 7}}, "capabilities": []}}`

func TestMonitorSkipsEvents(t *testing.T) {
	t.Parallel()
	conn, asked := serveMonitor(t, greeting, `{"return": {}}`,
		`{"event": "RESET", "data": {"guest": true}}`+"\n"+`{"return": {}}`, `{"return": {}}`)
	m, err := newMonitor(conn)
	require.NoError(t, err)
	require.NoError(t, m.rebootAction("reset"))
	require.NoError(t, m.reset())
	requests := asked()
	require.Len(t, requests, 3)
	assert.JSONEq(t, `{"execute": "qmp_capabilities"}`, requests[0])
	assert.JSONEq(t, `{"execute": "set-action", "arguments": {"reboot": "reset"}}`, requests[1])
	assert.JSONEq(t, `{"execute": "system_reset"}`, requests[2])
}

func TestMonitorReportsRefusals(t *testing.T) {
	t.Parallel()
	conn, _ := serveMonitor(t, greeting, `{"return": {}}`, `{"error": {"class": "GenericError", "desc": "no such action"}}`)
	m, err := newMonitor(conn)
	require.NoError(t, err)
	assert.ErrorContains(t, m.rebootAction("fly"), "no such action")
}

func TestMonitorThatEndsOrTalksNonsense(t *testing.T) {
	t.Parallel()
	conn, _ := serveMonitor(t, greeting, `{"return": {}}`)
	m, err := newMonitor(conn)
	require.NoError(t, err)
	assert.Error(t, m.reset(), "it has hung up")

	conn, _ = serveMonitor(t, "QEMU 7.2 monitor")
	_, err = newMonitor(conn)
	var syntax *json.SyntaxError
	assert.ErrorAs(t, err, &syntax)
}
