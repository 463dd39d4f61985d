//go:build linux

package soak

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A daemon that leaves it to the system when a commit reaches the disk loses some:
// power cuts show that.
func TestPowerCutsFindWhatIsNotSynced(t *testing.T) {
	t.Parallel()
	r, err := CutPower(t.Context(), CutPlan{Program: program(t), Commits: 1, AtOnce: 2, state: ",fsync=false"})
	if errors.Is(err, ErrNoStrace) {
		t.Skip(err)
	}
	require.NoError(t, err)
	assert.NotZero(t, r.Lost)
	assert.NotEmpty(t, r.Failures)
}

// lines are of a run of strace 6.1 with the paths in hex as they come: /s is the state
// directory, x a file in it.
var lines = []struct {
	line string
	want operation
	ok   bool
}{
	{`1.5 openat(5<\x2f\x73>, "\x78", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = 13<\x2f\x73\x2f\x78>`,
		operation{at: 1.5, call: "openat", fd: 13, dir: true, name: "x", flag: "O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC"}, true},
	{`2.25 pwrite64(13<\x2f\x73\x2f\x78>, "\x00\x41", 2, 7) = 2`, operation{at: 2.25, call: "pwrite64", fd: 13, data: []byte{0, 'A'}, off: 7}, true},
	{`3.0 ftruncate(13<\x2f\x73\x2f\x78>, 901) = 0`, operation{at: 3, call: "ftruncate", fd: 13, off: 901}, true},
	{`3.0 fallocate(13<\x2f\x73\x2f\x78>, 0, 0, 17285) = 0`, operation{at: 3, call: "fallocate", fd: 13, off: 17285}, true},
	{`3.0 fsync(8<\x2f\x73>)       = 0`, operation{at: 3, call: "fsync", fd: 8, dir: true}, true},
	{`3.0 renameat2(8<\x2f\x73>, "\x78", 8<\x2f\x73>, "\x79", RENAME_EXCHANGE) = 0`,
		operation{at: 3, call: "renameat2", fd: 8, dir: true, name: "x", to: "y", flag: "RENAME_EXCHANGE"}, true},
	{`3.0 unlinkat(8<\x2f\x73>, "\x78", 0) = 0`, operation{at: 3, call: "unlinkat", fd: 8, dir: true, name: "x", flag: "0"}, true},
	{`3.0 write(16<\x73\x6f\x63\x6b\x65\x74\x3a\x5b\x31\x5d>, "\x80\x02", 2) = 2`, operation{at: 3, call: answered, fd: 16}, true},
	{`3.0 fsync(8<\x2f\x73>) = -1 EIO (Input/output error)`, operation{}, false},
	{`3.0 fsync(9<\x2f\x74>) = 0`, operation{}, false},
	{`3.0 --- SIGURG {si_signo=SIGURG, si_code=SI_TKILL} ---`, operation{}, false},
	{`3.0 +++ exited with 0 +++`, operation{}, false},
}

func TestParseCall(t *testing.T) {
	t.Parallel()
	for _, l := range lines {
		o, ok, err := parseCall(l.line, "/s")
		require.NoError(t, err, l.line)
		require.Equal(t, l.ok, ok, l.line)
		if ok {
			assert.Equal(t, l.want, o, l.line)
		}
	}
	for _, line := range []string{
		`3.0 linkat(8<\x2f\x73>, "\x78", 8<\x2f\x73>, "\x79", 0) = 0`,
		`3.0 pwrite64(13<\x2f\x73\x2f\x78>, "\x00"..., 2, 7) = 2`,
		`3.0 pwrite64(13<\x2f\x73\x2f\x78>, "\x0", 1, 7) = 1`,
		`3.0 ftruncate(13<\x2f\x73\x2f\x78>, many) = 0`,
		`3.0 openat(5<\x2f\x73>, "\x78") = 3`,
		`3.0 renameat2(8<\x2f\x73>, "\x78", 8<\x2f\x73>) = 0`,
	} {
		_, _, err := parseCall(line, "/s")
		require.Error(t, err, line)
	}
}

// What is read from strace is an operation, nothing or an error, and the disk takes
// it or refuses it.
func FuzzTrace(f *testing.F) {
	for _, l := range lines {
		f.Add(l.line + "\n" + l.line)
	}
	f.Fuzz(func(t *testing.T, text string) {
		operations, err := parseTrace([]byte(text), "/s")
		if err != nil {
			return
		}
		d := newDisk()
		for i := range operations {
			if _, err := d.do(&operations[i]); err != nil {
				return
			}
		}
	})
}

// A disk keeps what is synced, and of the rest every part.
func TestDisk(t *testing.T) {
	t.Parallel()
	d := newDisk()
	do := func(o operation) {
		t.Helper()
		_, err := d.do(&o)
		require.NoError(t, err)
	}
	found := func() map[string]bool {
		images, err := d.images()
		require.NoError(t, err)
		all := map[string]bool{}
		for _, im := range images {
			text := ""
			for _, name := range []string{"a", "b"} {
				if content, ok := im[name]; ok {
					text += name + "=" + string(content) + " "
				}
			}
			all[text] = true
		}
		return all
	}
	set := func(all ...string) map[string]bool {
		m := map[string]bool{}
		for _, text := range all {
			m[text] = true
		}
		return m
	}
	do(operation{call: "openat", fd: 3, dir: true, name: "a", flag: "O_CREAT"})
	do(operation{call: "pwrite64", fd: 3, data: []byte("12")})
	assert.Equal(t, set("", "a= ", "a=12 ", "a=1 ", "a=\x00\x00 ", "a=1\x00 "), found())
	do(operation{call: "fsync", fd: 3})
	assert.Equal(t, set("", "a=12 "), found(), "its name may not be there")
	do(operation{call: "fsync", fd: 9, dir: true})
	assert.Equal(t, set("a=12 "), found())
	do(operation{call: "openat", fd: 4, dir: true, name: "b", flag: "O_CREAT"})
	do(operation{call: "fsync", fd: 4})
	do(operation{call: "renameat2", dir: true, name: "a", to: "b", flag: "RENAME_EXCHANGE"})
	assert.Equal(t, set("a=12 ", "a=12 b= ", "a= b=12 "), found(), "not even in order")
	do(operation{call: "fdatasync", fd: 9, dir: true})
	do(operation{call: "ftruncate", fd: 3, off: 1})
	assert.Equal(t, set("a= b=12 ", "a= b=1 ", "a= b= ", "a= b=\x00 "), found())
	do(operation{call: "unlinkat", dir: true, name: "a"})
	do(operation{call: "fsync", fd: 3})
	do(operation{call: "fsync", fd: 9, dir: true})
	assert.Equal(t, set("b=1 "), found())

	for _, o := range []operation{
		{call: "pwrite64", fd: 77}, {call: "openat", dir: true, name: "z"},
		{call: "renameat2", dir: true, name: "z", to: "b"},
		{call: "renameat2", dir: true, name: "b", to: "z", flag: "RENAME_EXCHANGE"},
		{call: "mmap", fd: 3},
	} {
		_, err := d.do(&o)
		require.Error(t, err, o.call)
	}
}
