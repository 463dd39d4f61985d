package lab

import (
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed"
	"fmt"
	"io"
)

// guestInit is the init of the guest.
//
//go:embed guest.sh
var guestInit []byte

// guestSymbols is a program of awk's that guest.sh runs.
//
//go:embed symbols.awk
var guestSymbols []byte

// applets are the busybox applets that guest.sh calls by name.
var applets = []string{
	"sh", "awk", "base64", "cat", "cut", "dmesg", "grep", "ls", "mount",
	"poweroff", "ps", "reboot", "sha256sum", "stty", "uname", "usleep", "wc",
}

// Contents are what goes into an initramfs besides guest.sh, which is its init.
type Contents struct {
	Busybox []byte // a static busybox
	// Port is the device with which the guest reports; empty is that of Q35.
	Port string
	// Policy, unless it is empty, is an IMA policy that the guest loads when it is
	// asked to.
	Policy []byte
	// Modprobe, unless it is empty, is the program that the kernel runs when it asks for
	// a module.
	Modprobe []byte
}

// Initramfs returns a gzipped initramfs.
func Initramfs(c Contents) ([]byte, error) {
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	a := &archive{w: z}
	for _, dir := range []string{"bin", "dev", "proc", "sys", "run"} {
		a.add(dir, modeDir|0o755, nil)
	}
	// The kernel opens /dev/console for init before devtmpfs is mounted
	// (init/main.c: console_on_rootfs).
	a.addDevice("dev/console", modeChar|0o600, 5, 1)
	a.add("bin/busybox", modeFile|0o755, c.Busybox)
	for _, name := range applets {
		a.add("bin/"+name, modeLink|0o777, []byte("busybox"))
	}
	a.add("init", modeFile|0o755, guestInit)
	a.add("port", modeFile|0o644, []byte(cmp.Or(c.Port, Q35.facts().port)+"\n"))
	a.add("symbols.awk", modeFile|0o644, guestSymbols)
	if len(c.Policy) > 0 {
		a.add("policy", modeFile|0o644, c.Policy)
	}
	if len(c.Modprobe) > 0 {
		a.add("sbin", modeDir|0o755, nil)
		a.add("sbin/modprobe", modeFile|0o755, c.Modprobe) // kernel/kmod.c: modprobe_path
		a.addDevice("dev/kmsg", modeChar|0o600, 1, 11)     // devtmpfs is not there yet
	}
	if err := a.close(); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// joinInitramfs returns one initramfs after another: the kernel unpacks each, packed or
// not, and a file of the second takes the place of the first's (init/initramfs.c,
// unpack_to_rootfs). Each begins at a multiple of 4.
func joinInitramfs(first, second []byte) []byte {
	whole := append([]byte(nil), first...)
	for len(whole)%4 != 0 {
		whole = append(whole, 0)
	}
	return append(whole, second...)
}

// File types and permissions as in stat(2).
const (
	modeDir  = 0o040000
	modeChar = 0o020000
	modeFile = 0o100000
	modeLink = 0o120000
)

// archive writes a cpio archive in the "newc" format: a header of eight-digit
// hexadecimal numbers, the name and the content, each padded to four bytes
// (Linux: Documentation/driver-api/early-userspace/buffer-format.rst).
type archive struct {
	w     io.Writer
	inode int
	err   error
}

func (a *archive) add(name string, mode uint32, content []byte) {
	a.entry(name, mode, content, 0, 0)
}

func (a *archive) addDevice(name string, mode uint32, major, minor int) {
	a.entry(name, mode, nil, major, minor)
}

func (a *archive) entry(name string, mode uint32, content []byte, major, minor int) {
	if a.err != nil {
		return
	}
	a.inode++
	header := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		a.inode, mode, 0, 0, 1, 0, len(content), 0, 0, major, minor, len(name)+1, 0)
	a.write(padded(append([]byte(header), name+"\x00"...)))
	a.write(padded(content))
}

func (a *archive) write(data []byte) {
	if a.err == nil {
		_, a.err = a.w.Write(data)
	}
}

func (a *archive) close() error {
	a.entry("TRAILER!!!", 0, nil, 0, 0)
	return a.err
}

// padded returns data with zeros up to a multiple of four bytes. It does not write
// after the end of data.
func padded(data []byte) []byte {
	if n := -len(data) & 3; n > 0 {
		return append(data[:len(data):len(data)], make([]byte, n)...)
	}
	return data
}
