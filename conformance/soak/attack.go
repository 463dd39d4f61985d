//go:build linux

package soak

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

// Attack is a kind of thing that is done to daemons beside their clients.
type Attack struct {
	Name string
	Does string // in a line

	// alone is an attack that shrinks a limit of the whole daemon, so that two of
	// them are not at work at a time.
	alone bool
	run   func(*bout) error
}

// Attacks returns all kinds.
func Attacks() []Attack {
	var all []Attack
	for _, part := range [][]Attack{dataAttacks, commandAttacks, controlAttacks, deferralAttacks, adminAttacks, hostAttacks} {
		all = append(all, part...)
	}
	return all
}

// field is the target of the attacks.
type field struct {
	program string
	dir     string
	// steady is the TPM of the clients. late is one that is deferred and stays so,
	// and held one that holds commands back. Nobody reads their logs.
	steady, late, held *daemon
}

// bout is one attack, once.
type bout struct {
	*field
	rnd   *rand.Rand
	ctx   context.Context // ends with the time for the attack
	dir   string          // for files of its own
	blows uint64          // what was done, each attack's own measure
	open  []net.Conn
}

// more counts a blow and reports whether there is time for it. The first one always
// has time.
func (b *bout) more() bool {
	if b.blows > 0 && b.ctx.Err() != nil {
		return false
	}
	b.blows++
	return true
}

// again reports whether there is time to go on, for attacks whose blows are the
// commands that they send.
func (b *bout) again() bool { return b.blows == 0 || b.ctx.Err() == nil }

// connect connects to a socket. A daemon that refuses does what it should: nil. The
// connection has a deadline a second after the end of the bout, and is closed then.
func (b *bout) connect(path string) net.Conn {
	conn, err := net.DialTimeout("unix", path, time.Second)
	if err != nil {
		return nil
	}
	end, ok := b.ctx.Deadline()
	if !ok {
		end = time.Now()
	}
	_ = conn.SetDeadline(end.Add(time.Second))
	b.open = append(b.open, conn)
	return conn
}

// hangUp closes a connection before the end of the bout.
func (b *bout) hangUp(conn net.Conn) {
	_ = conn.Close()
	for i, c := range b.open {
		if c == conn {
			b.open[i] = b.open[len(b.open)-1]
			b.open = b.open[:len(b.open)-1]
			return
		}
	}
}

// each gives f a new connection again and again, and closes it after f.
func (b *bout) each(path string, f func(net.Conn)) {
	for b.more() {
		if conn := b.connect(path); conn != nil {
			f(conn)
			b.hangUp(conn)
		} else {
			wait(b.ctx, time.Millisecond)
		}
	}
}

// crowd connects until so many connections are open or time is over, has f begin
// on each, and leaves them open until the end of the bout.
func (b *bout) crowd(path string, n int, f func(net.Conn)) {
	for len(b.open) < n && b.more() {
		if conn := b.connect(path); conn != nil {
			f(conn)
		}
	}
	<-b.ctx.Done()
}

// bytes are random ones.
func (b *bout) bytes(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(b.rnd.Uint32())
	}
	return p
}

// nonZero returns n random bytes, none of which is zero. The numbers of the control
// channel's requests start with zeros, so these bytes are never a request.
func (b *bout) nonZero(n int) []byte {
	p := b.bytes(n)
	for i := range p {
		p[i] |= 1
	}
	return p
}

func (b *bout) end() {
	for _, conn := range b.open {
		_ = conn.Close()
	}
	b.open = nil
}

// fight runs one bout of the attack.
func (a *Attack) fight(ctx context.Context, b *bout, length time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, length)
	defer cancel()
	b.ctx = ctx
	defer b.end()
	if err := a.run(b); err != nil {
		return fmt.Errorf("%s: %w", a.Name, err)
	}
	return nil
}
