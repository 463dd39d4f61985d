package files

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// mount is a line of /proc/self/mountinfo (proc_pid_mountinfo(5)).
type mount struct {
	device  string // major:minor, s_dev
	fsType  string // s_type->name
	subtype string // s_subtype
	source  string
}

// fuse reports whether the file system is one of fs/fuse.
func (m mount) fuse() bool {
	return m.fsType == "fuse" || m.fsType == "fuseblk" || m.fsType == "virtiofs"
}

const (
	mountLineMax = 1 << 16
	mountsMax    = 1 << 20
)

// mountinfoError says which line of the table is none.
type mountinfoError struct {
	line   int
	reason string
}

func (e *mountinfoError) Error() string { return fmt.Sprintf("line %d: %s", e.line, e.reason) }

// parseMountinfo reads the table, by the number of the mount.
func parseMountinfo(r io.Reader) (map[uint64]mount, error) {
	mounts := map[uint64]mount{}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, mountLineMax)
	number := 0
	for lines.Scan() {
		number++
		if number > mountsMax {
			return nil, &mountinfoError{number, "too many mounts"}
		}
		id, m, err := parseMount(lines.Text())
		if err != "" {
			return nil, &mountinfoError{number, err}
		}
		mounts[id] = m
	}
	if err := lines.Err(); err != nil {
		return nil, &mountinfoError{number + 1, err.Error()}
	}
	return mounts, nil
}

// parseMount reads number, parent, device, root, mount point, options, optional
// fields, a dash, type, source and options of the file system.
func parseMount(line string) (id uint64, m mount, problem string) {
	fields := strings.Split(line, " ")
	const fixed, device = 6, 2
	dash := 0
	for i := fixed; i < len(fields) && dash == 0; i++ {
		if fields[i] == "-" {
			dash = i
		}
	}
	if dash == 0 || len(fields) < dash+3 {
		return 0, m, "no mount: the type and the source follow a dash"
	}
	id, err := strconv.ParseUint(fields[0], 10, 64)
	if err != nil {
		return 0, m, fmt.Sprintf("%.32q is no number of a mount", fields[0])
	}
	m.device = fields[device]
	m.fsType, m.subtype, _ = strings.Cut(unescapeMount(fields[dash+1]), ".")
	m.source = unescapeMount(fields[dash+2])
	return id, m, ""
}

// unescapeMount takes back what the kernel writes of blanks and the like, a
// backslash and three octal digits (fs/proc_namespace.c, mangle).
func unescapeMount(s string) string {
	if !strings.Contains(s, `\`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+3 < len(s) {
			if c, err := strconv.ParseUint(s[i+1:i+4], 8, 8); err == nil {
				b.WriteByte(byte(c))
				i += 3
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// parseUUID reads 8-4-4-4-12 hex digits.
func parseUUID(s string) (uuid [16]byte, ok bool) {
	parts := strings.Split(s, "-")
	if len(s) != 36 || len(parts) != 5 {
		return uuid, false
	}
	for i, n := range []int{8, 4, 4, 4, 12} {
		if len(parts[i]) != n {
			return uuid, false
		}
	}
	_, err := hex.Decode(uuid[:], []byte(strings.Join(parts, "")))
	return uuid, err == nil
}
