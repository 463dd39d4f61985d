//go:build linux

package soak

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// operation is something that a daemon did to a file of its state directory, or the
// answer to its client.
type operation struct {
	at   float64 // seconds since 1970, when it began
	call string
	fd   int    // of the file, or what openat returned
	dir  bool   // fd is the directory
	name string // of openat, unlinkat, and the old one of a rename
	to   string // the new one of a rename
	// flag is what openat has in words, and renameat2.
	flag string
	data []byte
	off  int64 // of a write; the size of ftruncate and fallocate
}

// answered is the call of an operation that is an answer to a client.
const answered = "answer"

// traced are the calls that strace records: what changes files or their names, and
// what writes to sockets.
const traced = "openat,creat,open,pwrite64,pwritev,pwritev2,write,writev,sendto,sendmsg,ftruncate,truncate," +
	"fallocate,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,link,linkat,symlinkat,unlink,unlinkat,close"

// readTraces reads what strace wrote, a file a thread, of a daemon with this state
// directory.
func readTraces(pattern, state string) ([]operation, error) {
	files, err := filepath.Glob(pattern)
	if err != nil {
		return nil, err
	}
	var all []operation
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		some, err := parseTrace(text, state)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all = append(all, some...)
	}
	slices.SortStableFunc(all, func(a, b operation) int { return cmp.Compare(a.at, b.at) })
	return all, nil
}

// parseTrace reads the trace of one thread (strace -ttt -y -xx).
func parseTrace(text []byte, state string) ([]operation, error) {
	var all []operation
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, 64<<20)
	for n := 1; lines.Scan(); n++ {
		o, ok, err := parseCall(lines.Text(), state)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if ok {
			all = append(all, o)
		}
	}
	return all, lines.Err()
}

// callLine is a call that has returned: time, name, arguments, result.
var callLine = regexp.MustCompile(`^(\d+\.\d+) (\w+)\((.*)\) += (-?\d+)`)

// parseCall reads a line of strace. ok is false of what does not concern the
// directory, has failed, or is no call.
func parseCall(line, state string) (o operation, ok bool, err error) {
	m := callLine.FindStringSubmatch(line)
	if m == nil || strings.HasPrefix(m[4], "-") {
		return o, false, nil
	}
	if o.at, err = strconv.ParseFloat(m[1], 64); err != nil {
		return o, false, err
	}
	o.call = m[2]
	arguments := strings.Split(m[3], ", ")
	fd, path, err := descriptor(arguments[0])
	if err != nil {
		return o, false, err
	}
	o.fd, o.dir = fd, path == state
	inside := filepath.Dir(path) == state
	switch o.call {
	case "openat", "unlinkat", "renameat", "renameat2":
		return o, o.dir, o.names(arguments, m[4])
	case "write", "writev", "sendto", "sendmsg", "pwrite64":
		if strings.HasPrefix(path, "socket:") {
			o.call = answered
			return o, true, nil
		}
		return o, inside, o.content(arguments)
	case "ftruncate", "fallocate":
		return o, inside, o.number(arguments[len(arguments)-1])
	case "fsync", "fdatasync", "close":
		return o, inside || o.dir, nil
	}
	if inside || o.dir {
		return o, false, fmt.Errorf("%s is not known here", o.call)
	}
	return o, false, nil
}

// descriptor reads "8<path>", with the path in hex as all text is.
func descriptor(argument string) (fd int, path string, err error) {
	number, rest, ok := strings.Cut(argument, "<")
	if !ok {
		return -1, "", nil
	}
	if number != "AT_FDCWD" {
		if fd, err = strconv.Atoi(number); err != nil {
			return 0, "", err
		}
	}
	rest, _, _ = strings.Cut(rest, ">")
	name, err := unhex(rest)
	return fd, string(name), err
}

// unhex reads \x61\x62.
func unhex(text string) ([]byte, error) {
	text = strings.Trim(text, `"`)
	if strings.HasSuffix(text, ".") {
		return nil, fmt.Errorf("%d bytes of text are cut off", len(text)/4)
	}
	return hex.DecodeString(strings.ReplaceAll(text, `\x`, ""))
}

func (o *operation) names(arguments []string, result string) error {
	if len(arguments) < 3 {
		return fmt.Errorf("%s with %d arguments", o.call, len(arguments))
	}
	name, err := unhex(arguments[1])
	if err != nil {
		return err
	}
	o.name, o.flag = string(name), arguments[2]
	switch o.call {
	case "openat":
		o.fd, err = strconv.Atoi(result)
		return err
	case "renameat", "renameat2":
		if len(arguments) < 4 {
			return fmt.Errorf("%s with %d arguments", o.call, len(arguments))
		}
		if name, err = unhex(arguments[3]); err != nil {
			return err
		}
		o.to, o.flag = string(name), arguments[len(arguments)-1]
	}
	return nil
}

func (o *operation) content(arguments []string) (err error) {
	if len(arguments) < 3 {
		return fmt.Errorf("%s with %d arguments", o.call, len(arguments))
	}
	if o.data, err = unhex(arguments[1]); err != nil {
		return err
	}
	if o.call == "pwrite64" {
		return o.number(arguments[len(arguments)-1])
	}
	return nil
}

func (o *operation) number(text string) (err error) {
	o.off, err = strconv.ParseInt(text, 10, 64)
	return err
}
