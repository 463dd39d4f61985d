package chardev

import (
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The request with which /dev/vtpmx makes a TPM, VTPM_PROXY_IOC_NEW_DEV of
// include/uapi/linux/vtpm_proxy.h: the number is the same on every machine.
const newDevice = 0xC014A100

// flagTPM2 is VTPM_PROXY_FLAG_TPM2: the TPM is a TPM 2.0.
const flagTPM2 = 1

// proxyRequest is struct vtpm_proxy_new_dev, in the machine's byte order.
type proxyRequest struct {
	flags        uint32 // in
	number       uint32 // out, as all that follow
	fd           uint32
	major, minor uint32
}

// Controller makes TPMs of the running kernel.
type Controller struct{ file *os.File }

// OpenController opens /dev/vtpmx. The error is a *ProxyError.
func OpenController() (*Controller, error) {
	file, err := os.OpenFile(ControllerPath, os.O_RDWR, 0)
	if err != nil {
		return nil, &ProxyError{Err: err}
	}
	return &Controller{file}, nil
}

// Close closes the controller. The TPMs that it has made stay.
func (c *Controller) Close() error { return c.file.Close() }

// NewProxy makes a TPM 2.0 of the running kernel. The kernel sends the first commands
// at once: somebody must serve the Proxy. The error is a *ProxyError.
func (c *Controller) NewProxy() (*Proxy, error) {
	request := proxyRequest{flags: flagTPM2}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, c.file.Fd(), newDevice, uintptr(unsafe.Pointer(&request)))
	if errno != 0 {
		return nil, &ProxyError{Making: true, Err: errno}
	}
	node, err := newNode(int(request.fd), true)
	if err != nil {
		return nil, &ProxyError{Making: true, Err: err}
	}
	unix.CloseOnExec(node.fd)
	return &Proxy{Node: node, Number: request.number, Major: request.major, Minor: request.minor}, nil
}

// Proxy is a TPM of the running kernel whose commands come to this process. Close takes
// it from the kernel.
type Proxy struct {
	*Node
	Number       uint32 // N of /dev/tpmN
	Major, Minor uint32 // the device number of /dev/tpmN
}

// Path returns the path of the TPM's device. It is there once the kernel has registered
// the TPM.
func (p *Proxy) Path() string { return fmt.Sprintf("/dev/tpm%d", p.Number) }

// proxyFile is what /proc calls the end of a proxy that serves it.
const proxyFile = "anon_inode:[vtpms]"

// isProxy reports whether a descriptor is the serving end of a vTPM proxy.
func isProxy(fd int) bool {
	name, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
	return err == nil && name == proxyFile
}

// FromFD takes over a descriptor at which commands come: the serving end of a vTPM
// proxy, which somebody with the right to make one has made, or a device with a stream
// of bytes. It is closed on error too.
func FromFD(fd int) (*Node, error) {
	var status unix.Stat_t
	if err := unix.Fstat(fd, &status); err != nil {
		return nil, os.NewSyscallError("fstat", err)
	}
	proxy := isProxy(fd)
	if kind := status.Mode & unix.S_IFMT; !proxy && kind != unix.S_IFCHR && kind != unix.S_IFSOCK {
		return nil, errors.Join(errNoDevice, unix.Close(fd))
	}
	return newNode(fd, proxy)
}

var errNoDevice = errors.New("the descriptor is no character device and no socket")
