//go:build unix

package swtpm_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport"
	"github.com/swtpmd/swtpmd/transport/raw"
	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

func refusal(t *testing.T, err error) swtpm.Result {
	t.Helper()
	var refused *swtpm.ResultError
	require.ErrorAs(t, err, &refused)
	return refused.Result
}

// useControl uses every request that all servers have.
func useControl(t *testing.T, path string) {
	ctx := context.Background()
	c, err := swtpm.DialControl(ctx, "unix", path)
	require.NoError(t, err)
	defer func() { assert.NoError(t, c.Close()) }()

	caps, err := c.Capabilities(ctx)
	require.NoError(t, err)
	assert.Equal(t, swtpm.QEMURequires, caps&swtpm.QEMURequires)
	_, err = c.TPMEstablished(ctx)
	assert.Equal(t, swtpm.BadOrdinal, refusal(t, err))
	assert.ErrorContains(t, err, "GET_TPMESTABLISHED: BAD_ORDINAL")
	assert.Equal(t, swtpm.BadOrdinal, refusal(t, c.HashStart(ctx)))
	_, err = c.GetStateBlob(ctx, swtpm.StatePermanent, 0)
	assert.Equal(t, swtpm.BadOrdinal, refusal(t, err))
	sizes, err := c.SetBufferSize(ctx, 3000)
	require.NoError(t, err)
	assert.Equal(t, swtpm.Sizes{Size: 3000, Min: 2808, Max: 4096}, sizes)

	require.NoError(t, c.Init(ctx, swtpm.InitDeleteVolatile))
	_, err = c.SetBufferSize(ctx, 3000)
	assert.Equal(t, swtpm.BadOrdinal, refusal(t, err))
	assert.Equal(t, swtpm.BadOrdinal, refusal(t, c.SetStateBlob(ctx, swtpm.StatePermanent, &swtpm.Blob{Data: []byte{1}})))
	keys, err := c.Config(ctx)
	require.NoError(t, err)
	assert.Zero(t, keys)
	assert.Equal(t, swtpm.BadLocality, refusal(t, c.SetLocality(ctx, 5)))
	require.NoError(t, c.SetLocality(ctx, 3))
	require.NoError(t, c.HashStart(ctx))
	require.NoError(t, c.HashData(ctx, nil))
	require.NoError(t, c.HashData(ctx, bytes.Repeat([]byte{7}, 10000)))
	require.NoError(t, c.HashEnd(ctx))
	established, err := c.TPMEstablished(ctx)
	require.NoError(t, err)
	assert.True(t, established)
	assert.Equal(t, swtpm.BadLocality, refusal(t, c.ResetTPMEstablished(ctx, 1)))
	require.NoError(t, c.ResetTPMEstablished(ctx, 3))
	established, err = c.TPMEstablished(ctx)
	require.NoError(t, err)
	assert.False(t, established)
	require.NoError(t, c.Cancel(ctx))
	text, err := c.InfoText(ctx, 0)
	require.NoError(t, err)
	assert.Equal(t, "{}", string(text))
	require.NoError(t, c.Stop(ctx))
	require.NoError(t, c.Shutdown(ctx))
}

func TestClient(t *testing.T) {
	t.Parallel()
	r := serve(t, &transporttest.TPM{}, swtpm.Options{Version: swtpm.V0_7})
	useControl(t, r.control)
	assert.Equal(t, swtpm.EndedByShutdown, r.ended())
}

func TestClientOfSwtpm(t *testing.T) {
	t.Parallel()
	useControl(t, startSwtpm(t))
}

// TestClientOfSwtpmBlobs: state and information of swtpm itself.
func TestClientOfSwtpmBlobs(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c, err := swtpm.DialControl(ctx, "unix", startSwtpm(t))
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.Init(ctx, 0))
	require.NoError(t, c.StoreVolatile(ctx))
	blob, err := c.GetStateBlob(ctx, swtpm.StatePermanent, swtpm.BlobDecrypted)
	require.NoError(t, err)
	assert.NotEmpty(t, blob.Data)
	assert.Zero(t, blob.Flags)
	_, err = c.GetStateBlob(ctx, swtpm.StateSave, swtpm.BlobDecrypted)
	assert.Equal(t, swtpm.Retry, refusal(t, err))
	require.NoError(t, c.Stop(ctx))
	require.NoError(t, c.SetStateBlob(ctx, swtpm.StatePermanent, blob))
	require.NoError(t, c.Init(ctx, 0))
	info, err := c.Info(ctx, swtpm.InfoSpecification|swtpm.InfoAttributes|swtpm.InfoFeatures)
	require.NoError(t, err)
	assert.Equal(t, "2.0", info.Specification.Family)
	assert.Equal(t, "swtpm", info.Attributes.Model)
	assert.Contains(t, info.Features.RSAKeySizes, uint16(2048))
}

