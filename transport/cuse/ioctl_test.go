package cuse_test

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/transport/swtpm"
	"github.com/swtpmd/swtpmd/transport/transporttest"
)

// Codes of swtpm's ioctls on x86-64 (include/swtpm/tpm_ioctl.h).
const (
	getCapability    = 0x80085000
	ptmInit          = 0xC0045001
	shutdown         = 0x80045002
	getEstablished   = 0x80085003
	setLocality      = 0xC0045004
	hashStart        = 0x80045005
	hashData         = 0xD0045006
	hashEnd          = 0x80045007
	cancelCommand    = 0x80045008
	resetEstablished = 0xC004500A
	getStateBlob     = 0xCC10500B
	setStateBlob     = 0xCC0C500C
	stopTPM          = 0x8004500D
	getConfig        = 0x8008500E
	setDataFD        = 0x8004500F
	setBufferSize    = 0xC0105010
	getInfo          = 0xCC105011
)

func TestControlRequests(t *testing.T) {
	t.Parallel()
	device := new(transporttest.TPM)
	k := opened(t, device)
	ok := u32(0)
	badOrdinal := u32(uint32(swtpm.BadOrdinal))

	word := native.Uint64(k.ioctl(getCapability, nil))
	assert.Zero(t, swtpm.Capability(word)&(swtpm.CapSetDataFD|swtpm.CapSendCommandHeader), "of sockets only")
	assert.NotZero(t, swtpm.Capability(word)&swtpm.CapGetStateBlob)
	assert.Equal(t, badOrdinal, k.ioctl(hashStart, nil), "without power")
	sizes := k.ioctl(setBufferSize, u32(1))
	least := native.Uint32(sizes[8:])
	assert.GreaterOrEqual(t, least, uint32(transporttest.MinBuffer))
	assert.Equal(t, u32(0, least, least, transporttest.MaxBuffer), sizes, "1 is too small")
	assert.Equal(t, ok, k.ioctl(ptmInit, u32(0)))
	assert.True(t, device.Powered())
	assert.Equal(t, badOrdinal, k.ioctl(setBufferSize, u32(1))[:4], "with power")
	assert.Equal(t, u32(0, 0), k.ioctl(getEstablished, nil))
	assert.Equal(t, ok, k.ioctl(hashStart, nil))
	measured := bytes.Repeat([]byte{7}, 4096)
	assert.Equal(t, ok, k.ioctl(hashData, append(u32(4096), measured...))[:4])
	assert.Equal(t, u32(uint32(swtpm.BadParameter)), k.ioctl(hashData, u32(4097))[:4])
	assert.Equal(t, ok, k.ioctl(hashEnd, nil))
	assert.Equal(t, append(u32(0), 1, 0, 0, 0), k.ioctl(getEstablished, nil))
	assert.Equal(t, u32(uint32(swtpm.BadLocality)), k.ioctl(resetEstablished, []byte{2}))
	assert.Equal(t, ok, k.ioctl(resetEstablished, []byte{3}))
	assert.Equal(t, ok, k.ioctl(setLocality, []byte{3}))
	assert.Equal(t, u32(uint32(swtpm.BadLocality)), k.ioctl(setLocality, []byte{5}))
	assert.Equal(t, u32(0, 0), k.ioctl(getConfig, nil))

	k.write(command(t))
	require.Len(t, k.asks(opRead, readBody(4096, 0)).body, 10)
	calls := device.Calls()
	assert.EqualValues(t, 3, calls[len(calls)-1].Locality)
	var hashed []byte
	for _, call := range calls {
		if call.Name == "hash data" {
			hashed = append(hashed, call.Data...)
		}
	}
	assert.Equal(t, measured, hashed)
	assert.Equal(t, ok, k.ioctl(stopTPM, nil))
	assert.False(t, device.Powered())
}

func TestCancelReachesTheCommand(t *testing.T) {
	t.Parallel()
	device, came, _ := wait(t)
	k := opened(t, device)
	k.write(command(t))
	transporttest.Receive(t, came)
	unique := k.send(opRead, readBody(4096, 0))
	answered := map[uint64]reply{}
	cancel := k.send(opIoctl, ioctlBody(cancelCommand, nil, 4))
	for range 2 {
		r := k.reply()
		answered[r.unique] = r
	}
	assert.Len(t, answered[unique].body, 10, "the command has ended")
	assert.Equal(t, append(make([]byte, 16), u32(0)...), answered[cancel].body)
}

func TestInfoInPieces(t *testing.T) {
	t.Parallel()
	k := opened(t, powered(t))
	out := k.ioctl(getInfo, append(u32(0, 0), u32(0, 0)...))
	total, length := native.Uint32(out[4:]), native.Uint32(out[8:])
	require.Equal(t, u32(0), out[:4])
	require.Equal(t, total, length)
	assert.Equal(t, "{}\x00", string(out[12:12+length]))
	out = k.ioctl(getInfo, append(u32(0, 0), u32(total, 0)...))
	assert.Equal(t, u32(uint32(swtpm.BadParameter)), out[:4])
}

