//go:build linux

package swtpm_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/emulator"
	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// requests is a slog.Handler that remembers the control requests.
type requests struct {
	slog.Handler
	mu   sync.Mutex
	seen []string
}

func (r *requests) Enabled(context.Context, slog.Level) bool { return true }

func (r *requests) Handle(_ context.Context, record slog.Record) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	record.Attrs(func(a slog.Attr) bool {
		if a.Key == "request" {
			r.seen = append(r.seen, a.Value.String())
		}
		return true
	})
	return nil
}

// from returns the requests from a position on.
func (r *requests) from(i int) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.seen[i:])
}

// machine is a QEMU without anything to boot: its firmware uses the TPM and
// stops.
type machine struct {
	t       *testing.T
	monitor io.WriteCloser
	events  chan string
	exited  chan error
	stderr  bytes.Buffer
}

func startMachine(t *testing.T, model, control string, options ...string) *machine {
	t.Helper()
	program, err := exec.LookPath("qemu-system-x86_64")
	if err != nil {
		t.Skip("QEMU is not installed (Debian package qemu-system-x86); scripts/test installs it")
	}
	// With icount the machine's time goes by instructions. SeaBIOS gives a command
	// up after 2 s of it, and the emulator may be slow on a busy host.
	command := exec.Command(program, append([]string{"-machine", "q35", "-accel", "tcg", "-icount", "shift=0", "-m", "64", "-nodefaults",
		"-display", "none", "-qmp", "stdio",
		"-chardev", "socket,id=chr,path=" + control,
		"-tpmdev", "emulator,id=tpm,chardev=chr", "-device", model + ",tpmdev=tpm"}, options...)...)
	m := &machine{t: t, events: make(chan string, 64), exited: make(chan error, 1)}
	command.Stderr = &m.stderr
	m.monitor, err = command.StdinPipe()
	require.NoError(t, err)
	out, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	go func() {
		m.listen(out)
		m.exited <- command.Wait()
	}()
	t.Cleanup(func() { _ = command.Process.Kill() })
	m.say("qmp_capabilities")
	return m
}

// listen collects the monitor's events until QEMU is gone.
func (m *machine) listen(out io.Reader) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		var message struct {
			Event string `json:"event"`
			Data  struct {
				Status string `json:"status"`
			} `json:"data"`
		}
		if json.Unmarshal(lines.Bytes(), &message) == nil && message.Event != "" {
			m.events <- strings.TrimSpace(message.Event + " " + message.Data.Status)
		}
	}
}

func (m *machine) say(command string) { m.sayWith(command, "{}") }

// sayWith returns the command arguments, as JSON.
func (m *machine) sayWith(command, arguments string) {
	m.t.Helper()
	_, err := fmt.Fprintf(m.monitor, `{"execute":%q,"arguments":%s}`+"\n", command, arguments)
	require.NoError(m.t, err)
}

// await waits for an event of the monitor.
func (m *machine) await(event string) {
	m.t.Helper()
	late := time.After(time.Minute)
	for {
		select {
		case e := <-m.events:
			if e == event {
				return
			}
		case err := <-m.exited:
			require.Fail(m.t, "QEMU has ended", "%v %s", err, m.stderr.String())
		case <-late:
			require.Fail(m.t, "no event", event)
		}
	}
}

