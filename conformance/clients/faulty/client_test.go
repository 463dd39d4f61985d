//go:build unix

package faulty

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-tpm/tpm2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator/emulatortest"
	"github.com/swtpmd/swtpmd/faults"
	"github.com/swtpmd/swtpmd/faults/initcall"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// client is a program that uses a TPM.
type client struct {
	name     string // column of the table
	programs []program
	// module is the version of a client in this process.
	module string
	// prepare is a shell script that runs with a TPM without faults, script the one that
	// runs with the faults. {tcti} is the TPM.
	prepare, script string
	// inProcess replaces the script.
	inProcess func(tpm emulatortest.Client) error
}

// program is a file that a client needs, and its Debian package.
type program struct{ path, debian string }

var clients = []client{
	{
		name: "tpm2_getrandom", programs: []program{{"/usr/bin/tpm2_getrandom", "tpm2-tools"}},
		script: `tpm2_getrandom --hex 8`,
	},
	{
		name: "tpm2_createprimary", programs: []program{{"/usr/bin/tpm2_createprimary", "tpm2-tools"}},
		script: `tpm2_createprimary -Q -C n -G ecc -c primary.ctx`,
	},
	{
		name: "openssl rand", programs: []program{{"/usr/bin/openssl", "openssl"}, {"/usr/lib/x86_64-linux-gnu/ossl-modules/tpm2.so", "tpm2-openssl"}},
		script: `openssl rand -provider tpm2 -hex 8`,
	},
	{
		name:     "tpm2-abrmd",
		programs: []program{{"/usr/sbin/tpm2-abrmd", "tpm2-abrmd"}, {"/usr/bin/dbus-run-session", "dbus-daemon"}, {"/usr/bin/tpm2_getrandom", "tpm2-tools"}, {"/usr/lib/x86_64-linux-gnu/libtss2-tcti-tabrmd.so.0", "libtss2-tcti-tabrmd0"}},
		// A start in twenty, or so, does not end after it has failed, or after SIGTERM.
		script: `exec dbus-run-session -- sh -c '
			tpm2-abrmd --allow-root --session --tcti="$TPM2TOOLS_TCTI" >log 2>&1 & pid=$!
			while ! grep -q "failed to initialize\|exiting" log; do
				status=0
				tpm2_getrandom --tcti=tabrmd:bus_type=session --hex 8 2>said || status=$?
				if [ $status = 0 ] || grep -q tpm: said; then # else the bus has nobody of that name yet
					kill -9 $pid
					cat said
					exit $status
				fi
				sleep 0.02
			done
			cat log
			exit 1'`,
	},
	{
		name:     "systemd-cryptenroll",
		programs: []program{{"/usr/bin/systemd-cryptenroll", "systemd"}, {"/usr/sbin/cryptsetup", "cryptsetup-bin"}},
		prepare: `truncate -s 20M image
			printf secret | cryptsetup luksFormat --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 image -`,
		script: `PASSWORD=secret systemd-cryptenroll --tpm2-device="$TPM2TOOLS_TCTI" --tpm2-pcrs=7 image`,
	},
	{
		name: "clevis encrypt", programs: []program{{"/usr/bin/clevis", "clevis"}, {"/usr/bin/clevis-encrypt-tpm2", "clevis-tpm2"}},
		script: `echo secret | clevis encrypt tpm2 '{}' >sealed`,
	},
	{
		name: "clevis decrypt", programs: []program{{"/usr/bin/clevis", "clevis"}, {"/usr/bin/clevis-encrypt-tpm2", "clevis-tpm2"}},
		prepare: `echo secret | clevis encrypt tpm2 '{}' >sealed`,
		script:  `test "$(clevis decrypt <sealed)" = secret`,
	},
	{
		name: "go-tpm", module: "v0.9.8", inProcess: func(tpm emulatortest.Client) error {
			_, err := tpm2.GetRandom{BytesRequested: 8}.Execute(tpm)
			return err
		},
	},
}

// limit is how long a client may take: none of the table waits for ever, and a machine with
// other work is slow.
const limit = 5 * time.Minute

// machine is a TPM on sockets in a directory of its own.
type machine struct {
	tpm         *emulatortest.TPM
	switchable  *switched
	directory   string
	environment []string
}

// switched is a device that a test can put rules before while it is served.
type switched struct {
	now atomic.Pointer[transport.Device]
}

func (s *switched) Unwrap() transport.Device { return *s.now.Load() }

func (s *switched) Send(ctx context.Context, locality uint8, command []byte) ([]byte, error) {
	return (*s.now.Load()).Send(ctx, locality, command)
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	tpm := emulatortest.New(t, emulatortest.Unchecked())
	m := &machine{tpm: tpm, switchable: new(switched), directory: t.TempDir()}
	var device transport.Device = tpm
	m.switchable.now.Store(&device)
	server := swtpm.NewServer(m.switchable, swtpm.Options{})
	socket := filepath.Join(m.directory, "tpm")
	for path, serve := range map[string]func(net.Listener) error{socket: server.ServeData, socket + ".ctrl": server.ServeControl} {
		listener, err := net.Listen("unix", path)
		require.NoError(t, err)
		ended := make(chan error, 1)
		go func() { ended <- serve(listener) }()
		t.Cleanup(func() { assert.NoError(t, transporttest.Receive(t, ended)) })
	}
	t.Cleanup(func() { assert.NoError(t, server.Close(context.Background())) })
	m.environment = append(os.Environ(), "TPM2TOOLS_TCTI=swtpm:path="+socket, "TPM2OPENSSL_TCTI=swtpm:path="+socket, "TSS2_LOG=all+error", "LC_ALL=C")
	return m
}

// fault puts rules before the TPM, and returns the count of what they fired.
func (m *machine) fault(t *testing.T, texts []string) (fired func() uint64) {
	t.Helper()
	var rules []faults.Rule
	for _, text := range texts {
		rule, err := faults.ParseRule(text)
		require.NoError(t, err)
		rules = append(rules, rule)
	}
	device, err := faults.Wrap(m.tpm, faults.Plan{Clock: new(initcall.Clock), Rules: rules, Dangerous: true})
	require.NoError(t, err)
	m.switchable.now.Store(&device)
	layer, ok := faults.Of(device)
	require.True(t, ok)
	return func() (n uint64) {
		for _, r := range layer.Rules() {
			n += r.Fired
		}
		return n
	}
}

// run runs a script and returns its exit code, -1 if it had not ended after limit, and
// what it printed.
func (m *machine) run(t *testing.T, script string) (exit int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	command := exec.CommandContext(ctx, "sh", "-c", script)
	command.Dir, command.Env, command.WaitDelay = m.directory, m.environment, time.Second
	group(command)
	out, err := command.CombinedOutput()
	end(command) // what the script has left
	var ended *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return -1, string(out)
	case errors.As(err, &ended):
		return ended.ExitCode(), string(out)
	}
	require.NoError(t, err)
	return 0, string(out)
}
