//go:build unix

package swtpm_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// tool runs a program of another project against a server, and returns what it
// printed and whether it succeeded.
func tool(t *testing.T, environment []string, name string, arguments ...string) (string, bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, name, arguments...)
	command.Env = append(os.Environ(), environment...)
	out, err := command.CombinedOutput()
	return string(out), err == nil
}

func needs(t *testing.T, name, debian string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("%s is not installed (Debian package %s); scripts/test installs it", name, debian)
	}
}

func newTPM(t *testing.T) *emulator.TPM {
	t.Helper()
	tpm, err := emulator.New(emulator.Platform{}, emulator.Config{})
	require.NoError(t, err)
	return tpm
}

// TestSwtpmIoctl: swtpm's own control tool, which libvirt runs too.
func TestSwtpmIoctl(t *testing.T) {
	t.Parallel()
	needs(t, "swtpm_ioctl", "swtpm-tools")
	r := serve(t, newTPM(t), swtpm.Options{Description: &described})
	for _, c := range []struct {
		arguments string
		prints    string
		fails     bool
	}{
		{"-c", "ptm capability is 0x1ffff", false},
		{"-e", "PTM_GET_TPMESTABLISHED: 0xa", true}, // before INIT
		{"-b 3968", "TPM buffersize: 3968", false},
		{"-i", "", false},
		{"-e", "tpmEstablished is 0", false},
		{"-h measured", "", false},
		{"-e", "tpmEstablished is 1", false},
		{"-r 2", "PTM_RESET_TPMESTABLISHED: 0x3d", true},
		{"-r 3", "", false},
		{"-e", "tpmEstablished is 0", false},
		{"-l 3", "", false},
		{"-l 5", "", true},
		{"-C", "", false},
		{"-g", "ptm configuration flags: 0x0", false},
		{"-v", "", false},
		{"--info 0", "{}", false},
		{"--info 7", `"TPMAttributes":{"manufacturer":"id:00001014"`, false},
		{"--stop", "", false},
		{"--stop", "", false},
		{"-s", "", false},
	} {
		out, ok := tool(t, nil, "swtpm_ioctl", append([]string{"--unix", r.control}, strings.Fields(c.arguments)...)...)
		assert.Equal(t, !c.fails, ok, "swtpm_ioctl %s: %s", c.arguments, out)
		assert.Contains(t, out, c.prints, "swtpm_ioctl %s", c.arguments)
	}
	assert.Equal(t, swtpm.EndedByShutdown, r.ended())
}

// TestTPM2Tools: tpm2-tools over tcti-swtpm, which dials the data port for
// every command, and the control port, one above it, for every request.
func TestTPM2Tools(t *testing.T) {
	t.Parallel()
	needs(t, "tpm2_getrandom", "tpm2-tools")
	s := swtpm.NewServer(newTPM(t), swtpm.Options{})
	port, served := servePorts(t, s)
	environment := []string{fmt.Sprintf("TPM2TOOLS_TCTI=swtpm:host=127.0.0.1,port=%d", port)}
	run := func(line string) string {
		t.Helper()
		arguments := strings.Fields(line)
		out, ok := tool(t, environment, arguments[0], arguments[1:]...)
		require.True(t, ok, "%s: %s", line, out)
		return out
	}
	out, ok := tool(t, environment, "tpm2_getrandom", "--hex", "8")
	require.False(t, ok, "without INIT: %s", out)
	needs(t, "swtpm_ioctl", "swtpm-tools")
	run(fmt.Sprintf("swtpm_ioctl --tcp 127.0.0.1:%d -i", port+1))
	run("tpm2_startup -c")
	assert.Len(t, run("tpm2_getrandom --hex 20"), 40)
	digest := strings.Repeat("ab", 32)
	run("tpm2_pcrextend 10:sha256=" + digest)
	assert.Contains(t, run("tpm2_pcrread sha256:10,16"), "10: 0x")
	require.NoError(t, s.Close(context.Background()))
	for range 2 {
		require.NoError(t, transporttest.Receive(t, served))
	}
}

// servePorts serves data on a TCP port and control on the next one.
func servePorts(t *testing.T, s *swtpm.Server) (int, <-chan error) {
	t.Helper()
	for range 100 {
		data, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		port := data.Addr().(*net.TCPAddr).Port
		control, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port+1))
		if err != nil {
			require.NoError(t, data.Close())
			continue // somebody else has the next port
		}
		served := make(chan error, 2)
		go func() { served <- s.ServeData(data) }()
		go func() { served <- s.ServeControl(control) }()
		return port, served
	}
	require.Fail(t, "no two free ports side by side")
	return 0, nil
}

// TestSwtpmIoctlState: the same tool saves and loads the state of a TPM.
func TestSwtpmIoctlState(t *testing.T) {
	t.Parallel()
	needs(t, "swtpm_ioctl", "swtpm-tools")
	dir := t.TempDir()
	from, to := newTPM(t), newTPM(t)
	rigs := map[*emulator.TPM]*rig{from: serve(t, from, swtpm.Options{}), to: serve(t, to, swtpm.Options{})}
	run := func(tpm *emulator.TPM, arguments ...string) {
		t.Helper()
		out, ok := tool(t, nil, "swtpm_ioctl", append([]string{"--unix", rigs[tpm].control}, arguments...)...)
		require.True(t, ok, "%q: %s", arguments, out)
	}
	permanent, volatile := filepath.Join(dir, "permanent"), filepath.Join(dir, "volatile")
	run(from, "-i")
	_, err := from.Send(context.Background(), 0, transporttest.Hex(t, startup))
	require.NoError(t, err)
	run(from, "-h", "measured")
	run(from, "--save", "permanent", permanent)
	run(from, "--save", "volatile", volatile)
	run(to, "--load", "permanent", permanent)
	run(to, "--load", "volatile", volatile)
	run(to, "-i")
	assert.Equal(t, pcrs(t, from), pcrs(t, to))
	assert.True(t, to.TPMEstablished())
	for tpm := range rigs {
		run(tpm, "-s")
	}
}

// pcrs is the answer to TPM2_PCR_Read of PCR 0 to 7, with the update counter.
func pcrs(t *testing.T, tpm *emulator.TPM) string {
	t.Helper()
	response, err := tpm.Send(context.Background(), 0, transporttest.Hex(t, "8001 00000014 0000017e 00000001 000b 03 ff0000"))
	require.NoError(t, err)
	require.Greater(t, len(response), 100)
	return hexOf(response)
}
