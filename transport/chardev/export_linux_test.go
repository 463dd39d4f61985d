package chardev

// NewNode is newNode: a socket that keeps the bounds of messages takes the place of the
// kernel's proxy.
var NewNode = newNode

// LookFD is the timer of a proxy, -1 without one.
func (n *Node) LookFD() int {
	if n.look == nil {
		return -1
	}
	return n.look.fd
}
