// Command askdevice asks the TPM at a character device, in a guest that has no other
// program for that.
//
//	askdevice ask PATH HEX             print the response to a command
//	askdevice wait PATH HEX            the same, without blocking and with poll(2)
//	askdevice ioctl PATH CODE HEX SIZE print a structure of SIZE bytes, which begins as HEX, after an ioctl
//	askdevice rate PATH N PID STEP…    repeat steps N times; print how many repetitions the TPM
//	                                   answers a second, and microseconds of PID's processor
//	                                   time for one
//
// PATH is a device, or for rate a unix socket, too. Steps are in steps.go.
//
// It prints an error in the words of the kernel.
package main

import (
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

func main() {
	text, err := run(os.Args[1:])
	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
	fmt.Println(text)
}

func run(args []string) (string, error) {
	if len(args) < 3 {
		return "", fmt.Errorf("arguments: ask|wait|ioctl|rate PATH …")
	}
	flags := unix.O_RDWR | unix.O_CLOEXEC
	if args[0] == "wait" {
		flags |= unix.O_NONBLOCK
	}
	fd, err := open(args[1], flags)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	switch {
	case (args[0] == "ask" || args[0] == "wait") && len(args) == 3:
		return ask(fd, args[2], args[0] == "wait")
	case args[0] == "ioctl" && len(args) == 5:
		return ioctl(fd, args[2], args[3], args[4])
	case args[0] == "rate" && len(args) >= 5:
		return rate(fd, args[2], args[3], args[4:])
	}
	return "", fmt.Errorf("wrong arguments %q", args)
}

// open opens a device, or connects to a unix socket.
func open(path string, flags int) (int, error) {
	var status unix.Stat_t
	if err := unix.Stat(path, &status); err != nil || status.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return unix.Open(path, flags, 0)
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
		return -1, errors.Join(err, unix.Close(fd))
	}
	return fd, nil
}

// exchange sends a command and reads its response, which may come in pieces.
func exchange(fd int, command, response []byte, wait bool) ([]byte, error) {
	if _, err := unix.Write(fd, command); err != nil {
		return nil, err
	}
	size := 0
	for size < 10 || size < int(binary.BigEndian.Uint32(response[2:])) {
		if wait {
			fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
			if _, err := unix.Poll(fds, 10_000); err != nil {
				return nil, err
			}
		}
		// As tpm2-tss does: the header, then the rest.
		most := len(response)
		if wait && size == 0 {
			most = 10
		}
		n, err := unix.Read(fd, response[size:most])
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fmt.Errorf("the response ends after %d bytes", size)
		}
		size += n
	}
	return response[:size], nil
}

func ask(fd int, text string, wait bool) (string, error) {
	command, err := hex.DecodeString(text)
	if err != nil {
		return "", err
	}
	response, err := exchange(fd, command, make([]byte, 4096), wait)
	return hex.EncodeToString(response), err
}

// processorTime returns how many nanoseconds the threads of a process have run.
func processorTime(pid string) (sum int64, err error) {
	names, err := filepath.Glob("/proc/" + pid + "/task/*/schedstat")
	if err == nil && len(names) == 0 {
		err = fmt.Errorf("there is no process %s", pid)
	}
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return 0, err
		}
		first, _, _ := strings.Cut(string(text), " ")
		n, err := strconv.ParseInt(first, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("%s: %w", name, err)
		}
		sum += n
	}
	return sum, err
}

func ioctl(fd int, code, text, size string) (string, error) {
	number, err := strconv.ParseUint(code, 0, 32)
	if err != nil {
		return "", err
	}
	n, err := strconv.Atoi(size)
	if err != nil || n <= 0 || n > 1<<14 {
		return "", fmt.Errorf("%q is no size of a structure", size)
	}
	in, err := hex.DecodeString(text)
	if err != nil {
		return "", err
	}
	structure := make([]byte, n)
	copy(structure, in)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), uintptr(number), uintptr(unsafe.Pointer(&structure[0]))); errno != 0 {
		return "", errno
	}
	return hex.EncodeToString(structure[:min(n, 32)]), nil
}