// useDevice uses a TPM as a transport.Device.
func useDevice(t *testing.T, d *swtpm.TPM) {
	ctx := context.Background()
	send := func(locality uint8, digits string) string {
		t.Helper()
		response, err := d.Send(ctx, locality, transporttest.Hex(t, digits))
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(response), transport.HeaderSize)
		return hexOf(response)
	}
	assert.False(t, d.Powered())
	assert.Equal(t, rcFailure, send(0, startup))
	_, err := d.Send(ctx, 5, transporttest.Hex(t, startup))
	assert.Equal(t, swtpm.BadLocality, refusal(t, err))
	size, least, most := d.BufferSize()
	assert.Equal(t, []uint32{4096, 2808, 4096}, []uint32{size, least, most})
	size, err = d.SetBufferSize(0)
	require.NoError(t, err)
	assert.EqualValues(t, 2808, size)

	require.NoError(t, d.Init())
	assert.True(t, d.Powered())
	assert.False(t, d.TPMEstablished())
	require.NoError(t, d.HashStart())
	require.NoError(t, d.HashData([]byte("firmware")))
	require.NoError(t, d.HashEnd())
	assert.True(t, d.TPMEstablished())
	require.NoError(t, d.ResetTPMEstablished(4))
	assert.False(t, d.TPMEstablished())
	assert.Equal(t, rcSuccess, send(3, startup))
	d.Cancel()
	require.NoError(t, d.PowerOff())
	assert.False(t, d.Powered())
	assert.Equal(t, rcFailure, send(3, startup))
}

func TestDevice(t *testing.T) {
	t.Parallel()
	transporttest.NoLeaks(t, func() {
		t.Run("passed", func(t *testing.T) {
			device := &transporttest.TPM{}
			r := serve(t, device, swtpm.Options{Version: swtpm.V0_7})
			d, err := swtpm.Dial(context.Background(), r.control)
			require.NoError(t, err)
			useDevice(t, d)
			for _, call := range device.Calls() {
				if call.Name == "send" {
					assert.EqualValues(t, 3, call.Locality)
				}
			}
			require.NoError(t, d.Control().Shutdown(context.Background()))
			require.NoError(t, d.Close())
		})
		t.Run("dialled", func(t *testing.T) {
			r := serve(t, &transporttest.TPM{}, swtpm.Options{Version: swtpm.V0_7})
			ctx := context.Background()
			control, err := swtpm.DialControl(ctx, "unix", r.control)
			require.NoError(t, err)
			data, err := raw.Dial(ctx, "unix", r.data)
			require.NoError(t, err)
			d, err := swtpm.NewTPM(ctx, control, data)
			require.NoError(t, err)
			useDevice(t, d)
			require.NoError(t, d.Close())
		})
	})
}

func TestDeviceOfSwtpm(t *testing.T) {
	t.Parallel()
	d, err := swtpm.Dial(context.Background(), startSwtpm(t))
	require.NoError(t, err)
	// Locality 3 may not send the Startup that useDevice sends: swtpm says
	// so, a test device does not.
	ctx := context.Background()
	require.NoError(t, d.Init())
	response, err := d.Send(ctx, 0, transporttest.Hex(t, startup))
	require.NoError(t, err)
	assert.Equal(t, rcSuccess, hexOf(response))
	response, err = d.Send(ctx, 2, transporttest.Hex(t, "8001 0000000C 0000017B 0008"))
	require.NoError(t, err)
	assert.Len(t, response, 20)
	assert.True(t, d.Powered())
	require.NoError(t, d.PowerOff())
	require.NoError(t, d.Control().Shutdown(ctx))
	require.NoError(t, d.Close())
}

// TestDeviceCancel: over a Server, Cancel reaches the command in execution.
func TestDeviceCancel(t *testing.T) {
	t.Parallel()
	device, held := holding(t)
	r := serve(t, device, swtpm.Options{})
	d, err := swtpm.Dial(context.Background(), r.control)
	require.NoError(t, err)
	defer d.Close()
	go func() {
		<-held
		d.Cancel()
	}()
	response, err := d.Send(context.Background(), 0, transporttest.Hex(t, startup))
	require.NoError(t, err)
	assert.Equal(t, rcCanceled, hexOf(response))
}

// TestClientBadServers: whatever a server answers, a request ends, and the
// client takes no more than it can bear.
func TestClientBadServers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer string
		ask    func(*swtpm.Client) error
	}{
		"no reply": {"", func(c *swtpm.Client) error { return c.Stop(context.Background()) }},
		"short":    {"0000", func(c *swtpm.Client) error { return c.Stop(context.Background()) }},
		"half": {"00000000", func(c *swtpm.Client) error {
			_, err := c.Capabilities(context.Background())
			return err
		}},
		"huge blob": {"00000000 00000000 00000010 00100001", func(c *swtpm.Client) error {
			_, err := c.GetStateBlob(context.Background(), 1, 0)
			return err
		}},
		"endless blob": {"00000000 00000000 00100001 00000001 00", func(c *swtpm.Client) error {
			_, err := c.GetStateBlob(context.Background(), 1, 0)
			return err
		}},
		"huge text": {"00000000 00000010 00100001", func(c *swtpm.Client) error {
			_, err := c.InfoText(context.Background(), 1)
			return err
		}},
		"endless text": {"00000000 FFFFFFFF 00000001 7B", func(c *swtpm.Client) error {
			_, err := c.InfoText(context.Background(), 1)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			near, far := transporttest.Conns(t)
			answer := transporttest.Hex(t, c.answer)
			go func() {
				_, _ = far.Read(make([]byte, 100))
				_, _ = far.Write(answer)
				_ = far.Close()
			}()
			client := swtpm.NewClient(near)
			err := c.ask(client)
			var lost *swtpm.BrokenError
			require.ErrorAs(t, err, &lost)
			if strings.HasPrefix(name, "huge") || strings.HasPrefix(name, "endless") {
				require.ErrorContains(t, err, "are not taken")
			}
			require.NoError(t, client.Close())
			assert.Equal(t, err, client.Cancel(context.Background()), "it stays broken")
		})
	}
}

