//go:build unix

package swtpm_test

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// suspended suspends a server, and returns what it had.
func suspended(t *testing.T, r *rig) []swtpm.Connection {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	connections, err := r.Suspend(ctx)
	require.NoError(t, err)
	return connections
}

// numbered is a command with a number, which the device answers with the number.
func numbered(n uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{0x80, 1, 0, 0, 0, 14, 0, 0, 1, 0x81}, n)
}

// Clients that ask all the time get every answer, once and in order, however often the
// server is suspended under them and its connections go to another one.
func TestSuspendUnderClients(t *testing.T) {
	t.Parallel()
	device := echo(t)
	patient := func() *rig {
		server := swtpm.NewServer(device, swtpm.Options{Polled: true})
		server.NeverStall()
		return start(t, server)
	}
	one, other := patient(), patient()
	var clients sync.WaitGroup
	defer transporttest.Wait(t, &clients)
	var asked atomic.Int64
	stop := make(chan struct{})
	talk := func(conn net.Conn, ahead int) error {
		answer := make([]byte, 14)
		for n := uint32(0); ; n++ {
			select {
			case <-stop:
				return nil
			default:
			}
			var sent []byte
			for i := range ahead {
				sent = append(sent, numbered(n*8+uint32(i))...)
			}
			half := int(n) % len(sent)
			for _, piece := range [][]byte{sent[:half], sent[half:]} {
				if _, err := conn.Write(piece); err != nil {
					return err
				}
			}
			for i := range ahead {
				if _, err := io.ReadFull(conn, answer); err != nil {
					return err
				}
				if got := binary.BigEndian.Uint32(answer[10:]); got != n*8+uint32(i) {
					return errors.New("not its answer")
				}
			}
			asked.Add(1)
		}
	}
	owner := one.dialControl()
	passed := passData(t, owner)
	conns := []net.Conn{passed.Conn}
	for range 4 {
		conns = append(conns, one.dialData().Conn)
	}
	for i, conn := range conns {
		require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
		clients.Go(func() { assert.NoError(t, talk(conn, 1+i%3), "client %d", i) })
	}
	defer close(stop)
	eventually(t, func() bool { control, data := one.Clients(); return control == 1 && data == 5 })
	here, there := one, other
	for range 30 {
		before := asked.Load()
		assert.Len(t, suspended(t, here), 6)
		assert.Len(t, suspended(t, here), 6, "it is suspended still")
		here.Resume()
		connections := suspended(t, here)
		for _, c := range connections {
			// A value of its own, as in another process.
			require.NoError(t, there.Serve(duplicate(t, c)))
			require.NoError(t, c.Close())
		}
		here.Resume()
		control, data := here.Clients()
		assert.Zero(t, control+data, "it has nobody left, and serves those who come")
		newcomer := here.dialData()
		assert.Equal(t, hexOf(numbered(7)), newcomer.Ask(hexOf(numbered(7))))
		require.NoError(t, newcomer.Close())
		require.Eventually(t, func() bool { _, data := here.Clients(); return data == 0 }, time.Minute, time.Millisecond)
		require.Eventually(t, func() bool { return asked.Load() > before+10 }, time.Minute, time.Millisecond)
		here, there = there, here
	}
}

// duplicate is a connection with a descriptor of its own.
func duplicate(t *testing.T, c swtpm.Connection) swtpm.Connection {
	t.Helper()
	file, err := c.Conn.(*net.UnixConn).File()
	require.NoError(t, err)
	defer file.Close()
	c.Conn, err = net.FileConn(file)
	require.NoError(t, err)
	return c
}

// What a client has sent of a command, or of a control request with a descriptor, is not
// lost.
func TestSuspendInTheMiddleOfARequest(t *testing.T) {
	t.Parallel()
	server := swtpm.NewServer(echo(t), swtpm.Options{Polled: true})
	server.NeverStall()
	r := start(t, server)
	command := hexOf(numbered(1))
	for _, c := range []struct{ before, after, want string }{
		{"80", command[2:], command},
		{command[:20], command[20:], command},
		{command + command[:12], command[12:], command + command},
		{"0000", "0008 00 0000000e" + command, "0000000e" + command + "00000000"},
		{"00000008 00 0000000e", command, "0000000e" + command + "00000000"},
		{"00000008 00 0000000e" + command[:12], command[12:], "0000000e" + command + "00000000"},
	} {
		p := r.dialData()
		p.Say(c.before)
		eventually(t, func() bool {
			connections := suspended(t, r)
			defer r.Resume()
			// Whole commands were executed.
			return len(connections) == 1 && hexOf(connections[0].Unread) == unblanked(c.before)[unblankedWhole(c.before, command):]
		})
		p.Say(c.after)
		hears(t, p, c.want)
		require.NoError(t, p.Close())
		eventually(t, func() bool { _, data := r.Clients(); return data == 0 })
	}

	control := r.dialControl()
	data, fd := transporttest.Pair(t)
	control.SayWith("0000", fd)
	eventually(t, func() bool {
		connections := suspended(t, r)
		defer r.Resume()
		return len(connections) == 1 && len(connections[0].FDs) == 1
	})
	control.Say("0010")
	assert.Equal(t, "00000000", control.Hear())
	assert.Equal(t, command, data.Ask(command))
	// A request with data that has begun is executed to its end.
	control.Say("00000002 00000000")
	assert.Equal(t, "00000000", control.Hear())
}

