package state

import (
	"bytes"
	"crypto/sha256"
	"errors"
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
// file that each name gets, nil for none.
type naming map[string]*content

// model is a disk of which one can see what is on it after a power cut. It
// promises no more than POSIX does: without sync a change of names may be there
// or not, alone or with others, and a file may have any length and content.
type model struct {
	seen, durable map[string]*content
	pending       []naming

	steps  int
	cutAt  int // the step at which power fails, 0 for never
	failAt int // the step that fails with ENOSPC, 0 for none

	noExchange bool
	unusable   error
}

// newModel is a disk with these files on it.
// newDirectory opens a directory that no other TPM has.
func newDirectory(disk disk, path string, o DirectoryOptions) (*Directory, error) {
	return openOn(disk, path, o, func() (func() error, error) { return func() error { return nil }, nil })
}

func newModel(files map[string][]byte) *model {
	m := &model{seen: map[string]*content{}}
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

func (m *model) open(name string) (diskFile, error) {
	if err := m.step(); err != nil {
		return nil, err
	}
	f, ok := m.seen[name]
	if !ok {
		return nil, fs.ErrNotExist
	}
	return &opened{m, f}, nil
}

func (m *model) create(name string, _ fs.FileMode) (diskFile, error) {
	if err := m.step(); err != nil {
		return nil, err
	}
	if _, taken := m.seen[name]; taken {
		return nil, fs.ErrExist
	}
	f := &content{}
	m.change(naming{name: f})
	return &opened{m, f}, nil
}

func (m *model) change(n naming) {
	apply(m.seen, n)
	m.pending = append(m.pending, n)
}

func apply(names map[string]*content, n naming) {
	for name, f := range n {
		if f == nil {
			delete(names, name)
			continue
		}
		names[name] = f
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
	m.change(naming{from: nil, to: f})
	return nil
}

func (m *model) exchange(one, other string) error {
	if m.noExchange {
		return errors.ErrUnsupported
	}
	if err := m.step(); err != nil {
		return err
	}
	a, b := m.seen[one], m.seen[other]
	if a == nil || b == nil {
		return fs.ErrNotExist
	}
	m.change(naming{one: b, other: a})
	return nil
}

func (m *model) remove(name string) error {
	if err := m.step(); err != nil {
		return err
	}
	if _, ok := m.seen[name]; !ok {
		return fs.ErrNotExist
	}
	m.change(naming{name: nil})
	return nil
}

func (m *model) sync() error {
	if err := m.step(); err != nil {
		return err
	}
	m.durable, m.pending = maps.Clone(m.seen), nil
	return nil
}

func (m *model) regular(string) error { return nil }
func (m *model) usable() error        { return m.unusable }
func (m *model) close() error         { return nil }

// opened is a file of a model that is open.
type opened struct {
	m *model
	f *content
}

func (o *opened) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(o.f.seen).ReadAt(p, off)
}

func (o *opened) reserve(int64) error {
	if err := o.m.step(); err != nil {
		return err
	}
	o.f.seen, o.f.synced = nil, false
	return nil
}

// replace may be torn: half of the octets have been written when it fails.
func (o *opened) replace(p []byte) error {
	o.f.synced = false
	if err := o.m.step(); err != nil {
		o.f.seen = bytes.Clone(p[:len(p)/2])
		return err
	}
	o.f.seen = bytes.Clone(p)
	return nil
}

func (o *opened) Sync() error {
	if err := o.m.step(); err != nil {
		return err
	}
	o.f.durable, o.f.synced = o.f.seen, true
	return nil
}

func (o *opened) at(name string, _ fs.FileMode) bool { return o.m.seen[name] == o.f }

func (o *opened) Close() error { return nil }

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

// openCommit opens the directory on a disk, loads, and commits two generations,
// so that the file which a power cut catches has been the state before. It
// returns how many of them have been acknowledged.
func openCommit(disk disk, o DirectoryOptions) (acknowledged int, err error) {
	d, err := newDirectory(disk, "dir", o)
	if err != nil {
		return 0, err
	}
	if _, err := d.Load(); err != nil {
		return 0, err
	}
	for n := range uint32(2) {
		if err := d.Commit(generation(n + 2)); err != nil {
			return int(n), err
		}
	}
	return 2, nil
}

// Whenever power fails, the state is the one before or the one after; and the
// one after once the commit has been acknowledged.
func TestPowerCutAtEveryStep(t *testing.T) {
	t.Parallel()
	seen := map[uint32]int{}
	for _, noExchange := range []bool{false, true} {
		for _, old := range []uint32{0, 1} {
			for cut := 1; ; cut++ {
				m := holding(old)
				m.cutAt, m.noExchange = cut, noExchange
				acknowledged, err := openCommit(m, DirectoryOptions{})
				generations := []uint32{old, 2, 3}
				for _, found := range m.afterPowerCut() {
					d, err := newDirectory(found, "dir", DirectoryOptions{})
					require.NoError(t, err)
					n := numberOf(t, d)
					seen[n]++
					// The last one acknowledged, or the one after it.
					allowed := generations[acknowledged:min(acknowledged+2, 3)]
					require.Contains(t, allowed, n, "cut at step %d", cut)
					// What the cut has left is no obstacle to the next commit.
					require.NoError(t, d.Commit(generation(4)))
					for _, after := range found.afterPowerCut() {
						d, err := newDirectory(after, "dir", DirectoryOptions{})
						require.NoError(t, err)
						require.EqualValues(t, 4, numberOf(t, d))
					}
				}
				if m.steps < cut {
					require.NoError(t, err)
					assert.Greater(t, m.steps, 8)
					break
				}
			}
		}
	}
	assert.Len(t, seen, 4, "nothing, the old and both new ones were all there")
}

// Without fsync a power cut can leave a damaged file. It is an error and stays.
func TestPowerCutWithoutSync(t *testing.T) {
	t.Parallel()
	o := DirectoryOptions{NoSync: true}
	m := holding(1)
	_, err := openCommit(m, o)
	require.NoError(t, err)
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
		require.Contains(t, []uint32{1, 2, 3}, numberOf(t, d))
	}
	assert.NotZero(t, damaged)
}

// A step that fails is reported, and the state is the old one; when forcing the
// directory to the disk fails, it is the new one. A step that prepares the next
// commit is none of this one's.
func TestFailureAtEveryStep(t *testing.T) {
	t.Parallel()
	for _, noExchange := range []bool{false, true} {
		for _, old := range []uint32{0, 1} {
			failures := 0
			for fail := 1; ; fail++ {
				m := holding(old)
				m.noExchange = noExchange
				d, err := newDirectory(m, "dir", DirectoryOptions{})
				require.NoError(t, err)
				require.Equal(t, old, numberOf(t, d))
				m.steps, m.failAt = 0, fail
				failed := d.Commit(generation(2))
				if m.steps < fail {
					require.NoError(t, failed)
					break
				}
				want := old
				if failed == nil || d.unsettled {
					want = 2
				}
				if failed != nil {
					failures++
					require.ErrorIs(t, failed, syscall.ENOSPC)
				}
				assert.Equal(t, want, numberOf(t, d), "step %d", fail)
				require.NoError(t, d.Writable())
				require.NoError(t, d.Commit(generation(3)))
				assert.EqualValues(t, 3, numberOf(t, d))
			}
			assert.GreaterOrEqual(t, failures, 5, "create, reserve, write, force, name, force")
		}
	}
	m := holding(1)
	m.seen[directoryTemp], m.failAt = &content{}, 1
	_, err := newDirectory(m, "dir", DirectoryOptions{})
	require.ErrorIs(t, err, syscall.ENOSPC)
}

// While it is not certain that an exchange is on the disk, the old state is not
// overwritten: after a power cut it may be the state again.
func TestNothingIsOverwrittenBeforeAnExchangeIsSettled(t *testing.T) {
	t.Parallel()
	m := holding(1)
	d, err := newDirectory(m, "dir", DirectoryOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 1, numberOf(t, d))
	require.NoError(t, d.Writable())
	// Write, force, exchange; the fourth step forces the directory.
	m.failAt = m.steps + 4
	require.ErrorIs(t, d.Commit(generation(2)), syscall.ENOSPC)
	require.True(t, d.unsettled)
	m.failAt = m.steps + 1
	require.ErrorIs(t, d.Writable(), ErrUnavailable)
	m.failAt = m.steps + 1
	require.ErrorIs(t, d.Commit(generation(3)), syscall.ENOSPC)
	for _, found := range m.afterPowerCut() {
		d, err := newDirectory(found, "dir", DirectoryOptions{})
		require.NoError(t, err)
		require.Contains(t, []uint32{1, 2}, numberOf(t, d))
	}
	require.NoError(t, d.Writable())
	require.NoError(t, d.Commit(generation(3)))
	assert.EqualValues(t, 3, numberOf(t, d))
}

// Writable does what the next commit cannot do without, and says what fails.
func TestWritable(t *testing.T) {
	t.Parallel()
	m := holding(1)
	d, err := newDirectory(m, "dir", DirectoryOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 1, numberOf(t, d))
	for range 2 { // make the spare, reserve room
		m.failAt = m.steps + 1
		err := d.Writable()
		require.ErrorIs(t, err, ErrUnavailable)
		require.ErrorIs(t, err, syscall.ENOSPC)
		m.failAt = 0
		require.NoError(t, d.Writable())
		d.room = 0
	}
	require.NoError(t, d.Writable())
	steps := m.steps
	require.NoError(t, d.Writable())
	require.Equal(t, steps, m.steps, "what is prepared is not prepared again")
	m.unusable = syscall.EROFS
	require.ErrorIs(t, d.Writable(), ErrUnavailable)
	require.ErrorIs(t, d.Writable(), syscall.EROFS)
	m.unusable = nil
	require.NoError(t, d.Writable())

	for _, n := range []uint32{900, 2000} {
		require.NoError(t, d.Commit(generation(n)))
		require.NoError(t, d.Writable())
		assert.GreaterOrEqual(t, d.room, len(generation(n))+8<<10, "more than any state there was")
	}
}

// The old state does not stay on the disk beside the new one.
func TestTheSpareIsEmptied(t *testing.T) {
	t.Parallel()
	m := holding(1)
	d, err := newDirectory(m, "dir", DirectoryOptions{})
	require.NoError(t, err)
	require.EqualValues(t, 1, numberOf(t, d))
	for n := range uint32(3) {
		require.NoError(t, d.Commit(generation(n+2)))
		assert.Empty(t, m.seen[directoryTemp].seen)
	}
	require.NoError(t, d.Close())
	assert.NotContains(t, m.seen, directoryTemp)
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
			if !errors.Is(err, ErrNeedsKey) { // the first bytes of an encrypted state
				require.ErrorAs(t, err, &format)
			}
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
