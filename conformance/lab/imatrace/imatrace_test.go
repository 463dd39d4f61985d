package imatrace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// btfBuilder writes a .BTF section.
type btfBuilder struct {
	types, strings bytes.Buffer
	count          uint32
}

func (b *btfBuilder) text(s string) uint32 {
	if b.strings.Len() == 0 {
		b.strings.WriteByte(0)
	}
	if s == "" {
		return 0
	}
	off := uint32(b.strings.Len())
	b.strings.WriteString(s + "\x00")
	return off
}

// add adds a type with more words after it, and returns its ID.
func (b *btfBuilder) add(name string, kind, count, ref uint32, more ...uint32) uint32 {
	words := append([]uint32{b.text(name), kind<<24 | count, ref}, more...)
	_ = binary.Write(&b.types, binary.LittleEndian, words) // a Buffer has no errors
	b.count++
	return b.count
}

// structOf adds a struct or union whose members are each at the offset in bytes.
func (b *btfBuilder) structOf(kind uint32, name string, members ...any) uint32 {
	var words []uint32
	for i := 0; i < len(members); i += 3 {
		words = append(words, b.text(members[i].(string)), members[i+1].(uint32), uint32(members[i+2].(int))*8)
	}
	return b.add(name, kind, uint32(len(members)/3), 0, words...)
}

func (b *btfBuilder) section() []byte {
	var out bytes.Buffer
	h := btfHeader{Magic: btfMagic, Version: 1, HdrLen: 24, TypeLen: uint32(b.types.Len()), StrOff: uint32(b.types.Len()), StrLen: uint32(b.strings.Len())}
	_ = binary.Write(&out, binary.LittleEndian, h)
	out.Write(b.types.Bytes())
	out.Write(b.strings.Bytes())
	return out.Bytes()
}

// kernelBTF has the structs that probes look into.
func kernelBTF() []byte {
	b := new(btfBuilder)
	number := b.add("u64", kindInt, 0, 8, 64)
	number = b.add("also_u64", kindTypedef, 0, number)
	qstr := b.structOf(kindStruct, "qstr", "name", number, 8)
	path := b.structOf(kindStruct, "path", "mnt", number, 0, "dentry", number, 8)
	version := b.structOf(kindUnion, "", "i_version", number, 0)
	b.structOf(kindStruct, "file", "f_path", path, 16, "f_inode", number, 32, "f_mode", number, 40, "f_flags", number, 48)
	b.structOf(kindStruct, "inode", "i_mode", number, 0, "i_uid", number, 4, "i_gid", number, 8, "i_sb", number, 40,
		"i_ino", number, 64, "i_generation", number, 72, "", version, 80)
	b.structOf(kindStruct, "super_block", "s_type", number, 40, "s_flags", number, 80, "s_magic", number, 96)
	b.structOf(kindStruct, "file_system_type", "name", number, 0)
	b.structOf(kindStruct, "dentry", "d_parent", number, 24, "d_name", qstr, 32)
	b.structOf(kindStruct, "cred", "uid", number, 4, "gid", number, 8, "suid", number, 12, "sgid", number, 16, "euid", number, 20,
		"egid", number, 24, "cap_effective", number, 56)
	b.add("ima_hooks", kindEnum, 4, 4, b.text("FILE_CHECK"), 1, b.text("MMAP_CHECK"), 2, b.text("BPRM_CHECK"), 3, b.text("CREDS_CHECK"), 4)
	return b.section()
}

func layout(t *testing.T) *Layout {
	t.Helper()
	l, err := ParseBTF(kernelBTF())
	require.NoError(t, err)
	return l
}

func TestOffsets(t *testing.T) {
	t.Parallel()
	l := layout(t)
	for path, want := range map[string]int{
		"file f_path dentry": 24, "dentry d_name name": 40, "cred cap_effective": 56,
		"inode i_version": 80, // in a union without a name
	} {
		words := strings.Fields(path)
		offset, err := l.Offset(words[0], words[1:]...)
		require.NoError(t, err, path)
		assert.Equal(t, want, offset, path)
	}
	_, err := l.Offset("file", "f_path", "nothing")
	require.EqualError(t, err, "the kernel's BTF: no member nothing in struct file")
	_, err = l.Offset("nothing", "at", "all")
	require.EqualError(t, err, "the kernel's BTF: no struct nothing")
	mmap, ok := l.Enum("MMAP_CHECK")
	assert.True(t, ok)
	assert.Equal(t, 2, mmap)
}

func TestBrokenBTF(t *testing.T) {
	t.Parallel()
	whole := kernelBTF()
	for n := range whole {
		_, err := ParseBTF(whole[:n])
		require.Error(t, err, "%d bytes", n)
	}
}

func TestProbes(t *testing.T) {
	t.Parallel()
	text, err := Probes(layout(t))
	require.NoError(t, err)
	lines := strings.Split(text, "\n")
	require.Len(t, lines, 4)
	assert.Contains(t, lines[0], "p:lab/check process_measurement func=$stack1:u32 mask=%r9:x32")
	assert.Contains(t, lines[0], " magic=+96(+40(+32(%di))):x64 ")
	assert.Contains(t, lines[0], " n2=+0(+40(+24(+24(+24(%di))))):string ")
	assert.Contains(t, lines[1], "p:lab/free ima_file_free file=%di:x64 ")
	assert.Less(t, len(lines[0]), 4096, "the longest line that the kernel takes")
	for _, argument := range strings.Fields(lines[0])[2:] {
		_, fetch, _ := strings.Cut(argument, "=")
		assert.LessOrEqual(t, len(fetch), 63, "MAX_ARGSTR_LEN: %s", fetch)
	}
	_, err = Probes(&Layout{})
	require.Error(t, err)
}