func eventually(t *testing.T, is func() bool) {
	t.Helper()
	require.Eventually(t, is, time.Minute, time.Millisecond)
}

func unblanked(digits string) string { return strings.ReplaceAll(digits, " ", "") }

// unblankedWhole is how many of the digits are a whole command.
func unblankedWhole(digits, command string) int {
	if strings.HasPrefix(digits, command) {
		return len(command)
	}
	return 0
}

// A client that reads nothing keeps nobody waiting, and finds every octet afterwards.
func TestSuspendWithAClientThatDoesNotRead(t *testing.T) {
	t.Parallel()
	r := serve(t, echo(t), swtpm.Options{Polled: true})
	p := r.dialData()
	const most = 100000
	sent := 0
	require.NoError(t, p.SetWriteDeadline(time.Now().Add(time.Second)))
	var broken int // octets of the last command that were written
	for ; sent < most; sent++ {
		if n, err := p.Write(numbered(uint32(sent))); err != nil {
			broken = n
			break
		}
	}
	require.Less(t, sent, most, "its socket is never full")
	require.NoError(t, p.SetWriteDeadline(time.Time{}))
	for range 3 {
		connections := suspended(t, r)
		require.Len(t, connections, 1)
		assert.NotEmpty(t, connections[0].Unsent)
		r.Resume()
	}
	got := make([]byte, 14)
	for i := range sent {
		if i%1000 == 500 {
			suspended(t, r)
			r.Resume()
		}
		_, err := io.ReadFull(p, got)
		require.NoError(t, err)
		require.Equal(t, numbered(uint32(i)), got)
	}
	_, err := p.Write(numbered(uint32(sent))[broken:])
	require.NoError(t, err)
	_, err = io.ReadFull(p, got)
	require.NoError(t, err)
	require.Equal(t, numbered(uint32(sent)), got)
}

// A command that is held keeps the server from being suspended, and from nothing else.
func TestSuspendWithAHeldCommand(t *testing.T) {
	t.Parallel()
	device := running(t)
	entered, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	device.Answer = func(_ context.Context, _ uint8, command []byte) ([]byte, error) {
		once.Do(func() { close(entered); <-release })
		return command, nil
	}
	r := serve(t, device, swtpm.Options{Polled: true})
	held, good := r.dialData(), r.dialData()
	command := hexOf(numbered(1))
	held.Say(command)
	transporttest.Receive(t, entered)
	eventually(t, func() bool { _, data := r.Clients(); return data == 2 })
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	_, err := r.Suspend(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	good.Say(command)
	close(release)
	assert.Equal(t, command, held.Hear(), "it goes on")
	assert.Equal(t, command, good.Hear())
	assert.Len(t, suspended(t, r), 2)
	r.Resume()
	assert.Equal(t, command, held.Ask(command))
	suspended(t, r)
	r.close()
	assert.Equal(t, "closed", held.Hear(), "an end in a suspension closes what is kept")
}

func TestSuspendTakesAPolledServer(t *testing.T) {
	t.Parallel()
	_, err := serve(t, echo(t), swtpm.Options{}).Suspend(t.Context())
	require.ErrorIs(t, err, swtpm.ErrNotPolled)
}

// A server that is told what another one knew gives the TPM the state that the other one was
// given, at the locality that was set.
func TestSetStateOfAnotherServer(t *testing.T) {
	t.Parallel()
	one := serve(t, &transporttest.TPM{}, swtpm.Options{Polled: true})
	control := one.dialControl()
	for _, request := range []string{
		"0000000D 00000000 00000001 00000002 5050", "0000000D 00000000 00000002 00000001 56", // SET_STATEBLOB
		"00000005 03", // SET_LOCALITY
	} {
		require.Equal(t, "00000000", control.Ask(request), request)
	}
	known := one.State()
	assert.Equal(t, swtpm.State{Locality: 3, GivenPermanent: []byte("PP"), GivenVolatile: []byte("V")}, known)

	device := &transporttest.TPM{}
	other := serve(t, device, swtpm.Options{Polled: true})
	other.SetState(known)
	assert.Equal(t, known, other.State())
	require.Equal(t, "00000000", other.dialControl().Ask("00000002 00000001")) // INIT
	assert.Equal(t, []string{"init", "load state"}, device.Names())
}