func TestClientGivesUp(t *testing.T) {
	t.Parallel()
	near, far := transporttest.Conns(t)
	defer far.Close()
	client := swtpm.NewClient(near)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer cancel() // once the request is on its way, and not before
		_, _ = io.ReadFull(far, make([]byte, 4))
	}()
	require.ErrorIs(t, client.Stop(ctx), context.Canceled)
	var lost *swtpm.BrokenError
	require.ErrorAs(t, client.Stop(context.Background()), &lost)
	assert.Equal(t, swtpm.CmdStop, lost.Command)
	_, err := io.Copy(io.Discard, far)
	require.NoError(t, err, "the connection is closed")
}

func TestDataConnNeedsUnix(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	defer far.Close()
	_, err := swtpm.NewClient(near).DataConn(context.Background())
	require.ErrorIs(t, err, swtpm.ErrNotUnix)
}

// TestInfo: GET_INFO tells what the program knows, in pieces that fit, in every state of
// the TPM, and asks the TPM nothing.
func TestInfo(t *testing.T) {
	t.Parallel()
	d := described
	d.Profiles = func() []swtpm.Profile { return slices.Repeat([]swtpm.Profile{d.Profile}, 12) }
	device := &transporttest.TPM{}
	r := serve(t, device, swtpm.Options{Description: &d})
	ctx := context.Background()
	c, err := swtpm.DialControl(ctx, "unix", r.control)
	require.NoError(t, err)
	defer c.Close()
	const flags = ^uint64(0)
	tells := func(started bool) {
		t.Helper()
		want, err := d.Text(swtpm.V0_10, flags, started)
		require.NoError(t, err)
		require.Greater(t, len(want), 3072, "one piece is not enough")
		text, err := c.InfoText(ctx, flags)
		require.NoError(t, err)
		assert.Equal(t, string(want), string(text))
	}
	tells(false)
	require.NoError(t, c.Init(ctx, 0))
	tells(true)
	require.NoError(t, c.Stop(ctx))
	tells(false)
	assert.Equal(t, []string{"init", "poweroff"}, device.Names())

	info, err := c.Info(ctx, flags)
	require.NoError(t, err)
	assert.Equal(t, uint32(164), info.Specification.Revision)
	assert.Len(t, info.AvailableProfiles, 12)
	assert.Nil(t, info.ActiveProfile)

	// The numbers of a reply, with an offset at and around the end of a piece and of
	// the text.
	whole, err := d.Text(swtpm.V0_10, flags, false)
	require.NoError(t, err)
	p := r.dialControl()
	for _, offset := range []int{0, 1, len(whole) - 3072, len(whole) - 3071, len(whole) - 1} {
		reply := transporttest.Hex(t, p.Ask(fmt.Sprintf("00000012 %016x %08x 00000000", flags, offset)))
		require.Zero(t, binary.BigEndian.Uint32(reply))
		assert.EqualValues(t, len(whole)+1, binary.BigEndian.Uint32(reply[4:]))
		piece := append(whole[:len(whole):len(whole)], 0)[offset:]
		piece = piece[:min(len(piece), 3072)]
		assert.EqualValues(t, len(piece), binary.BigEndian.Uint32(reply[8:]))
		assert.Equal(t, piece, reply[12:])
	}
	for _, offset := range []int{len(whole), len(whole) + 1, 1 << 31, 1<<32 - 1} {
		assert.Equal(t, "00000003", p.Ask(fmt.Sprintf("00000012 %016x %08x 00000000", flags, offset)), offset)
	}
}

// TestInfoOfAnUnknownTPM: what nobody has told the server it does not ask the TPM.
func TestInfoOfAnUnknownTPM(t *testing.T) {
	t.Parallel()
	device := running(t)
	p := serve(t, device, swtpm.Options{Version: swtpm.V0_7}).dialControl()
	assert.Equal(t, "00000017", p.Ask("00000012 0000000000000001 00000000 00000000"))
	assert.Equal(t, "0000000000000003000000037b7d00", p.Ask("00000012 0000000000000040 00000000 00000000"), "no flag of 0.7")
	assert.Equal(t, []string{"init"}, device.Names())
}
