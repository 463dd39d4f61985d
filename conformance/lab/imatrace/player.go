package imatrace

import (
	"bytes"
	"fmt"
	"io"

	"github.com/swtpmd/swtpmd/ima/measure"
)

// Player gives the events of a trace to an embedded IMA. Init has been called on it
// before.
type Player struct {
	IMA *measure.IMA
	// Layout is that of the kernel, whose enumerators are the hooks.
	Layout *Layout
	// Content returns what a file of the root file system had as its content when it
	// had been changed to this version.
	Content func(path string, version uint64) ([]byte, error)
	// Inode, if not nil, adds to an inode what the trace does not have.
	Inode func(path string, inode *measure.Inode)
	// Policies are what was written into the file policy, each with an event policy.
	Policies []string
	// Mounts are the paths where file systems are mounted, by their numbers in
	// include/uapi/linux/magic.h; / if there is none.
	Mounts map[uint64]string

	superblocks map[uint64]*measure.Superblock
	inodes      map[inodeKey]*measure.Inode
	open        map[uint64]*measure.File // by the address of struct file
}

// inodeKey tells inodes apart, also those of one number after the other.
type inodeKey struct{ magic, number, generation uint64 }

// Play gives the IMA all events in their order.
func (p *Player) Play(events []Event) error {
	p.superblocks = map[uint64]*measure.Superblock{}
	p.inodes = map[inodeKey]*measure.Inode{}
	p.open = map[uint64]*measure.File{}
	for i := range events {
		if err := p.play(&events[i]); err != nil {
			return &TraceError{events[i].Line, fmt.Sprintf("%v: %s", err, events[i].Text)}
		}
	}
	return nil
}

func (p *Player) play(e *Event) error {
	switch e.Name {
	case "check":
		return p.check(e)
	case "free":
		return p.free(e)
	case "policy":
		if len(p.Policies) == 0 {
			return fmt.Errorf("one more policy than is known")
		}
		policy := p.Policies[0]
		p.Policies = p.Policies[1:]
		return p.IMA.WritePolicy(nil, policy)
	}
	return fmt.Errorf("an unknown event")
}

const (
	fmodeRead   = 1       // FMODE_READ
	fmodeWrite  = 2       // FMODE_WRITE
	openDirect  = 0o40000 // O_DIRECT
	iVersion    = 1 << 23 // SB_I_VERSION
	versionBits = 1       // I_VERSION_QUERIED_SHIFT
	capSetGID   = 6
	capSetUID   = 7
)

// free is the last close of a file. Those that were opened otherwise, such as sockets,
// were never seen.
func (p *Player) free(e *Event) error {
	address := e.number("file")
	f := p.open[address]
	if f == nil {
		return nil
	}
	p.change(f.Inode, e)
	p.IMA.Release(f)
	delete(p.open, address)
	return nil
}

// change sets what may have changed in an inode.
func (p *Player) change(inode *measure.Inode, e *Event) {
	inode.Version = e.number("version") >> versionBits
	inode.UID, inode.GID, inode.Mode = uint32(e.number("iuid")), uint32(e.number("igid")), uint16(e.number("imode"))
}

// check is a call of process_measurement.
func (p *Player) check(e *Event) error {
	path, err := p.path(e)
	if err != nil {
		return err
	}
	hook := int(e.number("func"))
	opens := hook == p.hook("FILE_CHECK") && e.number("buf") == 0
	f := p.open[e.number("file")]
	if f == nil || opens {
		f = &measure.File{
			Inode: p.inode(e, path), Path: path,
			Read: e.number("fmode")&fmodeRead != 0, Write: e.number("fmode")&fmodeWrite != 0,
			Direct: e.number("fflags")&openDirect != 0,
		}
	}
	p.change(f.Inode, e)
	if opens {
		p.open[e.number("file")] = f
		p.IMA.Open(f, credOf(e), measure.Mask(e.number("mask")))
		return nil
	}
	return p.hooked(e, hook, f)
}

// hook returns the number of a hook (security/integrity/ima/ima.h, enum ima_hooks); -1
// if the kernel does not have it.
func (p *Player) hook(name string) int {
	if number, ok := p.Layout.Enum(name); ok {
		return number
	}
	return -1
}

// readIDs are the hooks for files that the kernel reads.
var readIDs = map[string]measure.ReadID{
	"FILE_CHECK": measure.ReadingUnknown, "MODULE_CHECK": measure.ReadingModule, "FIRMWARE_CHECK": measure.ReadingFirmware,
	"KEXEC_KERNEL_CHECK": measure.ReadingKexecImage, "KEXEC_INITRAMFS_CHECK": measure.ReadingKexecInitramfs,
	"POLICY_CHECK": measure.ReadingPolicy,
}

// hooked calls the hook of a file that is open.
func (p *Player) hooked(e *Event, hook int, f *measure.File) error {
	cred := credOf(e)
	switch hook {
	case p.hook("MMAP_CHECK"):
		p.IMA.Mmap(f, cred, false, true)
		return nil
	case p.hook("MMAP_CHECK_REQPROT"):
		p.IMA.Mmap(f, cred, true, false)
		return nil
	case p.hook("BPRM_CHECK"):
		p.IMA.BprmCheck(f, cred)
		return nil
	case p.hook("CREDS_CHECK"):
		p.IMA.CredsCheck(f, cred)
		return nil
	}
	for name, id := range readIDs {
		if hook != p.hook(name) {
			continue
		}
		if e.number("buf") == 0 {
			p.IMA.ReadFile(f, cred, id)
			return nil
		}
		content, err := p.Content(f.Path, f.Inode.Version)
		if err == nil && uint64(len(content)) != e.number("size") {
			err = fmt.Errorf("%d bytes are known of %s", len(content), f.Path)
		}
		p.IMA.PostReadFile(f, cred, content, id)
		return err
	}
	return fmt.Errorf("hook %d is not known", hook)
}

// path returns the absolute path.
func (p *Player) path(e *Event) (string, error) {
	path, ok := e.path()
	if !ok {
		return "", fmt.Errorf("the path is longer than …%s", path)
	}
	return p.Mounts[e.number("magic")] + path, nil
}

// inode returns the inode of an event, and makes it if it was not seen before.
func (p *Player) inode(e *Event, path string) *measure.Inode {
	key := inodeKey{e.number("magic"), e.number("ino"), e.number("gen")}
	if known := p.inodes[key]; known != nil {
		return known
	}
	inode := &measure.Inode{Superblock: p.superblock(e)}
	inode.Content = func() (io.Reader, error) {
		content, err := p.Content(path, inode.Version)
		return bytes.NewReader(content), err
	}
	if p.Inode != nil {
		p.Inode(path, inode)
	}
	p.inodes[key] = inode
	return inode
}

func (p *Player) superblock(e *Event) *measure.Superblock {
	magic := e.number("magic")
	sb := p.superblocks[magic]
	if sb == nil {
		sb = &measure.Superblock{Magic: magic, FSName: e.strings["fs"], IVersion: e.number("sflags")&iVersion != 0}
		p.superblocks[magic] = sb
	}
	return sb
}

func credOf(e *Event) *measure.Cred {
	caps := e.number("caps")
	return &measure.Cred{
		UID: uint32(e.number("uid")), EUID: uint32(e.number("euid")), SUID: uint32(e.number("suid")),
		GID: uint32(e.number("gid")), EGID: uint32(e.number("egid")), SGID: uint32(e.number("sgid")),
		CapSetUID: caps>>capSetUID&1 != 0, CapSetGID: caps>>capSetGID&1 != 0,
	}
}
