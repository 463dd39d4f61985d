package measure

import (
	"io"
	"sync"

	"github.com/swtpmd/swtpmd/ima"
)

// The types of inodes that matter here (include/uapi/linux/stat.h).
const (
	modeType    = 0o170000 // S_IFMT
	modeRegular = 0o100000 // S_IFREG
)

// Superblock is a mounted file system.
type Superblock struct {
	// Magic is its number in include/uapi/linux/magic.h, what fsmagic= means.
	Magic uint64
	// FSName is the name of its type, such as "ext4".
	FSName string
	// Subtype is the name that a FUSE file system gives itself, such as "sshfs"; empty
	// for others.
	Subtype string
	// UUID is s_uuid, which FS_IOC_GETFSUUID gives; zero if there is none.
	UUID [16]byte
	// IVersion reports that the file system counts changes of a file, in
	// Inode.Version. Without it every closed writer counts as a change.
	IVersion bool
	// NoChangeCookie reports that a file system with IVersion does not give it to
	// statx(2) as a change cookie (STATX_CHANGE_COOKIE), as XFS does not.
	NoChangeCookie bool
	// Unverifiable reports that the kernel cannot know whether a file has
	// changed (SB_I_IMA_UNVERIFIABLE_SIGNATURE), as with FUSE; files are
	// measured each time then, unless the mounter is UntrustedMounter.
	Unverifiable, UntrustedMounter bool
}

var noSuperblock Superblock

// Inode is a file. Its exported fields belong to whoever simulates the file
// system, and must not change while a hook runs on it; the rest is IMA's
// (struct ima_iint_cache) and the VFS's counts of readers and writers.
type Inode struct {
	// Superblock is the file system; nil stands for one without properties.
	Superblock *Superblock
	UID, GID   uint32
	// Mode has the type bits. Hooks pass over what is no regular file.
	Mode  uint16
	Label Label
	// Version is i_version: it rises with each change of the content.
	Version uint64
	// Content opens the file's content, which is closed after it was read if it is an
	// io.Closer, as an *os.File is.
	Content func() (io.Reader, error)
	// Xattrs are security.* attributes in EVM's order.
	Xattrs []ima.Xattr
	// VerityDigest is the file's fs-verity digest, its algorithm included;
	// used where a rule has digest_type=verity.
	VerityDigest ima.FileDigest

	mu               sync.Mutex
	readers, writers int
	iint             *iint
}

func (i *Inode) superblock() *Superblock {
	if i.Superblock == nil {
		return &noSuperblock
	}
	return i.Superblock
}

func (i *Inode) regular() bool { return i.Mode&modeType == modeRegular }

func (i *Inode) xattr(name string) []byte {
	for _, x := range i.Xattrs {
		if x.Name == name {
			return x.Value
		}
	}
	return nil
}

// protected returns the attributes that EVM protects: all but its own.
func (i *Inode) protected() (list []ima.Xattr) {
	for _, x := range i.Xattrs {
		if x.Name != "security.evm" {
			list = append(list, x)
		}
	}
	return list
}

// iint is the part of an inode that IMA keeps.
type iint struct {
	collected    bool
	withModsig   bool // measured with its appended signature
	measuredPCRs uint64
	digest       ima.FileDigest
	verity       bool
	version      uint64
	mustMeasure  bool // IMA_MUST_MEASURE, IMA_MAY_EMIT_TOMTOU
	openWriters  bool // IMA_EMITTED_OPENWRITERS
	changedXattr bool // IMA_CHANGE_XATTR
}

// reset forgets what was measured; the file will be hashed again.
func (i *iint) reset() { i.collected, i.withModsig, i.measuredPCRs = false, false, 0 }

// File is an open file.
type File struct {
	Inode *Inode
	// Path is absolute. If the kernel cannot make one it is the last
	// component alone.
	Path string
	// Read and Write say how the file is open.
	Read, Write bool
	// Direct is O_DIRECT.
	Direct bool
	// Modsig is the appended signature of the file, nil if it has none.
	Modsig *ima.Modsig
}

// Mask is the access asked for (include/linux/fs.h, MAY_EXEC and others).
type Mask uint8

// The bits of a Mask.
const (
	MayExec   Mask = 1
	MayWrite  Mask = 2
	MayRead   Mask = 4
	MayAppend Mask = 8
)
