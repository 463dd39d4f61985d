//go:build linux

package soak

import (
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// deferralAttacks are those on TPMs that are not there yet.
var deferralAttacks = []Attack{
	{Name: "deferred-flood", Does: "sends commands to a TPM that is deferred, each a line of a log that nobody reads", run: func(b *bout) error {
		c := b.connect(b.late.ready.Data)
		if c == nil {
			return nil
		}
		response := make([]byte, 64)
		for b.more() {
			if _, err := c.Write(getRandom(8)); err != nil {
				return nil
			}
			n, err := c.Read(response)
			if err != nil {
				return nil
			}
			if got := rc(response[:n]); got != rcFailure {
				return &codeError{"a TPM that is deferred", got}
			}
		}
		return nil
	}},
	{Name: "held-crowd", Does: "has many commands held back, leaves some and resets the TPM under the others", run: func(b *bout) error {
		for b.more() {
			control := b.connect(b.held.ready.Control)
			if control == nil {
				return nil
			}
			b.request(control, numbers32(ctlInit, 0))
			var waiting []net.Conn
			for range 16 {
				if c := b.connect(b.held.ready.Data); c != nil {
					_, _ = c.Write(getRandom(8))
					waiting = append(waiting, c)
				}
			}
			for i, c := range waiting {
				if i%2 == 0 {
					b.hangUp(c)
				}
			}
			b.request(control, numbers32(ctlCancel))
			b.request(control, numbers32(ctlStop))
			for i, c := range waiting {
				if i%2 == 1 {
					b.hangUp(c)
				}
			}
			b.hangUp(control)
		}
		return nil
	}},
	{Name: "console-flood", Does: "prints what a kernel would, lines without end, and binary bytes on the console", run: func(b *bout) error {
		b.each(b.late.ready.Console, func(c net.Conn) {
			_ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			var text []byte
			switch b.rnd.IntN(4) {
			case 0:
				text = fmt.Appendf(nil, "[    0.000000] Linux version %d.0.0 (x@y) (gcc) #1 SMP\r\n", b.rnd.IntN(9))
			case 1:
				text = fmt.Appendf(nil, "[%5d.000000] calling  init_ima+0x0/0x30 @ 1\r\n[    0.1] initcall init_ima+0x0/0x30 returned 0 after 1 usecs\r\n", b.rnd.IntN(9))
			case 2:
				text = []byte(strings.Repeat("calling ", 1<<14))
			case 3:
				text = b.bytes(1 << 14)
			}
			_, _ = c.Write(text)
		})
		return nil
	}},
}

// adminAttacks are those on the admin socket.
var adminAttacks = []Attack{
	{Name: "admin-garbage", Does: "sends the admin socket what is no HTTP, endless headers and bodies, and wrong JSON", run: func(b *bout) error {
		requests := []string{
			"\x16\x03\x01 hello", "GET /status HTTP/9.9\r\n\r\n", "GET /status HTTP/1.1\r\n",
			"GET /../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n", "PATCH /level HTTP/1.1\r\nHost: x\r\n\r\n",
			"GET /status HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("a", 1<<17) + "\r\n\r\n",
			"POST /level HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
			"POST /level HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nnull",
			"POST /level HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n" + strings.Repeat("[", 1<<16),
			"POST /level HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n{",
		}
		b.each(b.steady.ready.Admin, func(c net.Conn) {
			_ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			_, _ = io.WriteString(c, requests[b.rnd.IntN(len(requests))])
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Millisecond))
			_, _ = io.Copy(io.Discard, c)
		})
		return nil
	}},
	{Name: "admin-crowd", Does: "takes every connection that the admin socket has, and asks for more", run: func(b *bout) error {
		b.crowd(b.steady.ready.Admin, 40, func(c net.Conn) { _, _ = io.WriteString(c, "GET /status") })
		return nil
	}},
	{Name: "unread-journal", Does: "asks for the journal and does not read it", run: func(b *bout) error {
		b.crowd(b.late.ready.Admin, 8, func(c net.Conn) {
			_, _ = io.WriteString(c, "GET /journal HTTP/1.1\r\nHost: x\r\n\r\n")
		})
		return nil
	}},
}