// TestQEMUSystem runs the emulator under QEMU: the firmware starts it, the
// monitor resets the machine, and QEMU's exit ends the server.
func TestQEMUSystem(t *testing.T) {
	t.Parallel()
	start := []string{
		"SET_DATAFD", "GET_CAPABILITY",
		"STOP", "SET_BUFFERSIZE", "STOP", "SET_BUFFERSIZE", "INIT",
	}
	reset := start[2:]
	for _, model := range []string{"tpm-tis", "tpm-crb"} {
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			tpm, err := emulator.New(emulator.Platform{}, emulator.Config{})
			require.NoError(t, err)
			startups := make(chan transport.Exchange, 16)
			first := make(chan transport.Exchange, 1)
			tap := transport.NewTap(tpm, nil, func(e transport.Exchange) {
				e.Command, e.Response = bytes.Clone(e.Command), bytes.Clone(e.Response)
				select {
				case first <- e:
				default:
				}
				if binary.BigEndian.Uint32(e.Command[6:]) == 0x144 {
					startups <- e
				}
			})
			log := &requests{}
			inits := make(chan struct{}, 64)
			r := serve(t, tap, swtpm.Options{
				Logger: slog.New(log),
				Events: func(e swtpm.Event) {
					if e.Kind == swtpm.EventInit {
						inits <- struct{}{}
					}
				},
			})
			m := startMachine(t, model, r.control)
			started := func() {
				t.Helper()
				select {
				case e := <-startups:
					assert.Equal(t, "80010000000c000001440000", hexOf(e.Command), "TPM2_Startup(CLEAR)")
					assert.Equal(t, rcSuccess, hexOf(e.Response))
				case err := <-m.exited:
					require.Fail(t, "QEMU has ended", "%v %s", err, m.stderr.String())
				case <-time.After(time.Minute):
					require.Fail(t, "the firmware does not start the TPM", "%q", log.from(0))
				}
			}
			started()
			assert.Equal(t, start, log.from(0)[:len(start)])
			first1 := log.from(len(start))
			assert.Contains(t, first1, "GET_TPMESTABLISHED")
			assert.Contains(t, first1, "SET_LOCALITY")

			before := len(log.from(0))
			m.say("system_reset")
			started()
			after := log.from(before)
			i := slices.Index(after, "STOP")
			require.GreaterOrEqual(t, i, 0)
			require.GreaterOrEqual(t, len(after), i+len(reset))
			assert.Equal(t, reset, after[i:i+len(reset)])
			assert.NotContains(t, after, "SHUTDOWN")
			assert.GreaterOrEqual(t, len(inits), 2)

			// QEMU sends no SHUTDOWN if it quits while a command runs. With its
			// processor stopped, a reset waits for the last one.
			m.say("stop")
			m.await("STOP")
			for len(inits) > 0 {
				transporttest.Receive(t, inits)
			}
			m.say("system_reset")
			select {
			case <-inits:
			case <-time.After(time.Minute):
				require.Fail(t, "no INIT", "%q", log.from(0))
			}
			m.say("quit")
			assert.Equal(t, swtpm.EndedByShutdown, r.ended(), "%q", log.from(0))
			require.NoError(t, transporttest.Receive(t, m.exited), m.stderr.String())
			all := log.from(0)
			assert.Equal(t, "SHUTDOWN", all[len(all)-1])
			assert.False(t, tpm.Powered())
			assert.False(t, transporttest.Receive(t, first).Probe, "the version probe came before INIT and was not passed on")
		})
	}
}

// TestQEMUMigrates moves a virtual machine with its TPM to another QEMU with
// another server, through a file, as a suspended machine does.
func TestQEMUMigrates(t *testing.T) {
	t.Parallel()
	for _, model := range []string{"tpm-tis", "tpm-crb"} {
		t.Run(model, func(t *testing.T) {
			t.Parallel()
			log := [2]*requests{{}, {}}
			var tpms [2]*emulator.TPM
			var rigs [2]*rig
			resumed := make(chan bool, 64)
			extended := make(chan struct{}, 64)
			for i := range tpms {
				tpms[i] = newTPM(t)
				tap := transport.NewTap(tpms[i], nil, func(e transport.Exchange) {
					if i == 0 && binary.BigEndian.Uint32(e.Command[6:]) == 0x182 { // PCR_Extend
						extended <- struct{}{}
					}
				})
				rigs[i] = serve(t, tap, swtpm.Options{Logger: slog.New(log[i]), Events: func(e swtpm.Event) {
					if i == 1 && e.Kind == swtpm.EventInit {
						resumed <- e.Resumes
					}
				}})
			}
			file := filepath.Join(t.TempDir(), "machine")
			from := startMachine(t, model, rigs[0].control)
			select {
			case <-extended:
			case <-time.After(time.Minute):
				require.Fail(t, "the firmware measures nothing", "%q", log[0].from(0))
			}
			from.sayWith("migrate-set-capabilities", `{"capabilities":[{"capability":"events","state":true}]}`)
			from.sayWith("migrate", fmt.Sprintf(`{"uri":"exec:cat >%s"}`, file))
			from.await("MIGRATION completed")
			want := pcrs(t, tpms[0])
			assert.Contains(t, log[0].from(0), "GET_STATEBLOB")

			to := startMachine(t, model, rigs[1].control, "-incoming", "exec:cat "+file)
			to.await("RESUME")
			assert.True(t, transporttest.Receive(t, resumed), "%q", log[1].from(0))
			assert.Equal(t, want, pcrs(t, tpms[1]))
			all := log[1].from(0)
			i := slices.Index(all, "SET_STATEBLOB")
			require.GreaterOrEqual(t, i, 1, "%q", all)
			assert.Equal(t, []string{"STOP", "SET_STATEBLOB", "SET_STATEBLOB", "INIT"}, all[i-1:i+3])
			for _, m := range []*machine{from, to} {
				m.say("quit")
			}
		})
	}
}
