//go:build linux

package soak

import (
	"io"
	"net"
	"time"
)

// Requests of swtpm's control channel (include/swtpm/tpm_ioctl.h of swtpm).
const (
	ctlGetCapability     = 0x01
	ctlInit              = 0x02
	ctlGetTPMEstablished = 0x04
	ctlSetLocality       = 0x05
	ctlHashData          = 0x07
	ctlCancel            = 0x09
	ctlGetStateBlob      = 0x0c
	ctlSetStateBlob      = 0x0d
	ctlStop              = 0x0e
	ctlGetConfig         = 0x0f
	ctlSetBufferSize     = 0x11
	ctlGetInfo           = 0x12
)

// controlAttacks are those on the control channel. On that of the clients' TPM they
// leave alone what takes its power, which is a right of whoever may connect there.
var controlAttacks = []Attack{
	{Name: "control-garbage", Does: "sends random bytes to the control channel", run: func(b *bout) error {
		b.each(b.steady.ready.Control, func(c net.Conn) {
			_, _ = c.Write(b.nonZero(1 + b.rnd.IntN(1<<13)))
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, _ = io.Copy(io.Discard, c)
		})
		return nil
	}},
	{Name: "half-requests", Does: "sends control requests that are cut off, and lengths without the data", run: func(b *bout) error {
		requests := [][]byte{
			{0, 0}, numbers32(ctlGetInfo, 0), numbers32(ctlInit)[:3],
			numbers32(ctlHashData, 1<<32-1), numbers32(ctlSetStateBlob, 0, 1, 1<<31), numbers32(ctlGetStateBlob, 0),
		}
		b.crowd(b.steady.ready.Control, 12, func(c net.Conn) {
			_, _ = c.Write(requests[b.rnd.IntN(len(requests))])
		})
		return nil
	}},
	{Name: "control-storm", Does: "sends every control request that leaves the power alone", run: func(b *bout) error {
		requests := [][]byte{
			numbers32(ctlGetCapability), numbers32(ctlGetTPMEstablished), numbers32(ctlGetConfig),
			numbers32(ctlSetBufferSize, 0), numbers32(ctlGetInfo, 0, 0xff, 0, 0),
			append(numbers32(ctlSetLocality), 1, 0, 0, 0), append(numbers32(ctlSetLocality), 0, 0, 0, 0),
		}
		b.each(b.steady.ready.Control, func(c net.Conn) {
			b.requests(c, func() []byte { return requests[b.rnd.IntN(len(requests))] })
			_, _ = c.Write(append(numbers32(ctlSetLocality), 0, 0, 0, 0))
		})
		return nil
	}},
	{Name: "control-crowd", Does: "takes every connection that the control channel has, and asks for more", run: func(b *bout) error {
		b.crowd(b.steady.ready.Control, 80, func(net.Conn) {})
		return nil
	}},
	{Name: "unread-replies", Does: "asks for the TPM's state and reads no reply", run: func(b *bout) error {
		b.crowd(b.steady.ready.Control, 4, func(c net.Conn) {
			_ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			for ask := numbers32(ctlGetStateBlob, 0, 1, 0); ; {
				if _, err := c.Write(ask); err != nil {
					return
				}
			}
		})
		return nil
	}},
	{Name: "cancel-storm", Does: "cancels whatever command is executed", run: func(b *bout) error {
		b.each(b.steady.ready.Control, func(c net.Conn) {
			b.requests(c, func() []byte { return numbers32(ctlCancel) })
		})
		return nil
	}},
	{Name: "power-storm", Does: "resets a TPM and takes its power while commands reach it", run: func(b *bout) error {
		at := 0
		b.each(b.late.ready.Control, func(c net.Conn) {
			data := b.connect(b.late.ready.Data)
			b.requests(c, func() []byte {
				if data != nil {
					_, _ = data.Write(getRandom(8))
				}
				if at++; at%3 == 0 {
					return numbers32(ctlStop)
				}
				return numbers32(ctlInit, 0)
			})
			if data != nil {
				b.hangUp(data)
			}
		})
		return nil
	}},
}

// requests sends control requests as long as they are answered.
func (b *bout) requests(c net.Conn, next func() []byte) {
	for b.more() {
		if !b.request(c, next()) {
			return
		}
	}
}

// request sends a control request, reads what comes back, and reports whether it was
// an answer.
func (b *bout) request(c net.Conn, frame []byte) bool {
	if _, err := c.Write(frame); err != nil {
		return false
	}
	reply := make([]byte, 1<<12)
	n, err := c.Read(reply)
	return err == nil && n >= 4
}
