package state

import (
	"bytes"
	"crypto/sha256"
	"io"
	"io/fs"
	"maps"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// errPowerCut is what every step answers once power has failed.
const errPowerCut Error = "power has failed"

// content is a file: what a reader sees, and what is on the disk for certain.
type content struct {
	seen, durable []byte
	synced        bool
}

// naming is a change of names that is seen and perhaps not on the disk yet: the
// name to gets the file, from loses it.
type naming struct {
	from, to string
	file     *content
}

// model is a disk of which one can see what is on it after a power cut. It
// promises no more than POSIX does: without sync a change of names may be there
// or not, alone or with others, and a file may have any length and content.
type model struct {
	seen, durable map[string]*content
	pending       []naming

	steps  int
	cutAt  int // the step at which power fails, 0 for never
	failAt int // the step that fails with ENOSPC, 0 for none

	bytes    uint64 // what room answers
	readOnly bool
}

// newModel is a disk with these files on it.
func newModel(files map[string][]byte) *model {
	m := &model{seen: map[string]*content{}, bytes: plenty}
	for name, data := range files {
		m.seen[name] = &content{seen: data, durable: data, synced: true}
	}
	m.durable = maps.Clone(m.seen)
	return m
}

func (m *model) step() error {
	m.steps++
	switch {
	case m.cutAt > 0 && m.steps >= m.cutAt:
		return errPowerCut
	case m.steps == m.failAt:
		return syscall.ENOSPC
	}
	return nil
}

func (m *model) open(name string) (io.ReadCloser, error) {
	if err := m.step(); err != nil {
		return nil, err
	}
	f, ok := m.seen[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return io.NopCloser(bytes.NewReader(f.seen)), nil
}

func (m *model) create(name string, _ fs.FileMode) (diskFile, error) {
	if err := m.step(); err != nil {
		return nil, err
	}
	f, ok := m.seen[name]
	if !ok {
		f = &content{}
		m.change(naming{to: name, file: f})
	}
	f.seen, f.synced = nil, false
	return &writing{m, f}, nil
}

func (m *model) change(n naming) {
	apply(m.seen, n)
	m.pending = append(m.pending, n)
}

func apply(names map[string]*content, n naming) {
	delete(names, n.from)
	if n.to != "" {
		names[n.to] = n.file
	}
}

func (m *model) rename(from, to string) error {
	if err := m.step(); err != nil {
		return err
	}
	f, ok := m.seen[from]
	if !ok {
		return fs.ErrNotExist
	}
	m.change(naming{from, to, f})
	return nil
}

func (m *model) remove(name string) error {
	if err := m.step(); err != nil {
		return err
	}
	if _, ok := m.seen[name]; !ok {
		return fs.ErrNotExist
	}
	m.change(naming{from: name})
	return nil
}

func (m *model) sync() error {
	if err := m.step(); err != nil {
		return err
	}
	m.durable, m.pending = maps.Clone(m.seen), nil
	return nil
}

func (m *model) room() (uint64, bool) { return m.bytes, m.readOnly }
func (m *model) close() error         { return nil }

// writing is a file of a model that is open.
type writing struct {
	m *model
	f *content
}

// Write may be torn: half of the octets have been written when it fails.
func (w *writing) Write(p []byte) (int, error) {
	w.f.synced = false
	if err := w.m.step(); err != nil {
		w.f.seen = append(w.f.seen, p[:len(p)/2]...)
		return len(p) / 2, err
	}
	w.f.seen = append(w.f.seen, p...)
	return len(p), nil
}

func (w *writing) Sync() error {
	if err := w.m.step(); err != nil {
		return err
	}
	w.f.durable, w.f.synced = w.f.seen, true
	return nil
}

func (w *writing) Close() error { return w.m.step() }

// versions are what a file can hold after a power cut.
func (f *content) versions() [][]byte {
	if f.synced {
		return [][]byte{f.durable}
	}
	n := len(f.seen)
	return [][]byte{f.durable, f.seen, nil, f.seen[:n/2], make([]byte, n)}
}

// afterPowerCut are all disks that one can find when power comes back.
func (m *model) afterPowerCut() []*model {
	var found []*model
	for subset := range 1 << len(m.pending) {
		names := maps.Clone(m.durable)
		for i, n := range m.pending {
			if subset>>i&1 == 1 {
				apply(names, n)
			}
		}
		disks := []map[string][]byte{{}}
		for _, name := range slices.Sorted(maps.Keys(names)) {
			var next []map[string][]byte
			for _, version := range names[name].versions() {
				for _, d := range disks {
					d = maps.Clone(d)
					d[name] = bytes.Clone(version)
					next = append(next, d)
				}
			}
			disks = next
		}
		for _, d := range disks {
			found = append(found, newModel(d))
		}
	}
	return found
}

// generation is the encoded state with this number; 0 is no state.
func generation(n uint32) []byte {
	if n == 0 {
		return nil
	}
	s := &State{}
	s.Persistent.ResetCount = n
	s.Unknown = []Section{{Tag: 99, Version: 1, Data: make([]byte, 100*n)}}
	return s.Encode(nil)
}

// holding is a disk that holds a generation.
func holding(n uint32) *model {
	if n == 0 {
		return newModel(nil)
	}
	return newModel(map[string][]byte{directoryFile: generation(n)})
}

// numberOf is the generation in a directory.
func numberOf(t *testing.T, d *Directory) uint32 {
	t.Helper()
	blob, err := d.Load()
	require.NoError(t, err)
	if blob == nil {
		return 0
	}
	s, err := Decode(blob)
	require.NoError(t, err)
	require.Equal(t, generation(s.Persistent.ResetCount), blob)
	return s.Persistent.ResetCount
}

// openCommit opens the directory on a disk and commits a generation.
func openCommit(disk disk, n uint32, o DirectoryOptions) error {
	d, err := newDirectory(disk, "dir", o)
	if err == nil {
		err = d.Commit(generation(n))
	}
	return err
}

// Whenever power fails, the state is the one before or the one after; and the
// one after once the commit has been acknowledged.
func TestPowerCutAtEveryStep(t *testing.T) {
	t.Parallel()
	seen := map[uint32]int{}
	for _, old := range []uint32{0, 1} {
		for cut := 1; ; cut++ {
			m := holding(old)
			m.cutAt = cut
			committed := openCommit(m, 2, DirectoryOptions{})
			for _, found := range m.afterPowerCut() {
				d, err := newDirectory(found, "dir", DirectoryOptions{})
				require.NoError(t, err)
				n := numberOf(t, d)
				seen[n]++
				if committed == nil {
					require.EqualValues(t, 2, n, "cut at step %d", cut)
				} else {
					require.ErrorIs(t, committed, errPowerCut)
					require.Contains(t, []uint32{old, 2}, n, "cut at step %d", cut)
				}
				// What the cut has left is no obstacle to the next commit.
				require.NoError(t, d.Commit(generation(3)))
				for _, after := range found.afterPowerCut() {
					d, err := newDirectory(after, "dir", DirectoryOptions{})
					require.NoError(t, err)
					require.EqualValues(t, 3, numberOf(t, d))
				}
			}
			if committed == nil {
				assert.Greater(t, m.steps, 4)
				break
			}
		}
	}
	assert.Len(t, seen, 3, "nothing, the old and the new one were all there")
}

// Without fsync a power cut can leave a damaged file. It is an error and stays.
func TestPowerCutWithoutSync(t *testing.T) {
	t.Parallel()
	o := DirectoryOptions{NoSync: true}
	m := holding(1)
	require.NoError(t, openCommit(m, 2, o))
	damaged := 0
	for _, found := range m.afterPowerCut() {
		before := found.seen[directoryFile]
		d, err := newDirectory(found, "dir", o)
		require.NoError(t, err)
		if _, err := d.Load(); err != nil {
			damaged++
			var file *FileError
			require.ErrorAs(t, err, &file)
			assert.Equal(t, "dir/"+directoryFile, file.Path)
			require.Same(t, before, found.seen[directoryFile])
			continue
		}
		require.Contains(t, []uint32{1, 2}, numberOf(t, d))
	}
	assert.NotZero(t, damaged)
}

// A step that fails is reported, and the state is the old one; the last step
// comes too late for that.
func TestFailureAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, old := range []uint32{0, 1} {
		for fail := 1; ; fail++ {
			m := holding(old)
			d, err := newDirectory(m, "dir", DirectoryOptions{})
			require.NoError(t, err)
			m.steps, m.failAt = 0, fail
			failed := d.Commit(generation(2))
			if m.steps < fail {
				require.NoError(t, failed)
				break
			}
			require.ErrorIs(t, failed, syscall.ENOSPC)
			want := old
			if last := m.steps == fail; last {
				want = 2
			} else {
				assert.NotContains(t, m.seen, directoryTemp, "the room is given back")
			}
			assert.Equal(t, want, numberOf(t, d), "step %d", fail)
			require.NoError(t, d.Commit(generation(3)))
			assert.EqualValues(t, 3, numberOf(t, d))
		}
	}
	m := holding(1)
	m.seen[directoryTemp], m.failAt = &content{}, 1
	_, err := newDirectory(m, "dir", DirectoryOptions{})
	require.ErrorIs(t, err, syscall.ENOSPC)
}

func TestWritable(t *testing.T) {
	t.Parallel()
	m := holding(1)
	d, err := newDirectory(m, "dir", DirectoryOptions{})
	require.NoError(t, err)
	m.steps = 0
	require.NoError(t, d.Writable())
	m.readOnly = true
	require.ErrorIs(t, d.Writable(), ErrUnavailable)
	require.Zero(t, m.steps, "nothing is written to find out")

	// When room is scarce it takes a try, which may fail at any step.
	m.readOnly, m.bytes = false, plenty-1
	for m.failAt = 1; ; m.failAt++ {
		m.steps = 0
		err := d.Writable()
		if m.steps < m.failAt {
			require.NoError(t, err)
			m.failAt = 0
			break
		}
		require.ErrorIs(t, err, ErrUnavailable, "step %d", m.failAt)
		m.failAt = -m.failAt
		require.NoError(t, d.Writable())
		m.failAt = -m.failAt
	}
	assert.NotContains(t, m.seen, directoryTemp)
	assert.EqualValues(t, 1, numberOf(t, d))
}

// The try is larger than any state there was.
func TestWritableTriesEnough(t *testing.T) {
	t.Parallel()
	m := holding(900)
	d, err := newDirectory(m, "dir", DirectoryOptions{})
	require.NoError(t, err)
	numberOf(t, d)
	m.bytes = 0
	m.failAt = m.steps + 2 // the write
	require.ErrorIs(t, d.Writable(), ErrUnavailable)
	torn := m.pending[0].file
	assert.Greater(t, len(torn.seen)*2, len(generation(900))+8<<10)
	require.NoError(t, d.Commit(generation(2000)))
	m.failAt = m.steps + 2
	require.ErrorIs(t, d.Writable(), ErrUnavailable)
	assert.Greater(t, len(m.pending[0].file.seen)*2, len(generation(2000))+8<<10)
}

// Whatever is in the files: Load gives a state, or an error that names the file,
// and changes nothing.
func FuzzDirectoryLoad(f *testing.F) {
	f.Add(generation(1), []byte(nil), false)
	f.Add(generation(2)[:70], generation(3), true)
	f.Add([]byte{}, []byte{1}, false)
	f.Fuzz(func(t *testing.T, file, left []byte, seal bool) {
		if seal { // or the checksum stops the fuzzer at the door
			sum := sha256.Sum256(file)
			file = append(bytes.Clone(file), sum[:]...)
		}
		m := newModel(map[string][]byte{directoryFile: bytes.Clone(file), directoryTemp: left})
		d, err := newDirectory(m, "dir", DirectoryOptions{})
		require.NoError(t, err)
		blob, err := d.Load()
		require.Equal(t, file, m.seen[directoryFile].seen)
		require.Len(t, m.seen, 1)
		if err != nil {
			var reason *FileError
			var format *FormatError
			require.ErrorAs(t, err, &reason)
			require.ErrorAs(t, err, &format)
			require.Nil(t, blob)
			return
		}
		_, err = Decode(blob)
		require.NoError(t, err)
		require.Equal(t, file, blob)
	})
}

// A directory that is made for a TPM must be there after a power cut.
func TestMakeDirectory(t *testing.T) {
	t.Parallel()
	top := t.TempDir()
	path := filepath.Join(top, "a", "b")
	var synced []string
	sync := func(dir string) error {
		require.DirExists(t, path)
		synced = append(synced, dir)
		return nil
	}
	require.NoError(t, makeDirectory(path, sync))
	assert.Equal(t, []string{filepath.Join(top, "a"), top}, synced)
	require.NoError(t, makeDirectory(path, sync))
	assert.Len(t, synced, 2, "what is there is left alone")
	path = filepath.Join(path, "c")
	require.ErrorIs(t, makeDirectory(path, func(string) error { return syscall.EIO }), syscall.EIO)
	require.NoError(t, syncPath(top))
	require.ErrorIs(t, syncPath(filepath.Join(top, "x")), fs.ErrNotExist)
}

// Without the lock the commit that is not finished may be another's.
func TestOpenWithoutLock(t *testing.T) {
	t.Parallel()
	for _, noLock := range []bool{true, false} {
		m := holding(1)
		m.seen[directoryTemp] = &content{}
		_, err := newDirectory(m, "dir", DirectoryOptions{NoLock: noLock})
		require.NoError(t, err)
		_, there := m.seen[directoryTemp]
		assert.Equal(t, noLock, there)
	}
}
