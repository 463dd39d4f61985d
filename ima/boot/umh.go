package boot

import (
	"encoding/binary"
	"io"
	"time"

	"github.com/swtpmd/swtpmd/ima"
	"github.com/swtpmd/swtpmd/ima/measure"
)

// file is a file of the machine. Its content stands for its path and the seed.
type file struct {
	path   string
	digest ima.FileDigest // pinned, or nothing
	sb     *measure.Superblock
	seed   uint64
	inode  *measure.Inode
	// measured remembers what IMA would do with each kind of use, lost that
	// it would have measured the file and was not there.
	measured map[AccessKind]bool
	lost     bool
}

// ramfsMagic is RAMFS_MAGIC of include/uapi/linux/magic.h.
const ramfsMagic = 0x858458f6

// regularFile is the mode of a program's file.
const regularFile = 0o100755

func (f *file) newInode(*kernel) *measure.Inode {
	return &measure.Inode{Superblock: f.sb, Mode: regularFile, Content: f.open, VerityDigest: f.digest}
}

// content is some hundred bytes that no other file has.
func (f *file) content() []byte {
	b := binary.BigEndian.AppendUint64(nil, f.seed)
	return append(b, f.path...)
}

func (f *file) open() (io.Reader, error) { return &bytesReader{f.content()}, nil }

// bytesReader is an io.Reader of bytes.
type bytesReader struct{ b []byte }

func (r *bytesReader) Read(p []byte) (int, error) {
	if len(r.b) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.b)
	r.b = r.b[n:]
	return n, nil
}

// file finds the file of an access.
func (k *kernel) file(a *Access) *file {
	if f := k.files[a.Path]; f != nil {
		return f
	}
	fs := a.FS
	if fs == "" {
		fs = RootFS
	}
	f := &file{path: a.Path, digest: a.Digest, sb: k.superblock(fs, a.Digest.Sum != nil), seed: k.config.Seed, measured: make(map[AccessKind]bool)}
	f.inode = f.newInode(k)
	k.files[a.Path] = f
	return f
}

// superblock finds a file system. Files with a known digest are on a twin of it
// (pinFiles).
func (k *kernel) superblock(name string, pinned bool) *measure.Superblock {
	key := name
	if pinned {
		key += " pinned"
	}
	if sb := k.mounts[key]; sb != nil {
		return sb
	}
	sb := &measure.Superblock{Magic: ramfsMagic, FSName: RootFS, IVersion: true}
	for _, fs := range k.platform.FileSystems {
		if fs.Name == name {
			sb.Magic, sb.FSName = fs.Magic, fs.Type
		}
	}
	if pinned {
		sb.UUID = pinnedUUID
	}
	k.mounts[key] = sb
	return sb
}

// use is one use of a file.
type use struct {
	kind AccessKind
	file *file
}

// hooks calls IMA's hooks as the system call of the use does.
func (u *use) hooks(m *measure.IMA, inode *measure.Inode) {
	f := &measure.File{Inode: inode, Path: u.file.path, Read: u.kind != Exec}
	mask := measure.MayRead
	if u.kind == Exec {
		mask = measure.MayExec
	}
	m.Open(f, root, mask)
	switch u.kind {
	case Exec:
		m.BprmCheck(f, root)
		m.CredsCheck(f, root)
	case Map:
		m.Mmap(f, root, true, true)
	case Load:
		m.PostReadFile(f, root, u.file.content(), measure.ReadingModule)
	}
	m.Release(f)
}

// callHelper follows call_usermodehelper with UMH_WAIT_PROC: there is no helper
// before populate_rootfs, and none runs before the initramfs is unpacked. The
// result is 0 or a negative errno.
func (k *kernel) callHelper(t *task, name string) int {
	if !k.umhEnabled {
		k.emit(t, Event{Kind: HelperEnded, Name: name, Code: -ebusy})
		return -ebusy
	}
	k.waitForInitramfs(t)
	h := k.helpers[name]
	start := k.sched.now()
	k.emit(t, Event{Kind: HelperCalled, Name: name})
	// The helper is a thread of its own, and the caller waits for it.
	caller := t.name
	t.name = name
	err := k.program(t, h.Accesses)
	if err == 0 {
		t.sleep(k.vary(h.Took))
	}
	t.name = caller
	k.emit(t, Event{Kind: HelperEnded, Name: name, Code: err, Took: k.sched.now() - start})
	return err
}

// program runs what a program does, up to the first access that is denied.
func (k *kernel) program(t *task, accesses []Access) int {
	for i := range accesses {
		a := &accesses[i]
		if a.Kind == Wait {
			t.sleep(k.vary(a.For))
			continue
		}
		t.sleep(k.vary(k.platform.Kernel.Access))
		u := &use{a.Kind, k.file(a)}
		if err := k.access(t, u); err != 0 {
			return err
		}
		if a.payload {
			k.attack.run(k, t, u)
		}
		if a.Kind == Load {
			k.registerDriver(t, a.Driver)
		}
	}
	return 0
}

// populateRootFS follows populate_rootfs: helpers may be called from now on, and
// the initramfs is unpacked beside the boot, or with initramfs_async=0 at once.
func (k *kernel) populateRootFS(t *task, unpack time.Duration) {
	k.umhEnabled, k.unpacking = true, true
	k.sched.spawn("async", func(t *task) {
		start := k.sched.now()
		k.emit(t, Event{Kind: AsyncStarted, Name: "do_populate_rootfs"})
		t.sleep(k.vary(unpack))
		k.unpacking = false
		k.emit(t, Event{Kind: AsyncEnded, Name: "do_populate_rootfs", Took: k.sched.now() - start})
		k.unpacked.wakeAll(k.sched)
	})
	if k.args.initramfsWait {
		k.waitForInitramfs(t)
	}
}

func (k *kernel) waitForInitramfs(t *task) {
	k.unpacked.until(t, func() bool { return !k.unpacking })
}
