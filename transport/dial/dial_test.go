package dial_test

import (
	"context"
	"io/fs"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/dial"
	"github.com/swtpmd/swtpmd/transport/mssim"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

var getRandom = transport.NewCommand(transport.TagNoSessions, 0x17B, []byte{0, 4})

// serve starts a server of a TPM and returns it and its data and control addresses.
func serve(t *testing.T, network string, tpm transport.Device, options swtpm.Options) (data, control string) {
	t.Helper()
	s := swtpm.NewServer(tpm, options)
	listen := func(address string) net.Listener {
		l, err := net.Listen(network, address)
		require.NoError(t, err)
		return l
	}
	var d, c net.Listener
	if network == "unix" {
		path := transporttest.SocketPath(t)
		d, c = listen(path), listen(path+".ctrl")
	} else {
		d, c = twoPorts(t)
	}
	go func() { _ = s.ServeData(d) }()
	go func() { _ = s.ServeControl(c) }()
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	return d.Addr().String(), c.Addr().String()
}

// twoPorts returns listeners at two ports, one after the other.
func twoPorts(t *testing.T) (first, second net.Listener) {
	t.Helper()
	for range 100 {
		first, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		at := first.Addr().(*net.TCPAddr)
		second, err := net.ListenTCP("tcp", &net.TCPAddr{IP: at.IP, Port: at.Port + 1})
		if err == nil {
			return first, second
		}
		require.NoError(t, first.Close())
	}
	require.Fail(t, "no two ports")
	return nil, nil
}

func TestDial(t *testing.T) {
	t.Parallel()
	for _, network := range []string{"unix", "tcp"} {
		for _, disconnects := range []bool{false, true} {
			tpm := new(transporttest.TPM)
			require.NoError(t, tpm.Init())
			data, control := serve(t, network, tpm, swtpm.Options{DisconnectData: disconnects})
			addresses := []string{network + "://" + data + "?single"}
			if network == "unix" {
				addresses = append(addresses, "swtpm:path="+data, "swtpm://"+data, "swtpm:ctrl="+control)
			} else {
				host, port, err := net.SplitHostPort(data)
				require.NoError(t, err)
				addresses = append(addresses, "swtpm://"+data, "swtpm:host="+host+",port="+port)
			}
			if !disconnects {
				addresses = append(addresses, network+":"+data, network+"://"+data)
			}
			for _, address := range addresses {
				exchange(t, address, 3)
			}
		}
	}
}

func TestDialMssim(t *testing.T) {
	t.Parallel()
	tpm := new(transporttest.TPM)
	require.NoError(t, tpm.Init())
	first, second := twoPorts(t)
	s := mssim.NewServer(tpm, mssim.Options{})
	go func() { _ = s.ServeCommand(first) }()
	go func() { _ = s.ServePlatform(second) }()
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	exchange(t, "mssim://"+first.Addr().String(), 3)
}

// exchange sends commands to the TPM at an address.
func exchange(t *testing.T, address string, times int) {
	t.Helper()
	tpm, err := dial.Dial(t.Context(), address)
	require.NoError(t, err, address)
	defer func() { assert.NoError(t, tpm.Close(), address) }()
	for range times {
		response, err := tpm.Send(t.Context(), 0, getRandom)
		require.NoError(t, err, address)
		require.Equal(t, transport.RCSuccess, transport.ResponseCode(response), address)
	}
	power, ok := transport.As[transport.Power](tpm)
	require.Equal(t, !strings.HasPrefix(address, "unix") && !strings.HasPrefix(address, "tcp"), ok, address)
	if !ok {
		return
	}
	assert.True(t, power.Powered(), address)
	_, err = tpm.Send(t.Context(), 3, getRandom)
	require.NoError(t, err, "%s at locality 3", address)
}

// A server that is started again is found by the next command; the one that was lost
// with the connection fails.
func TestANewConnectionAfterALostOne(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	tpm, err := dial.Dial(t.Context(), "tcp:"+l.Addr().String())
	require.NoError(t, err)
	lost, err := l.Accept()
	require.NoError(t, err)
	require.NoError(t, lost.Close())
	_, err = tpm.Send(t.Context(), 0, getRandom)
	require.ErrorContains(t, err, "lost")

	answered := make(chan error, 1)
	go func() {
		c, err := l.Accept()
		if err == nil {
			_, err = c.Write(transport.AppendResponse(nil, 0))
		}
		answered <- err
	}()
	response, err := tpm.Send(t.Context(), 0, getRandom)
	require.NoError(t, err)
	require.Equal(t, transport.RCSuccess, transport.ResponseCode(response))
	require.NoError(t, transporttest.Receive(t, answered))
	require.NoError(t, tpm.Close())
	_, err = tpm.Send(t.Context(), 0, getRandom)
	require.ErrorContains(t, err, "closed by its owner")
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	path := transporttest.SocketPath(t)
	alone := transporttest.SocketPath(t)
	l, err := net.Listen("unix", alone+".ctrl")
	require.NoError(t, err)
	defer l.Close()
	for address, says := range map[string]string{
		"unix:" + path:                   "nothing listens there",
		"unix://" + path + "?single":     "nothing listens there",
		"swtpm:path=" + path:             "control channel",
		"swtpm:path=" + alone:            "data channel",
		"swtpm:ctrl=" + path:             "nothing listens there",
		"device:" + path:                 "the kernel has no TPM there",
		"device:///dev/swtpmd-not-there": "TPM at device:/dev/swtpmd-not-there",
	} {
		_, err := dial.Dial(t.Context(), address)
		var failed *dial.Error
		require.ErrorAs(t, err, &failed, address)
		assert.ErrorContains(t, err, says, address)
		assert.ErrorIs(t, err, fs.ErrNotExist, address)
	}
	_, err = dial.Dial(t.Context(), "nowhere")
	var wrong *dial.AddressError
	require.ErrorAs(t, err, &wrong)
}

// accepted is a listener that shows the connections that it has accepted.
type accepted struct {
	net.Listener
	conns chan net.Conn
}

func (l *accepted) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err == nil {
		l.conns <- conn
	}
	return conn, err
}