func TestShutdownIsAnsweredBeforeTheEnd(t *testing.T) {
	t.Parallel()
	k := newKernel(t)
	server, stop, done := k.serve(powered(t))
	require.Zero(t, k.asks(opOpen, u32(2, 0)).code)
	go func() { <-server.Done(); stop() }() // as the daemon does
	k.send(opIoctl, ioctlBody(shutdown, nil, 4))
	require.NoError(t, transporttest.Receive(t, done))
	assert.Equal(t, append(make([]byte, 16), u32(0)...), k.reply().body)
	assert.Equal(t, swtpm.EndedByShutdown, server.Reason())
}

func TestIoctlsThatAreNone(t *testing.T) {
	t.Parallel()
	k := opened(t, powered(t))
	for _, body := range [][]byte{
		ioctlBody(setDataFD, nil, 4),
		ioctlBody(0x80045016, nil, 4),
		ioctlBody(0x80044100, nil, 8),       // of another type
		ioctlBody(0xC0045001, nil, 4),       // without the structure
		ioctlBody(0x80085000, nil, 4),       // with one that is too small
		ioctlBody(0xC0045001, u32(0, 0), 8), // too large
	} {
		assert.EqualValues(t, -eNOTTY, k.asks(opIoctl, body).code, "%x", body)
	}
}

// blob is a state of three pieces.
var blob = bytes.Repeat([]byte("state of a TPM. "), 7000/16)

func TestGetStateBlob(t *testing.T) {
	t.Parallel()
	device := powered(t)
	device.Permanent = blob
	k := opened(t, device)
	var got []byte
	for len(got) < len(blob) {
		out := k.ioctl(getStateBlob, u32(1, 1, uint32(len(got))))
		require.Equal(t, u32(0, 0, uint32(len(blob))), out[:12])
		got = append(got, out[16:16+native.Uint32(out[12:])]...)
	}
	assert.Equal(t, blob, got, "by offset")

	out := k.ioctl(getStateBlob, u32(1, 1, 0))
	got = out[16 : 16+native.Uint32(out[12:])]
	for {
		piece := k.asks(opRead, readBody(1000, 0)).body
		got = append(got, piece...)
		if len(piece) < 1000 {
			break
		}
	}
	assert.Equal(t, blob, got, "by read")
	assert.Equal(t, u32(uint32(swtpm.Retry)), k.ioctl(getStateBlob, u32(1, 3, 0))[:4], "a TPM 2.0 has no third state")
}

func TestSetStateBlob(t *testing.T) {
	t.Parallel()
	piece := func(kind uint32, data []byte) []byte { return append(u32(0, kind, uint32(len(data))), data...) }
	loaded := func(t *testing.T, k *kernel, device *transporttest.TPM) {
		require.Equal(t, u32(0), k.ioctl(ptmInit, u32(0)))
		for _, call := range device.Calls() {
			if call.Name == "load state" {
				assert.Equal(t, blob, call.Data)
				return
			}
		}
		assert.Fail(t, "no state was loaded")
	}
	t.Run("by ioctl", func(t *testing.T) {
		t.Parallel()
		device := new(transporttest.TPM)
		k := opened(t, device)
		for at := 0; at < len(blob); at += 3072 {
			out := k.ioctl(setStateBlob, piece(1, blob[at:min(len(blob), at+3072)]))
			require.Equal(t, u32(0), out[:4])
		}
		loaded(t, k, device)
	})
	t.Run("by write", func(t *testing.T) {
		t.Parallel()
		device := new(transporttest.TPM)
		k := opened(t, device)
		require.Equal(t, u32(0), k.ioctl(setStateBlob, piece(1, nil))[:4])
		for at := 0; at < len(blob); at += 1000 {
			k.write(blob[at:min(len(blob), at+1000)])
		}
		require.Equal(t, u32(0), k.ioctl(setStateBlob, piece(1, nil))[:4])
		loaded(t, k, device)
	})
	t.Run("wrong", func(t *testing.T) {
		t.Parallel()
		k := opened(t, new(transporttest.TPM))
		assert.Equal(t, u32(uint32(swtpm.BadParameter)), k.ioctl(setStateBlob, u32(0, 1, 3073))[:4])
		assert.Equal(t, u32(0), k.ioctl(setStateBlob, piece(1, blob[:3072]))[:4])
		assert.Equal(t, u32(uint32(swtpm.BadParameter)), k.ioctl(setStateBlob, piece(2, blob[:3072]))[:4], "another kind in between")
		for range 512 << 10 / 3072 {
			require.Equal(t, u32(0), k.ioctl(setStateBlob, piece(1, blob[:3072]))[:4])
		}
		assert.Equal(t, u32(uint32(swtpm.Fail)), k.ioctl(setStateBlob, piece(1, blob[:3072]))[:4], "more than 512 KiB")
	})
}
