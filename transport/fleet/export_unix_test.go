//go:build unix

package fleet

import (
	"net"
	"os"

	"github.com/swtpmd/swtpmd/transport/fleet/handover"
)

// TakeUntil is the beginning of Take, which ends after so many messages of its own.
func TakeUntil(conn *net.UnixConn, o Options, messages int) {
	defer func() { _ = conn.Close() }()
	c := handover.New(conn, messageTime)
	kinds := []string{saysHello, saysTook, saysTook, saysServes}
	for i, kind := range kinds[:messages] {
		m := message{Kind: kind}
		if i == 0 {
			m.Version, m.PID, m.Dir, m.State = takeoverVersion, os.Getpid(), o.Dir, o.State
		}
		if c.Send(m) != nil {
			return
		}
		heard := 1
		if i == 0 {
			heard = 2 // begin, and the first TPM
		}
		for range heard {
			var m message
			files, err := c.Receive(&m)
			handover.Close(files)
			if err != nil {
				return
			}
		}
	}
}
