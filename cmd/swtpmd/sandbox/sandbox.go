// Package sandbox takes from this process, for good, what it has no use for: the
// files of others with Landlock, and most of the kernel's calls with seccomp.
// What a process has open before stays as it was.
//
// Both are Linux'. Elsewhere, and where the kernel lacks them, the functions
// return ErrUnsupported and change nothing.
package sandbox

import "errors"

// ErrUnsupported is the reason of a sandbox that this system does not have.
var ErrUnsupported = errors.New("this system has no such sandbox")

// Reach is what a process can still do that not every process has to. The zero
// value opens no file and makes no socket.
type Reach struct {
	Paths []Path
	// UnixSockets lets it make unix stream sockets, connect them, and give
	// their files permissions and owners. Sockets of other kinds it can only
	// accept, or be passed.
	UnixSockets bool
	// TCPPorts are those that it can connect to.
	TCPPorts []uint16
	// VTPMProxy lets it make TPMs of the running kernel with an open /dev/vtpmx.
	VTPMProxy bool
}

// Path is a file that can be opened, or a directory with all below it.
type Path struct {
	Name string // it must be there
	May  Right
}

// Right is a set of what may be done at a Path.
type Right uint16

// The rights.
const (
	Read          Right = 1 << iota // read files
	Write                           // write and truncate files
	List                            // list directories
	MakeFiles                       // make and rename regular files
	MakeSockets                     // make sockets and rename them from one directory to another
	MakeDirs                        // make directories
	RemoveFiles                     // remove and rename what is no directory
	RemoveDirs                      // remove empty directories
	ConnectToUnix                   // connect to unix sockets; kernels before 7.1 ask UnixSockets only
)
