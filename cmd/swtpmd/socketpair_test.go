package main

import (
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// pair is a connected pair of sockets: our end and the one to inherit.
type pair struct {
	ours   net.Conn
	theirs *os.File
}

func socketpairs(n int) ([]pair, error) {
	var pairs []pair
	for range n {
		fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		file := os.NewFile(uintptr(fds[0]), "ours")
		conn, err := net.FileConn(file)
		file.Close()
		if err != nil {
			return nil, err
		}
		if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
			return nil, err
		}
		pairs = append(pairs, pair{conn, os.NewFile(uintptr(fds[1]), "theirs")})
	}
	return pairs, nil
}