// line is a line of the file trace.
func line(event, function string, numbers string, path ...string) string {
	text := fmt.Sprintf("              sh-123     [000] d..1.     5.123456: %s: (%s+0x0/0x890) %s", event, function, numbers)
	if len(path) > 0 {
		text += ` fs="ext4"`
	}
	for i := range depth {
		name := "/"
		if i < len(path) {
			name = path[len(path)-1-i]
		}
		if len(path) > 0 {
			text += fmt.Sprintf(` n%d="%s"`, i, name)
		}
	}
	return text + "\n"
}

// check is a call of process_measurement on a file of root's.
func check(hook int, file, fmode, mask, version int, path ...string) string {
	return line("check", "process_measurement", fmt.Sprintf("func=%d mask=0x%x buf=0x0 size=0 uid=0 euid=0 suid=0 gid=0 egid=0 sgid=0 caps=0x1ffffffffff "+
		"file=0x%x fmode=0x%x fflags=0x8000 ino=%d gen=1 imode=0x81a4 iuid=0 igid=0 version=0x%x magic=0xef53 sflags=0x70800000",
		hook, mask, file, fmode, len(path), version<<1), path...)
}

func free(file, version, ino int) string {
	return line("free", "ima_file_free", fmt.Sprintf("file=0x%x fmode=0x1 fflags=0x8000 ino=%d gen=1 imode=0x81a4 iuid=0 igid=0 version=0x%x magic=0xef53 sflags=0x70800000",
		file, ino, version<<1))
}

const header = "# tracer: nop\n#\n# entries-in-buffer/entries-written: 7/7   #P:1\n#\n"

// TestPlay has a file read, read while it is open for writing, changed and read again.
func TestPlay(t *testing.T) {
	t.Parallel()
	const read, write = 1, 2
	trace := header +
		check(1, 0x10, read, 4, 7, "etc", `a "b" c`) + free(0x10, 7, 2) +
		check(1, 0x20, write, 2, 7, "etc", `a "b" c`) +
		check(1, 0x10, read, 4, 7, "etc", `a "b" c`) + free(0x10, 7, 2) +
		free(0x20, 8, 2) + free(0x999, 8, 2) +
		check(1, 0x10, read, 4, 8, "etc", `a "b" c`) + free(0x10, 8, 2) +
		check(3, 0x30, read, 1, 1, "init")
	events, err := Parse(strings.NewReader(trace))
	require.NoError(t, err)
	require.Len(t, events, 10)

	kernel, err := measure.KernelByRelease("6.1")
	require.NoError(t, err)
	m, err := measure.New(measure.Config{Kernel: kernel, CommandLine: "ima_policy=tcb"})
	require.NoError(t, err)
	require.NoError(t, m.Init(func() measure.TPM { return nil }))
	p := &Player{IMA: m, Layout: layout(t), Content: func(path string, version uint64) ([]byte, error) {
		return fmt.Appendf(nil, "%s %d", path, version), nil
	}}
	require.NoError(t, p.Play(events))
	var names []string
	for _, r := range m.Records() {
		digest, _ := r.FileDigest()
		names = append(names, fmt.Sprintf("%s %t %.8s", r.Name(), r.Violation(), digest.Sum))
	}
	assert.Equal(t, []string{
		"boot_aggregate false 00000000",
		`/etc/a_"b"_c false ` + digestOf(t, `/etc/a "b" c 7`),
		`/etc/a_"b"_c true 00000000`,
		`/etc/a_"b"_c false ` + digestOf(t, `/etc/a "b" c 8`),
		"/init false " + digestOf(t, "/init 1"),
	}, names)
}

func digestOf(t *testing.T, content string) string {
	t.Helper()
	h, err := ima.SHA256.New()
	require.NoError(t, err)
	h.Write([]byte(content))
	return fmt.Sprintf("%.8s", ima.Hex(h.Sum(nil)))
}

func TestUnplayable(t *testing.T) {
	t.Parallel()
	_, err := Parse(strings.NewReader(strings.Replace(header, "7/7", "7/9", 1)))
	require.EqualError(t, err, "trace, line 3: 7/9 events are left: the buffer was too small")
	_, err = Parse(strings.NewReader("no event\n"))
	require.EqualError(t, err, "trace, line 1: no event")
	_, err = Parse(strings.NewReader(line("check", "f", "mask=four")))
	require.EqualError(t, err, `trace, line 1: mask="four" is no number`)

	for want, text := range map[string]string{
		"the path is longer than": check(1, 0x10, 1, 4, 7, "a", "b", "c", "d", "e", "f", "g", "h"),
		"hook 77 is not known":    check(77, 0x10, 1, 4, 7, "a"),
		"an unknown event":        line("other", "f", ""),
		"one more policy":         line("policy", "ima_update_policy", ""),
	} {
		events, err := Parse(strings.NewReader(text))
		require.NoError(t, err)
		require.ErrorContains(t, (&Player{Layout: layout(t)}).Play(events), want)
	}
}

func FuzzParseBTF(f *testing.F) {
	f.Add(kernelBTF())
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := ParseBTF(data)
		if err != nil {
			return
		}
		_, _ = Probes(l)
	})
}

func FuzzParse(f *testing.F) {
	f.Add(header + check(1, 0x10, 1, 4, 7, "etc", "passwd") + free(0x10, 7, 2))
	f.Fuzz(func(t *testing.T, text string) {
		events, err := Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		for i := range events {
			path, ok := events[i].path()
			assert.True(t, !ok || strings.HasPrefix(path, "/"), "%q", path)
		}
	})
}