// A TPM that has no other client keeps one connection for all commands, through resets and
// changes of the locality; where the server closes it after a response, each command has its
// own.
func TestDialAloneKeepsAConnection(t *testing.T) {
	t.Parallel()
	const commands = 5
	for _, disconnects := range []bool{false, true} {
		s := swtpm.NewServer(new(transporttest.TPM), swtpm.Options{DisconnectData: disconnects})
		path := transporttest.SocketPath(t)
		control, err := net.Listen("unix", path+".ctrl")
		require.NoError(t, err)
		data, err := net.Listen("unix", path)
		require.NoError(t, err)
		listener := &accepted{data, make(chan net.Conn, 4*commands)}
		go func() { _ = s.ServeControl(control) }()
		go func() { _ = s.ServeData(listener) }()
		t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })

		address, err := dial.Parse("swtpm:path=" + path)
		require.NoError(t, err)
		tpm, err := address.DialAlone(t.Context())
		require.NoError(t, err)
		require.NoError(t, tpm.(transport.Power).Init())
		before := len(listener.conns)
		for i := range commands {
			response, err := tpm.Send(t.Context(), uint8(i%2), getRandom)
			require.NoError(t, err, "disconnects %t, command %d", disconnects, i)
			require.Equal(t, transport.RCSuccess, transport.ResponseCode(response))
			if i == 2 {
				require.NoError(t, tpm.(transport.Power).Init())
			}
		}
		if disconnects {
			assert.Equal(t, commands, len(listener.conns)-before)
		} else {
			assert.Len(t, listener.conns, 1)
		}
		require.NoError(t, tpm.Close())
	}
}

// A server that accepts and says nothing, as swtpm does with a second client, ends the
// wait of the context, and the error says so.
func TestDialAloneBesideAnotherClient(t *testing.T) {
	t.Parallel()
	s := swtpm.NewServer(new(transporttest.TPM), swtpm.Options{})
	path := transporttest.SocketPath(t)
	control, err := net.Listen("unix", path+".ctrl")
	require.NoError(t, err)
	go func() { _ = s.ServeControl(control) }()
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })
	data, err := net.Listen("unix", path)
	require.NoError(t, err)
	defer data.Close()
	address, err := dial.Parse("swtpm:path=" + path)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = address.DialAlone(ctx)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	assert.ErrorContains(t, err, "data channel")
	assert.ErrorContains(t, err, "one client at a time")
}

// A control connection to swtpm that is lost is made anew for the request after the one
// that found it lost.
func TestTheControlConnectionIsMadeAnew(t *testing.T) {
	t.Parallel()
	s := swtpm.NewServer(new(transporttest.TPM), swtpm.Options{})
	path := transporttest.SocketPath(t)
	control, err := net.Listen("unix", path+".ctrl")
	require.NoError(t, err)
	data, err := net.Listen("unix", path)
	require.NoError(t, err)
	listener := &accepted{control, make(chan net.Conn, 2)}
	go func() { _ = s.ServeControl(listener) }()
	go func() { _ = s.ServeData(data) }()
	t.Cleanup(func() { require.NoError(t, s.Close(context.Background())) })

	tpm, err := dial.Dial(t.Context(), "swtpm:path="+path)
	require.NoError(t, err)
	power := tpm.(transport.Power)
	require.NoError(t, power.Init())
	require.NoError(t, transporttest.Receive(t, listener.conns).Close())
	var lost *swtpm.BrokenError
	require.ErrorAs(t, power.Init(), &lost, "nobody knows whether the server has seen it")
	require.NoError(t, power.Init())
	response, err := tpm.Send(t.Context(), 2, getRandom)
	require.NoError(t, err)
	assert.NotEmpty(t, response)
	require.NoError(t, tpm.Close())
	require.ErrorAs(t, power.Init(), &lost, "closed for good")
	require.ErrorAs(t, power.Init(), &lost)
}
