//go:build linux

package soak

import (
	"encoding/binary"
	"io"
	"net"
	"time"
)

// dataAttacks are those on the channel of TPM commands.
var dataAttacks = []Attack{
	{Name: "half-commands", Does: "sends a part of a command and nothing more", run: func(b *bout) error {
		b.crowd(b.steady.ready.Data, 8, func(c net.Conn) {
			whole := getRandom(16)
			_, _ = c.Write(whole[:1+b.rnd.IntN(len(whole)-1)])
		})
		return nil
	}},
	{Name: "wrong-sizes", Does: "sends size fields that are too small, too large or huge, and bytes after them", run: func(b *bout) error {
		sizes := []uint32{0, 1, 9, 11, 4097, 1 << 16, 1 << 24, 1<<31 - 1, 1 << 31, 1<<32 - 1}
		b.each(b.steady.ready.Data, func(c net.Conn) {
			p := getRandom(16)
			binary.BigEndian.PutUint32(p[2:], sizes[b.rnd.IntN(len(sizes))])
			_, _ = c.Write(append(p, b.bytes(b.rnd.IntN(1<<16))...))
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, _ = io.Copy(io.Discard, c)
		})
		return nil
	}},
	{Name: "garbage", Does: "sends random bytes where commands are expected", run: func(b *bout) error {
		b.each(b.steady.ready.Data, func(c net.Conn) {
			_, _ = c.Write(b.bytes(1 + b.rnd.IntN(1<<14)))
		})
		return nil
	}},
	{Name: "slow-writers", Does: "sends commands a byte at a time", run: func(b *bout) error {
		var conns []net.Conn
		for range 8 {
			if c := b.connect(b.steady.ready.Data); c != nil {
				conns = append(conns, c)
			}
		}
		whole := getRandom(16)
		for at := 0; b.more(); at++ {
			for _, c := range conns {
				_, _ = c.Write(whole[at%len(whole):][:1])
			}
			wait(b.ctx, 20*time.Millisecond)
		}
		return nil
	}},
	{Name: "unread-answers", Does: "sends commands and reads no response", run: func(b *bout) error {
		b.crowd(b.steady.ready.Data, 4, func(c net.Conn) {
			_ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			for ask := capability(6, 0x100, 64); ; {
				if _, err := c.Write(ask); err != nil {
					return
				}
			}
		})
		return nil
	}},
	{Name: "come-and-go", Does: "connects and leaves at once", run: func(b *bout) error {
		b.each(b.steady.ready.Data, func(net.Conn) {})
		return nil
	}},
	{Name: "early-leavers", Does: "sends a command and leaves before the response", run: func(b *bout) error {
		b.each(b.steady.ready.Data, func(c net.Conn) { _, _ = c.Write(getRandom(32)) })
		return nil
	}},
	{Name: "data-crowd", Does: "takes every connection that the data channel has, and asks for more", run: func(b *bout) error {
		b.crowd(b.steady.ready.Data, 120, func(net.Conn) {})
		return nil
	}},
}
