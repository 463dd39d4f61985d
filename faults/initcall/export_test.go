package initcall

import (
	"context"
	"net"
)

// Attach is attach, for fuzzing without sockets.
func (g *GDB) Attach(ctx context.Context, conn net.Conn) error { return g.attach(ctx, conn) }
