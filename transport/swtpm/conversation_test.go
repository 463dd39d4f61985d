//go:build unix

package swtpm_test

import (
	"context"
	"net"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// exchange is one request on a control connection of its own and its reply.
type exchange struct {
	say  string
	fds  int // descriptors passed along
	hear string
	// swtpm is what swtpm 0.7.1 answers, if something else, and why ours is
	// not the same.
	swtpm, why string
}

// Why replies differ.
const whyStray = "swtpm waits for data it already has"

// conversation goes through the error matrix. Truncated requests close the
// connection after half a second, or answer then where swtpm answers at once.
var conversation = []struct {
	name  string
	lines []exchange
}{
	{"truncated", []exchange{
		{say: "0000", hear: "closed"},
		{say: "00000005", hear: "closed"},
		{say: "00000007", hear: "closed"},
		{say: "00000007 00000001", hear: "closed"},
		{say: "0000000D", hear: "closed"},
	}},
	{"before INIT", append(anyTime,
		exchange{say: "00000004", hear: "0000000a"},
		exchange{say: "00000004 00", hear: "0000000a"},
		exchange{say: "00000006", hear: "0000000a"},
		exchange{say: "00000006 00", hear: "0000000a"},
		exchange{say: "00000007 00000000", hear: "0000000a"},
		exchange{say: "00000007 00000001 61", hear: "0000000a"},
		exchange{say: "00000008", hear: "0000000a"},
		exchange{say: "00000009", hear: "0000000a"},
		exchange{say: "00000009 00", hear: "0000000a"},
		exchange{say: "0000000A", hear: "0000000a"},
		exchange{say: "0000000B 03", hear: "0000000a"},
		exchange{say: "0000000C 00000001 00000001 00000000", hear: "0000000a"},
		exchange{say: "0000000D 00000001 00000001 00000000", hear: "00000000"},
		exchange{say: "0000000D 00000001 00000003 00000000", hear: "00000000"},
		exchange{say: "0000000D 00000001 00000004 00000000", hear: "00000003"},
		exchange{say: "0000000E", hear: "00000000"},
		exchange{say: "00000011 00000001", hear: "0000000000000af800000af800001000"},
		exchange{say: "00000011 0000270F", hear: "00000000000010000000" + "0af800001000"},
		exchange{say: "00000011 00001000 00", hear: "000000000000100000000af800001000"},
	)},
	{"INIT", []exchange{
		{say: "00000002", hear: "closed"},
		{say: "00000002 0000", hear: "closed"},
		{say: "00000002 00000000 FF", hear: "00000003"},
		{say: "00000002 00000000", hear: "00000000"},
	}},
	{"after INIT", append(anyTime,
		exchange{say: "00000004", hear: "0000000000000000"},
		exchange{say: "00000004 00", hear: "00000003"},
		exchange{say: "00000006 00", hear: "00000003"},
		exchange{say: "00000006", hear: "00000000"},
		exchange{say: "00000007 00000000", hear: "00000000"},
		exchange{say: "00000007 00000000 61", hear: "00000000", swtpm: "-", why: whyStray},
		exchange{say: "00000007 00000004 61626364", hear: "00000000"},
		exchange{say: "00000007 00000004 61626364 65", hear: "00000000", swtpm: "-", why: whyStray},
		exchange{say: "00000008 00", hear: "00000003"},
		exchange{say: "00000008", hear: "00000000"},
		exchange{say: "00000009", hear: "00000000"},
		exchange{say: "00000009 00", hear: "00000003"},
		exchange{say: "00000004", hear: "0000000001000000"},
		exchange{say: "0000000A", hear: "00000000"},
		exchange{say: "0000000A 00", hear: "00000003"},
		exchange{say: "0000000B", hear: "closed"},
		exchange{say: "0000000B 02", hear: "0000003d"},
		exchange{say: "0000000B 00000000", hear: "0000003d"},
		exchange{say: "0000000B 05", hear: "0000003d"},
		exchange{say: "0000000B 03000000 00", hear: "00000000"},
		exchange{say: "0000000B 0301", hear: "00000000"},
		exchange{say: "00000004", hear: "0000000000000000"},
		exchange{say: "0000000C 00000001 00000003 00000000", hear: "00000800000000000000000000000000"},
		exchange{say: "0000000C 00000000 00000001 00001000", hear: "00000000000000000000000000000000"},
		exchange{say: "0000000C 00000001 00000004 00000000", hear: "00000800000000000000000000000000"},
		exchange{say: "0000000C 00000001 00000003 00000000 00", hear: "00000800000000000000000000000000"},
		exchange{say: "0000000D 00000001 00000001 00000000", hear: "0000000a"},
		exchange{say: "00000011 00000001", hear: "0000000a"},
		exchange{say: "00000011 0000270F", hear: "0000000a"},
	)},
	{"INIT again and STOP", []exchange{
		{say: "00000002 00000000", hear: "00000000"},
		{say: "00000002 00000001", hear: "00000000"},
		{say: "0000000E", hear: "00000000"},
		{say: "0000000E", hear: "00000000"},
		{say: "00000009", hear: "0000000a"},
	}},
	{"SHUTDOWN", []exchange{
		{say: "00000003 00", hear: "00000003"},
		{say: "00000003", hear: "00000000"},
	}},
}

// anyTime are requests whose replies do not depend on the TPM's state.
var anyTime = []exchange{
	{say: "00000001", hear: "000000000000ffff"},
	{say: "00000001 00", hear: "000000000000ffff"},
	{say: "00000001 00000000", hear: "000000000000ffff"},
	{say: "00000005 02", hear: "00000000"},
	{say: "00000005 020000", hear: "00000000"},
	{say: "00000005 02000000", hear: "00000000"},
	{say: "00000005 02FFFFFF", hear: "00000000"},
	{say: "00000005 0000000000", hear: "00000000"},
	{say: "00000005 0000000000000000", hear: "00000000"},
	{say: "00000005 04", hear: "00000000"},
	{say: "00000005 05", hear: "0000003d"},
	{say: "00000005 00", hear: "00000000"},
	{say: "0000000E 00", hear: "00000003"},
	{say: "0000000E 00000000", hear: "00000003"},
	{say: "0000000F", hear: "0000000000000000"},
	{say: "0000000F", fds: 1, hear: "0000000000000000"},
	{say: "0000000F 00", hear: "00000003"},
	{say: "0000000F 00000000", hear: "00000003"},
	{say: "00000010", hear: "00000003"},
	{say: "00000010 00", hear: "00000003"},
	{say: "00000011 00000000", hear: "000000000000100000000af800001000"},
	{say: "00000011 00000000 00", hear: "000000000000100000000af800001000"},
	{say: "00000011 0000", hear: "00000003"},
	{say: "00000012 0000000000000000 00000000 00000000", hear: "0000000000000003000000037b7d00"},
	{say: "00000012 0000000000000000 00000000 00000000 00", hear: "0000000000000003000000037b7d00"},
	{say: "00000012 0000000000000000 00000000 00000001", hear: "0000000000000003000000037b7d00"},
	{say: "00000012 0000000000000000 00000001 00000000", hear: "0000000000000003000000027d00"},
	{say: "00000012 0000000000000000 00000002 00000000", hear: "00000003"},
	{say: "00000012 0000000000000000 00000003 00000000", hear: "00000003"},
	{say: "00000012 0000000000000000", hear: "00000003"},
	{say: "00000013 00000001", hear: "0000000a"},
	{say: "00000000", hear: "0000000a"},
	{say: "00000000 0000", hear: "0000000a"},
	{say: "00000014", hear: "0000000a"},
	{say: "00000014 00000001", hear: "0000000a"},
	{say: "FFFFFFFF", hear: "0000000a"},
}

// converse plays the conversation against the control socket at path; expect
// picks what is to be heard, "-" for not playing the line.
func converse(t *testing.T, path string, expect func(exchange) string) {
	for _, part := range conversation {
		for _, line := range part.lines {
			want := expect(line)
			if want == "-" {
				continue
			}
			t.Logf("%s: %s +%d", part.name, line.say, line.fds)
			assert.Equal(t, want, ask(t, path, line), "%s: %s +%d", part.name, line.say, line.fds)
		}
	}
}

func ask(t *testing.T, path string, line exchange) string {
	t.Helper()
	p := transporttest.Dial(t, "unix", path)
	defer func() { _ = p.Close() }()
	var fds []int
	for range line.fds {
		pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		require.NoError(t, err)
		require.NoError(t, unix.Close(pair[0]))
		fds = append(fds, pair[1])
	}
	p.SayWith(line.say, fds...)
	return p.Hear()
}

func TestConversation(t *testing.T) {
	t.Parallel()
	r := serve(t, &transporttest.TPM{}, swtpm.Options{Version: swtpm.V0_7})
	converse(t, r.control, func(e exchange) string { return e.hear })
	assert.Equal(t, swtpm.EndedByShutdown, r.ended())
}

// TestConversationOfSwtpm plays the same against swtpm: what the table says
// about it must be true, and so our claim to answer the same.
func TestConversationOfSwtpm(t *testing.T) {
	t.Parallel()
	path := startSwtpm(t)
	converse(t, path, func(e exchange) string {
		if e.swtpm != "" {
			require.NotEmpty(t, e.why)
			return e.swtpm
		}
		return e.hear
	})
}

// startSwtpm runs swtpm with an empty state and returns the path of its
// control socket.
func startSwtpm(t *testing.T, options ...string) string {
	t.Helper()
	program, err := exec.LookPath("swtpm")
	if err != nil {
		t.Skip("swtpm is not installed (Debian package swtpm); scripts/test installs it")
	}
	dir := transporttest.Dir(t)
	path := filepath.Join(dir, "ctrl")
	ctx, cancel := context.WithCancel(context.Background())
	command := exec.CommandContext(ctx, program, append([]string{
		"socket", "--tpm2", "--tpmstate", "dir=" + dir, "--ctrl", "type=unixio,path=" + path,
	}, options...)...)
	require.NoError(t, command.Start())
	exited := make(chan error, 1)
	go func() { exited <- command.Wait() }()
	t.Cleanup(func() {
		cancel()
		transporttest.Receive(t, exited)
	})
	require.Eventually(t, func() bool {
		conn, err := net.Dial("unix", path)
		if err == nil {
			_ = conn.Close()
		}
		return err == nil
	}, time.Minute, time.Millisecond, "swtpm does not listen")
	return path
}
